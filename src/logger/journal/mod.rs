//! What was read from a pipe and is not in its file yet, kept where the next supervisor finds it.
//!
//! The guardian keeps two things for the logger: memory that the blocks lie in (`Place`: a block and
//! the record of how far it has got), and one pipe, the *hand*. A block goes from its log pipe into
//! the hand in one step of the kernel, from there into memory, from there into the file. After a
//! `kill -9` between any two steps the successor knows from the record what is left to do:
//!
//! | killed | the record says | so |
//! |---|---|---|
//! | before the block is moved into the hand | `Taking`, the hand is empty | nothing was taken |
//! | before it is noted how much that was | `Taking`, the hand is not empty | all of it is this block |
//! | while it is read from the hand | `Taken`: its length | what is not in the hand any more is in memory |
//! | before the first write | `Whole`, no attempt | nothing is in the file |
//! | before, within or after a write | an attempt: shape, time, file and its length before | it is shaped anew; what the file holds of exactly that already is left out |
//! | before or after a rotation | no attempt: all before `done` is in a file | it goes on in `current`, whichever that is |
//! | before the block is free | `done` is all | where in a line the log is is kept, and there is nothing to do |
//!
//! A block that cannot be written keeps its place, the next one gets another. Between two blocks a
//! log may be inside a line, and in JSON inside a character: that is in its *cell*.

mod cells;
pub mod record;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;

use crate::lifecycle::Name;
use crate::os::file::reason;
use crate::os::pipe::{Taken, bytes_in, enlarge, move_now, read_exactly};
use crate::os::shared::{PAGE_BYTES, Shared, length, set_length};

use super::pace::BUSY_PIPE_BYTES;
use super::thread::BLOCK_BYTES;
use cells::Cells;
use record::{Owner, Phase, Position, Record};

/// Changes with the layout and the meaning of the words.
const VERSION: u64 = 0x7376_636a_0000_0001;
const HEAD_BYTES: usize = PAGE_BYTES + cells::BYTES;
const PLACE_BYTES: usize = PAGE_BYTES + BLOCK_BYTES;
/// As many logs as that may be stuck with a block each; then the others do without.
const PLACES_MAX: usize = 16_384;

/// The descriptors that outlive a supervisor.
#[derive(Debug)]
pub struct Kept {
    pub memory: OwnedFd,
    /// The two ends of the hand.
    pub reader: OwnedFd,
    pub writer: OwnedFd,
}

#[derive(Debug)]
pub struct Journal {
    kept: Kept,
    cells: Cells,
    /// How many places there are.
    places: usize,
    spare: Vec<Place>,
    enlarging_tried: bool,
    /// Why it can be used no more.
    pub broken: Option<String>,
}

/// A block and its record.
#[derive(Debug)]
pub struct Place {
    pub record: Record,
    pub block: Block,
}

#[derive(Debug)]
pub enum Block {
    Kept(Shared),
    /// Gone with the process.
    Own(Vec<u8>),
}

/// What a predecessor left unfinished.
#[derive(Debug)]
pub struct Left {
    pub place: Place,
    pub owner: Owner,
}

/// A journal as it was found.
#[derive(Debug)]
pub struct Found {
    pub journal: Journal,
    pub left: Vec<Left>,
    pub remarks: Vec<String>,
}

impl Place {
    /// Without a record.
    pub fn own() -> Self {
        Self { record: Record::none(), block: Block::Own(vec![0; BLOCK_BYTES]) }
    }

    /// For what was not read from a pipe.
    pub fn empty() -> Self {
        Self { record: Record::none(), block: Block::Own(Vec::new()) }
    }
}

impl Block {
    pub fn bytes(&self) -> &[u8] {
        match self {
            Block::Kept(shared) => shared.bytes(),
            Block::Own(bytes) => bytes,
        }
    }

    pub fn bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Block::Kept(shared) => shared.bytes_mut(),
            Block::Own(bytes) => bytes,
        }
    }

    /// What was in it is of no use any more.
    pub fn give_back(&mut self) {
        match self {
            Block::Kept(shared) => shared.give_back(),
            Block::Own(bytes) => *bytes = vec![0; bytes.len()],
        }
    }
}

impl Journal {
    /// Takes over what is there; on the first day that is nothing. What makes no sense is set aside
    /// with a remark. The error says why there can be no journal. `took_over` is whether logs may have
    /// been written before: then a journal that is new does not know of them.
    pub fn open(kept: Kept, took_over: bool) -> Result<Found, String> {
        Self::find(kept, took_over).map_err(|error| reason(&error))
    }

    fn find(kept: Kept, took_over: bool) -> io::Result<Found> {
        let mut remarks = Vec::new();
        let memory = kept.memory.as_fd();
        let bytes = usize::try_from(length(memory)?).unwrap_or(usize::MAX);
        let places = bytes.checked_sub(HEAD_BYTES).map(|bytes| bytes / PLACE_BYTES);
        let mut places = places.filter(|places| *places <= PLACES_MAX);
        if let Some(known) = places.filter(|places| bytes == HEAD_BYTES + places * PLACE_BYTES) {
            let mut head = Shared::map(memory, 0, PAGE_BYTES)?;
            let version = head.words().first().map(|word| word.load(Ordering::Acquire));
            places = (version == Some(VERSION)).then_some(known);
        } else {
            places = None;
        }
        if places.is_none() {
            if bytes > 0 {
                remarks.push(
                    "the journal of the logs is not of this version of svc; what was in it is lost"
                        .to_owned(),
                );
            }
            set_length(memory, 0)?;
            set_length(memory, HEAD_BYTES as u64)?;
            let mut head = Shared::map(memory, 0, PAGE_BYTES)?;
            head.words().first().into_iter().for_each(|word| word.store(VERSION, Ordering::Release));
        }
        let mut cells = Cells::new(Shared::map(memory, PAGE_BYTES as u64, cells::BYTES)?);
        if places.is_none() && took_over {
            cells.admit_gaps();
        }
        let places = places.unwrap_or(0);
        let spare = Vec::new();
        let mut journal = Self { kept, cells, places, spare, enlarging_tried: false, broken: None };
        let left = journal.look_through(&mut remarks)?;
        Ok(Found { journal, left, remarks })
    }

    fn look_through(&mut self, remarks: &mut Vec<String>) -> io::Result<Vec<Left>> {
        let mut left = Vec::new();
        for number in 0..self.places {
            let mut place = self.map(number)?;
            match place.record.load() {
                Ok(None) => self.spare.push(place),
                Ok(Some(owner)) => match self.read_on(&mut place) {
                    Ok(true) => left.push(Left { place, owner }),
                    Ok(false) => {
                        place.record.free();
                        self.take_back(place);
                    }
                    Err(error) => {
                        let cause = reason(&error);
                        remarks.push(format!("cannot read the log of {} on: {cause}", owner.name));
                        left.push(Left { place, owner });
                    }
                },
                Err(record::Garbage) => {
                    remarks.push("a block in the journal of the logs makes no sense; it is lost".to_owned());
                    place.record.free();
                    self.take_back(place);
                }
            }
        }
        let unclaimed = bytes_in(self.kept.reader.as_fd())?;
        if unclaimed > 0 {
            remarks.push(format!("{unclaimed} bytes of a log cannot be told whose they are; they are lost"));
            let mut nowhere = vec![0; unclaimed];
            read_exactly(self.kept.reader.as_fd(), &mut nowhere)?;
        }
        Ok(left)
    }

    /// The rest of a block that is still in the hand. False when nothing was ever taken.
    fn read_on(&mut self, place: &mut Place) -> io::Result<bool> {
        let reader = self.kept.reader.as_fd();
        let in_hand = bytes_in(reader)?;
        let bytes = match place.record.progress().phase {
            Phase::Free => return Ok(false),
            Phase::Whole => return Ok(true),
            Phase::Taking => in_hand.min(BLOCK_BYTES),
            Phase::Taken => place.record.progress().bytes,
        };
        let read = bytes.saturating_sub(in_hand);
        place.record.taken(bytes);
        let block = place.block.bytes_mut();
        read_exactly(reader, block.get_mut(read..bytes).unwrap_or_default())?;
        place.record.whole(bytes);
        Ok(bytes > 0)
    }

    /// A free place; made when there is none.
    pub fn place(&mut self) -> io::Result<Place> {
        if let Some(place) = self.spare.pop() {
            return Ok(place);
        }
        if self.places >= PLACES_MAX {
            return Err(io::ErrorKind::StorageFull.into());
        }
        set_length(self.kept.memory.as_fd(), (HEAD_BYTES + (self.places + 1) * PLACE_BYTES) as u64)?;
        self.places += 1;
        self.map(self.places - 1)
    }

    fn map(&self, number: usize) -> io::Result<Place> {
        let offset = HEAD_BYTES + number * PLACE_BYTES;
        let memory = self.kept.memory.as_fd();
        let record = Shared::map(memory, offset as u64, PAGE_BYTES)?;
        let block = Shared::map(memory, (offset + PAGE_BYTES) as u64, BLOCK_BYTES)?;
        Ok(Place { record: Record::new(record), block: Block::Kept(block) })
    }

    /// It is free.
    pub fn take_back(&mut self, mut place: Place) {
        if place.record.is_kept() {
            place.block.give_back();
            self.spare.push(place);
        }
    }

    /// Moves what is in `pipe`, at most `room`, into the hand and from there into the block, whose
    /// record has been begun. An error means that nothing was taken.
    pub fn take(&mut self, place: &mut Place, pipe: BorrowedFd<'_>, room: usize) -> io::Result<Taken> {
        let moved = move_now(pipe, self.kept.writer.as_fd(), room)?;
        let Taken::Bytes(bytes) = moved else {
            place.record.free();
            return Ok(moved);
        };
        instant();
        place.record.taken(bytes);
        let block = place.block.bytes_mut().get_mut(..bytes).unwrap_or_default();
        let reader = self.kept.reader.as_fd();
        let mut read = bytes;
        if let Err(error) = read_halting(reader, block) {
            self.broken = Some(format!("cannot read what a program wrote to its log: {}", reason(&error)));
            read = bytes.saturating_sub(bytes_in(reader).unwrap_or(bytes));
        }
        instant();
        place.record.whole(read);
        Ok(Taken::Bytes(read))
    }

    /// A busy pipe brings more at once than a pipe holds by default.
    pub fn enlarge_hand(&mut self) {
        if !self.enlarging_tried {
            self.enlarging_tried = true;
            // Where that is not allowed, less is taken at once.
            enlarge(self.kept.writer.as_fd(), BUSY_PIPE_BYTES).ok();
        }
    }

    /// Where in a line a log is, when that cannot be told from its file.
    pub fn position(&mut self, name: &Name) -> Option<(usize, Position)> {
        self.cells.find(name.as_str())
    }

    /// Keeps where in a line the log is. Returns its cell, when it needs one.
    pub fn keep_position(&mut self, cell: Option<usize>, name: &Name, position: Position) -> Option<usize> {
        self.cells.keep(cell, name.as_str(), position)
    }

    /// A log without a position is between two lines, or nobody has written it since the boot: what
    /// its file ends in was cut off then.
    pub fn knows_positions(&mut self) -> bool {
        !self.cells.have_gaps()
    }

    pub fn forget_position(&mut self, cell: Option<usize>) {
        self.cells.clear(cell);
    }

    /// It is used no more: what it says of the logs ends to be true.
    pub fn end(mut self) {
        self.cells.give_up();
    }
}

#[cfg(not(test))]
fn read_halting(reader: BorrowedFd<'_>, block: &mut [u8]) -> io::Result<()> {
    read_exactly(reader, block)
}

/// In two parts: a kill may come in between.
#[cfg(test)]
fn read_halting(reader: BorrowedFd<'_>, block: &mut [u8]) -> io::Result<()> {
    let (one, other) = block.split_at_mut(block.len() / 2);
    read_exactly(reader, one)?;
    instant();
    read_exactly(reader, other)
}

/// Between two steps: here a test has the thread die.
#[cfg(not(test))]
#[inline(always)]
pub fn instant() {}

/// What is written at once.
#[cfg(not(test))]
#[inline(always)]
pub fn portion(bytes: &[u8]) -> &[u8] {
    bytes
}

#[cfg(test)]
pub use super::tests::killed::{instant, portion};

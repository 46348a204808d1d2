//! One turn of one service: one read of its pipe, and all of it on its way before the next.

use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use crate::os::clock::{monotonic_nanoseconds, wall};
use crate::os::file::{is_out_of_descriptors, reason};
use crate::os::pipe::{Taken, enlarge, read_now};

use super::Fact;
use super::file::{After, LogFile, Stuck};
use super::journal::{Journal, Place};
use super::pace::{Advice, BUSY_PIPE_BYTES, REST_NANOSECONDS};
use super::slot::{Gate, Held, Slot};
use super::stamp::Stamp;
use super::thread::{BLOCK_BYTES, LARGE_BYTES, Thread};

/// Lines grow on the console by their names: less is read at once then.
const SHOWN_BLOCK_BYTES: usize = 64 << 10;
/// The first wait for a disk that is full, and the longest.
pub(super) const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Read(usize),
    /// There is nothing in the pipe.
    Dry,
    /// It is not read now.
    Shut,
}

impl Thread {
    pub fn turn(&mut self, id: u64) -> Turn {
        let Some(slot) = self.slots.get_mut(&id) else { return Turn::Dry };
        if !matches!(slot.gate, Gate::Open) {
            return Turn::Shut;
        }
        let hurried = slot.leaving || self.finishing;
        let mut room = BLOCK_BYTES;
        if let Some(console) = self.console.as_ref().filter(|_| slot.may_show()) {
            if console.sink.is_full() {
                self.shut(id, Gate::ConsoleFull, None);
                return Turn::Shut;
            }
            room = SHOWN_BLOCK_BYTES;
        }
        let now = monotonic_nanoseconds();
        if let Some(bucket) = slot.bucket.as_mut().filter(|_| !hurried) {
            match bucket.allowance(now) {
                Ok(bytes) => room = room.min(usize::try_from(bytes).unwrap_or(usize::MAX)),
                Err(until) => {
                    self.shut(id, Gate::Throttled, Some(until));
                    return Turn::Shut;
                }
            }
        }
        let Some(pipe) = slot.pipes.front() else { return self.dry(id) };
        let (place, journal) = (&mut self.place, self.journal.as_mut().filter(|_| slot.writes_file()));
        match take(place, journal, slot, pipe.as_fd(), room, self.took_over) {
            Ok(Taken::Bytes(bytes)) => {
                self.pass_on(id, bytes);
                if let Some(text) = self.journal.as_mut().and_then(|journal| journal.broken.take()) {
                    self.end_journal(text);
                    self.place = Place::own();
                }
                if bytes >= LARGE_BYTES {
                    self.tidy_after(now);
                }
                self.pace(id, now, bytes);
                Turn::Read(bytes)
            }
            Ok(Taken::Nothing) if slot.pipes.len() == 1 => self.dry(id),
            // An older pipe that is dry, or one whose writers are all gone.
            Ok(Taken::Nothing | Taken::End) => self.next_pipe(id),
            Err(error) => {
                let text =
                    format!("cannot read the log pipe of {}: {}; it is closed", slot.name, reason(&error));
                (self.facts)(Fact::Trouble { name: slot.name.clone(), text });
                self.next_pipe(id)
            }
        }
    }

    fn dry(&mut self, id: u64) -> Turn {
        if self.slots.get(&id).is_some_and(|slot| slot.leaving && slot.pipes.len() <= 1) {
            self.disarm(id);
            self.forget(id);
        }
        Turn::Dry
    }

    fn next_pipe(&mut self, id: u64) -> Turn {
        self.disarm(id);
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.pipes.pop_front();
            slot.pace = super::pace::Pace::new();
            if !slot.pipes.is_empty() {
                self.arm(id);
                return Turn::Read(0);
            }
        }
        self.dry(id)
    }

    /// The first `bytes` of the block go to the console and to the file.
    fn pass_on(&mut self, id: u64, bytes: usize) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        if let Some(bucket) = &mut slot.bucket {
            bucket.take(bytes);
        }
        let Place { record, block } = &mut self.place;
        let mut input = block.bytes().get(..bytes).unwrap_or_default();
        if let Some(console) = self.console.as_mut().filter(|_| slot.may_show()) {
            console.show(slot.name.as_str(), &mut slot.partial, input);
        }
        if !slot.writes_file() {
            return;
        }
        let stamp = Stamp::new(slot.settings.timestamp, wall());
        record.set_wall(stamp.wall);
        if slot.file.is_none() {
            let mut file = Box::new(LogFile::new(self.log_dir.join(slot.name.as_str()), self.took_over));
            if let Some((cell, position)) = self.journal.as_mut().and_then(|kept| kept.position(&slot.name)) {
                slot.cell = Some(cell);
                file.resume(position);
            }
            slot.file = Some(file);
        }
        let Some(file) = &mut slot.file else { return };
        let mut done = file.write(&slot.settings, &stamp, &mut input, &mut self.out, record);
        let mut left = input.len();
        if done.as_ref().is_err_and(|stuck| is_out_of_descriptors(&stuck.cause)) {
            self.close_other_files(id);
            let slot = self.slots.get_mut(&id).map(AsMut::as_mut);
            let Some(Slot { settings, file: Some(file), .. }) = slot else { return };
            let Place { record, block } = &mut self.place;
            let mut input = block.bytes().get(bytes - left..bytes).unwrap_or_default();
            done = file.write(settings, &stamp, &mut input, &mut self.out, record);
            left = input.len();
        }
        match done {
            Ok(()) => {
                if let Some(slot) = self.slots.get_mut(&id) {
                    keep_position(self.journal.as_mut(), slot);
                }
                self.place.record.free();
            }
            Err(stuck) => {
                let next = self.fresh_place();
                let place = std::mem::replace(&mut self.place, next);
                self.hold(id, stuck, place, bytes - left..bytes, stamp, RETRY_FIRST);
            }
        }
        self.follow_up(id);
    }

    /// Where the next block is read into.
    pub fn fresh_place(&mut self) -> Place {
        match self.journal.as_mut().map(Journal::place) {
            None => Place::own(),
            Some(Ok(place)) => place,
            Some(Err(error)) => {
                self.end_journal(reason(&error));
                Place::own()
            }
        }
    }

    /// All of its block is in the file.
    pub fn let_go(&mut self, mut place: Place) {
        place.record.free();
        if let Some(journal) = &mut self.journal {
            journal.take_back(place);
        }
    }

    /// Descriptors are short: the others open their files again at their next byte.
    fn close_other_files(&mut self, id: u64) {
        for (_, slot) in self.slots.iter_mut().filter(|(other, _)| **other != id) {
            if let Some(file) = &mut slot.file {
                file.close();
            }
        }
    }

    /// What is left in `out` and of the block waits, and with it the writer.
    pub fn hold(
        &mut self,
        id: u64,
        stuck: Stuck,
        place: Place,
        input: Range<usize>,
        stamp: Stamp,
        retry_after: Duration,
    ) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        let room = match stuck.cause.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => "there is room",
            _ => "that is possible",
        };
        let (name, cause) = (&slot.name, reason(&stuck.cause));
        let text =
            format!("cannot {} {}: {cause}; {name} waits until {room}", stuck.verb, stuck.path.display());
        let said = match &slot.gate {
            Gate::Stuck(held) => held.text == text,
            Gate::Open | Gate::Resting | Gate::Throttled | Gate::ConsoleFull => false,
        };
        if !said {
            (self.facts)(Fact::Trouble { name: slot.name.clone(), text: text.clone() });
        }
        let out = std::mem::take(&mut self.out);
        let held = Held { out, place, input, stamp, retry_after, text };
        let nanoseconds = u64::try_from(retry_after.as_nanos()).unwrap_or(u64::MAX);
        let at = monotonic_nanoseconds().saturating_add(nanoseconds);
        self.shut(id, Gate::Stuck(Box::new(held)), Some(at));
    }

    /// Writes what waits; when that succeeds the pipe is read again.
    pub fn retry(&mut self, id: u64) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        let writes_file = slot.writes_file();
        let Gate::Stuck(held) = &mut slot.gate else { return };
        let Held { out, place, input, stamp, retry_after, .. } = &mut **held;
        let mut rest = place.block.bytes().get(input.clone()).unwrap_or_default();
        let done = match &mut slot.file {
            Some(file) if writes_file => file.write(&slot.settings, stamp, &mut rest, out, &mut place.record),
            _ => Ok(()),
        };
        let rest = input.end - rest.len()..input.end;
        let (stamp, retry_after) = (*stamp, (*retry_after * 2).min(RETRY_MAX));
        let (out, place) = (std::mem::take(out), std::mem::replace(place, Place::empty()));
        match done {
            Ok(()) => {
                (self.facts)(Fact::Recovered { name: slot.name.clone() });
                keep_position(self.journal.as_mut(), slot);
                self.let_go(place);
                self.open_gate(id);
            }
            Err(stuck) => {
                self.out = out;
                self.hold(id, stuck, place, rest, stamp, retry_after);
            }
        }
        self.follow_up(id);
    }

    /// Tells and does what writing has brought up.
    pub fn follow_up(&mut self, id: u64) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        let Slot { name, file: Some(file), .. } = slot.as_mut() else { return };
        for after in std::mem::take(&mut file.after) {
            match after {
                After::Compress(at) => self.compressor.add(name.clone(), file.directory().to_owned(), at),
                After::Complaint(text) => (self.facts)(Fact::Trouble { name: name.clone(), text }),
            }
        }
    }

    fn pace(&mut self, id: u64, now: u64, bytes: usize) {
        let hurried = self.finishing;
        let Some(slot) = self.slots.get_mut(&id) else { return };
        if hurried || slot.leaving || !matches!(slot.gate, Gate::Open) {
            return;
        }
        match slot.pace.advise(now, bytes) {
            Advice::Go => {}
            Advice::Rest => self.shut(id, Gate::Resting, Some(now + REST_NANOSECONDS)),
            Advice::Enlarge => {
                if let Some(journal) = &mut self.journal {
                    journal.enlarge_hand();
                }
                let got = slot.pipes.front().and_then(|pipe| enlarge(pipe.as_fd(), BUSY_PIPE_BYTES).ok());
                slot.pace.enlarged(got);
            }
        }
    }

    fn shut(&mut self, id: u64, gate: Gate, until: Option<u64>) {
        self.disarm(id);
        if let Some(slot) = self.slots.get_mut(&id) {
            if matches!(gate, Gate::ConsoleFull) {
                self.waiting_for_console.push(id);
            }
            slot.gate = gate;
        }
        if let Some(at) = until {
            self.set_timer(id, at);
        }
    }

    pub fn open_gate(&mut self, id: u64) {
        self.clear_timer(id);
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.gate = Gate::Open;
        }
        self.arm(id);
        if self.slots.get(&id).is_some_and(|slot| slot.leaving) {
            // An empty pipe would never call.
            self.drain(id);
        }
    }

    pub fn arm(&mut self, id: u64) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        let Some(pipe) = slot.pipes.front().filter(|_| !slot.armed && matches!(slot.gate, Gate::Open)) else {
            return;
        };
        match self.epoll.add_reader(pipe.as_fd(), id) {
            Ok(()) => slot.armed = true,
            Err(error) => {
                let text =
                    format!("cannot wait for the log of {}: {}; it is not read", slot.name, reason(&error));
                (self.facts)(Fact::Trouble { name: slot.name.clone(), text });
            }
        }
    }

    fn disarm(&mut self, id: u64) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        if let Some(pipe) = slot.pipes.front().filter(|_| slot.armed) {
            // An open descriptor that was added can always be removed.
            drop(self.epoll.remove(pipe.as_fd()));
        }
        slot.armed = false;
    }

    /// No more will come: shows and writes what waited for the end of a line or a character.
    pub fn end_line(&mut self, id: u64) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        let partial = std::mem::take(&mut slot.partial);
        if let Some(console) = self.console.as_mut().filter(|_| !partial.is_empty()) {
            console.show_line(slot.name.as_str(), &partial);
        }
        let stamp = Stamp::new(slot.settings.timestamp, wall());
        let Slot { settings, file: Some(file), gate: Gate::Open, .. } = slot.as_mut() else { return };
        self.out.clear();
        let done = file.finish(settings, &stamp, &mut self.out);
        keep_position(self.journal.as_mut(), slot);
        if let Err(stuck) = done {
            self.hold(id, stuck, Place::empty(), 0..0, stamp, RETRY_FIRST);
        }
    }
}

/// Where in a line the log is after a block, for a successor.
pub(super) fn keep_position(journal: Option<&mut Journal>, slot: &mut Slot) {
    let position = slot.file.as_ref().and_then(|file| file.position());
    if let (Some(journal), Some(position)) = (journal, position) {
        slot.cell = journal.keep_position(slot.cell, &slot.name, position);
    }
}

/// What is in the pipe, at most `room`, into the block.
fn take(
    place: &mut Place,
    journal: Option<&mut Journal>,
    slot: &Slot,
    pipe: BorrowedFd<'_>,
    room: usize,
    took_over: bool,
) -> io::Result<Taken> {
    if let Some(journal) = journal.filter(|journal| journal.broken.is_none()) {
        let position = slot.file.as_ref().and_then(|file| file.position());
        place.record.begin(&slot.name, &slot.settings, took_over, position);
        match journal.take(place, pipe, room) {
            Ok(taken) => return Ok(taken),
            // This system has no splice(2), or it is forbidden; or the pipe is to blame, as is seen below.
            Err(error) => journal.broken = Some(reason(&error)),
        }
        place.record.free();
    }
    read_now(pipe, place.block.bytes_mut().get_mut(..room).unwrap_or_default())
}

//! The record of one block: whose it is and how far it has got. A change is written beside what is
//! in force and comes into force with the store of one number, so that a kill finds it done or not.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::lifecycle::Name;
use crate::os::shared::Shared;
use crate::service::{LogFormat, LogSettings, LogTarget, Timestamp};

use super::super::line::{Shape, Shaper};
use super::super::thread::BLOCK_BYTES;
use super::instant;

/// Which of the two progresses is in force.
const IN_FORCE: usize = 0;
const PROGRESS: [usize; 2] = [8, 24];
const PROGRESS_WORDS: usize = 10;
const OWNER: usize = 64;
const NAME: usize = OWNER + 16;
/// No limit, no age.
const NONE: u64 = u64::MAX;

/// The words mean nothing.
#[derive(Debug, PartialEq, Eq)]
pub struct Garbage;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    pub name: Name,
    pub settings: LogSettings,
    /// The file may end in a line that was cut off for good.
    pub took_over: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Free,
    /// Perhaps in the hand.
    Taking,
    /// In the hand and in the block.
    Taken,
    /// In the block.
    Whole,
}

/// Where in a line a log is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// `Shaper::to_word`.
    pub shaper: u64,
    /// What of the line is in `current`.
    pub line_bytes: u64,
}

/// A write that may have been done, in part or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    pub shape: Shape,
    /// A line that was cut off in an earlier life is ended first.
    pub ends: Option<LogFormat>,
    /// The end of what it writes, in the block.
    pub to: usize,
    pub inode: u64,
    /// Of the file before it.
    pub length: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub phase: Phase,
    /// In the block when it is whole.
    pub bytes: usize,
    /// Of these, in the file for certain.
    pub done: usize,
    /// At `done`; none when nobody has looked at the file yet.
    pub position: Option<Position>,
    /// When the block was read, since 1970.
    pub wall: Duration,
    pub attempt: Option<Attempt>,
}

const FREE: Progress =
    Progress { phase: Phase::Free, bytes: 0, done: 0, position: None, wall: Duration::ZERO, attempt: None };

/// Without memory it keeps nothing.
#[derive(Debug)]
pub struct Record {
    words: Option<Shared>,
    progress: Progress,
}

impl Record {
    pub fn none() -> Self {
        Self { words: None, progress: FREE }
    }

    pub fn new(words: Shared) -> Self {
        Self { words: Some(words), progress: FREE }
    }

    pub fn is_kept(&self) -> bool {
        self.words.is_some()
    }

    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// What a predecessor stored; none when the block is free.
    pub fn load(&mut self) -> Result<Option<Owner>, Garbage> {
        let Some(words) = self.words.as_mut().map(Shared::words) else { return Ok(None) };
        let at = match load(words, IN_FORCE) {
            0 => PROGRESS[0],
            1 => PROGRESS[1],
            _ => return Err(Garbage),
        };
        let mut stored = [0; PROGRESS_WORDS];
        for (number, word) in stored.iter_mut().enumerate() {
            *word = load(words, at + number);
        }
        let progress = Progress::from_words(&stored).ok_or(Garbage)?;
        let owner = match progress.phase {
            Phase::Free => None,
            Phase::Taking | Phase::Taken | Phase::Whole => Some(Owner::load(words).ok_or(Garbage)?),
        };
        self.progress = progress;
        Ok(owner)
    }

    /// From here on the hand may hold a block of this owner. `position` as far as it is known.
    pub fn begin(
        &mut self,
        name: &Name,
        settings: &LogSettings,
        took_over: bool,
        position: Option<Position>,
    ) {
        let Some(words) = self.words.as_mut().map(Shared::words) else { return };
        store_owner(words, name, settings, took_over);
        self.commit(Progress { phase: Phase::Taking, position, ..FREE });
    }

    pub fn taken(&mut self, bytes: usize) {
        self.commit(Progress { phase: Phase::Taken, bytes, ..self.progress });
    }

    pub fn whole(&mut self, bytes: usize) {
        self.commit(Progress { phase: Phase::Whole, bytes, ..self.progress });
    }

    /// The time that its lines bear. Counts with the next attempt.
    pub fn set_wall(&mut self, wall: Duration) {
        self.progress.wall = wall;
    }

    /// Something is about to be written, up to where `left` bytes of the block are left.
    pub fn attempt(&mut self, position: Position, attempt: Attempt, left: usize) {
        let attempt = Some(Attempt { to: self.progress.bytes.saturating_sub(left), ..attempt });
        self.commit(Progress { position: Some(position), attempt, ..self.progress });
    }

    /// All but the last `left` bytes of the block are in the file.
    pub fn done(&mut self, position: Position, left: usize) {
        let done = self.progress.bytes.saturating_sub(left);
        self.commit(Progress { position: Some(position), done, attempt: None, ..self.progress });
    }

    pub fn free(&mut self) {
        self.commit(FREE);
    }

    fn commit(&mut self, progress: Progress) {
        let Some(words) = self.words.as_mut().map(Shared::words) else { return };
        instant();
        self.progress = progress;
        let other = 1 - load(words, IN_FORCE).min(1);
        let at = PROGRESS[usize::from(other == 1)];
        for (number, value) in progress.to_words().into_iter().enumerate() {
            store(words, at + number, value);
        }
        instant();
        store(words, IN_FORCE, other);
        instant();
    }
}

impl Progress {
    fn to_words(self) -> [u64; PROGRESS_WORDS] {
        let phase = match self.phase {
            Phase::Free => 0,
            Phase::Taking => 1,
            Phase::Taken => 2,
            Phase::Whole => 3,
        };
        let position = self.position.unwrap_or_default();
        let attempt = self.attempt.map_or(0, |attempt| {
            let ends = match attempt.ends {
                None => 0,
                Some(LogFormat::Text) => 1,
                Some(LogFormat::Json) => 2,
            };
            1 << 8 | ends << 4 | attempt.shape.to_word()
        });
        let of_attempt = |take: fn(&Attempt) -> u64| self.attempt.as_ref().map_or(0, take);
        [
            phase | u64::from(self.position.is_some()) << 8,
            self.bytes as u64,
            self.done as u64,
            position.shaper,
            position.line_bytes,
            nanoseconds(self.wall),
            attempt,
            of_attempt(|attempt| attempt.to as u64),
            of_attempt(|attempt| attempt.inode),
            of_attempt(|attempt| attempt.length),
        ]
    }

    fn from_words(words: &[u64; PROGRESS_WORDS]) -> Option<Self> {
        let [phase, bytes, done, shaper, line_bytes, wall, attempt, to, inode, length] = *words;
        let size = |bytes: u64| usize::try_from(bytes).ok().filter(|bytes| *bytes <= BLOCK_BYTES);
        let (bytes, done, to) = (size(bytes)?, size(done)?, size(to)?);
        let position = match phase >> 8 {
            0 => None,
            1 => Some(Position { shaper: Shaper::from_word(shaper)?.to_word(), line_bytes }),
            _ => return None,
        };
        let phase = match phase & 0xff {
            0 => Phase::Free,
            1 => Phase::Taking,
            2 => Phase::Taken,
            3 => Phase::Whole,
            _ => return None,
        };
        let ends = match attempt >> 4 & 0xf {
            0 => None,
            1 => Some(LogFormat::Text),
            2 => Some(LogFormat::Json),
            _ => return None,
        };
        let attempt = match attempt >> 8 {
            0 => None,
            1 => Some(Attempt { shape: Shape::from_word(attempt & 0xf)?, ends, to, inode, length }),
            _ => return None,
        };
        let in_order = done <= bytes && attempt.is_none_or(|attempt| (done..=bytes).contains(&attempt.to));
        let wall = Duration::from_nanos(wall);
        in_order.then_some(Self { phase, bytes, done, position, wall, attempt })
    }
}

fn store_owner(words: &[AtomicU64], name: &Name, settings: &LogSettings, took_over: bool) {
    let LogSettings {
        to,
        bytes_max,
        files_max,
        total_bytes_max,
        age_max,
        timestamp,
        compress,
        format,
        limit,
    } = settings;
    let to = match to {
        LogTarget::Default => 0,
        LogTarget::File => 1,
        LogTarget::Console => 2,
        LogTarget::Both => 3,
        LogTarget::Null => 4,
    };
    let name = name.as_str().as_bytes();
    let values = [
        name.len() as u64,
        to,
        *bytes_max,
        u64::from(*files_max),
        total_bytes_max.unwrap_or(NONE),
        age_max.map_or(NONE, nanoseconds),
        Shape { timestamp: *timestamp, format: *format }.to_word(),
        u64::from(*compress) | u64::from(took_over) << 1,
        limit.unwrap_or(NONE),
    ];
    for (number, value) in values.into_iter().enumerate() {
        store(words, OWNER + number, value);
    }
    for (number, part) in name.chunks(8).enumerate() {
        let mut word = [0; 8];
        word.iter_mut().zip(part).for_each(|(to, from)| *to = *from);
        store(words, NAME + number, u64::from_le_bytes(word));
    }
}

impl Owner {
    fn load(words: &[AtomicU64]) -> Option<Self> {
        let value = |number: usize| load(words, OWNER + number);
        let some = |number: usize| Some(value(number)).filter(|value| *value != NONE);
        let length = usize::try_from(value(0)).ok().filter(|length| *length < 4_096)?;
        let name: Vec<u8> =
            (0..length.div_ceil(8)).flat_map(|number| load(words, NAME + number).to_le_bytes()).collect();
        let name = std::str::from_utf8(name.get(..length)?).ok()?;
        let to = match value(1) {
            0 => LogTarget::Default,
            1 => LogTarget::File,
            2 => LogTarget::Console,
            3 => LogTarget::Both,
            4 => LogTarget::Null,
            _ => return None,
        };
        let Shape { timestamp, format } = Shape::from_word(value(6))?;
        let settings = LogSettings {
            to,
            bytes_max: value(2),
            files_max: u32::try_from(value(3)).ok()?,
            total_bytes_max: some(4),
            age_max: some(5).map(Duration::from_nanos),
            timestamp,
            compress: value(7) & 1 == 1,
            format,
            limit: some(8),
        };
        Some(Self { name: Name::parse(name).ok()?, settings, took_over: value(7) & 2 == 2 })
    }
}

impl Shape {
    /// Less than 16.
    pub fn to_word(self) -> u64 {
        let timestamp = match self.timestamp {
            Timestamp::Rfc3339 => 0,
            Timestamp::Tai64n => 1,
            Timestamp::None => 2,
        };
        let format = match self.format {
            LogFormat::Text => 0,
            LogFormat::Json => 4,
        };
        timestamp | format
    }

    pub fn from_word(word: u64) -> Option<Self> {
        let timestamp = match word & 3 {
            0 => Timestamp::Rfc3339,
            1 => Timestamp::Tai64n,
            2 => Timestamp::None,
            _ => return None,
        };
        let format = match word >> 2 {
            0 => LogFormat::Text,
            1 => LogFormat::Json,
            _ => return None,
        };
        Some(Self { timestamp, format })
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(NONE)
}

fn load(words: &[AtomicU64], at: usize) -> u64 {
    words.get(at).map_or(0, |word| word.load(Ordering::Acquire))
}

fn store(words: &[AtomicU64], at: usize, value: u64) {
    if let Some(word) = words.get(at) {
        word.store(value, Ordering::Release);
    }
}

//! What the logger knows of one service.

use std::collections::VecDeque;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use crate::lifecycle::Name;
use crate::service::{LogSettings, LogTarget};

use super::file::LogFile;
use super::journal::Place;
use super::pace::{Bucket, Pace};
use super::stamp::Stamp;

/// Kept for every service while svc runs: what is rarely there is boxed or empty.
#[derive(Debug)]
pub(super) struct Slot {
    pub name: Name,
    /// Most services have those of their neighbours.
    pub settings: Arc<LogSettings>,
    /// The first is read; when it is dry and another follows, it is done with.
    pub pipes: VecDeque<OwnedFd>,
    /// The first pipe is in the epoll set.
    pub armed: bool,
    pub gate: Gate,
    /// In the set of timers, for this time.
    pub timer: Option<u64>,
    /// Forgotten when its pipes are dry.
    pub leaving: bool,
    pub pace: Pace,
    pub bucket: Option<Box<Bucket>>,
    /// Made at the first byte.
    pub file: Option<Box<LogFile>>,
    /// In the journal: where in a line the log is between two blocks.
    pub cell: Option<usize>,
    /// A line on the console that has not ended.
    pub partial: Vec<u8>,
}

/// Whether its pipe is read.
#[derive(Debug)]
pub(super) enum Gate {
    Open,
    /// A busy writer is left alone for a moment.
    Resting,
    /// Its `limit` is used up.
    Throttled,
    /// The console has too much to show.
    ConsoleFull,
    /// Its file cannot be written.
    Stuck(Box<Held>),
}

/// What was read and is not in the file yet.
#[derive(Debug)]
pub(super) struct Held {
    /// Shaped already.
    pub out: Vec<u8>,
    pub place: Place,
    /// The part of its block that is not shaped.
    pub input: Range<usize>,
    pub stamp: Stamp,
    pub retry_after: Duration,
    /// What was said about it.
    pub text: String,
}

impl Slot {
    pub fn new(name: Name, settings: Arc<LogSettings>) -> Self {
        Self {
            name,
            settings,
            pipes: VecDeque::new(),
            armed: false,
            gate: Gate::Open,
            timer: None,
            leaving: false,
            pace: Pace::new(),
            bucket: None,
            file: None,
            cell: None,
            partial: Vec::new(),
        }
    }

    pub fn writes_file(&self) -> bool {
        matches!(self.settings.to, LogTarget::Default | LogTarget::File | LogTarget::Both)
    }

    pub fn may_show(&self) -> bool {
        matches!(self.settings.to, LogTarget::Default | LogTarget::Console | LogTarget::Both)
    }
}

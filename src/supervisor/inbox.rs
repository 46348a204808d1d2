//! Everything that can reach the supervisor's main thread, in one channel.

use std::os::fd::OwnedFd;

use crate::control::Incoming;
use crate::logger::Fact;
use crate::os::inotify;
use crate::protocol::guardian::Report;

/// How many inputs may wait; room for all of them is kept. A thread that finds it full waits, but for
/// the control server, which refuses the request instead: it has fewer clients than this.
pub const INBOX_INPUTS_MAX: usize = 512;

#[derive(Debug)]
pub enum Input {
    /// One datagram of the guardian, with the descriptors it carried.
    Reports {
        reports: Vec<Report>,
        descriptors: Vec<OwnedFd>,
    },
    /// The guardian has gone or speaks nonsense: there is nothing left to supervise with.
    GuardianLost {
        why: String,
    },
    Client(Incoming),
    Logger(Fact),
    /// What happened in the service directories, after things had calmed down.
    Directories(Vec<inotify::Event>),
}

//! Everything that can reach the supervisor's main thread, in one channel.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use crate::control::Incoming;
use crate::lifecycle::Name;
use crate::logger::Fact;
use crate::protocol::guardian::Report;

/// How many inputs may wait. A thread that finds it full waits, but for the control server, which
/// refuses the request instead.
pub const INBOX_INPUTS_MAX: usize = 4096;

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
    Directories(DirectoryNews),
}

/// What the watch on the service directories saw, after things had calmed down.
#[derive(Debug)]
pub enum DirectoryNews {
    /// Something happened in these service directories.
    Touched { names: Vec<Name> },
    /// Entries came or went: list the folder again.
    Listing,
    /// The kernel does not let us watch.
    Blind { path: PathBuf, why: String },
}

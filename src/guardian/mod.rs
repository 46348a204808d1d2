//! Role 1: the parent of every process. It decides nothing and never exits by accident.
//!
//! Invariant: one thread, blocks only in poll, reads no configuration, has no policy.

mod adopted;
mod children;
mod daemon;
mod end;
mod orders;
mod outbox;
mod place;
mod plan;
mod predecessor;
mod record;
mod report;
mod single;
mod supervisor;
mod watch;

use std::ffi::OsString;
use std::mem::ManuallyDrop;
use std::path::PathBuf;

pub use single::{SingleOptions, run_single, run_single_with};

use crate::os::descriptor::say;
use crate::os::inheritance::{self, Kind};
use daemon::Caller;
use place::Place;
use watch::Guardian;

/// The system would not let us (s6's convention).
pub const EXIT_SYSTEM_ERROR: i32 = 111;

/// What the guardian is told by main before it starts; everything has been looked up.
#[derive(Debug)]
pub struct Setup {
    /// Made 0700 when absent; holds `lock` and the control socket `control`.
    pub runtime_dir: PathBuf,
    /// Locked (flock on the directory itself) as long as the guardian lives.
    pub services_dir: PathBuf,
    /// argv of the supervisor. It gets descriptor 3, its end of the SEQPACKET pair, and 4, the
    /// listening control socket; 5, 6 and 7 are the memory and the pipe that its logger keeps what it
    /// has in hand in (absent when they could not be made); 0 is /dev/null, 1 and 2 are the guardian's.
    pub supervisor_arguments: Vec<OsString>,
    pub mode: Mode,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `svc supervise`: the foreground of a terminal, or of another supervisor.
    Foreground,
    /// `svc init`.
    Init,
    /// `svc daemon`: messages go to `log_file`, or nowhere.
    Daemon { log_file: Option<PathBuf> },
    /// In the process of a supervisor whose guardian was killed, and with its descriptors.
    Successor,
}

/// Returns the exit code. To be called while there is one thread only and nothing has been opened;
/// all paths are absolute.
pub fn run(setup: &Setup) -> i32 {
    match &setup.mode {
        Mode::Foreground | Mode::Init | Mode::Successor => serve(setup, None),
        Mode::Daemon { log_file } => daemon::run(setup, log_file.as_deref()),
    }
}

/// The guardian itself, in the process in which it stays.
fn serve(setup: &Setup, caller: Option<Caller>) -> i32 {
    let mut inherited = match setup.mode {
        Mode::Successor => inheritance::take(),
        // What others have left open is no business of ours.
        Mode::Foreground | Mode::Init | Mode::Daemon { .. } => Vec::new(),
    };
    let listener = inherited.extract_if(.., |(kind, _)| *kind == Kind::Listener).next();
    let prepared = Place::take(setup, listener.map(|(_, fd)| fd))
        .and_then(|place| Guardian::new(setup, place))
        .and_then(|mut guardian| guardian.take_over(setup, inherited).map(|()| guardian));
    match prepared {
        // The kernel takes thousands of descriptors back faster than we could close them.
        Ok(guardian) => ManuallyDrop::new(guardian).watch(caller),
        Err(text) => {
            match caller {
                Some(caller) => caller.tell_failure(&text),
                None => say(&text),
            }
            EXIT_SYSTEM_ERROR
        }
    }
}

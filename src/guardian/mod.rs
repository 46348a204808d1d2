//! Role 1: the parent of every process. It decides nothing and never exits by accident.
//!
//! Invariant: one thread, blocks only in poll, reads no configuration, has no policy.

use std::ffi::OsString;
use std::path::PathBuf;

/// What the guardian is told by main before it starts; everything has been looked up.
#[derive(Debug)]
pub struct Setup {
    /// Made 0700 when absent; holds `lock` and the control socket `control`.
    pub runtime_dir: PathBuf,
    /// Locked (flock on the directory itself) as long as the guardian lives.
    pub services_dir: PathBuf,
    /// argv of the supervisor. It gets descriptor 3, its end of the SEQPACKET pair, and 4, the
    /// listening control socket; 0 is /dev/null, 1 and 2 are the guardian's.
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
}

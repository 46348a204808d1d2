//! Why a command did not do what it was asked, and the exit code that says so.

use std::fmt;
use std::io;

use crate::control::ClientError;

pub const DONE: u8 = 0;
/// Some service failed.
pub const FAILED: u8 = 1;
/// LSB codes of `status`.
pub const NOT_RUNNING: u8 = 3;
pub const UNKNOWN: u8 = 4;
pub const WRONG_USAGE: u8 = 100;
pub const SYSTEM_ERROR: u8 = 111;

#[derive(Debug)]
pub enum Failure {
    /// What was typed cannot be meant.
    Usage(String),
    /// What was asked for cannot be had, or failed.
    Failed(String),
    /// No service has the name: `status` and `pid` say so by a code of its own.
    Unknown(String),
    /// No supervisor, no socket, an unreadable directory.
    System(String),
    /// Whoever read our output has had enough.
    ReaderGone,
}

impl Failure {
    pub fn code(&self) -> u8 {
        match self {
            Failure::Usage(_) => WRONG_USAGE,
            Failure::Failed(_) => FAILED,
            Failure::Unknown(_) => UNKNOWN,
            Failure::System(_) => SYSTEM_ERROR,
            Failure::ReaderGone => DONE,
        }
    }

    /// Of a failed write to stdout.
    pub fn of_output(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::ReaderGone,
            _ => Failure::System(format!("cannot write the output: {error}")),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Usage(text) | Failure::Failed(text) | Failure::Unknown(text) | Failure::System(text) => {
                f.write_str(text)
            }
            Failure::ReaderGone => f.write_str("nobody reads the output"),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Failure::System(error.to_string())
    }
}

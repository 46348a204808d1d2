//! Log pipes become files: written, rotated, read back.
//!
//! ```text
//!   log pipes ──► thread ──► line ──► file ──► LOG_DIR/NAME/current ──► @STAMP.log (.gz)
//!                   │         shape    rotate                              │
//!                   └──► console ──► stdout          read ◄────────────────┘
//! ```
//!
//! Invariant: one thread for all services; a block that was read is written before the next is read.
//! What cannot be written is kept and its pipe left alone, so that the writer waits: nothing is
//! dropped, and no service waits for another's disk. No timer runs while nothing is the matter.
//!
//! A `kill -9` of the supervisor, at any instant, loses and doubles nothing in the files: the block in
//! hand is in the journal, which the guardian keeps, also when it waits for a disk. On the console the
//! lines of that block may come again, and those that waited for a slow reader are lost. When the
//! guardian alone is killed, everything is written before the supervisor takes its place; with both of
//! them goes the journal. A power failure takes what the file system has not put on disk yet, for
//! nothing is synced.

mod compress;
mod console;
mod directory;
mod file;
mod handle;
mod journal;
mod line;
mod pace;
pub mod read;
mod slot;
mod stamp;
mod successor;
#[cfg(test)]
mod tests;
mod thread;
mod turn;

use std::path::PathBuf;

use crate::lifecycle::Name;

pub use handle::Logger;
pub use journal::Kept;
pub use stamp::rfc3339;

#[derive(Debug)]
pub struct LoggerSetup {
    /// Made when the first byte comes.
    pub log_dir: PathBuf,
    /// Lines are also shown on stdout.
    pub console: Option<ConsoleSetup>,
    /// The pipes were made for a predecessor: a line that `current` ends in goes on, unless the journal
    /// knows better. Otherwise it was cut off for good and is ended before anything new.
    pub took_over: bool,
    /// What outlives a `kill -9`; without it that loses the block in hand.
    pub kept: Option<Kept>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsoleSetup {
    pub colour: bool,
}

/// What the logger tells the supervisor, from its own thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// The answer to `tail`: the last lines, oldest first, each with its time in front as RFC 3339
    /// (when the log has times) and at most 4 KiB long.
    Tail { token: u64, name: Name, lines: Vec<String> },
    /// This log cannot be written; its writer waits. Or an old log file cannot be removed or
    /// compressed, which holds nobody up and has no `Recovered`.
    Trouble { name: Name, text: String },
    /// Everything that waited has been written.
    Recovered { name: Name },
}

//! Role 2: reads the service directories, runs the life-cycle, talks to clients. It can be killed
//! at any moment: it holds nothing that cannot be rebuilt from the guardian's table and the disk.
//!
//! One datum through the house: a client's line becomes an `Input`, `requests` makes Events of it,
//! the life-cycle answers with Actions, `perform` turns them into Orders; the guardian's Report
//! comes back as an `Input`, becomes an Event, and the Answer goes to the client.

mod boot;
mod definitions;
mod directories;
mod environment;
mod event_loop;
mod history;
mod inbox;
mod launch;
mod link;
mod perform;
mod place;
mod reports;
mod requests;
mod signals;
mod status;
mod strays;
mod succession;
mod tree;
mod words;

use std::path::PathBuf;

pub use event_loop::run;
pub use place::Place;

/// What the guardian's arguments say. All paths are absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    pub services_dir: PathBuf,
    pub runtime_dir: PathBuf,
    pub log_dir: PathBuf,
    pub state_dir: PathBuf,
    pub place: Place,
}

/// The descriptors that the guardian gives its supervisor.
const GUARDIAN_DESCRIPTOR: u8 = 3;
const CONTROL_DESCRIPTOR: u8 = 4;
/// The logger's memory and the two ends of its pipe.
const JOURNAL_DESCRIPTORS: [u8; 3] = [5, 6, 7];

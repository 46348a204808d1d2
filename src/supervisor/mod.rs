//! Role 2: reads the service directories, runs the life-cycle, talks to clients. It can be killed
//! at any moment: it holds nothing that cannot be rebuilt from the guardian's table and the disk.

use std::path::PathBuf;

/// What the guardian's arguments say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    pub services_dir: PathBuf,
    pub runtime_dir: PathBuf,
    pub log_dir: PathBuf,
    pub state_dir: PathBuf,
    pub place: Place,
}

/// Where svc runs: decides the defaults for the environment, the console and the shutdown budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Terminal,
    Container,
    System,
}

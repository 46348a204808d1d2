//! What is kept of a service for a successor, and what is shown of it.

use serde::{Deserialize, Serialize};

use super::{Exit, Kind, Pid, StateWord, Time, Wanted};

/// What is known of the main process of a service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Main {
    /// There is none, and its last exit has been counted.
    #[default]
    Gone,
    /// A launch was ordered and is not answered yet.
    Launching,
    Running(Pid),
}

/// The two moments of a shutdown: when everything left is killed, and when it is over whatever is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShutdownTimes {
    pub kill_nanoseconds: u64,
    pub end_nanoseconds: u64,
}

/// Left out of a note: there are thousands of them.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// What must survive the supervisor, kept by the guardian as opaque bytes: JSON with short keys, as there
/// are thousands and each is also written to the record of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    #[serde(rename = "w")]
    pub wanted: Wanted,
    #[serde(rename = "s")]
    pub state: StateWord,
    #[serde(rename = "t")]
    pub since_nanoseconds: u64,
    #[serde(rename = "p", default, skip_serializing_if = "is_default")]
    pub paused: bool,
    #[serde(rename = "r", default, skip_serializing_if = "is_default")]
    pub restarts: u64,
    /// Restarts in a row that were not preceded by `Backoff::reset` of being up.
    #[serde(rename = "a", default, skip_serializing_if = "is_default")]
    pub attempt: u32,
    #[serde(rename = "x", default, skip_serializing_if = "is_default")]
    pub last_exit: Option<Exit>,
    #[serde(rename = "l", default, skip_serializing_if = "is_default")]
    pub last_start_nanoseconds: Option<u64>,
    #[serde(rename = "m", default, skip_serializing_if = "is_default")]
    pub last_main: Option<Pid>,
    /// When a stop or a back-off in progress reaches its next step.
    #[serde(rename = "d", default, skip_serializing_if = "is_default")]
    pub deadline_nanoseconds: Option<u64>,
    /// Position in the stop schedule.
    #[serde(rename = "k", default, skip_serializing_if = "is_default")]
    pub stop_step: usize,
    #[serde(rename = "ra", default, skip_serializing_if = "is_default")]
    pub restart_after_stop: bool,
    #[serde(rename = "rm", default, skip_serializing_if = "is_default")]
    pub remove_after_stop: bool,
    #[serde(rename = "ad", default, skip_serializing_if = "is_default")]
    pub adopted: bool,
    /// Why it failed or does not run, in words.
    #[serde(rename = "y", default, skip_serializing_if = "is_default")]
    pub reason: Option<String>,
    /// Times of recent deaths, for give-up.
    #[serde(rename = "n", default, skip_serializing_if = "is_default")]
    pub deaths_nanoseconds: Vec<u64>,
    #[serde(rename = "c", default, skip_serializing_if = "is_default")]
    pub main: Main,
    /// How long the last main process ran.
    #[serde(rename = "ln", default, skip_serializing_if = "is_default")]
    pub last_ran_nanoseconds: u64,
    /// The last run counts as a success.
    #[serde(rename = "e", default, skip_serializing_if = "is_default")]
    pub ended_well: bool,
    /// The main process ended and the standing order could not be carried out.
    #[serde(rename = "rf", default, skip_serializing_if = "is_default")]
    pub relaunch_failed: bool,
    /// Of the run in progress, or the last one.
    #[serde(rename = "ki", default, skip_serializing_if = "is_default")]
    pub kind: Option<Kind>,
    /// A logger that has been given the end of its input and is waited for.
    #[serde(rename = "dr", default, skip_serializing_if = "is_default")]
    pub draining: bool,
    /// A shutdown was in progress: a successor goes on with it.
    #[serde(rename = "sd", default, skip_serializing_if = "is_default")]
    pub shutdown: Option<ShutdownTimes>,
}

/// What `svc status` shows of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    pub state: StateWord,
    pub wanted: Wanted,
    pub paused: bool,
    pub ready: bool,
    pub since: Time,
    pub pid: Option<Pid>,
    pub restarts: u64,
    pub attempt: u32,
    pub last_exit: Option<Exit>,
    /// When the next start is due, in `Backoff`.
    pub next_start: Option<Time>,
    /// When the next step of a stop or a time limit is due.
    pub next_step: Option<Time>,
    /// Why it failed, does not run, or needs the user's attention.
    pub reason: Option<String>,
    /// The main process put itself in the background and is followed there.
    pub adopted: bool,
}

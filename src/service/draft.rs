//! What the files of a service directory say, key by key, before the defaults come in and before
//! anything is looked up. A later file overwrites what an earlier one said.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use super::definition::{Input, LogFormat, LogTarget, Output, Reload, Timestamp};
use crate::lifecycle::{GiveUp, Kind, Restart, Scope, Signal, StopStep};

/// A value that is checked later, with where it stands.
#[derive(Clone, Debug)]
pub struct Placed<T> {
    pub value: T,
    pub place: Place,
}

/// Bytes of one of the files that were read.
#[derive(Clone, Debug)]
pub struct Place {
    pub source: usize,
    pub span: Range<usize>,
}

#[derive(Clone, Debug)]
pub struct EnvFile {
    pub path: PathBuf,
    pub optional: bool,
}

/// Where an effective value stands, and its text, for `svc show`.
#[derive(Clone, Debug)]
pub struct Origin {
    pub place: Place,
    pub text: String,
}

#[derive(Debug, Default)]
pub struct Draft {
    /// The file that is being applied.
    pub source: usize,
    /// By key, `log.max-size` for those in tables.
    pub origins: BTreeMap<String, Origin>,

    pub description: Option<String>,
    pub command: Option<Placed<Vec<String>>>,
    pub kind: Option<Kind>,
    pub enabled: Option<bool>,

    pub user: Option<Placed<String>>,
    pub group: Option<Placed<String>>,
    pub groups: Vec<Placed<String>>,
    pub cwd: Option<Placed<PathBuf>>,
    pub root: Option<Placed<PathBuf>>,
    pub umask: Option<u32>,
    pub env: BTreeMap<String, String>,
    pub env_files: Vec<Placed<EnvFile>>,
    pub inherit_env: Option<bool>,
    pub stdin: Option<Placed<Input>>,
    pub stdout: Option<Placed<Output>>,
    pub stderr: Option<Placed<Output>>,
    pub tty: Option<PathBuf>,
    pub nice: Option<i32>,
    pub io_priority: Option<i32>,
    pub scheduler: Option<(i32, i32)>,
    pub oom_score_adjust: Option<i32>,
    pub write_pidfile: Option<PathBuf>,
    /// Soft and hard by RLIMIT_* number.
    pub limits: BTreeMap<u32, (u64, u64)>,

    pub restart: Option<Placed<Restart>>,
    pub restart_delay: Option<Placed<Duration>>,
    pub restart_delay_max: Option<Duration>,
    pub restart_reset: Option<Duration>,
    /// `Some(None)` is "never".
    pub give_up: Option<Option<GiveUp>>,
    pub success_codes: Vec<u8>,
    pub success_signals: Vec<Signal>,
    pub stop: Option<Vec<StopStep>>,
    pub kill: Option<Scope>,
    pub reload: Option<Placed<Reload>>,
    pub timeout_start: Option<Duration>,
    pub timeout_finish: Option<Duration>,

    pub log: LogDraft,
}

#[derive(Debug, Default)]
pub struct LogDraft {
    pub to: Option<LogTarget>,
    pub bytes_max: Option<u64>,
    pub files_max: Option<u32>,
    /// `Some(None)` takes a limit back that an earlier file has set; so too below.
    pub total_bytes_max: Option<Option<u64>>,
    pub age_max: Option<Option<Duration>>,
    pub timestamp: Option<Timestamp>,
    pub compress: Option<bool>,
    pub format: Option<LogFormat>,
    pub limit: Option<Option<u64>>,
}

impl Draft {
    /// A value of the file that is being applied.
    pub fn placed<T>(&self, span: Range<usize>, value: T) -> Placed<T> {
        Placed { value, place: Place { source: self.source, span } }
    }
}

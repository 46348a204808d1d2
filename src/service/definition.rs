//! A service directory after all checks: every effective value.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::lifecycle::{Name, Policy, Signal};

/// Kept for every service while svc runs. What most services have in common they share: a thousand
/// definitions of the defaults take a few hundred bytes each.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    pub name: Name,
    /// Absolute. Of a logger, the directory `log` in that of its service.
    pub directory: PathBuf,
    pub description: Option<String>,
    pub program: Program,
    pub policy: Arc<Policy>,
    pub context: Arc<Context>,
    pub reload: Reload,
    pub write_pidfile: Option<PathBuf>,
    pub log: Arc<LogSettings>,
    /// There is an executable `log/run`: it reads the log pipe instead of svc.
    pub has_logger: bool,
    /// Changes when anything that was read changes: to see whether a running one is outdated.
    pub fingerprint: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// `./run` in the directory (of a logger: in its `log`), argv[0] `./run`.
    Run,
    /// `command`: argv, the first word looked up in PATH when it has no slash.
    Command(Vec<String>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reload {
    Signal(Signal),
    Command(Vec<String>),
}

/// What it runs as and with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Context {
    /// Name or number, looked up at launch.
    pub user: Option<String>,
    pub group: Option<String>,
    pub groups: Vec<String>,
    /// Absolute, inside of `root` where there is one. Default: the service directory.
    pub cwd: Option<PathBuf>,
    /// Absolute. Only with `Program::Command`.
    pub root: Option<PathBuf>,
    /// Default 0o022.
    pub umask: Option<u32>,
    /// `env`, `env/` and `env-files` in this order of strength: files of `env/` over `env` over `env-files`.
    /// All were read when the definition was. `None` is a key to be removed (empty file in `env/`).
    pub env: Vec<(String, Option<String>)>,
    /// None: true in a container or terminal, false as a system daemon.
    pub inherit_env: Option<bool>,
    pub stdin: Input,
    pub stdout: Output,
    pub stderr: Output,
    pub tty: Option<PathBuf>,
    pub nice: Option<i32>,
    /// The value of ioprio_set(2).
    pub io_priority: Option<i32>,
    /// SCHED_* and its priority.
    pub scheduler: Option<(i32, i32)>,
    pub oom_score_adjust: Option<i32>,
    /// RLIMIT_* number, soft, hard; `u64::MAX` is infinity.
    pub limits: Vec<(u32, u64, u64)>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Input {
    #[default]
    Null,
    /// Absolute; so are the paths of outputs.
    File(PathBuf),
    Tty,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Output {
    #[default]
    Log,
    Null,
    Inherit,
    /// Opened for writing from the start, not truncated, created 0644 less umask.
    File(PathBuf),
    Append(PathBuf),
    Truncate(PathBuf),
    Tty,
}

/// `[log]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    pub to: LogTarget,
    pub bytes_max: u64,
    pub files_max: u32,
    pub total_bytes_max: Option<u64>,
    pub age_max: Option<Duration>,
    pub timestamp: Timestamp,
    pub compress: bool,
    pub format: LogFormat,
    /// Bytes per second; the writer is blocked above it.
    pub limit: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogTarget {
    /// To files; and to svc's own stdout where that is a terminal or a container's.
    Default,
    File,
    Console,
    Both,
    Null,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timestamp {
    Rfc3339,
    Tai64n,
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            to: LogTarget::Default,
            bytes_max: 10 << 20,
            files_max: 10,
            total_bytes_max: None,
            age_max: None,
            timestamp: Timestamp::Rfc3339,
            compress: false,
            format: LogFormat::Text,
            limit: None,
        }
    }
}

//! Requests of clients and the replies: one JSON object a line. Described for other languages in
//! `contrib/doc/control-protocol.md`.

use serde::{Deserialize, Serialize};

use crate::lifecycle::{Exit, Signal, StateWord, Transition, Verb, Wanted};

pub const VERSION: u32 = 1;

/// The longest line a client may send, in bytes.
pub const REQUEST_BYTES_MAX: usize = 256 * 1024;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// `VERSION`; another one is refused with what is understood.
    pub version: u32,
    #[serde(flatten)]
    pub what: What,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum What {
    /// Answered by `Reply::Pong` as soon as the supervisor has taken over and read all directories.
    Ping,
    /// A life-cycle verb for these services (all of them when `all`). One `Reply::Outcome` per
    /// service as it comes, then `Reply::End`. With `wait` false the outcome is given at once.
    Act {
        verb: Verb,
        #[serde(default)]
        names: Vec<String>,
        #[serde(default)]
        all: bool,
        #[serde(default = "yes")]
        wait: bool,
    },
    /// Answered by `Reply::Status`. No names: all. Names that no service has are left out of it.
    Status {
        #[serde(default)]
        names: Vec<String>,
        #[serde(default)]
        detail: bool,
    },
    /// Answered by `Reply::Why`: the last transitions.
    Why { name: String },
    /// `Reply::Transition` for every change from now on, of these services or of all.
    Events {
        #[serde(default)]
        names: Vec<String>,
    },
    /// Answered by `Reply::Processes`.
    Processes {
        #[serde(default)]
        names: Vec<String>,
        #[serde(default)]
        all: bool,
    },
    /// Answered by `Reply::Rescanned` after all service directories have been read again.
    Rescan,
    /// Answered by `Reply::Shown`: every effective value of a definition and where it came from.
    Show { name: String },
    /// Answered by `Reply::ShuttingDown` at once; the connection closes at the end.
    Shutdown,
}

/// What a client sent may be part of the message: no control character of it gets out.
fn in_one_line(error: &serde_json::Error) -> String {
    error.to_string().replace(|c: char| c.is_control(), "?")
}

fn yes() -> bool {
    true
}

impl Request {
    pub fn new(what: What) -> Self {
        Self { version: VERSION, what }
    }

    /// Reads one line, without its newline. The error says what is wrong with it.
    pub fn parse(line: &[u8]) -> Result<Self, String> {
        if line.len() > REQUEST_BYTES_MAX {
            return Err(format!("a request has at most {REQUEST_BYTES_MAX} bytes"));
        }
        let stamp: Stamp = serde_json::from_slice(line).map_err(|error| {
            format!("cannot read the request: {}; send one JSON object a line", in_one_line(&error))
        })?;
        match stamp.version {
            Some(VERSION) => {}
            Some(other) => {
                return Err(format!("cannot speak version {other}; this svc speaks version {VERSION}"));
            }
            None => {
                return Err(format!(
                    "cannot read the request: it has no \"version\"; this svc speaks version {VERSION}"
                ));
            }
        }
        let request: Self = serde_json::from_slice(line)
            .map_err(|error| format!("cannot read the request: {}", in_one_line(&error)))?;
        match &request.what {
            What::Act { names, all: false, .. } | What::Processes { names, all: false }
                if names.is_empty() =>
            {
                Err("cannot tell which services are meant; give \"names\", or \"all\": true".to_owned())
            }
            What::Act { verb: Verb::Signal(Signal(number)), .. } if !(1..=64).contains(number) => {
                Err(format!("cannot send signal {number}; signals have the numbers 1 to 64"))
            }
            What::Ping
            | What::Act { .. }
            | What::Status { .. }
            | What::Why { .. }
            | What::Events { .. }
            | What::Processes { .. }
            | What::Rescan
            | What::Show { .. }
            | What::Shutdown => Ok(request),
        }
    }
}

/// Read first: a later version may have requests that this one cannot read.
#[derive(Deserialize)]
struct Stamp {
    version: Option<u32>,
}

/// A message as it is sent: JSON and a newline. A newline within a string is escaped by JSON.
pub fn line(message: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    Ok(line)
}

/// One line to the client. Fields are added, never renamed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    Pong {
        version: u32,
        supervisor_pid: i32,
        guardian_pid: i32,
    },
    Outcome(ServiceOutcome),
    End,
    Status(Status),
    Why {
        name: String,
        transitions: Vec<StampedTransition>,
    },
    /// `Events` is heard: every later transition follows.
    Subscribed,
    Transition(StampedTransition),
    Processes {
        processes: Vec<Process>,
    },
    Rescanned {
        added: Vec<String>,
        changed: Vec<String>,
        removed: Vec<String>,
        problems: Vec<String>,
    },
    Shown {
        name: String,
        values: Vec<ShownValue>,
    },
    ShuttingDown,
    /// The request as a whole was refused; nothing was done.
    Error {
        kind: ErrorKind,
        message: String,
    },
}

impl Reply {
    /// After this one the request has been answered, and the next may come.
    pub fn is_last(&self) -> bool {
        match self {
            Reply::Pong { .. }
            | Reply::End
            | Reply::Status(_)
            | Reply::Why { .. }
            | Reply::Processes { .. }
            | Reply::Rescanned { .. }
            | Reply::Shown { .. }
            | Reply::Error { .. } => true,
            Reply::Outcome(_) | Reply::Subscribed | Reply::Transition(_) | Reply::ShuttingDown => false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The line is no request of this version.
    Usage,
    UnknownService,
    /// The peer's uid may not.
    Denied,
    /// A limit was reached, or the system refused.
    System,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceOutcome {
    pub name: String,
    pub ok: bool,
    /// It was so already.
    #[serde(default)]
    pub already: bool,
    pub state: StateWord,
    pub pid: Option<i32>,
    /// What failed, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<Exit>,
    /// The last lines of its log, when it failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    pub guardian: GuardianStatus,
    pub supervisor: SupervisorStatus,
    pub services: Vec<ServiceStatus>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GuardianStatus {
    pub pid: i32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SupervisorStatus {
    pub pid: i32,
    /// RFC 3339.
    pub since: String,
    pub version: String,
    /// The folder of the service directories.
    pub services: String,
    pub log_dir: String,
    /// How many supervisors this guardian has started.
    pub started: u32,
    /// Things the user should know about svc itself (disk full, a feature the place cannot give).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
}

/// A service as `svc status NAME --json` prints it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceStatus {
    pub name: String,
    pub state: StateWord,
    pub wanted: Wanted,
    pub pid: Option<i32>,
    /// RFC 3339, when it came into this state.
    pub since: String,
    /// The same in seconds ago, immune to clock steps.
    pub for_seconds: f64,
    pub ready: bool,
    pub paused: bool,
    pub restarts: u64,
    pub last_exit: Option<Exit>,
    /// RFC 3339, in `backoff`.
    pub next_start: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_start_seconds: Option<f64>,
    /// Why it failed, does not run, or needs attention.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub enabled: bool,
    /// The directory was edited since this process started.
    pub changed: bool,
    /// What is wrong with the directory now, as `svc check` would print it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
    pub directory: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Detail>,
}

/// What `svc status NAME` shows besides.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Detail {
    pub processes: Vec<Process>,
    pub exits: Vec<PastExit>,
    pub log: Vec<String>,
    pub log_file: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PastExit {
    /// RFC 3339.
    pub at: String,
    pub pid: Option<i32>,
    pub exit: Exit,
    pub ran_seconds: f64,
}

/// A row of `svc ps`: the columns of `ps axj`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Process {
    pub service: String,
    pub ppid: i32,
    pub pid: i32,
    pub pgid: i32,
    pub sid: i32,
    /// As ps prints it: `?` or `pts/0`.
    pub tty: String,
    pub tpgid: i32,
    pub stat: String,
    pub uid: u32,
    /// CPU time, `M:SS`.
    pub time: String,
    pub command: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StampedTransition {
    pub name: String,
    /// RFC 3339.
    pub at: String,
    #[serde(flatten)]
    pub transition: Transition,
    /// The cause in words.
    pub text: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShownValue {
    pub key: String,
    /// As it would stand in service.toml.
    pub value: String,
    /// `default`, or file:line.
    pub source: String,
}

//! Orders to the guardian and its reports, each batch of them one SEQPACKET datagram.
//!
//! The guardian keeps a table of children by `Child` (service and role), the log pipes by service
//! name, and one note of opaque bytes per service. It gives all of it to every supervisor that says
//! `Hello`: that is how a supervisor starts, whether or not there was one before.
//!
//! Descriptors travel with the datagram: `Stdio::Passed(n)` is the n-th of the whole datagram, and
//! each `Report::Pipe` takes the next one.

mod bytes;
mod order;
mod plan;
pub mod record;
mod report;
#[cfg(test)]
mod tests;

pub use bytes::DecodeError;
pub use order::{decode_orders, encode_order, encode_orders};
pub use report::{decode_reports, encode_report, encode_reports};

use crate::lifecycle::{Exit, Name, Pid, Signal, Time};

/// Of the orders and reports; told in `Hello` and `Welcome`.
pub const VERSION: u32 = 1;

/// The variables by which the processes of a service are found when nothing else is known of them: its name,
/// and the folder of the service directories.
pub const MARK: &str = "SVC_SERVICE";
pub const HOME_MARK: &str = "SVC_HOME";

/// Only `finish` and reload commands have this one.
pub const MAIN_PID: &str = "MAINPID";

/// Which process of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Run,
    Finish,
    Reload,
}

/// The key of the guardian's child table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Child {
    pub name: Name,
    pub role: Role,
}

/// Where descriptor 0, 1 or 2 of a program comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stdio {
    /// /dev/null, open for reading and writing.
    Null,
    /// The same descriptor of the guardian itself (terminal, container output).
    Inherit,
    /// The write end of the log pipe of `LaunchPlan::log_pipe`.
    LogWrite,
    /// Its read end: the stdin of a logger.
    LogRead,
    /// The n-th descriptor passed with the order.
    Passed(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResourceLimit {
    /// RLIMIT_* of the kernel.
    pub resource: u32,
    /// `u64::MAX` is infinity.
    pub soft: u64,
    pub hard: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scheduler {
    /// SCHED_* of the kernel.
    pub policy: i32,
    pub priority: i32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
}

/// All that a child applies between clone and exec. Strings are without NUL; everything that needs
/// a look-up (users, PATH, files) has been looked up by the supervisor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaunchPlan {
    /// The file to execute, absolute or relative to `working_directory`.
    pub program: Vec<u8>,
    pub arguments: Vec<Vec<u8>>,
    /// The part that many services share: what `Order::Environment` gave this number. 0 is none.
    pub shared_environment: u32,
    /// `KEY=VALUE`, NUL-terminated each, the service's own part. A key is in one of the two only.
    pub own_environment: Vec<u8>,
    pub stdio: [Stdio; 3],
    /// Whose log pipe `Stdio::LogWrite` and `LogRead` mean. Made when it does not exist yet.
    pub log_pipe: Option<Name>,
    /// Make descriptor 0 the controlling terminal.
    pub controlling_terminal: bool,
    pub limits: Vec<ResourceLimit>,
    pub nice: Option<i32>,
    /// The value of ioprio_set(2).
    pub io_priority: Option<i32>,
    pub scheduler: Option<Scheduler>,
    pub oom_score_adjust: Option<i32>,
    pub umask: u32,
    /// chroot, before the working directory is entered.
    pub root: Option<Vec<u8>>,
    pub working_directory: Vec<u8>,
    pub identity: Option<Identity>,
}

/// Supervisor → guardian.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Always the first. Answered by `Welcome`, then a `Known` for every table entry, a `Pipe` for
    /// every log pipe, a `Note` for every note, an `Exited` for every exit before a standing order
    /// that nobody has acknowledged, then `TableEnd`.
    Hello {
        version: u32,
    },
    /// What plans of this supervisor mean by `number`, which is not 0; `KEY=VALUE`, NUL-terminated each.
    Environment {
        number: u32,
        variables: Vec<u8>,
    },
    /// Answered by Started or LaunchFailed. Refused (LaunchFailed, step Busy) while that child runs.
    Launch {
        child: Child,
        plan: Box<LaunchPlan>,
    },
    /// The plan of the running `child` is to be used again, once, at the moment it ends.
    Stand {
        child: Child,
    },
    Unstand {
        child: Child,
    },
    /// To the child itself, or to its process group; only while it is not reaped.
    Signal {
        child: Child,
        signal: Signal,
        group: bool,
    },
    /// The main process of `child` has ended and `pid`, an orphan that the guardian inherited, is
    /// followed in its place. Answered by Started, or by LaunchFailed when it is no child any more.
    Adopt {
        child: Child,
        pid: Pid,
    },
    /// The exit of this pid has been dealt with: the table may forget it.
    Acknowledge {
        child: Child,
        pid: Pid,
    },
    /// Make the log pipe of `name` if there is none. Answered by Pipe or PipeFailed.
    OpenPipe {
        name: Name,
    },
    /// Close the guardian's write end: readers see the end when the last writer has gone.
    ClosePipeWriter {
        name: Name,
    },
    /// Forget pipe and note of a service that is gone.
    Forget {
        name: Name,
    },
    /// Keep these bytes for the next supervisor; replaces the earlier note of that service.
    Note {
        name: Name,
        note: Vec<u8>,
    },
    /// Nothing is to be done for now: memory that only a start needs can go.
    Tidy,
    /// Everything has ended: exit with this code. Children that are left are killed.
    Exit {
        code: u8,
    },
}

/// Guardian → supervisor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    Welcome {
        version: u32,
        pid: Pid,
        started: Time,
        supervisors_started: u32,
    },
    Known {
        child: Child,
        pid: Pid,
        started: Time,
        state: KnownState,
    },
    /// Carries one descriptor: the read end of the log pipe.
    Pipe {
        name: Name,
    },
    PipeFailed {
        name: Name,
        errno: i32,
    },
    Note {
        name: Name,
        note: Vec<u8>,
    },
    TableEnd,
    Started {
        child: Child,
        pid: Pid,
        at: Time,
    },
    LaunchFailed {
        child: Child,
        failure: LaunchFailure,
    },
    /// A standing order was carried out when it has a `next` or a `relaunch_failure`.
    Exited {
        child: Child,
        pid: Pid,
        exit: Exit,
        at: Time,
        next: Option<Pid>,
        relaunch_failure: Option<LaunchFailure>,
    },
    /// Orphans that were reaped: no child of the table. Not repeated to a later supervisor.
    Reaped {
        pids: Vec<Pid>,
    },
    /// A signal that the guardian got (TERM, INT, QUIT, HUP, USR1, USR2, PWR, RTMIN+n, WINCH…).
    Signalled {
        signal: Signal,
        sender: i32,
    },
    /// Something the guardian could not do, in words, for the log.
    Complaint {
        text: String,
    },
    /// After Welcome: there was a guardian before this one, it was killed, and its services were taken over.
    /// How it ended is told as far as somebody could see it.
    Predecessor {
        pid: Option<Pid>,
        exit: Exit,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KnownState {
    Running {
        standing: bool,
    },
    /// It runs, and is no child of this guardian: one before it has started it.
    Adopted,
    /// Ended, not yet acknowledged.
    Exited {
        exit: Exit,
        at: Time,
    },
}

/// The step of a launch that failed, with the kernel's reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaunchFailure {
    pub step: LaunchStep,
    /// Which one, where a plan has several (limits, stdio).
    pub index: u8,
    pub errno: i32,
}

/// In the order in which they happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaunchStep {
    /// That child runs already, or its exit has not been acknowledged.
    Busy,
    LogPipe,
    Clone,
    Session,
    Stdio,
    ControllingTerminal,
    CloseDescriptors,
    Limit,
    Nice,
    IoPriority,
    Scheduler,
    OomScore,
    Root,
    WorkingDirectory,
    Groups,
    Gid,
    Uid,
    Execute,
}

//! The words of the life-cycle: what can happen (Event), what is to be done (Action), and what is
//! said about a service in between.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Memory, Name};

/// A process id as the kernel gives it, always positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Pid(pub i32);

/// A signal number, 1 to 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Signal(pub i32);

impl Signal {
    pub const HUP: Signal = Signal(1);
    pub const KILL: Signal = Signal(9);
    pub const TERM: Signal = Signal(15);
    pub const CONT: Signal = Signal(18);
    pub const STOP: Signal = Signal(19);
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    Code(u8),
    Signal {
        signal: Signal,
        core: bool,
    },
    /// Nobody can tell any more: never guessed.
    Unknown,
}

/// What the user wishes of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    Up,
    Down,
    /// Up until its next end, then down.
    Once,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    Longrun,
    Oneshot,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    Always,
    OnFailure,
    OnSuccess,
    Never,
}

/// The delay before a restart: `first` × 2^n, at most `max`; none after `reset` of being up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backoff {
    pub first: Duration,
    pub max: Duration,
    pub reset: Duration,
}

/// More than `count` deaths within `within`: the service has failed and is not started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GiveUp {
    pub count: u32,
    pub within: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopStep {
    Signal(Signal),
    /// `Duration::MAX` waits for ever.
    Wait(Duration),
}

/// Whom a signal of the stop schedule reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Process group, session, and every descendant.
    Tree,
    Group,
    Main,
}

/// All that the life-cycle knows about a service. Everything else in a definition is for the launch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    pub kind: Kind,
    /// Started at boot (no `down` file, `enabled` not false).
    pub enabled: bool,
    pub restart: Restart,
    pub backoff: Backoff,
    pub give_up: Option<GiveUp>,
    /// Besides 0, and besides TERM, INT, HUP and PIPE for signals.
    pub success_codes: Vec<u8>,
    pub success_signals: Vec<Signal>,
    pub stop: Vec<StopStep>,
    pub kill: Scope,
    pub has_finish: bool,
    pub timeout_start: Duration,
    pub timeout_finish: Duration,
    /// The next launch may be left with the guardian beforehand, as far as the launch plan goes.
    /// The core adds its own conditions (restart always, no finish, no give-up, wanted up).
    pub may_stand: bool,
}

/// Identifies a client's request; chosen by the caller, never reused while it is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// Who asked, as the kernel tells by the peer's credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asker {
    pub uid: u32,
    pub pid: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    Up,
    Down,
    Restart,
    Once,
    Pause,
    Cont,
    /// A signal to the main process; nothing is expected of it.
    Signal(Signal),
    Reload,
    /// Answered when the service has come to rest: down, done or failed.
    Wait,
}

/// What a tree check found after the main process had gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TreeFound {
    /// Processes of the service that live on, without `adoptable`.
    pub left: Vec<Pid>,
    /// A direct child of the guardian that left the service's session on purpose
    /// (`exec setsid PROGRAM`, a program that daemonised itself) and can be followed in its stead.
    pub adoptable: Option<Pid>,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A service directory was read for the first time, or something in it has changed. What runs
    /// goes on as it was; the policy holds from the next start on (the stop schedule and restart
    /// rules at once). A standing order is taken back, because the launch it holds is outdated.
    Define {
        name: Name,
        policy: Policy,
    },
    /// The directory is gone: stop the service, then forget it. A service comes before its logger.
    Remove {
        name: Name,
    },
    /// A predecessor knew this service: go on where it was. Comes after `Define`, before any
    /// other event of the service, and a service before its logger. Fresh services get `Boot`
    /// instead; one whose directory is gone gets `Remove` after it. Then follow the exits that
    /// nobody has dealt with, and FinishExited when the memory says `finishing` and no finish runs.
    /// `running` is what the guardian's table has, also when it has ended and nobody knows yet.
    Resume {
        name: Name,
        memory: Memory,
        running: Option<Pid>,
    },
    /// All is defined or this one has just appeared: start it when it is enabled.
    Boot {
        name: Name,
    },
    Request {
        id: RequestId,
        verb: Verb,
        name: Name,
        by: Asker,
    },
    /// The client has gone: no reply to it any more. Its wishes stay.
    Forget {
        id: RequestId,
    },
    Started {
        name: Name,
        pid: Pid,
    },
    LaunchFailed {
        name: Name,
        cause: String,
    },
    /// The main process ended.
    Exited {
        name: Name,
        pid: Pid,
        exit: Exit,
    },
    /// The main process ended and the guardian, by standing order, has already started the next.
    Relaunched {
        name: Name,
        pid: Pid,
        exit: Exit,
        next: Pid,
    },
    /// The main process ended, the standing order was carried out, but the new start failed.
    RelaunchFailed {
        name: Name,
        pid: Pid,
        exit: Exit,
        cause: String,
    },
    /// The answer to `CheckTree`, and unasked whenever a process of a tree that has lost its main
    /// process has been reaped.
    TreeChecked {
        name: Name,
        found: TreeFound,
    },
    FinishStarted {
        name: Name,
        pid: Pid,
    },
    /// `finish` ended, or could not be started (then `Exit::Unknown`).
    FinishExited {
        name: Name,
        exit: Exit,
    },
    /// The reload command ended (`Ok` when it succeeded) or the reload signal could not be sent.
    Reloaded {
        name: Name,
        result: Result<(), String>,
    },
    Shutdown {
        budget: Duration,
    },
    /// A second wish to shut down: skip all waiting.
    Hurry,
    /// A deadline has come (see `next_deadline`); harmless at any time.
    Tick,
}

/// What is to be done. The caller performs them in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start the main process. Answered by Started or LaunchFailed.
    Launch {
        name: Name,
    },
    /// Run `finish`. Answered by FinishStarted then FinishExited, or by FinishExited alone. After
    /// a failed launch there was no process: `exit` is then code 111 and `main` is `Pid(0)`.
    Finish {
        name: Name,
        exit: Exit,
        main: Pid,
    },
    /// Send it, and after it CONT (unless it is STOP, CONT or KILL). `Scope::Main` with no main
    /// process left reaches nobody.
    Signal {
        name: Name,
        signal: Signal,
        scope: Scope,
    },
    /// KILL the `finish` process and what it started. Answered by FinishExited, also when there is
    /// none.
    KillFinish {
        name: Name,
    },
    /// See who is left of the service whose main process was `main`.
    CheckTree {
        name: Name,
        main: Pid,
    },
    /// Follow this process as the main one from now on: it left the service's session while the
    /// former main process ended well. Answered by Started, or by LaunchFailed when it has gone.
    Adopt {
        name: Name,
        pid: Pid,
    },
    /// Leave the next launch with the guardian. It must not be carried out while anything else of
    /// the tree is alive: then the exit is reported and nothing started.
    Stand {
        name: Name,
    },
    /// Take that back. Always comes before the first signal of a stop.
    Unstand {
        name: Name,
    },
    /// Run the reload command or send the reload signal. Answered by Reloaded.
    Reload {
        name: Name,
    },
    /// Close the write end of the log pipe so that the logger `name` (`web/log`) sees the end.
    CloseLogPipe {
        name: Name,
    },
    /// The one final answer to a request, for this service.
    Answer {
        id: RequestId,
        name: Name,
        outcome: Outcome,
    },
    /// Something was decided that must survive this process: keep it with the guardian.
    Remember {
        name: Name,
        memory: Memory,
    },
    Changed {
        name: Name,
        transition: Transition,
    },
    /// The service is gone for good: drop its definition, pipe and memory.
    Forgotten {
        name: Name,
    },
    /// Shutdown is complete: nothing of any service is left, or the budget is used up.
    Ended,
}

/// The end of a request for one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    Done,
    /// It was so already.
    Already,
    /// Answer to `Wait`: how it came to rest.
    Rested {
        state: StateWord,
        exit: Option<Exit>,
    },
    Failed {
        why: String,
    },
}

/// The state of a service in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StateWord {
    Down,
    Starting,
    Up,
    Ready,
    Stopping,
    Finishing,
    Backoff,
    Done,
    Failed,
}

impl StateWord {
    pub fn as_str(self) -> &'static str {
        match self {
            StateWord::Down => "down",
            StateWord::Starting => "starting",
            StateWord::Up => "up",
            StateWord::Ready => "ready",
            StateWord::Stopping => "stopping",
            StateWord::Finishing => "finishing",
            StateWord::Backoff => "backoff",
            StateWord::Done => "done",
            StateWord::Failed => "failed",
        }
    }
}

impl fmt::Display for StateWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One change of state, for `svc why` and `svc events`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    pub from: StateWord,
    pub to: StateWord,
    pub pid: Option<Pid>,
    pub cause: Cause,
}

/// Why a service changed its state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cause", rename_all = "snake_case")]
pub enum Cause {
    Boot,
    Request {
        verb: Verb,
        by: Asker,
    },
    Started,
    LaunchFailed {
        why: String,
    },
    Exited {
        exit: Exit,
        ran_nanoseconds: u64,
    },
    /// The delay after its last death is over.
    DelayOver,
    /// The guardian started it again at once.
    StandingOrder {
        exit: Exit,
    },
    /// The main process is gone, these are left and have to go first.
    TreeLeft {
        left: Vec<Pid>,
    },
    TreeEmpty,
    /// The main process ended and left this one in a session of its own: it is followed instead.
    Adopted {
        pid: Pid,
    },
    StopStep {
        signal: Signal,
    },
    StartTimeout,
    Finished {
        exit: Exit,
    },
    FinishTimeout,
    GaveUp {
        count: u32,
        within_nanoseconds: u64,
    },
    /// `finish` exited 125.
    FinishSaidStayDown,
    Removed,
    Shutdown,
    TakenOver,
    /// The parent of all services was killed, and another one follows this one.
    GuardianEnded {
        exit: Exit,
    },
}

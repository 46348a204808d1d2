//! What is kept of one service, and how it goes from one state to the next.

use std::sync::Arc;
use std::time::Duration;

use super::requests::Waiting;
use super::{
    Action, Cause, Exit, Kind, Main, Name, Pid, Policy, ShutdownTimes, StateWord, Time, Transition,
    TreeFound, Wanted,
};

pub(super) struct Service {
    pub policy: Arc<Policy>,
    /// Of the run in progress, or the last one: a changed definition does not change what runs.
    pub kind: Kind,
    pub wanted: Wanted,
    pub state: State,
    pub since: Time,
    pub restarts: u64,
    pub attempt: u32,
    pub last_exit: Option<Exit>,
    pub last_start: Option<Time>,
    pub last_main: Option<Pid>,
    pub last_ran: Duration,
    /// The last run counts as a success.
    pub ended_well: bool,
    /// Once the stop in progress is complete it is started again, because the user asked for it.
    pub start_after: bool,
    pub removing: bool,
    pub reason: Option<Box<str>>,
    /// The reason is advice that outlives the next start.
    pub advice: bool,
    /// Kept only for a service that may give up.
    pub deaths: Vec<Time>,
    pub waiting: Vec<Waiting>,
    /// The deadline that stands in the common set.
    pub registered: Option<Time>,
}

#[derive(Clone, Copy)]
pub(super) enum State {
    Down,
    Starting(Starting),
    Up(Up),
    Checking(Checking),
    Stopping(Stopping),
    Finishing(Finishing),
    Backoff(Delay),
    Done,
    Failed,
}

/// A launch is ordered and not answered.
#[derive(Clone, Copy)]
pub(super) struct Starting {
    /// `None` when there is no limit, and when it was passed already.
    pub deadline: Option<Time>,
    /// The limit was passed; the outcome is still awaited.
    pub overdue: bool,
}

/// The main process runs and is wanted.
#[derive(Clone, Copy)]
pub(super) struct Up {
    pub pid: Pid,
    pub standing: Standing,
    pub paused: bool,
    pub reloading: bool,
    pub adopted: bool,
    /// This run gets no standing order any more: its definition was changed after its launch, so
    /// that the guardian's launch plan is the former one, or svc shuts down.
    pub no_standing: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    None,
    /// A predecessor may have left an order.
    Unknown,
    Out,
}

/// The main process has ended by itself; the answer to CheckTree is awaited.
#[derive(Clone, Copy)]
pub(super) struct Checking {
    /// The guardian tried to start it again by standing order and could not.
    pub relaunch_failed: bool,
}

/// On the way to no process at all.
#[derive(Clone, Copy)]
pub(super) struct Stopping {
    pub main: Main,
    /// The next position in the stop schedule; `KILLED` when nothing but KILL is sent any more.
    pub step: usize,
    pub deadline: Option<Time>,
    /// A logger that reads its input to the end, before the schedule begins.
    pub draining: bool,
}

/// Beyond every schedule.
pub(super) const KILLED: usize = usize::MAX;

/// `finish` runs.
#[derive(Clone, Copy)]
pub(super) struct Finishing {
    pub deadline: Option<Time>,
}

#[derive(Clone, Copy)]
pub(super) struct Delay {
    pub until: Time,
}

/// What can happen to one service; an Event without the name, a Request by its effect.
pub(super) enum Happening {
    /// It is wanted up now.
    Start(Cause),
    /// It is to go down now.
    Stop(Cause),
    /// A logger whose service is gone: as Stop, but it may read its input to the end first.
    Drain(Cause),
    /// It is to go down and come up again.
    Restart(Cause),
    /// The time for schedules is over.
    Kill,
    Started(Pid),
    LaunchFailed(String),
    Exited {
        pid: Pid,
        exit: Exit,
    },
    Relaunched {
        pid: Pid,
        exit: Exit,
        next: Pid,
    },
    RelaunchFailed {
        pid: Pid,
        exit: Exit,
        why: String,
    },
    TreeChecked(TreeFound),
    FinishStarted,
    FinishExited(Exit),
    Reloaded(Result<(), String>),
    Redefined,
    /// Its deadline has come, perhaps.
    Due,
}

/// One step of one service: the moment, and what is to be done.
pub(super) struct Turn<'a> {
    pub now: Time,
    pub name: &'a Name,
    pub shutdown: Option<ShutdownTimes>,
    /// Everything left is to be killed: schedules are over.
    pub killing: bool,
    /// A second wish to shut down was heard: `finish` is skipped too.
    pub hurried: bool,
    pub actions: &'a mut Vec<Action>,
    /// The service is gone for good.
    pub forget: bool,
    /// It is to be remembered even if nothing of its own has changed.
    pub remember: bool,
}

impl Turn<'_> {
    pub fn act(&mut self, action: impl FnOnce(Name) -> Action) {
        self.actions.push(action(self.name.clone()));
    }

    /// `None` when the moment is never reached.
    pub fn after(&self, wait: Duration) -> Option<Time> {
        moment(self.now, wait)
    }
}

pub(super) fn moment(from: Time, wait: Duration) -> Option<Time> {
    let time = from + wait;
    (time.nanoseconds < u64::MAX).then_some(time)
}

impl Service {
    pub fn new(policy: Arc<Policy>, now: Time) -> Self {
        Self {
            kind: policy.kind,
            policy,
            wanted: Wanted::Down,
            state: State::Down,
            since: now,
            restarts: 0,
            attempt: 0,
            last_exit: None,
            last_start: None,
            last_main: None,
            last_ran: Duration::ZERO,
            ended_well: false,
            start_after: false,
            removing: false,
            reason: None,
            advice: false,
            deaths: Vec::new(),
            waiting: Vec::new(),
            registered: None,
        }
    }

    /// Goes to the state and tells of it. `since` moves only when the word changes.
    pub fn enter(&mut self, turn: &mut Turn<'_>, state: State, cause: Cause) {
        let from = self.word();
        self.state = state;
        let to = self.word();
        if from != to {
            self.since = turn.now;
        }
        let pid = self.main().pid();
        turn.act(|name| Action::Changed { name, transition: Transition { from, to, pid, cause } });
    }

    /// Tells of something that leaves the state as it is.
    pub fn note(&mut self, turn: &mut Turn<'_>, cause: Cause) {
        self.enter(turn, self.state, cause);
    }

    pub fn launch(&mut self, turn: &mut Turn<'_>, cause: Cause) {
        self.start_after = false;
        self.kind = self.policy.kind;
        self.expect_up();
        turn.act(|name| Action::Launch { name });
        let deadline = turn.after(self.policy.timeout_start);
        self.enter(turn, State::Starting(Starting { deadline, overdue: false }), cause);
    }

    pub fn word(&self) -> StateWord {
        match self.state {
            State::Down => StateWord::Down,
            State::Starting(_) => StateWord::Starting,
            State::Up(_) | State::Checking(_) => StateWord::Up,
            State::Stopping(_) => StateWord::Stopping,
            State::Finishing(_) => StateWord::Finishing,
            State::Backoff(_) => StateWord::Backoff,
            State::Done => StateWord::Done,
            State::Failed => StateWord::Failed,
        }
    }

    pub fn main(&self) -> Main {
        match self.state {
            State::Starting(_) => Main::Launching,
            State::Up(up) => Main::Running(up.pid),
            State::Stopping(stopping) => stopping.main,
            State::Down
            | State::Checking(_)
            | State::Finishing(_)
            | State::Backoff(_)
            | State::Done
            | State::Failed => Main::Gone,
        }
    }

    /// No process, and none will be started unless someone asks for it.
    pub fn rests(&self) -> bool {
        match self.state {
            State::Down | State::Done | State::Failed => true,
            State::Starting(_)
            | State::Up(_)
            | State::Checking(_)
            | State::Stopping(_)
            | State::Finishing(_)
            | State::Backoff(_) => false,
        }
    }

    /// It must not be up any longer than needed.
    pub fn must_stop(&self, turn: &Turn<'_>) -> bool {
        self.wanted == Wanted::Down || self.removing || turn.shutdown.is_some()
    }

    pub fn record_exit(&mut self, turn: &Turn<'_>, exit: Exit) {
        self.last_exit = Some(exit);
        self.last_ran = turn.now.since(self.last_start.unwrap_or(turn.now));
        self.ended_well = self.policy.is_success(exit);
    }

    pub fn record_start(&mut self, turn: &Turn<'_>, pid: Pid) {
        self.last_start = Some(turn.now);
        self.last_main = Some(pid);
    }

    /// The cause that tells of the last exit.
    pub fn exited(&self) -> Cause {
        Cause::Exited {
            exit: self.last_exit.unwrap_or(Exit::Unknown),
            ran_nanoseconds: u64::try_from(self.last_ran.as_nanos()).unwrap_or(u64::MAX),
        }
    }

    pub fn explain(&mut self, reason: impl Into<Box<str>>) {
        if !self.advice {
            self.reason = Some(reason.into());
        }
    }

    pub fn advise(&mut self, reason: impl Into<Box<str>>) {
        self.reason = Some(reason.into());
        self.advice = true;
    }

    pub fn forget_reason(&mut self) {
        self.reason = None;
        self.advice = false;
    }

    /// The next moment at which something is to be done without being asked.
    pub fn deadline(&self) -> Option<Time> {
        match self.state {
            State::Starting(starting) => starting.deadline,
            State::Up(up) => self.up_deadline(up),
            State::Stopping(stopping) => stopping.deadline,
            State::Finishing(finishing) => finishing.deadline,
            State::Backoff(delay) => Some(delay.until),
            State::Down | State::Checking(_) | State::Done | State::Failed => None,
        }
    }
}

impl Main {
    pub fn pid(self) -> Option<Pid> {
        match self {
            Main::Running(pid) => Some(pid),
            Main::Gone | Main::Launching => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Service;

    /// A thousand services have to fit into a program of a few MiB, with all else that is kept of each.
    #[test]
    fn a_service_takes_less_than_400_bytes_besides_its_policy() {
        assert!(size_of::<Service>() < 400, "{}", size_of::<Service>());
    }
}

//! On the way to no process at all: the stop schedule, and KILL again and again after its end.

use std::time::Duration;

use super::requests::Goal;
use super::service::{Happening, KILLED, Service, Starting, State, Stopping, Turn};
use super::starting::launch_failed;
use super::words::processes;
use super::{Action, Cause, Exit, Main, Pid, Scope, Signal, StopStep, TreeFound};

/// After the schedule: KILL is repeated, for what came to be in the meantime.
const KILL_AGAIN: Duration = Duration::from_secs(5);

/// How long a logger may take to write what is left in its pipe once that has no writer any more.
const DRAIN: Duration = Duration::from_secs(5);

pub(super) fn stopping(service: &mut Service, turn: &mut Turn<'_>, stopping: Stopping, happening: Happening) {
    match happening {
        Happening::Started(pid) => {
            // In any other case the answer to an adoption.
            if stopping.main == Main::Launching {
                started(service, turn, stopping, pid);
            }
        }
        Happening::LaunchFailed(why) => match stopping.main {
            Main::Launching => launch_failed(service, turn, why),
            // The adoption failed: it had gone before.
            Main::Running(pid) => ended(service, turn, stopping, pid, Exit::Unknown),
            Main::Gone => {}
        },
        Happening::Exited { pid, exit } | Happening::RelaunchFailed { pid, exit, why: _ } => {
            // Another pid is an exit that is counted already.
            if stopping.main == Main::Running(pid) {
                ended(service, turn, stopping, pid, exit);
            }
        }
        Happening::Relaunched { pid, exit, next } => {
            if stopping.main == Main::Running(pid) {
                relaunched(service, turn, stopping, exit, next);
            }
        }
        Happening::TreeChecked(found) => {
            // With the main process alive the tree is not empty, whatever was seen of it.
            if stopping.main == Main::Gone {
                checked(service, turn, stopping, found);
            }
        }
        Happening::Start(cause) => start(service, turn, stopping, cause),
        Happening::Restart(_) => service.start_after = true,
        Happening::Stop(_) | Happening::Drain(_) => service.start_after = false,
        Happening::Kill => {
            let stopping = Stopping { step: KILLED, deadline: None, draining: false, ..stopping };
            service.state = State::Stopping(stopping);
            service.begin_schedule(turn, stopping);
        }
        Happening::Due => {
            if stopping.deadline.is_some_and(|deadline| turn.now >= deadline) {
                due(service, turn, stopping);
            }
        }
        Happening::Reloaded(result) => {
            let why = result.err().unwrap_or_else(|| format!("{} is stopping", turn.name));
            service.fail(turn, &why, |waiting| waiting.goal == Goal::Reload);
        }
        // The schedule in force is read at every step.
        Happening::Redefined => {}
        Happening::FinishStarted | Happening::FinishExited(_) => {}
    }
}

fn started(service: &mut Service, turn: &mut Turn<'_>, stopping: Stopping, pid: Pid) {
    service.record_start(turn, pid);
    let stopping = Stopping { main: Main::Running(pid), ..stopping };
    service.state = State::Stopping(stopping);
    service.note(turn, Cause::Started);
    if stopping.draining {
        service.drain(turn, stopping);
    } else {
        service.begin_schedule(turn, stopping);
    }
}

fn ended(service: &mut Service, turn: &mut Turn<'_>, stopping: Stopping, pid: Pid, exit: Exit) {
    // Whether it counts as a success was settled by what led to the stop.
    let ended_well = service.ended_well;
    service.record_exit(turn, exit);
    service.ended_well = ended_well;
    let why = service.exited().to_string();
    service.fail(turn, &why, |waiting| waiting.goal == Goal::Reload);
    let exited = service.exited();
    let stopping = Stopping { main: Main::Gone, ..stopping };
    service.enter(turn, State::Stopping(stopping), exited);
    if service.policy.kill != Scope::Tree && !stopping.draining {
        // The others were spared for as long as the main process could tell them.
        service.repeat_last_signal(turn, stopping);
    }
    turn.act(|name| Action::CheckTree { name, main: pid });
}

/// The standing order was carried out before it could be taken back. It is used up by that.
fn relaunched(service: &mut Service, turn: &mut Turn<'_>, stopping: Stopping, exit: Exit, next: Pid) {
    service.record_exit(turn, exit);
    service.restarts = service.restarts.saturating_add(1);
    service.record_start(turn, next);
    let stopping = Stopping { main: Main::Running(next), ..stopping };
    service.enter(turn, State::Stopping(stopping), Cause::StandingOrder { exit });
    service.repeat_last_signal(turn, stopping);
}

fn checked(service: &mut Service, turn: &mut Turn<'_>, stopping: Stopping, mut found: TreeFound) {
    found.left.extend(found.adoptable);
    if found.left.is_empty() {
        return service.gone(turn, Cause::TreeEmpty);
    }
    if stopping.draining {
        // The logger has ended and left something that nobody waits for.
        let stopping = Stopping { draining: false, ..stopping };
        return service.begin_schedule(turn, stopping);
    }
    if stopping.step >= service.policy.stop.len() {
        service.explain(format!("{} left after KILL", processes(&found.left)));
    }
}

/// Wanted again. What has got no signal yet is kept; the rest goes first.
fn start(service: &mut Service, turn: &mut Turn<'_>, stopping: Stopping, cause: Cause) {
    if stopping.main != Main::Launching || stopping.step > 0 || stopping.draining {
        service.start_after = true;
        return;
    }
    service.start_after = false;
    service.start_afresh();
    service.expect_up();
    let deadline = turn.after(service.policy.timeout_start);
    service.enter(turn, State::Starting(Starting { deadline, overdue: false }), cause);
}

fn due(service: &mut Service, turn: &mut Turn<'_>, stopping: Stopping) {
    if stopping.draining {
        return service.begin_schedule(turn, Stopping { draining: false, ..stopping });
    }
    if let Some(StopStep::Signal(signal)) = service.policy.stop.get(stopping.step) {
        service.note(turn, Cause::StopStep { signal: *signal });
    }
    service.walk(turn, stopping);
    if let (Main::Gone, Some(main)) = (stopping.main, service.last_main) {
        turn.act(|name| Action::CheckTree { name, main });
    }
}

impl Service {
    /// The first step of the schedule, or KILL when the time for schedules is over.
    pub fn begin_schedule(&mut self, turn: &mut Turn<'_>, stopping: Stopping) {
        let step = if turn.killing { KILLED } else { stopping.step };
        self.walk(turn, Stopping { step, ..stopping });
        if let (true, Main::Gone, Some(main)) = (step == KILLED, stopping.main, self.last_main) {
            turn.act(|name| Action::CheckTree { name, main });
        }
    }

    /// Takes steps up to the next wait. Beyond the last one that is KILL, every five seconds.
    fn walk(&mut self, turn: &mut Turn<'_>, mut stopping: Stopping) {
        if stopping.main == Main::Launching {
            // Nothing to signal yet; Started begins it.
            self.state = State::Stopping(stopping);
            return;
        }
        let mut signalled = false;
        loop {
            match self.policy.stop.get(stopping.step).copied() {
                Some(StopStep::Signal(signal)) => {
                    stopping.step += 1;
                    signalled = true;
                    self.signal(turn, stopping, signal);
                }
                Some(StopStep::Wait(wait)) => {
                    stopping.step += 1;
                    if !wait.is_zero() {
                        stopping.deadline = turn.after(wait);
                        break;
                    }
                }
                None => {
                    if !signalled {
                        turn.act(|name| Action::Signal { name, signal: Signal::KILL, scope: Scope::Tree });
                    }
                    stopping.deadline = turn.after(KILL_AGAIN);
                    break;
                }
            }
        }
        self.state = State::Stopping(stopping);
    }

    /// What is left of a tree is in nobody's group and has no main process: all of it is meant.
    fn signal(&self, turn: &mut Turn<'_>, stopping: Stopping, signal: Signal) {
        let scope = match stopping.main {
            Main::Running(_) => self.policy.kill,
            Main::Gone | Main::Launching => Scope::Tree,
        };
        turn.act(|name| Action::Signal { name, signal, scope });
    }

    pub fn repeat_last_signal(&self, turn: &mut Turn<'_>, stopping: Stopping) {
        if stopping.step > self.policy.stop.len() {
            turn.act(|name| Action::Signal { name, signal: Signal::KILL, scope: Scope::Tree });
            return;
        }
        let sent = self.policy.stop.iter().take(stopping.step).rev();
        let last = sent
            .filter_map(|step| if let StopStep::Signal(signal) = step { Some(*signal) } else { None })
            .next();
        if let Some(signal) = last {
            self.signal(turn, stopping, signal);
        }
    }

    /// A logger whose service is gone: it reads to the end of its input before any signal.
    pub fn drain(&mut self, turn: &mut Turn<'_>, stopping: Stopping) {
        self.state = State::Stopping(Stopping { draining: true, deadline: turn.after(DRAIN), ..stopping });
    }
}

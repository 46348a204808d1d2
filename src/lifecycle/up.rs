//! The main process runs and is wanted.

use super::requests::Goal;
use super::service::{Checking, Happening, KILLED, Service, Standing, State, Stopping, Turn, Up, moment};
use super::words::short;
use super::{Action, Cause, Exit, Kind, Main, Outcome, Pid, Restart, Time, Wanted};

pub(super) fn up(service: &mut Service, turn: &mut Turn<'_>, up: Up, happening: Happening) {
    match happening {
        Happening::Exited { pid, exit } => {
            if pid == up.pid {
                ended(service, turn, up, exit);
            }
        }
        Happening::Relaunched { pid, exit, next } => relaunched(service, turn, up, pid, exit, next),
        Happening::RelaunchFailed { pid, exit, why } => {
            if pid == up.pid {
                relaunch_failed(service, turn, up, exit, &why);
            }
        }
        Happening::LaunchFailed(why) => {
            // Only the adoption of a process is answered in this state: it had gone before.
            if up.adopted {
                service.explain(why);
                ended(service, turn, up, Exit::Unknown);
            }
        }
        Happening::Stop(cause) => stop(service, turn, up, 0, cause),
        Happening::Drain(cause) => drain(service, turn, up, cause),
        Happening::Restart(cause) => {
            service.start_after = true;
            stop(service, turn, up, 0, cause);
        }
        Happening::Kill => stop(service, turn, up, KILLED, Cause::Shutdown),
        Happening::Reloaded(result) => reloaded(service, turn, up, result),
        Happening::Redefined => service.state = State::Up(Up { no_standing: true, ..up }),
        Happening::Due => {
            if service.overrun().is_some_and(|limit| turn.now >= limit) {
                overran(service, turn, up);
            }
        }
        // It is up; a wish that has changed shows in the standing order.
        Happening::Start(_) => {}
        // The answer to an adoption, or one that a predecessor has had.
        Happening::Started(_) => {}
        // Of a generation before this one.
        Happening::TreeChecked(_) | Happening::FinishStarted | Happening::FinishExited(_) => {}
    }
}

fn ended(service: &mut Service, turn: &mut Turn<'_>, up: Up, exit: Exit) {
    service.record_exit(turn, exit);
    check(service, turn, up, false);
}

fn check(service: &mut Service, turn: &mut Turn<'_>, up: Up, relaunch_failed: bool) {
    let why = service.exited().to_string();
    service.fail(turn, &why, |waiting| waiting.goal == Goal::Reload);
    service.state = State::Checking(Checking { relaunch_failed });
    turn.act(|name| Action::CheckTree { name, main: up.pid });
}

fn relaunched(service: &mut Service, turn: &mut Turn<'_>, up: Up, pid: Pid, exit: Exit, next: Pid) {
    if pid != up.pid {
        // Taken over with the next one running already, and counted then: now its exit is known.
        if next == up.pid {
            service.last_exit = Some(exit);
        }
        return;
    }
    service.record_exit(turn, exit);
    let why = service.exited().to_string();
    service.tell_of_death(turn, &why);
    service.count_death(turn, Some(service.last_ran));
    service.restarts = service.restarts.saturating_add(1);
    service.record_start(turn, next);
    service.since = turn.now;
    let up = Up { pid: next, standing: Standing::None, paused: false, adopted: false, ..up };
    let cause = Cause::StandingOrder { exit };
    if service.wanted == Wanted::Once {
        // The order was carried out before it could be taken back: that end was its end.
        service.wanted = Wanted::Down;
        return stop(service, turn, up, 0, cause);
    }
    service.enter(turn, State::Up(up), cause);
}

fn relaunch_failed(service: &mut Service, turn: &mut Turn<'_>, up: Up, exit: Exit, why: &str) {
    service.record_exit(turn, exit);
    service.ended_well = false;
    service.restarts = service.restarts.saturating_add(1);
    service.explain(why);
    let exited = service.exited();
    service.note(turn, exited);
    check(service, turn, up, true);
}

/// `step` is where the stop schedule begins.
fn stop(service: &mut Service, turn: &mut Turn<'_>, up: Up, step: usize, cause: Cause) {
    if up.standing != Standing::None {
        turn.act(|name| Action::Unstand { name });
    }
    service.forget_reason();
    let stopping = Stopping { main: Main::Running(up.pid), step, deadline: None, draining: false };
    service.enter(turn, State::Stopping(stopping), cause);
    service.begin_schedule(turn, stopping);
}

/// The logger sees the end of its input and ends by itself.
fn drain(service: &mut Service, turn: &mut Turn<'_>, up: Up, cause: Cause) {
    if up.standing != Standing::None {
        turn.act(|name| Action::Unstand { name });
    }
    service.forget_reason();
    turn.act(|name| Action::CloseLogPipe { name });
    let stopping = Stopping { main: Main::Running(up.pid), step: 0, deadline: None, draining: true };
    service.enter(turn, State::Stopping(stopping), cause);
    service.drain(turn, stopping);
}

/// A oneshot took longer than it may.
fn overran(service: &mut Service, turn: &mut Turn<'_>, up: Up) {
    let why = format!("still running after {} (timeout-start)", short(service.policy.timeout_start));
    service.fail(turn, &why, |waiting| waiting.goal == Goal::Up);
    service.count_death(turn, Some(turn.now.since(service.last_start.unwrap_or(turn.now))));
    service.ended_well = false;
    stop(service, turn, up, 0, Cause::StartTimeout);
    service.explain(why);
}

fn reloaded(service: &mut Service, turn: &mut Turn<'_>, up: Up, result: Result<(), String>) {
    service.state = State::Up(Up { reloading: false, ..up });
    match result {
        Ok(()) => service.answer_goal(turn, Goal::Reload, &Outcome::Done),
        Err(why) => service.fail(turn, &why, |waiting| waiting.goal == Goal::Reload),
    }
}

impl Service {
    /// When a oneshot has run for too long.
    pub fn overrun(&self) -> Option<Time> {
        match self.kind {
            Kind::Oneshot => moment(self.last_start.unwrap_or(self.since), self.policy.timeout_start),
            Kind::Longrun => None,
        }
    }

    pub fn up_deadline(&self, up: Up) -> Option<Time> {
        let awaited = self.kind == Kind::Longrun && self.awaits(Goal::Up);
        let settled = if awaited { moment(self.since, super::SETTLE) } else { None };
        let proven = if self.has_to_prove(up) { moment(self.since, self.policy.backoff.reset) } else { None };
        [settled, proven, self.overrun()].into_iter().flatten().min()
    }

    /// Something changes once it has been up for `reset`.
    fn has_to_prove(&self, up: Up) -> bool {
        let stands = up.standing != Standing::Out && self.may_stand(up);
        stands || self.attempt > 0 || (self.advice && !up.adopted)
    }

    fn may_stand(&self, up: Up) -> bool {
        let policy = &self.policy;
        policy.may_stand
            && self.kind == Kind::Longrun
            && policy.restart == Restart::Always
            && !policy.has_finish
            && policy.give_up.is_none()
            && self.wanted == Wanted::Up
            && !self.removing
            && !up.paused
            && !up.adopted
            && !up.no_standing
    }

    /// The end of every step of a service that is up: what its age and the wishes mean.
    pub fn conclude_up(&mut self, turn: &mut Turn<'_>, mut up: Up) {
        up.no_standing |= turn.shutdown.is_some();
        let allowed = self.may_stand(up);
        if !allowed && up.standing != Standing::None {
            up.standing = Standing::None;
            turn.act(|name| Action::Unstand { name });
        }
        if turn.now.since(self.since) >= self.policy.backoff.reset {
            self.attempt = 0;
            if self.advice && !up.adopted {
                self.forget_reason();
            }
            if allowed && up.standing != Standing::Out {
                up.standing = Standing::Out;
                turn.act(|name| Action::Stand { name });
            }
        }
        self.state = State::Up(up);
        if self.kind == Kind::Longrun && self.settled(turn) {
            self.answer_goal(turn, Goal::Up, &Outcome::Done);
        }
    }
}

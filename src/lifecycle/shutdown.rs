//! The end of everything within a budget, and who has to end before whom.

use std::time::Duration;

use super::machine::Lifecycle;
use super::requests::Goal;
use super::service::{Happening, Service, State, Turn};
use super::{Action, Cause, Name, ShutdownTimes, Time};

/// The part of the budget that is kept for what has to be killed.
const KILL_PART: u32 = 9;

pub(super) struct Ending {
    pub times: ShutdownTimes,
    /// The time for schedules is over.
    pub killing: bool,
    /// A second wish was heard.
    pub hurried: bool,
    pub ended: bool,
    /// Whether all is over has to be looked at once all services are known.
    look: bool,
}

impl Ending {
    fn new(now: Time, budget: Duration) -> Self {
        let times = ShutdownTimes {
            kill_nanoseconds: (now + (budget - budget / KILL_PART)).nanoseconds,
            end_nanoseconds: (now + budget).nanoseconds,
        };
        Self { times, killing: false, hurried: false, ended: false, look: false }
    }

    /// The shutdown that a predecessor began.
    pub fn resumed(times: ShutdownTimes) -> Self {
        Self { times, killing: false, hurried: false, ended: false, look: true }
    }

    /// A tighter budget holds; a wider one does not lengthen what was promised.
    pub fn tighten(&mut self, times: ShutdownTimes) {
        let current = &mut self.times;
        current.kill_nanoseconds = current.kill_nanoseconds.min(times.kill_nanoseconds);
        current.end_nanoseconds = current.end_nanoseconds.min(times.end_nanoseconds);
    }

    pub fn deadline(&self) -> Option<Time> {
        if self.ended {
            return None;
        }
        let next = match (self.look, self.killing) {
            (true, _) => 0,
            (false, false) => self.times.kill_nanoseconds,
            (false, true) => self.times.end_nanoseconds,
        };
        Some(Time::from_nanoseconds(next))
    }
}

impl Lifecycle {
    pub(super) fn shut_down(&mut self, now: Time, budget: Duration, actions: &mut Vec<Action>) {
        let ending = Ending::new(now, budget);
        if let Some(current) = &mut self.ending {
            current.tighten(ending.times);
            for name in self.restless() {
                self.turn(now, &name, actions, |_, turn| turn.remember = true);
            }
            return;
        }
        self.ending = Some(ending);
        for name in self.restless() {
            let held = self.is_held(&name, false);
            let drain = self.is_last_reader(&name);
            self.turn(now, &name, actions, |service, turn| {
                turn.remember = true;
                service.fail(turn, "svc is shutting down", |waiting| waiting.goal == Goal::Up);
                if !service.rests() {
                    service.leave(turn, held, drain, Cause::Shutdown);
                }
            });
        }
        self.end_when_over(actions);
    }

    pub(super) fn hurry(&mut self, now: Time, actions: &mut Vec<Action>) {
        if let Some(ending) = &mut self.ending {
            ending.hurried = true;
            ending.times.kill_nanoseconds = ending.times.kill_nanoseconds.min(now.nanoseconds);
            self.kill_all(now, actions);
            self.end_when_over(actions);
        }
    }

    pub(super) fn tick_shutdown(&mut self, now: Time, actions: &mut Vec<Action>) {
        let Some(ending) = &mut self.ending else {
            return;
        };
        ending.look = false;
        if now.nanoseconds >= ending.times.kill_nanoseconds && !ending.killing {
            self.kill_all(now, actions);
        }
        self.end_when_over(actions);
        if let Some(ending) = &mut self.ending
            && now.nanoseconds >= ending.times.end_nanoseconds
            && !ending.ended
        {
            ending.ended = true;
            self.answer_all(now, actions);
            actions.push(Action::Ended);
        }
    }

    fn kill_all(&mut self, now: Time, actions: &mut Vec<Action>) {
        if let Some(ending) = &mut self.ending {
            ending.killing = true;
        }
        for name in self.restless() {
            self.turn(now, &name, actions, |service, turn| {
                turn.remember = true;
                service.happen(turn, Happening::Kill);
            });
        }
    }

    pub(super) fn end_when_over(&mut self, actions: &mut Vec<Action>) {
        if let (Some(ending), 0) = (&mut self.ending, self.busy)
            && !ending.ended
            && !ending.look
        {
            ending.ended = true;
            actions.push(Action::Ended);
        }
    }

    /// The budget is used up: nobody will be there to answer later.
    fn answer_all(&mut self, now: Time, actions: &mut Vec<Action>) {
        for name in self.restless() {
            self.turn(now, &name, actions, |service, turn| {
                let why = format!("svc ended before {} was down", turn.name);
                service.fail(turn, &why, |_| true);
            });
        }
    }

    fn restless(&self) -> Vec<Name> {
        self.services.iter().filter(|(_, service)| !service.rests()).map(|(name, _)| name.clone()).collect()
    }

    /// A logger that has to wait for the end of its service. When it is removed alone, while its
    /// service stays, nothing holds it.
    pub(super) fn is_held(&self, name: &Name, removed: bool) -> bool {
        let logged = name.logged_service().and_then(|service| self.services.get(&service));
        logged.is_some_and(|service| {
            !service.rests() && (!removed || service.removing || self.ending.is_some())
        })
    }

    /// A logger into whose pipe nothing will be written any more.
    pub(super) fn is_last_reader(&self, name: &Name) -> bool {
        name.logged_service().is_some_and(|service| match self.services.get(&service) {
            Some(service) => service.rests() && self.ending.is_some(),
            None => true,
        })
    }

    /// `name` has come to rest, for good when `forgotten`: a logger that waited for it may go.
    pub(super) fn release_logger(
        &mut self,
        now: Time,
        name: &Name,
        forgotten: bool,
        actions: &mut Vec<Action>,
    ) {
        let shutdown = self.ending.is_some();
        if !(forgotten || shutdown) {
            return;
        }
        let cause = if shutdown { Cause::Shutdown } else { Cause::Removed };
        self.turn(now, &name.logger(), actions, |service, turn| {
            if (shutdown || service.removing) && !service.rests() {
                service.leave(turn, false, true, cause);
            }
        });
    }
}

impl Service {
    /// It has to go because it is removed or svc ends; a logger (`held`) not before its service.
    pub(super) fn leave(&mut self, turn: &mut Turn<'_>, held: bool, drain: bool, cause: Cause) {
        let needed = held && matches!(self.state, State::Starting(_) | State::Up(_));
        if needed {
            return;
        }
        let happening = if drain && !turn.killing { Happening::Drain(cause) } else { Happening::Stop(cause) };
        self.happen(turn, happening);
    }
}

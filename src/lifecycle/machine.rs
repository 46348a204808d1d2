//! All services together: an event finds its service, and what was decided goes out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::requests::Goal;
use super::service::{Happening, Service, State, Turn};
use super::shutdown::Ending;
use super::{
    Action, Asker, Cause, Event, Memory, Name, Outcome, Pid, Policy, RequestId, Time, Verb, View, Wanted,
    checking, finishing, resting, starting, stopping, up,
};

/// How many policies are kept for services that have the same.
const POLICIES_SHARED: usize = 8;

/// The life-cycle of all services: `step` takes what happened and says what is to be done.
#[derive(Default)]
pub struct Lifecycle {
    /// Boxed: a tree keeps room for half as many again.
    pub(super) services: BTreeMap<Name, Box<Service>>,
    /// One deadline a service, at most.
    deadlines: BTreeSet<(Time, Name)>,
    pub(super) ending: Option<Ending>,
    /// Services that are not at rest.
    pub(super) busy: usize,
    policies: Vec<Arc<Policy>>,
}

impl Lifecycle {
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends to `actions` what is to be done now, in this order. `now` never goes back.
    pub fn step(&mut self, now: Time, event: Event, actions: &mut Vec<Action>) {
        match event {
            Event::Define { name, policy } => self.define(now, &name, policy, actions),
            Event::Remove { name } => self.remove(now, &name, actions),
            Event::Resume { name, memory, running } => self.resume(now, &name, memory, running, actions),
            Event::Boot { name } => self.turn(now, &name, actions, boot),
            Event::Request { id, verb, name, by } => self.request(now, &name, id, verb, by, actions),
            Event::Forget { id } => self.forget(id),
            Event::Started { name, pid } => self.happen(now, &name, Happening::Started(pid), actions),
            Event::LaunchFailed { name, cause } => {
                self.happen(now, &name, Happening::LaunchFailed(cause), actions);
            }
            Event::Exited { name, pid, exit } => {
                self.happen(now, &name, Happening::Exited { pid, exit }, actions);
            }
            Event::Relaunched { name, pid, exit, next } => {
                self.happen(now, &name, Happening::Relaunched { pid, exit, next }, actions);
            }
            Event::RelaunchFailed { name, pid, exit, cause: why } => {
                self.happen(now, &name, Happening::RelaunchFailed { pid, exit, why }, actions);
            }
            Event::TreeChecked { name, found } => {
                self.happen(now, &name, Happening::TreeChecked(found), actions);
            }
            Event::FinishStarted { name, pid: _ } => {
                self.happen(now, &name, Happening::FinishStarted, actions);
            }
            Event::FinishExited { name, exit } => {
                self.happen(now, &name, Happening::FinishExited(exit), actions);
            }
            Event::Reloaded { name, result } => self.happen(now, &name, Happening::Reloaded(result), actions),
            Event::Shutdown { budget } => together(actions, |actions| self.shut_down(now, budget, actions)),
            Event::Hurry => together(actions, |actions| self.hurry(now, actions)),
            Event::Tick => together(actions, |actions| self.tick(now, actions)),
        }
    }

    /// When `Tick` is due next, at the latest. It may lie in the past: then it is due at once.
    pub fn next_deadline(&self) -> Option<Time> {
        let ending = self.ending.as_ref().and_then(Ending::deadline);
        let service = self.deadlines.first().map(|(time, _)| *time);
        [ending, service].into_iter().flatten().min()
    }

    pub fn view(&self, name: &Name) -> Option<View> {
        self.services.get(name).map(|service| service.view())
    }

    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.services.keys()
    }

    pub fn policy(&self, name: &Name) -> Option<&Policy> {
        self.services.get(name).map(|service| service.policy.as_ref())
    }

    pub fn shutting_down(&self) -> bool {
        self.ending.is_some()
    }

    /// What a successor would have to know of it now.
    pub fn memory(&self, name: &Name) -> Option<Memory> {
        let times = self.ending.as_ref().map(|ending| ending.times);
        self.services.get(name).map(|service| service.memory(times))
    }

    fn define(&mut self, now: Time, name: &Name, policy: Policy, actions: &mut Vec<Action>) {
        let policy = self.share(policy);
        if !self.services.contains_key(name) {
            self.services.insert(name.clone(), Box::new(Service::new(policy, now)));
            return;
        }
        let mut came_back = false;
        self.turn(now, name, actions, |service, turn| {
            service.policy = policy;
            if service.removing {
                service.come_back(turn);
                came_back = true;
            }
            service.happen(turn, Happening::Redefined);
        });
        if came_back && self.ending.is_none() {
            // Its logger does not wait for its end any more.
            self.turn(now, &name.logger(), actions, |logger, turn| {
                if logger.removing && !logger.rests() {
                    logger.leave(turn, false, false, Cause::Removed);
                }
            });
        }
    }

    /// Most services have the policy of their neighbours.
    fn share(&mut self, policy: Policy) -> Arc<Policy> {
        if let Some(known) = self.policies.iter().find(|known| ***known == policy) {
            return known.clone();
        }
        if self.policies.len() >= POLICIES_SHARED {
            self.policies.remove(0);
        }
        let policy = Arc::new(policy);
        self.policies.push(policy.clone());
        policy
    }

    fn remove(&mut self, now: Time, name: &Name, actions: &mut Vec<Action>) {
        let held = self.is_held(name, true);
        let drain = self.is_last_reader(name);
        self.turn(now, name, actions, |service, turn| {
            let why = format!("{} is being removed", turn.name);
            service.fail(turn, &why, |waiting| matches!(waiting.goal, Goal::Up | Goal::Reload));
            service.removing = true;
            if service.rests() {
                turn.forget = true;
            } else {
                service.leave(turn, held, drain, Cause::Removed);
            }
        });
    }

    fn resume(
        &mut self,
        now: Time,
        name: &Name,
        memory: Memory,
        running: Option<Pid>,
        actions: &mut Vec<Action>,
    ) {
        match (memory.shutdown, &mut self.ending) {
            (Some(times), Some(ending)) => ending.tighten(times),
            (Some(times), None) => self.ending = Some(Ending::resumed(times)),
            (None, _) => {}
        }
        let shutdown = self.ending.is_some();
        let held = shutdown && self.is_held(name, false);
        let drain = shutdown && self.is_last_reader(name);
        self.turn(now, name, actions, |service, turn| {
            service.resume(turn, memory, running);
            if service.must_stop(turn) && !service.rests() {
                let cause = if shutdown { Cause::Shutdown } else { Cause::TakenOver };
                service.leave(turn, held, drain, cause);
            }
        });
    }

    fn request(
        &mut self,
        now: Time,
        name: &Name,
        id: RequestId,
        verb: Verb,
        by: Asker,
        actions: &mut Vec<Action>,
    ) {
        if self.services.contains_key(name) {
            return self.turn(now, name, actions, |service, turn| service.request(turn, id, verb, by));
        }
        let outcome = Outcome::Failed { why: format!("there is no service {name}") };
        actions.push(Action::Answer { id, name: name.clone(), outcome });
    }

    fn forget(&mut self, id: RequestId) {
        let waited_for = self.services.values_mut().filter(|service| !service.waiting.is_empty());
        waited_for.for_each(|service| service.forget_request(id));
    }

    fn tick(&mut self, now: Time, actions: &mut Vec<Action>) {
        let due: Vec<Name> = self
            .deadlines
            .iter()
            .take_while(|(time, _)| *time <= now)
            .map(|(_, name)| name.clone())
            .collect();
        for name in due {
            self.happen(now, &name, Happening::Due, actions);
        }
        self.tick_shutdown(now, actions);
    }

    pub(super) fn happen(&mut self, now: Time, name: &Name, happening: Happening, actions: &mut Vec<Action>) {
        self.turn(now, name, actions, |service, turn| service.happen(turn, happening));
        self.end_when_over(actions);
    }

    /// One service takes a step; then what it keeps is remembered, its deadline set, and those who
    /// wait for its end are told. An unknown name is news of a service that was forgotten.
    pub(super) fn turn(
        &mut self,
        now: Time,
        name: &Name,
        actions: &mut Vec<Action>,
        step: impl FnOnce(&mut Service, &mut Turn<'_>),
    ) {
        let Some(service) = self.services.get_mut(name) else {
            return;
        };
        let shutdown = self.ending.as_ref().map(|ending| ending.times);
        let killing = self.ending.as_ref().is_some_and(|ending| ending.killing);
        let hurried = self.ending.as_ref().is_some_and(|ending| ending.hurried);
        let (before, rested) = (service.memory(shutdown), service.rests());
        let mut turn =
            Turn { now, name, shutdown, killing, hurried, actions, forget: false, remember: false };
        step(service, &mut turn);
        if let State::Up(up) = service.state {
            service.conclude_up(&mut turn, up);
        }
        let (forget, remember) = (turn.forget, turn.remember);
        let after = service.memory(shutdown);
        let (rests, deadline) = (service.rests(), service.deadline());
        if service.registered != deadline {
            if let Some(former) = service.registered {
                self.deadlines.remove(&(former, name.clone()));
            }
            if let (Some(next), false) = (deadline, forget) {
                self.deadlines.insert((next, name.clone()));
            }
            service.registered = deadline;
        }
        self.busy = (self.busy + usize::from(!rests)).saturating_sub(usize::from(!rested));
        if forget {
            self.services.remove(name);
            actions.push(Action::Forgotten { name: name.clone() });
        } else if remember || after != before {
            actions.push(Action::Remember { name: name.clone(), memory: after });
        }
        if forget || (rests && !rested) {
            self.release_logger(now, name, forget, actions);
        }
    }
}

/// A step in which a service may take several turns: it is remembered once, after the last.
fn together(actions: &mut Vec<Action>, step: impl FnOnce(&mut Vec<Action>)) {
    let start = actions.len();
    step(actions);
    let mut remembered = BTreeSet::new();
    let mut kept: Vec<Action> = actions
        .drain(start..)
        .rev()
        .filter(|action| !matches!(action, Action::Remember { name, .. } if !remembered.insert(name.clone())))
        .collect();
    kept.reverse();
    actions.append(&mut kept);
}

fn boot(service: &mut Service, turn: &mut Turn<'_>) {
    // A successor does not boot again what was down, even if it is enabled by then.
    turn.remember = true;
    // Whatever is not down was booted before, or taken over.
    if let (State::Down, true, None) = (service.state, service.policy.enabled, turn.shutdown) {
        service.wanted = Wanted::Up;
        service.happen(turn, Happening::Start(Cause::Boot));
    }
}

impl Service {
    /// One function per state.
    pub(super) fn happen(&mut self, turn: &mut Turn<'_>, happening: Happening) {
        match self.state {
            State::Down => resting::down(self, turn, happening),
            State::Done | State::Failed => resting::done_or_failed(self, turn, happening),
            State::Backoff(delay) => resting::backoff(self, turn, delay, happening),
            State::Starting(starting) => starting::starting(self, turn, starting, happening),
            State::Up(up) => up::up(self, turn, up, happening),
            State::Checking(checking) => checking::checking(self, turn, checking, happening),
            State::Stopping(stopping) => stopping::stopping(self, turn, stopping, happening),
            State::Finishing(finishing) => finishing::finishing(self, turn, finishing, happening),
        }
    }

    /// It was about to be removed and its directory is there again.
    pub(super) fn come_back(&mut self, turn: &mut Turn<'_>) {
        self.removing = false;
        match self.state {
            // A logger that was still needed: it simply goes on.
            State::Starting(_) | State::Up(_) => {}
            State::Checking(_) | State::Stopping(_) | State::Finishing(_) => {
                self.wanted = if self.policy.enabled { Wanted::Up } else { Wanted::Down };
                self.start_after = self.policy.enabled;
                if self.start_after {
                    let why = format!("the directory of {} is there again", turn.name);
                    self.fail(turn, &why, |waiting| waiting.goal == Goal::Down);
                }
            }
            // With nothing to stop it would have been forgotten at once.
            State::Down | State::Backoff(_) | State::Done | State::Failed => {}
        }
    }
}

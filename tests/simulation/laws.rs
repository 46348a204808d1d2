//! The laws that are checked on what the core says: its own account of every service, kept apart
//! from the core and as simply as possible.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use svc::lifecycle::{
    Action, Cause, Event, Kind, Lifecycle, Name, Outcome, Policy, RequestId, Restart, SETTLE, StateWord,
    Time, Transition, Verb, View, Wanted,
};

#[derive(Default)]
struct Account {
    policy: Option<Policy>,
    present: bool,
    /// The last wish was to be down.
    down_wished: bool,
    /// Main processes that ended, as the world knows, and as the core has told.
    exits: u64,
    told: u64,
    attempt: u32,
    restarts: u64,
    /// A wish came between the death and the look at the tree: it is no death for the delay.
    wish_since_death: bool,
    died_in_up: Option<u64>,
    started: Option<Time>,
    /// Of the run that was launched last.
    oneshot: bool,
    next_start: Option<Time>,
}

#[derive(Default)]
pub struct Laws {
    accounts: BTreeMap<Name, Account>,
    open: BTreeMap<(RequestId, Name), Verb>,
    end: Option<Time>,
    taken_over: bool,
    now: Time,
}

/// As DESIGN.md section 9 says it, written a second time.
fn expected_delay(policy: &Policy, name: &Name, deaths: u32) -> Duration {
    let mut delay = policy.backoff.first.as_nanos();
    for _ in 1..deaths {
        delay = (delay * 2).min(policy.backoff.max.as_nanos());
    }
    let mut hash: u64 = 14_695_981_039_346_656_037;
    for byte in name.as_str().as_bytes().iter().chain(&deaths.to_le_bytes()) {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(1_099_511_628_211);
    }
    let permille = u128::from(900 + hash % 201);
    Duration::from_nanos((delay.min(policy.backoff.max.as_nanos()) * permille / 1_000) as u64)
}

impl Laws {
    fn account(&mut self, name: &Name) -> &mut Account {
        self.accounts.entry(name.clone()).or_default()
    }

    pub fn defined(&mut self, name: &Name, policy: &Policy, goes_on: bool) {
        let account = self.account(name);
        if !account.present && !goes_on {
            account.down_wished = !policy.enabled;
            account.wish_since_death = true;
        }
        (account.policy, account.present) = (Some(policy.clone()), true);
    }

    /// It has been up for so long under the definition that ends now.
    pub fn proven(&mut self, name: &Name, up: Duration) {
        let account = self.account(name);
        if account.policy.as_ref().is_some_and(|policy| up >= policy.backoff.reset) {
            account.attempt = 0;
        }
    }

    pub fn removed(&mut self, name: &Name) {
        let account = self.account(name);
        (account.present, account.wish_since_death) = (false, true);
    }

    pub fn exits(&mut self, name: &Name) {
        self.account(name).exits += 1;
    }

    pub fn shutdown(&mut self, now: Time, budget: Duration) {
        let end = now + budget;
        self.end = Some(self.end.map_or(end, |earlier| earlier.min(end)));
        for account in self.accounts.values_mut() {
            account.wish_since_death = true;
        }
    }

    pub fn supervisor_died(&mut self) {
        self.open.clear();
        self.taken_over = true;
    }

    pub fn before(&mut self, now: Time, core: &Lifecycle, event: &Event) {
        self.now = now;
        match event {
            Event::Request { id, verb, name, .. } => {
                self.open.insert((*id, name.clone()), *verb);
                let refused = self.end.is_some() || !self.account(name).present || core.view(name).is_none();
                let account = self.account(name);
                match verb {
                    Verb::Down => (account.down_wished, account.wish_since_death) = (true, true),
                    Verb::Up | Verb::Once | Verb::Restart if !refused => {
                        (account.down_wished, account.wish_since_death) = (false, true);
                    }
                    _ => {}
                }
            }
            Event::Forget { id } => self.open.retain(|(open, _), _| open != id),
            Event::Exited { name, pid, .. } | Event::RelaunchFailed { name, pid, .. } => {
                // Proven under the definition of that moment, even if another decides the delay.
                if let Some(view) =
                    core.view(name).filter(|view| view.pid == Some(*pid) && view.state == StateWord::Up)
                {
                    self.proven(name, now.since(view.since));
                }
                self.account(name).wish_since_death = false;
            }
            _ => {}
        }
    }

    /// What must hold of the actions of one step as a whole.
    pub fn after_step(&mut self, core: &Lifecycle, actions: &[Action]) -> Result<(), String> {
        let mut remembered = BTreeSet::new();
        for action in actions {
            let name = match action {
                Action::Remember { name, memory } => {
                    if !remembered.insert(name.clone()) {
                        return Err(format!("{name} is remembered twice in one step"));
                    }
                    if core.view(name).is_none() || core.memory(name).as_ref() != Some(memory) {
                        return Err(format!("what is remembered of {name} is not what it is"));
                    }
                    continue;
                }
                Action::Changed { name, .. } | Action::Launch { name } | Action::Signal { name, .. } => name,
                _ => continue,
            };
            if remembered.contains(name) {
                return Err(format!("{name} was remembered before its last action"));
            }
        }
        match (core.shutting_down(), self.end) {
            (true, None) => Err("it shuts down and nobody asked".to_string()),
            (false, Some(_)) => Ok(()),
            _ => Ok(()),
        }
    }

    pub fn action(&mut self, now: Time, core: &Lifecycle, action: &Action) -> Result<(), String> {
        match action {
            Action::Launch { name } => {
                // Law 2: what is not wanted is never started.
                let ending = self.end.is_some() && core.shutting_down();
                let account = self.account(name);
                if account.down_wished || !account.present || ending {
                    return Err(format!(
                        "law 2: {name} is started, unwanted ({}) or removed ({}) or at the end ({ending})",
                        account.down_wished, !account.present
                    ));
                }
                account.oneshot = account.policy.as_ref().is_some_and(|policy| policy.kind == Kind::Oneshot);
                Ok(())
            }
            Action::Changed { name, transition } => self.changed(now, core, name, transition),
            Action::Answer { id, name, outcome } => self.answered(now, core, *id, name, outcome),
            Action::Forgotten { name } => {
                let account = self.account(name);
                let (exits, told) = (account.exits, account.told);
                *account = Account { policy: account.policy.take(), down_wished: true, ..Account::default() };
                if exits != told {
                    return Err(format!("law 6: {name} had {exits} exits and {told} were told"));
                }
                let open = self.open.keys().filter(|(_, open)| open == name).count();
                if open > 0 {
                    Err(format!("law 6: {name} is forgotten with {open} requests"))
                } else {
                    Ok(())
                }
            }
            // Law 7.
            Action::Ended => match self.end {
                Some(end) if now <= end => Ok(()),
                _ => Err("law 7: ended too late, or unasked".to_string()),
            },
            _ => Ok(()),
        }
    }

    fn answered(
        &mut self,
        now: Time,
        core: &Lifecycle,
        id: RequestId,
        name: &Name,
        outcome: &Outcome,
    ) -> Result<(), String> {
        let Some(verb) = self.open.remove(&(id, name.clone())) else {
            return Err(format!("law 6: {} of {name} is answered and not open", id.0));
        };
        let Some(view) = core.view(name) else {
            return Ok(());
        };
        let longrun = !self.account(name).oneshot;
        let good = matches!(outcome, Outcome::Done | Outcome::Already);
        let up = matches!(verb, Verb::Up | Verb::Once | Verb::Restart);
        if good && up && longrun && !(view.state == StateWord::Up && now.since(view.since) >= SETTLE) {
            return Err(format!("{verb} of {name} is answered {outcome:?} while it is {}", view.state));
        }
        let repeats = core.policy(name).is_some_and(|policy| policy.restart != Restart::Never);
        if good && up && !longrun && !repeats && view.state != StateWord::Done {
            return Err(format!("{verb} of {name} is answered {outcome:?} while it is {}", view.state));
        }
        if good && verb == Verb::Down && !matches!(view.state, StateWord::Down) {
            return Err(format!("law 4: down of {name} is answered while it is {}", view.state));
        }
        Ok(())
    }

    fn changed(
        &mut self,
        now: Time,
        core: &Lifecycle,
        name: &Name,
        change: &Transition,
    ) -> Result<(), String> {
        let view = core.view(name);
        let taken_over = self.taken_over;
        let account = self.account(name);
        let Some(policy) = account.policy.clone() else {
            return Err(format!("{name} changes and was never defined"));
        };
        account.count(now, change, &policy);
        let Some(view) = view else {
            return Ok(());
        };
        let restarted = view.restarts > account.restarts;
        account.restarts = view.restarts;
        match (change.to, &change.cause) {
            (StateWord::Backoff, _) => {
                // Law 5.
                let expected = now + expected_delay(&policy, name, account.attempt);
                if account.attempt == 0 || view.next_start != Some(expected) {
                    return Err(format!(
                        "law 5: {name} after {} deaths: next start {:?}, expected {expected:?}",
                        account.attempt, view.next_start
                    ));
                }
                account.next_start = view.next_start;
                Ok(())
            }
            (StateWord::Starting, Cause::DelayOver) => {
                let due = account.next_start.take();
                let late = taken_over && due.is_some_and(|due| now >= due);
                if due == Some(now) || late {
                    Ok(())
                } else {
                    Err(format!("law 5: {name} at {now:?}, due {due:?}"))
                }
            }
            (StateWord::Starting, Cause::Boot | Cause::Request { .. }) => {
                account.attempt = 0;
                Ok(())
            }
            // At once, because it was asked for or because no delay is due.
            (StateWord::Starting, _) if change.from != StateWord::Starting => {
                let none = account.attempt == 0 || expected_delay(&policy, name, account.attempt).is_zero();
                if restarted && !none {
                    return Err(format!("law 5: {name} restarts at once after {} deaths", account.attempt));
                }
                if !restarted {
                    account.attempt = 0;
                }
                Ok(())
            }
            (StateWord::Down | StateWord::Done, _) => {
                account.attempt = 0;
                Ok(())
            }
            (StateWord::Failed, cause) => {
                if *cause == Cause::FinishSaidStayDown {
                    account.down_wished = true;
                }
                Ok(())
            }
            (_, _) => Ok(()),
        }
    }

    pub fn check_calm(&self, name: &Name, view: &View, kept: bool) -> Result<(), String> {
        let Some(account) = self.accounts.get(name) else {
            return Ok(());
        };
        if account.exits != account.told {
            return Err(format!("law 6: {name} had {} exits and {} were told", account.exits, account.told));
        }
        if account.down_wished && view.state == StateWord::Up {
            return Err(format!("law 2: {name} is up and wanted down"));
        }
        // Kept by its policy now, when it came to rest by an earlier one.
        let earlier = view.reason.as_ref().is_some_and(|reason| reason.contains("not restarted"));
        if kept
            && !earlier
            && view.wanted == Wanted::Up
            && !matches!(view.state, StateWord::Up | StateWord::Done | StateWord::Failed)
        {
            return Err(format!("law 2: {name} is wanted up and {}", view.state));
        }
        let waits = |((_, open), verb): (&(RequestId, Name), &Verb)| open == name && *verb != Verb::Wait;
        let runs = view.state == StateWord::Up && account.oneshot;
        if !runs && self.open.iter().any(waits) {
            return Err(format!("law 6: a request of {name} is not answered: {:?}", self.open));
        }
        Ok(())
    }

    pub fn check_end(&self, ended: bool) -> Result<(), String> {
        if !ended {
            return Err("law 7: the shutdown does not end".to_string());
        }
        if self.open.is_empty() { Ok(()) } else { Err(format!("law 6: never answered: {:?}", self.open)) }
    }
}

impl Account {
    /// Law 6, and the deaths that the delay depends on.
    fn count(&mut self, now: Time, change: &Transition, policy: &Policy) {
        let up = self.started.map_or(Duration::ZERO, |started| now.since(started)).as_nanos() as u64;
        let begins = matches!(
            change.cause,
            Cause::Started | Cause::StandingOrder { .. } | Cause::TakenOver | Cause::Adopted { .. }
        );
        if begins {
            self.started = Some(now);
        }
        let own = change.from == StateWord::Up;
        let after = |attempt: u32, ran: u64| {
            if u128::from(ran) >= policy.backoff.reset.as_nanos() { 0 } else { attempt + 1 }
        };
        match &change.cause {
            Cause::Exited { ran_nanoseconds, .. } => {
                self.told += 1;
                if own && change.to == StateWord::Up {
                    // Followed elsewhere, or a standing order that failed: the next change tells.
                    self.died_in_up = Some(*ran_nanoseconds);
                } else if own && !self.wish_since_death {
                    self.attempt = after(self.attempt, *ran_nanoseconds);
                }
            }
            Cause::StandingOrder { .. } => {
                self.told += 1;
                if own {
                    self.attempt = after(self.attempt, up);
                }
            }
            Cause::LaunchFailed { .. } => {
                if let (Some(ran), false) = (self.died_in_up.take(), self.wish_since_death) {
                    self.attempt = after(self.attempt, ran) + 1;
                } else if change.from == StateWord::Starting {
                    self.attempt += 1;
                }
            }
            Cause::StartTimeout if own => {
                self.attempt = after(self.attempt, up);
            }
            Cause::GaveUp { .. } => self.died_in_up = None,
            Cause::Adopted { .. } => {
                let ran = self.died_in_up.take().unwrap_or(0);
                if after(0, ran) == 0 {
                    self.attempt = 0;
                }
            }
            _ => {}
        }
    }
}

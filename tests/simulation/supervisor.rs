//! The supervisor of the model: performs actions, dies at any moment, and takes over.

use std::time::Duration;

use svc::lifecycle::{Action, Event, Exit, Lifecycle, Name, Pid, Scope, Signal, StateWord, Time};

use crate::world::{Incident, Process, World};

impl World {
    pub fn perform(&mut self, action: Action) -> Result<(), String> {
        match action {
            Action::Launch { name } => {
                self.births += 1;
                let mut random = self.random(&name, self.births);
                if self.service(&name).launching {
                    return Err(format!("law 1: a second launch of {name} while one is out"));
                }
                self.service(&name).launching = true;
                let slow = !self.calm && random.percent(5);
                let wait = random.time(if slow { 20_000 } else { 10 });
                self.later(wait, Incident::LaunchDone { name });
            }
            Action::Finish { name, exit: _, main: _ } => self.run_finish(name)?,
            Action::KillFinish { name } => {
                match (self.service(&name).finish, self.service(&name).finish_exit) {
                    (Some(number), _) => {
                        let exit = Exit::Signal { signal: Signal::KILL, core: false };
                        self.later(Duration::from_millis(1), Incident::FinishEnds { name, number, exit });
                    }
                    (None, None) => {
                        self.deliver(Duration::ZERO, Event::FinishExited { name, exit: Exit::Unknown });
                    }
                    (None, Some(_)) => {}
                }
            }
            Action::Signal { name, signal, scope } => self.signal(&name, signal, scope),
            Action::CheckTree { name, main: _ } => {
                let found = self.tree(&name);
                self.deliver(Duration::ZERO, Event::TreeChecked { name, found });
            }
            Action::Adopt { name, pid } => self.adopt(name, pid),
            Action::Stand { name } => {
                let service = self.service(&name);
                service.standing = service.main.is_some() && service.unacknowledged.is_empty();
            }
            Action::Unstand { name } => self.service(&name).standing = false,
            Action::Reload { name } => {
                let mut random = self.random(&name, self.steps);
                let result = if random.percent(70) { Ok(()) } else { Err("it refused".to_string()) };
                self.deliver(Duration::from_millis(3), Event::Reloaded { name, result });
            }
            Action::Remember { name, memory } => self.service(&name).note = Some(memory),
            Action::Changed { name, transition } => {
                // Law 4: at rest means that nothing is left.
                let rests = matches!(transition.to, StateWord::Down | StateWord::Done | StateWord::Failed);
                if rests && !self.is_empty(&name) {
                    return Err(format!("law 4: {name} is {} and not empty", transition.to));
                }
            }
            Action::Forgotten { name } => {
                self.service(&name).note = None;
                if !self.is_empty(&name) {
                    return Err(format!("law 4: {name} is forgotten and not empty"));
                }
            }
            Action::Ended => self.ended = true,
            Action::CloseLogPipe { .. } | Action::Answer { .. } => {}
        }
        Ok(())
    }

    pub fn run_finish(&mut self, name: Name) -> Result<(), String> {
        if !self.is_empty(&name) {
            return Err(format!("finish of {name} runs while something is left"));
        }
        self.births += 1;
        let number = self.births;
        let mut random = self.random(&name, number);
        self.service(&name).finish = Some(number);
        self.deliver(Duration::ZERO, Event::FinishStarted { name: name.clone(), pid: Pid(9) });
        let code = if self.calm { 0 } else { random.pick(&[0, 0, 0, 1, 125]) };
        if self.calm || random.percent(80) {
            let wait = random.time(if self.calm { 10 } else { 8_000 });
            self.later(wait, Incident::FinishEnds { name, number, exit: Exit::Code(code) });
        }
        Ok(())
    }

    pub fn signal(&mut self, name: &Name, signal: Signal, scope: Scope) {
        let now_kills = signal == Signal::KILL;
        if !now_kills && ![1, 2, 3, 15].contains(&signal.0) {
            return;
        }
        let when = |process: &Process| if now_kills { Some(process.kill) } else { process.gentle };
        let service = self.service(name);
        let main = service.main.as_ref().and_then(|main| when(main).map(|wait| (main.pid, wait)));
        let reached = |other: &&Process| match scope {
            Scope::Tree => true,
            Scope::Group => !other.setsid,
            Scope::Main => false,
        };
        let others: Vec<(Pid, Duration)> = service
            .others
            .iter()
            .filter(reached)
            .filter_map(|other| when(other).map(|wait| (other.pid, wait)))
            .collect();
        if let Some((pid, wait)) = main {
            let exit = Exit::Signal { signal, core: false };
            self.later(wait, Incident::MainEnds { name: name.clone(), pid, exit });
        }
        for (pid, wait) in others {
            self.later(wait, Incident::OtherEnds { name: name.clone(), pid });
        }
    }

    pub fn adopt(&mut self, name: Name, pid: Pid) {
        let service = self.service(&name);
        match service.others.iter().position(|other| other.pid == pid) {
            Some(index) => {
                service.main = Some(service.others.remove(index));
                service.entry = None;
                self.deliver(Duration::ZERO, Event::Started { name, pid });
            }
            None => {
                // Its end was seen by nobody: an exit of unknown kind.
                self.laws.exits(&name);
                let cause = "no such child".to_string();
                self.deliver(Duration::ZERO, Event::LaunchFailed { name, cause });
            }
        }
    }

    /// The supervisor dies and the next one takes over from the guardian's table and notes.
    pub fn take_over(&mut self, acknowledged: bool) -> Result<(), String> {
        // The exit in hand was dealt with, or at least remembered.
        let next = self.queue.iter().find(|(_, incident)| matches!(incident, Incident::Deliver(_)));
        if let Some((key, Incident::Deliver(event))) = next.map(|(key, incident)| (*key, incident.clone())) {
            self.queue.remove(&key);
            self.step(event.clone())?;
            if acknowledged {
                self.acknowledge(&event);
            }
        }
        // Orders that were sent are carried out before the next one says Hello.
        let waiting: Vec<(Time, u64)> = self
            .queue
            .iter()
            .filter(|(_, incident)| matches!(incident, Incident::LaunchDone { .. }))
            .map(|(key, _)| *key)
            .collect();
        for key in waiting {
            if let Some(incident) = self.queue.remove(&key) {
                self.happen(incident)?;
            }
        }
        if self.ended {
            return Ok(());
        }
        self.queue.retain(|_, incident| !matches!(incident, Incident::Deliver(_)));
        self.last_delivery = self.now;
        self.core = Lifecycle::new();
        self.laws.supervisor_died();
        self.taking_over = true;
        let names: Vec<Name> = self.services.keys().cloned().collect();
        for name in &names {
            let service = self.service(name);
            let known = service.present || service.note.is_some();
            if let (true, Some(policy)) = (known, service.policy.clone()) {
                self.step(Event::Define { name: name.clone(), policy })?;
            }
        }
        for name in &names {
            let service = self.service(name);
            let running = service.main.as_ref().map(|main| main.pid).or(service.entry);
            match (service.note.clone(), service.present) {
                (Some(memory), _) => self.step(Event::Resume { name: name.clone(), memory, running })?,
                (None, true) => self.step(Event::Boot { name: name.clone() })?,
                (None, false) => {}
            }
        }
        for name in &names {
            if !self.service(name).present && self.core.view(name).is_some() {
                self.step(Event::Remove { name: name.clone() })?;
            }
        }
        self.report_again(&names)?;
        self.taking_over = false;
        self.check_hope()
    }

    /// What the guardian holds until it is acknowledged.
    pub fn report_again(&mut self, names: &[Name]) -> Result<(), String> {
        for name in names {
            let events: Vec<Event> =
                self.service(name).unacknowledged.iter().map(|ended| ended.event.clone()).collect();
            for event in events {
                self.step(event.clone())?;
                self.acknowledge(&event);
            }
            let finishing = self.core.view(name).is_some_and(|view| view.state == StateWord::Finishing);
            let service = self.service(name);
            if finishing && service.finish.is_none() {
                let exit = service.finish_exit.take().unwrap_or(Exit::Unknown);
                self.step(Event::FinishExited { name: name.clone(), exit })?;
            }
            self.service(name).finish_exit = None;
        }
        Ok(())
    }
}

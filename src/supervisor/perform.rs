//! Actions of the life-cycle become deeds. The one file that acts on the world.

use std::fs;
use std::path::Path;

use super::boot::Note;
use super::event_loop::{Supervisor, now};
use super::launch::{Planned, Purpose};
use super::words::io_failure;
use crate::lifecycle::{Action, Cause, Event, Exit, Memory, Name, Pid, Signal, StateWord, Transition};
use crate::os::{clock, replace};
use crate::protocol::guardian::{Child, Order, Role, Stdio};
use crate::service::Reload;

impl Supervisor {
    pub fn perform(&mut self, action: Action) {
        match action {
            Action::Launch { name } => self.launch(name),
            Action::Finish { name, exit, main } => {
                self.run_beside(name, Role::Finish, Purpose::Finish { exit, main })
            }
            Action::Signal { name, signal, scope } => self.signal(&name, signal, scope),
            Action::KillFinish { name } => self.kill_finish(name),
            Action::CheckTree { name, main } => self.check_tree(name, main),
            Action::Adopt { name, pid } => {
                self.thinning.remove(&name);
                self.forest.planted(pid, &name);
                self.link.push(Order::Adopt { child: Child { name, role: Role::Run }, pid });
            }
            Action::Stand { name } => {
                let up_to_date = self.is_up_to_date(&name);
                let child = Child { name, role: Role::Run };
                // A predecessor may have left the former plan.
                self.link.push(if up_to_date { Order::Stand { child } } else { Order::Unstand { child } });
            }
            Action::Unstand { name } => {
                self.link.push(Order::Unstand { child: Child { name, role: Role::Run } })
            }
            Action::Reload { name } => self.reload(name),
            Action::CloseLogPipe { name } => {
                if let Some(service) = name.logged_service() {
                    self.link.push(Order::ClosePipeWriter { name: service });
                }
            }
            Action::Answer { id, name, outcome } => self.answer(id, name, outcome),
            Action::Remember { name, memory } => self.remember(name, memory),
            Action::Changed { name, transition } => self.changed(name, transition),
            Action::Forgotten { name } => self.forget(name),
            Action::Ended => self.ended = true,
        }
    }

    fn launch(&mut self, name: Name) {
        self.later_looks.remove(&name);
        self.thinning.remove(&name);
        let service = self.services.get_mut(&name);
        let Some((definition, service)) = service.and_then(|s| s.definition.clone().map(|d| (d, s))) else {
            let cause = "its service directory was never read without errors".to_owned();
            self.events.push_back(Event::LaunchFailed { name, cause });
            return;
        };
        service.launched = Some(definition.fingerprint);
        match self.planner.plan(&definition, Purpose::Run) {
            Ok(planned) => self.order_launch(Child { name, role: Role::Run }, planned),
            Err(cause) => self.events.push_back(Event::LaunchFailed { name, cause }),
        }
    }

    fn order_launch(&mut self, child: Child, planned: Planned) {
        let Planned { mut plan, descriptors } = planned;
        for (number, variables) in self.planner.environments.take_untold() {
            self.link.push(Order::Environment { number, variables });
        }
        if let Some(logged) = &plan.log_pipe {
            // The guardian makes it for the launch, and reports it.
            self.services.entry(logged.clone()).or_default().pipe_asked = true;
        }
        let indices: Vec<u8> = descriptors.into_iter().map(|descriptor| self.link.pass(descriptor)).collect();
        for stdio in &mut plan.stdio {
            if let Stdio::Passed(index) = stdio {
                *index = indices.get(usize::from(*index)).copied().unwrap_or(u8::MAX);
            }
        }
        self.link.push(Order::Launch { child, plan: Box::new(plan) });
    }

    /// Starts `finish` or the reload command beside the main process.
    fn run_beside(&mut self, name: Name, role: Role, purpose: Purpose) {
        let definition = self.services.get(&name).and_then(|service| service.definition.clone());
        let planned = match &definition {
            Some(definition) => self.planner.plan(definition, purpose),
            None => Err("its service directory was never read without errors".to_owned()),
        };
        match planned {
            Ok(planned) => {
                let child = Child { name, role };
                self.beside.insert(child.clone());
                self.order_launch(child, planned);
            }
            Err(why) => self.beside_failed(name, role, why),
        }
    }

    pub fn beside_failed(&mut self, name: Name, role: Role, why: String) {
        self.beside.remove(&Child { name: name.clone(), role });
        match role {
            Role::Finish => {
                self.say(&format!("{name}: finish: {why}"));
                self.events.push_back(Event::FinishExited { name, exit: Exit::Unknown });
            }
            Role::Reload | Role::Run => self.events.push_back(Event::Reloaded { name, result: Err(why) }),
        }
    }

    fn reload(&mut self, name: Name) {
        let definition = self.services.get(&name).and_then(|service| service.definition.clone());
        let main = self.core.view(&name).and_then(|view| view.pid);
        match (definition.as_deref().map(|definition| &definition.reload), main) {
            (Some(Reload::Signal(signal)), Some(_)) => {
                self.order_signal(&name, Role::Run, *signal, false);
                self.events.push_back(Event::Reloaded { name, result: Ok(()) });
            }
            (Some(Reload::Command(_)), Some(main)) => {
                self.run_beside(name, Role::Reload, Purpose::Reload { main })
            }
            (None, _) | (_, None) => {
                self.events.push_back(Event::Reloaded { name, result: Err("it does not run".to_owned()) });
            }
        }
    }

    /// Also answers when there is none any more.
    fn kill_finish(&mut self, name: Name) {
        if self.beside.contains(&Child { name: name.clone(), role: Role::Finish }) {
            self.order_signal(&name, Role::Finish, Signal::KILL, true);
        } else {
            self.events.push_back(Event::FinishExited { name, exit: Exit::Unknown });
        }
    }

    fn remember(&mut self, name: Name, memory: Memory) {
        let launched = self.services.get(&name).and_then(|service| service.launched);
        self.notes.insert(name, Note { memory, launched });
    }

    /// What is to be remembered goes out with the orders that it belongs to, the last of each service.
    pub fn order_notes(&mut self) {
        for (name, note) in std::mem::take(&mut self.notes) {
            match serde_json::to_vec(&note) {
                Ok(note) => self.link.push(Order::Note { name, note }),
                Err(error) => self.say(&format!("{name}: cannot note its state: {error}")),
            }
        }
    }

    pub fn changed(&mut self, name: Name, transition: Transition) {
        let at = clock::wall();
        self.publish(&name, at, &transition);
        self.announce(&name, &transition);
        if let Some(service) = self.services.get_mut(&name) {
            service.history.add(at, transition);
        }
    }

    /// What a person at the terminal wants to see without asking.
    fn announce(&mut self, name: &Name, transition: &Transition) {
        let noteworthy = match &transition.cause {
            // The end of a wished stop is no news.
            Cause::Exited { exit, .. } => *exit != Exit::Code(0) && transition.from != StateWord::Stopping,
            Cause::StandingOrder { exit } => *exit != Exit::Code(0),
            Cause::LaunchFailed { .. }
            | Cause::TreeLeft { .. }
            | Cause::Adopted { .. }
            | Cause::StartTimeout
            | Cause::FinishTimeout
            | Cause::GaveUp { .. }
            | Cause::FinishSaidStayDown => true,
            Cause::StopStep { signal } => *signal == Signal::KILL,
            Cause::Boot
            | Cause::Request { .. }
            | Cause::Started
            | Cause::DelayOver
            | Cause::TreeEmpty
            | Cause::Finished { .. }
            | Cause::Removed
            | Cause::Shutdown
            | Cause::TakenOver
            | Cause::GuardianEnded { .. } => false,
        };
        if !noteworthy {
            return;
        }
        let next = self.core.view(name).and_then(|view| view.next_start);
        let next = next.map(|at| format!("; next start in {}", crate::lifecycle::short(at.since(now()))));
        self.say(&format!("{name}: {}{}", transition.cause, next.unwrap_or_default()));
    }

    fn forget(&mut self, name: Name) {
        self.services.remove(&name);
        self.later_looks.remove(&name);
        self.thinning.remove(&name);
        self.log_troubles.remove(&name);
        self.pipes_missing.remove(&name);
        self.logger.detach(&name);
        self.notes.remove(&name);
        self.link.push(Order::Forget { name });
    }

    /// For programs that insist on one. Never read back.
    pub fn write_pidfile(&mut self, name: &Name, pid: Pid) {
        if let Some(path) = self.pidfile(name) {
            let text = format!("{}\n", pid.0);
            if let Err(error) = replace::replace(&path, text.as_bytes(), 0o644) {
                self.say(&format!("{name}: {}", io_failure("write", &path, &error)));
            }
        }
    }

    pub fn remove_pidfile(&mut self, name: &Name) {
        if let Some(path) = self.pidfile(name) {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    self.say(&format!("{name}: {}", io_failure("remove", &path, &error)));
                }
                Ok(()) | Err(_) => {}
            }
        }
    }

    fn pidfile(&self, name: &Name) -> Option<std::path::PathBuf> {
        let definition = self.services.get(name)?.definition.as_ref()?;
        let path: &Path = definition.write_pidfile.as_deref()?;
        Some(definition.directory.join(path))
    }

    /// The very end: nothing that came from a service survives it.
    pub fn sweep(&mut self) {
        for pid in self.forest.all_left() {
            if let Err(why) = self.forest.signal(pid, Signal::KILL.0) {
                self.say(&why);
            }
        }
    }
}

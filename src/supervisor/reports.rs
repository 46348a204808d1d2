//! What the guardian reports becomes events.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use super::event_loop::{Descriptors, Supervisor, now};
use super::inbox::Input;
use super::words;
use crate::lifecycle::{Event, Exit, Name, Pid, Signal};
use crate::os::errno;
use crate::protocol::guardian::{Child, LaunchFailure, Order, Report, Role};
use crate::service::Definition;

/// Until then some descriptors may have become free.
const PIPES_AGAIN: Duration = Duration::from_secs(1);

impl Supervisor {
    pub fn take_reports(&mut self, reports: Vec<Report>, descriptors: Vec<OwnedFd>) {
        let mut descriptors: Descriptors = descriptors.into();
        for report in reports {
            self.take_report(report, &mut descriptors);
        }
    }

    fn take_report(&mut self, report: Report, descriptors: &mut Descriptors) {
        match report {
            Report::Started { child, pid, .. } => self.child_started(child, pid),
            Report::LaunchFailed { child, failure } => self.launch_failed(child, failure),
            Report::Exited { child, pid, exit, next: None, relaunch_failure: None, .. } => {
                self.child_exited(child, pid, exit);
            }
            Report::Exited { child, pid, exit, next, relaunch_failure, .. } => {
                self.relaunched(child, pid, exit, next, relaunch_failure);
            }
            Report::Reaped { pids } => self.orphans_reaped(&pids),
            Report::Pipe { name } => {
                let pipe = descriptors.pop_front();
                self.pipe_came(&name, pipe);
            }
            Report::PipeFailed { name, errno: number } => {
                if let Some(service) = self.services.get_mut(&name) {
                    service.pipe_asked = false;
                }
                self.say(&format!("{name}: {}", words::log_pipe_failure(number)));
            }
            Report::Signalled { signal, .. } => self.take_signal(signal),
            Report::Complaint { text } => self.say(&text),
            // The table was told before; a second one was not asked for.
            Report::Welcome { .. } | Report::Known { .. } | Report::Note { .. } => {}
            Report::TableEnd | Report::Predecessor { .. } => {}
        }
    }

    /// There is one name for each service, however many keep it: what came in a message is a copy.
    fn one_name(&self, name: &Name) -> Name {
        self.services.get_key_value(name).map_or(name, |(known, _)| known).clone()
    }

    fn child_started(&mut self, child: Child, pid: Pid) {
        let child = Child { name: self.one_name(&child.name), ..child };
        self.forest.planted(pid, &child.name);
        match child.role {
            Role::Run => {
                self.forest.begun_anew(&child.name);
                self.write_pidfile(&child.name, pid);
                self.step(Event::Started { name: child.name, pid });
            }
            Role::Finish => self.step(Event::FinishStarted { name: child.name, pid }),
            Role::Reload => {}
        }
    }

    fn launch_failed(&mut self, child: Child, failure: LaunchFailure) {
        let cause = self.describe(&child.name, failure);
        match child.role {
            Role::Run => self.step(Event::LaunchFailed { name: child.name, cause }),
            Role::Finish | Role::Reload => {
                self.beside_failed(child.name, child.role, cause);
                self.drain();
            }
        }
    }

    fn describe(&self, name: &Name, failure: LaunchFailure) -> String {
        let definition = self.services.get(name).and_then(|service| service.definition.as_deref());
        match definition {
            Some(definition) => words::launch_failure(definition, failure),
            None => format!("{:?}: {}", failure.step, errno::describe(failure.errno)),
        }
    }

    pub fn child_exited(&mut self, child: Child, pid: Pid, exit: Exit) {
        self.forest.felled(pid);
        self.link.push(Order::Acknowledge { child: child.clone(), pid });
        self.beside.remove(&child);
        match child.role {
            Role::Run => {
                self.remove_pidfile(&child.name);
                self.step(Event::Exited { name: child.name, pid, exit });
            }
            Role::Finish => self.step(Event::FinishExited { name: child.name, exit }),
            Role::Reload => {
                let result = match exit {
                    Exit::Code(0) => Ok(()),
                    Exit::Code(_) | Exit::Signal { .. } | Exit::Unknown => {
                        Err(format!("the reload command {exit}"))
                    }
                };
                self.step(Event::Reloaded { name: child.name, result });
            }
        }
    }

    pub fn relaunched(
        &mut self,
        child: Child,
        pid: Pid,
        exit: Exit,
        next: Option<Pid>,
        failure: Option<LaunchFailure>,
    ) {
        self.forest.felled(pid);
        self.link.push(Order::Acknowledge { child: child.clone(), pid });
        let name = child.name;
        match (next, failure) {
            (Some(next), _) => {
                self.forest.planted(next, &name);
                self.sweep_predecessor(&name, pid, next);
                self.step(Event::Relaunched { name, pid, exit, next });
            }
            (None, Some(failure)) => {
                let cause = self.describe(&name, failure);
                self.step(Event::RelaunchFailed { name, pid, exit, cause });
            }
            (None, None) => self.step(Event::Exited { name, pid, exit }),
        }
    }

    /// The guardian relaunches when the process group is empty. What left the group on purpose and
    /// belongs to the dead one goes now; what is younger belongs to its successor.
    fn sweep_predecessor(&mut self, name: &Name, dead: Pid, next: Pid) {
        let found = self.forest.left(name, dead);
        for pid in found.left.into_iter().chain(found.adoptable) {
            if !self.forest.is_older(pid, next) {
                continue;
            }
            self.say(&format!(
                "{name}: process {} outlived the main process {}; it is killed",
                pid.0, dead.0
            ));
            if let Err(why) = self.forest.signal(pid, Signal::KILL.0) {
                self.say(&format!("{name}: {why}"));
            }
        }
    }

    fn orphans_reaped(&mut self, pids: &[Pid]) {
        for pid in pids {
            self.forest.felled(*pid);
        }
        let thinning: Vec<(Name, Pid)> =
            self.thinning.iter().map(|(name, main)| (name.clone(), *main)).collect();
        for (name, main) in thinning {
            self.check_tree(name, main);
        }
        self.drain();
    }

    /// The read end of a log pipe. It is missing when there was no descriptor left for it.
    pub fn pipe_came(&mut self, name: &Name, pipe: Option<OwnedFd>) {
        match pipe {
            Some(pipe) => {
                self.pipes_missing.remove(name);
                self.attach_pipe(name, pipe);
            }
            None => {
                if self.pipes_missing.insert(name.clone()) {
                    self.say(&format!("{name}: cannot read its log: too many open files; trying again"));
                }
                self.pipes_again = Some(now() + PIPES_AGAIN);
            }
        }
    }

    /// Asks once more for the pipes that got lost on their way.
    pub fn ask_for_pipes(&mut self) {
        if self.pipes_again.is_some_and(|at| at <= now()) {
            self.pipes_again = None;
            for name in &self.pipes_missing {
                self.link.push(Order::OpenPipe { name: name.clone() });
            }
        }
    }

    fn attach_pipe(&mut self, name: &Name, pipe: OwnedFd) {
        let service = self.services.get(name);
        let known = service.is_some();
        let definition = service.and_then(|service| service.definition.clone());
        // An own logger reads the pipe itself: two readers would share the lines. It is kept all the same, for
        // what is in it to outlive the guardian.
        if definition.as_deref().is_some_and(|definition: &Definition| definition.has_logger) {
            if let Some(service) = self.services.get_mut(name) {
                service.pipe_kept = Some(pipe);
            }
            return;
        }
        let settings = definition.map(|definition| Arc::clone(&definition.log)).unwrap_or_default();
        self.logger.attach(self.one_name(name), pipe, settings);
        if !known {
            // Forgotten meanwhile: what is left in it is read.
            self.logger.detach(name);
        }
    }

    /// What a signal to the guardian means. The others are for the user to give a meaning to.
    pub fn take_signal(&mut self, signal: Signal) {
        const INT: Signal = Signal(2);
        const QUIT: Signal = Signal(3);
        const PWR: Signal = Signal(30);
        // RTMIN+3, with which systemd-style container engines ask for a clean end.
        const HALT: Signal = Signal(37);
        if signal == INT && self.setup.place == super::Place::Terminal {
            self.say_end();
        }
        match signal {
            Signal::TERM | INT | QUIT | PWR | HALT => self.shut_down(),
            Signal::HUP if self.setup.place == super::Place::Terminal => self.shut_down(),
            Signal::HUP => {
                self.rescan();
            }
            _ => {}
        }
    }

    /// Ctrl-C is answered at once, whatever the services do.
    fn say_end(&self) {
        let services = self.services.keys().filter(|name| name.logged_service().is_none());
        let running = services.filter_map(|name| self.core.view(name)).filter(|view| view.pid.is_some());
        match (self.core.shutting_down(), running.count()) {
            (_, 0) => {}
            (false, 1) => self.say("stopping 1 service; Ctrl-C again hurries"),
            (false, count) => self.say(&format!("stopping {count} services; Ctrl-C again hurries")),
            (true, _) => self.say("killing what is left"),
        }
    }

    pub fn shut_down(&mut self) {
        let event = if self.core.shutting_down() {
            Event::Hurry
        } else {
            self.directories.end();
            Event::Shutdown { budget: self.setup.place.shutdown_budget() }
        };
        self.step(event);
    }

    /// A batch that was waiting while the table was being told.
    pub fn next_table_reports(&mut self) -> Option<(Vec<Report>, VecDeque<OwnedFd>)> {
        loop {
            match self.next_raw_input()? {
                Input::Reports { reports, descriptors } => return Some((reports, descriptors.into())),
                lost @ Input::GuardianLost { .. } => {
                    self.take(lost);
                    return None;
                }
                // Clients and directories wait until all is known.
                other => self.early.push_back(other),
            }
        }
    }
}

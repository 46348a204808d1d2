//! The guardian of the model and the processes with a mind of their own.

use std::time::Duration;

use svc::lifecycle::{Event, Exit, Kind, Name, Pid, Restart, Signal, TreeFound};

use crate::random::Random;
use crate::world::{Ended, Incident, NAMES, Process, World};

impl World {
    pub fn happen(&mut self, incident: Incident) -> Result<(), String> {
        match incident {
            Incident::Deliver(event) => {
                self.step(event.clone())?;
                self.acknowledge(&event);
                Ok(())
            }
            Incident::LaunchDone { name } => self.launch_done(&name),
            Incident::MainEnds { name, pid, exit } => self.main_ends(&name, pid, exit),
            Incident::OtherEnds { name, pid } => {
                self.other_ends(&name, pid);
                Ok(())
            }
            Incident::FinishEnds { name, number, exit } => {
                if self.service(&name).finish == Some(number) {
                    self.service(&name).finish = None;
                    self.service(&name).finish_exit = Some(exit);
                    self.deliver(Duration::ZERO, Event::FinishExited { name, exit });
                }
                Ok(())
            }
        }
    }

    pub fn acknowledge(&mut self, event: &Event) {
        let name = match event {
            Event::Exited { name, .. }
            | Event::Relaunched { name, .. }
            | Event::RelaunchFailed { name, .. } => name,
            Event::FinishExited { name, .. } => {
                self.service(name).finish_exit = None;
                return;
            }
            _ => return,
        };
        let service = self.service(name);
        service.unacknowledged.retain(|ended| ended.event != *event);
        if service.unacknowledged.is_empty() {
            service.entry = None;
        }
    }

    pub fn random(&self, name: &Name, part: u64) -> Random {
        let index = NAMES.iter().position(|known| *known == name.as_str()).unwrap_or(9) as u64;
        Random::of(self.seed, &[index, part])
    }

    pub fn birth(&mut self, name: &Name) -> (Process, Random) {
        self.next_pid += 1;
        self.births += 1;
        let mut random = self.random(name, self.births);
        let calm = self.calm;
        let stubborn = !calm && random.percent(10);
        let process = Process {
            pid: Pid(self.next_pid),
            gentle: (calm || random.percent(75)).then(|| random.time(if calm { 10 } else { 4_000 })),
            kill: random.time(if stubborn { 7_000 } else { 5 }),
            setsid: random.percent(30),
        };
        (process, random)
    }

    pub fn launch_done(&mut self, name: &Name) -> Result<(), String> {
        if !self.service(name).launching {
            return Ok(());
        }
        self.service(name).launching = false;
        let number = self.births;
        let mut random = self.random(name, number ^ 0xbeef);
        if self.service(name).entry.is_some() {
            let cause = "it runs already".to_string();
            self.deliver(Duration::ZERO, Event::LaunchFailed { name: name.clone(), cause });
            return Ok(());
        }
        if !self.calm && random.percent(15) {
            self.births += 1;
            let cause = "cannot execute ./run: Permission denied".to_string();
            self.deliver(random.time(20), Event::LaunchFailed { name: name.clone(), cause });
            return Ok(());
        }
        let pid = self.spawn_main(name)?;
        self.deliver(random.time(20), Event::Started { name: name.clone(), pid });
        Ok(())
    }

    /// Law 1: never two process trees of one service.
    pub fn spawn_main(&mut self, name: &Name) -> Result<Pid, String> {
        let service = self.service(name);
        if service.main.is_some() || !service.others.is_empty() || service.finish.is_some() {
            return Err(format!("law 1: a second tree of {name} is started"));
        }
        let oneshot = service.policy.as_ref().is_some_and(|policy| policy.kind == Kind::Oneshot);
        // One that is started again after a success never comes to rest by itself.
        let ends = !service
            .policy
            .as_ref()
            .is_some_and(|policy| matches!(policy.restart, Restart::Always | Restart::OnSuccess));
        let (process, mut random) = self.birth(name);
        let pid = process.pid;
        self.service(name).main = Some(process);
        if random.percent(if oneshot { 95 } else { 75 }) && (!self.calm || (oneshot && ends)) {
            let code = if self.calm { 0 } else { random.pick(&[0, 0, 1, 3]) };
            let exit = match random.below(5) {
                0 if !self.calm => Exit::Signal { signal: Signal(random.pick(&[9, 11, 15])), core: false },
                _ => Exit::Code(code),
            };
            let wait = random.time(20_000);
            self.later(wait, Incident::MainEnds { name: name.clone(), pid, exit });
        }
        Ok(pid)
    }

    pub fn main_ends(&mut self, name: &Name, pid: Pid, exit: Exit) -> Result<(), String> {
        if self.service(name).main.as_ref().map(|main| main.pid) != Some(pid) {
            return Ok(());
        }
        self.service(name).main = None;
        self.laws.exits(name);
        let mut random = self.random(name, pid.0 as u64 ^ 0xdead);
        if !self.calm && random.percent(25) {
            for _ in 0..random.below(3) {
                let (process, mut random) = self.birth(name);
                if random.percent(60) {
                    let wait = random.time(15_000);
                    self.later(wait, Incident::OtherEnds { name: name.clone(), pid: process.pid });
                }
                self.service(name).others.push(process);
            }
        }
        let wait = random.time(5);
        let stands = std::mem::take(&mut self.service(name).standing);
        let event = if stands && self.service(name).others.is_empty() {
            if !self.calm && random.percent(15) {
                let cause = "cannot execute ./run: Text file busy".to_string();
                self.service(name).entry = Some(pid);
                Event::RelaunchFailed { name: name.clone(), pid, exit, cause }
            } else {
                let next = self.spawn_main(name)?;
                Event::Relaunched { name: name.clone(), pid, exit, next }
            }
        } else {
            self.service(name).entry = Some(pid);
            Event::Exited { name: name.clone(), pid, exit }
        };
        self.service(name).unacknowledged.push(Ended { event: event.clone() });
        self.deliver(wait, event);
        Ok(())
    }

    pub fn other_ends(&mut self, name: &Name, pid: Pid) {
        // One that was adopted in the meantime ends as the main process.
        if self.service(name).main.as_ref().map(|main| main.pid) == Some(pid) {
            let _ = self.main_ends(name, pid, Exit::Code(0));
            return;
        }
        let service = self.service(name);
        let before = service.others.len();
        service.others.retain(|other| other.pid != pid);
        if service.others.len() < before && service.main.is_none() && !service.launching {
            let found = self.tree(name);
            self.deliver(Duration::ZERO, Event::TreeChecked { name: name.clone(), found });
        }
    }

    pub fn tree(&mut self, name: &Name) -> TreeFound {
        let others = &self.service(name).others;
        let adoptable = others.iter().find(|other| other.setsid).map(|other| other.pid);
        let left = others.iter().map(|other| other.pid).filter(|pid| Some(*pid) != adoptable).collect();
        TreeFound { left, adoptable }
    }

    pub fn is_empty(&self, name: &Name) -> bool {
        self.services.get(name).is_none_or(|service| {
            service.main.is_none()
                && service.others.is_empty()
                && service.finish.is_none()
                && !service.launching
        })
    }
}

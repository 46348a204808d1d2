//! Service directories are read, and read again when they change: each one becomes known to the
//! life-cycle, or its problems are shown.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::event_loop::Supervisor;
use super::words;
use crate::lifecycle::{Backoff, Event, Kind, Name, Policy, Restart, Scope, Signal, StopStep};
use crate::os::inotify;
use crate::protocol::guardian::{Child, Order, Role};
use crate::service::{self, Definition, Listed, Problems};

/// What a rescan found.
#[derive(Debug, Default)]
pub struct Rescanned {
    pub added: Vec<String>,
    pub changed: Vec<String>,
    pub removed: Vec<String>,
    pub problems: Vec<String>,
}

impl Supervisor {
    pub fn take_directory_events(&mut self, events: Vec<inotify::Event>) {
        let touched = self.directories.understand(events);
        if touched.listing {
            self.compare_listing();
        }
        for name in touched.names {
            if self.services.contains_key(&name) {
                self.reread(&name);
            }
        }
    }

    pub fn look_for_folder(&mut self) {
        if self.directories.look() {
            self.rescan();
        }
    }

    /// Says what of the directories is not watched.
    pub fn tell_blindness(&mut self) {
        if let Some((path, error)) = self.directories.take_trouble() {
            let remark = words::blind(&path, &error);
            self.say(&remark);
            self.remarks.push(remark);
        }
    }

    /// Makes an entry for every service directory there is. `None` when the folder cannot be read.
    pub fn list_services(&mut self) -> Option<BTreeSet<Name>> {
        let listed = match service::list(&self.setup.services_dir) {
            Ok(listed) => listed,
            Err(problem) => {
                self.say(&problem.to_string());
                return None;
            }
        };
        let mut names = BTreeSet::new();
        for entry in listed {
            match entry {
                Listed::Service { name, .. } => {
                    self.services.entry(name.clone()).or_default();
                    names.insert(name);
                }
                Listed::Wrong(problem) => self.say(&problem.to_string()),
            }
        }
        Some(names)
    }

    /// Looks for directories that came or went, and reads the new ones.
    pub fn compare_listing(&mut self) -> Rescanned {
        let mut found = Rescanned::default();
        let listed = match service::list(&self.setup.services_dir) {
            Ok(listed) => listed,
            // A folder that cannot be read for a moment must not stop everything.
            Err(problem) => {
                self.say(&problem.to_string());
                found.problems.push(problem.to_string());
                return found;
            }
        };
        let mut present = BTreeSet::new();
        for entry in listed {
            match entry {
                Listed::Service { name, .. } => {
                    present.insert(name);
                }
                Listed::Wrong(problem) => found.problems.push(problem.to_string()),
            }
        }
        let known: Vec<Name> =
            self.services.keys().filter(|name| name.logged_service().is_none()).cloned().collect();
        for name in known.iter().filter(|name| !present.contains(*name)) {
            found.removed.push(name.to_string());
            self.remove(name);
        }
        for name in &present {
            if !self.services.contains_key(name) {
                found.added.push(name.to_string());
                self.services.entry(name.clone()).or_default();
                self.read_service(name);
                self.boot_fresh(name);
                self.boot_fresh(&name.logger());
            }
        }
        found
    }

    /// Everything anew, as `svc rescan` asks for.
    pub fn rescan(&mut self) -> Rescanned {
        let mut found = self.compare_listing();
        let names: Vec<Name> =
            self.services.keys().filter(|name| name.logged_service().is_none()).cloned().collect();
        for name in names {
            if self.reread(&name) {
                found.changed.push(name.to_string());
            }
            if let Some(service) = self.services.get(&name) {
                found.problems.extend(service.problems.iter().cloned());
            }
        }
        found.changed.retain(|name| !found.added.contains(name));
        found
    }

    /// Reads a directory again when it changed. True when it did.
    pub fn reread(&mut self, name: &Name) -> bool {
        let directory = self.setup.services_dir.join(name.as_str());
        // Another directory may have taken the place of the one that was watched.
        self.directories.watch_service(name);
        let fingerprint = service::fingerprint(&directory);
        let Some(known) = self.services.get(name) else { return false };
        if known.fingerprint == fingerprint && known.problems.is_empty() {
            return false;
        }
        let (was_defined, had_logger) =
            (known.defined, self.services.get(&name.logger()).is_some_and(|logger| logger.defined));
        let before = known.definition.as_ref().map(|definition| definition.fingerprint);
        self.read_service(name);
        let Some(known) = self.services.get(name) else { return false };
        if known.defined && !was_defined {
            self.boot_fresh(name);
        }
        if !had_logger {
            self.boot_fresh(&name.logger());
        }
        let now = self.services.get(name).and_then(|known| known.definition.as_ref()).map(|d| d.fingerprint);
        if now != before {
            // What was left with the guardian is the old plan.
            self.link.push(Order::Unstand { child: Child { name: name.clone(), role: Role::Run } });
        }
        now != before || fingerprint != before.unwrap_or(fingerprint)
    }

    /// Reads the directory and tells the life-cycle, or keeps the problems.
    pub fn read_service(&mut self, name: &Name) {
        let directory = self.setup.services_dir.join(name.as_str());
        self.directories.watch_service(name);
        let mut read = service::read(&directory, name);
        let new_watches = read.inner.iter().filter(|inner| self.directories.watch_inner(name, inner)).count();
        if new_watches > 0 {
            // They were not watched while they were read.
            read = service::read(&directory, name);
        }
        self.tell_blindness();
        let service::Read { service: read, logger, .. } = read;
        let service = self.services.entry(name.clone()).or_default();
        service.fingerprint = match &read {
            Ok(definition) => definition.fingerprint,
            Err(_) => service::fingerprint(&directory),
        };
        let before = std::mem::take(&mut service.problems);
        match read {
            Ok(definition) => self.define(definition),
            Err(problems) => self.keep_problems(name, &problems, &before),
        }
        match logger {
            Ok(Some(definition)) => self.define(definition),
            Ok(None) => {
                if self.services.get(&name.logger()).is_some_and(|logger| logger.defined) {
                    self.step(Event::Remove { name: name.logger() });
                }
            }
            Err(problems) => self.keep_problems(name, &problems, &before),
        }
    }

    fn define(&mut self, definition: Definition) {
        let (name, policy) = (definition.name.clone(), Policy::clone(&definition.policy));
        let settings = Arc::clone(&definition.log);
        let service = self.services.entry(name.clone()).or_default();
        let has_logger = definition.has_logger;
        let changed = service.definition.as_ref().is_none_or(|known| **known != definition);
        let had_logger = service.definition.as_ref().map(|known| known.has_logger);
        service.definition = Some(Arc::new(definition));
        service.defined = true;
        if service.pipe_asked {
            match (had_logger, has_logger) {
                // Two readers would share the lines.
                (Some(false), true) => self.logger.detach(&name),
                (Some(true), false) => self.link.push(Order::OpenPipe { name: name.clone() }),
                (_, _) => self.logger.configure(&name, settings),
            }
        }
        if changed {
            self.step(Event::Define { name, policy });
        }
    }

    fn keep_problems(&mut self, name: &Name, problems: &Problems, before: &[String]) {
        let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
        // Said once, not at every look.
        if texts != before {
            for text in &texts {
                self.say(text);
            }
        }
        if let Some(service) = self.services.get_mut(name) {
            service.problems.extend(texts);
        }
    }

    /// Starts a service that nobody knew before, when it is enabled.
    pub fn boot_fresh(&mut self, name: &Name) {
        if self.services.get(name).is_some_and(|service| service.defined) {
            self.step(Event::Boot { name: name.clone() });
        }
    }

    fn remove(&mut self, name: &Name) {
        match self.services.get(name) {
            Some(service) if service.defined => self.step(Event::Remove { name: name.clone() }),
            Some(_) => {
                self.services.remove(name);
            }
            None => {}
        }
        if self.services.get(&name.logger()).is_some_and(|logger| logger.defined) {
            self.step(Event::Remove { name: name.logger() });
        }
    }

    /// A service that runs although its directory has gone or cannot be read: enough to stop it.
    pub fn define_placeholder(&mut self, name: &Name) {
        self.services.entry(name.clone()).or_default().defined = true;
        let policy = Policy {
            kind: Kind::Longrun,
            enabled: false,
            restart: Restart::Always,
            backoff: Backoff {
                first: Duration::from_millis(100),
                max: Duration::from_secs(30),
                reset: Duration::from_secs(10),
            },
            give_up: None,
            success_codes: Vec::new(),
            success_signals: Vec::new(),
            stop: vec![
                StopStep::Signal(Signal::TERM),
                StopStep::Wait(Duration::from_secs(10)),
                StopStep::Signal(Signal::KILL),
            ],
            kill: Scope::Tree,
            has_finish: false,
            timeout_start: Duration::MAX,
            timeout_finish: Duration::from_secs(5),
            may_stand: false,
        };
        self.step(Event::Define { name: name.clone(), policy });
    }

    /// Whether the running process was started from what the directory says now.
    pub fn is_up_to_date(&self, name: &Name) -> bool {
        self.services.get(name).is_some_and(|service| {
            let current = service.definition.as_ref().map(|definition| definition.fingerprint);
            service.launched.is_none() || service.launched == current
        })
    }
}

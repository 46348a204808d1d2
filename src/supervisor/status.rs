//! What is known of a service, as clients see it.

use std::time::Duration;

use super::event_loop::{Service, Supervisor, now};
use super::history::rfc3339;
use crate::control::ClientId;
use crate::lifecycle::{Name, Pid, StateWord, Verb, View, Wanted};
use crate::logger::read::{LogReader, Query, display};
use crate::os::{clock, proc_fs};
use crate::protocol::control::{
    Detail, ErrorKind, GuardianStatus, Process, Reply, ServiceStatus, ShownValue, Status, SupervisorStatus,
};
use crate::service;

/// How many lines of its log `svc status NAME` shows.
const LOG_LINES: usize = 10;

/// A longer line is cut in a status.
const LINE_BYTES_MAX: usize = 1024;

/// The kernel's clock ticks, for CPU times (USER_HZ is 100 on every Linux).
const TICKS_PER_SECOND: u64 = 100;

impl Supervisor {
    /// Names that no service has are left out: the client tells by that.
    pub fn send_status(&mut self, client: ClientId, names: &[String], detail: bool) {
        let wanted: Vec<Name> = if names.is_empty() {
            self.services.keys().cloned().collect()
        } else {
            names.iter().filter_map(|name| Name::parse(name).ok()).collect()
        };
        if wanted.iter().any(|name| !self.services.contains_key(name)) {
            self.compare_listing();
        }
        let services = wanted.iter().filter_map(|name| self.service_status(name, detail)).collect();
        let status = Status {
            guardian: GuardianStatus { pid: self.guardian.0 },
            supervisor: SupervisorStatus {
                pid: self.own.0,
                since: rfc3339(self.since),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                services: self.setup.services_dir.display().to_string(),
                log_dir: self.setup.log_dir.display().to_string(),
                started: self.supervisors_started,
                remarks: self.remarks.clone(),
            },
            services,
        };
        self.reply(client, Reply::Status(status));
    }

    fn service_status(&mut self, name: &Name, detail: bool) -> Option<ServiceStatus> {
        let view = self.core.view(name);
        let detail = if detail { Some(self.detail(name)) } else { None };
        let service = self.services.get(name)?;
        let definition = service.definition.as_deref();
        let since = view.as_ref().map_or(Duration::ZERO, |view| now().since(view.since));
        let until = view.as_ref().and_then(|view| view.next_start).map(|at| at.since(now()));
        Some(ServiceStatus {
            name: name.to_string(),
            state: view.as_ref().map_or(StateWord::Failed, |view| view.state),
            wanted: view.as_ref().map_or(Wanted::Down, |view| view.wanted),
            pid: view.as_ref().and_then(|view| view.pid).map(|Pid(pid)| pid),
            since: rfc3339(clock::wall().saturating_sub(since)),
            for_seconds: since.as_secs_f64(),
            ready: view.as_ref().is_some_and(|view| view.ready),
            paused: view.as_ref().is_some_and(|view| view.paused),
            restarts: view.as_ref().map_or(0, |view| view.restarts),
            last_exit: view.as_ref().and_then(|view| view.last_exit),
            next_start: until.map(|until| rfc3339(clock::wall() + until)),
            next_start_seconds: until.map(|until| until.as_secs_f64()),
            reason: self.reason(name, service, view.as_ref()),
            description: definition.and_then(|definition| definition.description.clone()),
            enabled: definition.is_some_and(|definition| definition.policy.enabled),
            changed: is_changed(service, view.as_ref()),
            problems: service.problems.clone(),
            directory: self.setup.services_dir.join(name.as_str()).display().to_string(),
            detail,
        })
    }

    fn reason(&self, name: &Name, service: &Service, view: Option<&View>) -> Option<String> {
        if let Some(trouble) = self.log_troubles.get(name) {
            return Some(trouble.clone());
        }
        match view {
            Some(view) if view.reason.is_none() && view.state == StateWord::Down => {
                self.why_down(name, service, view)
            }
            Some(view) => view.reason.clone(),
            None if service.problems.is_empty() => None,
            None => Some("its service directory has errors".to_owned()),
        }
    }

    fn why_down(&self, name: &Name, service: &Service, view: &View) -> Option<String> {
        match (service.history.last_request(), view.last_exit) {
            (Some((Verb::Down, asked)), _) => return Some(asked),
            (Some((Verb::Once, _)), Some(exit)) => return Some(format!("ran once: {exit}")),
            (Some(_) | None, _) => {}
        }
        let enabled = service.definition.as_ref()?.policy.enabled;
        let why = match enabled {
            // Its supervisor has gone with the memory of who it was.
            true => "asked to stop",
            false if self.setup.services_dir.join(name.as_str()).join("down").exists() => {
                "not enabled: file down"
            }
            false => "not enabled: enabled = false",
        };
        Some(why.to_owned())
    }

    fn detail(&mut self, name: &Name) -> Detail {
        let last_main = self.thinning.get(name).copied().or(self.core.view(name).and_then(|view| view.pid));
        let tree = self.forest.of(name, last_main);
        let service = self.services.get(name);
        let log_dir = self.setup.log_dir.join(name.as_str());
        let has_log = service
            .and_then(|service| service.definition.as_ref())
            .is_some_and(|definition| !definition.has_logger && name.logged_service().is_none());
        Detail {
            processes: tree.into_iter().filter_map(|pid| process(name, pid)).collect(),
            exits: service.map(|service| service.history.exits()).unwrap_or_default(),
            log: if has_log { self.last_lines(name) } else { Vec::new() },
            log_file: has_log.then(|| log_dir.join("current").display().to_string()),
        }
    }

    /// None where the log cannot be read: status must always be had.
    fn last_lines(&self, name: &Name) -> Vec<String> {
        let query = Query { lines: Some(LOG_LINES), ..Query::default() };
        let read = LogReader::open(&self.setup.log_dir, std::slice::from_ref(name), query);
        let items = read.into_iter().flatten().flatten();
        items.map(|item| display(&item, LINE_BYTES_MAX)).collect()
    }

    pub fn send_processes(&mut self, client: ClientId, names: &[String], all: bool) {
        let names = match self.resolve(names, all) {
            Ok(names) => names,
            Err(message) => {
                self.reply(client, Reply::Error { kind: ErrorKind::UnknownService, message });
                return;
            }
        };
        let mut processes = Vec::new();
        for name in names {
            for name in [name.clone(), name.logger()] {
                let last_main =
                    self.thinning.get(&name).copied().or(self.core.view(&name).and_then(|v| v.pid));
                let tree = self.forest.of(&name, last_main);
                processes.extend(tree.into_iter().filter_map(|pid| process(&name, pid)));
            }
        }
        self.reply(client, Reply::Processes { processes });
    }

    pub fn send_definition(&mut self, client: ClientId, name: &str) {
        let resolved = self.resolve(&[name.to_owned()], false);
        let shown = resolved.and_then(|names| {
            let name = names.first().ok_or_else(|| "no name was given".to_owned())?;
            let directory = self.setup.services_dir.join(name.as_str());
            let values = service::shown(&directory, name).map_err(|problems| problems.to_string())?;
            Ok((name.to_string(), values))
        });
        match shown {
            Ok((name, values)) => {
                let values = values
                    .into_iter()
                    .map(|shown| ShownValue { key: shown.key, value: shown.value, source: shown.source })
                    .collect();
                self.reply(client, Reply::Shown { name, values });
            }
            Err(message) => self.reply(client, Reply::Error { kind: ErrorKind::UnknownService, message }),
        }
    }
}

/// A running process that was started from something else than the directory says now.
fn is_changed(service: &Service, view: Option<&View>) -> bool {
    let runs = view.is_some_and(|view| view.pid.is_some());
    runs && service.launched.is_some_and(|launched| launched != service.fingerprint)
}

/// A row of `ps axj`. None when the process has ended meanwhile.
fn process(name: &Name, Pid(pid): Pid) -> Option<Process> {
    let stat = proc_fs::stat(pid).ok()?;
    let seconds = stat.cpu_ticks / TICKS_PER_SECOND;
    Some(Process {
        service: name.to_string(),
        ppid: stat.ppid,
        pid,
        pgid: stat.pgid,
        sid: stat.sid,
        tty: proc_fs::terminal_name(stat.tty),
        tpgid: stat.tpgid,
        stat: state_letters(&stat),
        uid: proc_fs::uid(pid).unwrap_or(u32::MAX),
        time: format!("{}:{:02}", seconds / 60, seconds % 60),
        command: proc_fs::command_line(&stat),
    })
}

/// The STAT column of ps: state, `<` high priority, `N` nice, `s` session leader, `l` threads,
/// `+` in the foreground.
fn state_letters(stat: &proc_fs::ProcessStat) -> String {
    let mut letters = stat.state.to_string();
    let marks = [
        (stat.nice < 0, '<'),
        (stat.nice > 0, 'N'),
        (stat.sid == stat.pid, 's'),
        (stat.threads > 1, 'l'),
        (stat.tpgid == stat.pgid, '+'),
    ];
    letters.extend(marks.iter().filter(|(holds, _)| *holds).map(|(_, mark)| *mark));
    letters
}

//! What a guardian that was killed has left: its record on disk, its processes, their log pipes.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::children::{Earlier, Entry, LogPipe, State};
use super::record::{RECORD, Record};
use super::report::{now, reason};
use super::watch::Guardian;
use super::{Mode, Setup};
use crate::lifecycle::{Exit, Name, Pid};
use crate::os::descriptor::say;
use crate::os::inheritance::{self, Kind};
use crate::os::pidfd::ProcessHandle;
use crate::os::{boot, proc_fs, process, record_file};
use crate::protocol::guardian::record::{Beginning, Kept, KeptChild, ROLES, Seen};
use crate::protocol::guardian::{Child, HOME_MARK, MAIN_PID, MARK, Role};

/// A process that says in its environment whose it is.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Marked {
    name: Name,
    start_ticks: u64,
    pid: i32,
    /// As the main process of a service is from its launch on: in a session of its own.
    may_be_main: bool,
}

/// What is left, by service, the oldest first.
type Left = [Marked];

impl Guardian {
    /// Goes on with what is there; on the first day that is nothing. An error is for the user: then nothing
    /// must be started. `inherited` are log pipes that a supervisor has kept open.
    pub fn take_over(&mut self, setup: &Setup, inherited: Vec<(Kind, OwnedFd)>) -> Result<(), String> {
        let path = setup.runtime_dir.join(RECORD);
        if process::own_pid() == 1 || !self.place.has_runtime_dir() {
            // All that was before PID 1 is gone.
            std::fs::remove_file(&path).err();
            return Ok(());
        }
        let Some(boot) = boot::identity() else { return Ok(()) };
        let kept = read(&path, &boot);
        let left = processes_of(&setup.services_dir);
        if let Some(beginning) = &kept.beginning {
            refuse_others(setup, beginning, &kept)?;
            self.adopted.predecessor =
                Some((Some(beginning.guardian), kept.guardian_ended.unwrap_or(Exit::Unknown)));
            self.supervisor.started = beginning.supervisors_started;
            if setup.mode == Mode::Successor {
                self.remember_given(beginning);
            }
        } else if !left.is_empty() {
            self.adopted.predecessor = Some((None, Exit::Unknown));
        }
        self.adopt_all(&kept, &left);
        self.open_pipes(&kept, &left, inherited);
        for (name, service) in kept.services {
            service.note.map(|note| self.children.notes.insert(name, note));
        }
        let beginning = Beginning {
            boot,
            guardian: Pid(process::own_pid()),
            services_dir: setup.services_dir.as_os_str().as_bytes().to_vec(),
            supervisors_started: self.supervisor.started,
            descriptors_soft: self.descriptor_limit.map(|limit| limit.soft),
            oom_score_adjust: self.oom_score_adjust,
        };
        self.children.record = Record::at(path, beginning);
        self.children.keep_record();
        Ok(())
    }

    /// What the one before changed of this process's own, before it started the supervisor that this was.
    fn remember_given(&mut self, beginning: &Beginning) {
        if let (Some(own), Some(soft)) = (&mut self.descriptor_limit, beginning.descriptors_soft) {
            own.soft = soft.min(own.hard);
        }
        self.oom_score_adjust = beginning.oom_score_adjust;
    }

    fn adopt_all(&mut self, kept: &Kept, left: &Left) {
        for (name, service) in &kept.services {
            for (role, seen) in ROLES.into_iter().zip(&service.children) {
                if let Seen::There(kept) = seen {
                    self.adopt_recorded(Child { name: name.clone(), role }, kept, left);
                }
            }
        }
        for Marked { name, .. } in left {
            let child = Child { name: name.clone(), role: Role::Run };
            if self.children.table.contains_key(&child) {
                continue;
            }
            // It was launched in the last instant, or nothing is recorded at all.
            let absent_ticks = match kept.service(name).map(|service| &service.children[0]) {
                Some(Seen::Absent { ticks }) => *ticks,
                Some(Seen::Never | Seen::There(_)) | None => 0,
            };
            if let Some(main) = newer_main(left, &child, absent_ticks) {
                self.adopt_found(&child, main, None);
            }
        }
    }

    fn adopt_recorded(&mut self, child: Child, kept: &KeptChild, left: &Left) {
        let state = match kept.exit {
            Some((exit, at)) => {
                let earlier = Earlier { pid: kept.pid, exit, at };
                let next = newer_main(left, &child, kept.seen_ticks);
                if next.is_some_and(|next| self.adopt_found(&child, next, Some(earlier))) {
                    return;
                }
                State::Exited { exit, at }
            }
            None if self.adopt_running(&child, kept) => State::Running { standing: false },
            // Who has ended since has done so in a way nobody knows.
            None => State::Exited { exit: Exit::Unknown, at: now() },
        };
        let earlier = kept.earlier.map(|(pid, exit, at)| Box::new(Earlier { pid, exit, at }));
        let (pid, started, seen_ticks) = (kept.pid, kept.started, kept.seen_ticks);
        let entry = Entry { pid, started, seen_ticks, state, plan: None, earlier };
        self.children.insert_adopted(child, entry);
    }

    /// One that ran when it was last heard of.
    fn adopt_running(&mut self, child: &Child, kept: &KeptChild) -> bool {
        // The handle first: then it is that of the process that is looked at.
        let Ok(handle) = ProcessHandle::open(kept.pid.0) else { return false };
        is_the_same(kept).is_some() && self.follow(child, kept.pid, handle)
    }

    fn adopt_found(&mut self, child: &Child, found: &Marked, earlier: Option<Earlier>) -> bool {
        let Ok(handle) = ProcessHandle::open(found.pid) else { return false };
        let is_the_same = proc_fs::stat(found.pid).is_ok_and(|stat| stat.start_ticks == found.start_ticks);
        if !is_the_same || !self.follow(child, Pid(found.pid), handle) {
            return false;
        }
        let entry = Entry::running(Pid(found.pid), None, earlier.map(Box::new));
        self.children.insert_adopted(child.clone(), entry);
        true
    }

    fn follow(&mut self, child: &Child, pid: Pid, handle: ProcessHandle) -> bool {
        match self.adopted.follow(child.clone(), pid, handle) {
            Ok(()) => true,
            Err(error) => {
                let (name, text) = (&child.name, reason(&error));
                say(&format!("cannot follow {name} (pid {}): {text}; it counts as ended", pid.0));
                false
            }
        }
    }

    /// The log pipes that services still write to: what is in them is read, and nobody gets SIGPIPE.
    fn open_pipes(&mut self, kept: &Kept, left: &Left, mut inherited: Vec<(Kind, OwnedFd)>) {
        let mut pipes: Vec<(Name, u64)> = Vec::new();
        for (name, service) in &kept.services {
            pipes.extend(service.pipe.map(|inode| (name.clone(), inode)));
        }
        for (Child { name, role }, entry) in &self.children.table {
            let is_recorded = kept.service(name).is_some_and(|service| service.pipe.is_some());
            if *role == Role::Run && name.logged_service().is_none() && entry.is_running() && !is_recorded {
                pipes.extend(inheritance::own_pipe_of(entry.pid.0).map(|inode| (name.clone(), inode)));
            }
        }
        for (name, inode) in pipes {
            let kept_open = inherited.iter().position(|(kind, _)| *kind == Kind::PipeReader { inode });
            let reader = match kept_open {
                Some(place) => Some(inherited.swap_remove(place).1),
                None => self.pipe_of(&name, inode, left),
            };
            // Without one nobody writes to it any more.
            let Some(reader) = reader else { continue };
            match LogPipe::new(reader, None) {
                Ok(pipe) => drop(self.children.pipes.insert(name, pipe)),
                Err(error) => say(&format!("{name}: cannot use its log pipe again: {}", reason(&error))),
            }
        }
    }

    /// Through whoever of the service has it open.
    fn pipe_of(&self, name: &Name, inode: u64, left: &Left) -> Option<OwnedFd> {
        let logger = name.logger();
        let main = |name: &Name| self.children.table.get(&Child { name: name.clone(), role: Role::Run });
        let known = [main(name), main(&logger)].into_iter().flatten().map(|entry| entry.pid.0);
        let marked = left.iter().filter(|marked| marked.name == *name || marked.name == logger);
        let marked = marked.map(|marked| marked.pid);
        known.chain(marked).find_map(|pid| inheritance::reopen_pipe(pid, inode).ok())
    }
}

/// Empty when there is none of this boot.
fn read(path: &Path, boot: &str) -> Kept {
    let found = match record_file::read(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Kept::default(),
        Err(error) => {
            set_aside(path, &reason(&error));
            return Kept::default();
        }
    };
    let mut kept = Kept::default();
    let understood = found.batches.iter().try_for_each(|batch| kept.take(batch));
    // What comes before is good all the same, and each process in it is looked at.
    if let Err(error) = understood {
        set_aside(path, &error.to_string());
    } else if found.spoilt {
        set_aside(path, "its end is torn or foreign");
    }
    match &kept.beginning {
        Some(beginning) if beginning.boot == boot => kept,
        Some(_) | None => Kept::default(),
    }
}

fn set_aside(path: &Path, why: &str) {
    let whole = match record_file::set_aside(path) {
        Ok(aside) => format!("it is kept as {}", aside.display()),
        Err(error) => format!("nor can it be moved: {}", reason(&error)),
    };
    say(&format!(
        "cannot use all of {}: {why}; {whole}, and services that run are found by their environment",
        path.display()
    ));
}

/// The runtime directory was that of another svc, and its services still run: they are not ours to stop.
fn refuse_others(setup: &Setup, beginning: &Beginning, kept: &Kept) -> Result<(), String> {
    if beginning.services_dir == setup.services_dir.as_os_str().as_bytes() {
        return Ok(());
    }
    let mut pids: Vec<String> = Vec::new();
    for seen in kept.services.iter().flat_map(|(_, service)| &service.children) {
        if let Seen::There(kept) = seen
            && kept.exit.is_none()
            && is_the_same(kept).is_some_and(|stat| stat.state != 'Z')
        {
            pids.push(kept.pid.0.to_string());
        }
    }
    if pids.is_empty() {
        return Ok(());
    }
    let theirs = String::from_utf8_lossy(&beginning.services_dir).into_owned();
    Err(format!(
        "cannot supervise {}: services of {theirs} still run without their svc, which was killed (pids {}); take \
         them over with `svc daemon {theirs}`, kill them, or give another --runtime-dir",
        setup.services_dir.display(),
        pids.join(", "),
    ))
}

/// What the kernel tells of it; `None` when it has gone, and its number is another's or nobody's.
fn is_the_same(kept: &KeptChild) -> Option<proc_fs::ProcessStat> {
    proc_fs::stat(kept.pid.0).ok().filter(|stat| stat.start_ticks <= kept.seen_ticks.saturating_add(1))
}

/// The oldest that can be the main process of `child` and was started after that.
fn newer_main<'a>(left: &'a Left, child: &Child, ticks: u64) -> Option<&'a Marked> {
    left.iter().find(|marked| {
        let is_it = marked.name == child.name && child.role == Role::Run;
        is_it && marked.may_be_main && marked.start_ticks >= ticks
    })
}

/// One look at all processes, for the mark of services of this folder.
fn processes_of(services_dir: &Path) -> Vec<Marked> {
    let mut left = Vec::new();
    for pid in proc_fs::all_processes() {
        let Some([Some(name), Some(home), main_pid]) =
            proc_fs::environment_values(pid, [MARK, HOME_MARK, MAIN_PID])
        else {
            continue;
        };
        if home != services_dir.as_os_str().as_bytes() || !proc_fs::is_in_own_pid_namespace(pid) {
            continue;
        }
        let name = std::str::from_utf8(&name).ok().and_then(|name| Name::parse(name).ok());
        let (Some(name), Ok(stat)) = (name, proc_fs::stat(pid)) else { continue };
        let may_be_main = stat.sid == pid && main_pid.is_none() && stat.state != 'Z';
        left.push(Marked { name, start_ticks: stat.start_ticks, pid, may_be_main });
    }
    left.sort_unstable();
    left
}

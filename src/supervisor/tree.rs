//! Which processes belong to a service, beyond the one that was started.
//!
//! Every process that svc started, and every descendant whose own parents have died, hangs below
//! the guardian (it is their subreaper). So the tree of a service is its main process with its
//! descendants, and those orphans of the guardian, with their descendants, that came from it.
//!
//! What a guardian that was killed has left hangs below an init instead, the stray ones among strangers.
//! As long as a service runs that was adopted, its orphans are looked for there as well.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::strays::Strays;
use crate::lifecycle::{Name, Pid, TreeFound};
use crate::os::pidfd::ProcessHandle;
use crate::os::proc_fs::{self, ProcessStat};
use crate::protocol::guardian::MARK;

/// Looks at the processes of this machine on behalf of the supervisor.
#[derive(Debug)]
pub struct Forest {
    guardian: i32,
    own: i32,
    /// Children of the guardian that it knows by name.
    children: BTreeMap<i32, Name>,
    /// Orphans whose origin has been found out once; what they later write over does not matter.
    orphans: BTreeMap<i32, Name>,
    /// Orphans that the last look could not tell the origin of: they may be in the middle of exec.
    undecided: BTreeSet<i32>,
    /// Orphans that have no environment for good, so that nobody waits for them again.
    nameless: BTreeSet<i32>,
    /// The living orphans as last listed; good until the next news.
    listed: Option<Vec<ProcessStat>>,
    strays: Strays,
}

impl Forest {
    pub fn new(guardian: Pid, own: Pid, services_dir: &Path) -> Self {
        Self {
            guardian: guardian.0,
            own: own.0,
            children: BTreeMap::new(),
            orphans: BTreeMap::new(),
            undecided: BTreeSet::new(),
            nameless: BTreeSet::new(),
            listed: None,
            strays: Strays::new(services_dir),
        }
    }

    /// News came: what was listed before may be outdated.
    pub fn look_anew(&mut self) {
        self.listed = None;
    }

    /// The services come from a guardian that was killed.
    pub fn look_for_strays(&mut self) {
        self.strays.look(self.guardian);
    }

    /// This child is not the guardian's own.
    pub fn adopted(&mut self, pid: Pid, name: &Name) {
        self.strays.adopted(pid.0, name);
    }

    /// Launched by the guardian when nothing was left of what was there before.
    pub fn begun_anew(&mut self, name: &Name) {
        self.strays.forget(name);
    }

    /// A child of the guardian is running for this service.
    pub fn planted(&mut self, pid: Pid, name: &Name) {
        self.orphans.remove(&pid.0);
        self.strike_off(pid);
        self.children.insert(pid.0, name.clone());
    }

    pub fn felled(&mut self, pid: Pid) {
        self.children.remove(&pid.0);
        self.orphans.remove(&pid.0);
        self.nameless.remove(&pid.0);
        self.strike_off(pid);
    }

    fn strike_off(&mut self, pid: Pid) {
        if let Some(listed) = &mut self.listed {
            listed.retain(|orphan| orphan.pid != pid.0);
        }
    }

    /// Who is left of `name` now that its main process `main` has gone.
    pub fn left(&mut self, name: &Name, main: Pid) -> TreeFound {
        let mut found = TreeFound::default();
        let mut own_session = Vec::new();
        for (orphan, stat) in self.orphans_of(name, main) {
            // Who is not the guardian's child cannot be followed by it for the main process.
            if stat.sid == main.0 || stat.ppid != self.guardian {
                found.left.extend(proc_fs::descendants(orphan).into_iter().map(Pid));
            } else {
                own_session.push(orphan);
            }
        }
        match own_session.as_slice() {
            [only] => found.adoptable = Some(Pid(*only)),
            several => {
                found.left.extend(several.iter().flat_map(|&orphan| proc_fs::descendants(orphan)).map(Pid));
            }
        }
        found
    }

    /// The last look met orphans whose origin cannot be told yet.
    pub fn is_undecided(&self) -> bool {
        !self.undecided.is_empty()
    }

    /// Enough looks have been taken: what has no name now belongs to nobody.
    pub fn decide(&mut self) {
        self.nameless.append(&mut self.undecided);
    }

    /// Everything of the service besides `main`; without its process group when that gets a signal
    /// of its own (`grouped`).
    pub fn beyond(
        &mut self,
        name: &Name,
        main: Option<Pid>,
        last_main: Option<Pid>,
        grouped: bool,
    ) -> Vec<Pid> {
        let mut roots: Vec<i32> = main.map(|main| main.0).into_iter().collect();
        if let Some(last_main) = last_main.or(main) {
            roots.extend(self.orphans_of(name, last_main).into_iter().map(|(orphan, _)| orphan));
        }
        let all = roots.into_iter().flat_map(proc_fs::descendants);
        let outside = |pid: &i32| match main {
            Some(main) if *pid == main.0 => false,
            Some(main) if grouped => proc_fs::stat(*pid).is_ok_and(|stat| stat.pgid != main.0),
            Some(_) | None => true,
        };
        all.filter(outside).map(Pid).collect()
    }

    /// The whole tree for display: main processes first.
    pub fn of(&mut self, name: &Name, last_main: Option<Pid>) -> Vec<Pid> {
        let mut roots: Vec<i32> =
            self.children.iter().filter(|(_, owner)| *owner == name).map(|(&pid, _)| pid).collect();
        if let Some(last_main) = last_main {
            roots.extend(self.orphans_of(name, last_main).into_iter().map(|(orphan, _)| orphan));
        }
        roots.into_iter().flat_map(proc_fs::descendants).map(Pid).collect()
    }

    /// Everything below the guardian but this process: what is left at the very end.
    pub fn all_left(&self) -> Vec<Pid> {
        let adopted = self.children.keys().copied().chain(self.strays.all());
        let own = proc_fs::children(self.guardian).into_iter().filter(|&pid| pid != self.own);
        let roots: BTreeSet<i32> = own.chain(adopted).collect();
        roots.into_iter().flat_map(proc_fs::descendants).filter(|&pid| is_alive(pid)).map(Pid).collect()
    }

    /// The living orphans that came from `name`.
    fn orphans_of(&mut self, name: &Name, main: Pid) -> Vec<(i32, ProcessStat)> {
        self.undecided.clear();
        let listed = self.listed.get_or_insert_with(|| {
            let children = proc_fs::children(self.guardian).into_iter();
            let unknown = children.filter(|pid| *pid != self.own && !self.children.contains_key(pid));
            unknown.filter_map(|pid| proc_fs::stat(pid).ok()).filter(is_living).collect()
        });
        let strays = self.strays.candidates(name, main).into_iter();
        let strays = strays.filter(|pid| !self.children.contains_key(pid));
        let strays: Vec<_> = strays.filter_map(|pid| proc_fs::stat(pid).ok()).filter(is_living).collect();
        let mut found = Vec::new();
        for stat in listed.iter().chain(&strays) {
            let orphan = stat.pid;
            let known = self.orphans.get(&orphan).map(|owner| owner == name);
            let by_number = known.or((stat.sid == main.0 || stat.pgid == main.0).then_some(true));
            let ours = by_number.or_else(|| proc_fs::environment_has(orphan, &format!("{MARK}={name}")));
            if ours.is_none() && !self.nameless.contains(&orphan) {
                self.undecided.insert(orphan);
            }
            let ours = ours.unwrap_or(false);
            if ours {
                self.orphans.insert(orphan, name.clone());
                found.push((orphan, stat.clone()));
            }
        }
        found
    }

    /// Whether `one` was started before `other`. False when either has ended.
    pub fn is_older(&self, Pid(one): Pid, Pid(other): Pid) -> bool {
        match (proc_fs::stat(one), proc_fs::stat(other)) {
            (Ok(one), Ok(other)) => one.start_ticks < other.start_ticks,
            (Ok(_), Err(_)) | (Err(_), _) => false,
        }
    }

    /// Signals a process that is not the guardian's to signal. One that has ended needs none.
    ///
    /// The number cannot have been given to a stranger meanwhile: the handle is taken first, then
    /// it is made sure that the process still hangs below the guardian, or below what it has adopted.
    pub fn signal(&self, Pid(pid): Pid, signal: i32) -> Result<(), String> {
        let Ok(process) = ProcessHandle::open(pid) else { return Ok(()) };
        if !is_alive(pid) || !self.is_ours(pid) {
            return Ok(());
        }
        match process.signal(signal) {
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Err(format!(
                "cannot signal process {pid}: it runs as another user; svc has to run as root for that"
            )),
            // Ended between the look and the signal.
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn is_ours(&self, pid: i32) -> bool {
        let mut ancestor = pid;
        while ancestor > 0 && ancestor != self.guardian {
            if self.children.contains_key(&ancestor) || self.strays.is_marked(ancestor) {
                return true;
            }
            match proc_fs::stat(ancestor) {
                Ok(stat) => ancestor = stat.ppid,
                Err(_) => return false,
            }
        }
        ancestor == self.guardian
    }
}

fn is_alive(pid: i32) -> bool {
    proc_fs::stat(pid).is_ok_and(|stat| is_living(&stat))
}

fn is_living(stat: &ProcessStat) -> bool {
    stat.state != 'Z' && stat.state != 'X'
}

//! Processes of services that a guardian before this one has started: they hang below an init, among others
//! that are none of ours. Those are ours that say so in their environment or are in the session of a service.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::lifecycle::{Name, Pid};
use crate::os::proc_fs;
use crate::protocol::guardian::{HOME_MARK, MARK};

#[derive(Debug)]
pub struct Strays {
    /// The folder of the service directories.
    home: Vec<u8>,
    /// `SVC_HOME=…` as it stands in an environment.
    mark: String,
    /// Services that may have such processes.
    names: BTreeSet<Name>,
    /// Below whom those come whose own parents have died.
    parents: BTreeSet<i32>,
}

impl Strays {
    pub fn new(services_dir: &Path) -> Self {
        let mark = format!("{HOME_MARK}={}", services_dir.display());
        Self {
            home: services_dir.as_os_str().as_bytes().to_vec(),
            mark,
            names: BTreeSet::new(),
            parents: BTreeSet::new(),
        }
    }

    /// One look at all processes of the machine.
    pub fn look(&mut self, guardian: i32) {
        for pid in proc_fs::all_processes() {
            let Some([Some(home), Some(name)]) = proc_fs::environment_values(pid, [HOME_MARK, MARK]) else {
                continue;
            };
            let name = std::str::from_utf8(&name).ok().and_then(|name| Name::parse(name).ok());
            let (Some(name), Ok(stat)) = (name, proc_fs::stat(pid)) else { continue };
            let is_top = home == self.home && stat.ppid != guardian && !self.is_marked(stat.ppid);
            if is_top && proc_fs::is_in_own_pid_namespace(pid) {
                self.names.insert(name);
                self.parents.insert(stat.ppid);
            }
        }
    }

    pub fn adopted(&mut self, pid: i32, name: &Name) {
        self.names.insert(name.clone());
        self.parents.extend(proc_fs::stat(pid).ok().map(|stat| stat.ppid));
    }

    /// Nothing is left of what was adopted: who comes from now on is below the guardian.
    pub fn forget(&mut self, name: &Name) {
        self.names.remove(name);
    }

    /// Roots that may belong to `name`, whose session is that of `main`; the middle of an exec hides it.
    pub fn candidates(&self, name: &Name, main: Pid) -> Vec<i32> {
        if !self.names.contains(name) {
            return Vec::new();
        }
        let may_be = |pid: &i32| {
            proc_fs::environment_has(*pid, &self.mark) != Some(false)
                || proc_fs::stat(*pid).is_ok_and(|stat| stat.sid == main.0 || stat.pgid == main.0)
        };
        self.parents.iter().flat_map(|parent| proc_fs::children(*parent)).filter(may_be).collect()
    }

    /// Those that are ours without doubt.
    pub fn all(&self) -> Vec<i32> {
        if self.names.is_empty() {
            return Vec::new();
        }
        let below = self.parents.iter().flat_map(|parent| proc_fs::children(*parent));
        below.filter(|pid| self.is_marked(*pid)).collect()
    }

    pub fn is_marked(&self, pid: i32) -> bool {
        proc_fs::environment_has(pid, &self.mark) == Some(true)
    }
}

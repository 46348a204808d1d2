//! Processes: waiting for them, signalling them, and what the kernel lets us be to them.

use std::io;
use std::os::fd::BorrowedFd;

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::Pid;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Code(u8),
    Signal { signal: i32, core: bool },
}

impl Ended {
    /// As a shell tells it: the code, or 128 and the signal.
    pub fn shell_code(self) -> i32 {
        match self {
            Ended::Code(code) => i32::from(code),
            Ended::Signal { signal, .. } => 128_i32.saturating_add(signal),
        }
    }

    pub(super) fn from_status(status: i32) -> Self {
        if libc::WIFSIGNALED(status) {
            Ended::Signal { signal: libc::WTERMSIG(status), core: libc::WCOREDUMP(status) }
        } else {
            // Only the low eight bits ever come.
            Ended::Code(libc::WEXITSTATUS(status) as u8)
        }
    }
}

/// Takes the exit of any child that has ended; `None` when there is none.
///
/// By waitpid(2) itself: nix loses the exit of a child that a real-time signal killed.
pub fn reap_any() -> Option<(i32, Ended)> {
    wait(-1, libc::WNOHANG)
}

/// Waits for this child to end; `None` when it is no child of ours.
pub fn reap(pid: i32) -> Option<Ended> {
    wait(pid, 0).map(|(_, ended)| ended)
}

fn wait(pid: i32, flags: i32) -> Option<(i32, Ended)> {
    loop {
        let mut status = 0;
        // SAFETY: writes one int.
        let result = unsafe { libc::waitpid(pid, &raw mut status, flags) };
        match Errno::result(result) {
            Ok(0) => return None,
            Ok(pid) => return Some((pid, Ended::from_status(status))),
            Err(Errno::EINTR) => {}
            // ECHILD: there is no child at all. Nothing else can be (wait(2)).
            Err(_) => return None,
        }
    }
}

/// Whether this is a child of ours whose exit nobody has taken yet, ended or not.
pub fn is_own_child(pid: i32) -> bool {
    let Ok(id) = libc::id_t::try_from(pid) else { return false };
    let mut about = std::mem::MaybeUninit::<libc::siginfo_t>::uninit();
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: writes one siginfo_t, which is not read.
    let result = unsafe { libc::waitid(libc::P_PID, id, about.as_mut_ptr(), flags) };
    pid > 0 && result == 0
}

/// Signal 0 only asks. The pid has to be positive, else ESRCH.
pub fn kill(pid: i32, signal: i32) -> io::Result<()> {
    if pid <= 0 {
        return Err(Errno::ESRCH.into());
    }
    // SAFETY: takes no memory.
    Errno::result(unsafe { libc::kill(pid, signal) })?;
    Ok(())
}

/// To every process of the group; our own group and the group of init are never meant.
pub fn kill_group(group: i32, signal: i32) -> io::Result<()> {
    if group <= 1 || group == nix::unistd::getpgrp().as_raw() {
        return Err(Errno::ESRCH.into());
    }
    // SAFETY: takes no memory.
    Errno::result(unsafe { libc::kill(-group, signal) })?;
    Ok(())
}

/// To the group that the process `leader`, which is not us, leads.
pub fn kill_own_group(leader: i32, signal: i32) -> io::Result<()> {
    if leader <= 1 {
        return Err(Errno::ESRCH.into());
    }
    // SAFETY: takes no memory.
    Errno::result(unsafe { libc::kill(-leader, signal) })?;
    Ok(())
}

/// Nobody is left in it. In doubt (no permission to signal them), somebody is; of our own group and
/// that of init, nobody is meant.
pub fn group_is_empty(group: i32) -> bool {
    if group <= 1 {
        return true;
    }
    // SAFETY: takes no memory, and signal 0 is none.
    match Errno::result(unsafe { libc::kill(-group, 0) }) {
        Err(errno) => errno == Errno::ESRCH,
        Ok(_) => group == nix::unistd::getpgrp().as_raw(),
    }
}

pub fn group_of(pid: i32) -> Option<i32> {
    nix::unistd::getpgid(Some(Pid::from_raw(pid))).ok().map(Pid::as_raw)
}

pub fn own_pid() -> i32 {
    nix::unistd::getpid().as_raw()
}

pub fn own_uid() -> u32 {
    nix::unistd::geteuid().as_raw()
}

/// From now on we inherit the orphans among our descendants.
pub fn become_subreaper() -> io::Result<()> {
    Ok(nix::sys::prctl::set_child_subreaper(true)?)
}

/// RLIMIT_NOFILE, for a launch plan. musl has another type for it.
#[allow(clippy::unnecessary_cast)]
pub const DESCRIPTORS: u32 = libc::RLIMIT_NOFILE as u32;

/// How many descriptors a process may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DescriptorLimit {
    pub soft: u64,
    pub hard: u64,
}

/// Raises our own soft limit to the hard one; returns what it was, for the children.
pub fn raise_descriptor_limit() -> io::Result<DescriptorLimit> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(DescriptorLimit { soft, hard })
}

/// What no child of ours can exceed without privilege.
pub fn descriptor_hard_limit() -> io::Result<u64> {
    getrlimit(Resource::RLIMIT_NOFILE).map(|(_, hard)| hard).map_err(io::Error::from)
}

/// Our own oom_score_adj; `None` where there is no /proc.
pub fn oom_score_adjust() -> Option<i32> {
    std::fs::read_to_string("/proc/self/oom_score_adj").ok()?.trim().parse().ok()
}

/// PermissionDenied for a lower one than we were given, without CAP_SYS_RESOURCE.
pub fn set_oom_score_adjust(adjust: i32) -> io::Result<()> {
    std::fs::write("/proc/self/oom_score_adj", adjust.to_string())
}

/// A child that changes its user while it borrows our memory takes the right to look at our own
/// /proc entries from us (proc(5), "dumpable"); this gives it back.
pub fn stay_dumpable() {
    // SAFETY: takes no memory.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0, 0) };
}

/// Whether we are in the foreground group of this terminal; false when it is none of ours.
pub fn is_in_foreground_of(terminal: BorrowedFd<'_>) -> bool {
    nix::unistd::tcgetpgrp(terminal).is_ok_and(|group| group == nix::unistd::getpgrp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_killed_by_a_real_time_signal_is_told_as_such() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        assert!(is_own_child(pid));
        kill(pid, 40).unwrap();
        assert_eq!(reap(pid), Some(Ended::Signal { signal: 40, core: false }));
        assert!(!is_own_child(pid));
        assert!(child.wait().is_err());
    }

    #[test]
    fn zero_and_negative_numbers_signal_nobody() {
        for wrong in [0, -1, i32::MIN] {
            assert_eq!(kill(wrong, 0).unwrap_err().raw_os_error(), Some(libc::ESRCH));
            assert_eq!(kill_group(wrong, 0).unwrap_err().raw_os_error(), Some(libc::ESRCH));
        }
        assert_eq!(kill_group(1, 0).unwrap_err().raw_os_error(), Some(libc::ESRCH));
    }

    #[test]
    fn only_our_own_children_are_ours() {
        assert!(!is_own_child(1));
        assert!(!is_own_child(own_pid()));
        assert!(!is_own_child(-1));
    }

    #[test]
    fn codes_are_those_of_a_shell() {
        assert_eq!(Ended::Code(3).shell_code(), 3);
        assert_eq!(Ended::Signal { signal: 34, core: false }.shell_code(), 162);
    }
}

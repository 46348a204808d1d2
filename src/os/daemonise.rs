//! Leaving the caller: the steps of daemon(7) that concern the process itself.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::sys::stat::{Mode, umask};
use nix::unistd::{ForkResult, dup2_stderr, dup2_stdin, dup2_stdout, fork, setsid};

use super::signal::{self, SignalSet};

/// Which of the two processes goes on here.
#[derive(Debug)]
pub enum Side {
    /// The one that was called; the first child is `child`.
    Caller { child: i32 },
    /// The daemon: in a session of its own which it does not lead, so that no terminal that it
    /// opens can become its controlling terminal.
    Daemon,
}

/// fork, setsid, fork. Has to be called while there is one thread only.
pub fn leave_caller() -> io::Result<Side> {
    if let Some(child) = fork_once()? {
        return Ok(Side::Caller { child });
    }
    // Cannot fail: a process that was just forked leads no group.
    setsid()?;
    match fork_once() {
        Ok(None) => Ok(Side::Daemon),
        Ok(Some(_)) => super::vfork::exit_now(0),
        Err(error) => Err(error),
    }
}

/// The child's pid, or `None` in the child.
fn fork_once() -> io::Result<Option<i32>> {
    // SAFETY: there is one thread, so the child may go on with everything.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(Some(child.as_raw())),
        ForkResult::Child => Ok(None),
    }
}

/// umask 022, no descriptor but 0, 1, 2 and `kept`, every signal unblocked and at its default.
pub fn shed_inheritance(kept: &OwnedFd) {
    umask(Mode::from_bits_truncate(0o022));
    close_all_but(kept.as_raw_fd());
    signal::set_default(SignalSet::ALL.without(SignalSet::FAULTS.with(signal::PIPE)));
    signal::set_mask(SignalSet::EMPTY);
}

/// 0 on `input`, 1 and 2 on `output`.
pub fn redirect_standard(input: BorrowedFd<'_>, output: BorrowedFd<'_>) -> io::Result<()> {
    dup2_stdin(input.as_fd())?;
    dup2_stdout(output.as_fd())?;
    dup2_stderr(output.as_fd())?;
    Ok(())
}

fn close_all_but(kept: i32) {
    let kept = u32::try_from(kept).unwrap_or(3);
    for (first, last) in [(3, kept.saturating_sub(1)), (kept.saturating_add(1), u32::MAX)] {
        if first <= last {
            // SAFETY: nothing of ours is open yet but `kept` and the standard three; takes no memory.
            let closed = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
            if closed != 0 {
                close_one_by_one(kept);
                return;
            }
        }
    }
}

/// Where there is no close_range (before Linux 5.9): what /proc tells, not up to the limit, which
/// is 2^30 in some containers.
fn close_one_by_one(kept: u32) {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return };
    let numbers: Vec<u32> =
        entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for number in numbers.into_iter().filter(|number| *number > 2 && *number != kept) {
        // SAFETY: nothing of ours is open yet but `kept` and the standard three; takes no memory.
        unsafe { libc::syscall(libc::SYS_close, number) };
    }
}

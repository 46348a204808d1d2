//! The child between clone and exec. It runs in the memory of its parent, which waits: system calls
//! only, no allocation, no lock, nothing that can panic.
//!
//! Users and groups are set by the system calls themselves: the functions of the C library would
//! do it for all threads of the parent (nptl(7)).

use std::convert::Infallible;
use std::ffi::{CStr, c_int, c_long, c_void};

use super::{Context, Failure, Identity, SLOTS, Step};
use crate::os::processors::Processors;
use crate::os::signal::{self, KernelAction, SET_BYTES, SignalSet};
use crate::os::vfork;

/// Seen by nobody: the parent has the failure from memory.
const EXIT_CODE: c_int = 111;

const IOPRIO_WHO_PROCESS: c_int = 1;

/// All that the child needs, and the place for its answer.
pub(super) struct Plan<'a> {
    pub file: &'a CStr,
    /// The program is the descriptor after the last one given; `file` is empty.
    pub by_descriptor: bool,
    pub arguments: *const *const libc::c_char,
    pub environment: *const *const libc::c_char,
    pub slots: [i32; SLOTS],
    pub count: usize,
    pub beyond_slots: u32,
    pub shares_table: bool,
    pub reset: SignalSet,
    pub oom_score_adjust: Option<i32>,
    pub log_pipe: Option<u8>,
    /// Where the program may run, when the parent has restricted itself.
    pub processors: Option<Processors>,
    pub context: &'a Context,
    pub failure: Option<Failure>,
}

pub(super) extern "C" fn main(plan: *mut c_void) -> c_int {
    // SAFETY: `Launcher::launch` passes its Plan, which nobody else touches while it waits for us.
    let plan = unsafe { &mut *plan.cast::<Plan<'_>>() };
    match apply(plan) {
        Ok(never) => match never {},
        Err(failure) => plan.failure = Some(failure),
    }
    vfork::exit_now(EXIT_CODE)
}

/// Section 5 of the design: session, descriptors, limits, place, identity, exec. The mask comes
/// last, so that no signal ends the child before it can tell what failed.
fn apply(plan: &Plan<'_>) -> Result<Infallible, Failure> {
    let context = plan.context;
    part_with_table(plan)?;
    // SAFETY: takes no memory.
    check(Step::Session, 0, unsafe { libc::syscall(libc::SYS_setsid) })?;
    place_descriptors(plan)?;
    if context.controlling_terminal {
        // SAFETY: takes no memory.
        let result = unsafe { libc::syscall(libc::SYS_ioctl, 0, libc::TIOCSCTTY, 0) };
        check(Step::ControllingTerminal, 0, result)?;
    }
    close_others(plan)?;
    plan.reset.iter().for_each(|signal| signal::set_action(signal, &KernelAction::DEFAULT));
    set_limits(context)?;
    set_priorities(context)?;
    if let Some(adjust) = plan.oom_score_adjust {
        set_oom_score(adjust)?;
    }
    enter(context)?;
    if let Some(identity) = &context.identity {
        if let Some(number) = plan.log_pipe {
            share_log_pipe(c_int::from(number), identity);
        }
        become_user(identity)?;
    }
    if let Some(processors) = &plan.processors {
        // Fails when none of them is left to us: the kernel has chosen others then.
        processors.apply().err();
    }
    signal::set_mask(SignalSet::EMPTY);
    execute(plan)
}

/// Only for those that open it again by name (`/dev/stdout`, a logger's `/dev/stdin`): no reason not to start
/// the program. The pipe belongs to the user that writes and to the group of the one that reads.
fn share_log_pipe(number: c_int, identity: &Identity) {
    if number != 0 {
        // SAFETY: takes no memory.
        unsafe { libc::syscall(libc::SYS_fchown, number, identity.uid, -1) };
        return;
    }
    // SAFETY: as above.
    unsafe { libc::syscall(libc::SYS_fchown, number, -1, identity.gid) };
    // SAFETY: as above.
    unsafe { libc::syscall(libc::SYS_fchmod, number, 0o660) };
}

/// Whether the kernel lets a child leave a table of descriptors that it shares.
pub(super) fn can_part_with_table() -> bool {
    // The range holds nothing: no limit goes that far.
    let flags = libc::CLOSE_RANGE_UNSHARE;
    // SAFETY: closes nothing, takes no memory.
    unsafe { libc::syscall(libc::SYS_close_range, u32::MAX - 1, u32::MAX, flags) == 0 }
}

/// A copy of its own up to the slots; without sharing, clone has copied the whole already.
fn part_with_table(plan: &Plan<'_>) -> Result<(), Failure> {
    if !plan.shares_table {
        return Ok(());
    }
    let flags = libc::CLOSE_RANGE_UNSHARE;
    // SAFETY: closes descriptors of the child only, takes no memory.
    let result = unsafe { libc::syscall(libc::SYS_close_range, plan.beyond_slots, u32::MAX, flags) };
    check(Step::CloseDescriptors, 0, result)
}

fn place_descriptors(plan: &Plan<'_>) -> Result<(), Failure> {
    for (target, slot) in plan.slots.iter().enumerate().take(plan.count) {
        // SAFETY: takes no memory.
        let result = unsafe { libc::syscall(libc::SYS_dup3, *slot, target, 0) };
        check(Step::Stdio, target as u8, result)?;
    }
    if let (true, Some(slot)) = (plan.by_descriptor, plan.slots.get(plan.count)) {
        // SAFETY: takes no memory.
        let result = unsafe { libc::syscall(libc::SYS_dup3, *slot, plan.count, libc::O_CLOEXEC) };
        check(Step::Stdio, plan.count as u8, result)?;
    }
    Ok(())
}

/// Where there is no close_range, exec closes them: everything of ours is close-on-exec.
fn close_others(plan: &Plan<'_>) -> Result<(), Failure> {
    if !plan.shares_table {
        return Ok(());
    }
    let first = plan.count.saturating_add(usize::from(plan.by_descriptor));
    // SAFETY: takes no memory.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) };
    check(Step::CloseDescriptors, 1, result)
}

fn set_limits(context: &Context) -> Result<(), Failure> {
    for (index, limit) in context.limits.iter().enumerate() {
        let new = [limit.soft, limit.hard];
        let old = std::ptr::null_mut::<u64>();
        // SAFETY: the kernel reads two words of 64 bits, on every architecture.
        let result = unsafe { libc::syscall(libc::SYS_prlimit64, 0, limit.resource, new.as_ptr(), old) };
        check(Step::Limit, index as u8, result)?;
    }
    Ok(())
}

fn set_priorities(context: &Context) -> Result<(), Failure> {
    if let Some(nice) = context.nice {
        // SAFETY: takes no memory.
        let result = unsafe { libc::syscall(libc::SYS_setpriority, libc::PRIO_PROCESS, 0, nice) };
        check(Step::Nice, 0, result)?;
    }
    if let Some(priority) = context.io_priority {
        // SAFETY: takes no memory.
        let result = unsafe { libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, priority) };
        check(Step::IoPriority, 0, result)?;
    }
    if let Some((policy, priority)) = context.scheduler {
        // SAFETY: the kernel reads one int, all that its sched_param has.
        let result =
            unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0, policy, std::ptr::from_ref(&priority)) };
        check(Step::Scheduler, 0, result)?;
    }
    Ok(())
}

fn set_oom_score(adjust: i32) -> Result<(), Failure> {
    let path = c"/proc/self/oom_score_adj";
    let flags = libc::O_WRONLY | libc::O_CLOEXEC;
    // SAFETY: the path is NUL-terminated.
    let fd = unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags) };
    check(Step::OomScore, 0, fd)?;
    let mut digits = [0; 12];
    let text = decimal(adjust, &mut digits);
    // SAFETY: the kernel reads `text`.
    let written = unsafe { libc::syscall(libc::SYS_write, fd, text.as_ptr(), text.len()) };
    let result = check(Step::OomScore, 1, written);
    // SAFETY: closes what was opened here.
    unsafe { libc::syscall(libc::SYS_close, fd) };
    result
}

fn decimal(number: i32, digits: &mut [u8; 12]) -> &[u8] {
    let mut rest = number.unsigned_abs();
    let mut start = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit = b'0'.wrapping_add((rest % 10) as u8);
        rest /= 10;
        start = start.wrapping_sub(1);
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        start = start.wrapping_sub(1);
        if let Some(sign) = digits.get_mut(start) {
            *sign = b'-';
        }
    }
    digits.get(start..).unwrap_or_default()
}

/// umask, root and working directory.
fn enter(context: &Context) -> Result<(), Failure> {
    if let Some(umask) = context.umask {
        // SAFETY: takes no memory and cannot fail.
        unsafe { libc::syscall(libc::SYS_umask, umask) };
    }
    if let Some(root) = &context.root {
        // SAFETY: the path is NUL-terminated.
        check(Step::Root, 0, unsafe { libc::syscall(libc::SYS_chroot, root.as_ptr()) })?;
    }
    if let Some(directory) = &context.working_directory {
        // SAFETY: the path is NUL-terminated.
        let result = unsafe { libc::syscall(libc::SYS_chdir, directory.as_ptr()) };
        check(Step::WorkingDirectory, 0, result)?;
    }
    Ok(())
}

fn become_user(identity: &Identity) -> Result<(), Failure> {
    let (uid, gid, groups) = (identity.uid, identity.gid, &identity.groups);
    // SAFETY: the kernel reads as many group ids as are told.
    let result = unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) };
    check(Step::Groups, 0, result)?;
    // SAFETY: takes no memory.
    check(Step::Gid, 0, unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) })?;
    // SAFETY: takes no memory.
    check(Step::Uid, 0, unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) })
}

fn execute(plan: &Plan<'_>) -> Result<Infallible, Failure> {
    let (path, arguments, environment) = (plan.file.as_ptr(), plan.arguments, plan.environment);
    let result = if plan.by_descriptor {
        let (fd, flags) = (plan.count, libc::AT_EMPTY_PATH);
        // SAFETY: the strings are NUL-terminated and the arrays end in a null pointer.
        unsafe { libc::syscall(libc::SYS_execveat, fd, path, arguments, environment, flags) }
    } else {
        // SAFETY: as above.
        unsafe { libc::syscall(libc::SYS_execve, path, arguments, environment) }
    };
    check(Step::Execute, 0, result)?;
    Err(Failure { step: Step::Execute, index: 0, errno: libc::EIO })
}

fn check(step: Step, index: u8, result: c_long) -> Result<(), Failure> {
    if result < 0 { Err(Failure { step, index, errno: errno() }) } else { Ok(()) }
}

/// Of the last system call; of the thread that waits for us, whose memory this is.
fn errno() -> i32 {
    // SAFETY: the address of the thread's errno is always valid.
    let place = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    unsafe { *place }
}

const _: () = assert!(SET_BYTES == 8);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_without_the_library() {
        for number in [0, 1, -1, 1000, -1000, i32::MAX, i32::MIN] {
            let mut digits = [0; 12];
            assert_eq!(decimal(number, &mut digits), number.to_string().as_bytes());
        }
    }
}

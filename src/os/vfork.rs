//! A child that borrows our memory until it executes or ends: clone(2) as vfork(2) does it, on a
//! stack of its own. No page table is copied, so the cost does not grow with us.

use std::ffi::{c_int, c_void};
use std::io;
use std::num::NonZeroUsize;
use std::ptr::NonNull;

use nix::errno::Errno;
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, mprotect, munmap};

/// The deepest path between clone and exec takes a few KiB, in a debug build too.
const STACK_BYTES: usize = 64 * 1024;
const GUARD_BYTES: usize = 64 * 1024;

/// A stack for the child, with a page below it that faults. One child at a time.
#[derive(Debug)]
pub(super) struct Stack {
    base: NonNull<c_void>,
}

impl Stack {
    pub fn new() -> io::Result<Self> {
        let whole = NonZeroUsize::MIN.saturating_add(STACK_BYTES + GUARD_BYTES - 1);
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_ANONYMOUS | MapFlags::MAP_STACK;
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: new anonymous memory at an address that the kernel chooses.
        let base = unsafe { mmap_anonymous(None, whole, access, flags) }?;
        let stack = Self { base };
        // SAFETY: the lowest part of our own mapping, which nobody uses yet.
        unsafe { mprotect(base, GUARD_BYTES, ProtFlags::PROT_NONE) }?;
        Ok(stack)
    }

    fn top(&self) -> *mut c_void {
        self.base.as_ptr().wrapping_byte_add(STACK_BYTES + GUARD_BYTES)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the whole of our own mapping; no child runs on it any more, as clone only returns
        // when the child is done with our memory.
        let result = unsafe { munmap(self.base, STACK_BYTES + GUARD_BYTES) };
        debug_assert!(result.is_ok());
    }
}

/// What runs in the child; it never returns.
pub(super) type Entry = extern "C" fn(*mut c_void) -> c_int;

/// Runs `entry(argument)` in a child. Returns its pid when it has executed or ended.
///
/// # Safety
/// `entry` runs in our memory while the calling thread waits: it may neither allocate nor lock, nor
/// unwind nor return to what is not on its stack, and it has to end in execve(2) or `_exit(2)`.
/// `argument` has to be what it expects and valid for the call. All signals with a handler have to
/// be blocked, but for faults.
pub(super) unsafe fn run(
    stack: &mut Stack,
    flags: c_int,
    entry: Entry,
    argument: *mut c_void,
) -> io::Result<i32> {
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD | flags;
    // SAFETY: the stack is large enough and used by this child only (&mut); the rest is the
    // promise of our caller.
    let pid = unsafe { libc::clone(entry, stack.top(), flags, argument) };
    Ok(Errno::result(pid)?)
}

/// The same, and every signal that we have a function for is at its default in the child: one
/// system call instead of one for each (clone3(2), CLONE_CLEAR_SIGHAND, Linux 5.5). ENOSYS, EPERM
/// or EINVAL where the kernel or a seccomp filter of the surroundings does not have it.
///
/// # Safety
/// As for `run`.
#[cfg(target_arch = "x86_64")]
pub(super) unsafe fn run_without_handlers(
    stack: &mut Stack,
    flags: c_int,
    entry: Entry,
    argument: *mut c_void,
) -> io::Result<i32> {
    /// CLONE_ARGS_SIZE_VER0.
    const SIZE: usize = 64;
    const CLONE_CLEAR_SIGHAND: u64 = 1 << 32;
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | flags;
    let base = stack.base.as_ptr().wrapping_byte_add(GUARD_BYTES) as u64;
    // flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls (linux/sched.h).
    let arguments: [u64; SIZE / 8] =
        [flags as u64 | CLONE_CLEAR_SIGHAND, 0, 0, 0, libc::SIGCHLD as u64, base, STACK_BYTES as u64, 0];
    let result: i64;
    // SAFETY: the child has a stack of its own from its first instruction, so it leaves that of the
    // parent alone, and never comes out of `entry`; the parent goes on with its registers as they
    // were but for those that the call takes. The rest is the promise of our caller.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r13",
            "call r12",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_clone3 => result,
            in("rdi") arguments.as_ptr(),
            in("rsi") SIZE,
            in("r12") entry,
            in("r13") argument,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    // -errno, or a pid.
    let result = result as i32;
    if result < 0 { Err(io::Error::from_raw_os_error(-result)) } else { Ok(result) }
}

/// Not written for this architecture: the C library has no function for it.
///
/// # Safety
/// As for `run`.
#[cfg(not(target_arch = "x86_64"))]
pub(super) unsafe fn run_without_handlers(
    _stack: &mut Stack,
    _flags: c_int,
    _entry: Entry,
    _argument: *mut c_void,
) -> io::Result<i32> {
    Err(Errno::ENOSYS.into())
}

/// Ends a child that could not execute. Nothing of our process is flushed or run.
pub(super) fn exit_now(code: c_int) -> ! {
    // SAFETY: ends this process at once and touches no memory.
    unsafe { libc::_exit(code) }
}

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

/// Runs `entry(argument)` in a child. Returns its pid when it has executed or ended.
///
/// # Safety
/// `entry` runs in our memory while the calling thread waits: it may neither allocate nor lock, nor
/// unwind nor return to what is not on its stack, and it has to end in execve(2) or `_exit(2)`.
/// `argument` has to be what it expects and valid for the call. All signals with a handler have to
/// be blocked.
pub(super) unsafe fn run(
    stack: &mut Stack,
    flags: c_int,
    entry: extern "C" fn(*mut c_void) -> c_int,
    argument: *mut c_void,
) -> io::Result<i32> {
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD | flags;
    // SAFETY: the stack is large enough and used by this child only (&mut); the rest is the
    // promise of our caller.
    let pid = unsafe { libc::clone(entry, stack.top(), flags, argument) };
    Ok(Errno::result(pid)?)
}

/// Ends a child that could not execute. Nothing of our process is flushed or run.
pub(super) fn exit_now(code: c_int) -> ! {
    // SAFETY: ends this process at once and touches no memory.
    unsafe { libc::_exit(code) }
}

//! Descriptors: making them, counting them, and writing to the standard ones without ever blocking.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl, open};
use nix::sys::stat::Mode;
use nix::unistd::pipe2;

use super::poll::{Waiting, poll};

/// /dev/null for reading and writing.
pub fn null() -> io::Result<OwnedFd> {
    Ok(open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC | OFlag::O_NOCTTY, Mode::empty())?)
}

/// A log file: appended to, made 0640 (less the umask), never a terminal of ours.
pub fn append(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlag::O_WRONLY | OFlag::O_APPEND | OFlag::O_CREAT | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
    Ok(open(path, flags, Mode::from_bits_truncate(0o640))?)
}

/// The read end and the write end.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(pipe2(OFlag::O_CLOEXEC)?)
}

/// The program that runs, as a file to execute again even when its path has got another one since.
pub fn own_program() -> io::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
    match open("/proc/self/exe", flags, Mode::empty()) {
        Ok(fd) => Ok(fd),
        // No /proc: the path by which the kernel was told to execute it.
        Err(errno) => match path_executed() {
            Some(path) => Ok(open(path, flags, Mode::empty())?),
            None => Err(errno.into()),
        },
    }
}

fn path_executed() -> Option<&'static std::ffi::CStr> {
    // SAFETY: reads the auxiliary vector, which never changes.
    let address = unsafe { libc::getauxval(libc::AT_EXECFN) };
    if address == 0 {
        return None;
    }
    // SAFETY: AT_EXECFN is a NUL-terminated string on the initial stack, there as long as the
    // process is (getauxval(3)).
    Some(unsafe { std::ffi::CStr::from_ptr(address as *const libc::c_char) })
}

/// Another number for the same open file, at least `least`.
pub fn duplicate_from(fd: BorrowedFd<'_>, least: i32) -> io::Result<OwnedFd> {
    let number = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(least))?;
    // SAFETY: the kernel has just made it for us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Makes `slot` another number for the open file of `fd`.
pub fn put(fd: BorrowedFd<'_>, slot: &mut OwnedFd) -> io::Result<()> {
    Ok(nix::unistd::dup3(fd, slot, OFlag::O_CLOEXEC)?)
}

/// No descriptor from 3 on survives an exec of ours, not even one that our caller left open.
pub fn close_others_on_exec() -> io::Result<()> {
    // SAFETY: sets a flag on descriptors, takes no memory.
    let result = unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    match Errno::result(result) {
        Ok(_) => Ok(()),
        Err(_) => each_open(|fd| {
            // One that is closed meanwhile (the directory that is read) needs no flag.
            fcntl(fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).err();
        }),
    }
}

/// What close_range does where the kernel has none (before 5.9).
fn each_open(mut act: impl FnMut(BorrowedFd<'_>)) -> io::Result<()> {
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let name = entry?.file_name();
        let number: Option<i32> = name.to_str().and_then(|name| name.parse().ok());
        if let Some(number) = number.filter(|number| *number > 2) {
            // SAFETY: borrowed only for the call; it was open a moment ago, and a number that is
            // closed by now gives EBADF.
            act(unsafe { BorrowedFd::borrow_raw(number) });
        }
    }
    Ok(())
}

/// Descriptor 0, 1 or 2 of this process, which are never owned.
pub fn standard(number: StandardNumber) -> BorrowedFd<'static> {
    // SAFETY: 0, 1 and 2 are open from the start (Rust's runtime sees to that) and never closed.
    unsafe { BorrowedFd::borrow_raw(number as i32) }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StandardNumber {
    Input = 0,
    Output = 1,
    Error = 2,
}

/// Says something on stderr, or nothing when that is full, stopped or gone: whoever may not block
/// or die of it. At most 4096 bytes, so that a pipe takes it whole.
pub fn say(text: &str) {
    let error = standard(StandardNumber::Error);
    let mut waiting = [Waiting::to_write(error)];
    let ready = poll(&mut waiting, Some(std::time::Duration::ZERO));
    if ready.is_ok() && waiting.iter().all(Waiting::writable) {
        let mut line = String::with_capacity(text.len() + 6);
        line.push_str("svc: ");
        line.push_str(text);
        line.push('\n');
        let bytes = line.as_bytes();
        // There is nobody left to be told that it cannot be told.
        nix::unistd::write(error, bytes.get(..4096).unwrap_or(bytes)).err();
    }
}

/// The descriptors that have been taken by `inherited`, one bit each.
static TAKEN: AtomicU64 = AtomicU64::new(0);

/// A descriptor from 3 on that we were started with, now owned and close-on-exec. Once only; to be
/// called before anything else is opened. An error when it is not open.
pub fn inherited(number: u8) -> io::Result<OwnedFd> {
    let bit = 1_u64.checked_shl(u32::from(number)).filter(|_| number > 2).ok_or(Errno::EBADF)?;
    if TAKEN.fetch_or(bit, Ordering::Relaxed) & bit != 0 {
        return Err(Errno::EBADF.into());
    }
    let number = i32::from(number);
    // SAFETY: borrowed only for the call, which fails when it is not open.
    let fd = unsafe { BorrowedFd::borrow_raw(number) };
    fcntl(fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    // SAFETY: it is open, and nobody of ours has it: it is asked for once, before all else.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// For messages that name it.
pub fn number(fd: impl AsFd) -> i32 {
    fd.as_fd().as_raw_fd()
}

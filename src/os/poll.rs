//! Waiting for several descriptors: poll(2).

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout};

use super::signal::{SET_BYTES, SignalSet};

/// What to wait for, and afterwards what came.
#[repr(transparent)]
pub struct Waiting<'fd>(PollFd<'fd>);

impl<'fd> Waiting<'fd> {
    pub fn to_read(fd: BorrowedFd<'fd>) -> Self {
        Self(PollFd::new(fd, PollFlags::POLLIN))
    }

    pub fn to_write(fd: BorrowedFd<'fd>) -> Self {
        Self(PollFd::new(fd, PollFlags::POLLOUT))
    }

    pub fn to_read_and_write(fd: BorrowedFd<'fd>) -> Self {
        Self(PollFd::new(fd, PollFlags::POLLIN | PollFlags::POLLOUT))
    }

    /// Only hang-up and errors, which poll always tells.
    pub fn to_end(fd: BorrowedFd<'fd>) -> Self {
        Self(PollFd::new(fd, PollFlags::empty()))
    }

    /// Data, end of file or an error can be read.
    pub fn readable(&self) -> bool {
        self.came(PollFlags::POLLIN | PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL)
    }

    pub fn writable(&self) -> bool {
        self.came(PollFlags::POLLOUT | PollFlags::POLLERR | PollFlags::POLLNVAL)
    }

    pub fn hung_up(&self) -> bool {
        self.came(PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL)
    }

    fn came(&self, flags: PollFlags) -> bool {
        self.0.revents().is_some_and(|came| came.intersects(flags))
    }
}

/// Waits until one is ready or the time is over; `None` waits for ever. The time is rounded up to
/// milliseconds. Returns how many are ready; 0 after the time or when a signal came.
pub fn poll(waiting: &mut [Waiting<'_>], timeout: Option<Duration>) -> io::Result<usize> {
    let timeout = match timeout {
        None => PollTimeout::NONE,
        Some(time) => {
            let milliseconds = time.as_nanos().div_ceil(1_000_000);
            PollTimeout::try_from(i32::try_from(milliseconds).unwrap_or(i32::MAX)).unwrap_or(PollTimeout::MAX)
        }
    };
    match nix::poll::poll(as_poll_fds(waiting), timeout) {
        Ok(ready) => Ok(usize::try_from(ready).unwrap_or(0)),
        Err(Errno::EINTR) => Ok(0),
        Err(errno) => Err(errno.into()),
    }
}

/// The same with another mask of signals meanwhile (ppoll(2)); `None` when one came that the mask
/// lets in. None comes when something is ready at once.
pub(super) fn poll_with_mask(
    waiting: &mut [Waiting<'_>],
    timeout: Option<Duration>,
    mask: SignalSet,
) -> io::Result<Option<usize>> {
    let mut time = timeout.map(|time| libc::timespec {
        tv_sec: libc::time_t::try_from(time.as_secs()).unwrap_or(libc::time_t::MAX),
        // Below 10^9.
        tv_nsec: time.subsec_nanos() as libc::c_long,
    });
    let time = time.as_mut().map_or(std::ptr::null_mut(), std::ptr::from_mut);
    let fds = as_poll_fds(waiting);
    let (first, count) = (fds.as_mut_ptr(), fds.len());
    // SAFETY: PollFd is a transparent pollfd, and there are as many as told; the time is null or
    // ours to be changed; the set has the size that is told.
    let ready = unsafe { libc::syscall(libc::SYS_ppoll, first, count, time, &raw const mask, SET_BYTES) };
    match Errno::result(ready) {
        Ok(ready) => Ok(Some(usize::try_from(ready).unwrap_or(0))),
        Err(Errno::EINTR) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

fn as_poll_fds<'slice, 'fd>(waiting: &'slice mut [Waiting<'fd>]) -> &'slice mut [PollFd<'fd>] {
    let (first, length) = (waiting.as_mut_ptr().cast::<PollFd<'fd>>(), waiting.len());
    // SAFETY: Waiting is a transparent wrapper of PollFd, so the slice has the same layout; the
    // borrow of `waiting` lives as long as the result.
    unsafe { std::slice::from_raw_parts_mut(first, length) }
}

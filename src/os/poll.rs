//! Waiting for several descriptors: poll(2).

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout};

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
        Err(nix::errno::Errno::EINTR) => Ok(0),
        Err(errno) => Err(errno.into()),
    }
}

fn as_poll_fds<'slice, 'fd>(waiting: &'slice mut [Waiting<'fd>]) -> &'slice mut [PollFd<'fd>] {
    let (first, length) = (waiting.as_mut_ptr().cast::<PollFd<'fd>>(), waiting.len());
    // SAFETY: Waiting is a transparent wrapper of PollFd, so the slice has the same layout; the
    // borrow of `waiting` lives as long as the result.
    unsafe { std::slice::from_raw_parts_mut(first, length) }
}

//! Waiting for very many descriptors: epoll(7), level-triggered.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::epoll::{EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

/// How many are told at once; the kernel tells the others next time, in turn.
const READY_MAX: usize = 128;

/// The descriptors waited for, each with a token of the caller's.
#[derive(Debug)]
pub struct Epoll(nix::sys::epoll::Epoll);

impl Epoll {
    pub fn new() -> io::Result<Self> {
        Ok(Self(nix::sys::epoll::Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?))
    }

    /// From now on `token` is ready when there is something to read, or the end.
    pub fn add_reader(&self, fd: BorrowedFd<'_>, token: u64) -> io::Result<()> {
        Ok(self.0.add(fd, EpollEvent::new(EpollFlags::EPOLLIN, token))?)
    }

    /// From now on `token` is ready when there is room to write. EPERM for a regular file, which
    /// always has room.
    pub fn add_writer(&self, fd: BorrowedFd<'_>, token: u64) -> io::Result<()> {
        Ok(self.0.add(fd, EpollEvent::new(EpollFlags::EPOLLOUT, token))?)
    }

    /// From now on `token` is ready only at the end, which the kernel always tells.
    pub fn await_end(&self, fd: BorrowedFd<'_>, token: u64) -> io::Result<()> {
        Ok(self.0.modify(fd, &mut EpollEvent::new(EpollFlags::empty(), token))?)
    }

    pub fn remove(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        Ok(self.0.delete(fd)?)
    }

    /// Replaces `ready` by the tokens that are ready; none after the time, rounded up to
    /// milliseconds, or when a signal came. `None` waits for ever.
    pub fn wait(&self, ready: &mut Vec<u64>, timeout: Option<Duration>) -> io::Result<()> {
        ready.clear();
        let timeout = match timeout {
            None => EpollTimeout::NONE,
            Some(time) => {
                let milliseconds = i32::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX);
                EpollTimeout::try_from(milliseconds).unwrap_or(EpollTimeout::MAX)
            }
        };
        let mut events = [EpollEvent::empty(); READY_MAX];
        match self.0.wait(&mut events, timeout) {
            Ok(count) => {
                ready.extend(events.iter().take(count).map(EpollEvent::data));
                Ok(())
            }
            Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl AsFd for Epoll {
    /// Readable when one of its descriptors is ready.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.0.as_fd()
    }
}

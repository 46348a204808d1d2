//! Waking a thread that sleeps in poll: eventfd(2).

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::eventfd::{EfdFlags, EventFd};

/// Written by any thread, polled by one.
#[derive(Debug)]
pub struct Waker(EventFd);

impl Waker {
    pub fn new() -> io::Result<Self> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        Ok(Self(EventFd::from_value_and_flags(0, flags)?))
    }

    /// Wakes the poller now, or at its next poll.
    pub fn wake(&self) {
        // EAGAIN: the counter is full, so the poller wakes up anyway. Nothing else can fail here.
        if let Err(errno) = self.0.write(1) {
            debug_assert_eq!(errno, Errno::EAGAIN);
        }
    }

    /// Called by the poller after waking up, before it looks at its inbox.
    pub fn clear(&self) {
        if let Err(errno) = self.0.read() {
            debug_assert_eq!(errno, Errno::EAGAIN);
        }
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

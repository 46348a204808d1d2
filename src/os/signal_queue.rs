//! Signals that come, to be waited for together with descriptors and read afterwards. signal-hook
//! catches them, and only while we wait: nothing else of ours is ever interrupted.

use std::io;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::WithRawSiginfo;

use super::poll::{Waiting, poll_with_mask};
use super::signal::{SignalSet, set_mask};

/// A signal that came, and who sent it (0: the kernel, or a process outside the pid namespace).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Came {
    pub signal: i32,
    pub sender: i32,
}

#[derive(Debug)]
pub struct SignalQueue {
    delivery: SignalDelivery<UnixStream, WithRawSiginfo>,
    /// Blocked also while we wait.
    shut_out: SignalSet,
}

impl SignalQueue {
    /// From now on this thread has all signals but faults blocked, except while it waits here: then
    /// `caught` are caught, and `let_in` do what they do to every program. Five of each caught
    /// number are kept until they are read, which is more than the kernel keeps of most.
    pub fn new(caught: SignalSet, let_in: SignalSet) -> io::Result<Self> {
        let mask = SignalSet::ALL.without(SignalSet::FAULTS);
        set_mask(mask);
        let (read, write) = UnixStream::pair()?;
        let nothing: [i32; 0] = [];
        let delivery = SignalDelivery::with_pipe(read, write, WithRawSiginfo, nothing)?;
        let mut shut_out = mask.without(let_in);
        for signal in caught.iter() {
            match delivery.handle().add_signal(signal) {
                Ok(()) => shut_out = shut_out.without(SignalSet::EMPTY.with(signal)),
                // The C library keeps it for itself (34 with musl): blocked, it does no harm.
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self { delivery, shut_out })
    }

    /// Waits until a signal comes, one of these is ready or the time is over. True when signals can
    /// be read; what is ready is told by the others then only if they were ready before.
    pub fn wait(&self, waiting: &mut [Waiting<'_>], timeout: Option<Duration>) -> io::Result<bool> {
        match poll_with_mask(waiting, timeout, self.shut_out)? {
            None => Ok(true),
            Some(0) => Ok(false),
            // A descriptor that is always ready would keep signals out for ever.
            Some(_) => Ok(poll_with_mask(&mut [], Some(Duration::ZERO), self.shut_out)?.is_none()),
        }
    }

    /// What has come, ordered by number, oldest of its number first.
    pub fn read(&mut self) -> impl Iterator<Item = Came> + use<> {
        self.delivery.pending().map(|about| Came { signal: about.si_signo, sender: sender(&about) })
    }
}

/// Only of a signal that was sent by a process is a pid told (sigaction(2)).
fn sender(about: &libc::siginfo_t) -> i32 {
    match about.si_code {
        // SAFETY: with these codes the kernel has filled the pid in.
        libc::SI_USER | libc::SI_QUEUE | libc::SI_TKILL => unsafe { about.si_pid() },
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::signal;

    fn send(number: i32) {
        let own = nix::unistd::gettid().as_raw();
        // SAFETY: sends a signal that is blocked or caught to this very thread.
        unsafe { libc::syscall(libc::SYS_tkill, own, number) };
    }

    #[test]
    fn a_real_time_signal_is_read_with_its_sender_after_a_wait() {
        let mut queue = SignalQueue::new(SignalSet::EMPTY.with(40), SignalSet::EMPTY).unwrap();
        assert!(!queue.wait(&mut [], Some(Duration::ZERO)).unwrap());
        send(40);
        assert_eq!(queue.read().count(), 0);
        assert!(queue.wait(&mut [], None).unwrap());
        let came = Came { signal: 40, sender: nix::unistd::getpid().as_raw() };
        assert_eq!(queue.read().collect::<Vec<_>>(), [came]);
        assert!(!queue.wait(&mut [], Some(Duration::ZERO)).unwrap());
    }

    #[test]
    fn a_descriptor_that_is_always_ready_does_not_keep_signals_out() {
        let mut queue = SignalQueue::new(SignalSet::EMPTY.with(41), SignalSet::EMPTY).unwrap();
        let (read, write) = UnixStream::pair().unwrap();
        drop(write);
        let mut waiting = [Waiting::to_read(std::os::fd::AsFd::as_fd(&read))];
        assert!(!queue.wait(&mut waiting, None).unwrap());
        send(41);
        assert!(queue.wait(&mut waiting, None).unwrap());
        assert!(waiting[0].readable());
        assert_eq!(queue.read().count(), 1);
    }

    #[test]
    fn what_is_not_caught_stays_blocked_while_we_wait() {
        let queue = SignalQueue::new(SignalSet::EMPTY.with(42), SignalSet::EMPTY).unwrap();
        for signal in [signal::USR1, 33, 43] {
            send(signal);
        }
        assert!(!queue.wait(&mut [], Some(Duration::ZERO)).unwrap());
    }
}

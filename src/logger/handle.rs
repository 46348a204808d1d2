//! The supervisor's end of the logger: each call leaves an order for the thread and returns.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};

use crate::lifecycle::Name;
use crate::os::event_fd::Waker;
use crate::service::LogSettings;

use super::console::{Sink, Target};
use super::thread::Thread;
use super::{Fact, LoggerSetup};

/// How long `finish` tries when a disk is full or stdout is blocked.
pub(super) const FINISH_TIME: Duration = Duration::from_secs(2);
/// And how much longer a thread is waited for that a dead disk holds in the kernel.
const JOIN_TIME: Duration = Duration::from_secs(1);
/// svc's own messages that may wait for the thread; what is more is dropped, which only a thread
/// that a dead disk holds can bring about.
const SAYING_MAX: usize = 10_000;

#[derive(Debug)]
pub(super) enum Order {
    Attach {
        name: Name,
        pipe: OwnedFd,
        settings: Arc<LogSettings>,
    },
    Configure {
        name: Name,
        settings: Arc<LogSettings>,
    },
    Detach {
        name: Name,
    },
    Tail {
        name: Name,
        lines: usize,
        token: u64,
    },
    Say {
        line: String,
    },
    /// From a thread of the logger's own.
    Complain {
        name: Name,
        text: String,
    },
    Finish,
}

/// Where orders wait. The channel has no limit of its own: the supervisor leaves a few orders per
/// service, and must never wait for a disk.
#[derive(Debug)]
pub(super) struct Inbox {
    sender: Sender<Order>,
    pub receiver: Receiver<Order>,
    pub waker: Waker,
    /// The waker has been written since the thread last looked.
    signalled: AtomicBool,
    saying: AtomicUsize,
}

impl Inbox {
    pub fn new() -> io::Result<Self> {
        let (sender, receiver) = crossbeam_channel::unbounded();
        let (signalled, saying) = (AtomicBool::new(false), AtomicUsize::new(0));
        Ok(Self { sender, receiver, waker: Waker::new()?, signalled, saying })
    }

    pub fn leave(&self, order: Order) {
        // The inbox itself keeps a receiver, so that the channel is never closed.
        if self.sender.send(order).is_ok() && !self.signalled.swap(true, Ordering::AcqRel) {
            self.waker.wake();
        }
    }

    /// There are orders that the thread has not seen.
    pub fn is_waiting(&self) -> bool {
        self.signalled.load(Ordering::Acquire)
    }

    /// Called by the thread before it takes the orders.
    pub fn look(&self) {
        self.waker.clear();
        self.signalled.store(false, Ordering::Release);
        self.saying.store(0, Ordering::Relaxed);
    }
}

/// The one thread of all logs. Dropping it without `finish` leaves the thread running.
#[derive(Debug)]
pub struct Logger {
    inbox: Arc<Inbox>,
    thread: JoinHandle<()>,
    ended: Receiver<()>,
}

impl Logger {
    /// `facts` is called in the logger's thread.
    pub fn start(setup: LoggerSetup, facts: impl Fn(Fact) + Send + 'static) -> io::Result<Logger> {
        let (out, error) = (Target::Stdout(io::stdout()), Target::Stderr(io::stderr()));
        Self::start_on(setup, out, error, facts)
    }

    pub(super) fn start_on(
        setup: LoggerSetup,
        out: Target,
        error: Target,
        facts: impl Fn(Fact) + Send + 'static,
    ) -> io::Result<Logger> {
        let inbox = Arc::new(Inbox::new()?);
        let out = setup.console.map(|console| (Sink::new(out), console.colour));
        let mut thread = Thread::new(setup, Arc::clone(&inbox), out, Sink::new(error), Box::new(facts))?;
        let (end, ended) = crossbeam_channel::bounded(1);
        let builder = std::thread::Builder::new().name("logger".to_owned()).stack_size(256 << 10);
        let thread = builder.spawn(move || {
            thread.run();
            drop(end);
        })?;
        Ok(Self { inbox, thread, ended })
    }

    /// From now on what comes through `pipe` is the log of `name`. When there is a pipe already, it
    /// is drained first.
    pub fn attach(&self, name: Name, pipe: OwnedFd, settings: impl Into<Arc<LogSettings>>) {
        self.inbox.leave(Order::Attach { name, pipe, settings: settings.into() });
    }

    pub fn configure(&self, name: &Name, settings: impl Into<Arc<LogSettings>>) {
        self.inbox.leave(Order::Configure { name: name.clone(), settings: settings.into() });
    }

    /// Drains what is in the pipe, then forgets it.
    pub fn detach(&self, name: &Name) {
        self.inbox.leave(Order::Detach { name: name.clone() });
    }

    /// Drains the pipe, then answers with `Fact::Tail`.
    pub fn tail(&self, name: &Name, lines: usize, token: u64) {
        self.inbox.leave(Order::Tail { name: name.clone(), lines, token });
    }

    /// svc's own message, without newline: on the console, else on stderr.
    pub fn say(&self, line: String) {
        if self.inbox.saying.fetch_add(1, Ordering::Relaxed) < SAYING_MAX {
            self.inbox.leave(Order::Say { line });
        }
    }

    /// Drains all pipes, writes everything, ends the thread; gives up after two to three seconds
    /// when a disk is full or stdout blocked.
    pub fn finish(self) {
        self.inbox.leave(Order::Finish);
        // Nothing is ever sent: an error other than the time being over is the end of the thread.
        let over = self.ended.recv_timeout(FINISH_TIME + JOIN_TIME);
        if over != Err(crossbeam_channel::RecvTimeoutError::Timeout) {
            drop(self.thread.join());
        }
    }
}

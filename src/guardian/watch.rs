//! The one loop of the guardian: signals first, because a standing order is carried out "at once",
//! then orders, then reports.

use std::mem;
use std::os::fd::AsFd;
use std::time::Duration;

use super::adopted::Adopted;
use super::children::{Children, Earlier, Entry, State};
use super::daemon::Caller;
use super::outbox::Outbox;
use super::place::Place;
use super::report::{self, now, reason};
use super::supervisor::Supervisor;
use super::{EXIT_SYSTEM_ERROR, Mode, Setup, end};
use crate::lifecycle::{Exit, Pid, Signal, Time};
use crate::os::clock::boot_ticks;
use crate::os::descriptor::{self, say};
use crate::os::launch::Launcher;
use crate::os::memory;
use crate::os::poll::Waiting;
use crate::os::process::{self, DescriptorLimit};
use crate::os::signal::{self, SignalSet};
use crate::os::signal_queue::{Came, SignalQueue};
use crate::protocol::guardian::{Child, LaunchFailure, Report};

/// Signals kept while there is no supervisor.
const SIGNALLED_MAX: usize = 64;

/// Never to be killed for lack of memory (proc(5)).
const PRECIOUS: i32 = -1000;

/// The first real-time signal of the kernel's counting that programs are given (signal(7)).
const RT_FIRST: i32 = 34;

/// What users and init systems send; not what the kernel tells us about ourselves.
const REPORTED: SignalSet = SignalSet::from(RT_FIRST)
    .with(signal::TERM)
    .with(signal::INT)
    .with(signal::QUIT)
    .with(signal::HUP)
    .with(signal::USR1)
    .with(signal::USR2)
    .with(signal::PWR)
    .with(signal::WINCH);

pub(super) struct Guardian {
    pub(super) place: Place,
    pub(super) signals: SignalQueue,
    pub(super) launcher: Launcher,
    pub(super) children: Children,
    /// Those of them that a guardian before this one has started.
    pub(super) adopted: Adopted,
    pub(super) supervisor: Supervisor,
    pub(super) outbox: Outbox,
    /// Not yet sent.
    signalled: Vec<Came>,
    /// Sent to a supervisor that has said nothing since: it may have died before it read them.
    signalled_unheard: Vec<Came>,
    pub(super) descriptor_limit: Option<DescriptorLimit>,
    /// What programs get where nothing else is said; `None` when it is ours.
    pub(super) oom_score_adjust: Option<i32>,
    pub(super) started: Time,
    /// Memory that is not needed goes back before the next wait.
    pub(super) tidies: bool,
    /// The code of an Exit order.
    pub(super) ending: Option<u8>,
    /// Children with a standing order whose process group was not empty when they were reaped.
    undecided: Vec<(Child, Earlier)>,
}

/// What is to be looked at after a wait.
struct Woken {
    signals: bool,
    orders: bool,
}

impl Guardian {
    /// Everything that changes the process itself. The error is for the user.
    pub fn new(setup: &Setup, place: Place) -> Result<Self, String> {
        let let_in = match setup.mode {
            // In a terminal Ctrl-Z does what it does to every program.
            Mode::Foreground => SignalSet::EMPTY.with(signal::TSTP),
            Mode::Init | Mode::Daemon { .. } | Mode::Successor => SignalSet::EMPTY,
        };
        signal::set_default(SignalSet::ALL.without(SignalSet::FAULTS));
        // The others stay blocked: nothing wakes us that means nothing.
        let caught = REPORTED.with(signal::CHLD);
        let signals = SignalQueue::new(caught, let_in)
            .map_err(|error| format!("cannot watch signals: {}", reason(&error)))?;
        let descriptor_limit = match process::raise_descriptor_limit() {
            Ok(limit) => Some(limit),
            Err(error) => {
                say(&format!("cannot raise the limit of open descriptors: {}", reason(&error)));
                None
            }
        };
        if let Err(error) = descriptor::close_others_on_exec() {
            say(&format!("cannot mark inherited descriptors: {}", reason(&error)));
        }
        if process::own_pid() != 1
            && let Err(error) = process::become_subreaper()
        {
            say(&format!("cannot become a subreaper, orphans are lost: {}", reason(&error)));
        }
        // Before the supervisor is thought of, which gets the same.
        let oom_score_adjust = match setup.mode {
            Mode::Daemon { .. } => make_precious(),
            Mode::Foreground | Mode::Init | Mode::Successor => None,
        };
        let launcher =
            Launcher::new().map_err(|error| format!("cannot prepare launches: {}", reason(&error)))?;
        let program = descriptor::own_program()
            .map_err(|error| format!("cannot open the program svc itself: {}", reason(&error)))?;
        // All paths are absolute by now; no file system shall be held by us.
        if let Err(error) = std::env::set_current_dir("/") {
            say(&format!("cannot change to /: {}", reason(&error)));
        }
        Ok(Self {
            place,
            signals,
            launcher,
            children: Children::default(),
            adopted: Adopted::default(),
            supervisor: Supervisor::new(&setup.supervisor_arguments, program),
            outbox: Outbox::default(),
            signalled: Vec::new(),
            signalled_unheard: Vec::new(),
            descriptor_limit,
            oom_score_adjust,
            started: now(),
            tidies: false,
            ending: None,
            undecided: Vec::new(),
        })
    }

    pub fn watch(&mut self, mut caller: Option<Caller>) -> i32 {
        if let Some(caller) = &caller {
            caller.tell_bound();
        }
        loop {
            self.start_supervisor();
            self.launcher.disperse();
            if mem::take(&mut self.tidies) {
                memory::give_back();
                memory::let_go_of_program();
            }
            let woken = self.wait(self.timeout());
            if woken.signals {
                self.take_signals();
            }
            if woken.orders {
                self.take_orders();
            }
            self.take_ends_of_adopted();
            self.deliver_signals();
            self.flush();
            if let Some(code) = self.ending {
                return end::orderly(self, code);
            }
            if self.is_told_to_end() && self.has_nobody_to_tell() {
                return end::without_supervisor(self);
            }
            if self.supervisor.is_hopeless_at_start()
                && let Some(waiting) = caller.take().filter(Caller::waits)
            {
                waiting.tell_failure(
                    "cannot start: the supervisor dies as soon as it is started; `svc supervise` shows why",
                );
                return end::orderly(self, EXIT_SYSTEM_ERROR as u8);
            }
        }
    }

    fn start_supervisor(&mut self) {
        let before = self.supervisor.started;
        self.supervisor.start_if_due(&mut self.launcher, &self.place.listener);
        if self.supervisor.started != before {
            self.children.record.supervisors_started(self.supervisor.started);
        }
    }

    /// Until something comes; for ever when nothing is due.
    fn timeout(&self) -> Option<Duration> {
        let due = [self.outbox.retry_at, self.children.record.retry_at(), self.adopted.next_look()];
        let next = self.supervisor.next_start().into_iter().chain(due.into_iter().flatten()).min();
        next.map(|at| at.since(now()))
    }

    fn wait(&self, timeout: Option<Duration>) -> Woken {
        let orders = self.supervisor.socket().map(|socket| {
            let socket = socket.as_fd();
            match (self.outbox.is_blocked(), self.outbox.takes_more()) {
                (false, _) => Waiting::to_read(socket),
                (true, true) => Waiting::to_read_and_write(socket),
                (true, false) => Waiting::to_write(socket),
            }
        });
        let is_connected = orders.is_some();
        let adopted = self.adopted.descriptor().map(Waiting::to_read);
        let (mut both, mut one);
        let waiting: &mut [Waiting<'_>] = match (orders, adopted) {
            (Some(orders), Some(adopted)) => {
                both = [orders, adopted];
                &mut both
            }
            (orders, adopted) => {
                one = orders.or(adopted);
                one.as_mut_slice()
            }
        };
        match self.signals.wait(waiting, timeout) {
            Ok(signals) => {
                Woken { signals, orders: is_connected && waiting.first().is_some_and(Waiting::readable) }
            }
            Err(error) => {
                // ENOMEM at most: the descriptors are ours. What is ready is found by looking.
                say(&format!("cannot wait: {}", reason(&error)));
                Woken { signals: true, orders: true }
            }
        }
    }

    /// Reads first and reaps then: who ends in between sends another SIGCHLD.
    pub(super) fn take_signals(&mut self) {
        let mut ended = false;
        for came in self.signals.read() {
            if came.signal == signal::CHLD {
                ended = true;
            } else if self.signalled.len() < SIGNALLED_MAX {
                self.signalled.push(came);
            }
        }
        if ended {
            self.reap();
        }
    }

    /// After the orders: a Hello among them makes somebody whom they can be told.
    fn deliver_signals(&mut self) {
        if self.supervisor.wants_reports() {
            for came in std::mem::take(&mut self.signalled) {
                self.outbox.push(Report::Signalled { signal: Signal(came.signal), sender: came.sender });
                if self.signalled_unheard.len() < SIGNALLED_MAX {
                    self.signalled_unheard.push(came);
                }
            }
        }
    }

    /// An order shows that the supervisor lives and reads.
    pub(super) fn supervisor_was_heard(&mut self) {
        self.signalled_unheard.clear();
    }

    fn is_told_to_end(&self) -> bool {
        self.signalled
            .iter()
            .any(|came| matches!(came.signal, signal::TERM | signal::INT | signal::QUIT | signal::PWR))
    }

    /// No supervisor is to be had, or it hardly is and there is nothing to wait for it for.
    fn has_nobody_to_tell(&self) -> bool {
        let nothing_to_lose = self.children.table.is_empty() && self.supervisor.is_hopeless_at_start();
        self.supervisor.is_hopeless() || nothing_to_lose
    }

    fn reap(&mut self) {
        while let Some((pid, ended)) = process::reap_any() {
            let exit = report::exit(ended);
            if self.supervisor.pid() == Some(pid) {
                self.supervisor_ended(exit);
            } else if let Some(child) = self.children.ended(pid) {
                self.child_ended(child, Earlier { pid: Pid(pid), exit, at: now() });
            } else {
                self.outbox.reaped(Pid(pid));
            }
        }
        // Those who died along with them have been reaped by now.
        for (child, ended) in std::mem::take(&mut self.undecided) {
            if process::group_is_empty(ended.pid.0) {
                self.relaunch(child, ended);
            } else {
                self.exited(child, ended, None);
            }
        }
    }

    fn supervisor_ended(&mut self, exit: Exit) {
        // What it ordered before it died is carried out: it may have been the end of all.
        self.supervisor.reaped();
        self.outbox.clear();
        while self.supervisor.socket().is_some() && self.ending.is_none() {
            self.take_orders();
        }
        if self.ending.is_some() {
            self.supervisor.left();
            return;
        }
        self.supervisor.died(exit);
        let mut signalled = std::mem::take(&mut self.signalled_unheard);
        signalled.append(&mut self.signalled);
        signalled.truncate(SIGNALLED_MAX);
        self.signalled = signalled;
    }

    pub(super) fn child_ended(&mut self, child: Child, ended: Earlier) {
        let standing = self.children.table.get(&child).is_some_and(|entry| {
            matches!(entry.state, State::Running { standing: true }) && self.ending.is_none()
        });
        match standing {
            true if process::group_is_empty(ended.pid.0) => self.relaunch(child, ended),
            true => self.undecided.push((child, ended)),
            false => self.exited(child, ended, None),
        }
    }

    /// Carries a standing order out.
    fn relaunch(&mut self, child: Child, ended: Earlier) {
        let Some(plan) = self.children.table.get_mut(&child).and_then(|entry| entry.plan.take()) else {
            return self.exited(child, ended, None);
        };
        match self.children.launch(&mut self.launcher, &plan) {
            Ok(next) => {
                let entry = Entry::running(next, Some(plan), Some(Box::new(ended)));
                self.children.insert(child.clone(), entry);
                self.report(exited(child, ended, Some(next), None));
            }
            Err(failure) => {
                if let Some(entry) = self.children.table.get_mut(&child) {
                    entry.plan = Some(plan);
                }
                self.exited(child, ended, Some(failure));
            }
        }
    }

    fn exited(&mut self, child: Child, ended: Earlier, failure: Option<LaunchFailure>) {
        if let Some(entry) = self.children.table.get_mut(&child) {
            entry.state = State::Exited { exit: ended.exit, at: ended.at };
            entry.seen_ticks = boot_ticks();
        }
        self.children.entry_changed(&child);
        self.report(exited(child, ended, None, failure));
    }

    /// Nothing is kept for a supervisor that has not said Hello: it gets the whole table.
    pub(super) fn report(&mut self, report: Report) {
        if self.supervisor.wants_reports() {
            self.outbox.push(report);
        }
    }

    pub(super) fn complain(&mut self, text: String) {
        if self.supervisor.wants_reports() {
            self.outbox.push(Report::Complaint { text });
        } else {
            say(&text);
        }
    }

    /// Nobody is told what another guardian would not know.
    pub(super) fn flush(&mut self) {
        self.children.keep_record();
        if !self.supervisor.wants_reports() {
            // Orphans that were reaped in between are of no use to the next one.
            self.outbox.clear();
            return;
        }
        let Some(socket) = self.supervisor.socket() else { return };
        if self.outbox.flush(socket.as_fd()).is_err() {
            self.supervisor.is_deaf();
        }
    }
}

/// The kernel takes us last when memory runs out, where it lets us say so. Returns what we were given.
fn make_precious() -> Option<i32> {
    let given = process::oom_score_adjust().filter(|given| *given != PRECIOUS)?;
    process::set_oom_score_adjust(PRECIOUS).ok().map(|()| given)
}

pub(super) fn exited(
    child: Child,
    ended: Earlier,
    next: Option<Pid>,
    relaunch_failure: Option<LaunchFailure>,
) -> Report {
    Report::Exited { child, pid: ended.pid, exit: ended.exit, at: ended.at, next, relaunch_failure }
}

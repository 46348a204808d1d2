//! The logger's thread: waits for pipes, orders and timers, and gives each service its turn.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::lifecycle::Name;
use crate::os::clock::monotonic_nanoseconds;
use crate::os::epoll::Epoll;
use crate::os::memory;
use crate::os::poll::{Waiting, poll};
use crate::service::LogSettings;

use super::compress::Compressor;
use super::console::{Console, Sink};
use super::handle::{FINISH_TIME, Inbox, Order};
use super::journal::{Journal, Kept, Place};
use super::read::{LogReader, Query, display};
use super::slot::{Gate, Slot};
use super::turn::Turn;
use super::{Fact, LoggerSetup};

/// Read at once: with the output beside it, about what a second-level cache holds.
pub(super) const BLOCK_BYTES: usize = 256 << 10;
/// So much in memory is worth being given back when the flood is over.
pub(super) const LARGE_BYTES: usize = 64 << 10;
/// How long after.
const TIDY_NANOSECONDS: u64 = 1_000_000_000;
/// A pipe is drained when this much was read in one go: no pipe of ours holds more.
const DRAIN_BYTES: usize = 2 << 20;
/// Lines of a `tail` are for a status display.
const TAIL_LINE_BYTES_MAX: usize = 4 << 10;
/// While finishing, how often it is tried again what could not be done.
const FINISH_RETRY: Duration = Duration::from_millis(20);

/// Tokens of the epoll set that are no services.
const INBOX: u64 = 0;
const CONSOLE: u64 = 1;
const ERRORS: u64 = 2;
/// Among the timers.
const TIDY: u64 = 0;
const FIRST_SERVICE: u64 = 3;

pub(super) struct Thread {
    pub log_dir: PathBuf,
    /// A line that a file ends in may go on.
    pub took_over: bool,
    inbox: Arc<Inbox>,
    pub epoll: Epoll,
    pub console: Option<Console>,
    /// svc's own messages where there is no console.
    errors: Sink,
    /// Services whose gate is `ConsoleFull`.
    pub waiting_for_console: Vec<u64>,
    /// Which of the two are in the epoll set, waiting for room.
    waits_for_console: bool,
    waits_for_errors: bool,
    pub slots: BTreeMap<u64, Box<Slot>>,
    names: BTreeMap<Name, u64>,
    next: u64,
    /// Monotonic nanoseconds and the service.
    timers: BTreeSet<(u64, u64)>,
    /// Until the thread runs, which takes it up.
    kept: Option<Kept>,
    pub journal: Option<Journal>,
    /// The one block that all pipes are read into, and what it becomes.
    pub place: Place,
    pub out: Vec<u8>,
    /// When the last large block was read; the timer for it runs.
    large: Option<u64>,
    pub compressor: Compressor,
    pub facts: Box<dyn Fn(Fact) + Send>,
    pub finishing: bool,
}

impl Thread {
    pub fn new(
        setup: LoggerSetup,
        inbox: Arc<Inbox>,
        console: Option<(Sink, bool)>,
        errors: Sink,
        facts: Box<dyn Fn(Fact) + Send>,
    ) -> io::Result<Self> {
        let epoll = Epoll::new()?;
        epoll.add_reader(inbox.waker.as_fd(), INBOX)?;
        let told = Arc::clone(&inbox);
        Ok(Self {
            log_dir: setup.log_dir,
            took_over: setup.took_over,
            inbox,
            epoll,
            console: console.map(|(sink, colour)| Console::new(sink, colour)),
            errors,
            waiting_for_console: Vec::new(),
            waits_for_console: false,
            waits_for_errors: false,
            slots: BTreeMap::new(),
            names: BTreeMap::new(),
            next: FIRST_SERVICE,
            timers: BTreeSet::new(),
            kept: setup.kept,
            journal: None,
            place: Place::own(),
            out: Vec::new(),
            large: None,
            compressor: Compressor::new(move |name, text| told.leave(Order::Complain { name, text })),
            facts,
            finishing: false,
        })
    }

    pub fn run(&mut self) {
        let mut ready = Vec::new();
        if let Some(kept) = self.kept.take() {
            self.take_up(kept);
        }
        while !self.finishing {
            let now = monotonic_nanoseconds();
            let timeout = self.timers.first().map(|(at, _)| Duration::from_nanos(at.saturating_sub(now)));
            if let Err(error) = self.epoll.wait(&mut ready, timeout) {
                self.say(&format!("cannot wait for logs: {error}; logging ends"));
                break;
            }
            for token in &ready {
                // Whoever asks does not wait until all that flood have had their turn.
                if self.inbox.is_waiting() {
                    self.take_orders();
                }
                match *token {
                    INBOX => self.take_orders(),
                    CONSOLE | ERRORS => {}
                    service => drop(self.turn(service)),
                }
            }
            self.serve_timers();
            self.push_console();
        }
        self.finish();
    }

    pub fn take_orders(&mut self) {
        self.inbox.look();
        while let Ok(order) = self.inbox.receiver.try_recv() {
            match order {
                Order::Attach { name, pipe, settings } => self.attach(name, pipe, settings),
                Order::Configure { name, settings } => self.configure(&name, settings),
                Order::Detach { name } => self.detach(&name),
                Order::Tail { name, lines, token } => self.tail(name, lines, token),
                Order::Say { line } => self.say(&line),
                Order::Complain { name, text } => (self.facts)(Fact::Trouble { name, text }),
                Order::Finish => self.finishing = true,
            }
        }
    }

    fn attach(&mut self, name: Name, pipe: OwnedFd, settings: Arc<LogSettings>) {
        let id = self.slot_of(&name, &settings);
        let Some(slot) = self.slots.get_mut(&id) else { return };
        slot.leaving = false;
        slot.pipes.push_back(pipe);
        if let Some(console) = self.console.as_mut().filter(|_| slot.may_show()) {
            console.make_room_for(name.as_str());
        }
        self.configure(&name, settings);
        self.arm(id);
    }

    /// Made when there is none yet.
    pub fn slot_of(&mut self, name: &Name, settings: &Arc<LogSettings>) -> u64 {
        if let Some(id) = self.names.get(name) {
            return *id;
        }
        let id = self.next;
        self.next += 1;
        self.names.insert(name.clone(), id);
        self.slots.insert(id, Box::new(Slot::new(name.clone(), Arc::clone(settings))));
        id
    }

    fn configure(&mut self, name: &Name, settings: Arc<LogSettings>) {
        let Some(id) = self.names.get(name).copied() else { return };
        let Some(slot) = self.slots.get_mut(&id) else { return };
        let limit = settings.limit.filter(|limit| *limit > 0);
        slot.settings = settings;
        match (&mut slot.bucket, limit) {
            (_, None) => slot.bucket = None,
            (Some(bucket), Some(limit)) => bucket.set_rate(limit),
            (bucket, Some(limit)) => {
                *bucket = Some(Box::new(super::pace::Bucket::new(limit, monotonic_nanoseconds())));
            }
        }
        match slot.gate {
            Gate::Throttled => self.open_gate(id),
            // What waits goes where the new settings say.
            Gate::Stuck(_) => self.retry(id),
            Gate::Open | Gate::Resting | Gate::ConsoleFull => {}
        }
    }

    fn detach(&mut self, name: &Name) {
        let Some(id) = self.names.get(name).copied() else { return };
        let Some(slot) = self.slots.get_mut(&id) else { return };
        slot.leaving = true;
        match slot.gate {
            Gate::Open | Gate::Resting | Gate::Throttled => self.open_gate(id),
            Gate::ConsoleFull | Gate::Stuck(_) => {}
        }
    }

    /// Reads until there is nothing, at most what a pipe can hold.
    pub fn drain(&mut self, id: u64) {
        let mut drained = 0;
        while let Turn::Read(bytes) = self.turn(id) {
            drained += bytes;
            if drained >= DRAIN_BYTES {
                return;
            }
        }
    }

    fn tail(&mut self, name: Name, lines: usize, token: u64) {
        if let Some(id) = self.names.get(&name).copied() {
            if self.slots.get(&id).is_some_and(|slot| matches!(slot.gate, Gate::Resting)) {
                self.open_gate(id);
            }
            self.drain(id);
        }
        let query = Query { lines: Some(lines), ..Query::default() };
        let lines = match LogReader::open(&self.log_dir, std::slice::from_ref(&name), query) {
            Ok(reader) => reader.filter_map(|item| Some(display(&item.ok()?, TAIL_LINE_BYTES_MAX))).collect(),
            // Whoever asked wants the lines that there are; that the log cannot be read is told
            // when it cannot be written.
            Err(_unreadable) => Vec::new(),
        };
        (self.facts)(Fact::Tail { token, name, lines });
    }

    pub fn say(&mut self, line: &str) {
        match &mut self.console {
            Some(console) => console.show_line("svc", line.as_bytes()),
            None if self.errors.is_full() => {}
            None => self.errors.add(format!("svc: {line}\n").as_bytes()),
        }
    }

    fn serve_timers(&mut self) {
        while let Some((at, id)) = self.timers.first().copied() {
            if at > monotonic_nanoseconds() {
                return;
            }
            self.timers.remove(&(at, id));
            if id == TIDY {
                self.tidy();
                continue;
            }
            let Some(slot) = self.slots.get_mut(&id) else { continue };
            slot.timer = None;
            match slot.gate {
                Gate::Open | Gate::ConsoleFull => {}
                Gate::Resting | Gate::Throttled => self.open_gate(id),
                Gate::Stuck(_) => self.retry(id),
            }
        }
    }

    /// Shows what can be shown now; lets services go on that waited for the console.
    fn push_console(&mut self) {
        if let Some(console) = &mut self.console {
            let pushed = console.sink.push();
            wait_for_room(&self.epoll, &console.sink, CONSOLE, &mut self.waits_for_console);
            if let Err(error) = pushed {
                let reason = crate::os::file::reason(&error);
                self.console = None;
                self.say(&format!("cannot write to stdout: {reason}; logs are no longer shown there"));
            }
        }
        // Messages for a stderr that is gone have no other place to go.
        drop(self.errors.push());
        wait_for_room(&self.epoll, &self.errors, ERRORS, &mut self.waits_for_errors);
        if self.console.as_ref().is_none_or(|console| !console.sink.is_full()) {
            for id in std::mem::take(&mut self.waiting_for_console) {
                if self.slots.get(&id).is_some_and(|slot| matches!(slot.gate, Gate::ConsoleFull)) {
                    self.open_gate(id);
                }
            }
        }
    }

    /// A large block was read: what it took is given back once no other has come for a while.
    pub fn tidy_after(&mut self, now: u64) {
        if self.large.replace(now).is_none() {
            self.timers.insert((now + TIDY_NANOSECONDS, TIDY));
        }
    }

    fn tidy(&mut self) {
        let Some(large) = self.large else { return };
        if monotonic_nanoseconds() < large + TIDY_NANOSECONDS {
            self.timers.insert((large + TIDY_NANOSECONDS, TIDY));
            return;
        }
        self.large = None;
        self.place.block.give_back();
        self.out = Vec::new();
        if let Some(console) = &mut self.console {
            console.sink.give_back();
        }
        memory::give_back();
    }

    pub fn set_timer(&mut self, id: u64, at: u64) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        if let Some(before) = slot.timer.replace(at) {
            self.timers.remove(&(before, id));
        }
        self.timers.insert((at, id));
    }

    pub fn clear_timer(&mut self, id: u64) {
        if let Some(before) = self.slots.get_mut(&id).and_then(|slot| slot.timer.take()) {
            self.timers.remove(&(before, id));
        }
    }

    pub fn forget(&mut self, id: u64) {
        self.clear_timer(id);
        self.end_line(id);
        if let Some(slot) = self.slots.remove(&id) {
            self.names.remove(&slot.name);
            if let Some(journal) = &mut self.journal {
                journal.forget_position(slot.cell);
            }
        }
    }

    /// Empties every pipe, then the console; within `FINISH_TIME`.
    fn finish(&mut self) {
        let deadline = monotonic_nanoseconds() + u64::try_from(FINISH_TIME.as_nanos()).unwrap_or(u64::MAX);
        let mut left: Vec<u64> = self.slots.keys().copied().collect();
        loop {
            for id in &left {
                if self.slots.get(id).is_some_and(|slot| matches!(slot.gate, Gate::Stuck(_))) {
                    self.retry(*id);
                } else {
                    self.open_gate(*id);
                }
                self.drain(*id);
                self.push_console();
            }
            left.retain(|id| self.slots.get(id).is_some_and(|slot| !matches!(slot.gate, Gate::Open)));
            if left.is_empty() || !self.wait_while_finishing(deadline) {
                break;
            }
        }
        for id in self.slots.keys().copied().collect::<Vec<_>>() {
            self.end_line(id);
        }
        loop {
            self.push_console();
            let shown = self.console.as_ref().is_none_or(|console| console.sink.is_empty());
            if (shown && self.errors.is_empty()) || !self.wait_while_finishing(deadline) {
                break;
            }
        }
        self.slots.clear();
    }

    /// Until the console takes more, or another try at the files is due. False when the time is over.
    fn wait_while_finishing(&mut self, deadline: u64) -> bool {
        if monotonic_nanoseconds() >= deadline {
            return false;
        }
        let full = self.console.iter().filter(|console| !console.sink.is_empty());
        let mut waiting: Vec<Waiting<'_>> =
            full.map(|console| Waiting::to_write(console.sink.as_fd())).collect();
        poll(&mut waiting, Some(FINISH_RETRY)).is_ok()
    }
}

/// Keeps `sink` in the epoll set as long as it has something to write.
fn wait_for_room(epoll: &Epoll, sink: &Sink, token: u64, waits: &mut bool) {
    if *waits != sink.is_empty() {
        return;
    }
    let done = if *waits { epoll.remove(sink.as_fd()) } else { epoll.add_writer(sink.as_fd(), token) };
    if done.is_ok() {
        *waits = !*waits;
    }
}

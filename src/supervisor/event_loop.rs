//! The supervisor's main thread: one input at a time, events into the life-cycle, actions out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::mem;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::Setup;
use super::boot::{self, Handover, Note};
use super::directories::Directories;
use super::history::History;
use super::inbox::Input;
use super::launch::Planner;
use super::link::GuardianLink;
use super::requests::{OpenRequest, Subscriber, WaitingTail};
use super::signals::Spread;
use super::tree::Forest;
use crate::control::{ClientId, Server};
use crate::lifecycle::{Action, Event, Lifecycle, Name, Pid, RequestId, Time};
use crate::logger::Logger;
use crate::os::pidfd::ProcessHandle;
use crate::os::{clock, descriptor, memory, own};
use crate::protocol::control::Reply;
use crate::protocol::guardian::{Child, Order};
use crate::service::Definition;

/// A program that was left running when its main process exited 0 gets this long to make a session
/// of its own (`exec setsid PROGRAM`), looked at so many times.
const SESSION_PATIENCE: Duration = Duration::from_millis(20);
const SESSION_LOOKS: u32 = 10;

/// Inputs taken before orders and replies go out, however many there are.
const INPUTS_TOGETHER_MAX: usize = 64;

/// So long after its begin a supervisor gives back the memory that it has needed for that.
const TIDY_AFTER: Duration = Duration::from_secs(1);

/// What is known of a service besides its life-cycle.
#[derive(Debug, Default)]
pub struct Service {
    /// The last one without errors. None: there never was one.
    pub definition: Option<Arc<Definition>>,
    /// What is wrong with the directory now, as `svc check` prints it.
    pub problems: Vec<String>,
    /// Of the directory as last read.
    pub fingerprint: u64,
    /// Of the definition that the running process was started from.
    pub launched: Option<u64>,
    pub history: History,
    pub pipe_asked: bool,
    /// The read end of a log pipe that an own logger reads.
    pub pipe_kept: Option<OwnedFd>,
    /// The service was told to the life-cycle.
    pub defined: bool,
}

/// A tree check that is repeated a little later.
#[derive(Debug)]
pub struct LaterLook {
    pub at: Time,
    pub looks: u32,
    pub main: Pid,
}

pub struct Supervisor {
    pub setup: Setup,
    pub core: Lifecycle,
    /// Boxed: a tree keeps room for half as many again.
    pub services: BTreeMap<Name, Box<Service>>,
    /// Events that came up while actions were performed.
    pub events: VecDeque<Event>,
    pub link: GuardianLink,
    pub server: Server,
    pub logger: Logger,
    pub directories: Directories,
    pub planner: Planner,
    pub forest: Forest,
    pub guardian: Pid,
    /// `None` where the kernel has no such handles.
    pub guardian_handle: Option<ProcessHandle>,
    pub own: Pid,
    /// Since 1970.
    pub since: Duration,
    pub supervisors_started: u32,
    pub remarks: Vec<String>,
    pub later_looks: BTreeMap<Name, LaterLook>,
    /// Services whose main process has gone and whose tree was not empty when last looked at.
    pub thinning: BTreeMap<Name, Pid>,
    /// What the guardian is to keep of services, not yet under way to it.
    pub notes: BTreeMap<Name, Note>,
    /// For clients, in order, not yet sent.
    pub replies: Vec<(ClientId, Reply)>,
    /// Signals of a shutdown that have reached the process groups only.
    pub spreads: BTreeMap<Name, Spread>,
    /// `finish` processes and reload commands that were ordered and have not ended.
    pub beside: BTreeSet<Child>,
    pub requests: BTreeMap<RequestId, OpenRequest>,
    pub requests_made: u64,
    pub subscribers: Vec<Subscriber>,
    pub tails: BTreeMap<u64, WaitingTail>,
    /// Services whose log cannot be written now, and why.
    pub log_troubles: BTreeMap<Name, String>,
    /// Log pipes whose read end could not be taken, and when they are asked for again.
    pub pipes_missing: BTreeSet<Name>,
    pub pipes_again: Option<Time>,
    /// When the services have been started, much memory is free that was needed for it.
    tidy_at: Option<Time>,
    /// That is to be done before the next wait.
    tidies: bool,
    /// What came while the guardian's table was being told.
    pub early: VecDeque<Input>,
    /// The beginning of the guardian's table.
    table: VecDeque<Input>,
    inbox: Receiver<Input>,
    /// The guardian has told its whole table: what is known here is worth noting.
    pub learned: bool,
    /// Set when everything has ended.
    pub ended: bool,
    lost: bool,
}

/// The supervisor's life. Returns its exit code.
pub fn run(setup: Setup) -> i32 {
    memory::share_one_pool();
    let mut link = match boot::line_to_guardian() {
        Ok(link) => link,
        Err(why) => return cannot_live(&why),
    };
    match boot::take_over(setup, &mut link) {
        Ok(handover) => {
            let mut supervisor = Supervisor::new(handover, link);
            supervisor.boot();
            supervisor.live()
        }
        Err(why) => {
            // Where its line ends, the guardian ends this process, and why would not be told.
            std::mem::forget(link);
            cannot_live(&why)
        }
    }
}

fn cannot_live(why: &str) -> i32 {
    descriptor::say(why);
    111
}

impl Supervisor {
    fn new(handover: Handover, link: GuardianLink) -> Self {
        let Handover { setup, server, logger, directories, .. } = handover;
        let Handover { inbox, welcome, guardian, supervisors_started, .. } = handover;
        let own = Pid(crate::os::own::pid());
        let forest = Forest::new(guardian, own, &setup.services_dir);
        Self {
            planner: Planner::new(setup.place, &setup.services_dir),
            setup,
            core: Lifecycle::new(),
            services: BTreeMap::new(),
            events: VecDeque::new(),
            link,
            server,
            logger,
            directories,
            forest,
            guardian,
            guardian_handle: ProcessHandle::open(guardian.0).ok(),
            own,
            since: clock::wall(),
            supervisors_started,
            remarks: Vec::new(),
            later_looks: BTreeMap::new(),
            thinning: BTreeMap::new(),
            notes: BTreeMap::new(),
            replies: Vec::new(),
            spreads: BTreeMap::new(),
            beside: BTreeSet::new(),
            requests: BTreeMap::new(),
            requests_made: 0,
            subscribers: Vec::new(),
            tails: BTreeMap::new(),
            log_troubles: BTreeMap::new(),
            pipes_missing: BTreeSet::new(),
            pipes_again: None,
            tidy_at: Some(now() + TIDY_AFTER),
            tidies: false,
            early: VecDeque::new(),
            table: VecDeque::from([welcome]),
            inbox,
            learned: false,
            ended: false,
            lost: false,
        }
    }

    /// `None` when every source has ended.
    pub fn next_raw_input(&mut self) -> Option<Input> {
        self.table.pop_front().or_else(|| self.inbox.recv().ok())
    }

    fn live(mut self) -> i32 {
        // Clients are answered by one that knows what there is.
        while self.learned
            && let Some(input) = self.early.pop_front()
        {
            self.take(input);
        }
        while !self.ended && !self.lost {
            self.flush();
            if mem::take(&mut self.tidies) {
                memory::give_back();
                memory::let_go_of_program();
            }
            match self.next_input() {
                Ok(input) => self.take(input),
                Err(RecvTimeoutError::Timeout) => self.time_passed(),
                Err(RecvTimeoutError::Disconnected) => self.lost = true,
            }
            // Orders that follow from inputs that are already here go out together.
            for _ in 0..INPUTS_TOGETHER_MAX {
                if self.ended || self.lost {
                    break;
                }
                let Ok(input) = self.inbox.try_recv() else { break };
                self.take(input);
            }
        }
        self.end()
    }

    fn next_input(&self) -> Result<Input, RecvTimeoutError> {
        let looks = self.later_looks.values().map(|look| look.at);
        let own = self.pipes_again.into_iter().chain(self.tidy_at).chain(self.directories.next_look());
        let spreads = self.spreads.values().map(|spread| spread.at);
        match looks.chain(spreads).chain(self.core.next_deadline()).chain(own).min() {
            None => self.inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(deadline) => self.inbox.recv_timeout(deadline.since(now())),
        }
    }

    pub fn take(&mut self, input: Input) {
        self.forest.look_anew();
        match input {
            Input::Reports { reports, descriptors } => self.take_reports(reports, descriptors),
            Input::GuardianLost { why } => {
                self.say(&format!("{why}; the services go on"));
                self.lost = true;
            }
            Input::Client(incoming) => self.take_client(incoming),
            Input::Logger(fact) => self.take_fact(fact),
            Input::Directories(events) => self.take_directory_events(events),
        }
    }

    fn time_passed(&mut self) {
        self.forest.look_anew();
        self.step(Event::Tick);
        self.spread_what_is_due();
        self.ask_for_pipes();
        self.look_for_folder();
        if self.tidy_at.is_some_and(|at| at <= now()) {
            self.tidy_at = None;
            self.link.push(Order::Tidy);
            self.tidies = true;
        }
        let now = now();
        let due: Vec<(Name, Pid)> = self
            .later_looks
            .iter()
            .filter(|(_, look)| look.at <= now)
            .map(|(name, look)| (name.clone(), look.main))
            .collect();
        for (name, main) in due {
            self.check_tree(name, main);
        }
        self.drain();
    }

    /// Gives one event to the life-cycle and performs what follows, to the end.
    pub fn step(&mut self, event: Event) {
        self.events.push_back(event);
        self.drain();
    }

    pub fn drain(&mut self) {
        let mut actions: Vec<Action> = Vec::new();
        while let Some(event) = self.events.pop_front() {
            self.core.step(now(), event, &mut actions);
            for action in actions.drain(..) {
                // What is remembered of a service is the last that is ordered of it.
                let complete = matches!(action, Action::Remember { .. });
                self.perform(action);
                if complete {
                    self.flush_when_large();
                }
            }
            self.flush_when_large();
        }
    }

    fn flush_when_large(&mut self) {
        if self.link.is_large(self.notes.len()) {
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.order_notes();
        if let Err(error) = self.link.flush() {
            self.orders_failed(&error);
        }
        if !self.replies.is_empty() {
            self.send_replies();
        }
    }

    fn orders_failed(&mut self, error: &std::io::Error) {
        self.say(&format!("cannot send orders to the guardian: {error}"));
        self.lost = true;
    }

    /// The answer to `CheckTree`. A program that is just making a session of its own is given time
    /// for it.
    pub fn check_tree(&mut self, name: Name, main: Pid) {
        let found = self.forest.left(&name, main);
        if own::parent_pid() != self.guardian.0 {
            // It was killed: what hung below it hangs elsewhere, and the look may have missed it. The next
            // supervisor looks again, and knows where.
            self.lost = true;
            return;
        }
        self.spread_to(&name, &found);
        let looks = self.later_looks.remove(&name).map_or(0, |look| look.looks);
        let may_become_adoptable =
            found.adoptable.is_none() && !found.left.is_empty() && self.exited_well(&name);
        if (may_become_adoptable || self.forest.is_undecided()) && looks < SESSION_LOOKS {
            let look = LaterLook { at: now() + SESSION_PATIENCE, looks: looks + 1, main };
            self.later_looks.insert(name, look);
            return;
        }
        self.forest.decide();
        if found.left.is_empty() && found.adoptable.is_none() {
            self.thinning.remove(&name);
        } else {
            self.thinning.insert(name.clone(), main);
        }
        self.events.push_back(Event::TreeChecked { name, found });
    }

    fn exited_well(&self, name: &Name) -> bool {
        use crate::lifecycle::{Exit, Wanted};
        let view = self.core.view(name);
        !self.core.shutting_down()
            && !self.thinning.contains_key(name)
            && view.is_some_and(|view| view.last_exit == Some(Exit::Code(0)) && view.wanted == Wanted::Up)
    }

    /// svc's own words: to the console where there is one, else to its standard error.
    pub fn say(&self, text: &str) {
        self.logger.say(text.to_owned());
    }

    fn end(mut self) -> i32 {
        if self.lost && !self.ended {
            return self.succeed();
        }
        self.flush();
        if self.ended {
            self.sweep();
        }
        self.logger.finish();
        if self.ended {
            boot::dismiss_guardian(&mut self.link, &self.inbox);
        }
        // The kernel takes all of it back at once; nobody waits until we have.
        mem::forget((self.services, self.core, self.directories));
        0
    }
}

pub fn now() -> Time {
    Time::from_nanoseconds(clock::monotonic_nanoseconds())
}

/// Hands descriptors out in the order in which the reports ask for them.
pub type Descriptors = VecDeque<OwnedFd>;

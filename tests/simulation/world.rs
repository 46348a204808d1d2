//! A model of all that is outside the core: the guardian with its table, processes with a mind of
//! their own, service directories, clients, and the supervisor that performs actions and may die.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use svc::lifecycle::{
    Action, Asker, Event, Exit, Kind, Lifecycle, Memory, Name, Pid, Policy, RequestId, Restart, Scope,
    Signal, StateWord, StopStep, Time, TreeFound, Verb,
};

use crate::laws::Laws;
use crate::random::Random;

/// What comes from outside, planned before the run so that parts of it can be left out.
#[derive(Clone, Debug)]
pub enum Deed {
    /// The directory is written, for the first time or again.
    Write {
        name: usize,
        policy: Box<Policy>,
    },
    /// The directory is removed, with that of its logger.
    Delete {
        name: usize,
    },
    Ask {
        name: usize,
        verb: Verb,
    },
    /// The client of the latest request goes away.
    HangUp,
    /// The main process dies, of itself or by a stranger.
    Kill {
        name: usize,
        exit: Exit,
    },
    /// News that nobody expects.
    Junk {
        name: usize,
        kind: u64,
    },
    /// `kill -9` of the supervisor, before or after it could acknowledge the exit in hand.
    KillSupervisor {
        acknowledged: bool,
    },
    Shutdown {
        budget: Duration,
    },
    Hurry,
}

#[derive(Clone, Debug)]
pub struct Planned {
    pub at: Time,
    pub deed: Deed,
}

pub const NAMES: [&str; 4] = ["a", "b", "b/log", "c"];

#[derive(Clone, Debug)]
enum Incident {
    Deliver(Event),
    /// The guardian gets to the launch order.
    LaunchDone {
        name: Name,
    },
    MainEnds {
        name: Name,
        pid: Pid,
        exit: Exit,
    },
    OtherEnds {
        name: Name,
        pid: Pid,
    },
    FinishEnds {
        name: Name,
        number: u64,
        exit: Exit,
    },
}

struct Process {
    pid: Pid,
    /// What TERM and its like do to it; none: it ignores them.
    gentle: Option<Duration>,
    kill: Duration,
    setsid: bool,
}

struct Ended {
    event: Event,
}

#[derive(Default)]
struct Service {
    launching: bool,
    main: Option<Process>,
    /// The table's entry of a main process that has ended and is not acknowledged.
    entry: Option<Pid>,
    /// Exits that are not acknowledged, oldest first.
    unacknowledged: Vec<Ended>,
    standing: bool,
    others: Vec<Process>,
    finish: Option<u64>,
    finish_exit: Option<Exit>,
    note: Option<Memory>,
    /// The last definition; kept when the directory is gone.
    policy: Option<Policy>,
    present: bool,
}

pub struct World {
    seed: u64,
    pub now: Time,
    queue: BTreeMap<(Time, u64), Incident>,
    sequence: u64,
    last_delivery: Time,
    services: BTreeMap<Name, Service>,
    pub core: Lifecycle,
    pub laws: Laws,
    next_pid: i32,
    births: u64,
    next_request: u64,
    /// Programs behave: nothing fails any more.
    calm: bool,
    /// Between two supervisors not everything is where it belongs.
    taking_over: bool,
    pub steps: u64,
    pub trace: Option<Vec<String>>,
    pub ended: bool,
}

impl World {
    pub fn new(seed: u64, traced: bool) -> Self {
        Self {
            seed,
            now: Time::default(),
            queue: BTreeMap::new(),
            sequence: 0,
            last_delivery: Time::default(),
            services: NAMES.iter().map(|name| (Name::parse(name).unwrap(), Service::default())).collect(),
            core: Lifecycle::new(),
            laws: Laws::default(),
            next_pid: 100,
            births: 0,
            next_request: 0,
            calm: false,
            taking_over: false,
            steps: 0,
            trace: traced.then(Vec::new),
            ended: false,
        }
    }

    pub fn run(&mut self, plan: &[Planned]) -> Result<(), String> {
        for planned in plan {
            self.run_until(planned.at)?;
            if self.ended {
                break;
            }
            self.now = self.now.max(planned.at);
            self.log(|| format!("-- {:?}", planned.deed));
            self.perform_deed(planned)?;
        }
        if !self.ended && !self.core.shutting_down() {
            self.calm = true;
            self.run_until(self.now + Duration::from_secs(1_000))?;
            self.check_calm()?;
            self.laws.shutdown(self.now, Duration::from_secs(9));
            self.step(Event::Shutdown { budget: Duration::from_secs(9) })?;
        }
        self.run_until(self.now + Duration::from_secs(2_000))?;
        self.laws.check_end(self.ended)
    }

    fn run_until(&mut self, limit: Time) -> Result<(), String> {
        let mut same = 0;
        while !self.ended {
            let incident = self.queue.first_key_value().map(|((time, _), _)| *time);
            let deadline = self.core.next_deadline().map(|time| time.max(self.now));
            // An incident at the same moment comes first: both orders happen, by the nanoseconds.
            let next = match (incident, deadline) {
                (Some(incident), Some(deadline)) => incident.min(deadline),
                (Some(time), None) | (None, Some(time)) => time,
                (None, None) => return Ok(()),
            };
            if next > limit {
                return Ok(());
            }
            same = if next == self.now { same + 1 } else { 0 };
            if same > 2_000 {
                return Err("time stands still: a deadline is not dealt with".to_string());
            }
            self.now = next;
            if incident.is_some_and(|incident| incident <= next) {
                if let Some((_, incident)) = self.queue.pop_first() {
                    self.happen(incident)?;
                }
            } else {
                self.step(Event::Tick)?;
            }
        }
        Ok(())
    }

    fn log(&mut self, line: impl FnOnce() -> String) {
        let now = self.now;
        if let Some(trace) = &mut self.trace {
            let at = Duration::from_nanos(now.nanoseconds);
            trace.push(format!("{at:?} {}", line()));
        }
    }

    fn later(&mut self, wait: Duration, incident: Incident) {
        self.sequence += 1;
        self.queue.insert((self.now + wait, self.sequence), incident);
    }

    /// Reports arrive in the order in which they were sent.
    fn deliver(&mut self, wait: Duration, event: Event) {
        let at = (self.now + wait).max(self.last_delivery);
        self.last_delivery = at;
        self.sequence += 1;
        self.queue.insert((at, self.sequence), Incident::Deliver(event));
    }

    fn service(&mut self, name: &Name) -> &mut Service {
        self.services.entry(name.clone()).or_default()
    }

    pub fn step(&mut self, event: Event) -> Result<(), String> {
        self.steps += 1;
        self.log(|| format!("{event:?}"));
        self.laws.before(self.now, &self.core, &event);
        let mut actions = Vec::new();
        self.core.step(self.now, event.clone(), &mut actions);
        for action in &actions {
            self.log(|| format!("    {}", brief(action)));
        }
        self.laws.after_step(&self.core, &actions)?;
        for action in actions {
            self.laws.action(self.now, &self.core, &action)?;
            self.perform(action)?;
        }
        self.check_hope()
    }

    fn perform_deed(&mut self, planned: &Planned) -> Result<(), String> {
        let name = |index: usize| Name::parse(NAMES[index]).unwrap();
        match &planned.deed {
            Deed::Write { name: index, policy } => {
                let name = name(*index);
                let service = self.service(&name);
                (service.policy, service.present) = (Some((**policy).clone()), true);
                let view = self.core.view(&name);
                let known = view.is_some();
                let up = view.as_ref().filter(|view| view.state == StateWord::Up && view.pid.is_some());
                // A logger that still waited for its service.
                let goes_on =
                    up.is_some() || view.as_ref().is_some_and(|view| view.state == StateWord::Starting);
                if let Some(up) = up {
                    self.laws.proven(&name, self.now.since(up.since));
                }
                self.laws.defined(&name, policy, goes_on);
                self.step(Event::Define { name: name.clone(), policy: (**policy).clone() })?;
                if !known {
                    self.step(Event::Boot { name })?;
                }
            }
            Deed::Delete { name: index } => {
                let first = name(*index);
                for name in [first.clone(), first.logger()] {
                    if self.services.contains_key(&name) {
                        self.service(&name).present = false;
                        self.laws.removed(&name);
                        self.step(Event::Remove { name })?;
                    }
                }
            }
            Deed::Ask { name: index, verb } => {
                self.next_request += 1;
                let id = RequestId(self.next_request);
                let by = Asker { uid: 0, pid: 1 };
                self.step(Event::Request { id, verb: *verb, name: name(*index), by })?;
            }
            Deed::HangUp => self.step(Event::Forget { id: RequestId(self.next_request) })?,
            Deed::Kill { name: index, exit } => {
                let name = name(*index);
                if let Some(pid) = self.service(&name).main.as_ref().map(|main| main.pid) {
                    self.main_ends(&name, pid, *exit)?;
                }
            }
            Deed::Junk { name: index, kind } => self.junk(name(*index), *kind)?,
            Deed::KillSupervisor { acknowledged } => self.take_over(*acknowledged)?,
            Deed::Shutdown { budget } => {
                self.laws.shutdown(self.now, *budget);
                self.step(Event::Shutdown { budget: *budget })?;
            }
            Deed::Hurry => self.step(Event::Hurry)?,
        }
        Ok(())
    }

    fn junk(&mut self, name: Name, kind: u64) -> Result<(), String> {
        let pid = Pid(7);
        self.step(match kind % 6 {
            0 => Event::Exited { name, pid, exit: Exit::Code(0) },
            1 => Event::Relaunched { name, pid, exit: Exit::Code(0), next: Pid(8) },
            2 => Event::Reloaded { name, result: Ok(()) },
            3 => Event::RelaunchFailed { name, pid, exit: Exit::Code(0), cause: "junk".to_string() },
            4 => Event::FinishStarted { name, pid },
            _ => Event::Tick,
        })
    }

    // The guardian and the processes ------------------------------------------------------------

    fn happen(&mut self, incident: Incident) -> Result<(), String> {
        match incident {
            Incident::Deliver(event) => {
                self.step(event.clone())?;
                self.acknowledge(&event);
                Ok(())
            }
            Incident::LaunchDone { name } => self.launch_done(&name),
            Incident::MainEnds { name, pid, exit } => self.main_ends(&name, pid, exit),
            Incident::OtherEnds { name, pid } => {
                self.other_ends(&name, pid);
                Ok(())
            }
            Incident::FinishEnds { name, number, exit } => {
                if self.service(&name).finish == Some(number) {
                    self.service(&name).finish = None;
                    self.service(&name).finish_exit = Some(exit);
                    self.deliver(Duration::ZERO, Event::FinishExited { name, exit });
                }
                Ok(())
            }
        }
    }

    fn acknowledge(&mut self, event: &Event) {
        let name = match event {
            Event::Exited { name, .. }
            | Event::Relaunched { name, .. }
            | Event::RelaunchFailed { name, .. } => name,
            Event::FinishExited { name, .. } => {
                self.service(name).finish_exit = None;
                return;
            }
            _ => return,
        };
        let service = self.service(name);
        service.unacknowledged.retain(|ended| ended.event != *event);
        if service.unacknowledged.is_empty() {
            service.entry = None;
        }
    }

    fn random(&self, name: &Name, part: u64) -> Random {
        let index = NAMES.iter().position(|known| *known == name.as_str()).unwrap_or(9) as u64;
        Random::of(self.seed, &[index, part])
    }

    fn birth(&mut self, name: &Name) -> (Process, Random) {
        self.next_pid += 1;
        self.births += 1;
        let mut random = self.random(name, self.births);
        let calm = self.calm;
        let stubborn = !calm && random.percent(10);
        let process = Process {
            pid: Pid(self.next_pid),
            gentle: (calm || random.percent(75)).then(|| random.time(if calm { 10 } else { 4_000 })),
            kill: random.time(if stubborn { 7_000 } else { 5 }),
            setsid: random.percent(30),
        };
        (process, random)
    }

    fn launch_done(&mut self, name: &Name) -> Result<(), String> {
        if !self.service(name).launching {
            return Ok(());
        }
        self.service(name).launching = false;
        let number = self.births;
        let mut random = self.random(name, number ^ 0xbeef);
        if self.service(name).entry.is_some() {
            let cause = "it runs already".to_string();
            self.deliver(Duration::ZERO, Event::LaunchFailed { name: name.clone(), cause });
            return Ok(());
        }
        if !self.calm && random.percent(15) {
            self.births += 1;
            let cause = "cannot execute ./run: Permission denied".to_string();
            self.deliver(random.time(20), Event::LaunchFailed { name: name.clone(), cause });
            return Ok(());
        }
        let pid = self.spawn_main(name)?;
        self.deliver(random.time(20), Event::Started { name: name.clone(), pid });
        Ok(())
    }

    /// Law 1: never two process trees of one service.
    fn spawn_main(&mut self, name: &Name) -> Result<Pid, String> {
        let service = self.service(name);
        if service.main.is_some() || !service.others.is_empty() || service.finish.is_some() {
            return Err(format!("law 1: a second tree of {name} is started"));
        }
        let oneshot = service.policy.as_ref().is_some_and(|policy| policy.kind == Kind::Oneshot);
        // One that is started again after a success never comes to rest by itself.
        let ends = !service
            .policy
            .as_ref()
            .is_some_and(|policy| matches!(policy.restart, Restart::Always | Restart::OnSuccess));
        let (process, mut random) = self.birth(name);
        let pid = process.pid;
        self.service(name).main = Some(process);
        if random.percent(if oneshot { 95 } else { 75 }) && (!self.calm || (oneshot && ends)) {
            let code = if self.calm { 0 } else { random.pick(&[0, 0, 1, 3]) };
            let exit = match random.below(5) {
                0 if !self.calm => Exit::Signal { signal: Signal(random.pick(&[9, 11, 15])), core: false },
                _ => Exit::Code(code),
            };
            let wait = random.time(20_000);
            self.later(wait, Incident::MainEnds { name: name.clone(), pid, exit });
        }
        Ok(pid)
    }

    fn main_ends(&mut self, name: &Name, pid: Pid, exit: Exit) -> Result<(), String> {
        if self.service(name).main.as_ref().map(|main| main.pid) != Some(pid) {
            return Ok(());
        }
        self.service(name).main = None;
        self.laws.exits(name);
        let mut random = self.random(name, pid.0 as u64 ^ 0xdead);
        if !self.calm && random.percent(25) {
            for _ in 0..random.below(3) {
                let (process, mut random) = self.birth(name);
                if random.percent(60) {
                    let wait = random.time(15_000);
                    self.later(wait, Incident::OtherEnds { name: name.clone(), pid: process.pid });
                }
                self.service(name).others.push(process);
            }
        }
        let wait = random.time(5);
        let stands = std::mem::take(&mut self.service(name).standing);
        let event = if stands && self.service(name).others.is_empty() {
            if !self.calm && random.percent(15) {
                let cause = "cannot execute ./run: Text file busy".to_string();
                self.service(name).entry = Some(pid);
                Event::RelaunchFailed { name: name.clone(), pid, exit, cause }
            } else {
                let next = self.spawn_main(name)?;
                Event::Relaunched { name: name.clone(), pid, exit, next }
            }
        } else {
            self.service(name).entry = Some(pid);
            Event::Exited { name: name.clone(), pid, exit }
        };
        self.service(name).unacknowledged.push(Ended { event: event.clone() });
        self.deliver(wait, event);
        Ok(())
    }

    fn other_ends(&mut self, name: &Name, pid: Pid) {
        // One that was adopted in the meantime ends as the main process.
        if self.service(name).main.as_ref().map(|main| main.pid) == Some(pid) {
            let _ = self.main_ends(name, pid, Exit::Code(0));
            return;
        }
        let service = self.service(name);
        let before = service.others.len();
        service.others.retain(|other| other.pid != pid);
        if service.others.len() < before && service.main.is_none() && !service.launching {
            let found = self.tree(name);
            self.deliver(Duration::ZERO, Event::TreeChecked { name: name.clone(), found });
        }
    }

    fn tree(&mut self, name: &Name) -> TreeFound {
        let others = &self.service(name).others;
        let adoptable = others.iter().find(|other| other.setsid).map(|other| other.pid);
        let left = others.iter().map(|other| other.pid).filter(|pid| Some(*pid) != adoptable).collect();
        TreeFound { left, adoptable }
    }

    pub fn is_empty(&self, name: &Name) -> bool {
        self.services.get(name).is_none_or(|service| {
            service.main.is_none()
                && service.others.is_empty()
                && service.finish.is_none()
                && !service.launching
        })
    }

    // What the supervisor does -------------------------------------------------------------------

    fn perform(&mut self, action: Action) -> Result<(), String> {
        match action {
            Action::Launch { name } => {
                self.births += 1;
                let mut random = self.random(&name, self.births);
                if self.service(&name).launching {
                    return Err(format!("law 1: a second launch of {name} while one is out"));
                }
                self.service(&name).launching = true;
                let slow = !self.calm && random.percent(5);
                let wait = random.time(if slow { 20_000 } else { 10 });
                self.later(wait, Incident::LaunchDone { name });
            }
            Action::Finish { name, exit: _, main: _ } => self.run_finish(name)?,
            Action::KillFinish { name } => {
                match (self.service(&name).finish, self.service(&name).finish_exit) {
                    (Some(number), _) => {
                        let exit = Exit::Signal { signal: Signal::KILL, core: false };
                        self.later(Duration::from_millis(1), Incident::FinishEnds { name, number, exit });
                    }
                    (None, None) => {
                        self.deliver(Duration::ZERO, Event::FinishExited { name, exit: Exit::Unknown });
                    }
                    (None, Some(_)) => {}
                }
            }
            Action::Signal { name, signal, scope } => self.signal(&name, signal, scope),
            Action::CheckTree { name, main: _ } => {
                let found = self.tree(&name);
                self.deliver(Duration::ZERO, Event::TreeChecked { name, found });
            }
            Action::Adopt { name, pid } => self.adopt(name, pid),
            Action::Stand { name } => {
                let service = self.service(&name);
                service.standing = service.main.is_some();
            }
            Action::Unstand { name } => self.service(&name).standing = false,
            Action::Reload { name } => {
                let mut random = self.random(&name, self.steps);
                let result = if random.percent(70) { Ok(()) } else { Err("it refused".to_string()) };
                self.deliver(Duration::from_millis(3), Event::Reloaded { name, result });
            }
            Action::Remember { name, memory } => self.service(&name).note = Some(memory),
            Action::Changed { name, transition } => {
                // Law 4: at rest means that nothing is left.
                let rests = matches!(transition.to, StateWord::Down | StateWord::Done | StateWord::Failed);
                if rests && !self.is_empty(&name) {
                    return Err(format!("law 4: {name} is {} and not empty", transition.to));
                }
            }
            Action::Forgotten { name } => {
                self.service(&name).note = None;
                if !self.is_empty(&name) {
                    return Err(format!("law 4: {name} is forgotten and not empty"));
                }
            }
            Action::Ended => self.ended = true,
            Action::CloseLogPipe { .. } | Action::Answer { .. } => {}
        }
        Ok(())
    }

    fn run_finish(&mut self, name: Name) -> Result<(), String> {
        if !self.is_empty(&name) {
            return Err(format!("finish of {name} runs while something is left"));
        }
        self.births += 1;
        let number = self.births;
        let mut random = self.random(&name, number);
        self.service(&name).finish = Some(number);
        self.deliver(Duration::ZERO, Event::FinishStarted { name: name.clone(), pid: Pid(9) });
        let code = if self.calm { 0 } else { random.pick(&[0, 0, 0, 1, 125]) };
        if self.calm || random.percent(80) {
            let wait = random.time(if self.calm { 10 } else { 8_000 });
            self.later(wait, Incident::FinishEnds { name, number, exit: Exit::Code(code) });
        }
        Ok(())
    }

    fn signal(&mut self, name: &Name, signal: Signal, scope: Scope) {
        let now_kills = signal == Signal::KILL;
        if !now_kills && ![1, 2, 3, 15].contains(&signal.0) {
            return;
        }
        let when = |process: &Process| if now_kills { Some(process.kill) } else { process.gentle };
        let service = self.service(name);
        let main = service.main.as_ref().and_then(|main| when(main).map(|wait| (main.pid, wait)));
        let reached = |other: &&Process| match scope {
            Scope::Tree => true,
            Scope::Group => !other.setsid,
            Scope::Main => false,
        };
        let others: Vec<(Pid, Duration)> = service
            .others
            .iter()
            .filter(reached)
            .filter_map(|other| when(other).map(|wait| (other.pid, wait)))
            .collect();
        if let Some((pid, wait)) = main {
            let exit = Exit::Signal { signal, core: false };
            self.later(wait, Incident::MainEnds { name: name.clone(), pid, exit });
        }
        for (pid, wait) in others {
            self.later(wait, Incident::OtherEnds { name: name.clone(), pid });
        }
    }

    fn adopt(&mut self, name: Name, pid: Pid) {
        let service = self.service(&name);
        match service.others.iter().position(|other| other.pid == pid) {
            Some(index) => {
                service.main = Some(service.others.remove(index));
                service.entry = None;
                self.deliver(Duration::ZERO, Event::Started { name, pid });
            }
            None => {
                // Its end was seen by nobody: an exit of unknown kind.
                self.laws.exits(&name);
                let cause = "no such child".to_string();
                self.deliver(Duration::ZERO, Event::LaunchFailed { name, cause });
            }
        }
    }

    /// The supervisor dies and the next one takes over from the guardian's table and notes.
    fn take_over(&mut self, acknowledged: bool) -> Result<(), String> {
        // The exit in hand was dealt with, or at least remembered.
        let next = self.queue.iter().find(|(_, incident)| matches!(incident, Incident::Deliver(_)));
        if let Some((key, Incident::Deliver(event))) = next.map(|(key, incident)| (*key, incident.clone())) {
            self.queue.remove(&key);
            self.step(event.clone())?;
            if acknowledged {
                self.acknowledge(&event);
            }
        }
        // Orders that were sent are carried out before the next one says Hello.
        let waiting: Vec<(Time, u64)> = self
            .queue
            .iter()
            .filter(|(_, incident)| matches!(incident, Incident::LaunchDone { .. }))
            .map(|(key, _)| *key)
            .collect();
        for key in waiting {
            if let Some(incident) = self.queue.remove(&key) {
                self.happen(incident)?;
            }
        }
        if self.ended {
            return Ok(());
        }
        self.queue.retain(|_, incident| !matches!(incident, Incident::Deliver(_)));
        self.last_delivery = self.now;
        self.core = Lifecycle::new();
        self.laws.supervisor_died();
        self.taking_over = true;
        let names: Vec<Name> = self.services.keys().cloned().collect();
        for name in &names {
            let service = self.service(name);
            let known = service.present || service.note.is_some();
            if let (true, Some(policy)) = (known, service.policy.clone()) {
                self.step(Event::Define { name: name.clone(), policy })?;
            }
        }
        for name in &names {
            let service = self.service(name);
            let running = service.main.as_ref().map(|main| main.pid).or(service.entry);
            match (service.note.clone(), service.present) {
                (Some(memory), _) => self.step(Event::Resume { name: name.clone(), memory, running })?,
                (None, true) => self.step(Event::Boot { name: name.clone() })?,
                (None, false) => {}
            }
        }
        for name in &names {
            if !self.service(name).present && self.core.view(name).is_some() {
                self.step(Event::Remove { name: name.clone() })?;
            }
        }
        self.report_again(&names)?;
        self.taking_over = false;
        self.check_hope()
    }

    /// What the guardian holds until it is acknowledged.
    fn report_again(&mut self, names: &[Name]) -> Result<(), String> {
        for name in names {
            let events: Vec<Event> =
                self.service(name).unacknowledged.iter().map(|ended| ended.event.clone()).collect();
            for event in events {
                self.step(event.clone())?;
                self.acknowledge(&event);
            }
            let finishing = self.core.view(name).is_some_and(|view| view.state == StateWord::Finishing);
            let service = self.service(name);
            if finishing && service.finish.is_none() {
                let exit = service.finish_exit.take().unwrap_or(Exit::Unknown);
                self.step(Event::FinishExited { name: name.clone(), exit })?;
            }
            self.service(name).finish_exit = None;
        }
        Ok(())
    }

    // Laws that need to see the world --------------------------------------------------------------

    /// Law 2: no service is forgotten in any state: something is on its way that moves it on.
    fn check_hope(&self) -> Result<(), String> {
        if self.ended || self.taking_over {
            return Ok(());
        }
        let mut coming: BTreeSet<&Name> = BTreeSet::new();
        for incident in self.queue.values() {
            if let Incident::Deliver(
                Event::Started { name, .. }
                | Event::LaunchFailed { name, .. }
                | Event::Exited { name, .. }
                | Event::Relaunched { name, .. }
                | Event::RelaunchFailed { name, .. }
                | Event::TreeChecked { name, .. }
                | Event::FinishExited { name, .. },
            ) = incident
            {
                coming.insert(name);
            }
        }
        for name in self.core.names() {
            let (Some(view), Some(service)) = (self.core.view(name), self.services.get(name)) else {
                return Err(format!("{name} has no view"));
            };
            let reported = coming.contains(name) || !service.unacknowledged.is_empty();
            let hope = match view.state {
                StateWord::Starting => service.launching || reported,
                StateWord::Up | StateWord::Ready => service.main.is_some() || reported,
                StateWord::Stopping => view.next_step.is_some() || service.launching || reported,
                StateWord::Finishing => service.finish.is_some() || service.finish_exit.is_some() || reported,
                StateWord::Backoff => view.next_start.is_some(),
                StateWord::Down | StateWord::Done | StateWord::Failed => service.main.is_none() || reported,
            };
            if !hope {
                return Err(format!("law 2: {name} is {} and nothing will change that", view.state));
            }
        }
        Ok(())
    }

    /// When all programs behave for long enough, everything is where it is wanted.
    fn check_calm(&self) -> Result<(), String> {
        for (name, service) in &self.services {
            let Some(view) = self.core.view(name) else {
                if service.present {
                    return Err(format!("law 2: {name} has a directory and is not known"));
                }
                continue;
            };
            if !service.present {
                return Err(format!("{name} has no directory and is {}", view.state));
            }
            let rests = matches!(view.state, StateWord::Down | StateWord::Done | StateWord::Failed);
            let up = view.state == StateWord::Up && view.pid.is_some();
            if view.pid != service.main.as_ref().map(|main| main.pid) || !(rests || up) {
                return Err(format!("{name} is {} at the end, pid {:?}", view.state, view.pid));
            }
            let policy = service.policy.as_ref();
            let kept = policy.is_some_and(|policy| {
                policy.restart == Restart::Always && policy.give_up.is_none() && policy.kind == Kind::Longrun
            });
            self.laws.check_calm(name, &view, kept)?;
        }
        Ok(())
    }
}

fn brief(action: &Action) -> String {
    match action {
        Action::Remember { name, memory } => {
            format!("Remember {name}: {:?} {:?} main {:?}", memory.state, memory.wanted, memory.main)
        }
        other => format!("{other:?}"),
    }
}

/// The stop schedules of the simulation: none waits for ever.
pub fn schedule(random: &mut Random) -> Vec<StopStep> {
    let term = StopStep::Signal(Signal::TERM);
    let kill = StopStep::Signal(Signal::KILL);
    let wait = StopStep::Wait(random.time(5_000));
    match random.below(6) {
        0 => Vec::new(),
        1 => vec![term],
        2 => vec![wait],
        3 => vec![StopStep::Signal(Signal::HUP), wait, term, wait, kill],
        4 => vec![term, StopStep::Wait(Duration::ZERO), kill],
        _ => vec![term, wait, kill],
    }
}

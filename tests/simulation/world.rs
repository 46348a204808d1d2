//! A model of all that is outside the core: the guardian with its table, processes with a mind of
//! their own, service directories, clients, and the supervisor that performs actions and may die.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use svc::lifecycle::{
    Action, Asker, Event, Exit, Kind, Lifecycle, Memory, Name, Pid, Policy, RequestId, Restart, StateWord,
    Time, Verb,
};

use crate::laws::Laws;

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
pub enum Incident {
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

pub struct Process {
    pub pid: Pid,
    /// What TERM and its like do to it; none: it ignores them.
    pub gentle: Option<Duration>,
    pub kill: Duration,
    pub setsid: bool,
}

pub struct Ended {
    pub event: Event,
}

#[derive(Default)]
pub struct Service {
    pub launching: bool,
    pub main: Option<Process>,
    /// The table's entry of a main process that has ended and is not acknowledged.
    pub entry: Option<Pid>,
    /// Exits that are not acknowledged, oldest first.
    pub unacknowledged: Vec<Ended>,
    pub standing: bool,
    pub others: Vec<Process>,
    pub finish: Option<u64>,
    pub finish_exit: Option<Exit>,
    pub note: Option<Memory>,
    /// The last definition; kept when the directory is gone.
    pub policy: Option<Policy>,
    pub present: bool,
}

pub struct World {
    pub seed: u64,
    pub now: Time,
    pub queue: BTreeMap<(Time, u64), Incident>,
    pub sequence: u64,
    pub last_delivery: Time,
    pub services: BTreeMap<Name, Service>,
    pub core: Lifecycle,
    pub laws: Laws,
    pub next_pid: i32,
    pub births: u64,
    pub next_request: u64,
    /// Programs behave: nothing fails any more.
    pub calm: bool,
    /// Between two supervisors not everything is where it belongs.
    pub taking_over: bool,
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

    pub fn run_until(&mut self, limit: Time) -> Result<(), String> {
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

    pub fn log(&mut self, line: impl FnOnce() -> String) {
        let now = self.now;
        if let Some(trace) = &mut self.trace {
            let at = Duration::from_nanos(now.nanoseconds);
            trace.push(format!("{at:?} {}", line()));
        }
    }

    pub fn later(&mut self, wait: Duration, incident: Incident) {
        self.sequence += 1;
        self.queue.insert((self.now + wait, self.sequence), incident);
    }

    /// Reports arrive in the order in which they were sent.
    pub fn deliver(&mut self, wait: Duration, event: Event) {
        let at = (self.now + wait).max(self.last_delivery);
        self.last_delivery = at;
        self.sequence += 1;
        self.queue.insert((at, self.sequence), Incident::Deliver(event));
    }

    pub fn service(&mut self, name: &Name) -> &mut Service {
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

    pub fn perform_deed(&mut self, planned: &Planned) -> Result<(), String> {
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

    pub fn junk(&mut self, name: Name, kind: u64) -> Result<(), String> {
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

    /// Law 2: no service is forgotten in any state: something is on its way that moves it on.
    pub fn check_hope(&self) -> Result<(), String> {
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
    pub fn check_calm(&self) -> Result<(), String> {
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

//! What clients ask for: life-cycle verbs become events, questions are answered from what is known.

use std::collections::BTreeSet;
use std::time::Duration;

use super::event_loop::Supervisor;
use super::history::stamp;
use crate::control::{ClientId, Incoming};
use crate::lifecycle::{Asker, Event, Name, Outcome, Pid, RequestId, StateWord, Transition, Verb};
use crate::logger::Fact;
use crate::protocol::control::{ErrorKind, Reply, ServiceOutcome, VERSION, What};
use crate::service;

/// How many lines of its log a failed start shows.
const TAIL_LINES: usize = 10;

/// A verb that was given to the life-cycle and is not answered for all its services yet.
#[derive(Debug)]
pub struct OpenRequest {
    client: ClientId,
    verb: Verb,
    /// Services whose final answer is still to come, or waits for its log lines.
    unanswered: BTreeSet<Name>,
}

/// A client that follows the transitions; of all services when it named none.
#[derive(Debug)]
pub struct Subscriber {
    client: ClientId,
    names: BTreeSet<Name>,
}

/// An answer that waits for the last lines of a log.
#[derive(Debug)]
pub struct WaitingTail {
    id: RequestId,
    name: Name,
    outcome: ServiceOutcome,
}

impl Supervisor {
    pub fn take_client(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Request { client, asker, what } => self.take_request(client, asker, what),
            Incoming::Gone { client } => self.client_gone(client),
            Incoming::Complaint { text } => self.say(&text),
        }
    }

    fn client_gone(&mut self, client: ClientId) {
        self.subscribers.retain(|subscriber| subscriber.client != client);
        let open: Vec<RequestId> =
            self.requests.iter().filter(|(_, open)| open.client == client).map(|(id, _)| *id).collect();
        for id in open {
            self.requests.remove(&id);
            self.step(Event::Forget { id });
        }
    }

    fn take_request(&mut self, client: ClientId, asker: Asker, what: What) {
        match what {
            What::Ping => {
                let (supervisor_pid, guardian_pid) = (self.own.0, self.guardian.0);
                self.reply(client, Reply::Pong { version: VERSION, supervisor_pid, guardian_pid });
            }
            What::Act { verb, names, all, wait } => self.act(client, asker, verb, &names, all, wait),
            What::Status { names, detail } => self.send_status(client, &names, detail),
            What::Why { name } => self.send_why(client, &name),
            What::Events { names } => self.subscribe(client, &names),
            What::Processes { names, all } => self.send_processes(client, &names, all),
            What::Rescan => {
                let found = self.rescan();
                let (added, changed, removed, problems) =
                    (found.added, found.changed, found.removed, found.problems);
                self.reply(client, Reply::Rescanned { added, changed, removed, problems });
            }
            What::Show { name } => self.send_definition(client, &name),
            What::Shutdown => {
                self.reply(client, Reply::ShuttingDown);
                // Who lost a supervisor in the middle asks the next one again: only signals hurry.
                if !self.core.shutting_down() {
                    self.shut_down();
                }
            }
        }
    }

    /// Goes out when the guardian has been told what it is about: who was answered can rely on it,
    /// whatever is killed then.
    pub fn reply(&mut self, client: ClientId, reply: Reply) {
        self.replies.push((client, reply));
    }

    pub fn send_replies(&mut self) {
        let mut waiting = std::mem::take(&mut self.replies).into_iter().peekable();
        while let Some((client, first)) = waiting.next() {
            let mut replies = vec![first];
            while let Some((_, reply)) = waiting.next_if(|(next, _)| *next == client) {
                replies.push(reply);
            }
            self.server.reply(client, &replies);
        }
    }

    /// The services that are meant. A directory that has just been made counts even before the
    /// kernel told of it. Errors: the first name that no service has.
    pub fn resolve(&mut self, names: &[String], all: bool) -> Result<Vec<Name>, String> {
        if all {
            self.compare_listing();
            return Ok(self
                .services
                .keys()
                .filter(|name| name.logged_service().is_none())
                .cloned()
                .collect());
        }
        let mut found = BTreeSet::new();
        let mut unknown = Vec::new();
        for text in names {
            match Name::parse(text) {
                Ok(name) if self.is_known(&name) => {
                    found.insert(name);
                }
                Ok(name) => unknown.push(self.unknown(&name)),
                Err(error) => unknown.push(format!("there is no service {text:?}: {error}")),
            }
        }
        if unknown.is_empty() { Ok(found.into_iter().collect()) } else { Err(unknown.join("; ")) }
    }

    fn unknown(&self, name: &Name) -> String {
        let directory = self.setup.services_dir.join(name.as_str());
        let advice = match service::nearest(name.as_str(), self.services.keys().map(Name::as_str)) {
            Some(nearest) => format!("; did you mean {nearest}?"),
            None => String::new(),
        };
        format!("there is no service {name}: {} does not exist{advice}", directory.display())
    }

    fn is_known(&mut self, name: &Name) -> bool {
        if !self.services.contains_key(name) {
            self.compare_listing();
        }
        self.services.contains_key(name)
    }

    fn act(&mut self, client: ClientId, asker: Asker, verb: Verb, names: &[String], all: bool, wait: bool) {
        let names = match self.resolve(names, all) {
            Ok(names) => names,
            Err(message) => {
                self.reply(client, Reply::Error { kind: ErrorKind::UnknownService, message });
                return;
            }
        };
        if matches!(verb, Verb::Up | Verb::Restart | Verb::Once) {
            for name in &names {
                self.reread(name);
            }
        }
        self.requests_made += 1;
        let id = RequestId(self.requests_made);
        let unanswered = names.iter().cloned().collect();
        self.requests.insert(id, OpenRequest { client, verb, unanswered });
        for name in &names {
            if self.services.get(name).is_some_and(|service| service.defined) {
                self.step(Event::Request { id, verb, name: name.clone(), by: asker });
            } else {
                self.refuse_broken(id, name);
            }
        }
        if names.is_empty() || !wait {
            self.end_request(id, wait);
        }
    }

    /// A directory that never was without errors: its problems are the answer.
    fn refuse_broken(&mut self, id: RequestId, name: &Name) {
        let problems = self.services.get(name).map(|service| service.problems.join("\n")).unwrap_or_default();
        let outcome = ServiceOutcome {
            name: name.to_string(),
            ok: false,
            already: false,
            state: StateWord::Failed,
            pid: None,
            why: Some(problems),
            exit: None,
            log: Vec::new(),
        };
        self.send_outcome(id, name, outcome);
    }

    /// The client does not wait, or there is nothing to wait for.
    fn end_request(&mut self, id: RequestId, wait: bool) {
        let Some(open) = self.requests.remove(&id) else { return };
        if !wait {
            for name in &open.unanswered {
                let outcome = self.outcome_now(name, true);
                self.reply(open.client, Reply::Outcome(outcome));
            }
            self.step(Event::Forget { id });
        }
        self.reply(open.client, Reply::End);
    }

    fn outcome_now(&self, name: &Name, ok: bool) -> ServiceOutcome {
        let view = self.core.view(name);
        ServiceOutcome {
            name: name.to_string(),
            ok,
            already: false,
            state: view.as_ref().map_or(StateWord::Down, |view| view.state),
            pid: view.as_ref().and_then(|view| view.pid).map(|Pid(pid)| pid),
            why: None,
            exit: None,
            log: Vec::new(),
        }
    }

    /// The life-cycle's one final answer for this service.
    pub fn answer(&mut self, id: RequestId, name: Name, outcome: Outcome) {
        let Some(open) = self.requests.get(&id) else { return };
        let verb = open.verb;
        let mut sent = self.outcome_now(&name, true);
        match outcome {
            Outcome::Done => {}
            Outcome::Already => sent.already = true,
            Outcome::Rested { state, exit } => {
                sent.state = state;
                sent.exit = exit;
            }
            Outcome::Failed { why } => {
                sent.ok = false;
                sent.why = Some(why);
                sent.exit = self.core.view(&name).and_then(|view| view.last_exit);
            }
        }
        let tells_why = !sent.ok && matches!(verb, Verb::Up | Verb::Restart | Verb::Once);
        if tells_why && self.has_own_log(&name) {
            self.requests_made += 1;
            let token = self.requests_made;
            self.logger.tail(&name, TAIL_LINES, token);
            self.tails.insert(token, WaitingTail { id, name, outcome: sent });
        } else {
            self.send_outcome(id, &name, sent);
        }
    }

    fn has_own_log(&self, name: &Name) -> bool {
        let definition = self.services.get(name).and_then(|service| service.definition.as_ref());
        definition.is_some_and(|definition| !definition.has_logger) && name.logged_service().is_none()
    }

    fn send_outcome(&mut self, id: RequestId, name: &Name, outcome: ServiceOutcome) {
        let Some(open) = self.requests.get_mut(&id) else { return };
        open.unanswered.remove(name);
        let (client, over) = (open.client, open.unanswered.is_empty());
        self.reply(client, Reply::Outcome(outcome));
        if over {
            self.requests.remove(&id);
            self.reply(client, Reply::End);
        }
    }

    pub fn take_fact(&mut self, fact: Fact) {
        match fact {
            Fact::Tail { token, lines, .. } => {
                if let Some(waiting) = self.tails.remove(&token) {
                    let outcome = ServiceOutcome { log: lines, ..waiting.outcome };
                    self.send_outcome(waiting.id, &waiting.name, outcome);
                }
            }
            Fact::Trouble { name, text } => {
                self.say(&text);
                self.log_troubles.insert(name, text);
            }
            Fact::Recovered { name } => {
                self.log_troubles.remove(&name);
                self.say(&format!("{name}: its log is written again; nothing was lost"));
            }
        }
    }

    fn send_why(&mut self, client: ClientId, name: &str) {
        match self.resolve(&[name.to_owned()], false) {
            Ok(names) => {
                for name in names {
                    let transitions = self.services.get(&name).map(|service| service.history.stamped(&name));
                    let transitions = transitions.unwrap_or_default();
                    self.reply(client, Reply::Why { name: name.to_string(), transitions });
                }
            }
            Err(message) => self.reply(client, Reply::Error { kind: ErrorKind::UnknownService, message }),
        }
    }

    fn subscribe(&mut self, client: ClientId, names: &[String]) {
        match self.resolve(names, false) {
            Ok(names) => {
                self.subscribers.push(Subscriber { client, names: names.into_iter().collect() });
                self.reply(client, Reply::Subscribed);
            }
            Err(message) => self.reply(client, Reply::Error { kind: ErrorKind::UnknownService, message }),
        }
    }

    pub fn publish(&mut self, name: &Name, at: Duration, transition: &Transition) {
        let interested =
            |subscriber: &&Subscriber| subscriber.names.is_empty() || subscriber.names.contains(name);
        let clients: Vec<ClientId> = self.subscribers.iter().filter(interested).map(|s| s.client).collect();
        if clients.is_empty() {
            return;
        }
        let stamped = Reply::Transition(stamp(name, at, transition.clone()));
        for client in clients {
            self.reply(client, stamped.clone());
        }
    }
}

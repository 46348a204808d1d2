//! A signal to a service: which processes are meant, and who sends it to whom.

use std::time::Duration;

use super::event_loop::{Supervisor, now};
use crate::lifecycle::{Name, Pid, Scope, Signal, Time, TreeFound};
use crate::protocol::guardian::{Child, Order, Role};

/// In a shutdown most services have ended this long after their signal, and need not be walked for
/// processes that left the group of the main one: the kernel pays for every look at a process once
/// more when it ends.
const SPREAD_AFTER: Duration = Duration::from_millis(30);

/// A signal that the process group has got and the rest of the tree has not yet.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    pub at: Time,
    signal: Signal,
}

impl Supervisor {
    pub fn signal(&mut self, name: &Name, signal: Signal, scope: Scope) {
        let view = self.core.view(name);
        let main = view.as_ref().and_then(|view| view.pid);
        let thinning = self.thinning.get(name).copied();
        // One that put itself in the background leads no group that is known: each gets its own.
        let grouped = scope != Scope::Main && !view.as_ref().is_some_and(|view| view.adopted);
        let in_a_hurry = self.core.shutting_down() && signal != Signal::KILL;
        self.spreads.remove(name);
        // Looked up before the first signal: what it ends cannot be walked any more.
        let beyond = match scope {
            Scope::Tree if main.is_some() && grouped && in_a_hurry => {
                self.spreads.insert(name.clone(), Spread { at: now() + SPREAD_AFTER, signal });
                Vec::new()
            }
            Scope::Tree => self.forest.beyond(name, main, thinning, grouped),
            Scope::Group if main.is_none() || !grouped => self.forest.beyond(name, main, thinning, grouped),
            Scope::Group | Scope::Main => Vec::new(),
        };
        if main.is_some() {
            for signal in with_wake_up(signal) {
                self.order_signal(name, Role::Run, signal, grouped);
            }
        }
        self.signal_each(name, &beyond, signal);
    }

    pub fn order_signal(&mut self, name: &Name, role: Role, signal: Signal, group: bool) {
        self.link.push(Order::Signal { child: Child { name: name.clone(), role }, signal, group });
    }

    fn signal_each(&self, name: &Name, pids: &[Pid], signal: Signal) {
        for signal in with_wake_up(signal) {
            for pid in pids {
                if let Err(why) = self.forest.signal(*pid, signal.0) {
                    self.say(&format!("{name}: {why}"));
                }
            }
        }
    }

    /// The main process has ended and left these behind before the signal reached them.
    pub fn spread_to(&mut self, name: &Name, found: &TreeFound) {
        let left: Vec<Pid> = found.left.iter().copied().chain(found.adoptable).collect();
        if left.is_empty() && self.forest.is_undecided() {
            return;
        }
        if let Some(spread) = self.spreads.remove(name) {
            self.signal_each(name, &left, spread.signal);
        }
    }

    /// To the trees of main processes that take their time.
    pub fn spread_what_is_due(&mut self) {
        let now = now();
        let due: Vec<(Name, Signal)> = self
            .spreads
            .iter()
            .filter(|(_, spread)| spread.at <= now)
            .map(|(name, spread)| (name.clone(), spread.signal))
            .collect();
        for (name, signal) in due {
            self.spreads.remove(&name);
            let main = self.core.view(&name).and_then(|view| view.pid);
            if main.is_some() {
                let beyond = self.forest.beyond(&name, main, None, true);
                self.signal_each(&name, &beyond, signal);
            }
        }
    }
}

/// After a signal CONT, so that a stopped process sees it.
fn with_wake_up(signal: Signal) -> impl Iterator<Item = Signal> {
    let wakes = ![Signal::STOP, Signal::CONT, Signal::KILL].contains(&signal);
    std::iter::once(signal).chain(wakes.then_some(Signal::CONT))
}

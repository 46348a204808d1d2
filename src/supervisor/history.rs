//! The last transitions and exits of each service, for `svc why` and `svc status`.

use std::collections::VecDeque;
use std::time::Duration;

use crate::lifecycle::{Cause, Exit, Name, Pid, Transition, Verb};
use crate::protocol::control::{PastExit, StampedTransition};

/// How many transitions are remembered of one service.
const TRANSITIONS_MAX: usize = 64;

/// How many exits `svc status NAME` shows.
const EXITS_SHOWN: usize = 5;

#[derive(Debug)]
struct Entry {
    /// Since 1970.
    at: Duration,
    transition: Transition,
}

/// Of one service, oldest first.
#[derive(Debug, Default)]
pub struct History {
    entries: VecDeque<Entry>,
}

impl History {
    pub fn add(&mut self, at: Duration, transition: Transition) {
        if self.entries.len() >= TRANSITIONS_MAX {
            self.entries.pop_front();
        }
        // Most services start, run for years and never fill what growing by itself would take.
        self.entries.reserve_exact(1);
        self.entries.push_back(Entry { at, transition });
    }

    pub fn stamped(&self, name: &Name) -> Vec<StampedTransition> {
        self.entries.iter().map(|entry| stamp(name, entry.at, entry.transition.clone())).collect()
    }

    /// The last thing that somebody asked for, and who did.
    pub fn last_request(&self) -> Option<(Verb, String)> {
        self.entries.iter().rev().find_map(|entry| match &entry.transition.cause {
            cause @ Cause::Request { verb, .. } => Some((*verb, cause.to_string())),
            _ => None,
        })
    }

    /// Newest first.
    pub fn exits(&self) -> Vec<PastExit> {
        let past = |entry: &Entry| {
            let (exit, ran) = exit_of(&entry.transition)?;
            let pid = entry.transition.pid.map(|Pid(pid)| pid);
            Some(PastExit { at: rfc3339(entry.at), pid, exit, ran_seconds: ran.as_secs_f64() })
        };
        self.entries.iter().rev().filter_map(past).take(EXITS_SHOWN).collect()
    }
}

fn exit_of(transition: &Transition) -> Option<(Exit, Duration)> {
    match &transition.cause {
        Cause::Exited { exit, ran_nanoseconds } => Some((*exit, Duration::from_nanos(*ran_nanoseconds))),
        Cause::StandingOrder { exit } => Some((*exit, Duration::ZERO)),
        _ => None,
    }
}

pub fn stamp(name: &Name, at: Duration, transition: Transition) -> StampedTransition {
    let text = transition.cause.to_string();
    StampedTransition { name: name.to_string(), at: rfc3339(at), transition, text }
}

/// "2026-11-22T17:03:04.123456Z" for a time since 1970.
pub fn rfc3339(at: Duration) -> String {
    let microseconds = i64::try_from(at.as_micros()).unwrap_or(i64::MAX);
    match jiff::Timestamp::from_microsecond(microseconds) {
        Ok(stamp) => format!("{stamp:.6}"),
        Err(_) => "9999-12-31T23:59:59.999999Z".to_owned(),
    }
}

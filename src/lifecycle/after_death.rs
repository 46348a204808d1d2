//! What follows the end of a service: `finish`, then rest, a delay, or the next start.

use std::time::Duration;

use super::requests::Goal;
use super::service::{Delay, Finishing, Service, State, Turn};
use super::words::short;
use super::{Action, Backoff, Cause, Exit, Kind, Name, Outcome, Pid, Policy, Restart, Signal, Wanted};

/// TERM, INT, HUP and PIPE end a program that did nothing wrong.
const GENTLE_SIGNALS: [Signal; 4] = [Signal::TERM, Signal(2), Signal::HUP, Signal(13)];

/// What `finish` is told when there was no process: as runit, whose scripts expect it.
const NO_LAUNCH_CODE: u8 = 111;

/// The spread of delays, in thousandths each way: services that died together do not come back together.
const SPREAD_PERMILLE: u64 = 100;

/// The delay before the restart that follows `deaths` quick deaths in a row (1 or more).
pub fn restart_delay(backoff: &Backoff, name: &Name, deaths: u32) -> Duration {
    let doublings = deaths.saturating_sub(1);
    let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
    let delay = backoff.first.checked_mul(factor).unwrap_or(Duration::MAX).min(backoff.max);
    let permille = 1_000 - SPREAD_PERMILLE + fingerprint(name, deaths) % (2 * SPREAD_PERMILLE + 1);
    let nanoseconds = delay.as_nanos().saturating_mul(u128::from(permille)) / 1_000;
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
}

/// FNV-1a, 64 bits: the same on every machine and in every version.
fn fingerprint(name: &Name, number: u32) -> u64 {
    let bytes = name.as_str().bytes().chain(number.to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

impl Policy {
    pub(super) fn is_success(&self, exit: Exit) -> bool {
        match exit {
            Exit::Code(code) => code == 0 || self.success_codes.contains(&code),
            Exit::Signal { signal, core: _ } => {
                GENTLE_SIGNALS.contains(&signal) || self.success_signals.contains(&signal)
            }
            Exit::Unknown => false,
        }
    }

    fn restarts_after(&self, ended_well: bool) -> bool {
        match self.restart {
            Restart::Always => true,
            Restart::OnFailure => !ended_well,
            Restart::OnSuccess => ended_well,
            Restart::Never => false,
        }
    }
}

impl Service {
    /// Counts a death that nobody wished, for the delay and for giving up.
    pub fn count_death(&mut self, turn: &Turn<'_>, ran: Option<Duration>) {
        if ran.is_some_and(|ran| ran >= self.policy.backoff.reset) {
            self.attempt = 0;
            self.advice = false;
        } else {
            self.attempt = self.attempt.saturating_add(1);
        }
        let Some(give_up) = self.policy.give_up else {
            self.deaths.clear();
            return;
        };
        self.deaths.push(turn.now);
        self.deaths.retain(|death| turn.now.since(*death) <= give_up.within);
        let surplus = self.deaths.len().saturating_sub(give_up.count as usize + 1);
        self.deaths.drain(..surplus);
    }

    /// No process is left: `finish`, if there is one, else what comes after.
    pub fn gone(&mut self, turn: &mut Turn<'_>, cause: Cause) {
        let exit = self.last_exit.unwrap_or(Exit::Unknown);
        let main = self.last_main.unwrap_or(Pid(0));
        self.finish(turn, exit, main, cause);
    }

    /// There has been no process at all.
    pub fn not_launched(&mut self, turn: &mut Turn<'_>, cause: Cause) {
        self.finish(turn, Exit::Code(NO_LAUNCH_CODE), Pid(0), cause);
    }

    fn finish(&mut self, turn: &mut Turn<'_>, exit: Exit, main: Pid, cause: Cause) {
        if !self.policy.has_finish || turn.hurried {
            return self.decide(turn, cause);
        }
        turn.act(|name| Action::Finish { name, exit, main });
        let deadline = turn.after(self.policy.timeout_finish);
        self.enter(turn, State::Finishing(Finishing { deadline }), cause);
    }

    /// Everything is over, `finish` too.
    pub fn decide(&mut self, turn: &mut Turn<'_>, cause: Cause) {
        if self.must_stop(turn) {
            self.forget_reason();
            return self.rest(turn, State::Down, cause);
        }
        if self.start_after {
            self.start_afresh();
            return self.launch(turn, cause);
        }
        if self.wanted == Wanted::Once && self.kind == Kind::Longrun {
            self.wanted = Wanted::Down;
            return self.rest(turn, State::Down, cause);
        }
        if let Some(gave_up) = self.gave_up() {
            self.explain(match self.reason.as_deref() {
                Some(last) => format!("{gave_up}; last: {last}"),
                None => gave_up.to_string(),
            });
            self.deaths.clear();
            // The death is told as well: it may be told by nothing else.
            self.note(turn, cause);
            return self.rest(turn, State::Failed, gave_up);
        }
        if self.wanted == Wanted::Once || !self.policy.restarts_after(self.ended_well) {
            return self.end_for_good(turn, cause);
        }
        if self.kind == Kind::Oneshot && self.ended_well {
            // It is never done, by its policy; the run that was asked for is.
            self.answer_goal(turn, Goal::Up, &Outcome::Done);
        }
        if self.attempt == 0 {
            return self.restart(turn, cause);
        }
        let until = turn.now + restart_delay(&self.policy.backoff, turn.name, self.attempt);
        if until <= turn.now {
            return self.restart(turn, cause);
        }
        self.enter(turn, State::Backoff(Delay { until }), cause);
    }

    /// Starts it again because the policy says so.
    pub fn restart(&mut self, turn: &mut Turn<'_>, cause: Cause) {
        self.restarts = self.restarts.saturating_add(1);
        self.launch(turn, cause);
    }

    /// A start that the user asked for: earlier deaths do not count any more.
    pub fn start_afresh(&mut self) {
        self.attempt = 0;
        self.deaths.clear();
        self.forget_reason();
    }

    fn gave_up(&self) -> Option<Cause> {
        let give_up = self.policy.give_up?;
        let count = u32::try_from(self.deaths.len()).unwrap_or(u32::MAX);
        let within_nanoseconds = u64::try_from(give_up.within.as_nanos()).unwrap_or(u64::MAX);
        (count > give_up.count).then_some(Cause::GaveUp { count, within_nanoseconds })
    }

    /// The policy does not start it again.
    fn end_for_good(&mut self, turn: &mut Turn<'_>, cause: Cause) {
        let state = match (self.ended_well, self.kind) {
            (true, Kind::Oneshot) => State::Done,
            (true, Kind::Longrun) => State::Down,
            (false, Kind::Oneshot | Kind::Longrun) => State::Failed,
        };
        if let State::Done = state {
            self.forget_reason();
        } else {
            let rule = match self.policy.restart {
                Restart::Always => "asked to run once",
                Restart::OnFailure => "restart = \"on-failure\"",
                Restart::OnSuccess => "restart = \"on-success\"",
                Restart::Never => "restart = \"never\"",
            };
            let what = self.reason.take().unwrap_or_else(|| self.exited().to_string().into());
            self.reason = Some(match self.kind {
                Kind::Longrun => format!("{what}, not restarted ({rule})").into(),
                Kind::Oneshot => what,
            });
        }
        self.rest(turn, state, cause);
    }

    /// Comes to rest: whoever waits is answered.
    pub fn rest(&mut self, turn: &mut Turn<'_>, state: State, cause: Cause) {
        self.start_after = false;
        if !matches!(state, State::Failed) {
            self.attempt = 0;
        }
        self.enter(turn, state, cause);
        self.answer_at_rest(turn);
        if self.removing {
            turn.forget = true;
        }
    }

    /// What happened to those who wait for it to be up, when a run ended that should not have.
    pub fn tell_of_death(&mut self, turn: &mut Turn<'_>, why: &str) {
        self.fail(turn, why, |waiting| waiting.goal == Goal::Up && waiting.armed);
    }
}

/// What to do about a program that went into the background, when that is what seems to have happened.
pub(super) fn background_advice(ran: Duration, left: usize) -> String {
    let noun = if left == 1 { "process" } else { "processes" };
    format!(
        "the main process exited 0 after {} and left {left} {noun} behind: it seems to put itself in the background; \
         run it in the foreground",
        short(ran)
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::restart_delay;
    use crate::lifecycle::{Backoff, Name};

    fn backoff() -> Backoff {
        Backoff {
            first: Duration::from_millis(100),
            max: Duration::from_secs(30),
            reset: Duration::from_secs(10),
        }
    }

    #[test]
    fn the_delay_doubles_within_a_tenth_until_its_maximum() {
        let name = Name::new("web").unwrap();
        for deaths in 1..=100 {
            let plain = (100_u64 << (deaths - 1).min(20)).min(30_000);
            let delay = restart_delay(&backoff(), &name, deaths);
            assert!(delay >= Duration::from_millis(plain * 9 / 10), "{deaths}: {delay:?}");
            assert!(delay <= Duration::from_millis(plain * 11 / 10), "{deaths}: {delay:?}");
            assert_eq!(delay, restart_delay(&backoff(), &name, deaths));
        }
    }

    #[test]
    fn two_services_that_die_together_come_back_apart() {
        let of = |name: &str| restart_delay(&backoff(), &Name::new(name).unwrap(), 5);
        assert_ne!(of("web"), of("db"));
    }

    #[test]
    fn a_delay_of_any_size_is_no_overflow() {
        let huge = Backoff { first: Duration::MAX, max: Duration::MAX, reset: Duration::ZERO };
        assert!(restart_delay(&huge, &Name::new("web").unwrap(), u32::MAX) > Duration::from_secs(1));
        let none = Backoff { first: Duration::ZERO, max: Duration::ZERO, reset: Duration::ZERO };
        assert_eq!(restart_delay(&none, &Name::new("web").unwrap(), 3), Duration::ZERO);
    }
}

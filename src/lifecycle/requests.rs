//! What clients ask for: every request gets exactly one answer per service.

use std::time::Duration;

use super::service::{Happening, Service, Standing, Starting, State, Turn, Up};
use super::{
    Action, Asker, Cause, Kind, Main, Name, Outcome, RequestId, Scope, Signal, StateWord, Verb, Wanted,
};

/// `svc up` believes that a service is up when it has stayed up for so long: a program that cannot
/// bind its port or read its configuration ends within it.
pub const SETTLE: Duration = Duration::from_millis(250);

/// How many requests may wait for one service.
const WAITING_MAX: usize = 1_024;

#[derive(Clone, Copy)]
pub(super) struct Waiting {
    pub id: RequestId,
    pub goal: Goal,
    /// The run it hopes for has begun: its end is the answer.
    pub armed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    Up,
    Down,
    Rest,
    Reload,
}

impl Service {
    pub fn request(&mut self, turn: &mut Turn<'_>, id: RequestId, verb: Verb, by: Asker) {
        if self.waiting.len() >= WAITING_MAX {
            let why = format!("{} requests wait for {} already; try again later", WAITING_MAX, turn.name);
            return answer(turn, id, Outcome::Failed { why });
        }
        match verb {
            Verb::Up | Verb::Once | Verb::Restart => self.ask_up(turn, id, verb, by),
            Verb::Down => self.ask_down(turn, id, by),
            Verb::Pause => self.ask_pause(turn, id, by),
            Verb::Cont => self.ask_cont(turn, id, by),
            Verb::Signal(signal) => self.ask_signal(turn, id, signal),
            Verb::Reload => self.ask_reload(turn, id),
            Verb::Wait => self.ask_wait(turn, id),
        }
    }

    fn ask_up(&mut self, turn: &mut Turn<'_>, id: RequestId, verb: Verb, by: Asker) {
        if let Some(why) = self.refusal(turn) {
            return answer(turn, id, Outcome::Failed { why });
        }
        self.wanted = match (verb, self.wanted) {
            (Verb::Once, _) => Wanted::Once,
            (Verb::Restart, Wanted::Once) => Wanted::Once,
            (_, _) => Wanted::Up,
        };
        self.overtake(turn, Goal::Down, &format!("{verb} ({by})"));
        if verb != Verb::Restart && self.is_up_already(turn, verb) {
            return answer(turn, id, Outcome::Already);
        }
        let cause = Cause::Request { verb, by };
        if verb == Verb::Restart {
            self.waiting.iter_mut().for_each(|waiting| waiting.armed = false);
            self.waiting.push(Waiting { id, goal: Goal::Up, armed: false });
            return self.happen(turn, Happening::Restart(cause));
        }
        if let (State::Starting(Starting { overdue: true, .. }), Some(why)) = (self.state, &self.reason) {
            // Nothing tells when an answer comes; the wish stays.
            let why = why.to_string();
            return answer(turn, id, Outcome::Failed { why });
        }
        let armed = matches!(self.state, State::Starting(_) | State::Up(_));
        self.waiting.push(Waiting { id, goal: Goal::Up, armed });
        self.happen(turn, Happening::Start(cause));
    }

    fn is_up_already(&self, turn: &Turn<'_>, verb: Verb) -> bool {
        match self.state {
            State::Up(_) => self.kind == Kind::Longrun && self.settled(turn),
            State::Done => self.policy.kind == Kind::Oneshot && verb == Verb::Up,
            State::Down
            | State::Starting(_)
            | State::Checking(_)
            | State::Stopping(_)
            | State::Finishing(_)
            | State::Backoff(_)
            | State::Failed => false,
        }
    }

    /// Why nothing may be started any more.
    fn refusal(&self, turn: &Turn<'_>) -> Option<String> {
        if turn.shutdown.is_some() {
            return Some("svc is shutting down".to_string());
        }
        self.removing.then(|| format!("{} is being removed", turn.name))
    }

    fn ask_down(&mut self, turn: &mut Turn<'_>, id: RequestId, by: Asker) {
        self.wanted = Wanted::Down;
        self.overtake(turn, Goal::Up, &format!("down ({by})"));
        if let State::Down = self.state {
            self.forget_reason();
            return answer(turn, id, Outcome::Already);
        }
        self.waiting.push(Waiting { id, goal: Goal::Down, armed: false });
        self.happen(turn, Happening::Stop(Cause::Request { verb: Verb::Down, by }));
    }

    fn ask_pause(&mut self, turn: &mut Turn<'_>, id: RequestId, by: Asker) {
        let State::Up(up) = self.state else {
            return answer(turn, id, self.not_running(turn.name));
        };
        if up.paused {
            return answer(turn, id, Outcome::Already);
        }
        if up.standing != Standing::None {
            turn.act(|name| Action::Unstand { name });
        }
        self.state = State::Up(Up { paused: true, standing: Standing::None, ..up });
        let scope = self.policy.kill;
        turn.act(|name| Action::Signal { name, signal: Signal::STOP, scope });
        self.note(turn, Cause::Request { verb: Verb::Pause, by });
        answer(turn, id, Outcome::Done);
    }

    /// CONT is sent in any case: someone else may have stopped it.
    fn ask_cont(&mut self, turn: &mut Turn<'_>, id: RequestId, by: Asker) {
        let State::Up(up) = self.state else {
            return answer(turn, id, self.not_running(turn.name));
        };
        let scope = self.policy.kill;
        turn.act(|name| Action::Signal { name, signal: Signal::CONT, scope });
        if !up.paused {
            return answer(turn, id, Outcome::Already);
        }
        self.state = State::Up(Up { paused: false, ..up });
        self.note(turn, Cause::Request { verb: Verb::Cont, by });
        answer(turn, id, Outcome::Done);
    }

    fn ask_signal(&mut self, turn: &mut Turn<'_>, id: RequestId, signal: Signal) {
        match self.main() {
            Main::Running(_) => {
                turn.act(|name| Action::Signal { name, signal, scope: Scope::Main });
                answer(turn, id, Outcome::Done);
            }
            Main::Gone | Main::Launching => answer(turn, id, self.not_running(turn.name)),
        }
    }

    /// Those who ask while a reload is under way share its end.
    fn ask_reload(&mut self, turn: &mut Turn<'_>, id: RequestId) {
        let State::Up(up) = self.state else {
            return answer(turn, id, self.not_running(turn.name));
        };
        self.waiting.push(Waiting { id, goal: Goal::Reload, armed: false });
        if !up.reloading {
            self.state = State::Up(Up { reloading: true, ..up });
            turn.act(|name| Action::Reload { name });
        }
    }

    fn ask_wait(&mut self, turn: &mut Turn<'_>, id: RequestId) {
        if self.rests() {
            return answer(turn, id, Outcome::Rested { state: self.word(), exit: self.last_exit });
        }
        self.waiting.push(Waiting { id, goal: Goal::Rest, armed: false });
    }

    fn not_running(&self, name: &Name) -> Outcome {
        let why = match self.word() {
            StateWord::Down | StateWord::Done | StateWord::Failed => format!("{name} is down"),
            StateWord::Starting => format!("{name} is starting"),
            StateWord::Stopping => format!("{name} is stopping"),
            StateWord::Finishing => format!("{name} is finishing"),
            StateWord::Backoff => format!("{name} is down until its next start"),
            StateWord::Up | StateWord::Ready => format!("{name} has just ended"),
        };
        Outcome::Failed { why }
    }

    /// It has been up long enough to be believed.
    pub fn settled(&self, turn: &Turn<'_>) -> bool {
        turn.now.since(self.since) >= SETTLE
    }

    /// From now on a death is the answer to those who wait for it to be up.
    pub fn expect_up(&mut self) {
        self.waiting.iter_mut().for_each(|waiting| waiting.armed = true);
    }

    pub fn awaits(&self, goal: Goal) -> bool {
        self.waiting.iter().any(|waiting| waiting.goal == goal)
    }

    pub fn answer_goal(&mut self, turn: &mut Turn<'_>, goal: Goal, outcome: &Outcome) {
        self.take_waiting(|waiting| waiting.goal == goal)
            .for_each(|waiting| answer(turn, waiting.id, outcome.clone()));
    }

    pub fn fail(&mut self, turn: &mut Turn<'_>, why: &str, whom: impl Fn(&Waiting) -> bool) {
        self.take_waiting(whom)
            .for_each(|waiting| answer(turn, waiting.id, Outcome::Failed { why: why.to_string() }));
    }

    /// Two wishes that exclude each other: the earlier one gives way.
    pub fn overtake(&mut self, turn: &mut Turn<'_>, goal: Goal, by: &str) {
        if self.awaits(goal) {
            self.fail(turn, &format!("overtaken by {by}"), |waiting| waiting.goal == goal);
        }
    }

    pub fn answer_at_rest(&mut self, turn: &mut Turn<'_>) {
        let rested = Outcome::Rested { state: self.word(), exit: self.last_exit };
        self.answer_goal(turn, Goal::Rest, &rested);
        self.answer_goal(turn, Goal::Down, &Outcome::Done);
        if let State::Done = self.state {
            self.answer_goal(turn, Goal::Up, &Outcome::Done);
        }
        if !self.waiting.is_empty() {
            let why = self.reason.as_deref().map_or_else(|| format!("{} is down", turn.name), str::to_string);
            self.fail(turn, &why, |_| true);
        }
    }

    /// The client has gone: nobody to answer.
    pub fn forget_request(&mut self, id: RequestId) {
        drop(self.take_waiting(|waiting| waiting.id == id));
    }

    fn take_waiting(&mut self, whom: impl Fn(&Waiting) -> bool) -> std::vec::IntoIter<Waiting> {
        let (taken, kept) = std::mem::take(&mut self.waiting).into_iter().partition::<Vec<_>, _>(whom);
        self.waiting = kept;
        taken.into_iter()
    }
}

pub(super) fn answer(turn: &mut Turn<'_>, id: RequestId, outcome: Outcome) {
    turn.act(|name| Action::Answer { id, name, outcome });
}

//! Going on where a predecessor stopped, from what it remembered and what runs.

use super::service::{Checking, Delay, Finishing, Service, Standing, Starting, State, Stopping, Turn, Up};
use super::{Action, Cause, Exit, Main, Memory, Pid, StateWord, Time};

impl Service {
    /// `running` is what the guardian follows as the main process; its exit may follow as an event.
    pub(super) fn resume(&mut self, turn: &mut Turn<'_>, memory: Memory, running: Option<Pid>) {
        self.restore(&memory);
        self.state = restored_state(&memory, turn.now);
        if memory.remove_after_stop {
            // Its directory is there, or Remove follows.
            self.come_back(turn);
        }
        // An exit that the predecessor has counted, and had no time to acknowledge.
        let running = running.filter(|pid| memory.main != Main::Gone || memory.last_main != Some(*pid));
        match (memory.main, running) {
            (Main::Running(pid), Some(next)) if pid == next => {}
            (Main::Running(_), Some(next)) => self.resume_relaunched(turn, next),
            (Main::Running(pid), None) => self.resume_lost(turn, pid),
            (Main::Launching, Some(next)) | (Main::Gone, Some(next)) => self.resume_started(turn, next),
            (Main::Launching, None) => self.resume_unlaunched(turn, memory.remove_after_stop),
            (Main::Gone, None) => self.resume_gone(turn),
        }
    }

    fn restore(&mut self, memory: &Memory) {
        self.kind = memory.kind.unwrap_or(self.policy.kind);
        self.wanted = memory.wanted;
        self.since = Time::from_nanoseconds(memory.since_nanoseconds);
        self.restarts = memory.restarts;
        self.attempt = memory.attempt;
        self.last_exit = memory.last_exit;
        self.last_start = memory.last_start_nanoseconds.map(Time::from_nanoseconds);
        self.last_main = memory.last_main;
        self.last_ran = std::time::Duration::from_nanos(memory.last_ran_nanoseconds);
        self.ended_well = memory.ended_well;
        self.start_after = memory.restart_after_stop;
        self.removing = memory.remove_after_stop;
        self.reason = memory.reason.as_deref().map(Into::into);
        self.advice = memory.adopted;
        self.deaths = memory.deaths_nanoseconds.iter().copied().map(Time::from_nanoseconds).collect();
    }

    /// The guardian has carried out a standing order that nobody saw.
    fn resume_relaunched(&mut self, turn: &mut Turn<'_>, next: Pid) {
        self.record_exit(turn, Exit::Unknown);
        self.restarts = self.restarts.saturating_add(1);
        self.record_start(turn, next);
        let cause = Cause::StandingOrder { exit: Exit::Unknown };
        if let State::Stopping(stopping) = self.state {
            let stopping = Stopping { main: Main::Running(next), ..stopping };
            self.enter(turn, State::Stopping(stopping), cause);
            return self.repeat_last_signal(turn, stopping);
        }
        self.count_death(turn, Some(self.last_ran));
        self.since = turn.now;
        self.enter(turn, State::Up(taken_over(next)), cause);
    }

    /// It has ended, and nobody can tell how.
    fn resume_lost(&mut self, turn: &mut Turn<'_>, pid: Pid) {
        let ended_well = self.ended_well;
        self.record_exit(turn, Exit::Unknown);
        if let State::Stopping(stopping) = self.state {
            self.ended_well = ended_well;
            let exited = self.exited();
            self.enter(turn, State::Stopping(Stopping { main: Main::Gone, ..stopping }), exited);
        } else {
            self.state = State::Checking(Checking { relaunch_failed: false });
        }
        turn.act(|name| Action::CheckTree { name, main: pid });
    }

    /// It was started in the last instant of the predecessor.
    fn resume_started(&mut self, turn: &mut Turn<'_>, pid: Pid) {
        let launching = self.main() == Main::Launching;
        self.record_start(turn, pid);
        if let (State::Stopping(stopping), true) = (self.state, launching || self.must_stop(turn)) {
            let stopping = Stopping { main: Main::Running(pid), ..stopping };
            self.enter(turn, State::Stopping(stopping), Cause::TakenOver);
            if stopping.draining {
                return self.drain(turn, stopping);
            }
            return self.begin_schedule(turn, Stopping { step: 0, ..stopping });
        }
        self.start_after = false;
        self.enter(turn, State::Up(taken_over(pid)), Cause::TakenOver);
    }

    /// The launch was ordered and there is no process: the order or its failure was lost.
    fn resume_unlaunched(&mut self, turn: &mut Turn<'_>, removed: bool) {
        if self.must_stop(turn) {
            return self.decide(turn, Cause::TakenOver);
        }
        if !removed {
            if self.start_after {
                self.start_afresh();
            }
            return self.launch(turn, Cause::TakenOver);
        }
        // Remove may follow: what is there is looked at before it starts.
        self.start_after = true;
        let main = self.last_main.unwrap_or(Pid(0));
        let stopping = Stopping { main: Main::Gone, step: 0, deadline: None, draining: false };
        self.enter(turn, State::Stopping(stopping), Cause::TakenOver);
        turn.act(|name| Action::CheckTree { name, main });
    }

    fn resume_gone(&mut self, turn: &mut Turn<'_>) {
        match self.state {
            State::Checking(_) | State::Stopping(_) => {
                let main = self.last_main.unwrap_or(Pid(0));
                turn.act(|name| Action::CheckTree { name, main });
            }
            // FinishExited, the deadline or a wish is what comes next.
            State::Finishing(_) | State::Backoff(_) | State::Down | State::Done | State::Failed => {}
            // Never without a main process.
            State::Starting(_) | State::Up(_) => {}
        }
    }
}

fn taken_over(pid: Pid) -> Up {
    Up {
        pid,
        standing: Standing::Unknown,
        paused: false,
        reloading: false,
        adopted: false,
        no_standing: false,
    }
}

fn restored_state(memory: &Memory, now: Time) -> State {
    let deadline = memory.deadline_nanoseconds.map(Time::from_nanoseconds);
    match (memory.state, memory.main) {
        (StateWord::Stopping, main) => {
            let (step, draining) = (memory.stop_step, memory.draining);
            State::Stopping(Stopping { main, step, deadline, draining })
        }
        (_, Main::Running(pid)) => {
            State::Up(Up { paused: memory.paused, adopted: memory.adopted, ..taken_over(pid) })
        }
        (_, Main::Launching) => State::Starting(Starting { deadline: None, overdue: false }),
        (StateWord::Starting | StateWord::Up | StateWord::Ready, Main::Gone) => {
            State::Checking(Checking { relaunch_failed: memory.relaunch_failed })
        }
        (StateWord::Finishing, Main::Gone) => State::Finishing(Finishing { deadline }),
        (StateWord::Backoff, Main::Gone) => State::Backoff(Delay { until: deadline.unwrap_or(now) }),
        (StateWord::Down, Main::Gone) => State::Down,
        (StateWord::Done, Main::Gone) => State::Done,
        (StateWord::Failed, Main::Gone) => State::Failed,
    }
}

//! What is told of a service: to users (View) and to a successor of this supervisor (Memory).

use super::service::{Service, State};
use super::{Kind, Memory, ShutdownTimes, View};

impl Service {
    pub fn view(&self) -> View {
        let (mut paused, mut adopted, mut ready) = (false, false, false);
        let (mut next_start, mut next_step) = (None, None);
        match self.state {
            State::Up(up) => {
                (paused, adopted) = (up.paused, up.adopted);
                ready = self.kind == Kind::Longrun;
                next_step = self.overrun();
            }
            State::Backoff(delay) => next_start = Some(delay.until),
            State::Starting(_) | State::Stopping(_) | State::Finishing(_) => next_step = self.deadline(),
            State::Done => ready = true,
            State::Down | State::Checking(_) | State::Failed => {}
        }
        View {
            state: self.word(),
            wanted: self.wanted,
            paused,
            ready,
            since: self.since,
            pid: self.main().pid(),
            restarts: self.restarts,
            attempt: self.attempt,
            last_exit: self.last_exit,
            next_start,
            next_step,
            reason: self.reason.as_deref().map(str::to_string),
            adopted,
        }
    }

    pub fn memory(&self, shutdown: Option<ShutdownTimes>) -> Memory {
        let (mut paused, mut adopted, mut stop_step, mut draining) = (false, false, 0, false);
        let (mut deadline, mut relaunch_failed) = (None, false);
        match self.state {
            State::Up(up) => (paused, adopted) = (up.paused, up.adopted),
            State::Stopping(stopping) => {
                (stop_step, draining) = (stopping.step, stopping.draining);
                deadline = stopping.deadline;
            }
            State::Finishing(finishing) => deadline = finishing.deadline,
            State::Backoff(delay) => deadline = Some(delay.until),
            State::Checking(checking) => relaunch_failed = checking.relaunch_failed,
            State::Down | State::Starting(_) | State::Done | State::Failed => {}
        }
        Memory {
            wanted: self.wanted,
            state: self.word(),
            since_nanoseconds: self.since.nanoseconds,
            paused,
            restarts: self.restarts,
            attempt: self.attempt,
            last_exit: self.last_exit,
            last_start_nanoseconds: self.last_start.map(|time| time.nanoseconds),
            last_main: self.last_main,
            deadline_nanoseconds: deadline.map(|time| time.nanoseconds),
            stop_step,
            restart_after_stop: self.start_after,
            remove_after_stop: self.removing,
            adopted,
            reason: self.reason.as_deref().map(str::to_string),
            deaths_nanoseconds: self.deaths.iter().map(|time| time.nanoseconds).collect(),
            main: self.main(),
            last_ran_nanoseconds: u64::try_from(self.last_ran.as_nanos()).unwrap_or(u64::MAX),
            ended_well: self.ended_well,
            relaunch_failed,
            kind: Some(self.kind),
            draining,
            shutdown,
        }
    }
}

//! A launch is ordered. Its outcome decides; until it is known there is no second launch.

use super::requests::Goal;
use super::service::{Happening, KILLED, Service, Standing, Starting, State, Stopping, Turn, Up};
use super::words::short;
use super::{Action, Cause, Main, Pid};

pub(super) fn starting(service: &mut Service, turn: &mut Turn<'_>, starting: Starting, happening: Happening) {
    match happening {
        Happening::Started(pid) => started(service, turn, pid, Cause::Started),
        Happening::LaunchFailed(why) => {
            service.count_death(turn, None);
            launch_failed(service, turn, why);
        }
        Happening::Stop(cause) => stop(service, turn, 0, cause),
        Happening::Drain(cause) => {
            turn.act(|name| Action::CloseLogPipe { name });
            let stopping = Stopping { main: Main::Launching, step: 0, deadline: None, draining: true };
            service.enter(turn, State::Stopping(stopping), cause);
        }
        Happening::Restart(cause) => {
            service.start_after = true;
            stop(service, turn, 0, cause);
        }
        Happening::Kill => stop(service, turn, KILLED, Cause::Shutdown),
        Happening::Due => {
            if starting.deadline.is_some_and(|deadline| turn.now >= deadline) {
                overdue(service, turn);
            }
        }
        // It is on its way already.
        Happening::Start(_) => {}
        // The launch that is out is the former one; the next uses the new definition.
        Happening::Redefined => {}
        // Of an earlier process, which is counted.
        Happening::Exited { .. } | Happening::Relaunched { .. } | Happening::RelaunchFailed { .. } => {}
        Happening::TreeChecked(_)
        | Happening::FinishStarted
        | Happening::FinishExited(_)
        | Happening::Reloaded(_) => {}
    }
}

pub(super) fn started(service: &mut Service, turn: &mut Turn<'_>, pid: Pid, cause: Cause) {
    service.record_start(turn, pid);
    if !service.advice {
        service.reason = None;
    }
    let up = Up {
        pid,
        standing: Standing::None,
        paused: false,
        reloading: false,
        adopted: false,
        no_standing: false,
    };
    service.enter(turn, State::Up(up), cause);
}

/// It did not come to be a process; counted by the caller, unless it was not wanted any more.
pub(super) fn launch_failed(service: &mut Service, turn: &mut Turn<'_>, why: String) {
    service.ended_well = false;
    service.explain(why.as_str());
    service.tell_of_death(turn, &why);
    service.not_launched(turn, Cause::LaunchFailed { why });
}

/// What was ordered cannot be taken back: its outcome is awaited, then stopped.
fn stop(service: &mut Service, turn: &mut Turn<'_>, step: usize, cause: Cause) {
    let stopping = Stopping { main: Main::Launching, step, deadline: None, draining: false };
    service.enter(turn, State::Stopping(stopping), cause);
}

/// No answer in time. A late one is still taken: a second launch now could make two of it.
fn overdue(service: &mut Service, turn: &mut Turn<'_>) {
    let why = format!("no answer to the launch order within {}", short(service.policy.timeout_start));
    service.explain(why.as_str());
    service.enter(turn, State::Starting(Starting { deadline: None, overdue: true }), Cause::StartTimeout);
    service.fail(turn, &why, |waiting| waiting.goal == Goal::Up && waiting.armed);
}

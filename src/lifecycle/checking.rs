//! The main process has ended by itself: what it left decides how it goes on.

use std::time::Duration;

use super::after_death::background_advice;
use super::service::{Checking, Happening, KILLED, Service, Standing, State, Stopping, Turn, Up};
use super::{Action, Cause, Exit, Kind, Main, Pid, TreeFound};

/// A main process that ends well so soon and leaves others did not end: it went into the background.
const BACKGROUND_WITHIN: Duration = Duration::from_secs(2);

pub(super) fn checking(service: &mut Service, turn: &mut Turn<'_>, checking: Checking, happening: Happening) {
    match happening {
        Happening::TreeChecked(found) => checked(service, turn, checking, found),
        Happening::Start(_) | Happening::Restart(_) => service.start_after = true,
        Happening::Stop(_) | Happening::Drain(_) => service.start_after = false,
        Happening::Kill => {
            let cause = service.exited();
            stop_the_rest(service, turn, KILLED, cause);
        }
        // The next start uses the new definition.
        Happening::Redefined => {}
        // The exit is counted; a successor may hear of it again.
        Happening::Exited { .. } | Happening::Relaunched { .. } | Happening::RelaunchFailed { .. } => {}
        Happening::Started(_)
        | Happening::LaunchFailed(_)
        | Happening::FinishStarted
        | Happening::FinishExited(_)
        | Happening::Reloaded(_)
        | Happening::Due => {}
    }
}

fn checked(service: &mut Service, turn: &mut Turn<'_>, checking: Checking, found: TreeFound) {
    let wished = service.must_stop(turn) || service.start_after;
    let ended_well = service.last_exit == Some(Exit::Code(0)) && !checking.relaunch_failed;
    if let Some(pid) = found.adoptable
        && ended_well
        && !wished
        && service.kind == Kind::Longrun
    {
        return adopt(service, turn, pid);
    }
    let mut left = found.left;
    left.extend(found.adoptable);
    if !wished {
        count(service, turn, checking);
    }
    let cause = match (checking.relaunch_failed, service.reason.as_deref()) {
        (true, Some(why)) => Cause::LaunchFailed { why: why.to_string() },
        (true, None) | (false, _) => service.exited(),
    };
    if left.is_empty() {
        return service.gone(turn, cause);
    }
    if ended_well && !wished && service.kind == Kind::Longrun && service.last_ran < BACKGROUND_WITHIN {
        service.advise(background_advice(service.last_ran, left.len()));
    }
    stop_the_rest(service, turn, 0, cause);
    service.note(turn, Cause::TreeLeft { left });
}

fn count(service: &mut Service, turn: &mut Turn<'_>, checking: Checking) {
    service.count_death(turn, Some(service.last_ran));
    if checking.relaunch_failed {
        service.count_death(turn, None);
    } else {
        service.explain(service.exited().to_string());
    }
    if !(service.kind == Kind::Oneshot && service.ended_well) {
        let why = service.exited().to_string();
        service.tell_of_death(turn, &why);
    }
}

/// A `run` that ends in `exec setsid PROGRAM`, or a program that put itself in the background.
fn adopt(service: &mut Service, turn: &mut Turn<'_>, pid: Pid) {
    let exited = service.exited();
    service.note(turn, exited);
    if service.last_ran >= service.policy.backoff.reset {
        service.attempt = 0;
    }
    turn.act(|name| Action::Adopt { name, pid });
    service.record_start(turn, pid);
    service.since = turn.now;
    let up = Up {
        pid,
        standing: Standing::None,
        paused: false,
        reloading: false,
        adopted: true,
        no_standing: false,
    };
    service.enter(turn, State::Up(up), Cause::Adopted { pid });
    service.advise(format!(
        "`run` ended with 0 and left pid {pid} in a session of its own: svc follows it there; \
         better run it in the foreground (no setsid, or the program's foreground flag)"
    ));
}

fn stop_the_rest(service: &mut Service, turn: &mut Turn<'_>, step: usize, cause: Cause) {
    let stopping = Stopping { main: Main::Gone, step, deadline: None, draining: false };
    service.enter(turn, State::Stopping(stopping), cause);
    service.begin_schedule(turn, stopping);
}

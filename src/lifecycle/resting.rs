//! The states without a process: down, done, failed, and the delay before the next start.

use super::Cause;
use super::service::{Delay, Happening, Service, State, Turn};

pub(super) fn down(service: &mut Service, turn: &mut Turn<'_>, happening: Happening) {
    match happening {
        Happening::Start(cause) | Happening::Restart(cause) => start(service, turn, cause),
        // It is where it should be.
        Happening::Stop(_) | Happening::Drain(_) | Happening::Kill => {}
        // It starts with the new policy when it starts.
        Happening::Redefined => {}
        // No command of ours is out: late or foreign news of a process that is counted already.
        Happening::Started(_)
        | Happening::LaunchFailed(_)
        | Happening::Exited { .. }
        | Happening::Relaunched { .. }
        | Happening::RelaunchFailed { .. }
        | Happening::TreeChecked(_)
        | Happening::FinishStarted
        | Happening::FinishExited(_)
        | Happening::Reloaded(_)
        | Happening::Due => {}
    }
}

/// A oneshot that succeeded, or a service that the policy does not start again.
pub(super) fn done_or_failed(service: &mut Service, turn: &mut Turn<'_>, happening: Happening) {
    match happening {
        Happening::Start(cause) | Happening::Restart(cause) => start(service, turn, cause),
        Happening::Stop(cause) | Happening::Drain(cause) => to_down(service, turn, cause),
        // A shutdown leaves the verdict as it is.
        Happening::Kill => {}
        Happening::Redefined => {}
        // As in `down`.
        Happening::Started(_)
        | Happening::LaunchFailed(_)
        | Happening::Exited { .. }
        | Happening::Relaunched { .. }
        | Happening::RelaunchFailed { .. }
        | Happening::TreeChecked(_)
        | Happening::FinishStarted
        | Happening::FinishExited(_)
        | Happening::Reloaded(_)
        | Happening::Due => {}
    }
}

pub(super) fn backoff(service: &mut Service, turn: &mut Turn<'_>, delay: Delay, happening: Happening) {
    match happening {
        Happening::Start(cause) | Happening::Restart(cause) => start(service, turn, cause),
        Happening::Stop(cause) | Happening::Drain(cause) => to_down(service, turn, cause),
        Happening::Kill => to_down(service, turn, Cause::Shutdown),
        Happening::Due => {
            if turn.now >= delay.until {
                service.restart(turn, Cause::DelayOver);
            }
        }
        // The delay that is told stays the delay.
        Happening::Redefined => {}
        // As in `down`.
        Happening::Started(_)
        | Happening::LaunchFailed(_)
        | Happening::Exited { .. }
        | Happening::Relaunched { .. }
        | Happening::RelaunchFailed { .. }
        | Happening::TreeChecked(_)
        | Happening::FinishStarted
        | Happening::FinishExited(_)
        | Happening::Reloaded(_) => {}
    }
}

fn start(service: &mut Service, turn: &mut Turn<'_>, cause: Cause) {
    service.start_afresh();
    service.launch(turn, cause);
}

fn to_down(service: &mut Service, turn: &mut Turn<'_>, cause: Cause) {
    service.forget_reason();
    service.rest(turn, State::Down, cause);
}

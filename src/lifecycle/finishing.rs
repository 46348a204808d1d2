//! `finish` runs after the end of the service.

use super::service::{Finishing, Happening, Service, State, Turn};
use super::{Action, Cause, Exit, Wanted};

/// s6 scripts exit with it to say: do not start me again.
const STAY_DOWN_CODE: u8 = 125;

pub(super) fn finishing(
    service: &mut Service,
    turn: &mut Turn<'_>,
    finishing: Finishing,
    happening: Happening,
) {
    match happening {
        Happening::FinishExited(exit) => finished(service, turn, exit),
        Happening::Start(_) | Happening::Restart(_) => service.start_after = true,
        Happening::Stop(_) | Happening::Drain(_) => service.start_after = false,
        Happening::Kill => kill(service, turn),
        Happening::Due => {
            if finishing.deadline.is_some_and(|deadline| turn.now >= deadline) {
                kill(service, turn);
                service.note(turn, Cause::FinishTimeout);
            }
        }
        // Nothing hangs on its pid: it is killed by its name.
        Happening::FinishStarted => {}
        Happening::Redefined => {}
        // The exit is counted; a successor may hear of it again.
        Happening::Exited { .. } | Happening::Relaunched { .. } | Happening::RelaunchFailed { .. } => {}
        Happening::Started(_)
        | Happening::LaunchFailed(_)
        | Happening::TreeChecked(_)
        | Happening::Reloaded(_) => {}
    }
}

/// Its exit will come; nothing else is waited for.
fn kill(service: &mut Service, turn: &mut Turn<'_>) {
    turn.act(|name| Action::KillFinish { name });
    service.state = State::Finishing(Finishing { deadline: None });
}

fn finished(service: &mut Service, turn: &mut Turn<'_>, exit: Exit) {
    if exit != Exit::Code(STAY_DOWN_CODE) || service.must_stop(turn) {
        return service.decide(turn, Cause::Finished { exit });
    }
    service.wanted = Wanted::Down;
    let said = Cause::FinishSaidStayDown;
    let reason = match service.reason.as_deref() {
        Some(last) => format!("{said}; last: {last}"),
        None => said.to_string(),
    };
    service.advice = false;
    service.explain(reason);
    service.rest(turn, State::Failed, said);
}

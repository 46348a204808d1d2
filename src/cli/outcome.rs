//! How the outcome of a request for one service reads, and what it means for the exit code.

use super::failure::{DONE, FAILED};
use super::screen::printable;
use crate::lifecycle::{Exit, StateWord, Verb};
use crate::protocol::control::ServiceOutcome;

/// The lines to print: one, and when it failed the last lines of its log below.
pub fn lines(verb: Verb, outcome: &ServiceOutcome) -> Vec<String> {
    let name = &outcome.name;
    if outcome.ok || verb == Verb::Wait {
        let line = format!("{name}: {}{}", done(verb, outcome), process(verb, outcome));
        return vec![line];
    }
    if let Some(problems) = outcome.why.as_deref().filter(|why| why.contains('\n')) {
        let head = format!("{name}: cannot {}: its service directory has errors", deed(verb));
        let lines = problems.lines().map(|line| printable(line).into_owned());
        return std::iter::once(head).chain(lines).collect();
    }
    let why = match (&outcome.why, outcome.exit) {
        (Some(why), _) => printable(why).into_owned(),
        (None, Some(exit)) => exit.to_string(),
        (None, None) => format!("it is {}", outcome.state),
    };
    let mut lines = vec![format!("{name}: cannot {}: {why}", deed(verb))];
    lines.extend(outcome.log.iter().map(|line| format!("    {}", printable(line))));
    lines
}

fn done(verb: Verb, outcome: &ServiceOutcome) -> String {
    match verb {
        Verb::Up | Verb::Down | Verb::Restart | Verb::Once => {
            format!("{}{}", outcome.state, if outcome.already { " already" } else { "" })
        }
        Verb::Pause => "paused".to_owned(),
        Verb::Cont => "goes on".to_owned(),
        Verb::Signal(signal) => format!("sent {signal}"),
        Verb::Reload => "reloaded".to_owned(),
        Verb::Wait => match (outcome.exit, &outcome.why) {
            (_, Some(why)) => format!("{}: {}", outcome.state, printable(why)),
            (Some(exit), None) => format!("{}: {exit}", outcome.state),
            (None, None) => outcome.state.to_string(),
        },
    }
}

fn process(verb: Verb, outcome: &ServiceOutcome) -> String {
    match outcome.pid {
        Some(pid) if verb != Verb::Wait => format!(" (pid {pid})"),
        Some(_) | None => String::new(),
    }
}

fn deed(verb: Verb) -> String {
    match verb {
        Verb::Up | Verb::Once => "start".to_owned(),
        Verb::Down => "stop".to_owned(),
        Verb::Restart => "restart".to_owned(),
        Verb::Pause => "pause".to_owned(),
        Verb::Cont => "go on".to_owned(),
        Verb::Signal(signal) => format!("send {signal}"),
        Verb::Reload => "reload".to_owned(),
        Verb::Wait => "wait".to_owned(),
    }
}

/// What it adds to the exit code of the command.
pub fn code(verb: Verb, outcome: &ServiceOutcome) -> u8 {
    match verb {
        Verb::Wait => code_of_rest(outcome),
        Verb::Up
        | Verb::Down
        | Verb::Restart
        | Verb::Once
        | Verb::Pause
        | Verb::Cont
        | Verb::Signal(_)
        | Verb::Reload => {
            if outcome.ok {
                DONE
            } else {
                FAILED
            }
        }
    }
}

/// The service's own exit code, as a shell would give it.
fn code_of_rest(outcome: &ServiceOutcome) -> u8 {
    // HUP, INT, PIPE and TERM: how a service that was asked to stop ends.
    const CLEAN: [i32; 4] = [1, 2, 13, 15];
    match outcome.exit {
        Some(Exit::Code(code)) => code,
        Some(Exit::Signal { signal, .. })
            if outcome.state != StateWord::Failed && CLEAN.contains(&signal.0) =>
        {
            DONE
        }
        Some(Exit::Signal { signal, .. }) => 128 + u8::try_from(signal.0).unwrap_or(0),
        Some(Exit::Unknown) => FAILED,
        None if outcome.state == StateWord::Failed || !outcome.ok => FAILED,
        None => DONE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::Signal;

    fn outcome(state: StateWord) -> ServiceOutcome {
        ServiceOutcome {
            name: "web".to_owned(),
            ok: true,
            already: false,
            state,
            pid: None,
            why: None,
            exit: None,
            log: Vec::new(),
        }
    }

    fn text(verb: Verb, outcome: &ServiceOutcome) -> String {
        lines(verb, outcome).join("\n")
    }

    #[test]
    fn what_was_done_is_said_in_one_line() {
        let up = ServiceOutcome { pid: Some(123), ..outcome(StateWord::Up) };
        assert_eq!(text(Verb::Up, &up), "web: up (pid 123)");
        assert_eq!(text(Verb::Restart, &up), "web: up (pid 123)");
        assert_eq!(
            text(Verb::Up, &ServiceOutcome { already: true, ..up.clone() }),
            "web: up already (pid 123)"
        );
        assert_eq!(text(Verb::Down, &outcome(StateWord::Down)), "web: down");
        assert_eq!(text(Verb::Up, &outcome(StateWord::Done)), "web: done");
        assert_eq!(text(Verb::Pause, &up), "web: paused (pid 123)");
        assert_eq!(text(Verb::Cont, &up), "web: goes on (pid 123)");
        assert_eq!(text(Verb::Reload, &up), "web: reloaded (pid 123)");
        assert_eq!(text(Verb::Signal(Signal(10)), &up), "web: sent USR1 (pid 123)");
    }

    #[test]
    fn a_failure_says_why_with_the_end_of_the_log() {
        let failed = ServiceOutcome {
            ok: false,
            why: Some("cannot change to /srv/web: No such file or directory".to_owned()),
            log: vec!["one".to_owned(), "two\x1b[2J".to_owned()],
            ..outcome(StateWord::Backoff)
        };
        assert_eq!(
            text(Verb::Up, &failed),
            "web: cannot start: cannot change to /srv/web: No such file or directory\n    one\n    two\\u{1b}[2J"
        );
        assert_eq!(code(Verb::Up, &failed), 1);
        let broken = ServiceOutcome {
            ok: false,
            why: Some("web/service.toml:1:1: unknown key\n  |\n1 | colour = \"\x1b[31m\"".to_owned()),
            ..outcome(StateWord::Failed)
        };
        assert_eq!(
            text(Verb::Up, &broken),
            "web: cannot start: its service directory has errors\nweb/service.toml:1:1: unknown key\n  |\n1 | colour = \"\\u{1b}[31m\""
        );
        let exited = ServiceOutcome { ok: false, exit: Some(Exit::Code(3)), ..outcome(StateWord::Backoff) };
        assert_eq!(text(Verb::Restart, &exited), "web: cannot restart: exited 3");
        let silent = ServiceOutcome { ok: false, ..outcome(StateWord::Stopping) };
        assert_eq!(text(Verb::Down, &silent), "web: cannot stop: it is stopping");
    }

    #[test]
    fn wait_ends_with_the_exit_code_of_the_service() {
        let ended = |state, exit| ServiceOutcome { exit, ..outcome(state) };
        let killed = |number| Some(Exit::Signal { signal: Signal(number), core: false });
        let cases = [
            (ended(StateWord::Done, Some(Exit::Code(0))), 0, "web: done: exited 0"),
            (ended(StateWord::Down, None), 0, "web: down"),
            (ended(StateWord::Down, Some(Exit::Code(3))), 3, "web: down: exited 3"),
            (ended(StateWord::Down, killed(15)), 0, "web: down: killed by TERM"),
            (ended(StateWord::Down, killed(9)), 137, "web: down: killed by KILL"),
            (ended(StateWord::Failed, killed(15)), 143, "web: failed: killed by TERM"),
            (ended(StateWord::Failed, Some(Exit::Unknown)), 1, "web: failed: ended, nobody knows how"),
            (ended(StateWord::Failed, None), 1, "web: failed"),
        ];
        for (outcome, expected, line) in cases {
            assert_eq!(code(Verb::Wait, &outcome), expected, "{outcome:?}");
            assert_eq!(text(Verb::Wait, &outcome), line);
        }
    }
}

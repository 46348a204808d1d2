//! `svc why`: the last changes of a service, their causes, and who asked.

use clap::Args;

use super::ask;
use super::failure::{DONE, Failure};
use super::places::Places;
use super::screen::{Screen, printable};
use super::status::style;
use crate::protocol::control::{Reply, StampedTransition, What};

#[derive(Args, Debug)]
pub struct Options {
    /// The service
    #[arg(value_name = "NAME")]
    name: String,
    /// Print one JSON array
    #[arg(long)]
    json: bool,
}

pub fn run(options: Options, places: &Places, screen: &mut Screen<'_>) -> Result<u8, Failure> {
    ask::check_names(std::slice::from_ref(&options.name))?;
    let reply = ask::ask(places, What::Why { name: options.name }).map_err(|failure| match failure {
        Failure::Unknown(text) => Failure::Failed(text),
        other => other,
    })?;
    match reply {
        Reply::Why { transitions, .. } if options.json => screen.say_json(&transitions)?,
        Reply::Why { name, transitions } if transitions.is_empty() => {
            screen.say(format_args!("{name}: nothing has happened to it since svc was started"))?;
        }
        Reply::Why { transitions, .. } => {
            for transition in &transitions {
                let line = line(transition, false, screen);
                screen.say(line)?;
            }
        }
        other => return Err(ask::unexpected(&other)),
    }
    Ok(DONE)
}

/// One change in one line.
pub fn line(change: &StampedTransition, with_name: bool, screen: &Screen<'_>) -> String {
    let StampedTransition { name, at, transition, text } = change;
    let name = if with_name { format!("{name}: ") } else { String::new() };
    let to = screen.paint(style(transition.to), transition.to.as_str());
    let pid = transition.pid.map(|pid| format!(" (pid {})", pid.0)).unwrap_or_default();
    let way = if transition.from == transition.to {
        format!("{to}{pid}")
    } else {
        format!("{} -> {to}{pid}", transition.from)
    };
    format!("{}  {name}{way}: {}", printable(at), printable(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::{Cause, Pid, StateWord, Transition};

    #[test]
    fn a_change_is_a_line_with_its_time_and_cause() {
        let mut change = StampedTransition {
            name: "web".to_owned(),
            at: "2026-11-22T17:00:00.123Z".to_owned(),
            transition: Transition {
                from: StateWord::Starting,
                to: StateWord::Up,
                pid: Some(Pid(12)),
                cause: Cause::Started,
            },
            text: "started".to_owned(),
        };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let screen = Screen::into(&mut out, &mut err);
        assert_eq!(
            line(&change, false, &screen),
            "2026-11-22T17:00:00.123Z  starting -> up (pid 12): started"
        );
        change.transition.from = StateWord::Up;
        change.text = "exited 1, started again at once".to_owned();
        assert_eq!(
            line(&change, true, &screen),
            "2026-11-22T17:00:00.123Z  web: up (pid 12): exited 1, started again at once"
        );
    }
}

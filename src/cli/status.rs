//! `svc status`: a table of all services, or everything about one.

use std::time::Duration;

use clap::Args;

use super::ask;
use super::failure::{DONE, Failure, NOT_RUNNING, UNKNOWN};
use super::places::Places;
use super::screen::{Screen, Style, printable};
use super::status_detail;
use super::table::{Cell, Table};
use crate::lifecycle::{StateWord, Wanted, short};
use crate::protocol::control::{ServiceStatus, Status};

#[derive(Args, Debug)]
pub struct Options {
    /// The services; without a name, all
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Print JSON: of one service its own object, else one object with `services`
    #[arg(long)]
    json: bool,
    /// Print nothing: only the exit code counts
    #[arg(short, long)]
    quiet: bool,
}

pub fn run(options: Options, places: &Places, screen: &mut Screen<'_>) -> Result<u8, Failure> {
    ask::check_names(&options.names)?;
    let only_one = options.names.len() == 1;
    let status = ask::status(places, options.names.clone(), only_one && !options.quiet)?;
    let missing = ask::missing(&options.names, &status.services);
    if !options.quiet {
        match status.services.first() {
            Some(service) if only_one && options.json => screen.say_json(service)?,
            Some(service) if only_one => status_detail::print(service, screen)?,
            None if only_one => {}
            Some(_) | None if options.json => screen.say_json(&status)?,
            Some(_) | None => print_table(&status, screen)?,
        }
        for name in &missing {
            screen.complain(ask::no_such_service(name));
        }
    }
    let code = status.services.iter().map(|service| code(service, options.names.is_empty())).max();
    Ok(if missing.is_empty() { code.unwrap_or(DONE) } else { UNKNOWN })
}

fn code(service: &ServiceStatus, among_all: bool) -> u8 {
    if among_all && service.wanted == Wanted::Down {
        return DONE;
    }
    match service.state {
        StateWord::Up | StateWord::Ready | StateWord::Stopping | StateWord::Done => DONE,
        StateWord::Starting if service.pid.is_some() => DONE,
        StateWord::Down
        | StateWord::Starting
        | StateWord::Finishing
        | StateWord::Backoff
        | StateWord::Failed => NOT_RUNNING,
    }
}

fn print_table(status: &Status, screen: &mut Screen<'_>) -> Result<(), Failure> {
    for remark in &status.supervisor.remarks {
        let remark = screen.paint(Style::Yellow, &printable(remark));
        screen.say(remark)?;
    }
    if status.services.is_empty() {
        let folder = printable(&status.supervisor.services);
        return screen.say(format_args!("no services; {folder} holds no service directory"));
    }
    for line in table(&status.services).lines(screen.width, screen.colour) {
        screen.say(line)?;
    }
    Ok(())
}

fn table(services: &[ServiceStatus]) -> Table {
    let mut table = Table::new(&["NAME", "STATE", "FOR", "PID", "RESTARTS", "WHY"]);
    for service in services {
        table.row(vec![
            Cell::new(&service.name),
            Cell::new(service.state.as_str()).styled(style(service.state)),
            Cell::new(for_time(service)),
            Cell::number(service.pid.map(|pid| pid.to_string()).unwrap_or_default()),
            Cell::number(service.restarts),
            Cell::new(why(service)),
        ]);
    }
    table
}

pub fn style(state: StateWord) -> Style {
    match state {
        StateWord::Up | StateWord::Ready => Style::Green,
        StateWord::Done => Style::Cyan,
        StateWord::Starting | StateWord::Stopping | StateWord::Finishing | StateWord::Backoff => {
            Style::Yellow
        }
        StateWord::Failed => Style::Red,
        StateWord::Down => Style::Dim,
    }
}

pub fn for_time(service: &ServiceStatus) -> String {
    seconds(service.for_seconds)
}

pub fn seconds(seconds: f64) -> String {
    short(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

/// All that needs attention, in one line.
pub fn why(service: &ServiceStatus) -> String {
    let mut parts: Vec<String> = Vec::new();
    if let Some(reason) = &service.reason {
        parts.push(printable(reason).into_owned());
    } else if let Some(exit) = service.last_exit
        && matches!(service.state, StateWord::Backoff | StateWord::Failed)
    {
        parts.push(exit.to_string());
    }
    if let Some(wait) = service.next_start_seconds {
        parts.push(format!("next start in {}", seconds(wait)));
    }
    if service.paused {
        parts.push("paused".to_owned());
    }
    if !service.problems.is_empty() {
        let (count, plural) = (service.problems.len(), if service.problems.len() == 1 { "" } else { "s" });
        parts.push(format!("{count} problem{plural}: svc check {}", service.name));
    } else if service.changed {
        parts.push("changed since its start".to_owned());
    }
    parts.join("; ")
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::lifecycle::Exit;

    pub fn service(name: &str, state: StateWord) -> ServiceStatus {
        ServiceStatus {
            name: name.to_owned(),
            state,
            wanted: Wanted::Up,
            pid: None,
            since: "2026-11-22T17:00:00Z".to_owned(),
            for_seconds: 65.0,
            ready: state == StateWord::Ready,
            paused: false,
            restarts: 0,
            last_exit: None,
            next_start: None,
            next_start_seconds: None,
            reason: None,
            description: None,
            enabled: true,
            changed: false,
            problems: Vec::new(),
            directory: format!("/etc/svc/{name}"),
            detail: None,
        }
    }

    fn examples() -> Vec<ServiceStatus> {
        let web = ServiceStatus { pid: Some(1234), for_seconds: 7205.0, ..service("web", StateWord::Up) };
        let crasher = ServiceStatus {
            restarts: 12,
            last_exit: Some(Exit::Code(1)),
            next_start_seconds: Some(2.5),
            for_seconds: 0.7,
            ..service("crasher", StateWord::Backoff)
        };
        let failed = ServiceStatus {
            reason: Some("cannot change to /srv/x: No such file or directory".to_owned()),
            for_seconds: 3.0,
            ..service("db", StateWord::Failed)
        };
        let edited = ServiceStatus {
            pid: Some(77),
            paused: true,
            changed: true,
            ..service("editor", StateWord::Ready)
        };
        let off = ServiceStatus { wanted: Wanted::Down, ..service("off", StateWord::Down) };
        let broken = ServiceStatus {
            problems: vec!["service.toml:1:1: unknown key".to_owned(); 2],
            ..service("web/log", StateWord::Down)
        };
        vec![web, crasher, failed, edited, off, broken]
    }

    #[test]
    fn the_table_shows_what_needs_attention() {
        let expected = "\
NAME     STATE    FOR     PID  RESTARTS  WHY
web      up       2h00m  1234         0
crasher  backoff  700ms              12  exited 1; next start in 2.5s
db       failed   3.0s                0  cannot change to /srv/x: No such file or directory
editor   ready    1m05s    77         0  paused; changed since its start
off      down     1m05s               0
web/log  down     1m05s               0  2 problems: svc check web/log";
        assert_eq!(table(&examples()).lines(None, false).join("\n"), expected);
    }

    #[test]
    fn the_states_have_colours_and_the_columns_stay_where_they_are() {
        let lines = table(&examples()).lines(Some(74), true);
        assert_eq!(lines[1], "web      \x1b[32mup\x1b[0m       2h00m  1234         0");
        assert_eq!(
            lines[3],
            "db       \x1b[31mfailed\x1b[0m   3.0s                0  cannot change to /srv/x: No su..."
        );
        assert_eq!(lines[5], "off      \x1b[2mdown\x1b[0m     1m05s               0");
    }

    #[test]
    fn the_exit_code_is_lsb() {
        for (state, expected) in [
            (StateWord::Up, 0),
            (StateWord::Ready, 0),
            (StateWord::Stopping, 0),
            (StateWord::Done, 0),
            (StateWord::Down, 3),
            (StateWord::Starting, 3),
            (StateWord::Finishing, 3),
            (StateWord::Backoff, 3),
            (StateWord::Failed, 3),
        ] {
            assert_eq!(code(&service("web", state), false), expected, "{state}");
        }
        let starting = ServiceStatus { pid: Some(1), ..service("web", StateWord::Starting) };
        assert_eq!(code(&starting, false), 0);
        let off = ServiceStatus { wanted: Wanted::Down, ..service("off", StateWord::Down) };
        assert_eq!((code(&off, false), code(&off, true)), (3, 0));
    }
}

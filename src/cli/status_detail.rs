//! `svc status NAME`: everything about one service.

use std::collections::BTreeMap;

use super::failure::Failure;
use super::screen::{Screen, Style, printable};
use super::status::{for_time, seconds, style};
use crate::lifecycle::Wanted;
use crate::protocol::control::{Process, ServiceStatus};

/// The width of the words on the left.
const LABEL: usize = 12;

pub fn print(service: &ServiceStatus, screen: &mut Screen<'_>) -> Result<(), Failure> {
    screen.say(headline(service, screen))?;
    for (label, values) in facts(service) {
        let mut label = label;
        for value in values {
            let padded = format!("{label:<LABEL$}");
            let padded = screen.paint(Style::Dim, &padded);
            screen.say(format_args!("  {padded} {value}"))?;
            label = "";
        }
    }
    Ok(())
}

fn headline(service: &ServiceStatus, screen: &Screen<'_>) -> String {
    let name = screen.paint(Style::Bold, &service.name);
    let state = screen.paint(style(service.state), service.state.as_str());
    let pid = service.pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
    let paused = if service.paused { ", paused" } else { "" };
    format!("{name}: {state} for {}{pid}{paused}", for_time(service))
}

/// What there is to say, each with the word in front; nothing is said of what is not there.
fn facts(service: &ServiceStatus) -> Vec<(&'static str, Vec<String>)> {
    let text = |text: &str| printable(text).into_owned();
    let mut facts = Vec::new();
    let mut fact = |label, values: Vec<String>| {
        if !values.is_empty() {
            facts.push((label, values));
        }
    };
    fact("description", service.description.as_deref().map(text).into_iter().collect());
    fact("reason", service.reason.as_deref().map(text).into_iter().collect());
    fact("next start", next_start(service).into_iter().collect());
    fact("problems", problems(service));
    if service.changed {
        fact(
            "changed",
            vec![format!("its directory was edited after its start: svc restart {}", service.name)],
        );
    }
    let wanted = match service.wanted {
        Wanted::Up => "up",
        Wanted::Down => "down",
        Wanted::Once => "once",
    };
    let at_boot = if service.enabled { "" } else { " (not started at boot)" };
    fact("wanted", vec![format!("{wanted}{at_boot}")]);
    fact("since", vec![text(&service.since)]);
    fact("restarts", vec![service.restarts.to_string()]);
    fact("last exit", service.last_exit.map(|exit| exit.to_string()).into_iter().collect());
    fact("directory", vec![text(&service.directory)]);
    if let Some(detail) = &service.detail {
        fact("processes", tree(&detail.processes));
        let exits = detail.exits.iter().map(|past| {
            let pid = past.pid.map(|pid| format!("pid {pid} ")).unwrap_or_default();
            format!("{}  {pid}{} after {}", text(&past.at), past.exit, seconds(past.ran_seconds))
        });
        fact("exits", exits.collect());
        fact("log file", detail.log_file.as_deref().map(text).into_iter().collect());
        fact("log", detail.log.iter().map(|line| text(line)).collect());
    }
    facts
}

fn next_start(service: &ServiceStatus) -> Option<String> {
    let at = service.next_start.as_deref().map(printable);
    match (service.next_start_seconds, at) {
        (Some(wait), Some(at)) => Some(format!("in {} ({at})", seconds(wait))),
        (Some(wait), None) => Some(format!("in {}", seconds(wait))),
        (None, Some(at)) => Some(at.into_owned()),
        (None, None) => None,
    }
}

/// A problem has several lines: its place, the source and a caret.
fn problems(service: &ServiceStatus) -> Vec<String> {
    let lines = service.problems.iter().flat_map(|problem| problem.lines());
    lines.map(|line| printable(line).into_owned()).collect()
}

/// Parents before children, drawn as `pstree -A` does.
fn tree(processes: &[Process]) -> Vec<String> {
    let pids: Vec<i32> = processes.iter().map(|process| process.pid).collect();
    let mut children: BTreeMap<Option<i32>, Vec<&Process>> = BTreeMap::new();
    for process in processes {
        let parent =
            pids.contains(&process.ppid).then_some(process.ppid).filter(|parent| *parent != process.pid);
        children.entry(parent).or_default().push(process);
    }
    let mut lines = Vec::new();
    for root in children.remove(&None).unwrap_or_default() {
        draw(root, "", "", &mut children, &mut lines);
    }
    // A circle of parents: possible when a pid was used again while /proc was read.
    for process in children.into_values().flatten() {
        lines.push(described(process));
    }
    lines
}

/// `children` is used up on the way, so this ends whatever the numbers say.
fn draw<'a>(
    process: &'a Process,
    branch: &str,
    below: &str,
    children: &mut BTreeMap<Option<i32>, Vec<&'a Process>>,
    lines: &mut Vec<String>,
) {
    lines.push(format!("{branch}{}", described(process)));
    let mine = children.remove(&Some(process.pid)).unwrap_or_default();
    let count = mine.len();
    for (index, child) in mine.into_iter().enumerate() {
        let (turn, rest) = if index + 1 == count { ("`- ", "   ") } else { ("|- ", "|  ") };
        draw(child, &format!("{below}{turn}"), &format!("{below}{rest}"), children, lines);
    }
}

fn described(process: &Process) -> String {
    format!("{} {}", process.pid, printable(&process.command))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::status::tests::service;
    use crate::lifecycle::{Exit, Signal, StateWord};
    use crate::protocol::control::{Detail, PastExit};

    fn process(ppid: i32, pid: i32, command: &str) -> Process {
        Process {
            service: "web".to_owned(),
            ppid,
            pid,
            pgid: pid,
            sid: pid,
            tty: "?".to_owned(),
            tpgid: -1,
            stat: "S".to_owned(),
            uid: 0,
            time: "0:00".to_owned(),
            command: command.to_owned(),
        }
    }

    fn printed(service: &ServiceStatus, colour: bool) -> String {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut screen = Screen::into(&mut out, &mut err);
        screen.colour = colour;
        print(service, &mut screen).unwrap();
        drop(screen);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn one_service_is_shown_with_everything() {
        let killed = Exit::Signal { signal: Signal::KILL, core: false };
        let mut web = service("web", StateWord::Up);
        web.pid = Some(100);
        web.description = Some("public web server".to_owned());
        web.restarts = 2;
        web.last_exit = Some(killed);
        web.changed = true;
        web.problems = vec!["service.toml:1:1: unknown key\n  | usr = 1\n  | ^^^".to_owned()];
        web.detail = Some(Detail {
            processes: vec![
                process(1, 100, "nginx: master"),
                process(100, 101, "nginx: worker"),
                process(101, 103, "cgi"),
                process(100, 102, "nginx: worker"),
                process(1, 104, "left behind\x07"),
            ],
            exits: vec![PastExit {
                at: "2026-11-22T16:58:00Z".to_owned(),
                pid: Some(90),
                exit: killed,
                ran_seconds: 12.3,
            }],
            log: vec!["listening".to_owned(), "GET /".to_owned()],
            log_file: Some("/var/log/svc/web/current".to_owned()),
        });
        let expected = "\
web: up for 1m05s (pid 100)
  description  public web server
  problems     service.toml:1:1: unknown key
                 | usr = 1
                 | ^^^
  changed      its directory was edited after its start: svc restart web
  wanted       up
  since        2026-11-22T17:00:00Z
  restarts     2
  last exit    killed by KILL
  directory    /etc/svc/web
  processes    100 nginx: master
               |- 101 nginx: worker
               |  `- 103 cgi
               `- 102 nginx: worker
               104 left behind\\u{7}
  exits        2026-11-22T16:58:00Z  pid 90 killed by KILL after 12s
  log file     /var/log/svc/web/current
  log          listening
               GET /
";
        assert_eq!(printed(&web, false), expected);
        assert!(
            printed(&web, true).starts_with("\x1b[1mweb\x1b[0m: \x1b[32mup\x1b[0m for 1m05s (pid 100)\n")
        );
    }

    #[test]
    fn a_service_in_backoff_says_when_it_starts_again() {
        let mut web = service("web", StateWord::Backoff);
        web.next_start = Some("2026-11-22T17:00:09Z".to_owned());
        web.next_start_seconds = Some(1.5);
        web.enabled = false;
        web.paused = true;
        let text = printed(&web, false);
        assert!(text.contains("  next start   in 1.5s (2026-11-22T17:00:09Z)\n"), "{text}");
        assert!(text.contains("  wanted       up (not started at boot)\n"), "{text}");
        assert!(text.starts_with("web: backoff for 1m05s, paused\n"), "{text}");
    }

    #[test]
    fn a_circle_of_parents_is_drawn_and_does_not_hang() {
        let circle = [process(2, 3, "a"), process(3, 2, "b"), process(5, 5, "itself")];
        assert_eq!(tree(&circle), ["5 itself", "3 a", "2 b"]);
        assert!(tree(&[]).is_empty());
    }
}

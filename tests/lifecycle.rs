//! Scripts of the life-cycle: events with their times in, actions and states out, compared as text.
//!
//! A script is a file of `tests/lifecycle/`. A line that starts with a time is an event; the
//! indented lines below it are what the core answered. `SVC_REWRITE=1 cargo test --test lifecycle`
//! writes them anew: the difference is then to be reviewed like code.
//!
//! ```text
//! TIME define NAME [oneshot] [disabled] [finish] [stand] [restart=WORD] [first=T] [max=T] [reset=T]
//!                  [give-up=N/T] [stop=TERM,10s,KILL] [kill=tree|group|main] [success=N]
//!                  [timeout-start=T] [timeout-finish=T]
//! TIME boot|remove NAME
//! TIME started|finish-started NAME PID        TIME launch-failed NAME TEXT
//! TIME exited NAME PID EXIT                   TIME relaunched NAME PID EXIT NEXT
//! TIME relaunch-failed NAME PID EXIT: TEXT    TIME tree NAME [left=PID,…] [adoptable=PID]
//! TIME finish-exited NAME EXIT                TIME reloaded NAME [TEXT OF FAILURE]
//! TIME request ID VERB NAME                   TIME forget ID
//! TIME shutdown BUDGET | hurry | tick
//! TIME take-over [NAME=PID …]                 a new supervisor; what runs, all else does not
//! EXIT is a code, a signal name, or ?
//! ```

#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use svc::lifecycle::{
    Action, Asker, Backoff, Event, Exit, GiveUp, Kind, Lifecycle, Name, Outcome, Pid, Policy, RequestId,
    Restart, Scope, Signal, StopStep, Time, TreeFound, Verb,
};

#[test]
fn every_script_gives_the_answers_that_are_written_in_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lifecycle");
    let mut scripts: Vec<PathBuf> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    scripts.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    scripts.sort();
    assert!(!scripts.is_empty());
    let rewrite = std::env::var_os("SVC_REWRITE").is_some();
    let mut wrong = String::new();
    for path in scripts {
        let written = fs::read_to_string(&path).unwrap();
        let played = play(&path, &written);
        if rewrite {
            fs::write(&path, played).unwrap();
        } else if played != written {
            let _ = writeln!(wrong, "{}:\n{}", path.display(), first_difference(&written, &played));
        }
    }
    assert!(wrong.is_empty(), "{wrong}SVC_REWRITE=1 writes the answers anew");
}

fn first_difference(written: &str, played: &str) -> String {
    let (mut written, mut played) = (written.lines(), played.lines());
    let mut event = String::new();
    for number in 1.. {
        match (written.next(), played.next()) {
            (Some(expected), Some(got)) if expected == got => {
                if !got.starts_with(' ') {
                    event = got.to_string();
                }
            }
            (None, None) => break,
            (expected, got) => {
                let (expected, got) = (expected.unwrap_or("(end)"), got.unwrap_or("(end)"));
                return format!(
                    "  after: {event}\n  line {number}: expected {expected}\n  line {number}: got      {got}"
                );
            }
        }
    }
    String::new()
}

/// The script with the answers that the core gives now.
fn play(path: &Path, script: &str) -> String {
    let mut core = Lifecycle::new();
    let mut now = Time::default();
    let mut text = String::new();
    for (index, line) in script.lines().enumerate() {
        if line.starts_with("  ") {
            continue;
        }
        let _ = writeln!(text, "{line}");
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if line == "new" {
            (core, now) = (Lifecycle::new(), Time::default());
            continue;
        }
        let (time, rest) = line.split_once(' ').unwrap_or((line, ""));
        let at = Time::default() + duration(time);
        assert!(at >= now, "{}:{}: time goes back", path.display(), index + 1);
        now = at;
        let mut actions = Vec::new();
        if let Some(running) = rest.strip_prefix("take-over") {
            core = take_over(&core, now, running, &mut actions);
        } else {
            let event =
                event(rest).unwrap_or_else(|| panic!("{}:{}: not understood", path.display(), index + 1));
            core.step(now, event, &mut actions);
        }
        for action in &actions {
            if let Some(line) = action_text(action) {
                let _ = writeln!(text, "  {line}");
            }
        }
        text.push_str(&states(&core));
    }
    text
}

fn take_over(former: &Lifecycle, now: Time, running: &str, actions: &mut Vec<Action>) -> Lifecycle {
    let mut core = Lifecycle::new();
    for name in former.names() {
        let policy = former.policy(name).unwrap().clone();
        core.step(now, Event::Define { name: name.clone(), policy }, actions);
    }
    for name in former.names() {
        // As the guardian keeps it: through its bytes.
        let note = serde_json::to_vec(&former.memory(name).unwrap()).unwrap();
        let memory = serde_json::from_slice(&note).unwrap();
        let pid = running.split_whitespace().find_map(|word| word.strip_prefix(&format!("{name}=")));
        let running = pid.map(|pid| Pid(pid.parse().unwrap()));
        core.step(now, Event::Resume { name: name.clone(), memory, running }, actions);
    }
    core
}

fn event(text: &str) -> Option<Event> {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    let (first, after) = rest.split_once(' ').unwrap_or((rest, ""));
    let name = || Name::parse(first).ok();
    let words: Vec<&str> = after.split_whitespace().collect();
    let pid = |index: usize| words.get(index).and_then(|word| word.parse().ok()).map(Pid);
    let exit = |index: usize| words.get(index).and_then(|word| exit(word));
    Some(match word {
        "define" => Event::Define { name: name()?, policy: policy(after)? },
        "boot" => Event::Boot { name: name()? },
        "remove" => Event::Remove { name: name()? },
        "started" => Event::Started { name: name()?, pid: pid(0)? },
        "finish-started" => Event::FinishStarted { name: name()?, pid: pid(0)? },
        "launch-failed" => Event::LaunchFailed { name: name()?, cause: after.to_string() },
        "exited" => Event::Exited { name: name()?, pid: pid(0)?, exit: exit(1)? },
        "relaunched" => Event::Relaunched { name: name()?, pid: pid(0)?, exit: exit(1)?, next: pid(2)? },
        "relaunch-failed" => {
            let cause = after.split_once(": ")?.1.to_string();
            Event::RelaunchFailed { name: name()?, pid: pid(0)?, exit: exit(1)?, cause }
        }
        "tree" => Event::TreeChecked { name: name()?, found: found(&words)? },
        "finish-exited" => Event::FinishExited { name: name()?, exit: exit(0)? },
        "reloaded" if after.is_empty() => Event::Reloaded { name: name()?, result: Ok(()) },
        "reloaded" => Event::Reloaded { name: name()?, result: Err(after.to_string()) },
        "request" => {
            let id = RequestId(first.parse().ok()?);
            let by = Asker { uid: 0, pid: 4711 };
            Event::Request { id, verb: verb(words.first()?)?, name: Name::parse(words.get(1)?).ok()?, by }
        }
        "forget" => Event::Forget { id: RequestId(first.parse().ok()?) },
        "shutdown" => Event::Shutdown { budget: duration(first) },
        "hurry" => Event::Hurry,
        "tick" => Event::Tick,
        _ => return None,
    })
}

fn verb(word: &str) -> Option<Verb> {
    Some(match word {
        "up" => Verb::Up,
        "down" => Verb::Down,
        "restart" => Verb::Restart,
        "once" => Verb::Once,
        "pause" => Verb::Pause,
        "cont" => Verb::Cont,
        "reload" => Verb::Reload,
        "wait" => Verb::Wait,
        signal => Verb::Signal(Signal::parse(signal)?),
    })
}

fn exit(word: &str) -> Option<Exit> {
    if word == "?" {
        return Some(Exit::Unknown);
    }
    let word = word.trim_end_matches(':');
    match word.parse() {
        Ok(code) => Some(Exit::Code(code)),
        Err(_) => Signal::parse(word).map(|signal| Exit::Signal { signal, core: false }),
    }
}

fn found(words: &[&str]) -> Option<TreeFound> {
    let mut found = TreeFound::default();
    for word in words {
        if let Some(pids) = word.strip_prefix("left=") {
            found.left = pids.split(',').map(|pid| Pid(pid.parse().unwrap())).collect();
        } else {
            found.adoptable = Some(Pid(word.strip_prefix("adoptable=")?.parse().ok()?));
        }
    }
    Some(found)
}

fn policy(text: &str) -> Option<Policy> {
    let mut policy = Policy {
        kind: Kind::Longrun,
        enabled: true,
        restart: Restart::Always,
        backoff: Backoff {
            first: Duration::from_millis(100),
            max: Duration::from_secs(30),
            reset: Duration::from_secs(10),
        },
        give_up: None,
        success_codes: Vec::new(),
        success_signals: Vec::new(),
        stop: stop("TERM,10s,KILL"),
        kill: Scope::Tree,
        has_finish: false,
        timeout_start: Duration::from_secs(60),
        timeout_finish: Duration::from_secs(5),
        may_stand: false,
    };
    for word in text.split_whitespace() {
        match word.split_once('=').unwrap_or((word, "")) {
            ("oneshot", _) => {
                (policy.kind, policy.restart, policy.timeout_start) =
                    (Kind::Oneshot, Restart::Never, Duration::MAX);
            }
            ("disabled", _) => policy.enabled = false,
            ("finish", _) => policy.has_finish = true,
            ("stand", _) => policy.may_stand = true,
            ("restart", word) => {
                policy.restart = match word {
                    "always" => Restart::Always,
                    "on-failure" => Restart::OnFailure,
                    "on-success" => Restart::OnSuccess,
                    "never" => Restart::Never,
                    _ => return None,
                }
            }
            ("first", time) => policy.backoff.first = duration(time),
            ("max", time) => policy.backoff.max = duration(time),
            ("reset", time) => policy.backoff.reset = duration(time),
            ("give-up", text) => {
                let (count, within) = text.split_once('/')?;
                policy.give_up = Some(GiveUp { count: count.parse().ok()?, within: duration(within) });
            }
            ("stop", text) => policy.stop = stop(text),
            ("kill", "tree") => policy.kill = Scope::Tree,
            ("kill", "group") => policy.kill = Scope::Group,
            ("kill", "main") => policy.kill = Scope::Main,
            ("success", code) => policy.success_codes.push(code.parse().ok()?),
            ("timeout-start", time) => policy.timeout_start = duration(time),
            ("timeout-finish", time) => policy.timeout_finish = duration(time),
            (_, _) => return None,
        }
    }
    Some(policy)
}

fn stop(text: &str) -> Vec<StopStep> {
    text.split(',')
        .map(|word| match Signal::parse(word) {
            Some(signal) => StopStep::Signal(signal),
            None => StopStep::Wait(duration(word)),
        })
        .collect()
}

fn duration(text: &str) -> Duration {
    if text == "infinity" {
        return Duration::MAX;
    }
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: f64 = digits.parse().unwrap_or_else(|_| panic!("{text:?} is no time"));
    let unit = match &text[digits.len()..] {
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        other => panic!("{other:?} is no unit of time"),
    };
    Duration::from_micros((number * unit * 1e6).round() as u64)
}

fn action_text(action: &Action) -> Option<String> {
    Some(match action {
        Action::Launch { name } => format!("launch {name}"),
        Action::Finish { name, exit, main } => format!("finish {name}: {exit}, main {main}"),
        Action::Signal { name, signal, scope } => {
            format!("signal {name}: {signal} to {scope:?}").to_lowercase()
        }
        Action::KillFinish { name } => format!("kill-finish {name}"),
        Action::CheckTree { name, main } => format!("check-tree {name}: main {main}"),
        Action::Adopt { name, pid } => format!("adopt {name}: {pid}"),
        Action::Stand { name } => format!("stand {name}"),
        Action::Unstand { name } => format!("unstand {name}"),
        Action::Reload { name } => format!("reload {name}"),
        Action::CloseLogPipe { name } => format!("close-log-pipe {name}"),
        Action::Answer { id, name, outcome } => {
            let outcome = match outcome {
                Outcome::Done => "done".to_string(),
                Outcome::Already => "already".to_string(),
                Outcome::Rested { state, exit: None } => format!("rested, {state}"),
                Outcome::Rested { state, exit: Some(exit) } => format!("rested, {state}, {exit}"),
                Outcome::Failed { why } => format!("failed: {why}"),
            };
            format!("answer {} {name}: {outcome}", id.0)
        }
        // What is remembered is the state that is shown, and what a take-over proves.
        Action::Remember { .. } => return None,
        Action::Changed { name, transition } => {
            format!("changed {name}: {} -> {}: {}", transition.from, transition.to, transition.cause)
        }
        Action::Forgotten { name } => format!("forgotten {name}"),
        Action::Ended => "ended".to_string(),
    })
}

/// One line a service, and the next deadline.
fn states(core: &Lifecycle) -> String {
    let mut text = String::new();
    for name in core.names() {
        let view = core.view(name).unwrap();
        let _ = write!(text, "  = {name} {}, wanted {:?}", view.state, view.wanted);
        if let Some(pid) = view.pid {
            let _ = write!(text, ", pid {pid}");
        }
        for (mark, set) in [("paused", view.paused), ("adopted", view.adopted)] {
            if set {
                let _ = write!(text, ", {mark}");
            }
        }
        if view.restarts > 0 || view.attempt > 0 {
            let _ = write!(text, ", {} restarts, attempt {}", view.restarts, view.attempt);
        }
        if let Some(reason) = &view.reason {
            let _ = write!(text, ", because: {reason}");
        }
        text.push('\n');
    }
    if let Some(next) = core.next_deadline() {
        let _ = writeln!(text, "  next {:?}", Duration::from_nanos(next.nanoseconds));
    }
    text
}

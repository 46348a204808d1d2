//! The commands as they are typed, against a supervisor that says what the test wants it to say:
//! what is printed where, and the exit code.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod stage;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use svc::lifecycle::{Cause, Exit, Pid, Signal, StateWord, Transition, Verb, Wanted};
use svc::protocol::control::*;
use tempfile::TempDir;

use stage::*;

#[test]
fn up_says_what_is_up_and_ends_with_0() {
    let up = Reply::Outcome(outcome("web", StateWord::Up, Some(123)));
    let stage = Stage::new(vec![vec![up, Reply::End]]);
    let ran = stage.svc("up web");
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "web: up (pid 123)\n", ""));
    let asked = What::Act { verb: Verb::Up, names: vec!["web".into()], all: false, wait: true };
    assert_eq!(stage.heard(), [asked]);
}

#[test]
fn up_of_a_failing_service_shows_why_and_its_log_and_ends_with_1() {
    let mut failed = outcome("db", StateWord::Backoff, None);
    failed.ok = false;
    failed.why = Some("cannot change to /srv/db: No such file or directory".into());
    failed.log = vec!["last words".into()];
    let replies =
        vec![Reply::Outcome(outcome("web", StateWord::Up, Some(7))), Reply::Outcome(failed), Reply::End];
    let stage = Stage::new(vec![replies.clone(), replies]);
    let ran = stage.svc("up web db");
    assert_eq!(ran.code, 1);
    assert_eq!(ran.out, "web: up (pid 7)\n");
    assert_eq!(
        ran.err,
        "db: cannot start: cannot change to /srv/db: No such file or directory\n    last words\n"
    );
    let quiet = stage.svc("up -q web db");
    assert_eq!((quiet.code, quiet.out.as_str()), (1, ""));
    assert!(quiet.err.starts_with("db: cannot start"));
}

#[test]
fn all_and_no_wait_are_sent_to_the_supervisor() {
    let stage = Stage::new(vec![vec![Reply::End]]);
    assert_eq!(stage.svc("down --all --no-wait").code, 0);
    assert_eq!(stage.heard(), [What::Act { verb: Verb::Down, names: vec![], all: true, wait: false }]);
}

#[test]
fn a_signal_is_sent_by_any_of_its_names() {
    let names = ["TERM", "SIGTERM", "term", "15"];
    let stage = Stage::new(names.iter().map(|_| vec![Reply::End]).collect());
    for name in names {
        assert_eq!(stage.svc(&format!("signal {name} web")).code, 0, "{name}");
    }
    for asked in stage.heard() {
        assert!(matches!(asked, What::Act { verb: Verb::Signal(Signal::TERM), .. }), "{asked:?}");
    }
}

#[test]
fn a_timeout_says_what_each_service_is_doing_and_ends_with_1() {
    let scenes = vec![vec![], vec![status(vec![service("web", StateWord::Stopping, Some(123))])]];
    let stage = Stage::new(scenes);
    let ran = stage.svc("down --timeout 50ms web");
    assert_eq!(ran.code, 1);
    assert_eq!(ran.err, "web: timed out after 50ms; it is stopping (pid 123)\n");
}

#[test]
fn a_supervisor_that_is_lost_meanwhile_is_asked_again_for_the_rest() {
    let stage = Stage::with(vec![
        (vec![Reply::Outcome(outcome("a", StateWord::Up, Some(1)))], true),
        (vec![Reply::Outcome(outcome("b", StateWord::Up, Some(2))), Reply::End], false),
    ]);
    let ran = stage.svc("up a b");
    assert_eq!((ran.code, ran.out.as_str()), (0, "a: up (pid 1)\nb: up (pid 2)\n"), "{}", ran.err);
    let again = What::Act { verb: Verb::Up, names: vec!["b".into()], all: false, wait: true };
    assert_eq!(stage.heard().get(1), Some(&again));
}

#[test]
fn a_restart_is_asked_again_for_what_runs_as_before_and_else_only_that_it_comes_up() {
    let runs_on = service("web", StateWord::Up, Some(1));
    let fresh = ServiceStatus { for_seconds: 0.0, ..service("web", StateWord::Up, Some(2)) };
    let stopping = service("web", StateWord::Stopping, Some(1));
    let once = ServiceStatus { wanted: Wanted::Once, ..fresh.clone() };
    let rests = [
        (runs_on, Verb::Restart),
        (fresh, Verb::Up),
        (stopping, Verb::Up),
        (service("web", StateWord::Down, None), Verb::Up),
        (once, Verb::Once),
    ];
    for (state, verb) in rests {
        let stage = Stage::with(vec![
            (vec![], true),
            (vec![status(vec![state])], false),
            (vec![Reply::Outcome(outcome("web", StateWord::Up, Some(2))), Reply::End], false),
        ]);
        let ran = stage.svc("restart web");
        assert_eq!((ran.code, ran.out.as_str()), (0, "web: up (pid 2)\n"), "{}", ran.err);
        let again = What::Act { verb, names: vec!["web".into()], all: false, wait: true };
        assert_eq!(stage.heard().get(2), Some(&again));
    }
}

#[test]
fn what_cannot_be_asked_twice_is_not_when_the_supervisor_is_lost() {
    let stage = Stage::with(vec![(vec![], true)]);
    let ran = stage.svc("signal USR1 web");
    assert_eq!(ran.code, 111);
    assert_eq!(ran.err, "svc: svc ended before it answered; whether signal USR1 was done is unknown\n");
}

#[test]
fn wait_ends_with_the_exit_code_of_the_service() {
    for (exit, state, code) in [
        (Some(Exit::Code(3)), StateWord::Down, 3),
        (Some(Exit::Signal { signal: Signal::KILL, core: false }), StateWord::Failed, 137),
        (Some(Exit::Signal { signal: Signal::TERM, core: false }), StateWord::Down, 0),
        (None, StateWord::Down, 0),
    ] {
        let rested = ServiceOutcome { exit, ..outcome("job", state, None) };
        let stage = Stage::new(vec![vec![Reply::Outcome(rested), Reply::End]]);
        assert_eq!(stage.svc("wait job").code, code);
    }
}

#[test]
fn status_has_lsb_exit_codes() {
    for (state, code) in
        [(StateWord::Up, 0), (StateWord::Done, 0), (StateWord::Failed, 3), (StateWord::Down, 3)]
    {
        let stage = Stage::new(vec![vec![status(vec![service("web", state, None)])]]);
        assert_eq!(stage.svc("status web").code, code, "{state}");
    }
    let stage =
        Stage::new(vec![vec![status(vec![])], vec![status(vec![service("web", StateWord::Up, Some(1))])]]);
    let ran = stage.svc("status nosuch");
    assert_eq!((ran.code, ran.out.as_str()), (4, ""));
    assert_eq!(ran.err, "nosuch: there is no such service; `svc list` lists them\n");
    let ran = stage.svc("status web nosuch");
    assert_eq!(ran.code, 4);
    assert!(ran.out.contains("web"), "what is known is shown: {ran:?}");
}

#[test]
fn status_in_a_pipe_is_a_table_without_colour() {
    let stage = Stage::new(vec![vec![status(vec![
        service("web", StateWord::Up, Some(1234)),
        service("worker", StateWord::Backoff, None),
    ])]]);
    let ran = stage.svc("status");
    assert_eq!(
        ran.out,
        "NAME    STATE    FOR     PID  RESTARTS  WHY\n\
         web     up       1m05s  1234         0\n\
         worker  backoff  1m05s               0\n"
    );
    assert_eq!(ran.code, 3, "one that is wanted does not run");
}

#[test]
fn status_as_json_is_one_object_and_of_one_service_its_own() {
    let both = || status(vec![service("web", StateWord::Up, Some(1)), service("db", StateWord::Down, None)]);
    let one = || status(vec![service("web", StateWord::Up, Some(1))]);
    let stage = Stage::new(vec![vec![both()], vec![one()], vec![both()]]);
    let whole: serde_json::Value = serde_json::from_str(&stage.svc("status --json").out).unwrap();
    assert_eq!(whole["guardian"]["pid"], 10);
    assert_eq!(whole["supervisor"]["since"], "2026-11-22T16:00:00Z");
    assert_eq!(whole["services"][1]["name"], "db");
    let web: serde_json::Value = serde_json::from_str(&stage.svc("status web --json").out).unwrap();
    for key in ["name", "state", "wanted", "pid", "since", "ready", "restarts", "last_exit", "next_start"] {
        assert!(web.get(key).is_some(), "{key} is missing in {web}");
    }
    assert_eq!(web["state"], "up");
    let two: serde_json::Value = serde_json::from_str(&stage.svc("status web db --json").out).unwrap();
    assert_eq!(two["services"].as_array().unwrap().len(), 2);
}

#[test]
fn pid_is_for_scripts() {
    let services =
        || status(vec![service("web", StateWord::Up, Some(4711)), service("off", StateWord::Down, None)]);
    let stage = Stage::new(vec![vec![services()], vec![services()], vec![services()]]);
    let ran = stage.svc("pid web");
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "4711\n", ""));
    let ran = stage.svc("pid off");
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (3, "", "off: has no process; it is down\n"));
    assert_eq!(stage.svc("pid web nosuch").code, 4);
}

fn change(name: &str) -> StampedTransition {
    let transition = Transition {
        from: StateWord::Up,
        to: StateWord::Backoff,
        pid: Some(Pid(5)),
        cause: Cause::Exited { exit: Exit::Code(1), ran_nanoseconds: 1_000_000_000 },
    };
    StampedTransition {
        name: name.into(),
        at: "2026-11-22T17:00:00Z".into(),
        transition,
        text: "exited 1 after 1.0s".into(),
    }
}

#[test]
fn why_and_events_tell_changes() {
    let stage = Stage::with(vec![
        (vec![Reply::Why { name: "web".into(), transitions: vec![change("web")] }], false),
        (vec![Reply::Why { name: "new".into(), transitions: vec![] }], false),
        (vec![Reply::Transition(change("web")), Reply::Transition(change("db")), Reply::End], false),
        (vec![Reply::Transition(change("web")), Reply::End], false),
    ]);
    assert_eq!(
        stage.svc("why web").out,
        "2026-11-22T17:00:00Z  up -> backoff (pid 5): exited 1 after 1.0s\n"
    );
    assert_eq!(stage.svc("why new").out, "new: nothing has happened to it since svc was started\n");
    let events = stage.svc("events").out;
    assert_eq!(events.lines().count(), 2);
    assert!(events.ends_with("db: up -> backoff (pid 5): exited 1 after 1.0s\n"), "{events}");
    let json: StampedTransition = serde_json::from_str(&stage.svc("events --json web").out).unwrap();
    assert_eq!(json, change("web"));
}

#[test]
fn rescan_tells_what_was_found() {
    let found = Reply::Rescanned {
        added: vec!["new".into()],
        changed: vec!["web".into()],
        removed: vec!["old".into()],
        problems: vec!["web/service.toml:1:1: unknown key".into()],
    };
    let ran = Stage::new(vec![vec![found]]).svc("rescan");
    assert_eq!(ran.out, "new: added\nweb: changed\nold: removed\n");
    assert_eq!((ran.code, ran.err.as_str()), (1, "web/service.toml:1:1: unknown key\n"));
}

#[test]
fn what_the_supervisor_refuses_has_its_own_exit_code() {
    for (kind, line, code) in [
        (ErrorKind::Usage, "up web", 100),
        (ErrorKind::Denied, "up web", 111),
        (ErrorKind::System, "up web", 111),
        (ErrorKind::UnknownService, "up web", 1),
        (ErrorKind::UnknownService, "why web", 1),
        (ErrorKind::UnknownService, "status web", 4),
        (ErrorKind::UnknownService, "ps web", 1),
    ] {
        let stage = Stage::new(vec![vec![Reply::Error { kind, message: "so it is".into() }]]);
        let ran = stage.svc(line);
        assert_eq!((ran.code, ran.err.as_str()), (code, "svc: so it is\n"), "{kind:?} {line}");
    }
}

#[test]
fn shutdown_waits_for_the_end_of_svc() {
    let stage = Stage::with(vec![(vec![Reply::ShuttingDown], false)]);
    let ran = stage.svc("shutdown --no-wait");
    assert_eq!((ran.code, ran.out.as_str()), (0, "svc is shutting down\n"));

    let stage = Stage::with(vec![(vec![Reply::ShuttingDown], false)]);
    let child = command(stage.top.path(), "shutdown").stdout(Stdio::piped()).spawn().unwrap();
    // The server ends, and with it the socket, only after the request has come.
    while stage.heard().is_empty() {
        std::thread::yield_now();
    }
    let Stage { top, _server, .. } = stage;
    drop(_server);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), &b"svc has ended\n"[..]));
    drop(top);
}

#[test]
fn without_a_supervisor_every_command_that_needs_one_says_what_to_do() {
    let top = tempfile::tempdir().unwrap();
    fs::create_dir(top.path().join("services")).unwrap();
    for line in [
        "up web",
        "down -a",
        "status",
        "status web",
        "pid web",
        "why web",
        "events",
        "ps",
        "rescan",
        "shutdown",
        "wait web",
        "signal TERM web",
    ] {
        let ran = svc(top.path(), line);
        let expected = format!(
            "svc: cannot reach svc at {}/run/control: No such file or directory; is it running? start it with \
             `svc daemon`, or name its runtime directory with --runtime-dir\n",
            top.path().display()
        );
        assert_eq!((ran.code, ran.err.as_str()), (111, expected.as_str()), "{line}");
    }
}

fn with_services() -> TempDir {
    let top = tempfile::tempdir().unwrap();
    for name in ["web", "db"] {
        let directory = top.path().join("services").join(name);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("run"), "#!/bin/sh\nexec sleep 1\n").unwrap();
        fs::set_permissions(directory.join("run"), fs::Permissions::from_mode(0o755)).unwrap();
    }
    top
}

#[test]
fn list_check_show_and_logs_work_without_a_supervisor() {
    let top = with_services();
    let ran = svc(top.path(), "list");
    assert_eq!((ran.code, ran.out.as_str()), (0, "db\nweb\n"), "{}", ran.err);
    assert_eq!(svc(top.path(), "list --json").out, "[\"db\",\"web\"]\n");
    let ran = svc(top.path(), "check");
    assert_eq!((ran.code, ran.out.as_str()), (0, "db: ok\nweb: ok\n"), "{}", ran.err);
    assert!(svc(top.path(), "show web").out.starts_with("KEY "));
    let shown: serde_json::Value = serde_json::from_str(&svc(top.path(), "show --json web db").out).unwrap();
    assert!(shown["db"].as_array().is_some_and(|values| !values.is_empty()));
    let ran = svc(top.path(), "logs");
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "", ""));
}

#[test]
fn check_shows_every_error_of_every_service_and_ends_with_1() {
    let top = with_services();
    fs::write(top.path().join("services/web/service.toml"), "usr = \"www\"\n").unwrap();
    fs::write(top.path().join("services/db/service.toml"), "restart = 7\n").unwrap();
    let ran = svc(top.path(), "check");
    assert_eq!(ran.code, 1);
    assert!(
        ran.out.contains("web/service.toml:1:1") && ran.out.contains("db/service.toml:1:"),
        "{}",
        ran.out
    );
    let ran = svc(top.path(), "check db");
    assert!(ran.code == 1 && !ran.out.contains("web"), "{ran:?}");
    let folder = top.path().join("services").display().to_string();
    assert_eq!(svc(Path::new("/nonexistent"), &format!("check {folder}")).code, 1);
    assert_eq!(svc(Path::new("/nonexistent"), &format!("check {folder}/db")).code, 1);
    assert_eq!(svc(top.path(), "check nosuch").code, 1);
    assert_eq!(svc(Path::new("/nonexistent"), "check").code, 111);
}

#[test]
fn logs_are_merged_and_a_reader_that_has_had_enough_ends_them_quietly() {
    let top = with_services();
    let line = |minute: usize, text: &str| format!("2026-11-22T17:{minute:02}:00.000000Z {text}\n");
    for (name, minutes) in [("web", [1, 3]), ("db", [2, 4])] {
        let directory = top.path().join("log").join(name);
        fs::create_dir_all(&directory).unwrap();
        let text: String = minutes.iter().map(|minute| line(*minute, name)).collect();
        fs::write(directory.join("current"), text).unwrap();
    }
    let ran = svc(top.path(), "logs");
    let order: Vec<&str> = ran.out.lines().filter_map(|line| line.split(" | ").nth(1)).collect();
    assert_eq!(order, ["web", "db", "web", "db"], "{ran:?}");
    assert_eq!(svc(top.path(), "logs --no-prefix -n 1 web").out, "web\n");
    let since = svc(top.path(), "logs --since 2026-11-22T17:02:30Z --until 2026-11-22T17:03:30Z");
    assert_eq!(since.out.lines().count(), 1, "{since:?}");
    assert_eq!(svc(top.path(), "logs nosuch").code, 1);
    assert_eq!(svc(top.path(), "logs --since soon").code, 100);

    let many: String =
        (0..60_000).map(|n| line(n % 60, "something rather long to fill the pipe with")).collect();
    fs::write(top.path().join("log/web/current"), many).unwrap();
    let mut child =
        command(top.path(), "logs web").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn wrong_usage_ends_with_100_and_one_message() {
    let top = tempfile::tempdir().unwrap();
    for (line, part) in [
        ("", "what is to be done?"),
        ("bogus", "unrecognized subcommand 'bogus'"),
        ("statu", "'status'"),
        ("up", "<NAME>..."),
        ("up --all web", "cannot be used with"),
        ("up a/b", "cannot use the name \"a/b\""),
        ("up --timeout 5 web", "has no unit; write \"5s\" for seconds"),
        ("up --no-wait --timeout 5s web", "cannot be used with"),
        ("signal NOPE web", "a signal is a name like TERM or SIGTERM"),
        ("status --nope", "unexpected argument '--nope'"),
        ("help nosuch", "there is no command \"nosuch\""),
        ("init --", "what is to be run?"),
    ] {
        let ran = svc(top.path(), line);
        assert_eq!(ran.code, 100, "{line:?}: {ran:?}");
        assert!(ran.err.starts_with("svc: ") && ran.err.contains(part), "{line:?}: {}", ran.err);
        assert_eq!(ran.out, "", "{line:?}");
    }
}

#[test]
fn every_command_has_help_with_an_example() {
    let top = tempfile::tempdir().unwrap();
    let overview = svc(top.path(), "--help");
    assert_eq!(overview.code, 0);
    for entry in svc::cli::commands::ENTRIES {
        let name = entry.name;
        let ran = svc(top.path(), &format!("{name} --help"));
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{name}");
        assert_eq!(svc(top.path(), &format!("help {name}")).out, ran.out);
        if entry.group != svc::cli::Group::Hidden {
            assert!(ran.out.contains("Example") && ran.out.contains("svc "), "{name} has no example");
            assert!(overview.out.contains(entry.about), "{name}");
        }
    }
    assert!(overview.out.lines().all(|line| line.chars().count() <= 110), "too wide for a terminal");
    assert_eq!(svc(top.path(), "--version").out, format!("svc {}\n", env!("CARGO_PKG_VERSION")));
}

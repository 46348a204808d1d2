//! The commands a person types: what they do, what they print and their exit codes.

// A test ends by panicking; clippy allows that only inside of #[test] functions.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use common::processes::{facts, kill_9, lives};
use common::said::Running;
use common::{World, wait_until};
use serde_json::Value;

fn two_sleepers() -> World {
    let world = World::with(|world| {
        world.service("web").run("exec sleep 1000").toml("description = \"public web server\"");
        world.service("idle").file("down", "").run("exec sleep 1000");
    });
    world.wait_state("web", &["up", "ready"]);
    world
}

#[test]
fn the_exit_codes_of_status_are_those_of_lsb() {
    let world = two_sleepers();
    for (name, code) in [("web", 0), ("idle", 3), ("nobody", 4)] {
        world.svc(&["status", name]).expect_code(code);
        world.svc(&["status", name, "--json"]).expect_code(code);
    }
    world.svc(&["status"]).expect_code(0).expect_words(&["web", "up", "idle", "down"]);
}

#[test]
fn wrong_usage_is_100_and_no_svc_is_111() {
    let world = two_sleepers();
    for words in [&["frobnicate"][..], &["up"], &["up", "--nonsense", "web"], &["signal", "NOSUCH", "web"]] {
        let said = world.svc(words);
        assert_eq!(said.code, 100, "svc {}: {said:?}", words.join(" "));
        assert!(!said.err.is_empty());
    }
    world.svc(&["up", "../etc"]).expect_code(100);
    let empty = World::new();
    for words in [&["up", "web"][..], &["ps"], &["shutdown"]] {
        let said = empty.svc(words);
        assert_eq!(said.code, 111, "svc {}: {said:?}", words.join(" "));
        assert!(said.err.contains("cannot") && said.err.contains("control"), "{}", said.err);
    }
}

#[test]
fn an_unknown_service_is_named_and_where_it_should_be() {
    let world = two_sleepers();
    let said = world.svc(&["up", "wbe"]);
    assert_ne!(said.code, 0);
    assert!(said.err.contains("services/wbe"), "{}", said.err);
}

#[test]
fn up_and_down_answer_when_it_is_so() {
    let world = two_sleepers();
    world.ok(&["up", "idle"]);
    let pid = world.pid("idle");
    assert!(lives(pid));
    world.ok(&["up", "idle"]);
    assert_eq!(world.pid("idle"), pid, "a second up started another");
    world.ok(&["down", "idle", "web"]);
    assert!(!lives(pid));
    world.svc(&["status", "idle"]).expect_code(3);
    world.ok(&["down", "idle"]);
    world.ok(&["up", "--all"]);
    for name in ["web", "idle"] {
        assert!(lives(world.pid(name)));
    }
}

#[test]
fn a_service_that_is_down_says_why() {
    let world = two_sleepers();
    world.ok(&["down", "web"]);
    let why = || world.status("web")["reason"].as_str().unwrap_or_default().to_owned();
    assert!(why().starts_with("asked to stop by uid "), "{}", why());
    let (_, supervisor) = world.pids();
    common::processes::kill_9(supervisor);
    common::wait_until("another supervisor", || {
        world.ping().is_some_and(|pong| pong["supervisor_pid"] != supervisor)
    });
    assert_eq!(why(), "asked to stop");
}

#[test]
fn restart_gives_another_process_and_says_so_after_it_runs() {
    let world = two_sleepers();
    let old = world.pid("web");
    world.ok(&["restart", "web"]);
    let new = world.pid("web");
    assert!(new != old && lives(new) && !lives(old));
}

#[test]
fn no_wait_returns_before_the_result_is_there() {
    let world = World::with(|world| {
        world
            .service("slow")
            .run("trap '' TERM\necho deaf\nwhile :; do sleep 1; done")
            .toml("stop = [\"TERM\", \"1h\", \"KILL\"]");
    });
    world.wait_log("slow", "deaf");
    world.ok(&["down", "--no-wait", "slow"]);
    assert_eq!(world.state("slow"), "stopping");
    let said = world.svc(&["down", "--timeout", "100ms", "slow"]);
    assert_ne!(said.code, 0, "{said:?}");
    assert_eq!(world.state("slow"), "stopping");
    world.ok(&["signal", "KILL", "slow"]);
    world.wait_state("slow", &["down"]);
}

#[test]
fn pause_and_cont_stop_and_go_on() {
    let world = two_sleepers();
    let pid = world.pid("web");
    world.ok(&["pause", "web"]);
    wait_until("the process to stand still", || facts(pid).is_some_and(|facts| facts.state == 'T'));
    assert_eq!(world.status("web")["paused"], true);
    assert!(world.ok(&["status", "web"]).contains("paused"));
    world.ok(&["cont", "web"]);
    wait_until("the process to go on", || facts(pid).is_some_and(|facts| facts.state != 'T'));
    assert_eq!(world.status("web")["paused"], false);
}

#[test]
fn a_signal_reaches_the_main_process() {
    let world = World::with(|world| {
        world.service("web").run("trap 'echo got USR1' USR1\ntrap 'echo got HUP' HUP\necho ready to hear\nwhile :; do sleep 0.02; done");
    });
    world.wait_log("web", "ready to hear");
    let pid = world.pid("web");
    for signal in ["USR1", "SIGUSR1", "10"] {
        world.ok(&["signal", signal, "web"]);
    }
    world.wait_log("web", "got USR1");
    world.ok(&["reload", "web"]);
    world.wait_log("web", "got HUP");
    assert_eq!(world.pid("web"), pid);
}

#[test]
fn a_reload_command_runs_and_its_failure_is_told() {
    let world = World::with(|world| {
        world
            .service("good")
            .run("exec sleep 1000")
            .toml("reload = [\"sh\", \"-c\", \"echo reloaded >reloaded\"]");
        world
            .service("bad")
            .run("exec sleep 1000")
            .toml("reload = [\"sh\", \"-c\", \"echo no >&2; exit 9\"]");
    });
    for name in ["good", "bad"] {
        world.wait_state(name, &["up", "ready"]);
    }
    world.ok(&["reload", "good"]);
    assert_eq!(world.wait_file("services/good/reloaded"), "reloaded\n");
    world.svc(&["reload", "bad"]).expect_code(1).expect_words(&["9"]);
}

#[test]
fn pid_prints_the_pid_and_nothing_else() {
    let world = two_sleepers();
    assert_eq!(world.ok(&["pid", "web"]).trim(), world.pid("web").to_string());
    assert_ne!(world.svc(&["pid", "idle"]).code, 0);
}

#[test]
fn list_prints_the_names() {
    let world = two_sleepers();
    let list = world.ok(&["list"]);
    assert!(list.lines().any(|line| line.split_whitespace().next() == Some("web")), "{list}");
    assert!(list.contains("idle"), "{list}");
}

#[test]
fn the_detailed_status_shows_processes_exits_and_log() {
    let world = World::with(|world| {
        world.service("web").run("echo hello from web\nsleep 1000 &\nexec sleep 2000");
    });
    world.wait_log("web", "hello from web");
    let old = world.pid("web");
    kill_9(old);
    world.wait_other_pid("web", old);
    let said = world.ok(&["status", "web"]);
    for word in ["web", "up", "hello from web", "sleep", "KILL"] {
        assert!(said.contains(word), "{word} is missing in: {said}");
    }
    let status = world.status("web");
    for key in ["name", "state", "wanted", "pid", "since", "ready", "restarts", "last_exit", "next_start"] {
        assert!(status.get(key).is_some(), "{key} is missing in {status}");
    }
}

#[test]
fn show_prints_every_effective_value_and_where_it_came_from() {
    let world = two_sleepers();
    let shown = world.ok(&["show", "web"]);
    for word in ["public web server", "service.toml", "default", "restart", "stop", "umask"] {
        assert!(shown.contains(word), "{word} is missing in: {shown}");
    }
}

#[test]
fn ps_prints_the_columns_of_ps_axj_for_every_process() {
    let world = World::with(|world| {
        world.service("web").run("sleep 1000 &\nexec sleep 2000");
    });
    world.wait_state("web", &["up", "ready"]);
    let pid = world.pid("web");
    let rows = common::wait_for("two rows", || {
        let said = world.ok(&["ps", "web"]);
        (said.matches("sleep").count() >= 2).then_some(said)
    });
    let own = rows.lines().find(|line| line.contains("sleep 2000")).unwrap();
    let facts = facts(pid).unwrap();
    let columns: Vec<&str> = own.split_whitespace().collect();
    for number in [facts.ppid, facts.pid, facts.pgid, facts.sid, facts.tpgid] {
        assert!(columns.contains(&number.to_string().as_str()), "{number} is missing in {own:?}");
    }
    assert!(columns.contains(&"?"), "{own:?}");
}

#[test]
fn why_tells_the_last_transitions_and_who_asked() {
    let world = two_sleepers();
    let old = world.pid("web");
    kill_9(old);
    world.wait_other_pid("web", old);
    world.ok(&["down", "web"]);
    let why = world.ok(&["why", "web"]);
    let uid = format!("uid {}", nix::unistd::getuid());
    for word in ["KILL", "down", uid.as_str()] {
        assert!(why.contains(word), "{word} is missing in: {why}");
    }
}

#[test]
fn wait_returns_when_the_service_has_come_to_rest() {
    let world = World::with(|world| {
        world
            .service("job")
            .file("down", "")
            .run("while ! [ -e go ]; do sleep 0.02; done; exit 0")
            .toml("type = \"oneshot\"");
    });
    world.ok(&["up", "--no-wait", "job"]);
    let mut waiting = world.command(&["wait", "job"]);
    let mut waiting =
        Running::spawn(waiting.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()));
    assert!(waiting.0.try_wait().unwrap().is_none());
    world.service("job").file("go", "");
    assert_eq!(waiting.end(), 0);
    assert_eq!(world.state("job"), "done");
}

#[test]
fn events_follow_transitions_as_json_lines() {
    let world = two_sleepers();
    let mut command = world.command(&["events", "--json"]);
    let mut events =
        Running::spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()));
    let mut lines = BufReader::new(events.0.stdout.take().unwrap()).lines();
    // The subscription is in place as soon as the next transition is seen: so transitions are made
    // until one arrives.
    let (first, rest) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        while let Some(Ok(line)) = lines.next() {
            if first.send(line).is_err() {
                break;
            }
        }
    });
    let line = common::wait_for("an event", || {
        world.ok(&["restart", "idle"]);
        rest.try_recv().ok()
    });
    let event: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(event["name"], "idle", "{event}");
    for key in ["at", "from", "to"] {
        assert!(event.get(key).is_some(), "{key} is missing in {event}");
    }
}

#[test]
fn help_is_there_for_every_command() {
    let world = World::new();
    let commands = [
        "supervise",
        "daemon",
        "init",
        "up",
        "down",
        "restart",
        "reload",
        "once",
        "pause",
        "cont",
        "signal",
        "status",
        "list",
        "logs",
        "wait",
        "check",
        "show",
        "pid",
        "why",
        "events",
        "ps",
        "rescan",
        "shutdown",
    ];
    let overview = world.ok(&["--help"]);
    for command in commands {
        assert!(overview.contains(command), "{command} is missing in svc --help");
        let help = world.ok(&[command, "--help"]);
        assert!(help.lines().count() > 3, "{command} --help is short: {help}");
    }
}

#[test]
fn colours_are_only_for_terminals() {
    let world = two_sleepers();
    assert!(!world.ok(&["status"]).contains('\x1b'));
    assert!(!world.ok(&["status", "web"]).contains('\x1b'));
}

#[test]
fn commands_that_read_by_themselves_find_the_directories_of_the_svc_that_runs() {
    let world = World::with(|world| {
        world.service("web").run("echo serving\nexec sleep 1000");
    });
    world.wait_log("web", "serving");
    let with_socket_only = |arguments: &[&str]| {
        let mut command = world.command(arguments);
        for key in ["SVC_DIR", "SVC_LOG_DIR", "SVC_STATE_DIR"] {
            command.env_remove(key);
        }
        common::said::run(&mut command).expect_code(0).out
    };
    assert!(with_socket_only(&["logs", "--no-prefix", "web"]).contains("serving"));
    assert!(with_socket_only(&["show", "web"]).starts_with("KEY "));
    assert_eq!(with_socket_only(&["check"]), "web: ok\n");
    // What is named counts, whoever runs.
    let elsewhere = world.root.join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let elsewhere = elsewhere.display().to_string();
    assert_eq!(with_socket_only(&["check", "--services", &elsewhere]), "");
}

//! Guardian and supervisor can be killed together: the next svc finds what still runs.

// A test ends by panicking; clippy allows that only inside of #[test] functions.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::killing::{
    WRITER, daemon, expect_each_once, expect_single, is_sleep, kill_both, kill_guardian, service,
};
use common::processes::{facts, kill_9, lives};
use common::{World, wait_until};

#[test]
fn each_line_is_logged_once_when_both_are_killed_and_svc_is_started_again() {
    let mut world = daemon(|world| {
        service(world, "writer", WRITER);
        service(world, "own", WRITER).script("log/run", "exec cat >>../lines");
    });
    let names = ["writer", "own", "own/log"];
    for name in names {
        world.wait_state(name, &["up", "ready"]);
    }
    let pids = names.map(|name| world.pid(name));
    for _ in 0..3 {
        kill_both(&mut world);
        // It writes on while there is nobody to read.
        common::let_pass(std::time::Duration::from_millis(100));
        world.start_daemon();
    }
    assert_eq!(names.map(|name| world.pid(name)), pids);
    expect_each_once(&world.wait_log("writer", "done"), Some(20_000));
    let own = world.services().join("own/lines");
    wait_until("all lines", || std::fs::read_to_string(&own).is_ok_and(|text| text.ends_with("done\n")));
    expect_each_once(&std::fs::read_to_string(&own).unwrap(), Some(20_000));
    expect_single(&world, &["writer", "own"]);
}

fn with_wishes(world: &World) {
    for name in ["up", "down", "once", "paused", "plain"] {
        service(world, name, "exec sleep 1000");
    }
    world.service("up").file("down", "");
    world.service("once").file("down", "");
}

fn wish(world: &World) {
    world.ok(&["up", "up"]);
    world.ok(&["down", "down"]);
    world.ok(&["once", "once"]);
    world.wait_state("paused", &["up", "ready"]);
    world.ok(&["pause", "paused"]);
    world.wait_state("plain", &["up", "ready"]);
}

#[track_caller]
fn expect_wishes(world: &World, pids: &[(&str, i32)]) {
    for (name, pid) in pids {
        assert_eq!(world.pid(name), *pid, "{name}");
    }
    assert_eq!(world.state("down"), "down");
    assert_eq!(world.status("once")["wanted"], "once");
    assert_eq!(world.status("up")["wanted"], "up");
    assert_eq!(world.status("paused")["paused"], true);
    assert_eq!(facts(world.pid("paused")).unwrap().state, 'T');
    expect_single(world, &["up", "down", "once", "paused", "plain"]);
}

#[test]
fn wishes_and_pids_survive_whatever_is_killed() {
    let mut world = daemon(with_wishes);
    wish(&world);
    let pids = ["up", "once", "paused", "plain"].map(|name| (name, world.pid(name)));
    kill_guardian(&mut world);
    expect_wishes(&world, &pids);
    for _ in 0..3 {
        kill_both(&mut world);
        world.start_daemon();
        expect_wishes(&world, &pids);
    }
    kill_9(world.pids().1);
    wait_until("an answer", || world.ping().is_some());
    expect_wishes(&world, &pids);
    world.ok(&["cont", "paused"]);
    wait_until("it to go on", || facts(world.pid("paused")).unwrap().state != 'T');
    // Once is up until its next end.
    kill_9(world.pid("once"));
    world.wait_state("once", &["down"]);
}

#[test]
fn a_service_that_ends_while_there_is_no_svc_is_started_again_by_the_next() {
    let mut world = daemon(|world| {
        service(world, "web", "exec sleep 1000");
        service(world, "tree", "(setsid sleep 1001 9<&- &)\nsleep 0.2; echo ready; exec sleep 1000");
    });
    world.ok(&["up", "web"]);
    world.wait_log("tree", "ready");
    let pids = ["web", "tree"].map(|name| world.pid(name));
    kill_both(&mut world);
    pids.into_iter().for_each(kill_9);
    world.start_daemon();
    for (name, pid) in ["web", "tree"].into_iter().zip(pids) {
        world.wait_other_pid(name, pid);
    }
    expect_single(&world, &["web", "tree"]);
    world.ok(&["down", "--all"]);
    let left: Vec<i32> = world.processes().into_iter().filter(|pid| is_sleep(*pid)).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn services_are_found_without_the_record_too() {
    let mut world = daemon(|world| {
        service(world, "web", "n=0; while :; do n=$((n+1)); echo line $n; sleep 0.01; done");
    });
    world.wait_log("web", "line 3");
    let pid = world.pid("web");
    let record = world.root.join("run/record");
    for spoil in 0..3 {
        kill_both(&mut world);
        match spoil {
            0 => std::fs::remove_file(&record).unwrap(),
            1 => std::fs::write(&record, "rubbish").unwrap(),
            _ => {
                let bytes = std::fs::read(&record).unwrap();
                std::fs::write(&record, &bytes[..bytes.len() / 2]).unwrap();
            }
        }
        world.svc(&["daemon", "--log-file", "said"]).expect_code(0);
        let guardian = world.pids().0;
        world.guardian_is(guardian);
        assert_eq!(world.pid("web"), pid, "{spoil}");
    }
    assert!(world.root.join("run/record.bad").exists());
    let said = std::fs::read_to_string(world.root.join("said")).unwrap();
    assert_eq!(said.matches("cannot use all of").count(), 2, "{said}");
    let log = world.wait_log("web", "line 50");
    expect_each_once(&log[..=log.rfind('\n').unwrap()], None);
    expect_single(&world, &["web"]);
}

#[test]
fn of_two_that_are_started_at_once_one_takes_all_over() {
    let mut world = daemon(|world| {
        service(world, "web", "exec sleep 1000");
    });
    world.ok(&["up", "web"]);
    let pid = world.pid("web");
    for _ in 0..5 {
        kill_both(&mut world);
        let mut starts: Vec<_> =
            (0..4).map(|_| common::said::Running::spawn(&mut world.command(&["daemon"]))).collect();
        let codes: Vec<i32> = starts.iter_mut().map(common::said::Running::end).collect();
        assert_eq!(codes.iter().filter(|code| **code == 0).count(), 1, "{codes:?}");
        let guardian = world.pids().0;
        world.guardian_is(guardian);
        assert_eq!(world.pid("web"), pid);
    }
    expect_single(&world, &["web"]);
}

#[test]
fn the_services_of_another_folder_are_not_stopped_but_named() {
    let mut world = daemon(|world| {
        service(world, "web", "exec sleep 1000");
    });
    world.ok(&["up", "web"]);
    let pid = world.pid("web");
    kill_both(&mut world);
    let other = world.root.join("other");
    std::fs::create_dir(&other).unwrap();
    let said = world.svc(&["daemon", other.to_str().unwrap()]).expect_code(111);
    said.expect_words(&["still run without their svc", &pid.to_string(), "svc daemon"]);
    assert!(lives(pid));
    world.start_daemon();
    assert_eq!(world.pid("web"), pid);
}

#[test]
fn an_orderly_end_leaves_nothing_to_go_on_with() {
    let mut world = daemon(with_wishes);
    wish(&world);
    world.ok(&["shutdown"]);
    assert!(!world.root.join("run/record").exists());
    world.start_daemon();
    world.wait_state("down", &["up", "ready"]);
    assert_eq!(world.state("up"), "down");
}

#[test]
fn wishes_end_with_the_boot() {
    if !common::needs_root() {
        return;
    }
    let mut world = World::new();
    with_wishes(&world);
    // A process namespace of its own is a boot of its own.
    let svc = common::svc_binary().display().to_string();
    let script = format!("{svc} daemon && {svc} down down && {svc} up up && echo done >done");
    let mut command = std::process::Command::new("unshare");
    command.args(["--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", &script]);
    let inner = world.command(&[]);
    command.env_clear().current_dir(&world.root);
    command.envs(inner.get_envs().filter_map(|(key, value)| Some((key, value?))));
    common::said::run(&mut command).expect_code(0);
    world.wait_file("done");
    wait_until("its end", || world.ping().is_none());
    assert!(world.root.join("run/record").exists());
    world.start_daemon();
    world.wait_state("down", &["up", "ready"]);
    assert_eq!(world.state("up"), "down");
    assert!(!world.ok(&["status"]).contains("adopted"));
}

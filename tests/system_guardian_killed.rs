//! The guardian can be killed: the services do not notice, and the next one follows them.

// A test ends by panicking; clippy allows that only inside of #[test] functions.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::time::Duration;

use common::killing::{
    WRITER, daemon, expect_each_once, expect_single, is_sleep, kill_guardian, service, start_reaped_daemon,
    wait_successor,
};
use common::processes::{facts, kill_9, lives, signal};
use common::{World, let_pass, wait_at_once, wait_until};
use nix::sys::signal::Signal;
use serde_json::json;

#[test]
fn services_keep_their_pids_when_the_guardian_is_killed_ten_times() {
    let mut world = daemon(|world| {
        for number in 0..5 {
            service(world, &format!("s{number}"), "exec sleep 1000");
        }
    });
    world.ok(&["up", "--all"]);
    let names = ["s0", "s1", "s2", "s3", "s4"];
    let before = names.map(|name| facts(world.pid(name)).unwrap());
    for _ in 0..10 {
        kill_guardian(&mut world);
    }
    for (name, before) in names.iter().zip(before) {
        let after = facts(world.pid(name)).unwrap();
        assert_eq!((after.pid, after.start), (before.pid, before.start));
    }
    expect_single(&world, &names);
    world.svc(&["status"]).expect_words(&["guardian before this one", "5 running services were adopted"]);
    world.svc(&["why", "s0"]).expect_words(&["guardian", "adopted by the next one as it was"]);
    // A second one finds the place taken.
    world.svc(&["daemon"]).expect_code(111).expect_words(&["supervised already"]);
}

/// The parent of orphans reaps them at once here, as an init does.
#[test]
fn the_end_of_an_adopted_service_is_told_truly_where_the_kernel_knows() {
    let mut world = World::new();
    service(&world, "web", "trap 'exit 7' USR1; echo ready; while :; do sleep 0.01; done");
    let mut init = start_reaped_daemon(&mut world);
    world.wait_log("web", "ready");
    let pid = world.pid("web");
    kill_guardian(&mut world);
    world.svc(&["why", "web"]).expect_words(&["guardian killed by KILL"]);
    assert_eq!(world.pid("web"), pid);
    signal(pid, Signal::SIGUSR1);
    world.wait_other_pid("web", pid);
    let status = world.status("web");
    assert_eq!((&status["restarts"], &status["last_exit"]), (&1.into(), &json!({"code": 7})), "{status}");
    expect_single(&world, &["web"]);
    signal(init.pid(), Signal::SIGTERM);
    init.end();
}

#[test]
fn an_adopted_service_that_dies_is_started_again_also_when_nobody_knows_how_it_ended() {
    let mut world = daemon(|world| {
        service(world, "web", "exec sleep 1000");
        service(world, "never", "exec sleep 1000").toml("restart = \"on-failure\"");
    });
    world.ok(&["up", "--all"]);
    kill_guardian(&mut world);
    for name in ["web", "never"] {
        let pid = world.pid(name);
        kill_9(pid);
        world.wait_other_pid(name, pid);
        assert_eq!(world.status(name)["restarts"], 1);
    }
    expect_single(&world, &["web", "never"]);
}

#[test]
fn a_service_that_crashes_all_the_time_goes_on_doing_so_in_one_copy() {
    let mut world = daemon(|world| {
        service(world, "crasher", "sleep 0.02; exit 3")
            .toml("restart-delay = \"5ms\"\nrestart-delay-max = \"20ms\"");
        service(world, "standing", "sleep 0.05").toml("restart-reset = \"1ms\"");
    });
    for _ in 0..10 {
        let before = world.status("crasher")["restarts"].as_u64().unwrap();
        kill_guardian(&mut world);
        wait_until("more restarts", || world.status("crasher")["restarts"].as_u64().unwrap() > before);
    }
    expect_single(&world, &["crasher", "standing"]);
    world.ok(&["down", "--all"]);
    assert!(world.pids().0 == world.guardian());
}

#[test]
fn the_orphans_of_an_adopted_service_are_found_and_end_with_it() {
    let mut world = daemon(|world| {
        service(
            world,
            "web",
            "(setsid sleep 1001 9<&- &)\n(sleep 1002 9<&- &)\nsleep 0.2; echo ready\nexec sleep 1000",
        );
    });
    world.wait_log("web", "ready");
    let pid = world.pid("web");
    kill_guardian(&mut world);
    let listed = world.ok(&["ps", "web"]);
    for word in ["sleep 1000", "sleep 1001", "sleep 1002"] {
        assert!(listed.contains(word), "{word} is missing in {listed}");
    }
    // The next copy waits for the end of all that is left of the one before.
    kill_9(pid);
    world.wait_other_pid("web", pid);
    expect_single(&world, &["web"]);
    world.ok(&["down", "web"]);
    let left: Vec<i32> = world.processes().into_iter().filter(|pid| is_sleep(*pid)).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_stop_in_progress_goes_on_under_the_next_guardian() {
    let mut world = daemon(|world| {
        service(world, "deaf", "trap '' TERM; echo ready; while :; do sleep 0.1; done")
            .toml("stop = [\"TERM\", \"1s\", \"KILL\"]");
        service(
            world,
            "kind",
            "trap 'sleep 0.3; echo told; exit 0' TERM; echo ready; while :; do sleep 0.01; done",
        )
        .toml("stop = [\"TERM\", \"1h\", \"KILL\"]");
    });
    for name in ["deaf", "kind"] {
        world.wait_log(name, "ready");
    }
    world.ok(&["down", "--no-wait", "deaf", "kind"]);
    kill_guardian(&mut world);
    for name in ["deaf", "kind"] {
        world.wait_state(name, &["down"]);
    }
    world.wait_log("kind", "told");
    expect_single(&world, &["deaf", "kind"]);
}

#[test]
fn a_command_in_flight_ends_right_when_the_guardian_is_killed() {
    let mut world = daemon(|world| {
        service(world, "slow", "trap 'sleep 1; exit 0' TERM; echo ready; while :; do sleep 0.01; done");
        service(world, "writer", "n=0; while :; do n=$((n+1)); echo line $n; sleep 0.01; done");
    });
    world.wait_log("slow", "ready");
    let mut down = world.command(&["down", "slow"]);
    let mut down = common::said::Running::spawn(&mut down);
    let followed = world.root.join("followed");
    let mut logs = world.command(&["logs", "-f", "-n", "0", "writer"]);
    logs.stdout(std::fs::File::create(&followed).unwrap());
    let logs = common::said::Running::spawn(&mut logs);
    world.wait_state("slow", &["stopping"]);
    wait_until("a line", || !std::fs::read(&followed).unwrap().is_empty());
    kill_guardian(&mut world);
    assert_eq!(down.end(), 0);
    assert_eq!(world.state("slow"), "down");
    let seen = std::fs::read(&followed).unwrap().len();
    wait_until("more lines", || std::fs::read(&followed).unwrap().len() > seen + 1000);
    drop(logs);
    let text = std::fs::read_to_string(&followed).unwrap();
    expect_each_once(&text[..=text.rfind('\n').unwrap()], None);
}

#[test]
fn each_line_is_logged_once_when_the_guardian_is_killed_ten_times() {
    let mut world = daemon(|world| {
        service(world, "writer", WRITER);
        service(world, "own", WRITER).script("log/run", "exec cat >>../lines");
    });
    for _ in 0..10 {
        kill_guardian(&mut world);
    }
    let log = world.wait_log("writer", "done");
    expect_each_once(&log, Some(20_000));
    let own = world.services().join("own/lines");
    wait_until("all lines", || std::fs::read_to_string(&own).is_ok_and(|text| text.ends_with("done\n")));
    expect_each_once(&std::fs::read_to_string(&own).unwrap(), Some(20_000));
    expect_single(&world, &["writer", "own"]);
}

#[test]
fn in_a_terminal_the_services_live_on_as_well() {
    let mut world = World::with(|world| {
        service(world, "web", "exec sleep 1000");
    });
    world.ok(&["up", "web"]);
    let pid = world.pid("web");
    kill_guardian(&mut world);
    assert_eq!(world.pid("web"), pid);
    let status = common::processes::status_line(world.guardian(), "SigBlk");
    assert_ne!(status, "0000000000000000");
}

#[test]
fn a_full_runtime_directory_is_told_and_survived() {
    if !common::needs_root() {
        return;
    }
    let mut world = World::new();
    let names: Vec<String> = (0..20).map(|number| format!("s{number}")).collect();
    for name in &names {
        service(&world, name, "exec sleep 1000");
    }
    let run = world.root.join("run");
    let mount = |arguments: &[&str]| {
        common::said::run(std::process::Command::new(arguments[0]).args(&arguments[1..])).expect_code(0)
    };
    mount(&["mount", "-t", "tmpfs", "-o", "size=16k", "svc-test", run.to_str().unwrap()]);
    world.svc(&["daemon", "--log-file", "said"]).expect_code(0);
    let guardian = world.pids().0;
    world.guardian_is(guardian);
    world.ok(&["up", "--all"]);
    let pids: Vec<i32> = names.iter().map(|name| world.pid(name)).collect();
    for name in &names {
        world.ok(&["restart", name]);
        world.ok(&["restart", name]);
    }
    let said = std::fs::read_to_string(world.root.join("said")).unwrap();
    let told = said.contains("cannot write") && said.contains("No space left on device");
    kill_guardian(&mut world);
    for (name, before) in names.iter().zip(&pids) {
        world.wait_state(name, &["up", "ready"]);
        assert_ne!(world.pid(name), *before);
    }
    for name in &names {
        expect_single(&world, &[name]);
    }
    world.end();
    mount(&["umount", run.to_str().unwrap()]);
    assert!(told, "{said}");
}

#[test]
fn the_daemon_is_the_last_to_be_killed_for_lack_of_memory_and_its_services_are_not() {
    let set = common::said::run(
        std::process::Command::new("bash").args(["-c", "echo -1000 >/proc/self/oom_score_adj"]),
    );
    if set.code != 0 {
        eprintln!("SKIPPED: this needs the right to lower an OOM score (CAP_SYS_RESOURCE)");
        return;
    }
    let score = |pid: i32| std::fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap();
    let mut world = daemon(|world| {
        service(world, "web", "exec sleep 1000");
        service(world, "own", "exec sleep 1000").toml("oom-score-adjust = 77");
    });
    world.ok(&["up", "--all"]);
    let given = score(std::process::id() as i32);
    for _ in 0..2 {
        let (guardian, supervisor) = world.pids();
        assert_eq!((score(guardian), score(supervisor)), ("-1000\n".to_owned(), "-1000\n".to_owned()));
        world.ok(&["restart", "--all"]);
        assert_eq!(score(world.pid("web")), given);
        assert_eq!(score(world.pid("own")), "77\n");
        kill_guardian(&mut world);
    }
}

#[test]
fn a_guardian_killed_while_a_supervisor_takes_over_is_succeeded_by_that_one() {
    let mut world = daemon(|world| {
        service(world, "web", "exec sleep 1000");
        service(world, "once", "exec sleep 1000");
    });
    world.ok(&["once", "once"]);
    world.ok(&["up", "web"]);
    let pids = ["web", "once"].map(|name| world.pid(name));
    for round in 0..30 {
        let (guardian, supervisor) = world.pids();
        kill_9(supervisor);
        // As soon as it is there, and at another step each time.
        let children = format!("/proc/{guardian}/task/{guardian}/children");
        let next = wait_at_once("a supervisor", || {
            let text = std::fs::read_to_string(&children).ok()?;
            let newest = text.split_whitespace().last()?.parse().ok()?;
            (newest != supervisor && !pids.contains(&newest)).then_some(newest)
        });
        let_pass(Duration::from_micros(round * 150));
        signal(next, Signal::SIGSTOP);
        kill_9(guardian);
        signal(next, Signal::SIGCONT);
        wait_successor(&mut world, guardian);
        assert_eq!(["web", "once"].map(|name| world.pid(name)), pids);
        assert_eq!(world.status("once")["wanted"], "once");
    }
    expect_single(&world, &["web", "once"]);
}

#[test]
fn what_a_service_left_that_ended_with_the_guardian_goes_before_the_next_copy_starts() {
    let mut world = daemon(|world| {
        service(
            world,
            "web",
            "(setsid sleep 1001 &)\n(sleep 1002 &)\nsleep 0.2; echo ready\nexec sleep 1000",
        );
    });
    world.wait_log("web", "ready");
    let pid = world.pid("web");
    let (guardian, supervisor) = world.pids();
    // The exit has been reported, and the guardian is dead when the supervisor hears of it.
    signal(supervisor, Signal::SIGSTOP);
    kill_9(pid);
    wait_until("it to be reaped", || facts(pid).is_none());
    kill_9(guardian);
    wait_until("its end", || !lives(guardian));
    signal(supervisor, Signal::SIGCONT);
    wait_successor(&mut world, guardian);
    world.wait_other_pid("web", pid);
    expect_single(&world, &["web"]);
}

//! The supervisor can be killed at any moment: the services do not notice.

// A test ends by panicking; clippy allows that only inside of #[test] functions.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::processes::{facts, kill_9, lives};
use common::{World, wait_for, wait_until};

/// Kills the supervisor and waits for the next one; returns its pid.
fn kill_supervisor(world: &World) -> i32 {
    let (guardian, old) = world.pids();
    kill_9(old);
    wait_for("another supervisor", || {
        let pong = world.ping()?;
        assert_eq!(pong["guardian_pid"].as_i64(), Some(guardian.into()));
        pong["supervisor_pid"].as_i64().map(|pid| pid as i32).filter(|&pid| pid != old)
    })
}

#[test]
fn services_keep_their_pids_when_the_supervisor_is_killed() {
    let world = World::with(|world| {
        for number in 0..10 {
            world.service(&format!("s{number}")).run("exec sleep 1000");
        }
    });
    world.ok(&["up", "--all"]);
    let before: Vec<_> = (0..10).map(|number| facts(world.pid(&format!("s{number}"))).unwrap()).collect();
    for _ in 0..5 {
        kill_supervisor(&world);
    }
    let after: Vec<_> = (0..10).map(|number| facts(world.pid(&format!("s{number}"))).unwrap()).collect();
    assert!(before.iter().zip(&after).all(|(b, a)| (b.pid, b.start, b.ppid) == (a.pid, a.start, a.ppid)));
    let overview = world.overview();
    assert_eq!(overview["supervisor"]["started"].as_i64(), Some(6), "{overview}");
}

#[test]
fn a_service_that_was_down_stays_down_under_the_next_supervisor() {
    let world = World::with(|world| {
        world.service("web").run("exec sleep 1000");
        world.service("other").file("down", "").run("exec sleep 1000");
    });
    world.wait_state("web", &["up", "ready"]);
    world.ok(&["down", "web"]);
    world.ok(&["up", "other"]);
    kill_supervisor(&world);
    assert_eq!(world.state("web"), "down");
    assert_eq!(world.state("other"), "up");
}

#[test]
fn a_service_that_dies_while_there_is_no_supervisor_is_started_again() {
    let world = World::with(|world| {
        world.service("standing").run("exec sleep 1000").toml("restart-reset = \"1ms\"");
        world.service("delayed").run("exec sleep 1000");
    });
    world.ok(&["up", "--all"]);
    let old = [world.pid("standing"), world.pid("delayed")];
    let (_, supervisor) = world.pids();
    kill_9(supervisor);
    old.into_iter().for_each(kill_9);
    for (name, pid) in ["standing", "delayed"].into_iter().zip(old) {
        world.wait_other_pid(name, pid);
        assert!(!lives(pid));
        assert_eq!(world.status(name)["restarts"], 1);
    }
}

#[test]
fn a_stop_in_progress_is_ended_by_the_next_supervisor() {
    let world = World::with(|world| {
        world
            .service("deaf")
            .run("trap '' TERM\necho deaf\nwhile :; do sleep 1; done")
            .toml("stop = [\"TERM\", \"1s\", \"KILL\"]");
    });
    world.wait_log("deaf", "deaf");
    let pid = world.pid("deaf");
    world.ok(&["down", "--no-wait", "deaf"]);
    kill_supervisor(&world);
    world.wait_state("deaf", &["down"]);
    assert!(!lives(pid));
}

#[test]
fn back_off_and_its_count_survive_the_supervisor() {
    let world = World::with(|world| {
        world.service("crasher").run("exit 1").toml("restart-delay = \"1h\"\nrestart-delay-max = \"1h\"");
    });
    let before = world.wait_state("crasher", &["backoff"]);
    kill_supervisor(&world);
    let after = world.status("crasher");
    assert_eq!((&after["state"], &after["restarts"]), (&before["state"], &before["restarts"]), "{after}");
    assert!(after["next_start"].is_string());
}

#[test]
fn a_supervisor_that_dies_all_the_time_leaves_the_services_alone() {
    let world = World::with(|world| {
        world.service("web").run("exec sleep 1000");
    });
    world.wait_state("web", &["up", "ready"]);
    let web = world.pid("web");
    let guardian = world.guardian();
    for _ in 0..10 {
        let supervisor = wait_for("a supervisor process", || {
            common::processes::children_of(guardian)
                .into_iter()
                .find(|child| child.pid != web && child.state != 'Z')
                .map(|child| child.pid)
        });
        kill_9(supervisor);
        wait_until("it to be reaped", || facts(supervisor).is_none());
    }
    wait_until("an answer", || world.ping().is_some());
    assert_eq!(world.pid("web"), web);
}

#[test]
fn a_directory_removed_while_there_is_no_supervisor_is_stopped_by_the_next() {
    let world = World::with(|world| {
        world.service("web").run("exec sleep 1000");
    });
    world.wait_state("web", &["up", "ready"]);
    let web = world.pid("web");
    let (_, supervisor) = world.pids();
    kill_9(supervisor);
    std::fs::remove_dir_all(world.services().join("web")).unwrap();
    wait_until("web to be stopped", || !lives(web));
}

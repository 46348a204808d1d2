//! A program that ends is started again, later and later, unless it was told otherwise.

// A test ends by panicking; clippy allows that only inside of #[test] functions.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::processes::{children_of, kill_9, lives};
use common::{World, wait_for, wait_until};

#[test]
fn a_killed_service_is_started_again() {
    let world = World::with(|world| {
        world.service("web").run("exec sleep 1000");
    });
    world.wait_state("web", &["up", "ready"]);
    let old = world.pid("web");
    kill_9(old);
    let new = world.wait_other_pid("web", old);
    assert!(lives(new) && !lives(old));
    let status = world.status("web");
    assert_eq!(status["restarts"], 1, "{status}");
    assert!(status["last_exit"].to_string().contains('9'), "{status}");
}

#[test]
fn a_crasher_backs_off_and_its_delay_is_shown() {
    let world = World::with(|world| {
        world.service("crasher").run("exit 3").toml("restart-delay = \"20s\"\nrestart-delay-max = \"20s\"");
    });
    let status = world.wait_state("crasher", &["backoff"]);
    assert!(status["next_start"].is_string(), "{status}");
    assert_eq!(status["last_exit"]["code"], 3, "{status}");
    let said = world.svc(&["status", "crasher"]);
    assert!(said.out.contains("backoff"), "{said:?}");
    // A request does not wait for the delay.
    world.svc(&["up", "crasher"]).expect_code(1);
}

#[test]
fn the_delay_grows_with_every_death() {
    let world = World::with(|world| {
        world.service("crasher").run("exit 1");
    });
    wait_until("five restarts", || world.status("crasher")["restarts"].as_u64() >= Some(5));
    let status = wait_for("a back-off of more than a second", || {
        let status = world.status("crasher");
        (status["next_start_seconds"].as_f64()? > 1.0).then_some(status)
    });
    assert_eq!(status["state"], "backoff", "{status}");
}

#[test]
fn a_service_long_enough_up_is_started_again_at_once() {
    let world = World::with(|world| {
        world
            .service("web")
            .run("exec sleep 1000")
            .toml("restart-reset = \"1ms\"\nrestart-delay = \"1h\"\nrestart-delay-max = \"1h\"");
    });
    world.wait_state("web", &["up", "ready"]);
    for _ in 0..10 {
        let old = world.pid("web");
        kill_9(old);
        world.wait_other_pid("web", old);
    }
}

#[test]
fn a_service_that_gives_up_has_failed_and_stays_so_until_asked() {
    let world = World::with(|world| {
        world.service("crasher").run("exit 1").toml("restart-delay = \"1ms\"\ngive-up = \"3 in 1m\"");
    });
    let status = world.wait_state("crasher", &["failed"]);
    assert!(status["reason"].is_string(), "{status}");
    assert!(status["pid"].is_null());
    let why = world.ok(&["why", "crasher"]);
    assert!(why.contains("failed"), "{why}");
    world.service("crasher").run("exec sleep 1000");
    world.ok(&["up", "crasher"]);
    assert_eq!(world.state("crasher"), "up");
}

#[test]
fn restart_rules_look_at_the_exit() {
    let world = World::with(|world| {
        for (name, restart, script) in [
            ("on-failure-fine", "on-failure", "exit 0"),
            ("on-failure-bad", "on-failure", "exit 1"),
            ("on-success-fine", "on-success", "exit 0"),
            ("on-success-bad", "on-success", "exit 1"),
            ("never-bad", "never", "exit 1"),
        ] {
            world
                .service(name)
                .run(script)
                .toml(&format!("restart = \"{restart}\"\nrestart-delay = \"1ms\""));
        }
        world.service("code-3-is-fine").run("exit 3").toml("restart = \"on-failure\"\nsuccess-codes = [3]");
    });
    for again in ["on-failure-bad", "on-success-fine"] {
        wait_until(again, || world.status(again)["restarts"].as_u64() >= Some(2));
    }
    for over in ["on-failure-fine", "on-success-bad", "never-bad", "code-3-is-fine"] {
        let status = world.wait_state(over, &["down", "done", "failed"]);
        assert_eq!(status["restarts"], 0, "{over}: {status}");
    }
}

#[test]
fn a_oneshot_that_succeeds_is_done_and_not_started_again() {
    let world = World::with(|world| {
        world.service("setup").run("echo ran >>ran").toml("type = \"oneshot\"");
    });
    let status = world.wait_state("setup", &["done"]);
    assert_eq!(status["last_exit"]["code"], 0, "{status}");
    assert_eq!(world.wait_file("services/setup/ran"), "ran\n");
    assert_eq!(world.svc(&["up", "setup"]).code, 0);
}

#[test]
fn a_finish_script_gets_code_signal_name_and_group() {
    let world = World::with(|world| {
        for (name, run) in [("coded", "exit 7"), ("killed", "kill -KILL $$")] {
            world
                .service(name)
                .run(run)
                .toml("restart-delay = \"1h\"\nrestart-delay-max = \"1h\"")
                .script("finish", "echo \"$1 $2 $3 $# $4\" >said.new && mv said.new said");
        }
    });
    let coded = world.wait_file("services/coded/said");
    assert!(coded.starts_with("7 0 coded 4 "), "{coded:?}");
    let killed = world.wait_file("services/killed/said");
    assert!(killed.starts_with("-1 9 killed 4 "), "{killed:?}");
    let group: i32 = killed.split_whitespace().nth(4).unwrap().parse().unwrap();
    assert!(group > 1);
}

#[test]
fn a_finish_that_exits_125_keeps_the_service_down() {
    let world = World::with(|world| {
        world.service("web").run("exit 1").toml("restart-delay = \"1ms\"").script("finish", "exit 125");
    });
    let status = world.wait_state("web", &["down", "failed"]);
    assert_eq!(status["restarts"], 0, "{status}");
    assert!(world.ok(&["why", "web"]).contains("125"));
}

#[test]
fn a_finish_that_hangs_is_killed() {
    let world = World::with(|world| {
        world
            .service("web")
            .run("exit 1")
            .toml("restart-delay = \"1ms\"\ntimeout-finish = \"50ms\"")
            .script("finish", "exec sleep 1000");
    });
    wait_until("two restarts", || world.status("web")["restarts"].as_u64() >= Some(2));
}

#[test]
fn a_restart_waits_until_the_rest_of_the_old_tree_is_gone() {
    // As nginx does: the workers live on and hold the port when the master alone is killed.
    let world = World::with(|world| {
        world
            .service("web")
            .run("sh -c 'trap \"\" TERM HUP; while :; do sleep 1; done' &\necho $! >worker\nexec sleep 1000");
    });
    world.wait_state("web", &["up", "ready"]);
    let worker: i32 = world.wait_file("services/web/worker").trim().parse().unwrap();
    let old = world.pid("web");
    kill_9(old);
    world.wait_other_pid("web", old);
    assert!(!lives(worker), "the worker of the killed master lives beside the new one");
}

#[test]
fn no_zombie_stays_with_the_guardian() {
    let world = World::with(|world| {
        world
            .service("litter")
            .run("for n in 1 2 3 4 5; do (sleep 0.01 & exec sleep 0.02) & done\nexec sleep 1000");
    });
    world.wait_state("litter", &["up", "ready"]);
    wait_until("the orphans to be reaped", || {
        let children = children_of(world.guardian());
        children.iter().all(|child| child.state != 'Z') && children.len() <= 2
    });
}

#[test]
fn once_runs_until_its_next_end_and_not_again() {
    let world = World::with(|world| {
        world.service("job").file("down", "").run("echo ran >>ran; exec sleep 1000");
    });
    world.ok(&["once", "job"]);
    let pid = world.pid("job");
    kill_9(pid);
    let status = world.wait_state("job", &["down", "failed", "done"]);
    assert_eq!(status["restarts"], 0, "{status}");
    assert_eq!(world.wait_file("services/job/ran"), "ran\n");
}

//! `down` means empty: a stop walks its schedule and reaches the whole tree.

// A test ends by panicking; clippy allows that only inside of #[test] functions.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::processes::{self, in_session, lives};
use common::{World, wait_until};

#[test]
fn one_that_ignores_term_is_killed_when_its_time_is_over() {
    let world = World::with(|world| {
        world
            .service("deaf")
            .run("trap '' TERM\necho deaf\nwhile :; do sleep 1; done")
            .toml("stop = [\"TERM\", \"200ms\", \"KILL\"]");
    });
    world.wait_log("deaf", "deaf");
    let pid = world.pid("deaf");
    world.ok(&["down", "deaf"]);
    assert!(in_session(pid).is_empty());
    let status = world.status("deaf");
    assert_eq!(status["state"], "down");
    let why = world.ok(&["why", "deaf"]);
    assert!(why.contains("asked to stop") && why.contains("sent KILL"), "{why}");
}

#[test]
fn every_signal_of_the_schedule_is_tried_in_order() {
    let world = World::with(|world| {
        world
            .service("picky")
            .run("trap 'echo got HUP' HUP\ntrap 'echo got INT' INT\ntrap 'echo got QUIT; exit 0' QUIT\necho ready to hear\nwhile :; do sleep 0.02; done")
            .toml("stop = [\"HUP\", \"300ms\", \"INT\", \"300ms\", \"QUIT\", \"20s\", \"KILL\"]");
    });
    world.wait_log("picky", "ready to hear");
    world.ok(&["down", "picky"]);
    let log = world.wait_log("picky", "got QUIT");
    let at = |word: &str| log.find(word).unwrap_or_else(|| panic!("{word} is missing in {log}"));
    assert!(at("got HUP") < at("got INT") && at("got INT") < at("got QUIT"));
}

#[test]
fn a_stopped_process_hears_the_stop_too() {
    let world = World::with(|world| {
        world.service("web").run("exec sleep 1000");
    });
    world.wait_state("web", &["up", "ready"]);
    world.ok(&["pause", "web"]);
    let status = world.status("web");
    assert_eq!(status["paused"], true, "{status}");
    world.ok(&["down", "web"]);
}

#[test]
fn children_in_the_group_and_in_sessions_of_their_own_go_too() {
    let world = World::with(|world| {
        world.service("tree").run(
            "sleep 1000 & echo $! >child\nsetsid sleep 1000 & \n(setsid sh -c 'echo $$ >runaway; exec sleep 1000' &)\nexec sleep 1000",
        );
    });
    let child: i32 = world.wait_file("services/tree/child").trim().parse().unwrap();
    let runaway: i32 = world.wait_file("services/tree/runaway").trim().parse().unwrap();
    let main = world.pid("tree");
    assert!(lives(child) && lives(runaway) && lives(main));
    world.ok(&["down", "tree"]);
    for pid in [child, runaway, main] {
        assert!(!lives(pid), "{pid} survived the stop");
    }
}

#[test]
fn a_double_forker_that_ignores_term_goes_with_the_tree() {
    let world = World::with(|world| {
        world
            .service("forker")
            .run("(setsid sh -c '(trap \"\" TERM HUP; echo $$ >../../grandchild; while :; do sleep 1; done) &' &)\nexec sleep 1000")
            .toml("stop = [\"TERM\", \"300ms\", \"KILL\"]");
    });
    world.wait_file("grandchild");
    world.ok(&["down", "forker"]);
    wait_until("nothing of the tree to be left", || {
        world
            .processes()
            .into_iter()
            .filter(|&pid| processes::working_directory(pid).is_some_and(|cwd| cwd.ends_with("forker")))
            .count()
            == 0
    });
}

#[test]
fn kill_main_leaves_the_rest_of_the_tree_to_the_program() {
    let world = World::with(|world| {
        world
            .service("web")
            .run("sh -c 'trap \"echo heard >../../heard; exit\" TERM; echo $$ >child; while :; do sleep 0.02; done' &\ntrap 'sleep 0.3; exit 0' TERM\nwhile :; do sleep 0.02; done")
            .toml("kill = \"main\"\nstop = [\"TERM\", \"10s\", \"KILL\"]");
    });
    world.wait_file("services/web/child");
    world.ok(&["down", "web"]);
    assert!(!world.root.join("heard").exists() || world.state("web") == "down");
}

#[test]
fn a_stopped_service_is_not_restarted() {
    let world = World::with(|world| {
        world.service("web").run("exec sleep 1000").toml("restart-reset = \"1ms\"");
    });
    world.wait_state("web", &["up", "ready"]);
    let pid = world.pid("web");
    world.ok(&["down", "web"]);
    assert!(!lives(pid));
    let status = world.status("web");
    assert_eq!((status["state"].as_str(), status["wanted"].as_str()), (Some("down"), Some("down")));
    assert!(status["pid"].is_null() && status["restarts"] == 0, "{status}");
}

#[test]
fn a_hundred_services_stop_together() {
    let world = World::with(|world| {
        for number in 0..100 {
            world.service(&format!("s{number}")).toml("command = [\"/bin/sleep\", \"1000\"]");
        }
    });
    world.ok(&["up", "--all"]);
    world.ok(&["down", "--all"]);
    let overview = world.overview();
    let services = overview["services"].as_array().unwrap();
    assert_eq!(services.len(), 100);
    assert!(services.iter().all(|service| service["state"] == "down"), "{overview}");
}

#[test]
fn a_shutdown_ends_everything_and_leaves_nobody() {
    let mut world = World::with(|world| {
        for number in 0..20 {
            world.service(&format!("s{number}")).run("sleep 1000 &\nexec sleep 1000");
        }
        world
            .service("deaf")
            .run("trap '' TERM\nwhile :; do sleep 1; done")
            .toml("stop = [\"TERM\", \"200ms\", \"KILL\"]");
    });
    for name in ["s0", "s19", "deaf"] {
        world.wait_state(name, &["up", "ready"]);
    }
    world.ok(&["shutdown"]);
    assert_eq!(world.wait_end(), 0);
    world.expect_nothing_left();
}

#[test]
fn a_second_interrupt_hurries_a_slow_shutdown() {
    let mut world = World::with(|world| {
        world
            .service("deaf")
            .run("trap '' TERM INT\necho deaf\nwhile :; do sleep 1; done")
            .toml("stop = [\"TERM\", \"1h\", \"KILL\"]");
    });
    world.wait_log("deaf", "deaf");
    let guardian = world.guardian();
    processes::signal(guardian, nix::sys::signal::Signal::SIGINT);
    world.wait_state("deaf", &["stopping"]);
    processes::signal(guardian, nix::sys::signal::Signal::SIGINT);
    world.wait_end();
    world.expect_nothing_left();
}

/// A process in a session of its own that tells which signal ended it.
const APART: &str = "setsid sh -c 'trap \"echo told to end >../../NAME; exit\" TERM; echo apart; while :; do sleep 0.05; done' &\n";

#[test]
fn a_shutdown_tells_those_too_who_left_the_group_of_the_main_process() {
    let mut world = World::with(|world| {
        let apart = APART.replace("NAME", "quick");
        world.service("quick").run(&format!("{apart}exec sleep 1000"));
        let apart = APART.replace("NAME", "slow");
        let patient =
            "trap 'patient=no' TERM\nwhile [ -z \"$patient\" ] || [ ! -e ../../slow ]; do sleep 0.05; done";
        world.service("slow").run(&format!("{apart}{patient}"));
    });
    world.wait_log("quick", "apart");
    world.wait_log("slow", "apart");
    world.ok(&["shutdown"]);
    assert_eq!(world.wait_end(), 0);
    for name in ["quick", "slow"] {
        let told = std::fs::read_to_string(world.services().join("..").join(name)).unwrap_or_default();
        assert_eq!(told, "told to end\n", "{name}");
    }
    world.expect_nothing_left();
}

//! Too little of everything: descriptors, room on disk, somebody who listens. Said, survived, and
//! nothing lost.

// A test ends by panicking; clippy allows that only inside of #[test] functions.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::process::Command;

use common::{World, wait_until};

/// `svc supervise` under a limit of the shell's `ulimit`.
fn limited(world: &mut World, limit: &str) {
    let svc = world.command(&["supervise"]);
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(format!("ulimit {limit}; exec \"$0\" supervise")).arg(svc.get_program());
    command.env_clear().current_dir(&world.root);
    command.envs(svc.get_envs().filter_map(|(key, value)| Some((key, value?))));
    world.start_with(&mut command);
}

/// As many run as fit; the others name what is missing, and start when there is room.
fn expect_as_many_as_fit(descriptors: u32, services: usize) {
    let mut world = World::new();
    for number in 0..services {
        world
            .service(&format!("s{number}"))
            .run("echo hello; exec sleep 1000")
            .toml("restart-delay = \"50ms\"\nrestart-delay-max = \"200ms\"");
    }
    limited(&mut world, &format!("-n {descriptors}"));
    let of_state = |state: &str| -> Vec<String> {
        let overview = world.overview();
        let all = overview["services"].as_array().unwrap().iter();
        let those = all.filter(|service| service["state"] == state);
        those.map(|service| service["name"].as_str().unwrap().to_owned()).collect()
    };
    wait_until("all to run or to wait", || {
        let (up, waiting) = (of_state("up").len(), of_state("backoff").len());
        up > 0 && waiting > 0 && up + waiting == services
    });
    let up = of_state("up");
    for name in of_state("backoff") {
        let status = world.status(&name);
        let reason = status["reason"].as_str().unwrap_or_default();
        assert!(reason.contains("cannot make its log pipe") && reason.contains("EMFILE"), "{status}");
        assert!(reason.contains("ulimit -n"), "{status}");
    }
    for name in &up {
        world.wait_log(name, "hello");
    }
    // The room of one that is no more is another's.
    let gone = &up[0];
    std::fs::remove_dir_all(world.services().join(gone)).unwrap();
    wait_until("another one to run", || of_state("up").iter().any(|name| !up.contains(name)));
    // Each refusal is said in one line, with the time of the next start.
    let printed = world.printed();
    let refusals = || printed.lines().filter(|line| line.contains("cannot make its log pipe"));
    assert!(refusals().count() > 0 && refusals().all(|line| line.contains("next start in")), "{printed}");
}

#[test]
fn with_30_descriptors_60_services_are_started_as_far_as_they_go_and_the_rest_is_told() {
    expect_as_many_as_fit(30, 60);
}

#[test]
fn with_64_descriptors_100_services_are_started_as_far_as_they_go_and_the_rest_is_told() {
    expect_as_many_as_fit(64, 100);
}

#[test]
fn lines_are_written_although_the_supervisor_has_few_descriptors() {
    let mut world = World::new();
    for number in 0..40 {
        world
            .service(&format!("s{number}"))
            .run("n=0; while [ $n -lt 300 ]; do n=$((n+1)); echo \"line $n of a text that fills a pipe at some time 0123456789 0123456789\"; done; echo ended > ../../ended.$(basename $PWD); exec sleep 1000");
    }
    limited(&mut world, "-n 64");
    let pids = world.pids();
    common::processes::kill_9(pids.1);
    wait_until("another supervisor", || {
        world.ping().is_some_and(|pong| pong["supervisor_pid"].as_i64() != Some(pids.1.into()))
    });
    // Those that were started write to the end: somebody reads every pipe.
    let overview = world.overview();
    for service in overview["services"].as_array().unwrap() {
        if service["state"] != "up" {
            continue;
        }
        let name = service["name"].as_str().unwrap();
        world.wait_file(&format!("ended.{name}"));
        world.wait_log(name, "line 300 of");
    }
}

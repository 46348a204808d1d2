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

#[test]
fn with_64_descriptors_100_services_are_started_as_far_as_they_go_and_the_rest_is_told() {
    let mut world = World::new();
    for number in 0..100 {
        world.service(&format!("s{number}")).run("echo hello; exec sleep 1000");
    }
    limited(&mut world, "-n 64");
    wait_until("some to run", || {
        let overview = world.overview();
        let services = overview["services"].as_array().unwrap();
        services.len() == 100 && services.iter().filter(|s| s["state"] == "up").count() >= 10
    });
    let overview = world.overview();
    let services = overview["services"].as_array().unwrap();
    // None is forgotten: it runs, or it is tried again and says why not.
    for service in services {
        let told =
            service["state"] == "up" || service["reason"].is_string() || service["state"] == "starting";
        assert!(told, "{service}");
    }
    // What runs is stopped to make room: then the others start by themselves.
    let up: Vec<String> = services
        .iter()
        .filter(|s| s["state"] == "up")
        .map(|s| s["name"].as_str().unwrap().to_owned())
        .collect();
    let mut words = vec!["down"];
    words.extend(up.iter().map(String::as_str));
    world.ok(&words);
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

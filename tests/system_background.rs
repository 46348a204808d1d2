//! Programs that put themselves into the background, and those that only look like it.

// A test ends by panicking; clippy allows that only inside of #[test] functions.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::processes::{facts, kill_9, lives};
use common::{World, needs_program};

#[test]
fn a_program_that_forks_into_the_background_is_noticed_and_the_way_out_is_told() {
    let world = World::with(|world| {
        world
            .service("forker")
            .run("sleep 1000 &\necho $! >left\nexit 0")
            .toml("restart-delay = \"1h\"\nrestart-delay-max = \"1h\"");
    });
    world.wait_file("services/forker/left");
    let status = common::wait_for("a reason", || {
        let status = world.status("forker");
        status["reason"].is_string().then_some(status)
    });
    let reason = status["reason"].as_str().unwrap().to_lowercase();
    assert!(reason.contains("background") || reason.contains("foreground"), "{status}");
    let said = world.svc(&["status", "forker"]);
    assert!(said.out.to_lowercase().contains("foreground"), "no advice: {}", said.out);
}

#[test]
fn daemonize_from_debian_is_followed_or_noticed_but_never_doubled() {
    if !needs_program("daemonize") {
        return;
    }
    let world = World::with(|world| {
        world.service("old").run("exec daemonize -c \"$PWD\" /bin/sleep 1000");
    });
    common::wait_until("something to be said", || {
        let status = world.status("old");
        status["reason"].is_string() || status["pid"].is_i64()
    });
    let sleepers = || {
        world.processes().into_iter().filter(|&pid| {
            common::processes::command_line(pid).first().is_some_and(|word| word.ends_with("sleep"))
        })
    };
    for _ in 0..20 {
        assert!(sleepers().count() <= 1, "two copies of one service");
        common::let_pass(std::time::Duration::from_millis(20));
    }
}

#[test]
fn a_run_that_ends_in_exec_setsid_is_followed() {
    // setsid(1) forks when it is called by a group leader, which every service is.
    let world = World::with(|world| {
        world.service("web").run("exec setsid sh -c 'echo $$ >main; exec sleep 1000'");
    });
    let main: i32 = world.wait_file("services/web/main").trim().parse().unwrap();
    common::wait_until("the new main process to be followed", || {
        world.status("web")["pid"].as_i64() == Some(main.into())
    });
    let status = world.status("web");
    assert!(["up", "ready"].contains(&status["state"].as_str().unwrap()), "{status}");
    assert_eq!(facts(main).unwrap().ppid, world.guardian());

    kill_9(main);
    // First setsid(1) itself is seen, then what it leaves.
    let next: i32 = common::wait_for("the next main process to be followed", || {
        let next: i32 = world.wait_file("services/web/main").trim().parse().ok()?;
        (next != main && world.status("web")["pid"].as_i64() == Some(next.into())).then_some(next)
    });
    assert!(lives(next) && !lives(main));
    world.ok(&["down", "web"]);
    assert!(!lives(next));
}

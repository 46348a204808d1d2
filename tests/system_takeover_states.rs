//! What a predecessor left in the middle goes on under the next supervisor: loggers, shutdowns,
//! folders that are away, exits that nobody saw.

// A test ends by panicking; clippy allows that only inside of #[test] functions.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fs;

use common::processes::{kill_9, lives, signal};
use common::{World, wait_for, wait_until};
use nix::sys::signal::Signal;

fn kill_supervisor(world: &World) {
    let (_, old) = world.pids();
    kill_9(old);
    wait_until("another supervisor", || {
        world.ping().is_some_and(|pong| pong["supervisor_pid"].as_i64() != Some(old.into()))
    });
}

#[test]
fn an_own_logger_remains_the_only_reader_after_a_take_over() {
    let world = World::with(|world| {
        let web = world.service("web");
        web.run(
            "n=0; while [ $n -lt 2000 ]; do n=$((n+1)); echo line $n; sleep 0.001; done; exec sleep 1000",
        );
        web.script("log/run", "exec cat >> ../../../web.lines");
    });
    world.wait_file("web.lines");
    for _ in 0..3 {
        kill_supervisor(&world);
    }
    let file = world.root.join("web.lines");
    wait_until("the last line", || fs::read_to_string(&file).unwrap().contains("line 2000\n"));
    let lines = fs::read_to_string(&file).unwrap();
    let expected: String = (1..=2000).map(|n| format!("line {n}\n")).collect();
    assert!(lines == expected, "{} lines of 2000", lines.lines().count());
}

#[test]
fn a_wish_to_end_that_comes_while_there_is_no_supervisor_ends_all_in_order() {
    for _ in 0..5 {
        let mut world = World::with(|world| {
            for number in 0..5 {
                world
                    .service(&format!("s{number}"))
                    .run("trap 'sleep 0.1; echo bye > ../../bye.$(basename $PWD); exit 0' TERM\necho set\nwhile :; do sleep 0.02; done");
            }
        });
        for number in 0..5 {
            world.wait_log(&format!("s{number}"), "set");
        }
        let (guardian, supervisor) = world.pids();
        kill_9(supervisor);
        signal(guardian, Signal::SIGTERM);
        assert_eq!(world.wait_end(), 0);
        for number in 0..5 {
            assert!(world.root.join(format!("bye.s{number}")).exists(), "s{number} was not asked to end");
        }
    }
}

#[test]
fn services_go_on_when_their_folder_is_away_while_a_supervisor_takes_over() {
    let world = World::with(|world| {
        for number in 0..3 {
            world.service(&format!("s{number}")).run("exec sleep 1000");
        }
    });
    world.ok(&["up", "--all"]);
    let pids: Vec<i32> = (0..3).map(|number| world.pid(&format!("s{number}"))).collect();
    let (folder, away) = (world.services(), world.root.join("away"));
    fs::rename(&folder, &away).unwrap();
    kill_supervisor(&world);
    assert_eq!((0..3).map(|number| world.pid(&format!("s{number}"))).collect::<Vec<_>>(), pids);
    fs::rename(&away, &folder).unwrap();
    world.service("fresh").run("exec sleep 1000");
    wait_until("the folder to be seen again", || world.svc(&["status", "fresh"]).code == 0);
    wait_until("the old ones to be known as they are", || world.status("s1")["enabled"] == true);
    assert_eq!((0..3).map(|number| world.pid(&format!("s{number}"))).collect::<Vec<_>>(), pids);
    let status = world.status("s1");
    assert_eq!(status["state"], "up", "{status}");
}

#[test]
fn a_folder_that_was_moved_away_and_made_anew_is_watched_again() {
    let world = World::with(|world| {
        world.service("old").run("exec sleep 1000");
    });
    world.ok(&["up", "old"]);
    let pid = world.pid("old");
    let (folder, away) = (world.services(), world.root.join("away"));
    fs::rename(&folder, &away).unwrap();
    wait_until("the loss to be said", || world.printed().contains("cannot be read"));
    assert!(lives(pid), "a folder that is away stops nothing");
    let anew = world.root.join("anew");
    common::ServiceDir::new(&anew, "old").run("exec sleep 1000");
    fs::rename(&anew, &folder).unwrap();
    world.service("fresh").run("echo here > ../../fresh; exec sleep 1000");
    world.wait_file("fresh");
    assert!(lives(pid));
    // Removed for good: that is a wish.
    fs::remove_dir_all(world.services().join("old")).unwrap();
    wait_until("old to be stopped", || !lives(pid));
}

#[test]
fn an_exit_that_nobody_saw_is_told_with_its_code() {
    let world = World::with(|world| {
        world
            .service("standing")
            .run("trap 'exit 42' USR1\necho set\nwhile :; do sleep 0.01; done")
            .toml("restart-reset = \"1ms\"");
    });
    world.wait_log("standing", "set");
    let pid = world.pid("standing");
    let (_, supervisor) = world.pids();
    kill_9(supervisor);
    signal(pid, Signal::SIGUSR1);
    world.wait_other_pid("standing", pid);
    let status = wait_for("the exit", || {
        let status = world.status("standing");
        (status["restarts"] == 1).then_some(status)
    });
    assert!(status["last_exit"].to_string().contains("42"), "{status}");
    let why = world.ok(&["why", "standing"]);
    assert!(why.contains("42"), "{why}");
}

#[test]
fn a_change_made_while_there_was_no_supervisor_is_shown_and_taken_at_the_next_start() {
    let world = World::with(|world| {
        world.service("web").run("echo old > ../../says; exec sleep 1000").toml("restart-reset = \"1ms\"");
    });
    world.ok(&["up", "web"]);
    let pid = world.pid("web");
    let (_, supervisor) = world.pids();
    kill_9(supervisor);
    world
        .service("web")
        .run("echo new > ../../says; exec sleep 1000")
        .toml("restart-reset = \"1ms\"\nnice = 3");
    wait_until("the change to be shown", || world.status("web")["changed"] == true);
    assert_eq!(world.pid("web"), pid);
    kill_9(pid);
    let next = world.wait_other_pid("web", pid);
    wait_until("the new text", || fs::read_to_string(world.root.join("says")).unwrap().contains("new"));
    wait_until("no change any more", || world.status("web")["changed"] == false);
    let stat = fs::read_to_string(format!("/proc/{next}/stat")).unwrap();
    let nice = stat.rsplit_once(") ").unwrap().1.split_whitespace().nth(16).unwrap().to_owned();
    assert_eq!(nice, "3", "started from the former definition");
}

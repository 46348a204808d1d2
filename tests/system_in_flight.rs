//! The supervisor is killed while a command waits for it: the command finds the next one and ends as if
//! nothing had been.

// A test ends by panicking; clippy allows that only inside of #[test] functions.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};

use common::processes::{facts, kill_9, lives};
use common::said::Running;
use common::{PATIENCE, ServiceDir, World, let_pass, wait_for, wait_until};

/// Kills the supervisor and waits until the next one answers.
fn kill_supervisor(world: &World) {
    let (_, old) = world.pids();
    kill_9(old);
    wait_for("another supervisor", || {
        world.ping()?["supervisor_pid"].as_i64().filter(|&pid| pid != i64::from(old))
    });
}

/// A command that goes on beside the test, and the lines that it prints.
fn beside(world: &World, words: &[&str]) -> (Running, Receiver<String>) {
    let mut command = world.command(words);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = Running::spawn(&mut command);
    let lines = lines_of(&mut running.0);
    (running, lines)
}

fn lines_of(child: &mut Child) -> Receiver<String> {
    let (sender, lines) = channel();
    let reader = BufReader::new(child.stdout.take().unwrap());
    std::thread::spawn(move || reader.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    lines
}

#[track_caller]
fn expect_line(lines: &Receiver<String>, text: &str) {
    loop {
        let line = lines.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("no {text:?}: {error}"));
        if line.contains(text) {
            return;
        }
    }
}

/// The command has asked and sleeps until there is an answer.
fn wait_until_asked(world: &World, running: &Running) {
    wait_until("the command to wait", || {
        facts(running.pid()).is_some_and(|facts| facts.state == 'S') && world.ping().is_some()
    });
}

#[test]
fn wait_ends_with_the_code_of_the_service_under_the_third_supervisor() {
    let world = World::with(|world| {
        world
            .service("job")
            .run("until [ -e ../../go ]; do sleep 0.05; done\nexit 7")
            .toml("restart = \"never\"");
    });
    world.wait_state("job", &["up"]);
    let (mut wait, lines) = beside(&world, &["wait", "job"]);
    for _ in 0..2 {
        wait_until_asked(&world, &wait);
        kill_supervisor(&world);
    }
    assert!(lives(wait.pid()), "it gave up");
    std::fs::write(world.root.join("go"), "").unwrap();
    assert_eq!(wait.end(), 7);
    expect_line(&lines, "exited 7");
}

#[test]
fn wait_learns_of_an_end_that_came_while_there_was_no_supervisor() {
    let world = World::with(|world| {
        world.service("job").run("exec sleep 1000").toml("restart = \"never\"");
    });
    let job = world.wait_state("job", &["up"])["pid"].as_i64().unwrap() as i32;
    let (mut wait, _lines) = beside(&world, &["wait", "job"]);
    wait_until_asked(&world, &wait);
    let (_, supervisor) = world.pids();
    kill_9(supervisor);
    kill_9(job);
    assert_eq!(wait.end(), 137);
}

#[test]
fn events_go_on_with_the_next_supervisor() {
    let world = World::with(|world| {
        world.service("web").run("exec sleep 1000");
    });
    world.wait_state("web", &["up"]);
    let (mut events, lines) = beside(&world, &["events"]);
    wait_until_asked(&world, &events);
    world.ok(&["restart", "web"]);
    expect_line(&lines, "stopping");
    for _ in 0..2 {
        kill_supervisor(&world);
        // It hears of the end a moment later, and asks anew.
        let mut err = BufReader::new(events.0.stderr.take().unwrap());
        let mut line = String::new();
        err.read_line(&mut line).unwrap();
        assert!(line.contains("the supervisor was started again"), "{line}");
        events.0.stderr = Some(err.into_inner());
        wait_for("an event", || {
            world.ok(&["restart", "web"]);
            lines.try_iter().find(|line| line.contains("stopping"))
        });
    }
    world.ok(&["shutdown"]);
    assert_eq!(events.end(), 111);
}

#[test]
fn followed_logs_do_not_notice_the_end_of_the_supervisor() {
    let world = World::with(|world| {
        world.service("web").run("n=0; while :; do n=$((n+1)); echo line $n.; sleep 0.02; done");
    });
    world.wait_log("web", "line 3.");
    let (logs, lines) = beside(&world, &["logs", "-f", "-n", "1", "web"]);
    let number =
        |line: &str| -> u64 { line.rsplit_once("line ").unwrap().1.trim_end_matches('.').parse().unwrap() };
    let mut last = number(&lines.recv_timeout(PATIENCE).unwrap());
    for _ in 0..2 {
        kill_supervisor(&world);
        for _ in 0..20 {
            let next = number(&lines.recv_timeout(PATIENCE).unwrap());
            assert_eq!(next, last + 1);
            last = next;
        }
    }
    assert!(lives(logs.pid()));
}

#[test]
fn all_logs_are_followed_also_those_of_services_that_come_later() {
    let mut world = World::new();
    std::fs::remove_dir(world.root.join("log")).unwrap();
    let (logs, lines) = beside(&world, &["logs", "-f"]);
    wait_until("it to wait", || facts(logs.pid()).is_some_and(|facts| facts.state == 'S'));
    world.service("first").run("echo one; exec sleep 1000");
    world.start();
    expect_line(&lines, "first | one");
    ServiceDir::appearing(&world.services(), "much-later", |service| {
        service.run("echo two; exec sleep 1000");
    });
    expect_line(&lines, "much-later | two");
    ServiceDir::appearing(&world.services(), "third", |service| {
        service.run("echo three; exec sleep 1000");
    });
    expect_line(&lines, "third      | three");
}

#[test]
fn questions_are_answered_whenever_the_supervisor_is_killed() {
    let world = World::with(|world| {
        world.service("web").run("exec sleep 1000");
    });
    world.wait_state("web", &["up"]);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                for words in [&["status"][..], &["list"], &["why", "web"], &["ps", "web"], &["pid", "web"]] {
                    world.svc(words).expect_code(0);
                }
            }
        });
        for _ in 0..5 {
            kill_supervisor(&world);
        }
        over.store(true, Ordering::Relaxed);
        asking.join().unwrap();
    });
}

#[test]
fn a_shutdown_goes_on_when_the_supervisor_is_killed_in_the_middle() {
    let mut world = World::with(|world| {
        world
            .service("slow")
            .run("trap 'echo asked; until [ -e ../../go ]; do sleep 0.05; done; exit 0' TERM\necho ready\nwhile :; do sleep 0.1; done")
            .toml("stop = [\"TERM\", \"30s\", \"KILL\"]");
    });
    world.wait_log("slow", "ready");
    let slow = world.pid("slow");
    let (mut shutdown, lines) = beside(&world, &["shutdown"]);
    world.wait_log("slow", "asked");
    kill_supervisor(&world);
    // It asks the next one, as somebody else may: that hurries nobody.
    world.ok(&["shutdown", "--no-wait"]);
    let_pass(std::time::Duration::from_millis(300));
    assert!(lives(shutdown.pid()) && lives(slow));
    std::fs::write(world.root.join("go"), "").unwrap();
    assert_eq!(shutdown.end(), 0);
    expect_line(&lines, "svc has ended");
    assert_eq!(world.wait_end(), 0);
    assert!(!lives(slow));
}

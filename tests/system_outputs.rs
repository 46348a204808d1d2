//! Standard descriptors that are closed, full or left by their reader: every command says what it can where it
//! can, ends with the right code, and svc itself goes on.

// A test ends by panicking; clippy allows that only inside of #[test] functions.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use common::said::{Running, Said, run};
use common::{World, wait_until};

/// Each command that prints something and ends by itself.
const PRINTING: [&str; 16] = [
    "status",
    "status web",
    "status --json",
    "list",
    "logs web",
    "logs",
    "check",
    "show web",
    "why web",
    "ps web",
    "pid web",
    "up web",
    "signal CONT web",
    "help up",
    "--help",
    "--version",
];

fn world() -> World {
    let world = World::with(|world| {
        world.service("web").run("echo hello; exec sleep 1000");
    });
    world.ok(&["up", "web"]);
    world.wait_log("web", "hello");
    world
}

/// `svc WORDS` with a redirection of the shell.
fn redirected(world: &World, words: &str, redirection: &str) -> Said {
    let svc = world.command(&[]);
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(format!("\"$0\" {words} {redirection}")).arg(svc.get_program());
    command.env_clear().current_dir(&world.root);
    command.envs(svc.get_envs().filter_map(|(key, value)| Some((key, value?))));
    run(&mut command)
}

#[test]
fn a_full_output_is_told_on_stderr_with_code_111() {
    let world = world();
    for words in PRINTING {
        let said = redirected(&world, words, ">/dev/full");
        assert_eq!(said.code, 111, "{words}: {said:?}");
        assert!(said.err.contains("cannot write the output: No space left on device"), "{words}: {said:?}");
        assert_eq!(said.err.lines().count(), 1, "{words}: {said:?}");
        assert_eq!(redirected(&world, words, ">/dev/full 2>/dev/full").code, 111, "{words}");
    }
}

#[test]
fn closed_descriptors_change_nothing_in_what_a_command_does() {
    let world = world();
    for words in PRINTING {
        let usual = redirected(&world, words, "");
        for closed in ["<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-"] {
            let said = redirected(&world, words, closed);
            assert_eq!(said.code, usual.code, "{words} {closed}: {said:?}");
            assert!(said.err.is_empty(), "{words} {closed}: {said:?}");
        }
    }
    for closed in [">&-", "2>&-", "<&- >&- 2>&-"] {
        assert_eq!(redirected(&world, "status nobody", closed).code, 4, "{closed}");
        assert_eq!(redirected(&world, "up", closed).code, 100, "{closed}");
        assert_eq!(redirected(&world, "down web", closed).code, 0, "{closed}");
        assert_eq!(world.state("web"), "down");
        assert_eq!(redirected(&world, "up web", closed).code, 0, "{closed}");
        assert_eq!(world.state("web"), "up");
    }
}

#[test]
fn a_reader_that_has_had_enough_ends_the_command_quietly() {
    let world = World::with(|world| {
        world.service("loud").run("while :; do echo line; sleep 0.01; done");
    });
    world.wait_log("loud", "line");
    let mut command = world.command(&["logs", "-f", "loud"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut logs = Running::spawn(&mut command);
    let mut first = String::new();
    BufReader::new(logs.0.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.contains("line"), "{first}");
    assert_eq!(logs.end(), 0);
    let mut err = String::new();
    logs.0.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!(err, "");
    for words in PRINTING {
        let said = redirected(&world, &words.replace("web", "loud"), "| true");
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{words}: {said:?}");
    }
}

#[test]
fn svc_lives_with_closed_full_and_left_outputs() {
    for redirection in ["<&- >&- 2>&-", ">/dev/full 2>/dev/full", ">/dev/full 2>&-"] {
        let mut world = World::new();
        world.service("web").run("echo hello; exec sleep 1000");
        let svc = world.command(&[]);
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(format!("exec \"$0\" supervise {redirection}")).arg(svc.get_program());
        command.env_clear().current_dir(&world.root);
        command.envs(svc.get_envs().filter_map(|(key, value)| Some((key, value?))));
        world.start_with(&mut command);
        live(&mut world);
        assert_eq!(world.end(), Some(0), "{redirection}");

        let mut world = World::new();
        world.service("web").run("echo hello; exec sleep 1000");
        let said = redirected(&world, "daemon", redirection);
        assert_eq!((said.code, said.all().as_str()), (0, ""), "{redirection}");
        world.wait_for_answer();
        live(&mut world);
        world.end();
        // It cannot say why it fails, and fails all the same.
        assert_eq!(redirected(&world, "daemon /nowhere", redirection).code, 111, "{redirection}");
        assert_eq!(redirected(&world, "supervise /nowhere", redirection).code, 111, "{redirection}");
    }
}

#[test]
fn svc_lives_on_when_who_read_its_words_has_gone() {
    let mut world = World::new();
    world.service("web").run("echo hello; exec sleep 1000");
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = world.command(&["supervise"]);
    command.stdin(Stdio::null()).stdout(writer.try_clone().unwrap()).stderr(writer);
    let child = command.spawn().unwrap();
    drop(command);
    drop(reader);
    world.adopt(child);
    live(&mut world);
    assert_eq!(world.end(), Some(0));
}

/// The service runs and is logged, also under the next supervisor, and descriptors 0 to 2 are something.
fn live(world: &mut World) {
    world.wait_state("web", &["up"]);
    world.wait_log("web", "hello");
    let web = world.pid("web");
    let (guardian, supervisor) = world.pids();
    common::processes::kill_9(supervisor);
    wait_until("another supervisor", || {
        world.ping().is_some_and(|pong| pong["supervisor_pid"] != supervisor)
    });
    assert_eq!(world.pid("web"), web);
    for pid in [guardian, world.pids().1, web] {
        let open = common::processes::descriptors(pid);
        assert!((0..3).all(|number| open.contains_key(&number)), "{pid}: {open:?}");
    }
    let mut start = [0; 8];
    let length = File::open(world.log_dir("web").join("current")).unwrap().read(&mut start).unwrap();
    assert!(length > 0);
}

//! `svc daemon`: every step of daemon(7), and none of the mistakes of the classic C code.

// A test ends by panicking; clippy allows that only inside of #[test] functions.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fs;
use std::process::Command;

use common::hostile::{Terminal, spoil_command};
use common::processes::{descriptors, facts, lives, signal_set, status_line, working_directory, zombies_of};
use common::{World, said, svc_binary, wait_until};

fn started_by_a_hostile_caller() -> World {
    let mut world = World::new();
    world.service("web").run("exec sleep 1000");
    let mut command = world.command(&["daemon"]);
    spoil_command(&mut command);
    said::run(&mut command).expect_code(0);
    world.wait_for_answer();
    world
}

/// A line of `ps -o ppid,pid,pgid,sid,tty,tpgid`.
fn ps(pid: i32) -> Vec<String> {
    let mut command = Command::new("ps");
    command.args(["-o", "ppid=,pid=,pgid=,sid=,tty=,tpgid=", "-p", &pid.to_string()]);
    said::run(&mut command).expect_code(0).out.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn ps_shows_a_daemon_without_terminal_that_is_no_session_leader() {
    let world = started_by_a_hostile_caller();
    let row = ps(world.guardian());
    let [_ppid, pid, _pgid, sid, tty, tpgid] = &row[..] else { panic!("{row:?}") };
    assert_eq!((tty.as_str(), tpgid.as_str()), ("?", "-1"), "{row:?}");
    assert_ne!(pid, sid, "a session leader could get a terminal again: {row:?}");
    let own = facts(std::process::id() as i32).unwrap();
    assert_ne!(*sid, own.sid.to_string(), "it is still in the session of its caller");
}

#[test]
fn no_descriptor_of_the_caller_is_kept_also_none_above_255() {
    let world = started_by_a_hostile_caller();
    let (guardian, supervisor) = world.pids();
    for pid in [guardian, supervisor] {
        let open = descriptors(pid);
        assert!(open.values().all(|target| target != "/etc/passwd"), "{open:?}");
        assert!(!open.contains_key(&251) && !open.contains_key(&300), "{open:?}");
    }
}

#[test]
fn descriptors_0_to_2_are_open_so_that_no_later_file_lands_on_them() {
    let world = started_by_a_hostile_caller();
    let (guardian, supervisor) = world.pids();
    for pid in [guardian, supervisor] {
        let open = descriptors(pid);
        assert_eq!(open[&0], "/dev/null", "{open:?}");
        for output in [1, 2] {
            let target = open.get(&output).unwrap_or_else(|| panic!("{output} is closed: {open:?}"));
            let is_log = target.starts_with(&world.root.display().to_string());
            assert!(target == "/dev/null" || is_log, "{output} leads to {target}");
        }
    }
}

#[test]
fn the_signal_mask_is_empty_and_no_ignored_signal_is_inherited() {
    let world = started_by_a_hostile_caller();
    let (guardian, supervisor) = world.pids();
    // HUP and USR2 were ignored by the caller; they must mean something or have their default.
    let bit = |signal: u64| 1 << (signal - 1);
    for pid in [guardian, supervisor] {
        let ignored = signal_set(pid, "SigIgn");
        assert_eq!(ignored & (bit(1) | bit(12)), 0, "HUP or USR2 is ignored: {ignored:x}");
        // TERM (15) and USR1 (10) were blocked by the caller; a signalfd may block them on purpose,
        // so what counts is that TERM arrives: see `a_daemon_ends_on_term_although_its_caller_blocked_it`.
        assert_eq!(ignored & bit(17), 0, "CHLD is ignored: {ignored:x}");
    }
}

#[test]
fn a_daemon_ends_on_term_although_its_caller_blocked_it() {
    let mut world = started_by_a_hostile_caller();
    world.wait_state("web", &["up", "ready"]);
    world.end();
    world.expect_nothing_left();
}

#[test]
fn the_working_directory_is_the_root_so_that_no_mount_point_is_pinned() {
    let world = started_by_a_hostile_caller();
    let (guardian, supervisor) = world.pids();
    for pid in [guardian, supervisor] {
        assert_eq!(working_directory(pid).unwrap().to_str(), Some("/"));
    }
}

#[test]
fn the_umask_is_neither_0_nor_what_the_caller_had() {
    let world = started_by_a_hostile_caller();
    assert_eq!(status_line(world.guardian(), "Umask"), "0022");
}

#[test]
fn the_parent_returns_only_when_the_socket_answers() {
    for _ in 0..10 {
        let mut world = World::new();
        world.service("web").run("exec sleep 1000");
        world.svc(&["daemon"]).expect_code(0);
        let pong = world.ping().expect("an answer at the first try");
        assert!(pong["guardian_pid"].is_i64(), "{pong}");
        world.wait_for_answer();
    }
}

#[test]
fn the_caller_gets_its_outputs_closed_and_is_not_kept_waiting() {
    // `out=$(svc daemon)` hangs for ever when the daemon keeps the pipe.
    let mut world = World::new();
    let mut command = Command::new("sh");
    command.args(["-c", "out=$(\"$0\" daemon 2>&1); echo returned $?"]).arg(svc_binary());
    command.env_clear().envs(world.command(&[]).get_envs().filter_map(|(key, value)| Some((key, value?))));
    said::run(&mut command).expect_code(0).expect_words(&["returned 0"]);
    world.wait_for_answer();
}

#[test]
fn a_failed_start_says_why_on_stderr_and_exits_with_a_code() {
    let world = World::new();
    let said = world.svc(&["daemon", "/nonexistent/services"]);
    assert_ne!(said.code, 0);
    assert!(said.err.contains("cannot") && said.err.contains("/nonexistent/services"), "{said:?}");

    fs::write(world.root.join("file"), "").unwrap();
    let file = world.root.join("file").display().to_string();
    let said = world.svc(&["daemon", "--runtime-dir", &file]);
    assert_ne!(said.code, 0);
    assert!(said.err.contains("cannot") && said.err.contains(&file), "{said:?}");
    world.expect_nothing_left();
}

#[test]
fn a_second_daemon_on_the_same_directory_says_who_holds_it() {
    let mut world = World::new();
    world.start_daemon();
    let holder = world.guardian().to_string();
    for words in [&["daemon"][..], &["supervise"], &["init"]] {
        let said = world.svc(words);
        assert_ne!(said.code, 0, "{words:?}");
        assert!(said.err.contains(&holder), "{words:?} does not name {holder}: {}", said.err);
    }
    // Neither does another runtime directory help: the services directory itself is held.
    let elsewhere = world.root.join("run2").display().to_string();
    let said = world.svc(&["daemon", "--runtime-dir", &elsewhere]);
    assert_ne!(said.code, 0);
    assert!(said.err.contains("cannot") && !said.err.contains("run2"), "{}", said.err);
    let run = world.root.join("run").display().to_string();
    assert!(said.err.contains(&format!("svc shutdown --runtime-dir {run}`")), "{}", said.err);
    assert!(lives(world.guardian()));
}

#[test]
fn of_two_daemons_started_together_one_wins() {
    for _ in 0..10 {
        let mut world = World::new();
        let racers: Vec<_> = (0..2)
            .map(|_| {
                let mut command = world.command(&["daemon"]);
                std::thread::spawn(move || said::run(&mut command).code)
            })
            .collect();
        let codes: Vec<i32> = racers.into_iter().map(|racer| racer.join().unwrap()).collect();
        assert_eq!(codes.iter().filter(|code| **code == 0).count(), 1, "{codes:?}");
        world.wait_for_answer();
    }
}

#[test]
fn a_lock_of_a_dead_daemon_holds_nobody_up() {
    let mut world = World::new();
    world.start_daemon();
    let (guardian, supervisor) = world.pids();
    // Stopped, it does not take the place of the guardian.
    common::processes::signal(supervisor, nix::sys::signal::Signal::SIGSTOP);
    common::processes::kill_9(guardian);
    common::processes::kill_9(supervisor);
    wait_until("both to be gone", || !lives(guardian) && !lives(supervisor));
    world.start_daemon();
    assert_ne!(world.guardian(), guardian);
}

#[test]
fn the_daemon_survives_the_end_of_the_terminal_it_was_started_from() {
    let mut world = World::new();
    world.service("web").run("exec sleep 1000");
    let mut terminal = Terminal::open();
    let mut command = world.command(&["daemon"]);
    let mut caller = terminal.spawn(&mut command, false);
    let heard = terminal.listen();
    let code = said::end_of(&mut caller, "svc daemon on a terminal");
    assert_eq!(code, 0, "{}", heard.lock().unwrap());
    terminal.hang_up();
    world.wait_for_answer();
    let web = world.wait_state("web", &["up", "ready"]);
    assert!(lives(web["pid"].as_i64().unwrap() as i32));
}

#[test]
fn the_daemon_leaves_no_zombie_of_its_own_making() {
    let world = started_by_a_hostile_caller();
    let (guardian, supervisor) = world.pids();
    assert_eq!(facts(supervisor).unwrap().ppid, guardian);
    wait_until("the guardian to have reaped", || zombies_of(guardian).is_empty());
}

#[test]
fn the_runtime_directory_and_the_socket_are_for_the_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let mut world = World::new();
    fs::remove_dir(world.root.join("run")).unwrap();
    world.start_daemon();
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&world.root.join("run")), 0o700);
    assert_eq!(mode(&world.control_socket()), 0o600);
}

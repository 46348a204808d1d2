//! The kernel gives no more processes, no more memory, no more watches: said in plain words with what to do,
//! and made good as soon as there is some.

// A test ends by panicking; clippy allows that only inside of #[test] functions.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use common::processes::{command_line, lives, signal, status_line};
use common::said::{Running, copy_program};
use common::{World, needs_program, needs_root, wait_for, wait_until};
use nix::sys::signal::Signal;
use serde_json::Value;

/// A user that nobody else is: the kernel counts processes and watches per user.
fn nobody_else() -> u32 {
    use std::sync::atomic::{AtomicU32, Ordering};
    static USERS: AtomicU32 = AtomicU32::new(0);
    500_000 + std::process::id() % 100_000 * 10 + USERS.fetch_add(1, Ordering::Relaxed)
}

/// `svc supervise` under limits in the words of prlimit(1), as `user`.
fn supervise_under(world: &World, limits: &[&str], user: u32) -> Command {
    let binary = as_user(world, user);
    let mut command = Command::new("prlimit");
    command.args(limits).arg("--").args(to_user(user)).arg(binary).arg("supervise");
    command.env_clear().current_dir(&world.root);
    command.envs(world.command(&[]).get_envs().filter_map(|(key, value)| Some((key, value?))));
    command
}

fn to_user(user: u32) -> Vec<String> {
    ["setpriv".to_owned(), format!("--reuid={user}"), format!("--regid={user}"), "--clear-groups".to_owned()]
        .into()
}

/// Gives the world to a user; the program that they may execute.
fn as_user(world: &World, user: u32) -> PathBuf {
    let binary = world.root.join("svc");
    copy_program(&common::svc_binary(), &binary);
    fs::set_permissions(&world.root, fs::Permissions::from_mode(0o755)).unwrap();
    let mut all = vec![world.root.clone()];
    while let Some(path) = all.pop() {
        chown(&path, Some(user), Some(user)).unwrap();
        if path.is_dir() {
            all.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    binary
}

/// Lets a process of `user`, and those it starts from now on, have 100.
fn allow_processes(user: u32, pid: i32) {
    let mut words = to_user(user);
    words.extend(["prlimit", "--nproc=100:100", "--pid"].map(str::to_owned));
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).arg(pid.to_string());
    common::said::run(&mut command).expect_code(0);
}

fn of_state(overview: &Value, state: &str) -> Vec<String> {
    let services = overview["services"].as_array().unwrap();
    let those = services.iter().filter(|service| service["state"] == state);
    those.map(|service| service["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn without_free_processes_what_fits_runs_and_the_rest_says_why_and_starts_when_there_is_room() {
    if !needs_root() || !needs_program("prlimit") || !needs_program("setpriv") {
        return;
    }
    let mut world = World::new();
    for number in 0..6 {
        world.service(&format!("s{number}")).toml(
            "command = [\"/bin/sleep\", \"1000\"]\nrestart-delay = \"50ms\"\nrestart-delay-max = \"100ms\"",
        );
    }
    let user = nobody_else();
    let mut command = supervise_under(&world, &["--nproc=9:100"], user);
    world.start_with(&mut command);
    // Each is asked for by name: some fit, the others are told to whoever asked, at once.
    let told: Vec<_> = (0..6).map(|number| world.svc(&["up", &format!("s{number}")])).collect();
    assert!(told.iter().any(|said| said.code == 0), "none fits: {told:?}");
    let refused = told.iter().find(|said| said.code == 1).expect("one that does not fit");
    assert!(refused.err.contains("cannot make a process"), "{refused:?}");
    assert!(refused.err.contains("EAGAIN") && refused.err.contains("ulimit -u"), "{refused:?}");
    let overview = world.overview();
    let waiting = wait_for("one to wait", || of_state(&overview, "backoff").pop());
    let status = world.status(&waiting);
    assert!(status["reason"].as_str().unwrap().contains("EAGAIN"), "{status}");
    assert!(world.svc(&["status"]).out.contains("EAGAIN"));
    // Room for all of them.
    let guardian = world.guardian();
    allow_processes(user, guardian);
    for number in 0..6 {
        world.wait_state(&format!("s{number}"), &["up"]);
    }
}

#[test]
fn a_supervisor_that_cannot_start_says_why_each_time_and_lives_when_there_is_room() {
    if !needs_root() || !needs_program("prlimit") || !needs_program("setpriv") {
        return;
    }
    let mut world = World::new();
    world.service("web").toml("command = [\"/bin/sleep\", \"1000\"]");
    // The guardian and a supervisor with one more thread.
    let user = nobody_else();
    let mut command = supervise_under(&world, &["--nproc=3:100"], user);
    let printed = world.root.join("svc.out");
    let output = fs::File::create(&printed).unwrap();
    command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
    let child = command.spawn().unwrap();
    wait_until("three supervisors to end", || world.printed().matches("it is started again").count() >= 3);
    let text = world.printed();
    assert!(text.contains("EAGAIN") && text.contains("ulimit -u"), "{text}");
    assert!(!text.contains("killed by signal"), "it was ended before its own words: {text}");
    assert!(!text.contains("panicked"), "{text}");
    assert!(!lives_one_of(&world, "sleep"), "half a start");
    allow_processes(user, child.id() as i32);
    world.adopt(child);
    world.wait_state("web", &["up"]);
}

fn lives_one_of(world: &World, program: &str) -> bool {
    world
        .processes()
        .into_iter()
        .any(|pid| command_line(pid).first().is_some_and(|word| word.contains(program)))
}

#[test]
fn a_supervisor_that_runs_out_of_memory_is_started_again_and_the_services_do_not_notice() {
    if !needs_program("prlimit") {
        return;
    }
    let world = World::with(|world| {
        for number in 0..3 {
            world.service(&format!("s{number}")).run("exec sleep 1000");
        }
    });
    world.ok(&["up", "--all"]);
    let pids: Vec<i32> = (0..3).map(|number| world.pid(&format!("s{number}"))).collect();
    let (_, supervisor) = world.pids();
    let kibibytes: u64 = status_line(supervisor, "VmSize").split(' ').next().unwrap().parse().unwrap();
    let limit = format!("--as={0}:{0}", kibibytes * 1024);
    assert!(
        Command::new("prlimit")
            .arg(limit)
            .arg("--pid")
            .arg(supervisor.to_string())
            .status()
            .unwrap()
            .success()
    );
    for number in 0..300 {
        world
            .service(&format!("more{number}"))
            .run("exec sleep 1000")
            .toml(&format!("enabled = false\n[env]\nX = \"{}\"", "x".repeat(30_000)));
    }
    wait_until("it to die", || !lives(supervisor));
    wait_until("another one", || world.ping().is_some_and(|pong| pong["supervisor_pid"] != supervisor));
    world.ok(&["rescan"]);
    let overview = world.overview();
    assert_eq!(overview["services"].as_array().unwrap().len(), 303);
    let after: Vec<i32> = (0..3).map(|number| world.pid(&format!("s{number}"))).collect();
    assert_eq!(pids, after);
    assert!(world.printed().contains("it is started again, the services run on"), "{}", world.printed());
}

#[test]
fn a_service_with_too_little_memory_to_live_is_told_and_its_neighbour_is_not_disturbed() {
    let world = World::with(|world| {
        world.service("good").run("exec sleep 1000");
        world
            .service("cramped")
            .file("down", "")
            .toml("command = [\"/bin/sleep\", \"1000\"]\n[limits]\naddress-space = \"100K\"");
    });
    let good = world.wait_state("good", &["up"])["pid"].clone();
    let said = world.svc(&["up", "cramped"]).expect_code(1);
    assert!(said.err.contains("cramped: cannot start: killed by"), "{said:?}");
    assert!(world.svc(&["status", "cramped"]).all().contains("killed by"));
    assert_eq!(world.status("good")["pid"], good);
}

/// Takes every inotify instance that `user` may have, and holds them.
fn take_all_instances(user: u32) -> Running {
    // 294 is inotify_init1.
    const PROGRAM: &str = "$| = 1; 1 while syscall(294, 0) >= 0; print \"all\\n\"; sleep 1000";
    let mut words = to_user(user);
    words.extend(["perl".to_owned(), "-e".to_owned(), PROGRAM.to_owned()]);
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut taker = Running::spawn(&mut command);
    let mut line = String::new();
    BufReader::new(taker.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "all\n");
    taker
}

#[test]
#[cfg(target_arch = "x86_64")]
fn without_an_inotify_instance_it_is_said_once_and_rescan_finds_what_is_new() {
    if !needs_root() || !needs_program("perl") || !needs_program("setpriv") {
        return;
    }
    let mut world = World::new();
    world.service("web").run("echo hello; exec sleep 1000");
    let user = nobody_else();
    let taker = take_all_instances(user);
    let mut command = supervise_under(&world, &["--nofile=4096"], user);
    world.start_with(&mut command);
    world.wait_state("web", &["up"]);
    world.service("late").run("exec sleep 1000");
    let said = world.svc(&["rescan"]).expect_code(0);
    assert!(said.out.contains("late: added"), "{said:?}");
    world.wait_state("late", &["up"]);
    wait_until("it to be said", || world.printed().contains("max_user_instances"));
    let text = world.printed();
    assert_eq!(text.matches("cannot watch").count(), 1, "{text}");
    assert!(text.contains("svc rescan"), "{text}");
    assert!(world.ok(&["status"]).contains("max_user_instances"));
    // Who follows a log is told the same; who reads one needs no watch.
    let mut words = to_user(user);
    words.extend([world.root.join("svc").display().to_string(), "logs".to_owned(), "web".to_owned()]);
    let logs = |words: &[String]| {
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).env_clear();
        command.envs(world.command(&[]).get_envs().filter_map(|(key, value)| Some((key, value?))));
        common::said::run(&mut command)
    };
    assert!(logs(&words).expect_code(0).out.contains("hello"));
    words.push("-f".to_owned());
    assert!(logs(&words).expect_code(111).err.contains("max_user_instances"));
    drop(taker);
}

#[test]
fn without_inotify_watches_it_is_said_once_and_rescan_finds_what_is_new() {
    let works = Command::new("unshare")
        .args(["-U", "-r", "sh", "-c", "echo 2 > /proc/sys/user/max_inotify_watches"])
        .status();
    if !works.is_ok_and(|status| status.success()) {
        println!("skipped: no user namespaces here");
        return;
    }
    let mut world = World::new();
    for name in ["a", "b", "c", "d"] {
        world.service(name).run("exec sleep 1000");
    }
    let svc = world.command(&["supervise"]);
    let mut command = Command::new("unshare");
    command.args([
        "-U",
        "-r",
        "sh",
        "-c",
        "echo 2 > /proc/sys/user/max_inotify_watches; exec \"$0\" supervise",
    ]);
    command.arg(svc.get_program()).env_clear().current_dir(&world.root);
    command.envs(svc.get_envs().filter_map(|(key, value)| Some((key, value?))));
    world.start_with(&mut command);
    wait_until("it to be said", || world.printed().contains("max_user_watches"));
    world.service("d").toml("description = \"edited unseen\"");
    world.ok(&["rescan"]);
    assert_eq!(world.status("d")["description"], "edited unseen");
    let text = world.printed();
    assert_eq!(text.matches("cannot watch").count(), 1, "{text}");
    assert!(!text.contains("No space left"), "{text}");
}

#[test]
fn more_changes_than_the_kernel_remembers_are_all_noticed() {
    let world = World::with(|world| {
        world.service("edited").run("exec sleep 1000");
        world.service("gone").run("exec sleep 1000");
    });
    world.ok(&["up", "--all"]);
    let gone = world.pid("gone");
    let (_, supervisor) = world.pids();
    signal(supervisor, Signal::SIGSTOP);
    let events_max: usize =
        fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap().trim().parse().unwrap();
    // A mkdir and an rmdir are two events each.
    for number in 0..=events_max / 2 {
        let noise = world.services().join(format!("noise{number}"));
        fs::create_dir(&noise).unwrap();
        fs::remove_dir(&noise).unwrap();
    }
    world.service("edited").toml("description = \"edited in the noise\"");
    world.service("late").run("exec sleep 1000");
    fs::remove_dir_all(world.services().join("gone")).unwrap();
    signal(supervisor, Signal::SIGCONT);
    wait_until("the removed one to be stopped", || !lives(gone));
    wait_until("the edit to be seen", || world.status("edited")["description"] == "edited in the noise");
    wait_until("the new one to run", || of_state(&world.overview(), "up").contains(&"late".to_owned()));
    assert_eq!(world.pids().1, supervisor, "the supervisor lived through it");
}

#[test]
fn twenty_thousand_descriptors_for_a_user_who_may_have_4096_are_refused_with_the_reason() {
    if !needs_root() || !needs_program("prlimit") || !needs_program("setpriv") {
        return;
    }
    let mut world = World::new();
    world
        .service("hungry")
        .file("down", "")
        .toml("command = [\"/bin/sleep\", \"1000\"]\n[limits]\nopen-files = 20000");
    world.service("good").toml("command = [\"/bin/sleep\", \"1000\"]");
    let mut command = supervise_under(&world, &["--nofile=1024:4096"], nobody_else());
    world.start_with(&mut command);
    let said = world.svc(&["up", "hungry"]).expect_code(1);
    assert!(said.err.contains("cannot set limit open-files") && said.err.contains("EPERM"), "{said:?}");
    assert!(said.err.contains("only root"), "{said:?}");
    assert!(world.status("hungry")["reason"].as_str().unwrap().contains("open-files"));
    world.wait_state("good", &["up"]);
}

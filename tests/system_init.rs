//! `svc init`: PID 1 or not, with service directories or with one program.

// A test ends by panicking; clippy allows that only inside of #[test] functions.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::io::Read;
use std::process::{Command, Stdio};

use common::hostile::Terminal;
use common::needs::needs_pid_namespace;
use common::processes::{children_of, facts, signal, signal_set, status_line};
use common::said::{self, Running, Said};
use common::{World, svc_binary, wait_for, wait_until};
use nix::sys::signal::Signal;

/// Runs `svc init -- CMD…` as an ordinary process.
#[track_caller]
fn init(words: &[&str]) -> Said {
    let world = World::new();
    said::run(world.command(&["init", "--"]).args(words))
}

/// The same as PID 1 of a namespace.
#[track_caller]
fn init_as_pid_1(words: &[&str]) -> Said {
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--mount-proc"]).arg(svc_binary()).args(["init", "--"]).args(words);
    said::run(&mut command)
}

#[test]
fn the_exit_code_is_passed_on() {
    for code in [0, 1, 7, 42, 255] {
        init(&["sh", "-c", &format!("exit {code}")]).expect_code(code);
    }
}

#[test]
fn an_end_by_signal_is_128_and_its_number() {
    for (name, number) in [("TERM", 15), ("KILL", 9), ("SEGV", 11)] {
        init(&["sh", "-c", &format!("kill -{name} $$")]).expect_code(128 + number);
    }
}

#[test]
fn a_program_that_is_not_there_is_127_and_one_that_cannot_run_126() {
    let said = init(&["/nonexistent/program"]);
    assert!(said.err.contains("/nonexistent/program"), "{said:?}");
    said.expect_code(127);
    init(&["no-such-program-anywhere"]).expect_code(127);
    init(&["/etc/passwd"]).expect_code(126);
    init(&["/etc"]).expect_code(126);
}

#[test]
fn nothing_is_said_and_nothing_refused_when_not_pid_1() {
    let said = init(&["echo", "hello"]).expect_code(0);
    assert_eq!((said.out.as_str(), said.err.as_str()), ("hello\n", ""));
}

#[test]
fn the_words_of_the_program_are_left_alone() {
    let said = init(&["printf", "%s|", "--help", "-x", "a b", "", "--"]).expect_code(0);
    assert_eq!(said.out, "--help|-x|a b||--|");
}

#[test]
fn there_is_no_second_process_of_svc() {
    let world = World::new();
    let mut command = world.command(&["init", "--", "sleep", "1000"]);
    let mut child = Running::spawn(command.stdin(Stdio::null()));
    let pid = child.pid();
    let sleeper = wait_for("the program", || {
        let children = children_of(pid);
        let sleeper = children.first()?.clone();
        common::processes::command_line(sleeper.pid)
            .first()
            .is_some_and(|word| word == "sleep")
            .then_some(sleeper)
    });
    assert_eq!(children_of(pid).len(), 1);
    assert_eq!((sleeper.ppid, sleeper.pgid), (pid, sleeper.pid), "direct child, own group");
    signal(pid, Signal::SIGTERM);
    assert_eq!(child.end(), 143);
}

#[test]
fn signals_are_forwarded() {
    let world = World::new();
    let script = "for s in HUP INT QUIT USR1 USR2 WINCH; do trap \"echo got $s\" $s; done\ntrap 'echo got TERM; exit 3' TERM\necho ready to hear\nwhile :; do sleep 0.02; done";
    let mut command = world.command(&["init", "--", "sh", "-c", script]);
    let mut child = Running::spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()));
    let mut out = child.0.stdout.take().unwrap();
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut block = [0; 256];
        while let Ok(length @ 1..) = out.read(&mut block) {
            send.send(String::from_utf8_lossy(&block[..length]).into_owned()).ok();
        }
    });
    let mut heard = String::new();
    let mut wait_word = |word: &str| {
        wait_until(word, || {
            heard.extend(receive.try_iter());
            heard.contains(word)
        });
    };
    wait_word("ready to hear");
    let pid = child.pid();
    for (name, signal_) in [
        ("HUP", Signal::SIGHUP),
        ("INT", Signal::SIGINT),
        ("QUIT", Signal::SIGQUIT),
        ("USR1", Signal::SIGUSR1),
        ("USR2", Signal::SIGUSR2),
        ("WINCH", Signal::SIGWINCH),
        ("TERM", Signal::SIGTERM),
    ] {
        signal(pid, signal_);
        wait_word(&format!("got {name}"));
    }
    assert_eq!(child.end(), 3);
}

#[test]
fn the_program_keeps_the_mask_and_the_dispositions_that_init_was_given() {
    let world = World::new();
    let mut command = world.command(&["init", "--", "grep", "-E", "SigBlk|SigIgn", "/proc/self/status"]);
    common::hostile::spoil_command(&mut command);
    let said = said::run(&mut command).expect_code(0);
    // Blocked: USR1 and TERM. Ignored: USR2, PIPE and HUP.
    let set = |key: &str| {
        let line = said.out.lines().find(|line| line.starts_with(key)).unwrap();
        u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap()
    };
    assert_eq!(set("SigBlk"), (1 << 9) | (1 << 14), "{}", said.out);
    // Above 31 there may be more: glibc's posix_spawn leaves 32 and 33 ignored.
    assert_eq!(set("SigIgn") & 0x7fff_ffff, (1 << 11) | (1 << 12) | 1, "{}", said.out);
}

#[test]
fn closed_standard_descriptors_are_tolerated() {
    for closing in ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"] {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("\"$0\" init -- true {closing}")]).arg(svc_binary());
        said::run(&mut command).expect_code(0);
    }
}

#[test]
fn on_a_terminal_the_program_is_in_the_foreground_and_hears_ctrl_c() {
    let world = World::new();
    let mut terminal = Terminal::open();
    let mut command = world.command(&["init", "--", "sh", "-c", "echo ready to hear; exec sleep 1000"]);
    let mut child = Running(terminal.spawn(&mut command, false));
    let heard = terminal.listen();
    wait_until("the program", || heard.lock().unwrap().contains("ready to hear"));
    let program = wait_for("its pid", || children_of(child.pid()).first().cloned());
    assert_eq!(facts(program.pid).unwrap().tpgid, program.pid, "not in the foreground");
    terminal.type_in("\x03");
    assert_eq!(child.end(), 130);
}

#[test]
fn on_a_terminal_the_program_is_stopped_by_ctrl_z_and_continued_by_cont() {
    let world = World::new();
    let mut terminal = Terminal::open();
    let script =
        "trap 'echo continued' CONT; echo ready; while read -r line; do echo \"heard $line\"; done; exit 7";
    let mut command = world.command(&["init", "--", "bash", "-c", script]);
    let mut child = Running(terminal.spawn(&mut command, false));
    let heard = terminal.listen();
    wait_until("the program", || heard.lock().unwrap().contains("ready"));
    let program = wait_for("its pid", || children_of(child.pid()).first().cloned());
    terminal.type_in("\x1a");
    wait_until("the program to stop", || status_line(program.pid, "State").starts_with('T'));
    wait_until("init to wait on", || status_line(child.pid(), "State").starts_with('S'));
    signal(child.pid(), Signal::SIGCONT);
    wait_until("the program to go on", || heard.lock().unwrap().contains("continued"));
    terminal.type_in("again\n");
    wait_until("it to read the terminal", || heard.lock().unwrap().contains("heard again"));
    terminal.type_in("\x04");
    assert_eq!(child.end(), 7);
}

#[test]
fn as_pid_1_codes_are_passed_and_orphans_reaped() {
    if !needs_pid_namespace() {
        return;
    }
    init_as_pid_1(&["sh", "-c", "exit 7"]).expect_code(7);
    init_as_pid_1(&["/nonexistent/program"]).expect_code(127);
    let script = "echo pid 1 is $(cat /proc/1/comm)\nfor n in 1 2 3 4 5; do (sleep 0.01 & exec true); done\nwhile [ $(ps -o stat= --ppid 1 | grep -c Z) -gt 0 ]; do sleep 0.02; done\necho none left; exit 9";
    init_as_pid_1(&["sh", "-c", script]).expect_code(9).expect_words(&["none left", "pid 1 is"]);
}

#[test]
fn as_pid_1_with_service_directories_everything_works_and_term_ends_it() {
    if !needs_pid_namespace() {
        return;
    }
    let world = World::new();
    world.service("web").run("echo web runs\nexec sleep 1000");
    world.service("job").run("echo job runs").toml("type = \"oneshot\"");
    let environment = world.command(&[]);
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--mount-proc"]).arg(svc_binary()).arg("init");
    command.env_clear().envs(environment.get_envs().filter_map(|(key, value)| Some((key, value?))));
    let mut child = Running::spawn(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()));
    world.wait_log("web", "web runs");
    world.wait_log("job", "job runs");
    wait_until("an answer", || world.ping().is_some());
    assert_eq!(world.ping().unwrap()["guardian_pid"], 1);
    assert!(world.ok(&["status", "web"]).contains("up"));
    // The guardian is the child of unshare, which waits for it.
    let guardian = wait_for("the guardian", || children_of(child.pid()).first().map(|facts| facts.pid));
    signal(guardian, Signal::SIGTERM);
    assert_eq!(child.end(), 0);
    world.expect_nothing_left();
}

#[test]
fn as_pid_1_with_no_words_svc_is_init() {
    if !needs_pid_namespace() {
        return;
    }
    let world = World::new();
    world.service("web").run("echo web runs\nexec sleep 1000");
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--mount-proc"]).arg(svc_binary());
    let environment = world.command(&[]);
    command.env_clear().envs(environment.get_envs().filter_map(|(key, value)| Some((key, value?))));
    let mut child = Running::spawn(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()));
    world.wait_log("web", "web runs");
    world.ok(&["shutdown"]);
    assert_eq!(child.end(), 0);
}

#[test]
fn called_init_it_is_init() {
    let world = World::new();
    let link = world.root.join("init");
    std::os::unix::fs::symlink(svc_binary(), &link).unwrap();
    said::run(Command::new(&link).args(["--", "sh", "-c", "exit 5"])).expect_code(5);
}

#[test]
fn init_itself_ignores_nothing_that_would_keep_it_from_ending() {
    let world = World::new();
    let mut command = world.command(&["init", "--", "sleep", "1000"]);
    common::hostile::spoil_command(&mut command);
    let mut child = Running::spawn(command.stdin(Stdio::null()));
    let pid = child.pid();
    let program = wait_for("the program", || children_of(pid).first().cloned());
    wait_until("exec", || {
        common::processes::command_line(program.pid).first().is_some_and(|word| word == "sleep")
    });
    // TERM was blocked by the caller and stays so in the program, as tini does; INT was not.
    assert_eq!(signal_set(program.pid, "SigBlk"), (1 << 9) | (1 << 14));
    signal(pid, Signal::SIGINT);
    assert_eq!(child.end(), 130);
}

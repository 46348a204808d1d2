//! `svc daemon`: what is left of the caller (nothing), and what the caller is told (everything).

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use svc::os::process;

use super::Test;
use super::stage::{HOSTILE, Stage, children_of, until};

pub const TESTS: &[Test] = &[
    ("a_daemon_keeps_nothing_of_its_caller", a_daemon_keeps_nothing_of_its_caller),
    ("a_daemon_started_in_a_terminal_has_none", a_daemon_started_in_a_terminal_has_none),
    ("a_second_one_is_told_who_holds_the_directory", a_second_one_is_told_who_holds_the_directory),
    ("of_many_at_once_one_wins", of_many_at_once_one_wins),
    ("errors_after_the_fork_reach_the_caller", errors_after_the_fork_reach_the_caller),
    ("the_directory_and_the_socket_are_private", the_directory_and_the_socket_are_private),
    ("an_init_runs_where_nothing_can_be_written", an_init_runs_where_nothing_can_be_written),
];

struct Daemon {
    place: tempfile::TempDir,
    pid: Option<i32>,
}

impl Daemon {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("services")).unwrap();
        Self { place, pid: None }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    fn command(&self, script: &str, log: &Path, supervisor: &str) -> Command {
        let mut command = Command::new("bash");
        command.arg("-c").arg(script).arg("bash").arg(std::env::current_exe().unwrap());
        command.args(["role-guardian", "daemon"]).arg(self.path("runtime")).arg(self.path("services"));
        command.arg(log).args(["role-supervisor", "unused", supervisor]);
        command
    }

    fn start(&mut self, script: &str, log: &Path, supervisor: &str) -> Output {
        let output = self.command(script, log, supervisor).output().unwrap();
        if output.status.success() {
            let pid = fs::read_to_string(self.path("runtime/lock")).unwrap();
            self.pid = Some(pid.trim().parse().unwrap());
        }
        output
    }

    fn stat(&self) -> Vec<i32> {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.pid.unwrap())).unwrap();
        let rest = text.rsplit_once(") ").unwrap().1;
        rest.split_whitespace().skip(1).take(5).map(|word| word.parse().unwrap()).collect()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(pid) = self.pid {
            let children = children_of(pid);
            let _ = process::kill(pid, 9);
            for child in children {
                let _ = process::kill(child, 9);
            }
        }
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn a_daemon_keeps_nothing_of_its_caller() {
    let mut daemon = Daemon::new();
    let log = daemon.path("log");
    let output =
        daemon.start(&format!("echo $$ >{}; {HOSTILE}", daemon.path("caller").display()), &log, "pong");
    assert_eq!((output.status.code(), text(&output)), (Some(0), String::new()));
    // It answers as soon as the caller has returned.
    UnixStream::connect(daemon.path("runtime/control")).unwrap();
    let pid = daemon.pid.unwrap();
    let [_, group, session, terminal, foreground] = daemon.stat()[..] else { panic!() };
    let caller: i32 = fs::read_to_string(daemon.path("caller")).unwrap().trim().parse().unwrap();
    assert!(session != pid && group != pid && session == group && session != caller);
    assert_eq!((terminal, foreground), (0, -1));
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    assert!(status.contains("Umask:\t0022") && status.contains("SigIgn:\t0000000000000000"), "{status}");
    assert_eq!(fs::read_link(format!("/proc/{pid}/cwd")).unwrap(), Path::new("/"));
    let descriptor = |number: i32| fs::read_link(format!("/proc/{pid}/fd/{number}"));
    assert_eq!(descriptor(0).unwrap(), Path::new("/dev/null"));
    assert_eq!((descriptor(1).unwrap(), descriptor(2).unwrap()), (log.clone(), log.clone()));
    let flags = fs::read_to_string(format!("/proc/{pid}/fdinfo/2")).unwrap();
    // O_APPEND and O_WRONLY.
    assert!(flags.contains("02001\n"), "{flags}");
    assert_eq!(fs::metadata(&log).unwrap().mode() & 0o777, 0o640);
    assert!(descriptor(251).is_err() && descriptor(300).is_err());
    let [supervisor] = children_of(pid)[..] else { panic!() };
    let supervisor_fds: Vec<String> = fs::read_dir(format!("/proc/{supervisor}/fd"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(["0", "1", "2", "3", "4"].iter().all(|fd| supervisor_fds.iter().any(|found| found == fd)));
    // The next one is started even when the file has been replaced, and clients reach it.
    process::kill(supervisor, 9).unwrap();
    until("another supervisor", || {
        let [next] = children_of(pid)[..] else { return false };
        next != supervisor
    });
    until("its words in the log", || fs::read_to_string(&log).unwrap().contains("was killed by signal 9"));
}

fn a_daemon_started_in_a_terminal_has_none() {
    let mut daemon = Daemon::new();
    let exe = std::env::current_exe().unwrap();
    let line = format!(
        "{} role-guardian daemon {} {} '' role-supervisor unused pong",
        exe.display(),
        daemon.path("runtime").display(),
        daemon.path("services").display()
    );
    let output =
        Command::new("script").args(["-qec", &line, "/dev/null"]).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let pid = fs::read_to_string(daemon.path("runtime/lock")).unwrap();
    daemon.pid = Some(pid.trim().parse().unwrap());
    // The terminal has gone with `script`, and with it the HUP to its processes.
    assert_eq!(daemon.stat()[3..], [0, -1]);
    UnixStream::connect(daemon.path("runtime/control")).unwrap();
}

fn a_second_one_is_told_who_holds_the_directory() {
    let mut daemon = Daemon::new();
    assert!(daemon.start("exec \"$@\"", Path::new(""), "pong").status.success());
    let first = daemon.pid.unwrap();
    let again = daemon.command("exec \"$@\"", Path::new(""), "pong").output().unwrap();
    let services = daemon.path("services");
    let expected = format!(
        "svc: cannot supervise {}: it is supervised already by pid {first} ({})",
        services.display(),
        daemon.path("runtime").display()
    );
    assert!(text(&again).starts_with(&expected), "{}", text(&again));
    assert_eq!(again.status.code(), Some(111));
    // The same runtime directory for other services.
    fs::rename(&services, daemon.path("old")).unwrap();
    fs::create_dir(&services).unwrap();
    let other = daemon.command("exec \"$@\"", Path::new(""), "pong").output().unwrap();
    assert!(text(&other).contains(&format!("pid {first} supervises other services")), "{}", text(&other));
    // The first one is not disturbed.
    UnixStream::connect(daemon.path("runtime/control")).unwrap();
}

fn of_many_at_once_one_wins() {
    let mut daemon = Daemon::new();
    let many: Vec<_> = (0..8)
        .map(|_| {
            let mut command = daemon.command("exec \"$@\"", Path::new(""), "pong");
            command.stderr(Stdio::null()).spawn().unwrap()
        })
        .collect();
    let won = many.into_iter().filter_map(|mut child| child.wait().unwrap().success().then_some(())).count();
    let pid = fs::read_to_string(daemon.path("runtime/lock")).unwrap();
    daemon.pid = Some(pid.trim().parse().unwrap());
    assert_eq!(won, 1);
    UnixStream::connect(daemon.path("runtime/control")).unwrap();
}

fn errors_after_the_fork_reach_the_caller() {
    let mut daemon = Daemon::new();
    let mut fails = |log: &str, supervisor: &str, expected: &str| {
        let output = daemon.start("exec \"$@\"", Path::new(log), supervisor);
        assert_eq!(output.status.code(), Some(111));
        assert!(text(&output).contains(expected), "{}", text(&output));
    };
    fails("/nonexistent/log", "pong", "svc: cannot open /nonexistent/log: No such file or directory\n");
    fails("", "die", "svc: cannot start: the supervisor dies as soon as it is started");
    let runtime = daemon.path("runtime");
    assert!(!runtime.join("control").exists());
    fs::remove_dir_all(&runtime).unwrap();
    std::os::unix::fs::symlink("/tmp", &runtime).unwrap();
    let output = daemon.start("exec \"$@\"", Path::new(""), "pong");
    assert!(text(&output).contains("it is a symbolic link; give another one"), "{}", text(&output));
    fs::remove_dir(daemon.path("services")).unwrap();
    let output = daemon.start("exec \"$@\"", Path::new(""), "pong");
    assert!(text(&output).contains("services: No such file or directory; make it"), "{}", text(&output));
    assert_eq!(output.status.code(), Some(111));
}

fn the_directory_and_the_socket_are_private() {
    let stage = Stage::with("umask 0; exec \"$@\"", &[]);
    let mode =
        |name: &str| fs::metadata(stage.place.path().join(name)).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode("runtime"), mode("runtime/control"), mode("runtime/lock")), (0o700, 0o600, 0o600));
    let lock = fs::read_to_string(stage.place.path().join("runtime/lock")).unwrap();
    assert_eq!(lock, format!("{}\n", stage.guardian_pid()));
}

fn an_init_runs_where_nothing_can_be_written() {
    let place = tempfile::tempdir().unwrap();
    fs::create_dir(place.path().join("services")).unwrap();
    fs::write(place.path().join("runtime"), "in the way").unwrap();
    let mut guardian = Stage::command(&place, "exec \"$@\"", "init", &["pong"]).spawn().unwrap();
    let pid = guardian.id() as i32;
    until("a supervisor", || !children_of(pid).is_empty());
    let stderr = fs::read_to_string(place.path().join("stderr")).unwrap();
    assert!(stderr.contains("svc commands cannot reach this one, its services run all the same"), "{stderr}");
    let children = children_of(pid);
    guardian.kill().unwrap();
    guardian.wait().unwrap();
    children.iter().for_each(|child| process::kill(*child, 9).unwrap_or_default());
}

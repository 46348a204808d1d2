//! `svc init -- CMD`, held against what tini does.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Output, Stdio};

use svc::os::process;

use super::Test;
use super::stage::{children_of, has_root, until};

pub const TESTS: &[Test] = &[
    ("single_passes_exit_codes_on", passes_exit_codes_on),
    ("single_tells_what_cannot_be_executed", tells_what_cannot_be_executed),
    ("single_runs_a_file_without_an_interpreter_line", runs_a_file_without_an_interpreter_line),
    ("single_gives_the_signals_that_it_was_given", gives_the_signals_that_it_was_given),
    ("single_keeps_descriptors_environment_and_directory", keeps_descriptors_environment_and_directory),
    ("single_forwards_every_signal", forwards_every_signal),
    ("single_reaps_orphans", reaps_orphans),
    ("single_tolerates_a_closed_stdin", tolerates_a_closed_stdin),
    ("single_puts_its_program_into_the_foreground", puts_its_program_into_the_foreground),
    ("single_does_not_steal_the_foreground", does_not_steal_the_foreground),
    ("single_is_not_woken_while_idle", is_not_woken_while_idle),
    ("single_works_as_pid_1", works_as_pid_1),
];

fn single(arguments: &[&str]) -> Command {
    through("exec \"$@\"", arguments)
}

/// bash starts it as the script says.
fn through(script: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("bash");
    command.arg("-c").arg(script).arg("bash").arg(std::env::current_exe().unwrap());
    command.arg("role-single").args(arguments);
    command
}

fn output(mut command: Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

fn passes_exit_codes_on() {
    for (script, code) in [
        ("exit 0", 0),
        ("exit 7", 7),
        ("exit 255", 255),
        ("kill -TERM $$", 143),
        ("kill -KILL $$", 137),
        ("kill -34 $$", 162),
    ] {
        let expected = (Some(code), String::new(), String::new());
        assert_eq!(output(single(&["sh", "-c", script])), expected, "{script}");
    }
}

fn tells_what_cannot_be_executed() {
    let failure = |program: &str| output(single(&[program]));
    let expected = |code, text: &str| (Some(code), String::new(), format!("svc: cannot run {text}\n"));
    assert_eq!(failure("nonexistent"), expected(127, "nonexistent: No such file or directory"));
    assert_eq!(failure("/nonexistent"), expected(127, "/nonexistent: No such file or directory"));
    assert_eq!(failure("/etc/passwd"), expected(126, "/etc/passwd: Permission denied"));
    assert_eq!(failure("/etc"), expected(126, "/etc: Permission denied"));
    assert_eq!(failure("/etc/passwd/x"), expected(126, "/etc/passwd/x: Not a directory"));
    assert_eq!(failure(""), expected(127, ": No such file or directory"));
    // One in PATH that may not be executed is remembered.
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("denied"), "").unwrap();
    let mut command = single(&["denied"]);
    command.env("PATH", format!("{}:/bin", place.path().display()));
    assert_eq!(output(command), expected(126, "denied: Permission denied"));
}

fn runs_a_file_without_an_interpreter_line() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("script");
    fs::write(&path, "echo \"$0 $1 $2\"\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = single(&["script", "one", "two three"]);
    command.env("PATH", format!("{}:/bin:/usr/bin", place.path().display()));
    assert_eq!(output(command), (Some(0), format!("{} one two three\n", path.display()), String::new()));
}

fn gives_the_signals_that_it_was_given() {
    let status = ["grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"];
    let hostile = "exec env --default-signal --block-signal=USR1,TERM,CHLD \
                   --ignore-signal=HUP,PIPE,TTOU,CHLD,RTMIN+3 \"$@\"";
    for script in ["exec env --default-signal \"$@\"", hostile] {
        assert_eq!(output(through(script, &status)), output(direct(script, &status)));
    }
}

/// Without svc in between.
fn direct(script: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("bash");
    command.arg("-c").arg(script).arg("bash").args(arguments);
    command
}

fn keeps_descriptors_environment_and_directory() {
    let script = "umask 077; cd /usr; exec 9</etc/passwd; exec env -i A=1 \"$@\"";
    let program = ["/bin/sh", "-c", "umask; pwd; env; readlink /proc/$$/fd/9"];
    let through = output(through(script, &program));
    assert!(through.1.starts_with("0077\n/usr\n"), "{through:?}");
    assert_eq!(through, output(direct(script, &program)));
}

fn with_output(mut command: Command) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    (child, stdout)
}

fn line(from: &mut impl BufRead) -> String {
    let mut line = String::new();
    from.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

fn forwards_every_signal() {
    let signals = [1, 2, 3, 10, 12, 13, 14, 15, 16, 18, 20, 23, 24, 25, 26, 27, 28, 29, 30, 34, 37, 64];
    // Python waits for them all by itself and tells each.
    let program = "import signal\ns=set(range(1,65))-{9,19,32,33}\nsignal.pthread_sigmask(signal.SIG_BLOCK,s)\n\
                   print('ready',flush=True)\nwhile True:\n x=signal.sigwait(s)\n print(int(x),flush=True)\n \
                   x==64 and exit(9)\n";
    let (mut child, mut stdout) = with_output(single(&["python3", "-c", program]));
    assert_eq!(line(&mut stdout), "ready");
    for signal in signals {
        process::kill(child.id() as i32, signal).unwrap();
        assert_eq!(line(&mut stdout), signal.to_string());
    }
    assert_eq!(child.wait().unwrap().code(), Some(9));
}

fn reaps_orphans() {
    // 500 orphans at once, then the main program looks at init's other children.
    let script = "for i in $(seq 500); do (sleep 0.3 &); done; sleep 0.1; echo ready; read x";
    let mut command = single(&["sh", "-c", script]);
    let (mut child, mut stdout) = with_output({
        command.stdin(Stdio::piped());
        command
    });
    assert_eq!(line(&mut stdout), "ready");
    let pid = child.id() as i32;
    until("only the main program to be left", || children_of(pid).len() == 1);
    drop(child.stdin.take());
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

fn tolerates_a_closed_stdin() {
    let (code, _, stderr) = output(through("exec \"$@\" <&-", &["sh", "-c", "exit 5"]));
    assert_eq!((code, stderr.as_str()), (Some(5), ""));
}

/// In a terminal of its own, typed into by `input`; what is shown.
fn in_terminal(script: &str) -> String {
    let exe = std::env::current_exe().unwrap();
    let line = format!("bash -c '{script}' bash {} role-single", exe.display());
    let output =
        Command::new("script").args(["-qec", &line, "/dev/null"]).stdin(Stdio::null()).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// pgrp and tpgid of the program that runs.
const FOREGROUND: &str = "cut -d\" \" -f1,5,8 /proc/self/stat";

fn puts_its_program_into_the_foreground() {
    let shown = in_terminal(&format!("\"$@\" {FOREGROUND}"));
    let words: Vec<&str> = shown.split_whitespace().collect();
    assert!(words.len() == 3 && words[0] == words[1] && words[1] == words[2], "{shown}");
}

fn does_not_steal_the_foreground() {
    let shown = in_terminal(&format!("set -m; \"$@\" {FOREGROUND} & wait"));
    let last = shown.lines().find(|line| line.split_whitespace().count() == 3).unwrap();
    let words: Vec<&str> = last.split_whitespace().collect();
    assert!(words[0] == words[1] && words[1] != words[2], "{shown}");
}

fn is_not_woken_while_idle() {
    let (mut child, mut stdout) = with_output(single(&["sh", "-c", "echo ready; exec sleep 1000"]));
    assert_eq!(line(&mut stdout), "ready");
    let path = format!("/proc/{}/status", child.id());
    until("sleep", || fs::read_to_string(&path).unwrap().contains("State:\tS"));
    let switches = || {
        let status = fs::read_to_string(&path).unwrap();
        status.lines().find(|line| line.starts_with("voluntary")).unwrap().to_owned()
    };
    let before = switches();
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert_eq!(switches(), before);
    process::kill(child.id() as i32, 15).unwrap();
    let status = child.wait().unwrap();
    assert_eq!((status.code(), status.signal()), (Some(143), None));
}

fn works_as_pid_1() {
    if !has_root("single_works_as_pid_1") {
        return;
    }
    let namespace = |arguments: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--mount-proc"]).arg(std::env::current_exe().unwrap());
        command.arg("role-single").args(arguments);
        command
    };
    assert_eq!(output(namespace(&["sh", "-c", "exit 42"])), (Some(42), String::new(), String::new()));
    assert_eq!(output(namespace(&["/nonexistent"])).0, Some(127));
    // Comes to an end only when init has nobody else left.
    let script = "for i in $(seq 20); do (sleep 0.1 &); done; \
                  until read only </proc/1/task/1/children; [ \"$only\" = $$ ]; do :; done";
    assert_eq!(output(namespace(&["sh", "-c", script])).0, Some(0));
    let (mut child, mut stdout) =
        with_output(namespace(&["sh", "-c", "trap 'exit 9' TERM; echo ready; read x; sleep 1000 & wait"]));
    assert_eq!(line(&mut stdout), "ready");
    let pid = children_of(child.id() as i32)[0];
    process::kill(pid, 15).unwrap();
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(9));
}

//! The hostile caller of the other tests is as hostile as it claims: else they would prove nothing.

// A test ends by panicking; clippy allows that only inside of #[test] functions.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::process::{Command, Stdio};

use common::hostile::{Terminal, spoil_command};
use common::processes::{command_line, descriptors, facts, signal_set, status_line, wake_ups};
use common::said::Running;
use common::{let_pass, wait_until};

#[track_caller]
fn expect_spoilt(pid: i32) {
    let bit = |signal: u64| 1 << (signal - 1);
    // Above 31 there may be more: glibc's posix_spawn leaves 32 and 33 ignored.
    let ignored = signal_set(pid, "SigIgn") & 0x7fff_ffff;
    assert_eq!(ignored, bit(1) | bit(12) | bit(13), "HUP, USR2 and PIPE");
    assert_eq!(signal_set(pid, "SigBlk"), bit(10) | bit(15), "USR1 and TERM");
    assert_eq!(status_line(pid, "Umask"), "0077");
    let open = descriptors(pid);
    assert!([9, 251, 300].iter().all(|descriptor| open.contains_key(descriptor)), "{open:?}");
}

#[test]
fn a_spoilt_command_has_everything_that_a_daemon_must_shed() {
    let mut command = Command::new("sleep");
    spoil_command(command.arg("1000").stdin(Stdio::null()));
    let child = Running::spawn(&mut command);
    let pid = child.pid();
    wait_until("exec", || command_line(pid) == ["sleep", "1000"]);
    expect_spoilt(pid);
}

#[test]
fn a_command_on_a_terminal_leads_its_session_there_and_hears_ctrl_c() {
    let mut terminal = Terminal::open();
    let mut child = Running(terminal.spawn(Command::new("sleep").arg("1000"), true));
    let pid = child.pid();
    wait_until("exec", || command_line(pid) == ["sleep", "1000"]);
    expect_spoilt(pid);
    let facts = facts(pid).unwrap();
    assert_eq!((facts.sid, facts.pgid, facts.tpgid), (pid, pid, pid), "{facts:?}");
    assert_ne!(facts.tty, 0);
    terminal.type_in("\x03");
    assert_eq!(child.end(), 130);
}

#[test]
fn a_sleeper_does_not_wake_up_and_a_poller_does() {
    let sleeper = Running::spawn(Command::new("sleep").arg("1000"));
    let poller = Running::spawn(Command::new("sh").args(["-c", "while :; do sleep 0.05; done"]));
    let pids = [sleeper.pid(), poller.pid()];
    wait_until("exec", || command_line(pids[0]) == ["sleep", "1000"]);
    let_pass(std::time::Duration::from_millis(100));
    let before = pids.map(wake_ups);
    wait_until("the poller to be seen", || wake_ups(pids[1]) > before[1] + 5);
    assert_eq!(wake_ups(pids[0]), before[0]);
}

//! The end of the guardian: by order, or without a supervisor to give one.

use std::os::fd::AsFd;
use std::time::Duration;

use super::EXIT_SYSTEM_ERROR;
use super::children::Entry;
use super::report::{now, reason};
use super::watch::Guardian;
use crate::lifecycle::Time;
use crate::os::descriptor::say;
use crate::os::poll::{Waiting, poll};
use crate::os::{process, signal};

/// What has been killed ends at once, except for a process that the kernel cannot let go (a disk
/// or network file system that hangs): nobody waits for that one.
const REAP_TIME_MAX: Duration = Duration::from_secs(1);

/// For services to end when there is no supervisor that knows their stop schedule.
const LAST_RESORT_TIME: Duration = Duration::from_secs(5);

/// The supervisor has said that everything has ended.
pub(super) fn orderly(guardian: &mut Guardian, code: u8) -> i32 {
    guardian.ending = Some(code);
    guardian.supervisor.stop_starting();
    signal_groups(guardian, &[signal::KILL]);
    // The supervisor has nothing left to do either, and leaves when its socket is closed.
    reap_until(guardian, now() + REAP_TIME_MAX, true);
    if let Some(pid) = guardian.supervisor.pid() {
        process::kill(pid, signal::KILL).err();
    }
    guardian.place.leave();
    i32::from(code)
}

/// There is none to be had, and somebody wants an end: better this than to be killed with all
/// services a few seconds later.
pub(super) fn without_supervisor(guardian: &mut Guardian) -> i32 {
    say("there is no supervisor and the end is wanted: every service gets TERM, and KILL after 5 s");
    guardian.ending = Some(EXIT_SYSTEM_ERROR as u8);
    guardian.supervisor.stop_starting();
    signal_groups(guardian, &[signal::TERM, signal::CONT]);
    reap_until(guardian, now() + LAST_RESORT_TIME, false);
    orderly(guardian, EXIT_SYSTEM_ERROR as u8)
}

fn signal_groups(guardian: &Guardian, signals: &[i32]) {
    for entry in guardian.children.table.values().filter(|entry| entry.is_running()) {
        let group = process::group_of(entry.pid.0).unwrap_or(entry.pid.0);
        for signal in signals {
            // Ended meanwhile, or beyond our rights: the next in line still gets its own.
            process::kill_group(group, *signal).err();
        }
    }
}

/// Until no child is left, and no supervisor if that is meant too.
fn reap_until(guardian: &mut Guardian, deadline: Time, supervisor_too: bool) {
    if supervisor_too {
        guardian.supervisor.close();
    }
    loop {
        guardian.take_signals();
        let children = guardian.children.table.values().any(Entry::is_running);
        let supervisor = supervisor_too && guardian.supervisor.pid().is_some();
        let left = deadline.since(now());
        if !(children || supervisor) || left.is_zero() {
            return;
        }
        let mut waiting = [Waiting::to_read(guardian.signals.as_fd())];
        if let Err(error) = poll(&mut waiting, Some(left)) {
            return say(&format!("cannot wait for the last ones: {}", reason(&error)));
        }
    }
}

//! The end of the guardian: by order, or without a supervisor to give one.

use std::time::Duration;

use super::EXIT_SYSTEM_ERROR;
use super::report::{now, reason};
use super::watch::Guardian;
use crate::lifecycle::Time;
use crate::os::descriptor::say;
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
    let groups = signal_groups(guardian, &[signal::KILL]);
    // The supervisor has nothing left to do either, and leaves when its socket is closed.
    guardian.supervisor.close();
    reap_until(guardian, now() + REAP_TIME_MAX, &groups, true);
    if let Some(pid) = guardian.supervisor.pid() {
        process::kill(pid, signal::KILL).err();
    }
    guardian.children.record.remove();
    guardian.place.leave();
    i32::from(code)
}

/// There is none to be had, and somebody wants an end: better this than to be killed with all
/// services a few seconds later.
pub(super) fn without_supervisor(guardian: &mut Guardian) -> i32 {
    say("there is no supervisor and the end is wanted: every service gets TERM, and KILL after 5 s");
    guardian.ending = Some(EXIT_SYSTEM_ERROR as u8);
    guardian.supervisor.stop_starting();
    let groups = signal_groups(guardian, &[signal::TERM, signal::CONT]);
    reap_until(guardian, now() + LAST_RESORT_TIME, &groups, false);
    orderly(guardian, EXIT_SYSTEM_ERROR as u8)
}

/// The process groups of those that run, after they were signalled.
fn signal_groups(guardian: &Guardian, signals: &[i32]) -> Vec<i32> {
    let mut groups = Vec::new();
    for (child, entry) in guardian.children.table.iter().filter(|(_, entry)| entry.is_running()) {
        let group = process::group_of(entry.pid.0).unwrap_or(entry.pid.0);
        for signal in signals {
            // Ended meanwhile, or beyond our rights: the next in line still gets its own.
            let sent = guardian.adopted.signal(child, entry.pid, *signal, true);
            sent.unwrap_or_else(|| process::kill_group(group, *signal)).err();
        }
        groups.push(group);
    }
    groups
}

/// Until nobody is left of these groups (who loses its parent is ours to reap), and no supervisor
/// if that is meant too.
fn reap_until(guardian: &mut Guardian, deadline: Time, groups: &[i32], supervisor_too: bool) {
    loop {
        guardian.take_signals();
        let somebody = groups.iter().any(|group| !process::group_is_empty(*group));
        let supervisor = supervisor_too && guardian.supervisor.pid().is_some();
        let left = deadline.since(now());
        if !(somebody || supervisor) || left.is_zero() {
            return;
        }
        if let Err(error) = guardian.signals.wait(&mut [], Some(left)) {
            return say(&format!("cannot wait for the last ones: {}", reason(&error)));
        }
    }
}

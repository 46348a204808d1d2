//! Nothing to do means nothing is done: no wake-up at all.

// A test ends by panicking; clippy allows that only inside of #[test] functions.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::time::Duration;

use common::processes::wake_ups;
use common::said::Running;
use common::{World, let_pass, wait_for, wait_until};

/// Long enough for a poll of any usual period (0.3 s to 2 s among the peers, runsvdir 5 s) to show.
const QUIET: Duration = Duration::from_secs(6);

#[test]
fn neither_process_wakes_up_while_a_hundred_services_idle() {
    let world = World::with(|world| {
        for number in 0..100 {
            world.service(&format!("s{number}")).toml("command = [\"/bin/sleep\", \"1000\"]");
        }
    });
    world.ok(&["up", "--all"]);
    let (guardian, supervisor) = world.pids();
    let count = || (wake_ups(guardian), wake_ups(supervisor));
    // After the last client and the last start (10 s up ends the back-off of each) it gets quiet.
    let mut before = count();
    let quiet = wait_for("a quiet stretch", || {
        let_pass(QUIET);
        let after = count();
        let quiet = after == before;
        let seen = (before, after);
        before = after;
        quiet.then_some(seen)
    });
    let_pass(QUIET);
    assert_eq!(count(), quiet.1, "woken up (guardian, supervisor)");
}

#[test]
fn init_with_one_program_never_wakes_up() {
    let world = World::new();
    let mut command = world.command(&["init", "--", "sleep", "1000"]);
    let mut init = Running::spawn(command.stdin(std::process::Stdio::null()));
    let pid = init.pid();
    wait_until("the program", || !common::processes::children_of(pid).is_empty());
    let_pass(Duration::from_millis(100));
    let before = wake_ups(pid);
    let_pass(QUIET);
    assert_eq!(wake_ups(pid), before);
    common::processes::signal(pid, nix::sys::signal::Signal::SIGTERM);
    assert_eq!(init.end(), 143);
}

//! A standing order is carried out at once, once, and without a supervisor.

use std::fs;
use std::io::{BufRead, BufReader};

use svc::lifecycle::{Exit, Signal};
use svc::os::process;
use svc::protocol::guardian::{KnownState, LaunchPlan, LaunchStep, Order, Report, Stdio};

use super::Test;
use super::stage::{LONG, Stage, child, children_of, exit_of, launch, plan, shell, signal, until};

pub const TESTS: &[Test] = &[
    ("a_standing_order_restarts_at_once_and_only_once", a_standing_order_restarts_at_once_and_only_once),
    ("a_standing_order_is_carried_out_without_a_supervisor", standing_without_a_supervisor),
    ("a_standing_order_waits_for_an_empty_group", a_standing_order_waits_for_an_empty_group),
    ("a_standing_order_can_be_taken_back", a_standing_order_can_be_taken_back),
    ("a_standing_order_that_fails_is_told", a_standing_order_that_fails_is_told),
    ("a_standing_order_for_the_one_before_is_none_for_its_successor", late_standing_order),
];

fn a_standing_order_restarts_at_once_and_only_once() {
    let mut stage = Stage::new();
    let plan = LaunchPlan {
        stdio: [Stdio::Passed(0), Stdio::LogWrite, Stdio::Null],
        ..shell("echo started; read line; exit 4")
    };
    let place = stage.place.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&place).status().unwrap().success());
    stage.order_with(&[launch("x", &plan), Order::Stand { child: child("x") }], &[place.to_str().unwrap()]);
    let first = stage.started();
    fs::write(&place, "\n").unwrap();
    let (pid, exit, next) = exit_of(&stage.exited());
    assert_eq!((pid, exit), (first, Exit::Code(4)));
    let next = next.unwrap();
    assert_ne!(next, first);
    // The passed descriptor was kept, and it does not stand any more.
    fs::write(&place, "\n").unwrap();
    assert_eq!(exit_of(&stage.exited()), (next, Exit::Code(4), None));
    let mut lines = BufReader::new(stage.pipe()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "started");
    assert_eq!(lines.next().unwrap().unwrap(), "started");
}

fn standing_without_a_supervisor() {
    let mut stage = Stage::new();
    stage.order(&[launch("x", &plan(LONG)), Order::Stand { child: child("x") }]);
    let first = stage.started();
    // It cannot read, like one that hangs; then it dies.
    process::kill(stage.supervisor().pid, 19).unwrap();
    process::kill(first.0, 9).unwrap();
    let guardian = stage.guardian_pid();
    until("the next one", || children_of(guardian).iter().all(|pid| *pid != first.0));
    stage.kill_supervisor();
    let table = stage.hello();
    let next = table
        .iter()
        .find_map(|report| match report {
            Report::Known { pid, state: KnownState::Running { standing: false }, .. } => Some(*pid),
            _ => None,
        })
        .unwrap();
    let killed = Exit::Signal { signal: Signal(9), core: false };
    // Before the end of the table: a supervisor that is told so can take it into account at once.
    let told = table.iter().find(|report| matches!(report, Report::Exited { .. })).unwrap();
    assert_eq!(exit_of(told), (first, killed, Some(next)));
    stage.order(&[Order::Acknowledge { child: child("x"), pid: first }]);
    stage.hello();
    stage.kill_supervisor();
    stage.hello();
    stage.order(&[signal("x", 9, false)]);
    assert_eq!(exit_of(&stage.exited()), (next, killed, None));
}

fn a_standing_order_waits_for_an_empty_group() {
    let mut stage = Stage::new();
    stage.order(&[launch("x", &shell("sleep 1000 & echo; read never")), Order::Stand { child: child("x") }]);
    let pid = stage.started();
    // Its stdin is /dev/null, so it ends by itself and leaves the sleeper.
    assert_eq!(exit_of(&stage.exited()), (pid, Exit::Code(1), None));
    assert!(!process::group_is_empty(pid.0));
    process::kill_group(pid.0, 9).unwrap();
}

fn a_standing_order_can_be_taken_back() {
    let mut stage = Stage::new();
    let (stand, unstand) = (Order::Stand { child: child("x") }, Order::Unstand { child: child("x") });
    stage.order(&[launch("x", &plan(LONG)), stand, unstand, signal("x", 9, true)]);
    let pid = stage.started();
    let killed = Exit::Signal { signal: Signal(9), core: false };
    assert_eq!(exit_of(&stage.exited()), (pid, killed, None));
}

fn a_standing_order_that_fails_is_told() {
    let mut stage = Stage::new();
    let script = stage.place.path().join("run");
    fs::copy("/bin/sleep", &script).unwrap();
    let script = script.to_str().unwrap();
    stage.order(&[launch("x", &plan(&[script, "1000"])), Order::Stand { child: child("x") }]);
    let pid = stage.started();
    fs::remove_file(script).unwrap();
    stage.order(&[signal("x", 15, false)]);
    match stage.exited() {
        Report::Exited { pid: gone, next: None, relaunch_failure: Some(failure), .. } => {
            assert_eq!((gone, failure.step, failure.errno), (pid, LaunchStep::Execute, 2));
        }
        other => panic!("{other:?}"),
    }
}

/// It was sent before its sender knew of the relaunch. Carried out, it would let two exits pass untold when
/// the sender dies before it reads of them.
fn late_standing_order() {
    let mut stage = Stage::new();
    let stand = || Order::Stand { child: child("x") };
    stage.order(&[launch("x", &plan(LONG)), stand(), signal("x", 9, false)]);
    let first = stage.started();
    let (pid, _, next) = exit_of(&stage.exited());
    assert_eq!(pid, first);
    stage.order(&[stand(), signal("x", 9, false)]);
    let killed = Exit::Signal { signal: Signal(9), core: false };
    assert_eq!(exit_of(&stage.exited()), (next.unwrap(), killed, None));
    // Both are told to the next supervisor too.
    stage.kill_supervisor();
    let table = stage.hello();
    assert!(table.iter().any(|report| match report {
        Report::Known { pid, state: KnownState::Exited { .. }, .. } => Some(*pid) == next,
        _ => false,
    }));
    let told = table.iter().find(|report| matches!(report, Report::Exited { .. })).unwrap();
    assert_eq!(exit_of(told), (first, killed, next));
}

//! Signals to the children and to the guardian itself, and its end.

use std::fs;
use std::io::{BufRead, BufReader};

use svc::lifecycle::{Exit, Signal};
use svc::os::process;
use svc::protocol::guardian::{Order, Report};

use super::Test;
use super::stage::{LONG, Stage, child, exit_of, launch, plan, shell, signal, until};

pub const TESTS: &[Test] = &[
    ("signals_reach_the_child_or_its_group", signals_reach_the_child_or_its_group),
    ("signals_of_the_guardian_are_passed_on", signals_of_the_guardian_are_passed_on),
    ("a_signal_is_not_lost_with_the_supervisor", a_signal_is_not_lost_with_the_supervisor),
    ("an_exit_order_ends_all", an_exit_order_ends_all),
    ("nothing_wakes_an_idle_guardian", nothing_wakes_an_idle_guardian),
    ("without_any_supervisor_term_ends_the_services", without_any_supervisor_term_ends_the_services),
];

fn signals_reach_the_child_or_its_group() {
    let mut stage = Stage::new();
    let script = "trap 'echo child' USR1; \
                  sh -c 'trap \"echo other\" USR1; echo ready; while :; do sleep 0.01; done' & \
                  while :; do sleep 0.01; done";
    stage.order(&[launch("x", &shell(script))]);
    let pid = stage.started();
    let mut lines = BufReader::new(stage.pipe()).lines();
    let mut line = || lines.next().unwrap().unwrap();
    assert_eq!(line(), "ready");
    stage.order(&[signal("x", 10, false)]);
    while line() != "child" {}
    stage.order(&[signal("x", 10, true)]);
    let mut missing = vec!["child", "other"];
    while !missing.is_empty() {
        // The shells also say how their sleeps ended.
        let line = line();
        missing.retain(|missing| *missing != line);
    }
    stage.order(&[signal("x", 9, true)]);
    let killed = Exit::Signal { signal: Signal(9), core: false };
    assert_eq!(exit_of(&stage.exited()), (pid, killed, None));
    until("an empty group", || process::group_is_empty(pid.0));
    // To one that has ended nothing is sent, whoever has its pid by now.
    stage.order(&[signal("x", 9, true), signal("x", 9, false), signal("unknown", 9, true)]);
    stage.hello();
}

fn signals_of_the_guardian_are_passed_on() {
    let mut stage = Stage::hostile();
    for signal in [15, 2, 3, 1, 10, 12, 30, 28, 37, 64] {
        process::kill(stage.guardian_pid(), signal).unwrap();
        let came = stage.report_that(|report| match report {
            Report::Signalled { signal, sender } => Some((signal.0, *sender)),
            _ => None,
        });
        assert_eq!(came, (signal, process::own_pid()));
    }
    // The others neither end it nor are told.
    for signal in [13, 14, 17, 18, 20, 21, 22, 23, 24, 25, 26, 27, 29, 16] {
        if signal != 20 {
            process::kill(stage.guardian_pid(), signal).unwrap();
        }
    }
    assert!(!stage.hello().iter().any(|report| matches!(report, Report::Signalled { .. })));
}

fn a_signal_is_not_lost_with_the_supervisor() {
    let mut stage = Stage::new();
    process::kill(stage.supervisor().pid, 19).unwrap();
    process::kill(stage.guardian_pid(), 15).unwrap();
    let sent = |report: &Report| match report {
        Report::Signalled { signal, .. } => Some(signal.0),
        _ => None,
    };
    // It was sent to one that never reads it.
    stage.kill_supervisor();
    stage.hello();
    assert_eq!(stage.report_that(sent), 15);
    // An order shows that it was heard.
    stage.hello();
    stage.kill_supervisor();
    stage.hello();
    process::kill(stage.guardian_pid(), 1).unwrap();
    assert_eq!(stage.report_that(sent), 1);
}

fn an_exit_order_ends_all() {
    let mut stage = Stage::new();
    stage.order(&[launch("x", &shell("trap '' TERM; sleep 1000 & wait")), launch("y", &plan(LONG))]);
    let (one, other) = (stage.started(), stage.started());
    let supervisor = stage.supervisor().pid;
    let control = stage.place.path().join("runtime/control");
    assert!(control.exists());
    stage.order(&[Order::Exit { code: 42 }]);
    assert_eq!(stage.guardian_code(), Some(42));
    assert!(process::group_is_empty(one.0) && process::group_is_empty(other.0));
    assert!(process::kill(supervisor, 0).is_err());
    assert!(!control.exists());
    assert_eq!(stage.stderr(), "");
}

fn without_any_supervisor_term_ends_the_services() {
    let mut stage = Stage::new();
    let stubborn = shell("trap 'echo term; exit 0' TERM; echo ready; while :; do sleep 0.01; done");
    stage.order(&[launch("x", &stubborn)]);
    let pid = stage.started();
    let mut lines = BufReader::new(stage.pipe()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    fs::write(stage.place.path().join("test.die"), "").unwrap();
    process::kill(stage.supervisor().pid, 9).unwrap();
    process::kill(stage.guardian_pid(), 15).unwrap();
    assert_eq!(stage.guardian_code(), Some(111));
    assert!(lines.any(|line| line.unwrap() == "term"));
    assert!(process::group_is_empty(pid.0));
    assert!(
        stage.stderr().contains("svc: there is no supervisor and the end is wanted"),
        "{}",
        stage.stderr()
    );
}
fn nothing_wakes_an_idle_guardian() {
    let mut stage = Stage::new();
    stage.order(&[launch("x", &plan(LONG)), Order::Stand { child: child("x") }]);
    stage.started();
    stage.hello();
    let path = format!("/proc/{}/status", stage.guardian_pid());
    let switches = || {
        let status = fs::read_to_string(&path).unwrap();
        status.lines().find(|line| line.starts_with("voluntary")).unwrap().to_owned()
    };
    until("sleep", || fs::read_to_string(&path).unwrap().contains("State:\tS"));
    let before = switches();
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert_eq!(switches(), before);
}

//! The table outlives the supervisor, nothing is lost or leaked.

use std::fs;
use std::io::{BufRead, BufReader, Read};

use svc::lifecycle::{Exit, Pid, Signal};
use svc::os::process;
use svc::protocol::guardian::{KnownState, LaunchPlan, LaunchStep, Order, Report, Role, Stdio};

use super::Test;
use super::stage::{LONG, Stage, child, exit_of, has_root, launch, name, plan, shell, signal, until};

pub const TESTS: &[Test] = &[
    ("an_exit_is_kept_until_it_is_acknowledged", an_exit_is_kept_until_it_is_acknowledged),
    ("a_new_supervisor_finds_everything_as_it_was", a_new_supervisor_finds_everything_as_it_was),
    ("without_descriptors_a_launch_fails_and_all_else_goes_on", without_descriptors),
    ("without_processes_a_launch_fails_and_all_else_goes_on", without_processes),
    ("a_child_is_never_started_twice", a_child_is_never_started_twice),
    ("a_program_that_left_its_session_is_adopted", a_program_that_left_its_session_is_adopted),
    ("orphans_are_reaped_and_told", orphans_are_reaped_and_told),
    ("last_orders_of_a_dying_supervisor_are_carried_out", last_orders_of_a_dying_supervisor_are_carried_out),
    ("bytes_that_are_no_orders_harm_nobody", bytes_that_are_no_orders_harm_nobody),
    ("a_log_pipe_ends_only_when_it_is_told_to", a_log_pipe_ends_only_when_it_is_told_to),
    ("a_thousand_children_in_one_datagram", a_thousand_children_in_one_datagram),
];

/// Launches until one fails, then ends one and launches again.
fn fails_in_the_end(stage: &mut Stage, step: LaunchStep, errno: i32) {
    for n in 0..100 {
        let service = format!("s{n}");
        let log_pipe = Some(name(&service));
        stage.order(&[launch(&service, &LaunchPlan { log_pipe, ..plan(LONG) })]);
        let failure = stage.report_that(|report| match report {
            Report::LaunchFailed { failure, .. } => Some(Some(*failure)),
            Report::Started { .. } => Some(None),
            _ => None,
        });
        let Some(failure) = failure else { continue };
        assert_eq!((failure.step, failure.errno), (step, errno));
        assert!(n > 0);
        stage.order(&[signal("s0", 9, true)]);
        let (pid, _, _) = exit_of(&stage.exited());
        let again = LaunchPlan { log_pipe: Some(name("s0")), ..plan(LONG) };
        stage.order(&[Order::Acknowledge { child: child("s0"), pid }, launch("s0", &again)]);
        stage.started();
        return;
    }
    panic!("a hundred launches succeeded");
}

fn an_exit_is_kept_until_it_is_acknowledged() {
    let mut stage = Stage::new();
    stage.order(&[launch("x", &shell("exit 7"))]);
    let pid = stage.started();
    assert_eq!(exit_of(&stage.exited()), (pid, Exit::Code(7), None));
    stage.kill_supervisor();
    let known = |table: Vec<Report>| {
        table.into_iter().find_map(|report| match report {
            Report::Known { pid, state: KnownState::Exited { exit, .. }, .. } => Some((pid, exit)),
            _ => None,
        })
    };
    assert_eq!(known(stage.hello()), Some((pid, Exit::Code(7))));
    stage.order(&[Order::Acknowledge { child: child("x"), pid: Pid(1) }]);
    assert!(known(stage.hello()).is_some());
    stage.order(&[Order::Acknowledge { child: child("x"), pid }]);
    assert_eq!(known(stage.hello()), None);
}

fn a_new_supervisor_finds_everything_as_it_was() {
    let mut stage = Stage::new();
    let finish = svc::protocol::guardian::Child { name: name("x"), role: Role::Finish };
    let writer = shell("while :; do echo line; sleep 0.01; done");
    stage.order(&[
        launch("x", &writer),
        Order::Launch { child: finish.clone(), plan: Box::new(plan(LONG)) },
        Order::Stand { child: child("x") },
        Order::Note { name: name("x"), note: b"first".to_vec() },
        Order::Note { name: name("x"), note: vec![0, 255, 7] },
        Order::OpenPipe { name: name("web/log") },
    ]);
    let (run, finishing) = (stage.started(), stage.started());
    let old = stage.supervisor().pid;
    stage.kill_supervisor();
    let table = stage.hello();
    match &table[0] {
        Report::Welcome { pid, supervisors_started, .. } => {
            assert_eq!((pid.0, *supervisors_started), (stage.guardian_pid(), 2));
        }
        other => panic!("{other:?}"),
    }
    let known: Vec<_> = table
        .iter()
        .filter_map(|report| match report {
            Report::Known { child, pid, state: KnownState::Running { standing }, .. } => {
                Some((child.clone(), *pid, *standing))
            }
            _ => None,
        })
        .collect();
    assert_eq!(known, [(child("x"), run, true), (finish, finishing, false)]);
    assert!(table.contains(&Report::Note { name: name("x"), note: vec![0, 255, 7] }));
    let pipes: Vec<_> = table.iter().filter(|report| matches!(report, Report::Pipe { .. })).collect();
    assert_eq!(pipes, [&Report::Pipe { name: name("p") }, &Report::Pipe { name: name("web/log") }]);
    let mut line = String::new();
    BufReader::new(stage.pipe()).read_line(&mut line).unwrap();
    assert_eq!(line, "line\n");
    let text = format!("svc: the supervisor (pid {old}) was killed by signal 9; it is started again");
    assert!(stage.stderr().contains(&text), "{}", stage.stderr());
}

fn without_descriptors() {
    let mut stage = Stage::with("ulimit -n 40; exec \"$@\"", &[]);
    fails_in_the_end(&mut stage, LaunchStep::LogPipe, 24);
}

fn without_processes() {
    if !has_root("without_processes") {
        return;
    }
    // No other process of the machine has this uid.
    let script = "ulimit -u 12; exec setpriv --reuid=471147 --regid=471147 --clear-groups \"$@\"";
    let mut stage = Stage::with(script, &[]);
    fails_in_the_end(&mut stage, LaunchStep::Clone, 11);
}

fn a_child_is_never_started_twice() {
    let mut stage = Stage::new();
    stage.order(&[launch("x", &plan(LONG)), launch("x", &plan(LONG))]);
    let pid = stage.started();
    assert_eq!(stage.launch_failure().step, LaunchStep::Busy);
    stage.order(&[signal("x", 9, false)]);
    stage.exited();
    stage.order(&[launch("x", &plan(LONG))]);
    assert_eq!(stage.launch_failure().step, LaunchStep::Busy);
    stage.order(&[Order::Acknowledge { child: child("x"), pid }, launch("x", &plan(LONG))]);
    assert_ne!(stage.started(), pid);
}

fn a_program_that_left_its_session_is_adopted() {
    let mut stage = Stage::new();
    stage.order(&[launch("x", &shell("setsid sleep 1000 & echo $!; exit 0"))]);
    let first = stage.started();
    let mut line = String::new();
    BufReader::new(stage.pipe()).read_line(&mut line).unwrap();
    let orphan = Pid(line.trim().parse().unwrap());
    stage.exited();
    stage.order(&[Order::Adopt { child: child("x"), pid: orphan }]);
    assert_eq!(stage.started(), orphan);
    stage.order(&[Order::Acknowledge { child: child("x"), pid: first }, signal("x", 15, true)]);
    let killed = Exit::Signal { signal: Signal(15), core: false };
    assert_eq!(exit_of(&stage.exited()), (orphan, killed, None));
    // No child any more, a stranger, and the supervisor itself.
    stage.order(&[Order::Acknowledge { child: child("x"), pid: orphan }]);
    for pid in [orphan.0, 1, stage.supervisor().pid] {
        stage.order(&[Order::Adopt { child: child("x"), pid: Pid(pid) }]);
        let failure = stage.launch_failure();
        assert_eq!((failure.step, failure.errno), (LaunchStep::Clone, 10));
    }
}

fn orphans_are_reaped_and_told() {
    let mut stage = Stage::new();
    stage.order(&[launch("x", &shell("for i in 1 2 3 4 5; do (sleep 0.2 & echo $!) ; done; exit 0"))]);
    stage.started();
    let mut lines = BufReader::new(stage.pipe()).lines();
    let mut orphans: Vec<i32> = (0..5).map(|_| lines.next().unwrap().unwrap().parse().unwrap()).collect();
    while !orphans.is_empty() {
        let reaped = stage.report_that(|report| match report {
            Report::Reaped { pids } => Some(pids.clone()),
            _ => None,
        });
        orphans.retain(|orphan| !reaped.contains(&Pid(*orphan)));
    }
}

fn last_orders_of_a_dying_supervisor_are_carried_out() {
    let mut stage = Stage::new();
    let note = |byte| Order::Note { name: name("x"), note: vec![byte; 1000] };
    // The guardian sees the death and the orders at the same time.
    let guardian = stage.guardian_pid();
    process::kill(guardian, 19).unwrap();
    until("stop", || fs::read_to_string(format!("/proc/{guardian}/status")).unwrap().contains("State:\tT"));
    stage.order(&[Order::Hello { version: 1 }, note(1)]);
    for byte in 2..100 {
        stage.order(&[note(byte)]);
    }
    stage.order(&[launch("x", &plan(LONG)), note(100)]);
    let pid = stage.supervisor().pid;
    stage.sent_all();
    process::kill(pid, 9).unwrap();
    process::kill(stage.guardian_pid(), 18).unwrap();
    stage.next_supervisor();
    let table = stage.hello();
    assert!(table.contains(&Report::Note { name: name("x"), note: vec![100; 1000] }));
    assert!(table.iter().any(|report| matches!(report, Report::Known { .. })));
}

fn bytes_that_are_no_orders_harm_nobody() {
    let mut stage = Stage::new();
    stage.send_bytes(&[250, 1, 2], &[]);
    let text = stage.report_that(|report| match report {
        Report::Complaint { text } => Some(text.clone()),
        _ => None,
    });
    assert_eq!(text, "cannot decode the message: invalid order; none of its orders is carried out");
    stage.send_bytes(&[], &["/dev/null"]);
    stage.send_bytes(&vec![9; 500_000], &[]);
    stage.order(&[launch("x", &plan(LONG))]);
    stage.started();
}

fn a_log_pipe_ends_only_when_it_is_told_to() {
    let mut stage = Stage::new();
    let run = |stage: &mut Stage, text: &str| {
        stage.order(&[launch("x", &plan(&["/bin/echo", text]))]);
        let pid = stage.started();
        stage.exited();
        stage.order(&[Order::Acknowledge { child: child("x"), pid }]);
    };
    run(&mut stage, "one");
    let mut pipe = BufReader::new(stage.pipe());
    let mut line = String::new();
    pipe.read_line(&mut line).unwrap();
    run(&mut stage, "two");
    stage.order(&[Order::ClosePipeWriter { name: name("p") }]);
    stage.hello();
    let mut text = String::new();
    pipe.read_to_string(&mut text).unwrap();
    assert_eq!((line.as_str(), text.as_str()), ("one\n", "two\n"));
    // The next run opens it again, and the logger reads the same pipe.
    run(&mut stage, "three");
    let logger =
        LaunchPlan { stdio: [Stdio::LogRead, Stdio::Passed(0), Stdio::Null], ..plan(&["/bin/head", "-1"]) };
    let out = stage.place.path().join("out");
    fs::write(&out, "").unwrap();
    stage.order_with(&[launch("p/log", &logger)], &[out.to_str().unwrap()]);
    stage.started();
    stage.exited();
    assert_eq!(fs::read_to_string(&out).unwrap(), "three\n");
}

fn a_thousand_children_in_one_datagram() {
    let mut stage = Stage::new();
    let variables: Vec<u8> =
        (0..40).flat_map(|n| format!("VARIABLE_{n}=some value\0").into_bytes()).collect();
    let launches = (0..1000).map(|n| {
        let log_pipe = Some(name(&format!("s{n}")));
        launch(&format!("s{n}"), &LaunchPlan { log_pipe, shared_environment: 7, ..plan(LONG) })
    });
    let orders: Vec<Order> =
        std::iter::once(Order::Environment { number: 7, variables }).chain(launches).collect();
    stage.order(&orders);
    let pids: std::collections::BTreeSet<Pid> = (0..1000).map(|_| stage.started()).collect();
    assert_eq!(pids.len(), 1000);
    stage.kill_supervisor();
    let table = stage.hello();
    assert_eq!(table.iter().filter(|report| matches!(report, Report::Known { .. })).count(), 1000);
    let orders: Vec<Order> = (0..1000).map(|n| signal(&format!("s{n}"), 9, true)).collect();
    stage.order(&orders);
    for _ in 0..1000 {
        stage.exited();
    }
}

//! The table outlives the supervisor, standing orders are carried out, nothing is lost or leaked.

use std::fs;
use std::io::{BufRead, BufReader, Read};

use svc::lifecycle::{Exit, Pid, Signal};
use svc::os::process;
use svc::protocol::guardian::{KnownState, LaunchPlan, LaunchStep, Order, Report, Role, Stdio};

use super::Test;
use super::stage::{Stage, child, children_of, has_root, launch, name, plan, shell, signal, until};

pub const TESTS: &[Test] = &[
    ("an_exit_is_kept_until_it_is_acknowledged", an_exit_is_kept_until_it_is_acknowledged),
    ("a_new_supervisor_finds_everything_as_it_was", a_new_supervisor_finds_everything_as_it_was),
    ("a_standing_order_restarts_at_once_and_only_once", a_standing_order_restarts_at_once_and_only_once),
    ("a_standing_order_is_carried_out_without_a_supervisor", standing_without_a_supervisor),
    ("a_standing_order_waits_for_an_empty_group", a_standing_order_waits_for_an_empty_group),
    ("a_standing_order_can_be_taken_back", a_standing_order_can_be_taken_back),
    ("without_descriptors_a_launch_fails_and_all_else_goes_on", without_descriptors),
    ("without_processes_a_launch_fails_and_all_else_goes_on", without_processes),
    ("a_standing_order_that_fails_is_told", a_standing_order_that_fails_is_told),
    ("a_child_is_never_started_twice", a_child_is_never_started_twice),
    ("signals_reach_the_child_or_its_group", signals_reach_the_child_or_its_group),
    ("a_program_that_left_its_session_is_adopted", a_program_that_left_its_session_is_adopted),
    ("orphans_are_reaped_and_told", orphans_are_reaped_and_told),
    ("signals_of_the_guardian_are_passed_on", signals_of_the_guardian_are_passed_on),
    ("a_signal_is_not_lost_with_the_supervisor", a_signal_is_not_lost_with_the_supervisor),
    ("an_exit_order_ends_all", an_exit_order_ends_all),
    ("last_orders_of_a_dying_supervisor_are_carried_out", last_orders_of_a_dying_supervisor_are_carried_out),
    ("bytes_that_are_no_orders_harm_nobody", bytes_that_are_no_orders_harm_nobody),
    ("a_log_pipe_ends_only_when_it_is_told_to", a_log_pipe_ends_only_when_it_is_told_to),
    ("a_thousand_children_in_one_datagram", a_thousand_children_in_one_datagram),
    ("nothing_wakes_an_idle_guardian", nothing_wakes_an_idle_guardian),
    ("without_any_supervisor_term_ends_the_services", without_any_supervisor_term_ends_the_services),
];

const LONG: &[&str] = &["/bin/sleep", "1000"];

fn exit_of(report: &Report) -> (Pid, Exit, Option<Pid>) {
    match report {
        Report::Exited { pid, exit, next, .. } => (*pid, *exit, *next),
        other => panic!("{other:?}"),
    }
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
    assert_eq!(exit_of(&stage.exited()), (first, killed, Some(next)));
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

fn last_orders_of_a_dying_supervisor_are_carried_out() {
    let mut stage = Stage::new();
    let note = |byte| Order::Note { name: name("x"), note: vec![byte; 1000] };
    // The guardian sees the death and the orders at the same time.
    process::kill(stage.guardian_pid(), 19).unwrap();
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
    let shared: Vec<u8> = (0..40).flat_map(|n| format!("VARIABLE_{n}=some value\0").into_bytes()).collect();
    let orders: Vec<Order> = (0..1000)
        .map(|n| {
            let log_pipe = Some(name(&format!("s{n}")));
            launch(
                &format!("s{n}"),
                &LaunchPlan { log_pipe, shared_environment: shared.clone(), ..plan(LONG) },
            )
        })
        .collect();
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

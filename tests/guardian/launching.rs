//! What a program gets, whatever the guardian was given, and what is told when it cannot be had.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use svc::protocol::guardian::{
    Identity, LaunchFailure, LaunchPlan, LaunchStep, Order, ResourceLimit, Scheduler, Stdio,
};

use super::Test;
use super::stage::{Stage, child, has_root, launch, plan, shell};

pub const TESTS: &[Test] = &[
    (
        "a_program_gets_a_clean_context_from_a_hostile_caller",
        a_program_gets_a_clean_context_from_a_hostile_caller,
    ),
    (
        "a_program_leads_its_own_session_without_a_terminal",
        a_program_leads_its_own_session_without_a_terminal,
    ),
    ("everything_of_the_plan_is_applied", everything_of_the_plan_is_applied),
    ("a_user_is_become_with_its_groups", a_user_is_become_with_its_groups),
    ("a_program_of_another_user_can_open_its_output", a_program_of_another_user_can_open_its_output),
    ("each_failing_step_is_named_with_its_errno", each_failing_step_is_named_with_its_errno),
    ("without_root_the_step_that_needs_it_is_named", without_root_the_step_that_needs_it_is_named),
    ("passed_descriptors_become_standard_ones", passed_descriptors_become_standard_ones),
    ("descriptors_do_not_grow_with_launches", descriptors_do_not_grow_with_launches),
];

fn a_program_gets_a_clean_context_from_a_hostile_caller() {
    let mut stage = Stage::hostile();
    let status = stage.output_of(plan(&["/bin/grep", "-E", "^(SigBlk|SigIgn|Umask)", "/proc/self/status"]));
    assert_eq!(status, "Umask:\t0022\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
    // The fourth is the one by which ls reads the directory.
    let descriptors = stage.output_of(plan(&["/bin/ls", "/proc/self/fd"]));
    assert_eq!(descriptors, "0\n1\n2\n3\n");
    assert_eq!(stage.output_of(shell("cat; readlink /proc/$$/fd/0")), "/dev/null\n");
    assert_eq!(stage.output_of(shell("ulimit -Sn")), limit_of_ours());
    stage.order(&[Order::Environment { number: 3, variables: b"A=1\0B=two words\0".to_vec() }]);
    let environment = stage.output_of(LaunchPlan {
        shared_environment: 3,
        own_environment: b"C=\0".to_vec(),
        ..plan(&["/usr/bin/env"])
    });
    assert_eq!(environment, "A=1\nB=two words\nC=\n");
}

/// The guardian raises its own, but not that of the programs.
fn limit_of_ours() -> String {
    let output = std::process::Command::new("sh").args(["-c", "ulimit -Sn"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn a_program_leads_its_own_session_without_a_terminal() {
    let mut stage = Stage::hostile();
    let stat = stage.output_of(plan(&["/bin/cat", "/proc/self/stat"]));
    let words: Vec<&str> = stat.split_whitespace().collect();
    let (pid, guardian) = (words[0], stage.guardian_pid().to_string());
    assert_eq!(words[3..8], [guardian.as_str(), pid, pid, "0", "-1"]);
}

fn everything_of_the_plan_is_applied() {
    let mut stage = Stage::hostile();
    let script = "umask; pwd; nice; ulimit -n; ulimit -Hn; cat /proc/self/oom_score_adj; \
                  grep ^policy /proc/self/sched; ionice -p $$; echo $0 $1";
    let text = stage.output_of(LaunchPlan {
        umask: 0o027,
        working_directory: b"/usr".to_vec(),
        nice: Some(5),
        limits: vec![ResourceLimit { resource: 7, soft: 55, hard: 66 }],
        oom_score_adjust: Some(432),
        scheduler: Some(Scheduler { policy: 3, priority: 0 }),
        io_priority: Some(2 << 13 | 6),
        ..plan(&["/bin/sh", "-c", script, "zero", "one two"])
    });
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("policy")).collect();
    assert_eq!(lines[..6], ["0027", "/usr", "5", "55", "66", "432"], "{text}");
    assert_eq!(lines[6..], ["best-effort: prio 6", "zero one two"], "{text}");
}

fn a_user_is_become_with_its_groups() {
    if !has_root("a_user_is_become_with_its_groups") {
        return;
    }
    let mut stage = Stage::hostile();
    let identity = |uid, gid, groups| Some(Identity { uid, gid, groups });
    let plan = plan(&["/bin/grep", "-E", "^(Uid|Gid|Groups|CapEff)", "/proc/self/status"]);
    let text = stage.output_of(LaunchPlan { identity: identity(1234, 2345, vec![10, 20]), ..plan.clone() });
    let expected = "Uid:\t1234\t1234\t1234\t1234\nGid:\t2345\t2345\t2345\t2345\nGroups:\t10 20 \n";
    assert_eq!(text, format!("{expected}CapEff:\t0000000000000000\n"));
    let text = stage.output_of(LaunchPlan { identity: identity(7, 8, Vec::new()), ..plan });
    assert!(text.contains("Groups:\t \n"), "{text}");
    // A guardian that has started other users still may look at itself.
    let own = fs::read_to_string(format!("/proc/{}/status", stage.guardian_pid())).unwrap();
    assert!(own.contains("Uid:\t0\t0\t0\t0"));
}

fn a_program_of_another_user_can_open_its_output() {
    if !has_root("a_program_of_another_user_can_open_its_output") {
        return;
    }
    let mut stage = Stage::new();
    let identity = Some(Identity { uid: 65534, gid: 65534, groups: Vec::new() });
    let script = "echo one | tee /dev/stdout; echo two >/dev/stderr; echo $?";
    let nobody = LaunchPlan { identity: identity.clone(), ..shell(script) };
    for _ in 0..2 {
        assert_eq!(stage.output_of(nobody.clone()), "one\none\ntwo\n0\n");
    }
    // Only stderr is the pipe.
    let stdio = [Stdio::Null, Stdio::Null, Stdio::LogWrite];
    let nobody = LaunchPlan { stdio, identity, ..shell("echo two >/dev/stderr") };
    assert_eq!(stage.output_of(nobody), "two\n");
}

fn each_failing_step_is_named_with_its_errno() {
    let mut stage = Stage::hostile();
    let place = stage.place.path().to_owned();
    let no_interpreter = place.join("no-interpreter");
    fs::write(&no_interpreter, "#!/nonexistent/sh\n").unwrap();
    fs::set_permissions(&no_interpreter, fs::Permissions::from_mode(0o755)).unwrap();
    let no_magic = place.join("no-magic");
    fs::write(&no_magic, "echo hi\n").unwrap();
    fs::set_permissions(&no_magic, fs::Permissions::from_mode(0o755)).unwrap();
    let limit = |soft, hard| ResourceLimit { resource: 4, soft, hard };
    let good = || plan(&["/bin/true"]);
    let cases = [
        (
            LaunchPlan { working_directory: b"/nonexistent".to_vec(), ..good() },
            (LaunchStep::WorkingDirectory, 0, 2),
        ),
        (
            LaunchPlan { working_directory: b"/etc/passwd".to_vec(), ..good() },
            (LaunchStep::WorkingDirectory, 0, 20),
        ),
        (LaunchPlan { root: Some(b"/nonexistent".to_vec()), ..good() }, (LaunchStep::Root, 0, 2)),
        (LaunchPlan { limits: vec![limit(0, 0), limit(2, 1)], ..good() }, (LaunchStep::Limit, 1, 22)),
        (LaunchPlan { controlling_terminal: true, ..good() }, (LaunchStep::ControllingTerminal, 0, 25)),
        (
            LaunchPlan { scheduler: Some(Scheduler { policy: 77, priority: 0 }), ..good() },
            (LaunchStep::Scheduler, 0, 22),
        ),
        (LaunchPlan { io_priority: Some(7 << 13), ..good() }, (LaunchStep::IoPriority, 0, 22)),
        (LaunchPlan { oom_score_adjust: Some(2000), ..good() }, (LaunchStep::OomScore, 1, 22)),
        (
            LaunchPlan { stdio: [Stdio::Passed(3), Stdio::Null, Stdio::Null], ..good() },
            (LaunchStep::Stdio, 0, 9),
        ),
        (
            LaunchPlan { stdio: [Stdio::Null, Stdio::LogWrite, Stdio::Null], log_pipe: None, ..good() },
            (LaunchStep::Stdio, 1, 9),
        ),
        (plan(&["/nonexistent"]), (LaunchStep::Execute, 0, 2)),
        (plan(&["/etc"]), (LaunchStep::Execute, 0, 13)),
        (plan(&["/etc/passwd"]), (LaunchStep::Execute, 0, 13)),
        (plan(&[no_interpreter.to_str().unwrap()]), (LaunchStep::Execute, 0, 2)),
        (plan(&[no_magic.to_str().unwrap()]), (LaunchStep::Execute, 0, 8)),
    ];
    for (plan, (step, index, errno)) in cases {
        stage.order(&[launch("x", &plan)]);
        assert_eq!(stage.launch_failure(), LaunchFailure { step, index, errno });
    }
    // A child that could not start has left nothing behind.
    stage.order(&[launch("x", &good())]);
    stage.started();
}

fn without_root_the_step_that_needs_it_is_named() {
    if !has_root("without_root_the_step_that_needs_it_is_named") {
        return;
    }
    let mut stage = Stage::as_user(4711);
    let good = || LaunchPlan { stdio: [Stdio::Null; 3], ..plan(&["/bin/true"]) };
    let identity = Identity { uid: 0, gid: 0, groups: Vec::new() };
    let raised = ResourceLimit { resource: 7, soft: 1 << 40, hard: 1 << 40 };
    let cases = [
        (LaunchPlan { identity: Some(identity), ..good() }, LaunchStep::Groups, 1),
        (LaunchPlan { root: Some(b"/".to_vec()), ..good() }, LaunchStep::Root, 1),
        (LaunchPlan { nice: Some(-5), ..good() }, LaunchStep::Nice, 13),
        (LaunchPlan { limits: vec![raised], ..good() }, LaunchStep::Limit, 1),
        (LaunchPlan { oom_score_adjust: Some(-500), ..good() }, LaunchStep::OomScore, 13),
        (
            LaunchPlan { scheduler: Some(Scheduler { policy: 1, priority: 1 }), ..good() },
            LaunchStep::Scheduler,
            1,
        ),
    ];
    for (plan, step, errno) in cases {
        stage.order(&[launch("x", &plan)]);
        let failure = stage.launch_failure();
        assert_eq!((failure.step, failure.errno), (step, errno));
    }
    stage.order(&[launch("x", &good())]);
    stage.started();
}

fn passed_descriptors_become_standard_ones() {
    let mut stage = Stage::hostile();
    let place = stage.place.path().to_owned();
    let (input, output) = (place.join("in"), place.join("out"));
    fs::write(&input, "from the file\n").unwrap();
    fs::write(&output, "").unwrap();
    let paths = [output.to_str().unwrap(), input.to_str().unwrap()];
    let plan = LaunchPlan {
        stdio: [Stdio::Passed(1), Stdio::Passed(0), Stdio::Passed(0)],
        ..shell("cat; echo to stderr >&2")
    };
    stage.order_with(&[launch("x", &plan)], &paths);
    stage.started();
    stage.exited();
    assert_eq!(fs::read_to_string(&output).unwrap(), "from the file\nto stderr\n");
}

fn descriptors_do_not_grow_with_launches() {
    let mut stage = Stage::new();
    let count = |stage: &mut Stage| {
        // All orders before this one have been carried out.
        stage.hello();
        fs::read_dir(format!("/proc/{}/fd", stage.guardian_pid())).unwrap().count()
    };
    let mut before = 0;
    for round in 0..20 {
        stage.order_with(
            &[launch("x", &LaunchPlan { stdio: [Stdio::Passed(0); 3], ..plan(&["/bin/true"]) })],
            &["/dev/null", "/dev/null"],
        );
        let pid = stage.started();
        stage.exited();
        stage.order(&[svc::protocol::guardian::Order::Acknowledge { child: child("x"), pid }]);
        if round == 0 {
            stage.output_of(plan(&["/bin/true"]));
            before = count(&mut stage);
        }
    }
    stage.output_of(plan(&["/bin/true"]));
    assert_eq!(count(&mut stage), before);
}

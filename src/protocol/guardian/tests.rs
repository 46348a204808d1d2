//! Round trips and hostile bytes.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;

fn names() -> impl Strategy<Value = Name> {
    ("[a-zA-Z0-9_@-][a-zA-Z0-9._@-]{0,20}", any::<bool>()).prop_map(|(text, logger)| {
        let name = Name::new(&text).unwrap();
        if logger { name.logger() } else { name }
    })
}

fn children() -> impl Strategy<Value = Child> {
    let roles = prop_oneof![Just(Role::Run), Just(Role::Finish), Just(Role::Reload)];
    (names(), roles).prop_map(|(name, role)| Child { name, role })
}

fn pids() -> impl Strategy<Value = Pid> {
    (1..i32::MAX).prop_map(Pid)
}

fn signals() -> impl Strategy<Value = Signal> {
    (1..=64).prop_map(Signal)
}

fn times() -> impl Strategy<Value = Time> {
    any::<u64>().prop_map(Time::from_nanoseconds)
}

fn exits() -> impl Strategy<Value = Exit> {
    prop_oneof![
        any::<u8>().prop_map(Exit::Code),
        (signals(), any::<bool>()).prop_map(|(signal, core)| Exit::Signal { signal, core }),
        Just(Exit::Unknown),
    ]
}

fn failures() -> impl Strategy<Value = LaunchFailure> {
    let steps = prop_oneof![
        Just(LaunchStep::Busy),
        Just(LaunchStep::LogPipe),
        Just(LaunchStep::Clone),
        Just(LaunchStep::OomScore),
        Just(LaunchStep::WorkingDirectory),
        Just(LaunchStep::Uid),
        Just(LaunchStep::Execute),
    ];
    (steps, any::<u8>(), any::<i32>()).prop_map(|(step, index, errno)| LaunchFailure { step, index, errno })
}

fn strings() -> impl Strategy<Value = Vec<u8>> {
    vec(1_u8.., 0..40)
}

fn environments() -> impl Strategy<Value = Vec<u8>> {
    vec(strings(), 0..5).prop_map(|strings| {
        let mut bytes = Vec::new();
        for string in strings {
            bytes.extend_from_slice(&string);
            bytes.push(0);
        }
        bytes
    })
}

fn stdio() -> impl Strategy<Value = Stdio> {
    prop_oneof![
        Just(Stdio::Null),
        Just(Stdio::Inherit),
        Just(Stdio::LogWrite),
        Just(Stdio::LogRead),
        any::<u8>().prop_map(Stdio::Passed),
    ]
}

fn plans() -> impl Strategy<Value = LaunchPlan> {
    let limits = (any::<u32>(), any::<u64>(), any::<u64>())
        .prop_map(|(resource, soft, hard)| ResourceLimit { resource, soft, hard });
    let schedulers =
        (any::<i32>(), any::<i32>()).prop_map(|(policy, priority)| Scheduler { policy, priority });
    let identities = (any::<u32>(), any::<u32>(), vec(any::<u32>(), 0..5))
        .prop_map(|(uid, gid, groups)| Identity { uid, gid, groups });
    let files =
        (strings(), vec(strings(), 0..6), any::<u32>(), environments(), option::of(strings()), strings());
    let outside = ([stdio(), stdio(), stdio()], option::of(names()), any::<bool>(), vec(limits, 0..4));
    let inside = (
        option::of(any::<i32>()),
        option::of(any::<i32>()),
        option::of(schedulers),
        option::of(any::<i32>()),
        any::<u32>(),
        option::of(identities),
    );
    (files, outside, inside).prop_map(|(files, outside, inside)| LaunchPlan {
        program: files.0,
        arguments: files.1,
        shared_environment: files.2,
        own_environment: files.3,
        root: files.4,
        working_directory: files.5,
        stdio: outside.0,
        log_pipe: outside.1,
        controlling_terminal: outside.2,
        limits: outside.3,
        nice: inside.0,
        io_priority: inside.1,
        scheduler: inside.2,
        oom_score_adjust: inside.3,
        umask: inside.4,
        identity: inside.5,
    })
}

fn orders() -> impl Strategy<Value = Order> {
    prop_oneof![
        any::<u32>().prop_map(|version| Order::Hello { version }),
        (children(), plans()).prop_map(|(child, plan)| Order::Launch { child, plan: Box::new(plan) }),
        children().prop_map(|child| Order::Stand { child }),
        children().prop_map(|child| Order::Unstand { child }),
        (children(), signals(), any::<bool>()).prop_map(|(child, signal, group)| Order::Signal {
            child,
            signal,
            group
        }),
        (children(), pids()).prop_map(|(child, pid)| Order::Adopt { child, pid }),
        (children(), pids()).prop_map(|(child, pid)| Order::Acknowledge { child, pid }),
        names().prop_map(|name| Order::OpenPipe { name }),
        names().prop_map(|name| Order::ClosePipeWriter { name }),
        names().prop_map(|name| Order::Forget { name }),
        (names(), vec(any::<u8>(), 0..300)).prop_map(|(name, note)| Order::Note { name, note }),
        any::<u8>().prop_map(|code| Order::Exit { code }),
        Just(Order::Tidy),
        (any::<u32>(), environments())
            .prop_map(|(number, variables)| Order::Environment { number, variables }),
    ]
}

fn reports() -> impl Strategy<Value = Report> {
    let states = prop_oneof![
        any::<bool>().prop_map(|standing| KnownState::Running { standing }),
        (exits(), times()).prop_map(|(exit, at)| KnownState::Exited { exit, at }),
        Just(KnownState::Adopted),
    ];
    let exited = (children(), pids(), exits(), times(), option::of(pids()), option::of(failures()));
    prop_oneof![
        (any::<u32>(), pids(), times(), any::<u32>()).prop_map(
            |(version, pid, started, supervisors_started)| Report::Welcome {
                version,
                pid,
                started,
                supervisors_started
            }
        ),
        (children(), pids(), times(), states).prop_map(|(child, pid, started, state)| Report::Known {
            child,
            pid,
            started,
            state
        }),
        names().prop_map(|name| Report::Pipe { name }),
        (names(), any::<i32>()).prop_map(|(name, errno)| Report::PipeFailed { name, errno }),
        (names(), vec(any::<u8>(), 0..300)).prop_map(|(name, note)| Report::Note { name, note }),
        Just(Report::TableEnd),
        (children(), pids(), times()).prop_map(|(child, pid, at)| Report::Started { child, pid, at }),
        (children(), failures()).prop_map(|(child, failure)| Report::LaunchFailed { child, failure }),
        exited.prop_map(|(child, pid, exit, at, next, relaunch_failure)| Report::Exited {
            child,
            pid,
            exit,
            at,
            next,
            relaunch_failure
        }),
        vec(pids(), 0..50).prop_map(|pids| Report::Reaped { pids }),
        (signals(), any::<i32>()).prop_map(|(signal, sender)| Report::Signalled { signal, sender }),
        ".{0,40}".prop_map(|text| Report::Complaint { text }),
        (proptest::option::of(pids()), exits()).prop_map(|(pid, exit)| Report::Predecessor { pid, exit }),
    ]
}

proptest! {
    #[test]
    fn orders_come_back_as_they_were_sent(sent in vec(orders(), 0..8)) {
        let mut bytes = Vec::new();
        encode_orders(&sent, &mut bytes);
        prop_assert_eq!(decode_orders(&bytes), Ok(sent));
    }

    #[test]
    fn reports_come_back_as_they_were_sent(sent in vec(reports(), 0..8)) {
        let mut bytes = Vec::new();
        encode_reports(&sent, &mut bytes);
        prop_assert_eq!(decode_reports(&bytes), Ok(sent));
    }

    #[test]
    fn a_truncated_order_is_an_error(order in orders(), cut in any::<prop::sample::Index>()) {
        let mut bytes = Vec::new();
        encode_order(&order, &mut bytes);
        let kept = &bytes[..cut.index(bytes.len())];
        if !kept.is_empty() {
            prop_assert!(decode_orders(kept).is_err());
        }
    }

    #[test]
    fn damaged_messages_never_panic(sent in vec(orders(), 1..4), at in any::<prop::sample::Index>(), byte: u8) {
        let mut bytes = Vec::new();
        encode_orders(&sent, &mut bytes);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = decode_orders(&bytes);
        let _ = decode_reports(&bytes);
    }

    #[test]
    fn hostile_bytes_never_panic(bytes in vec(any::<u8>(), 0..400)) {
        let _ = decode_orders(&bytes);
        let _ = decode_reports(&bytes);
    }
}

#[test]
fn a_length_beyond_the_message_is_refused_before_anything_is_allocated() {
    // Note, name "a", then a note of 2^62 bytes.
    let bytes = [10, 1, b'a', 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40];
    assert_eq!(decode_orders(&bytes), Err(DecodeError::Truncated));
}

#[test]
fn pid_zero_is_refused_because_kill_would_take_it_for_everybody() {
    let mut bytes = Vec::new();
    let child = Child { name: Name::new("a").unwrap(), role: Role::Run };
    encode_order(&Order::Adopt { child, pid: Pid(0) }, &mut bytes);
    assert_eq!(decode_orders(&bytes), Err(DecodeError::Invalid("pid")));
}

#[test]
fn every_step_of_a_launch_comes_back() {
    for byte in 0..=17 {
        let bytes = [7, 1, b'a', 0, byte, 3, 4];
        let reports = decode_reports(&bytes).unwrap();
        let mut again = Vec::new();
        encode_reports(&reports, &mut again);
        assert_eq!(again, bytes);
    }
    assert_eq!(decode_reports(&[7, 1, b'a', 0, 18, 0, 0]), Err(DecodeError::Invalid("step")));
}

#[test]
fn errors_are_told_in_words() {
    assert_eq!(DecodeError::Truncated.to_string(), "cannot decode the message: it ends too early");
    assert_eq!(DecodeError::Invalid("flag").to_string(), "cannot decode the message: invalid flag");
}

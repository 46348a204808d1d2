//! Every key of service.toml with a value, and how it shows in the definition.

use std::path::Path;
use std::time::Duration;

use svc::lifecycle::{GiveUp, Kind, Restart, Scope, Signal, StopStep};
use svc::service::{Definition, Input, LogFormat, LogTarget, Output, Reload, Timestamp};

/// A line of service.toml, and whether it reached the definition.
pub type Row = (&'static str, fn(&Definition, &Path) -> bool);

pub const ROWS: &[Row] = &[
    ("description = \"x\"", |d, _| d.description.as_deref() == Some("x")),
    ("type = \"oneshot\"", |d, _| d.policy.kind == Kind::Oneshot),
    ("enabled = false", |d, _| !d.policy.enabled),
    ("user = \"root\"", |d, _| d.context.user.as_deref() == Some("root")),
    ("user = 0", |d, _| d.context.user.as_deref() == Some("0")),
    ("group = \"daemon\"", |d, _| d.context.group.as_deref() == Some("daemon")),
    ("groups = [\"daemon\", 0]", |d, _| d.context.groups == ["daemon", "0"]),
    ("cwd = \"/tmp\"", |d, _| d.context.cwd.as_deref() == Some(Path::new("/tmp"))),
    ("cwd = \"data\"", |d, dir| d.context.cwd == Some(dir.join("data"))),
    ("umask = \"027\"", |d, _| d.context.umask == Some(0o027)),
    ("env = { A = \"1\" }", |d, _| d.context.env == [("A".into(), Some("1".into()))]),
    ("env-files = [\"-none.env\"]", |d, _| d.context.env.is_empty()),
    ("inherit-env = false", |d, _| d.context.inherit_env == Some(false)),
    ("stdin = \"null\"", |d, _| d.context.stdin == Input::Null && d.policy.may_stand),
    ("stdin = \"file:in\"", |d, dir| d.context.stdin == Input::File(dir.join("in")) && !d.policy.may_stand),
    ("stdout = \"log\"", |d, _| d.context.stdout == Output::Log && d.policy.may_stand),
    ("stdout = \"inherit\"", |d, _| d.context.stdout == Output::Inherit && d.policy.may_stand),
    ("stdout = \"null\"", |d, _| d.context.stdout == Output::Null && d.policy.may_stand),
    ("stdout = \"file:/o:1\"", |d, _| d.context.stdout == Output::File("/o:1".into()) && !d.policy.may_stand),
    ("stdout = \"append:o\"", |d, dir| {
        d.context.stdout == Output::Append(dir.join("o")) && d.policy.may_stand
    }),
    ("stdout = \"truncate:o\"", |d, dir| {
        d.context.stdout == Output::Truncate(dir.join("o")) && !d.policy.may_stand
    }),
    ("stderr = \"truncate:o\"", |d, dir| {
        d.context.stderr == Output::Truncate(dir.join("o")) && !d.policy.may_stand
    }),
    ("tty = \"/dev/tty1\"", |d, _| {
        let c = &d.context;
        c.tty.as_deref() == Some(Path::new("/dev/tty1"))
            && (&c.stdin, &c.stdout, &c.stderr) == (&Input::Tty, &Output::Tty, &Output::Tty)
            && !d.policy.may_stand
    }),
    ("tty = \"/dev/tty1\"\nstdout = \"log\"", |d, _| d.context.stdout == Output::Log),
    ("nice = -5", |d, _| d.context.nice == Some(-5)),
    ("io-priority = \"best-effort:4\"", |d, _| d.context.io_priority == Some((2 << 13) | 4)),
    ("io-priority = \"realtime:0\"", |d, _| d.context.io_priority == Some(1 << 13)),
    ("io-priority = \"idle\"", |d, _| d.context.io_priority == Some(3 << 13)),
    ("scheduler = \"other\"", |d, _| d.context.scheduler == Some((0, 0))),
    ("scheduler = \"batch\"", |d, _| d.context.scheduler == Some((3, 0))),
    ("scheduler = \"idle\"", |d, _| d.context.scheduler == Some((5, 0))),
    ("scheduler = \"fifo:10\"", |d, _| d.context.scheduler == Some((1, 10))),
    ("scheduler = \"rr:99\"", |d, _| d.context.scheduler == Some((2, 99))),
    ("oom-score-adjust = -1000", |d, _| d.context.oom_score_adjust == Some(-1000)),
    ("write-pidfile = \"web.pid\"", |d, dir| {
        d.write_pidfile == Some(dir.join("web.pid")) && !d.policy.may_stand
    }),
    ("restart = \"never\"", |d, _| d.policy.restart == Restart::Never),
    ("restart = \"on-failure\"", |d, _| d.policy.restart == Restart::OnFailure),
    ("restart = \"on-success\"", |d, _| d.policy.restart == Restart::OnSuccess),
    ("restart-delay = \"1s\"", |d, _| d.policy.backoff.first == Duration::from_secs(1)),
    ("restart-delay = \"1m\"", |d, _| d.policy.backoff.max == Duration::from_secs(60)),
    ("restart-delay-max = \"1m30s\"", |d, _| d.policy.backoff.max == Duration::from_secs(90)),
    ("restart-reset = \"infinity\"", |d, _| d.policy.backoff.reset == Duration::MAX),
    ("give-up = \"5 in 1m\"", |d, _| {
        d.policy.give_up == Some(GiveUp { count: 5, within: Duration::from_secs(60) })
    }),
    ("success-codes = [0, 3, \"USR1\", \"SIGUSR2\"]", |d, _| {
        d.policy.success_codes == [3] && d.policy.success_signals == [Signal(10), Signal(12)]
    }),
    ("stop = \"INT\"", |d, _| d.policy.stop == [StopStep::Signal(Signal(2))]),
    ("stop = [\"TERM\"]", |d, _| d.policy.stop == [StopStep::Signal(Signal::TERM)]),
    ("stop = [\"QUIT\", \"500ms\", \"RTMIN+1\", \"infinity\"]", |d, _| {
        d.policy.stop
            == [
                StopStep::Signal(Signal(3)),
                StopStep::Wait(Duration::from_millis(500)),
                StopStep::Signal(Signal(35)),
                StopStep::Wait(Duration::MAX),
            ]
    }),
    ("kill = \"group\"", |d, _| d.policy.kill == Scope::Group),
    ("kill = \"main\"", |d, _| d.policy.kill == Scope::Main),
    ("reload = \"USR2\"", |d, _| d.reload == Reload::Signal(Signal(12))),
    ("reload = [\"/bin/true\", \"x\"]", |d, _| {
        d.reload == Reload::Command(vec!["/bin/true".into(), "x".into()])
    }),
    ("timeout-start = \"2m\"", |d, _| d.policy.timeout_start == Duration::from_secs(120)),
    ("timeout-finish = \"1m\"", |d, _| d.policy.timeout_finish == Duration::from_secs(60)),
    ("limits.open-files = 65536", |d, _| d.context.limits == [(7, 65536, 65536)]),
    ("limits.processes = \"512:1024\"", |d, _| d.context.limits == [(6, 512, 1024)]),
    ("limits.core = \"infinity\"", |d, _| d.context.limits == [(4, u64::MAX, u64::MAX)]),
    ("limits.stack = \"8M\"", |d, _| d.context.limits == [(3, 8 << 20, 8 << 20)]),
    ("limits.data = 4096", |d, _| d.context.limits == [(2, 4096, 4096)]),
    ("limits.address-space = \"1G:infinity\"", |d, _| d.context.limits == [(9, 1 << 30, u64::MAX)]),
    ("limits.file-size = \"1T\"", |d, _| d.context.limits == [(1, 1 << 40, 1 << 40)]),
    ("limits.locked-memory = 0", |d, _| d.context.limits == [(8, 0, 0)]),
    ("limits.cpu-time = \"1500ms:1m\"", |d, _| d.context.limits == [(0, 2, 60)]),
    ("limits.message-queues = \"800K\"", |d, _| d.context.limits == [(12, 800 << 10, 800 << 10)]),
    ("limits.pending-signals = 5", |d, _| d.context.limits == [(11, 5, 5)]),
    ("limits.nice = -5", |d, _| d.context.limits == [(13, 25, 25)]),
    ("limits.real-time-priority = 50", |d, _| d.context.limits == [(14, 50, 50)]),
    ("limits.real-time-run = \"200ms\"", |d, _| d.context.limits == [(15, 200_000, 200_000)]),
    ("log.to = \"file\"", |d, _| d.log.to == LogTarget::File),
    ("log.to = \"console\"", |d, _| d.log.to == LogTarget::Console),
    ("log.to = \"both\"", |d, _| d.log.to == LogTarget::Both),
    ("log.to = \"null\"", |d, _| d.log.to == LogTarget::Null),
    ("log.max-size = \"64M\"", |d, _| d.log.bytes_max == 64 << 20),
    ("log.max-files = 3", |d, _| d.log.files_max == 3),
    ("log.max-total = \"500M\"", |d, _| d.log.total_bytes_max == Some(500 << 20)),
    ("log.max-age = \"30d\"", |d, _| d.log.age_max == Some(Duration::from_secs(30 * 86_400))),
    ("log.timestamp = \"tai64n\"", |d, _| d.log.timestamp == Timestamp::Tai64n),
    ("log.timestamp = \"none\"", |d, _| d.log.timestamp == Timestamp::None),
    ("log.compress = true", |d, _| d.log.compress),
    ("log.format = \"json\"", |d, _| d.log.format == LogFormat::Json),
    ("log.limit = \"10M/s\"", |d, _| d.log.limit == Some(10 << 20)),
];

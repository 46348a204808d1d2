//! A guardian in a directory of its own, and the test in the place of its supervisor.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::Read;
use std::io::Write;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child as Process, Command};
use std::time::{Duration, Instant};

use svc::lifecycle::{Exit, Name, Pid, Signal};
use svc::os::process;
use svc::protocol::guardian::{
    Child, LaunchFailure, LaunchPlan, Order, Report, Role, Stdio, VERSION, decode_reports, encode_orders,
};

use super::puppet::{read_bytes, read_number, write_bytes};

/// Generous: only a test that fails waits so long.
pub const DEADLINE: Duration = Duration::from_secs(60);

pub struct Stage {
    pub place: tempfile::TempDir,
    listener: UnixListener,
    pub guardian: Process,
    supervisor: Option<Supervisor>,
}

pub struct Supervisor {
    stream: UnixStream,
    pub pid: i32,
    reports: VecDeque<Report>,
    /// Numbers in the puppet, in the order of the Pipe reports.
    descriptors: VecDeque<u32>,
}

/// What a test program says of itself.
pub const HOSTILE: &str = "umask 077; exec 9</dev/null 251</dev/null 300</dev/null; trap '' USR2 PIPE HUP CHLD; \
                           exec env --block-signal=USR1,TERM,INT \"$@\"";
const FRIENDLY: &str = "exec \"$@\"";

impl Stage {
    /// The first supervisor has said hello.
    pub fn new() -> Self {
        Self::with(FRIENDLY, &[])
    }

    /// umask 077, descriptors 9, 251 and 300 open, signals ignored and blocked.
    pub fn hostile() -> Self {
        Self::with(HOSTILE, &[])
    }

    pub fn as_user(uid: u32) -> Self {
        Self::with(&format!("exec setpriv --reuid={uid} --regid={uid} --clear-groups \"$@\""), &[])
    }

    pub fn with(script: &str, supervisor: &[&str]) -> Self {
        let mut stage = Self::without_supervisor(script, supervisor);
        stage.next_supervisor();
        stage.hello();
        stage
    }

    pub fn without_supervisor(script: &str, supervisor: &[&str]) -> Self {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("services")).unwrap();
        make_open(&place);
        let listener = UnixListener::bind(place.path().join("test")).unwrap();
        make_file_open(place.path().join("test"));
        let guardian = Self::command(&place, script, "foreground", supervisor).spawn().unwrap();
        Self { place, listener, guardian, supervisor: None }
    }

    pub fn command(place: &tempfile::TempDir, script: &str, mode: &str, supervisor: &[&str]) -> Command {
        let path = place.path();
        let mut command = Command::new("bash");
        command.arg("-c").arg(script).arg("bash").arg(std::env::current_exe().unwrap());
        command.arg("role-guardian").arg(mode).arg(path.join("runtime")).arg(path.join("services")).arg("");
        command.arg("role-supervisor").arg(path.join("test")).args(supervisor);
        command.stderr(File::create(path.join("stderr")).unwrap());
        command
    }

    pub fn stderr(&self) -> String {
        fs::read_to_string(self.place.path().join("stderr")).unwrap()
    }

    pub fn guardian_pid(&self) -> i32 {
        self.guardian.id() as i32
    }

    pub fn supervisor(&mut self) -> &mut Supervisor {
        self.supervisor.as_mut().unwrap()
    }

    /// Waits for the one that the guardian has started.
    pub fn next_supervisor(&mut self) {
        let listener = self.listener.try_clone().unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let _ = sender.send(listener.accept());
        });
        let (mut stream, _) = match receiver.recv_timeout(DEADLINE) {
            Ok(accepted) => accepted.unwrap(),
            Err(_) => panic!("no supervisor came; stderr: {}", self.stderr()),
        };
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let pid = read_number(&mut stream).unwrap() as i32;
        let supervisor = Supervisor { stream, pid, reports: VecDeque::new(), descriptors: VecDeque::new() };
        self.supervisor = Some(supervisor);
    }

    /// What the guardian tells of itself and its table.
    pub fn hello(&mut self) -> Vec<Report> {
        self.order(&[Order::Hello { version: VERSION }]);
        let mut table = Vec::new();
        loop {
            match self.report() {
                Report::TableEnd => return table,
                report => table.push(report),
            }
        }
    }

    pub fn order(&mut self, orders: &[Order]) {
        self.order_with(orders, &[]);
    }

    /// With the files of these paths opened and passed.
    pub fn order_with(&mut self, orders: &[Order], paths: &[&str]) {
        let mut bytes = Vec::new();
        encode_orders(orders, &mut bytes);
        self.send_bytes(&bytes, paths);
    }

    pub fn send_bytes(&mut self, bytes: &[u8], paths: &[&str]) {
        let stream = &mut self.supervisor().stream;
        write_bytes(stream, bytes);
        stream.write_all(&(paths.len() as u32).to_le_bytes()).unwrap();
        paths.iter().for_each(|path| write_bytes(stream, path.as_bytes()));
    }

    /// All orders are in the socket of the guardian, which must not send reports meanwhile.
    pub fn sent_all(&mut self) {
        self.send_bytes(&[], &[]);
        let stream = &mut self.supervisor().stream;
        assert_eq!((read_number(stream), read_number(stream)), (Some(0), Some(0)));
    }

    pub fn report(&mut self) -> Report {
        let supervisor = self.supervisor();
        loop {
            if let Some(report) = supervisor.reports.pop_front() {
                return report;
            }
            let Some(bytes) = read_bytes(&mut supervisor.stream) else {
                let stderr = fs::read_to_string(self.place.path().join("stderr")).unwrap();
                panic!("no report came; stderr: {stderr}");
            };
            supervisor.reports.extend(decode_reports(&bytes).unwrap());
            for _ in 0..read_number(&mut supervisor.stream).unwrap() {
                let number = read_number(&mut supervisor.stream).unwrap();
                supervisor.descriptors.push_back(number);
            }
        }
    }

    /// The next one that is wanted; others are passed over.
    pub fn report_that<T>(&mut self, wanted: impl Fn(&Report) -> Option<T>) -> T {
        loop {
            let report = self.report();
            if let Some(found) = wanted(&report) {
                return found;
            }
        }
    }

    pub fn started(&mut self) -> Pid {
        self.report_that(|report| match report {
            Report::Started { pid, .. } => Some(*pid),
            Report::LaunchFailed { failure, .. } => panic!("{failure:?}"),
            _ => None,
        })
    }

    pub fn launch_failure(&mut self) -> LaunchFailure {
        self.report_that(|report| match report {
            Report::LaunchFailed { failure, .. } => Some(*failure),
            _ => None,
        })
    }

    pub fn exited(&mut self) -> Report {
        self.report_that(|report| matches!(report, Report::Exited { .. }).then(|| report.clone()))
    }

    /// The read end of the pipe that was reported first of those not taken yet.
    pub fn pipe(&mut self) -> File {
        while self.supervisor().descriptors.is_empty() {
            self.report_that(|report| matches!(report, Report::Pipe { .. }).then_some(()));
        }
        let supervisor = self.supervisor();
        let number = supervisor.descriptors.pop_front().unwrap();
        File::open(format!("/proc/{}/fd/{number}", supervisor.pid)).unwrap()
    }

    /// Runs a program to its end; what it wrote.
    pub fn output_of(&mut self, plan: LaunchPlan) -> String {
        let name = plan.log_pipe.clone().unwrap();
        let child = Child { name: name.clone(), role: Role::Run };
        self.order(&[Order::Launch { child: child.clone(), plan: Box::new(plan) }]);
        let mut pipe = self.pipe();
        let pid = self.started();
        self.exited();
        self.order(&[Order::Acknowledge { child, pid }, Order::ClosePipeWriter { name: name.clone() }]);
        let mut text = String::new();
        pipe.read_to_string(&mut text).unwrap();
        self.order(&[Order::Forget { name }]);
        text
    }

    pub fn kill_supervisor(&mut self) {
        process::kill(self.supervisor().pid, 9).unwrap();
        self.next_supervisor();
    }

    /// Its exit code.
    pub fn guardian_code(&mut self) -> Option<i32> {
        let deadline = Instant::now() + DEADLINE;
        while Instant::now() < deadline {
            if let Some(status) = self.guardian.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        panic!("the guardian does not end; stderr: {}", self.stderr());
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let pid = self.guardian_pid();
        for child in children_of(pid) {
            let _ = process::kill_group(child, 9);
        }
        let _ = self.guardian.kill();
        let _ = self.guardian.wait();
        if let Some(supervisor) = &self.supervisor {
            let _ = supervisor.stream.shutdown(std::net::Shutdown::Both);
        }
    }
}

fn make_open(place: &tempfile::TempDir) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o777)).unwrap();
}

fn make_file_open(path: PathBuf) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
}

/// Their pids, zombies included.
pub fn children_of(pid: i32) -> Vec<i32> {
    fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))
        .unwrap_or_default()
        .split_whitespace()
        .map(|word| word.parse().unwrap())
        .collect()
}

/// Waits for something that no report tells, looking often.
pub fn until(what: &str, come: impl Fn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !come() {
        assert!(Instant::now() < deadline, "waited too long for: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

pub fn child(text: &str) -> Child {
    Child { name: name(text), role: Role::Run }
}

pub fn launch(text: &str, plan: &LaunchPlan) -> Order {
    Order::Launch { child: child(text), plan: Box::new(plan.clone()) }
}

pub fn signal(text: &str, signal: i32, group: bool) -> Order {
    Order::Signal { child: child(text), signal: Signal(signal), group }
}

/// A program with its output in the log pipe of `p`.
pub fn plan(arguments: &[&str]) -> LaunchPlan {
    LaunchPlan {
        program: arguments[0].as_bytes().to_vec(),
        arguments: arguments.iter().map(|argument| argument.as_bytes().to_vec()).collect(),
        shared_environment: 0,
        own_environment: b"PATH=/usr/local/bin:/usr/bin:/bin\0".to_vec(),
        stdio: [Stdio::Null, Stdio::LogWrite, Stdio::LogWrite],
        log_pipe: Some(name("p")),
        controlling_terminal: false,
        limits: Vec::new(),
        nice: None,
        io_priority: None,
        scheduler: None,
        oom_score_adjust: None,
        umask: 0o022,
        root: None,
        working_directory: b"/".to_vec(),
        identity: None,
    }
}

pub fn shell(script: &str) -> LaunchPlan {
    plan(&["/bin/sh", "-c", script])
}

pub fn is_root() -> bool {
    process::own_uid() == 0
}

/// True when the test is to go on; otherwise it has said why not.
pub fn has_root(test: &str) -> bool {
    if is_root() {
        return true;
    }
    assert!(std::env::var_os("SVC_TESTS_MUST_RUN").is_none(), "{test} needs root");
    println!("skipped: {test} needs root");
    false
}

/// Ends only when it is killed.
pub const LONG: &[&str] = &["/bin/sleep", "1000"];

/// Of a report of an exit: who, how, and who was started in its place.
pub fn exit_of(report: &Report) -> (Pid, Exit, Option<Pid>) {
    match report {
        Report::Exited { pid, exit, next, .. } => (*pid, *exit, *next),
        other => panic!("{other:?}"),
    }
}

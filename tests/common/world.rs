//! One svc with directories of its own. Dropping it ends everything and checks that nothing is left.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use super::said::{self, Said};
use super::{PATIENCE, ServiceDir, processes, wait_for, wait_until};

static WORLDS: AtomicU32 = AtomicU32::new(0);

pub struct World {
    pub root: PathBuf,
    /// What svc was started with besides its directories.
    pub environment: Vec<(String, String)>,
    /// `svc supervise` and `svc init` are our children; `svc daemon` is nobody's.
    child: Option<Child>,
    guardian: Option<i32>,
    /// A test that kills the guardian itself leaves processes behind on purpose.
    pub orphans_expected: bool,
}

/// The binary under test: SVC_BINARY, else the one cargo has just built.
pub fn svc_binary() -> PathBuf {
    std::env::var_os("SVC_BINARY").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_svc")), PathBuf::from)
}

impl World {
    /// Directories only; nothing runs yet.
    pub fn new() -> World {
        let number = WORLDS.fetch_add(1, Ordering::Relaxed);
        // No name begins another one: processes are told apart by what they mention.
        let root = std::env::temp_dir().join(format!("svc-test-{}-{number}-end", std::process::id()));
        for directory in ["services", "run", "log", "state", "home"] {
            fs::create_dir_all(root.join(directory)).unwrap();
        }
        World { root, environment: Vec::new(), child: None, guardian: None, orphans_expected: false }
    }

    /// Writes services with `write`, then starts `svc supervise` on them.
    pub fn with(write: impl FnOnce(&World)) -> World {
        let mut world = World::new();
        write(&world);
        world.start();
        world
    }

    pub fn services(&self) -> PathBuf {
        self.root.join("services")
    }

    pub fn service(&self, name: &str) -> ServiceDir {
        ServiceDir::new(&self.services(), name)
    }

    pub fn log_dir(&self, name: &str) -> PathBuf {
        self.root.join("log").join(name)
    }

    pub fn control_socket(&self) -> PathBuf {
        self.root.join("run").join("control")
    }

    /// `svc` with a clean environment that leads to this world.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(svc_binary());
        command.args(arguments).env_clear().current_dir(&self.root);
        command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("HOME", self.root.join("home"));
        for (key, directory) in [
            ("SVC_DIR", "services"),
            ("SVC_RUNTIME_DIR", "run"),
            ("SVC_LOG_DIR", "log"),
            ("SVC_STATE_DIR", "state"),
        ] {
            command.env(key, self.root.join(directory));
        }
        command.envs(self.environment.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        command
    }

    /// Runs a client command to its end.
    #[track_caller]
    pub fn svc(&self, arguments: &[&str]) -> Said {
        said::run(&mut self.command(arguments))
    }

    /// The same; it must succeed. Returns its stdout.
    #[track_caller]
    pub fn ok(&self, arguments: &[&str]) -> String {
        let said = self.svc(arguments);
        assert_eq!(
            said.code,
            0,
            "svc {} failed\nstdout: {}\nstderr: {}",
            arguments.join(" "),
            said.out,
            said.err
        );
        said.out
    }

    pub fn start(&mut self) {
        let mut command = self.command(&["supervise"]);
        self.start_with(&mut command);
    }

    /// Starts any command that becomes a guardian in the foreground, its outputs in `svc.out`.
    pub fn start_with(&mut self, command: &mut Command) {
        let output = File::options().create(true).append(true).open(self.root.join("svc.out")).unwrap();
        command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
        let child = command.spawn().unwrap();
        self.adopt(child);
    }

    /// Takes over a guardian that was started by other means, and waits until it answers.
    pub fn adopt(&mut self, child: Child) {
        self.child = Some(child);
        self.wait_for_answer();
    }

    /// `svc daemon`, which returns when the daemon answers.
    pub fn start_daemon(&mut self) {
        self.svc(&["daemon"]).expect_code(0);
        self.guardian = Some(self.pids().0);
    }

    /// Another process has taken its place; the first may have been our child.
    pub fn guardian_is(&mut self, pid: i32) {
        self.guardian = Some(pid);
        if let Some(mut child) = self.child.take() {
            child.wait().ok();
        }
    }

    pub fn wait_for_answer(&mut self) {
        let pong = wait_for("an answer on the control socket", || {
            if let Some(child) = &mut self.child
                && let Ok(Some(status)) = child.try_wait()
            {
                let said = fs::read_to_string(self.root.join("svc.out")).unwrap_or_default();
                panic!("svc ended at once, {status}: {said}");
            }
            self.ping()
        });
        self.guardian = pong["guardian_pid"].as_i64().map(|pid| pid as i32);
    }

    /// The reply to a ping; None while nobody answers.
    pub fn ping(&self) -> Option<Value> {
        self.ask(r#"{"version":1,"request":"ping"}"#)
    }

    /// Sends one line on the control socket and reads one line.
    pub fn ask(&self, request: &str) -> Option<Value> {
        let mut stream = UnixStream::connect(self.control_socket()).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        stream.write_all(format!("{request}\n").as_bytes()).ok()?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).ok()?;
        serde_json::from_str(&line).ok()
    }

    /// The whole of `svc status --json`.
    #[track_caller]
    pub fn overview(&self) -> Value {
        let said = self.svc(&["status", "--json"]);
        serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("no JSON ({error}): {said:?}"))
    }

    /// Guardian and supervisor.
    #[track_caller]
    pub fn pids(&self) -> (i32, i32) {
        let overview = self.overview();
        let pid = |role: &str| overview[role]["pid"].as_i64().expect("a pid") as i32;
        (pid("guardian"), pid("supervisor"))
    }

    pub fn guardian(&self) -> i32 {
        self.guardian.expect("svc was started")
    }

    /// `svc status NAME --json`.
    #[track_caller]
    pub fn status(&self, name: &str) -> Value {
        let said = self.svc(&["status", name, "--json"]);
        serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("no JSON ({error}): {said:?}"))
    }

    #[track_caller]
    pub fn state(&self, name: &str) -> String {
        self.status(name)["state"].as_str().unwrap_or("?").to_owned()
    }

    /// The pid of the main process of a running service.
    #[track_caller]
    pub fn pid(&self, name: &str) -> i32 {
        let status = self.status(name);
        status["pid"].as_i64().unwrap_or_else(|| panic!("{name} has no pid: {status}")) as i32
    }

    /// Waits until the service is in one of these states; returns its status.
    #[track_caller]
    pub fn wait_state(&self, name: &str, states: &[&str]) -> Value {
        wait_for(&format!("{name} to be {states:?}"), || {
            let said = self.svc(&["status", name, "--json"]);
            let status: Value = serde_json::from_str(&said.out).ok()?;
            states.contains(&status["state"].as_str()?).then_some(status)
        })
    }

    /// Waits until the service runs with another pid than `old`.
    #[track_caller]
    pub fn wait_other_pid(&self, name: &str, old: i32) -> i32 {
        wait_for(&format!("{name} to have another pid than {old}"), || {
            let said = self.svc(&["status", name, "--json"]);
            let status: Value = serde_json::from_str(&said.out).ok()?;
            let pid = status["pid"].as_i64()? as i32;
            (pid != old && ["up", "ready"].contains(&status["state"].as_str()?)).then_some(pid)
        })
    }

    /// Waits until a file of this world (relative to its root) exists with contents; returns them.
    #[track_caller]
    pub fn wait_file(&self, file: &str) -> String {
        let path = self.root.join(file);
        wait_for(&format!("{}", path.display()), || {
            fs::read_to_string(&path).ok().filter(|text| !text.is_empty())
        })
    }

    /// Waits until the log of a service holds this text.
    #[track_caller]
    pub fn wait_log(&self, name: &str, text: &str) -> String {
        let file = self.log_dir(name).join("current");
        wait_for(&format!("{text:?} in {}", file.display()), || {
            let bytes = fs::read(&file).ok()?;
            let log = String::from_utf8_lossy(&bytes).into_owned();
            log.contains(text).then_some(log)
        })
    }

    /// TERM to the guardian; its exit code, when it is our child.
    #[track_caller]
    pub fn end(&mut self) -> Option<i32> {
        let guardian = self.guardian.take()?;
        processes::signal(guardian, Signal::SIGTERM);
        match &mut self.child {
            Some(child) => Some(said::end_of(child, "svc after TERM")),
            None => {
                wait_until("the daemon to end", || !processes::lives(guardian));
                None
            }
        }
    }

    /// What the guardian and the supervisor printed.
    pub fn printed(&self) -> String {
        fs::read_to_string(self.root.join("svc.out")).unwrap_or_default()
    }

    /// The code with which the guardian ends by itself.
    #[track_caller]
    pub fn wait_end(&mut self) -> i32 {
        self.guardian = None;
        let child = self.child.as_mut().expect("a guardian that is our child");
        said::end_of(child, "svc")
    }

    /// Everything of this world that runs now, svc itself included.
    pub fn processes(&self) -> Vec<i32> {
        processes::of_root(&self.root)
    }

    #[track_caller]
    pub fn expect_nothing_left(&self) {
        let deadline = Instant::now() + Duration::from_secs(5);
        while !self.processes().is_empty() && Instant::now() < deadline {
            std::thread::park_timeout(Duration::from_millis(5));
        }
        let left: Vec<String> = self
            .processes()
            .into_iter()
            .map(|pid| format!("{pid} {:?}", processes::command_line(pid)))
            .collect();
        assert!(left.is_empty(), "left behind: {left:?}");
    }

    fn kill_everything(&self) {
        // Whoever is killed may have started another meanwhile: until a look finds nobody.
        for _ in 0..50 {
            let left = self.processes();
            if left.is_empty() {
                return;
            }
            left.into_iter().for_each(processes::kill_9);
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let failed = std::thread::panicking();
        if failed {
            eprintln!("--- svc printed:\n{}", self.printed());
        }
        if let Some(guardian) = self.guardian {
            if !failed {
                processes::signal(guardian, Signal::SIGTERM);
            }
            let deadline = Instant::now() + PATIENCE;
            while !failed && Instant::now() < deadline && self.still_runs(guardian) {
                std::thread::park_timeout(Duration::from_millis(2));
            }
        }
        let left = self.left_over(failed);
        self.kill_everything();
        if let Some(child) = &mut self.child {
            child.kill().ok();
            child.wait().ok();
        }
        if failed && std::env::var_os("SVC_TESTS_KEEP").is_some() {
            eprintln!("kept: {}", self.root.display());
        } else {
            remove(&self.root);
        }
        assert!(failed || self.orphans_expected || left.is_empty(), "svc ended and left {left:?}");
    }
}

impl World {
    fn still_runs(&mut self, guardian: i32) -> bool {
        match &mut self.child {
            Some(child) => matches!(child.try_wait(), Ok(None)),
            None => processes::lives(guardian),
        }
    }

    fn left_over(&self, failed: bool) -> Vec<String> {
        if failed {
            return Vec::new();
        }
        let name = |pid: &i32| format!("{:?} {:?}", processes::facts(*pid), processes::command_line(*pid));
        self.processes().iter().map(name).collect()
    }
}

fn remove(root: &Path) {
    if let Err(error) = fs::remove_dir_all(root) {
        eprintln!("cannot remove {}: {error}", root.display());
    }
}

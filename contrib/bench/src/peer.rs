//! Who is measured: the bare loop, runit, s6 and svc, each with its way to lay out service
//! directories, to start and to be spoken to.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::board::{Board, now_nanoseconds};
use crate::processes::{self, Ends};

const AT_MOST: Duration = Duration::from_secs(60);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// This program as a loop of fork, setsid, chdir, exec and wait: only the kernel's part.
    Bare,
    Runit,
    S6,
    /// A binary of svc, and what to call it in the table.
    Svc {
        binary: PathBuf,
        label: String,
    },
}

impl Peer {
    pub fn label(&self) -> String {
        match self {
            Peer::Bare => "bare loop".into(),
            Peer::Runit => "runit".into(),
            Peer::S6 => "s6".into(),
            Peer::Svc { label, .. } => label.clone(),
        }
    }

    pub fn is_there(&self) -> bool {
        let has = |program: &str| {
            let path = std::env::var_os("PATH").unwrap_or_default();
            std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
        };
        match self {
            Peer::Bare => true,
            Peer::Runit => has("runsvdir") && has("sv"),
            Peer::S6 => has("s6-svscan") && has("s6-svc"),
            Peer::Svc { binary, .. } => binary.is_file(),
        }
    }
}

/// A supervisor with its services, all of them started. Dropping it ends everything.
pub struct World {
    pub peer: Peer,
    pub root: PathBuf,
    pub board: Board,
    pub count: u32,
    /// From the start of the supervisor to the start of the last service.
    pub cold_start_nanoseconds: u64,
    child: Child,
}

/// Everything that is measured lives below: in memory where that can be had, since what runit and s6
/// keep per service is meant for a tmpfs, and a disk would be measured instead of them.
pub fn root() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let base = if memory.is_dir() { memory } else { Path::new("/tmp") };
    base.join(format!("svc-bench-{}", std::process::id()))
}

impl World {
    /// `logged`: each service has its own log; svc gives that to every service by itself.
    pub fn start(peer: &Peer, count: u32, logged: bool) -> Option<World> {
        let root = root();
        fs::remove_dir_all(&root).ok();
        let services = root.join("services");
        fs::create_dir_all(&services).ok()?;
        lay_out(peer, &services, count, logged);
        let board = Board::new(&services);
        // runsvdir waits a second when the directory was changed just now.
        let long_ago = std::time::SystemTime::now() - Duration::from_secs(3600);
        fs::File::open(&services).and_then(|folder| folder.set_modified(long_ago)).ok()?;
        let mut command = command_of(peer, &root, count);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let before = now_nanoseconds();
        let child = command.spawn().ok()?;
        let all_started = board.wait_for(count, AT_MOST);
        let cold_start_nanoseconds = if all_started { board.last_start(count) - before } else { 0 };
        let world = World { peer: peer.clone(), root, board, count, cold_start_nanoseconds, child };
        if !all_started {
            eprintln!("{}: {} of {count} services started", peer.label(), world.board.count());
            return None;
        }
        Some(world)
    }

    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    pub fn services(&self) -> PathBuf {
        self.root.join("services")
    }

    /// The pids of the services as first started.
    pub fn service_pids(&self) -> Vec<i32> {
        (0..self.count).map(|number| self.board.start(number).pid).collect()
    }

    /// The processes that supervise, services and their loggers left out.
    pub fn supervisors(&self) -> Vec<i32> {
        let is_one = |pid: &i32| {
            let name = processes::program(*pid);
            ["runsvdir", "runsv", "s6-svscan", "s6-supervise", "svc"].contains(&name.as_str())
                || *pid == self.pid()
        };
        processes::below(&self.root).into_iter().filter(is_one).collect()
    }

    /// A client command of this peer about all (or some) services.
    pub fn client(&self, word: Word, first: u32) -> Option<Command> {
        let names = (0..first).map(|number| format!("s{number}"));
        let paths = names.clone().map(|name| self.services().join(name));
        let mut command = match (&self.peer, word) {
            (Peer::Bare, _) => return None,
            (Peer::Runit, Word::Down) => with(Command::new("sv"), "down", paths),
            (Peer::Runit, Word::Status) => with(Command::new("sv"), "status", paths),
            // s6 speaks to one service a call: a shell loop is how it is done.
            (Peer::S6, Word::Down) => s6_loop("s6-svc -d", paths),
            (Peer::S6, Word::Status) => s6_loop("s6-svstat", paths),
            (Peer::Svc { binary, .. }, Word::Down) => with(svc(binary, &self.root), "down", names),
            (Peer::Svc { binary, .. }, Word::Status) if first == self.count && first > 1 => {
                let mut command = svc(binary, &self.root);
                command.arg("status");
                command
            }
            (Peer::Svc { binary, .. }, Word::Status) => with(svc(binary, &self.root), "status", names),
        };
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Some(command)
    }

    /// How long a whole shutdown takes: until the supervisors and every service have ended.
    pub fn shutdown_nanoseconds(self) -> Option<u64> {
        let services = self.service_pids();
        let ends = Ends::of(self.supervisors().into_iter().chain(services));
        let before = now_nanoseconds();
        // runsvdir ends its runsv on HUP; TERM would leave them.
        let word = if self.peer == Peer::Runit { libc::SIGHUP } else { libc::SIGTERM };
        processes::signal(self.pid(), word);
        ends.wait(AT_MOST).then(|| now_nanoseconds() - before)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    Down,
    Status,
}

impl Drop for World {
    fn drop(&mut self) {
        // The parents first, so that nobody starts anything again.
        self.supervisors().into_iter().for_each(|pid| processes::signal(pid, libc::SIGKILL));
        processes::kill_all(&self.root);
        self.child.kill().ok();
        self.child.wait().ok();
        processes::reap();
        fs::remove_dir_all(&self.root).ok();
    }
}

fn with<S: AsRef<std::ffi::OsStr>>(
    mut command: Command,
    word: &str,
    names: impl Iterator<Item = S>,
) -> Command {
    command.arg(word).args(names);
    command
}

fn s6_loop(words: &str, paths: impl Iterator<Item = PathBuf>) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("for s; do {words} \"$s\"; done")).arg("sh").args(paths);
    command
}

/// A client or a supervisor of svc with all its directories below `root`.
pub fn svc(binary: &Path, root: &Path) -> Command {
    let mut command = Command::new(binary);
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    for (key, folder) in [
        ("SVC_DIR", "services"),
        ("SVC_RUNTIME_DIR", "run"),
        ("SVC_LOG_DIR", "log"),
        ("SVC_STATE_DIR", "state"),
    ] {
        command.env(key, root.join(folder));
    }
    command
}

fn command_of(peer: &Peer, root: &Path, count: u32) -> Command {
    let services = root.join("services");
    match peer {
        Peer::Bare => {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.arg("bare-loop").arg(&services).arg(count.to_string());
            command
        }
        Peer::Runit => with(Command::new("runsvdir"), "-P", [services].iter()),
        Peer::S6 => with(Command::new("s6-svscan"), "-c2000", [services].iter()),
        Peer::Svc { binary, .. } => {
            let mut command = svc(binary, root);
            command.arg("supervise").arg0("svc");
            command
        }
    }
}

fn lay_out(peer: &Peer, services: &Path, count: u32, logged: bool) {
    let program =
        PathBuf::from(std::env::var_os("SVC_BENCH_PAUSE").expect("SVC_BENCH_PAUSE: the built pause.c"));
    let first = services.join(".pause");
    fs::copy(program, &first).unwrap();
    fs::set_permissions(&first, fs::Permissions::from_mode(0o755)).unwrap();
    for number in 0..count {
        let service = services.join(format!("s{number}"));
        fs::create_dir(&service).unwrap();
        fs::hard_link(&first, service.join("run")).unwrap();
        match peer {
            Peer::Runit | Peer::S6 if logged => {
                fs::create_dir(service.join("log")).unwrap();
                fs::hard_link(&first, service.join("log/run")).unwrap();
            }
            Peer::Runit | Peer::S6 | Peer::Bare => {}
            // Up for 50 ms counts as long up, as ten seconds do by default: the standing order for an
            // immediate restart is then given within the time of a measurement.
            Peer::Svc { .. } if !logged => {
                fs::write(service.join("service.toml"), "restart-reset = \"50ms\"\n").unwrap();
            }
            Peer::Svc { .. } => {}
        }
    }
}

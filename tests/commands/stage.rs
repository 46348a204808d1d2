//! A supervisor that says what it is told to, and the real binary as its client.

use std::collections::VecDeque;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use svc::control::{Incoming, SOCKET_NAME, Server};
use svc::lifecycle::{StateWord, Wanted};
use svc::os::unix_socket::effective_uid;
use svc::protocol::control::*;
use tempfile::TempDir;

/// Answers each request with what stands next in its script.
pub struct Stage {
    pub top: TempDir,
    pub heard: Arc<Mutex<Vec<What>>>,
    pub _server: Arc<OnceLock<Server>>,
}

/// Replies, and whether the connection is then closed.
pub type Scene = (Vec<Reply>, bool);

impl Stage {
    pub fn new(scenes: Vec<Vec<Reply>>) -> Self {
        Self::with(scenes.into_iter().map(|replies| (replies, false)).collect())
    }

    pub fn with(scenes: Vec<Scene>) -> Self {
        let top = tempfile::tempdir().unwrap();
        for name in ["run", "log", "services", "state"] {
            fs::create_dir(top.path().join(name)).unwrap();
        }
        let listener = UnixListener::bind(top.path().join("run").join(SOCKET_NAME)).unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let server: Arc<OnceLock<Server>> = Arc::new(OnceLock::new());
        let (of_inbox, heard_there) = (Arc::downgrade(&server), Arc::clone(&heard));
        let scenes = Mutex::new(VecDeque::from(scenes));
        let inbox = move |incoming: Incoming| {
            let Incoming::Request { client, what, .. } = incoming else { return true };
            heard_there.lock().unwrap().push(what);
            let (replies, close) = scenes.lock().unwrap().pop_front().unwrap_or_default();
            let Some(server) = of_inbox.upgrade() else { return true };
            let server = server.wait();
            server.reply(client, &replies);
            if close {
                server.close(client);
            }
            true
        };
        let started = Server::start(OwnedFd::from(listener), effective_uid(), inbox).unwrap();
        assert!(server.set(started).is_ok());
        Self { top, heard, _server: server }
    }

    pub fn svc(&self, line: &str) -> Ran {
        svc(self.top.path(), line)
    }

    pub fn heard(&self) -> Vec<What> {
        self.heard.lock().unwrap().clone()
    }
}

#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

pub fn svc(top: &Path, line: &str) -> Ran {
    let Output { status, stdout, stderr } = command(top, line).output().unwrap();
    Ran {
        code: status.code().expect("no signal ends it"),
        out: String::from_utf8(stdout).unwrap(),
        err: String::from_utf8(stderr).unwrap(),
    }
}

pub fn command(top: &Path, line: &str) -> Command {
    let binary = std::env::var_os("SVC_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_svc").into());
    let mut command = Command::new(binary);
    command.args(line.split(' ').filter(|word| !word.is_empty())).stdin(Stdio::null());
    for (name, folder) in [
        ("SVC_DIR", "services"),
        ("SVC_RUNTIME_DIR", "run"),
        ("SVC_LOG_DIR", "log"),
        ("SVC_STATE_DIR", "state"),
    ] {
        command.env(name, top.join(folder));
    }
    command
}

pub fn outcome(name: &str, state: StateWord, pid: Option<i32>) -> ServiceOutcome {
    ServiceOutcome {
        name: name.into(),
        ok: true,
        already: false,
        state,
        pid,
        why: None,
        exit: None,
        log: vec![],
    }
}

pub fn service(name: &str, state: StateWord, pid: Option<i32>) -> ServiceStatus {
    ServiceStatus {
        name: name.into(),
        state,
        wanted: Wanted::Up,
        pid,
        since: "2026-11-22T17:00:00Z".into(),
        for_seconds: 65.0,
        ready: false,
        paused: false,
        restarts: 0,
        last_exit: None,
        next_start: None,
        next_start_seconds: None,
        reason: None,
        description: None,
        enabled: true,
        changed: false,
        problems: vec![],
        directory: format!("/etc/svc/{name}"),
        detail: None,
    }
}

pub fn status(services: Vec<ServiceStatus>) -> Reply {
    Reply::Status(Status {
        guardian: GuardianStatus { pid: 10 },
        supervisor: SupervisorStatus {
            pid: 11,
            since: "2026-11-22T16:00:00Z".into(),
            version: "0.1.0".into(),
            services: "/etc/svc".into(),
            log_dir: "/var/log/svc".into(),
            started: 1,
            remarks: vec![],
        },
        services,
    })
}

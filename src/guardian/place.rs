//! What one guardian holds for itself: the runtime directory, the locks and the control socket.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use super::report::reason;
use super::{Mode, Setup};
use crate::os::descriptor::say;
use crate::os::lock::{Lock, LockError};
use crate::os::{listener, private_directory};

/// In the runtime directory.
const LOCK: &str = "lock";

#[derive(Debug)]
pub(super) struct Place {
    pub listener: OwnedFd,
    /// Removed at the end; `None` where there was no place for it.
    control_path: Option<PathBuf>,
    _runtime_dir: Option<File>,
    _locks: Vec<Lock>,
}

impl Place {
    /// The error is for the user.
    /// `listener` is the control socket of a guardian that was killed, with the clients that wait at it.
    pub fn take(setup: &Setup, listener: Option<OwnedFd>) -> Result<Self, String> {
        let mut locks = Vec::new();
        locks.extend(lock_services(setup)?);
        let runtime = private_directory::make(&setup.runtime_dir)
            .map_err(|error| cannot("use the runtime directory", &setup.runtime_dir, &error));
        let runtime_dir = match (runtime, &setup.mode) {
            (Ok(directory), _) => directory,
            // A container with nothing to write to: its services run all the same.
            (Err(text), Mode::Init) => return Self::without_runtime(locks, &text),
            (Err(text), Mode::Foreground | Mode::Daemon { .. } | Mode::Successor) => {
                return Err(format!("{text}; give another one with --runtime-dir"));
            }
        };
        locks.push(lock_runtime(setup)?);
        let control_path = setup.runtime_dir.join("control");
        let listener = match listener {
            Some(listener) => listener,
            None => listener::bind_private(runtime_dir.as_fd(), &control_path)
                .map_err(|error| cannot("make the control socket", &control_path, &error))?,
        };
        Ok(Self {
            listener,
            control_path: Some(control_path),
            _runtime_dir: Some(runtime_dir),
            _locks: locks,
        })
    }

    pub fn has_runtime_dir(&self) -> bool {
        self.control_path.is_some()
    }

    fn without_runtime(locks: Vec<Lock>, text: &str) -> Result<Self, String> {
        say(&format!("{text}; svc commands cannot reach this one, its services run all the same"));
        let listener = listener::bind_nowhere()
            .map_err(|error| format!("cannot make the control socket: {}", reason(&error)))?;
        Ok(Self { listener, control_path: None, _runtime_dir: None, _locks: locks })
    }

    /// At the end: nobody shall knock where nobody is. The lock file stays; removing it would let
    /// two others lock two files.
    pub fn leave(&self) {
        if let Some(path) = &self.control_path {
            // Gone already, or the file system has become read-only: the next one replaces it.
            std::fs::remove_file(path).err();
        }
    }
}

/// Nothing is locked, and that is said, where the file system has no locks (some of NFS).
fn lock_services(setup: &Setup) -> Result<Option<Lock>, String> {
    let directory = &setup.services_dir;
    match Lock::directory(directory) {
        Ok(lock) => Ok(Some(lock)),
        Err(LockError::Held { by }) => Err(already(setup, by)),
        Err(LockError::System(error)) => match error.kind() {
            io::ErrorKind::NotFound => Err(format!(
                "{}; make it and put the service directories there",
                cannot("supervise", directory, &error)
            )),
            io::ErrorKind::NotADirectory | io::ErrorKind::PermissionDenied => {
                Err(format!("{}; give a directory that you may read", cannot("supervise", directory, &error)))
            }
            _ => {
                say(&format!("{}; nothing keeps a second svc from it", cannot("lock", directory, &error)));
                Ok(None)
            }
        },
    }
}

fn lock_runtime(setup: &Setup) -> Result<Lock, String> {
    let path = setup.runtime_dir.join(LOCK);
    match Lock::file(&path) {
        Ok(lock) => Ok(lock),
        // The services are free, as they were locked before: another svc for other services.
        Err(LockError::Held { by }) => Err(format!(
            "cannot supervise {}: {} supervises other services from {}; give another one with --runtime-dir",
            setup.services_dir.display(),
            holder(by),
            setup.runtime_dir.display()
        )),
        Err(LockError::System(error)) => Err(cannot("lock", &path, &error)),
    }
}

fn already(setup: &Setup, by: Option<i32>) -> String {
    let (place, option) = match by.and_then(runtime_dir_of) {
        Some(other) if other != setup.runtime_dir => {
            (format!(" ({})", other.display()), format!(" --runtime-dir {}", other.display()))
        }
        Some(same) => (format!(" ({})", same.display()), String::new()),
        None => (String::new(), String::new()),
    };
    format!(
        "cannot supervise {}: it is supervised already by {}{place}; end that one with `svc shutdown{option}`, \
         or leave it to it",
        setup.services_dir.display(),
        holder(by),
    )
}

/// Where the lock is that a guardian holds besides the services.
fn runtime_dir_of(pid: i32) -> Option<PathBuf> {
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    let mut files = open.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok());
    let lock = files.find(|file| file.file_name().is_some_and(|name| name == LOCK))?;
    lock.parent().map(Path::to_owned)
}

fn holder(by: Option<i32>) -> String {
    by.map_or_else(|| "another process".to_owned(), |pid| format!("pid {pid}"))
}

fn cannot(verb: &str, path: &Path, error: &io::Error) -> String {
    format!("cannot {verb} {}: {}", path.display(), reason(error))
}

//! The client's end of the control socket.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::SOCKET_NAME;
use crate::lifecycle::Time;
use crate::os::clock::monotonic_nanoseconds;
use crate::os::poll::{Waiting, poll};
use crate::os::unix_socket;
use crate::protocol::control::{Reply, Request, What, line};

/// A connection to the supervisor.
pub struct Client {
    socket: OwnedFd,
    path: PathBuf,
    input: Vec<u8>,
    /// Where in `input` the next reply begins.
    start: usize,
    /// Up to here there is no newline after `start`.
    searched: usize,
}

#[derive(Debug)]
pub enum Received {
    Reply(Box<Reply>),
    TimedOut,
    /// The supervisor closed the connection.
    Ended,
}

#[derive(Debug)]
pub enum ClientError {
    Connect {
        path: PathBuf,
        cause: io::Error,
    },
    Lost {
        path: PathBuf,
        cause: io::Error,
    },
    /// Its reply is not understood: another version.
    Reply {
        path: PathBuf,
        cause: serde_json::Error,
    },
}

impl Client {
    pub fn connect(runtime_dir: &Path) -> Result<Client, ClientError> {
        Self::connect_within(runtime_dir, None)
    }

    /// A supervisor that is being started again accepts a little later: it is waited for, at most
    /// for `timeout`.
    pub fn connect_within(runtime_dir: &Path, timeout: Option<Duration>) -> Result<Client, ClientError> {
        let path = runtime_dir.join(SOCKET_NAME);
        match unix_socket::connect(runtime_dir, SOCKET_NAME, timeout) {
            Ok(socket) => Ok(Client { socket, path, input: Vec::new(), start: 0, searched: 0 }),
            Err(cause) => Err(ClientError::Connect { path, cause }),
        }
    }

    pub fn send(&mut self, what: What) -> Result<(), ClientError> {
        let bytes = line(&Request::new(what)).map_err(|cause| self.not_understood(cause))?;
        let mut left = bytes.as_slice();
        while !left.is_empty() {
            match unix_socket::send(self.socket.as_fd(), left) {
                Ok(count) => left = left.get(count..).unwrap_or_default(),
                // Whoever refused us has left a reply that says why.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                Err(error) => return Err(self.lost(error)),
            }
        }
        Ok(())
    }

    /// The next reply; waits for it until `deadline` (monotonic), or for ever.
    pub fn receive(&mut self, deadline: Option<Time>) -> Result<Received, ClientError> {
        loop {
            let fresh = self.input.get(self.searched..).unwrap_or_default();
            if let Some(at) = memchr::memchr(b'\n', fresh) {
                let end = self.searched + at;
                let reply = serde_json::from_slice(self.input.get(self.start..end).unwrap_or_default());
                self.start = end + 1;
                self.searched = self.start;
                return match reply {
                    Ok(reply) => Ok(Received::Reply(Box::new(reply))),
                    Err(cause) => Err(self.not_understood(cause)),
                };
            }
            self.input.drain(..self.start);
            self.start = 0;
            self.searched = self.input.len();
            if let Some(deadline) = deadline
                && !self.wait(deadline)?
            {
                return Ok(Received::TimedOut);
            }
            let mut block = [0; 32 * 1024];
            match unix_socket::receive(self.socket.as_fd(), &mut block) {
                Ok(0) => return Ok(Received::Ended),
                Ok(count) => self.input.extend_from_slice(block.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(Received::Ended),
                Err(error) => return Err(self.lost(error)),
            }
        }
    }

    /// Whether something came before the deadline.
    fn wait(&self, deadline: Time) -> Result<bool, ClientError> {
        loop {
            let left = deadline.since(Time::from_nanoseconds(monotonic_nanoseconds()));
            let mut waiting = [Waiting::to_read(self.socket.as_fd())];
            match poll(&mut waiting, Some(left)) {
                Ok(0) if left.is_zero() => return Ok(false),
                Ok(0) => {}
                Ok(_) => return Ok(true),
                Err(error) => return Err(self.lost(error)),
            }
        }
    }

    fn lost(&self, cause: io::Error) -> ClientError {
        ClientError::Lost { path: self.path.clone(), cause }
    }

    fn not_understood(&self, cause: serde_json::Error) -> ClientError {
        ClientError::Reply { path: self.path.clone(), cause }
    }
}

impl ClientError {
    /// Nobody listens there: svc does not run, rather than being out of reach.
    pub fn is_absent(&self) -> bool {
        match self {
            ClientError::Connect { cause, .. } => {
                matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
            }
            ClientError::Lost { .. } | ClientError::Reply { .. } => false,
        }
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientError::Connect { path, cause } => {
                write!(f, "cannot reach svc at {}: {}; ", path.display(), plain(cause))?;
                match cause.kind() {
                    io::ErrorKind::NotFound => f.write_str(
                        "is it running? start it with `svc daemon`, or name its runtime directory with --runtime-dir",
                    ),
                    io::ErrorKind::ConnectionRefused => {
                        f.write_str("it has ended and left its socket behind; start it with `svc daemon`")
                    }
                    io::ErrorKind::PermissionDenied => f.write_str(
                        "it runs as another user: become that user or root, or name your own with --runtime-dir",
                    ),
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                        f.write_str("its supervisor does not answer; see the messages of svc itself")
                    }
                    _ => f.write_str("name its runtime directory with --runtime-dir"),
                }
            }
            ClientError::Lost { path, cause } => {
                write!(f, "cannot talk to svc at {}: {}; try again", path.display(), plain(cause))
            }
            ClientError::Reply { path, cause } => write!(
                f,
                "cannot understand svc at {}: {cause}; use the client of the version that runs there",
                path.display()
            ),
        }
    }
}

impl std::error::Error for ClientError {}

/// The kernel's words without "(os error N)".
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

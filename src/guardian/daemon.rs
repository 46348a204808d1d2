//! `svc daemon`: the guardian leaves its caller, which waits until the control socket answers.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::report::{now, reason};
use super::{EXIT_SYSTEM_ERROR, Setup, serve};
use crate::lifecycle::Time;
use crate::os::daemonise::{self, Side};
use crate::os::descriptor::{self, say};
use crate::os::listener;
use crate::os::poll::{Waiting, poll};
use crate::os::process;

/// A supervisor that has not answered by then never will; reading 1,000 services takes a second.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(60);

/// Each new try means that a supervisor took the connection and died; it is kept from doing so for
/// ever by the guardian, which gives up before.
const CONNECTIONS_MAX: u32 = 100;

const PING: &[u8] = b"{\"version\":1,\"request\":\"ping\"}\n";
const BOUND: &[u8] = b"bound\n";

/// The longest text that is taken from the daemon or the socket.
const TEXT_BYTES_MAX: usize = 64 * 1024;

pub(super) fn run(setup: &Setup, log_file: Option<&Path>) -> i32 {
    let (from_daemon, to_caller) = match descriptor::pipe() {
        Ok(ends) => ends,
        Err(error) => return fail(&format!("cannot make a pipe: {}", reason(&error))),
    };
    match daemonise::leave_caller() {
        Ok(Side::Caller { child }) => {
            drop(to_caller);
            process::reap(child);
            wait_for_answer(from_daemon, &setup.runtime_dir.join("control"))
        }
        Ok(Side::Daemon) => {
            // `from_daemon` is closed with all the rest.
            std::mem::forget(from_daemon);
            daemonise::shed_inheritance(&to_caller);
            let caller = Caller(File::from(to_caller));
            match redirect(log_file) {
                Ok(()) => serve(setup, Some(caller)),
                Err(text) => {
                    caller.tell_failure(&text);
                    EXIT_SYSTEM_ERROR
                }
            }
        }
        // In the caller this is its stderr; after the first fork it still is.
        Err(error) => fail(&format!("cannot become a daemon: {}", reason(&error))),
    }
}

fn fail(text: &str) -> i32 {
    say(text);
    EXIT_SYSTEM_ERROR
}

/// The log is opened before stderr is given up, so that the caller hears of it.
fn redirect(log_file: Option<&Path>) -> Result<(), String> {
    let null = descriptor::null().map_err(|error| format!("cannot open /dev/null: {}", reason(&error)))?;
    let log = log_file
        .map(|path| {
            descriptor::append(path)
                .map_err(|error| format!("cannot open {}: {}", path.display(), reason(&error)))
        })
        .transpose()?;
    let output = log.as_ref().unwrap_or(&null);
    daemonise::redirect_standard(null.as_fd(), output.as_fd())
        .map_err(|error| format!("cannot leave the standard descriptors: {}", reason(&error)))
}

/// The process that waits for us to be ready.
#[derive(Debug)]
pub(super) struct Caller(File);

impl Caller {
    /// The control socket is there: it may connect.
    pub fn tell_bound(&self) {
        // When it has gone, nobody has to be told.
        (&self.0).write_all(BOUND).err();
    }

    pub fn tell_failure(&self, text: &str) {
        (&self.0).write_all(text.as_bytes()).err();
    }

    /// It leaves as soon as the supervisor has answered it once.
    pub fn waits(&self) -> bool {
        let mut waiting = [Waiting::to_end(self.0.as_fd())];
        match poll(&mut waiting, Some(Duration::ZERO)) {
            Ok(_) => !waiting.iter().any(Waiting::hung_up),
            Err(_) => false,
        }
    }
}

/// What the caller knows while it waits.
struct Wait {
    from_daemon: Option<File>,
    /// What the daemon has said: `BOUND`, then an error if there is one.
    said: Vec<u8>,
    connection: Option<UnixStream>,
    answer: Vec<u8>,
    connections: u32,
    /// Why the socket cannot be reached. The daemon is ending then, and its own words come first.
    refused: Option<String>,
}

fn wait_for_answer(from_daemon: OwnedFd, control: &Path) -> i32 {
    let mut wait = Wait {
        from_daemon: Some(from_daemon.into()),
        said: Vec::new(),
        connection: None,
        answer: Vec::new(),
        connections: 0,
        refused: None,
    };
    let deadline = now() + ANSWER_TIME_MAX;
    loop {
        match wait.step(control, deadline) {
            Ok(false) => {}
            Ok(true) => return 0,
            Err(text) => return fail(&text),
        }
    }
}

impl Wait {
    /// True when the supervisor has answered.
    fn step(&mut self, control: &Path, deadline: Time) -> Result<bool, String> {
        if self.said.starts_with(BOUND) && self.connection.is_none() && self.refused.is_none() {
            self.connect(control)?;
        }
        let (from_daemon, from_control) = self.poll(deadline)?;
        if from_daemon {
            self.hear()?;
        }
        if from_control { self.read_answer() } else { Ok(false) }
    }

    fn connect(&mut self, control: &Path) -> Result<(), String> {
        self.connections = self.connections.saturating_add(1);
        let asked = listener::connect(control).and_then(|mut connection| {
            connection.write_all(PING)?;
            Ok(connection)
        });
        match asked {
            _ if self.connections > CONNECTIONS_MAX => {
                Err("cannot start: the supervisor closes every connection; `svc supervise` shows why"
                    .to_owned())
            }
            Ok(connection) => {
                self.connection = Some(connection);
                Ok(())
            }
            Err(error) => {
                let text = format!("cannot reach {}: {}", control.display(), reason(&error));
                if self.from_daemon.is_none() {
                    return Err(text);
                }
                self.refused = Some(text);
                Ok(())
            }
        }
    }

    fn poll(&self, deadline: Time) -> Result<(bool, bool), String> {
        let left = deadline.since(now());
        if left.is_zero() {
            let text = "svc runs, but its supervisor has not answered for a minute; `svc status` asks again";
            return Err(text.to_owned());
        }
        let fds: [Option<BorrowedFd<'_>>; 2] =
            [self.from_daemon.as_ref().map(AsFd::as_fd), self.connection.as_ref().map(AsFd::as_fd)];
        let mut waiting: Vec<_> = fds.into_iter().flatten().map(Waiting::to_read).collect();
        poll(&mut waiting, Some(left)).map_err(|error| format!("cannot wait: {}", reason(&error)))?;
        let mut came = waiting.iter().map(Waiting::readable);
        let ready = fds.map(|fd| fd.is_some() && came.next() == Some(true));
        Ok((ready[0], ready[1]))
    }

    /// Anything after `BOUND`, and an end before it, is a failure.
    fn hear(&mut self) -> Result<(), String> {
        let Some(pipe) = &mut self.from_daemon else { return Ok(()) };
        if read_into(&mut self.said, pipe).is_ok_and(|length| length > 0) {
            return Ok(());
        }
        self.from_daemon = None;
        let text = String::from_utf8_lossy(self.said.strip_prefix(BOUND).unwrap_or(&self.said)).into_owned();
        match (text.is_empty(), self.said.starts_with(BOUND)) {
            (false, _) => Err(text),
            (true, false) => Err("cannot start: the daemon has ended without a word".to_owned()),
            (true, true) => self.refused.take().map_or(Ok(()), Err),
        }
    }

    fn read_answer(&mut self) -> Result<bool, String> {
        let Some(connection) = &mut self.connection else { return Ok(false) };
        if !read_into(&mut self.answer, connection).is_ok_and(|length| length > 0) {
            // This supervisor has died; the next one takes the next connection.
            self.connection = None;
            self.answer.clear();
            return Ok(false);
        }
        let line = String::from_utf8_lossy(&self.answer);
        match (line.contains("pong"), line.contains('\n')) {
            (true, true) => Ok(true),
            (false, true) => Err(format!("cannot start: the supervisor says {}", line.trim_end())),
            (_, false) => Ok(false),
        }
    }
}

fn read_into(bytes: &mut Vec<u8>, source: &mut impl Read) -> io::Result<usize> {
    let mut part = [0; 4096];
    let length = source.read(&mut part)?;
    if bytes.len() + length > TEXT_BYTES_MAX {
        return Ok(0);
    }
    bytes.extend_from_slice(part.get(..length).unwrap_or_default());
    Ok(length)
}

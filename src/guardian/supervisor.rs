//! The supervisor as the guardian sees it: a child that is started again whenever it dies.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::time::Duration;

use super::report::{exit_in_words, now, reason};
use crate::lifecycle::{Exit, Time};
use crate::os::descriptor::{StandardNumber, say, standard};
use crate::os::launch::{Context, Failure, File, Launcher, Program};
use crate::os::{descriptor, process, seqpacket, shared, signal};

/// Who lives that long does not die young.
const YOUNG: Duration = Duration::from_secs(10);
/// Who dies that soon has hardly done anything.
const STILLBORN: Duration = Duration::from_secs(1);
/// So many of those in a row: there is no supervisor to be had.
const HOPELESS: u32 = 10;
/// The same while nothing runs yet: for a caller that waits, or a user that wants an end.
const HOPELESS_AT_START: u32 = 3;

const FIRST_DELAY: Duration = Duration::from_millis(100);
const DELAY_MAX: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Supervisor {
    arguments: Vec<u8>,
    environment: Vec<u8>,
    /// Opened once: an upgrade may replace the file while the guardian still speaks the old words.
    program: OwnedFd,
    context: Context,
    /// Of the logger: memory, and the read and the write end of a pipe.
    journal: Option<[OwnedFd; 3]>,
    running: Option<Running>,
    /// The line to the next one, made beforehand: when it is needed, there may be no descriptor left.
    next_line: Option<(OwnedFd, OwnedFd)>,
    /// In a row.
    deaths_young: u32,
    deaths_stillborn: u32,
    next_start: Option<Time>,
    pub started: u32,
}

#[derive(Debug)]
struct Running {
    pid: i32,
    /// `None` when it has closed its end.
    socket: Option<OwnedFd>,
    since: Time,
    /// It has said Hello, so it wants reports.
    greeted: bool,
    /// It takes no reports any more; what it has ordered is still read.
    deaf: bool,
    /// Its pid means nothing any more.
    reaped: bool,
}

impl Supervisor {
    pub fn new(arguments: &[OsString], program: OwnedFd) -> Self {
        let mut bytes = Vec::new();
        for argument in arguments {
            bytes.extend_from_slice(argument.as_bytes());
            bytes.push(0);
        }
        let mut environment = Vec::new();
        for (key, value) in std::env::vars_os() {
            environment.extend_from_slice(&[key.as_bytes(), b"=", &value.into_vec(), b"\0"].concat());
        }
        // It is as precious to the kernel's killer as we are.
        let oom_score_adjust = process::oom_score_adjust().filter(|adjust| *adjust == -1000);
        Self {
            arguments: bytes,
            environment,
            program,
            context: Context { oom_score_adjust, ..Context::default() },
            journal: kept_for_logs(),
            running: None,
            next_line: None,
            deaths_young: 0,
            deaths_stillborn: 0,
            next_start: Some(now()),
            started: 0,
        }
    }

    pub fn pid(&self) -> Option<i32> {
        self.running.as_ref().filter(|running| !running.reaped).map(|running| running.pid)
    }

    pub fn socket(&self) -> Option<&OwnedFd> {
        self.running.as_ref().and_then(|running| running.socket.as_ref())
    }

    /// Only one that knows the table is told what changes in it.
    pub fn wants_reports(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.greeted && !running.deaf)
    }

    pub fn greeted(&mut self) {
        if let Some(running) = &mut self.running {
            running.greeted = true;
        }
    }

    /// When it is to be started; `None` while it runs.
    pub fn next_start(&self) -> Option<Time> {
        self.next_start
    }

    pub fn is_hopeless(&self) -> bool {
        self.deaths_stillborn >= HOPELESS
    }

    pub fn is_hopeless_at_start(&self) -> bool {
        self.deaths_stillborn >= HOPELESS_AT_START
    }

    pub fn stop_starting(&mut self) {
        self.next_start = None;
    }

    /// Starts it when it is time.
    pub fn start_if_due(&mut self, launcher: &mut Launcher, listener: &OwnedFd) {
        if self.next_start.is_none_or(|at| at > now()) {
            return;
        }
        self.next_start = None;
        match self.start(launcher, listener) {
            Ok(running) => {
                self.started = self.started.saturating_add(1);
                self.running = Some(running);
            }
            Err(text) => {
                self.died_after(Duration::ZERO);
                say(&format!("cannot start the supervisor: {text}; trying again, the services run on"));
            }
        }
    }

    fn start(&mut self, launcher: &mut Launcher, listener: &OwnedFd) -> Result<Running, String> {
        let (ours, theirs) = match self.next_line.take() {
            Some(line) => line,
            None => seqpacket::pair().map_err(|error| reason(&error))?,
        };
        let null = launcher.null();
        let mut descriptors = vec![
            null.as_fd(),
            standard(StandardNumber::Output),
            standard(StandardNumber::Error),
            theirs.as_fd(),
            listener.as_fd(),
        ];
        descriptors.extend(self.journal.iter().flatten().map(AsFd::as_fd));
        let since = now();
        let pid = launcher
            .launch(&Program {
                file: File::Open(self.program.as_fd()),
                arguments: &self.arguments,
                environment: [&self.environment, b""],
                descriptors: &descriptors,
                log_pipe: None,
                context: &self.context,
            })
            .map_err(|failure| in_words(&failure));
        let pid = match pid {
            Ok(pid) => pid,
            Err(why) => {
                self.next_line = Some((ours, theirs));
                return Err(why);
            }
        };
        drop(theirs);
        // Without one it is made when it is needed.
        self.next_line = seqpacket::pair().ok();
        Ok(Running { pid, socket: Some(ours), since, greeted: false, deaf: false, reaped: false })
    }

    /// It has closed its end of the socket and cannot be told anything.
    pub fn is_deaf(&mut self) {
        if let Some(running) = &mut self.running {
            running.deaf = true;
        }
    }

    /// The last of its orders has been read. If it still lives, it is of no use.
    pub fn hung_up(&mut self) {
        let Some(running) = &mut self.running else { return };
        running.deaf = true;
        if running.socket.take().is_some() && !running.reaped {
            // It may be dying already; its exit comes either way.
            process::kill(running.pid, signal::KILL).err();
        }
    }

    /// Only its last orders are left of it.
    pub fn reaped(&mut self) {
        if let Some(running) = &mut self.running {
            running.deaf = true;
            running.reaped = true;
        }
    }

    /// It sees the end of its socket and leaves.
    pub fn close(&mut self) {
        if let Some(running) = &mut self.running {
            running.socket = None;
            running.deaf = true;
        }
    }

    /// It has been reaped, and its last orders have been carried out.
    pub fn died(&mut self, exit: Exit) {
        let Some(running) = self.running.take() else { return };
        self.died_after(now().since(running.since));
        let (pid, how) = (running.pid, exit_in_words(exit));
        say(&format!("the supervisor (pid {pid}) {how}; it is started again, the services run on"));
    }

    /// It has been reaped after it had ordered the end.
    pub fn left(&mut self) {
        self.running = None;
    }

    fn died_after(&mut self, lived: Duration) {
        self.deaths_young = if lived < YOUNG { self.deaths_young.saturating_add(1) } else { 0 };
        self.deaths_stillborn = if lived < STILLBORN { self.deaths_stillborn.saturating_add(1) } else { 0 };
        self.next_start = Some(now() + delay(self.deaths_young));
    }
}

/// What the logger has in hand outlives its supervisor in them.
fn kept_for_logs() -> Option<[OwnedFd; 3]> {
    let made = shared::memory().and_then(|memory| {
        let (reader, writer) = descriptor::pipe()?;
        Ok([memory, reader, writer])
    });
    match made {
        Ok(journal) => Some(journal),
        Err(error) => {
            let cause = reason(&error);
            say(&format!(
                "cannot keep a journal of the logs: {cause}; if the supervisor is killed, the lines in its hand are lost"
            ));
            None
        }
    }
}

/// At once after the first death, then 100 ms, 200 ms … 5 s.
fn delay(deaths_young: u32) -> Duration {
    match deaths_young.checked_sub(2) {
        None => Duration::ZERO,
        Some(doublings) => FIRST_DELAY.saturating_mul(2_u32.saturating_pow(doublings.min(16))).min(DELAY_MAX),
    }
}

fn in_words(failure: &Failure) -> String {
    let error = io::Error::from_raw_os_error(failure.errno);
    format!("{:?}: {}", failure.step, reason(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_supervisor_is_started_again_at_once_and_then_ever_later_up_to_five_seconds() {
        let delays: Vec<u128> = (0..10).map(|deaths| delay(deaths).as_millis()).collect();
        assert_eq!(delays, [0, 0, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(delay(u32::MAX), DELAY_MAX);
    }
}

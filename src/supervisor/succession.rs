//! The guardian was killed: the supervisor writes down what it knows and becomes the next guardian itself, in
//! its own process. So nobody else has to open what it has open: the log pipes and the control socket. The
//! next guardian takes over what is there, as each does, and starts a supervisor of its own.

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::time::Duration;

use super::boot::Note;
use super::event_loop::{Supervisor, now};
use crate::lifecycle::{Cause, Exit, Main, Memory, Pid, Signal, StateWord, Transition};
use crate::os::inheritance::{self, Kind};
use crate::os::lock::{Lock, LockError};
use crate::os::pidfd::{End, ProcessHandle};
use crate::os::poll::{Waiting, poll};
use crate::os::process::Ended;
use crate::os::record_file::{self, RecordFile};
use crate::protocol::guardian::record::{self, Kept};
use crate::protocol::guardian::{Child, Role};

/// A guardian whose line has ended has ended itself, or does so at once.
const END_TIME_MAX: Duration = Duration::from_secs(5);
/// How it ended is told when its parent has reaped it.
const STATUS_TIME_MAX: Duration = Duration::from_millis(50);

/// A child in the middle of its launch may hold the guardian's locks for a moment longer.
const LOCK_TRIES: u32 = 200;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// When the kernel has no memory for it.
const EXEC_TRIES: u32 = 10;
const EXEC_PAUSE: Duration = Duration::from_secs(1);

impl Supervisor {
    /// Returns an exit code when there is nothing to succeed to, or it cannot be.
    pub fn succeed(self) -> i32 {
        let Some(exit) = self.guardian_handle.as_ref().map_or(Some(Exit::Unknown), end_of) else {
            // It lives and has let go of us.
            self.logger.finish();
            return 0;
        };
        let path = self.setup.runtime_dir.join("record");
        let lock = match self.take_lock() {
            Ok(lock) => lock,
            Err(why) => return self.leave(&why),
        };
        // An orderly end leaves none.
        let Some((kept, bytes_good)) = read_record(&path) else {
            self.logger.finish();
            return 0;
        };
        let told = self.what_is_newer(&kept, exit);
        let written = RecordFile::open(&path, bytes_good).and_then(|mut file| file.append(&told));
        if let Err(error) = written {
            self.say(&format!(
                "cannot write {}: {error}; the latest wishes may be forgotten",
                path.display()
            ));
        }
        let guardian = self.guardian;
        let ended = ended(exit);
        self.say(&format!("the guardian (pid {guardian}) {ended}; this process takes its place"));
        let descriptors = inheritance::duplicates(|kind| match kind {
            Kind::Listener => true,
            Kind::PipeReader { inode } => {
                kept.services.iter().any(|(_, service)| service.pipe == Some(inode))
            }
            Kind::Other => false,
        });
        let mut arguments: Vec<OsString> = std::env::args_os().collect();
        if let Some(role) = arguments.get_mut(1) {
            *role = "guardian".into();
        }
        // What it has read is written; what it has not waits in the pipes.
        self.logger.finish();
        drop(lock);
        for _ in 0..EXEC_TRIES {
            let Err(error) = inheritance::become_program(&arguments, &descriptors);
            eprintln!("svc: cannot become the next guardian: {error}; trying again");
            poll(&mut [], Some(EXEC_PAUSE)).err();
        }
        eprintln!("svc: the services go on without svc; `svc daemon` or `svc supervise` takes them over");
        111
    }

    fn leave(self, why: &str) -> i32 {
        self.say(why);
        self.logger.finish();
        0
    }

    /// Whoever has it takes the services over: another svc may have been started meanwhile.
    fn take_lock(&self) -> Result<Lock, String> {
        let path = self.setup.runtime_dir.join("lock");
        let mut tries = 0;
        loop {
            match Lock::file(&path) {
                Ok(lock) => return Ok(lock),
                Err(LockError::Held { by }) if tries >= LOCK_TRIES => {
                    let by = by.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
                    return Err(format!("another svc has taken the services over{by}"));
                }
                Err(LockError::Held { .. }) => {
                    tries += 1;
                    poll(&mut [], Some(LOCK_PAUSE)).err();
                }
                Err(LockError::System(error)) => {
                    return Err(format!(
                        "cannot lock {}: {error}; the services go on without svc",
                        path.display()
                    ));
                }
            }
        }
    }

    /// All that the guardian was not told, or had no time to note.
    fn what_is_newer(&self, kept: &Kept, exit: Exit) -> Vec<u8> {
        let mut batch = Vec::new();
        record::put_guardian_ended(&mut batch, exit);
        if !self.learned {
            return batch;
        }
        for name in self.core.names() {
            let Some(memory) = self.core.memory(name) else { continue };
            let launched = self.services.get(name).and_then(|service| service.launched);
            let noted = kept.service(name).and_then(|service| service.note.as_ref());
            let before = noted.and_then(|note| serde_json::from_slice::<Note>(note).ok());
            let memory = again(memory, before.map(|note| note.memory).as_ref());
            if let Ok(note) = serde_json::to_vec(&Note { memory, launched })
                && noted != Some(&note)
            {
                record::put_note(&mut batch, name, &note);
            }
        }
        let noted = kept.services.iter().filter(|(_, service)| service.note.is_some());
        for (name, _) in noted.filter(|(name, _)| self.core.policy(name).is_none()) {
            record::put_forgotten(&mut batch, name);
        }
        batch
    }

    /// After the take-over from a guardian that was killed.
    pub fn after_predecessor(&mut self, guardian: Option<Pid>, exit: Exit, adopted: &[Child]) {
        let which = guardian.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
        let running = adopted.iter().filter(|child| child.role == Role::Run);
        let services = match running.clone().count() {
            1 => "1 running service was".to_owned(),
            count => format!("{count} running services were"),
        };
        let ended = ended(exit);
        let remark = format!("the guardian before this one{which} {ended}; {services} adopted");
        self.say(&remark);
        self.remarks.push(remark);
        for Child { name, .. } in running {
            let Some(view) = self.core.view(name) else { continue };
            let cause = Cause::GuardianEnded { exit };
            let transition = Transition { from: view.state, to: view.state, pid: view.pid, cause };
            self.changed(name.clone(), transition);
            if view.paused {
                // The order for it may have been lost.
                self.order_signal(name, Role::Run, Signal::STOP, true);
            }
        }
    }
}

fn ended(exit: Exit) -> String {
    match exit {
        Exit::Signal { .. } => format!("was {exit}"),
        Exit::Code(_) | Exit::Unknown => exit.to_string(),
    }
}

/// The step of a stop whose order was not noted by the guardian may not have been carried out: it is taken
/// again. `before` is what was noted.
fn again(mut memory: Memory, before: Option<&Memory>) -> Memory {
    let running = matches!(memory.main, Main::Running(_) | Main::Gone);
    if memory.state != StateWord::Stopping || !running || before == Some(&memory) {
        return memory;
    }
    let step =
        before.filter(|before| before.state == StateWord::Stopping).map_or(0, |before| before.stop_step);
    if step < memory.stop_step && !memory.draining {
        memory.stop_step = step;
        memory.deadline_nanoseconds = Some(now().nanoseconds);
    }
    memory
}

/// `None` when it lives.
fn end_of(guardian: &ProcessHandle) -> Option<Exit> {
    let mut ended = [Waiting::to_read(guardian.as_fd())];
    if poll(&mut ended, Some(END_TIME_MAX)).is_ok_and(|ready| ready == 0) {
        return None;
    }
    if guardian.end() == End::NotYet {
        poll(&mut [Waiting::to_end(guardian.as_fd())], Some(STATUS_TIME_MAX)).err();
    }
    Some(match guardian.end() {
        End::Known(Ended::Code(code)) => Exit::Code(code),
        End::Known(Ended::Signal { signal, core }) => Exit::Signal { signal: Signal(signal), core },
        End::NotYet | End::Untold => Exit::Unknown,
    })
}

fn read_record(path: &std::path::Path) -> Option<(Kept, u64)> {
    let found = record_file::read(path).ok()?;
    let mut kept = Kept::default();
    for batch in &found.batches {
        kept.take(batch).ok()?;
    }
    Some((kept, found.bytes_good))
}

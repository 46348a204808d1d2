//! The table of children and what they are made of: plans, log pipes, notes. This is the truth that
//! outlives every supervisor.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::rc::Rc;

use super::plan::{Environments, KeptPlan, Source};
use super::record::Record;
use super::report;
use crate::lifecycle::{Exit, Name, Pid, Time};
use crate::os::clock::boot_ticks;
use crate::os::descriptor::{self, StandardNumber, standard};
use crate::os::inheritance;
use crate::os::launch::{File, Launcher, Program};
use crate::protocol::guardian::{Child, LaunchFailure, LaunchStep, Role};

/// EBADF and EBUSY of all architectures.
const EBADF: i32 = 9;

/// Room for the note of a service that runs.
const NOTE_BYTES: usize = 136;

#[derive(Debug)]
pub(super) struct Entry {
    pub pid: Pid,
    pub started: Time,
    /// Of its launch, or of its exit: clock ticks since boot.
    pub seen_ticks: u64,
    pub state: State,
    /// `None` for one that was adopted when its entry had gone.
    pub plan: Option<Box<KeptPlan>>,
    /// The exit before a standing order was carried out, until it is acknowledged.
    pub earlier: Option<Box<Earlier>>,
}

#[derive(Debug)]
pub(super) enum State {
    Running {
        standing: bool,
    },
    /// Reaped, and not yet acknowledged.
    Exited {
        exit: Exit,
        at: Time,
    },
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Earlier {
    pub pid: Pid,
    pub exit: Exit,
    pub at: Time,
}

impl Entry {
    pub fn running(pid: Pid, plan: Option<Box<KeptPlan>>, earlier: Option<Box<Earlier>>) -> Self {
        let (started, state) = (report::now(), State::Running { standing: false });
        Self { pid, started, seen_ticks: boot_ticks(), state, plan, earlier }
    }

    pub fn is_running(&self) -> bool {
        matches!(self.state, State::Running { .. })
    }
}

/// Both ends of a log pipe. The reader outlives every program and every supervisor, so no line is
/// lost and nobody gets SIGPIPE; the writer keeps it from ending between two runs.
#[derive(Debug)]
pub(super) struct LogPipe {
    pub reader: Rc<OwnedFd>,
    pub writer: Option<OwnedFd>,
    pub inode: u64,
}

impl LogPipe {
    /// `writer` is for where there is no /proc.
    pub fn new(reader: OwnedFd, writer: Option<OwnedFd>) -> io::Result<Self> {
        let inode = inheritance::inode(reader.as_fd())?;
        let writer = writer_that_reads(&reader).ok().or(writer);
        Ok(Self { reader: Rc::new(reader), writer, inode })
    }
}

/// The end that programs get. It can be read from as well, so that a program is a reader of its own pipe:
/// were everything of ours killed, its next line would wait in the pipe instead of killing it by SIGPIPE.
fn writer_that_reads(reader: &OwnedFd) -> io::Result<OwnedFd> {
    let path = PathBuf::from(format!("/proc/self/fd/{}", descriptor::number(reader)));
    Ok(std::fs::OpenOptions::new().read(true).write(true).open(path)?.into())
}

#[derive(Debug, Default)]
pub(super) struct Children {
    pub table: BTreeMap<Child, Entry>,
    by_pid: BTreeMap<i32, Child>,
    pub pipes: BTreeMap<Name, LogPipe>,
    pub notes: BTreeMap<Name, Vec<u8>>,
    pub environments: Environments,
    pub record: Record,
}

impl Children {
    pub fn insert(&mut self, child: Child, entry: Entry) {
        self.by_pid.insert(entry.pid.0, child.clone());
        self.insert_adopted(child, entry);
    }

    /// One that is no child of ours: its pid may be given to one that is, once it has ended.
    pub fn insert_adopted(&mut self, child: Child, entry: Entry) {
        self.record.child(&child, &entry);
        self.table.insert(child, entry);
    }

    /// Replaces the earlier note of that service, in its place where it fits.
    pub fn note(&mut self, name: &Name, note: &[u8]) {
        self.record.note(name, note);
        if let Some(kept) = self.notes.get_mut(name) {
            kept.clear();
            kept.extend_from_slice(note);
            return;
        }
        let mut kept = Vec::with_capacity(note.len().max(NOTE_BYTES));
        kept.extend_from_slice(note);
        // There is one name for each service however many keep it.
        let run = Child { name: name.clone(), role: Role::Run };
        let name = self.table.get_key_value(&run).map_or(run.name, |(child, _)| child.name.clone());
        self.notes.insert(name, kept);
    }

    /// To be called for what is changed in an entry.
    pub fn entry_changed(&mut self, child: &Child) {
        if let Some(entry) = self.table.get(child) {
            self.record.child(child, entry);
        }
    }

    pub fn remove(&mut self, child: &Child) -> Option<Entry> {
        let entry = self.table.remove(child)?;
        if self.by_pid.get(&entry.pid.0) == Some(child) {
            self.by_pid.remove(&entry.pid.0);
        }
        self.record.absent(child);
        Some(entry)
    }

    /// The child that has just ended; its pid means nothing any more.
    pub fn ended(&mut self, pid: i32) -> Option<Child> {
        self.by_pid.remove(&pid)
    }

    pub fn is_known(&self, pid: i32) -> bool {
        self.by_pid.contains_key(&pid)
    }

    /// True when it was made just now.
    pub fn open_pipe(&mut self, name: &Name) -> io::Result<bool> {
        if self.pipes.contains_key(name) {
            return Ok(false);
        }
        let (reader, writer) = descriptor::pipe()?;
        let pipe = LogPipe::new(reader, Some(writer))?;
        self.record.pipe(name, pipe.inode);
        self.pipes.insert(name.clone(), pipe);
        Ok(true)
    }

    /// Starts what the plan says. A log pipe that it needs is there already.
    pub fn launch(&mut self, launcher: &mut Launcher, plan: &KeptPlan) -> Result<Pid, LaunchFailure> {
        let of_log = |source: &Source| matches!(source, Source::LogWrite | Source::LogRead);
        let log_pipe = plan.stdio.iter().position(of_log);
        if plan.stdio.iter().any(|source| matches!(source, Source::LogWrite)) {
            self.reopen_writer(plan.log_pipe.as_ref())?;
        }
        let pipe = plan.log_pipe.as_ref().and_then(|name| self.pipes.get(name));
        let null = launcher.null();
        let mut descriptors = [null.as_fd(); 3];
        let numbers = [StandardNumber::Input, StandardNumber::Output, StandardNumber::Error];
        for (index, ((place, source), number)) in
            descriptors.iter_mut().zip(&plan.stdio).zip(numbers).enumerate()
        {
            let found: Option<BorrowedFd<'_>> = match source {
                Source::Null => Some(*place),
                Source::Inherit => Some(standard(number)),
                Source::LogWrite => pipe.and_then(|pipe| pipe.writer.as_ref()).map(AsFd::as_fd),
                Source::LogRead => pipe.map(|pipe| pipe.reader.as_fd()),
                Source::Kept(fd) => Some(fd.as_fd()),
                Source::Missing => None,
            };
            let missing = LaunchFailure { step: LaunchStep::Stdio, index: index as u8, errno: EBADF };
            *place = found.ok_or(missing)?;
        }
        launcher
            .launch(&Program {
                file: File::Path(plan.program()),
                arguments: plan.arguments(),
                environment: plan.environment(),
                descriptors: &descriptors,
                log_pipe: log_pipe.map(|number| number as u8),
                context: &plan.context,
            })
            .map(Pid)
            .map_err(report::failure)
    }

    /// The writer may have been closed so that a logger sees the end; the pipe is the same.
    fn reopen_writer(&mut self, name: Option<&Name>) -> Result<(), LaunchFailure> {
        let pipe = name.and_then(|name| self.pipes.get_mut(name));
        if let Some(pipe) = pipe.filter(|pipe| pipe.writer.is_none()) {
            let writer = writer_that_reads(&pipe.reader);
            pipe.writer = Some(writer.map_err(|error| failed(LaunchStep::LogPipe, 0, &error))?);
        }
        Ok(())
    }
}

fn failed(step: LaunchStep, index: u8, error: &io::Error) -> LaunchFailure {
    LaunchFailure { step, index, errno: report::errno_of(error) }
}

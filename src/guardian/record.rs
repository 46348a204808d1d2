//! The table on disk, as it changes: what another guardian goes on with when this one is killed.
//!
//! What a turn of the loop has changed is one append to a file in the runtime directory, which is memory
//! (tmpfs) as a rule. It is synced by nobody: it serves as long as the machine runs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::children::{Children, Entry, State};
use super::report::{now, reason};
use crate::lifecycle::{Name, Time};
use crate::os::clock::boot_ticks;
use crate::os::descriptor::say;
use crate::os::record_file::RecordFile;
use crate::protocol::guardian::record::{self, Beginning, KeptChild};
use crate::protocol::guardian::{Child, Role};

/// The file in the runtime directory.
pub(super) const RECORD: &str = "record";

/// After a full disk.
const RETRY_DELAY: Duration = Duration::from_secs(5);

/// Without a file (as PID 1, whose services never outlive it, or where nothing can be written) it keeps
/// nothing.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// Where it is written; `None` when it is not.
    path: Option<PathBuf>,
    beginning: Option<Beginning>,
    file: Option<RecordFile>,
    /// Changes of this turn.
    batch: Vec<u8>,
    /// The file could not be written: it is written anew then.
    retry_at: Option<Time>,
}

impl Record {
    pub fn at(path: PathBuf, beginning: Beginning) -> Self {
        Self { path: Some(path), beginning: Some(beginning), retry_at: Some(now()), ..Self::default() }
    }

    fn is_kept(&self) -> bool {
        self.file.is_some()
    }

    pub fn child(&mut self, child: &Child, entry: &Entry) {
        if self.is_kept() {
            record::put_child(&mut self.batch, child, &kept(entry));
        }
    }

    pub fn absent(&mut self, child: &Child) {
        if self.is_kept() {
            record::put_absent(&mut self.batch, child, boot_ticks());
        }
    }

    pub fn pipe(&mut self, name: &Name, inode: u64) {
        if self.is_kept() {
            record::put_pipe(&mut self.batch, name, inode);
        }
    }

    pub fn note(&mut self, name: &Name, note: &[u8]) {
        if self.is_kept() {
            record::put_note(&mut self.batch, name, note);
        }
    }

    pub fn forgotten(&mut self, name: &Name) {
        if self.is_kept() {
            record::put_forgotten(&mut self.batch, name);
        }
    }

    pub fn supervisors_started(&mut self, count: u32) {
        if let Some(beginning) = &mut self.beginning {
            beginning.supervisors_started = count;
        }
        if self.is_kept() {
            record::put_supervisors_started(&mut self.batch, count);
        }
    }

    /// When writing is to be tried again.
    pub fn retry_at(&self) -> Option<Time> {
        self.retry_at
    }

    /// An orderly end: there is nothing to go on with.
    pub fn remove(&mut self) {
        if let Some(path) = self.path.take() {
            std::fs::remove_file(path).err();
        }
        self.file = None;
    }

    fn append(&mut self) {
        let Some(file) = self.file.as_mut().filter(|_| !self.batch.is_empty()) else { return };
        let appended = file.append(&self.batch);
        let is_long = file.is_long();
        self.batch.clear();
        match appended {
            Ok(()) if is_long => self.retry_at = Some(now()),
            Ok(()) => {}
            Err(error) => self.failed(&error),
        }
    }

    fn failed(&mut self, error: &std::io::Error) {
        let path = self.path.as_deref().unwrap_or(Path::new(RECORD)).display();
        let text = reason(error);
        say(&format!(
            "cannot write {path}: {text}; trying again, and all goes on; were svc killed before that works, its \
             latest wishes would be forgotten"
        ));
        self.file = None;
        self.retry_at = Some(now() + RETRY_DELAY);
    }

    /// The whole table in a new file.
    fn write_anew(&mut self, batch: &[u8]) {
        self.retry_at = None;
        let Some(path) = &self.path else { return };
        match RecordFile::create(path, batch) {
            Ok(file) => self.file = Some(file),
            Err(error) => self.failed(&error),
        }
    }
}

impl Children {
    /// Called before anybody is told what has changed.
    pub fn keep_record(&mut self) {
        self.record.append();
        if self.record.retry_at.is_none_or(|at| at > now()) {
            return;
        }
        let Some(beginning) = &self.record.beginning else {
            self.record.retry_at = None;
            return;
        };
        let mut batch = Vec::new();
        record::put_beginning(&mut batch, beginning);
        for (child, entry) in &self.table {
            record::put_child(&mut batch, child, &kept(entry));
        }
        for (name, pipe) in &self.pipes {
            record::put_pipe(&mut batch, name, pipe.inode);
        }
        for (name, note) in &self.notes {
            record::put_note(&mut batch, name, note);
            let child = Child { name: name.clone(), role: Role::Run };
            if !self.table.contains_key(&child) {
                record::put_absent(&mut batch, &child, boot_ticks());
            }
        }
        self.record.write_anew(&batch);
    }
}

fn kept(entry: &Entry) -> KeptChild {
    KeptChild {
        pid: entry.pid,
        started: entry.started,
        seen_ticks: entry.seen_ticks,
        exit: match entry.state {
            State::Running { standing: _ } => None,
            State::Exited { exit, at } => Some((exit, at)),
        },
        earlier: entry.earlier.as_ref().map(|earlier| (earlier.pid, earlier.exit, earlier.at)),
    }
}

//! One service's log as one stream of lines: rotated files oldest first, then `current`, and, when
//! following, whatever `current` is after that: no line is missed or comes twice, however often it
//! is rotated meanwhile.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::lifecycle::Name;

use super::super::directory::{self, CURRENT, Rotated};
use super::super::line::unshape;
use super::backward::{Backward, Start};
use super::lines::{self, Lines};
use super::{Item, Query};

/// As much of two files is compared to see whether one is the other compressed: a line or two,
/// with times to the microsecond.
const SAME_BYTES: usize = 256;

/// A file that is still to be read.
#[derive(Debug)]
pub struct Part {
    source: Source,
    /// Opened already: it may have another name by now.
    pub file: Option<File>,
    pub offset: u64,
}

#[derive(Debug)]
enum Source {
    Rotated(Rotated),
    Current,
}

#[derive(Debug)]
pub struct Stream {
    pub name: Name,
    pub directory: PathBuf,
    parts: VecDeque<Part>,
    reading: Option<Reading>,
    /// The newest rotated file that was there when `current` was opened.
    newest: u64,
    partial: Vec<u8>,
    /// The time of the last line: where lines without one belong.
    key: Duration,
    /// The reader holds its next line already.
    pub is_ahead: bool,
}

#[derive(Debug)]
struct Reading {
    lines: Lines,
    is_current: bool,
    /// It has been seen to be rotated: what is in it now is all there will be.
    complete: bool,
}

impl Part {
    /// None when it is gone: the limits on the log go on being kept while it is read.
    pub fn open(&mut self, directory: &Path) -> io::Result<Option<&File>> {
        if self.file.is_none() {
            let Source::Rotated(rotated) = self.source else { return Ok(None) };
            self.file = open_rotated(directory, rotated)?;
        }
        Ok(self.file.as_ref())
    }
}

impl Stream {
    pub fn open(name: Name, directory: PathBuf, query: &Query) -> io::Result<Self> {
        let mut stream = Self {
            name,
            directory,
            parts: VecDeque::new(),
            reading: None,
            newest: 0,
            partial: Vec::new(),
            key: Duration::ZERO,
            is_ahead: false,
        };
        let (current, rotated) = stream.look()?;
        // A file was rotated when its last line had been written.
        let since = query.since.map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(u64::MAX));
        let wanted = rotated.into_iter().filter(|file| file.at >= since);
        stream.parts =
            wanted.map(|file| Part { source: Source::Rotated(file), file: None, offset: 0 }).collect();
        if let Some(file) = current {
            stream.parts.push_back(Part { source: Source::Current, file: Some(file), offset: 0 });
        }
        Ok(stream)
    }

    pub fn backward(&mut self) -> Backward<'_> {
        Backward::new(&self.directory, &mut self.parts)
    }

    /// Leaves out what comes before `start`.
    pub fn start_at(&mut self, start: Start) {
        if let Some(first) = self.parts.get_mut(start.part) {
            first.offset = start.offset;
        }
        self.parts.drain(..start.part.min(self.parts.len()));
    }

    /// The next line within the query with the time it is sorted by; none when there is none now.
    pub fn next(&mut self, query: &Query) -> io::Result<Option<(Duration, Item)>> {
        while let Some(line) = self.next_line(query.follow)? {
            let (stamp, line) = unshape(line);
            self.key = self.key.max(stamp.unwrap_or_default());
            let key = stamp.unwrap_or(self.key);
            let timed = key != Duration::ZERO;
            let too_early = query.since.is_some_and(|since| timed && key < since);
            let too_late = query.until.is_some_and(|until| timed && key > until);
            if !too_early && !too_late {
                return Ok(Some((self.key, Item { name: self.name.clone(), stamp, line })));
            }
        }
        Ok(None)
    }

    fn next_line(&mut self, follow: bool) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(reading) = &mut self.reading {
                if let Some(line) = reading.lines.next(&mut self.partial)? {
                    return Ok(Some(line));
                }
                if follow && reading.is_current && !reading.complete {
                    if reading.lines.notice_cut()? {
                        continue;
                    }
                    if self.is_current_still()? {
                        return Ok(None);
                    }
                    // It is rotated, so all is in it: what came since the last read is taken now.
                    if let Some(reading) = &mut self.reading {
                        reading.complete = true;
                    }
                    continue;
                }
                let done = self.reading.take();
                if let Some(done) = done.filter(|done| done.is_current && follow) {
                    self.find_successors(&done.lines.file)?;
                }
            }
            if self.open_next()? {
                continue;
            }
            if follow && self.find_current()? {
                continue;
            }
            if follow || self.partial.is_empty() {
                return Ok(None);
            }
            return Ok(Some(std::mem::take(&mut self.partial)));
        }
    }

    fn open_next(&mut self) -> io::Result<bool> {
        while let Some(mut part) = self.parts.pop_front() {
            if part.open(&self.directory)?.is_none() {
                continue;
            }
            if let Some(file) = part.file {
                let lines = Lines::new(file, part.offset)?;
                let is_current = matches!(part.source, Source::Current);
                self.reading = Some(Reading { lines, is_current, complete: false });
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Is the file that is read as `current` still called so?
    fn is_current_still(&self) -> io::Result<bool> {
        let Some(reading) = &self.reading else { return Ok(false) };
        match std::fs::metadata(self.directory.join(CURRENT)) {
            Ok(named) => Ok(is_same(&named, &reading.lines.file.metadata()?)),
            Err(error) if is_absent(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Following, with nothing left to read: is there a `current`, or has one come and gone?
    fn find_current(&mut self) -> io::Result<bool> {
        let newest = self.newest;
        let (current, rotated) = self.look()?;
        self.queue_newer(rotated, newest);
        if let Some(file) = current {
            self.parts.push_back(Part { source: Source::Current, file: Some(file), offset: 0 });
        }
        Ok(!self.parts.is_empty())
    }

    /// `read` was `current` and has been read to its end. The next files are those rotated after
    /// it; it is itself the first of those that were rotated since it was opened, unless the
    /// limits on the log have removed it.
    fn find_successors(&mut self, read: &File) -> io::Result<()> {
        let newest = self.newest;
        let (current, rotated) = self.look()?;
        let itself = match rotated.iter().find(|file| file.at > newest) {
            Some(first) if self.is_itself(read, *first)? => first.at,
            _ => newest,
        };
        self.queue_newer(rotated, itself);
        if let Some(file) = current {
            self.parts.push_back(Part { source: Source::Current, file: Some(file), offset: 0 });
        }
        Ok(())
    }

    fn queue_newer(&mut self, rotated: Vec<Rotated>, than: u64) {
        let newer = rotated.into_iter().filter(|file| file.at > than);
        self.parts.extend(newer.map(|file| Part { source: Source::Rotated(file), file: None, offset: 0 }));
    }

    fn is_itself(&self, read: &File, rotated: Rotated) -> io::Result<bool> {
        let path = rotated.path(&self.directory);
        if !rotated.compressed {
            match std::fs::metadata(&path) {
                Ok(named) => return Ok(is_same(&named, &read.metadata()?)),
                Err(error) if is_absent(&error) => {}
                Err(error) => return Err(error),
            }
        }
        let Some(unpacked) = open_rotated(&self.directory, rotated)? else { return Ok(false) };
        Ok(read.metadata()?.len() == unpacked.metadata()?.len() && beginning(read)? == beginning(&unpacked)?)
    }

    /// `current` and all that was rotated before it was opened, as of one moment.
    fn look(&mut self) -> io::Result<(Option<File>, Vec<Rotated>)> {
        let path = self.directory.join(CURRENT);
        loop {
            let current = match File::open(&path) {
                Ok(file) => Some(file),
                Err(error) if is_absent(&error) => None,
                Err(error) => return Err(error),
            };
            let rotated = match directory::rotated(&self.directory) {
                Err(error) if is_absent(&error) => Vec::new(),
                rotated => rotated?,
            };
            let unchanged = match (std::fs::metadata(&path), &current) {
                (Ok(named), Some(file)) => is_same(&named, &file.metadata()?),
                (Err(error), None) => is_absent(&error),
                (Ok(_), None) | (Err(_), Some(_)) => false,
            };
            if unchanged {
                self.newest = rotated.last().map_or(self.newest, |file| file.at.max(self.newest));
                return Ok((current, rotated));
            }
        }
    }
}

fn open_rotated(directory: &Path, rotated: Rotated) -> io::Result<Option<File>> {
    // It may have been compressed since it was listed.
    for compressed in [rotated.compressed, true] {
        match lines::open(&directory::path_of(directory, rotated.at, compressed), compressed) {
            Ok(file) => return Ok(Some(file)),
            Err(error) if is_absent(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

fn beginning(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; SAME_BYTES];
    let read = file.read_at(&mut bytes, 0)?;
    bytes.truncate(read);
    Ok(bytes)
}

fn is_same(one: &std::fs::Metadata, other: &std::fs::Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

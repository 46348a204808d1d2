//! The file that a service's log goes to: opened at the first byte, written exactly, rotated.
//!
//! Nothing is synced to disk here: a log is appended to, never replaced, and waiting for a disk
//! would hold up the other services. Compressing, which replaces, does sync.

use std::fs::{self, DirBuilder, File, Metadata};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use memchr::memchr;

use crate::os::file::{is_out_of_descriptors, open_to_append, refuse_foreign, write};
use crate::service::{LogFormat, LogSettings};

use super::directory::{self, CURRENT};
use super::journal::record::{Attempt, Position, Record};
use super::journal::{instant, portion};
use super::line::{Shape, Shaper, end_of};
use super::stamp::Stamp;

const FILE_MODE: u32 = 0o640;
const DIRECTORY_MODE: u32 = 0o750;
/// Written at once: about what a second-level cache holds beside the block that was read.
const OUT_BYTES: usize = 256 << 10;
/// How often it is looked whether the open file is still in its directory.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub struct LogFile {
    directory: PathBuf,
    /// Closed between two rotations, and when descriptors are short.
    file: Option<File>,
    inode: u64,
    bytes: u64,
    /// What of the present line is in this file.
    line_bytes: u64,
    /// When the oldest line of this file was written.
    born: Duration,
    /// No line of this file bears a later time, as far as is known.
    latest: Duration,
    looked: Duration,
    shaper: Shaper,
    /// It was looked what an earlier svc left.
    inspected: bool,
    /// A line that an earlier svc began goes on in the same pipe.
    took_over: bool,
    /// Where in a line the log is was told and need not be found.
    positioned: bool,
    /// The record is a predecessor's: what it attempted may have been done.
    again: bool,
    /// The first write ends a line that was cut off in an earlier life.
    ends: Option<LogFormat>,
    /// What to do or tell after writing.
    pub after: Vec<After>,
}

#[derive(Debug)]
pub enum After {
    /// The file rotated at this time.
    Compress(u64),
    Complaint(String),
}

/// The kernel refused; nothing was lost, and the same call goes on where this one ended.
#[derive(Debug)]
pub struct Stuck {
    pub verb: &'static str,
    pub path: PathBuf,
    pub cause: io::Error,
}

impl LogFile {
    pub fn new(directory: PathBuf, took_over: bool) -> Self {
        Self {
            directory,
            file: None,
            inode: 0,
            bytes: 0,
            line_bytes: 0,
            born: Duration::ZERO,
            latest: Duration::ZERO,
            looked: Duration::ZERO,
            shaper: Shaper::new(None),
            inspected: false,
            took_over,
            positioned: false,
            again: false,
            ends: None,
            after: Vec::new(),
        }
    }

    /// Goes on where a predecessor was.
    pub fn resume(&mut self, position: Position) {
        if let Some(shaper) = Shaper::from_word(position.shaper) {
            self.shaper = shaper;
            self.line_bytes = position.line_bytes;
            self.positioned = true;
        }
    }

    /// The next call of `write` is for a block that a predecessor was killed over, with its record:
    /// `input` is what is not in the file for certain.
    pub fn write_again(&mut self, record: &Record) {
        if let Some(position) = record.progress().position {
            self.resume(position);
        }
        self.again = true;
    }

    /// None when nobody has looked at the file yet.
    pub fn position(&self) -> Option<Position> {
        (self.inspected || self.positioned).then(|| self.here())
    }

    fn here(&self) -> Position {
        Position { shaper: self.shaper.to_word(), line_bytes: self.line_bytes }
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Opened again at the next byte.
    pub fn close(&mut self) {
        self.file = None;
    }

    /// Writes what is left in `out` and then all of `input`, which was read at `stamp` and is the
    /// end of the block of `record`. When it gets stuck, `out` and `input` hold exactly what is not
    /// in the file yet.
    pub fn write(
        &mut self,
        settings: &LogSettings,
        stamp: &Stamp,
        input: &mut &[u8],
        out: &mut Vec<u8>,
        record: &mut Record,
    ) -> Result<(), Stuck> {
        let repeated = self.again && self.repeat(settings, stamp, input, out, record)?;
        if repeated || !out.is_empty() {
            self.open(settings, stamp, out)?;
            self.flush(out)?;
            record.done(self.here(), input.len());
        }
        loop {
            self.open(settings, stamp, out)?;
            // The clock may have been set back since the file was begun.
            self.born = self.born.min(stamp.wall);
            self.latest = self.latest.max(stamp.wall);
            let (before, ends) = (self.here(), self.ends.take());
            self.fill(settings, stamp, input, out);
            if !out.is_empty() {
                let (shape, inode, length) = (shape_of(settings), self.inode, self.bytes);
                record.attempt(before, Attempt { shape, ends, to: 0, inode, length }, input.len());
                self.flush(out)?;
                record.done(self.here(), input.len());
            }
            if input.is_empty() {
                return Ok(());
            }
            if self.is_due(settings, stamp, self.bytes) {
                self.rotate(settings, stamp.wall, stamp.wall)?;
            }
        }
    }

    /// Shapes what a predecessor attempted, less what the file holds of it. False when it was at
    /// nothing.
    fn repeat(
        &mut self,
        settings: &LogSettings,
        stamp: &Stamp,
        input: &mut &[u8],
        out: &mut Vec<u8>,
        record: &Record,
    ) -> Result<bool, Stuck> {
        let progress = record.progress();
        let Some(attempt) = progress.attempt else {
            self.again = false;
            return Ok(false);
        };
        self.open(settings, stamp, out)?;
        if let Some(format) = attempt.ends {
            out.extend_from_slice(end_of(format));
        }
        let (again, behind) = input.split_at_checked(attempt.to - progress.done).unwrap_or((input, b""));
        for line in again.split_inclusive(|byte| *byte == b'\n') {
            self.shape(attempt.shape, stamp, line, out);
        }
        *input = behind;
        self.again = false;
        // Another file, or other bytes: somebody was at it meanwhile, and nothing of ours is known to
        // be there.
        let mut there = vec![0; usize::try_from(self.bytes.saturating_sub(attempt.length)).unwrap_or(0)];
        there.truncate(out.len());
        let found = self.file.as_ref().filter(|_| self.inode == attempt.inode);
        if found.is_some_and(|file| file.read_exact_at(&mut there, attempt.length).is_ok())
            && out.starts_with(&there)
        {
            out.drain(..there.len());
        }
        Ok(true)
    }

    /// No more will come: a begun character is written as it is.
    pub fn finish(&mut self, settings: &LogSettings, stamp: &Stamp, out: &mut Vec<u8>) -> Result<(), Stuck> {
        self.shaper.give_up_character(out);
        if out.is_empty() {
            return Ok(());
        }
        self.write(settings, stamp, &mut &b""[..], out, &mut Record::none())
    }

    /// Shapes lines until `out` is worth a write or the file has to be rotated.
    fn fill(&mut self, settings: &LogSettings, stamp: &Stamp, input: &mut &[u8], out: &mut Vec<u8>) {
        let shape = shape_of(settings);
        let size_max = directory::size_to_rotate_at(settings);
        while !input.is_empty() && out.len() < OUT_BYTES {
            if self.is_due(settings, stamp, self.bytes + bytes(out)) {
                return;
            }
            let line = memchr(b'\n', input).map_or(input.len(), |end| end + 1);
            let room = usize::try_from(size_max.saturating_sub(self.line_bytes)).unwrap_or(usize::MAX);
            let (piece, behind) = input.split_at_checked(line.min(room.max(1))).unwrap_or((input, b""));
            self.shape(shape, stamp, piece, out);
            *input = behind;
        }
    }

    fn shape(&mut self, shape: Shape, stamp: &Stamp, piece: &[u8], out: &mut Vec<u8>) {
        let before = out.len();
        self.shaper.shape(shape, stamp, piece, out);
        if self.shaper.inside_line() {
            self.line_bytes += bytes(out.get(before..).unwrap_or_default());
        } else {
            self.line_bytes = 0;
        }
    }

    /// Between lines by size or age; inside a line only when the line alone is too long.
    fn is_due(&self, settings: &LogSettings, stamp: &Stamp, size: u64) -> bool {
        let size_max = directory::size_to_rotate_at(settings);
        if self.shaper.inside_line() {
            return self.line_bytes >= size_max;
        }
        let expired = settings.age_max.is_some_and(|age| stamp.wall.saturating_sub(self.born) >= age);
        size > 0 && (size >= size_max || expired)
    }

    fn flush(&mut self, out: &mut Vec<u8>) -> Result<(), Stuck> {
        let Some(file) = &self.file else { return Ok(()) };
        let mut written = 0;
        let mut done = Ok(());
        while let Some(rest) = out.get(written..).filter(|rest| !rest.is_empty()) {
            instant();
            match write(file.as_fd(), portion(rest)) {
                Ok(0) => done = Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => written += count,
                Err(error) => done = Err(error),
            }
            if done.is_err() {
                break;
            }
        }
        self.bytes += bytes(out.get(..written).unwrap_or_default());
        out.drain(..written);
        done.map_err(|cause| Stuck { verb: "write", path: self.directory.join(CURRENT), cause })
    }

    /// Makes directory and file as needed, also when somebody removed them meanwhile.
    fn open(&mut self, settings: &LogSettings, stamp: &Stamp, out: &mut Vec<u8>) -> Result<(), Stuck> {
        if let Some(file) = &self.file {
            if stamp.wall.abs_diff(self.looked) < LOOK_AGAIN {
                return Ok(());
            }
            self.looked = stamp.wall;
            if file.metadata().is_ok_and(|metadata| metadata.nlink() > 0) {
                return Ok(());
            }
        }
        let path = self.directory.join(CURRENT);
        if !self.inspected {
            self.tidy_up(settings, stamp.wall)?;
        }
        let opened = make_directory(&self.directory).and_then(|()| {
            refuse_foreign(&self.directory)?;
            refuse_foreign(&path)?;
            let file = open_to_append(&path, FILE_MODE)?;
            let metadata = file.metadata()?;
            Ok((file, metadata))
        });
        instant();
        let (file, metadata) = match opened {
            Ok(opened) => opened,
            Err(cause) => return Err(Stuck { verb: "write", path, cause }),
        };
        if !self.inspected && !self.positioned {
            self.find_line(settings, &file, metadata.len(), out);
        }
        self.inode = metadata.ino();
        self.bytes = metadata.len();
        self.line_bytes = self.line_bytes.min(self.bytes);
        self.born = if self.bytes == 0 { stamp.wall } else { birth(&metadata) };
        let written = since_1970(metadata.modified());
        self.latest = if self.bytes == 0 { Duration::ZERO } else { self.latest.max(written) };
        self.looked = stamp.wall;
        self.file = Some(file);
        if self.inspected {
            return Ok(());
        }
        self.inspected = true;
        let expired = settings.age_max.is_some_and(|age| stamp.wall.saturating_sub(written) > age);
        if self.bytes > 0 && expired && !self.again && !self.shaper.inside_line() && out.is_empty() {
            // Nobody is to wait for the next rotation: all that is in it is too old.
            self.rotate(settings, written, stamp.wall)?;
            return self.open(settings, stamp, out);
        }
        Ok(())
    }

    /// `current` may end inside a line that an earlier svc began.
    fn find_line(&mut self, settings: &LogSettings, file: &File, size: u64, out: &mut Vec<u8>) {
        let mut last = [b'\n'];
        if size > 0 && file.read_exact_at(&mut last, size - 1).is_ok() && last != [b'\n'] {
            let format = if is_json(file, size) { LogFormat::Json } else { LogFormat::Text };
            self.shaper = Shaper::new(Some(Shape { timestamp: settings.timestamp, format }));
            if !self.took_over {
                self.ends = self.shaper.format();
                self.shaper.end_line(out);
            }
        }
    }

    /// What an earlier svc left: a compression that was cut off, files that are too many by now.
    fn tidy_up(&mut self, settings: &LogSettings, now: Duration) -> Result<(), Stuck> {
        let files = match directory::rotated(&self.directory) {
            Ok(files) => files,
            // Others give theirs up for us then.
            Err(cause) if is_out_of_descriptors(&cause) => {
                return Err(Stuck { verb: "look through", path: self.directory.clone(), cause });
            }
            Err(cause) => {
                self.complain("look through", &self.directory.clone(), &cause);
                return Ok(());
            }
        };
        if settings.compress {
            let plain = files.iter().filter(|file| !file.compressed);
            self.after.extend(plain.map(|file| After::Compress(file.at)));
        }
        if let Err(cause) = directory::remove_temporary(&self.directory) {
            self.complain("look through", &self.directory.clone(), &cause);
        }
        self.keep_within_limits(settings, now);
        Ok(())
    }

    /// Names the file by `wall`, when its last line was written; later when the clock was set back, so
    /// that names are in writing order and nothing in a file is later than its name.
    fn rotate(&mut self, settings: &LogSettings, wall: Duration, now: Duration) -> Result<(), Stuck> {
        let current = self.directory.join(CURRENT);
        let stuck = |cause| Stuck { verb: "rotate", path: current.clone(), cause };
        let newest = directory::rotated(&self.directory).map_err(stuck)?.last().map_or(0, |file| file.at);
        let latest = wall.max(self.latest);
        let at = u64::try_from(latest.as_micros()).unwrap_or(u64::MAX).max(newest + 1);
        match fs::rename(&current, directory::path_of(&self.directory, at, false)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(stuck(error)),
        }
        instant();
        self.file = None;
        self.bytes = 0;
        self.line_bytes = 0;
        self.latest = Duration::ZERO;
        self.keep_within_limits(settings, now);
        if settings.compress {
            self.after.push(After::Compress(at));
        }
        Ok(())
    }

    fn keep_within_limits(&mut self, settings: &LogSettings, wall: Duration) {
        match directory::rotated(&self.directory) {
            Ok(files) => {
                for file in files.iter().take(directory::surplus(&files, settings, wall)) {
                    for compressed in [false, true] {
                        let path = directory::path_of(&self.directory, file.at, compressed);
                        if let Err(cause) = directory::remove(&path) {
                            self.complain("remove", &path, &cause);
                        }
                    }
                }
            }
            Err(cause) => self.complain("look through", &self.directory.clone(), &cause),
        }
    }

    fn complain(&mut self, verb: &str, path: &Path, cause: &io::Error) {
        let reason = crate::os::file::reason(cause);
        let text = format!("cannot {verb} {}: {reason}; old log files stay as they are", path.display());
        self.after.push(After::Complaint(text));
    }
}

fn shape_of(settings: &LogSettings) -> Shape {
    Shape { timestamp: settings.timestamp, format: settings.format }
}

fn bytes(text: &[u8]) -> u64 {
    u64::try_from(text.len()).unwrap_or(u64::MAX)
}

/// The directory of a service and, where they are missing, those above it.
fn make_directory(directory: &Path) -> io::Result<()> {
    let make = || DirBuilder::new().mode(DIRECTORY_MODE).create(directory);
    let made = match make() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some(above) = directory.parent() {
                DirBuilder::new().recursive(true).mode(0o755).create(above)?;
            }
            make()
        }
        made => made,
    };
    match made {
        Ok(()) => fs::set_permissions(directory, fs::Permissions::from_mode(DIRECTORY_MODE)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether the line that the file ends in is a JSON object of ours. The last 64 KiB are looked at:
/// the beginning of a longer one cannot be told from text, which is then how it goes on.
fn is_json(file: &File, size: u64) -> bool {
    let from = size.saturating_sub(64 << 10);
    let mut end = vec![0; usize::try_from(size - from).unwrap_or(0)];
    if file.read_exact_at(&mut end, from).is_err() {
        return false;
    }
    let line = end.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    line.starts_with(b"{\"time\":\"") || line.starts_with(b"{\"line\":\"")
}

fn birth(metadata: &Metadata) -> Duration {
    since_1970(metadata.created().or_else(|_| metadata.modified()))
}

fn since_1970(time: io::Result<SystemTime>) -> Duration {
    time.ok().and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok()).unwrap_or_default()
}

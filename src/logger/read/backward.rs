//! Walking over a log from its end, to find where the last lines begin.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use memchr::memrchr;

use super::super::line::{HEAD_BYTES, stamp_of};
use super::Query;
use super::stream::Part;

const BLOCK_BYTES: u64 = 64 << 10;

/// Where in the parts of a stream reading is to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    pub part: usize,
    pub offset: u64,
}

/// Goes from line to line, newest first.
#[derive(Debug)]
pub struct Backward<'stream> {
    directory: &'stream Path,
    parts: &'stream mut VecDeque<Part>,
    /// The part that is walked over, counted from the oldest; one more than there are at first.
    part: usize,
    /// Everything from here on in this part has been walked over.
    position: u64,
    block: Vec<u8>,
    block_at: u64,
    /// Behind the last complete line there was at first.
    end: Option<Start>,
    /// The line that was found last, and the oldest that was taken.
    found: Start,
    taken: Option<Start>,
    key: Option<Duration>,
    ended: bool,
}

impl<'stream> Backward<'stream> {
    pub fn new(directory: &'stream Path, parts: &'stream mut VecDeque<Part>) -> Self {
        let part = parts.len();
        Self {
            directory,
            parts,
            part,
            position: 0,
            block: Vec::new(),
            block_at: 0,
            end: None,
            found: Start { part: 0, offset: 0 },
            taken: None,
            key: None,
            ended: false,
        }
    }

    /// Finds the line before. Returns the time it is sorted by; none when there is no more, or
    /// none within the query.
    pub fn next_key(&mut self, query: &Query) -> io::Result<Option<Duration>> {
        self.step(query).map_err(super::cannot("read", self.directory))
    }

    fn step(&mut self, query: &Query) -> io::Result<Option<Duration>> {
        while !self.ended {
            let Some(stamp) = self.line_before()? else {
                self.ended = true;
                return Ok(None);
            };
            // A line without a time counts as old as the one behind it.
            let key = match (stamp, self.key) {
                (Some(stamp), Some(behind)) => stamp.min(behind),
                (Some(stamp), None) => stamp,
                (None, behind) => behind.unwrap_or(Duration::MAX),
            };
            self.key = Some(key);
            // What is before an early line is not always earlier: clocks are set back.
            let too_early = query.since.is_some_and(|since| stamp.is_some_and(|stamp| stamp < since));
            let too_late = query.until.is_some_and(|until| stamp.is_some_and(|stamp| stamp > until));
            if !too_early && !too_late {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }

    /// The line found last is among those to be read.
    pub fn take(&mut self) {
        self.taken = Some(self.found);
    }

    /// Behind everything when nothing was taken.
    pub fn start(self) -> Start {
        self.taken.or(self.end).unwrap_or(Start { part: 0, offset: 0 })
    }

    /// Moves to the beginning of the line before `position`, over the beginnings of files that
    /// were rotated inside a line. Gives the line's stamp.
    fn line_before(&mut self) -> io::Result<Option<Option<Duration>>> {
        // The newline that ends the line itself is not the one that ends the line before it.
        let mut ends_here = true;
        let mut inside = false;
        loop {
            if self.position == 0 {
                if inside && (self.part == 0 || self.previous_ends_a_line()?) {
                    return self.begins_at(0).map(Some);
                }
                if self.part == 0 {
                    return Ok(None);
                }
                self.part -= 1;
                let Some(file) = open(self.directory, self.parts, self.part)? else { continue };
                self.position = file.metadata()?.len();
                self.block.clear();
                self.block_at = self.position;
                continue;
            }
            if self.position <= self.block_at {
                self.read_block()?;
                if self.block.is_empty() {
                    self.position = 0;
                    continue;
                }
            }
            let length = usize::try_from(self.position - self.block_at).unwrap_or(usize::MAX);
            let mut ahead = self.block.get(..length).unwrap_or(&self.block);
            if ends_here && !inside {
                ends_here = false;
                inside = true;
                if let Some((b'\n', before)) = ahead.split_last() {
                    self.end.get_or_insert(Start { part: self.part, offset: self.position });
                    ahead = before;
                    self.position -= 1;
                }
            }
            match memrchr(b'\n', ahead) {
                Some(end) => {
                    self.position = self.block_at + u64::try_from(end + 1).unwrap_or(0);
                    return self.begins_at(self.position).map(Some);
                }
                None => self.position = self.block_at,
            }
        }
    }

    fn begins_at(&mut self, offset: u64) -> io::Result<Option<Duration>> {
        self.found = Start { part: self.part, offset };
        // Only the first line can have no end yet; it is read from its beginning then.
        self.end.get_or_insert(self.found);
        let within = offset.checked_sub(self.block_at).and_then(|at| usize::try_from(at).ok());
        let head = within.and_then(|at| self.block.get(at..at + HEAD_BYTES));
        if let Some(head) = head {
            return Ok(stamp_of(head));
        }
        let Some(file) = open(self.directory, self.parts, self.part)? else { return Ok(None) };
        let mut head = [0; HEAD_BYTES];
        let read = file.read_at(&mut head, offset)?;
        Ok(stamp_of(head.get(..read).unwrap_or_default()))
    }

    fn previous_ends_a_line(&mut self) -> io::Result<bool> {
        for part in (0..self.part).rev() {
            let Some(file) = open(self.directory, self.parts, part)? else { continue };
            let length = file.metadata()?.len();
            if length > 0 {
                let mut last = [0];
                file.read_exact_at(&mut last, length - 1)?;
                return Ok(last == [b'\n']);
            }
        }
        Ok(true)
    }

    fn read_block(&mut self) -> io::Result<()> {
        let from = self.position.saturating_sub(BLOCK_BYTES);
        self.block.clear();
        self.block_at = from;
        let Some(file) = open(self.directory, self.parts, self.part)? else { return Ok(()) };
        self.block.resize(usize::try_from(self.position - from).unwrap_or(0), 0);
        file.read_exact_at(&mut self.block, from)
    }
}

fn open<'part>(
    directory: &Path,
    parts: &'part mut VecDeque<Part>,
    part: usize,
) -> io::Result<Option<&'part File>> {
    match parts.get_mut(part) {
        Some(part) => part.open(directory),
        None => Ok(None),
    }
}

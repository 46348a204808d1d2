//! Reading logs back: the last lines or all of them, of one service or several in time order, and
//! on as they are written. Needs no supervisor.
//!
//! Lines without a stamp are sorted by the stamp of the line before them; a log without any keeps
//! its own order.

mod backward;
mod lines;
mod stream;
mod watch;

use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::lifecycle::Name;
use crate::os::file::reason;

use super::stamp::rfc3339;
use backward::Backward;
use stream::Stream;
use watch::Watches;

/// While one service has always more, after so many lines it is looked what the others have.
const LOOK_EVERY: u32 = 256;

/// What is asked for. Times are since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Only the last so many, of all services together.
    pub lines: Option<usize>,
    pub since: Option<Duration>,
    pub until: Option<Duration>,
    /// Go on with what is written from now on.
    pub follow: bool,
}

/// A line as the program wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub name: Name,
    /// When it was logged, since 1970; none in a log without times.
    pub stamp: Option<Duration>,
    /// Without its newline. A line above 16 MiB comes in parts.
    pub line: Vec<u8>,
}

/// Gives items by `next`: none when there is no more, or, when following, no more now: then `wait`.
#[derive(Debug)]
pub struct LogReader {
    log_dir: PathBuf,
    query: Query,
    streams: Vec<Stream>,
    /// The next item of each stream that has one, by time.
    next: BTreeMap<(Duration, usize), Item>,
    /// Streams that may have more.
    fresh: BTreeSet<usize>,
    watches: Option<Watches>,
    given: u32,
}

impl LogReader {
    /// Services that have no log yet are no error.
    pub fn open(log_dir: &Path, names: &[Name], query: Query) -> io::Result<Self> {
        let watches = match query.follow {
            true => Some(Watches::new(log_dir).map_err(cannot("watch", log_dir))?),
            false => None,
        };
        let (streams, next, fresh) = (Vec::new(), BTreeMap::new(), BTreeSet::new());
        let mut reader = Self { log_dir: log_dir.to_owned(), query, streams, next, fresh, watches, given: 0 };
        for name in names {
            reader.add_stream(name.clone())?;
        }
        if let Some(lines) = query.lines {
            reader.skip_to_last(lines)?;
        }
        Ok(reader)
    }

    /// One more service, from its beginning. What is known already is left as it is.
    pub fn add(&mut self, name: Name) -> io::Result<()> {
        if self.streams.iter().any(|stream| stream.name == name) { Ok(()) } else { self.add_stream(name) }
    }

    /// Waits until `next` may have something, or the time is over. Returns at once when not
    /// following.
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        if let Some(watches) = &self.watches {
            watches.wait(timeout)?;
        }
        Ok(())
    }

    /// Readable when `next` may have something: to be polled together with other descriptors.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.watches.as_ref().map(Watches::descriptor)
    }

    fn add_stream(&mut self, name: Name) -> io::Result<()> {
        let index = self.streams.len();
        let directory = self.log_dir.join(name.as_str());
        // Watched first, then looked at: nothing can come in between unseen.
        if let Some(watches) = &mut self.watches {
            watches.add(&directory, index).map_err(cannot("watch", &directory))?;
        }
        let stream = Stream::open(name, directory.clone(), &self.query);
        self.streams.push(stream.map_err(cannot("read", &directory))?);
        self.fresh.insert(index);
        Ok(())
    }

    /// Walks backwards over all services at once, newest line first, to where the last `lines` begin.
    fn skip_to_last(&mut self, lines: usize) -> io::Result<()> {
        let mut walks: Vec<Backward<'_>> = self.streams.iter_mut().map(Stream::backward).collect();
        let mut newest = BinaryHeap::new();
        for (index, walk) in walks.iter_mut().enumerate() {
            if let Some(key) = walk.next_key(&self.query)? {
                newest.push((key, index));
            }
        }
        let mut left = lines;
        while left > 0 {
            let Some((_, index)) = newest.pop() else { break };
            let Some(walk) = walks.get_mut(index) else { break };
            walk.take();
            left -= 1;
            if let Some(key) = walk.next_key(&self.query)? {
                newest.push((key, index));
            }
        }
        let starts: Vec<_> = walks.into_iter().map(Backward::start).collect();
        for (stream, start) in self.streams.iter_mut().zip(starts) {
            stream.start_at(start);
        }
        Ok(())
    }

    fn next_item(&mut self) -> io::Result<Option<Item>> {
        self.given = self.given.wrapping_add(1);
        let is_time = self.next.is_empty() || self.given.is_multiple_of(LOOK_EVERY);
        if let Some(watches) = self.watches.as_mut().filter(|_| is_time) {
            watches.collect(&mut self.fresh).map_err(cannot("watch", &self.log_dir))?;
        }
        while let Some(index) = self.fresh.pop_first() {
            self.advance(index)?;
        }
        let Some(((_, index), item)) = self.next.pop_first() else { return Ok(None) };
        if let Some(stream) = self.streams.get_mut(index) {
            stream.is_ahead = false;
        }
        self.advance(index)?;
        Ok(Some(item))
    }

    /// Puts the next item of a stream in its place among the others.
    fn advance(&mut self, index: usize) -> io::Result<()> {
        let Some(stream) = self.streams.get_mut(index).filter(|stream| !stream.is_ahead) else {
            return Ok(());
        };
        let next = stream.next(&self.query).map_err(cannot("read", &stream.directory))?;
        if let Some((key, item)) = next {
            stream.is_ahead = true;
            self.next.insert((key, index), item);
        }
        Ok(())
    }
}

impl Iterator for LogReader {
    type Item = io::Result<Item>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_item().transpose()
    }
}

/// What to say of an error: which file of a log it was is no help, which log is.
fn cannot(verb: &'static str, directory: &Path) -> impl Fn(io::Error) -> io::Error {
    move |error| {
        let text = format!("cannot {verb} {}: {}", directory.display(), reason(&error));
        io::Error::new(error.kind(), text)
    }
}

/// A line for people: the time in front where there is one, `line_bytes_max` at most.
pub fn display(item: &Item, line_bytes_max: usize) -> String {
    let mut text = String::new();
    if let Some(wall) = item.stamp {
        text.push_str(&String::from_utf8_lossy(&rfc3339(wall)));
        text.push(' ');
    }
    match item.line.get(..line_bytes_max) {
        Some(cut) if cut.len() < item.line.len() => {
            text.push_str(&String::from_utf8_lossy(cut));
            text.push('…');
        }
        _ => text.push_str(&String::from_utf8_lossy(&item.line)),
    }
    text
}

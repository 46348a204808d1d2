//! The copy of all logs on svc's own stdout, and svc's own messages: whole lines, none lost, and
//! the thread never waits for a reader.

use std::fs::File;
use std::io::{self, Stderr, Stdout};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use memchr::{memchr, memrchr};

use crate::os::file::{Writes, kind_of, reopen_without_waiting, write};
use crate::os::poll::{Waiting, poll};

/// What may wait for the reader of stdout before no more is read from the services.
const BACKLOG_BYTES_MAX: usize = 1 << 20;
/// What a sink keeps for its next bytes while it is busy: what a block becomes with names in front.
const KEPT_BYTES: usize = 256 << 10;
/// A line without an end is shown in parts of this size.
const PARTIAL_BYTES_MAX: usize = 4 << 10;
/// A pipe that poll calls writable takes this much without blocking (PIPE_BUF, pipe(7)).
const STREAM_BYTES: usize = 4_096;
const NAME_WIDTH_MAX: usize = 24;
/// Cyan, yellow, green, magenta, blue and their bright forms. Red is for what services say.
const COLOURS: [&str; 10] = ["36", "33", "32", "35", "34", "96", "93", "92", "95", "94"];

/// Where a sink writes. Never owned where it is descriptor 1 or 2.
#[derive(Debug)]
pub enum Target {
    Stdout(Stdout),
    Stderr(Stderr),
    Own(File),
}

impl AsFd for Target {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Target::Stdout(stdout) => stdout.as_fd(),
            Target::Stderr(stderr) => stderr.as_fd(),
            Target::Own(file) => file.as_fd(),
        }
    }
}

/// Bytes on their way to a descriptor that may not take them at once.
#[derive(Debug)]
pub struct Sink {
    target: Target,
    writes: Writes,
    /// Opened anew without waiting: a terminal that was stopped by ^S must not stop the thread.
    own: bool,
    backlog: Vec<u8>,
    /// How much of `backlog` has been written.
    done: usize,
    /// Its end has been seen; nothing is written any more.
    ended: bool,
}

impl Sink {
    pub fn new(target: Target) -> Self {
        let writes = kind_of(target.as_fd()).unwrap_or(Writes::Stream);
        let reopened = match writes {
            Writes::Device => reopen_without_waiting(target.as_fd()).ok(),
            Writes::File | Writes::Stream => None,
        };
        let own = reopened.is_some();
        let target = reopened.map_or(target, Target::Own);
        Self { target, writes, own, backlog: Vec::new(), done: 0, ended: false }
    }

    pub fn is_full(&self) -> bool {
        self.backlog.len() - self.done > BACKLOG_BYTES_MAX
    }

    pub fn is_empty(&self) -> bool {
        self.backlog.len() == self.done
    }

    pub fn add(&mut self, bytes: &[u8]) {
        if !self.ended {
            self.backlog.extend_from_slice(bytes);
        }
    }

    /// Gives back the memory that it does not need now.
    pub fn give_back(&mut self) {
        self.backlog.shrink_to(PARTIAL_BYTES_MAX);
    }

    /// Writes what can be written without waiting. An error is the end of this sink.
    pub fn push(&mut self) -> io::Result<()> {
        while !self.is_empty() {
            match self.push_once() {
                Ok(0) => break,
                Ok(count) => self.done += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => {
                    self.ended = true;
                    self.backlog = Vec::new();
                    self.done = 0;
                    return Err(error);
                }
            }
        }
        if self.is_empty() {
            self.backlog.clear();
            self.done = 0;
            self.backlog.shrink_to(KEPT_BYTES);
        } else if self.done > BACKLOG_BYTES_MAX {
            self.backlog.drain(..self.done);
            self.done = 0;
        }
        Ok(())
    }

    fn push_once(&mut self) -> io::Result<usize> {
        let rest = self.backlog.get(self.done..).unwrap_or_default();
        let waits = self.writes != Writes::File && !self.own;
        if !waits {
            return write(self.target.as_fd(), rest);
        }
        if poll(&mut [Waiting::to_write(self.target.as_fd())], Some(Duration::ZERO))? == 0 {
            return Ok(0);
        }
        let some = rest.get(..STREAM_BYTES).unwrap_or(rest);
        // At a line end where there is one: what others write there stays outside our lines.
        let some = memrchr(b'\n', some).and_then(|end| some.get(..=end)).unwrap_or(some);
        write(self.target.as_fd(), some)
    }
}

impl AsFd for Sink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.target.as_fd()
    }
}

/// Puts names in front of lines.
#[derive(Debug)]
pub struct Console {
    pub sink: Sink,
    colour: bool,
    width: usize,
}

impl Console {
    pub fn new(sink: Sink, colour: bool) -> Self {
        Self { sink, colour, width: "svc".len() }
    }

    /// Names are padded to the longest seen so far.
    pub fn make_room_for(&mut self, name: &str) {
        self.width = self.width.max(name.len().min(NAME_WIDTH_MAX));
    }

    /// Shows the complete lines of `input`, the first one continuing `partial`, and keeps the rest.
    pub fn show(&mut self, name: &str, partial: &mut Vec<u8>, input: &[u8]) {
        let head = self.head(name);
        let mut rest = input;
        while let Some(end) = memchr(b'\n', rest) {
            let (line, behind) = rest.split_at(end + 1);
            let text = line.get(..end).unwrap_or_default();
            if partial.is_empty() {
                self.add_line(&head, text);
            } else {
                partial.extend_from_slice(text);
                self.add_line(&head, &std::mem::take(partial));
            }
            rest = behind;
        }
        for part in rest.chunks(PARTIAL_BYTES_MAX) {
            partial.extend_from_slice(part);
            if partial.len() >= PARTIAL_BYTES_MAX {
                self.add_line(&head, &std::mem::take(partial));
            }
        }
    }

    pub fn show_line(&mut self, name: &str, text: &[u8]) {
        self.add_line(&self.head(name), text);
    }

    /// Made once for all lines of a block.
    fn head(&self, name: &str) -> String {
        let width = self.width;
        if self.colour {
            format!("\x1b[{}m{name:width$} |\x1b[0m ", colour_of(name))
        } else {
            format!("{name:width$} | ")
        }
    }

    fn add_line(&mut self, head: &str, text: &[u8]) {
        self.sink.add(head.as_bytes());
        self.sink.add(text);
        self.sink.add(b"\n");
    }
}

/// The same for a name wherever it runs (FNV-1a); svc itself is bold.
fn colour_of(name: &str) -> &'static str {
    if name == "svc" {
        return "1";
    }
    let hash =
        name.bytes().fold(0x811c_9dc5u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let index = usize::try_from(hash).unwrap_or(0) % COLOURS.len();
    COLOURS.get(index).copied().unwrap_or("36")
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek};

    use crate::os::pipe::pipe;

    use super::*;

    fn shown(colour: bool, feed: impl Fn(&mut Console)) -> String {
        let mut file = tempfile::tempfile().unwrap();
        let mut console = Console::new(Sink::new(Target::Own(file.try_clone().unwrap())), colour);
        feed(&mut console);
        console.sink.push().unwrap();
        let mut text = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn lines_get_their_name_and_parts_wait_for_their_end() {
        let text = shown(false, |console| {
            let (mut web, mut database) = (Vec::new(), Vec::new());
            console.make_room_for("database");
            console.show("web", &mut web, b"one\ntw");
            console.show("database", &mut database, b"three\n");
            console.show("web", &mut web, b"o\n\n");
        });
        assert_eq!(text, "web      | one\ndatabase | three\nweb      | two\nweb      | \n");
    }

    #[test]
    fn a_line_without_end_is_shown_in_parts() {
        let text = shown(false, |console| {
            let mut partial = Vec::new();
            console.show("web", &mut partial, &[b'x'; 10_000]);
            assert_eq!(partial.len(), 10_000 - 2 * PARTIAL_BYTES_MAX);
        });
        assert_eq!(text.lines().count(), 2);
    }

    #[test]
    fn colour_is_round_the_name_only() {
        let text = shown(true, |console| console.show_line("svc", b"web is up"));
        assert_eq!(text, "\x1b[1msvc |\x1b[0m web is up\n");
    }

    #[test]
    fn a_pipe_that_nobody_reads_fills_the_backlog_and_one_that_is_closed_ends_the_sink() {
        let (reader, writer) = pipe().unwrap();
        let mut sink = Sink::new(Target::Own(File::from(writer)));
        while !sink.is_full() {
            sink.add(&[b'x'; 4_096]);
            sink.push().unwrap();
        }
        drop(reader);
        assert!(sink.push().is_err());
        assert!(sink.ended && sink.is_empty());
    }
}

//! One client of the server: what it has sent, what it has still to read, and how long it may take.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use crate::lifecycle::{Asker, Time};
use crate::os::unix_socket;
use crate::protocol::control::{ErrorKind, REQUEST_BYTES_MAX, Reply, line};

/// For the first request, for the rest of a half-sent one, and for reading the last reply.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// Between two requests.
pub(super) const IDLE: Duration = Duration::from_secs(60);
/// Replies that a client has not read yet. A status of 10,000 services has about 5 MB.
pub(super) const UNSENT_BYTES_MAX: usize = 8 << 20;
/// Read from one client before the others have their turn.
const READ_BYTES: usize = 64 * 1024;

pub(super) struct Connection {
    pub socket: Arc<OwnedFd>,
    pub asker: Asker,
    input: Vec<u8>,
    /// So many bytes of `input` are known to hold no newline.
    searched: usize,
    output: Vec<u8>,
    /// So many bytes of `output` have been sent.
    sent: usize,
    /// A request was handed over and its last reply has not come yet.
    busy: bool,
    /// The client will send nothing more; it may still read.
    input_ended: bool,
    /// It has sent a whole line before.
    has_asked: bool,
    stage: Stage,
    /// When the thread has to look at this client. `None` only when it is busy.
    pub deadline: Option<Time>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    /// Ends when all replies have been sent.
    Closing,
    Ended,
}

/// What the client's bytes say.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    Whole(Vec<u8>),
    TooLong,
    /// Nothing to be done now.
    None,
}

impl Connection {
    pub fn new(socket: OwnedFd, asker: Asker, now: Time) -> Self {
        Self {
            socket: Arc::new(socket),
            asker,
            input: Vec::new(),
            searched: 0,
            output: Vec::new(),
            sent: 0,
            busy: false,
            input_ended: false,
            has_asked: false,
            stage: Stage::Open,
            deadline: Some(now + PATIENCE),
        }
    }

    pub fn wants_to_read(&self) -> bool {
        // While a request is in progress one more is taken from the kernel, to notice a client
        // that ends; then its sender is blocked.
        self.stage == Stage::Open && !self.input_ended && (!self.busy || self.input.is_empty())
    }

    pub fn wants_to_write(&self) -> bool {
        self.stage != Stage::Ended && self.unsent() > 0
    }

    pub fn unsent(&self) -> usize {
        self.output.len() - self.sent
    }

    pub fn is_busy(&self) -> bool {
        self.busy
    }

    pub fn has_ended(&self) -> bool {
        let nothing_to_come = self.input_ended && !self.busy && self.input.is_empty();
        match self.stage {
            Stage::Ended => true,
            Stage::Closing => self.unsent() == 0,
            Stage::Open => nothing_to_come && self.unsent() == 0,
        }
    }

    /// Takes what has come. `next_line` tells what to do about it.
    pub fn read(&mut self, now: Time) {
        let mut block = [0; 8 * 1024];
        let mut left = READ_BYTES;
        while left > 0 && self.wants_to_read() && self.input.len() <= REQUEST_BYTES_MAX {
            match unix_socket::receive(self.socket.as_fd(), &mut block) {
                Ok(0) => self.input_ended = true,
                Ok(count) => {
                    if self.input.is_empty() && !self.busy && self.has_asked {
                        self.deadline = Some(now + PATIENCE);
                    }
                    self.input.extend_from_slice(block.get(..count).unwrap_or_default());
                    left = left.saturating_sub(count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => self.stage = Stage::Ended,
            }
        }
    }

    /// The peer has closed both directions: nobody is there to read.
    pub fn hang_up(&mut self) {
        self.stage = Stage::Ended;
    }

    /// The next request, when none is in progress; it is in progress from now on.
    pub fn next_line(&mut self, now: Time) -> Line {
        if self.busy || self.stage != Stage::Open {
            return Line::None;
        }
        let unsearched = self.input.get(self.searched..).unwrap_or_default();
        match memchr::memchr(b'\n', unsearched) {
            Some(at) => {
                let rest = self.input.split_off(self.searched + at + 1);
                let mut whole = std::mem::replace(&mut self.input, rest);
                whole.pop();
                self.searched = 0;
                self.busy = true;
                self.has_asked = true;
                self.deadline = Some(now + IDLE);
                if whole.len() > REQUEST_BYTES_MAX { Line::TooLong } else { Line::Whole(whole) }
            }
            None if self.input.len() > REQUEST_BYTES_MAX => {
                self.busy = true;
                Line::TooLong
            }
            None if self.input_ended => {
                // Half a line that will never be whole.
                self.input.clear();
                self.searched = 0;
                Line::None
            }
            None => {
                self.searched = self.input.len();
                Line::None
            }
        }
    }

    /// Sends it, or what is possible of it now. Tells whether the thread has to be woken.
    pub fn reply(&mut self, replies: &[Reply], now: Time) -> bool {
        if self.stage == Stage::Ended {
            return true;
        }
        let had_unsent = self.unsent() > 0;
        let mut wake = false;
        for reply in replies {
            let Ok(mut bytes) = line(reply) else {
                // Only a map with keys that are no strings cannot be written; there is none.
                self.stage = Stage::Ended;
                return true;
            };
            if bytes.len() > UNSENT_BYTES_MAX && reply.is_last() {
                // The client is not to blame, and asking again would not help.
                bytes = line(&too_large(bytes.len())).unwrap_or_default();
            }
            if self.unsent() + bytes.len() > UNSENT_BYTES_MAX {
                self.stage = Stage::Ended;
                return true;
            }
            self.output.extend_from_slice(&bytes);
        }
        if !had_unsent {
            self.write(now);
            wake = self.unsent() > 0;
        }
        if replies.iter().any(Reply::is_last) && self.busy {
            self.busy = false;
            // The thread sleeps at most until the deadline it knew of, and reads again by itself
            // unless it had to stop.
            wake |= self.deadline.is_none() || self.input_ended || !self.input.is_empty();
            self.deadline = Some(now + if self.input.is_empty() { IDLE } else { PATIENCE });
        }
        wake || self.stage == Stage::Ended
    }

    pub fn write(&mut self, now: Time) {
        while self.wants_to_write() {
            match unix_socket::send(self.socket.as_fd(), self.output.get(self.sent..).unwrap_or_default()) {
                Ok(count) => {
                    self.sent += count;
                    if !self.busy && self.stage == Stage::Open {
                        self.deadline = Some(now + IDLE);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => self.stage = Stage::Ended,
            }
        }
        if self.unsent() == 0 {
            // A big status should not be kept in memory by a client that goes on listening.
            self.output = Vec::new();
            self.sent = 0;
        } else if self.sent >= 64 * 1024 {
            self.output.drain(..self.sent);
            self.sent = 0;
        }
    }

    /// Ends it after what is queued has been sent.
    pub fn close(&mut self, now: Time) {
        if self.stage == Stage::Open {
            self.stage = Stage::Closing;
            self.deadline = Some(now + PATIENCE);
        }
    }

    /// Ends at once what has taken too long.
    pub fn look_at_deadline(&mut self, now: Time) {
        if self.deadline.is_none_or(|deadline| deadline > now) {
            return;
        }
        if self.busy && self.stage == Stage::Open {
            // What it waits for may take for ever: no timer meanwhile.
            self.deadline = None;
        } else {
            self.stage = Stage::Ended;
        }
    }
}

fn too_large(bytes: usize) -> Reply {
    let message = format!(
        "the answer has {bytes} bytes, at most {UNSENT_BYTES_MAX} are sent; ask for some services by name"
    );
    Reply::Error { kind: ErrorKind::System, message }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::os::unix::net::UnixStream;

    use super::*;

    const START: Time = Time::from_nanoseconds(1_000_000_000_000);

    fn pair() -> (UnixStream, Connection) {
        let (theirs, ours) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        (theirs, Connection::new(OwnedFd::from(ours), Asker { uid: 0, pid: 1 }, START))
    }

    fn at(seconds: u64) -> Time {
        START + Duration::from_secs(seconds)
    }

    fn ends_at(connection: &mut Connection, seconds: u64) {
        assert_eq!(connection.deadline, Some(at(seconds)));
        connection.look_at_deadline(START + Duration::from_millis(seconds * 1000 - 1));
        assert!(!connection.has_ended(), "too early");
        connection.look_at_deadline(at(seconds));
        assert!(connection.has_ended(), "its time is over");
    }

    fn asked(connection: &mut Connection, mut theirs: &UnixStream, now: Time) {
        theirs.write_all(b"{}\n").unwrap();
        connection.read(now);
        assert_eq!(connection.next_line(now), Line::Whole(b"{}".to_vec()));
    }

    #[test]
    fn who_sends_nothing_is_dropped_after_ten_seconds() {
        let (_theirs, mut connection) = pair();
        ends_at(&mut connection, 10);
    }

    #[test]
    fn a_half_sent_line_is_waited_for_ten_seconds_however_many_bytes_come() {
        for is_first in [true, false] {
            let (mut theirs, mut connection) = pair();
            if !is_first {
                asked(&mut connection, &theirs, START);
                connection.reply(&[Reply::End], START);
            }
            for second in 3..8 {
                theirs.write_all(b"x").unwrap();
                connection.read(at(second));
                assert_eq!(connection.next_line(at(second)), Line::None);
            }
            ends_at(&mut connection, if is_first { 10 } else { 13 });
        }
    }

    #[test]
    fn between_requests_a_client_may_be_silent_for_a_minute() {
        let (theirs, mut connection) = pair();
        asked(&mut connection, &theirs, at(1));
        assert!(!connection.reply(&[Reply::End], at(5)), "the thread need not be woken for that");
        ends_at(&mut connection, 65);
    }

    #[test]
    fn while_a_request_is_in_progress_there_is_no_limit_and_after_a_minute_no_timer() {
        let (theirs, mut connection) = pair();
        asked(&mut connection, &theirs, at(1));
        assert_eq!(connection.deadline, Some(at(61)));
        connection.look_at_deadline(at(61));
        assert!(!connection.has_ended());
        assert_eq!(connection.deadline, None);
        assert!(!connection.reply(&[Reply::ShuttingDown], at(500)), "not the last one: nothing changes");
        assert!(connection.reply(&[Reply::End], at(1000)), "the thread has to learn of the new deadline");
        ends_at(&mut connection, 1060);
    }

    #[test]
    fn who_is_to_be_closed_has_ten_seconds_to_read_what_is_left() {
        let (_theirs, mut connection) = pair();
        while connection.unsent() == 0 {
            connection.reply(&[Reply::Error { kind: ErrorKind::Usage, message: "x".repeat(100_000) }], START);
        }
        connection.close(at(2));
        assert!(!connection.wants_to_read() && connection.wants_to_write());
        ends_at(&mut connection, 12);
    }

    #[test]
    fn an_answer_that_is_too_large_is_replaced_by_words_and_the_connection_goes_on() {
        let (theirs, mut connection) = pair();
        asked(&mut connection, &theirs, START);
        let message = "x".repeat(UNSENT_BYTES_MAX);
        connection.reply(&[Reply::Error { kind: ErrorKind::Usage, message }], START);
        let mut answer = String::new();
        BufReader::new(&theirs).read_line(&mut answer).unwrap();
        assert_eq!(
            answer.trim_end(),
            r#"{"reply":"error","kind":"system","message":"the answer has 8388654 bytes, at most 8388608 are sent; ask for some services by name"}"#
        );
        asked(&mut connection, &theirs, at(1));
    }

    #[test]
    fn replies_that_nobody_reads_end_the_connection_at_the_limit() {
        let (_theirs, mut connection) = pair();
        let reply = Reply::Error { kind: ErrorKind::Usage, message: "x".repeat(100_000) };
        let mut replies = 0;
        while !connection.has_ended() {
            connection.reply(std::slice::from_ref(&reply), START);
            assert!(connection.unsent() <= UNSENT_BYTES_MAX);
            replies += 1;
            assert!(replies < 1000, "there is a limit");
        }
    }
}

//! Reports on their way to the supervisor. The guardian never waits for it: what the socket does
//! not take now stays here, in order.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use super::report::now;
use crate::lifecycle::{Pid, Time};
use crate::os::seqpacket;
use crate::protocol::guardian::{Report, encode_report};

/// With more than that waiting, no orders are taken: a supervisor that does not read gets nothing
/// done either, so what can wait here is bounded by this and the number of children.
const WAITING_MAX: usize = 4096;

/// Orphans of one report; a supervisor looks at all trees anyway when it gets one.
const REAPED_MAX: usize = 65_536;

/// A datagram is closed when it has become that long.
const DATAGRAM_BYTES: usize = 32 * 1024;

/// When the kernel has no memory for a message, or too many descriptors are in flight.
const RETRY_DELAY: Duration = Duration::from_millis(100);

#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: VecDeque<(Report, Option<Rc<OwnedFd>>)>,
    reaped: Vec<Pid>,
    /// Encoded, and refused by the socket.
    refused: Option<Datagram>,
    /// Kept for its memory.
    buffer: Vec<u8>,
    pub retry_at: Option<Time>,
}

#[derive(Debug)]
struct Datagram {
    bytes: Vec<u8>,
    descriptors: Vec<Rc<OwnedFd>>,
}

/// The socket is of no use any more.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Closed;

impl Outbox {
    pub fn push(&mut self, report: Report) {
        self.waiting.push_back((report, None));
    }

    pub fn push_with(&mut self, report: Report, descriptor: Rc<OwnedFd>) {
        self.waiting.push_back((report, Some(descriptor)));
    }

    /// Told after the reports of its moment, all in one.
    pub fn reaped(&mut self, pid: Pid) {
        if self.reaped.len() < REAPED_MAX {
            self.reaped.push(pid);
        }
    }

    /// Something waits for room in the socket (not for time to pass).
    pub fn is_blocked(&self) -> bool {
        self.refused.is_some() && self.retry_at.is_none()
    }

    pub fn takes_more(&self) -> bool {
        self.waiting.len() < WAITING_MAX
    }

    /// For the next supervisor, which is told everything from the start.
    pub fn clear(&mut self) {
        self.waiting.clear();
        self.reaped.clear();
        self.refused = None;
        self.retry_at = None;
    }

    /// Sends what the socket takes.
    pub fn flush(&mut self, socket: BorrowedFd<'_>) -> Result<(), Closed> {
        if self.retry_at.is_some_and(|at| at > now()) {
            return Ok(());
        }
        self.retry_at = None;
        if !self.reaped.is_empty() {
            let pids = std::mem::take(&mut self.reaped);
            self.waiting.push_back((Report::Reaped { pids }, None));
        }
        while let Some(datagram) = self.refused.take().or_else(|| self.next_datagram()) {
            let descriptors: Vec<_> = datagram.descriptors.iter().map(|fd| fd.as_fd()).collect();
            match seqpacket::try_send(socket, &datagram.bytes, &descriptors) {
                Ok(()) => self.buffer = datagram.bytes,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.refused = Some(datagram);
                    return Ok(());
                }
                Err(error) if is_gone(&error) => return Err(Closed),
                Err(_) => {
                    self.refused = Some(datagram);
                    self.retry_at = Some(now() + RETRY_DELAY);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn next_datagram(&mut self) -> Option<Datagram> {
        let mut bytes = std::mem::take(&mut self.buffer);
        bytes.clear();
        let mut descriptors = Vec::new();
        while bytes.len() < DATAGRAM_BYTES && descriptors.len() < seqpacket::DESCRIPTORS_MAX {
            let Some((report, descriptor)) = self.waiting.pop_front() else { break };
            encode_report(&report, &mut bytes);
            descriptors.extend(descriptor);
        }
        if bytes.is_empty() {
            self.buffer = bytes;
            return None;
        }
        Some(Datagram { bytes, descriptors })
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::NotConnected
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::Name;
    use crate::os::descriptor;
    use crate::protocol::guardian::decode_reports;

    fn received(socket: &OwnedFd) -> (Vec<Report>, usize) {
        let (mut reports, mut descriptors) = (Vec::new(), 0);
        while let Ok(Some(message)) = seqpacket::try_receive(socket.as_fd()) {
            reports.extend(decode_reports(&message.bytes).unwrap());
            descriptors += message.descriptors.len();
        }
        (reports, descriptors)
    }

    #[test]
    fn a_thousand_pipes_arrive_in_order_with_their_descriptors() {
        let (ours, theirs) = seqpacket::pair().unwrap();
        let mut outbox = Outbox::default();
        let null = Rc::new(descriptor::null().unwrap());
        let pipe = |n: usize| Report::Pipe { name: Name::new(&format!("s{n}")).unwrap() };
        for n in 0..1000 {
            outbox.push_with(pipe(n), Rc::clone(&null));
        }
        outbox.flush(ours.as_fd()).unwrap();
        let (reports, descriptors) = received(&theirs);
        assert_eq!(descriptors, 1000);
        assert_eq!(reports, (0..1000).map(pipe).collect::<Vec<_>>());
    }

    #[test]
    fn what_a_full_socket_refuses_comes_later_and_in_order() {
        let (ours, theirs) = seqpacket::pair().unwrap();
        let mut outbox = Outbox::default();
        let note = |n: u8| Report::Note { name: Name::new("a").unwrap(), note: vec![n; 60_000] };
        for n in 0..200 {
            outbox.push(note(n));
            outbox.flush(ours.as_fd()).unwrap();
        }
        assert!(outbox.is_blocked());
        let mut reports = Vec::new();
        while reports.len() < 200 {
            reports.extend(received(&theirs).0);
            outbox.flush(ours.as_fd()).unwrap();
        }
        assert!(!outbox.is_blocked());
        assert!(reports.into_iter().eq((0..200).map(note)));
    }

    #[test]
    fn orphans_are_told_together_and_a_closed_socket_is_noticed() {
        let (ours, theirs) = seqpacket::pair().unwrap();
        let mut outbox = Outbox::default();
        outbox.reaped(Pid(5));
        outbox.reaped(Pid(6));
        outbox.flush(ours.as_fd()).unwrap();
        assert_eq!(received(&theirs).0, [Report::Reaped { pids: vec![Pid(5), Pid(6)] }]);
        drop(theirs);
        outbox.push(Report::TableEnd);
        assert_eq!(outbox.flush(ours.as_fd()), Err(Closed));
    }
}

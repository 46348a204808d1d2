//! The supervisor's end of its line to the guardian: orders are gathered and sent in batches.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::thread;

use crossbeam_channel::Sender;

use super::inbox::Input;
use crate::os::seqpacket;
use crate::protocol::guardian::{Order, decode_reports, encode_orders};

/// A batch is sent when it has grown to this: some twenty services, so that the guardian works on
/// them while the next are prepared. Far smaller than the largest datagram, so that one more order
/// always fits.
const BATCH_BYTES: usize = 4 * 1024;

/// About the size of the note of a service.
const NOTE_BYTES: usize = 128;

/// More passed descriptors than this do not fit in one datagram.
const BATCH_DESCRIPTORS: usize = 200;

/// Sends orders. What one step of the life-cycle orders of one service travels in one datagram, so
/// that a supervisor that dies in between leaves either all of it or nothing.
#[derive(Debug)]
pub struct GuardianLink {
    socket: OwnedFd,
    pending: Vec<u8>,
    descriptors: Vec<OwnedFd>,
}

impl GuardianLink {
    pub fn new(socket: OwnedFd) -> Self {
        Self { socket, pending: Vec::with_capacity(BATCH_BYTES), descriptors: Vec::new() }
    }

    pub fn push(&mut self, order: Order) {
        encode_orders(&[order], &mut self.pending);
    }

    /// The index under which `Stdio::Passed` names this descriptor in the datagram now being filled.
    pub fn pass(&mut self, descriptor: OwnedFd) -> u8 {
        self.descriptors.push(descriptor);
        u8::try_from(self.descriptors.len() - 1).unwrap_or(u8::MAX)
    }

    /// With so many notes besides, the batch is to be sent. Ask between two services.
    pub fn is_large(&self, notes: usize) -> bool {
        self.pending.len() + notes * NOTE_BYTES >= BATCH_BYTES || self.descriptors.len() >= BATCH_DESCRIPTORS
    }

    pub fn flush(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let passed: Vec<_> = self.descriptors.iter().map(AsFd::as_fd).collect();
        let sent = seqpacket::send(self.socket.as_fd(), &self.pending, &passed);
        self.pending.clear();
        self.descriptors.clear();
        sent
    }

    /// Waits for one datagram. Not after `listen`.
    pub fn hear(&self) -> Result<Input, String> {
        next_reports(&self.socket)
    }

    /// Starts the thread that turns reports into inputs, until the guardian's end closes.
    pub fn listen(&self, inbox: Sender<Input>) -> io::Result<()> {
        let socket = self.socket.try_clone()?;
        thread::Builder::new().name("reports".to_owned()).spawn(move || {
            let last = loop {
                match next_reports(&socket).map(|input| inbox.send(input)) {
                    Ok(Ok(())) => {}
                    // The main thread has ended: nobody reads any more.
                    Ok(Err(_)) => return,
                    Err(why) => break Input::GuardianLost { why },
                }
            };
            if let Err(unsent) = inbox.send(last) {
                drop(unsent);
            }
        })?;
        Ok(())
    }
}

fn next_reports(socket: &OwnedFd) -> Result<Input, String> {
    let message = seqpacket::receive(socket.as_fd())
        .map_err(|error| format!("cannot read from the guardian: {error}"))?
        .ok_or_else(|| "the guardian has gone".to_owned())?;
    let reports =
        decode_reports(&message.bytes).map_err(|error| format!("the guardian sent nonsense: {error}"))?;
    Ok(Input::Reports { reports, descriptors: message.descriptors })
}

//! One turn of one service: one read of its pipe, and all of it on its way before the next.

use std::os::fd::AsFd;
use std::time::Duration;

use crate::os::clock::{monotonic_nanoseconds, wall};
use crate::os::file::{is_out_of_descriptors, reason};
use crate::os::pipe::{Taken, enlarge, read_now};

use super::Fact;
use super::file::{After, LogFile, Stuck};
use super::pace::{Advice, BUSY_PIPE_BYTES, REST_NANOSECONDS};
use super::slot::{Gate, Held, Slot};
use super::stamp::Stamp;
use super::thread::Thread;

/// Lines grow on the console by their names: less is read at once then.
const SHOWN_BLOCK_BYTES: usize = 64 << 10;
/// The first wait for a disk that is full, and the longest.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Read(usize),
    /// There is nothing in the pipe.
    Dry,
    /// It is not read now.
    Shut,
}

impl Thread {
    pub fn turn(&mut self, id: u64) -> Turn {
        let Some(slot) = self.slots.get_mut(&id) else { return Turn::Dry };
        if !matches!(slot.gate, Gate::Open) {
            return Turn::Shut;
        }
        let hurried = slot.leaving || self.finishing;
        let mut room = self.block.len();
        if let Some(console) = self.console.as_ref().filter(|_| slot.may_show()) {
            if console.sink.is_full() {
                self.shut(id, Gate::ConsoleFull, None);
                return Turn::Shut;
            }
            room = SHOWN_BLOCK_BYTES;
        }
        let now = monotonic_nanoseconds();
        if let Some(bucket) = slot.bucket.as_mut().filter(|_| !hurried) {
            match bucket.allowance(now) {
                Ok(bytes) => room = room.min(usize::try_from(bytes).unwrap_or(usize::MAX)),
                Err(until) => {
                    self.shut(id, Gate::Throttled, Some(until));
                    return Turn::Shut;
                }
            }
        }
        let Some(pipe) = slot.pipes.front() else { return self.dry(id) };
        let block = self.block.get_mut(..room).unwrap_or_default();
        match read_now(pipe.as_fd(), block) {
            Ok(Taken::Bytes(bytes)) => {
                self.pass_on(id, bytes);
                self.pace(id, now, bytes);
                Turn::Read(bytes)
            }
            Ok(Taken::Nothing) if slot.pipes.len() == 1 => self.dry(id),
            // An older pipe that is dry, or one whose writers are all gone.
            Ok(Taken::Nothing | Taken::End) => self.next_pipe(id),
            Err(error) => {
                let text =
                    format!("cannot read the log pipe of {}: {}; it is closed", slot.name, reason(&error));
                (self.facts)(Fact::Trouble { name: slot.name.clone(), text });
                self.next_pipe(id)
            }
        }
    }

    fn dry(&mut self, id: u64) -> Turn {
        if self.slots.get(&id).is_some_and(|slot| slot.leaving && slot.pipes.len() <= 1) {
            self.disarm(id);
            self.forget(id);
        }
        Turn::Dry
    }

    fn next_pipe(&mut self, id: u64) -> Turn {
        self.disarm(id);
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.pipes.pop_front();
            slot.pace = super::pace::Pace::new();
            if !slot.pipes.is_empty() {
                self.arm(id);
                return Turn::Read(0);
            }
        }
        self.dry(id)
    }

    /// The first `bytes` of the block go to the console and to the file.
    fn pass_on(&mut self, id: u64, bytes: usize) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        if let Some(bucket) = &mut slot.bucket {
            bucket.take(bytes);
        }
        let mut input = self.block.get(..bytes).unwrap_or_default();
        if let Some(console) = self.console.as_mut().filter(|_| slot.may_show()) {
            console.show(slot.name.as_str(), &mut slot.partial, input);
        }
        if !slot.writes_file() {
            return;
        }
        let stamp = Stamp::new(slot.settings.timestamp, wall());
        let (log_dir, took_over) = (&self.log_dir, self.took_over);
        let file = slot
            .file
            .get_or_insert_with(|| Box::new(LogFile::new(log_dir.join(slot.name.as_str()), took_over)));
        let mut done = file.write(&slot.settings, &stamp, &mut input, &mut self.out);
        if done.as_ref().is_err_and(|stuck| is_out_of_descriptors(&stuck.cause)) {
            let input_left = input.to_vec();
            self.close_other_files(id);
            let Some(slot) = self.slots.get_mut(&id) else { return };
            let mut input = &input_left[..];
            if let Some(file) = &mut slot.file {
                done = file.write(&slot.settings, &stamp, &mut input, &mut self.out);
            }
            if let Err(stuck) = done {
                self.hold(id, stuck, input.to_vec(), stamp, RETRY_FIRST);
            }
        } else if let Err(stuck) = done {
            let input = input.to_vec();
            self.hold(id, stuck, input, stamp, RETRY_FIRST);
        }
        self.follow_up(id);
    }

    /// Descriptors are short: the others open their files again at their next byte.
    fn close_other_files(&mut self, id: u64) {
        for (_, slot) in self.slots.iter_mut().filter(|(other, _)| **other != id) {
            if let Some(file) = &mut slot.file {
                file.close();
            }
        }
    }

    /// What is left in `out` and `input` waits, and with it the writer.
    fn hold(&mut self, id: u64, stuck: Stuck, input: Vec<u8>, stamp: Stamp, retry_after: Duration) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        let room = match stuck.cause.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => "there is room",
            _ => "that is possible",
        };
        let (name, cause) = (&slot.name, reason(&stuck.cause));
        let text =
            format!("cannot {} {}: {cause}; {name} waits until {room}", stuck.verb, stuck.path.display());
        let said = match &slot.gate {
            Gate::Stuck(held) => held.text == text,
            Gate::Open | Gate::Resting | Gate::Throttled | Gate::ConsoleFull => false,
        };
        if !said {
            (self.facts)(Fact::Trouble { name: slot.name.clone(), text: text.clone() });
        }
        let out = std::mem::take(&mut self.out);
        let held = Held { out, input, stamp, retry_after, text };
        let nanoseconds = u64::try_from(retry_after.as_nanos()).unwrap_or(u64::MAX);
        let at = monotonic_nanoseconds().saturating_add(nanoseconds);
        self.shut(id, Gate::Stuck(Box::new(held)), Some(at));
    }

    /// Writes what waits; when that succeeds the pipe is read again.
    pub fn retry(&mut self, id: u64) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        let Gate::Stuck(held) = &mut slot.gate else { return };
        let (mut out, input) = (std::mem::take(&mut held.out), std::mem::take(&mut held.input));
        let (mut input, stamp, retry_after) = (&input[..], held.stamp, held.retry_after);
        let writes_file = slot.writes_file();
        let done = match &mut slot.file {
            Some(file) if writes_file => file.write(&slot.settings, &stamp, &mut input, &mut out),
            _ => Ok(()),
        };
        match done {
            Ok(()) => {
                (self.facts)(Fact::Recovered { name: slot.name.clone() });
                self.open_gate(id);
            }
            Err(stuck) => {
                let input = input.to_vec();
                self.out = out;
                self.hold(id, stuck, input, stamp, (retry_after * 2).min(RETRY_MAX));
            }
        }
        self.follow_up(id);
    }

    /// Tells and does what writing has brought up.
    fn follow_up(&mut self, id: u64) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        let Slot { name, file: Some(file), .. } = slot else { return };
        for after in std::mem::take(&mut file.after) {
            match after {
                After::Compress(at) => self.compressor.add(name.clone(), file.directory().to_owned(), at),
                After::Complaint(text) => (self.facts)(Fact::Trouble { name: name.clone(), text }),
            }
        }
    }

    fn pace(&mut self, id: u64, now: u64, bytes: usize) {
        let hurried = self.finishing;
        let Some(slot) = self.slots.get_mut(&id) else { return };
        if hurried || slot.leaving || !matches!(slot.gate, Gate::Open) {
            return;
        }
        match slot.pace.advise(now, bytes) {
            Advice::Go => {}
            Advice::Rest => self.shut(id, Gate::Resting, Some(now + REST_NANOSECONDS)),
            Advice::Enlarge => {
                let got = slot.pipes.front().and_then(|pipe| enlarge(pipe.as_fd(), BUSY_PIPE_BYTES).ok());
                slot.pace.enlarged(got);
            }
        }
    }

    fn shut(&mut self, id: u64, gate: Gate, until: Option<u64>) {
        self.disarm(id);
        if let Some(slot) = self.slots.get_mut(&id) {
            if matches!(gate, Gate::ConsoleFull) {
                self.waiting_for_console.push(id);
            }
            slot.gate = gate;
        }
        if let Some(at) = until {
            self.set_timer(id, at);
        }
    }

    pub fn open_gate(&mut self, id: u64) {
        self.clear_timer(id);
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.gate = Gate::Open;
        }
        self.arm(id);
        if self.slots.get(&id).is_some_and(|slot| slot.leaving) {
            // An empty pipe would never call.
            self.drain(id);
        }
    }

    pub fn arm(&mut self, id: u64) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        let Some(pipe) = slot.pipes.front().filter(|_| !slot.armed && matches!(slot.gate, Gate::Open)) else {
            return;
        };
        match self.epoll.add_reader(pipe.as_fd(), id) {
            Ok(()) => slot.armed = true,
            Err(error) => {
                let text =
                    format!("cannot wait for the log of {}: {}; it is not read", slot.name, reason(&error));
                (self.facts)(Fact::Trouble { name: slot.name.clone(), text });
            }
        }
    }

    fn disarm(&mut self, id: u64) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        if let Some(pipe) = slot.pipes.front().filter(|_| slot.armed) {
            // An open descriptor that was added can always be removed.
            drop(self.epoll.remove(pipe.as_fd()));
        }
        slot.armed = false;
    }

    /// No more will come: shows and writes what waited for the end of a line or a character.
    pub fn end_line(&mut self, id: u64) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        let partial = std::mem::take(&mut slot.partial);
        if let Some(console) = self.console.as_mut().filter(|_| !partial.is_empty()) {
            console.show_line(slot.name.as_str(), &partial);
        }
        let stamp = Stamp::new(slot.settings.timestamp, wall());
        let Slot { settings, file: Some(file), gate: Gate::Open, .. } = slot else { return };
        self.out.clear();
        if let Err(stuck) = file.finish(settings, &stamp, &mut self.out) {
            self.hold(id, stuck, Vec::new(), stamp, RETRY_FIRST);
        }
    }
}

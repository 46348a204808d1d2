//! Going on where a killed predecessor was: its blocks are written before anything new is read.

use std::sync::Arc;

use crate::os::clock::wall;

use super::file::LogFile;
use super::journal::{Found, Journal, Kept, Left};
use super::stamp::Stamp;
use super::thread::Thread;
use super::turn::{RETRY_FIRST, keep_position};

impl Thread {
    pub fn take_up(&mut self, kept: Kept) {
        let Found { mut journal, left, remarks } = match Journal::open(kept, self.took_over) {
            Ok(found) => found,
            Err(cause) => return self.say_what_is_lost(&cause),
        };
        for remark in remarks {
            self.say(&remark);
        }
        self.took_over &= !journal.knows_positions();
        self.journal = Some(journal);
        self.place = self.fresh_place();
        for left in left {
            self.go_on(left);
        }
    }

    fn go_on(&mut self, left: Left) {
        let Left { mut place, owner } = left;
        let mut settings = owner.settings;
        let progress = *place.record.progress();
        if let Some(attempt) = progress.attempt {
            (settings.timestamp, settings.format) = (attempt.shape.timestamp, attempt.shape.format);
        }
        let settings = Arc::new(settings);
        let id = self.slot_of(&owner.name, &settings);
        let Some(slot) = self.slots.get_mut(&id) else { return };
        let mut file = LogFile::new(self.log_dir.join(owner.name.as_str()), owner.took_over);
        if let Some((cell, position)) = self.journal.as_mut().and_then(|kept| kept.position(&owner.name)) {
            slot.cell = Some(cell);
            file.resume(position);
        }
        file.write_again(&place.record);
        let time = if progress.wall.is_zero() { wall() } else { progress.wall };
        let stamp = Stamp::new(settings.timestamp, time);
        place.record.set_wall(time);
        let mut input = place.block.bytes().get(progress.done..progress.bytes).unwrap_or_default();
        if let Some(console) = self.console.as_mut().filter(|_| slot.may_show()) {
            console.show(slot.name.as_str(), &mut slot.partial, input);
        }
        self.out.clear();
        let done = file.write(&settings, &stamp, &mut input, &mut self.out, &mut place.record);
        let input = progress.bytes - input.len()..progress.bytes;
        slot.file = Some(Box::new(file));
        match done {
            Ok(()) => {
                keep_position(self.journal.as_mut(), slot);
                self.let_go(place);
            }
            Err(stuck) => self.hold(id, stuck, place, input, stamp, RETRY_FIRST),
        }
        self.follow_up(id);
    }

    /// From now on logs are written without a journal.
    pub fn end_journal(&mut self, cause: String) {
        if let Some(journal) = self.journal.take() {
            journal.end();
            self.say_what_is_lost(&cause);
        }
    }

    fn say_what_is_lost(&mut self, cause: &str) {
        self.say(&format!(
            "cannot keep a journal of the logs: {cause}; if the supervisor is killed, the lines in its hand are lost"
        ));
    }
}

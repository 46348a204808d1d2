//! A logger that is killed between any two of its steps, and the one after it, and the one after that:
//! every line is in the files once.

use std::cell::Cell;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::path::Path;
use std::sync::Arc;

use crate::os::pipe::pipe;
use crate::os::shared::{memory, set_length};
use crate::service::{LogFormat, LogSettings, Timestamp};

use super::super::console::{Sink, Target};
use super::super::handle::{Inbox, Order};
use super::super::journal::{Journal, Kept};
use super::super::read::{LogReader, Query};
use super::super::slot::Gate;
use super::super::thread::Thread;
use super::super::turn::Turn;
use super::super::{Fact, LoggerSetup};
use super::name;

thread_local! {
    /// How many steps are left to live; none: for ever.
    static LIFE: Cell<Option<u32>> = const { Cell::new(None) };
}

struct Killed;

pub fn instant() {
    match LIFE.get() {
        None => {}
        Some(0) => panic_any(Killed),
        Some(left) => LIFE.set(Some(left - 1)),
    }
}

/// Half of it, for a kill within a write.
pub fn portion(bytes: &[u8]) -> &[u8] {
    if LIFE.get().is_some() { &bytes[..bytes.len().div_ceil(2)] } else { bytes }
}

fn own(fd: &OwnedFd) -> OwnedFd {
    fd.try_clone().unwrap()
}

/// What the guardian keeps.
struct Stage {
    log_dir: tempfile::TempDir,
    kept: Kept,
    reader: OwnedFd,
    writer: File,
    settings: LogSettings,
    lives: u32,
    facts: Vec<Fact>,
}

impl Stage {
    fn new(settings: LogSettings) -> Self {
        let (hand_reader, hand_writer) = pipe().unwrap();
        let (reader, writer) = pipe().unwrap();
        Self {
            log_dir: tempfile::tempdir().unwrap(),
            kept: Kept { memory: memory().unwrap(), reader: hand_reader, writer: hand_writer },
            reader,
            writer: writer.into(),
            settings,
            lives: 0,
            facts: Vec::new(),
        }
    }

    fn kept(&self) -> Kept {
        let Kept { memory, reader, writer } = &self.kept;
        Kept { memory: own(memory), reader: own(reader), writer: own(writer) }
    }

    /// One supervisor's logger: takes up what is there and reads what comes, until it is killed.
    /// True when it was not.
    fn live(&mut self, life: Option<u32>, parts: &mut std::slice::Iter<'_, Vec<u8>>) -> bool {
        let kept = self.kept();
        let log_dir = self.log_dir.path().to_owned();
        let setup = LoggerSetup { log_dir, console: None, took_over: self.lives > 0, kept: None };
        self.lives += 1;
        let errors = Sink::new(Target::Own(tempfile::tempfile().unwrap()));
        let (sender, facts) = crossbeam_channel::unbounded();
        let tell = Box::new(move |fact| drop(sender.send(fact)));
        let inbox = Arc::new(Inbox::new().unwrap());
        let mut thread = Thread::new(setup, Arc::clone(&inbox), None, errors, tell).unwrap();
        LIFE.set(life);
        let lived = catch_unwind(AssertUnwindSafe(|| {
            thread.take_up(kept);
            let settings = Arc::new(self.settings.clone());
            inbox.leave(Order::Attach { name: name("web"), pipe: own(&self.reader), settings });
            thread.take_orders();
            let id = *thread.slots.keys().next().unwrap();
            loop {
                while let Turn::Read(_) = thread.turn(id) {
                    if matches!(thread.slots[&id].gate, Gate::Resting) {
                        thread.open_gate(id);
                    }
                }
                match parts.next() {
                    Some(part) => self.writer.write_all(part).unwrap(),
                    None => break,
                }
            }
        }));
        LIFE.set(None);
        self.facts.extend(facts.try_iter());
        lived.map_err(|payload| assert!(payload.is::<Killed>(), "a panic of its own")).is_ok()
    }

    fn text(&self) -> Vec<u8> {
        text(self.log_dir.path())
    }
}

fn text(log_dir: &Path) -> Vec<u8> {
    let reader = LogReader::open(log_dir, &[name("web")], Query::default()).unwrap();
    reader.flat_map(|item| [item.unwrap().line, b"\n".to_vec()].concat()).collect()
}

/// Panics of the killed are no news.
fn quietly(test: impl FnOnce() + Send + 'static) {
    static QUIET: std::sync::Once = std::sync::Once::new();
    QUIET.call_once(|| {
        let told = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |about| {
            if !about.payload().is::<Killed>() {
                told(about);
            }
        }));
    });
    test();
}

/// Kills at every instant there is, and each successor at some.
/// `before` is what `current` holds of an earlier boot: a line that was cut off.
fn kill_everywhere(settings: &LogSettings, parts: &[Vec<u8>], before: &'static [u8]) {
    let (settings, parts) = (settings.clone(), parts.to_vec());
    quietly(move || {
        let expected = parts.concat();
        for step in 0.. {
            let mut over = false;
            for next in [(step % 2 == 1).then_some(step % 31)] {
                let mut stage = Stage::new(settings.clone());
                if !before.is_empty() {
                    std::fs::create_dir(stage.log_dir.path().join("web")).unwrap();
                    std::fs::write(stage.log_dir.path().join("web/current"), before).unwrap();
                }
                let mut rest = parts.iter();
                over = stage.live(Some(step), &mut rest);
                // A second one that is killed as well, a third a little later, and so on.
                for life in next.into_iter().flat_map(|next| [next, next + 2, 2 * next, 3 * next]) {
                    stage.live(Some(life), &mut rest);
                }
                assert!(stage.live(None, &mut rest));
                let (text, lives) = (stage.text(), stage.lives);
                let text = text.strip_prefix(before).unwrap();
                // Whoever looks at the file first in this boot.
                let text = if before.is_empty() { text } else { text.strip_prefix(b"\n").unwrap() };
                assert!(
                    text == expected,
                    "killed at step {step}, then {next:?} ({lives} lives), {settings:?}:\n{}\ninstead of\n{}",
                    String::from_utf8_lossy(text),
                    String::from_utf8_lossy(&expected)
                );
                assert_eq!(stage.facts, []);
            }
            if over {
                assert!(step > 20, "there were no steps to be killed at");
                return;
            }
        }
    });
}

fn settings(bytes_max: u64, format: LogFormat, timestamp: Timestamp) -> LogSettings {
    LogSettings { bytes_max, files_max: 10_000, format, timestamp, ..LogSettings::default() }
}

/// Lines, a line in parts, a line longer than a file, and characters of which each part has a part.
fn parts() -> Vec<Vec<u8>> {
    let text = "one\ntwo and more\nthree \u{20ac} and \u{1f600}\n".as_bytes();
    let mut parts: Vec<Vec<u8>> = text.chunks(7).map(<[u8]>::to_vec).collect();
    parts.push(b"a long line that goes on and on and on and on and on and on and on".to_vec());
    parts.push(b" and on\nfour\nfive\nsix\nseven\neight\nnine\n".to_vec());
    parts.push("\u{20ac}".as_bytes()[..2].to_vec());
    parts.push("\u{20ac}".as_bytes()[2..].to_vec());
    parts.push(b"\nthe end\n".to_vec());
    parts
}

#[test]
fn a_kill_at_any_instant_loses_and_doubles_nothing() {
    kill_everywhere(&settings(1 << 20, LogFormat::Text, Timestamp::Rfc3339), &parts(), b"");
}

#[test]
fn a_kill_at_any_instant_behind_a_line_that_was_cut_off_loses_and_doubles_nothing() {
    let parts = [b"one\ntw".to_vec(), b"o\nthree\n".to_vec()];
    kill_everywhere(&settings(1 << 20, LogFormat::Text, Timestamp::None), &parts, b"cut");
}

#[test]
fn a_line_that_goes_on_is_not_taken_for_one_that_was_cut_off_when_the_journal_cannot_tell() {
    quietly(|| {
        let plain = settings(1 << 20, LogFormat::Text, Timestamp::None);
        let another = ["another version", "another guardian"];
        for why in another.into_iter().chain(["more logs inside a line than there are cells", "given up"]) {
            let mut stage = Stage::new(plain.clone());
            let mut rest = [b"begun".to_vec(), b" and ended\n".to_vec()];
            assert!(stage.live(None, &mut rest[..1].iter()), "{why}");
            let file = File::from(stage.kept.memory.try_clone().unwrap());
            let found = |stage: &Stage| Journal::open(stage.kept(), true).unwrap().journal;
            match why {
                "another version" => file.write_at(b"x", 0).map(drop).unwrap(),
                "another guardian" => stage.kept.memory = memory().unwrap(),
                "given up" => found(&stage).end(),
                _ => {
                    let mut journal = found(&stage);
                    let position = journal.position(&name("web")).unwrap().1;
                    for number in 0..5_000 {
                        journal.keep_position(None, &name(&format!("log-{number}")), position);
                    }
                    // Room for it was there only when it was inside a line already.
                    let cell = journal.position(&name("web")).map(|(cell, _)| cell);
                    journal.forget_position(cell);
                }
            }
            rest.rotate_left(1);
            assert!(stage.live(None, &mut rest[..1].iter()), "{why}");
            assert_eq!(String::from_utf8_lossy(&stage.text()), "begun and ended\n", "{why}");
        }
    });
}

#[test]
fn a_kill_at_any_instant_of_a_rotation_loses_and_doubles_nothing() {
    kill_everywhere(&settings(40, LogFormat::Text, Timestamp::None), &parts(), b"");
    kill_everywhere(&settings(90, LogFormat::Text, Timestamp::Tai64n), &parts()[6..], b"");
}

#[test]
fn a_kill_at_any_instant_in_json_loses_and_doubles_nothing() {
    kill_everywhere(&settings(1 << 20, LogFormat::Json, Timestamp::Rfc3339), &parts(), b"");
    kill_everywhere(&settings(60, LogFormat::Json, Timestamp::None), &parts()[6..], b"");
}

#[test]
fn a_block_that_cannot_be_written_waits_for_the_successor_s_successor() {
    quietly(|| {
        let mut stage = Stage::new(settings(1 << 20, LogFormat::Text, Timestamp::None));
        let current = stage.log_dir.path().join("web/current");
        std::fs::create_dir_all(&current).unwrap();
        let parts = [b"one\ntwo\n".to_vec(), b"three\n".to_vec()];
        let mut rest = parts.iter();
        for _ in 0..3 {
            stage.live(None, &mut rest);
        }
        assert!(stage.facts.iter().all(|fact| matches!(fact, Fact::Trouble { .. })), "{:?}", stage.facts);
        std::fs::remove_dir(&current).unwrap();
        stage.live(None, &mut rest);
        assert_eq!(stage.text(), parts.concat());
    });
}

#[test]
fn a_journal_that_makes_no_sense_is_set_aside() {
    quietly(|| {
        for garbage in [&[0xff; 9_000][..], b"x"] {
            let mut stage = Stage::new(settings(1 << 20, LogFormat::Text, Timestamp::None));
            File::from(stage.kept.memory.try_clone().unwrap()).write_all(garbage).unwrap();
            assert!(stage.live(None, &mut [b"one\n".to_vec()].iter()));
            // A place with a record of nonsense, in a journal of the right size.
            let length = crate::os::shared::length(stage.kept.memory.as_fd()).unwrap();
            set_length(stage.kept.memory.as_fd(), length - 300_000).unwrap();
            set_length(stage.kept.memory.as_fd(), length).unwrap();
            assert!(stage.live(None, &mut [b"two\n".to_vec()].iter()));
            assert_eq!(stage.text(), b"one\ntwo\n");
        }
    });
}

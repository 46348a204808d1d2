//! The logger as a whole: real pipes, real files, its own thread.

mod clock;
mod console;
mod follow;
pub mod killed;
mod trouble;
mod write;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crossbeam_channel::Receiver;

use crate::lifecycle::Name;
use crate::os::pipe::pipe;
use crate::service::LogSettings;

use super::console::Target;
use super::read::{Item, LogReader, Query};
use super::{ConsoleSetup, Fact, Logger, LoggerSetup};

/// Generous: only a test that fails waits so long.
const DEADLINE: Duration = Duration::from_secs(60);

pub struct Rig {
    pub log_dir: PathBuf,
    logger: Option<Logger>,
    facts: Receiver<Fact>,
}

pub fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

impl Rig {
    pub fn new(log_dir: &Path) -> Self {
        Self::start(log_dir, false, None)
    }

    pub fn start(log_dir: &Path, took_over: bool, outputs: Option<(File, File)>) -> Self {
        let console = outputs.is_some().then_some(ConsoleSetup { colour: false });
        let setup = LoggerSetup { log_dir: log_dir.to_owned(), console, took_over, kept: None };
        let (sender, facts) = crossbeam_channel::unbounded();
        let tell = move |fact| drop(sender.send(fact));
        let logger = match outputs {
            Some((out, error)) => Logger::start_on(setup, Target::Own(out), Target::Own(error), tell),
            None => Logger::start(setup, tell),
        };
        Self { log_dir: log_dir.to_owned(), logger: Some(logger.unwrap()), facts }
    }

    pub fn logger(&self) -> &Logger {
        self.logger.as_ref().unwrap()
    }

    pub fn attach(&self, service: &str, settings: LogSettings) -> File {
        let (reader, writer) = pipe().unwrap();
        self.logger().attach(name(service), reader, settings);
        writer.into()
    }

    pub fn fact(&self) -> Fact {
        self.facts.recv_timeout(DEADLINE).unwrap()
    }

    pub fn tail(&self, service: &str, lines: usize) -> Vec<String> {
        self.logger().tail(&name(service), lines, 7);
        match self.fact() {
            Fact::Tail { token: 7, lines, .. } => lines,
            other => panic!("expected a tail, got {other:?}"),
        }
    }

    /// Everything that was written is in the files when this returns.
    pub fn finish(&mut self) {
        self.logger.take().unwrap().finish();
    }

    pub fn read(&self, services: &[&str], query: Query) -> Vec<Item> {
        let names: Vec<Name> = services.iter().map(|service| name(service)).collect();
        LogReader::open(&self.log_dir, &names, query).unwrap().map(Result::unwrap).collect()
    }

    /// The lines as the program wrote them.
    pub fn lines(&self, service: &str) -> Vec<Vec<u8>> {
        self.read(&[service], Query::default()).into_iter().map(|item| item.line).collect()
    }

    pub fn current(&self, service: &str) -> Vec<u8> {
        std::fs::read(self.log_dir.join(service).join("current")).unwrap()
    }

    /// Names of the rotated files, oldest first.
    pub fn rotated(&self, service: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.log_dir.join(service)).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "current")
            .collect();
        names.sort();
        names
    }
}

pub fn numbered(from: usize, to: usize) -> Vec<u8> {
    let mut text = Vec::new();
    for number in from..to {
        writeln!(text, "line {number}").unwrap();
    }
    text
}

/// Every number once and in order.
pub fn assert_numbered(lines: impl IntoIterator<Item = Vec<u8>>, from: usize, to: usize) {
    let mut expected = from;
    for line in lines {
        assert_eq!(String::from_utf8_lossy(&line), format!("line {expected}"));
        expected += 1;
    }
    assert_eq!(expected, to);
}

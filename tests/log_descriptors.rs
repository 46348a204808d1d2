//! Logging with too few descriptors. Alone in its process: it lowers the limit of all.

use std::fs::File;
use std::io::Write;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use svc::lifecycle::Name;
use svc::logger::read::{LogReader, Query};
use svc::logger::{Logger, LoggerSetup};
use svc::os::pipe::pipe;
use svc::service::LogSettings;

const SERVICES: usize = 60;

#[test]
fn logs_are_written_when_not_all_files_can_be_open_at_once() {
    let place = tempfile::tempdir().unwrap();
    let log_dir = place.path().to_owned();
    let setup = LoggerSetup { log_dir: log_dir.clone(), console: None, took_over: false, kept: None };
    let logger = Logger::start(setup, |fact| panic!("{fact:?}")).unwrap();
    let mut writers = Vec::new();
    for number in 0..SERVICES {
        let (reader, writer) = pipe().unwrap();
        let name = Name::new(&format!("s{number}")).unwrap();
        logger.attach(name, reader, LogSettings::default());
        writers.push(File::from(writer));
    }
    let open = std::fs::read_dir("/proc/self/fd").unwrap().count() as u64;
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, open + 12, hard).unwrap();
    for round in 0..3 {
        for writer in &mut writers {
            writeln!(writer, "round {round}").unwrap();
        }
    }
    logger.finish();
    drop(writers);
    for number in 0..SERVICES {
        let name = Name::new(&format!("s{number}")).unwrap();
        let reader = LogReader::open(&log_dir, &[name], Query::default()).unwrap();
        let lines: Vec<_> = reader.map(|item| String::from_utf8(item.unwrap().line).unwrap()).collect();
        assert_eq!(lines, ["round 0", "round 1", "round 2"]);
    }
}

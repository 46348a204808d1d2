//! The logger killed with `kill -9` again and again, as fast as it can be started: every line is in
//! the files once, whoever wrote it and however. `SVC_KILLS` is how often (60).

// A test ends by panicking; clippy allows that only inside of #[test] functions.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use svc::lifecycle::Name;
use svc::logger::read::{LogReader, Query};
use svc::logger::{Kept, Logger, LoggerSetup};
use svc::os::pipe::pipe;
use svc::os::shared::memory;
use svc::service::{LogFormat, LogSettings, Timestamp};

/// Where the logger that is to be killed finds its descriptors: `MEMORY READER WRITER PIPE…` as paths.
const ROLE: &str = "SVC_TEST_LOGGER";
const LOG_DIR: &str = "SVC_TEST_LOG_DIR";

/// How a program writes.
#[derive(Clone, Copy)]
enum Writer {
    /// A line, and the next when that one is in the file.
    Quiet,
    /// Line by line.
    Busy,
    /// Blocks that end anywhere.
    Flood,
}

fn services() -> Vec<(&'static str, Writer, LogSettings)> {
    let all = LogSettings { files_max: u32::MAX, bytes_max: 1 << 30, ..LogSettings::default() };
    let json = LogSettings { format: LogFormat::Json, ..all.clone() };
    let rotating = LogSettings { bytes_max: 20_000, ..all.clone() };
    let plain = LogSettings { timestamp: Timestamp::None, bytes_max: 3_000, ..all.clone() };
    let json_rotating = LogSettings { format: LogFormat::Json, bytes_max: 100_000, ..all.clone() };
    vec![
        ("quiet", Writer::Quiet, all.clone()),
        ("quiet-rotating", Writer::Quiet, plain),
        ("busy", Writer::Busy, all.clone()),
        ("busy-json", Writer::Busy, json),
        ("busy-rotating", Writer::Busy, rotating.clone()),
        ("flood", Writer::Flood, LogSettings { bytes_max: 1 << 20, ..all }),
        ("flood-json", Writer::Flood, json_rotating),
    ]
}

/// Characters of several bytes are cut anywhere by reads.
fn line(number: u64) -> String {
    format!("line {number} \u{20ac}\u{1f600}\"\\\n")
}

fn open(path: &str, write: bool) -> OwnedFd {
    File::options().read(!write).write(write).open(path).unwrap().into()
}

/// The part of the program that is killed.
fn be_the_logger(paths: &str, log_dir: &Path) -> ! {
    let mut paths = paths.split(' ');
    let mut next = || paths.next().unwrap();
    let memory = OwnedFd::from(File::options().read(true).write(true).open(next()).unwrap());
    let kept = Kept { memory, reader: open(next(), false), writer: open(next(), true) };
    let setup = LoggerSetup { log_dir: log_dir.to_owned(), console: None, took_over: true, kept: Some(kept) };
    let logger = Logger::start(setup, |fact| panic!("{fact:?}")).unwrap();
    for (name, _, settings) in services() {
        logger.attach(Name::new(name).unwrap(), open(next(), false), settings);
    }
    println!("ready");
    loop {
        std::thread::park();
    }
}

fn start_writer(mut pipe: File, how: Writer, log_dir: &Path, over: Arc<AtomicBool>) -> JoinHandle<u64> {
    let log_dir = log_dir.to_owned();
    std::thread::spawn(move || {
        let mut number = 0;
        while !over.load(Ordering::Relaxed) {
            match how {
                Writer::Quiet => {
                    let before = bytes_in(&log_dir);
                    pipe.write_all(line(number).as_bytes()).unwrap();
                    number += 1;
                    while bytes_in(&log_dir) == before && !over.load(Ordering::Relaxed) {
                        std::thread::yield_now();
                    }
                }
                Writer::Busy => {
                    pipe.write_all(line(number).as_bytes()).unwrap();
                    number += 1;
                }
                Writer::Flood => {
                    let text: String = (number..number + 4_000).map(line).collect();
                    text.as_bytes().chunks(40_007).for_each(|part| pipe.write_all(part).unwrap());
                    number += 4_000;
                }
            }
        }
        number
    })
}

/// Of all files in the directory.
fn bytes_in(directory: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(directory) else { return 0 };
    entries.flatten().filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum()
}

#[test]
fn kills_as_fast_as_possible_lose_and_double_no_line() {
    if let (Ok(paths), Ok(log_dir)) = (std::env::var(ROLE), std::env::var(LOG_DIR)) {
        be_the_logger(&paths, Path::new(&log_dir));
    }
    let kills = std::env::var("SVC_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(60);
    let place = tempfile::tempdir().unwrap();
    let (reader, writer) = pipe().unwrap();
    let kept = Kept { memory: memory().unwrap(), reader, writer };
    let over = Arc::new(AtomicBool::new(false));
    let mut readers = Vec::new();
    let mut writers = Vec::new();
    for (name, how, _) in services() {
        let (reader, writer) = pipe().unwrap();
        readers.push(reader);
        writers.push(start_writer(File::from(writer), how, &place.path().join(name), Arc::clone(&over)));
    }
    let path = |fd: &OwnedFd| format!("/proc/{}/fd/{}", std::process::id(), fd.as_raw_fd());
    let paths: Vec<String> =
        [&kept.memory, &kept.reader, &kept.writer].into_iter().chain(&readers).map(path).collect();
    // A sequence of numbers without pattern (Knuth's MMIX generator): the instants of the kills.
    let chance = AtomicU64::new(1);
    let next = |below: u64| {
        let step = |seed: u64| {
            Some(seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407))
        };
        (chance.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step).unwrap() >> 33) % below
    };
    for _ in 0..kills {
        let mut logger = Command::new(std::env::current_exe().unwrap())
            .args(["kills_as_fast_as_possible_lose_and_double_no_line", "--exact", "--nocapture"])
            .env(ROLE, paths.join(" "))
            .env(LOG_DIR, place.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        if next(8) > 0 {
            let said = BufReader::new(logger.stdout.take().unwrap());
            assert!(said.lines().any(|line| line.unwrap().ends_with("ready")), "the logger failed");
        }
        for _ in 0..next(2_000) {
            std::thread::yield_now();
        }
        logger.kill().unwrap();
        logger.wait().unwrap();
    }
    let log_dir = place.path().to_owned();
    let setup = LoggerSetup { log_dir, console: None, took_over: true, kept: Some(kept) };
    let logger = Logger::start(setup, |fact| panic!("{fact:?}")).unwrap();
    for ((name, _, settings), reader) in services().into_iter().zip(readers) {
        logger.attach(Name::new(name).unwrap(), reader, settings);
    }
    over.store(true, Ordering::Relaxed);
    let written: Vec<u64> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
    logger.finish();
    for ((name, ..), written) in services().into_iter().zip(written) {
        let reader = LogReader::open(place.path(), &[Name::new(name).unwrap()], Query::default()).unwrap();
        let mut expected = 0;
        for item in reader {
            let text = String::from_utf8_lossy(&item.unwrap().line).into_owned() + "\n";
            assert_eq!(text, line(expected), "{name}: {written} lines were written");
            expected += 1;
        }
        assert_eq!(expected, written, "{name}: lines are missing at the end");
        println!("{name}: {written} lines");
    }
}

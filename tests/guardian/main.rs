//! The guardian with real processes. The test program plays all roles: the guardian, a supervisor
//! that does what the test tells it, and `svc init -- CMD`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod daemon;
mod keeping;
mod launching;
mod puppet;
mod signals;
mod single;
mod stage;
mod standing;

use std::ffi::OsString;
use std::panic;
use std::path::PathBuf;
use std::process::exit;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use svc::guardian::{self, Mode, Setup};

type Test = (&'static str, fn());

fn main() {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    match words.first().and_then(|word| word.to_str()) {
        Some("role-guardian") => exit(play_guardian(&words[1..])),
        Some("role-single") => exit(guardian::run_single(&words[1..])),
        Some("role-supervisor") => puppet::play(&words[1..]),
        _ => run_tests(&words),
    }
}

/// MODE RUNTIME_DIR SERVICES_DIR LOG_FILE SUPERVISOR_ARGUMENT…
fn play_guardian(words: &[OsString]) -> i32 {
    let mode = match words[0].to_str().unwrap() {
        "foreground" => Mode::Foreground,
        "init" => Mode::Init,
        _ if words[3].is_empty() => Mode::Daemon { log_file: None },
        _ => Mode::Daemon { log_file: Some(PathBuf::from(&words[3])) },
    };
    let mut supervisor_arguments = vec![OsString::from("supervisor")];
    supervisor_arguments.extend(words[4..].iter().cloned());
    guardian::run(&Setup {
        runtime_dir: PathBuf::from(&words[1]),
        services_dir: PathBuf::from(&words[2]),
        supervisor_arguments,
        mode,
    })
}

/// Two at a time, as the standard runner would with `--test-threads=2`.
fn run_tests(words: &[OsString]) {
    let filters: Vec<&str> =
        words.iter().filter_map(|word| word.to_str()).filter(|word| !word.starts_with('-')).collect();
    let all =
        [launching::TESTS, keeping::TESTS, standing::TESTS, signals::TESTS, daemon::TESTS, single::TESTS]
            .concat();
    let chosen: Vec<Test> = all
        .into_iter()
        .filter(|(name, _)| filters.is_empty() || filters.iter().any(|filter| name.contains(filter)))
        .collect();
    if words.iter().any(|word| word == "--list") {
        chosen.iter().for_each(|(name, _)| println!("{name}: test"));
        return;
    }
    let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((name, test)) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let passed = panic::catch_unwind(*test).is_ok();
                    println!("test guardian::{name} ... {}", if passed { "ok" } else { "FAILED" });
                    failed.fetch_add(usize::from(!passed), Ordering::Relaxed);
                }
            });
        }
    });
    let failed = failed.into_inner();
    println!("\ntest result: {} passed; {failed} failed", chosen.len() - failed);
    exit(i32::from(failed > 0));
}

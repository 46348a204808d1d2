//! A wall clock that is set forward and back while logs are written, read and followed.

use std::path::Path;
use std::time::Duration;

use crate::service::{LogSettings, Timestamp};

use super::super::directory;
use super::super::file::LogFile;
use super::super::journal::record::Record;
use super::super::read::{LogReader, Query};
use super::super::stamp::Stamp;
use super::{assert_numbered, name};

/// Seconds since 1970.
const NOON: u64 = 1_700_000_000;
const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

/// A log whose clock is at hand.
struct Log {
    file: LogFile,
    settings: LogSettings,
    written: usize,
}

impl Log {
    fn new(log_dir: &Path, service: &str, settings: LogSettings) -> Self {
        Self { file: LogFile::new(log_dir.join(service), false), settings, written: 0 }
    }

    /// The next numbered line, at so many seconds since 1970.
    fn line_at(&mut self, seconds: u64) {
        let text = format!("line {}\n", self.written);
        let stamp = Stamp::new(self.settings.timestamp, Duration::from_secs(seconds));
        let input = &mut text.as_bytes();
        self.file.write(&self.settings, &stamp, input, &mut Vec::new(), &mut Record::none()).unwrap();
        self.written += 1;
    }

    fn lines_at(&mut self, moments: &[u64]) {
        moments.iter().for_each(|seconds| self.line_at(*seconds));
    }
}

/// Rotated after so many lines with their times.
fn rotating(lines: u64) -> LogSettings {
    LogSettings { bytes_max: lines * 35, files_max: 10_000, ..LogSettings::default() }
}

fn reader(log_dir: &Path, services: &[&str], query: Query) -> LogReader {
    let names: Vec<_> = services.iter().map(|service| name(service)).collect();
    LogReader::open(log_dir, &names, query).unwrap()
}

fn lines(log_dir: &Path, query: Query) -> Vec<Vec<u8>> {
    reader(log_dir, &["web"], query).map(|item| item.unwrap().line).collect()
}

/// By the numbers of the lines.
fn numbers(log_dir: &Path, query: Query) -> Vec<u32> {
    let number = |line: Vec<u8>| String::from_utf8(line).unwrap()[5..].parse().unwrap();
    lines(log_dir, query).into_iter().map(number).collect()
}

fn at(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}

#[test]
fn no_rotated_file_takes_the_name_of_another_however_the_clock_jumps() {
    let jumps = [NOON, NOON + HOUR, NOON, NOON, NOON, 0, 0, NOON + HOUR, NOON, 4_000_000_000, NOON, 0];
    for timestamp in [Timestamp::Rfc3339, Timestamp::None] {
        let place = tempfile::tempdir().unwrap();
        let settings = LogSettings { bytes_max: 1, timestamp, ..rotating(1) };
        let mut log = Log::new(place.path(), "web", settings.clone());
        log.lines_at(&jumps);
        // The next supervisor knows nothing of what was.
        let mut log = Log { written: log.written, ..Log::new(place.path(), "web", settings) };
        log.lines_at(&jumps);
        let rotated = directory::rotated(&place.path().join("web")).unwrap();
        assert!(rotated.len() > jumps.len(), "{}", rotated.len());
        assert_numbered(lines(place.path(), Query::default()), 0, 2 * jumps.len());
        for last in 0..2 * jumps.len() {
            let query = Query { lines: Some(last), ..Query::default() };
            assert_numbered(lines(place.path(), query), 2 * jumps.len() - last, 2 * jumps.len());
        }
    }
}

#[test]
fn since_shows_the_lines_before_a_jump_back_in_a_file_that_was_rotated_after_it() {
    let place = tempfile::tempdir().unwrap();
    let mut log = Log::new(place.path(), "web", rotating(4));
    // Line 1 is later than the moment at which its file is rotated, line 6 is in `current`.
    log.lines_at(&[NOON, NOON + HOUR, NOON + 1, NOON + 2, NOON + 3, NOON + 4, NOON + HOUR + 1]);
    let rotated = directory::rotated(&place.path().join("web")).unwrap();
    assert_eq!(rotated.len(), 1);
    let since = Query { since: at(NOON + 30 * MINUTE), ..Query::default() };
    assert_eq!(numbers(place.path(), since), [1, 6]);
}

#[test]
fn the_last_lines_since_a_time_are_those_that_all_lines_since_then_end_in() {
    let place = tempfile::tempdir().unwrap();
    let mut log = Log::new(place.path(), "web", rotating(3));
    let moments = [0, 1, 50, 51, 5, 6, 52, 7, 8, 90, 9, 53, 10].map(|minutes| NOON + minutes * MINUTE);
    log.lines_at(&moments);
    assert!(directory::rotated(&place.path().join("web")).unwrap().len() > 2);
    let (from, to) = (NOON + 8 * MINUTE, NOON + 60 * MINUTE);
    for (since, until) in [(None, None), (at(from), None), (None, at(to)), (at(from), at(to))] {
        let query = Query { since, until, ..Query::default() };
        let within = |seconds: &u64| {
            since.is_none_or(|since| since.as_secs() <= *seconds)
                && until.is_none_or(|until| *seconds <= until.as_secs())
        };
        let expected: Vec<u32> =
            (0..).zip(&moments).filter(|(_, moment)| within(moment)).map(|(number, _)| number).collect();
        assert_eq!(numbers(place.path(), query), expected, "{query:?}");
        for last in 0..=moments.len() {
            let query = Query { lines: Some(last), ..query };
            let begin = expected.len().saturating_sub(last);
            assert_eq!(numbers(place.path(), query), expected[begin..], "{query:?}");
        }
    }
}

#[test]
fn merged_logs_keep_every_line_and_each_its_own_order_when_the_clock_jumps() {
    let place = tempfile::tempdir().unwrap();
    let (mut web, mut db) =
        (Log::new(place.path(), "web", rotating(2)), Log::new(place.path(), "db", rotating(5)));
    for seconds in [0, 10, 20, 5, 6, 7, 300, 8, 9, 30] {
        web.line_at(NOON + seconds);
        db.line_at(NOON + seconds + 1);
    }
    for last in [20, 7] {
        let query = Query { lines: (last < 20).then_some(last), ..Query::default() };
        let merged: Vec<_> = reader(place.path(), &["web", "db"], query).map(Result::unwrap).collect();
        assert_eq!(merged.len(), last);
        let of = |service: &str| {
            let own = merged.iter().filter(|item| item.name == name(service));
            own.map(|item| item.line.clone()).collect::<Vec<_>>()
        };
        for service in ["web", "db"] {
            let own = of(service);
            assert_numbered(own.clone(), 10 - own.len(), 10);
        }
    }
}

#[test]
fn following_goes_on_through_jumps_and_rotations() {
    let place = tempfile::tempdir().unwrap();
    let mut log = Log::new(place.path(), "web", rotating(3));
    log.line_at(NOON);
    let mut reader = reader(place.path(), &["web"], Query { follow: true, ..Query::default() });
    let mut next = move || {
        let items = std::iter::from_fn(|| reader.next()).map(|item| item.unwrap().line);
        items.collect::<Vec<_>>()
    };
    let mut seen = next();
    // A sequence without pattern: at once, backward, far forward, after some lines or many.
    for round in 1..400_u64 {
        let jump = round * 2_654_435_761 % 7_919;
        for line in 0..round * 7 % 11 {
            log.line_at(NOON + jump * 10 + line);
        }
        seen.extend(next());
    }
    assert_numbered(seen, 0, log.written);
}

#[test]
fn a_clock_that_was_set_back_does_not_put_off_rotation_by_age() {
    let place = tempfile::tempdir().unwrap();
    let age_max = Some(Duration::from_secs(HOUR));
    let mut log = Log::new(place.path(), "web", LogSettings { age_max, ..LogSettings::default() });
    // Wrong by years, then right.
    log.lines_at(&[4_000_000_000, NOON, NOON + HOUR / 2]);
    assert_eq!(directory::rotated(&place.path().join("web")).unwrap().len(), 0);
    log.line_at(NOON + HOUR + 1);
    assert_eq!(directory::rotated(&place.path().join("web")).unwrap().len(), 1);
}

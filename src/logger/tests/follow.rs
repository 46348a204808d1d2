//! Reading back while it is written.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::service::{LogSettings, Timestamp};

use super::super::read::{Item, LogReader, Query};
use super::{DEADLINE, Rig, assert_numbered, name, numbered};

const FOLLOW: Query = Query { lines: None, since: None, until: None, follow: true };

fn follow(reader: &mut LogReader, count: usize) -> Vec<Item> {
    let mut items = Vec::new();
    let deadline = Instant::now() + DEADLINE;
    while items.len() < count {
        match reader.next() {
            Some(item) => items.push(item.unwrap()),
            None => {
                assert!(Instant::now() < deadline, "only {} of {count}", items.len());
                reader.wait(Some(DEADLINE)).unwrap();
            }
        }
    }
    items
}

fn follows_every_line(settings: LogSettings, total: usize) {
    let place = tempfile::tempdir().unwrap();
    let mut rig = Rig::new(&place.path().join("not/there/yet"));
    let mut reader = LogReader::open(&rig.log_dir, &[name("web")], FOLLOW).unwrap();
    let mut web = rig.attach("web", settings);
    let writing = std::thread::spawn(move || {
        for number in (0..total).step_by(10) {
            web.write_all(&numbered(number, number + 10)).unwrap();
        }
    });
    let lines = follow(&mut reader, total);
    writing.join().unwrap();
    assert!(rig.rotated("web").len() > 10);
    rig.finish();
    assert!(reader.next().is_none());
    assert_numbered(lines.into_iter().map(|item| item.line), 0, total);
    assert_numbered(rig.lines("web"), 0, total);
}

#[test]
fn following_gives_every_line_once_and_in_order_through_rotation() {
    follows_every_line(
        LogSettings { bytes_max: 50_000, files_max: 10_000, ..LogSettings::default() },
        200_000,
    );
}

#[test]
fn following_gives_every_line_once_while_files_are_compressed() {
    let settings =
        LogSettings { bytes_max: 50_000, files_max: 10_000, compress: true, ..LogSettings::default() };
    follows_every_line(settings, 50_000);
}

fn put(log_dir: &Path, service: &str, file: &str, lines: &[(u64, &str)]) {
    let mut text = String::new();
    for (second, line) in lines {
        let stamp = super::super::rfc3339(Duration::from_secs(1_700_000_000 + second));
        text += &format!("{} {line}\n", String::from_utf8_lossy(&stamp));
    }
    std::fs::create_dir_all(log_dir.join(service)).unwrap();
    std::fs::write(log_dir.join(service).join(file), text).unwrap();
}

fn texts(items: Vec<Item>) -> Vec<String> {
    items.into_iter().map(|item| format!("{} {}", item.name, String::from_utf8_lossy(&item.line))).collect()
}

#[test]
fn several_logs_are_merged_in_time_order_and_cut_to_what_was_asked_for() {
    let place = tempfile::tempdir().unwrap();
    let rig = Rig::new(place.path());
    put(place.path(), "web", "@20231114T221325.000000Z.log", &[(0, "a"), (4, "b")]);
    put(place.path(), "web", "current", &[(6, "c"), (9, "d")]);
    put(place.path(), "db", "current", &[(1, "e"), (5, "f"), (7, "g")]);
    let all = ["web a", "db e", "web b", "db f", "web c", "db g", "web d"];
    let services = ["web", "db", "absent"];
    assert_eq!(texts(rig.read(&services, Query::default())), all);
    for last in 0..9 {
        let query = Query { lines: Some(last), ..Query::default() };
        assert_eq!(texts(rig.read(&services, query)), all[7usize.saturating_sub(last)..]);
    }
    let at = |second: u64| Some(Duration::from_secs(1_700_000_000 + second));
    let query = Query { since: at(4), until: at(7), ..Query::default() };
    assert_eq!(texts(rig.read(&services, query)), all[2..6]);
    assert_eq!(texts(rig.read(&services, Query { lines: Some(2), ..query })), all[4..6]);
    assert_eq!(texts(rig.read(&services, Query { lines: Some(9), ..query })), all[2..6]);
}

#[test]
fn lines_without_a_time_stay_behind_the_line_before_them() {
    let place = tempfile::tempdir().unwrap();
    let rig = Rig::new(place.path());
    put(place.path(), "web", "current", &[(0, "a\n  at main"), (4, "b")]);
    put(place.path(), "db", "current", &[(1, "e")]);
    assert_eq!(
        texts(rig.read(&["web", "db"], Query::default())),
        ["web a", "web   at main", "db e", "web b"]
    );
}

#[test]
fn following_begins_with_the_last_lines_and_waits_for_the_end_of_a_line() {
    let place = tempfile::tempdir().unwrap();
    let mut rig = Rig::new(place.path());
    let mut web = rig.attach("web", LogSettings { timestamp: Timestamp::None, ..LogSettings::default() });
    web.write_all(b"one\ntwo\nthr").unwrap();
    assert_eq!(rig.tail("web", 1), ["thr"]);
    for (lines, first) in [(0, &b"three"[..]), (2, b"two")] {
        let query = Query { lines: Some(lines), ..FOLLOW };
        let mut reader = LogReader::open(place.path(), &[name("web")], query).unwrap();
        if lines == 0 {
            assert!(reader.next().is_none());
            web.write_all(b"ee\n").unwrap();
        }
        let expected = if lines == 0 { 1 } else { 2 };
        assert_eq!(follow(&mut reader, expected)[0].line, first);
        assert!(reader.next().is_none());
    }
    rig.finish();
}

#[test]
fn following_survives_the_removal_of_the_directory_and_a_file_emptied_by_hand() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("web");
    put(place.path(), "web", "current", &[(0, "first"), (0, "more")]);
    let mut reader = LogReader::open(place.path(), &[name("web")], FOLLOW).unwrap();
    assert_eq!(texts(follow(&mut reader, 2)), ["web first", "web more"]);
    std::fs::write(directory.join("current"), "emptied\n").unwrap();
    assert_eq!(texts(follow(&mut reader, 1)), ["web emptied"]);
    std::fs::remove_dir_all(&directory).unwrap();
    assert!(reader.next().is_none());
    put(place.path(), "web", "current", &[(2, "again")]);
    assert_eq!(texts(follow(&mut reader, 1)), ["web again"]);
    reader.add(name("db")).unwrap();
    put(place.path(), "db", "current", &[(3, "new")]);
    assert_eq!(texts(follow(&mut reader, 1)), ["db new"]);
}

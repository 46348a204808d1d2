//! What is in the files.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use proptest::prelude::*;

use crate::os::clock::wall;
use crate::service::{LogFormat, LogSettings, LogTarget, Timestamp};

use super::super::file::LogFile;
use super::super::journal::record::Record;
use super::super::read::{LogReader, Query};
use super::super::stamp::Stamp;
use super::{Rig, assert_numbered, name, numbered};

fn plain() -> LogSettings {
    LogSettings { timestamp: Timestamp::None, ..LogSettings::default() }
}

#[test]
fn a_line_is_in_current_with_its_time_and_the_modes_are_narrow() {
    let place = tempfile::tempdir().unwrap();
    let mut rig = Rig::new(&place.path().join("deep/log"));
    let before = wall();
    let mut web = rig.attach("web", LogSettings::default());
    web.write_all(b"hello\n").unwrap();
    rig.finish();
    let item = rig.read(&["web"], Query::default()).remove(0);
    assert_eq!(item.line, b"hello");
    assert!(item.stamp.unwrap() + Duration::from_micros(1) >= before && item.stamp.unwrap() <= wall());
    let mode = |path: &str| rig.log_dir.join(path).metadata().unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode("web"), mode("web/current")), (0o750, 0o640));
}

#[test]
fn nothing_is_made_before_the_first_byte_and_nothing_for_null() {
    let place = tempfile::tempdir().unwrap();
    let mut rig = Rig::new(place.path());
    let _quiet = rig.attach("quiet", LogSettings::default());
    let mut null = rig.attach("null", LogSettings { to: LogTarget::Null, ..LogSettings::default() });
    null.write_all(&[b'x'; 200_000]).unwrap();
    assert_eq!(rig.tail("null", 10), Vec::<String>::new());
    rig.finish();
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
}

#[test]
fn files_are_rotated_at_line_ends_and_kept_by_number() {
    let place = tempfile::tempdir().unwrap();
    let mut rig = Rig::new(place.path());
    let settings = LogSettings { bytes_max: 1_000, files_max: 4, ..LogSettings::default() };
    let mut web = rig.attach("web", settings);
    for number in 0..500 {
        web.write_all(&numbered(number, number + 1)).unwrap();
    }
    rig.finish();
    let rotated = rig.rotated("web");
    assert_eq!(rotated.len(), 3, "{rotated:?}");
    for file in &rotated {
        let text = std::fs::read(place.path().join("web").join(file)).unwrap();
        assert!(text.ends_with(b"\n") && (1_000..1_050).contains(&text.len()), "{}", text.len());
    }
    let lines = rig.lines("web");
    let first: usize = String::from_utf8(lines[0][5..].to_vec()).unwrap().parse().unwrap();
    assert!(first > 300);
    assert_numbered(lines, first, 500);
}

#[test]
fn files_are_kept_by_total() {
    let place = tempfile::tempdir().unwrap();
    let mut rig = Rig::new(place.path());
    let settings =
        LogSettings { bytes_max: 1_000, files_max: 10_000, total_bytes_max: Some(5_000), ..plain() };
    rig.attach("web", settings).write_all(&numbered(0, 5_000)).unwrap();
    rig.finish();
    let directory = place.path().join("web");
    let total: u64 =
        directory.read_dir().unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    assert!((3_000..=5_000).contains(&total), "{total}");
}

#[test]
fn files_are_removed_by_age_when_the_log_is_opened() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("web");
    std::fs::create_dir(&directory).unwrap();
    std::fs::write(directory.join("@20200101T000000.000000Z.log"), "old\n").unwrap();
    let current = std::fs::File::create(directory.join("current")).unwrap();
    (&current).write_all(b"old as well\n").unwrap();
    current.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000)).unwrap();
    let mut rig = Rig::new(place.path());
    let settings = LogSettings { age_max: Some(Duration::from_secs(3_600)), ..plain() };
    rig.attach("web", settings).write_all(b"new\n").unwrap();
    rig.finish();
    assert_eq!(rig.rotated("web"), Vec::<String>::new());
    assert_eq!(rig.current("web"), b"new\n");
}

#[test]
fn a_line_of_megabytes_is_one_line_in_one_file() {
    let place = tempfile::tempdir().unwrap();
    let mut rig = Rig::new(place.path());
    let mut web = rig.attach("web", LogSettings::default());
    let line = vec![b'x'; 5 << 20];
    web.write_all(&line).unwrap();
    web.write_all(b"\nnext\n").unwrap();
    rig.finish();
    assert_eq!(rig.lines("web"), [line, b"next".to_vec()]);
    assert_eq!(rig.rotated("web").len(), 0);
}

#[test]
fn a_line_longer_than_a_file_goes_on_in_the_next_one() {
    let place = tempfile::tempdir().unwrap();
    let mut rig = Rig::new(place.path());
    let mut web = rig.attach("web", LogSettings { bytes_max: 1 << 20, ..LogSettings::default() });
    let line: Vec<u8> = (0..5u32 << 20).map(|number| b'a' + u8::try_from(number % 26).unwrap()).collect();
    web.write_all(b"first\n").unwrap();
    web.write_all(&line).unwrap();
    web.write_all(b"\nnext\n").unwrap();
    rig.finish();
    assert!(rig.rotated("web").len() >= 4);
    let both = rig.read(&["web"], Query { lines: Some(2), ..Query::default() });
    assert_eq!(both[0].line, line);
    assert!(both[0].stamp.is_some());
    assert_eq!(rig.lines("web"), [b"first".to_vec(), line, b"next".to_vec()]);
}

#[test]
fn bytes_that_are_no_text_are_kept_as_they_are() {
    let place = tempfile::tempdir().unwrap();
    let mut rig = Rig::new(place.path());
    let bytes: Vec<u8> = (0..=255).filter(|byte| *byte != b'\n').chain([b'\n']).collect();
    rig.attach("web", plain()).write_all(&bytes).unwrap();
    let json = LogSettings { format: LogFormat::Json, ..LogSettings::default() };
    rig.attach("json", json).write_all(&bytes).unwrap();
    rig.finish();
    assert_eq!(rig.current("web"), bytes);
    assert_eq!(rig.lines("json"), [bytes[..255].to_vec()]);
    let object: serde_json::Value = serde_json::from_slice(&rig.current("json")).unwrap();
    assert!(object["time"].as_str().unwrap().ends_with('Z'));
}

#[test]
fn what_a_killed_program_began_is_in_the_file_and_goes_on() {
    let place = tempfile::tempdir().unwrap();
    let mut rig = Rig::new(place.path());
    let web = rig.attach("web", plain());
    for script in ["printf begun; kill -9 $$", "echo ' and ended'"] {
        let out = Stdio::from(web.try_clone().unwrap());
        Command::new("sh").args(["-c", script]).stdout(out).status().unwrap();
    }
    assert_eq!(rig.tail("web", 1), ["begun and ended"]);
    rig.finish();
    assert_eq!(rig.current("web"), b"begun and ended\n");
}

#[test]
fn a_part_of_a_line_is_written_at_once() {
    let place = tempfile::tempdir().unwrap();
    let mut rig = Rig::new(place.path());
    let mut web = rig.attach("web", plain());
    web.write_all(b"Password: ").unwrap();
    assert_eq!(rig.tail("web", 1), ["Password: "]);
    assert_eq!(rig.current("web"), b"Password: ");
    rig.finish();
}

#[test]
fn a_successor_goes_on_in_the_middle_of_a_line() {
    let place = tempfile::tempdir().unwrap();
    let (reader, writer) = crate::os::pipe::pipe().unwrap();
    let mut web = std::fs::File::from(writer);
    for (part, took_over) in [(&b"one l"[..], false), (b"ine\n", true)] {
        web.write_all(part).unwrap();
        let mut rig = Rig::start(place.path(), took_over, None);
        rig.logger().attach(name("web"), reader.try_clone().unwrap(), LogSettings::default());
        rig.finish();
    }
    let rig = Rig::new(place.path());
    assert_eq!(rig.lines("web"), [b"one line"]);
}

#[test]
fn a_line_cut_off_in_an_earlier_life_is_ended_before_a_new_one() {
    for format in [LogFormat::Text, LogFormat::Json] {
        let place = tempfile::tempdir().unwrap();
        for part in [&b"cut"[..], b"whole\n"] {
            let mut rig = Rig::new(place.path());
            let settings = LogSettings { format, ..LogSettings::default() };
            rig.attach("web", settings).write_all(part).unwrap();
            rig.finish();
        }
        assert_eq!(Rig::new(place.path()).lines("web"), [&b"cut"[..], b"whole"]);
    }
}

#[test]
fn a_detached_log_is_drained_and_a_new_pipe_goes_on_behind_the_old_one() {
    let place = tempfile::tempdir().unwrap();
    let mut rig = Rig::new(place.path());
    let mut old = rig.attach("web", plain());
    old.write_all(&numbered(0, 2_000)).unwrap();
    let mut new = rig.attach("web", plain());
    new.write_all(&numbered(2_000, 4_000)).unwrap();
    rig.logger().detach(&name("web"));
    let mut newest = rig.attach("web", plain());
    newest.write_all(&numbered(4_000, 5_000)).unwrap();
    rig.finish();
    assert_numbered(rig.lines("web"), 0, 5_000);
}

#[test]
fn a_limit_holds_the_writer_back_and_loses_nothing() {
    let place = tempfile::tempdir().unwrap();
    let rig = Rig::new(place.path());
    let mut web = rig.attach("web", LogSettings { limit: Some(100_000), ..plain() });
    let query = Query { follow: true, ..Query::default() };
    let mut reader = LogReader::open(place.path(), &[name("web")], query).unwrap();
    let began = std::time::Instant::now();
    let writing = std::thread::spawn(move || web.write_all(&numbered(0, 20_000)).unwrap());
    let mut lines = Vec::new();
    while lines.len() < 20_000 {
        match reader.next() {
            Some(item) => lines.push(item.unwrap().line),
            None => reader.wait(Some(super::DEADLINE)).unwrap(),
        }
    }
    // 208,890 bytes: 100,000 at once and the others at 100,000 a second. Never faster.
    assert!(began.elapsed() >= Duration::from_secs(1));
    assert_numbered(lines, 0, 20_000);
    writing.join().unwrap();
}

#[test]
fn rotated_files_are_compressed_and_read_back() {
    let place = tempfile::tempdir().unwrap();
    let mut rig = Rig::new(place.path());
    let settings =
        LogSettings { bytes_max: 20_000, files_max: 10_000, compress: true, ..LogSettings::default() };
    let mut web = rig.attach("web", settings);
    web.write_all(&numbered(0, 10_000)).unwrap();
    let deadline = std::time::Instant::now() + super::DEADLINE;
    assert_eq!(rig.tail("web", 1).len(), 1);
    while rig.rotated("web").iter().any(|file| !file.ends_with(".log.gz")) {
        assert!(std::time::Instant::now() < deadline, "{:?}", rig.rotated("web"));
        std::thread::yield_now();
    }
    assert!(rig.rotated("web").len() > 10);
    let last = rig.read(&["web"], Query { lines: Some(5_000), ..Query::default() });
    assert_numbered(last.into_iter().map(|item| item.line), 5_000, 10_000);
    rig.finish();
    assert_numbered(rig.lines("web"), 0, 10_000);
}

#[test]
fn a_removed_file_is_made_again() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("web");
    let mut file = LogFile::new(directory.clone(), false);
    let mut write = |text: &[u8], seconds: u64| {
        let stamp = Stamp::new(Timestamp::None, Duration::from_secs(seconds));
        file.write(&plain(), &stamp, &mut &text[..], &mut Vec::new(), &mut Record::none()).unwrap();
    };
    write(b"one\n", 1_000);
    std::fs::remove_dir_all(&directory).unwrap();
    write(b"two\n", 1_002);
    assert_eq!(std::fs::read(directory.join("current")).unwrap(), b"two\n");
}

#[test]
fn a_tail_is_drained_first_and_shows_times_and_long_lines_cut() {
    let place = tempfile::tempdir().unwrap();
    let mut rig = Rig::new(place.path());
    let mut web = rig.attach("web", LogSettings { timestamp: Timestamp::Tai64n, ..LogSettings::default() });
    web.write_all(&numbered(0, 1_000)).unwrap();
    web.write_all(&[b'x'; 9_000]).unwrap();
    let lines = rig.tail("web", 2);
    assert_eq!(lines.len(), 2);
    assert!(lines[0].ends_with("Z line 999"), "{}", lines[0]);
    assert!(lines[1].ends_with('…') && lines[1].len() < 4_200);
    assert_eq!(rig.tail("unknown", 2), Vec::<String>::new());
    rig.finish();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_bytes_in_any_pieces_through_any_rotation_come_back(
        pieces in proptest::collection::vec(
            proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'a'), any::<u8>()], 0..200), 0..20),
        bytes_max in 1u64..400,
        json in any::<bool>(),
        stamped in any::<bool>(),
        last in 0usize..40,
    ) {
        let place = tempfile::tempdir().unwrap();
        let settings = LogSettings {
            bytes_max,
            files_max: 10_000,
            timestamp: if stamped { Timestamp::Rfc3339 } else { Timestamp::None },
            format: if json { LogFormat::Json } else { LogFormat::Text },
            ..LogSettings::default()
        };
        let mut file = LogFile::new(place.path().join("web"), false);
        let mut out = Vec::new();
        for (number, piece) in pieces.iter().enumerate() {
            let stamp = Stamp::new(settings.timestamp, Duration::from_secs(2_000_000_000 + number as u64));
            file.write(&settings, &stamp, &mut &piece[..], &mut out, &mut Record::none()).unwrap();
        }
        let stamp = Stamp::new(settings.timestamp, Duration::from_secs(2_100_000_000));
        file.finish(&settings, &stamp, &mut out).unwrap();
        file.write(&settings, &stamp, &mut &b"\n"[..], &mut out, &mut Record::none()).unwrap();
        let mut expected = pieces.concat();
        expected.push(b'\n');
        let read = |query| -> Vec<Vec<u8>> {
            let reader = LogReader::open(place.path(), &[name("web")], query).unwrap();
            reader.map(|item| item.unwrap().line).collect()
        };
        let lines = read(Query::default());
        let text: Vec<u8> = lines.iter().flat_map(|line| line.iter().copied().chain([b'\n'])).collect();
        prop_assert_eq!(&text, &expected);
        let some = read(Query { lines: Some(last), ..Query::default() });
        prop_assert_eq!(&some[..], &lines[lines.len().saturating_sub(last)..]);
    }
}

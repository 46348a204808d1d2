//! The copy on stdout.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};

use crate::os::pipe::pipe;
use crate::service::{LogSettings, LogTarget};

use super::{Rig, assert_numbered, numbered};

#[test]
fn a_console_that_nobody_reads_holds_writers_back_and_loses_no_line() {
    let place = tempfile::tempdir().unwrap();
    let (shown, out) = pipe().unwrap();
    let mut rig = Rig::start(place.path(), false, Some((out.into(), tempfile::tempfile().unwrap())));
    let mut web = rig.attach("web", LogSettings::default());
    let writing = std::thread::spawn(move || {
        for number in (0..300_000).step_by(100) {
            web.write_all(&numbered(number, number + 100)).unwrap();
        }
    });
    // 300,000 lines are more than pipes and backlog hold: the writer is blocked until they are read.
    let mut lines = BufReader::new(File::from(shown)).lines();
    for expected in 0..300_000 {
        assert_eq!(lines.next().unwrap().unwrap(), format!("web | line {expected}"));
    }
    writing.join().unwrap();
    rig.finish();
    assert_numbered(rig.lines("web"), 0, 300_000);
}

#[test]
fn a_console_that_stays_blocked_does_not_keep_the_logger_from_finishing() {
    let place = tempfile::tempdir().unwrap();
    let (_shown, out) = pipe().unwrap();
    let mut rig = Rig::start(place.path(), false, Some((out.into(), tempfile::tempfile().unwrap())));
    let mut web = rig.attach("web", LogSettings::default());
    web.write_all(&numbered(0, 5_000)).unwrap();
    web.write_all(&numbered(5_000, 10_000)).unwrap();
    rig.finish();
    assert_numbered(rig.lines("web"), 0, 10_000);
}

#[test]
fn a_closed_console_is_said_once_and_logging_goes_on() {
    let place = tempfile::tempdir().unwrap();
    let (shown, out) = pipe().unwrap();
    drop(shown);
    let mut error = tempfile::NamedTempFile::new().unwrap();
    let mut rig = Rig::start(place.path(), false, Some((out.into(), error.reopen().unwrap())));
    let mut web = rig.attach("web", LogSettings::default());
    for number in 0..100 {
        web.write_all(&numbered(number, number + 1)).unwrap();
        assert_eq!(rig.tail("web", 1).len(), 1);
    }
    rig.logger().say("still here".to_owned());
    rig.finish();
    assert_numbered(rig.lines("web"), 0, 100);
    let mut text = String::new();
    error.read_to_string(&mut text).unwrap();
    assert_eq!(
        text,
        "svc: cannot write to stdout: Broken pipe; logs are no longer shown there\nsvc: still here\n"
    );
}

#[test]
fn each_log_goes_where_its_settings_say() {
    let place = tempfile::tempdir().unwrap();
    let mut out = tempfile::NamedTempFile::new().unwrap();
    let mut rig =
        Rig::start(place.path(), false, Some((out.reopen().unwrap(), tempfile::tempfile().unwrap())));
    let targets = [LogTarget::Default, LogTarget::File, LogTarget::Console, LogTarget::Both, LogTarget::Null];
    for (to, name) in targets.into_iter().zip(["default", "file", "console", "both", "null"]) {
        let mut service = rig.attach(name, LogSettings { to, ..LogSettings::default() });
        service.write_all(b"whole\npart").unwrap();
        assert!(rig.tail(name, 5).len() <= 2);
        rig.logger().detach(&super::name(name));
    }
    rig.logger().say("bye".to_owned());
    rig.finish();
    let mut text = String::new();
    out.read_to_string(&mut text).unwrap();
    let shown = "default | whole\ndefault | part\nconsole | whole\nconsole | part\nboth    | whole\nboth    | part\nsvc     | bye\n";
    assert_eq!(text, shown);
    for (name, is_there) in
        [("default", true), ("file", true), ("console", false), ("both", true), ("null", false)]
    {
        assert_eq!(place.path().join(name).exists(), is_there, "{name}");
    }
}

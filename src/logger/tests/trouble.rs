//! Full disks and floods.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::service::{LogSettings, Timestamp};

use super::super::Fact;
use super::{Rig, assert_numbered, numbered};

/// A file system of a few pages, unmounted in the end.
struct TinyDisk(PathBuf);

impl TinyDisk {
    /// None where it cannot be mounted, which is a failure when the tests must run.
    fn mount(path: &Path, size: &str) -> Option<Self> {
        std::fs::create_dir(path).unwrap();
        let option = format!("size={size}");
        let done = Command::new("mount").args(["-t", "tmpfs", "-o", &option, "tmpfs"]).arg(path).output();
        if done.is_ok_and(|output| output.status.success()) {
            return Some(Self(path.to_owned()));
        }
        assert!(
            std::env::var_os("SVC_TESTS_MUST_RUN").is_none_or(|must| must != "1"),
            "cannot mount a tmpfs"
        );
        println!("skipped: cannot mount a tmpfs here");
        None
    }
}

impl Drop for TinyDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg(&self.0).status());
    }
}

fn plain() -> LogSettings {
    LogSettings { timestamp: Timestamp::None, ..LogSettings::default() }
}

#[test]
fn a_full_disk_holds_the_writer_back_says_so_and_loses_and_doubles_nothing() {
    let place = tempfile::tempdir().unwrap();
    let Some(disk) = TinyDisk::mount(&place.path().join("disk"), "256k") else { return };
    let log_dir = place.path().join("log");
    std::fs::create_dir(&log_dir).unwrap();
    std::os::unix::fs::symlink(&disk.0, log_dir.join("web")).unwrap();
    let filling = disk.0.join("filling");
    std::fs::write(&filling, vec![0; 130_000]).unwrap();

    let mut rig = Rig::new(&log_dir);
    let mut web = rig.attach("web", plain());
    let writing = std::thread::spawn(move || web.write_all(&numbered(0, 20_000)).unwrap());
    let path = log_dir.join("web/current");
    let text =
        format!("cannot write {}: No space left on device; web waits until there is room", path.display());
    assert_eq!(rig.fact(), Fact::Trouble { name: super::name("web"), text });

    // Another service, on another disk, is not concerned.
    rig.attach("other", plain()).write_all(&numbered(0, 1_000)).unwrap();
    assert_eq!(rig.tail("other", 1), ["line 999"]);

    std::fs::remove_file(&filling).unwrap();
    assert_eq!(rig.fact(), Fact::Recovered { name: super::name("web") });
    writing.join().unwrap();
    rig.finish();
    assert_numbered(rig.lines("web"), 0, 20_000);
}

#[test]
fn a_disk_that_stays_full_does_not_keep_the_logger_from_finishing() {
    let place = tempfile::tempdir().unwrap();
    let Some(disk) = TinyDisk::mount(&place.path().join("disk"), "16k") else { return };
    let mut rig = Rig::new(&disk.0);
    let mut web = rig.attach("web", plain());
    web.write_all(&numbered(0, 5_000)).unwrap();
    assert!(matches!(rig.fact(), Fact::Trouble { .. }));
    rig.finish();
    assert!(rig.current("web").starts_with(b"line 0\nline 1\n"));
}

#[test]
fn what_cannot_be_a_log_file_is_said_and_waited_for() {
    let place = tempfile::tempdir().unwrap();
    let current = place.path().join("web/current");
    std::fs::create_dir_all(&current).unwrap();
    let mut rig = Rig::new(place.path());
    let mut web = rig.attach("web", plain());
    web.write_all(b"hello\n").unwrap();
    let text =
        format!("cannot write {}: Is a directory; web waits until that is possible", current.display());
    assert_eq!(rig.fact(), Fact::Trouble { name: super::name("web"), text });
    std::fs::remove_dir(&current).unwrap();
    assert_eq!(rig.fact(), Fact::Recovered { name: super::name("web") });
    rig.finish();
    assert_eq!(rig.current("web"), b"hello\n");
}

#[test]
fn a_service_in_trouble_can_be_detached_and_is_forgotten_when_all_is_written() {
    let place = tempfile::tempdir().unwrap();
    let current = place.path().join("web/current");
    std::fs::create_dir_all(&current).unwrap();
    let mut rig = Rig::new(place.path());
    let mut web = rig.attach("web", plain());
    web.write_all(b"hello\n").unwrap();
    assert!(matches!(rig.fact(), Fact::Trouble { .. }));
    rig.logger().detach(&super::name("web"));
    web.write_all(b"more\n").unwrap();
    std::fs::remove_dir(&current).unwrap();
    assert_eq!(rig.fact(), Fact::Recovered { name: super::name("web") });
    // Nobody reads any more: the pipe was closed with the log.
    while web.write_all(b"lost\n").is_ok() {
        std::thread::yield_now();
    }
    rig.finish();
    assert!(rig.current("web").starts_with(b"hello\nmore\n"));
}

#[test]
fn a_flood_in_one_service_does_not_hold_up_another() {
    let place = tempfile::tempdir().unwrap();
    let mut rig = Rig::new(place.path());
    let settings = LogSettings { bytes_max: 1 << 20, files_max: 2, ..LogSettings::default() };
    let mut flood: File = rig.attach("flood", settings);
    let over = Arc::new(AtomicBool::new(false));
    let flooding = {
        let over = Arc::clone(&over);
        std::thread::spawn(move || {
            let block = [&[b'x'; 99][..], b"\n"].concat().repeat(600);
            while !over.load(Ordering::Relaxed) {
                flood.write_all(&block).unwrap();
            }
        })
    };
    let mut slow = rig.attach("slow", plain());
    for number in 0..200 {
        slow.write_all(&numbered(number, number + 1)).unwrap();
        assert_eq!(rig.tail("slow", 1), [format!("line {number}")]);
    }
    over.store(true, Ordering::Relaxed);
    flooding.join().unwrap();
    rig.finish();
    assert_numbered(rig.lines("slow"), 0, 200);
}

#[test]
fn a_link_that_a_stranger_placed_is_not_followed() {
    let place = tempfile::tempdir().unwrap();
    if crate::os::own::uid() != 0 {
        assert!(std::env::var_os("SVC_TESTS_MUST_RUN").is_none_or(|must| must != "1"), "not root");
        println!("skipped: only root can act as a stranger");
        return;
    }
    let (log_dir, target) = (place.path().join("log"), place.path().join("target"));
    std::fs::create_dir(&log_dir).unwrap();
    std::fs::create_dir(&target).unwrap();
    let link = log_dir.join("web");
    std::os::unix::fs::symlink(&target, &link).unwrap();
    std::os::unix::fs::lchown(&link, Some(65534), Some(65534)).unwrap();
    let mut rig = Rig::new(&log_dir);
    let mut web = rig.attach("web", plain());
    web.write_all(b"hello\n").unwrap();
    let Fact::Trouble { text, .. } = rig.fact() else { panic!("no trouble") };
    assert!(text.contains("belongs to another user (uid 65534)"), "{text}");
    assert_eq!(std::fs::read_dir(&target).unwrap().count(), 0);
    std::fs::remove_file(&link).unwrap();
    assert_eq!(rig.fact(), Fact::Recovered { name: super::name("web") });
    rig.finish();
    assert_eq!(rig.current("web"), b"hello\n");
}

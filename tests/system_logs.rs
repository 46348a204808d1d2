//! No service is without a log, and no line of it is lost.

// A test ends by panicking; clippy allows that only inside of #[test] functions.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::processes::kill_9;
use common::said::Running;
use common::{World, needs_root, wait_for, wait_until};

/// All lines of all log files of a service, oldest first, time stamps removed.
fn logged_lines(world: &World, name: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir(world.log_dir(name)) else { return Vec::new() };
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort_by_key(|file| (file.ends_with("current"), file.clone()));
    let bytes: Vec<u8> = files.iter().flat_map(|file| fs::read(file).unwrap_or_default()).collect();
    String::from_utf8_lossy(&bytes).lines().map(without_stamp).collect()
}

fn without_stamp(line: &str) -> String {
    line.split_once(' ').map_or(line, |(_, rest)| rest).to_owned()
}

fn rotated(world: &World, name: &str) -> usize {
    let Ok(entries) = fs::read_dir(world.log_dir(name)) else { return 0 };
    entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with('@')).count()
}

#[test]
fn every_line_has_a_time_stamp_and_both_streams_are_kept() {
    let world = World::with(|world| {
        world.service("web").run("echo to stdout\necho to stderr >&2\nexec sleep 1000");
    });
    let log = world.wait_log("web", "to stderr");
    for line in log.lines() {
        let (stamp, _) = line.split_once(' ').unwrap();
        assert!(stamp.starts_with("20") && stamp.contains('T') && stamp.len() >= 20, "{line}");
    }
    assert_eq!(logged_lines(&world, "web"), ["to stdout", "to stderr"]);
    let said = world.ok(&["logs", "web"]);
    assert!(said.contains("to stdout") && said.contains("to stderr"), "{said}");
}

#[test]
fn two_hundred_thousand_lines_arrive_and_none_is_lost() {
    let world = World::with(|world| {
        world
            .service("flood")
            .run("seq 1 200000\necho the end\nexec sleep 1000")
            .toml("[log]\nmax-size = \"500M\"");
    });
    world.wait_log("flood", "the end");
    let lines = logged_lines(&world, "flood");
    assert_eq!(lines.len(), 200_001);
    assert!(lines.iter().take(200_000).enumerate().all(|(index, line)| *line == (index + 1).to_string()));
}

#[test]
fn a_restart_of_the_service_loses_no_line_and_sends_no_sigpipe() {
    let world = World::with(|world| {
        world
            .service("web")
            .run("n=0; [ -e n ] && n=$(cat n)\nwhile :; do n=$((n+1)); echo $n >n.new; mv n.new n; echo line $n; done")
            .toml("restart-reset = \"1ms\"");
    });
    world.wait_log("web", "line 10\n");
    for _ in 0..10 {
        world.ok(&["restart", "web"]);
    }
    world.ok(&["down", "web"]);
    let last: usize = fs::read_to_string(world.services().join("web/n")).unwrap().trim().parse().unwrap();
    // The script notes a number before it writes the line: each stop may cost the one in hand.
    let seen: BTreeSet<usize> = wait_for("the last lines", || {
        let seen: BTreeSet<usize> = logged_lines(&world, "web")
            .iter()
            .filter_map(|line| line.strip_prefix("line ")?.parse().ok())
            .collect();
        (seen.len() + 11 >= last).then_some(seen)
    });
    assert!(seen.len() + 11 >= last && seen.len() <= last, "{} of {last}", seen.len());
}

#[test]
fn a_death_of_the_supervisor_loses_no_line_of_a_quiet_writer() {
    let world = World::with(|world| {
        world.service("web").run("n=0\nwhile [ $n -lt 400 ]; do n=$((n+1)); echo line $n; sleep 0.005; done\necho the end\nexec sleep 1000");
    });
    for _ in 0..4 {
        let (_, supervisor) = world.pids();
        kill_9(supervisor);
        wait_until("a new supervisor", || {
            world.svc(&["status", "--json"]).code == 0 && world.pids().1 != supervisor
        });
    }
    world.wait_log("web", "the end");
    let lines = logged_lines(&world, "web");
    let missing: Vec<usize> = (1..=400).filter(|n| !lines.contains(&format!("line {n}"))).collect();
    assert!(missing.is_empty(), "lost: {missing:?}");
    assert_eq!(lines.len(), 401, "torn or doubled lines");
}

/// `tests/log_killed.rs` kills the logger alone, far more often than the guardian would start it again.
#[test]
fn a_death_of_the_supervisor_loses_no_line_of_those_that_flood() {
    let world = World::with(|world| {
        for (name, log) in [
            ("text", "max-files = 10000\nmax-size = \"1M\""),
            ("json", "max-files = 10000\nmax-size = \"1M\"\nformat = \"json\""),
            ("rotating", "max-files = 10000\nmax-size = \"100K\""),
        ] {
            world
                .service(name)
                .run("i=0; while ! [ -e over ]; do seq $((i*5000+1)) $((i*5000+5000)); i=$((i+1)); done\necho the end $i\nexec sleep 1000")
                .toml(&format!("[log]\n{log}"));
        }
    });
    let names = ["text", "json", "rotating"];
    for _ in 0..6 {
        let (_, supervisor) = world.pids();
        kill_9(supervisor);
        wait_until("a new supervisor", || {
            world.svc(&["status", "--json"]).code == 0 && world.pids().1 != supervisor
        });
    }
    for name in names {
        fs::write(world.services().join(name).join("over"), "").unwrap();
    }
    for name in names {
        world.wait_log(name, "the end");
        let said = world.ok(&["logs", name]);
        let mut lines: Vec<&str> = said.lines().map(|line| line.rsplit(' ').next().unwrap()).collect();
        let rounds: usize = lines.pop().unwrap().parse().unwrap();
        assert_eq!(lines.len(), rounds * 5_000, "{name}: lost, torn or doubled lines");
        let wrong = lines.iter().enumerate().find(|(index, line)| line.parse() != Ok(index + 1));
        assert_eq!(wrong, None, "{name}");
    }
}

/// There was somebody to read them in the end: the guardian keeps the pipe.
#[test]
fn lines_written_while_there_is_no_supervisor_wait_in_the_pipe() {
    let world = World::with(|world| {
        world.service("web").run(
            "while read round; do n=0; while [ $n -lt 200 ]; do n=$((n+1)); echo round $round line $n; done; echo round $round ends; done <go",
        );
        nix::unistd::mkfifo(&world.services().join("web/go"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    });
    world.wait_state("web", &["up", "ready"]);
    let web = world.pid("web");
    let mut go = fs::File::options().write(true).open(world.services().join("web/go")).unwrap();
    for round in 0..5 {
        let (_, supervisor) = world.pids();
        kill_9(supervisor);
        writeln!(go, "{round}").unwrap();
        world.wait_log("web", &format!("round {round} ends"));
    }
    let mut expected = Vec::new();
    for round in 0..5 {
        expected.extend((1..=200).map(|line| format!("round {round} line {line}")));
        expected.push(format!("round {round} ends"));
    }
    assert_eq!(logged_lines(&world, "web"), expected, "lost, torn or doubled lines");
    assert_eq!(world.pid("web"), web);
}

#[test]
fn full_files_are_rotated_and_only_so_many_are_kept() {
    let world = World::with(|world| {
        world
            .service("web")
            .run("seq 1 20000\necho the end\nexec sleep 1000")
            .toml("[log]\nmax-size = \"20K\"\nmax-files = 3");
    });
    world.wait_log("web", "the end");
    wait_until("old files to be removed", || rotated(&world, "web") <= 3);
    assert!(rotated(&world, "web") >= 2);
    for entry in fs::read_dir(world.log_dir("web")).unwrap().flatten() {
        let length = entry.metadata().unwrap().len();
        assert!(length <= 24 * 1024, "{:?} has {length} bytes", entry.file_name());
        let text = fs::read_to_string(entry.path()).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'), "{:?} ends within a line", entry.file_name());
    }
    // What is kept is the newest, without a gap.
    let numbers: Vec<u32> = logged_lines(&world, "web").iter().filter_map(|line| line.parse().ok()).collect();
    assert_eq!(numbers.last(), Some(&20_000));
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "a gap in what is kept");
}

#[test]
fn following_goes_on_through_a_rotation() {
    let world = World::with(|world| {
        world
            .service("web")
            .run("echo here it begins\nread go <go\nseq 1 5000\necho the end\nexec sleep 1000")
            .toml("[log]\nmax-size = \"10K\"\nmax-files = 100");
        nix::unistd::mkfifo(&world.services().join("web/go"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    });
    let mut command = world.command(&["logs", "-f", "web"]);
    let mut follower =
        Running::spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()));
    let mut output = follower.0.stdout.take().unwrap();
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut block = [0; 65536];
        while let Ok(length @ 1..) = output.read(&mut block) {
            send.send(block[..length].to_vec()).ok();
        }
    });
    let mut heard = Vec::new();
    wait_until("the follower to follow", || {
        heard.extend(receive.try_iter().flatten());
        String::from_utf8_lossy(&heard).contains("here it begins")
    });
    fs::write(world.services().join("web/go"), "go\n").unwrap();
    wait_until("the end to be followed", || {
        heard.extend(receive.try_iter().flatten());
        String::from_utf8_lossy(&heard).contains("the end")
    });
    drop(follower);
    let text = String::from_utf8(heard).unwrap();
    let numbers: Vec<u32> = text.lines().filter_map(|line| line.rsplit(' ').next()?.parse().ok()).collect();
    assert_eq!(numbers, (1..=5000).collect::<Vec<u32>>());
    assert!(rotated(&world, "web") > 2);
}

#[test]
fn several_logs_are_merged_in_time_order() {
    let world = World::with(|world| {
        for name in ["a", "b"] {
            world
                .service(name)
                .run(&format!("while read word; do echo {name} $word; done <go\nexec sleep 1000"));
            nix::unistd::mkfifo(&world.services().join(name).join("go"), nix::sys::stat::Mode::S_IRWXU)
                .unwrap();
        }
    });
    let open =
        |name: &str| fs::File::options().write(true).open(world.services().join(name).join("go")).unwrap();
    let mut pipes = [("a", open("a")), ("b", open("b"))];
    for turn in 0..5 {
        for (name, pipe) in &mut pipes {
            writeln!(pipe, "{turn}").unwrap();
            world.wait_log(name, &format!("{name} {turn}"));
        }
    }
    let said = world.ok(&["logs", "a", "b"]);
    let words: Vec<String> = said
        .lines()
        .map(|line| {
            line.split_whitespace()
                .rev()
                .take(2)
                .collect::<Vec<_>>()
                .into_iter()
                .rev()
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect();
    let expected: Vec<String> = (0..5).flat_map(|turn| [format!("a {turn}"), format!("b {turn}")]).collect();
    assert_eq!(words, expected, "{said}");
    let all = world.ok(&["logs"]);
    assert_eq!(all.lines().count(), 10, "{all}");
    let last = world.ok(&["logs", "-n", "3", "a", "b"]);
    assert_eq!(last.lines().count(), 3, "{last}");
    assert!(world.ok(&["logs", "--since", "1h", "a"]).contains("a 4"));
}

#[test]
fn strange_bytes_long_lines_and_missing_ends_are_kept_as_they_are() {
    let world = World::with(|world| {
        world.service("web").run(
            "printf 'bytes \\377\\376\\001 end\\n'\nhead -c 3000000 /dev/zero | tr '\\0' x; echo\nprintf 'no end of line'\nexec sleep 1000",
        );
        world.service("after").run("exec sleep 1000");
    });
    let file = world.log_dir("web").join("current");
    let bytes = wait_for("all bytes", || {
        let bytes = fs::read(&file).ok()?;
        bytes.windows(14).any(|window| window == b"no end of line").then_some(bytes)
    });
    let wanted = b"bytes \xff\xfe\x01 end\n";
    assert!(bytes.windows(wanted.len()).any(|window| window == wanted));
    assert_eq!(bytes.iter().filter(|byte| **byte == b'x').count(), 3_000_000);
}

#[test]
fn a_full_disk_blocks_the_writer_says_so_and_then_goes_on_with_nothing_lost() {
    if !needs_root() {
        return;
    }
    let mut world = World::new();
    let disk = Mount::new(&world.root.join("log"));
    world
        .service("flood")
        .run("seq 1 400000\necho the end\nexec sleep 1000")
        .toml("[log]\nmax-size = \"500M\"");
    world.service("other").run("exec sleep 1000");
    world.start();
    wait_until("the full disk to be told", || {
        let overview = world.overview().to_string().to_lowercase();
        overview.contains("no space left")
    });
    let old = world.wait_state("other", &["up", "ready"])["pid"].as_i64().unwrap() as i32;
    kill_9(old);
    world.wait_other_pid("other", old);
    disk.grow();
    world.wait_log("flood", "the end");
    assert_eq!(logged_lines(&world, "flood").len(), 400_001);
    world.end();
    drop(disk);
}

/// A small tmpfs, unmounted at the end.
struct Mount(PathBuf);

impl Mount {
    fn new(path: &Path) -> Self {
        let said = common::said::run(
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "svc-test"]).arg(path),
        );
        assert_eq!(said.code, 0, "{said:?}");
        Mount(path.to_owned())
    }

    fn grow(&self) {
        common::said::run(Command::new("mount").args(["-o", "remount,size=100m"]).arg(&self.0))
            .expect_code(0);
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(&self.0).status().ok();
    }
}

#[test]
fn one_that_floods_does_not_hold_up_the_restart_of_another() {
    let world = World::with(|world| {
        world
            .service("flood")
            .run("exec yes 'a line of a flood that never ends'")
            .toml("[log]\nmax-size = \"1M\"\nmax-files = 2");
        world.service("web").run("exec sleep 1000").toml("restart-reset = \"1ms\"");
    });
    world.wait_state("web", &["up", "ready"]);
    wait_until("the flood", || rotated(&world, "flood") > 0);
    for _ in 0..5 {
        let old = world.pid("web");
        kill_9(old);
        world.wait_other_pid("web", old);
    }
}

#[test]
fn an_own_logger_reads_the_pipe_and_is_itself_supervised() {
    let world = World::with(|world| {
        world
            .service("web")
            .run("n=0; while :; do n=$((n+1)); echo line $n; sleep 0.02; done")
            .script("log/run", "exec cat >>../../../caught");
    });
    world.wait_file("caught");
    let logger = world.wait_state("web/log", &["up", "ready"])["pid"].as_i64().unwrap() as i32;
    let web = world.pid("web");
    kill_9(logger);
    world.wait_other_pid("web/log", logger);
    let length = fs::metadata(world.root.join("caught")).unwrap().len();
    wait_until("the new logger to write", || fs::metadata(world.root.join("caught")).unwrap().len() > length);
    assert_eq!(world.pid("web"), web, "the service was disturbed by its logger");
}

#[test]
fn a_service_that_writes_nothing_has_no_log_files() {
    let world = World::with(|world| {
        world.service("quiet").run("exec sleep 1000");
    });
    world.wait_state("quiet", &["up", "ready"]);
    world.svc(&["logs", "quiet"]).expect_code(0);
    assert!(fs::read_dir(world.root.join("log")).unwrap().next().is_none());
}

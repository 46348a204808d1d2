//! The questions, each asked of everybody in turn so that a busy moment of the machine meets all.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::board::now_nanoseconds;
use crate::peer::{Peer, Word, World};
use crate::pid1;
use crate::processes::{self, Ends};
use crate::table::Block;

/// How much of everything.
pub struct Size {
    services: u32,
    runs: usize,
    kills: u32,
    calls: usize,
    idle: Duration,
    orphans: usize,
    flood_bytes: u64,
}

impl Size {
    pub const FULL: Size = Size {
        services: 1000,
        runs: 7,
        kills: 20,
        calls: 101,
        idle: Duration::from_secs(20),
        orphans: 20_000,
        flood_bytes: 1 << 30,
    };
    /// Shows that everything works; the figures mean little.
    pub const QUICK: Size = Size {
        services: 50,
        runs: 1,
        kills: 3,
        calls: 5,
        idle: Duration::from_secs(2),
        orphans: 500,
        flood_bytes: 16 << 20,
    };
}

const AT_MOST: Duration = Duration::from_secs(30);
const MILLISECOND: f64 = 1e6;
const MICROSECOND: f64 = 1e3;

/// Repeats a measurement of everybody, round by round.
fn rounds(
    peers: &[Peer],
    runs: usize,
    mut once: impl FnMut(&Peer) -> Option<f64>,
) -> Vec<(String, Vec<f64>)> {
    let mut results: Vec<(String, Vec<f64>)> = peers.iter().map(|peer| (peer.label(), Vec::new())).collect();
    for _ in 0..runs {
        for (peer, result) in peers.iter().zip(&mut results) {
            result.1.extend(once(peer));
        }
    }
    results
}

fn show(mut block: Block, results: Vec<(String, Vec<f64>)>) {
    for (label, values) in results {
        block.row(label, values);
    }
    block.print();
}

fn without_bare(peers: &[Peer]) -> Vec<Peer> {
    peers.iter().filter(|peer| **peer != Peer::Bare).cloned().collect()
}

pub fn cold_start(peers: &[Peer], size: &Size) {
    let title = format!("cold start of {} services, each with its own log", size.services);
    let results = rounds(peers, size.runs, |peer| {
        let world = World::start(peer, size.services, true)?;
        Some(world.cold_start_nanoseconds as f64 / MILLISECOND)
    });
    show(Block::new(title, "ms").must(1.5, "bare loop").must(0.25, "runit"), results);
}

/// From the kill to the start of the new program, for services that were up for longer than runit's
/// second and svc's `restart-reset` (set to 50 ms here, by default 10 s).
pub fn restart(peers: &[Peer], size: &Size) {
    let results = peers.iter().map(|peer| (peer.label(), restarts(peer, size).unwrap_or_default())).collect();
    let block = Block::new("restart after kill -9 of a service long up", "µs");
    show(block.must(1.3, "bare loop").must(0.67, "runit"), results);
}

fn restarts(peer: &Peer, size: &Size) -> Option<Vec<f64>> {
    let world = World::start(peer, size.kills, false)?;
    // s6 waits a second before each: few are enough.
    let (rounds, kills) = if *peer == Peer::S6 { (1, size.kills.min(5)) } else { (size.runs, size.kills) };
    let mut pids: Vec<i32> = world.service_pids();
    let mut times = Vec::new();
    for _ in 0..rounds {
        std::thread::park_timeout(Duration::from_millis(1300));
        for pid in pids.iter_mut().take(kills as usize) {
            let (time, next) = one_restart(&world, *pid)?;
            *pid = next;
            times.push(time as f64 / MICROSECOND);
            // What follows a restart (books, logs) is not charged to the next one.
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }
    Some(times)
}

fn one_restart(world: &World, pid: i32) -> Option<(u64, i32)> {
    let count = world.board.count();
    let before = now_nanoseconds();
    processes::signal(pid, libc::SIGKILL);
    if !world.board.wait_for(count + 1, AT_MOST) {
        eprintln!("{}: a killed service was not started again", world.peer.label());
        return None;
    }
    let start = world.board.start(count);
    Some((start.at_nanoseconds - before, start.pid))
}

pub fn down(peers: &[Peer], size: &Size) {
    let count = size.services.min(100);
    let results = rounds(&without_bare(peers), size.runs, |peer| {
        let world = World::start(peer, count, true)?;
        settle();
        let ends = Ends::of(world.service_pids());
        let before = now_nanoseconds();
        let mut client = world.client(Word::Down, count)?.spawn().ok()?;
        let (gone, ended) = (ends.wait(AT_MOST), client.wait().is_ok_and(|status| status.success()));
        let time = now_nanoseconds() - before;
        (gone && ended).then_some(time as f64 / MILLISECOND)
    });
    show(
        Block::new(format!("{count} down: the command has returned and all have ended"), "ms")
            .must(0.7, "runit"),
        results,
    );
}

pub fn shutdown(peers: &[Peer], size: &Size) {
    let count = size.services.min(100);
    let results = rounds(peers, size.runs, |peer| {
        let world = World::start(peer, count, true)?;
        settle();
        world.shutdown_nanoseconds().map(|time| time as f64 / MILLISECOND)
    });
    let block =
        Block::new(format!("shutdown with {count}: every service and every supervisor has ended"), "ms");
    show(block.must(1.5, "bare loop"), results);
}

/// After a start everybody is left alone for a moment: runsv sleeps a second after a service that
/// ended within its first one.
fn settle() {
    std::thread::park_timeout(Duration::from_millis(1300));
}

pub fn memory(peers: &[Peer], size: &Size) {
    let results = rounds(&without_bare(peers), 1, |peer| {
        let world = World::start(peer, size.services, true)?;
        settle();
        Some(world.supervisors().into_iter().map(processes::pss_kib).sum::<u64>() as f64)
    });
    let title = format!("PSS of the supervisors with {} services and their logs", size.services);
    show(Block::new(title, "KiB").must(4096.0, "KiB"), results);
}

/// A short-lived command, from fork to its end.
fn time_of(command: &mut Command) -> Option<f64> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let before = now_nanoseconds();
    command.spawn().ok()?.wait().ok()?;
    Some((now_nanoseconds() - before) as f64 / MILLISECOND)
}

pub fn status(peers: &[Peer], size: &Size) {
    let mut block = Block::new("status of one", "ms").must(1.0, "sv status").musl_must(0.5, "sv status");
    block.row("true", (0..size.calls).filter_map(|_| time_of(&mut Command::new("true"))).collect());
    for peer in without_bare(peers) {
        let label = if peer == Peer::Runit { "sv status".to_owned() } else { peer.label() };
        let times = World::start(&peer, 10, true).map(|world| {
            (0..size.calls).filter_map(|_| time_of(&mut world.client(Word::Status, 1)?)).collect()
        });
        block.row(label, times.unwrap_or_default());
    }
    block.print();
    let results = without_bare(peers)
        .iter()
        .map(|peer| {
            let times = World::start(peer, size.services, true).map(|world| {
                settle();
                (0..size.runs)
                    .filter_map(|_| time_of(&mut world.client(Word::Status, size.services)?))
                    .collect()
            });
            (peer.label(), times.unwrap_or_default())
        })
        .collect();
    show(Block::new(format!("status of {}", size.services), "ms").must(5.0, "ms"), results);
}

pub fn idle(peers: &[Peer], size: &Size) {
    let count = size.services.min(100);
    let results = rounds(&without_bare(peers), 1, |peer| {
        let world = World::start(peer, count, true)?;
        // Back-off ends after ten seconds of being up: then there is nothing left to wait for.
        std::thread::park_timeout(Duration::from_secs(12));
        let supervisors = world.supervisors();
        let woken = || supervisors.iter().map(|&pid| processes::wake_ups(pid)).sum::<u64>();
        let before = woken();
        std::thread::park_timeout(size.idle);
        Some((woken() - before) as f64)
    });
    let title =
        format!("wake-ups of the supervisors in {} s with {count} idle services", size.idle.as_secs());
    show(Block::new(title, "times").must(0.0, "times"), results);
}

fn svc_binaries(peers: &[Peer]) -> Vec<(String, PathBuf)> {
    let binary = |peer: &Peer| match peer {
        Peer::Svc { binary, label } => Some((label.clone(), binary.clone())),
        Peer::Bare | Peer::Runit | Peer::S6 => None,
    };
    peers.iter().filter_map(binary).collect()
}

/// The inits and how each is told to run a program.
fn inits(peers: &[Peer]) -> Vec<(String, Vec<String>)> {
    let mut inits: Vec<(String, Vec<String>)> = [("tini", "--"), ("catatonit", "--"), ("dumb-init", "--")]
        .into_iter()
        .filter_map(|(name, dashes)| {
            let path = ["/usr/bin", "/bin"]
                .map(|folder| PathBuf::from(folder).join(name))
                .into_iter()
                .find(|p| p.is_file());
            Some((name.to_owned(), vec![path?.display().to_string(), dashes.to_owned()]))
        })
        .collect();
    for (label, binary) in svc_binaries(peers) {
        inits.push((label, vec![binary.display().to_string(), "init".to_owned(), "--".to_owned()]));
    }
    inits
}

pub fn init(peers: &[Peer], size: &Size) {
    let none: Vec<f64> =
        (0..size.calls).filter_map(|_| pid1::run_nanoseconds(&["/bin/true"])).map(micro).collect();
    if none.is_empty() {
        println!("\nnot measured, because it needs root for a pid namespace: init, orphans");
        return;
    }
    let inits = inits(peers);
    let mut times: Vec<Vec<f64>> = inits.iter().map(|_| Vec::new()).collect();
    for _ in 0..size.calls {
        let bare = pid1::run_nanoseconds(&["/bin/true"]).map_or(0.0, micro);
        for ((_, words), times) in inits.iter().zip(&mut times) {
            let words: Vec<&str> = words.iter().map(String::as_str).chain(["/bin/true"]).collect();
            times.extend(pid1::run_nanoseconds(&words).map(|time| micro(time) - bare));
        }
    }
    let mut block = Block::new("as PID 1 running `true`, more than without any init", "µs")
        .must(1.0, "catatonit")
        .musl_must(0.4, "tini");
    for ((label, _), times) in inits.into_iter().zip(times) {
        block.row(label, times);
    }
    block.print();
}

fn micro(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / MICROSECOND
}

pub fn orphans(peers: &[Peer], size: &Size) {
    let mut block =
        Block::new(format!("{} dead orphans reaped by PID 1", size.orphans), "ms").must(1.05, "tini");
    for (label, words) in inits(peers) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let times = (0..size.runs).filter_map(|_| pid1::orphans_under(&words, size.orphans));
        block.row(label, times.map(|time| time as f64 / MILLISECOND).collect());
    }
    block.print();
}

/// Restarts beside a service that writes as fast as it can, until it has written its share.
pub fn flood(peers: &[Peer], size: &Size) {
    for (label, binary) in svc_binaries(peers) {
        let peer = Peer::Svc { binary: binary.clone(), label: label.clone() };
        let Some(world) = World::start(&peer, size.kills, false) else { continue };
        let mut pids = world.service_pids();
        let mut quiet = Vec::new();
        let mut flooded = Vec::new();
        settle();
        kill_round(&world, &mut pids, &mut quiet);
        let own = std::env::current_exe().unwrap_or_default();
        let aside = world.services().join(".flood");
        let text = format!(
            "command = [\"{}\", \"flood\", \"{}\"]\ntype = \"oneshot\"\n[log]\nmax-size = \"10M\"\nmax-files = 3\n",
            own.display(),
            size.flood_bytes
        );
        let written = std::fs::create_dir(&aside)
            .and_then(|()| std::fs::write(aside.join("service.toml"), text))
            .and_then(|()| std::fs::rename(&aside, world.services().join("flood")));
        if let Err(error) = written {
            eprintln!("cannot write the flooding service: {error}");
            continue;
        }
        let log = world.root.join("log/flood/current");
        let deadline = now_nanoseconds() + AT_MOST.as_nanos() as u64;
        while !log.exists() && now_nanoseconds() < deadline {
            std::thread::park_timeout(Duration::from_millis(1));
        }
        kill_round(&world, &mut pids, &mut flooded);
        let mut block =
            Block::new(format!("restart ({label}) beside a flood of {} MiB", size.flood_bytes >> 20), "µs")
                .must(1.5, "quiet");
        block.row("quiet", quiet);
        block.row(format!("{label}, flooded"), flooded);
        block.print();
    }
}

fn kill_round(world: &World, pids: &mut [i32], times: &mut Vec<f64>) {
    std::thread::park_timeout(Duration::from_millis(100));
    for pid in pids {
        if let Some((time, next)) = one_restart(world, *pid) {
            *pid = next;
            times.push(micro(time));
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// The program of the flooding service: lines of 100 bytes.
pub fn flood_writer(bytes: u64) {
    let line = [b"x".repeat(99), b"\n".to_vec()].concat();
    let block = line.repeat(640);
    let mut output = std::io::stdout().lock();
    for _ in 0..bytes / block.len() as u64 + 1 {
        if output.write_all(&block).is_err() {
            return;
        }
    }
}

//! Killing svc itself, and what then must hold.

use nix::sys::signal::Signal;

use super::processes::{children_of, command_line, kill_9, lives, signal};
use super::said::Running;
use super::service_dir::ServiceDir;
use super::world::World;
use super::{wait_for, wait_until};

/// A second copy of the service fails loudly, in a file that the test looks at.
pub const ALONE: &str = "exec 9>lock; flock -n 9 || { echo $$ >>doubled; exit 99; }; ";

pub fn service(world: &World, name: &str, body: &str) -> ServiceDir {
    let service = world.service(name);
    service.run(&format!("{ALONE}{body}"));
    service
}

/// Waits for another guardian than `old`; both pids.
pub fn wait_successor(world: &mut World, old: i32) -> (i32, i32) {
    let pids = successor_of(world, old);
    world.guardian_is(pids.0);
    pids
}

/// The same for a world that others look at meanwhile: it is told later.
pub fn successor_of(world: &World, old: i32) -> (i32, i32) {
    wait_for("another guardian", || {
        let pong = world.ping()?;
        let pid = |key: &str| pong[key].as_i64().map(|pid| pid as i32);
        let guardian = pid("guardian_pid").filter(|&pid| pid != old)?;
        Some((guardian, pid("supervisor_pid")?))
    })
}

/// A small generator (xorshift): the moments have to differ, no more. The state is the seed, never 0.
pub fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// The supervisor that this guardian has now.
pub fn supervisor_of(guardian: i32) -> Option<i32> {
    children_of(guardian)
        .into_iter()
        .find(|child| {
            child.state != 'Z' && command_line(child.pid).iter().any(|word| word.contains("supervisor"))
        })
        .map(|child| child.pid)
}

/// Kills the guardian alone and waits for the next one.
pub fn kill_guardian(world: &mut World) -> i32 {
    let old = world.pids().0;
    kill_9(old);
    wait_successor(world, old).0
}

/// Kills both before either can do anything about it.
pub fn kill_both(world: &mut World) {
    let (guardian, supervisor) = world.pids();
    // A stopped one makes no successor.
    signal(supervisor, Signal::SIGSTOP);
    kill_9(guardian);
    kill_9(supervisor);
    wait_until("svc to be gone", || !lives(guardian) && !lives(supervisor));
}

#[track_caller]
pub fn expect_single(world: &World, names: &[&str]) {
    for name in names {
        let doubled = world.services().join(name).join("doubled");
        assert!(!doubled.exists(), "{name} ran twice: {:?}", std::fs::read_to_string(doubled));
    }
}

pub fn daemon(write: impl FnOnce(&World)) -> World {
    let mut world = World::new();
    write(&world);
    world.start_daemon();
    world
}

/// `svc daemon` below a PID 1 of the test's own that reaps what a killed guardian leaves: so the kernel knows
/// how each adopted service has ended. That PID 1 is to end after the daemon.
pub fn start_reaped_daemon(world: &mut World) -> Running {
    let svc = super::svc_binary().display().to_string();
    let script = format!("{svc} daemon --log-file said && exec sleep 1000000");
    let init = Running::spawn(&mut world.command(&["init", "--", "sh", "-c", &script]));
    wait_until("an answer", || world.ping().is_some());
    let guardian = world.pids().0;
    world.guardian_is(guardian);
    init
}

pub fn is_sleep(pid: i32) -> bool {
    command_line(pid).first().is_some_and(|word| word == "sleep")
}

/// Lines end in `line N`; each N from the first to the last stands there once and in order.
#[track_caller]
pub fn expect_each_once(text: &str, count: Option<usize>) {
    let number = |line: &str| line.rsplit(' ').next().unwrap().parse::<usize>().unwrap();
    let numbers: Vec<usize> = text.lines().filter(|line| line.contains("line ")).map(number).collect();
    let first = count.map_or(numbers[0], |_| 1);
    let expected: Vec<usize> = (first..).take(count.unwrap_or(numbers.len())).collect();
    let odd = numbers.iter().zip(&expected).position(|(seen, wanted)| seen != wanted);
    assert!(odd.is_none() && numbers.len() == expected.len(), "{odd:?} of {} lines", numbers.len());
}

pub const WRITER: &str = "n=0; while [ $n -lt 20000 ]; do n=$((n+1)); echo line $n; \
                      [ $((n % 500)) = 0 ] && sleep 0.05; done; echo done; exec sleep 1000";

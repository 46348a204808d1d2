//! The supervisor is killed again and again at random moments while services run, crash and stop
//! and clients ask: no second copy, no lost service, no wrong answer.

// A test ends by panicking; clippy allows that only inside of #[test] functions.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::killing::{random, supervisor_of};
use common::processes::{facts, kill_9, lives};
use common::{World, let_pass, wait_for, wait_until};

const TIME: Duration = Duration::from_secs(15);
const KILLS_MAX: usize = 100;
const KILLS_PER_WORLD: usize = 5;

/// Every run takes a lock that its predecessor must have let go of, and tells of its begin.
fn locked(body: &str) -> String {
    format!(
        "name=$(basename $PWD)\nexec 9> ../../lock.$name\nflock -n 9 || echo $name >> ../../twice\necho begin $$ >> ../../runs.$name\n{body}"
    )
}

fn begun(world: &Path, name: &str) -> usize {
    fs::read_to_string(world.join(format!("runs.{name}"))).unwrap_or_default().lines().count()
}

#[test]
fn kills_at_random_moments_leave_one_copy_of_each_and_no_service_behind() {
    if !common::needs::needs_program("flock") {
        return;
    }
    let end = Instant::now() + TIME;
    // A failure prints the seed of its storm; SVC_STORM_SEED repeats that one.
    let given = std::env::var("SVC_STORM_SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds: [u64; 2] =
        given.map_or([0x9e37_79b9_7f4a_7c15, 0x2545_f491_4f6c_dd1d], |seed| [seed, seed.rotate_left(32)]);
    let kills = std::thread::scope(|scope| {
        let rounds = |mut seed: u64| {
            move || {
                let mut kills = 0;
                while Instant::now() < end && kills < KILLS_MAX / 2 {
                    kills += storm(&mut seed);
                }
                kills
            }
        };
        let threads = seeds.map(|seed| scope.spawn(rounds(seed)));
        threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
    });
    assert!(kills >= 10, "only {kills} kills");
}

/// The guardian waits ever longer for supervisors that die young: a few kills, then a fresh svc.
fn storm(seed: &mut u64) -> usize {
    println!("SVC_STORM_SEED={seed}");
    let world = World::with(|world| {
        for number in 0..2 {
            world.service(&format!("steady{number}")).run(&locked("exec sleep 1000"));
            world
                .service(&format!("crasher{number}"))
                .run(&locked("sleep 0.0$(($$ % 9 + 1)); exit 3"))
                .toml("restart-delay = \"10ms\"\nrestart-delay-max = \"30ms\"");
            world
                .service(&format!("standing{number}"))
                .run(&locked("sleep 0.0$(($$ % 9 + 1)); kill -9 $$"))
                .toml("restart-reset = \"1ms\"");
            world.service(&format!("asked{number}")).run(&locked("exec sleep 1000"));
        }
    });
    world.ok(&["up", "steady0", "steady1", "asked0", "asked1"]);
    let pids: Vec<i32> = (0..2).map(|number| world.pid(&format!("steady{number}"))).collect();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for number in 0..2 {
            let (world, over) = (&world, &over);
            scope.spawn(move || {
                let name = format!("asked{number}");
                while !over.load(Ordering::Relaxed) {
                    for (verb, state) in [("down", "down"), ("up", "up")] {
                        // The answer holds whoever of them gave it.
                        let said = world.svc(&[verb, "--timeout", "25s", &name]);
                        assert_eq!(said.code, 0, "{verb}: {said:?}");
                        assert_eq!(world.state(&name), state);
                    }
                }
            });
        }
        for _ in 0..KILLS_PER_WORLD {
            let supervisor = wait_for("a supervisor", || supervisor_of(world.guardian()));
            let_pass(Duration::from_micros(random(seed) % 80_000));
            kill_9(supervisor);
        }
        over.store(true, Ordering::Relaxed);
    });
    wait_until("an answer", || world.ping().is_some());
    let twice = fs::read_to_string(world.root.join("twice"));
    assert!(twice.is_err(), "two copies of {twice:?}");
    for (number, pid) in pids.iter().enumerate() {
        let name = format!("steady{number}");
        assert!(lives(*pid) && facts(*pid).unwrap().ppid == world.guardian());
        assert_eq!((world.pid(&name), begun(&world.root, &name)), (*pid, 1));
        assert_eq!(world.status(&name)["restarts"], 0);
    }
    for name in ["crasher0", "crasher1", "standing0", "standing1"] {
        expect_it_goes_on(&world, name);
    }
    KILLS_PER_WORLD
}

/// What crashes goes on crashing: it was not forgotten; and every run is counted.
fn expect_it_goes_on(world: &World, name: &str) {
    let before = begun(&world.root, name);
    wait_until(&format!("{name} to go on"), || begun(&world.root, name) > before + 1);
    world.ok(&["down", name]);
    let runs = begun(&world.root, name) as i64;
    let counted = world.status(name)["restarts"].as_i64().unwrap() + 1;
    // The stop may end a run before its first line.
    assert!((runs..=runs + 1).contains(&counted), "{name}: {runs} runs, {counted} counted");
}

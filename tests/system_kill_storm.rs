//! The supervisor is killed again and again at random moments while services run, crash and stop
//! and clients ask: no second copy, no lost service, no wrong answer.

// A test ends by panicking; clippy allows that only inside of #[test] functions.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::processes::{children_of, facts, kill_9, lives};
use common::{World, let_pass, wait_until};

const TIME: Duration = Duration::from_secs(15);
const KILLS_MAX: usize = 100;

/// A small generator: the moments have to differ, no more.
fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

fn supervisor_of(world: &World, guardian: i32) -> Option<i32> {
    children_of(guardian)
        .into_iter()
        .find(|child| {
            child.state != 'Z'
                && common::processes::command_line(child.pid).iter().any(|word| word.contains("supervisor"))
        })
        .map(|child| child.pid)
        .filter(|_| world.root.exists())
}

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
fn a_hundred_kills_at_random_moments_leave_one_copy_of_each_and_no_service_behind() {
    if !common::needs::needs_program("flock") {
        return;
    }
    let world = World::with(|world| {
        for number in 0..4 {
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
    let steady = |number: usize| format!("steady{number}");
    world.ok(&["up", "steady0", "steady1", "steady2", "steady3", "asked0", "asked1", "asked2", "asked3"]);
    let pids: Vec<i32> = (0..4).map(|number| world.pid(&steady(number))).collect();
    let guardian = world.guardian();
    let over = AtomicBool::new(false);
    let (mut kills, mut seed) = (0, 0x9e37_79b9_7f4a_7c15_u64);
    std::thread::scope(|scope| {
        let (world, over) = (&world, &over);
        for number in 0..4 {
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
        let end = Instant::now() + TIME;
        while Instant::now() < end && kills < KILLS_MAX {
            let_pass(Duration::from_micros(random(&mut seed) % 60_000));
            if let Some(supervisor) = supervisor_of(world, guardian) {
                kill_9(supervisor);
                kills += 1;
            }
            if kills % 5 == 4 {
                wait_until("an answer between", || world.ping().is_some());
            }
        }
        over.store(true, Ordering::Relaxed);
    });
    wait_until("an answer", || world.ping().is_some());
    assert!(kills >= 5, "only {kills} kills");
    assert!(
        !world.root.join("twice").exists(),
        "two copies of {}",
        fs::read_to_string(world.root.join("twice")).unwrap()
    );
    for (number, pid) in pids.iter().enumerate() {
        assert!(lives(*pid) && facts(*pid).unwrap().ppid == guardian);
        assert_eq!((world.pid(&steady(number)), begun(&world.root, &steady(number))), (*pid, 1));
        assert_eq!(world.status(&steady(number))["restarts"], 0);
    }
    // What crashes goes on crashing: nobody was forgotten; and every run is counted.
    for kind in ["crasher", "standing"] {
        for number in 0..4 {
            let name = format!("{kind}{number}");
            let before = begun(&world.root, &name);
            wait_until(&format!("{name} to go on"), || begun(&world.root, &name) > before + 1);
            world.ok(&["down", &name]);
            let runs = begun(&world.root, &name) as i64;
            let counted = world.status(&name)["restarts"].as_i64().unwrap() + 1;
            // A run that was ended before its first line has no begin.
            assert!((runs..=runs + 2).contains(&counted), "{name}: {runs} runs, {counted} counted");
        }
    }
}

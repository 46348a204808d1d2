//! The torture: half a hundred services of every kind, clients that ask for anything, and `kill -9` of the
//! supervisor and of the guardian at random instants. Every process stays or ends as was wished, in one copy;
//! every exit and every run is counted, every line is logged once, every client gets its answer, nothing is
//! left over.
//!
//! `SVC_TORTURE_KILLS` is how often the supervisor is killed (15), `SVC_TORTURE_GUARDIANS` how often the
//! guardian (2). A failure has printed its seed; `SVC_TORTURE_SEED` repeats its choices, though not the
//! speed of the machine. `contrib/torture` is the long one.

// A test ends by panicking; clippy allows that only inside of #[test] functions.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod client;
#[path = "../common/mod.rs"]
mod common;
mod services;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use client::Client;
use common::killing::{random, start_reaped_daemon, successor_of, supervisor_of};
use common::processes::{children_of, facts, kill_9, lives, signal, zombies_of};
use common::{World, let_pass, wait_for, wait_until};
use nix::sys::signal::Signal;

const CLIENTS: usize = 3;

/// The clients end when this does.
struct Ends<'over>(&'over AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable}={text}")))
}

#[test]
fn whatever_is_killed_and_asked_nothing_is_lost_and_nothing_is_doubled() {
    if !common::needs_program("flock") {
        return;
    }
    let fresh = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    let mut seed = number("SVC_TORTURE_SEED").unwrap_or(fresh).max(1);
    println!("SVC_TORTURE_SEED={seed}");
    let kills = number("SVC_TORTURE_KILLS").unwrap_or(15);
    let guardians = number("SVC_TORTURE_GUARDIANS").unwrap_or(2).max(1);

    let mut world = World::new();
    let services = services::write(&world, CLIENTS);
    let mut init = start_reaped_daemon(&mut world);
    let steady: Vec<_> = services::steady()
        .into_iter()
        .map(|name| {
            world.ok(&["up", &name]);
            let process = facts(world.pid(&name)).unwrap();
            (name, process)
        })
        .collect();

    let over = AtomicBool::new(false);
    let mut guardian = world.guardian();
    let clients = std::thread::scope(|scope| {
        let (world, over) = (&world, &over);
        // Also when this thread fails.
        let ends = Ends(over);
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let client = Client::new(world, number, random(&mut seed));
                scope.spawn(|| client.ask_until(over))
            })
            .collect();
        for round in 0..guardians {
            let until = kills * (round + 1) / guardians;
            for _ in kills * round / guardians..until {
                let supervisor = an_instant(guardian, &mut seed);
                kill_9(supervisor);
                wait_until("its end", || !lives(supervisor));
            }
            an_instant(guardian, &mut seed);
            kill_9(guardian);
            guardian = successor_of(world, guardian).0;
            println!("{until} kills of the supervisor, {} of the guardian", round + 1);
            if clients.iter().any(|client| client.is_finished()) {
                break;
            }
        }
        drop(ends);
        clients.into_iter().map(|client| client.join().unwrap()).collect::<Vec<_>>()
    });

    clients.iter().for_each(Client::expect_wishes);
    let (answers, exits) =
        clients.iter().fold((0, 0), |(answers, exits), it| (answers + it.answers, exits + it.exits_known));
    drop(clients);
    world.guardian_is(guardian);
    for (name, before) in &steady {
        let after = facts(world.pid(name)).unwrap();
        assert_eq!((after.pid, after.start, services::begun(&world, name)), (before.pid, before.start, 1));
    }
    let runs: usize = services::ending()
        .iter()
        .map(|name| services::expect_all_runs_counted(&world, name, guardians as usize))
        .sum();
    wait_until("no zombies", || zombies_of(world.guardian()).is_empty() && zombies_of(init.pid()).is_empty());
    world.end();
    wait_until("no orphans", || children_of(init.pid()).len() <= 1);
    signal(init.pid(), Signal::SIGTERM);
    init.end();
    world.expect_nothing_left();
    services::expect_no_copies(&world);
    let lines = services::expect_every_line_once(&world, CLIENTS);
    println!(
        "{services} services, {kills} kills of the supervisor, {guardians} of the guardian: \
         {runs} runs, {exits} exits looked at, {answers} answers, {lines} lines"
    );
}

/// Lets a supervisor begin, and a time pass in which it does anything: every other time it hardly takes over.
fn an_instant(guardian: i32, seed: &mut u64) -> i32 {
    let supervisor = wait_for("a supervisor", || supervisor_of(guardian));
    let longest = if random(seed).is_multiple_of(2) { 60_000 } else { 500_000 };
    let_pass(Duration::from_micros(random(seed) % longest));
    supervisor
}

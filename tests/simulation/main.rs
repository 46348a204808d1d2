//! Random worlds against the life-cycle: failing programs, impatient users, dying supervisors.
//!
//! Every run follows from its seed. A failing one is shortened and printed with its trace.
//! `SVC_SIMULATION_SEED=N` runs one seed and prints its whole trace; `SVC_SIMULATION_RUNS=N` says how
//! many fresh seeds are tried.

#![allow(clippy::unwrap_used)]

mod guardian;
mod laws;
mod random;
mod supervisor;
mod world;

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use svc::lifecycle::{Backoff, Exit, GiveUp, Kind, Policy, Restart, Scope, Signal, StopStep, Time, Verb};

use random::Random;
use world::{Deed, NAMES, Planned, World};

const FIXED_RUNS: u64 = 3_000;
const FRESH_RUNS: u64 = 500;
const DEEDS: u64 = 120;

#[test]
fn the_laws_hold_in_every_random_world() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = number("SVC_SIMULATION_SEED") {
        let (result, trace) = traced(seed, &plan(seed));
        println!("{}", trace.join("\n"));
        result.unwrap();
        return;
    }
    let fresh = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
    let fresh_runs = number("SVC_SIMULATION_RUNS").unwrap_or(FRESH_RUNS);
    let seeds: Vec<u64> = (0..FIXED_RUNS).chain((0..fresh_runs).map(|run| fresh.wrapping_add(run))).collect();
    let (first, second) = seeds.split_at(seeds.len() / 2);
    let steps: u64 = std::thread::scope(|scope| {
        let other = scope.spawn(|| run_all(second));
        run_all(first) + other.join().unwrap()
    });
    println!("{} runs, {steps} steps", seeds.len());
}

fn run_all(seeds: &[u64]) -> u64 {
    seeds.iter().map(|seed| run_one(*seed)).sum()
}

fn run_one(seed: u64) -> u64 {
    let plan = plan(seed);
    let mut world = World::new(seed, false);
    match outcome(&mut world, &plan) {
        Ok(()) => world.steps,
        Err(why) => panic!("{}", story(seed, plan, &why)),
    }
}

/// A panic of the core breaks a law too.
fn outcome(world: &mut World, plan: &[Planned]) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(|| world.run(plan)))
        .unwrap_or_else(|_| Err("the core panicked".to_string()))
}

fn traced(seed: u64, plan: &[Planned]) -> (Result<(), String>, Vec<String>) {
    let mut world = World::new(seed, true);
    let result = outcome(&mut world, plan);
    (result, world.trace.unwrap_or_default())
}

/// The shortest plan found that still fails, with its trace.
fn story(seed: u64, mut plan: Vec<Planned>, why: &str) -> String {
    let mut text = format!("seed {seed}: {why}\n");
    // The same law has to be broken: shortening must not slip to something else.
    let law = why.get(..5).unwrap_or(why);
    let mut size = plan.len().div_ceil(2);
    while size > 0 {
        let mut start = 0;
        let mut shorter = false;
        while start < plan.len() {
            let mut fewer = plan.clone();
            fewer.drain(start..(start + size).min(plan.len()));
            if outcome(&mut World::new(seed, false), &fewer).is_err_and(|other| other.starts_with(law)) {
                (plan, shorter) = (fewer, true);
            } else {
                start += size;
            }
        }
        if !shorter || size > 1 {
            size /= 2;
        }
    }
    let (result, mut trace) = traced(seed, &plan);
    trace.dedup();
    let _ = writeln!(text, "shortest plan found, {} deeds: {result:?}", plan.len());
    let skipped = trace.len().saturating_sub(400);
    for line in trace.iter().skip(skipped) {
        let _ = writeln!(text, "{line}");
    }
    text
}

fn plan(seed: u64) -> Vec<Planned> {
    let mut random = Random::new(seed);
    let mut at = Time::default();
    let mut plan: Vec<Planned> = Vec::new();
    let deaths = random.pick(&[0, 2, 10, 30]);
    let gap = random.pick(&[50, 1_000, 20_000]);
    for number in 0..DEEDS {
        at = at + random.time(gap);
        let name = random.below(NAMES.len() as u64) as usize;
        let deed = if number < NAMES.len() as u64 {
            Deed::Write { name: number as usize, policy: Box::new(policy(&mut random)) }
        } else if random.percent(deaths) {
            Deed::KillSupervisor { acknowledged: random.percent(50) }
        } else {
            deed(&mut random, name)
        };
        plan.push(Planned { at, deed });
    }
    if random.percent(30) {
        let budget = Duration::from_millis(random.pick(&[1, 500, 9_000, 60_000]));
        plan.push(Planned { at, deed: Deed::Shutdown { budget } });
        for _ in 1..random.below(6) {
            at = at + random.time(8_000);
            let deed = match random.below(4) {
                0 => Deed::KillSupervisor { acknowledged: random.percent(50) },
                1 => Deed::Hurry,
                2 => Deed::Shutdown { budget: Duration::from_secs(5) },
                _ => deed(&mut random, 0),
            };
            plan.push(Planned { at, deed });
        }
    }
    plan
}

fn deed(random: &mut Random, name: usize) -> Deed {
    match random.below(100) {
        0..7 => Deed::Write { name, policy: Box::new(policy(random)) },
        7..11 => Deed::Delete { name },
        11..20 => Deed::Kill { name, exit: Exit::Signal { signal: Signal::KILL, core: false } },
        20..25 => Deed::Kill { name, exit: Exit::Code(random.pick(&[0, 0, 1])) },
        25..30 => Deed::Junk { name, kind: random.next() },
        30..34 => Deed::HangUp,
        _ => {
            let verbs = [
                Verb::Up,
                Verb::Up,
                Verb::Down,
                Verb::Down,
                Verb::Restart,
                Verb::Restart,
                Verb::Once,
                Verb::Pause,
                Verb::Cont,
                Verb::Signal(Signal::HUP),
                Verb::Signal(Signal::KILL),
                Verb::Reload,
                Verb::Wait,
            ];
            Deed::Ask { name, verb: random.pick(&verbs) }
        }
    }
}

fn policy(random: &mut Random) -> Policy {
    let oneshot = random.percent(20);
    let always = if oneshot { Restart::Never } else { Restart::Always };
    Policy {
        kind: if oneshot { Kind::Oneshot } else { Kind::Longrun },
        enabled: random.percent(80),
        restart: random.pick(&[
            always,
            always,
            always,
            Restart::OnFailure,
            Restart::OnSuccess,
            Restart::Never,
        ]),
        backoff: Backoff {
            first: Duration::from_millis(random.pick(&[0, 1, 100, 1_000])),
            max: Duration::from_millis(random.pick(&[0, 500, 30_000])),
            reset: Duration::from_millis(random.pick(&[0, 200, 3_000, 10_000])),
        },
        give_up: random
            .percent(15)
            .then(|| GiveUp { count: random.below(5) as u32, within: random.time(60_000) }),
        success_codes: if random.percent(10) { vec![3] } else { Vec::new() },
        success_signals: Vec::new(),
        stop: schedule(random),
        kill: random.pick(&[Scope::Tree, Scope::Tree, Scope::Group, Scope::Main]),
        has_finish: random.percent(25),
        timeout_start: random.pick(&[Duration::from_secs(2), Duration::from_secs(60), Duration::MAX]),
        timeout_finish: Duration::from_millis(random.pick(&[100, 5_000])),
        may_stand: random.percent(60),
    }
}

/// The stop schedules of the simulation: none waits for ever.
fn schedule(random: &mut Random) -> Vec<StopStep> {
    let term = StopStep::Signal(Signal::TERM);
    let kill = StopStep::Signal(Signal::KILL);
    let wait = StopStep::Wait(random.time(5_000));
    match random.below(6) {
        0 => Vec::new(),
        1 => vec![term],
        2 => vec![wait],
        3 => vec![StopStep::Signal(Signal::HUP), wait, term, wait, kill],
        4 => vec![term, StopStep::Wait(Duration::ZERO), kill],
        _ => vec![term, wait, kill],
    }
}

//! A client that asks anything of services of its own, and remembers what must then hold.

use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::common::killing::random;
use crate::common::processes::facts;
use crate::common::said::{Running, Said};
use crate::common::{World, let_pass, wait_until};
use crate::services::{asked, begun, ending, expect_right_exit, job, last_code, steady};

/// What was asked of one service so far, and all of it was answered.
#[derive(Debug)]
struct Wish {
    name: String,
    wanted: &'static str,
    paused: bool,
    /// While it is to run.
    pid: Option<i32>,
    /// What was asked, the newest last: for who reads of a failure.
    asked: Vec<String>,
}

/// As `svc why` tells it.
fn moment() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

pub struct Client<'world> {
    world: &'world World,
    seed: u64,
    wishes: Vec<Wish>,
    job: String,
    pub answers: usize,
    pub exits_known: usize,
}

impl<'world> Client<'world> {
    pub fn new(world: &'world World, number: usize, seed: u64) -> Self {
        let wish = |name| Wish { name, wanted: "up", paused: false, pid: None, asked: Vec::new() };
        let wishes = asked(number).into_iter().map(wish).collect();
        Self { world, seed, wishes, job: job(number), answers: 0, exits_known: 0 }
    }

    pub fn ask_until(mut self, over: &AtomicBool) -> Self {
        for index in 0..self.wishes.len() {
            self.up(index);
        }
        while !over.load(Ordering::Relaxed) {
            let index = self.below(self.wishes.len() as u64);
            match self.below(16) {
                0..3 => self.up(index),
                3..5 => self.down(index),
                5..7 => self.restart(index),
                7 => self.once(index),
                8 => self.pause(index),
                9..11 => self.cont(index),
                11 => self.run_the_job(),
                12 => self.look_at_others(),
                13 => self.be_killed(index),
                14 => self.look_at_log(index),
                _ => self.wait(index),
            }
            self.expect_wish(index);
        }
        self
    }

    fn below(&mut self, bound: u64) -> usize {
        (random(&mut self.seed) % bound) as usize
    }

    /// Its answer comes, and is this.
    fn say(&mut self, words: &[&str], code: i32) -> Said {
        let said = self.world.svc(words);
        if let Some(wish) = self.wishes.iter_mut().find(|wish| words.contains(&wish.name.as_str())) {
            wish.asked.push(format!("{} {}", moment(), words.join(" ")));
        }
        assert_eq!(said.code, code, "svc {words:?}: {said:?}");
        self.answers += 1;
        said
    }

    fn name(&self, index: usize) -> String {
        self.wishes[index].name.clone()
    }

    fn up(&mut self, index: usize) {
        if self.wishes[index].paused {
            return self.cont(index);
        }
        let name = self.name(index);
        self.say(&["up", &name], 0);
        self.runs(index, "up");
    }

    fn once(&mut self, index: usize) {
        if self.wishes[index].paused {
            return self.cont(index);
        }
        let name = self.name(index);
        self.say(&["once", &name], 0);
        self.runs(index, "once");
    }

    fn down(&mut self, index: usize) {
        let name = self.name(index);
        self.say(&["down", &name], 0);
        let wish = &mut self.wishes[index];
        let old = wish.pid.take();
        (wish.wanted, wish.paused) = ("down", false);
        assert!(old.is_none_or(|pid| facts(pid).is_none_or(|facts| facts.state == 'Z')), "{name}: {old:?}");
    }

    fn restart(&mut self, index: usize) {
        let name = self.name(index);
        self.say(&["restart", &name], 0);
        let wish = &mut self.wishes[index];
        let old = wish.pid.take();
        wish.paused = false;
        let wanted = if wish.wanted == "once" { "once" } else { "up" };
        self.runs(index, wanted);
        let wish = &self.wishes[index];
        assert!(old.is_none() || wish.pid != old, "{name} still has {old:?}: {:#?}", wish.asked);
    }

    /// It runs now: as the process that it was, where it ran before.
    fn runs(&mut self, index: usize, wanted: &'static str) {
        let name = self.name(index);
        let pid = self.world.pid(&name);
        let wish = &mut self.wishes[index];
        wish.wanted = wanted;
        let before = *wish.pid.get_or_insert(pid);
        assert_eq!(before, pid, "{name} has become another process: {:#?}", wish.asked);
    }

    fn pause(&mut self, index: usize) {
        if self.wishes[index].pid.is_some() {
            let name = self.name(index);
            self.say(&["pause", &name], 0);
            self.wishes[index].paused = true;
        }
    }

    fn cont(&mut self, index: usize) {
        if self.wishes[index].pid.is_some() {
            let name = self.name(index);
            self.say(&["cont", &name], 0);
            self.wishes[index].paused = false;
        }
    }

    /// The code of `wait` is the one that the job itself has noted.
    fn run_the_job(&mut self) {
        let job = self.job.clone();
        let before = begun(self.world, &job);
        self.say(&["once", "--no-wait", &job], 0);
        let said = self.world.svc(&["wait", &job]);
        let (runs, noted) = (begun(self.world, &job) - before, last_code(self.world, &job));
        // A client whose supervisor is killed before it answers asks the next one, also when it has been done.
        assert!((1..=2).contains(&runs) && noted == Some(said.code as usize), "{job}: {runs} runs, {said:?}");
        self.answers += 1;
    }

    /// What runs has not ended: the answer is that the time is over.
    fn wait(&mut self, index: usize) {
        let name = self.name(index);
        let millis = format!("{}ms", self.below(200) + 1);
        let said = self.world.svc(&["wait", "--timeout", &millis, &name]);
        // A supervisor that is away may come too late.
        let in_time = self.wishes[index].pid.is_none() && said.code == 0;
        assert!(in_time || said.code == 1 && said.all().contains("timed out"), "{name}: {said:?}");
        self.answers += 1;
    }

    fn look_at_log(&mut self, index: usize) {
        let name = self.name(index);
        self.say(&["logs", "-n", "5", &name], 0);
        self.say(&["why", &name], 0);
    }

    fn look_at_others(&mut self) {
        let overview = self.world.overview();
        self.answers += 1;
        let services = overview["services"].as_array().unwrap();
        let of = |name: &String| services.iter().find(|it| it["name"] == **name).unwrap();
        for name in steady() {
            let status = of(&name);
            assert!(status["pid"].is_i64() && status["restarts"] == 0, "{name}: {status}");
        }
        for name in ending() {
            self.exits_known += usize::from(expect_right_exit(&name, of(&name)));
        }
    }

    /// A client that dies while it asks for what is wanted already changes nothing.
    fn be_killed(&mut self, index: usize) {
        let verb = if self.wishes[index].pid.is_some() { "up" } else { "down" };
        if self.wishes[index].paused || self.wishes[index].wanted == "once" {
            return;
        }
        let mut command = self.world.command(&[verb, &self.wishes[index].name]);
        let asked = Running::spawn(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()));
        let_pass(Duration::from_micros(self.below(20_000) as u64));
        drop(asked);
    }

    fn expect_wish(&self, index: usize) {
        let Wish { name, wanted, paused, pid, asked } = &self.wishes[index];
        let status = self.world.status(name);
        let holds = status["wanted"] == *wanted
            && status["paused"] == *paused
            && status["pid"].as_i64() == pid.map(i64::from)
            && (pid.is_some() || status["state"] == "down");
        if !holds {
            let asked = &asked[asked.len().saturating_sub(8)..];
            let why = self.world.svc(&["why", name]).out;
            panic!("{name} is not {wanted}, paused {paused}, pid {pid:?}: {status}\n{asked:#?}\n{why}");
        }
        if let (true, Some(pid)) = (*paused, *pid) {
            wait_until(&format!("{name} to stand still"), || facts(pid).is_some_and(|it| it.state == 'T'));
        }
    }

    /// What was wished last holds.
    pub fn expect_wishes(&self) {
        (0..self.wishes.len()).for_each(|index| self.expect_wish(index));
    }
}

//! The life-cycle verbs: up, down, restart, reload, once, pause, cont, signal, wait.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::ask::{self, Which};
use super::failure::{DONE, FAILED, Failure};
use super::outcome;
use super::places::Places;
use super::progress::{self, Progress};
use super::screen::Screen;
use crate::control::{Client, Received};
use crate::lifecycle::{Signal, StateWord, Time, Verb, Wanted, short};
use crate::protocol::control::{Reply, ServiceOutcome, ServiceStatus, What};
use crate::service::values::duration;

/// A supervisor that is killed while we wait is started again by the guardian; one that is killed
/// this often is broken.
const CONNECTIONS_MAX: u32 = 10;

#[derive(Args, Debug)]
pub struct Options {
    #[command(flatten)]
    which: Which,
    /// Only ask for it, and do not wait until it is done
    #[arg(long, conflicts_with = "timeout")]
    no_wait: bool,
    /// Wait no longer than this, for example 5s; what was asked for still goes on
    #[arg(long, value_name = "TIME", value_parser = duration)]
    timeout: Option<Duration>,
    /// Print failures only
    #[arg(short, long)]
    quiet: bool,
}

#[derive(Args, Debug)]
pub struct SignalOptions {
    /// The signal: TERM, SIGTERM, 15, RTMIN+3
    #[arg(value_name = "SIGNAL", value_parser = signal_of)]
    signal: Signal,
    #[command(flatten)]
    which: Which,
    /// Print failures only
    #[arg(short, long)]
    quiet: bool,
}

#[derive(Args, Debug)]
pub struct WaitOptions {
    #[command(flatten)]
    which: Which,
    /// Wait no longer than this, for example 5s
    #[arg(long, value_name = "TIME", value_parser = duration)]
    timeout: Option<Duration>,
    /// Print failures only
    #[arg(short, long)]
    quiet: bool,
}

fn signal_of(text: &str) -> Result<Signal, String> {
    Signal::parse(text).ok_or_else(|| {
        "a signal is a name like TERM or SIGTERM, RTMIN+3, or a number from 1 to 64".to_owned()
    })
}

pub fn signal(options: SignalOptions, places: &Places, screen: &mut Screen<'_>) -> Result<u8, Failure> {
    let SignalOptions { signal, which, quiet } = options;
    run(Verb::Signal(signal), Options { which, no_wait: false, timeout: None, quiet }, places, screen)
}

pub fn wait(options: WaitOptions, places: &Places, screen: &mut Screen<'_>) -> Result<u8, Failure> {
    let WaitOptions { which, timeout, quiet } = options;
    run(Verb::Wait, Options { which, no_wait: false, timeout, quiet }, places, screen)
}

pub fn run(verb: Verb, options: Options, places: &Places, screen: &mut Screen<'_>) -> Result<u8, Failure> {
    ask::check_names(&options.which.names)?;
    let mut names = options.which.names.clone();
    names.sort();
    names.dedup();
    let mut asked = Asked {
        verb,
        names,
        wait: !options.no_wait,
        timeout: options.timeout,
        deadline: options.timeout.map(|timeout| ask::now() + timeout),
        quiet: options.quiet,
        runtime_dir: places.runtime_dir()?,
        answered: BTreeSet::new(),
        code: DONE,
    };
    let mut progress = Progress::new(screen, options.quiet);
    let result = asked.follow(&mut progress, screen);
    progress.clear(screen);
    // An unknown name is a failure like another here; only `status` has a code of its own for it.
    result.map_err(|failure| match failure {
        Failure::Unknown(text) => Failure::Failed(text),
        other => other,
    })
}

/// What is left to ask of services that were to be restarted `ago`, when nobody knows how far that has come.
/// Where any runs on as it did before, the restart itself; else only that they come up, as they are wanted.
fn rest_of_restart(services: &[ServiceStatus], ago: Duration) -> Verb {
    let runs_on = |service: &ServiceStatus| {
        service.pid.is_some()
            && service.state != StateWord::Stopping
            && service.for_seconds > ago.as_secs_f64()
    };
    if services.iter().any(runs_on) {
        return Verb::Restart;
    }
    let once = services.iter().filter(|service| service.wanted == Wanted::Once).count();
    match once {
        0 => Verb::Up,
        all if all == services.len() => Verb::Once,
        _ => Verb::Restart,
    }
}

struct Asked {
    verb: Verb,
    /// Sorted; empty means all.
    names: Vec<String>,
    wait: bool,
    timeout: Option<Duration>,
    deadline: Option<Time>,
    quiet: bool,
    runtime_dir: PathBuf,
    answered: BTreeSet<String>,
    code: u8,
}

/// How one connection ended.
enum End {
    Answered,
    TimedOut,
    ConnectionLost,
}

impl Asked {
    fn follow(&mut self, progress: &mut Progress, screen: &mut Screen<'_>) -> Result<u8, Failure> {
        let since = ask::now();
        for connection in 0..CONNECTIONS_MAX {
            let timeout = self.deadline.map(|deadline| deadline.since(ask::now()));
            let mut client = Client::connect_within(&self.runtime_dir, timeout)?;
            if connection > 0 && self.verb == Verb::Restart {
                let Some(Reply::Status(status)) = self.look(&mut client)? else { continue };
                self.verb = rest_of_restart(&status.services, ask::now().since(since));
            }
            client.send(self.request())?;
            match self.listen(&mut client, progress, screen)? {
                End::Answered => return Ok(self.code),
                End::TimedOut => {
                    progress.clear(screen);
                    self.say_timed_out(screen);
                    return Ok(self.code.max(FAILED));
                }
                // Killed between the last outcome and the end of its reply.
                End::ConnectionLost if self.all_answered() => return Ok(self.code),
                End::ConnectionLost => self.may_ask_again()?,
            }
        }
        Err(Failure::System("svc ended each time before it answered; see its own messages".to_owned()))
    }

    fn all_answered(&self) -> bool {
        !self.names.is_empty() && self.names.iter().all(|name| self.answered.contains(name))
    }

    fn request(&self) -> What {
        let names = self.names.iter().filter(|name| !self.answered.contains(*name)).cloned().collect();
        What::Act { verb: self.verb, names, all: self.names.is_empty(), wait: self.wait }
    }

    /// The state of what has not been answered; `None` when this supervisor has ended as well.
    fn look(&self, client: &mut Client) -> Result<Option<Reply>, Failure> {
        let names = self.names.iter().filter(|name| !self.answered.contains(*name)).cloned().collect();
        client.send(What::Status { names, detail: false })?;
        ask::receive(client, self.deadline)
    }

    /// The next supervisor takes over every wish that was told to the guardian; it is asked only for what may be
    /// asked twice.
    fn may_ask_again(&self) -> Result<(), Failure> {
        match self.verb {
            Verb::Up | Verb::Down | Verb::Restart | Verb::Once | Verb::Pause | Verb::Cont | Verb::Wait => {
                Ok(())
            }
            Verb::Signal(_) | Verb::Reload => {
                let text = format!("svc ended before it answered; whether {} was done is unknown", self.verb);
                Err(Failure::System(text))
            }
        }
    }

    fn listen(
        &mut self,
        client: &mut Client,
        progress: &mut Progress,
        screen: &mut Screen<'_>,
    ) -> Result<End, Failure> {
        loop {
            let until = [self.deadline, progress.next].into_iter().flatten().min();
            match client.receive(until)? {
                Received::Reply(reply) => match *reply {
                    Reply::Outcome(outcome) => {
                        progress.clear(screen);
                        self.take(&outcome, screen)?;
                    }
                    Reply::End => return Ok(End::Answered),
                    Reply::Error { kind, message } => return Err(ask::refused(kind, message)),
                    other => return Err(ask::unexpected(&other)),
                },
                Received::Ended => return Ok(End::ConnectionLost),
                Received::TimedOut => {
                    if self.deadline.is_some_and(|deadline| deadline <= ask::now()) {
                        return Ok(End::TimedOut);
                    }
                    if progress.is_due() {
                        let pending = progress::pending(&self.runtime_dir, &self.names, &self.answered);
                        progress.show(&pending, screen);
                    }
                }
            }
        }
    }

    fn take(&mut self, outcome: &ServiceOutcome, screen: &mut Screen<'_>) -> Result<(), Failure> {
        // After a lost connection all are asked again.
        if !self.answered.insert(outcome.name.clone()) {
            return Ok(());
        }
        self.code = self.code.max(outcome::code(self.verb, outcome));
        for line in outcome::lines(self.verb, outcome) {
            if !outcome.ok && self.verb != Verb::Wait {
                screen.complain(line);
            } else if !self.quiet {
                screen.say(line)?;
            }
        }
        // Each is told when it is so, not when the last one is.
        if self.wait { screen.flush() } else { Ok(()) }
    }

    fn say_timed_out(&self, screen: &mut Screen<'_>) {
        let time = short(self.timeout.unwrap_or_default());
        let pending = progress::pending(&self.runtime_dir, &self.names, &self.answered);
        if pending.is_empty() {
            let names = if self.names.is_empty() { "all".to_owned() } else { self.names.join(", ") };
            screen.complain(format_args!("{names}: timed out after {time}"));
        }
        for service in pending {
            let pid = service.pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
            screen.complain(format_args!(
                "{}: timed out after {time}; it is {}{pid}",
                service.name, service.state
            ));
        }
    }
}

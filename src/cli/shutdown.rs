//! `svc shutdown`: all services are stopped, then svc ends.

use std::time::Duration;

use clap::Args;

use super::ask;
use super::failure::{DONE, FAILED, Failure};
use super::places::Places;
use super::progress::{self, Progress};
use super::screen::Screen;
use crate::control::{Client, Received};
use crate::lifecycle::{StateWord, short};
use crate::protocol::control::{Reply, What};
use crate::service::values::duration;

#[derive(Args, Debug)]
pub struct Options {
    /// Only ask for it, and do not wait until svc has ended
    #[arg(long, conflicts_with = "timeout")]
    no_wait: bool,
    /// Wait no longer than this, for example 30s; the shutdown still goes on
    #[arg(long, value_name = "TIME", value_parser = duration)]
    timeout: Option<Duration>,
    /// Print failures only
    #[arg(short, long)]
    quiet: bool,
}

pub fn run(options: Options, places: &Places, screen: &mut Screen<'_>) -> Result<u8, Failure> {
    let runtime_dir = places.runtime_dir()?;
    let deadline = options.timeout.map(|timeout| ask::now() + timeout);
    let mut progress = Progress::new(screen, options.quiet);
    let mut client = Client::connect_within(&runtime_dir, options.timeout)?;
    client.send(What::Shutdown)?;
    loop {
        let until = [deadline, progress.next].into_iter().flatten().min();
        match client.receive(until)? {
            Received::Reply(reply) => match *reply {
                Reply::ShuttingDown if options.no_wait => {
                    if !options.quiet {
                        screen.say("svc is shutting down")?;
                    }
                    return Ok(DONE);
                }
                Reply::ShuttingDown => {}
                Reply::Error { kind, message } => return Err(ask::refused(kind, message)),
                other => return Err(ask::unexpected(&other)),
            },
            Received::TimedOut => {
                if deadline.is_some_and(|deadline| deadline <= ask::now()) {
                    progress.clear(screen);
                    let time = short(options.timeout.unwrap_or_default());
                    screen.complain(format_args!("svc: timed out after {time}; svc is still shutting down"));
                    return Ok(FAILED);
                }
                if progress.is_due() {
                    let mut pending =
                        progress::pending(&runtime_dir, &[], &std::collections::BTreeSet::new());
                    pending.retain(|service| {
                        !matches!(service.state, StateWord::Down | StateWord::Done | StateWord::Failed)
                    });
                    progress.show(&pending, screen);
                }
            }
            // The end, or the end of this supervisor only: then the next one is asked again.
            Received::Ended => match Client::connect_within(&runtime_dir, options.timeout) {
                Ok(mut next) => {
                    next.send(What::Shutdown)?;
                    client = next;
                }
                Err(error) if error.is_absent() => break,
                Err(error) => return Err(error.into()),
            },
        }
    }
    progress.clear(screen);
    if !options.quiet {
        screen.say("svc has ended")?;
    }
    Ok(DONE)
}

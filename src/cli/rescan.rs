//! `svc rescan`: all service directories are read again now.

use clap::Args;

use super::ask;
use super::failure::{DONE, FAILED, Failure};
use super::places::Places;
use super::screen::Screen;
use crate::protocol::control::{Reply, What};

#[derive(Args, Debug)]
pub struct Options {
    /// Print problems only
    #[arg(short, long)]
    quiet: bool,
}

pub fn run(options: Options, places: &Places, screen: &mut Screen<'_>) -> Result<u8, Failure> {
    match ask::ask(places, What::Rescan)? {
        Reply::Rescanned { added, changed, removed, problems } => {
            if !options.quiet {
                for (word, names) in [("added", added), ("changed", changed), ("removed", removed)] {
                    for name in names {
                        screen.say(format_args!("{name}: {word}"))?;
                    }
                }
            }
            for problem in &problems {
                screen.complain(problem);
            }
            Ok(if problems.is_empty() { DONE } else { FAILED })
        }
        other => Err(ask::unexpected(&other)),
    }
}

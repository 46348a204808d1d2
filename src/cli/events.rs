//! `svc events`: changes of state as they happen.

use clap::Args;

use super::ask;
use super::failure::{DONE, Failure, SYSTEM_ERROR};
use super::places::Places;
use super::screen::Screen;
use super::why;
use crate::control::Client;
use crate::protocol::control::{Reply, What};

#[derive(Args, Debug)]
pub struct Options {
    /// The services; without a name, all
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

pub fn run(options: Options, places: &Places, screen: &mut Screen<'_>) -> Result<u8, Failure> {
    ask::check_names(&options.names)?;
    let runtime_dir = places.runtime_dir()?;
    let mut client = Client::connect(&runtime_dir)?;
    loop {
        client.send(What::Events { names: options.names.clone() })?;
        while let Some(reply) = ask::receive(&mut client, None)? {
            match reply {
                Reply::Transition(change) if options.json => screen.say_json(&change)?,
                Reply::Transition(change) => {
                    let line = why::line(&change, true, screen);
                    screen.say(line)?;
                }
                Reply::Subscribed => {}
                Reply::End | Reply::ShuttingDown => return Ok(DONE),
                other => return Err(ask::unexpected(&other)),
            }
            screen.flush()?;
        }
        // A supervisor that was killed is started again, and then goes on telling.
        match Client::connect(&runtime_dir) {
            Ok(next) => client = next,
            Err(error) if error.is_absent() => {
                screen.complain("svc: svc has ended");
                return Ok(SYSTEM_ERROR);
            }
            Err(error) => return Err(error.into()),
        }
        screen.complain("svc: the supervisor was started again; changes meanwhile are told by `svc why`");
    }
}

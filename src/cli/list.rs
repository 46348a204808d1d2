//! `svc list`: the names of all services, with or without a supervisor.

use clap::Args;

use super::disk;
use super::failure::{DONE, Failure};
use super::places::Places;
use super::screen::Screen;
use super::{ask, progress};
use crate::control::Client;
use crate::protocol::control::{Reply, What};

#[derive(Args, Debug)]
pub struct Options {
    /// Print one JSON array
    #[arg(long)]
    json: bool,
}

pub fn run(options: Options, places: &Places, screen: &mut Screen<'_>) -> Result<u8, Failure> {
    let names = names(places, screen)?;
    if options.json {
        screen.say_json(&names)?;
    } else {
        for name in &names {
            screen.say(name)?;
        }
    }
    Ok(DONE)
}

/// Those of the supervisor; where there is none, those on the disk.
pub fn names(places: &Places, screen: &mut Screen<'_>) -> Result<Vec<String>, Failure> {
    let patience = Some(ask::now() + progress::PATIENCE);
    if let Ok(mut client) = Client::connect_within(&places.runtime_dir()?, Some(progress::PATIENCE))
        && client.send(What::Status { names: Vec::new(), detail: false }).is_ok()
        && let Some(Reply::Status(status)) = ask::receive(&mut client, patience)?
    {
        return Ok(status.services.into_iter().map(|service| service.name).collect());
    }
    let found = disk::services(&places.services()?, screen)?;
    Ok(found.into_iter().map(|service| service.name.to_string()).collect())
}

//! `svc pid`: the process ids of services, for scripts.

use clap::Args;

use super::ask;
use super::failure::{DONE, Failure, NOT_RUNNING, UNKNOWN};
use super::places::Places;
use super::screen::Screen;

#[derive(Args, Debug)]
pub struct Options {
    /// The services
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
}

pub fn run(options: Options, places: &Places, screen: &mut Screen<'_>) -> Result<u8, Failure> {
    ask::check_names(&options.names)?;
    let status = ask::status(places, options.names.clone(), false)?;
    let mut code = DONE;
    for name in &options.names {
        match status.services.iter().find(|service| service.name == *name) {
            Some(service) => match service.pid {
                Some(pid) => screen.say(pid)?,
                None => {
                    screen.complain(format_args!("{name}: has no process; it is {}", service.state));
                    code = code.max(NOT_RUNNING);
                }
            },
            None => {
                screen.complain(ask::no_such_service(name));
                code = code.max(UNKNOWN);
            }
        }
    }
    Ok(code)
}

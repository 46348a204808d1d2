//! Where the svc that runs has its service directories and its logs, for commands that read them without it.

use std::path::PathBuf;
use std::time::Duration;

use super::ask;
use super::places::Places;
use crate::control::Client;
use crate::protocol::control::{Reply, Status, What};

/// These commands need no supervisor: one that hangs must not hold them up for long.
const PATIENCE: Duration = Duration::from_secs(1);

/// No service has this name, so that only the part that is about svc itself is answered.
const NO_SERVICE: &str = "@";

impl Places {
    /// What was neither typed nor in the environment is where the svc that runs has it, not at the default.
    pub fn of_running(&self) -> Places {
        let asked_for_nothing = self.names_services() && self.names_log_dir();
        let running = if asked_for_nothing { None } else { running(self) };
        let Some(supervisor) = running.map(|status| status.supervisor) else {
            return self.clone();
        };
        let mut places = self.clone();
        if !self.names_services() {
            places.services = Some(PathBuf::from(supervisor.services));
        }
        if !self.names_log_dir() {
            places.log_dir = Some(PathBuf::from(supervisor.log_dir));
        }
        places
    }
}

fn running(places: &Places) -> Option<Status> {
    let mut client = Client::connect(&places.runtime_dir().ok()?).ok()?;
    client.send(What::Status { names: vec![NO_SERVICE.to_owned()], detail: false }).ok()?;
    match ask::receive(&mut client, Some(ask::now() + PATIENCE)) {
        Ok(Some(Reply::Status(status))) => Some(status),
        _ => None,
    }
}

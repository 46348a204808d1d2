//! Asking the supervisor one thing, and the names that are typed for it.

use clap::Args;

use super::failure::Failure;
use super::places::Places;
use crate::control::{Client, Received};
use crate::lifecycle::{Name, Time};
use crate::os::clock::monotonic_nanoseconds;
use crate::protocol::control::{ErrorKind, Reply, ServiceStatus, Status, What};

/// Services by name, or all.
#[derive(Args, Clone, Debug, Default)]
pub struct Which {
    /// The services, by the names of their directories
    #[arg(value_name = "NAME", required_unless_present = "all")]
    pub names: Vec<String>,
    /// All services
    #[arg(short, long, conflicts_with = "names")]
    pub all: bool,
}

/// What was typed must be able to be a name; whether there is such a service is another question.
pub fn check_names(names: &[String]) -> Result<(), Failure> {
    for name in names {
        Name::parse(name)
            .map_err(|error| Failure::Usage(format!("cannot use the name {name:?}: {error}")))?;
    }
    Ok(())
}

pub fn now() -> Time {
    Time::from_nanoseconds(monotonic_nanoseconds())
}

/// A supervisor that is killed before it answers is started again: its successor is asked. One
/// that is killed so often has another trouble.
const ASKED_MAX: u32 = 5;

/// One request, one reply. What the supervisor refuses is a failure. Only for what may be asked
/// twice.
pub fn ask(places: &Places, what: What) -> Result<Reply, Failure> {
    let runtime_dir = places.runtime_dir()?;
    for _ in 0..ASKED_MAX {
        let mut client = Client::connect(&runtime_dir)?;
        if client.send(what.clone()).is_err() {
            continue;
        }
        match client.receive(None) {
            Ok(Received::Reply(reply)) => return accepted(*reply),
            Ok(Received::Ended | Received::TimedOut) | Err(_) => {}
        }
    }
    Err(Failure::System("svc ended before it answered; try again".to_owned()))
}

fn accepted(reply: Reply) -> Result<Reply, Failure> {
    match reply {
        Reply::Error { kind, message } => Err(refused(kind, message)),
        reply => Ok(reply),
    }
}

/// The next reply; `None` at the end of the connection or of the time.
pub fn receive(client: &mut Client, deadline: Option<Time>) -> Result<Option<Reply>, Failure> {
    match client.receive(deadline)? {
        Received::Reply(reply) => accepted(*reply).map(Some),
        Received::Ended | Received::TimedOut => Ok(None),
    }
}

pub fn refused(kind: ErrorKind, message: String) -> Failure {
    match kind {
        ErrorKind::UnknownService => Failure::Unknown(message),
        ErrorKind::Usage => Failure::Usage(message),
        ErrorKind::Denied | ErrorKind::System => Failure::System(message),
    }
}

/// A reply that does not belong to the request: another program listens there.
pub fn unexpected(reply: &Reply) -> Failure {
    let text = serde_json::to_string(reply).unwrap_or_default();
    let start: String = text.chars().take(60).collect();
    Failure::System(format!("cannot understand the reply of svc: {start}"))
}

pub fn status(places: &Places, names: Vec<String>, detail: bool) -> Result<Status, Failure> {
    match ask(places, What::Status { names, detail })? {
        Reply::Status(status) => Ok(status),
        other => Err(unexpected(&other)),
    }
}

/// The names that no service of this status has.
pub fn missing<'a>(names: &'a [String], services: &[ServiceStatus]) -> Vec<&'a str> {
    names
        .iter()
        .map(String::as_str)
        .filter(|name| !services.iter().any(|service| service.name == *name))
        .collect()
}

/// The text for a name that no service has.
pub fn no_such_service(name: &str) -> String {
    format!("{name}: there is no such service; `svc list` lists them")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_a_name_is_wrong_usage() {
        assert!(check_names(&["web".to_owned(), "web/log".to_owned(), "web@blue".to_owned()]).is_ok());
        for wrong in ["", "../etc", "a/b", "a\nb", ".hidden"] {
            assert_eq!(check_names(&[wrong.to_owned()]).unwrap_err().code(), 100, "{wrong:?}");
        }
        let text = check_names(&["a b".to_owned()]).unwrap_err().to_string();
        assert_eq!(
            text,
            "cannot use the name \"a b\": a service name has letters, digits, '.', '_', '-' and '@', not ' '"
        );
    }
}

//! What the service directories say by themselves, for commands that need no supervisor.

use std::path::{Path, PathBuf};

use super::ask;
use super::failure::Failure;
use super::places::Places;
use super::screen::Screen;
use crate::lifecycle::Name;
use crate::service::{self, Listed, Problem};

/// A service directory by the name of its service.
pub struct Found {
    pub name: Name,
    pub directory: PathBuf,
}

/// All service directories; entries that cannot be one are complained about.
pub fn services(services_dir: &Path, screen: &mut Screen<'_>) -> Result<Vec<Found>, Failure> {
    let listed = service::list(services_dir).map_err(|problem| unreadable(&problem))?;
    let mut found = Vec::with_capacity(listed.len());
    for one in listed {
        match one {
            Listed::Service { name, directory } => found.push(Found { name, directory }),
            Listed::Wrong(problem) => screen.complain(format_args!("svc: {problem}")),
        }
    }
    Ok(found)
}

/// The directory of one service, or of the logger of one; whether it exists is not looked at.
pub fn directory(services_dir: &Path, name: &Name) -> PathBuf {
    services_dir.join(name.as_str())
}

/// The directories of these services, in the order in which they were typed.
pub fn named(places: &Places, names: &[String]) -> Result<Vec<Found>, Failure> {
    ask::check_names(names)?;
    let services_dir = places.services()?;
    let mut found = Vec::with_capacity(names.len());
    for name in names {
        let name = Name::parse(name).map_err(|error| Failure::Usage(error.to_string()))?;
        let directory = directory(&services_dir, &name);
        if !directory.is_dir() {
            let text = format!(
                "{name}: there is no such service; it would be the directory {}",
                directory.display()
            );
            return Err(Failure::Failed(text));
        }
        found.push(Found { name, directory });
    }
    Ok(found)
}

pub fn unreadable(problem: &Problem) -> Failure {
    Failure::System(problem.to_string())
}

//! What a service directory says: its files and `service.toml` become a `Definition`, or all that is
//! wrong with it. Invariant: reads files, changes nothing, and one broken service says nothing of
//! another.
//!
//! ```text
//!   directory ─ reading ─► texts ─ document + schema ─► draft ─ checks ─► assemble ─► Definition
//!               (files)            (keys and values)            (users,    (defaults)
//!                                                                programs)
//! ```

mod assemble;
mod checks;
pub mod definition;
mod document;
mod draft;
mod environment;
mod listing;
mod nearest;
mod problem;
mod programs;
mod reading;
mod reference;
mod schema;
mod show;
pub mod values;

use std::path::Path;

pub use definition::*;
pub use listing::{Listed, list};
pub use nearest::nearest;
pub use problem::{Level, Problem, Problems};
pub use programs::{DEFAULT_PATH, find_in_path};
pub use reference::reference;
pub use show::Shown;

use crate::lifecycle::Name;
use assemble::{Examined, Part, examine};
use reading::Reading;

/// Directories inside a service directory whose files belong to the definition.
const INNER: [&str; 3] = ["service.d", "env", "log"];

/// What one look at a service directory gives.
#[derive(Debug)]
pub struct Read {
    pub service: Result<Definition, Problems>,
    /// Of its own logger, when it has one: an executable `log/run`, with a `service.toml`, `down` and
    /// `env/` of its own beside it. Named `web/log`, its directory is `web/log`.
    pub logger: Result<Option<Definition>, Problems>,
    /// Those directories inside that hold parts of the definition and are there.
    pub inner: Vec<&'static str>,
}

/// Reads a service directory (an absolute path). Warnings are no obstacle: see `check`.
pub fn read(directory: &Path, name: &Name) -> Read {
    let examined = match examine(directory, Part::Service) {
        Ok(examined) => examined,
        Err(problem) => {
            // Nothing is known of its logger: no news is not that there is none.
            let logger = Err(Problems(Vec::new()));
            return Read { service: Err(Problems(vec![problem])), logger, inner: Vec::new() };
        }
    };
    let inner: Vec<&str> = INNER.into_iter().filter(|inner| examined.reading.has(inner)).collect();
    let logger = if inner.contains(&"log") { read_logger(directory, name) } else { Ok(None) };
    Read { service: definition(examined, name, Part::Service), logger, inner }
}

fn read_logger(service_directory: &Path, name: &Name) -> Result<Option<Definition>, Problems> {
    let directory = service_directory.join("log");
    if directory.join("run").symlink_metadata().is_err() {
        return Ok(None);
    }
    let examined = examine(&directory, Part::Logger).map_err(|problem| Problems(vec![problem]))?;
    definition(examined, &name.logger(), Part::Logger).map(Some)
}

fn definition(examined: Examined, name: &Name, part: Part) -> Result<Definition, Problems> {
    match examined.into_definition(name, part) {
        (Some(definition), _) => Ok(definition),
        (None, problems) => Err(problems),
    }
}

/// All that is wrong with a service and its logger, warnings too. Empty when all is well.
pub fn check(directory: &Path) -> Problems {
    let mut problems = Vec::new();
    for (directory, part) in [(directory.to_owned(), Part::Service), (directory.join("log"), Part::Logger)] {
        if part == Part::Logger && directory.join("run").symlink_metadata().is_err() {
            continue;
        }
        match examine(&directory, part) {
            Ok(examined) => problems.extend(examined.problems()),
            Err(problem) => problems.push(problem),
        }
    }
    Problems(problems)
}

/// What `svc check` found of one service, or of one entry that cannot be a service.
#[derive(Clone, Debug)]
pub struct Checked {
    pub name: Option<Name>,
    pub problems: Problems,
}

/// Checks every service of the services directory.
pub fn check_all(services_dir: &Path) -> Result<Vec<Checked>, Problem> {
    let listed = list(services_dir)?;
    Ok(listed
        .into_iter()
        .map(|listed| match listed {
            Listed::Service { name, directory } => Checked { name: Some(name), problems: check(&directory) },
            Listed::Wrong(problem) => Checked { name: None, problems: Problems(vec![problem]) },
        })
        .collect())
}

/// Every effective value of a service (or of a logger, for its name) and where it comes from.
pub fn shown(directory: &Path, name: &Name) -> Result<Vec<Shown>, Problems> {
    let part = if name.logged_service().is_some() { Part::Logger } else { Part::Service };
    let examined = examine(directory, part).map_err(|problem| Problems(vec![problem]))?;
    let problems = examined.problems();
    if problems.has_errors() { Err(problems) } else { Ok(examined.shown(part)) }
}

/// `Definition::fingerprint` of the directory as it is now; 0 when it cannot be read.
pub fn fingerprint(directory: &Path) -> u64 {
    match Reading::open(directory) {
        Ok(mut reading) => {
            let draft = reading.documents();
            reading.stamp_files(&draft);
            reading.fingerprint()
        }
        Err(_) => 0,
    }
}

//! Which services there are: the directories in the services directory.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::problem::Problem;
use super::reading::cause;
use crate::lifecycle::Name;
use crate::os::directory::{Directory, Entry, FileKind};

/// Everything has a limit; ten times the largest number that is tested.
const SERVICES_MAX: usize = 10_000;

/// An entry of the services directory that is, or wants to be, a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listed {
    Service { name: Name, directory: PathBuf },
    Wrong(Problem),
}

/// The services in the order of their names. Entries with a leading dot and plain files are none.
pub fn list(services_dir: &Path) -> Result<Vec<Listed>, Problem> {
    let whole = |error: io::Error| {
        Problem::new(services_dir, format!("cannot be read: {}", cause(&error)))
            .help("it has to be a directory with one directory for each service")
    };
    let directory = Directory::open(services_dir).map_err(whole)?;
    let mut entries = directory.entries().map_err(whole)?;
    entries.sort_by(|one, other| one.name.cmp(&other.name));
    let mut listed: Vec<Listed> =
        entries.iter().filter_map(|entry| judge(services_dir, &directory, entry)).collect();
    if listed.len() > SERVICES_MAX {
        listed.truncate(SERVICES_MAX);
        let text = format!("has more than {SERVICES_MAX} services; the others are left out");
        listed.push(Listed::Wrong(Problem::new(services_dir, text)));
    }
    Ok(listed)
}

fn judge(services_dir: &Path, directory: &Directory, entry: &Entry) -> Option<Listed> {
    if entry.name.as_bytes().starts_with(b".") {
        return None;
    }
    let path = services_dir.join(&entry.name);
    let wrong = |text: String| Some(Listed::Wrong(Problem::new(&path, text)));
    let kind = match entry.kind {
        Some(known) if known != FileKind::Link => known,
        Some(_) | None => match directory.facts(&entry.name) {
            Ok(facts) => facts.kind,
            Err(error) => {
                return match path.read_link() {
                    Ok(target) if error.kind() == io::ErrorKind::NotFound => {
                        wrong(format!("is a link to {}, which does not exist", target.display()))
                    }
                    Ok(target) => wrong(format!("is a link to {}: {}", target.display(), cause(&error))),
                    // It has gone since the directory was read.
                    Err(_) if error.kind() == io::ErrorKind::NotFound => None,
                    Err(_) => wrong(format!("cannot be read: {}", cause(&error))),
                };
            }
        },
    };
    if kind != FileKind::Directory {
        return None;
    }
    let Some(name) = entry.name.to_str() else {
        return wrong("is no service name: it is not UTF-8".into());
    };
    match Name::new(name) {
        Ok(name) => Some(Listed::Service { name, directory: path }),
        Err(why) => wrong(format!("is no service: {why}")),
    }
}

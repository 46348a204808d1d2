//! The words that make this process a guardian or a supervisor, and what it is told.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::failure::Failure;
use super::places::Places;
use super::typed::Role;

#[derive(Args, Debug, Default)]
pub struct SuperviseOptions {
    /// The folder of the service directories
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

#[derive(Args, Debug, Default)]
pub struct DaemonOptions {
    /// The folder of the service directories
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Where svc writes its own messages; without it they are thrown away
    #[arg(long, value_name = "FILE")]
    log_file: Option<PathBuf>,
}

#[derive(Args, Debug, Default)]
pub struct InitOptions {
    /// The folder of the service directories
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Run this one program instead
    #[arg(last = true, value_name = "CMD", conflicts_with = "directory")]
    command: Vec<OsString>,
}

#[derive(Args, Debug)]
pub struct SupervisorOptions {
    #[arg(long, value_enum)]
    place: Place,
}

/// Where svc runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Place {
    Terminal,
    Container,
    System,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GuardianSort {
    Foreground,
    Init,
    Daemon {
        log_file: Option<PathBuf>,
    },
    /// Made by a supervisor whose guardian was killed.
    Successor,
}

#[derive(Debug, PartialEq, Eq)]
pub struct GuardianRole {
    pub runtime_dir: PathBuf,
    pub services_dir: PathBuf,
    /// argv of the supervisor.
    pub supervisor_arguments: Vec<OsString>,
    pub sort: GuardianSort,
}

#[derive(Debug, PartialEq, Eq)]
pub struct SupervisorRole {
    pub services_dir: PathBuf,
    pub runtime_dir: PathBuf,
    pub log_dir: PathBuf,
    pub state_dir: PathBuf,
    pub place: Place,
}

pub fn supervise(options: SuperviseOptions, places: Places) -> Result<Role, Failure> {
    guardian(options.directory, &places, GuardianSort::Foreground, Place::Terminal)
}

pub fn daemon(options: DaemonOptions, places: Places) -> Result<Role, Failure> {
    let log_file = match options.log_file {
        Some(path) => Some(std::path::absolute(&path).map_err(|error| {
            Failure::Usage(format!("cannot use the path {:?}: {error}", path.display().to_string()))
        })?),
        None => None,
    };
    guardian(options.directory, &places, GuardianSort::Daemon { log_file }, Place::System)
}

pub fn init(options: InitOptions, places: Places) -> Result<Role, Failure> {
    if !options.command.is_empty() {
        return Ok(Role::Single(options.command));
    }
    guardian(options.directory, &places, GuardianSort::Init, Place::Container)
}

pub fn successor(options: SupervisorOptions, places: Places) -> Result<Role, Failure> {
    guardian(None, &places, GuardianSort::Successor, options.place)
}

pub fn supervisor(options: SupervisorOptions, places: Places) -> Result<Role, Failure> {
    Ok(Role::Supervisor(SupervisorRole {
        services_dir: places.services()?,
        runtime_dir: places.runtime_dir()?,
        log_dir: places.log_dir()?,
        state_dir: places.state_dir()?,
        place: options.place,
    }))
}

fn guardian(
    directory: Option<PathBuf>,
    places: &Places,
    sort: GuardianSort,
    place: Place,
) -> Result<Role, Failure> {
    let typed = Places { services: directory, ..Places::default() };
    let places = typed.or(places.clone());
    let (services_dir, runtime_dir) = (places.services()?, places.runtime_dir()?);
    let (log_dir, state_dir) = (places.log_dir()?, places.state_dir()?);
    if sort != GuardianSort::Successor {
        look_at(&services_dir)?;
    }
    let place_word = match place {
        Place::Terminal => "terminal",
        Place::Container => "container",
        Place::System => "system",
    };
    let supervisor_arguments = [
        "svc".into(),
        "supervisor".into(),
        "--place".into(),
        place_word.into(),
        "--services".into(),
        services_dir.clone().into_os_string(),
        "--runtime-dir".into(),
        runtime_dir.clone().into_os_string(),
        "--log-dir".into(),
        log_dir.into_os_string(),
        "--state-dir".into(),
        state_dir.into_os_string(),
    ];
    Ok(Role::Guardian(GuardianRole {
        runtime_dir,
        services_dir,
        supervisor_arguments: supervisor_arguments.into(),
        sort,
    }))
}

/// The first thing a newcomer meets.
fn look_at(services_dir: &Path) -> Result<(), Failure> {
    let path = services_dir.display();
    match services_dir.metadata() {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(Failure::System(format!(
            "cannot run the services of {path}: it is no directory; name the folder that holds the service directories"
        ))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Failure::System(format!(
            "cannot run the services of {path}: it does not exist; make a first service with \
             `mkdir -p {path}/hello` and an executable {path}/hello/run that starts a program in the foreground, \
             or name another folder"
        ))),
        Err(error) => Err(Failure::System(format!("cannot run the services of {path}: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(place: Place, sort: GuardianSort, top: &Path) -> GuardianRole {
        let below = |name: &str| Some(top.join(name));
        let places = Places {
            services: None,
            runtime_dir: below("run"),
            log_dir: below("log"),
            state_dir: below("state"),
        };
        match guardian(Some(top.to_owned()), &places, sort, place).unwrap() {
            Role::Guardian(role) => role,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_supervisor_is_told_all_places_and_reads_them_back() {
        let top = tempfile::tempdir().unwrap();
        for (place, sort) in [
            (Place::Terminal, GuardianSort::Foreground),
            (Place::Container, GuardianSort::Init),
            (Place::System, GuardianSort::Daemon { log_file: None }),
        ] {
            let guardian = role(place, sort.clone(), top.path());
            assert_eq!(guardian.sort, sort);
            let expected = SupervisorRole {
                services_dir: top.path().to_owned(),
                runtime_dir: top.path().join("run"),
                log_dir: top.path().join("log"),
                state_dir: top.path().join("state"),
                place,
            };
            assert_eq!(crate::cli::role_of(&guardian.supervisor_arguments), Role::Supervisor(expected));
        }
    }

    #[test]
    fn a_missing_directory_says_what_to_make() {
        let error = look_at(Path::new("/nowhere/services")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot run the services of /nowhere/services: it does not exist; make a first service with `mkdir -p \
             /nowhere/services/hello` and an executable /nowhere/services/hello/run that starts a program in the \
             foreground, or name another folder"
        );
        assert_eq!(error.code(), 111);
        let error = look_at(Path::new("/dev/null")).unwrap_err().to_string();
        assert!(error.contains("it is no directory"), "{error}");
    }
}

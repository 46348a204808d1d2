//! `svc check`: what is wrong with service directories, all at once; nothing is started.

use std::path::PathBuf;

use clap::Args;

use super::disk;
use super::failure::{DONE, FAILED, Failure};
use super::places::Places;
use super::screen::Screen;
use crate::service::{self, Checked};

#[derive(Args, Debug)]
pub struct Options {
    /// Services, or a folder of service directories (with a slash in it); without one, all services
    #[arg(value_name = "DIR|NAME")]
    what: Vec<String>,
    /// Print problems only
    #[arg(short, long)]
    quiet: bool,
}

pub fn run(options: Options, places: &Places, screen: &mut Screen<'_>) -> Result<u8, Failure> {
    let places = &places.of_running();
    let checked = if options.what.is_empty() {
        folder(places.services()?)?
    } else {
        let mut checked = Vec::new();
        for what in &options.what {
            checked.extend(one(what, places)?);
        }
        checked
    };
    let mut errors = 0;
    for Checked { name, problems } in &checked {
        errors += problems.iter().filter(|problem| problem.is_error()).count();
        if !problems.is_empty() {
            screen.say(problems)?;
        } else if let Some(name) = name
            && !options.quiet
        {
            screen.say(format_args!("{name}: ok"))?;
        }
    }
    Ok(if errors == 0 { DONE } else { FAILED })
}

/// A word without a slash is the name of a service, unless there is none and it is a folder.
fn one(what: &str, places: &Places) -> Result<Vec<Checked>, Failure> {
    let path = std::path::absolute(what)
        .map_err(|error| Failure::Usage(format!("cannot use the path {what:?}: {error}")))?;
    let looks_like_path = what.contains('/') || what.starts_with('.');
    if !looks_like_path {
        match disk::named(places, &[what.to_owned()]) {
            Ok(found) => {
                let checked = |found: disk::Found| Checked {
                    problems: service::check(&found.directory),
                    name: Some(found.name),
                };
                return Ok(found.into_iter().map(checked).collect());
            }
            Err(_) if path.is_dir() => {}
            Err(failure) => return Err(failure),
        }
    }
    if is_service(&path) {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| crate::lifecycle::Name::new(name).ok());
        return Ok(vec![Checked { problems: service::check(&path), name }]);
    }
    folder(path)
}

/// One service directory rather than a folder of them.
fn is_service(path: &std::path::Path) -> bool {
    path.join("run").symlink_metadata().is_ok() || path.join("service.toml").symlink_metadata().is_ok()
}

fn folder(path: PathBuf) -> Result<Vec<Checked>, Failure> {
    service::check_all(&path).map_err(|problem| disk::unreadable(&problem))
}

//! `svc logs`: what services have printed, merged in time order, and on as it comes.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use clap::Args;

use super::failure::{DONE, Failure};
use super::moment::{self, Moment};
use super::places::Places;
use super::screen::{Screen, Style};
use super::{ask, disk};
use crate::lifecycle::Name;
use crate::logger::read::{Item, LogReader, Query};
use crate::logger::rfc3339;
use crate::os::inotify::{Inotify, Kinds};
use crate::os::poll::{Waiting, poll};

/// What `-f` shows of the past, as tail does.
const LINES_BEFORE_FOLLOWING: usize = 10;

#[derive(Args, Debug)]
pub struct Options {
    /// The services; without a name, all
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Go on with what comes, until interrupted
    #[arg(short, long)]
    follow: bool,
    /// The last N lines only
    #[arg(short = 'n', long, value_name = "N")]
    lines: Option<usize>,
    /// Nothing before this time
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    since: Option<Moment>,
    /// Nothing after this time
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    until: Option<Moment>,
    /// The lines alone, without time and name in front
    #[arg(long)]
    no_prefix: bool,
}

pub fn run(options: Options, places: &Places, screen: &mut Screen<'_>) -> Result<u8, Failure> {
    let places = &places.of_running();
    let log_dir = places.log_dir()?;
    let names = names(&options.names, places, &log_dir, screen)?;
    let lines = match options.lines {
        None if options.follow && options.since.is_none() => Some(LINES_BEFORE_FOLLOWING),
        lines => lines,
    };
    let query = Query {
        lines,
        since: options.since.map(|moment| moment.since_1970),
        until: options.until.map(|moment| moment.since_1970),
        follow: options.follow,
    };
    let mut prefix = Prefix::new(&options, &names);
    let mut reader =
        LogReader::open(&log_dir, &names, query).map_err(|error| unreadable(&log_dir, &error))?;
    let mut newcomers = match options.follow && options.names.is_empty() {
        true => Some(Newcomers::watch(&log_dir).map_err(|error| unreadable(&log_dir, &error))?),
        false => None,
    };
    loop {
        for name in newcomers.iter_mut().flat_map(|newcomers| newcomers.look(&log_dir)) {
            prefix.widen(&name);
            reader.add(name).map_err(|error| unreadable(&log_dir, &error))?;
        }
        for item in reader.by_ref() {
            let item = item.map_err(|error| unreadable(&log_dir, &error))?;
            let line = prefix.line(&item, screen);
            screen.pass_on(&line)?;
        }
        screen.flush()?;
        if !options.follow {
            return Ok(DONE);
        }
        let waited = match &newcomers {
            Some(newcomers) => newcomers.wait(reader.descriptor()),
            None => reader.wait(None),
        };
        waited.map_err(|error| unreadable(&log_dir, &error))?;
    }
}

/// Services that write their first line while the logs of all are followed.
struct Newcomers {
    inotify: Inotify,
    looked: bool,
}

impl Newcomers {
    /// The log directory itself may still have to be made.
    fn watch(log_dir: &Path) -> io::Result<Self> {
        let inotify = Inotify::new()?;
        Self::follow(&inotify, log_dir)?;
        Ok(Self { inotify, looked: false })
    }

    fn follow(inotify: &Inotify, log_dir: &Path) -> io::Result<()> {
        let kinds = Kinds::CREATED | Kinds::MOVED_TO | Kinds::ONLY_DIRECTORY;
        for place in log_dir.ancestors() {
            match inotify.add(place, kinds) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                watched => return watched.map(drop),
            }
        }
        Ok(())
    }

    /// All that have a log, when there may be new ones. Those that are read already do no harm.
    fn look(&mut self, log_dir: &Path) -> BTreeSet<Name> {
        let came = self.inotify.read().is_ok_and(|events| !events.is_empty());
        if !came && std::mem::replace(&mut self.looked, true) {
            return BTreeSet::new();
        }
        Self::follow(&self.inotify, log_dir).err();
        logged(log_dir).unwrap_or_default()
    }

    fn wait(&self, others: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let all = others.into_iter().chain([self.inotify.as_fd()]);
        poll(&mut all.map(Waiting::to_read).collect::<Vec<_>>(), None).map(drop)
    }
}

fn unreadable(log_dir: &Path, error: &io::Error) -> Failure {
    Failure::System(format!("cannot read the logs in {}: {error}", log_dir.display()))
}

/// What was typed, else every service that is there or has left a log.
fn names(
    typed: &[String],
    places: &Places,
    log_dir: &Path,
    screen: &mut Screen<'_>,
) -> Result<Vec<Name>, Failure> {
    ask::check_names(typed)?;
    if !typed.is_empty() {
        let services_dir = places.services()?;
        let mut names = BTreeSet::new();
        for text in typed {
            let name = Name::parse(text).map_err(|error| Failure::Usage(error.to_string()))?;
            if !log_dir.join(name.as_str()).is_dir() && !disk::directory(&services_dir, &name).is_dir() {
                let text = format!("{name}: there is no such service and no log in {}", log_dir.display());
                return Err(Failure::Failed(text));
            }
            names.insert(name);
        }
        return Ok(names.into_iter().collect());
    }
    let mut names = logged(log_dir).map_err(|error| unreadable(log_dir, &error))?;
    let services_dir = places.services()?;
    if services_dir.is_dir() {
        names.extend(disk::services(&services_dir, screen)?.into_iter().map(|service| service.name));
    }
    Ok(names.into_iter().collect())
}

/// Those that have a log.
fn logged(log_dir: &Path) -> io::Result<BTreeSet<Name>> {
    match std::fs::read_dir(log_dir) {
        Ok(entries) => {
            let directories = entries.flatten().filter(|entry| entry.path().is_dir());
            Ok(directories.filter_map(|entry| Name::new(entry.file_name().to_str()?).ok()).collect())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeSet::new()),
        Err(error) => Err(error),
    }
}

/// What stands in front of a line.
struct Prefix {
    time: bool,
    /// As wide as the longest name; `None` when there is only one service.
    name_width: Option<usize>,
}

impl Prefix {
    fn new(options: &Options, names: &[Name]) -> Self {
        let all_to_come = options.follow && options.names.is_empty();
        let several = (names.len() > 1 || all_to_come) && !options.no_prefix;
        let widest = names.iter().map(|name| name.as_str().len()).max().unwrap_or(0);
        Self { time: !options.no_prefix, name_width: several.then_some(widest) }
    }

    fn widen(&mut self, name: &Name) {
        self.name_width = self.name_width.map(|width| width.max(name.as_str().len()));
    }

    fn line(&self, item: &Item, screen: &Screen<'_>) -> Vec<u8> {
        let mut line = Vec::with_capacity(item.line.len() + 64);
        if let Some(stamp) = item.stamp
            && self.time
        {
            line.extend_from_slice(&rfc3339(stamp));
            line.push(b' ');
        }
        if let Some(width) = self.name_width {
            let padded = format!("{:<width$} | ", item.name);
            line.extend_from_slice(screen.paint(Style::Cyan, &padded).as_bytes());
        }
        line.extend_from_slice(&item.line);
        line.push(b'\n');
        line
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn several_services_have_their_names_in_front_and_bytes_stay_as_they_are() {
        let item = |name: &str| Item {
            name: Name::new(name).unwrap(),
            stamp: Some(Duration::from_micros(1_763_830_800_000_123)),
            line: b"caf\xe9 \x1b[1mbold".to_vec(),
        };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let screen = Screen::into(&mut out, &mut err);
        let several = Prefix { time: true, name_width: Some(5) };
        assert_eq!(
            several.line(&item("web"), &screen),
            b"2025-11-22T17:00:00.000123Z web   | caf\xe9 \x1b[1mbold\n"
        );
        let one = Prefix { time: true, name_width: None };
        assert_eq!(one.line(&item("web"), &screen), b"2025-11-22T17:00:00.000123Z caf\xe9 \x1b[1mbold\n");
        let bare = Prefix { time: false, name_width: None };
        assert_eq!(bare.line(&item("web"), &screen), b"caf\xe9 \x1b[1mbold\n");
    }
}

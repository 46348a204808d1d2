//! The watch on the service directories: a thread that turns inotify into news.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crossbeam_channel::Sender;

use super::inbox::{DirectoryNews, Input};
use crate::lifecycle::Name;
use crate::os::inotify::{Inotify, Kinds, WatchId};
use crate::os::poll::{Waiting, poll};
use crate::service::{self, Listed};

/// Copying or editing a directory takes several steps: news is given after this long without one.
const QUIET: Duration = Duration::from_millis(40);

/// So long after the watch began, everything is looked at once more: what was edited between
/// reading and watching is found then.
const SECOND_LOOK: Duration = Duration::from_secs(1);

/// How often a folder that is away is looked for.
const FOLDER_AGAIN: Duration = Duration::from_millis(500);

/// Directories inside a service directory whose files belong to the definition.
const INNER: [&str; 3] = ["service.d", "env", "log"];

struct Watch {
    services_dir: PathBuf,
    inotify: Inotify,
    folder: Option<WatchId>,
    /// Several names for one directory (links) share its watch.
    services: BTreeMap<WatchId, BTreeSet<Name>>,
    inbox: Sender<Input>,
    blind: bool,
}

fn changes() -> Kinds {
    Kinds::CREATED
        | Kinds::DELETED
        | Kinds::MOVED_FROM
        | Kinds::MOVED_TO
        | Kinds::CLOSED_AFTER_WRITING
        | Kinds::ATTRIBUTES
        | Kinds::SELF_MOVED
        | Kinds::ONLY_DIRECTORY
}

/// Starts the thread. It ends with the process.
pub fn watch(services_dir: &Path, inbox: Sender<Input>) -> io::Result<()> {
    let watch = Watch {
        services_dir: services_dir.to_owned(),
        inotify: Inotify::new()?,
        folder: None,
        services: BTreeMap::new(),
        inbox,
        blind: false,
    };
    thread::Builder::new().name("directories".to_owned()).spawn(move || watch.run())?;
    Ok(())
}

impl Watch {
    fn run(mut self) {
        self.watch_folder();
        let all = self.watch_services();
        let mut second_look = Some(all);
        loop {
            let mut touched = BTreeSet::new();
            let mut listing = false;
            let mut patience = match (&second_look, self.folder) {
                (Some(_), _) => Some(SECOND_LOOK),
                (None, None) => Some(FOLDER_AGAIN),
                (None, Some(_)) => None,
            };
            loop {
                match poll(&mut [Waiting::to_read(self.inotify.as_fd())], patience) {
                    Ok(0) if patience.is_some() => break,
                    Ok(0) => continue,
                    Ok(_) => {}
                    Err(_) => return,
                }
                if !self.take_news(&mut touched, &mut listing) {
                    return;
                }
                patience = Some(QUIET);
            }
            touched.extend(second_look.take().into_iter().flatten());
            listing |= self.folder.is_none() && self.watch_folder();
            if listing {
                touched.extend(self.watch_services());
                if self.inbox.send(Input::Directories(DirectoryNews::Listing)).is_err() {
                    return;
                }
            }
            for name in &touched {
                self.watch_service(name);
            }
            let names: Vec<Name> = touched.into_iter().collect();
            if !names.is_empty()
                && self.inbox.send(Input::Directories(DirectoryNews::Touched { names })).is_err()
            {
                return;
            }
        }
    }

    /// False when the kernel does not answer any more.
    fn take_news(&mut self, touched: &mut BTreeSet<Name>, listing: &mut bool) -> bool {
        let Ok(events) = self.inotify.read() else { return false };
        for event in events {
            if event.kinds.any(Kinds::OVERFLOW) {
                *listing = true;
                touched.extend(self.services.values().flatten().cloned());
            } else if self.folder == Some(event.watch) {
                *listing = true;
                touched.extend(event.name.as_ref().and_then(|name| Name::new(name.to_str()?).ok()));
            } else if let Some(names) = self.services.get(&event.watch) {
                touched.extend(names.iter().cloned());
            }
            if event.kinds.any(Kinds::FORGOTTEN) {
                self.services.remove(&event.watch);
                if self.folder == Some(event.watch) {
                    self.folder = None;
                }
            } else if event.kinds.any(Kinds::SELF_MOVED) && self.folder == Some(event.watch) {
                // Another may take its place: what the watch follows is not in it any more.
                self.folder = None;
                self.inotify.remove(event.watch).err();
            }
        }
        true
    }

    /// True when it is watched now.
    fn watch_folder(&mut self) -> bool {
        match self.inotify.add(&self.services_dir, changes()) {
            Ok(watch) => self.folder = Some(watch),
            // Away; it is looked for until it is back.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => self.say_blind(self.services_dir.clone(), &error),
        }
        self.folder.is_some()
    }

    /// Watches what is not watched yet and returns its names.
    fn watch_services(&mut self) -> Vec<Name> {
        let Ok(listed) = service::list(&self.services_dir) else { return Vec::new() };
        let watched: BTreeSet<Name> = self.services.values().flatten().cloned().collect();
        let names: Vec<Name> =
            listed.into_iter().filter_map(service_name).filter(|name| !watched.contains(name)).collect();
        for name in &names {
            self.watch_service(name);
        }
        names
    }

    fn watch_service(&mut self, name: &Name) {
        let directory = self.services_dir.join(name.as_str());
        let inner = INNER.iter().map(|inner| directory.join(inner)).filter(|inner| inner.is_dir());
        for path in std::iter::once(directory.clone()).chain(inner) {
            match self.inotify.add(&path, changes()) {
                Ok(watch) => {
                    self.services.entry(watch).or_default().insert(name.clone());
                }
                // Gone again: the folder's own watch tells.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => self.say_blind(path, &error),
            }
        }
    }

    /// Said once: the reasons (no watches left, no rights) do not go away by themselves.
    fn say_blind(&mut self, path: PathBuf, error: &io::Error) {
        if !std::mem::replace(&mut self.blind, true) {
            let why = error.to_string();
            if self.inbox.send(Input::Directories(DirectoryNews::Blind { path, why })).is_err() {
                self.blind = true;
            }
        }
    }
}

fn service_name(entry: Listed) -> Option<Name> {
    match entry {
        Listed::Service { name, .. } => Some(name),
        Listed::Wrong(_) => None,
    }
}

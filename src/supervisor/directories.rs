//! The watch on the service directories: inotify becomes news.
//!
//! A directory is watched before it is read, so nothing is missed between the two. The thread only
//! waits until things have calmed down; what the events mean is found out on the main thread, which
//! alone knows what is watched.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::mem;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam_channel::Sender;

use super::event_loop::now;
use super::inbox::Input;
use crate::lifecycle::{Name, Time};
use crate::os::inotify::{Event, Inotify, Kinds, WatchId};
use crate::os::poll::{Waiting, poll};

/// Copying or editing a directory takes several steps: news is given after this long without one.
const QUIET: Duration = Duration::from_millis(40);

/// News is given after this many events, quiet or not.
const EVENTS_MAX: usize = 10_000;

/// How often a folder that is away is looked for.
const FOLDER_AGAIN: Duration = Duration::from_millis(500);

/// What has to be looked at again.
#[derive(Debug, Default)]
pub struct Touched {
    /// Entries of the folder came or went.
    pub listing: bool,
    /// Something happened in these service directories.
    pub names: BTreeSet<Name>,
}

/// What is watched. Without inotify, nothing ever is.
#[derive(Debug, Default)]
pub struct Directories {
    inotify: Option<Arc<Inotify>>,
    /// The thread is to end when it is woken.
    over: Arc<AtomicBool>,
    services_dir: PathBuf,
    folder: Option<WatchId>,
    /// Several names for one directory (links) share its watch.
    services: BTreeMap<WatchId, Vec<Name>>,
    folder_again: Option<Time>,
    /// Something could not be watched, and that has been said: the reasons (no watches left, no
    /// rights) do not go away by themselves.
    blind: bool,
    /// What could not be watched, and why, until somebody asks.
    trouble: Option<(PathBuf, io::Error)>,
}

/// A service appears and goes by its entry in the folder; what happens inside of a file there is
/// nobody's business.
fn changes_of_folder() -> Kinds {
    Kinds::CREATED
        | Kinds::DELETED
        | Kinds::MOVED_FROM
        | Kinds::MOVED_TO
        | Kinds::ATTRIBUTES
        | Kinds::SELF_MOVED
        | Kinds::ONLY_DIRECTORY
}

fn changes_of_service() -> Kinds {
    changes_of_folder() | Kinds::CLOSED_AFTER_WRITING
}

impl Directories {
    /// Begins with the folder itself; starts the thread, which ends with the process.
    pub fn watch(services_dir: &Path, inbox: Sender<Input>) -> io::Result<Self> {
        let inotify = Arc::new(Inotify::new()?);
        let over = Arc::new(AtomicBool::new(false));
        let (read, end) = (Arc::clone(&inotify), Arc::clone(&over));
        thread::Builder::new().name("directories".to_owned()).spawn(move || pass_on(&read, &end, &inbox))?;
        let services_dir = services_dir.to_owned();
        let mut directories = Self { inotify: Some(inotify), over, services_dir, ..Self::default() };
        directories.watch_folder();
        Ok(directories)
    }

    /// Where nothing can be watched at all.
    pub fn unwatched(services_dir: &Path, error: io::Error) -> Self {
        Self { blind: true, trouble: Some((services_dir.to_owned(), error)), ..Self::default() }
    }

    /// Call before the directory is read; again when it may have been replaced.
    pub fn watch_service(&mut self, name: &Name) {
        self.add(name, self.services_dir.join(name.as_str()));
    }

    /// A directory inside of a service's. True when it was not watched before: then it has to be
    /// read once more.
    pub fn watch_inner(&mut self, name: &Name, inner: &str) -> bool {
        self.add(name, self.services_dir.join(name.as_str()).join(inner))
    }

    fn add(&mut self, name: &Name, path: PathBuf) -> bool {
        let Some(inotify) = &self.inotify else { return false };
        match inotify.add(&path, changes_of_service()) {
            Ok(watch) => {
                let names = self.services.entry(watch).or_insert_with(|| Vec::with_capacity(1));
                let is_new = !names.contains(name);
                if is_new {
                    names.push(name.clone());
                }
                is_new
            }
            // Gone again: the folder's own watch tells.
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => {
                self.is_blind(path, error);
                false
            }
        }
    }

    /// True when it is watched now.
    fn watch_folder(&mut self) -> bool {
        let Some(inotify) = &self.inotify else { return false };
        match inotify.add(&self.services_dir, changes_of_folder()) {
            Ok(watch) => self.folder = Some(watch),
            // Away; it is looked for until it is back.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => self.is_blind(self.services_dir.clone(), error),
        }
        self.folder_again = self.folder.is_none().then(|| now() + FOLDER_AGAIN);
        self.folder.is_some()
    }

    /// Nothing that happens there matters any more; the watch ends beside what else there is to do.
    pub fn end(&mut self) {
        let Some(inotify) = self.inotify.take() else { return };
        self.over.store(true, Ordering::Release);
        // Being told that this one is forgotten wakes the thread.
        for watch in self.folder.take().into_iter().chain(self.services.keys().copied()).take(1) {
            inotify.remove(watch).err();
        }
        self.folder_again = None;
        self.services.clear();
    }

    /// When a folder that is away is looked for again.
    pub fn next_look(&self) -> Option<Time> {
        self.folder_again
    }

    /// True when the folder has come back.
    pub fn look(&mut self) -> bool {
        self.folder_again.is_some_and(|at| at <= now()) && self.watch_folder()
    }

    /// What the kernel's events mean.
    pub fn understand(&mut self, events: Vec<Event>) -> Touched {
        let mut touched = Touched::default();
        for event in events {
            if event.kinds.any(Kinds::OVERFLOW) {
                touched.listing = true;
                touched.names.extend(self.services.values().flatten().cloned());
            } else if self.folder == Some(event.watch) {
                touched.listing = true;
                touched.names.extend(event.name.as_ref().and_then(|name| Name::new(name.to_str()?).ok()));
            } else if let Some(names) = self.services.get(&event.watch) {
                touched.names.extend(names.iter().cloned());
            }
            if event.kinds.any(Kinds::FORGOTTEN) {
                // What came in its place meanwhile is looked for by name.
                touched.names.extend(self.services.remove(&event.watch).into_iter().flatten());
                if self.folder == Some(event.watch) {
                    self.folder = None;
                }
            } else if event.kinds.any(Kinds::SELF_MOVED) && self.folder == Some(event.watch) {
                // Another may take its place: what the watch follows is not in it any more.
                self.folder = None;
                if let Some(inotify) = &self.inotify {
                    inotify.remove(event.watch).err();
                }
            }
        }
        if self.folder.is_none() && self.inotify.is_some() {
            touched.listing |= self.watch_folder();
        }
        touched
    }

    fn is_blind(&mut self, path: PathBuf, error: io::Error) {
        if !mem::replace(&mut self.blind, true) {
            self.trouble = Some((path, error));
        }
    }

    /// What cannot be watched, and why. Told once.
    pub fn take_trouble(&mut self) -> Option<(PathBuf, io::Error)> {
        self.trouble.take()
    }
}

/// The thread: events go on when none has come for a moment.
fn pass_on(inotify: &Inotify, over: &AtomicBool, inbox: &Sender<Input>) {
    let mut events: Vec<Event> = Vec::new();
    loop {
        let patience = (!events.is_empty()).then_some(QUIET);
        let came = match poll(&mut [Waiting::to_read(inotify.as_fd())], patience) {
            Ok(ready) => ready > 0,
            Err(_) => return,
        };
        if over.load(Ordering::Acquire) {
            return;
        }
        if came {
            match inotify.read() {
                Ok(new) => events.extend(new),
                Err(_) => return,
            }
            // The same over and over is one piece of news.
            events.dedup();
        }
        let due = !events.is_empty() && (!came || events.len() >= EVENTS_MAX);
        if due && inbox.send(Input::Directories(mem::take(&mut events))).is_err() {
            return;
        }
    }
}

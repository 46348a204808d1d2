//! Being told when a log has changed, or when one that is not there yet appears.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::os::inotify::{Inotify, Kinds, WatchId};
use crate::os::poll::{Waiting, poll};

/// The directories of the streams, by number; for those that are not there, what is above them.
#[derive(Debug)]
pub struct Watches {
    inotify: Inotify,
    logs: BTreeMap<WatchId, BTreeSet<usize>>,
    /// Not there yet.
    absent: BTreeMap<usize, PathBuf>,
    /// Existing directories above absent ones.
    above: BTreeSet<WatchId>,
    log_dir: PathBuf,
    directories: BTreeMap<usize, PathBuf>,
}

impl Watches {
    pub fn new(log_dir: &Path) -> io::Result<Self> {
        Ok(Self {
            inotify: Inotify::new()?,
            logs: BTreeMap::new(),
            absent: BTreeMap::new(),
            above: BTreeSet::new(),
            log_dir: log_dir.to_owned(),
            directories: BTreeMap::new(),
        })
    }

    pub fn add(&mut self, directory: &Path, stream: usize) -> io::Result<()> {
        self.directories.insert(stream, directory.to_owned());
        self.absent.insert(stream, directory.to_owned());
        self.find_absent().map(drop)
    }

    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }

    pub fn wait(&self, timeout: Option<Duration>) -> io::Result<()> {
        poll(&mut [Waiting::to_read(self.inotify.as_fd())], timeout).map(drop)
    }

    /// Adds the streams that may have more to `fresh`.
    pub fn collect(&mut self, fresh: &mut BTreeSet<usize>) -> io::Result<()> {
        let mut look_above = false;
        for event in self.inotify.read()? {
            if event.kinds.any(Kinds::OVERFLOW) {
                fresh.extend(self.directories.keys());
                look_above = true;
            } else if let Some(streams) = self.logs.get(&event.watch) {
                fresh.extend(streams);
                look_above |= event.kinds.any(Kinds::CREATED | Kinds::MOVED_TO) && !self.absent.is_empty();
                if event.kinds.any(Kinds::SELF_MOVED) {
                    self.inotify.remove(event.watch)?;
                }
                if event.kinds.any(Kinds::FORGOTTEN | Kinds::SELF_MOVED) {
                    // The directory is gone from here: another may take its place.
                    for stream in self.logs.remove(&event.watch).unwrap_or_default() {
                        if let Some(directory) = self.directories.get(&stream) {
                            self.absent.insert(stream, directory.clone());
                        }
                    }
                    look_above = true;
                }
            } else {
                look_above = true;
                if event.kinds.any(Kinds::FORGOTTEN) {
                    self.above.remove(&event.watch);
                }
            }
        }
        if look_above {
            fresh.extend(self.find_absent()?);
        }
        Ok(())
    }

    /// Watches the directories that have appeared, and for the others what is above them. Gives
    /// the streams that have a directory now.
    fn find_absent(&mut self) -> io::Result<Vec<usize>> {
        let mut found = Vec::new();
        loop {
            found.extend(self.watch_present()?);
            if self.absent.is_empty() {
                for watch in std::mem::take(&mut self.above) {
                    if !self.logs.contains_key(&watch) {
                        self.inotify.remove(watch)?;
                    }
                }
                return Ok(found);
            }
            // What appears between the look and the watch is found by looking once more.
            if !self.watch_above()? {
                return Ok(found);
            }
        }
    }

    fn watch_present(&mut self) -> io::Result<Vec<usize>> {
        let mut found = Vec::new();
        for (stream, directory) in &self.absent {
            let entries = Kinds::CREATED | Kinds::DELETED | Kinds::MOVED_FROM | Kinds::MOVED_TO;
            let place = Kinds::SELF_MOVED | Kinds::ONLY_DIRECTORY | Kinds::ALSO;
            let kinds = Kinds::MODIFIED | entries | place;
            match self.inotify.add(directory, kinds) {
                Ok(watch) => {
                    self.logs.entry(watch).or_default().insert(*stream);
                    found.push(*stream);
                }
                Err(error) if is_absent(&error) => {}
                Err(error) => return Err(error),
            }
        }
        for stream in &found {
            self.absent.remove(stream);
        }
        Ok(found)
    }

    /// Watches the log directory, or the nearest one above it that is there; for the logger of a
    /// service (`web/log`) the service's as well. True when a watch is new.
    fn watch_above(&mut self) -> io::Result<bool> {
        let mut wanted: BTreeSet<&Path> = BTreeSet::from([self.log_dir.as_path()]);
        wanted.extend(self.absent.values().filter_map(|directory| directory.parent()));
        // A directory may be both a log and above another one.
        let kinds = Kinds::CREATED | Kinds::MOVED_TO | Kinds::ONLY_DIRECTORY | Kinds::ALSO;
        let mut is_new = false;
        for directory in wanted {
            for above in directory.ancestors() {
                let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
                match self.inotify.add(above, kinds) {
                    Ok(watch) => {
                        is_new |= self.above.insert(watch);
                        break;
                    }
                    Err(error) if is_absent(&error) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(is_new)
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

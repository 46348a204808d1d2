//! Compressing rotated files, one after the other, in a thread that lives as long as there is work.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::lifecycle::Name;
use crate::os::file::reason;
use crate::os::priority;

use super::directory;

/// miniz_oxide builds its tables on the stack before it boxes them, 300 KiB and more.
const COMPRESS_STACK_BYTES: usize = 2 << 20;

#[derive(Debug)]
struct Job {
    name: Name,
    directory: PathBuf,
    at: u64,
}

#[derive(Debug, Default)]
struct Queue {
    jobs: VecDeque<Job>,
    running: bool,
}

/// Tells what could not be compressed.
type Tell = Arc<dyn Fn(Name, String) + Send + Sync>;

pub struct Compressor {
    queue: Arc<Mutex<Queue>>,
    tell: Tell,
}

impl Compressor {
    pub fn new(tell: impl Fn(Name, String) + Send + Sync + 'static) -> Self {
        Self { queue: Arc::default(), tell: Arc::new(tell) }
    }

    pub fn add(&self, name: Name, directory: PathBuf, at: u64) {
        let mut queue = lock(&self.queue);
        if queue.jobs.iter().any(|job| job.at == at && job.directory == directory) {
            return;
        }
        queue.jobs.push_back(Job { name, directory, at });
        if queue.running {
            return;
        }
        let (shared, tell) = (Arc::clone(&self.queue), Arc::clone(&self.tell));
        let thread = std::thread::Builder::new().name("compress".to_owned()).stack_size(COMPRESS_STACK_BYTES);
        match thread.spawn(move || work(&shared, &tell)) {
            Ok(_detached) => queue.running = true,
            // Tried again with the next rotated file; until then they stay as they are.
            Err(_no_thread) => queue.running = false,
        }
    }
}

fn work(queue: &Mutex<Queue>, tell: &Tell) {
    // Without it compressing is only less polite.
    drop(priority::lower_own());
    loop {
        let job = {
            let mut queue = lock(queue);
            let Some(job) = queue.jobs.pop_front() else {
                queue.running = false;
                return;
            };
            job
        };
        if let Err(error) = compress(&job.directory, job.at) {
            let path = directory::path_of(&job.directory, job.at, false);
            let text = format!("cannot compress {}: {}; it stays as it is", path.display(), reason(&error));
            tell(job.name, text);
        }
    }
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The plain file goes when the compressed one is complete on disk. A plain file that has been
/// removed meanwhile, by the limits on the log, does not come back.
fn compress(directory: &Path, at: u64) -> io::Result<()> {
    let plain = directory::path_of(directory, at, false);
    let temporary = directory::temporary_path_of(directory, at);
    let mut from = match File::open(&plain) {
        Ok(from) => from,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let done = write_compressed(&mut from, &temporary);
    if let Err(error) = done {
        directory::remove(&temporary)?;
        return Err(error);
    }
    let compressed = directory::path_of(directory, at, true);
    fs::rename(&temporary, &compressed)?;
    match fs::remove_file(&plain) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => directory::remove(&compressed),
        done => done,
    }
}

fn write_compressed(from: &mut File, temporary: &Path) -> io::Result<()> {
    let mode = from.metadata()?.permissions().mode() & 0o777;
    directory::remove(temporary)?;
    let to = File::options().write(true).create_new(true).mode(mode).open(temporary)?;
    let mut encoder = GzEncoder::new(to, Compression::default());
    io::copy(from, &mut encoder)?;
    let mut to = encoder.finish()?;
    to.flush()?;
    to.sync_all()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_compressed_file_replaces_the_plain_one_with_the_same_bytes() {
        let place = tempfile::tempdir().unwrap();
        let text = b"hello hello hello\n".repeat(10_000);
        fs::write(directory::path_of(place.path(), 7, false), &text).unwrap();
        compress(place.path(), 7).unwrap();
        let files = directory::rotated(place.path()).unwrap();
        assert_eq!(files.len(), 1);
        assert!(files[0].compressed && files[0].bytes < 10_000);
        let mut back = Vec::new();
        flate2::read::GzDecoder::new(File::open(files[0].path(place.path())).unwrap())
            .read_to_end(&mut back)
            .unwrap();
        assert_eq!(back, text);
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_was_removed_meanwhile_does_not_come_back() {
        let place = tempfile::tempdir().unwrap();
        compress(place.path(), 7).unwrap();
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
    }
}

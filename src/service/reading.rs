//! One look at a service directory: what is in it, the texts that were read, what they were like
//! then, and what was wrong with them. Nothing here can block or read without end.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::document;
use super::draft::{Draft, Place};
use super::problem::{Problem, Source};
use crate::os::directory::{Directory, FileFacts, FileKind, is_root};

/// Of any file that is read. Real ones have a few hundred bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// In `service.d` and in `env`.
const FILES_MAX: usize = 1000;

pub struct Reading {
    pub path: PathBuf,
    pub directory: Directory,
    names: BTreeSet<OsString>,
    /// What stat said of each file that matters, or its errno; in the order of names.
    stamps: BTreeMap<PathBuf, Result<FileFacts, i32>>,
    /// The files of `env/`, known after `stamp_files`.
    pub env_directory: Vec<PathBuf>,
    pub sources: Vec<Source>,
    pub problems: Vec<Problem>,
    watch_writers: bool,
}

impl Reading {
    pub fn open(path: &Path) -> Result<Self, Problem> {
        let whole = |error: io::Error| Problem::new(path, format!("cannot be read: {}", cause(&error)));
        let directory = Directory::open(path).map_err(whole)?;
        let names = directory.entries().map_err(whole)?.into_iter().map(|entry| entry.name).collect();
        let mut reading = Self {
            path: path.to_owned(),
            directory,
            names,
            stamps: BTreeMap::new(),
            env_directory: Vec::new(),
            sources: Vec::new(),
            problems: Vec::new(),
            watch_writers: is_root(),
        };
        if reading.watch_writers {
            let facts = reading.directory.own_facts().map_err(whole)?;
            reading.warn_of_writers(Path::new(""), &facts);
        }
        Ok(reading)
    }

    pub fn has(&self, name: &str) -> bool {
        self.names.contains(OsStr::new(name))
    }

    /// A file of the directory; the empty name is the directory itself.
    fn absolute(&self, name: &Path) -> PathBuf {
        if name == Path::new("") { self.path.clone() } else { self.path.join(name) }
    }

    /// A problem with a file of the directory as a whole.
    pub fn complain(&mut self, name: &Path, text: impl Into<String>, help: Option<String>) {
        let mut problem = Problem::new(self.absolute(name), text);
        problem.help = help;
        self.problems.push(problem);
    }

    /// A problem with something that stands in one of the texts.
    pub fn complain_at(&mut self, place: &Place, text: impl Into<String>) -> Option<&mut Problem> {
        let source = self.sources.get(place.source)?;
        self.problems.push(Problem::at(source, place.span.clone(), text));
        self.problems.last_mut()
    }

    /// Reads service.toml and what lies over it.
    pub fn documents(&mut self) -> Draft {
        let mut draft = Draft::default();
        let mut files = Vec::new();
        if self.has("service.toml") {
            files.push(PathBuf::from("service.toml"));
        }
        let overlays = self.files_in("service.d");
        files.extend(overlays.into_iter().filter(|file| file.extension() == Some(OsStr::new("toml"))));
        for file in files {
            self.stamp(&file);
            if let Some(index) = self.text(&file)
                && let Some(source) = self.sources.get(index)
            {
                let problems = document::apply(source, index, &mut draft);
                self.problems.extend(problems);
            }
        }
        draft
    }

    /// Notes the state of every other file that matters, so that an edit of it can be noticed.
    pub fn stamp_files(&mut self, draft: &Draft) {
        for name in ["run", "finish", "down"] {
            if self.has(name) {
                self.stamp(Path::new(name));
            }
        }
        self.env_directory = self.files_in("env");
        for file in self.env_directory.clone() {
            self.stamp(&file);
        }
        for file in &draft.env_files {
            self.stamp(&file.value.path);
        }
        if self.has("log") {
            self.stamp(Path::new("log/run"));
        }
    }

    fn stamp(&mut self, name: &Path) {
        let facts = self.directory.facts(name.as_os_str());
        let facts = facts.map_err(|error| error.raw_os_error().unwrap_or(0));
        self.stamps.insert(name.to_owned(), facts);
    }

    /// What `stamp_files` saw.
    pub fn facts(&self, name: &Path) -> io::Result<FileFacts> {
        match self.stamps.get(name) {
            Some(Ok(facts)) => Ok(*facts),
            Some(Err(errno)) => Err(io::Error::from_raw_os_error(*errno)),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// The files of a subdirectory in name order, as paths from here. None when there is no such
    /// directory; names with a leading dot are left out.
    fn files_in(&mut self, subdirectory: &str) -> Vec<PathBuf> {
        if !self.has(subdirectory) {
            return Vec::new();
        }
        let entries = self.directory.open_in(OsStr::new(subdirectory)).and_then(|opened| {
            let facts = opened.own_facts()?;
            Ok((opened.entries()?, facts))
        });
        match entries {
            Ok((entries, facts)) => {
                self.warn_of_writers(Path::new(subdirectory), &facts);
                let names = entries.into_iter().map(|entry| entry.name);
                let mut files: Vec<PathBuf> = names
                    .filter(|name| !name.as_bytes().starts_with(b"."))
                    .map(|name| Path::new(subdirectory).join(name))
                    .collect();
                files.sort();
                if files.len() > FILES_MAX {
                    self.complain(
                        Path::new(subdirectory),
                        format!("more than {FILES_MAX} files are not read"),
                        None,
                    );
                    files.truncate(FILES_MAX);
                }
                files
            }
            Err(error) => {
                self.complain(Path::new(subdirectory), format!("cannot be read: {}", cause(&error)), None);
                Vec::new()
            }
        }
    }

    /// Reads a UTF-8 file whose facts are known and returns its place among the sources.
    pub fn text(&mut self, name: &Path) -> Option<usize> {
        let bytes = self.bytes(name)?;
        match String::from_utf8(bytes) {
            Ok(text) => {
                // The mark that some editors put in front is no character of the first line.
                let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
                self.sources.push(Source { file: self.path.join(name), text });
                Some(self.sources.len() - 1)
            }
            Err(error) => {
                let good = error.utf8_error().valid_up_to();
                let line = error.as_bytes().iter().take(good).filter(|byte| **byte == b'\n').count() + 1;
                self.complain(name, "is not UTF-8", Some("save it as UTF-8".into()));
                if let Some(problem) = self.problems.last_mut() {
                    problem.line = Some(line);
                }
                None
            }
        }
    }

    /// Reads a whole file whose facts are known. What is wrong with it is noted.
    pub fn bytes(&mut self, name: &Path) -> Option<Vec<u8>> {
        match self.facts(name).and_then(|facts| self.read(name, &facts)) {
            Ok(Ok(bytes)) => Some(bytes),
            Ok(Err(why)) => {
                self.complain(name, why, None);
                None
            }
            Err(error) => {
                self.complain(name, format!("cannot be read: {}", self.link_or_cause(name, &error)), None);
                None
            }
        }
    }

    fn read(&mut self, name: &Path, facts: &FileFacts) -> io::Result<Result<Vec<u8>, String>> {
        if facts.kind != FileKind::Regular {
            return Ok(Err(format!("is {}, not a file", kind_in_words(facts.kind))));
        }
        self.warn_of_writers(name, facts);
        let file = self.directory.open_file(name.as_os_str())?;
        // With room for one more than it had: the second read is the one that finds the end.
        let mut bytes = Vec::with_capacity(usize::try_from(facts.bytes.min(FILE_BYTES_MAX)).unwrap_or(0) + 1);
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Ok(Err("is larger than 1 MiB and is not read".into()));
        }
        Ok(Ok(bytes))
    }

    /// The cause of a failed look-up; a link that leads nowhere is called that.
    pub fn link_or_cause(&self, name: &Path, error: &io::Error) -> String {
        match self.path.join(name).read_link() {
            Ok(target) if error.kind() == io::ErrorKind::NotFound => {
                format!("it is a link to {}, which does not exist", target.display())
            }
            Ok(_) | Err(_) => cause(error),
        }
    }

    /// As root, a file that others may write is a way to become root.
    pub fn warn_of_writers(&mut self, name: &Path, facts: &FileFacts) {
        if self.watch_writers && facts.mode & 0o002 != 0 {
            let path = self.absolute(name);
            let help = format!("chmod o-w {}", path.display());
            let text = "anyone may change what root runs: it is writable by everyone";
            self.problems.push(Problem::new(path, text).help(help));
        }
    }

    /// A number that changes when a file of the directory that matters is changed, added or removed.
    pub fn fingerprint(&self) -> u64 {
        let mut hash = Fnv::new();
        for (name, facts) in &self.stamps {
            hash.add(name.as_os_str().as_bytes());
            match facts {
                // Only whether it is there says anything: `touch down` twice is no edit.
                Ok(_) if name == Path::new("down") => hash.add(b"there"),
                Ok(facts) if name == Path::new("log/run") => hash.add(&[u8::from(facts.mode & 0o111 != 0)]),
                Ok(facts) => {
                    for number in [facts.device, facts.inode, facts.bytes, u64::from(facts.mode)] {
                        hash.add(&number.to_le_bytes());
                    }
                    for (seconds, nanoseconds) in [facts.modified, facts.changed] {
                        hash.add(&seconds.to_le_bytes());
                        hash.add(&nanoseconds.to_le_bytes());
                    }
                }
                Err(errno) => hash.add(&errno.to_le_bytes()),
            }
        }
        hash.0
    }
}

/// FNV-1a: the same number in every build, as the fingerprint may outlive this process.
struct Fnv(u64);

impl Fnv {
    fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes.iter().chain(&[0xff]) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

/// The kernel's words without the number behind them.
pub fn cause(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

pub fn kind_in_words(kind: FileKind) -> &'static str {
    match kind {
        FileKind::Regular => "a file",
        FileKind::Directory => "a directory",
        FileKind::Link => "a link",
        FileKind::Fifo => "a FIFO",
        FileKind::Socket => "a socket",
        FileKind::Device => "a device",
    }
}

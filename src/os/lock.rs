//! Locks on whole files and directories (flock(2)): gone with their process, whatever ends it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::errno::Errno;

/// Held as long as this lives.
#[derive(Debug)]
pub struct Lock {
    _held: File,
}

#[derive(Debug)]
pub enum LockError {
    /// By this process, when it can be told.
    Held {
        by: Option<i32>,
    },
    System(io::Error),
}

impl Lock {
    /// A lock file, made when absent; it then holds our pid, for those who come later.
    pub fn file(path: &Path) -> Result<Self, LockError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(path)
            .map_err(LockError::System)?;
        if let Err(error) = take(&file) {
            return Err(match error {
                LockError::Held { by: None } => LockError::Held { by: pid_in(&mut file).or(holder(&file)) },
                other => other,
            });
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(LockError::System)?;
        Ok(Self { _held: file })
    }

    /// The directory itself; nothing is written, so it may be read-only.
    pub fn directory(path: &Path) -> Result<Self, LockError> {
        let mut options = OpenOptions::new();
        let file =
            options.read(true).custom_flags(libc::O_DIRECTORY).open(path).map_err(LockError::System)?;
        match take(&file) {
            Ok(()) => Ok(Self { _held: file }),
            Err(LockError::Held { by: None }) => Err(LockError::Held { by: holder(&file) }),
            Err(other) => Err(other),
        }
    }
}

fn take(file: &File) -> Result<(), LockError> {
    // SAFETY: takes no memory; the descriptor is open.
    let result = unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) };
    match Errno::result(result) {
        Ok(_) => Ok(()),
        Err(Errno::EWOULDBLOCK) => Err(LockError::Held { by: None }),
        Err(errno) => Err(LockError::System(errno.into())),
    }
}

fn pid_in(file: &mut File) -> Option<i32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok().filter(|pid| *pid > 0)
}

/// Who has the lock, by /proc/locks: `1: FLOCK  ADVISORY  WRITE 4711 fe:01:131 0 EOF`.
fn holder(file: &File) -> Option<i32> {
    let about = file.metadata().ok()?;
    let locks = fs::read_to_string("/proc/locks").ok()?;
    let device = about.dev();
    let exact = format!("{:02x}:{:02x}:{}", libc::major(device), libc::minor(device), about.ino());
    let found = find(&locks, |place| place == exact);
    // Overlay and btrfs tell another device here than in stat(2): the inode alone then has to do.
    let inode = format!(":{}", about.ino());
    found.or_else(|| find(&locks, |place| place.ends_with(&inode)))
}

fn find(locks: &str, is_it: impl Fn(&str) -> bool) -> Option<i32> {
    locks.lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace().skip(1).skip_while(|word| *word == "->");
        let (kind, pid, place) = (words.next()?, words.nth(2)?, words.next()?);
        if kind == "FLOCK" && is_it(place) { pid.parse().ok().filter(|pid| *pid > 0) } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_lock_on_a_directory_is_told_who_holds_the_first() {
        let directory = tempfile::tempdir().unwrap();
        let first = Lock::directory(directory.path()).unwrap();
        let own = i32::try_from(std::process::id()).unwrap();
        match Lock::directory(directory.path()) {
            Err(LockError::Held { by }) => assert_eq!(by, Some(own)),
            other => panic!("{other:?}"),
        }
        drop(first);
        Lock::directory(directory.path()).unwrap();
    }

    #[test]
    fn a_lock_file_names_its_holder_and_is_never_followed_through_a_link() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let first = Lock::file(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
        assert!(matches!(Lock::file(&path), Err(LockError::Held { by: Some(_) })));
        drop(first);
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(matches!(Lock::file(&link), Err(LockError::System(_))));
    }

    #[test]
    fn the_lines_of_proc_locks_are_read() {
        let locks = "1: POSIX  ADVISORY  WRITE 11 fe:01:7 0 EOF\n2: FLOCK  ADVISORY  WRITE 22 fe:01:7 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 33 fe:01:8 0 EOF\n3: FLOCK  ADVISORY  WRITE 0 fe:01:9 0 EOF\n";
        assert_eq!(find(locks, |place| place == "fe:01:7"), Some(22));
        assert_eq!(find(locks, |place| place == "fe:01:9"), None);
        assert_eq!(find(locks, |place| place == "fe:01:10"), None);
    }
}

//! Looking into a directory without ever blocking: openat(2), getdents(2), fstat(2).

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat};
use nix::libc;
use nix::sys::stat::{FileStat, Mode, fstat, fstatat};

/// An open directory. What is asked of it stays in it, even when its path is replaced.
#[derive(Debug)]
pub struct Directory(OwnedFd);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    Regular,
    Directory,
    Link,
    Fifo,
    Socket,
    Device,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub name: OsString,
    /// `None` when the file system does not tell without a stat.
    pub kind: Option<FileKind>,
}

/// What stat(2) says, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileFacts {
    pub kind: FileKind,
    /// Permission bits.
    pub mode: u32,
    pub bytes: u64,
    pub device: u64,
    pub inode: u64,
    /// Seconds and nanoseconds since 1970.
    pub modified: (i64, i64),
    pub changed: (i64, i64),
}

impl Directory {
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(openat(AT_FDCWD, path, directory_flags(), Mode::empty())?))
    }

    pub fn open_in(&self, name: &OsStr) -> io::Result<Self> {
        Ok(Self(openat(&self.0, name, directory_flags(), Mode::empty())?))
    }

    /// All entries but `.` and `..`, in no order. To be asked once: a second time there is nothing left.
    pub fn entries(&self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        let mut block = [0; LISTING_BYTES];
        loop {
            let listed = self.next_entries(&mut block)?;
            if listed.is_empty() {
                return Ok(entries);
            }
            each_entry(listed, |name, kind| {
                if name != b"." && name != b".." {
                    entries.push(Entry { name: OsStr::from_bytes(name).to_owned(), kind });
                }
            });
        }
    }

    /// By getdents64(2) itself: the library's reader opens the directory once more and takes 32 KiB for it.
    fn next_entries<'a>(&self, block: &'a mut [u8; LISTING_BYTES]) -> io::Result<&'a [u8]> {
        // SAFETY: the kernel writes at most as much as it is told there is room for.
        let result = unsafe {
            libc::syscall(libc::SYS_getdents64, self.0.as_raw_fd(), block.as_mut_ptr(), LISTING_BYTES)
        };
        let length = Errno::result(result)?;
        Ok(block.get(..usize::try_from(length).unwrap_or(0)).unwrap_or_default())
    }

    /// Of the directory itself.
    pub fn own_facts(&self) -> io::Result<FileFacts> {
        Ok(facts(&fstat(&self.0)?))
    }

    /// Of an entry, or of what it links to.
    pub fn facts(&self, name: &OsStr) -> io::Result<FileFacts> {
        Ok(facts(&fstatat(&self.0, name, AtFlags::empty())?))
    }

    /// Opens an entry (or an absolute path) for reading. A FIFO or a device is opened too, at once:
    /// look at its facts before.
    pub fn open_file(&self, name: &OsStr) -> io::Result<File> {
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        Ok(File::from(openat(&self.0, name, flags, Mode::empty())?))
    }
}

/// Enough for the few entries of a service directory in one go.
const LISTING_BYTES: usize = 4096;

/// Where the parts of a `struct linux_dirent64` begin (getdents64(2)); the name ends in NUL.
const LENGTH_AT: usize = 16;
const TYPE_AT: usize = 18;
const NAME_AT: usize = 19;

fn each_entry(mut listed: &[u8], mut take: impl FnMut(&[u8], Option<FileKind>)) {
    while let Some(length) = listed.get(LENGTH_AT..TYPE_AT) {
        let length = usize::from(u16::from_ne_bytes([length[0], length[1]]));
        let (Some(name), Some(kind)) = (listed.get(NAME_AT..length), listed.get(TYPE_AT)) else { return };
        take(name.split(|byte| *byte == 0).next().unwrap_or_default(), kind_of_entry(*kind));
        listed = listed.get(length..).unwrap_or_default();
    }
}

fn directory_flags() -> OFlag {
    OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC
}

fn kind_of_entry(kind: u8) -> Option<FileKind> {
    Some(match kind {
        libc::DT_REG => FileKind::Regular,
        libc::DT_DIR => FileKind::Directory,
        libc::DT_LNK => FileKind::Link,
        libc::DT_FIFO => FileKind::Fifo,
        libc::DT_SOCK => FileKind::Socket,
        libc::DT_CHR | libc::DT_BLK => FileKind::Device,
        _ => return None,
    })
}

// The widths of these fields differ between the architectures.
#[allow(clippy::unnecessary_cast)]
fn facts(stat: &FileStat) -> FileFacts {
    let kind = match stat.st_mode & libc::S_IFMT {
        libc::S_IFREG => FileKind::Regular,
        libc::S_IFDIR => FileKind::Directory,
        libc::S_IFLNK => FileKind::Link,
        libc::S_IFIFO => FileKind::Fifo,
        libc::S_IFSOCK => FileKind::Socket,
        _ => FileKind::Device,
    };
    FileFacts {
        kind,
        mode: stat.st_mode & 0o7777,
        bytes: u64::try_from(stat.st_size).unwrap_or(0),
        device: stat.st_dev as u64,
        inode: stat.st_ino as u64,
        modified: (stat.st_mtime as i64, stat.st_mtime_nsec as i64),
        changed: (stat.st_ctime as i64, stat.st_ctime_nsec as i64),
    }
}

/// Whether what this process starts or reads has root's powers.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_entries_with_long_names_are_all_listed_with_their_kinds() {
        let place = tempfile::tempdir().unwrap();
        let name = |number: usize| format!("{number}{}", "x".repeat(200));
        for number in 0..1000 {
            std::fs::write(place.path().join(name(number)), "").unwrap();
        }
        std::fs::create_dir(place.path().join("inner")).unwrap();
        let mut entries = Directory::open(place.path()).unwrap().entries().unwrap();
        entries.sort_by_key(|entry| entry.name.clone());
        let inner = entries.pop().unwrap();
        assert_eq!((inner.name, inner.kind), ("inner".into(), Some(FileKind::Directory)));
        let mut names: Vec<OsString> = (0..1000).map(|number| name(number).into()).collect();
        names.sort();
        assert!(entries.iter().map(|entry| &entry.name).eq(&names));
    }
}

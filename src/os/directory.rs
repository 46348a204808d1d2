//! Looking into a directory without ever blocking: openat(2), getdents(2), fstat(2).

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::dir::{Dir, Type};
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

    /// All entries but `.` and `..`, in no order.
    pub fn entries(&self) -> io::Result<Vec<Entry>> {
        let mut listing = Dir::openat(&self.0, ".", directory_flags(), Mode::empty())?;
        let mut entries = Vec::new();
        for entry in listing.iter() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                let kind = entry.file_type().map(kind_of_entry);
                entries.push(Entry { name: OsStr::from_bytes(name).to_owned(), kind });
            }
        }
        Ok(entries)
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
    /// look at its facts before reading.
    pub fn open_file(&self, name: &OsStr) -> io::Result<(File, FileFacts)> {
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let file = File::from(openat(&self.0, name, flags, Mode::empty())?);
        let facts = facts(&fstat(&file)?);
        Ok((file, facts))
    }
}

fn directory_flags() -> OFlag {
    OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC
}

fn kind_of_entry(kind: Type) -> FileKind {
    match kind {
        Type::File => FileKind::Regular,
        Type::Directory => FileKind::Directory,
        Type::Symlink => FileKind::Link,
        Type::Fifo => FileKind::Fifo,
        Type::Socket => FileKind::Socket,
        Type::CharacterDevice | Type::BlockDevice => FileKind::Device,
    }
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

//! Files and terminals as a log needs them: appended to without waiting, and errors in few words.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::{SFlag, fstat};

/// What a descriptor is open on, as far as writing to it may have to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writes {
    /// A regular file: never waits for a reader.
    File,
    /// A terminal or another character device.
    Device,
    /// A pipe or a socket: takes at least PIPE_BUF bytes at once when poll says so.
    Stream,
}

pub fn kind_of(fd: BorrowedFd<'_>) -> io::Result<Writes> {
    let kind = SFlag::from_bits_truncate(fstat(fd)?.st_mode) & SFlag::S_IFMT;
    Ok(match kind {
        SFlag::S_IFREG => Writes::File,
        SFlag::S_IFCHR => Writes::Device,
        _ => Writes::Stream,
    })
}

/// One write(2), repeated only when a signal came first; may be short.
pub fn write(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match nix::unistd::write(fd, bytes) {
            Ok(count) => return Ok(count),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Opens what `fd` is open on once more, for writing that never waits: the flag is then not
/// shared with the other users of the terminal.
pub fn reopen_without_waiting(fd: BorrowedFd<'_>) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}

/// Opens for appending and reading; a new file gets exactly `mode`, whatever the umask is. Never
/// waits for a reader of a fifo: what is no regular file is refused (EINVAL).
pub fn open_to_append(path: &Path, mode: u32) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    let file = match options.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let file = options.create(true).mode(mode).open(path)?;
            file.set_permissions(std::fs::Permissions::from_mode(mode))?;
            file
        }
        Err(error) => return Err(error),
    };
    if file.metadata()?.is_file() { Ok(file) } else { Err(Errno::EINVAL.into()) }
}

/// An error when a stranger placed what is at `path`, or the link to it: neither root nor we own it.
/// What is not there is nobody's.
pub fn refuse_foreign(path: &Path) -> io::Result<()> {
    for about in [std::fs::symlink_metadata(path), std::fs::metadata(path)] {
        match about.map(|about| about.uid()) {
            Ok(uid) if uid != 0 && uid != super::own::uid() => {
                let text = format!("{} belongs to another user (uid {uid})", path.display());
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A file without a name, in memory.
pub fn in_memory() -> io::Result<File> {
    Ok(File::from(memfd_create(c"svc", MFdFlags::MFD_CLOEXEC)?))
}

/// Whether too many descriptors are open, in this process or in the system.
pub fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error().map(Errno::from_raw), Some(Errno::EMFILE | Errno::ENFILE))
}

/// The kernel's reason without Rust's "(os error 28)".
pub fn reason(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => Errno::from_raw(number).desc().to_owned(),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_new_file_gets_its_mode_and_is_appended_to() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("current");
        for _ in 0..2 {
            let file = open_to_append(&path, 0o640).unwrap();
            assert_eq!(write(file.as_fd(), b"x").unwrap(), 1);
            assert_eq!(kind_of(file.as_fd()).unwrap(), Writes::File);
        }
        assert_eq!(std::fs::read(&path).unwrap(), b"xx");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o640);
    }

    #[test]
    fn what_is_no_regular_file_is_refused_at_once() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("current");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let error = open_to_append(&path, 0o640).unwrap_err();
        assert_eq!(reason(&error), "Invalid argument");
    }

    #[test]
    fn a_reason_is_the_kernels_words_alone() {
        assert_eq!(reason(&Errno::ENOSPC.into()), "No space left on device");
        assert!(is_out_of_descriptors(&Errno::EMFILE.into()));
    }
}

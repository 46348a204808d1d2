//! Opening the files that a service gets as its descriptors: open(2) with care.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::sys::stat::Mode;
use nix::unistd::geteuid;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenFor {
    Reading,
    /// From the start of the file, which is made when absent.
    Writing,
    Appending,
    Truncating,
    /// For reading and writing, without becoming our controlling terminal.
    Terminal,
}

/// Opens a file for a service. Never blocks (a FIFO without the other end gives ENXIO when it is
/// opened for writing) and follows a link at the end of the path only when root or we made it:
/// a log file in a directory that others can write to must not lead elsewhere.
pub fn open_for_service(path: &Path, how: OpenFor) -> io::Result<OwnedFd> {
    let access = match how {
        OpenFor::Reading => OFlag::O_RDONLY,
        OpenFor::Writing => OFlag::O_WRONLY | OFlag::O_CREAT,
        OpenFor::Appending => OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_APPEND,
        OpenFor::Truncating => OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC,
        OpenFor::Terminal => OFlag::O_RDWR,
    };
    let flags = access | OFlag::O_CLOEXEC | OFlag::O_NOCTTY | OFlag::O_NONBLOCK;
    let mode = Mode::from_bits_truncate(0o644);
    let opened = match open(path, flags | OFlag::O_NOFOLLOW, mode) {
        Err(Errno::ELOOP) if link_is_trusted(path)? => open(path, flags, mode)?,
        other => other?,
    };
    let status = OFlag::from_bits_truncate(fcntl(opened.as_fd(), FcntlArg::F_GETFL)?);
    fcntl(opened.as_fd(), FcntlArg::F_SETFL(status - OFlag::O_NONBLOCK))?;
    Ok(opened)
}

fn link_is_trusted(path: &Path) -> io::Result<bool> {
    let owner = fs::symlink_metadata(path)?.uid();
    Ok(owner == 0 || owner == geteuid().as_raw())
}

/// `None` when there is no regular file, else whether anyone may execute it.
pub fn is_executable_file(path: &Path) -> Option<bool> {
    let found = fs::metadata(path).ok()?;
    found.is_file().then(|| found.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::{OpenFor, open_for_service};
    use std::fs;
    use std::io::{Read, Write};

    #[test]
    fn appending_keeps_what_is_there_and_truncating_does_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out");
        for (how, expected) in
            [(OpenFor::Appending, "a"), (OpenFor::Appending, "aa"), (OpenFor::Truncating, "a")]
        {
            fs::File::from(open_for_service(&path, how).unwrap()).write_all(b"a").unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), expected);
        }
    }

    #[test]
    fn a_fifo_without_a_reader_is_an_error_and_not_a_hang() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fifo");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let error = open_for_service(&path, OpenFor::Appending).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENXIO));
    }

    #[test]
    fn our_own_link_is_followed() {
        let directory = tempfile::tempdir().unwrap();
        let (path, target) = (directory.path().join("link"), directory.path().join("target"));
        fs::write(&target, "x").unwrap();
        std::os::unix::fs::symlink(&target, &path).unwrap();
        let mut text = String::new();
        fs::File::from(open_for_service(&path, OpenFor::Reading).unwrap()).read_to_string(&mut text).unwrap();
        assert_eq!(text, "x");
    }
}

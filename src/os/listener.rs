//! A listening unix socket that nobody else can connect to, from its first instant on.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};
use nix::sys::stat::{Mode, fchmod};

/// Binds `directory/name`, mode 0600. One that is there is replaced: the caller holds the lock.
pub fn bind_private(directory: BorrowedFd<'_>, path: &Path) -> io::Result<OwnedFd> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let fd = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    let address = match UnixAddr::new(path) {
        Ok(address) => address,
        // A path of more than 107 bytes: the kernel takes the same place by a shorter name.
        Err(_) => {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            UnixAddr::new(format!("/proc/self/fd/{}/{name}", directory.as_raw_fd()).as_str())?
        }
    };
    // The file gets the mode that the socket has (unix_bind_bsd in the kernel), less the umask.
    fchmod(&fd, Mode::from_bits_truncate(0o600))?;
    bind(fd.as_raw_fd(), &address)?;
    listen(&fd, Backlog::MAXALLOWABLE)?;
    Ok(fd)
}

/// The other end, by a path that may be longer than the kernel takes.
pub fn connect(path: &Path) -> io::Result<UnixStream> {
    if UnixAddr::new(path).is_ok() {
        return UnixStream::connect(path);
    }
    let directory = fs::File::open(path.parent().unwrap_or(path))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    UnixStream::connect(format!("/proc/self/fd/{}/{name}", directory.as_raw_fd()))
}

/// One in the abstract name space, under a name that the kernel chooses: for a place where nothing
/// can be written.
pub fn bind_nowhere() -> io::Result<OwnedFd> {
    let fd = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    bind(fd.as_raw_fd(), &UnixAddr::new_unnamed())?;
    listen(&fd, Backlog::MAXALLOWABLE)?;
    Ok(fd)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn it_is_for_its_owner_only_and_replaces_a_stale_one() {
        let place = tempfile::tempdir().unwrap();
        let directory = fs::File::open(place.path()).unwrap();
        let path = place.path().join("control");
        drop(bind_private(directory.as_fd(), &path).unwrap());
        assert!(UnixStream::connect(&path).is_err());
        let listener = bind_private(directory.as_fd(), &path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        UnixStream::connect(&path).unwrap();
        drop(listener);
    }

    #[test]
    fn a_path_too_long_for_the_kernel_works_too() {
        let place = tempfile::tempdir().unwrap();
        let long = place.path().join("x".repeat(120));
        fs::create_dir(&long).unwrap();
        let directory = fs::File::open(&long).unwrap();
        let listener = bind_private(directory.as_fd(), &long.join("control")).unwrap();
        connect(&long.join("control")).unwrap();
        drop(listener);
    }
}

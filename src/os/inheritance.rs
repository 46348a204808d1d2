//! Becoming another program in the same process, and giving it what is open: it knows each descriptor by
//! what it is, not by its number.

use std::convert::Infallible;
use std::ffi::{CString, OsString};
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, FcntlArg, FdFlag, OFlag, fcntl};
use nix::sys::socket::{getsockopt, sockopt};
use nix::sys::stat::{SFlag, fstat};

use super::descriptor;

/// What can be given to a successor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The read end of the pipe with this inode number.
    PipeReader {
        inode: u64,
    },
    /// A socket that takes connections.
    Listener,
    Other,
}

/// What is open in this process from 3 on, as far as `wanted` says, each once more for us alone. One that
/// cannot be had (too many are open) is left out.
pub fn duplicates(wanted: impl Fn(Kind) -> bool) -> Vec<OwnedFd> {
    let mut found = Vec::new();
    for number in open_numbers() {
        if found.iter().any(|made: &OwnedFd| descriptor::number(made) == number) {
            // Somebody closed it after it was listed, and it was given to us.
            continue;
        }
        // SAFETY: borrowed only for the calls; should another thread close it, they fail, or tell of and
        // duplicate what has the number then, which is looked at again by whoever gets it.
        let fd = unsafe { BorrowedFd::borrow_raw(number) };
        if wanted(kind(fd)) {
            found.extend(descriptor::duplicate_from(fd, 3));
        }
    }
    found
}

/// Everything from 3 on that we were started with, now owned and close-on-exec. To be called once, by a
/// process of one thread that has opened nothing yet.
pub fn take() -> Vec<(Kind, OwnedFd)> {
    let numbers = open_numbers();
    let mut taken = Vec::with_capacity(numbers.len());
    for number in numbers {
        // SAFETY: borrowed only for the call, which fails when it is closed by now (the directory read).
        let fd = unsafe { BorrowedFd::borrow_raw(number) };
        if fcntl(fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).is_ok() {
            let kind = kind(fd);
            // SAFETY: it is open, and nobody of ours has it: nothing has been opened yet.
            taken.push((kind, unsafe { OwnedFd::from_raw_fd(number) }));
        }
    }
    taken
}

/// Executes our own program again with these arguments and the same environment. `kept` stay open, under
/// any number. Returns only when that cannot be.
pub fn become_program(arguments: &[OsString], kept: &[OwnedFd]) -> io::Result<Infallible> {
    let program = descriptor::own_program()?;
    let arguments: Vec<CString> =
        arguments.iter().map(|argument| CString::new(argument.as_bytes())).collect::<Result<_, _>>()?;
    let environment: Vec<CString> = std::env::vars_os()
        .filter_map(|(key, value)| CString::new([key.as_bytes(), b"=", value.as_bytes()].concat()).ok())
        .collect();
    for fd in kept {
        fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty()))?;
    }
    Ok(nix::unistd::execveat(&program, c"", &arguments, &environment, AtFlags::AT_EMPTY_PATH)?)
}

fn open_numbers() -> Vec<i32> {
    let entries = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter(|number| *number > 2).collect()
}

fn kind(fd: BorrowedFd<'_>) -> Kind {
    let Ok(about) = fstat(fd) else { return Kind::Other };
    let flags = fcntl(fd, FcntlArg::F_GETFL).map(OFlag::from_bits_truncate);
    let reads = flags.is_ok_and(|flags| flags & OFlag::O_ACCMODE == OFlag::O_RDONLY);
    match about.st_mode & SFlag::S_IFMT.bits() {
        mode if mode == SFlag::S_IFIFO.bits() && reads => Kind::PipeReader { inode: about.st_ino },
        mode if mode == SFlag::S_IFSOCK.bits() && getsockopt(&fd, sockopt::AcceptConn) == Ok(true) => {
            Kind::Listener
        }
        _ => Kind::Other,
    }
}

/// Another end of the pipe that process `pid` has open with this inode number; a read end. NotFound when
/// it has none. It does not wait for a writer: the pipe has no name in a file system.
pub fn reopen_pipe(pid: i32, inode: u64) -> io::Result<OwnedFd> {
    let wanted = format!("pipe:[{inode}]");
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
        let path = entry?.path();
        if !fs::read_link(&path).is_ok_and(|target| target.as_os_str() == wanted.as_str()) {
            continue;
        }
        let fd: OwnedFd = fs::OpenOptions::new().read(true).open(&path)?.into();
        // It may have opened something else under that number meanwhile.
        if kind(fd.as_fd()) == (Kind::PipeReader { inode }) {
            return Ok(fd);
        }
    }
    Err(Errno::ENOENT.into())
}

/// The inode number of the pipe on descriptor 1 or 2 of a process, when it is open for reading as well: as
/// hardly anybody but us gives it to a program.
pub fn own_pipe_of(pid: i32) -> Option<u64> {
    [1, 2].into_iter().find_map(|number| {
        let target = fs::read_link(format!("/proc/{pid}/fd/{number}")).ok()?;
        let inode = target.to_str()?.strip_prefix("pipe:[")?.strip_suffix(']')?.parse().ok()?;
        let about = fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}")).ok()?;
        let flags = about.lines().find_map(|line| line.strip_prefix("flags:"))?.trim();
        let flags = OFlag::from_bits_truncate(i32::from_str_radix(flags, 8).ok()?);
        (flags & OFlag::O_ACCMODE == OFlag::O_RDWR).then_some(inode)
    })
}

/// The inode number that tells a pipe from all others.
pub fn inode(fd: BorrowedFd<'_>) -> io::Result<u64> {
    Ok(fstat(fd)?.st_ino)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_end_is_known_by_its_inode_and_a_write_end_is_not() {
        let (reader, writer) = descriptor::pipe().unwrap();
        let inode = inode(reader.as_fd()).unwrap();
        assert_eq!(kind(reader.as_fd()), Kind::PipeReader { inode });
        assert_eq!(kind(writer.as_fd()), Kind::Other);
        assert_eq!(kind(descriptor::null().unwrap().as_fd()), Kind::Other);
        assert_eq!(duplicates(|found| found == Kind::PipeReader { inode }).len(), 1);
    }

    #[test]
    fn a_pipe_whose_readers_have_gone_is_read_again_through_its_writer() {
        let (reader, writer) = descriptor::pipe().unwrap();
        let inode = inode(reader.as_fd()).unwrap();
        nix::unistd::write(&writer, b"kept").unwrap();
        drop(reader);
        let own = i32::try_from(std::process::id()).unwrap();
        let reader = reopen_pipe(own, inode).unwrap();
        let mut bytes = [0; 8];
        assert_eq!(nix::unistd::read(&reader, &mut bytes).unwrap(), 4);
        drop(writer);
        assert_eq!(nix::unistd::read(&reader, &mut bytes).unwrap(), 0);
        drop(reader);
        assert_eq!(reopen_pipe(own, inode).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_listening_socket_is_known_as_one() {
        let place = tempfile::tempdir().unwrap();
        let listener = std::os::unix::net::UnixListener::bind(place.path().join("socket")).unwrap();
        assert_eq!(kind(listener.as_fd()), Kind::Listener);
        let (one, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        assert_eq!(kind(one.as_fd()), Kind::Other);
    }
}

//! Stream sockets of the UNIX domain: unix(7).

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::sockopt::{PeerCredentials, SendTimeout};
use nix::sys::socket::{
    AddressFamily, MsgFlags, Shutdown, SockFlag, SockType, UnixAddr, accept4, getsockopt, setsockopt,
    shutdown, socket,
};
use nix::sys::time::TimeVal;

/// Who is at the other end, as the kernel recorded it when the connection was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    pub uid: u32,
    pub pid: i32,
}

/// Whose rights this process uses.
pub fn effective_uid() -> u32 {
    nix::unistd::geteuid().as_raw()
}

/// From now on `accept`, `receive` and `send` on it give `WouldBlock` instead of waiting.
pub fn set_nonblocking(fd: BorrowedFd<'_>) -> io::Result<()> {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    fcntl(fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}

/// The next waiting connection, non-blocking. `WouldBlock` when there is none.
pub fn accept(listener: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let raw: RawFd = accept4(listener.as_raw_fd(), SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK)?;
    // SAFETY: accept4 has just made this descriptor, nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// SO_PEERCRED.
pub fn peer(connection: BorrowedFd<'_>) -> io::Result<Peer> {
    let credentials = getsockopt(&connection, PeerCredentials)?;
    Ok(Peer { uid: credentials.uid(), pid: credentials.pid() })
}

/// A blocking connection to the socket `name` in `directory`, however long that path is. A listener
/// whose queue is full is waited for, at most for `timeout`.
pub fn connect(directory: &Path, name: &str, timeout: Option<Duration>) -> io::Result<OwnedFd> {
    let fd = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    if let Some(timeout) = timeout {
        let milliseconds = i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX).max(1);
        setsockopt(&fd, SendTimeout, &nix::sys::time::TimeValLike::milliseconds(milliseconds))?;
    }
    let path = directory.join(name);
    match UnixAddr::new(&path) {
        Ok(address) => nix::sys::socket::connect(fd.as_raw_fd(), &address)?,
        // sun_path has 108 bytes; through /proc any directory has a short name.
        Err(Errno::ENAMETOOLONG) => {
            let opened: File = File::options()
                .read(true)
                .custom_flags(nix::libc::O_PATH | nix::libc::O_DIRECTORY)
                .open(directory)?;
            let short = format!("/proc/self/fd/{}/{name}", opened.as_fd().as_raw_fd());
            nix::sys::socket::connect(fd.as_raw_fd(), &UnixAddr::new(short.as_str())?)?;
        }
        Err(errno) => return Err(errno.into()),
    }
    if timeout.is_some() {
        setsockopt(&fd, SendTimeout, &TimeVal::new(0, 0))?;
    }
    Ok(fd)
}

/// How many bytes came; 0 at the end of the stream.
pub fn receive(connection: BorrowedFd<'_>, into: &mut [u8]) -> io::Result<usize> {
    retried(|| nix::sys::socket::recv(connection.as_raw_fd(), into, MsgFlags::empty()))
}

/// How many bytes were taken. A peer that has gone gives `BrokenPipe`, never a signal.
pub fn send(connection: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    retried(|| nix::sys::socket::send(connection.as_raw_fd(), bytes, MsgFlags::MSG_NOSIGNAL))
}

/// Ends both directions at once, also for other owners of the descriptor.
pub fn shut(connection: BorrowedFd<'_>) -> io::Result<()> {
    Ok(shutdown(connection.as_raw_fd(), Shutdown::Both)?)
}

fn retried(mut call: impl FnMut() -> nix::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            result => return Ok(result?),
        }
    }
}

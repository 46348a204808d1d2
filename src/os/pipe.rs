//! Pipes: pipe(7).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl, splice};

use super::poll::{Waiting, poll};

/// What a read that does not wait has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    Bytes(usize),
    /// The last writer has gone and everything has been read.
    End,
    /// Nothing now.
    Nothing,
}

/// A new pipe: its read end, its write end.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(nix::unistd::pipe2(OFlag::O_CLOEXEC)?)
}

/// Asks for room for `bytes` and returns what the pipe has now (F_SETPIPE_SZ, fcntl(2)).
/// Refused with EPERM above /proc/sys/fs/pipe-max-size or the user's share.
pub fn enlarge(pipe: BorrowedFd<'_>, bytes: usize) -> io::Result<usize> {
    let wanted = i32::try_from(bytes).unwrap_or(i32::MAX);
    let got = fcntl(pipe, FcntlArg::F_SETPIPE_SZ(wanted))?;
    Ok(usize::try_from(got).unwrap_or(0))
}

/// How many bytes the pipe can hold (F_GETPIPE_SZ).
pub fn capacity(pipe: BorrowedFd<'_>) -> io::Result<usize> {
    let got = fcntl(pipe, FcntlArg::F_GETPIPE_SZ)?;
    Ok(usize::try_from(got).unwrap_or(0))
}

/// Reads what is there and never waits, without O_NONBLOCK: that flag would be seen by everyone
/// who shares the description, and a log pipe is shared with the guardian and with loggers.
pub fn read_now(pipe: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<Taken> {
    // Pipes know RWF_NOWAIT since Linux 6.4; before that poll(2) is asked first.
    static ASK_FIRST: AtomicBool = AtomicBool::new(false);
    loop {
        let got = if ASK_FIRST.load(Ordering::Relaxed) {
            if poll(&mut [Waiting::to_read(pipe)], Some(std::time::Duration::ZERO))? == 0 {
                return Ok(Taken::Nothing);
            }
            nix::unistd::read(pipe, buffer)
        } else {
            read_without_waiting(pipe, buffer)
        };
        match got {
            Ok(0) => return Ok(Taken::End),
            Ok(bytes) => return Ok(Taken::Bytes(bytes)),
            Err(Errno::EAGAIN) => return Ok(Taken::Nothing),
            Err(Errno::EINTR) => {}
            Err(Errno::EOPNOTSUPP | Errno::EINVAL | Errno::ENOSYS) if !ASK_FIRST.load(Ordering::Relaxed) => {
                ASK_FIRST.store(true, Ordering::Relaxed);
            }
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Moves at most `bytes` of what is in one pipe to the end of another and never waits (splice(2)).
/// Each byte is in one of them at any instant: the kernel holds both while it moves them.
pub fn move_now(from: BorrowedFd<'_>, to: BorrowedFd<'_>, bytes: usize) -> io::Result<Taken> {
    loop {
        match splice(from, None, to, None, bytes, SpliceFFlags::SPLICE_F_NONBLOCK) {
            Ok(0) => return Ok(Taken::End),
            Ok(bytes) => return Ok(Taken::Bytes(bytes)),
            Err(Errno::EAGAIN) => return Ok(Taken::Nothing),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// How many bytes are in the pipe (FIONREAD, pipe(7)).
pub fn bytes_in(pipe: BorrowedFd<'_>) -> io::Result<usize> {
    nix::ioctl_read_bad!(bytes_to_read, libc::FIONREAD, libc::c_int);
    let mut bytes = 0;
    // SAFETY: FIONREAD stores one int, at an address that is borrowed for the call.
    unsafe { bytes_to_read(pipe.as_raw_fd(), &mut bytes) }?;
    Ok(usize::try_from(bytes).unwrap_or(0))
}

/// Reads as much as `buffer` holds, which is in the pipe already.
pub fn read_exactly(pipe: BorrowedFd<'_>, mut buffer: &mut [u8]) -> io::Result<()> {
    while !buffer.is_empty() {
        match read_now(pipe, buffer)? {
            Taken::Bytes(bytes) => buffer = buffer.get_mut(bytes..).unwrap_or_default(),
            Taken::End | Taken::Nothing => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
    Ok(())
}

fn read_without_waiting(pipe: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<usize, Errno> {
    let part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: preadv2(2) with one part, which points to `buffer`, borrowed mutably for the call;
    // offset -1 (in both words) reads at the current position as read(2) does.
    let got = unsafe {
        libc::syscall(libc::SYS_preadv2, pipe.as_raw_fd(), &part, 1, -1i64, -1i64, libc::RWF_NOWAIT)
    };
    let got = Errno::result(got)?;
    Ok(usize::try_from(got).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn an_empty_pipe_has_nothing_and_a_closed_one_has_ended() {
        let (reader, writer) = pipe().unwrap();
        let mut buffer = [0; 16];
        assert_eq!(read_now(reader.as_fd(), &mut buffer).unwrap(), Taken::Nothing);
        nix::unistd::write(&writer, b"abc").unwrap();
        assert_eq!(read_now(reader.as_fd(), &mut buffer).unwrap(), Taken::Bytes(3));
        assert_eq!(&buffer[..3], b"abc");
        drop(writer);
        assert_eq!(read_now(reader.as_fd(), &mut buffer).unwrap(), Taken::End);
    }

    #[test]
    fn bytes_move_from_pipe_to_pipe_and_are_counted() {
        let ((from, writer), (reader, to)) = (pipe().unwrap(), pipe().unwrap());
        let moved = || move_now(from.as_fd(), to.as_fd(), 4).unwrap();
        assert_eq!(moved(), Taken::Nothing);
        nix::unistd::write(&writer, b"abcdef").unwrap();
        assert_eq!(moved(), Taken::Bytes(4));
        assert_eq!((bytes_in(from.as_fd()).unwrap(), bytes_in(reader.as_fd()).unwrap()), (2, 4));
        let mut buffer = [0; 4];
        read_exactly(reader.as_fd(), &mut buffer).unwrap();
        assert_eq!(&buffer, b"abcd");
        assert!(read_exactly(reader.as_fd(), &mut buffer).is_err());
        assert_eq!(moved(), Taken::Bytes(2));
        drop(writer);
        assert_eq!(moved(), Taken::End);
    }

    #[test]
    fn a_pipe_can_be_enlarged() {
        let (reader, _writer) = pipe().unwrap();
        let before = capacity(reader.as_fd()).unwrap();
        let after = enlarge(reader.as_fd(), before * 2).unwrap();
        assert_eq!(after, before * 2);
        assert_eq!(capacity(reader.as_fd()).unwrap(), after);
    }
}

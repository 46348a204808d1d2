//! Pairs of sockets that keep message boundaries and carry descriptors (unix(7), SOCK_SEQPACKET).
//!
//! The first byte of a datagram tells whether the message follows, or is in a memfd that comes as
//! the first descriptor because it is longer than a datagram should be.

use std::io::{self, IoSlice};
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, sendmsg, setsockopt, socketpair, sockopt,
};

use super::memfd;

/// Descriptors of one message. The kernel takes 253 (SCM_MAX_FD); one may be the memfd.
pub const DESCRIPTORS_MAX: usize = 250;

/// A longer message goes through a memfd. Half of what an unprivileged socket buffer holds.
pub const DATAGRAM_BYTES_MAX: usize = 128 * 1024;

/// The longest message at all.
const MESSAGE_BYTES_MAX: u64 = 64 << 20;

/// What is asked for; the kernel gives what it allows.
const BUFFER_BYTES: usize = 4 << 20;

const INLINE: u8 = 0;
const IN_MEMFD: u8 = 1;

#[derive(Debug)]
pub struct Message {
    pub bytes: Vec<u8>,
    pub descriptors: Vec<OwnedFd>,
    /// Some descriptors were lost, because this process has as many as it may (EMFILE).
    pub descriptors_lost: bool,
}

/// Two connected ends, close-on-exec, blocking.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (one, other) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
    for end in [&one, &other] {
        // Past the system's limit where we may, else up to it; the default does also.
        if setsockopt(end, sockopt::SndBufForce, &BUFFER_BYTES).is_err() {
            setsockopt(end, sockopt::SndBuf, &BUFFER_BYTES)?;
        }
        if setsockopt(end, sockopt::RcvBufForce, &BUFFER_BYTES).is_err() {
            setsockopt(end, sockopt::RcvBuf, &BUFFER_BYTES)?;
        }
    }
    Ok((one, other))
}

/// Waits while the socket is full. EPIPE when the other end is closed.
pub fn send(fd: BorrowedFd<'_>, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    send_with(fd, bytes, descriptors, MsgFlags::empty())
}

/// `WouldBlock` when the socket is full; nothing has been sent then.
pub fn try_send(fd: BorrowedFd<'_>, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    send_with(fd, bytes, descriptors, MsgFlags::MSG_DONTWAIT)
}

/// Waits for a message; `None` when the other end is closed.
pub fn receive(fd: BorrowedFd<'_>) -> io::Result<Option<Message>> {
    receive_with(fd, 0)
}

/// `WouldBlock` when there is no message.
pub fn try_receive(fd: BorrowedFd<'_>) -> io::Result<Option<Message>> {
    receive_with(fd, libc::MSG_DONTWAIT)
}

fn send_with(
    fd: BorrowedFd<'_>,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
    flags: MsgFlags,
) -> io::Result<()> {
    if descriptors.len() > DESCRIPTORS_MAX {
        let text = format!("{} descriptors in one message, {DESCRIPTORS_MAX} at most", descriptors.len());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    if bytes.len() <= DATAGRAM_BYTES_MAX {
        let numbers: Vec<_> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
        return send_datagram(fd, &[INLINE], bytes, &numbers, flags);
    }
    if bytes.len() as u64 > MESSAGE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the message is too long"));
    }
    let memory = memfd::filled_with(bytes)?;
    let mut numbers = vec![memory.as_raw_fd()];
    numbers.extend(descriptors.iter().map(AsRawFd::as_raw_fd));
    send_datagram(fd, &[IN_MEMFD], &[], &numbers, flags)
}

fn send_datagram(
    fd: BorrowedFd<'_>,
    form: &[u8],
    bytes: &[u8],
    numbers: &[i32],
    flags: MsgFlags,
) -> io::Result<()> {
    let parts = [IoSlice::new(form), IoSlice::new(bytes)];
    let rights = [ControlMessage::ScmRights(numbers)];
    let control: &[ControlMessage<'_>] = if numbers.is_empty() { &[] } else { &rights };
    loop {
        let sent = sendmsg::<()>(fd.as_raw_fd(), &parts, control, flags | MsgFlags::MSG_NOSIGNAL, None);
        match sent {
            Ok(_) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

fn receive_with(fd: BorrowedFd<'_>, flags: i32) -> io::Result<Option<Message>> {
    let Some(length) = next_length(fd, flags)? else { return Ok(None) };
    let mut bytes = vec![0; length];
    let (received, mut descriptors, descriptors_lost) = receive_datagram(fd, &mut bytes)?;
    bytes.truncate(received);
    match bytes.first() {
        Some(&INLINE) => {
            bytes.remove(0);
            Ok(Some(Message { bytes, descriptors, descriptors_lost }))
        }
        Some(&IN_MEMFD) if !descriptors.is_empty() => {
            let bytes = memfd::read_all(descriptors.remove(0), MESSAGE_BYTES_MAX)?;
            Ok(Some(Message { bytes, descriptors, descriptors_lost }))
        }
        Some(&IN_MEMFD) if descriptors_lost => Err(Errno::EMFILE.into()),
        Some(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "a datagram of unknown form")),
        None => Ok(None),
    }
}

/// Of the next datagram, which stays where it is. 0 bytes are the end: ours have one at least.
fn next_length(fd: BorrowedFd<'_>, flags: i32) -> io::Result<Option<usize>> {
    let flags = flags | libc::MSG_PEEK | libc::MSG_TRUNC;
    loop {
        // SAFETY: takes no byte, as the length is zero, and only tells the real length.
        let length = unsafe { libc::recv(fd.as_raw_fd(), std::ptr::null_mut(), 0, flags) };
        match Errno::result(length) {
            Ok(0) => return Ok(None),
            Ok(length) => return Ok(usize::try_from(length).ok()),
            // The other end left without having read all of ours. Told once, before what it has
            // sent itself, which is still to come.
            Err(Errno::EINTR | Errno::ECONNRESET) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Room for the header and the descriptors of one message; aligned as cmsghdr wants it.
const CONTROL_WORDS: usize = 3 + (DESCRIPTORS_MAX + 3).div_ceil(2);

/// By recvmsg(2) itself: when descriptors are lost, nix gives none at all and leaks the others.
fn receive_datagram(fd: BorrowedFd<'_>, bytes: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>, bool)> {
    let mut control = [0_u64; CONTROL_WORDS];
    let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    // SAFETY: all zero is a valid msghdr (musl has private padding in it).
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = mem::size_of_val(&control) as _;
    let received = loop {
        // SAFETY: the header points to `bytes` and `control`, with their lengths, and both live on.
        let received = unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut header, libc::MSG_CMSG_CLOEXEC) };
        match Errno::result(received) {
            Ok(received) => break received,
            Err(Errno::EINTR | Errno::ECONNRESET) => {}
            Err(errno) => return Err(errno.into()),
        }
    };
    let lost = header.msg_flags & libc::MSG_CTRUNC != 0;
    Ok((usize::try_from(received).unwrap_or(0), taken_from(&header), lost))
}

fn taken_from(header: &libc::msghdr) -> Vec<OwnedFd> {
    let mut descriptors = Vec::new();
    // SAFETY: the kernel has filled the control buffer of this header.
    let mut entry = unsafe { libc::CMSG_FIRSTHDR(header) };
    // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR give a whole entry within the buffer, or null.
    while let Some(about) = unsafe { entry.as_ref() } {
        if about.cmsg_level == libc::SOL_SOCKET && about.cmsg_type == libc::SCM_RIGHTS {
            // SAFETY: the data of this entry follows its header.
            let mut data = unsafe { libc::CMSG_DATA(entry) }.cast::<i32>();
            // SAFETY: only computes the length of a header.
            let header_bytes = unsafe { libc::CMSG_LEN(0) } as usize;
            // musl has another type for the length.
            #[allow(clippy::unnecessary_cast)]
            let count = (about.cmsg_len as usize).saturating_sub(header_bytes) / mem::size_of::<i32>();
            for _ in 0..count {
                // SAFETY: `count` descriptors are there, perhaps not aligned.
                let number = unsafe { data.read_unaligned() };
                data = data.wrapping_add(1);
                // SAFETY: the kernel has just made it for us alone.
                descriptors.push(unsafe { OwnedFd::from_raw_fd(number) });
            }
        }
        // SAFETY: `entry` is an entry of this header.
        entry = unsafe { libc::CMSG_NXTHDR(header, entry) };
    }
    descriptors
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::{Read, Write};
    use std::os::fd::AsFd;

    #[test]
    fn a_message_arrives_whole_with_its_descriptors_in_order() {
        let (one, other) = pair().unwrap();
        let (reader, writer) = super::super::descriptor::pipe().unwrap();
        send(one.as_fd(), b"hello", &[writer.as_fd(), reader.as_fd()]).unwrap();
        drop((reader, writer));
        let message = receive(other.as_fd()).unwrap().unwrap();
        assert_eq!(message.bytes, b"hello");
        assert!(!message.descriptors_lost);
        let mut ends = message.descriptors.into_iter().map(File::from);
        let (mut writer, mut reader) = (ends.next().unwrap(), ends.next().unwrap());
        writer.write_all(b"through").unwrap();
        drop(writer);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "through");
    }

    #[test]
    fn the_last_messages_of_one_that_left_without_reading_ours_are_had() {
        let (one, other) = pair().unwrap();
        send(one.as_fd(), b"never read", &[]).unwrap();
        send(other.as_fd(), b"last", &[]).unwrap();
        send(other.as_fd(), b"words", &[]).unwrap();
        drop(other);
        assert_eq!(try_receive(one.as_fd()).unwrap().unwrap().bytes, b"last");
        assert_eq!(receive(one.as_fd()).unwrap().unwrap().bytes, b"words");
        assert!(receive(one.as_fd()).unwrap().is_none());
    }

    #[test]
    fn an_empty_message_is_no_end() {
        let (one, other) = pair().unwrap();
        send(one.as_fd(), b"", &[]).unwrap();
        assert_eq!(receive(other.as_fd()).unwrap().unwrap().bytes, b"");
        drop(one);
        assert!(receive(other.as_fd()).unwrap().is_none());
    }

    #[test]
    fn a_long_message_arrives_like_a_short_one() {
        let (one, other) = pair().unwrap();
        let null = super::super::descriptor::null().unwrap();
        for length in [DATAGRAM_BYTES_MAX, DATAGRAM_BYTES_MAX + 1, 3 << 20] {
            let bytes: Vec<u8> = (0..length).map(|n| n as u8).collect();
            send(one.as_fd(), &bytes, &[null.as_fd()]).unwrap();
            let message = receive(other.as_fd()).unwrap().unwrap();
            assert!(message.bytes == bytes);
            assert_eq!(message.descriptors.len(), 1);
        }
    }

    #[test]
    fn too_many_descriptors_are_refused_and_as_many_as_promised_arrive() {
        let (one, other) = pair().unwrap();
        let null = super::super::descriptor::null().unwrap();
        let long = vec![1; DATAGRAM_BYTES_MAX + 1];
        let fits = vec![null.as_fd(); DESCRIPTORS_MAX];
        send(one.as_fd(), &long, &fits).unwrap();
        let message = receive(other.as_fd()).unwrap().unwrap();
        assert_eq!((message.descriptors.len(), message.descriptors_lost), (DESCRIPTORS_MAX, false));
        let error = send(one.as_fd(), b"", &vec![null.as_fd(); DESCRIPTORS_MAX + 1]).unwrap_err();
        assert_eq!(error.to_string(), "251 descriptors in one message, 250 at most");
    }

    #[test]
    fn a_full_socket_and_an_empty_one_are_told_and_not_waited_for() {
        let (one, other) = pair().unwrap();
        assert_eq!(try_receive(other.as_fd()).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let bytes = vec![7; DATAGRAM_BYTES_MAX];
        let mut sent = 0;
        while try_send(one.as_fd(), &bytes, &[]).is_ok() {
            sent += 1;
        }
        assert!(sent > 0);
        assert_eq!(try_send(one.as_fd(), &bytes, &[]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        for _ in 0..sent {
            assert_eq!(try_receive(other.as_fd()).unwrap().unwrap().bytes.len(), bytes.len());
        }
        drop(other);
        assert_eq!(try_send(one.as_fd(), &bytes, &[]).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}

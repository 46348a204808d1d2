//! Memory with a descriptor (memfd_create(2)): how a message travels that is too long for a datagram.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::OwnedFd;

use nix::sys::memfd::{MFdFlags, memfd_create};

pub fn filled_with(bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd_create(c"svc-message", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(bytes)?;
    Ok(file.into())
}

/// From its beginning; an error when it is longer than `bytes_max`.
pub fn read_all(fd: OwnedFd, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut file = File::from(fd);
    let length = file.metadata()?.len();
    if length > bytes_max {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the message is too long"));
    }
    file.rewind()?;
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    file.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

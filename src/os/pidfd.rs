//! A process that cannot turn into another one: pidfd_open(2), pidfd_send_signal(2).

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// A process that is not necessarily our child. A signal sent through it never reaches a process
/// that got the same number later.
#[derive(Debug)]
pub struct ProcessHandle(OwnedFd);

impl ProcessHandle {
    /// Errors: NotFound (ESRCH) when there is no such process; kernels before 5.3 have no pidfds.
    pub fn open(pid: i32) -> io::Result<Self> {
        // SAFETY: pidfd_open takes two integers and touches no memory of ours.
        let result = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        let descriptor = i32::try_from(result).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just made this descriptor for us; nothing else owns it.
        let owned = unsafe { OwnedFd::from_raw_fd(descriptor) };
        Ok(Self(owned))
    }

    /// Errors: ESRCH when the process has ended, EPERM when it belongs to somebody else.
    pub fn signal(&self, signal: i32) -> io::Result<()> {
        let no_info = std::ptr::null::<libc::siginfo_t>();
        // SAFETY: a null siginfo is allowed and means the same as kill(2).
        let result =
            unsafe { libc::syscall(libc::SYS_pidfd_send_signal, self.0.as_raw_fd(), signal, no_info, 0) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::ProcessHandle;

    #[test]
    fn a_process_that_has_ended_gets_no_signal() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let handle = ProcessHandle::open(i32::try_from(child.id()).unwrap()).unwrap();
        handle.signal(9).unwrap();
        child.wait().unwrap();
        assert_eq!(handle.signal(0).unwrap_err().raw_os_error(), Some(libc::ESRCH));
    }
}

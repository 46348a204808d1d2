//! A process that cannot turn into another one: pidfd_open(2), pidfd_send_signal(2).

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::process::Ended;

/// The pidfd stands for the process group of that number (Linux 6.9).
const TO_PROCESS_GROUP: libc::c_uint = 1 << 2;

/// How the process ended is asked for, and told (Linux 6.15).
const INFO_EXIT: u64 = 1 << 3;

/// struct pidfd_info of linux/pidfd.h, as long as it was at first.
#[repr(C)]
#[derive(Default)]
struct PidfdInfo {
    mask: u64,
    cgroup: u64,
    ids: [u32; 11],
    /// As wait(2) tells it.
    exit_status: i32,
}

const GET_INFO: u64 = nix::request_code_readwrite!(0xff, 11, size_of::<PidfdInfo>()) as u64;

/// What the kernel tells of the end of a process that is not our child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Known(Ended),
    /// It runs, or its parent has not reaped it: until then nobody is told.
    NotYet,
    /// This kernel does not tell.
    Untold,
}

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
        self.send(signal, 0)
    }

    /// To the process group that the process leads. Errors as above; InvalidInput before Linux 6.9.
    pub fn signal_group(&self, signal: i32) -> io::Result<()> {
        self.send(signal, TO_PROCESS_GROUP)
    }

    fn send(&self, signal: i32, flags: libc::c_uint) -> io::Result<()> {
        let no_info = std::ptr::null::<libc::siginfo_t>();
        // SAFETY: a null siginfo is allowed and means the same as kill(2).
        let result =
            unsafe { libc::syscall(libc::SYS_pidfd_send_signal, self.0.as_raw_fd(), signal, no_info, flags) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// How it ended. The kernel knows for those processes of which a handle was open then.
    pub fn end(&self) -> End {
        let mut info = PidfdInfo { mask: INFO_EXIT, ..PidfdInfo::default() };
        // SAFETY: the kernel writes as many bytes as the request number says, which are those of `info`.
        let result = unsafe { libc::ioctl(self.0.as_raw_fd(), GET_INFO as _, &raw mut info) };
        match result {
            0 if info.mask & INFO_EXIT != 0 => End::Known(Ended::from_status(info.exit_status)),
            0 => End::NotYet,
            // ESRCH: reaped, and the kernel is one that tells of the living only (before 6.15).
            _ => End::Untold,
        }
    }
}

impl AsFd for ProcessHandle {
    /// Readable when the process has ended; hung up when it has been reaped.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::{End, ProcessHandle};
    use crate::os::process::Ended;

    #[test]
    fn a_process_that_has_ended_gets_no_signal() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let handle = ProcessHandle::open(i32::try_from(child.id()).unwrap()).unwrap();
        handle.signal(9).unwrap();
        child.wait().unwrap();
        assert_eq!(handle.signal(0).unwrap_err().raw_os_error(), Some(libc::ESRCH));
    }

    #[test]
    fn the_end_of_a_process_is_told_truly_or_not_at_all() {
        for (script, ended) in
            [("exit 7", Ended::Code(7)), ("kill -9 $$", Ended::Signal { signal: 9, core: false })]
        {
            let mut command = std::process::Command::new("sh");
            let child = command.args(["-c", &format!("read line; {script}")]);
            let mut child = child.stdin(std::process::Stdio::piped()).spawn().unwrap();
            let handle = ProcessHandle::open(i32::try_from(child.id()).unwrap()).unwrap();
            assert!(matches!(handle.end(), End::NotYet | End::Untold));
            child.wait().unwrap();
            assert!([End::Known(ended), End::Untold].contains(&handle.end()), "{:?}", handle.end());
        }
    }

    #[test]
    fn a_signal_to_the_group_of_one_that_leads_none_reaches_nobody() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let handle = ProcessHandle::open(i32::try_from(child.id()).unwrap()).unwrap();
        let error = handle.signal_group(0).unwrap_err().raw_os_error();
        assert!([Some(libc::ESRCH), Some(libc::EINVAL)].contains(&error), "{error:?}");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

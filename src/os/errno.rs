//! Errors of the kernel in words, with the name that people search for.

use nix::errno::Errno;

pub const EPERM: i32 = libc::EPERM;
pub const ENOENT: i32 = libc::ENOENT;
pub const EACCES: i32 = libc::EACCES;
pub const ENOEXEC: i32 = libc::ENOEXEC;
pub const EAGAIN: i32 = libc::EAGAIN;
pub const EMFILE: i32 = libc::EMFILE;

/// "No such file or directory (ENOENT)".
pub fn describe(number: i32) -> String {
    let errno = Errno::from_raw(number);
    format!("{} ({errno:?})", errno.desc())
}

/// The name that `[limits]` in service.toml has for an RLIMIT_* of the kernel.
#[allow(clippy::unnecessary_cast)]
pub fn limit_name(resource: u32) -> &'static str {
    // The constants have another type in each C library.
    let named = [
        (libc::RLIMIT_CPU as u32, "cpu-time"),
        (libc::RLIMIT_FSIZE as u32, "file-size"),
        (libc::RLIMIT_DATA as u32, "data"),
        (libc::RLIMIT_STACK as u32, "stack"),
        (libc::RLIMIT_CORE as u32, "core"),
        (libc::RLIMIT_RSS as u32, "resident-set"),
        (libc::RLIMIT_NPROC as u32, "processes"),
        (libc::RLIMIT_NOFILE as u32, "open-files"),
        (libc::RLIMIT_MEMLOCK as u32, "locked-memory"),
        (libc::RLIMIT_AS as u32, "address-space"),
        (libc::RLIMIT_LOCKS as u32, "locks"),
        (libc::RLIMIT_SIGPENDING as u32, "pending-signals"),
        (libc::RLIMIT_MSGQUEUE as u32, "message-queues"),
        (libc::RLIMIT_NICE as u32, "nice"),
        (libc::RLIMIT_RTPRIO as u32, "real-time-priority"),
        (libc::RLIMIT_RTTIME as u32, "real-time-cpu"),
    ];
    named.iter().find(|(number, _)| *number == resource).map_or("of an unknown kind", |(_, name)| name)
}

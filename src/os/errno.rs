//! Errors of the kernel in words, with the name that people search for.

use nix::errno::Errno;

pub const EPERM: i32 = libc::EPERM;
pub const ENOENT: i32 = libc::ENOENT;
pub const EACCES: i32 = libc::EACCES;
pub const ENOEXEC: i32 = libc::ENOEXEC;

/// "No such file or directory (ENOENT)".
pub fn describe(number: i32) -> String {
    let errno = Errno::from_raw(number);
    format!("{} ({errno:?})", errno.desc())
}

/// The name that `[limits]` in service.toml has for an RLIMIT_* of the kernel.
pub fn limit_name(resource: u32) -> &'static str {
    match resource {
        libc::RLIMIT_CPU => "cpu-time",
        libc::RLIMIT_FSIZE => "file-size",
        libc::RLIMIT_DATA => "data",
        libc::RLIMIT_STACK => "stack",
        libc::RLIMIT_CORE => "core",
        libc::RLIMIT_RSS => "resident-set",
        libc::RLIMIT_NPROC => "processes",
        libc::RLIMIT_NOFILE => "open-files",
        libc::RLIMIT_MEMLOCK => "locked-memory",
        libc::RLIMIT_AS => "address-space",
        libc::RLIMIT_LOCKS => "locks",
        libc::RLIMIT_SIGPENDING => "pending-signals",
        libc::RLIMIT_MSGQUEUE => "message-queues",
        libc::RLIMIT_NICE => "nice",
        libc::RLIMIT_RTPRIO => "real-time-priority",
        libc::RLIMIT_RTTIME => "real-time-cpu",
        _ => "of an unknown kind",
    }
}

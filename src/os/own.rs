//! Who this process is.

use nix::unistd::{getegid, geteuid, getpid, getppid};

pub fn pid() -> i32 {
    getpid().as_raw()
}

pub fn parent_pid() -> i32 {
    getppid().as_raw()
}

/// The effective one.
pub fn uid() -> u32 {
    geteuid().as_raw()
}

/// The effective one.
pub fn gid() -> u32 {
    getegid().as_raw()
}

//! The numbers by which the kernel knows limits, schedulers and priorities.

use nix::libc;

// The C libraries give these numbers different types.
macro_rules! limits {
    ($($name:ident = $number:ident),* $(,)?) => {
        $(#[allow(clippy::unnecessary_cast)] pub const $name: u32 = libc::$number as u32;)*
    };
}

limits! {
    ADDRESS_SPACE = RLIMIT_AS,
    CORE = RLIMIT_CORE,
    CPU_TIME = RLIMIT_CPU,
    DATA = RLIMIT_DATA,
    FILE_SIZE = RLIMIT_FSIZE,
    LOCKED_MEMORY = RLIMIT_MEMLOCK,
    MESSAGE_QUEUES = RLIMIT_MSGQUEUE,
    NICE = RLIMIT_NICE,
    OPEN_FILES = RLIMIT_NOFILE,
    PENDING_SIGNALS = RLIMIT_SIGPENDING,
    PROCESSES = RLIMIT_NPROC,
    REAL_TIME_PRIORITY = RLIMIT_RTPRIO,
    REAL_TIME_RUN = RLIMIT_RTTIME,
    STACK = RLIMIT_STACK,
}

pub const SCHED_OTHER: i32 = libc::SCHED_OTHER;
pub const SCHED_FIFO: i32 = libc::SCHED_FIFO;
pub const SCHED_RR: i32 = libc::SCHED_RR;
pub const SCHED_BATCH: i32 = libc::SCHED_BATCH;
pub const SCHED_IDLE: i32 = libc::SCHED_IDLE;

/// The value of ioprio_set(2), class and level (linux/ioprio.h: 13 bits of level).
pub const fn io_priority(class: IoClass, level: i32) -> i32 {
    ((class as i32) << 13) | level
}

/// IOPRIO_CLASS_*.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IoClass {
    RealTime = 1,
    BestEffort = 2,
    Idle = 3,
}

//! The clocks of the kernel.

use std::time::{Duration, SystemTime};

use nix::time::{ClockId, clock_gettime};

/// Nanoseconds of CLOCK_MONOTONIC (clock_gettime(2)); the vDSO answers, it cannot fail here.
pub fn monotonic_nanoseconds() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

/// Kernel's clock ticks of 10 ms since boot, time asleep included: what /proc/PID/stat counts the start
/// of a process in. It never fails here.
pub fn boot_ticks() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from).unwrap_or_default();
    u64::try_from(now.as_millis() / 10).unwrap_or(u64::MAX)
}

/// Time since 1970 by the wall clock; zero when it is set before that.
pub fn wall() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

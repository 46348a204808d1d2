//! A moment on the monotonic clock, handed in with every event.

use std::ops::Add;
use std::time::Duration;

/// Nanoseconds of CLOCK_MONOTONIC. Never compared between two boots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    pub nanoseconds: u64,
}

impl Time {
    pub const fn from_nanoseconds(nanoseconds: u64) -> Self {
        Self { nanoseconds }
    }

    /// How long ago `earlier` was; zero when it lies in the future.
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_nanos(self.nanoseconds.saturating_sub(earlier.nanoseconds))
    }
}

impl Add<Duration> for Time {
    type Output = Time;

    /// Saturates: a deadline that cannot be represented is never reached.
    fn add(self, later: Duration) -> Time {
        let later = u64::try_from(later.as_nanos()).unwrap_or(u64::MAX);
        Time { nanoseconds: self.nanoseconds.saturating_add(later) }
    }
}

//! Random numbers that are the same for the same seed, everywhere and for ever: splitmix64.

use std::time::Duration;

pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A stream of its own for a part of the run, so that leaving out one part changes no other.
    pub fn of(seed: u64, parts: &[u64]) -> Self {
        Self(parts.iter().fold(seed, |state, part| Self(state ^ part.wrapping_mul(0x9e37_79b9)).next()))
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    pub fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    /// Up to `limit` milliseconds, short ones as likely as long ones.
    pub fn time(&mut self, limit: u64) -> Duration {
        let scale = 1 << self.below(u64::from(64 - limit.leading_zeros()) + 1);
        let milliseconds = self.below(scale).min(limit);
        Duration::from_millis(milliseconds) + Duration::from_nanos(self.below(1_000_000))
    }
}

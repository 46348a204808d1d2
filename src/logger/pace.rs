//! How eagerly a pipe is read. A reader that reads as soon as it can fights a fast writer for the
//! pipe, byte by byte; one that gives it a moment takes much at once (DESIGN.md section 10).

/// How long a busy writer is left alone after a short read.
pub const REST_NANOSECONDS: u64 = 1_000_000;
/// What a busy pipe is enlarged to.
pub const BUSY_PIPE_BYTES: usize = 1 << 20;
/// Reads that follow each other closer than this make a service busy: a rest and a wake-up.
const CLOSE_NANOSECONDS: u64 = 3 * REST_NANOSECONDS;
/// So many of them.
const BUSY_READS: u32 = 16;
/// And so much with them before the pipe is enlarged: four times what a pipe holds by default.
const BUSY_BYTES: u64 = 256 << 10;
/// What a pipe holds by default (pipe(7)).
const DEFAULT_PIPE_BYTES: usize = 64 << 10;

/// How busy one service is.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    last_read: u64,
    close_reads: u32,
    close_bytes: u64,
    pipe_bytes: usize,
    /// The last read was after a rest.
    rested: bool,
    enlarging_tried: bool,
    /// Resting did harm: the pipe is small and was full afterwards.
    restless: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Read again when there is something.
    Go,
    /// Leave the writer alone for `REST_NANOSECONDS`.
    Rest,
    /// The pipe should be enlarged; then `Go`.
    Enlarge,
}

impl Pace {
    pub fn new() -> Self {
        Self {
            last_read: 0,
            close_reads: 0,
            close_bytes: 0,
            pipe_bytes: DEFAULT_PIPE_BYTES,
            rested: false,
            enlarging_tried: false,
            restless: false,
        }
    }

    /// The pipe holds so much now; none: it could not be enlarged and stays as it is.
    pub fn enlarged(&mut self, pipe_bytes: Option<usize>) {
        self.pipe_bytes = pipe_bytes.unwrap_or(self.pipe_bytes);
        self.enlarging_tried = true;
    }

    /// After a read of `bytes` at `now` (monotonic nanoseconds).
    pub fn advise(&mut self, now: u64, bytes: usize) -> Advice {
        let rested = std::mem::replace(&mut self.rested, false);
        if now.saturating_sub(self.last_read) > CLOSE_NANOSECONDS {
            self.close_reads = 0;
            self.close_bytes = 0;
        }
        self.last_read = now;
        self.close_reads = self.close_reads.saturating_add(1);
        self.close_bytes = self.close_bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        if !self.enlarging_tried && self.close_bytes >= BUSY_BYTES {
            return Advice::Enlarge;
        }
        if rested && bytes >= self.pipe_bytes && self.pipe_bytes < BUSY_PIPE_BYTES {
            self.restless = true;
        }
        if self.restless || self.close_reads < BUSY_READS || bytes >= self.pipe_bytes / 4 {
            return Advice::Go;
        }
        self.rested = true;
        Advice::Rest
    }
}

/// The bytes a second that a service may log (`limit`), with what it saved up in the last second.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    bytes_per_second: u64,
    tokens: u64,
    filled: u64,
}

impl Bucket {
    pub fn new(bytes_per_second: u64, now: u64) -> Self {
        Self { bytes_per_second, tokens: bytes_per_second, filled: now }
    }

    pub fn set_rate(&mut self, bytes_per_second: u64) {
        self.bytes_per_second = bytes_per_second;
        self.tokens = self.tokens.min(bytes_per_second);
    }

    /// How many bytes may be read at `now`, or the time from which some may.
    pub fn allowance(&mut self, now: u64) -> Result<u64, u64> {
        let rate = u128::from(self.bytes_per_second.max(1));
        let new = u128::from(now.saturating_sub(self.filled)) * rate / 1_000_000_000;
        if new > 0 {
            let tokens = u128::from(self.tokens).saturating_add(new).min(rate);
            self.tokens = u64::try_from(tokens).unwrap_or(u64::MAX);
            self.filled =
                if self.tokens == self.bytes_per_second { now } else { self.filled + spent(new, rate) };
        }
        // A twentieth of a second's worth at least: fewer wake-ups, larger reads.
        let portion = (self.bytes_per_second / 20).clamp(1, 65_536);
        if self.tokens >= portion {
            return Ok(self.tokens);
        }
        let missing = u128::from(portion - self.tokens) * 1_000_000_000;
        Err(now.saturating_add(u64::try_from(missing.div_ceil(rate)).unwrap_or(u64::MAX)))
    }

    pub fn take(&mut self, bytes: usize) {
        self.tokens = self.tokens.saturating_sub(u64::try_from(bytes).unwrap_or(u64::MAX));
    }
}

/// The nanoseconds in which `tokens` come.
fn spent(tokens: u128, rate: u128) -> u64 {
    u64::try_from(tokens * 1_000_000_000 / rate).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quiet_service_is_read_at_once_and_its_pipe_left_as_it_is() {
        let mut pace = Pace::new();
        for read in 1..1_000u64 {
            assert_eq!(pace.advise(read * 10_000_000, 4_096), Advice::Go);
        }
    }

    #[test]
    fn a_busy_service_gets_a_larger_pipe_and_rest_after_short_reads_only() {
        let mut pace = Pace::new();
        let mut now = 1;
        while pace.advise(now, 8_192) != Advice::Enlarge {
            now += 20_000;
        }
        pace.enlarged(Some(BUSY_PIPE_BYTES));
        assert_eq!(pace.advise(now, 8_192), Advice::Rest);
        assert_eq!(pace.advise(now + REST_NANOSECONDS, 500_000), Advice::Go);
        assert_eq!(pace.advise(now + REST_NANOSECONDS + 1, 8_192), Advice::Rest);
        assert_eq!(pace.advise(now + 20 * REST_NANOSECONDS, 8_192), Advice::Go);
    }

    #[test]
    fn a_small_pipe_that_was_full_after_a_rest_is_never_left_to_rest_again() {
        let mut pace = Pace::new();
        pace.enlarged(Some(4_096));
        let mut now = 1;
        while pace.advise(now, 100) != Advice::Rest {
            now += 1_000;
        }
        assert_eq!(pace.advise(now + REST_NANOSECONDS, 4_096), Advice::Go);
        assert_eq!(pace.advise(now + REST_NANOSECONDS + 1, 100), Advice::Go);
    }

    #[test]
    fn a_bucket_gives_its_rate_and_says_when_there_is_more() {
        let mut bucket = Bucket::new(1_000, 0);
        assert_eq!(bucket.allowance(0), Ok(1_000));
        bucket.take(1_000);
        assert_eq!(bucket.allowance(0), Err(50_000_000));
        assert_eq!(bucket.allowance(50_000_000), Ok(50));
        assert_eq!(bucket.allowance(3_000_000_000), Ok(1_000));
    }
}

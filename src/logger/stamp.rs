//! The time in front of a line: written in three forms, read back in both that say something.
//!
//! tai64n is `@` and 24 hexadecimal digits: 2^62 + 10 + the seconds since 1970, then the
//! nanoseconds. The constant 10 is the convention of runit and daemontools (tai64nlocal agrees);
//! s6 counts leap seconds as well and is 27 s further on.

use std::time::Duration;

use crate::service::Timestamp;

/// `2026-11-22T17:18:51.123456Z`
pub const RFC3339_BYTES: usize = 27;
/// `@` and 24 digits.
pub const TAI64N_BYTES: usize = 25;
const TAI64_EPOCH: u64 = (1 << 62) + 10;

/// A moment as text, made once for all lines of one read.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    pub wall: Duration,
    text: [u8; RFC3339_BYTES],
    length: usize,
}

impl Stamp {
    /// `wall` is the time since 1970.
    pub fn new(form: Timestamp, wall: Duration) -> Self {
        let mut text = [0; RFC3339_BYTES];
        let length = match form {
            Timestamp::Rfc3339 => {
                text = rfc3339(wall);
                RFC3339_BYTES
            }
            Timestamp::Tai64n => {
                let digits = format!("@{:016x}{:08x}", TAI64_EPOCH + wall.as_secs(), wall.subsec_nanos());
                for (to, from) in text.iter_mut().zip(digits.bytes()) {
                    *to = from;
                }
                TAI64N_BYTES
            }
            Timestamp::None => 0,
        };
        Self { wall, text, length }
    }

    pub fn text(&self) -> &[u8] {
        self.text.get(..self.length).unwrap_or_default()
    }
}

/// UTC with microseconds.
pub fn rfc3339(wall: Duration) -> [u8; RFC3339_BYTES] {
    let (year, month, day) = date(wall.as_secs() / 86_400);
    let second = wall.as_secs() % 86_400;
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    put(&mut text, 0, 4, year);
    put(&mut text, 5, 2, month);
    put(&mut text, 8, 2, day);
    put(&mut text, 11, 2, second / 3_600);
    put(&mut text, 14, 2, second / 60 % 60);
    put(&mut text, 17, 2, second % 60);
    put(&mut text, 20, 6, wall.subsec_micros().into());
    text
}

/// The moment that `line` begins with, and how many bytes it takes with the space behind it.
pub fn parse(line: &[u8]) -> Option<(Duration, usize)> {
    if line.first() == Some(&b'@') {
        let (text, behind) = line.split_at_checked(TAI64N_BYTES)?;
        return (behind.first() == Some(&b' ')).then_some((parse_tai64n(text)?, TAI64N_BYTES + 1));
    }
    let (text, behind) = line.split_at_checked(RFC3339_BYTES)?;
    (behind.first() == Some(&b' ')).then_some((parse_rfc3339(text)?, RFC3339_BYTES + 1))
}

/// Only the one form that `rfc3339` writes.
pub fn parse_rfc3339(text: &[u8]) -> Option<Duration> {
    let shape = b"0000-00-00T00:00:00.000000Z";
    let fits = text.len() == shape.len()
        && text
            .iter()
            .zip(shape)
            .all(|(is, form)| if *form == b'0' { is.is_ascii_digit() } else { is == form });
    if !fits {
        return None;
    }
    let (year, month, day) = (take(text, 0, 4)?, take(text, 5, 2)?, take(text, 8, 2)?);
    let (hour, minute, second) = (take(text, 11, 2)?, take(text, 14, 2)?, take(text, 17, 2)?);
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 {
        return None;
    }
    let seconds = days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    let microseconds = u32::try_from(take(text, 20, 6)?).ok()?;
    Some(Duration::new(seconds, microseconds * 1_000))
}

pub fn parse_tai64n(text: &[u8]) -> Option<Duration> {
    let digits = text.strip_prefix(b"@")?;
    if digits.len() != 24 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let digits = std::str::from_utf8(digits).ok()?;
    let seconds = u64::from_str_radix(digits.get(..16)?, 16).ok()?.checked_sub(TAI64_EPOCH)?;
    let nanoseconds = u32::from_str_radix(digits.get(16..)?, 16).ok()?;
    (nanoseconds < 1_000_000_000).then(|| Duration::new(seconds, nanoseconds))
}

fn put(text: &mut [u8], at: usize, width: usize, mut number: u64) {
    for digit in text.iter_mut().skip(at).take(width).rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
}

fn take(text: &[u8], at: usize, width: usize) -> Option<u64> {
    let digits = text.get(at..at + width)?;
    Some(digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}

/// Year, month and day of a day counted from 1970-01-01, by the civil calendar. The algorithm is
/// days_from_civil and its inverse, <https://howardhinnant.github.io/date_algorithms.html>.
pub(super) fn date(day: u64) -> (u64, u64, u64) {
    let shifted = day + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

pub(super) fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = year - u64::from(month <= 2);
    let (era, year_of_era) = (year / 400, year % 400);
    let march_month = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * march_month + 2) / 5 + day - 1;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    era * 146_097 + of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = Duration::new(1_795_367_931, 123_456_789);

    #[test]
    fn rfc3339_is_utc_with_microseconds_and_is_read_back() {
        let stamp = Stamp::new(Timestamp::Rfc3339, MOMENT);
        assert_eq!(stamp.text(), b"2026-11-22T17:18:51.123456Z");
        let line = [stamp.text(), b" hello"].concat();
        assert_eq!(parse(&line), Some((Duration::new(1_795_367_931, 123_456_000), 28)));
    }

    #[test]
    fn tai64n_is_ten_seconds_ahead_as_runit_has_it_and_is_read_back() {
        let stamp = Stamp::new(Timestamp::Tai64n, MOMENT);
        assert_eq!(
            stamp.text(),
            format!("@40000000{:08x}{:08x}", 1_795_367_931u64 + 10, 123_456_789).as_bytes()
        );
        let line = [stamp.text(), b" hello"].concat();
        assert_eq!(parse(&line), Some((MOMENT, 26)));
    }

    #[test]
    fn every_day_of_four_centuries_goes_there_and_back() {
        let mut before = (1969, 12, 31);
        for day in 0..146_097 + 365 {
            let (year, month, of_month) = date(day);
            assert!((year, month, of_month) > before);
            assert_eq!(days(year, month, of_month), day);
            before = (year, month, of_month);
        }
        assert_eq!(date(11_016), (2000, 2, 29));
    }

    #[test]
    fn what_only_looks_like_a_stamp_is_part_of_the_line() {
        for line in [
            &b"2026-11-22T17:18:51.123456Z"[..],
            b"2026-11-22 17:18:51.123456Z x",
            b"2026-13-22T17:18:51.123456Z x",
            b"@4000000065 x",
            b"@400000006b03abe5zz5bcd15 x",
            b"@400000006b03abe5ffffffff x",
            b"",
        ] {
            assert_eq!(parse(line), None, "{}", String::from_utf8_lossy(line));
        }
    }
}

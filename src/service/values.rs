//! The values that have a form of their own: durations, sizes, signals, paths after a word.

use std::time::Duration;

use crate::lifecycle::Signal;

/// `Duration::MAX` is "infinity", as everywhere in the vocabulary.
pub const FOREVER: Duration = Duration::MAX;
/// `u64::MAX` is "infinity" for sizes and limits, as in setrlimit(2).
pub const UNLIMITED: u64 = u64::MAX;

/// Longest first, so that printing uses the largest that fits; in nanoseconds.
const TIME_UNITS: [(&str, u64); 7] = [
    ("w", 604_800_000_000_000),
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
];

const SIZE_UNITS: [(&str, u32); 4] = [("T", 40), ("G", 30), ("M", 20), ("K", 10)];

/// signal(7); the numbers are those of every architecture svc is built for.
const SIGNALS: [(&str, i32); 33] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("IOT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("POLL", 29),
    ("PWR", 30),
    ("SYS", 31),
];
/// What the C library leaves of the kernel's real-time signals 32 to 64.
const RTMIN: i32 = 34;
const RTMAX: i32 = 64;

/// `"250ms"`, `"10s"`, `"1m30s"`, `"1h"`, `"2d"`, `"infinity"`.
pub fn duration(text: &str) -> Result<Duration, String> {
    if text == "infinity" {
        return Ok(FOREVER);
    }
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("{text:?} has no unit; write \"{text}s\" for seconds"));
    }
    let wrong =
        || format!("{text:?} is no duration; write it like \"250ms\", \"10s\", \"1m30s\" or \"infinity\"");
    let mut rest = text.trim();
    let mut total: u64 = 0;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
        let (unit, after) =
            after.split_at(after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len()));
        if number.is_empty() || unit.is_empty() {
            return Err(wrong());
        }
        let Some((_, nanoseconds)) = TIME_UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(format!("{unit:?} is no unit of time; there are us, ms, s, m, h, d and w"));
        };
        let number: Option<u64> = number.parse().ok();
        total = number
            .and_then(|number| number.checked_mul(*nanoseconds))
            .and_then(|part| total.checked_add(part))
            .ok_or_else(|| format!("{text:?} is longer than 584 years; write \"infinity\""))?;
        rest = after.trim_start();
    }
    Ok(Duration::from_nanos(total))
}

/// The shortest text that `duration` reads as the same value, down to microseconds.
pub fn show_duration(time: Duration) -> String {
    if time == FOREVER {
        return "infinity".into();
    }
    let mut left = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let mut text = String::new();
    // Weeks are understood but not written: "10d" is clearer than "1w3d".
    for (unit, nanoseconds) in TIME_UNITS.iter().skip(1) {
        let number = left / nanoseconds;
        if number > 0 {
            text.push_str(&format!("{number}{unit}"));
            left %= nanoseconds;
        }
    }
    if text.is_empty() { "0s".into() } else { text }
}

/// `"10M"` with K, M, G and T of 1024; without a unit, bytes.
pub fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let shift = match SIZE_UNITS.iter().find(|(name, _)| *name == unit) {
        Some((_, shift)) => *shift,
        None if unit.is_empty() => 0,
        None => {
            return Err(format!(
                "{text:?} is no size; write it like \"64K\", \"10M\" or \"2G\" (1K is 1024 bytes)"
            ));
        }
    };
    if number.is_empty() {
        return Err(format!("{text:?} is no size; write it like \"64K\", \"10M\" or \"2G\""));
    }
    let number: Option<u64> = number.parse().ok();
    number
        .and_then(|number| number.checked_mul(1 << shift))
        .filter(|bytes| *bytes != UNLIMITED)
        .ok_or_else(|| format!("{text:?} is larger than any size"))
}

/// The same, or `"infinity"`.
pub fn size_or_infinity(text: &str) -> Result<u64, String> {
    if text == "infinity" { Ok(UNLIMITED) } else { size(text) }
}

/// The shortest text that `size_or_infinity` reads as the same value.
pub fn show_size(bytes: u64) -> String {
    if bytes == UNLIMITED {
        return "infinity".into();
    }
    let fits = |shift: &u32| bytes > 0 && bytes.trailing_zeros() >= *shift;
    match SIZE_UNITS.iter().find(|(_, shift)| fits(shift)) {
        Some((unit, shift)) => format!("{}{unit}", bytes >> shift),
        None => bytes.to_string(),
    }
}

/// A signal by name (`TERM`, `SIGTERM`, `RTMIN+3`) or number, 1 to 64.
pub fn signal(text: &str) -> Result<Signal, String> {
    let name = text.strip_prefix("SIG").unwrap_or(text);
    let number = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(""), _) => Some(RTMIN),
        (_, Some("")) => Some(RTMAX),
        (Some(more), _) => more.strip_prefix('+').and_then(small).map(|more| RTMIN + more),
        (_, Some(less)) => less.strip_prefix('-').and_then(small).map(|less| RTMAX - less),
        (None, None) => match SIGNALS.iter().find(|(known, _)| *known == name) {
            Some((_, number)) => Some(*number),
            None => small(text),
        },
    };
    match number.filter(|number| (1..=RTMAX).contains(number)) {
        Some(number) => Ok(Signal(number)),
        None => Err(format!("{text:?} is no signal")),
    }
}

fn small(digits: &str) -> Option<i32> {
    let all_digits = !digits.is_empty() && digits.len() <= 3 && digits.bytes().all(|b| b.is_ascii_digit());
    all_digits.then(|| digits.parse().ok()).flatten()
}

/// The names that `signal` knows, for "did you mean".
pub fn signal_names() -> impl Iterator<Item = &'static str> {
    SIGNALS.iter().map(|(name, _)| *name).chain(["RTMIN", "RTMAX"])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_read_with_units_only() {
        let seconds = Duration::from_secs;
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("1m30s"), Ok(seconds(90)));
        assert_eq!(duration("1h 5m"), Ok(seconds(3900)));
        assert_eq!(duration("2d"), Ok(seconds(172_800)));
        assert_eq!(duration("infinity"), Ok(FOREVER));
        assert_eq!(duration("10"), Err("\"10\" has no unit; write \"10s\" for seconds".into()));
        for wrong in
            ["", " ", "s", "1.5s", "-1s", "1x", "10s5", "99999999999999999999s", "600w600w99999999d", "5 m"]
        {
            assert!(duration(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn sizes_count_in_1024() {
        assert_eq!(size("10M"), Ok(10 << 20));
        assert_eq!(size("0"), Ok(0));
        assert_eq!(size_or_infinity("infinity"), Ok(UNLIMITED));
        for wrong in ["", "M", "10MB", "10m", "-1", "1.5G", "18446744073709551615", "16777216T", "infinity"] {
            assert!(size(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn signals_are_known_by_name_and_number() {
        for (text, number) in [
            ("TERM", 15),
            ("SIGTERM", 15),
            ("9", 9),
            ("RTMIN", 34),
            ("RTMIN+3", 37),
            ("RTMAX-1", 63),
            ("64", 64),
        ] {
            assert_eq!(signal(text), Ok(Signal(number)), "{text}");
        }
        for wrong in ["", "term", "0", "65", "-9", "+9", "SIG", "RTMIN+31", "RTMIN-1", "RTMAX-64", "TERM "] {
            assert!(signal(wrong).is_err(), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn every_duration_is_read_back_as_it_was_shown(microseconds in 0..u64::MAX / 1000) {
            let time = Duration::from_micros(microseconds);
            prop_assert_eq!(duration(&show_duration(time)), Ok(time));
        }

        #[test]
        fn every_size_is_read_back_as_it_was_shown(bytes: u64, shift in 0..50u32) {
            let bytes = (bytes >> shift) << (shift / 2);
            prop_assert_eq!(size_or_infinity(&show_size(bytes)), Ok(bytes));
        }

        #[test]
        fn no_text_makes_them_panic(text: String) {
            let answers = (duration(&text).is_ok(), size(&text).is_ok(), signal(&text).is_ok());
            prop_assert!(text.is_empty() <= (answers == (false, false, false)));
        }

        #[test]
        fn nearly_right_texts_do_not_make_them_panic(text in "[0-9]{0,22}(us|ms|s|m|h|d|w|K|M|G|T|SIG|RTMIN\\+|RTMAX-)[0-9]{0,12}(s|µ)?") {
            let answers = (duration(&text).is_ok(), size(&text).is_ok(), signal(&text).is_ok());
            prop_assert!(answers != (true, true, true));
        }
    }
}

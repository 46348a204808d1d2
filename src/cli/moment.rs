//! A point in time as people type it.

use std::time::Duration;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use crate::os::clock;
use crate::service::values::duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    pub since_1970: Duration,
}

/// RFC 3339, a date, a date and a time, a time of today, or how long ago. Without a zone it is
/// the local one.
pub fn parse(text: &str) -> Result<Moment, String> {
    let now = jiff::SignedDuration::try_from(clock::wall()).and_then(Timestamp::from_duration);
    let now = now.map_err(|error| format!("the clock of this machine is set to no time: {error}"))?;
    parse_at(text, &now.to_zoned(TimeZone::system()))
}

fn parse_at(text: &str, now: &Zoned) -> Result<Moment, String> {
    let text = text.trim();
    let local = |at: DateTime| at.to_zoned(now.time_zone().clone()).map(|at| at.timestamp()).ok();
    let ago = || duration(text).ok().and_then(|ago| now.timestamp().checked_sub(ago).ok());
    let today =
        || text.parse::<Time>().ok().filter(|_| text.contains(':')).map(|time| now.date().to_datetime(time));
    let day = || text.parse::<Date>().ok().map(|date| date.to_datetime(Time::midnight()));
    let found = match text {
        "now" => Some(now.timestamp()),
        "today" => local(now.date().to_datetime(Time::midnight())),
        "yesterday" => now.date().yesterday().ok().and_then(|date| local(date.to_datetime(Time::midnight()))),
        _ => text
            .parse::<Timestamp>()
            .ok()
            .or_else(ago)
            .or_else(|| today().and_then(local))
            .or_else(|| text.parse::<DateTime>().ok().filter(|_| text.contains(':')).and_then(local))
            .or_else(|| day().and_then(local)),
    };
    let since_1970 = found.and_then(|at| Duration::try_from(at.as_duration()).ok());
    since_1970.map(|since_1970| Moment { since_1970 }).ok_or_else(|| {
        "a time is like `2026-11-22 17:00`, `17:00`, `today`, 2026-11-22T17:00:00Z, or `10m` for ten minutes ago"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<String, String> {
        let now: Zoned = "2026-11-22T17:30:00+01:00[+01:00]".parse().unwrap();
        let moment = parse_at(text, &now)?;
        let at = Timestamp::from_duration(moment.since_1970.try_into().unwrap()).unwrap();
        Ok(at.to_string())
    }

    #[test]
    fn times_are_read_as_people_type_them() {
        for (text, expected) in [
            ("2026-11-22T17:00:00Z", "2026-11-22T17:00:00Z"),
            ("2026-11-22T17:00:00.123456+02:00", "2026-11-22T15:00:00.123456Z"),
            ("2026-11-22 17:00", "2026-11-22T16:00:00Z"),
            ("2026-11-22 17:00:30", "2026-11-22T16:00:30Z"),
            ("2026-11-22", "2026-11-21T23:00:00Z"),
            ("17:00", "2026-11-22T16:00:00Z"),
            ("10m", "2026-11-22T16:20:00Z"),
            ("1h30m", "2026-11-22T15:00:00Z"),
            ("now", "2026-11-22T16:30:00Z"),
            ("today", "2026-11-21T23:00:00Z"),
            ("yesterday", "2026-11-20T23:00:00Z"),
        ] {
            assert_eq!(parsed(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_says_what_would_be_one() {
        for text in ["", "soon", "25:00", "2026-13-01", "10", "10 parsecs", "1969-01-01"] {
            assert!(parsed(text).is_err_and(|error| error.contains("`10m` for ten minutes ago")), "{text:?}");
        }
        assert!(parse("10m").is_ok());
    }
}

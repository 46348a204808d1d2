//! `[log]`: what becomes of the output of a service.

use super::reader::{duration, flag, integer, one_of, size, size_limit, text};
use super::{Key, Standard, Value, Wrong};
use crate::service::definition::{LogFormat, LogTarget, Timestamp};
use crate::service::values::{self, FOREVER};

const TARGETS: [(&str, LogTarget); 4] = [
    ("file", LogTarget::File),
    ("console", LogTarget::Console),
    ("both", LogTarget::Both),
    ("null", LogTarget::Null),
];
const TIMESTAMPS: [(&str, Timestamp); 3] =
    [("rfc3339", Timestamp::Rfc3339), ("tai64n", Timestamp::Tai64n), ("none", Timestamp::None)];
const FORMATS: [(&str, LogFormat); 2] = [("text", LogFormat::Text), ("json", LogFormat::Json)];
/// Less than this would be more rotating than writing.
const BYTES_LEAST: u64 = 4096;

pub static KEYS: &[Key] = &[
    Key {
        name: "to",
        expects: "\"file\", \"console\", \"both\" or \"null\"",
        default: Standard::Nothing("files; in a container or terminal also the console"),
        example: r#""both""#,
        about: "Files in the log directory, svc's own stdout with the name in front, both, or nowhere.",
        set: |draft, value| {
            draft.log.to = Some(one_of(value, &TARGETS)?);
            Ok(())
        },
    },
    Key {
        name: "max-size",
        expects: "a size of at least 4K",
        default: Standard::Value(r#""10M""#),
        example: r#""64M""#,
        about: "A file of this size is closed and a new one begun.",
        set: |draft, value| {
            draft.log.bytes_max = Some(file_size(value)?);
            Ok(())
        },
    },
    Key {
        name: "max-files",
        expects: "an integer from 1 to 10000",
        default: Standard::Value("10"),
        example: "30",
        about: "With the one that is written: when there are more, the oldest goes.",
        set: |draft, value| {
            let files = integer(value, 1..=10_000)?;
            draft.log.files_max = Some(u32::try_from(files).map_err(|_| Wrong::kind(value))?);
            Ok(())
        },
    },
    Key {
        name: "max-total",
        expects: "a size or \"infinity\"",
        default: Standard::Value(r#""infinity""#),
        example: r#""500M""#,
        about: "All files together: above it the oldest goes.",
        set: |draft, value| {
            draft.log.total_bytes_max = Some(size_limit(value)?);
            Ok(())
        },
    },
    Key {
        name: "max-age",
        expects: "a duration or \"infinity\"",
        default: Standard::Value(r#""infinity""#),
        example: r#""30d""#,
        about: "A closed file that is older goes.",
        set: |draft, value| {
            draft.log.age_max = Some(Some(duration(value)?).filter(|age| *age != FOREVER));
            Ok(())
        },
    },
    Key {
        name: "timestamp",
        expects: "\"rfc3339\", \"tai64n\" or \"none\"",
        default: Standard::Value(r#""rfc3339""#),
        example: r#""none""#,
        about: "What stands before each line.",
        set: |draft, value| {
            draft.log.timestamp = Some(one_of(value, &TIMESTAMPS)?);
            Ok(())
        },
    },
    Key {
        name: "compress",
        expects: "true or false",
        default: Standard::Value("false"),
        example: "true",
        about: "Compress closed files.",
        set: |draft, value| {
            draft.log.compress = Some(flag(value)?);
            Ok(())
        },
    },
    Key {
        name: "format",
        expects: "\"text\" or \"json\"",
        default: Standard::Value(r#""text""#),
        example: r#""json""#,
        about: "Lines as they come, or one JSON object for each.",
        set: |draft, value| {
            draft.log.format = Some(one_of(value, &FORMATS)?);
            Ok(())
        },
    },
    Key {
        name: "limit",
        expects: "a size per second, or \"infinity\"",
        default: Standard::Value(r#""infinity""#),
        example: r#""10M/s""#,
        about: "A program that writes faster has to wait. Nothing is dropped.",
        set: |draft, value| {
            draft.log.limit = Some(rate(value)?);
            Ok(())
        },
    },
];

fn file_size(value: &Value<'_>) -> Result<u64, Wrong> {
    match size(value)? {
        bytes if bytes < BYTES_LEAST => Err(Wrong::text(value, "a log file of less than 4K cannot be kept")),
        bytes => Ok(bytes),
    }
}

fn rate(value: &Value<'_>) -> Result<Option<u64>, Wrong> {
    let typed = text(value)?;
    if typed == "infinity" {
        return Ok(None);
    }
    let Some(number) = typed.strip_suffix("/s") else {
        let text = format!("{typed:?} does not say per which time");
        return Err(Wrong::text(value, text).help("write it per second, like \"10M/s\""));
    };
    match values::size(number).map_err(|why| Wrong::text(value, why))? {
        0 => Err(Wrong::text(value, "nothing could ever be written at 0 bytes a second")),
        bytes => Ok(Some(bytes)),
    }
}

//! The keys that say what a service is.

use super::reader::{command, flag, line, one_of};
use super::{Key, Standard, Wrong};
use crate::lifecycle::Kind;

/// Every status has it: those of 1,000 services are to be far from the largest reply.
const DESCRIPTION_BYTES_MAX: usize = 1_000;

const KINDS: [(&str, Kind); 2] = [("longrun", Kind::Longrun), ("oneshot", Kind::Oneshot)];

pub static KEYS: &[Key] = &[
    Key {
        name: "description",
        expects: "a line of text",
        default: Standard::Nothing("none"),
        example: r#""public web server""#,
        about: "Shown by `svc status`. At most 1,000 bytes.",
        set: |draft, value| {
            let text = line(value)?;
            if text.len() > DESCRIPTION_BYTES_MAX {
                let text = format!("{} bytes are too many to be shown on one line", text.len());
                return Err(Wrong::text(value, text)
                    .help("at most 1,000; what is longer can stand in a comment")
                    .into());
            }
            draft.description = Some(text);
            Ok(())
        },
    },
    Key {
        name: "command",
        expects: "an array of strings",
        default: Standard::Nothing("the file `run`"),
        example: r#"["nginx", "-g", "daemon off;"]"#,
        about: "The program and its arguments, instead of an executable file `run`. No shell reads it: no `$`, no `*`. A program without a slash is looked up in the PATH of the service.",
        set: |draft, value| {
            let words = command(value)?;
            draft.command = Some(draft.placed(value.span(), words));
            Ok(())
        },
    },
    Key {
        name: "type",
        expects: "\"longrun\" or \"oneshot\"",
        default: Standard::Value(r#""longrun""#),
        example: r#""oneshot""#,
        about: "A longrun stays in the foreground and is kept running. A oneshot runs once and is then `done`.",
        set: |draft, value| {
            draft.kind = Some(one_of(value, &KINDS)?);
            Ok(())
        },
    },
    Key {
        name: "enabled",
        expects: "true or false",
        default: Standard::Value("true"),
        example: "false",
        about: "Start it at boot. `false` is the same as a file `down`.",
        set: |draft, value| {
            draft.enabled = Some(flag(value)?);
            Ok(())
        },
    },
];

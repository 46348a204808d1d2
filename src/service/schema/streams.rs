//! The keys that say where input and output go.

use super::reader::{filled_text, path, unknown_word};
use super::{Key, Standard, Value, Wrong};
use crate::service::definition::{Input, Output};

pub static KEYS: &[Key] = &[
    Key {
        name: "stdin",
        expects: "\"null\", \"tty\" or \"file:PATH\"",
        default: Standard::Value(r#""null""#),
        example: r#""file:input.txt""#,
        about: "`\"tty\"` is the terminal of `tty`, and the default with it. A path is relative to the service directory.",
        set: |draft, value| {
            let input = input(value)?;
            draft.stdin = Some(draft.placed(value.span(), input));
            Ok(())
        },
    },
    Key {
        name: "stdout",
        expects: "\"log\", \"inherit\", \"null\", \"tty\", \"file:PATH\", \"append:PATH\" or \"truncate:PATH\"",
        default: Standard::Value(r#""log""#),
        example: r#""append:/var/log/web.txt""#,
        about: "`\"log\"` is svc's log or the service's own `log/run`; `\"inherit\"` is svc's own output; `file:` writes from the start and cuts nothing off. `\"tty\"` is the default with `tty`; a logger's is `\"inherit\"`.",
        set: |draft, value| {
            let output = output(value)?;
            draft.stdout = Some(draft.placed(value.span(), output));
            Ok(())
        },
    },
    Key {
        name: "stderr",
        expects: "\"log\", \"inherit\", \"null\", \"tty\", \"file:PATH\", \"append:PATH\" or \"truncate:PATH\"",
        default: Standard::Value(r#""log""#),
        example: r#""inherit""#,
        about: "As `stdout`.",
        set: |draft, value| {
            let output = output(value)?;
            draft.stderr = Some(draft.placed(value.span(), output));
            Ok(())
        },
    },
    Key {
        name: "tty",
        expects: "the path of a terminal",
        default: Standard::Nothing("no terminal"),
        example: r#""/dev/ttyS0""#,
        about: "Make this its controlling terminal, for getty. stdin, stdout and stderr are then the terminal unless they say otherwise.",
        set: |draft, value| {
            let path = path(value)?;
            if path.is_relative() {
                let help = format!("write \"/dev/{}\"", path.display());
                return Err(Wrong::text(value, "a terminal is named by its whole path").help(help).into());
            }
            draft.tty = Some(path);
            Ok(())
        },
    },
];

fn input(value: &Value<'_>) -> Result<Input, Wrong> {
    let typed = filled_text(value)?;
    match typed.split_once(':') {
        None if typed == "null" => Ok(Input::Null),
        None if typed == "tty" => Ok(Input::Tty),
        Some(("file", path)) if !path.is_empty() => Ok(Input::File(path.into())),
        Some(("file", _)) => Err(no_path(value, typed)),
        None | Some(_) => Err(unknown_stream(value, typed, &["null", "tty", "file"])),
    }
}

fn output(value: &Value<'_>) -> Result<Output, Wrong> {
    let typed = filled_text(value)?;
    match typed.split_once(':') {
        None if typed == "log" => Ok(Output::Log),
        None if typed == "inherit" => Ok(Output::Inherit),
        None if typed == "null" => Ok(Output::Null),
        None if typed == "tty" => Ok(Output::Tty),
        Some(("file" | "append" | "truncate", "")) => Err(no_path(value, typed)),
        Some(("file", path)) => Ok(Output::File(path.into())),
        Some(("append", path)) => Ok(Output::Append(path.into())),
        Some(("truncate", path)) => Ok(Output::Truncate(path.into())),
        None | Some(_) => Err(unknown_stream(
            value,
            typed,
            &["log", "inherit", "null", "tty", "file", "append", "truncate"],
        )),
    }
}

fn no_path(value: &Value<'_>, typed: &str) -> Wrong {
    Wrong::text(value, format!("{typed:?} needs a path after the colon"))
}

fn unknown_stream(value: &Value<'_>, typed: &str, words: &'static [&'static str]) -> Wrong {
    let word = typed.split(':').next().unwrap_or(typed);
    if word.contains('/') {
        let text = format!("{typed:?} does not say how to open it");
        return Wrong::text(value, text)
            .help(format!("write \"file:{typed}\" or another word before the path"));
    }
    if matches!(word, "file" | "append" | "truncate") && words.contains(&word) {
        return no_path(value, typed);
    }
    unknown_word(value, word, words.iter().copied())
}

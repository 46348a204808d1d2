//! Where a command prints: what is asked for to stdout, the rest to stderr.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, BufWriter, Write};

use serde::Serialize;

use super::failure::Failure;
use crate::os::terminal;

pub struct Screen<'a> {
    out: Box<dyn Write + 'a>,
    err: Box<dyn Write + 'a>,
    /// Stdout is a terminal and NO_COLOR is not set.
    pub colour: bool,
    /// Columns, when stdout is a terminal.
    pub width: Option<usize>,
    /// What is waited for may be shown there on a line that is overwritten.
    pub err_is_terminal: bool,
}

/// The colours of eight that every terminal has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    #[default]
    Plain,
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
    Cyan,
}

impl Screen<'static> {
    pub fn of_process() -> Self {
        let out_is_terminal = terminal::is_terminal(io::stdout());
        // https://no-color.org: any value that is not empty.
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        Self {
            out: Box::new(BufWriter::with_capacity(32 * 1024, io::stdout())),
            err: Box::new(io::stderr()),
            colour: out_is_terminal && !no_colour && !dumb,
            width: if out_is_terminal { terminal::columns(io::stdout()) } else { None },
            err_is_terminal: !dumb && terminal::is_terminal(io::stderr()),
        }
    }
}

impl<'a> Screen<'a> {
    /// Prints into memory, for tests.
    pub fn into(out: &'a mut Vec<u8>, err: &'a mut Vec<u8>) -> Self {
        Self { out: Box::new(out), err: Box::new(err), colour: false, width: None, err_is_terminal: false }
    }

    /// A line to stdout.
    pub fn say(&mut self, line: impl Display) -> Result<(), Failure> {
        writeln!(self.out, "{line}").map_err(|error| Failure::of_output(&error))
    }

    /// Bytes to stdout as they are.
    pub fn pass_on(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.out.write_all(bytes).map_err(|error| Failure::of_output(&error))
    }

    /// One JSON value on a line.
    pub fn say_json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        match serde_json::to_string(value) {
            Ok(text) => self.say(text),
            Err(error) => Err(Failure::System(format!("cannot write the output: {error}"))),
        }
    }

    /// A line to stderr.
    pub fn complain(&mut self, line: impl Display) {
        // Where stderr is gone there is nobody left to tell.
        drop(self.flush());
        // In one piece, not between the words of others.
        drop(self.err.write_all(format!("{line}\n").as_bytes()));
    }

    /// Overwrites the line on which the cursor stands; an empty text clears it.
    pub fn show_progress(&mut self, text: &str) {
        drop(write!(self.err, "\r\x1b[K{text}"));
        drop(self.err.flush());
    }

    pub fn flush(&mut self) -> Result<(), Failure> {
        self.out.flush().map_err(|error| Failure::of_output(&error))
    }

    pub fn paint(&self, style: Style, text: &str) -> String {
        paint(self.colour, style, text)
    }
}

pub fn paint(colour: bool, style: Style, text: &str) -> String {
    let code = match style {
        Style::Bold => "1",
        Style::Dim => "2",
        Style::Red => "31",
        Style::Green => "32",
        Style::Yellow => "33",
        Style::Cyan => "36",
        Style::Plain => return text.to_owned(),
    };
    if colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

/// Text of others in one line of ours: no control character reaches the terminal.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(char::is_control) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\t' => clean.push(' '),
            c if c.is_control() => clean.extend(c.escape_default()),
            c => clean.push(c),
        }
    }
    Cow::Owned(clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_escape_sequence_of_a_service_reaches_the_terminal() {
        assert_eq!(printable("red \x1b[31m and\ta tab\r"), "red \\u{1b}[31m and a tab\\r");
        assert_eq!(printable("plain ünïcode"), "plain ünïcode");
    }

    #[test]
    fn without_colour_nothing_is_added() {
        assert_eq!(paint(false, Style::Red, "failed"), "failed");
        assert_eq!(paint(true, Style::Red, "failed"), "\x1b[31mfailed\x1b[0m");
        assert_eq!(paint(true, Style::Plain, "down"), "down");
    }
}

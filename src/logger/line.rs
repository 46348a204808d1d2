//! How the bytes of a program become the bytes of its file: a stamp in front of each line, or one
//! JSON object for each. A line may come in any number of pieces; each is shaped at once.
//!
//! In JSON, a byte that is not UTF-8 becomes U+FFFD and its two hexadecimal digits, and a U+FFFD
//! that the program itself wrote is doubled: every JSON reader takes it, and nothing is lost.

use std::time::Duration;

use crate::service::{LogFormat, Timestamp};

use super::stamp::{self, Stamp};

const REPLACEMENT: &str = "\u{fffd}";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub timestamp: Timestamp,
    pub format: LogFormat,
}

/// Where in a line the file of a service is.
#[derive(Debug)]
pub struct Shaper {
    /// The shape in which the present line was begun; none between two lines.
    line: Option<Shape>,
    /// The begun UTF-8 character at the end of the last piece, in JSON only: at most three bytes
    /// that cannot be written before it is known whether they are a character.
    begun: Vec<u8>,
}

impl Shaper {
    /// `inside` is the shape of the line that the file ends in, when it ends inside one.
    pub fn new(inside: Option<Shape>) -> Self {
        Self { line: inside, begun: Vec::new() }
    }

    pub fn inside_line(&self) -> bool {
        self.line.is_some()
    }

    /// All of it as a number, for a successor; 0 between two lines.
    pub fn to_word(&self) -> u64 {
        let line = self.line.map_or(0, |shape| 1 << 4 | shape.to_word());
        let begun = self.begun.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        line | (self.begun.len() as u64) << 6 | begun << 8
    }

    /// None when no shaper has ever been that number.
    pub fn from_word(word: u64) -> Option<Self> {
        let line = match word >> 4 & 3 {
            0 => None,
            1 => Some(Shape::from_word(word & 0xf)?),
            _ => return None,
        };
        let begun = (word >> 8).to_le_bytes();
        let (begun, zero) = begun.split_at_checked(usize::try_from(word >> 6 & 3).ok()?)?;
        zero.iter().all(|byte| *byte == 0).then(|| Self { line, begun: begun.to_vec() })
    }

    /// Appends one piece: a line with its newline, or a part of one without.
    pub fn shape(&mut self, shape: Shape, stamp: &Stamp, piece: &[u8], out: &mut Vec<u8>) {
        let (text, ends) = match piece.split_last() {
            Some((b'\n', text)) => (text, true),
            _ => (piece, false),
        };
        let shape = match self.line {
            Some(begun) => begun,
            None => {
                begin(shape, stamp, out);
                shape
            }
        };
        match shape.format {
            LogFormat::Text => out.extend_from_slice(piece),
            LogFormat::Json => {
                self.escape(text, ends, out);
                if ends {
                    out.extend_from_slice(end_of(LogFormat::Json));
                }
            }
        }
        self.line = if ends { None } else { Some(shape) };
    }

    /// The line will not go on: what was kept of a character is written as bytes.
    pub fn give_up_character(&mut self, out: &mut Vec<u8>) {
        self.escape(b"", true, out);
    }

    /// In which format the line was begun that the file ends in.
    pub fn format(&self) -> Option<LogFormat> {
        self.line.map(|shape| shape.format)
    }

    /// Ends the line that the file ends in, for what comes next is of another program's life.
    pub fn end_line(&mut self, out: &mut Vec<u8>) {
        if let Some(shape) = self.line.take() {
            out.extend_from_slice(end_of(shape.format));
        }
        self.begun.clear();
    }

    fn escape(&mut self, text: &[u8], ends: bool, out: &mut Vec<u8>) {
        let joined;
        let mut rest = if self.begun.is_empty() {
            text
        } else {
            joined = [&std::mem::take(&mut self.begun), text].concat();
            &joined
        };
        while !rest.is_empty() {
            let (valid, invalid) = match std::str::from_utf8(rest) {
                Ok(valid) => (valid, 0),
                Err(error) => {
                    let (valid, behind) = rest.split_at(error.valid_up_to());
                    if error.error_len().is_none() && !ends {
                        self.begun.extend_from_slice(behind);
                    }
                    let wrong = match error.error_len() {
                        Some(length) => length,
                        None if ends => behind.len(),
                        None => 0,
                    };
                    (std::str::from_utf8(valid).unwrap_or_default(), wrong)
                }
            };
            escape_text(valid, out);
            rest = rest.get(valid.len()..).unwrap_or_default();
            let (wrong, behind) = rest.split_at_checked(invalid).unwrap_or_default();
            for byte in wrong {
                out.extend_from_slice(format!("{REPLACEMENT}{byte:02x}").as_bytes());
            }
            rest = if self.begun.is_empty() { behind } else { b"" };
        }
    }
}

/// What ends a line.
pub fn end_of(format: LogFormat) -> &'static [u8] {
    match format {
        LogFormat::Text => b"\n",
        LogFormat::Json => b"\"}\n",
    }
}

fn begin(shape: Shape, stamp: &Stamp, out: &mut Vec<u8>) {
    let has_stamp = shape.timestamp != Timestamp::None;
    match shape.format {
        LogFormat::Text if has_stamp => {
            out.extend_from_slice(stamp.text());
            out.push(b' ');
        }
        LogFormat::Text => {}
        LogFormat::Json if has_stamp => {
            out.extend_from_slice(b"{\"time\":\"");
            out.extend_from_slice(stamp.text());
            out.extend_from_slice(b"\",\"line\":\"");
        }
        LogFormat::Json => out.extend_from_slice(b"{\"line\":\""),
    }
}

fn escape_text(text: &str, out: &mut Vec<u8>) {
    for character in text.chars() {
        match character {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\t' => out.extend_from_slice(b"\\t"),
            '\r' => out.extend_from_slice(b"\\r"),
            control if control < ' ' => {
                out.extend_from_slice(format!("\\u{:04x}", u32::from(control)).as_bytes());
            }
            '\u{fffd}' => out.extend_from_slice([REPLACEMENT, REPLACEMENT].concat().as_bytes()),
            other => out.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

/// A line of a log file, without its newline, taken apart: when it was written and the bytes that
/// the program wrote.
pub fn unshape(line: Vec<u8>) -> (Option<Duration>, Vec<u8>) {
    if let Some((wall, length)) = stamp::parse(&line) {
        let mut line = line;
        line.drain(..length);
        return (Some(wall), line);
    }
    match from_json(&line) {
        Some(taken_apart) => taken_apart,
        None => (None, line),
    }
}

/// When a line was written, from its first bytes (`HEAD_BYTES` are enough).
pub fn stamp_of(head: &[u8]) -> Option<Duration> {
    if let Some((wall, _)) = stamp::parse(head) {
        return Some(wall);
    }
    let text = head.strip_prefix(b"{\"time\":\"")?;
    let length = text.iter().position(|byte| *byte == b'"')?;
    let text = text.get(..length)?;
    stamp::parse_rfc3339(text).or_else(|| stamp::parse_tai64n(text))
}

/// Longer than any stamp with what stands before and behind it.
pub const HEAD_BYTES: usize = 48;

fn from_json(line: &[u8]) -> Option<(Option<Duration>, Vec<u8>)> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Object {
        time: Option<String>,
        line: String,
    }
    if !line.starts_with(b"{\"time\":\"") && !line.starts_with(b"{\"line\":\"") {
        return None;
    }
    let object: Object = serde_json::from_slice(line).ok()?;
    let wall = match object.time {
        Some(time) => {
            let time = time.as_bytes();
            Some(stamp::parse_rfc3339(time).or_else(|| stamp::parse_tai64n(time))?)
        }
        None => None,
    };
    Some((wall, unescape(&object.line)?))
}

fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, behind)) = rest.split_once(REPLACEMENT) {
        bytes.extend_from_slice(plain.as_bytes());
        rest = match behind.strip_prefix(REPLACEMENT) {
            Some(rest) => {
                bytes.extend_from_slice(REPLACEMENT.as_bytes());
                rest
            }
            None => {
                bytes.push(u8::from_str_radix(behind.get(..2)?, 16).ok()?);
                behind.get(2..)?
            }
        };
    }
    bytes.extend_from_slice(rest.as_bytes());
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const MOMENT: Duration = Duration::new(1_795_367_931, 123_456_000);

    fn shaped(form: Shape, pieces: &[&[u8]]) -> Vec<u8> {
        let stamp = Stamp::new(form.timestamp, MOMENT);
        let (mut shaper, mut out) = (Shaper::new(None), Vec::new());
        for piece in pieces {
            for line in piece.split_inclusive(|byte| *byte == b'\n') {
                shaper.shape(form, &stamp, line, &mut out);
            }
        }
        out
    }

    #[test]
    fn json_is_one_object_a_line_and_keeps_every_byte() {
        let form = Shape { timestamp: Timestamp::Rfc3339, format: LogFormat::Json };
        let out = shaped(form, &[b"say \"hi\"\\\t\x01 \xff\xc3\n"]);
        let text = "{\"time\":\"2026-11-22T17:18:51.123456Z\",\"line\":\"say \\\"hi\\\"\\\\\\t\\u0001 \u{fffd}ff\u{fffd}c3\"}\n";
        assert_eq!(String::from_utf8_lossy(&out), text);
    }

    #[test]
    fn a_character_in_two_pieces_stays_one_in_json() {
        let form = Shape { timestamp: Timestamp::None, format: LogFormat::Json };
        let out = shaped(form, &[b"a\xe2", b"\x82", b"\xac\n"]);
        assert_eq!(String::from_utf8_lossy(&out), "{\"line\":\"a\u{20ac}\"}\n");
    }

    #[test]
    fn a_shaper_is_the_same_from_its_number() {
        for (timestamp, format) in [(Timestamp::Tai64n, LogFormat::Json), (Timestamp::None, LogFormat::Text)]
        {
            let shape = Shape { timestamp, format };
            for begun in [&b""[..], b"\xe2", b"\xf0\x9f\x98"] {
                let shaper = Shaper { line: Some(shape), begun: begun.to_vec() };
                let back = Shaper::from_word(shaper.to_word()).unwrap();
                assert_eq!((back.line, &back.begun), (shaper.line, &shaper.begun));
            }
        }
        assert_eq!(Shaper::new(None).to_word(), 0);
        assert!(Shaper::from_word(u64::MAX).is_none());
    }

    fn forms() -> impl Strategy<Value = Shape> {
        let timestamp = prop_oneof![Just(Timestamp::Rfc3339), Just(Timestamp::Tai64n), Just(Timestamp::None)];
        let format = prop_oneof![Just(LogFormat::Text), Just(LogFormat::Json)];
        (timestamp, format).prop_map(|(timestamp, format)| Shape { timestamp, format })
    }

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![any::<u8>(), Just(b'\n'), Just(0xef), Just(0xbf), Just(0xbd), Just(b'"')];
        vec(byte, 0..60)
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_come_back_as_they_were(form in forms(), pieces in vec(bytes(), 0..8)) {
            let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            let mut input = pieces.concat();
            let mut out = shaped(form, &[&pieces[..], &[b"\n"]].concat());
            input.push(b'\n');
            prop_assert_eq!(out.pop(), Some(b'\n'));
            let mut back = Vec::new();
            for line in out.split(|byte| *byte == b'\n') {
                let (wall, line) = unshape(line.to_vec());
                // A program that itself writes what looks like a stamp is not in these bytes.
                prop_assert_eq!(wall.is_some(), form.timestamp != Timestamp::None);
                back.extend_from_slice(&line);
                back.push(b'\n');
            }
            prop_assert_eq!(back, input);
        }
    }
}

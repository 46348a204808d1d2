//! Reading one TOML value as the type that a key wants.

use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use crate::service::nearest::nearest;
use crate::service::values;

pub type Value<'a> = Spanned<DeValue<'a>>;

/// What is wrong with a value, and where.
#[derive(Debug, PartialEq, Eq)]
pub struct Wrong {
    pub span: Range<usize>,
    pub said: Said,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    /// The type: the key's own words say what was expected.
    Kind {
        found: &'static str,
    },
    Text {
        text: String,
        help: Option<String>,
    },
}

/// All that is wrong with the value of one key.
#[derive(Debug, PartialEq, Eq)]
pub struct Wrongs(pub Vec<Wrong>);

impl From<Wrong> for Wrongs {
    fn from(wrong: Wrong) -> Self {
        Self(vec![wrong])
    }
}

impl Wrong {
    pub fn kind(value: &Value<'_>) -> Self {
        let found = match value.get_ref() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a number with a point",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "an array",
            DeValue::Table(_) => "a table",
        };
        Self { span: value.span(), said: Said::Kind { found } }
    }

    pub fn text(value: &Value<'_>, text: impl Into<String>) -> Self {
        Self { span: value.span(), said: Said::Text { text: text.into(), help: None } }
    }

    pub fn help(mut self, advice: impl Into<String>) -> Self {
        if let Said::Text { help, .. } = &mut self.said {
            *help = Some(advice.into());
        }
        self
    }
}

/// A string without NUL, which no system call can take.
pub fn text<'v>(value: &'v Value<'_>) -> Result<&'v str, Wrong> {
    match value.get_ref().as_str() {
        Some(text) if text.contains('\0') => Err(Wrong::text(value, "a NUL character cannot be passed on")),
        Some(text) => Ok(text),
        None => Err(Wrong::kind(value)),
    }
}

/// One that says something.
pub fn filled_text<'v>(value: &'v Value<'_>) -> Result<&'v str, Wrong> {
    match text(value)? {
        "" => Err(Wrong::text(value, "an empty string says nothing")),
        filled => Ok(filled),
    }
}

/// One for people: a single line.
pub fn line(value: &Value<'_>) -> Result<String, Wrong> {
    let line = text(value)?;
    if line.chars().any(char::is_control) {
        return Err(Wrong::text(value, "control characters cannot stand here: it is shown on one line"));
    }
    Ok(line.to_owned())
}

pub fn path(value: &Value<'_>) -> Result<PathBuf, Wrong> {
    let text = filled_text(value)?;
    if text.starts_with("~/") || text == "~" {
        return Err(Wrong::text(value, "~ is not expanded")
            .help("write the whole path, or one relative to the service directory"));
    }
    Ok(text.into())
}

/// Each element by the same rule; all that are wrong are told.
pub fn each<T>(
    value: &Value<'_>,
    read: impl Fn(&Value<'_>) -> Result<T, Wrong>,
) -> Result<Vec<(T, Range<usize>)>, Wrongs> {
    let Some(array) = value.get_ref().as_array() else {
        return Err(Wrong::kind(value).into());
    };
    let mut elements = Vec::new();
    let mut wrongs = Vec::new();
    for element in array.iter() {
        match read(element) {
            Ok(read) => elements.push((read, element.span())),
            Err(wrong) => wrongs.push(wrong),
        }
    }
    if wrongs.is_empty() { Ok(elements) } else { Err(Wrongs(wrongs)) }
}

/// The words of a command.
pub fn command(value: &Value<'_>) -> Result<Vec<String>, Wrongs> {
    if let Some(line) = value.get_ref().as_str() {
        let words: Vec<String> = line.split_whitespace().map(|word| format!("{word:?}")).collect();
        let help = format!(
            "write the words one by one: [{}]; or ask for a shell: [\"/bin/sh\", \"-c\", …]",
            words.join(", ")
        );
        return Err(Wrong::text(value, "a command is an array of strings, not one line").help(help).into());
    }
    let words = each(value, |word| text(word).map(str::to_owned))?;
    match words.first() {
        None => Err(Wrong::text(value, "an empty command starts nothing").into()),
        Some((program, _)) if program.is_empty() => {
            Err(Wrong::text(value, "the first word is the program and cannot be empty").into())
        }
        Some(_) => Ok(words.into_iter().map(|(word, _)| word).collect()),
    }
}

pub fn flag(value: &Value<'_>) -> Result<bool, Wrong> {
    value.get_ref().as_bool().ok_or_else(|| Wrong::kind(value))
}

/// An integer within bounds; `None` when the value is of another type.
pub fn integer_if(value: &Value<'_>, range: RangeInclusive<i64>) -> Result<Option<i64>, Wrong> {
    let Some(integer) = value.get_ref().as_integer() else {
        return Ok(None);
    };
    match i64::from_str_radix(integer.as_str(), integer.radix()) {
        Ok(number) if range.contains(&number) => Ok(Some(number)),
        Ok(_) | Err(_) => {
            let (least, most) = range.into_inner();
            let text = match most {
                i64::MAX => format!("{integer} is below {least}"),
                most => format!("{integer} is not within {least} to {most}"),
            };
            Err(Wrong::text(value, text))
        }
    }
}

pub fn integer(value: &Value<'_>, range: RangeInclusive<i64>) -> Result<i64, Wrong> {
    integer_if(value, range)?.ok_or_else(|| Wrong::kind(value))
}

pub fn small_integer(value: &Value<'_>, range: RangeInclusive<i32>) -> Result<i32, Wrong> {
    let (least, most) = range.into_inner();
    let number = integer(value, i64::from(least)..=i64::from(most))?;
    i32::try_from(number).map_err(|_| Wrong::kind(value))
}

/// One of a few words.
pub fn one_of<T: Copy>(value: &Value<'_>, words: &[(&'static str, T)]) -> Result<T, Wrong> {
    let typed = text(value)?;
    match words.iter().find(|(word, _)| *word == typed) {
        Some((_, meaning)) => Ok(*meaning),
        None => Err(unknown_word(value, typed, words.iter().map(|(word, _)| *word))),
    }
}

pub fn unknown_word(value: &Value<'_>, typed: &str, words: impl Iterator<Item = &'static str>) -> Wrong {
    let words: Vec<&str> = words.collect();
    let help = match nearest(typed, words.iter().copied()) {
        Some(near) => format!("did you mean {near:?}?"),
        None => format!("there are {}", words.join(", ")),
    };
    Wrong::text(value, format!("{typed:?} is not known here")).help(help)
}

/// Finite or "infinity". A bare number gets its own words.
pub fn duration(value: &Value<'_>) -> Result<Duration, Wrong> {
    if let Some(number) = value.get_ref().as_integer() {
        let text = format!("{number} has no unit");
        return Err(Wrong::text(value, text).help(format!("write \"{number}s\" for seconds, with quotes")));
    }
    values::duration(text(value)?).map_err(|why| Wrong::text(value, why))
}

pub fn finite_duration(value: &Value<'_>) -> Result<Duration, Wrong> {
    match duration(value)? {
        values::FOREVER => Err(Wrong::text(value, "\"infinity\" cannot be waited for here")),
        time => Ok(time),
    }
}

/// A size as a string, or bytes as an integer.
pub fn size(value: &Value<'_>) -> Result<u64, Wrong> {
    if let Some(bytes) = integer_if(value, 0..=i64::MAX)? {
        return u64::try_from(bytes).map_err(|_| Wrong::kind(value));
    }
    values::size(text(value)?).map_err(|why| Wrong::text(value, why))
}

/// The same or "infinity", which is `None`.
pub fn size_limit(value: &Value<'_>) -> Result<Option<u64>, Wrong> {
    match value.get_ref().as_str() {
        Some("infinity") => Ok(None),
        Some(_) | None => size(value).map(Some),
    }
}

//! One TOML file: its syntax, then every key by the schema. All errors of both kinds are told.

use std::borrow::Cow;
use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::draft::{Draft, Origin};
use super::problem::{Problem, Source};
use super::schema::{self, Key, Said, Value, Wrong};

/// More of one file are not told: nobody reads them, and a hostile file could have a million.
const PROBLEMS_MAX: usize = 100;
/// Of the parser, which may have several for one mistake.
const ERRORS_MAX: usize = 1000;

/// What the parser says of a key that no `=` follows.
const NO_VALUE: &str = "key with no value";

/// Writes what the file says into the draft and returns what is wrong with it.
pub fn apply(source: &Source, index: usize, draft: &mut Draft) -> Vec<Problem> {
    let (repaired, mut errors) = without_lines_that_stop_the_parser(&source.text);
    let (document, more) = DeTable::parse_recoverable(&repaired);
    errors.extend(more);
    errors.sort_by_key(|error| error.span().map(|span| span.start));
    let faults = syntax_faults(source, document.get_ref(), &errors);
    let mut problems: Vec<Problem> = faults.iter().map(|fault| fault.problem(source)).collect();
    let broken = errors.iter().filter_map(|error| error.span()).map(|span| span.start).collect();
    let mut walk = Walk { source, broken, problems: &mut problems };
    draft.source = index;
    walk.table(None, document.get_ref(), draft);
    problems.sort_by_key(|problem| (problem.line, problem.column));
    problems.truncate(PROBLEMS_MAX);
    problems
}

/// The parser recovers from every error but a key without `=`: there it stops, and what follows would
/// not be looked at. So such lines are told and blanked out.
fn without_lines_that_stop_the_parser(text: &str) -> (Cow<'_, str>, Vec<toml::de::Error>) {
    let mut repaired = Cow::Borrowed(text);
    let mut told = Vec::new();
    loop {
        let (_, errors) = DeTable::parse_recoverable(&repaired);
        let stopping: Vec<_> =
            errors.into_iter().filter(|error| error.message().starts_with(NO_VALUE)).collect();
        if stopping.is_empty() || told.len() >= PROBLEMS_MAX {
            return (repaired, told);
        }
        let mut bytes = repaired.into_owned().into_bytes();
        for error in stopping {
            let at = error.span().map_or(0, |span| span.start).min(bytes.len());
            let start =
                bytes.iter().take(at).rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
            bytes.iter_mut().skip(start).take_while(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
            told.push(error);
        }
        // Whole lines became blanks, so it is still UTF-8.
        repaired = Cow::Owned(String::from_utf8(bytes).unwrap_or_default());
    }
}

struct Walk<'a> {
    source: &'a Source,
    /// Where the syntax is wrong, in order: what is read there is a guess, and not worth another complaint.
    broken: Vec<usize>,
    problems: &'a mut Vec<Problem>,
}

impl Walk<'_> {
    fn table(&mut self, section: Option<&str>, table: &DeTable<'_>, draft: &mut Draft) {
        for (name, value) in table.iter() {
            if self.problems.len() >= PROBLEMS_MAX {
                return;
            }
            let at = name.span();
            let name = name.get_ref().as_ref();
            match (schema::find(section, name), section) {
                (Some(key), _) if !self.is_broken(&at, value) => self.key(section, key, value, draft),
                (Some(_), _) => {}
                (None, None) if schema::section_names().any(|known| known == name) => {
                    self.section(name, value, draft);
                }
                (None, _) if self.is_broken(&at, value) => {}
                (None, _) => {
                    let mut problem = Problem::at(self.source, at, unknown(section, name));
                    problem.help = schema::advice(section, name);
                    self.problems.push(problem);
                }
            }
        }
    }

    fn section(&mut self, name: &str, value: &Value<'_>, draft: &mut Draft) {
        match value.get_ref() {
            DeValue::Table(table) => self.table(Some(name), table, draft),
            other => {
                let text = format!("{name}: expected a table, found {}", article(other.type_str()));
                let help = format!("its keys stand under a line [{name}]");
                self.problems.push(Problem::at(self.source, value.span(), text).help(help));
            }
        }
    }

    fn key(&mut self, section: Option<&str>, key: &'static Key, value: &Value<'_>, draft: &mut Draft) {
        match (key.set)(draft, value) {
            Ok(()) => note_origin(section, key, value, draft),
            Err(wrongs) => {
                let room = PROBLEMS_MAX.saturating_sub(self.problems.len());
                let told = wrongs.0.into_iter().take(room);
                self.problems.extend(told.map(|wrong| complaint(self.source, key, wrong)));
            }
        }
    }

    /// Whether a syntax error lies between the line of the key and the end of the line of its value.
    fn is_broken(&self, key: &Range<usize>, value: &Value<'_>) -> bool {
        if self.broken.is_empty() {
            return false;
        }
        let text = &self.source.text;
        let start =
            text.get(..key.start).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1);
        let end = value.span().end.max(key.end);
        let end =
            text.get(end..).and_then(|after| after.find('\n')).map_or(text.len(), |newline| end + newline);
        let next = self.broken.partition_point(|broken| *broken < start);
        self.broken.get(next).is_some_and(|broken| *broken <= end)
    }
}

fn unknown(section: Option<&str>, name: &str) -> String {
    match section {
        Some(section) => format!("unknown key {name:?} in [{section}]"),
        None => format!("unknown key {name:?}"),
    }
}

fn article(kind: &str) -> String {
    let an = kind.starts_with(['a', 'i']);
    format!("{} {kind}", if an { "an" } else { "a" })
}

fn complaint(source: &Source, key: &Key, wrong: Wrong) -> Problem {
    match wrong.said {
        Said::Kind { found } => {
            let text = format!("{}: expected {}, found {found}", key.name, key.expects);
            Problem::at(source, wrong.span, text).help(format!("for example: {} = {}", key.name, key.example))
        }
        Said::Text { text, help } => {
            let problem = Problem::at(source, wrong.span, format!("{}: {text}", key.name));
            match help {
                Some(help) => problem.help(help),
                None => problem.help(format!("expected {}, for example: {}", key.expects, key.example)),
            }
        }
    }
}

/// Remembers where the value stands. Of `env` each variable for itself: files add to each other.
fn note_origin(section: Option<&str>, key: &'static Key, value: &Value<'_>, draft: &mut Draft) {
    let path = match section {
        Some(section) => format!("{section}.{}", key.name),
        None => key.name.to_owned(),
    };
    let mut note = |path: String, value: &Value<'_>, span: Range<usize>| {
        let place = draft.placed(span, ()).place;
        draft.origins.insert(path, Origin { place, text: inline(value.get_ref()) });
    };
    match value.get_ref() {
        DeValue::Table(table) => {
            for (name, value) in table.iter() {
                note(format!("{path}.{}", name.get_ref()), value, name.span());
            }
        }
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_) => note(path, value, value.span()),
    }
}

/// The value in one line of TOML.
fn inline(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => quoted(text),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(date) => date.to_string(),
        DeValue::Array(elements) => {
            let elements: Vec<String> = elements.iter().map(|element| inline(element.get_ref())).collect();
            format!("[{}]", elements.join(", "))
        }
        DeValue::Table(table) => {
            let entries: Vec<String> = table
                .iter()
                .map(|(name, value)| format!("{} = {}", name.get_ref(), inline(value.get_ref())))
                .collect();
            format!("{{ {} }}", entries.join(", "))
        }
    }
}

/// A basic string of TOML.
pub fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

struct Fault {
    span: Range<usize>,
    text: String,
    help: Option<String>,
}

impl Fault {
    fn problem(&self, source: &Source) -> Problem {
        let problem = Problem::at(source, self.span.clone(), self.text.clone());
        match &self.help {
            Some(help) => problem.help(help.clone()),
            None => problem,
        }
    }
}

/// One per line: further ones on a line mostly come from the first.
fn syntax_faults(source: &Source, document: &DeTable<'_>, errors: &[toml::de::Error]) -> Vec<Fault> {
    let first = errors.iter().take(ERRORS_MAX);
    let unclosed = errors.iter().rev().filter(|error| error.message().starts_with("unclosed")).take(1);
    let mut faults: Vec<Fault> =
        first.chain(unclosed).map(|error| fault(&source.text, document, error)).collect();
    faults.sort_by_key(|fault| fault.span.start);
    // What stands behind a bracket that is never closed was read as a part of it.
    if let Some(open) = faults.iter().find(|fault| fault.text.ends_with("is never closed")) {
        let start = open.span.start;
        faults.retain(|fault| fault.span.start <= start);
    }
    let mut last_end = None;
    faults.retain(|fault| {
        let same_line = last_end.is_some_and(|end| fault.span.start <= end);
        let after = source.text.get(fault.span.start..).unwrap_or_default();
        last_end = Some(fault.span.start + after.find('\n').unwrap_or(after.len()));
        !same_line
    });
    faults.truncate(PROBLEMS_MAX);
    faults
}

fn fault(text: &str, document: &DeTable<'_>, error: &toml::de::Error) -> Fault {
    let span = error.span().unwrap_or(0..0);
    let message = error.message();
    let found = text.get(span.clone()).unwrap_or_default();
    let plain =
        |text: String, help: Option<&str>| Fault { span: span.clone(), text, help: help.map(str::to_owned) };
    if message.starts_with("unclosed array") || message.starts_with("unclosed inline table") {
        // The parser notices it at the end; the mistake is where the bracket was opened.
        let bracket = if message.starts_with("unclosed array") { "[" } else { "{" };
        let start = open_bracket(text, document, span.end).unwrap_or(span.start);
        return Fault {
            span: start..start + 1,
            text: format!("this `{bracket}` is never closed"),
            help: None,
        };
    }
    if message.starts_with("string values must be quoted") && found.is_empty() {
        return plain("a value is missing after the `=`".into(), None);
    }
    let like_a_number = found.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    if message.starts_with("string values must be quoted")
        || message.starts_with("invalid float") && !like_a_number
    {
        let help = format!("write {}", quoted(found));
        return Fault { help: Some(help), ..plain("a string stands in quotes".into(), None) };
    }
    match message {
        "duplicate key" => plain(format!("{found:?} stands here a second time"), None),
        _ if message.starts_with("unexpected leading zero") => {
            plain("a number has no leading zero".into(), Some("an octal number stands in quotes: \"022\""))
        }
        _ if message.starts_with(NO_VALUE) => {
            plain("a key is followed by `=` and its value".into(), Some("a comment begins with #"))
        }
        _ => plain(message.to_owned(), None),
    }
}

/// Where the outermost array or inline table begins that goes on to the end of the text.
fn open_bracket(text: &str, table: &DeTable<'_>, end: usize) -> Option<usize> {
    let reaches_end = |value: &Value<'_>| {
        let span = value.span();
        span.end >= end && text.get(span).is_some_and(|text| text.starts_with(['[', '{']))
    };
    for (_, value) in table.iter() {
        match value.get_ref() {
            DeValue::Array(_) if reaches_end(value) => return Some(value.span().start),
            DeValue::Table(inner) => match open_bracket(text, inner, end) {
                Some(start) => return Some(start),
                None if reaches_end(value) => return Some(value.span().start),
                None => {}
            },
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_) => {}
        }
    }
    None
}

//! What is wrong with a service directory, shown the way compilers do: place, line, caret, advice.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

/// A service with more problems than this shows the first ones only.
const SHOWN_MAX: usize = 50;
/// Of a longer line only the part round the caret is shown.
const SHOWN_CHARACTERS_MAX: usize = 120;
const SHOWN_BEFORE_CARET: usize = 60;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The service cannot be defined like this.
    Error,
    /// It can, but a start would fail as things are now.
    Warning,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub level: Level,
    pub file: PathBuf,
    /// Counted from 1; the column in characters.
    pub line: Option<usize>,
    pub column: Option<usize>,
    pub text: String,
    pub help: Option<String>,
    source: Option<Box<Excerpt>>,
}

/// The part of a line that is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Excerpt {
    text: String,
    /// How many characters of it stand before what is meant.
    before: usize,
    /// How many characters are meant.
    meant: usize,
}

/// Everything that is wrong with one service, in the order of files and lines. Never empty as an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

/// A text file that was read, to find lines and columns in.
#[derive(Clone, Debug)]
pub struct Source {
    pub file: PathBuf,
    pub text: String,
}

impl Problem {
    pub fn new(file: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        Self {
            level: Level::Error,
            file: file.into(),
            line: None,
            column: None,
            text: text.into(),
            help: None,
            source: None,
        }
    }

    /// At a place in a file, in bytes of its text.
    pub fn at(source: &Source, span: Range<usize>, text: impl Into<String>) -> Self {
        let (line, column) = source.line_and_column(span.start);
        let content = source.line(line);
        let start = source.line_start(span.start);
        let end = span.end.min(start + content.len());
        let meant = source.text.get(span.start..end).map_or(1, |meant| meant.chars().count().max(1));
        let is_long = content.chars().nth(SHOWN_CHARACTERS_MAX).is_some();
        let first = if is_long { (column - 1).saturating_sub(SHOWN_BEFORE_CARET) } else { 0 };
        let shown = content.chars().skip(first).take(SHOWN_CHARACTERS_MAX).collect();
        Self {
            line: Some(line),
            column: Some(column),
            source: Some(Box::new(Excerpt { text: shown, before: column - 1 - first, meant })),
            ..Self::new(&source.file, text)
        }
    }

    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub fn warning(mut self) -> Self {
        self.level = Level::Warning;
        self
    }

    pub fn is_error(&self) -> bool {
        self.level == Level::Error
    }
}

impl Problems {
    /// Those of one file together, in the order of its lines.
    pub fn in_order(mut problems: Vec<Problem>) -> Self {
        let mut files: Vec<PathBuf> = Vec::new();
        for problem in &problems {
            if !files.contains(&problem.file) {
                files.push(problem.file.clone());
            }
        }
        let rank = |file: &PathBuf| files.iter().position(|known| known == file);
        problems.sort_by_cached_key(|problem| (rank(&problem.file), problem.line, problem.column));
        Self(problems)
    }

    pub fn has_errors(&self) -> bool {
        self.0.iter().any(Problem::is_error)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }
}

impl IntoIterator for Problems {
    type Item = Problem;
    type IntoIter = std::vec::IntoIter<Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl Source {
    /// Line and column of a byte, both from 1, the column in characters.
    pub fn line_and_column(&self, byte: usize) -> (usize, usize) {
        let start = self.line_start(byte);
        let before = self.text.get(..start).unwrap_or_default();
        let in_line = self.text.get(start..byte).unwrap_or_default();
        (before.matches('\n').count() + 1, in_line.chars().count() + 1)
    }

    fn line_start(&self, byte: usize) -> usize {
        let before = self.text.get(..byte).unwrap_or(&self.text);
        before.rfind('\n').map_or(0, |newline| newline + 1)
    }

    fn line(&self, number: usize) -> &str {
        self.text.split('\n').nth(number.saturating_sub(1)).unwrap_or_default()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", printable(&self.file.to_string_lossy()))?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(column) = self.column {
            write!(f, ":{column}")?;
        }
        let warning = if self.is_error() { "" } else { "warning: " };
        write!(f, ": {warning}{}", printable(&self.text))?;
        match (self.source.as_deref(), self.line, self.column) {
            (Some(excerpt), Some(line), Some(_)) => {
                show_line(f, line, excerpt)?;
                match &self.help {
                    Some(help) => {
                        let gutter = " ".repeat(line.to_string().len());
                        write!(f, "\n{gutter} = help: {}", printable(help))
                    }
                    None => Ok(()),
                }
            }
            (_, _, _) => match &self.help {
                Some(help) => write!(f, "; {}", printable(help)),
                None => Ok(()),
            },
        }
    }
}

fn show_line(f: &mut fmt::Formatter<'_>, line: usize, excerpt: &Excerpt) -> fmt::Result {
    let Excerpt { text: shown, before, meant } = excerpt;
    let number = line.to_string();
    let gutter = " ".repeat(number.len());
    // A tab stays a tab above and below, so that the caret stands where it should.
    let pad: String = shown.chars().take(*before).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    let carets = (*meant).clamp(1, shown.chars().count().saturating_sub(*before).max(1));
    let shown: String = shown.trim_end().chars().map(visible).collect();
    write!(f, "\n{gutter} |\n{number} | {shown}\n{gutter} | {pad}{}", "^".repeat(carets))
}

/// A file must not be able to send control sequences to the terminal of who checks it.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c == '\n' { c } else { visible(c) }).collect()
}

fn visible(c: char) -> char {
    if c.is_control() && c != '\t' { char::REPLACEMENT_CHARACTER } else { c }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().take(SHOWN_MAX).enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        match self.0.len().saturating_sub(SHOWN_MAX) {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

impl std::error::Error for Problem {}
impl std::error::Error for Problems {}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source { file: "service.toml".into(), text: text.into() }
    }

    #[test]
    fn the_caret_stands_under_what_is_meant() {
        let problem = Problem::at(&source("a = 1\n\tnice = 99\n"), 14..16, "too nice").help("be less nice");
        let shown =
            "service.toml:2:9: too nice\n  |\n2 | \tnice = 99\n  | \t       ^^\n  = help: be less nice";
        assert_eq!(problem.to_string(), shown);
    }

    #[test]
    fn a_place_at_the_end_or_outside_of_the_text_is_shown_at_the_end() {
        assert_eq!(Problem::at(&source("ab"), 2..2, "x").column, Some(3));
        let outside = Problem::at(&source("ab"), 7..9, "x").to_string();
        assert!(outside.starts_with("service.toml:1:1: x"), "{outside}");
    }

    #[test]
    fn a_long_line_is_cut_round_the_caret() {
        let text = format!("{}X{}", "a".repeat(5000), "b".repeat(5000));
        let shown = Problem::at(&source(&text), 5000..5001, "here").to_string();
        let (above, below) = (shown.lines().nth(2).unwrap(), shown.lines().nth(3).unwrap());
        assert!(above.len() < 200);
        assert_eq!(above.find('X'), below.find('^'));
        // A megabyte of wrong keys on one line is not kept once for each of them.
        let kept = Problem::at(&source(&text), 5000..5001, "here").source.unwrap();
        assert!(kept.text.capacity() < 1_000, "{}", kept.text.capacity());
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let shown = Problem::at(&source("a = \"\u{1b}[2J\""), 4..5, "bad \u{1b}").to_string();
        assert!(!shown.contains('\u{1b}'), "{shown}");
    }

    #[test]
    fn a_thousand_problems_are_counted_not_shown() {
        let many = Problems(vec![Problem::new("f", "x"); 1000]);
        assert_eq!(many.to_string().lines().count(), SHOWN_MAX + 1);
        assert!(many.to_string().ends_with("and 950 more"));
    }
}

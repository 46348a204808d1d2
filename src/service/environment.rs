//! Environment variables from files: the directory `env/` and the files of `env-files`.

use std::collections::BTreeMap;
use std::ops::Range;

/// Variables in the order of the file, each with its place.
pub type Assignments = Vec<(String, String, Range<usize>)>;
/// What is wrong, and where.
pub type Complaint = (Range<usize>, String);

/// What execve(2) and every shell can pass on.
pub fn check_variable_name(name: &str) -> Result<(), String> {
    match name.chars().find(|c| *c == '=' || c.is_whitespace() || c.is_control()) {
        _ if name.is_empty() => Err("a variable cannot have an empty name".into()),
        Some(wrong) => Err(format!("the name of a variable cannot contain {wrong:?}")),
        None if name.starts_with(|c: char| c.is_ascii_digit()) => {
            Err(format!("{name:?} is no variable name: it begins with a digit"))
        }
        None => Ok(()),
    }
}

/// A file of `env/`, by the rules of envdir: the first line without trailing blanks, NUL for
/// newline. `None` when the file is empty: the variable is removed.
pub fn env_dir_value(content: &[u8]) -> Result<Option<String>, String> {
    if content.is_empty() {
        return Ok(None);
    }
    let line = content.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.trim_ascii_end();
    let line: Vec<u8> = line.iter().map(|byte| if *byte == 0 { b'\n' } else { *byte }).collect();
    match String::from_utf8(line) {
        Ok(value) => Ok(Some(value)),
        Err(_) => Err("is not UTF-8".into()),
    }
}

/// `KEY=VALUE` lines. The dialect is described in contrib/doc/service.toml.md.
pub fn parse_env_file(text: &str) -> Result<Assignments, Vec<Complaint>> {
    let mut assignments = Vec::new();
    let mut complaints = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let span = start..start + line.trim_end_matches(['\n', '\r']).len();
        start += line.len();
        match parse_line(text.get(span.clone()).unwrap_or_default()) {
            Ok(None) => {}
            Ok(Some((key, value))) => assignments.push((key, value, span)),
            Err((within, why)) => {
                complaints.push((span.start + within.start..span.start + within.end, why));
            }
        }
    }
    if complaints.is_empty() { Ok(assignments) } else { Err(complaints) }
}

fn parse_line(line: &str) -> Result<Option<(String, String)>, Complaint> {
    let blank = line.len() - line.trim_start().len();
    let trimmed = line.trim();
    if trimmed.is_empty() || trimmed.starts_with('#') {
        return Ok(None);
    }
    let (assignment, at) = match trimmed.strip_prefix("export ") {
        Some(after) => (after.trim_start(), blank + trimmed.len() - after.trim_start().len()),
        None => (trimmed, blank),
    };
    let Some((key, value)) = assignment.split_once('=') else {
        let end = at + assignment.len();
        return Err((at..end, "a line is KEY=VALUE, a comment begins with #".into()));
    };
    check_variable_name(key).map_err(|why| {
        let why = if key.ends_with([' ', '\t']) { "no blanks can stand before the =".into() } else { why };
        (at..at + key.len().max(1), why)
    })?;
    let at = at + key.len() + 1;
    let value = unquote(value).map_err(|(within, why)| (at + within.start..at + within.end, why))?;
    Ok(Some((key.to_owned(), value)))
}

fn unquote(value: &str) -> Result<String, Complaint> {
    let quote = match value.chars().next() {
        Some(blank) if blank.is_whitespace() => return Err((0..1, "no blanks can stand after the =".into())),
        Some(quote @ ('"' | '\'')) => quote,
        Some(_) | None => return check_nul(value.trim_end()).map(str::to_owned),
    };
    let mut unquoted = String::new();
    let mut characters = value.char_indices().skip(1);
    while let Some((at, c)) = characters.next() {
        match c {
            '\\' if quote == '"' => match characters.next() {
                Some((_, 'n')) => unquoted.push('\n'),
                Some((_, 't')) => unquoted.push('\t'),
                Some((_, 'r')) => unquoted.push('\r'),
                Some((_, same @ ('"' | '\\' | '$' | '`' | '\''))) => unquoted.push(same),
                Some((_, other)) => {
                    let why =
                        format!("after a backslash there can be n, t, r, \", ', \\, $ or `, not {other:?}");
                    return Err((at..at + 1 + other.len_utf8(), why));
                }
                None => break,
            },
            c if c == quote => {
                let after = value.get(at + 1..).unwrap_or_default();
                let rest = after.trim();
                if rest.is_empty() || (rest.starts_with('#') && after.starts_with([' ', '\t'])) {
                    return check_nul(&unquoted).map(str::to_owned);
                }
                return Err((at + 1..value.len(), "only a comment can follow the closing quote".into()));
            }
            other => unquoted.push(other),
        }
    }
    Err((0..1, format!("this {quote} is not closed on its line")))
}

fn check_nul(value: &str) -> Result<&str, Complaint> {
    match value.find('\0') {
        Some(at) => Err((at..at + 1, "a NUL character cannot be passed on".into())),
        None => Ok(value),
    }
}

/// The three sources in one, the stronger over the weaker.
pub fn merge(
    env_files: BTreeMap<String, String>,
    env: BTreeMap<String, String>,
    env_dir: BTreeMap<String, Option<String>>,
) -> Vec<(String, Option<String>)> {
    let mut merged: BTreeMap<String, Option<String>> = BTreeMap::new();
    merged.extend(env_files.into_iter().map(|(name, value)| (name, Some(value))));
    merged.extend(env.into_iter().map(|(name, value)| (name, Some(value))));
    merged.extend(env_dir);
    merged.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values(text: &str) -> Vec<(String, String)> {
        parse_env_file(text).unwrap().into_iter().map(|(key, value, _)| (key, value)).collect()
    }

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.into(), value.into())
    }

    #[test]
    fn an_env_file_has_comments_quotes_and_exports() {
        let text = "# comment\n\nA=1\nexport B=two words  \nC='$HOME \\n'\nD=\"a\\tb \\\"q\\\" \\$x\" # note\r\nE=\nF=a=b#c\n";
        let expected = [
            ("A", "1"),
            ("B", "two words"),
            ("C", "$HOME \\n"),
            ("D", "a\tb \"q\" $x"),
            ("E", ""),
            ("F", "a=b#c"),
        ];
        assert_eq!(values(text), expected.map(|(key, value)| pair(key, value)));
    }

    #[test]
    fn each_wrong_line_of_an_env_file_is_told_with_its_place() {
        let text = "OK=1\nnoequals\nA = 1\nB=\"open\nC='x' y\n1D=2\nE=\"\\q\"\n=x\n";
        let complaints = parse_env_file(text).unwrap_err();
        let lines: Vec<usize> =
            complaints.iter().map(|(span, _)| text[..span.start].matches('\n').count() + 1).collect();
        assert_eq!(lines, [2, 3, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn env_dir_files_follow_envdir() {
        assert_eq!(env_dir_value(b""), Ok(None));
        assert_eq!(env_dir_value(b"\n"), Ok(Some(String::new())));
        assert_eq!(env_dir_value(b"value \t\nsecond line\n"), Ok(Some("value".into())));
        assert_eq!(env_dir_value(b"a\0b\n"), Ok(Some("a\nb".into())));
        assert!(env_dir_value(b"\xff\n").is_err());
    }

    proptest! {
        #[test]
        fn no_env_file_makes_the_parser_panic(text in "(?s).{0,80}") {
            if let Err(complaints) = parse_env_file(&text) {
                for (span, _) in complaints {
                    prop_assert!(span.start <= span.end && span.end <= text.len() + 1);
                }
            }
        }

        #[test]
        fn nearly_right_env_files_do_not_make_the_parser_panic(text in "(export )?[A-Z ]{0,3}=?[\"' ]?[a-zé\\\\\"'#$ \n=]{0,20}") {
            prop_assert!(parse_env_file(&text).is_ok() || parse_env_file(&text).is_err());
        }

        #[test]
        fn any_value_can_be_written_in_single_quotes(value in "[^'\n\r\0]{0,40}") {
            prop_assert_eq!(values(&format!("KEY='{value}'")), vec![pair("KEY", &value)]);
        }
    }
}

//! The schema of service.toml as one table: every key with its type, default, description and
//! example. It drives reading, "did you mean", `svc show` and the reference page.
//!
//! Invariant: a key that is not here is an error; a key that is here works.

mod context;
mod keeping;
mod limits;
mod log;
mod program;
mod reader;
mod streams;

use super::draft::Draft;
pub use reader::{Said, Value, Wrong, Wrongs};

/// One key. All texts are for users.
#[derive(Debug)]
pub struct Key {
    pub name: &'static str,
    /// Completes "expected …".
    pub expects: &'static str,
    pub default: Standard,
    /// A value as it may stand in the file.
    pub example: &'static str,
    pub about: &'static str,
    pub set: fn(&mut Draft, &Value<'_>) -> Result<(), Wrongs>,
}

/// What holds when a key is not given.
#[derive(Clone, Copy, Debug)]
pub enum Standard {
    /// As it would stand in the file.
    Value(&'static str),
    ByType {
        longrun: &'static str,
        oneshot: &'static str,
    },
    /// No value: what happens then, in words.
    Nothing(&'static str),
}

/// Keys that stand together: at the top of the file, or under a `[name]` of their own.
#[derive(Debug)]
pub struct Section {
    pub name: Option<&'static str>,
    pub title: &'static str,
    pub keys: &'static [Key],
}

pub static SECTIONS: [Section; 6] = [
    Section { name: None, title: "What it is", keys: program::KEYS },
    Section { name: None, title: "What it runs as", keys: context::KEYS },
    Section { name: None, title: "Where its input and output go", keys: streams::KEYS },
    Section { name: None, title: "How it is kept", keys: keeping::KEYS },
    Section { name: Some("limits"), title: "What it may use", keys: limits::KEYS },
    Section { name: Some("log"), title: "Its log", keys: log::KEYS },
];

/// Words of other supervisors and what they are called here.
const OTHER_WORDS: [(&str, &str); 21] = [
    ("exec", "command"),
    ("execstart", "command"),
    ("program", "command"),
    ("args", "command"),
    ("workingdirectory", "cwd"),
    ("working-directory", "cwd"),
    ("working-dir", "cwd"),
    ("directory", "cwd"),
    ("dir", "cwd"),
    ("environment", "env"),
    ("environmentfile", "env-files"),
    ("env-file", "env-files"),
    ("autostart", "enabled"),
    ("autorestart", "restart"),
    ("restartsec", "restart-delay"),
    ("stopwaitsecs", "stop"),
    ("limitnofile", "limits.open-files"),
    ("nofile", "open-files"),
    ("nproc", "processes"),
    ("fsize", "file-size"),
    ("memlock", "locked-memory"),
];

/// Where a name is looked for: `None` is the top of the file.
pub fn find(section: Option<&str>, name: &str) -> Option<&'static Key> {
    keys_of(section).find(|key| key.name == name)
}

pub fn keys_of(section: Option<&str>) -> impl Iterator<Item = &'static Key> {
    SECTIONS.iter().filter(move |each| each.name == section).flat_map(|each| each.keys)
}

/// The names of the `[sections]`.
pub fn section_names() -> impl Iterator<Item = &'static str> {
    SECTIONS.iter().filter_map(|section| section.name)
}

/// What somebody may have meant who wrote an unknown key, as a sentence.
pub fn advice(section: Option<&str>, typed: &str) -> Option<String> {
    let elsewhere = SECTIONS
        .iter()
        .filter(|other| other.name != section)
        .find(|other| other.keys.iter().any(|key| key.name == typed));
    if let Some(other) = elsewhere {
        return Some(match (other.name, section) {
            (Some(name), _) => format!("{typed:?} stands under [{name}]"),
            (None, Some(here)) => {
                format!(
                    "{typed:?} belongs to the top of the file, above [{here}]: all that follows [{here}] is part of it"
                )
            }
            (None, None) => return None,
        });
    }
    let lower = typed.to_ascii_lowercase();
    if let Some((_, ours)) = OTHER_WORDS.iter().find(|(theirs, _)| *theirs == lower) {
        return Some(format!("did you mean {ours:?}?"));
    }
    let candidates = keys_of(section).map(|key| key.name);
    let sections = section_names().filter(|_| section.is_none());
    super::nearest::nearest(typed, candidates.chain(sections)).map(|name| format!("did you mean {name:?}?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_is_in_the_table_twice() {
        for section in [None, Some("limits"), Some("log")] {
            let mut names: Vec<_> = keys_of(section).map(|key| key.name).collect();
            names.sort_unstable();
            let all = names.len();
            names.dedup();
            assert_eq!(names.len(), all);
        }
    }

    #[test]
    fn every_text_of_the_table_is_a_plain_line() {
        for key in SECTIONS.iter().flat_map(|section| section.keys) {
            assert!(key.name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{}", key.name);
            for text in [key.expects, key.about, key.example] {
                assert!(!text.is_empty() && !text.contains(['\n', '|']), "{}: {text}", key.name);
            }
        }
    }

    #[test]
    fn every_example_and_every_default_is_accepted() {
        for section in &SECTIONS {
            for key in section.keys {
                let mut texts = vec![key.example];
                match key.default {
                    Standard::Value(text) => texts.push(text),
                    Standard::ByType { longrun, oneshot } => texts.extend([longrun, oneshot]),
                    Standard::Nothing(_) => {}
                }
                for text in texts {
                    let value = toml::de::DeValue::parse(text).unwrap();
                    let mut draft = Draft::default();
                    assert!((key.set)(&mut draft, &value).is_ok(), "{} = {text}", key.name);
                }
            }
        }
    }

    #[test]
    fn other_supervisors_words_and_misplaced_keys_get_advice() {
        let advice = |section, typed| advice(section, typed).unwrap_or_default();
        assert_eq!(advice(None, "ExecStart"), "did you mean \"command\"?");
        assert_eq!(advice(None, "max-size"), "\"max-size\" stands under [log]");
        assert!(advice(Some("log"), "user").contains("above [log]"));
        assert_eq!(advice(None, "limit"), "\"limit\" stands under [log]");
        assert_eq!(advice(None, "limts"), "did you mean \"limits\"?");
        assert_eq!(advice(None, "zebra"), "");
    }
}

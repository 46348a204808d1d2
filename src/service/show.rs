//! Every effective value of a service and where it comes from, for `svc show`.

use std::path::Path;

use super::assemble::{Examined, Part};
use super::document::quoted;
use super::draft::Place;
use super::schema::{Key, SECTIONS, Standard};
use crate::lifecycle::Kind;

/// A line of `svc show`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// `restart`, `log.max-size`, `env.PORT`.
    pub key: String,
    /// As it would stand in service.toml; in brackets where there is no value, what happens then.
    pub value: String,
    /// `default`, or the file, with its line where it has several.
    pub source: String,
}

impl Examined {
    pub fn shown(&self, part: Part) -> Vec<Shown> {
        let mut shown = Vec::new();
        for section in &SECTIONS {
            for key in section.keys {
                let path = match section.name {
                    Some(section) => format!("{section}.{}", key.name),
                    None => key.name.to_owned(),
                };
                match path.as_str() {
                    "env" => self.show_variables(&mut shown),
                    _ => shown.push(self.show_key(path, key, part)),
                }
            }
        }
        shown
    }

    fn show_key(&self, path: String, key: &Key, part: Part) -> Shown {
        if path == "enabled" && self.reading.has("down") {
            return Shown { key: path, value: "false".into(), source: "down".into() };
        }
        if path == "command" && self.reading.has("run") {
            return Shown { key: path, value: "[\"./run\"]".into(), source: "run".into() };
        }
        match self.draft.origins.get(&path) {
            Some(origin) => {
                Shown { key: path, value: origin.text.clone(), source: self.source(&origin.place) }
            }
            None => Shown { value: self.default_of(&path, key, part), key: path, source: "default".into() },
        }
    }

    fn default_of(&self, path: &str, key: &Key, part: Part) -> String {
        match (path, part) {
            ("stdin" | "stdout" | "stderr", _) if self.draft.tty.is_some() => return quoted("tty"),
            ("stdout" | "stderr", Part::Logger) => return quoted("inherit"),
            ("stdin", Part::Logger) => return "(the log pipe of the service)".into(),
            ("restart-delay-max", _) => {
                let longer = self.draft.restart_delay.as_ref().zip(self.draft.origins.get("restart-delay"));
                if let Some((_, origin)) =
                    longer.filter(|(delay, _)| delay.value > std::time::Duration::from_secs(30))
                {
                    return origin.text.clone();
                }
            }
            (_, _) => {}
        }
        match key.default {
            Standard::Value(value) => value.to_owned(),
            Standard::ByType { longrun, oneshot } => match self.draft.kind {
                Some(Kind::Oneshot) => oneshot.to_owned(),
                Some(Kind::Longrun) | None => longrun.to_owned(),
            },
            Standard::Nothing(words) => format!("({})", words.replace('`', "")),
        }
    }

    fn show_variables(&self, shown: &mut Vec<Shown>) {
        for (name, value) in &self.environment.variables {
            let key = format!("env.{name}");
            let value = value.as_ref().map_or("(removed)".to_owned(), |value| quoted(value));
            let in_toml = self.draft.origins.get(&key).map(|origin| self.source(&origin.place));
            let source = self.environment.origins.get(name).cloned().or(in_toml).unwrap_or_default();
            shown.push(Shown { key, value, source });
        }
    }

    /// The file, relative to the service directory, and the line.
    fn source(&self, place: &Place) -> String {
        let Some(source) = self.reading.sources.get(place.source) else {
            return String::new();
        };
        let file = source.file.strip_prefix(&self.reading.path).unwrap_or(Path::new(&source.file));
        format!("{}:{}", file.display(), source.line_and_column(place.span.start).0)
    }
}

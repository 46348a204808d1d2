//! The reference page of service.toml, written from the schema.

use super::schema::{SECTIONS, Section, Standard};

/// The tables of all keys, as Markdown: the part of contrib/doc/service.toml.md that is not prose.
pub fn reference() -> String {
    SECTIONS.iter().map(section).collect::<Vec<_>>().join("\n")
}

fn section(section: &Section) -> String {
    let mut page = match section.name {
        Some(name) => format!("## `[{name}]`: {}\n", lower_first(section.title)),
        None => format!("## {}\n", section.title),
    };
    page.push_str("\n| key | value | default |\n|---|---|---|\n");
    for key in section.keys {
        let default = match key.default {
            Standard::Value(value) => format!("`{value}`"),
            Standard::ByType { longrun, oneshot } => format!("`{longrun}`; of a oneshot `{oneshot}`"),
            Standard::Nothing(words) => words.to_owned(),
        };
        let expects = key.expects;
        page.push_str(&format!(
            "| `{}` | {expects}, like `{}`. {} | {default} |\n",
            key.name, key.example, key.about
        ));
    }
    page
}

fn lower_first(text: &str) -> String {
    let mut characters = text.chars();
    characters
        .next()
        .map(|first| first.to_lowercase().collect::<String>() + characters.as_str())
        .unwrap_or_default()
}

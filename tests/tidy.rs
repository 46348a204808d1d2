//! Keeps the house as its map says: who imports whom, where unsafe may stand, and the habits of the code.

// A test ends by panicking; clippy allows that only inside of #[test] functions.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The longest file, in lines.
const FILE_LINES_MAX: usize = 500;

/// What stands at the top of the repository, and nothing else.
const TOP_LEVEL: [&str; 13] = [
    ".cargo",
    ".ci",
    ".clippy.toml",
    ".gitignore",
    ".rustfmt.toml",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "contrib",
    "services",
    "src",
    "tests",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below `directory` with this ending, sorted, build products left out.
fn files(directory: &str, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root().join(directory)];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if path.is_symlink() || name == "target" || name == ".git" {
                continue;
            }
            if path.is_dir() {
                open.push(path);
            } else if name.ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn short(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

/// The numbered lines of a source file without comments and without its test items.
fn program_lines(path: &Path) -> Vec<(usize, String)> {
    let name = short(path);
    if name.ends_with("tests.rs") || name.contains("/tests/") {
        return Vec::new();
    }
    let text = read(path);
    let mut lines = text.lines().enumerate();
    let mut kept = Vec::new();
    while let Some((number, line)) = lines.next() {
        if line.trim() == "#[cfg(test)]" {
            let indentation = line.len() - line.trim_start().len();
            skip_item(&mut lines, indentation);
        } else if !line.trim_start().starts_with("//") {
            kept.push((number + 1, line.to_owned()));
        }
    }
    kept
}

/// rustfmt puts the end of an item at its own indentation.
fn skip_item<'text>(lines: &mut impl Iterator<Item = (usize, &'text str)>, indentation: usize) {
    let end = format!("{}}}", " ".repeat(indentation));
    for (_, line) in lines {
        let header_only =
            line.len() - line.trim_start().len() == indentation && line.trim_end().ends_with(';');
        if line == end || header_only {
            return;
        }
    }
}

/// True when `word` stands in the line as a word of its own.
fn has_word(line: &str, word: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        !line[..at].chars().next_back().is_some_and(is_word)
            && !line[at + word.len()..].chars().next().is_some_and(is_word)
    })
}

#[track_caller]
fn expect_none(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

/// Which room may import which, read from the map in src/lib.rs.
fn map_of_the_house() -> BTreeMap<String, BTreeSet<String>> {
    let text = read(&root().join("src/lib.rs"));
    let mut map = BTreeMap::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("//!   ")) {
        let Some((room, imports)) = line.split_once('→') else { continue };
        let room = room.trim();
        if room.is_empty() || !room.chars().all(|c| c.is_ascii_lowercase() || c == '_') {
            continue;
        }
        let imports = imports
            .split(',')
            .filter_map(|part| part.split_whitespace().next())
            .filter(|word| *word != "nothing")
            .map(str::to_owned)
            .collect();
        map.insert(room.to_owned(), imports);
    }
    map
}

/// The rooms named after `crate::` or `svc::` in a program text, groups included.
fn rooms_named(text: &str, prefix: &str) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    for (at, _) in text.match_indices(prefix) {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        if text[..at].chars().next_back().is_some_and(is_word) {
            continue;
        }
        let rest = &text[at + prefix.len()..];
        let word = |part: &str| part.trim_start().chars().take_while(|c| is_word(*c)).collect::<String>();
        match rest.strip_prefix('{') {
            Some(group) => rooms.extend(top_of_group(group).into_iter().map(|part| word(&part))),
            None => {
                rooms.insert(word(rest));
            }
        }
    }
    rooms
}

/// The parts of `a, b::{c, d}, e}` at the outer level.
fn top_of_group(group: &str) -> Vec<String> {
    let (mut depth, mut parts) = (0, vec![String::new()]);
    for c in group.chars() {
        match c {
            '}' if depth == 0 => break,
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => parts.push(String::new()),
            other if depth == 0 => parts.iter_mut().last().unwrap().push(other),
            _ => {}
        }
    }
    parts
}

#[test]
fn imports_go_one_way_as_the_map_in_lib_rs_says() {
    let map = map_of_the_house();
    assert!(map.len() >= 9, "cannot read the map of src/lib.rs: {map:?}");
    let mut complaints = Vec::new();
    for file in files("src", ".rs") {
        let name = short(&file);
        let room =
            name.trim_start_matches("src/").split('/').next().unwrap().trim_end_matches(".rs").to_owned();
        if room == "lib" {
            continue;
        }
        let Some(allowed) = map.get(&room) else {
            complaints.push(format!("{name}: the room {room} is not on the map of src/lib.rs"));
            continue;
        };
        let program: String = program_lines(&file).into_iter().map(|(_, line)| line + "\n").collect();
        let prefix = if room == "main" { "svc::" } else { "crate::" };
        for import in rooms_named(&program, prefix) {
            if map.contains_key(&import) && import != room && !allowed.contains(&import) {
                complaints.push(format!("{name}: {room} may not import {import}"));
            }
        }
    }
    expect_none(complaints);
}

#[test]
fn only_the_os_room_speaks_with_the_kernel() {
    let mut complaints = Vec::new();
    for file in files("src", ".rs").into_iter().filter(|file| !short(file).starts_with("src/os/")) {
        for (number, line) in program_lines(&file) {
            for word in ["nix", "libc", "signal_hook"] {
                if has_word(&line, word) && (line.contains(&format!("{word}::")) || line.contains("use ")) {
                    complaints.push(format!("{}:{number}: {word} belongs in src/os", short(&file)));
                }
            }
            if has_word(&line, "unsafe") {
                complaints.push(format!("{}:{number}: unsafe belongs in src/os", short(&file)));
            }
        }
    }
    expect_none(complaints);
}

#[test]
fn every_unsafe_block_has_its_safety_note_just_above() {
    let mut complaints = Vec::new();
    for file in files("src/os", ".rs") {
        let text = read(&file);
        let lines: Vec<&str> = text.lines().collect();
        for (index, line) in lines.iter().enumerate() {
            let code = line.trim_start();
            let opens = code.contains("unsafe {") || code.contains("unsafe impl");
            if !opens || code.starts_with("//") {
                continue;
            }
            let mut above = lines[..index].iter().rev().map(|line| line.trim_start());
            let noted = code.contains("// SAFETY:")
                || above
                    .by_ref()
                    .skip_while(|line| {
                        !line.starts_with("//") && !line.ends_with([';', '}', '{']) && !line.is_empty()
                    })
                    .take_while(|line| line.starts_with("//"))
                    .any(|line| line.starts_with("// SAFETY:"));
            if !noted {
                complaints.push(format!("{}:{}: unsafe without a SAFETY note", short(&file), index + 1));
            }
        }
    }
    expect_none(complaints);
}

#[test]
fn every_file_says_on_top_what_it_is_for_and_is_not_too_long() {
    let mut complaints = Vec::new();
    for file in ["src", "tests", "contrib"].into_iter().flat_map(|folder| files(folder, ".rs")) {
        let text = read(&file);
        if !text.starts_with("//! ") {
            complaints.push(format!("{}: the first line does not say what it is for", short(&file)));
        }
        let lines = text.lines().count();
        if lines > FILE_LINES_MAX {
            complaints.push(format!("{}: {lines} lines, at most {FILE_LINES_MAX}", short(&file)));
        }
    }
    expect_none(complaints);
}

#[test]
fn the_program_never_panics_on_purpose_drops_a_result_or_sleeps() {
    let forbidden = [
        ".unwrap()",
        ".expect(",
        "panic!(",
        "todo!(",
        "dbg!(",
        "unimplemented!(",
        "unreachable!(",
        "let _ =",
        "thread::sleep",
    ];
    let mut complaints = Vec::new();
    for file in files("src", ".rs") {
        for (number, line) in program_lines(&file) {
            for word in forbidden.iter().filter(|word| line.contains(**word)) {
                complaints.push(format!("{}:{number}: {word}", short(&file)));
            }
        }
    }
    expect_none(complaints);
}

/// It jumps: what it may touch is the text of a moment, never how long something takes.
#[test]
fn deadlines_uptimes_and_delays_never_come_from_the_wall_clock() {
    // In how many lines, imports aside. Whoever adds one says here what for.
    let may_tell_the_time = [
        ("src/os/clock.rs", 2),
        ("src/os/directory.rs", 1),          // whether a file has changed
        ("src/cli/moment.rs", 1),            // `svc logs --since 10m`
        ("src/logger/file.rs", 2),           // names and age of log files
        ("src/logger/successor.rs", 1),      // the time of a line
        ("src/logger/turn.rs", 2),           // the time of a line
        ("src/supervisor/event_loop.rs", 1), // since when it runs, in `svc status`
        ("src/supervisor/perform.rs", 1),    // when a transition was, in `svc events`
        ("src/supervisor/status.rs", 2),     // a time since and a time to come, in `svc status`
    ];
    let words = ["wall()", "SystemTime", "Timestamp::now", "Zoned::now", "CLOCK_REALTIME", "st_mtime"];
    let mut found = BTreeMap::new();
    for file in files("src", ".rs") {
        let lines = program_lines(&file);
        let tells = |line: &&(usize, String)| {
            words.iter().any(|word| line.1.contains(word)) && !line.1.starts_with("use ")
        };
        let count = lines.iter().filter(tells).count();
        if count > 0 {
            found.insert(short(&file), count);
        }
    }
    assert_eq!(found, may_tell_the_time.map(|(file, count)| (file.to_owned(), count)).into());
}

#[test]
fn nothing_is_left_for_later() {
    let notes = [["TO", "DO"].concat(), ["FIX", "ME"].concat(), ["XX", "X"].concat()];
    let mut complaints = Vec::new();
    for file in
        ["src", "tests", "contrib", "services", ".ci"].into_iter().flat_map(|folder| files(folder, ""))
    {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        for (number, line) in text.lines().enumerate() {
            if notes.iter().any(|note| has_word(line, note)) {
                complaints.push(format!("{}:{}: {}", short(&file), number + 1, line.trim()));
            }
        }
    }
    expect_none(complaints);
}

/// A match whose arms name events or actions names all of them.
#[test]
fn every_state_of_the_life_cycle_names_every_event() {
    let mut complaints = Vec::new();
    for file in files("src/lifecycle", ".rs") {
        let lines = program_lines(&file);
        for (start, (number, line)) in lines.iter().enumerate() {
            let code = line.trim_start();
            if !(has_word(code, "match") && code.ends_with('{')) {
                continue;
            }
            let indentation = line.len() - code.len();
            let body = lines[start + 1..].iter().map(|(_, line)| line.as_str());
            let arms: Vec<&str> = body
                .take_while(|line| {
                    line.trim().is_empty() || line.len() - line.trim_start().len() > indentation
                })
                .filter(|line| line.len() - line.trim_start().len() == indentation + 4)
                .map(str::trim_start)
                .collect();
            let of_events = arms.iter().any(|arm| arm.starts_with("Event::") || arm.starts_with("Action::"));
            let wild = arms.iter().any(|arm| arm.starts_with("_ =>") || arm.starts_with("_ if"));
            if of_events && wild {
                complaints
                    .push(format!("{}:{number}: this match has an arm for whatever comes", short(&file)));
            }
        }
    }
    expect_none(complaints);
}

#[test]
fn the_top_of_the_repository_holds_what_it_should_and_nothing_else() {
    let there: BTreeSet<String> = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name != "target" && name != ".git")
        .collect();
    let fixed: BTreeSet<String> = TOP_LEVEL.into_iter().map(str::to_owned).collect();
    assert_eq!(there, fixed);
}

#[test]
fn every_test_has_a_sentence_for_its_name() {
    let mut complaints = Vec::new();
    for file in ["src", "tests"].into_iter().flat_map(|folder| files(folder, ".rs")) {
        let text = read(&file);
        let mut is_test = false;
        for line in text.lines().map(str::trim) {
            is_test = match line.strip_prefix("fn ") {
                Some(rest) if is_test => {
                    let name = rest.split('(').next().unwrap();
                    if name.split('_').count() < 3 {
                        complaints.push(format!("{}: {name} is no sentence", short(&file)));
                    }
                    false
                }
                Some(_) => false,
                None => line == "#[test]" || (is_test && (line.starts_with("#[") || line.starts_with("//"))),
            };
        }
    }
    expect_none(complaints);
}

#[test]
fn every_link_in_the_documents_leads_somewhere() {
    let mut complaints = Vec::new();
    let documents = ["contrib", "services"].into_iter().flat_map(|folder| files(folder, ".md"));
    for file in documents.chain([root().join("README.md")]) {
        let text = read(&file);
        for (_, rest) in text.match_indices("](").map(|(at, _)| text.split_at(at + 2)) {
            let target = rest.split(')').next().unwrap();
            if target.contains("://") || target.starts_with('#') {
                continue;
            }
            let path = target.split('#').next().unwrap();
            if !file.parent().unwrap().join(path).exists() {
                complaints.push(format!("{}: {target} leads nowhere", short(&file)));
            }
        }
    }
    expect_none(complaints);
}

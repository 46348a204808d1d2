//! What cannot be seen from one key alone: files, users, and values that contradict each other.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::definition::{Input, Output, Reload};
use super::draft::{Draft, Place, Placed};
use super::environment::{check_variable_name, env_dir_value, merge, parse_env_file};
use super::programs::{self, DEFAULT_PATH, Fault};
use super::reading::{Reading, cause};
use crate::lifecycle::{Kind, Restart};
use crate::os::directory::Directory;
use crate::os::users;

/// The variables of a service and where each comes from, as `svc show` names it.
#[derive(Debug, Default)]
pub struct Environment {
    pub variables: Vec<(String, Option<String>)>,
    pub origins: BTreeMap<String, String>,
}

/// `run`, `command` and `finish` can be started.
pub fn programs(reading: &mut Reading, draft: &Draft, environment: &Environment) {
    let files_told = reading.problems.iter().any(|problem| problem.is_error());
    match (reading.has("run"), &draft.command) {
        (true, Some(command)) => {
            let help = "remove one of them";
            if let Some(problem) =
                reading.complain_at(&command.place, "there is a file `run` as well as this command")
            {
                problem.help = Some(help.into());
            }
        }
        (true, None) => program_file(reading, "run"),
        (false, Some(command)) => {
            command_program(reading, draft, environment, &command.value, &command.place)
        }
        // With an error in service.toml `command` may just be what is misspelt.
        (false, None) if files_told => {}
        (false, None) => {
            let help = "write an executable file `run` that starts the program in the foreground";
            let text = "has no file `run`, and no `command` in service.toml";
            reading.complain(Path::new(""), text, Some(help.into()));
        }
    }
    if reading.has("finish") {
        program_file(reading, "finish");
    }
    if let Some(Placed { value: Reload::Command(command), place }) = &draft.reload {
        command_program(reading, draft, environment, command, place);
    }
}

fn program_file(reading: &mut Reading, name: &str) {
    let path = reading.path.join(name);
    let name = Path::new(name);
    match reading.facts(name) {
        Ok(facts) => {
            reading.warn_of_writers(name, &facts);
            if let Err(fault) = programs::check(&reading.directory, &path, name, &facts) {
                reading.complain(name, fault.text, fault.help);
            }
        }
        Err(error) => {
            let text = format!("cannot be started: {}", reading.link_or_cause(name, &error));
            reading.complain(name, text, None);
        }
    }
}

fn command_program(
    reading: &mut Reading,
    draft: &Draft,
    environment: &Environment,
    command: &[String],
    place: &Place,
) {
    let Some(program) = command.first() else {
        return;
    };
    let root = draft.root.as_ref().map(|root| reading.path.join(&root.value));
    if root.as_ref().is_some_and(|root| !root.is_dir()) {
        return;
    }
    let fault = if program.contains('/') {
        let cwd = working_directory(&reading.path, draft);
        let path = programs::within(root.as_deref(), &cwd.join(program));
        named_program(&reading.directory, &path, root.is_some()).err()
    } else {
        let path = search_path(draft, environment);
        programs::find_in_path(root.as_deref(), OsStr::new(program), OsStr::new(&path)).err()
    };
    if let Some(fault) = fault
        && let Some(problem) = reading.complain_at(place, format!("cannot start {}", fault.text))
    {
        problem.help = fault.help;
    }
}

fn named_program(directory: &Directory, path: &Path, in_root: bool) -> Result<(), Fault> {
    let shown = path.display();
    let facts = directory
        .facts(path.as_os_str())
        .map_err(|error| Fault { text: format!("{shown}: {}", cause(&error)), help: None })?;
    // What interprets a script is looked for inside of the root, not here.
    let checked = match in_root {
        true => programs::check_kind(path, &facts),
        false => programs::check(directory, path, path, &facts),
    };
    checked.map_err(|fault| Fault { text: format!("{shown}: it {}", fault.text), help: fault.help })
}

/// Absolute; seen from inside of `root`.
pub fn working_directory(service_directory: &Path, draft: &Draft) -> PathBuf {
    let base = if draft.root.is_some() { Path::new("/") } else { service_directory };
    match &draft.cwd {
        Some(cwd) => base.join(&cwd.value),
        None => base.to_owned(),
    }
}

fn search_path(draft: &Draft, environment: &Environment) -> String {
    let own =
        environment.variables.iter().find(|(name, _)| name == "PATH").and_then(|(_, path)| path.clone());
    match own {
        Some(path) => path,
        None if draft.inherit_env == Some(false) => DEFAULT_PATH.to_owned(),
        None => programs::own_path(),
    }
}

/// Reads `env/` and the files of `env-files`, and puts them together with `env`.
pub fn environment(reading: &mut Reading, draft: &Draft) -> Environment {
    let mut origins = BTreeMap::new();
    let mut from_files = BTreeMap::new();
    for file in &draft.env_files {
        for (name, value, origin) in env_file(reading, &file.value.path, file.value.optional, &file.place) {
            origins.insert(name.clone(), origin);
            from_files.insert(name, value);
        }
    }
    for name in draft.env.keys() {
        // The place in service.toml is known to the draft.
        origins.remove(name);
    }
    let mut from_directory = BTreeMap::new();
    for file in reading.env_directory.clone() {
        if let Some((name, value)) = env_dir_file(reading, &file) {
            origins.insert(name.clone(), file.display().to_string());
            from_directory.insert(name, value);
        }
    }
    Environment { variables: merge(from_files, draft.env.clone(), from_directory), origins }
}

fn env_file(
    reading: &mut Reading,
    path: &Path,
    optional: bool,
    place: &Place,
) -> Vec<(String, String, String)> {
    if let Err(error) = reading.facts(path) {
        if !(optional && error.kind() == std::io::ErrorKind::NotFound) {
            let text = format!("cannot read {}: {}", reading.path.join(path).display(), cause(&error));
            if let Some(problem) = reading.complain_at(place, text) {
                problem.help = Some("if it need not exist, write a - in front of it".into());
            }
        }
        return Vec::new();
    }
    let Some(index) = reading.text(path) else {
        return Vec::new();
    };
    let Some(source) = reading.sources.get(index).cloned() else {
        return Vec::new();
    };
    match parse_env_file(&source.text) {
        Ok(assignments) => {
            let origin = |start: usize| format!("{}:{}", path.display(), source.line_and_column(start).0);
            assignments.into_iter().map(|(name, value, span)| (name, value, origin(span.start))).collect()
        }
        Err(complaints) => {
            for (span, text) in complaints.into_iter().take(100) {
                reading.complain_at(&Place { source: index, span }, text);
            }
            Vec::new()
        }
    }
}

fn env_dir_file(reading: &mut Reading, file: &Path) -> Option<(String, Option<String>)> {
    let name = match file.file_name().and_then(OsStr::to_str) {
        Some(name) => name.to_owned(),
        None => {
            reading.complain(file, "is no variable name: it is not UTF-8", None);
            return None;
        }
    };
    if let Err(why) = check_variable_name(&name) {
        reading.complain(file, why, None);
        return None;
    }
    let content = reading.bytes(file)?;
    match env_dir_value(&content) {
        Ok(value) => Some((name, value)),
        Err(why) => {
            reading.complain(file, why, None);
            None
        }
    }
}

/// The users and groups that are named exist.
pub fn identity(reading: &mut Reading, draft: &Draft) {
    if let Some(user) = &draft.user {
        match users::user(&user.value) {
            Ok(Some(_)) => {}
            // A container FROM scratch has no /etc/passwd: two numbers are enough.
            Ok(None) if user.value.parse::<u32>().is_ok() && draft.group.is_some() => {}
            Ok(None) if user.value.parse::<u32>().is_ok() => {
                let text = format!("uid {} is no user's, so its group is not known", user.value);
                if let Some(problem) = reading.complain_at(&user.place, text) {
                    problem.help = Some("set `group` as well".into());
                }
            }
            Ok(None) => unknown(reading, user, "user", "useradd --system"),
            Err(error) => look_up_failed(reading, user, &error),
        }
    }
    for group in draft.group.iter().chain(&draft.groups) {
        match users::group(&group.value) {
            Ok(Some(_)) => {}
            Ok(None) if group.value.parse::<u32>().is_ok() => {}
            Ok(None) => unknown(reading, group, "group", "groupadd --system"),
            Err(error) => look_up_failed(reading, group, &error),
        }
    }
}

fn unknown(reading: &mut Reading, name: &Placed<String>, what: &str, how: &str) {
    let text = format!("there is no {what} {:?}", name.value);
    if let Some(problem) = reading.complain_at(&name.place, text) {
        problem.help = Some(format!("create it: {how} {}", name.value));
    }
}

fn look_up_failed(reading: &mut Reading, name: &Placed<String>, error: &std::io::Error) {
    reading.complain_at(&name.place, format!("cannot look up {:?}: {}", name.value, cause(error)));
}

/// Values that do not go together.
pub fn contradictions(reading: &mut Reading, draft: &Draft, is_logger: bool) {
    let mut found: Vec<(&Place, &str, &str)> = Vec::new();
    if let Some(restart) = &draft.restart
        && draft.kind == Some(Kind::Oneshot)
        && matches!(restart.value, Restart::Always | Restart::OnSuccess)
    {
        found.push((
            &restart.place,
            "restart: a oneshot that has succeeded is done",
            "a oneshot can have \"on-failure\" or \"never\"",
        ));
    }
    if let (Some(delay), Some(max)) = (&draft.restart_delay, draft.restart_delay_max)
        && delay.value > max
    {
        found.push((
            &delay.place,
            "restart-delay: this is above restart-delay-max",
            "raise restart-delay-max",
        ));
    }
    if let (Some(root), None) = (&draft.root, &draft.command) {
        found.push((
            &root.place,
            "root: `run` lies outside of this directory and cannot be started there",
            "write `command` with a program inside of it",
        ));
    }
    let needs_tty = "\"tty\" is the terminal that `tty` names, and there is no `tty`";
    let tty_help = "add a line like: tty = \"/dev/ttyS0\"";
    match (&draft.stdin, &draft.tty) {
        (Some(stdin), None) if stdin.value == Input::Tty => found.push((&stdin.place, needs_tty, tty_help)),
        (Some(stdin), Some(_)) if stdin.value != Input::Tty => {
            found.push((&stdin.place, "stdin: with `tty` the terminal is the input", "remove this line"))
        }
        (_, _) => {}
    }
    for output in [&draft.stdout, &draft.stderr].into_iter().flatten() {
        if output.value == Output::Tty && draft.tty.is_none() {
            found.push((&output.place, needs_tty, tty_help));
        }
        if is_logger && output.value == Output::Log {
            let text = "a logger cannot write to the log: it would read its own words again";
            found.push((&output.place, text, "write \"inherit\", \"null\" or a file"));
        }
    }
    if let (true, Some(stdin)) = (is_logger, &draft.stdin) {
        found.push((&stdin.place, "stdin: a logger reads the output of its service", "remove this line"));
    }
    for (place, text, help) in found {
        if let Some(problem) = reading.complain_at(place, text) {
            problem.help = Some(help.into());
        }
    }
}

/// Directories that may still appear before the start: warnings.
pub fn directories(reading: &mut Reading, draft: &Draft) {
    let root = draft.root.as_ref().map(|root| reading.path.join(&root.value));
    let cwd = draft.cwd.as_ref().map(|cwd| {
        let path = working_directory(&reading.path, draft);
        (&cwd.place, programs::within(root.as_deref(), &path))
    });
    let root_place = draft.root.as_ref().map(|root| &root.place);
    for (place, path) in root_place.zip(root.clone()).into_iter().chain(cwd) {
        let text = match path.metadata() {
            Ok(facts) if facts.is_dir() => continue,
            Ok(_) => format!("{} is not a directory", path.display()),
            Err(error) => format!("cannot enter {}: {}", path.display(), cause(&error)),
        };
        if let Some(problem) = reading.complain_at(place, text) {
            *problem = problem.clone().help("it has to be there when the service starts").warning();
        }
    }
}

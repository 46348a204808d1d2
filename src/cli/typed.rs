//! Reads a command line. Only the command that was typed is built: `svc status` is done in less
//! time than building all of them takes.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::error::ErrorKind;
use clap::{ArgMatches, FromArgMatches};

use super::commands::{self, Does, Entry};
use super::failure::{DONE, Failure, WRONG_USAGE};
use super::places::Places;
use super::roles::{GuardianRole, SupervisorRole};
use super::screen::Screen;
use super::{help, roles};

/// What this process is to be.
#[derive(Debug, PartialEq, Eq)]
pub enum Role {
    /// A command: it is done, this is its exit code.
    Client(u8),
    /// `svc init -- CMD ARGS...`
    Single(Vec<OsString>),
    Guardian(GuardianRole),
    Supervisor(SupervisorRole),
}

/// Reads argv; a command is carried out here.
pub fn role_of(arguments: &[OsString]) -> Role {
    let as_pid_1 = std::process::id() == 1;
    let (name, words) = match arguments.split_first() {
        Some((name, words)) => (name.as_os_str(), words),
        None => (OsStr::new("svc"), arguments),
    };
    // Looked at first and by hand: nothing is between a container and its program.
    if let Some(program) = single_program(name, words) {
        return Role::Single(program.to_vec());
    }
    let mut screen = Screen::of_process();
    let role = meaning(name, words, as_pid_1, &mut screen).and_then(|role| screen.flush().map(|()| role));
    role.unwrap_or_else(|failure| {
        let code = failure.code();
        match failure {
            Failure::ReaderGone => {}
            Failure::Usage(_) | Failure::Failed(_) | Failure::Unknown(_) | Failure::System(_) => {
                screen.complain(format_args!("svc: {failure}"));
            }
        }
        Role::Client(code)
    })
}

/// CMD ARGS of `svc init -- CMD ARGS` and of `init -- CMD ARGS`.
fn single_program<'a>(name: &OsStr, words: &'a [OsString]) -> Option<&'a [OsString]> {
    let program = match words {
        [init, dashes, program @ ..] if init == "init" && dashes == "--" => program,
        [dashes, program @ ..] if is_init(name) && dashes == "--" => program,
        _ => return None,
    };
    (!program.is_empty()).then_some(program)
}

fn is_init(name: &OsStr) -> bool {
    Path::new(name).file_name().is_some_and(|name| name == "init")
}

fn meaning(
    name: &OsStr,
    words: &[OsString],
    as_pid_1: bool,
    screen: &mut Screen<'_>,
) -> Result<Role, Failure> {
    if is_init(name) {
        // A kernel gives its init words that were meant for others: they must not end the machine.
        return match carry_out("init", words, screen) {
            Err(Failure::Usage(_)) if as_pid_1 => {
                roles::init(roles::InitOptions::default(), Places::default())
            }
            result => result,
        };
    }
    let Some(first) = words.first() else {
        if as_pid_1 {
            return roles::init(roles::InitOptions::default(), Places::default());
        }
        let help = help::overview();
        return Err(Failure::Usage(format!("what is to be done?\n\n{}", help.trim_end())));
    };
    match first.to_str() {
        Some("help" | "--help" | "-h") => {
            help::run(words.get(1..).unwrap_or_default(), screen).map(Role::Client)
        }
        Some("--version" | "-V") => {
            screen.say(format_args!("svc {}", env!("CARGO_PKG_VERSION"))).map(|()| Role::Client(DONE))
        }
        Some(word) if commands::find(word).is_some() => {
            carry_out(word, words.get(1..).unwrap_or_default(), screen)
        }
        Some(_) | None => carry_out_with_options_before(words, screen),
    }
}

/// `word` is in the table.
fn carry_out(word: &str, words: &[OsString], screen: &mut Screen<'_>) -> Result<Role, Failure> {
    let Some(entry) = commands::find(word) else {
        return Err(Failure::Usage(format!("there is no command {word:?}; `svc --help` lists them")));
    };
    if word == "init" && words.last().is_some_and(|last| last == "--") {
        return Err(Failure::Usage("what is to be run? write `svc init -- CMD ARGS...`".to_owned()));
    }
    let matches = match entry.command().no_binary_name(true).try_get_matches_from(words) {
        Ok(matches) => matches,
        Err(error) => return told_by_clap(&error, screen),
    };
    perform(entry, &matches, Places::default(), screen)
}

/// `svc --runtime-dir DIR status`, and words that are no command.
fn carry_out_with_options_before(words: &[OsString], screen: &mut Screen<'_>) -> Result<Role, Failure> {
    let matches = match help::whole_command().no_binary_name(true).try_get_matches_from(words) {
        Ok(matches) => matches,
        Err(error) => return told_by_clap(&error, screen),
    };
    let before = places(&matches)?;
    let Some((word, inner)) = matches.subcommand() else {
        return Err(Failure::Usage("what is to be done? `svc --help` lists the commands".to_owned()));
    };
    match commands::find(word) {
        Some(entry) => perform(entry, inner, before, screen),
        None => Err(Failure::Usage(format!("there is no command {word:?}; `svc --help` lists them"))),
    }
}

fn perform(
    entry: &Entry,
    matches: &ArgMatches,
    before: Places,
    screen: &mut Screen<'_>,
) -> Result<Role, Failure> {
    let places = places(matches)?.or(before);
    match entry.does {
        Does::Command(run) => run(matches, places, screen).map(Role::Client),
        Does::Role(become_it) => become_it(matches, places),
    }
}

fn places(matches: &ArgMatches) -> Result<Places, Failure> {
    Places::from_arg_matches(matches).map_err(|error| Failure::Usage(error.to_string()))
}

/// Help is an answer; anything else is wrong usage, in clap's words.
fn told_by_clap(error: &clap::Error, screen: &mut Screen<'_>) -> Result<Role, Failure> {
    let text = error.to_string();
    let text = text.trim_end();
    match error.kind() {
        ErrorKind::DisplayHelp => screen.say(text).map(|()| Role::Client(DONE)),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            screen.complain(text);
            Ok(Role::Client(WRONG_USAGE))
        }
        _ => Err(Failure::Usage(text.strip_prefix("error: ").unwrap_or(text).to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').filter(|word| !word.is_empty()).map(OsString::from).collect()
    }

    fn meaning_of(name: &str, line: &str, as_pid_1: bool) -> Result<Role, Failure> {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let words = words(line);
        if let Some(program) = single_program(OsStr::new(name), &words) {
            return Ok(Role::Single(program.to_vec()));
        }
        meaning(OsStr::new(name), &words, as_pid_1, &mut Screen::into(&mut out, &mut err))
    }

    fn is_init_role(role: &Result<Role, Failure>, directory: &Path) -> bool {
        matches!(role, Ok(Role::Guardian(guardian)) if guardian.sort == roles::GuardianSort::Init
            && guardian.services_dir == directory)
    }

    #[test]
    fn words_after_two_dashes_are_the_one_program() {
        for (name, line) in [
            ("svc", "init -- sh -c true"),
            ("/sbin/init", "-- sh -c true"),
            ("svc", "init --log-dir /x -- sh -c true"),
        ] {
            assert_eq!(meaning_of(name, line, false).unwrap(), Role::Single(words("sh -c true")), "{line}");
        }
        assert!(matches!(
            meaning_of("svc", "init --", false),
            Err(Failure::Usage(_) | Failure::System(_)) | Ok(_)
        ));
    }

    #[test]
    fn a_process_named_init_is_svc_init() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let role = meaning_of("/sbin/init", &path.display().to_string(), false);
        assert!(is_init_role(&role, path), "{role:?}");
        let role = meaning_of("svc", &format!("init {}", path.display()), false);
        assert!(is_init_role(&role, path), "{role:?}");
    }

    #[test]
    fn places_may_stand_before_and_after_the_command() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        for line in
            [format!("--services {0} init", path.display()), format!("init --services {0}", path.display())]
        {
            let role = meaning_of("svc", &line, false);
            assert!(is_init_role(&role, path), "{line}: {role:?}");
        }
    }

    #[test]
    fn no_words_are_wrong_usage_with_the_help() {
        let failure = meaning_of("svc", "", false).unwrap_err();
        assert_eq!(failure.code(), 100);
        assert!(failure.to_string().contains("Start, stop and change services"), "{failure}");
    }

    #[test]
    fn an_unknown_word_is_wrong_usage_with_the_nearest_command() {
        let failure = meaning_of("svc", "statsu", false).unwrap_err();
        assert_eq!(failure.code(), 100);
        assert!(failure.to_string().contains("'status'"), "{failure}");
    }

    #[test]
    fn every_command_can_be_built_alone_and_with_the_others() {
        for entry in commands::ENTRIES {
            entry.command().debug_assert();
            assert!(!entry.about.is_empty() && !entry.more.is_empty());
        }
        help::whole_command().debug_assert();
    }
}

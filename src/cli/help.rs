//! `svc --help`, `svc help COMMAND`, and the whole command line for completions and man pages.

use std::ffi::OsString;

use clap::{Args, Command};

use super::commands::{self, ENTRIES, Group};
use super::failure::{DONE, Failure};
use super::places::Places;
use super::screen::Screen;

const ABOUT: &str = "Keeps programs running that stay in the foreground";

const INTRODUCTION: &str = "\
svc keeps programs running that stay in the foreground. Each has a directory with an executable `run`
in it, or a `command` in its service.toml; the name of the directory is the name of the service.

Usage: svc COMMAND [OPTIONS] [NAME]...";

const EXAMPLES: &str = "\
Examples:
  mkdir -p services/hello
  printf '#!/bin/sh\\nexec sleep 1000\\n' > services/hello/run && chmod +x services/hello/run
  svc supervise services       run it in this terminal
  svc status                   in another terminal, with the same --runtime-dir if one was given
  svc help up                  what `svc up` does, with all its options

Every command accepts --services, --runtime-dir, --log-dir and --state-dir, before or after its name.
Exit codes: 0 done, 1 a service failed, 100 wrong usage, 111 svc cannot be reached or the system failed.";

/// Everything at once, for what needs all commands.
pub fn whole_command() -> Command {
    let shown = ENTRIES.iter().filter(|entry| entry.group != Group::Hidden);
    let command = Command::new("svc")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .subcommand_value_name("COMMAND")
        .override_help(overview())
        .subcommand(
            Command::new("help")
                .about("Show the help of a command")
                .bin_name("svc help")
                .arg(clap::Arg::new("COMMAND").value_name("COMMAND")),
        )
        .disable_help_subcommand(true)
        .subcommands(shown.map(commands::Entry::command));
    Places::augment_args(command).about(ABOUT).after_help(EXAMPLES)
}

/// All commands, grouped by purpose.
pub fn overview() -> String {
    let mut text = format!("{INTRODUCTION}\n");
    for group in Group::SHOWN {
        text.push_str(&format!("\n{}:\n", group.title()));
        for entry in ENTRIES.iter().filter(|entry| entry.group == group) {
            text.push_str(&format!("  {:<10} {}\n", entry.name, entry.about));
        }
        if group == Group::Svc {
            text.push_str(&format!("  {:<10} {}\n", "help", "Show the help of a command"));
        }
    }
    text.push('\n');
    text.push_str(EXAMPLES);
    text.push('\n');
    text
}

pub fn run(words: &[OsString], screen: &mut Screen<'_>) -> Result<u8, Failure> {
    match words.first() {
        None => screen.say(overview().trim_end())?,
        Some(word) => match word.to_str().and_then(commands::find) {
            Some(entry) => screen.say(entry.command().render_help().to_string().trim_end())?,
            None => {
                let word = word.display();
                return Err(Failure::Usage(format!(
                    "there is no command \"{word}\"; `svc --help` lists them"
                )));
            }
        },
    }
    Ok(DONE)
}

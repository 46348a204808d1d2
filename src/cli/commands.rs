//! The table of everything that can be typed after `svc`.

use clap::{ArgMatches, Args, Command, FromArgMatches};

use super::failure::Failure;
use super::places::Places;
use super::screen::Screen;
use super::typed::Role;
use super::{act, check, events, list, logs, pid, ps, rescan, roles, show, shutdown, status, why};

/// One word, and what it means.
pub struct Entry {
    pub name: &'static str,
    pub group: Group,
    /// One line for the list of commands.
    pub about: &'static str,
    /// The rest of its help: what a newcomer has to know, then an example.
    pub more: &'static str,
    build: fn(Command) -> Command,
    pub does: Does,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Group {
    Run,
    Act,
    Look,
    Directory,
    Svc,
    /// Started by svc itself.
    Hidden,
}

pub enum Does {
    /// Talks to the supervisor or reads the disk, prints, and ends with this exit code.
    Command(fn(&ArgMatches, Places, &mut Screen<'_>) -> Result<u8, Failure>),
    /// The process becomes another role.
    Role(fn(&ArgMatches, Places) -> Result<Role, Failure>),
}

impl Group {
    pub const SHOWN: [Group; 5] = [Group::Run, Group::Act, Group::Look, Group::Directory, Group::Svc];

    pub fn title(self) -> &'static str {
        match self {
            Group::Run => "Run services",
            Group::Act => "Start, stop and change services",
            Group::Look => "See what they do",
            Group::Directory => "Service directories",
            Group::Svc => "svc itself",
            Group::Hidden => "Internal",
        }
    }
}

impl Entry {
    /// The clap command of this word alone. All of them together cost more than a whole `svc status`.
    pub fn command(&self) -> Command {
        let command = Command::new(self.name)
            .bin_name(format!("svc {}", self.name))
            .display_name(format!("svc-{}", self.name))
            .disable_help_subcommand(true);
        // After the options: clap takes the comment on a struct of options for the about of the whole.
        Places::augment_args((self.build)(command)).about(self.about).after_help(self.more)
    }
}

pub fn find(name: &str) -> Option<&'static Entry> {
    ENTRIES.iter().find(|entry| entry.name == name)
}

fn options<A: FromArgMatches>(matches: &ArgMatches) -> Result<A, Failure> {
    A::from_arg_matches(matches).map_err(|error| Failure::Usage(error.to_string()))
}

/// A command that is one `Args` struct and one function.
macro_rules! entry {
    ($name:literal, $group:ident, $options:ty, $run:path, $about:literal, $more:literal) => {
        Entry {
            name: $name,
            group: Group::$group,
            about: $about,
            more: $more,
            build: <$options as Args>::augment_args,
            does: Does::Command(|matches, places, screen| {
                $run(options::<$options>(matches)?, &places, screen)
            }),
        }
    };
}

/// A life-cycle verb: the same options for all.
macro_rules! verb {
    ($name:literal, $verb:ident, $about:literal, $more:literal) => {
        Entry {
            name: $name,
            group: Group::Act,
            about: $about,
            more: $more,
            build: <act::Options as Args>::augment_args,
            does: Does::Command(|matches, places, screen| {
                act::run(crate::lifecycle::Verb::$verb, options::<act::Options>(matches)?, &places, screen)
            }),
        }
    };
}

macro_rules! role {
    ($name:literal, $group:ident, $options:ty, $become:path, $about:literal, $more:literal) => {
        Entry {
            name: $name,
            group: Group::$group,
            about: $about,
            more: $more,
            build: <$options as Args>::augment_args,
            does: Does::Role(|matches, places| $become(options::<$options>(matches)?, places)),
        }
    };
}

/// In the order of `svc --help`.
pub static ENTRIES: &[Entry] = &[
    role!(
        "supervise",
        Run,
        roles::SuperviseOptions,
        roles::supervise,
        "Run the services in this terminal; Ctrl-C ends all",
        "Shows what all services print, with their names in front. A second Ctrl-C hurries.\n\n\
         Example: run the services of ./services\n  svc supervise ./services"
    ),
    role!(
        "daemon",
        Run,
        roles::DaemonOptions,
        roles::daemon,
        "Run the services in the background",
        "Returns when the services are being started, with an error when they cannot be.\n\n\
         Example: run the services of /etc/svc\n  svc daemon"
    ),
    role!(
        "init",
        Run,
        roles::InitOptions,
        roles::init,
        "Run the services, or one program, as PID 1 of a container or a machine",
        "With -- it runs one program: signals are passed on, orphans are reaped, its exit code is returned.\n\n\
         Example: in a Dockerfile, run the services of /etc/svc\n  ENTRYPOINT [\"/svc\", \"init\"]\n\n\
         Example: run one program\n  svc init -- nginx -g 'daemon off;'"
    ),
    verb!(
        "up",
        Up,
        "Start services and keep them running",
        "Waits until each is up. When one cannot start it says why, with the last lines of its log.\n\n\
         Example:\n  svc up web db"
    ),
    verb!(
        "down",
        Down,
        "Stop services, with every process they started",
        "Waits until no process is left.\n\nExample: stop all\n  svc down --all"
    ),
    verb!("restart", Restart, "Stop services and start them again", "Example:\n  svc restart web"),
    verb!(
        "reload",
        Reload,
        "Let services read their own configuration again",
        "Sends HUP, or does what `reload` in service.toml says.\n\nExample:\n  svc reload web"
    ),
    verb!(
        "once",
        Once,
        "Start services without restarting them when they end",
        "Example: run it once, then see how it ended\n  svc once backup && svc wait backup"
    ),
    verb!("pause", Pause, "Stop services where they are (STOP)", "Example:\n  svc pause web && svc cont web"),
    verb!("cont", Cont, "Let paused services go on (CONT)", "Example:\n  svc cont web"),
    entry!(
        "signal",
        Act,
        act::SignalOptions,
        act::signal,
        "Send a signal to the main process of services",
        "Example: let nginx reopen its logs\n  svc signal USR1 web"
    ),
    entry!(
        "wait",
        Act,
        act::WaitOptions,
        act::wait,
        "Wait until services have ended",
        "Ends with the exit code of the service, 128 and the signal when one killed it, 0 when it was\n\
         stopped. Of several services the highest code counts.\n\n\
         Example:\n  svc wait --timeout 1m backup"
    ),
    entry!(
        "status",
        Look,
        status::Options,
        status::run,
        "Show the state of all services, or everything about one",
        "Exit code: 0 running (or done, for a oneshot), 3 not running, 4 no such service; of several the\n\
         highest. Without a name, services that are meant to be down do not count.\n\n\
         Example: everything about web, its processes and its log\n  svc status web\n\n\
         Example: for a script\n  svc status --json"
    ),
    entry!("list", Look, list::Options, list::run, "List the names of all services", "Example:\n  svc list"),
    entry!(
        "logs",
        Look,
        logs::Options,
        logs::run,
        "Show what services have printed",
        "Several services are merged in the order of time. Works with no supervisor too.\n\
         A time is `2026-11-22 17:00`, `17:00` (today), RFC 3339, or `10m` (ten minutes ago).\n\n\
         Example: the last 100 lines of web, then go on as they come\n  svc logs -n 100 -f web\n\n\
         Example: what happened around five\n  svc logs --since 16:55 --until 17:05"
    ),
    entry!(
        "why",
        Look,
        why::Options,
        why::run,
        "Tell why a service is in its state: its last changes, and who asked",
        "The newest is last.\n\nExample:\n  svc why web"
    ),
    entry!(
        "events",
        Look,
        events::Options,
        events::run,
        "Follow the changes of state as they happen",
        "Goes on until interrupted.\n\nExample: as JSON, one object a line\n  svc events --json web"
    ),
    entry!(
        "pid",
        Look,
        pid::Options,
        pid::run,
        "Print the process id of services",
        "Exit code: 3 when one has no process, 4 when there is no such service.\n\n\
         Example:\n  cat /proc/$(svc pid web)/limits"
    ),
    entry!(
        "ps",
        Look,
        ps::Options,
        ps::run,
        "List every process of services, as `ps axj` does",
        "Example:\n  svc ps web"
    ),
    entry!(
        "check",
        Directory,
        check::Options,
        check::run,
        "Check service directories; nothing is started",
        "Shows all errors of all services at once, each with its file and line. Exit code 1 when there\n\
         is one. Works with no supervisor too.\n\n\
         Example: before they are used\n  svc check ./services\n\nExample: one of them\n  svc check web"
    ),
    entry!(
        "show",
        Directory,
        show::Options,
        show::run,
        "Show every effective setting of services, and where it comes from",
        "Works with no supervisor too.\n\nExample:\n  svc show web"
    ),
    entry!(
        "rescan",
        Directory,
        rescan::Options,
        rescan::run,
        "Read all service directories again now",
        "Changes are noticed by themselves; this tells what was found, and helps where the kernel\n\
         cannot tell (network file systems).\n\nExample:\n  svc rescan"
    ),
    entry!(
        "shutdown",
        Svc,
        shutdown::Options,
        shutdown::run,
        "Stop all services and end svc",
        "Waits until svc has ended.\n\nExample:\n  svc shutdown"
    ),
    role!(
        "supervisor",
        Hidden,
        roles::SupervisorOptions,
        roles::supervisor,
        "The deciding process; the guardian starts it",
        "It needs the descriptors that the guardian gives it."
    ),
    role!(
        "guardian",
        Hidden,
        roles::SupervisorOptions,
        roles::successor,
        "The next guardian; a supervisor becomes it when the guardian was killed",
        "It takes over what runs."
    ),
];

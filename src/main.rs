//! Chooses the role by argv[0] or the first word.

use std::ffi::OsString;

use svc::cli::{self, GuardianRole, GuardianSort, Role, SupervisorRole};
use svc::{guardian, supervisor};

fn main() {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    std::process::exit(match cli::role_of(&arguments) {
        Role::Client(code) => i32::from(code),
        Role::Single(program) => guardian::run_single(&program),
        Role::Guardian(role) => guardian::run(&guardian_setup(role)),
        Role::Supervisor(role) => supervisor::run(supervisor_setup(role)),
    })
}

fn guardian_setup(role: GuardianRole) -> guardian::Setup {
    guardian::Setup {
        runtime_dir: role.runtime_dir,
        services_dir: role.services_dir,
        supervisor_arguments: role.supervisor_arguments,
        mode: match role.sort {
            GuardianSort::Foreground => guardian::Mode::Foreground,
            GuardianSort::Init => guardian::Mode::Init,
            GuardianSort::Daemon { log_file } => guardian::Mode::Daemon { log_file },
            GuardianSort::Successor => guardian::Mode::Successor,
        },
    }
}

fn supervisor_setup(role: SupervisorRole) -> supervisor::Setup {
    supervisor::Setup {
        services_dir: role.services_dir,
        runtime_dir: role.runtime_dir,
        log_dir: role.log_dir,
        state_dir: role.state_dir,
        place: match role.place {
            cli::Place::Terminal => supervisor::Place::Terminal,
            cli::Place::Container => supervisor::Place::Container,
            cli::Place::System => supervisor::Place::System,
        },
    }
}

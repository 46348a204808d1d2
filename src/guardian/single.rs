//! `svc init -- CMD`: the guardian alone, as the init of one program. It forwards signals, reaps
//! orphans and passes the exit code on; it has no supervisor, no runtime directory and no opinion.

use std::ffi::OsString;
use std::io;

use super::EXIT_SYSTEM_ERROR;
use super::report::reason;
use crate::os::descriptor::say;
use crate::os::{process, signal, single};

/// 127: not found; 126: found, but it cannot be executed (sh(1), exec(3)).
const NOT_FOUND: i32 = 127;
const NOT_EXECUTABLE: i32 = 126;

/// How the program is treated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SingleOptions {
    /// Signals go to its whole process group (tini's -g).
    pub group: bool,
}

/// Runs it and returns its exit code, 128 + n when signal n ended it.
pub fn run_single(program_and_arguments: &[OsString]) -> i32 {
    run_single_with(program_and_arguments, SingleOptions::default())
}

pub fn run_single_with(program_and_arguments: &[OsString], options: SingleOptions) -> i32 {
    if process::own_pid() != 1 {
        // Without it the orphans go to somebody else, who reaps them too: no reason to refuse.
        process::become_subreaper().err();
    }
    let inherited = single::take_signals();
    match single::start(program_and_arguments, inherited) {
        Ok(main) => follow(main, options),
        Err(error) => {
            let name = program_and_arguments.first().map(|name| name.to_string_lossy()).unwrap_or_default();
            say(&format!("cannot run {name}: {}", reason(&error)));
            if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_EXECUTABLE }
        }
    }
}

fn follow(main: i32, options: SingleOptions) -> i32 {
    loop {
        match signal::wait(single::AWAITED) {
            Ok(signal::CHLD) => {
                if let Some(code) = reap(main) {
                    return code;
                }
            }
            Ok(came) => forward(main, came, options),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                say(&format!("cannot wait for signals: {}", reason(&error)));
                return process::reap(main).map_or(EXIT_SYSTEM_ERROR, |ended| ended.shell_code());
            }
        }
    }
}

/// Everybody who has ended: one SIGCHLD may stand for thousands.
fn reap(main: i32) -> Option<i32> {
    let mut code = None;
    while let Some((pid, ended)) = process::reap_any() {
        if pid == main {
            code = Some(ended.shell_code());
        }
    }
    code
}

fn forward(main: i32, came: i32, options: SingleOptions) {
    let sent = if options.group { process::kill_group(main, came) } else { process::kill(main, came) };
    // It may have ended meanwhile, or have become another user: nothing to be done about it here.
    sent.err();
}

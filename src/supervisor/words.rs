//! Failures of a launch in words: what failed, on which path, why.

use std::io;
use std::path::Path;

use crate::os::errno;
use crate::protocol::guardian::{LaunchFailure, LaunchStep};
use crate::service::{Definition, Program};

/// "cannot change to /srv/web: No such file or directory (ENOENT)" and the like.
pub fn launch_failure(definition: &Definition, failure: LaunchFailure) -> String {
    let why = errno::describe(failure.errno);
    let context = &definition.context;
    let directory = definition.directory.display();
    match failure.step {
        LaunchStep::Busy => "cannot start: the process before it is not accounted for yet".to_owned(),
        LaunchStep::LogPipe => log_pipe_failure(failure.errno),
        LaunchStep::Clone => format!("cannot make a process: {why}{}", shortage(failure.errno)),
        LaunchStep::Session => format!("cannot make a session: {why}"),
        LaunchStep::Stdio => format!("cannot set up descriptor {}: {why}", failure.index),
        LaunchStep::ControllingTerminal => format!(
            "cannot take {} as controlling terminal: {why}",
            context.tty.as_deref().unwrap_or("the terminal".as_ref()).display()
        ),
        LaunchStep::CloseDescriptors => format!("cannot close descriptors: {why}"),
        LaunchStep::Limit => {
            let limit = context
                .limits
                .get(usize::from(failure.index))
                .map_or("a limit", |limit| errno::limit_name(limit.0));
            let advice = match failure.errno {
                errno::EPERM => "; only root can raise a limit above the one that svc itself has",
                _ => "",
            };
            format!("cannot set limit {limit}: {why}{advice}")
        }
        LaunchStep::Nice => format!("cannot set nice {}: {why}", context.nice.unwrap_or(0)),
        LaunchStep::IoPriority => format!("cannot set io-priority: {why}"),
        LaunchStep::Scheduler => format!("cannot set scheduler: {why}"),
        LaunchStep::OomScore => {
            format!("cannot set oom-score-adjust {}: {why}", context.oom_score_adjust.unwrap_or(0))
        }
        LaunchStep::Root => {
            format!(
                "cannot change the root to {}: {why}",
                context.root.as_deref().unwrap_or("/".as_ref()).display()
            )
        }
        LaunchStep::WorkingDirectory => {
            format!(
                "cannot change to {}: {why}",
                context.cwd.as_deref().unwrap_or(&definition.directory).display()
            )
        }
        LaunchStep::Groups => format!("cannot set its groups: {why}{}", need_root(failure.errno)),
        LaunchStep::Gid => format!(
            "cannot change to group {}: {why}{}",
            context.group.as_deref().or(context.user.as_deref()).unwrap_or("?"),
            need_root(failure.errno)
        ),
        LaunchStep::Uid => format!(
            "cannot change to user {}: {why}{}",
            context.user.as_deref().unwrap_or("?"),
            need_root(failure.errno)
        ),
        LaunchStep::Execute => match &definition.program {
            Program::Run => format!("cannot execute {directory}/run: {why}{}", execute_hint(failure.errno)),
            Program::Command(words) => {
                let program = words.first().map_or("?", String::as_str);
                format!("cannot execute {program}: {why}{}", execute_hint(failure.errno))
            }
        },
    }
}

/// "cannot make its log pipe: Too many open files (EMFILE); …".
pub fn log_pipe_failure(number: i32) -> String {
    format!("cannot make its log pipe: {}{}", errno::describe(number), shortage(number))
}

/// What to do where the kernel gives no more.
pub fn shortage(number: i32) -> &'static str {
    match number {
        errno::EMFILE => "; raise the limit of svc (ulimit -n)",
        errno::EAGAIN => "; allow more processes (ulimit -u, pids.max) or memory (ulimit -v)",
        _ => "",
    }
}

/// Edits are not noticed by themselves.
pub fn blind(directory: &Path, error: &io::Error) -> String {
    format!("cannot watch {}: {}; run `svc rescan` after edits", directory.display(), why(error))
}

fn need_root(number: i32) -> &'static str {
    if number == errno::EPERM { "; svc has to run as root for that" } else { "" }
}

fn execute_hint(number: i32) -> &'static str {
    match number {
        errno::ENOENT => "; the file or the interpreter in its first line is missing",
        errno::EACCES => "; is it executable, also for its user?",
        errno::ENOEXEC => "; a script needs a first line like #!/bin/sh",
        _ => "",
    }
}

/// "cannot open /srv/x: No such file or directory (ENOENT)".
pub fn io_failure(verb: &str, path: &Path, error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => format!("cannot {verb} {}: {}", path.display(), errno::describe(number)),
        None => format!("cannot {verb} {}: {error}", path.display()),
    }
}

/// "cannot serve clients: Try again (EAGAIN); …": what a supervisor cannot live without.
pub fn need(what: &str, error: &io::Error) -> String {
    format!("cannot {what}: {}", why(error))
}

fn why(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => format!("{}{}", errno::describe(number), shortage(number)),
        None => error.to_string(),
    }
}

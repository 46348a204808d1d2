//! A definition becomes a launch plan: users, paths, environment and files are looked up here, so
//! that the child has nothing left to do but system calls.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::environment::Environments;
use super::place::Place;
use super::words::io_failure;
use crate::lifecycle::{Exit, Pid};
use crate::os::open::{self, OpenFor};
use crate::os::resource::OPEN_FILES;
use crate::os::users::{self, User};
use crate::os::{own, process};
use crate::protocol::guardian::{Identity, LaunchPlan, ResourceLimit, Scheduler, Stdio};
use crate::service::{Context, Definition, Input, LogTarget, Output, Program, find_in_path};

const UMASK: u32 = 0o022;

/// Which process of the service is to be planned.
#[derive(Clone, Copy, Debug)]
pub enum Purpose {
    Run,
    Finish { exit: Exit, main: Pid },
    Reload { main: Pid },
}

/// A plan and the descriptors that `Stdio::Passed` counts, in order, from 0.
#[derive(Debug)]
pub struct Planned {
    pub plan: LaunchPlan,
    pub descriptors: Vec<OwnedFd>,
}

/// What stays the same for all launches.
#[derive(Debug)]
pub struct Planner {
    pub environments: Environments,
}

impl Planner {
    pub fn new(place: Place, services_dir: &Path) -> Self {
        Self { environments: Environments::new(place, services_dir) }
    }

    /// Errors are in words: what cannot be looked up or opened.
    pub fn plan(&mut self, definition: &Definition, purpose: Purpose) -> Result<Planned, String> {
        let context = &definition.context;
        let user = look_up_user(context)?;
        let working_directory = working_directory(definition, purpose);
        let root = context.root.as_ref().filter(|_| !matches!(purpose, Purpose::Finish { .. }));
        let environment = self.environments.of(definition, user.as_ref(), &working_directory, purpose);
        let (program, arguments) = program(definition, purpose, &environment.path)?;
        let mut descriptors = Vec::new();
        let stdio = stdio(definition, purpose, &mut descriptors)?;
        let logs = stdio.iter().any(|stdio| matches!(stdio, Stdio::LogWrite | Stdio::LogRead));
        let plan = LaunchPlan {
            program,
            arguments,
            shared_environment: environment.shared,
            own_environment: environment.own,
            stdio,
            log_pipe: logs
                .then(|| definition.name.logged_service().unwrap_or_else(|| definition.name.clone())),
            controlling_terminal: context.tty.is_some() && matches!(purpose, Purpose::Run),
            limits: context
                .limits
                .iter()
                .map(|&(resource, soft, hard)| {
                    let [soft, hard] = [soft, hard].map(|value| possible(resource, value));
                    ResourceLimit { resource, soft, hard }
                })
                .collect(),
            nice: context.nice,
            io_priority: context.io_priority,
            scheduler: context.scheduler.map(|(policy, priority)| Scheduler { policy, priority }),
            oom_score_adjust: context.oom_score_adjust,
            umask: context.umask.unwrap_or(UMASK),
            root: root.map(|root| root.as_os_str().as_bytes().to_vec()),
            working_directory: working_directory.into_os_string().into_vec(),
            identity: identity(context, user)?,
        };
        Ok(Planned { plan, descriptors })
    }
}

/// A run script works in its own directory, under the name by which it is linked, as under runit.
/// `finish` does so always, and outside of a changed root: that is where it is.
fn working_directory(definition: &Definition, purpose: Purpose) -> PathBuf {
    if let Purpose::Finish { .. } = purpose {
        return definition.directory.clone();
    }
    definition.context.cwd.clone().unwrap_or_else(|| definition.directory.clone())
}

/// The file to execute and argv.
fn program(
    definition: &Definition,
    purpose: Purpose,
    path: &OsStr,
) -> Result<(Vec<u8>, Vec<Vec<u8>>), String> {
    // Relative where that is the same: `./run` is what ps shows and scripts expect.
    let run = match &definition.context.cwd {
        None => b"./run".to_vec(),
        Some(_) => definition.directory.join("run").into_os_string().into_vec(),
    };
    match (purpose, &definition.program, &definition.reload) {
        (Purpose::Finish { exit, main }, ..) => {
            let (code, signal) = match exit {
                Exit::Code(code) => (i32::from(code), 0),
                Exit::Signal { signal, .. } => (-1, signal.0),
                Exit::Unknown => (-1, 0),
            };
            let numbers =
                [code.to_string(), signal.to_string(), definition.name.to_string(), main.0.to_string()];
            let arguments = std::iter::once("./finish".to_owned()).chain(numbers).map(String::into_bytes);
            Ok((b"./finish".to_vec(), arguments.collect()))
        }
        (Purpose::Reload { .. }, _, crate::service::Reload::Command(words)) => {
            command(definition, words, path)
        }
        (Purpose::Run | Purpose::Reload { .. }, Program::Command(words), _) => {
            command(definition, words, path)
        }
        (Purpose::Run | Purpose::Reload { .. }, Program::Run, _) => Ok((run, vec![b"./run".to_vec()])),
    }
}

fn command(
    definition: &Definition,
    words: &[String],
    path: &OsStr,
) -> Result<(Vec<u8>, Vec<Vec<u8>>), String> {
    let name = words.first().map_or("", String::as_str);
    let arguments = words.iter().map(|word| word.clone().into_bytes()).collect();
    if name.contains('/') {
        return Ok((name.as_bytes().to_vec(), arguments));
    }
    let found = find_in_path(definition.context.root.as_deref(), OsStr::new(name), path)
        .map_err(|fault| format!("cannot execute {fault}"))?;
    Ok((found.into_os_string().into_vec(), arguments))
}

fn stdio(
    definition: &Definition,
    purpose: Purpose,
    descriptors: &mut Vec<OwnedFd>,
) -> Result<[Stdio; 3], String> {
    let context = &definition.context;
    if definition.name.logged_service().is_some() && matches!(purpose, Purpose::Run) {
        return Ok([Stdio::LogRead, Stdio::Inherit, Stdio::Inherit]);
    }
    let log = match definition.log.to {
        LogTarget::Null if !definition.has_logger => Stdio::Null,
        _ if definition.name.logged_service().is_some() => Stdio::Inherit,
        LogTarget::Default | LogTarget::File | LogTarget::Console | LogTarget::Both | LogTarget::Null => {
            Stdio::LogWrite
        }
    };
    if !matches!(purpose, Purpose::Run) {
        return Ok([Stdio::Null, log, log]);
    }
    let mut open = |path: &Path, how: OpenFor| {
        let path = definition.directory.join(path);
        let opened = open::open_for_service(&path, how).map_err(|error| io_failure("open", &path, &error))?;
        descriptors.push(opened);
        Ok::<Stdio, String>(Stdio::Passed(u8::try_from(descriptors.len() - 1).unwrap_or(u8::MAX)))
    };
    if let Some(tty) = &context.tty {
        let terminal = open(tty, OpenFor::Terminal)?;
        let output = |wanted: &Output| match wanted {
            Output::Log | Output::Tty => terminal,
            Output::Null => Stdio::Null,
            Output::Inherit | Output::File(_) | Output::Append(_) | Output::Truncate(_) => terminal,
        };
        return Ok([terminal, output(&context.stdout), output(&context.stderr)]);
    }
    let stdin = match &context.stdin {
        Input::Null | Input::Tty => Stdio::Null,
        Input::File(path) => open(path, OpenFor::Reading)?,
    };
    let mut output = |wanted: &Output| match wanted {
        Output::Log => Ok(log),
        Output::Null | Output::Tty => Ok(Stdio::Null),
        Output::Inherit => Ok(Stdio::Inherit),
        Output::File(path) => open(path, OpenFor::Writing),
        Output::Append(path) => open(path, OpenFor::Appending),
        Output::Truncate(path) => open(path, OpenFor::Truncating),
    };
    let stdout = output(&context.stdout)?;
    // The same file for both is opened once: two positions in it would write over each other.
    let stderr = if context.stderr == context.stdout { stdout } else { output(&context.stderr)? };
    Ok([stdin, stdout, stderr])
}

fn look_up_user(context: &Context) -> Result<Option<User>, String> {
    let Some(wanted) = &context.user else { return Ok(None) };
    match users::user(wanted) {
        Ok(Some(user)) => Ok(Some(user)),
        Ok(None) => match wanted.parse() {
            // A number needs no entry: containers run as any uid.
            Ok(uid) => Ok(Some(User {
                name: wanted.clone(),
                uid,
                gid: uid,
                home: "/".into(),
                shell: "/bin/sh".into(),
            })),
            Err(_) => Err(format!(
                "cannot find user {wanted}: no such name in /etc/passwd; add it, or give a number"
            )),
        },
        Err(error) => Err(format!("cannot look up user {wanted}: {error}")),
    }
}

/// The kernel refuses infinity for descriptors to everybody, root too (fs.nr_open, proc(5)): it is as many
/// as we may have ourselves.
fn possible(resource: u32, value: u64) -> u64 {
    if resource == OPEN_FILES && value == u64::MAX {
        process::descriptor_hard_limit().unwrap_or(value)
    } else {
        value
    }
}

fn look_up_group(wanted: &str) -> Result<u32, String> {
    match users::group(wanted) {
        Ok(Some(group)) => Ok(group.gid),
        Ok(None) => wanted.parse().map_err(|_| {
            format!("cannot find group {wanted}: no such name in /etc/group; add it, or give a number")
        }),
        Err(error) => Err(format!("cannot look up group {wanted}: {error}")),
    }
}

fn identity(context: &Context, user: Option<User>) -> Result<Option<Identity>, String> {
    if user.is_none() && context.group.is_none() && context.groups.is_empty() {
        return Ok(None);
    }
    let gid = match (&context.group, &user) {
        (Some(group), _) => look_up_group(group)?,
        (None, Some(user)) => user.gid,
        (None, None) => own::gid(),
    };
    let mut groups = match &user {
        Some(user) => users::groups_of(user)
            .map_err(|error| format!("cannot look up the groups of {}: {error}", user.name))?,
        None => Vec::new(),
    };
    for group in &context.groups {
        groups.push(look_up_group(group)?);
    }
    groups.push(gid);
    groups.sort_unstable();
    groups.dedup();
    Ok(Some(Identity { uid: user.map_or_else(own::uid, |user| user.uid), gid, groups }))
}

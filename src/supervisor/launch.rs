//! A definition becomes a launch plan: users, paths, environment and files are looked up here, so
//! that the child has nothing left to do but system calls.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::place::Place;
use super::words::io_failure;
use crate::lifecycle::{Exit, Pid};
use crate::os::open::{self, OpenFor};
use crate::os::resource::OPEN_FILES;
use crate::os::users::{self, User};
use crate::os::{own, process};
use crate::protocol::guardian::{Identity, LaunchPlan, ResourceLimit, Scheduler, Stdio};
use crate::service::{Context, Definition, Input, LogTarget, Output, Program};

/// PATH where nothing else says so, as a login of root has it on Debian.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

const UMASK: u32 = 0o022;

/// Names the service in its own environment. Processes that leave the service's session are found
/// again by it.
pub const MARK: &str = "SVC_SERVICE";

/// Never passed on: they belong to svc's own relation with what started it.
const NOT_INHERITED: [&str; 8] = [
    "NOTIFY_SOCKET",
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "SHLVL",
    "_",
];

type Variables = BTreeMap<OsString, OsString>;

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
    place: Place,
    inherited: Variables,
    /// The user that svc runs as.
    own: Option<User>,
}

impl Planner {
    pub fn new(place: Place) -> Self {
        let mut inherited: Variables = std::env::vars_os().collect();
        for key in NOT_INHERITED {
            inherited.remove(OsStr::new(key));
        }
        Self { place, inherited, own: users::user(&own::uid().to_string()).ok().flatten() }
    }

    /// Errors are in words: what cannot be looked up or opened.
    pub fn plan(&self, definition: &Definition, purpose: Purpose) -> Result<Planned, String> {
        let context = &definition.context;
        let user = look_up_user(context)?;
        let working_directory = working_directory(definition, purpose);
        let root = context.root.as_ref().filter(|_| !matches!(purpose, Purpose::Finish { .. }));
        let (shared, own) = self.environment(definition, user.as_ref(), &working_directory, purpose);
        let (program, arguments) = program(definition, purpose, path_of(&own, &shared))?;
        let mut descriptors = Vec::new();
        let stdio = stdio(definition, purpose, &mut descriptors)?;
        let logs = stdio.iter().any(|stdio| matches!(stdio, Stdio::LogWrite | Stdio::LogRead));
        let plan = LaunchPlan {
            program,
            arguments,
            shared_environment: block(&shared),
            own_environment: block(&own),
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

    /// The part that many services share, and the service's own. No key is in both.
    fn environment(
        &self,
        definition: &Definition,
        user: Option<&User>,
        working_directory: &Path,
        purpose: Purpose,
    ) -> (Variables, Variables) {
        let context = &definition.context;
        let inherits = context.inherit_env.unwrap_or(self.place.inherits_environment());
        let mut shared = if inherits { self.inherited.clone() } else { Variables::new() };
        shared.entry("PATH".into()).or_insert_with(|| PATH.into());
        if !inherits {
            shared.insert(
                "LANG".into(),
                self.inherited.get(OsStr::new("LANG")).cloned().unwrap_or("C.UTF-8".into()),
            );
        }
        if let Some(user) = user.or(self.own.as_ref().filter(|_| !inherits)) {
            shared.insert("HOME".into(), user.home.clone().into());
            shared.insert("USER".into(), user.name.clone().into());
            shared.insert("LOGNAME".into(), user.name.clone().into());
            shared.insert("SHELL".into(), user.shell.clone().into());
        }
        let mut own = Variables::new();
        own.insert(MARK.into(), definition.name.as_str().into());
        own.insert("PWD".into(), working_directory.into());
        if let Purpose::Finish { main, .. } | Purpose::Reload { main } = purpose {
            own.insert("MAINPID".into(), main.0.to_string().into());
        }
        shared.remove(OsStr::new("OLDPWD"));
        for (key, value) in &context.env {
            own.remove(OsStr::new(key));
            if let Some(value) = value {
                own.insert(key.into(), value.into());
            }
            shared.remove(OsStr::new(key));
        }
        for key in own.keys() {
            shared.remove(key);
        }
        (shared, own)
    }
}

fn path_of<'a>(own: &'a Variables, shared: &'a Variables) -> &'a OsStr {
    let path = OsStr::new("PATH");
    own.get(path).or_else(|| shared.get(path)).map_or(OsStr::new(PATH), OsString::as_os_str)
}

fn block(variables: &Variables) -> Vec<u8> {
    let mut block = Vec::new();
    for (key, value) in variables {
        block.extend_from_slice(key.as_bytes());
        block.push(b'=');
        block.extend_from_slice(value.as_bytes());
        block.push(0);
    }
    block
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
    let root = definition.context.root.as_deref().unwrap_or(Path::new("/"));
    let mut found_not_executable = None;
    for directory in std::env::split_paths(path).filter(|directory| directory.is_absolute()) {
        let candidate = directory.join(name);
        let Ok(inside) = candidate.strip_prefix("/") else { continue };
        match open::is_executable_file(&root.join(inside)) {
            Some(true) => return Ok((candidate.into_os_string().into_vec(), arguments)),
            Some(false) => found_not_executable = found_not_executable.or(Some(candidate)),
            None => {}
        }
    }
    match found_not_executable {
        Some(candidate) => Err(format!("cannot execute {}: it is not executable", candidate.display())),
        None => Err(format!(
            "cannot find {name} in its PATH ({}); is it installed? an absolute path works too",
            path.to_string_lossy()
        )),
    }
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

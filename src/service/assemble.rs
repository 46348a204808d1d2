//! From what the files say to the definition: the defaults come in, paths become absolute.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use super::checks::{self, Environment};
use super::definition::{
    Context, Definition, Input, LogFormat, LogSettings, LogTarget, Output, Program, Reload, Timestamp,
};
use super::draft::{Draft, Placed};
use super::problem::{Problem, Problems};
use super::reading::Reading;
use super::values::FOREVER;
use crate::lifecycle::{Backoff, Kind, Name, Policy, Restart, Scope, Signal, StopStep};

/// The values of DESIGN.md section 9, with the reasons for them.
const RESTART_DELAY: Duration = Duration::from_millis(100);
const RESTART_DELAY_MAX: Duration = Duration::from_secs(30);
const RESTART_RESET: Duration = Duration::from_secs(10);
const STOP_PATIENCE: Duration = Duration::from_secs(10);
const TIMEOUT_START: Duration = Duration::from_secs(60);
const TIMEOUT_FINISH: Duration = Duration::from_secs(5);

/// A service directory after everything was looked at.
pub struct Examined {
    pub reading: Reading,
    pub draft: Draft,
    pub environment: Environment,
}

/// Whether it is a service or the logger of one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Service,
    Logger,
}

/// Reads and checks everything; all problems are in `reading`.
pub fn examine(directory: &Path, part: Part) -> Result<Examined, Problem> {
    let mut reading = Reading::open(directory)?;
    let draft = reading.documents();
    reading.stamp_files(&draft);
    let environment = checks::environment(&mut reading, &draft);
    checks::programs(&mut reading, &draft, &environment);
    checks::identity(&mut reading, &draft);
    checks::contradictions(&mut reading, &draft, part == Part::Logger);
    checks::directories(&mut reading, &draft);
    Ok(Examined { reading, draft, environment })
}

impl Examined {
    /// The definition with the warnings, or all problems when one of them is an error.
    pub fn into_definition(self, name: &Name, part: Part) -> (Option<Definition>, Problems) {
        let problems = self.problems();
        let definition = (!problems.has_errors()).then(|| self.define(name, part));
        (definition, problems)
    }

    pub fn problems(&self) -> Problems {
        Problems::in_order(self.reading.problems.clone())
    }

    fn define(self, name: &Name, part: Part) -> Definition {
        let Examined { reading, mut draft, environment } = self;
        let directory = reading.path.clone();
        let has_logger = part == Part::Service
            && reading.facts(Path::new("log/run")).is_ok_and(|facts| facts.mode & 0o111 != 0);
        let policy = share(policy(&draft, &reading), &DEFAULT_POLICY);
        let program = match draft.command.take() {
            Some(command) => Program::Command(command.value),
            None => Program::Run,
        };
        Definition {
            name: name.clone(),
            description: draft.description.take(),
            program,
            policy,
            reload: draft.reload.take().map_or(Reload::Signal(Signal::HUP), |reload| reload.value),
            write_pidfile: draft.write_pidfile.take().map(|path| directory.join(path)),
            log: share(log_settings(&draft), &DEFAULT_LOG),
            context: context(draft, environment, &directory, part),
            has_logger,
            fingerprint: reading.fingerprint(),
            directory,
        }
    }
}

static DEFAULT_POLICY: LazyLock<Arc<Policy>> = LazyLock::new(|| Arc::new(default_policy()));
static DEFAULT_LOG: LazyLock<Arc<LogSettings>> = LazyLock::new(Arc::default);
static DEFAULT_CONTEXT: LazyLock<Arc<Context>> = LazyLock::new(Arc::default);
static LOGGER_CONTEXT: LazyLock<Arc<Context>> = LazyLock::new(|| {
    Arc::new(Context { stdout: Output::Inherit, stderr: Output::Inherit, ..Context::default() })
});

fn share<T: PartialEq>(value: T, default: &Arc<T>) -> Arc<T> {
    if value == **default { Arc::clone(default) } else { Arc::new(value) }
}

fn default_policy() -> Policy {
    Policy {
        kind: Kind::Longrun,
        enabled: true,
        restart: Restart::Always,
        backoff: Backoff { first: RESTART_DELAY, max: RESTART_DELAY_MAX, reset: RESTART_RESET },
        give_up: None,
        success_codes: Vec::new(),
        success_signals: Vec::new(),
        stop: vec![
            StopStep::Signal(Signal::TERM),
            StopStep::Wait(STOP_PATIENCE),
            StopStep::Signal(Signal::KILL),
        ],
        kill: Scope::Tree,
        has_finish: false,
        timeout_start: TIMEOUT_START,
        timeout_finish: TIMEOUT_FINISH,
        may_stand: true,
    }
}

fn policy(draft: &Draft, reading: &Reading) -> Policy {
    let default = default_policy();
    let kind = draft.kind.unwrap_or(default.kind);
    let (restart, timeout_start) = match kind {
        Kind::Longrun => (default.restart, default.timeout_start),
        Kind::Oneshot => (Restart::Never, FOREVER),
    };
    let first = draft.restart_delay.as_ref().map_or(default.backoff.first, |delay| delay.value);
    Policy {
        kind,
        enabled: draft.enabled.unwrap_or(true) && !reading.has("down"),
        restart: draft.restart.as_ref().map_or(restart, |restart| restart.value),
        backoff: Backoff {
            first,
            max: draft.restart_delay_max.unwrap_or(default.backoff.max.max(first)),
            reset: draft.restart_reset.unwrap_or(default.backoff.reset),
        },
        give_up: draft.give_up.flatten(),
        success_codes: draft.success_codes.clone(),
        success_signals: draft.success_signals.clone(),
        stop: draft.stop.clone().unwrap_or(default.stop),
        kill: draft.kill.unwrap_or(default.kill),
        has_finish: reading.has("finish"),
        timeout_start: draft.timeout_start.unwrap_or(timeout_start),
        timeout_finish: draft.timeout_finish.unwrap_or(default.timeout_finish),
        may_stand: may_stand(draft),
    }
}

/// A standing order starts with the descriptors of the last start and writes no file: so nothing
/// that has to be opened anew, cut off or written at each start may be asked for.
fn may_stand(draft: &Draft) -> bool {
    let output_stands = |output: &Option<Placed<Output>>| match output.as_ref().map(|output| &output.value) {
        None | Some(Output::Log | Output::Null | Output::Inherit | Output::Append(_)) => true,
        Some(Output::File(_) | Output::Truncate(_) | Output::Tty) => false,
    };
    let input_stands = match draft.stdin.as_ref().map(|input| &input.value) {
        None | Some(Input::Null) => true,
        Some(Input::File(_) | Input::Tty) => false,
    };
    let nothing_written = draft.tty.is_none() && draft.write_pidfile.is_none();
    input_stands && nothing_written && output_stands(&draft.stdout) && output_stands(&draft.stderr)
}

fn context(draft: Draft, environment: Environment, directory: &Path, part: Part) -> Arc<Context> {
    let cwd =
        (draft.cwd.is_some() || draft.root.is_some()).then(|| checks::working_directory(directory, &draft));
    let output = match (&draft.tty, part) {
        (Some(_), _) => Output::Tty,
        (None, Part::Logger) => Output::Inherit,
        (None, Part::Service) => Output::Log,
    };
    let input = if draft.tty.is_some() { Input::Tty } else { Input::Null };
    let context = Context {
        user: draft.user.map(|user| user.value),
        group: draft.group.map(|group| group.value),
        groups: draft.groups.into_iter().map(|group| group.value).collect(),
        cwd,
        root: draft.root.map(|root| directory.join(root.value)),
        umask: draft.umask,
        env: environment.variables,
        inherit_env: draft.inherit_env,
        stdin: draft.stdin.map_or(input, |input| absolute_input(input.value, directory)),
        stdout: draft.stdout.map_or(output.clone(), |output| absolute_output(output.value, directory)),
        stderr: draft.stderr.map_or(output, |output| absolute_output(output.value, directory)),
        tty: draft.tty,
        nice: draft.nice,
        io_priority: draft.io_priority,
        scheduler: draft.scheduler,
        oom_score_adjust: draft.oom_score_adjust,
        limits: draft.limits.into_iter().map(|(resource, (soft, hard))| (resource, soft, hard)).collect(),
    };
    match part {
        Part::Service => share(context, &DEFAULT_CONTEXT),
        Part::Logger => share(context, &LOGGER_CONTEXT),
    }
}

fn absolute_input(input: Input, directory: &Path) -> Input {
    match input {
        Input::File(path) => Input::File(directory.join(path)),
        same @ (Input::Null | Input::Tty) => same,
    }
}

fn absolute_output(output: Output, directory: &Path) -> Output {
    let absolute = |path: PathBuf| directory.join(path);
    match output {
        Output::File(path) => Output::File(absolute(path)),
        Output::Append(path) => Output::Append(absolute(path)),
        Output::Truncate(path) => Output::Truncate(absolute(path)),
        same @ (Output::Log | Output::Null | Output::Inherit | Output::Tty) => same,
    }
}

fn log_settings(draft: &Draft) -> LogSettings {
    let default = LogSettings::default();
    let log = &draft.log;
    LogSettings {
        to: log.to.unwrap_or(LogTarget::Default),
        bytes_max: log.bytes_max.unwrap_or(default.bytes_max),
        files_max: log.files_max.unwrap_or(default.files_max),
        total_bytes_max: log.total_bytes_max.unwrap_or(default.total_bytes_max),
        age_max: log.age_max.unwrap_or(default.age_max),
        timestamp: log.timestamp.unwrap_or(Timestamp::Rfc3339),
        compress: log.compress.unwrap_or(false),
        format: log.format.unwrap_or(LogFormat::Text),
        limit: log.limit.unwrap_or(default.limit),
    }
}

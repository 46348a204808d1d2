//! From what the kernel tells to the words of the reports.

use std::io;

use crate::lifecycle::{Exit, Signal, Time};
use crate::os::clock;
use crate::os::launch::{Failure, Step};
use crate::os::process::Ended;
use crate::protocol::guardian::{LaunchFailure, LaunchStep};

pub(super) fn now() -> Time {
    Time::from_nanoseconds(clock::monotonic_nanoseconds())
}

pub(super) fn exit(ended: Ended) -> Exit {
    match ended {
        Ended::Code(code) => Exit::Code(code),
        Ended::Signal { signal, core } => Exit::Signal { signal: Signal(signal), core },
    }
}

pub(super) fn exit_in_words(exit: Exit) -> String {
    match exit {
        Exit::Code(code) => format!("exited with code {code}"),
        Exit::Signal { signal, core: false } => format!("was killed by signal {}", signal.0),
        Exit::Signal { signal, core: true } => format!("was killed by signal {} and left a core", signal.0),
        Exit::Unknown => "ended".to_owned(),
    }
}

pub(super) fn failure(failure: Failure) -> LaunchFailure {
    let step = match failure.step {
        Step::Clone => LaunchStep::Clone,
        Step::Session => LaunchStep::Session,
        Step::Stdio => LaunchStep::Stdio,
        Step::ControllingTerminal => LaunchStep::ControllingTerminal,
        Step::CloseDescriptors => LaunchStep::CloseDescriptors,
        Step::Limit => LaunchStep::Limit,
        Step::Nice => LaunchStep::Nice,
        Step::IoPriority => LaunchStep::IoPriority,
        Step::Scheduler => LaunchStep::Scheduler,
        Step::OomScore => LaunchStep::OomScore,
        Step::Root => LaunchStep::Root,
        Step::WorkingDirectory => LaunchStep::WorkingDirectory,
        Step::Groups => LaunchStep::Groups,
        Step::Gid => LaunchStep::Gid,
        Step::Uid => LaunchStep::Uid,
        Step::Execute => LaunchStep::Execute,
    };
    LaunchFailure { step, index: failure.index, errno: failure.errno }
}

/// The kernel's words, without the "(os error 2)" that std adds.
pub(super) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text.get(..end).unwrap_or(&text).to_owned(),
        None => text,
    }
}

pub(super) fn errno_of(error: &io::Error) -> i32 {
    // EIO, for an error that did not come from the kernel.
    error.raw_os_error().unwrap_or(5)
}

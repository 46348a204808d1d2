//! The launch plan and its failure as bytes.

use super::bytes::{DecodeError, Reader, Writer};
use super::{Identity, LaunchFailure, LaunchPlan, LaunchStep, ResourceLimit, Scheduler, Stdio};

pub(super) fn write(out: &mut Writer<'_>, plan: &LaunchPlan) {
    out.bytes(&plan.program);
    out.length(plan.arguments.len());
    for argument in &plan.arguments {
        out.bytes(argument);
    }
    out.unsigned(plan.shared_environment);
    out.bytes(&plan.own_environment);
    for stdio in plan.stdio {
        write_stdio(out, stdio);
    }
    out.flag(plan.log_pipe.is_some());
    if let Some(name) = &plan.log_pipe {
        out.name(name);
    }
    out.flag(plan.controlling_terminal);
    out.length(plan.limits.len());
    for limit in &plan.limits {
        out.unsigned(limit.resource);
        out.number(limit.soft);
        out.number(limit.hard);
    }
    out.optional_signed(plan.nice);
    out.optional_signed(plan.io_priority);
    out.flag(plan.scheduler.is_some());
    if let Some(scheduler) = plan.scheduler {
        out.signed(scheduler.policy);
        out.signed(scheduler.priority);
    }
    out.optional_signed(plan.oom_score_adjust);
    out.unsigned(plan.umask);
    out.flag(plan.root.is_some());
    if let Some(root) = &plan.root {
        out.bytes(root);
    }
    out.bytes(&plan.working_directory);
    out.flag(plan.identity.is_some());
    if let Some(identity) = &plan.identity {
        out.unsigned(identity.uid);
        out.unsigned(identity.gid);
        out.length(identity.groups.len());
        for group in &identity.groups {
            out.unsigned(*group);
        }
    }
}

pub(super) fn read(from: &mut Reader<'_>) -> Result<LaunchPlan, DecodeError> {
    Ok(LaunchPlan {
        program: from.string()?,
        arguments: from.list(Reader::string)?,
        shared_environment: from.unsigned()?,
        own_environment: read_environment(from)?,
        stdio: [read_stdio(from)?, read_stdio(from)?, read_stdio(from)?],
        log_pipe: from.optional(Reader::name)?,
        controlling_terminal: from.flag()?,
        limits: from.list(|from| {
            Ok(ResourceLimit { resource: from.unsigned()?, soft: from.number()?, hard: from.number()? })
        })?,
        nice: from.optional(Reader::signed)?,
        io_priority: from.optional(Reader::signed)?,
        scheduler: from
            .optional(|from| Ok(Scheduler { policy: from.signed()?, priority: from.signed()? }))?,
        oom_score_adjust: from.optional(Reader::signed)?,
        umask: from.unsigned()?,
        root: from.optional(Reader::string)?,
        working_directory: from.string()?,
        identity: from.optional(|from| {
            let (uid, gid) = (from.unsigned()?, from.unsigned()?);
            Ok(Identity { uid, gid, groups: from.list(Reader::unsigned)? })
        })?,
    })
}

pub(super) fn read_environment(from: &mut Reader<'_>) -> Result<Vec<u8>, DecodeError> {
    let bytes = from.bytes()?;
    match bytes.last() {
        None | Some(0) => Ok(bytes.to_vec()),
        Some(_) => Err(DecodeError::Invalid("environment without NUL")),
    }
}

fn write_stdio(out: &mut Writer<'_>, stdio: Stdio) {
    match stdio {
        Stdio::Null => out.byte(0),
        Stdio::Inherit => out.byte(1),
        Stdio::LogWrite => out.byte(2),
        Stdio::LogRead => out.byte(3),
        Stdio::Passed(index) => {
            out.byte(4);
            out.byte(index);
        }
    }
}

fn read_stdio(from: &mut Reader<'_>) -> Result<Stdio, DecodeError> {
    match from.byte()? {
        0 => Ok(Stdio::Null),
        1 => Ok(Stdio::Inherit),
        2 => Ok(Stdio::LogWrite),
        3 => Ok(Stdio::LogRead),
        4 => Ok(Stdio::Passed(from.byte()?)),
        _ => Err(DecodeError::Invalid("stdio")),
    }
}

/// In the order of `LaunchStep`, which is the order of the bytes.
const STEPS: [LaunchStep; 18] = [
    LaunchStep::Busy,
    LaunchStep::LogPipe,
    LaunchStep::Clone,
    LaunchStep::Session,
    LaunchStep::Stdio,
    LaunchStep::ControllingTerminal,
    LaunchStep::CloseDescriptors,
    LaunchStep::Limit,
    LaunchStep::Nice,
    LaunchStep::IoPriority,
    LaunchStep::Scheduler,
    LaunchStep::OomScore,
    LaunchStep::Root,
    LaunchStep::WorkingDirectory,
    LaunchStep::Groups,
    LaunchStep::Gid,
    LaunchStep::Uid,
    LaunchStep::Execute,
];

pub(super) fn write_failure(out: &mut Writer<'_>, failure: LaunchFailure) {
    out.byte(failure.step as u8);
    out.byte(failure.index);
    out.signed(failure.errno);
}

pub(super) fn read_failure(from: &mut Reader<'_>) -> Result<LaunchFailure, DecodeError> {
    let step = *STEPS.get(usize::from(from.byte()?)).ok_or(DecodeError::Invalid("step"))?;
    Ok(LaunchFailure { step, index: from.byte()?, errno: from.signed()? })
}

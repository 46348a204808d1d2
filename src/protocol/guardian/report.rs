//! Reports as bytes: one after the other until the datagram ends.

use super::bytes::{DecodeError, Reader, Writer};
use super::{KnownState, Report, plan};

/// Appends them; several calls make one datagram.
pub fn encode_reports(reports: &[Report], out: &mut Vec<u8>) {
    for report in reports {
        encode_report(report, out);
    }
}

pub fn encode_report(report: &Report, out: &mut Vec<u8>) {
    let mut out = Writer(out);
    match report {
        Report::Welcome { version, pid, started, supervisors_started } => {
            out.byte(0);
            out.unsigned(*version);
            out.pid(*pid);
            out.time(*started);
            out.unsigned(*supervisors_started);
        }
        Report::Known { child, pid, started, state } => {
            out.byte(1);
            out.child(child);
            out.pid(*pid);
            out.time(*started);
            match state {
                KnownState::Running { standing: false } => out.byte(0),
                KnownState::Running { standing: true } => out.byte(1),
                KnownState::Adopted => out.byte(3),
                KnownState::Exited { exit, at } => {
                    out.byte(2);
                    out.exit(*exit);
                    out.time(*at);
                }
            }
        }
        Report::Pipe { name } => {
            out.byte(2);
            out.name(name);
        }
        Report::PipeFailed { name, errno } => {
            out.byte(3);
            out.name(name);
            out.signed(*errno);
        }
        Report::Note { name, note } => {
            out.byte(4);
            out.name(name);
            out.bytes(note);
        }
        Report::TableEnd => out.byte(5),
        Report::Started { child, pid, at } => {
            out.byte(6);
            out.child(child);
            out.pid(*pid);
            out.time(*at);
        }
        Report::LaunchFailed { child, failure } => {
            out.byte(7);
            out.child(child);
            plan::write_failure(&mut out, *failure);
        }
        Report::Exited { child, pid, exit, at, next, relaunch_failure } => {
            out.byte(8);
            out.child(child);
            out.pid(*pid);
            out.exit(*exit);
            out.time(*at);
            out.flag(next.is_some());
            if let Some(next) = next {
                out.pid(*next);
            }
            out.flag(relaunch_failure.is_some());
            if let Some(failure) = relaunch_failure {
                plan::write_failure(&mut out, *failure);
            }
        }
        Report::Reaped { pids } => {
            out.byte(9);
            out.length(pids.len());
            for pid in pids {
                out.pid(*pid);
            }
        }
        Report::Signalled { signal, sender } => {
            out.byte(10);
            out.signal(*signal);
            out.signed(*sender);
        }
        Report::Complaint { text } => {
            out.byte(11);
            out.bytes(text.as_bytes());
        }
        Report::Predecessor { pid, exit } => {
            out.byte(12);
            out.flag(pid.is_some());
            if let Some(pid) = pid {
                out.pid(*pid);
            }
            out.exit(*exit);
        }
    }
}

/// All or nothing: a batch with an error in it is refused whole.
pub fn decode_reports(bytes: &[u8]) -> Result<Vec<Report>, DecodeError> {
    let mut from = Reader(bytes);
    let mut reports = Vec::new();
    while !from.is_empty() {
        reports.push(decode_report(&mut from)?);
    }
    Ok(reports)
}

fn decode_report(from: &mut Reader<'_>) -> Result<Report, DecodeError> {
    Ok(match from.byte()? {
        0 => Report::Welcome {
            version: from.unsigned()?,
            pid: from.pid()?,
            started: from.time()?,
            supervisors_started: from.unsigned()?,
        },
        1 => Report::Known {
            child: from.child()?,
            pid: from.pid()?,
            started: from.time()?,
            state: decode_state(from)?,
        },
        2 => Report::Pipe { name: from.name()? },
        3 => Report::PipeFailed { name: from.name()?, errno: from.signed()? },
        4 => Report::Note { name: from.name()?, note: from.bytes()?.to_vec() },
        5 => Report::TableEnd,
        6 => Report::Started { child: from.child()?, pid: from.pid()?, at: from.time()? },
        7 => Report::LaunchFailed { child: from.child()?, failure: plan::read_failure(from)? },
        8 => Report::Exited {
            child: from.child()?,
            pid: from.pid()?,
            exit: from.exit()?,
            at: from.time()?,
            next: from.optional(Reader::pid)?,
            relaunch_failure: from.optional(plan::read_failure)?,
        },
        9 => Report::Reaped { pids: from.list(Reader::pid)? },
        10 => Report::Signalled { signal: from.signal()?, sender: from.signed()? },
        11 => Report::Complaint { text: from.text()? },
        12 => Report::Predecessor { pid: from.optional(Reader::pid)?, exit: from.exit()? },
        _ => return Err(DecodeError::Invalid("report")),
    })
}

fn decode_state(from: &mut Reader<'_>) -> Result<KnownState, DecodeError> {
    match from.byte()? {
        0 => Ok(KnownState::Running { standing: false }),
        1 => Ok(KnownState::Running { standing: true }),
        2 => Ok(KnownState::Exited { exit: from.exit()?, at: from.time()? }),
        3 => Ok(KnownState::Adopted),
        _ => Err(DecodeError::Invalid("state")),
    }
}

//! What a guardian keeps on disk of its table, so that another one can go on when it is killed: small
//! entries in the order in which things happened. The last word on each child, pipe and note counts.

use crate::lifecycle::{Exit, Name, Pid, Time};

use super::bytes::{DecodeError, Reader, Writer};
use super::{Child, Role};

/// Of the entries; another version is not read.
const VERSION: u32 = 1;

/// Written into a new file before all else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beginning {
    /// `os::boot::identity`: all that follows is of processes of this boot.
    pub boot: String,
    pub guardian: Pid,
    pub services_dir: Vec<u8>,
    pub supervisors_started: u32,
    /// Of open descriptors, as programs are given it: the guardian has raised its own.
    pub descriptors_soft: Option<u64>,
    /// The same of the OOM score, when the guardian has lowered its own.
    pub oom_score_adjust: Option<i32>,
}

/// A child as it was last seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptChild {
    pub pid: Pid,
    pub started: Time,
    /// When this was so, in clock ticks since boot: a process with this pid that was started later is
    /// another one.
    pub seen_ticks: u64,
    /// Reaped then, and not acknowledged.
    pub exit: Option<(Exit, Time)>,
    /// The exit before a standing order was carried out, until it is acknowledged.
    pub earlier: Option<(Pid, Exit, Time)>,
}

/// The last that was heard of a child.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Seen {
    #[default]
    Never,
    /// It was not there at that time, in clock ticks since boot.
    Absent {
        ticks: u64,
    },
    There(KeptChild),
}

#[derive(Debug, Default, PartialEq, Eq)]
pub struct KeptService {
    /// In the order of `ROLES`.
    pub children: [Seen; 3],
    /// The inode number of its log pipe.
    pub pipe: Option<u64>,
    pub note: Option<Vec<u8>>,
}

pub const ROLES: [Role; 3] = [Role::Run, Role::Finish, Role::Reload];

/// The record as it stands at its end.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// `None`: it has no beginning that can be understood, and all the rest is empty.
    pub beginning: Option<Beginning>,
    /// By name.
    pub services: Vec<(Name, KeptService)>,
    /// How the guardian ended, when its supervisor could see it.
    pub guardian_ended: Option<Exit>,
}

pub fn put_beginning(out: &mut Vec<u8>, beginning: &Beginning) {
    let mut out = Writer(out);
    out.byte(0);
    out.unsigned(VERSION);
    out.bytes(beginning.boot.as_bytes());
    out.pid(beginning.guardian);
    out.bytes(&beginning.services_dir);
    out.unsigned(beginning.supervisors_started);
    out.flag(beginning.descriptors_soft.is_some());
    if let Some(soft) = beginning.descriptors_soft {
        out.number(soft);
    }
    out.optional_signed(beginning.oom_score_adjust);
}

pub fn put_child(out: &mut Vec<u8>, child: &Child, kept: &KeptChild) {
    let mut out = Writer(out);
    out.byte(1);
    out.child(child);
    out.pid(kept.pid);
    out.time(kept.started);
    out.number(kept.seen_ticks);
    out.flag(kept.exit.is_some());
    if let Some((exit, at)) = kept.exit {
        out.exit(exit);
        out.time(at);
    }
    out.flag(kept.earlier.is_some());
    if let Some((pid, exit, at)) = kept.earlier {
        out.pid(pid);
        out.exit(exit);
        out.time(at);
    }
}

pub fn put_absent(out: &mut Vec<u8>, child: &Child, ticks: u64) {
    let mut out = Writer(out);
    out.byte(2);
    out.child(child);
    out.number(ticks);
}

pub fn put_pipe(out: &mut Vec<u8>, name: &Name, inode: u64) {
    let mut out = Writer(out);
    out.byte(3);
    out.name(name);
    out.number(inode);
}

pub fn put_note(out: &mut Vec<u8>, name: &Name, note: &[u8]) {
    let mut out = Writer(out);
    out.byte(4);
    out.name(name);
    out.bytes(note);
}

/// Pipe and note of a service are of no use any more.
pub fn put_forgotten(out: &mut Vec<u8>, name: &Name) {
    let mut out = Writer(out);
    out.byte(5);
    out.name(name);
}

pub fn put_guardian_ended(out: &mut Vec<u8>, exit: Exit) {
    let mut out = Writer(out);
    out.byte(6);
    out.exit(exit);
}

pub fn put_supervisors_started(out: &mut Vec<u8>, count: u32) {
    let mut out = Writer(out);
    out.byte(7);
    out.unsigned(count);
}

impl Kept {
    pub fn service(&self, name: &Name) -> Option<&KeptService> {
        let place = self.place(name).ok()?;
        self.services.get(place).map(|(_, service)| service)
    }

    fn place(&self, name: &Name) -> Result<usize, usize> {
        self.services.binary_search_by(|(known, _)| known.cmp(name))
    }

    fn change(&mut self, name: Name, change: impl FnOnce(&mut KeptService)) {
        let place = self.place(&name).unwrap_or_else(|place| {
            self.services.insert(place, (name, KeptService::default()));
            place
        });
        if let Some((_, service)) = self.services.get_mut(place) {
            change(service);
        }
    }

    /// Adds what one batch says. After an error the rest of the record means nothing.
    pub fn take(&mut self, batch: &[u8]) -> Result<(), DecodeError> {
        let mut from = Reader(batch);
        while !from.is_empty() {
            self.take_one(&mut from)?;
        }
        Ok(())
    }

    fn take_one(&mut self, from: &mut Reader<'_>) -> Result<(), DecodeError> {
        match (from.byte()?, &mut self.beginning) {
            (0, beginning @ None) => {
                if from.unsigned()? != VERSION {
                    return Err(DecodeError::Invalid("version"));
                }
                *beginning = Some(Beginning {
                    boot: from.text()?,
                    guardian: from.pid()?,
                    services_dir: from.bytes()?.to_vec(),
                    supervisors_started: from.unsigned()?,
                    descriptors_soft: from.optional(Reader::number)?,
                    oom_score_adjust: from.optional(Reader::signed)?,
                });
            }
            (tag @ 1..=2, Some(_)) => {
                let child = from.child()?;
                let seen = if tag == 2 {
                    Seen::Absent { ticks: from.number()? }
                } else {
                    Seen::There(KeptChild {
                        pid: from.pid()?,
                        started: from.time()?,
                        seen_ticks: from.number()?,
                        exit: from.optional(|from| Ok((from.exit()?, from.time()?)))?,
                        earlier: from.optional(|from| Ok((from.pid()?, from.exit()?, from.time()?)))?,
                    })
                };
                let index = match child.role {
                    Role::Run => 0,
                    Role::Finish => 1,
                    Role::Reload => 2,
                };
                self.change(child.name, |service| {
                    if let Some(place) = service.children.get_mut(index) {
                        *place = seen;
                    }
                });
            }
            (tag @ 3..=5, Some(_)) => {
                let name = from.name()?;
                let inode = if tag == 3 { Some(from.number()?) } else { None };
                let note = if tag == 4 { Some(from.bytes()?.to_vec()) } else { None };
                self.change(name, |service| match tag {
                    3 => service.pipe = inode,
                    4 => service.note = note,
                    _ => (service.pipe, service.note) = (None, None),
                });
            }
            (6, Some(_)) => self.guardian_ended = Some(from.exit()?),
            (7, Some(beginning)) => beginning.supervisors_started = from.unsigned()?,
            _ => return Err(DecodeError::Invalid("entry of the record")),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beginning() -> Beginning {
        Beginning {
            boot: "one".to_owned(),
            guardian: Pid(5),
            services_dir: b"/etc/svc".to_vec(),
            supervisors_started: 1,
            descriptors_soft: Some(1024),
            oom_score_adjust: Some(-5),
        }
    }

    fn child(name: &str) -> Child {
        Child { name: Name::new(name).unwrap(), role: Role::Run }
    }

    fn kept(pid: i32) -> KeptChild {
        let started = Time::from_nanoseconds(7);
        KeptChild { pid: Pid(pid), started, seen_ticks: 9, exit: None, earlier: None }
    }

    #[test]
    fn the_last_word_on_each_counts() {
        let (web, db) = (Name::new("web").unwrap(), Name::new("db").unwrap());
        let at = Time::from_nanoseconds(8);
        let ended = KeptChild {
            exit: Some((Exit::Code(3), at)),
            earlier: Some((Pid(10), Exit::Unknown, at)),
            ..kept(11)
        };
        let mut first = Vec::new();
        put_beginning(&mut first, &beginning());
        put_child(&mut first, &child("web"), &kept(10));
        put_child(&mut first, &child("db"), &kept(12));
        put_pipe(&mut first, &web, 77);
        put_note(&mut first, &web, b"old");
        put_note(&mut first, &db, b"gone");
        let mut second = Vec::new();
        put_child(&mut second, &child("web"), &ended);
        put_absent(&mut second, &child("db"), 44);
        put_note(&mut second, &web, b"new");
        put_forgotten(&mut second, &db);
        put_supervisors_started(&mut second, 2);
        put_guardian_ended(&mut second, Exit::Code(1));
        let mut record = Kept::default();
        record.take(&first).unwrap();
        record.take(&second).unwrap();
        let kept_web = KeptService {
            children: [Seen::There(ended), Seen::Never, Seen::Never],
            pipe: Some(77),
            note: Some(b"new".to_vec()),
        };
        let children = [Seen::Absent { ticks: 44 }, Seen::Never, Seen::Never];
        let expected = Kept {
            beginning: Some(Beginning { supervisors_started: 2, ..beginning() }),
            services: vec![(db, KeptService { children, ..KeptService::default() }), (web, kept_web)],
            guardian_ended: Some(Exit::Code(1)),
        };
        assert_eq!(record, expected);
    }

    #[test]
    fn a_record_without_a_beginning_and_one_of_another_version_are_refused() {
        let mut bytes = Vec::new();
        put_child(&mut bytes, &child("web"), &kept(10));
        assert!(Kept::default().take(&bytes).is_err());
        bytes.clear();
        put_beginning(&mut bytes, &beginning());
        bytes[1] += 1;
        let mut record = Kept::default();
        assert!(record.take(&bytes).is_err());
        assert_eq!(record, Kept::default());
    }

    #[test]
    fn cut_anywhere_it_is_an_error_and_no_panic() {
        let mut bytes = Vec::new();
        put_beginning(&mut bytes, &beginning());
        let start = bytes.len();
        put_child(&mut bytes, &child("web"), &kept(10));
        for length in start + 1..bytes.len() {
            assert!(Kept::default().take(&bytes[..length]).is_err(), "{length}");
        }
    }
}

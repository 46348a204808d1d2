//! Processes that a guardian before this one has started. They are no children of ours: they are followed,
//! signalled and asked how they ended by a handle that cannot turn into another process.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use super::children::Earlier;
use super::report::{self, now};
use super::watch::Guardian;
use crate::lifecycle::{Exit, Pid, Time};
use crate::os::epoll::Epoll;
use crate::os::pidfd::{End, ProcessHandle};
use crate::os::process;
use crate::protocol::guardian::Child;

/// The kernel tells how one ended when its parent, an init, has reaped it. One that does not do so at once
/// never does.
const STATUS_PATIENCE: Duration = Duration::from_millis(50);

#[derive(Debug, Default)]
pub(super) struct Adopted {
    /// Made for the first.
    epoll: Option<Epoll>,
    /// By pid, which is the token in the epoll set.
    followed: Vec<Followed>,
    /// Whose services these are, and how it ended.
    pub predecessor: Option<(Option<Pid>, Exit)>,
}

#[derive(Debug)]
struct Followed {
    pid: Pid,
    child: Child,
    handle: ProcessHandle,
    /// It has ended: until then the kernel may tell how.
    status_until: Option<Time>,
}

impl Adopted {
    pub fn follow(&mut self, child: Child, pid: Pid, handle: ProcessHandle) -> io::Result<()> {
        let epoll = match &mut self.epoll {
            Some(epoll) => epoll,
            none => none.insert(Epoll::new()?),
        };
        epoll.add_reader(handle.as_fd(), u64::from(pid.0.unsigned_abs()))?;
        let place = self.place(pid).unwrap_or_else(|place| place);
        self.followed.insert(place, Followed { pid, child, handle, status_until: None });
        Ok(())
    }

    /// Where the one with this pid stands, or would stand.
    fn place(&self, pid: Pid) -> Result<usize, usize> {
        self.followed.binary_search_by_key(&pid, |followed| followed.pid)
    }

    /// The process `pid` that runs as `child`, when it was adopted.
    fn find(&self, child: &Child, pid: Pid) -> Option<&Followed> {
        let followed = self.followed.get(self.place(pid).ok()?)?;
        (followed.child == *child).then_some(followed)
    }

    pub fn is_followed(&self, child: &Child, pid: Pid) -> bool {
        self.find(child, pid).is_some()
    }

    /// Readable when one has ended; `None` when none is followed.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.epoll.as_ref().filter(|_| !self.followed.is_empty()).map(AsFd::as_fd)
    }

    /// When it is to be looked at without being told.
    pub fn next_look(&self) -> Option<Time> {
        self.followed.iter().filter_map(|followed| followed.status_until).min()
    }

    /// `None` when it is not followed here.
    pub fn signal(&self, child: &Child, pid: Pid, signal: i32, group: bool) -> Option<io::Result<()>> {
        let handle = &self.find(child, pid)?.handle;
        if !group {
            return Some(handle.signal(signal));
        }
        if handle.signal_group(signal).is_ok() {
            return Some(Ok(()));
        }
        // It leads no group, or the kernel takes no handle for one.
        let its_group = process::group_of(pid.0);
        // While it lives, its pid and its group are not another's.
        Some(handle.signal(0).and_then(|()| match its_group {
            Some(group) => process::kill_group(group, signal),
            None => handle.signal(signal),
        }))
    }

    /// Those that have ended since the last look, each once.
    fn ended(&mut self) -> Vec<(Child, Pid, Exit)> {
        if self.followed.is_empty() {
            return Vec::new();
        }
        let mut ready = Vec::new();
        if let Some(epoll) = &self.epoll {
            // An error is that of a wait that does not wait: there is none.
            epoll.wait(&mut ready, Some(Duration::ZERO)).err();
        }
        let overdue = self.followed.iter().filter(|followed| followed.status_until.is_some());
        ready.extend(overdue.map(|followed| u64::from(followed.pid.0.unsigned_abs())));
        ready.into_iter().filter_map(|token| self.look_at(token)).collect()
    }

    fn look_at(&mut self, token: u64) -> Option<(Child, Pid, Exit)> {
        let place = self.place(Pid(i32::try_from(token).ok()?)).ok()?;
        let followed = self.followed.get_mut(place)?;
        let exit = match (followed.handle.end(), followed.status_until) {
            (End::Known(ended), _) => report::exit(ended),
            (End::Untold, _) => Exit::Unknown,
            (End::NotYet, None) => {
                followed.status_until = Some(now() + STATUS_PATIENCE);
                self.epoll.as_ref()?.await_end(followed.handle.as_fd(), token).err();
                return None;
            }
            (End::NotYet, Some(until)) if until > now() => return None,
            (End::NotYet, Some(_)) => Exit::Unknown,
        };
        let Followed { pid, child, handle, .. } = self.followed.remove(place);
        self.epoll.as_ref()?.remove(handle.as_fd()).err();
        Some((child, pid, exit))
    }
}

impl Guardian {
    pub(super) fn take_ends_of_adopted(&mut self) {
        for (child, pid, exit) in self.adopted.ended() {
            self.child_ended(child, Earlier { pid, exit, at: now() });
        }
    }
}

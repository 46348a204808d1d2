//! Being told of changes in directories: inotify(7).

use std::ffi::OsString;
use std::io::{self, IoSlice};
use std::ops::BitOr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, WatchDescriptor};
use nix::sys::socket::{AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, sendmsg, socketpair};

/// The watches of one reader. Reading never blocks; wait with poll.
#[derive(Debug)]
pub struct Inotify(nix::sys::inotify::Inotify);

/// The same for every `add` of the same directory, whatever the path was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatchId(WatchDescriptor);

/// A set of kinds of change: what is watched for, and what came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kinds(AddWatchFlags);

impl Kinds {
    pub const MODIFIED: Kinds = Kinds(AddWatchFlags::IN_MODIFY);
    pub const ATTRIBUTES: Kinds = Kinds(AddWatchFlags::IN_ATTRIB);
    pub const CREATED: Kinds = Kinds(AddWatchFlags::IN_CREATE);
    pub const DELETED: Kinds = Kinds(AddWatchFlags::IN_DELETE);
    pub const MOVED_FROM: Kinds = Kinds(AddWatchFlags::IN_MOVED_FROM);
    pub const MOVED_TO: Kinds = Kinds(AddWatchFlags::IN_MOVED_TO);
    pub const CLOSED_AFTER_WRITING: Kinds = Kinds(AddWatchFlags::IN_CLOSE_WRITE);
    /// What is watched was itself removed or renamed.
    pub const SELF_DELETED: Kinds = Kinds(AddWatchFlags::IN_DELETE_SELF);
    pub const SELF_MOVED: Kinds = Kinds(AddWatchFlags::IN_MOVE_SELF);
    /// Only for `add`: an error when the path is no directory.
    pub const ONLY_DIRECTORY: Kinds = Kinds(AddWatchFlags::IN_ONLYDIR);
    /// Only for `add`: a symbolic link is watched itself.
    pub const NOT_FOLLOWED: Kinds = Kinds(AddWatchFlags::IN_DONT_FOLLOW);
    /// Only for `add`: what the directory is watched for already stays.
    pub const ALSO: Kinds = Kinds(AddWatchFlags::from_bits_retain(libc::IN_MASK_ADD));
    /// Only told: events were lost, look at everything again. Its watch is none of the reader's.
    pub const OVERFLOW: Kinds = Kinds(AddWatchFlags::IN_Q_OVERFLOW);
    /// Only told: the watch is gone, with what was watched or by `remove`.
    pub const FORGOTTEN: Kinds = Kinds(AddWatchFlags::IN_IGNORED);
    /// Only told: the name is that of a directory.
    pub const DIRECTORY: Kinds = Kinds(AddWatchFlags::IN_ISDIR);

    /// Whether at least one of `others` is among these.
    pub fn any(self, others: Kinds) -> bool {
        self.0.intersects(others.0)
    }
}

impl BitOr for Kinds {
    type Output = Kinds;

    fn bitor(self, other: Kinds) -> Kinds {
        Kinds(self.0 | other.0)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub watch: WatchId,
    /// The entry of the watched directory; none when it is about what is watched itself.
    pub name: Option<OsString>,
    pub kinds: Kinds,
}

impl Inotify {
    /// Fails above /proc/sys/fs/inotify/max_user_instances (128 by default).
    pub fn new() -> io::Result<Self> {
        let flags = InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK;
        nix::sys::inotify::Inotify::init(flags).map(Self).map_err(in_words)
    }

    /// Replaces what an earlier watch of the same file or directory was for, unless `ALSO` is given. Fails above
    /// /proc/sys/fs/inotify/max_user_watches.
    pub fn add(&self, path: &Path, what: Kinds) -> io::Result<WatchId> {
        self.0.add_watch(path, what.0).map(WatchId).map_err(in_words)
    }

    /// Says nothing when the watch has gone with what was watched.
    pub fn remove(&self, watch: WatchId) -> io::Result<()> {
        match self.0.rm_watch(watch.0) {
            Ok(()) | Err(Errno::EINVAL) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// All that has come, oldest first; nothing when nothing has.
    pub fn read(&self) -> io::Result<Vec<Event>> {
        let mut all = Vec::new();
        loop {
            match self.0.read_events() {
                Ok(some) => all.extend(some.into_iter().map(|event| Event {
                    watch: WatchId(event.wd),
                    name: event.name,
                    kinds: Kinds(event.mask),
                })),
                Err(Errno::EAGAIN) => return Ok(all),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

/// Closing the last descriptor of a watch waits until the kernel is done with all that was watched:
/// some ten milliseconds, which an end that somebody waits for has not got. A descriptor that is under
/// way in a socket which only that message itself keeps open is garbage (unix(7)), and is closed by the
/// kernel's collector in its own time.
fn leave_to_collector(watch: BorrowedFd<'_>) -> io::Result<()> {
    let (inside, outside) =
        socketpair(AddressFamily::Unix, SockType::Datagram, None, SockFlag::SOCK_CLOEXEC)?;
    let rights = [watch.as_raw_fd(), inside.as_raw_fd()];
    let message = [ControlMessage::ScmRights(&rights)];
    sendmsg::<()>(outside.as_raw_fd(), &[IoSlice::new(b"x")], &message, MsgFlags::MSG_DONTWAIT, None)?;
    Ok(())
}

impl Drop for Inotify {
    fn drop(&mut self) {
        // If that cannot be had, closing takes its time.
        leave_to_collector(self.0.as_fd()).err();
    }
}

/// The kernel's words for its two limits lead astray: "no space left on device" is about no disk.
fn in_words(errno: Errno) -> io::Error {
    let text = match errno {
        Errno::EMFILE => {
            "no inotify instance is left (EMFILE): raise fs.inotify.max_user_instances by sysctl, or ulimit -n"
        }
        Errno::ENOSPC => "no inotify watch is left (ENOSPC): raise fs.inotify.max_user_watches by sysctl",
        other => return other.into(),
    };
    io::Error::other(text)
}

impl AsFd for Inotify {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_directory_is_told_by_name_and_a_quiet_watch_tells_nothing() {
        let place = tempfile::tempdir().unwrap();
        let inotify = Inotify::new().unwrap();
        let watch =
            inotify.add(place.path(), Kinds::CREATED | Kinds::DELETED | Kinds::ONLY_DIRECTORY).unwrap();
        assert_eq!(inotify.read().unwrap(), []);
        std::fs::create_dir(place.path().join("web")).unwrap();
        let came = inotify.read().unwrap();
        assert_eq!(came.len(), 1);
        assert_eq!(came[0].watch, watch);
        assert_eq!(came[0].name.as_deref(), Some("web".as_ref()));
        assert!(came[0].kinds.any(Kinds::CREATED) && came[0].kinds.any(Kinds::DIRECTORY));
        inotify.remove(watch).unwrap();
        assert!(inotify.read().unwrap()[0].kinds.any(Kinds::FORGOTTEN));
        inotify.remove(watch).unwrap();
    }

    #[test]
    fn more_events_than_one_read_takes_all_arrive() {
        let place = tempfile::tempdir().unwrap();
        let inotify = Inotify::new().unwrap();
        inotify.add(place.path(), Kinds::CREATED).unwrap();
        for number in 0..1_000 {
            std::fs::write(place.path().join(format!("file-{number}")), "").unwrap();
        }
        assert_eq!(inotify.read().unwrap().len(), 1_000);
    }
}

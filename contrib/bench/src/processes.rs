//! What the kernel knows about processes, and waiting for their ends.

use std::fs;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use crate::board::now_nanoseconds;

pub fn signal(pid: i32, signal: i32) {
    // SAFETY: a plain system call.
    unsafe { libc::kill(pid, signal) };
}

/// Handles on processes, to wait for the end of all of them at no cost for anybody.
pub struct Ends(Vec<OwnedFd>);

impl Ends {
    pub fn of(pids: impl IntoIterator<Item = i32>) -> Ends {
        let open = |pid: i32| {
            // SAFETY: a plain system call; the result is a new descriptor or -1.
            let descriptor = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
            // SAFETY: owned by nobody else.
            (descriptor >= 0).then(|| unsafe { OwnedFd::from_raw_fd(descriptor as i32) })
        };
        Ends(pids.into_iter().filter_map(open).collect())
    }

    /// Waits until all have ended (zombies have); false when the time is over.
    pub fn wait(&self, at_most: Duration) -> bool {
        let deadline = now_nanoseconds() + at_most.as_nanos() as u64;
        self.0.iter().all(|end| {
            let left = deadline.saturating_sub(now_nanoseconds()) / 1_000_000;
            let mut poll = libc::pollfd { fd: end.as_raw_fd(), events: libc::POLLIN, revents: 0 };
            // SAFETY: one pollfd on this stack.
            unsafe { libc::poll(&mut poll, 1, left as i32) == 1 }
        })
    }
}

pub fn all() -> Vec<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The file a process executes.
pub fn program(pid: i32) -> String {
    let link = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
    link.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Everything that works below `root` or was started with it among its words, this program excepted.
pub fn below(root: &Path) -> Vec<i32> {
    let text = root.to_string_lossy().into_owned();
    let own = std::process::id() as i32;
    let concerns = |pid: i32| {
        let works = fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(root));
        let names = |file: &str| {
            fs::read(format!("/proc/{pid}/{file}"))
                .is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(&text))
        };
        works || names("cmdline") || names("environ")
    };
    all().into_iter().filter(|&pid| pid != own && concerns(pid)).collect()
}

/// Proportional set size in KiB.
pub fn pss_kib(pid: i32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// How often all threads of a process have been put on a processor.
pub fn wake_ups(pid: i32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let texts = tasks.filter_map(|task| fs::read_to_string(task.path().join("status")).ok());
    texts
        .flat_map(|text| {
            text.lines()
                .filter_map(|line| line.split_once("ctxt_switches:")?.1.trim().parse::<u64>().ok())
                .collect::<Vec<_>>()
        })
        .sum()
}

/// Ends all of these for good.
pub fn kill_all(root: &Path) {
    for _ in 0..200 {
        let left = below(root);
        if left.is_empty() {
            return;
        }
        let ends = Ends::of(left.iter().copied());
        left.into_iter().for_each(|pid| signal(pid, libc::SIGKILL));
        ends.wait(Duration::from_secs(1));
        reap();
    }
    eprintln!("cannot end everything below {}", root.display());
}

/// Takes the exits of children that are no longer waited for.
pub fn reap() {
    // SAFETY: no status is asked for.
    while unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) } > 0 {}
}

/// Makes this process the parent of whoever loses theirs, so that nothing escapes the cleaning.
pub fn become_subreaper() -> io::Result<()> {
    // SAFETY: plain integers.
    match unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

static WISHES: AtomicI32 = AtomicI32::new(-1);

extern "C" fn on_signal(_signal: libc::c_int) {
    // SAFETY: write is async-signal-safe; the pipe is never closed.
    unsafe { libc::write(WISHES.load(Ordering::SeqCst), [1u8].as_ptr().cast(), 1) };
}

/// Ends everything below `root` when this program is told to end before its time.
pub fn clean_up_when_told(root: PathBuf) -> io::Result<()> {
    let (mut told, tell) = io::pipe()?;
    WISHES.store(tell.into_raw_fd(), Ordering::SeqCst);
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: the handler only writes to a pipe.
        unsafe { libc::signal(signal, on_signal as *const () as libc::sighandler_t) };
    }
    std::thread::spawn(move || {
        let mut byte = [0];
        if told.read_exact(&mut byte).is_ok() {
            kill_all(&root);
            fs::remove_dir_all(&root).ok();
            std::process::exit(130);
        }
    });
    Ok(())
}

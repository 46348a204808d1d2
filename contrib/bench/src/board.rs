//! The board in shared memory on which every service notes its start (see pause.c): the start of a
//! program is known to the nanosecond, and waiting for it costs the measured ones nothing.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

const SLOTS: usize = 65536;

#[repr(C)]
struct Slot {
    nanoseconds: AtomicU64,
    pid: AtomicU32,
    unused: u32,
}

#[repr(C)]
struct Shared {
    count: AtomicU32,
    target: AtomicU32,
    unused: [u32; 2],
    slots: [Slot; SLOTS],
}

pub struct Board(*mut Shared);

#[derive(Clone, Copy, Debug)]
pub struct Start {
    pub at_nanoseconds: u64,
    pub pid: i32,
}

impl Board {
    /// A new board for the service directories in `services`.
    pub fn new(services: &Path) -> Board {
        let path = services.join(".board");
        let file = File::options().read(true).write(true).create(true).truncate(true).open(path).unwrap();
        file.set_len(size_of::<Shared>() as u64).unwrap();
        // SAFETY: a fresh shared mapping of a file that has just got this size.
        let memory = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                size_of::<Shared>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        assert_ne!(memory, libc::MAP_FAILED, "cannot map the board");
        Board(memory.cast())
    }

    fn shared(&self) -> &Shared {
        // SAFETY: mapped for as long as the board lives; all fields that others write are atomic.
        unsafe { &*self.0 }
    }

    pub fn count(&self) -> u32 {
        self.shared().count.load(Ordering::SeqCst)
    }

    /// Waits until so many starts have been noted; false when the time is over.
    pub fn wait_for(&self, target: u32, at_most: Duration) -> bool {
        let shared = self.shared();
        shared.target.store(target, Ordering::SeqCst);
        let deadline = now_nanoseconds() + at_most.as_nanos() as u64;
        loop {
            let count = shared.count.load(Ordering::SeqCst);
            if count >= target {
                return true;
            }
            let now = now_nanoseconds();
            if now >= deadline {
                return false;
            }
            // The wake-up comes at the target only; a step of 100 ms makes a missed one harmless.
            let step = (deadline - now).min(100_000_000);
            let time = libc::timespec { tv_sec: 0, tv_nsec: step as i64 };
            // SAFETY: the futex word lives as long as the board.
            unsafe {
                libc::syscall(
                    libc::SYS_futex,
                    &raw const shared.count,
                    libc::FUTEX_WAIT,
                    count,
                    &raw const time,
                )
            };
        }
    }

    /// The n-th start; waits for the moment between its number and its note.
    pub fn start(&self, number: u32) -> Start {
        let slot = &self.shared().slots[number as usize % SLOTS];
        loop {
            let pid = slot.pid.load(Ordering::SeqCst);
            if pid != 0 {
                return Start { at_nanoseconds: slot.nanoseconds.load(Ordering::SeqCst), pid: pid as i32 };
            }
            std::thread::yield_now();
        }
    }

    /// The moment of the last of the first `count` starts.
    pub fn last_start(&self, count: u32) -> u64 {
        (0..count).map(|number| self.start(number).at_nanoseconds).max().unwrap_or(0)
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `new`; nothing borrows it any more.
        unsafe { libc::munmap(self.0.cast(), size_of::<Shared>()) };
    }
}

pub fn now_nanoseconds() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes one timespec on this stack.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

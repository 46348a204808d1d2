//! As PID 1 of a namespace: how much an init adds to the program it runs, and how fast it reaps.

use std::ffi::CString;
use std::time::Duration;

use crate::board::now_nanoseconds;
use crate::processes;

/// Runs the words as PID 1 of a new namespace; the time until it has ended, or None when it failed.
pub fn run_nanoseconds(words: &[&str]) -> Option<u64> {
    let words: Vec<CString> = words.iter().map(|word| CString::new(*word).unwrap()).collect();
    let mut pointers: Vec<_> = words.iter().map(|word| word.as_ptr()).collect();
    pointers.push(std::ptr::null());
    let environment = [c"PATH=/usr/sbin:/usr/bin:/sbin:/bin".as_ptr(), std::ptr::null()];
    let before = now_nanoseconds();
    let mut status = 0;
    // SAFETY: one thread; the child of this fork-like clone (no shared memory, the parent's stack
    // copied) only closes its outputs and executes; the strings outlive the calls.
    unsafe {
        let flags = libc::CLONE_NEWPID | libc::SIGCHLD;
        let pid = libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) as i32;
        if pid == 0 {
            let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR);
            libc::dup2(null, 0);
            libc::dup2(null, 1);
            libc::execve(pointers[0], pointers.as_ptr(), environment.as_ptr());
            libc::_exit(127);
        }
        if pid < 0 || libc::waitpid(pid, &mut status, 0) != pid {
            return None;
        }
    }
    let time = now_nanoseconds() - before;
    (libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0).then_some(time)
}

/// The program under the init: leaves `count` dead orphans behind at one moment and measures how
/// long PID 1 takes to reap them all. Writes the nanoseconds to `result`.
pub fn orphans(count: usize, result: &str) {
    let mut last = [0i32; 2];
    // SAFETY: fork in a single-threaded program; pipes and pids are plain integers.
    unsafe {
        let mut ready = [0; 2];
        let mut go = [0; 2];
        assert_eq!((libc::pipe(ready.as_mut_ptr()), libc::pipe(go.as_mut_ptr())), (0, 0));
        let parent = libc::fork();
        if parent == 0 {
            let mut pid = 0;
            for _ in 0..count {
                pid = libc::fork();
                if pid == 0 {
                    libc::_exit(0);
                }
            }
            libc::write(ready[1], (&raw const pid).cast(), 4);
            libc::read(go[0], (&raw mut pid).cast(), 4);
            libc::_exit(0);
        }
        libc::read(ready[0], last.as_mut_ptr().cast(), 4);
        let before = now_nanoseconds();
        libc::write(go[1], last.as_ptr().cast(), 4);
        libc::waitpid(parent, std::ptr::null_mut(), 0);
        // The last one made is the last one reaped; then nobody but PID 1 and this one is left.
        let deadline = before + Duration::from_secs(20).as_nanos() as u64;
        while libc::kill(last[0], 0) == 0 && now_nanoseconds() < deadline {
            libc::sched_yield();
        }
        while libc::kill(-1, 0) == 0 && now_nanoseconds() < deadline {
            libc::sched_yield();
        }
        let time = now_nanoseconds() - before;
        std::fs::write(result, time.to_string()).unwrap();
    }
}

/// Runs `orphans` under an init; nanoseconds.
pub fn orphans_under(init: &[&str], count: usize) -> Option<u64> {
    let own = std::env::current_exe().ok()?.display().to_string();
    let result = format!("/tmp/svc-bench-orphans-{}", std::process::id());
    let count = count.to_string();
    let words = [init, &[own.as_str(), "orphans", &count, &result]].concat();
    let ran = run_nanoseconds(&words);
    let time = std::fs::read_to_string(&result).ok().and_then(|text| text.parse().ok());
    std::fs::remove_file(&result).ok();
    processes::reap();
    ran.and(time)
}

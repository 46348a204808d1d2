//! What the kernel alone takes: fork, setsid, chdir, exec; wait; again. Ends its children on TERM.

use std::ffi::CString;
use std::sync::atomic::{AtomicBool, Ordering};

static ENDED: AtomicBool = AtomicBool::new(false);

extern "C" fn on_term(_signal: libc::c_int) {
    ENDED.store(true, Ordering::SeqCst);
}

/// Never returns: exits after TERM, when all children have ended.
pub fn run(services: &str, count: usize) -> ! {
    let directories: Vec<CString> =
        (0..count).map(|number| CString::new(format!("{services}/s{number}")).unwrap()).collect();
    // SAFETY: the handler only stores an atomic; without SA_RESTART wait returns at a signal.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_term as *const () as usize;
        libc::sigaction(libc::SIGTERM, &action, std::ptr::null_mut());
    }
    let mut pids: Vec<i32> = directories.iter().map(spawn).collect();
    loop {
        // SAFETY: no status is asked for.
        let ended = unsafe { libc::wait(std::ptr::null_mut()) };
        if ENDED.load(Ordering::SeqCst) {
            end(&pids);
        }
        if let Some(place) = pids.iter().position(|&pid| pid == ended) {
            pids[place] = spawn(&directories[place]);
        }
    }
}

fn spawn(directory: &CString) -> i32 {
    let words = [c"./run".as_ptr(), std::ptr::null()];
    let environment = [std::ptr::null()];
    // SAFETY: one thread; between fork and exec only system calls; the strings outlive the calls.
    unsafe {
        match libc::fork() {
            0 => {
                libc::setsid();
                libc::chdir(directory.as_ptr());
                libc::execve(words[0], words.as_ptr(), environment.as_ptr());
                libc::_exit(111)
            }
            pid => pid,
        }
    }
}

fn end(pids: &[i32]) -> ! {
    // SAFETY: plain system calls.
    unsafe {
        for &pid in pids {
            libc::kill(pid, libc::SIGTERM);
        }
        while libc::wait(std::ptr::null_mut()) > 0 {}
        libc::_exit(0)
    }
}

//! Starting the one program of `svc init -- CMD`: with the signals as we were given them, in a
//! process group of its own, in the foreground of the terminal if we were.

use std::ffi::{CStr, CString, OsString, c_char, c_int, c_void};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use nix::errno::Errno;

use super::descriptor::{StandardNumber, standard};
use super::signal::{self, KernelAction, SignalSet};
use super::vfork::{self, Stack};
use super::{entry, process};

const SHELL: &CStr = c"/bin/sh";

/// What execvp(3) uses when there is no PATH.
const PATH_DEFAULT: &[u8] = b"/bin:/usr/bin";

/// Dispositions that differ between us and what we were given.
const CHANGED: [i32; 4] = [signal::CHLD, signal::TTIN, signal::TTOU, signal::PIPE];

/// The signals that were left to us to pass on.
#[derive(Clone, Copy, Debug)]
pub struct Inherited {
    mask: SignalSet,
    ignored: SignalSet,
}

/// Those that `wait` gets; all but faults of our own, and those of a terminal that we may write to
/// from the background.
pub const AWAITED: SignalSet =
    SignalSet::ALL.without(SignalSet::FAULTS.with(signal::TTIN).with(signal::TTOU));

/// Blocks what is awaited and makes children waitable.
pub fn take_signals() -> Inherited {
    let mask = signal::set_mask(AWAITED);
    let mut ignored = SignalSet::EMPTY;
    for signal in CHANGED {
        let was = match signal {
            signal::PIPE => entry::sigpipe_was_ignored(),
            other => signal::disposition(other) == KernelAction::IGNORE.disposition,
        };
        if was {
            ignored = ignored.with(signal);
        }
    }
    signal::set_default(SignalSet::EMPTY.with(signal::CHLD));
    signal::set_ignored(SignalSet::EMPTY.with(signal::TTIN).with(signal::TTOU));
    Inherited { mask, ignored }
}

/// Everything the child needs, made before it is.
struct Plan {
    /// Where the program may be, in order.
    candidates: Vec<CString>,
    arguments: Vec<*const c_char>,
    /// /bin/sh, the script, its arguments: for a file without `#!`, as execvp(3) does it.
    shell: Vec<*const c_char>,
    environment: *const *const c_char,
    inherited: Inherited,
    foreground: bool,
    errno: i32,
}

unsafe extern "C" {
    /// environ(7), which the C library has set before main.
    static environ: *const *const c_char;
}

/// Executes `arguments[0]`, looked up in PATH when it has no slash. The error is that of exec.
pub fn start(arguments: &[OsString], inherited: Inherited) -> io::Result<i32> {
    let strings: Vec<CString> =
        arguments.iter().map(|argument| CString::new(argument.as_bytes())).collect::<Result<_, _>>()?;
    let program = strings.first().ok_or(Errno::ENOENT)?;
    let pointers = strings.iter().map(|string| string.as_ptr());
    let end = std::iter::once(std::ptr::null());
    let mut plan = Plan {
        candidates: candidates(program.to_bytes()),
        shell: [SHELL.as_ptr(), SHELL.as_ptr()]
            .into_iter()
            .chain(pointers.clone().skip(1))
            .chain(end.clone())
            .collect(),
        arguments: pointers.chain(end).collect(),
        // SAFETY: there is one thread, and nobody changes the environment.
        environment: unsafe { environ },
        inherited,
        foreground: process::is_in_foreground_of(standard(StandardNumber::Input)),
        errno: 0,
    };
    let mut stack = Stack::new()?;
    let mask = signal::set_mask(SignalSet::ALL);
    // SAFETY: `child` takes a Plan, keeps to what may be done between vfork and exec and ends in
    // exec or _exit; the plan and all that it points to outlive the call; every signal is blocked.
    let pid = unsafe { vfork::run(&mut stack, 0, child, (&raw mut plan).cast()) };
    signal::set_mask(mask);
    let pid = pid?;
    if plan.errno != 0 {
        process::reap(pid);
        return Err(io::Error::from_raw_os_error(plan.errno));
    }
    Ok(pid)
}

fn candidates(program: &[u8]) -> Vec<CString> {
    if program.is_empty() || program.contains(&b'/') {
        return CString::new(program).into_iter().collect();
    }
    let path = std::env::var_os("PATH").map_or(PATH_DEFAULT.to_vec(), OsString::into_vec);
    let in_directory = |directory: &[u8]| {
        let separator: &[u8] = if directory.is_empty() { b"" } else { b"/" };
        CString::new([directory, separator, program].concat()).ok()
    };
    path.split(|byte| *byte == b':').filter_map(in_directory).collect()
}

/// Between clone and exec: system calls only.
extern "C" fn child(plan: *mut c_void) -> c_int {
    // SAFETY: `start` passes its Plan, which nobody else touches while it waits for us.
    let plan = unsafe { &mut *plan.cast::<Plan>() };
    // SAFETY: takes no memory. A process that was just made leads no session, so it cannot fail.
    unsafe { libc::syscall(libc::SYS_setpgid, 0, 0) };
    if plan.foreground {
        // SAFETY: takes no memory.
        let own = unsafe { libc::syscall(libc::SYS_getpid) } as libc::pid_t;
        // SAFETY: the kernel reads one pid. Every error is tolerated: the terminal may have gone.
        // SIGTTOU is ignored here, so it does not stop us.
        unsafe { libc::syscall(libc::SYS_ioctl, 0, libc::TIOCSPGRP, &raw const own) };
    }
    for signal in CHANGED {
        let ignored = plan.inherited.ignored.contains(signal);
        let action = if ignored { KernelAction::IGNORE } else { KernelAction::DEFAULT };
        signal::set_action(signal, &action);
    }
    signal::set_mask(plan.inherited.mask);
    plan.errno = execute(plan);
    vfork::exit_now(127)
}

/// As execvp(3): the search goes on where there is no such file, and remembers one that may not be
/// executed. Returns the error.
fn execute(plan: &mut Plan) -> i32 {
    let mut denied = false;
    let mut last = libc::ENOENT;
    for candidate in &plan.candidates {
        last = try_to_execute(candidate, &plan.arguments, plan.environment);
        match last {
            libc::EACCES => denied = true,
            libc::ENOENT | libc::ENOTDIR | libc::ESTALE | libc::ENODEV | libc::ETIMEDOUT => {}
            libc::ENOEXEC => {
                if let Some(script) = plan.shell.get_mut(1) {
                    *script = candidate.as_ptr();
                }
                return try_to_execute(SHELL, &plan.shell, plan.environment);
            }
            other => return other,
        }
    }
    if denied { libc::EACCES } else { last }
}

fn try_to_execute(path: &CStr, arguments: &[*const c_char], environment: *const *const c_char) -> i32 {
    // SAFETY: the strings are NUL-terminated and the arrays end in a null pointer.
    unsafe { libc::syscall(libc::SYS_execve, path.as_ptr(), arguments.as_ptr(), environment) };
    Errno::last_raw()
}

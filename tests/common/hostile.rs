//! A caller as bad as they come: on a terminal, umask 077, descriptors 9, 251 and 300 left open,
//! USR2, PIPE and HUP ignored, USR1 and TERM blocked.

// What runs between fork and exec is a row of system calls; one note holds for all of them.
#![allow(clippy::multiple_unsafe_ops_per_block)]

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::libc;

/// The far side of a terminal; closing it hangs up.
pub struct Terminal {
    pub master: Option<OwnedFd>,
    /// `/dev/pts/N` of the near side.
    pub path: String,
    near: Option<OwnedFd>,
}

impl Terminal {
    pub fn open() -> Terminal {
        let pair = nix::pty::openpty(None, None).unwrap();
        for end in [&pair.master, &pair.slave] {
            fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).unwrap();
        }
        let path = nix::unistd::ttyname(&pair.slave).unwrap().to_string_lossy().into_owned();
        Terminal { master: Some(pair.master), path, near: Some(pair.slave) }
    }

    /// Starts `command` as the leader of a session on this terminal, all three streams on it.
    pub fn spawn(&mut self, command: &mut Command, spoilt: bool) -> Child {
        let near = self.near.take().unwrap();
        let stream = || Stdio::from(near.try_clone().unwrap());
        command.stdin(stream()).stdout(stream()).stderr(stream());
        // SAFETY: the closure runs between fork and exec and calls only async-signal-safe functions.
        unsafe {
            command.pre_exec(move || {
                take_terminal()?;
                if spoilt { spoil() } else { Ok(()) }
            })
        };
        command.spawn().unwrap()
    }

    /// Collects what is printed until the near side is closed by everybody, in a thread of its own.
    pub fn listen(&mut self) -> Arc<Mutex<String>> {
        let heard = Arc::new(Mutex::new(String::new()));
        let mut master = File::from(self.master.as_ref().unwrap().try_clone().unwrap());
        let notebook = Arc::clone(&heard);
        std::thread::spawn(move || {
            let mut block = [0; 4096];
            while let Ok(length @ 1..) = master.read(&mut block) {
                notebook.lock().unwrap().push_str(&String::from_utf8_lossy(&block[..length]));
            }
        });
        heard
    }

    /// Types on the keyboard: `\x03` is Ctrl-C.
    pub fn type_in(&self, text: &str) {
        nix::unistd::write(self.master.as_ref().unwrap(), text.as_bytes()).unwrap();
    }

    /// Closes the window.
    pub fn hang_up(&mut self) {
        self.master = None;
    }
}

/// Makes `command` start with everything spoilt but without a terminal.
pub fn spoil_command(command: &mut Command) {
    // SAFETY: as above.
    unsafe { command.pre_exec(spoil) };
}

fn checked(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn take_terminal() -> io::Result<()> {
    // SAFETY: plain system calls on integers.
    unsafe {
        checked(libc::setsid())?;
        checked(libc::ioctl(0, libc::TIOCSCTTY, 0))?;
    }
    Ok(())
}

fn spoil() -> io::Result<()> {
    const LEFT_OPEN: [RawFd; 3] = [9, 251, 300];
    // SAFETY: plain system calls; the signal set lives on this stack.
    unsafe {
        libc::umask(0o077);
        let file = checked(libc::open(c"/etc/passwd".as_ptr(), libc::O_RDONLY))?;
        for descriptor in LEFT_OPEN {
            checked(libc::dup2(file, descriptor))?;
        }
        for signal in [libc::SIGUSR2, libc::SIGPIPE, libc::SIGHUP] {
            libc::signal(signal, libc::SIG_IGN);
        }
        let mut blocked: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut blocked);
        libc::sigaddset(&mut blocked, libc::SIGUSR1);
        libc::sigaddset(&mut blocked, libc::SIGTERM);
        checked(libc::sigprocmask(libc::SIG_SETMASK, &blocked, std::ptr::null_mut()))?;
    }
    Ok(())
}

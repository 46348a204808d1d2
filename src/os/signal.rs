//! Signals: sets, the mask, dispositions, and waiting for one.
//!
//! Straight to the kernel: the C library hides 32 and 33 from its callers, and a program may have
//! been started with them ignored.

use std::io;
use std::mem;

use nix::errno::Errno;

/// The highest signal number of Linux on all common architectures.
pub const LAST: i32 = 64;

/// How many bytes the kernel wants a set to have.
pub(super) const SET_BYTES: usize = mem::size_of::<SignalSet>();

/// Bit n - 1 is signal n, as in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct SignalSet(u64);

impl SignalSet {
    pub const EMPTY: SignalSet = SignalSet(0);
    pub const ALL: SignalSet = SignalSet(u64::MAX);

    /// Those that a fault of the program itself raises: blocked, the kernel would kill it silently.
    pub const FAULTS: SignalSet = SignalSet::EMPTY
        .with(libc::SIGSEGV)
        .with(libc::SIGBUS)
        .with(libc::SIGFPE)
        .with(libc::SIGILL)
        .with(libc::SIGTRAP)
        .with(libc::SIGABRT)
        .with(libc::SIGSYS);

    pub const fn with(self, signal: i32) -> Self {
        Self(self.0 | Self::bit(signal))
    }

    pub const fn without(self, others: SignalSet) -> Self {
        Self(self.0 & !others.0)
    }

    pub const fn contains(self, signal: i32) -> bool {
        self.0 & Self::bit(signal) != 0
    }

    /// Signals `first` and up.
    pub const fn from(first: i32) -> Self {
        Self(u64::MAX << (first - 1))
    }

    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn iter(self) -> impl Iterator<Item = i32> {
        (1..=LAST).filter(move |signal| self.contains(*signal))
    }

    const fn bit(signal: i32) -> u64 {
        if signal < 1 || signal > LAST { 0 } else { 1 << (signal - 1) }
    }
}

pub const TERM: i32 = libc::SIGTERM;
pub const INT: i32 = libc::SIGINT;
pub const QUIT: i32 = libc::SIGQUIT;
pub const HUP: i32 = libc::SIGHUP;
pub const USR1: i32 = libc::SIGUSR1;
pub const USR2: i32 = libc::SIGUSR2;
pub const PWR: i32 = libc::SIGPWR;
pub const WINCH: i32 = libc::SIGWINCH;
pub const CHLD: i32 = libc::SIGCHLD;
pub const CONT: i32 = libc::SIGCONT;
pub const KILL: i32 = libc::SIGKILL;
pub const TSTP: i32 = libc::SIGTSTP;
pub const TTIN: i32 = libc::SIGTTIN;
pub const TTOU: i32 = libc::SIGTTOU;
pub const PIPE: i32 = libc::SIGPIPE;

/// Sets the mask of the calling thread; returns the one before.
pub fn set_mask(mask: SignalSet) -> SignalSet {
    let mut before = SignalSet::EMPTY;
    // SAFETY: both pointers are to sets of the size that is told; the call has no other effect on
    // memory. It cannot fail with SIG_SETMASK and this size.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const mask,
            &raw mut before,
            SET_BYTES,
        )
    };
    before
}

/// struct sigaction of the kernel: the same four words on x86-64, aarch64 and riscv64 (there
/// without the restorer, so the last word is unused). All zero is the default disposition.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct KernelAction {
    pub disposition: usize,
    flags: libc::c_ulong,
    restorer: usize,
    mask: u64,
}

impl KernelAction {
    pub const DEFAULT: KernelAction =
        KernelAction { disposition: libc::SIG_DFL, flags: 0, restorer: 0, mask: 0 };
    pub const IGNORE: KernelAction = KernelAction { disposition: libc::SIG_IGN, ..Self::DEFAULT };
}

/// Which signals have another disposition than the default, and which of them are ignored.
pub fn dispositions() -> Dispositions {
    let mut found = Dispositions { ignored: SignalSet::EMPTY, handled: SignalSet::EMPTY };
    for signal in 1..=LAST {
        match disposition(signal) {
            libc::SIG_DFL => {}
            libc::SIG_IGN => found.ignored = found.ignored.with(signal),
            _ => found.handled = found.handled.with(signal),
        }
    }
    found
}

/// SIG_DFL, SIG_IGN or the address of a function.
pub(super) fn disposition(signal: i32) -> usize {
    let mut action = KernelAction::DEFAULT;
    let ask = std::ptr::null::<KernelAction>();
    // SAFETY: a null new action only asks; `action` has the size that the kernel writes.
    unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, ask, &raw mut action, SET_BYTES) };
    action.disposition
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dispositions {
    pub ignored: SignalSet,
    pub handled: SignalSet,
}

impl Dispositions {
    pub fn at_default(self) -> SignalSet {
        SignalSet::ALL.without(self.ignored).without(self.handled)
    }
}

pub fn set_default(signals: SignalSet) {
    signals.iter().for_each(|signal| set_action(signal, &KernelAction::DEFAULT));
}

pub fn set_ignored(signals: SignalSet) {
    signals.iter().for_each(|signal| set_action(signal, &KernelAction::IGNORE));
}

/// Also called between vfork and exec. Signals that cannot have a disposition are left alone.
pub(super) fn set_action(signal: i32, action: &KernelAction) {
    // SAFETY: `action` names no handler function, so nothing is ever called by it; the kernel reads
    // it and refuses what is no signal.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigaction,
            signal,
            std::ptr::from_ref(action),
            std::ptr::null::<KernelAction>(),
            SET_BYTES,
        )
    };
}

/// Blocks until one of these (blocked) signals comes; returns its number.
pub fn wait(signals: SignalSet) -> io::Result<i32> {
    // SAFETY: the set has the size that is told; null pointers for what is not wanted.
    let came = unsafe {
        libc::syscall(
            libc::SYS_rt_sigtimedwait,
            &raw const signals,
            std::ptr::null::<libc::siginfo_t>(),
            std::ptr::null::<libc::timespec>(),
            SET_BYTES,
        )
    };
    i32::try_from(Errno::result(came)?).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_the_first_and_the_last_signal_and_nothing_beyond() {
        let set = SignalSet::EMPTY.with(1).with(64).with(0).with(65);
        assert_eq!(set.iter().collect::<Vec<_>>(), [1, 64]);
        assert_eq!(SignalSet::ALL.without(set).iter().count(), 62);
    }

    #[test]
    fn a_rust_program_has_sigpipe_ignored_which_its_children_must_not() {
        assert!(dispositions().ignored.contains(PIPE));
    }
}

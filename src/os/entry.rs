//! What the process was given before Rust's runtime changed it: that sets SIGPIPE to ignored before
//! main, and a program started by `svc init` must get what svc itself was given.

use std::sync::atomic::{AtomicBool, Ordering};

use super::signal::{self, KernelAction};

static SIGPIPE_WAS_IGNORED: AtomicBool = AtomicBool::new(false);

/// Run by the C library before main, in glibc and musl alike; a static binary has it too.
#[used]
#[unsafe(link_section = ".init_array")]
static RECORD: extern "C" fn() = record;

extern "C" fn record() {
    let disposition = signal::disposition(signal::PIPE);
    SIGPIPE_WAS_IGNORED.store(disposition == KernelAction::IGNORE.disposition, Ordering::Relaxed);
}

pub fn sigpipe_was_ignored() -> bool {
    SIGPIPE_WAS_IGNORED.load(Ordering::Relaxed)
}

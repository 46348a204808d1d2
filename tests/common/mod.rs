//! What the system tests share: a world of one svc with its own directories, and the eyes to see
//! from outside what it does.

// Every test file compiles this module for itself and uses a part of it.
#![allow(dead_code, unused_imports)]

pub mod hostile;
pub mod killing;
pub mod needs;
pub mod network;
pub mod processes;
pub mod said;
pub mod service_dir;
pub mod world;

pub use needs::{needs_docker, needs_program, needs_root};
pub use processes::Facts;
pub use said::Said;
pub use service_dir::ServiceDir;
pub use world::{World, svc_binary};

use std::time::{Duration, Instant};

/// How long anything may take before a test calls it lost. Nothing that works comes near it, even
/// on a loaded machine; a test ends as soon as the awaited thing has come.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Looks until `look` finds something; panics with `what` when it never does.
#[track_caller]
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    wait_at_once(what, || {
        look().or_else(|| {
            std::thread::park_timeout(Duration::from_millis(5));
            None
        })
    })
}

/// `wait_for` that never sleeps: for what is to be met in its first moments.
#[track_caller]
pub fn wait_at_once<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain for {what}");
    }
}

/// `wait_for` for a plain condition.
#[track_caller]
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    wait_for(what, || holds().then_some(()));
}

/// Lets time pass while nothing must happen. Only for tests that prove an absence.
pub fn let_pass(time: Duration) {
    let end = Instant::now() + time;
    while let Some(rest) = end.checked_duration_since(Instant::now()) {
        std::thread::park_timeout(rest);
    }
}

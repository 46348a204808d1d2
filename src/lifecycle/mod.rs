//! The life-cycle of all services as a pure state machine: events go in, actions come out.
//!
//! Invariant: reads no clock, makes no system call, starts no thread, draws no random number and
//! depends on no hash order. Time comes in with the event; the next deadline goes out.
//!
//! ```text
//!            Boot, Up                Started                  Exited
//!   down ───────────────► starting ──────────► up ───────────────────────► checking
//!    ▲                     │    ▲               │ Down, Restart, Remove       │ TreeChecked
//!    │        LaunchFailed │    │ DelayOver     ▼                             │
//!    │                     ▼    │            stopping ◄───────────────────────┤ something is left
//!    │                    backoff               │ nothing is left             │ nothing is left
//!    │                     ▲                    ▼                             │
//!    └───────── rest ◄─────┴─── decide ◄── finishing ◄────────────────────────┘
//!        (down, done, failed)               (only with a finish)
//! ```
//!
//! Read `machine` for the way of an event, `service` for what is kept, then one file per state:
//! `resting`, `starting`, `up`, `checking`, `stopping`, `finishing`; `after_death` decides what
//! follows a death, `requests` answers clients, `status` tells what is, `resume` goes on where a predecessor stopped.
//! `checking` is not a word that users see: it lasts until the tree has been looked at.

mod after_death;
mod checking;
mod finishing;
mod machine;
mod memory;
mod name;
mod requests;
mod resting;
mod resume;
mod service;
mod shutdown;
mod signals;
mod starting;
mod status;
mod stopping;
mod time;
mod up;
pub mod vocabulary;
mod words;

pub use after_death::restart_delay;
pub use machine::Lifecycle;
pub use memory::*;
pub use name::{Name, NameError};
pub use requests::SETTLE;
pub use time::Time;
pub use vocabulary::*;
pub use words::short;

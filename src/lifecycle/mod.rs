//! The life-cycle of all services as a pure state machine: events go in, actions come out.
//!
//! Invariant: reads no clock, makes no system call, starts no thread, draws no random number and
//! depends on no hash order. Time comes in with the event; the next deadline goes out.

mod name;
mod time;
pub mod vocabulary;

pub use name::{Name, NameError};
pub use time::Time;
pub use vocabulary::*;

//! What a service directory says: its files and `service.toml` become a `Definition`, or all that is
//! wrong with it. Invariant: reads files, changes nothing, and one broken service says nothing of
//! another.

pub mod definition;

pub use definition::*;

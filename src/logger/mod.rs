//! Log pipes become files: written, rotated, read back.
//!
//! Invariant: one thread for all services; a block that was read is written before the next is read.

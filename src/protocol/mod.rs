//! Messages and their bytes. Invariant: pure, no system call; hostile bytes give an error, never a
//! panic or an allocation larger than the message.

pub mod control;
pub mod guardian;

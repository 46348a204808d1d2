//! Both ends of the control socket: the server thread of the supervisor, the client of the commands.
//!
//! Invariant: whatever a client sends, or does not read, nobody else notices. Every client has a
//! limit on the bytes of a request, on the replies it may leave unread and on the time it may take.

pub mod client;
mod connection;
pub mod server;
mod thread;

pub use client::{Client, ClientError, Received};
pub use server::{ClientId, Incoming, Server};

/// The name of the socket in the runtime directory.
pub const SOCKET_NAME: &str = "control";

//! The server's handle, held by the supervisor's main thread: replies go out from there directly.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::connection::Connection;
use super::thread;
use crate::lifecycle::{Asker, Time};
use crate::os::clock::monotonic_nanoseconds;
use crate::os::event_fd::Waker;
use crate::os::unix_socket;
use crate::protocol::control::{Reply, What};

/// More are refused with a reply that says so.
pub const CLIENTS_MAX: usize = 256;
/// Replies not yet read by all clients together; the one that would exceed it is dropped.
const UNSENT_BYTES_MAX: usize = 64 << 20;

/// Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientId(pub u64);

/// What the thread has to say.
#[derive(Clone, Debug, PartialEq)]
pub enum Incoming {
    /// The client's next request is not handed over before this one has got its last reply
    /// (`Reply::is_last`), and until then the client may be silent for as long as it likes.
    Request { client: ClientId, asker: Asker, what: What },
    /// It went away, or was dropped, before its request had got the last reply.
    Gone { client: ClientId },
    /// Something the thread cannot do, in words, once; it goes on trying.
    Complaint { text: String },
}

/// A thread that accepts, reads and checks; it ends when this is dropped.
pub struct Server {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

pub(super) struct Shared {
    clients: Mutex<BTreeMap<ClientId, Connection>>,
    pub waker: Waker,
    pub stop: AtomicBool,
}

impl Server {
    /// `requests` gets everything that comes, on the server's thread; `false` says that the inbox
    /// is full: then the client is told to try again. Peers of another uid than `allowed_uid` and
    /// 0 are refused.
    pub fn start(
        listener: OwnedFd,
        allowed_uid: u32,
        requests: impl Fn(Incoming) -> bool + Send + 'static,
    ) -> io::Result<Server> {
        unix_socket::set_nonblocking(listener.as_fd())?;
        let shared = Arc::new(Shared {
            clients: Mutex::new(BTreeMap::new()),
            waker: Waker::new()?,
            stop: AtomicBool::new(false),
        });
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("control".to_owned())
            .stack_size(256 * 1024)
            .spawn(move || thread::Thread::new(of_thread, listener, allowed_uid, requests).run())?;
        Ok(Server { shared, thread: Some(thread) })
    }

    /// In one piece where that is possible. Never waits. A client that has gone is ignored; one that does
    /// not read is dropped.
    pub fn reply(&self, client: ClientId, replies: &[Reply]) {
        let mut clients = self.shared.lock();
        let unsent: usize = clients.values().map(Connection::unsent).sum();
        let wake = match clients.get_mut(&client) {
            None => return,
            Some(connection) if unsent > UNSENT_BYTES_MAX && connection.unsent() > 0 => {
                connection.hang_up();
                true
            }
            Some(connection) => connection.reply(replies, now()),
        };
        drop(clients);
        if wake {
            self.shared.waker.wake();
        }
    }

    /// Ends the connection after what was replied has been read.
    pub fn close(&self, client: ClientId) {
        if let Some(connection) = self.shared.lock().get_mut(&client) {
            connection.close(now());
            self.shared.waker.wake();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.shared.waker.wake();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has ended as well.
            drop(thread.join());
        }
    }
}

impl Shared {
    pub fn lock(&self) -> MutexGuard<'_, BTreeMap<ClientId, Connection>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn now() -> Time {
    Time::from_nanoseconds(monotonic_nanoseconds())
}

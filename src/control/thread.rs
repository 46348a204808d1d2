//! The server's thread: turns what clients send into `Incoming`, and sends what they were slow to read.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::connection::{Connection, Line};
use super::server::{CLIENTS_MAX, ClientId, Incoming, Shared, now};
use crate::lifecycle::{Asker, Time};
use crate::os::poll::{Waiting, poll};
use crate::os::unix_socket;
use crate::protocol::control::{ErrorKind, Reply, Request, line};

/// Connections taken before those that are there have their turn.
const ACCEPTS_AT_ONCE: usize = 64;
/// After an error of accept, such as no descriptor left: it will last for a while.
const ACCEPT_AGAIN: Duration = Duration::from_millis(250);
/// When the inbox had no room for a `Gone`.
const TELL_AGAIN: Duration = Duration::from_millis(20);

pub(super) struct Thread<F> {
    shared: Arc<Shared>,
    listener: OwnedFd,
    allowed_uid: u32,
    requests: F,
    next_id: u64,
    /// Accept failed: not before this moment again.
    accept_after: Option<Time>,
    /// The complaint about accept that was made last; not repeated until it works again.
    complained: Option<String>,
    /// Not yet taken by the inbox.
    untold: VecDeque<Incoming>,
}

/// A client as it is polled: which, and what for.
struct Polled {
    client: ClientId,
    socket: Arc<OwnedFd>,
    read: bool,
    write: bool,
}

/// What poll said of a client.
struct Came {
    client: ClientId,
    readable: bool,
    writable: bool,
    hung_up: bool,
}

impl<F: Fn(Incoming) -> bool> Thread<F> {
    pub fn new(shared: Arc<Shared>, listener: OwnedFd, allowed_uid: u32, requests: F) -> Self {
        Self {
            shared,
            listener,
            allowed_uid,
            requests,
            next_id: 1,
            accept_after: None,
            complained: None,
            untold: VecDeque::new(),
        }
    }

    pub fn run(mut self) {
        while !self.shared.stop.load(Ordering::Acquire) {
            let (polled, deadline) = self.look_round(now());
            self.tell_untold();
            let again = [deadline, self.accept_after, (!self.untold.is_empty()).then(|| now() + TELL_AGAIN)];
            let timeout = again.into_iter().flatten().min().map(|time| time.since(now()));
            let (accept, came) = match self.wait(&polled, timeout) {
                Ok(came) => came,
                Err(error) => {
                    self.complain(format!("cannot wait for clients: {error}; trying again"));
                    std::thread::park_timeout(ACCEPT_AGAIN);
                    continue;
                }
            };
            self.shared.waker.clear();
            if accept {
                self.accept(now());
            }
            for one in came {
                self.serve(&one);
            }
        }
    }

    /// Ends who has to be ended, starts requests that waited for a reply, and tells whom to poll
    /// and the earliest deadline of all.
    fn look_round(&mut self, now: Time) -> (Vec<Polled>, Option<Time>) {
        let mut waiting_for_turn = Vec::new();
        for (client, connection) in self.shared.lock().iter_mut() {
            connection.look_at_deadline(now);
            if !connection.is_busy() {
                waiting_for_turn.push(*client);
            }
        }
        for client in waiting_for_turn {
            self.hand_over(client);
        }
        let shared = Arc::clone(&self.shared);
        let mut clients = shared.lock();
        let ended: Vec<ClientId> =
            clients.iter().filter(|(_, connection)| connection.has_ended()).map(|(id, _)| *id).collect();
        for client in ended {
            if clients.remove(&client).is_some_and(|connection| connection.is_busy()) {
                self.untold.push_back(Incoming::Gone { client });
            }
        }
        let polled = clients
            .iter()
            .map(|(client, connection)| Polled {
                client: *client,
                socket: Arc::clone(&connection.socket),
                read: connection.wants_to_read(),
                write: connection.wants_to_write(),
            })
            .collect();
        (polled, clients.values().filter_map(|connection| connection.deadline).min())
    }

    fn tell_untold(&mut self) {
        while let Some(first) = self.untold.front() {
            if !(self.requests)(first.clone()) {
                return;
            }
            self.untold.pop_front();
        }
    }

    /// Whether to accept, and what came from whom.
    fn wait(&self, polled: &[Polled], timeout: Option<Duration>) -> io::Result<(bool, Vec<Came>)> {
        let listening = self.accept_after.is_none_or(|time| time <= now());
        let mut waiting = Vec::with_capacity(polled.len() + 2);
        waiting.push(Waiting::to_read(self.shared.waker.as_fd()));
        for one in polled {
            waiting.push(match (one.read, one.write) {
                (true, true) => Waiting::to_read_and_write(one.socket.as_fd()),
                (true, false) => Waiting::to_read(one.socket.as_fd()),
                (false, true) => Waiting::to_write(one.socket.as_fd()),
                (false, false) => Waiting::to_end(one.socket.as_fd()),
            });
        }
        if listening {
            waiting.push(Waiting::to_read(self.listener.as_fd()));
        }
        poll(&mut waiting, timeout)?;
        let accept = listening && waiting.pop().is_some_and(|listener| listener.readable());
        let came = polled
            .iter()
            .zip(waiting.iter().skip(1))
            .filter(|(_, came)| came.readable() || came.writable())
            .map(|(one, came)| Came {
                client: one.client,
                readable: came.readable() && one.read,
                writable: came.writable() && one.write,
                hung_up: came.hung_up(),
            })
            .collect();
        Ok((accept, came))
    }

    fn serve(&mut self, came: &Came) {
        if let Some(connection) = self.shared.lock().get_mut(&came.client) {
            let now = now();
            if came.readable {
                connection.read(now);
            }
            if came.writable {
                connection.write(now);
            }
            if came.hung_up && !came.readable {
                connection.hang_up();
            }
        }
        self.hand_over(came.client);
    }

    /// Gives the client's next requests to the supervisor, one after the other.
    fn hand_over(&mut self, client: ClientId) {
        loop {
            let (line, asker) = match self.shared.lock().get_mut(&client) {
                Some(connection) => (connection.next_line(now()), connection.asker),
                None => return,
            };
            let refusal = match line {
                Line::None => return,
                Line::TooLong => {
                    Some((ErrorKind::Usage, "cannot read the request: it is too long".to_owned()))
                }
                Line::Whole(line) => match Request::parse(&line) {
                    Err(message) => Some((ErrorKind::Usage, message)),
                    Ok(request) => {
                        let what = request.what;
                        let taken = (self.requests)(Incoming::Request { client, asker, what });
                        (!taken)
                            .then(|| (ErrorKind::System, "too many requests at once; try again".to_owned()))
                    }
                },
            };
            let Some((kind, message)) = refusal else { return };
            if let Some(connection) = self.shared.lock().get_mut(&client) {
                connection.reply(&[Reply::Error { kind, message }], now());
                // Who does not speak the language has nothing more to say.
                if kind == ErrorKind::Usage {
                    connection.close(now());
                }
            }
        }
    }

    fn accept(&mut self, now: Time) {
        for _ in 0..ACCEPTS_AT_ONCE {
            match unix_socket::accept(self.listener.as_fd()) {
                Ok(socket) => {
                    self.accept_after = None;
                    self.complained = None;
                    self.welcome(socket, now);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.accept_after = None;
                    return;
                }
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted
                    ) => {}
                Err(error) => {
                    self.accept_after = Some(now + ACCEPT_AGAIN);
                    self.complain(format!("cannot accept on the control socket: {error}; trying again"));
                    return;
                }
            }
        }
    }

    fn welcome(&mut self, socket: OwnedFd, now: Time) {
        let Ok(peer) = unix_socket::peer(socket.as_fd()) else { return };
        if peer.uid != self.allowed_uid && peer.uid != 0 {
            let message = format!("uid {} may not; only uid {} and root may", peer.uid, self.allowed_uid);
            return refuse(&socket, ErrorKind::Denied, message);
        }
        if self.shared.lock().len() >= CLIENTS_MAX {
            let message = format!("too many clients: {CLIENTS_MAX} are connected; try again later");
            return refuse(&socket, ErrorKind::System, message);
        }
        let client = ClientId(self.next_id);
        self.next_id += 1;
        let asker = Asker { uid: peer.uid, pid: peer.pid };
        self.shared.lock().insert(client, Connection::new(socket, asker, now));
        // The request is mostly there already.
        self.serve(&Came { client, readable: true, writable: false, hung_up: false });
    }

    fn complain(&mut self, text: String) {
        if self.complained.as_ref() != Some(&text) {
            self.complained = Some(text.clone());
            self.untold.push_back(Incoming::Complaint { text });
        }
    }
}

fn refuse(socket: &OwnedFd, kind: ErrorKind, message: String) {
    if let Ok(line) = line(&Reply::Error { kind, message }) {
        // A new socket has room for a line; a peer that has gone already needs none.
        drop(unix_socket::send(socket.as_fd(), &line));
    }
}

//! The control server against friendly, slow and hostile clients, in one process.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use svc::control::{Client, ClientId, Incoming, Received, SOCKET_NAME, Server};
use svc::lifecycle::{StateWord, Verb};
use svc::os::unix_socket::effective_uid;
use svc::protocol::control::{ErrorKind, Reply, ServiceOutcome, What};
use tempfile::TempDir;

/// Far more than anything here takes; only a hang reaches it.
const DEADLINE: Duration = Duration::from_secs(30);
const PING: &str = "{\"version\":1,\"request\":\"ping\"}\n";

struct Room {
    directory: TempDir,
    server: Server,
    came: Receiver<Incoming>,
}

impl Room {
    fn new() -> Self {
        Self::with(effective_uid(), |_| true)
    }

    fn with(allowed_uid: u32, taken: impl Fn(&Incoming) -> bool + Send + 'static) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join(SOCKET_NAME)).unwrap();
        let (sender, came) = channel();
        let inbox = move |incoming: Incoming| taken(&incoming) && sender.send(incoming).is_ok();
        let server = Server::start(OwnedFd::from(listener), allowed_uid, inbox).unwrap();
        Self { directory, server, came }
    }

    fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(self.directory.path().join(SOCKET_NAME)).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        stream
    }

    fn client(&self) -> Client {
        Client::connect(self.directory.path()).unwrap()
    }

    fn next(&self) -> Incoming {
        self.came.recv_timeout(DEADLINE).expect("something comes in time")
    }

    fn next_request(&self) -> (ClientId, What) {
        match self.next() {
            Incoming::Request { client, what, .. } => (client, what),
            other => panic!("a request was expected, {other:?} came"),
        }
    }
}

fn pong() -> Reply {
    Reply::Pong { version: 1, supervisor_pid: 2, guardian_pid: 3 }
}

fn outcome(name: &str) -> Reply {
    Reply::Outcome(ServiceOutcome {
        name: name.to_owned(),
        ok: true,
        already: false,
        state: StateWord::Up,
        pid: Some(7),
        why: None,
        exit: None,
        log: Vec::new(),
    })
}

fn read_line(stream: &UnixStream) -> String {
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line
}

fn assert_error(stream: &mut UnixStream, expected: ErrorKind, part: &str) {
    let mut text = String::new();
    // A reset after the text comes from what the server did not want to read.
    drop(stream.read_to_string(&mut text));
    match serde_json::from_str(text.trim_end()) {
        Ok(Reply::Error { kind, message }) => {
            assert_eq!(kind, expected, "{message}");
            assert!(message.contains(part), "{message}");
        }
        other => panic!("an error was expected, not {text:?} ({other:?})"),
    }
}

/// The server still answers somebody new.
fn assert_serves(room: &Room) {
    let stream = room.connect();
    (&stream).write_all(PING.as_bytes()).unwrap();
    loop {
        match room.next() {
            Incoming::Request { client, what: What::Ping, .. } => {
                room.server.reply(client, &[pong()]);
                break;
            }
            Incoming::Request { .. } | Incoming::Gone { .. } => {}
            Incoming::Complaint { text } => panic!("{text}"),
        }
    }
    assert!(read_line(&stream).contains("pong"));
}

#[test]
fn a_request_comes_with_the_peers_credentials_and_its_reply_goes_back() {
    let room = Room::new();
    let mut client = room.client();
    client.send(What::Ping).unwrap();
    let Incoming::Request { client: id, asker, what } = room.next() else { panic!("no request") };
    assert_eq!(what, What::Ping);
    assert_eq!((asker.uid, asker.pid), (effective_uid(), std::process::id() as i32));
    room.server.reply(id, &[pong()]);
    assert!(matches!(client.receive(None).unwrap(), Received::Reply(reply) if *reply == pong()));
}

#[test]
fn one_connection_may_ask_many_times_one_after_the_other() {
    let room = Room::new();
    let mut client = room.client();
    for _ in 0..100 {
        client.send(What::Rescan).unwrap();
        let (id, what) = room.next_request();
        assert_eq!(what, What::Rescan);
        room.server.reply(id, &[pong()]);
        assert!(matches!(client.receive(None).unwrap(), Received::Reply(_)));
    }
}

#[test]
fn requests_sent_ahead_are_handed_over_only_after_the_last_reply_to_the_one_before() {
    let room = Room::new();
    let stream = room.connect();
    let act = "{\"version\":1,\"request\":\"act\",\"verb\":\"up\",\"names\":[\"web\"]}\n";
    (&stream).write_all(format!("{act}{PING}{PING}").as_bytes()).unwrap();
    let (id, what) = room.next_request();
    assert_eq!(what, What::Act { verb: Verb::Up, names: vec!["web".to_owned()], all: false, wait: true });
    room.server.reply(id, &[outcome("web")]);
    assert!(room.came.try_recv().is_err(), "the first one is still in progress");
    room.server.reply(id, &[Reply::End]);
    assert_eq!(room.next_request(), (id, What::Ping));
    room.server.reply(id, &[pong()]);
    assert_eq!(room.next_request(), (id, What::Ping));
    room.server.reply(id, &[pong()]);
    let kinds: Vec<String> = BufReader::new(&stream).lines().take(4).map(|line| line.unwrap()).collect();
    assert!(kinds[0].contains("outcome") && kinds[1].contains("end"), "{kinds:?}");
    assert!(kinds[2].contains("pong") && kinds[3].contains("pong"), "{kinds:?}");
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let room = Room::new();
    let stream = room.connect();
    for byte in PING.as_bytes() {
        (&stream).write_all(&[*byte]).unwrap();
    }
    assert_eq!(room.next_request().1, What::Ping);
}

#[test]
fn a_client_that_closed_its_writing_side_still_gets_its_reply_and_then_the_end() {
    let room = Room::new();
    let stream = room.connect();
    (&stream).write_all(PING.as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let (id, _) = room.next_request();
    room.server.reply(id, &[pong()]);
    let mut all = String::new();
    (&stream).read_to_string(&mut all).unwrap();
    assert!(all.contains("pong"));
}

#[test]
fn a_client_that_goes_away_while_it_waits_is_reported_once() {
    let room = Room::new();
    let mut client = room.client();
    client.send(What::Events { names: Vec::new() }).unwrap();
    let (id, _) = room.next_request();
    drop(client);
    assert_eq!(room.next(), Incoming::Gone { client: id });
    room.server.reply(id, &[Reply::End]);
    room.server.close(id);
    assert_serves(&room);
}

#[test]
fn a_client_that_leaves_after_its_answer_is_not_reported() {
    let room = Room::new();
    let mut client = room.client();
    client.send(What::Ping).unwrap();
    let (id, _) = room.next_request();
    room.server.reply(id, &[pong()]);
    client.receive(None).unwrap();
    drop(client);
    assert_serves(&room);
    assert!(room.came.try_recv().is_err());
}

#[test]
fn close_sends_what_was_replied_and_then_the_end() {
    let room = Room::new();
    let mut client = room.client();
    client.send(What::Shutdown).unwrap();
    let (id, _) = room.next_request();
    room.server.reply(id, &[Reply::ShuttingDown]);
    room.server.close(id);
    assert!(matches!(client.receive(None).unwrap(), Received::Reply(reply) if *reply == Reply::ShuttingDown));
    assert!(matches!(client.receive(None).unwrap(), Received::Ended));
}

#[test]
fn a_reply_larger_than_the_socket_buffer_arrives_whole() {
    let room = Room::new();
    let mut client = room.client();
    client.send(What::Why { name: "web".to_owned() }).unwrap();
    let (id, _) = room.next_request();
    let problems: Vec<String> =
        (0..40_000).map(|n| format!("problem number {n} of a very long list")).collect();
    let big = Reply::Rescanned { added: Vec::new(), changed: Vec::new(), removed: Vec::new(), problems };
    room.server.reply(id, std::slice::from_ref(&big));
    assert!(matches!(client.receive(None).unwrap(), Received::Reply(reply) if *reply == big));
}

#[test]
fn a_client_that_never_reads_is_dropped_and_reported() {
    let room = Room::new();
    let slow = room.connect();
    (&slow).write_all(b"{\"version\":1,\"request\":\"events\"}\n").unwrap();
    let (id, _) = room.next_request();
    let text = "x".repeat(100_000);
    let reply = Reply::Rescanned { added: vec![text], changed: vec![], removed: vec![], problems: vec![] };
    let is_full = (0..200).any(|_| {
        let partial = Reply::Transition(transition());
        room.server.reply(id, &[partial]);
        if let Reply::Rescanned { added, .. } = &reply {
            let mut long = transition();
            long.text = added[0].clone();
            room.server.reply(id, &[Reply::Transition(long)]);
        }
        matches!(room.came.try_recv(), Ok(Incoming::Gone { client }) if client == id)
    });
    if !is_full {
        assert_eq!(room.next(), Incoming::Gone { client: id });
    }
    assert_serves(&room);
}

fn transition() -> svc::protocol::control::StampedTransition {
    svc::protocol::control::StampedTransition {
        name: "web".to_owned(),
        at: "2026-11-22T17:00:00Z".to_owned(),
        transition: svc::lifecycle::Transition {
            from: StateWord::Up,
            to: StateWord::Down,
            pid: None,
            cause: svc::lifecycle::Cause::Boot,
        },
        text: "boot".to_owned(),
    }
}

#[test]
fn garbage_is_answered_with_what_is_wrong_and_the_end() {
    let room = Room::new();
    let cases: BTreeMap<&[u8], &str> = BTreeMap::from([
        (&b"hello\n"[..], "one JSON object a line"),
        (&b"\n"[..], "one JSON object a line"),
        (&b"\0\0\0\n"[..], "one JSON object a line"),
        (&b"\xff\xfe\n"[..], "one JSON object a line"),
        (&b"[1,2]\n"[..], "one JSON object a line"),
        (&b"{}\n"[..], "it has no \"version\""),
        (
            &b"{\"version\":2,\"request\":\"dance\"}\n"[..],
            "cannot speak version 2; this svc speaks version 1",
        ),
        (&b"{\"version\":1}\n"[..], "missing field `request`"),
        (&b"{\"version\":1,\"request\":\"dance\"}\n"[..], "unknown variant `dance`"),
        (&b"{\"version\":1,\"request\":\"act\",\"verb\":\"up\"}\n"[..], "or \"all\": true"),
        (&b"{\"version\":1,\"request\":\"act\",\"verb\":\"up\",\"names\":[7]}\n"[..], "invalid type"),
    ]);
    for (bytes, part) in cases {
        let mut stream = room.connect();
        stream.write_all(bytes).unwrap();
        assert_error(&mut stream, ErrorKind::Usage, part);
    }
    assert_serves(&room);
}

#[test]
fn deep_nesting_is_an_error_and_no_stack_overflow() {
    let room = Room::new();
    let (open, close) = ("[".repeat(100_000), "]".repeat(100_000));
    for (nested, part) in [(format!("{open}{close}"), "recursion limit"), (open, "expected value")] {
        let mut stream = room.connect();
        let deep = format!("{{\"version\":1,\"request\":\"act\",\"names\":{nested}}}\n");
        stream.write_all(deep.as_bytes()).unwrap();
        assert_error(&mut stream, ErrorKind::Usage, part);
    }
}

#[test]
fn a_line_without_end_is_cut_off_at_the_limit() {
    let room = Room::new();
    let mut stream = room.connect();
    let block = vec![b'a'; 64 * 1024];
    // The server stops reading: sooner or later this fails, or all was swallowed by the buffers.
    for _ in 0..64 {
        if stream.write_all(&block).is_err() {
            break;
        }
    }
    assert_error(&mut stream, ErrorKind::Usage, "too long");
    assert_serves(&room);
}

#[test]
fn a_full_inbox_is_said_to_the_client_and_the_connection_goes_on() {
    let room = Room::with(effective_uid(), |incoming| {
        !matches!(incoming, Incoming::Request { what: What::Rescan, .. })
    });
    let mut client = room.client();
    client.send(What::Rescan).unwrap();
    match client.receive(None).unwrap() {
        Received::Reply(reply) => match *reply {
            Reply::Error { kind: ErrorKind::System, message } => {
                assert_eq!(message, "too many requests at once; try again")
            }
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
    client.send(What::Ping).unwrap();
    assert_eq!(room.next_request().1, What::Ping);
}

#[test]
fn a_gone_that_the_inbox_refused_is_told_again() {
    use std::sync::atomic::{AtomicU32, Ordering};
    let refused = AtomicU32::new(0);
    let room = Room::with(effective_uid(), move |incoming| {
        !matches!(incoming, Incoming::Gone { .. }) || refused.fetch_add(1, Ordering::Relaxed) >= 3
    });
    let mut client = room.client();
    client.send(What::Events { names: Vec::new() }).unwrap();
    let (id, _) = room.next_request();
    drop(client);
    assert_eq!(room.next(), Incoming::Gone { client: id });
}

#[test]
fn the_257th_client_is_told_and_a_thousand_connections_harm_nobody() {
    let room = Room::new();
    let mut kept = Vec::new();
    for _ in 0..256 {
        let stream = room.connect();
        (&stream).write_all(PING.as_bytes()).unwrap();
        let (id, _) = room.next_request();
        room.server.reply(id, &[pong()]);
        assert!(read_line(&stream).contains("pong"));
        kept.push(stream);
    }
    for _ in 0..744 {
        let mut stream = room.connect();
        assert_error(&mut stream, ErrorKind::System, "too many clients: 256 are connected");
    }
    drop(kept);
    // The places are free as soon as the thread has seen the ends.
    let mut client = loop {
        let mut client = room.client();
        client.send(What::Ping).unwrap();
        match room.came.recv_timeout(Duration::from_millis(20)) {
            Ok(_) => break client,
            Err(_) => assert!(matches!(client.receive(None).unwrap(), Received::Reply(_) | Received::Ended)),
        }
    };
    client.send(What::Ping).unwrap();
}

#[test]
fn a_peer_of_another_uid_is_denied() {
    if effective_uid() == 0 {
        // Root is always allowed: see `control_denied.rs`.
        return;
    }
    let room = Room::with(effective_uid() + 1, |_| true);
    let mut stream = room.connect();
    assert_error(&mut stream, ErrorKind::Denied, "may not");
}

#[test]
fn a_listener_that_is_broken_is_complained_about_once_and_the_thread_goes_on() {
    let (no_listener, other) = UnixStream::pair().unwrap();
    drop(other);
    let (sender, came) = channel();
    let inbox = move |incoming: Incoming| sender.send(incoming).is_ok();
    let server = Server::start(OwnedFd::from(no_listener), effective_uid(), inbox).unwrap();
    let expected = "cannot accept on the control socket: Invalid argument (os error 22); trying again";
    let complaint = Incoming::Complaint { text: expected.to_owned() };
    assert_eq!(came.recv_timeout(DEADLINE).unwrap(), complaint);
    // It tries again several times in this second.
    assert!(came.recv_timeout(Duration::from_secs(1)).is_err(), "it is said once");
    drop(server);
}

#[test]
fn dropping_the_server_ends_its_thread_and_its_clients() {
    let room = Room::new();
    let mut stream = room.connect();
    stream.write_all(PING.as_bytes()).unwrap();
    room.next_request();
    let Room { server, came, directory } = room;
    drop(server);
    assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0);
    assert!(came.recv_timeout(DEADLINE).is_err());
    assert!(UnixStream::connect(directory.path().join(SOCKET_NAME)).is_err());
}

#[test]
fn a_runtime_directory_with_a_path_longer_than_a_socket_address_can_be_reached() {
    let top = tempfile::tempdir().unwrap();
    let long = top.path().join("d".repeat(120));
    std::fs::create_dir(&long).unwrap();
    let listener = UnixListener::bind(top.path().join(SOCKET_NAME)).unwrap();
    std::fs::rename(top.path().join(SOCKET_NAME), long.join(SOCKET_NAME)).unwrap();
    assert!(Client::connect(&long).is_ok());
    drop(listener);
    let error = Client::connect(&long).err().unwrap();
    assert!(error.is_absent());
}

#[test]
fn every_way_not_to_reach_the_supervisor_says_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().display().to_string();
    let error = Client::connect(directory.path()).err().unwrap().to_string();
    assert_eq!(
        error,
        format!(
            "cannot reach svc at {path}/control: No such file or directory; is it running? start it with \
             `svc daemon`, or name its runtime directory with --runtime-dir"
        )
    );
    drop(UnixListener::bind(directory.path().join(SOCKET_NAME)).unwrap());
    let error = Client::connect(directory.path()).err().unwrap().to_string();
    assert_eq!(
        error,
        format!(
            "cannot reach svc at {path}/control: Connection refused; it has ended and left its socket behind; \
             start it with `svc daemon`"
        )
    );
}

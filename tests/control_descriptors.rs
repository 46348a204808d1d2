//! A supervisor that has no descriptor left goes on serving as soon as it has one again.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Command;
use std::sync::mpsc::channel;
use std::time::Duration;

use svc::control::{Incoming, SOCKET_NAME, Server};
use svc::os::unix_socket::effective_uid;
use svc::protocol::control::Reply;

const DEADLINE: Duration = Duration::from_secs(30);
/// Set in the child, which has few descriptors.
const CHILD: &str = "SVC_TEST_FEW_DESCRIPTORS";
const TEST: &str = "without_descriptors_clients_wait_and_are_served_when_there_are_some_again";

#[test]
fn without_descriptors_clients_wait_and_are_served_when_there_are_some_again() {
    if std::env::var_os(CHILD).is_some() {
        return in_child();
    }
    let output = Command::new("sh")
        .args(["-c", "ulimit -n 40; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", TEST, "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn in_child() {
    let top = tempfile::tempdir().unwrap();
    let path = top.path().join(SOCKET_NAME);
    let listener = UnixListener::bind(&path).unwrap();
    let (sender, came) = channel();
    let inbox = move |incoming: Incoming| sender.send(incoming).is_ok();
    let server = Server::start(OwnedFd::from(listener), effective_uid(), inbox).unwrap();
    let mut fillers = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        fillers.push(file);
    }
    drop(fillers.pop());
    let client = UnixStream::connect(&path).unwrap();
    (&client).write_all(b"{\"version\":1,\"request\":\"ping\"}\n").unwrap();
    let expected = "cannot accept on the control socket: Too many open files (os error 24); trying again";
    let complaint = Incoming::Complaint { text: expected.to_owned() };
    assert_eq!(came.recv_timeout(DEADLINE).unwrap(), complaint);
    drop(fillers);
    let Incoming::Request { client: id, .. } = came.recv_timeout(DEADLINE).unwrap() else {
        panic!("no request")
    };
    server.reply(id, &[Reply::Pong { version: 1, supervisor_pid: 1, guardian_pid: 1 }]);
    let mut line = String::new();
    BufReader::new(&client).read_line(&mut line).unwrap();
    assert!(line.contains("pong"));
}

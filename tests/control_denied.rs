//! A client of another user is refused. Needs root, to become another user in a child.

use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::process::Command;

use svc::control::{SOCKET_NAME, Server};
use svc::os::unix_socket::effective_uid;

const NOBODY: u32 = 65534;
/// Set in the child: where to connect.
const SOCKET: &str = "SVC_TEST_DENIED_SOCKET";

#[test]
fn a_client_of_another_user_is_told_that_it_may_not() {
    if let Some(path) = std::env::var_os(SOCKET) {
        // The child, as nobody.
        let mut text = String::new();
        UnixStream::connect(path).unwrap().read_to_string(&mut text).unwrap();
        eprintln!("{text}");
        return;
    }
    if effective_uid() != 0 {
        assert!(std::env::var_os("SVC_TESTS_MUST_RUN").is_none(), "this test needs root");
        eprintln!("skipped: it needs root, to become another user");
        return;
    }
    let top = tempfile::tempdir().unwrap();
    let path = top.path().join(SOCKET_NAME);
    let listener = UnixListener::bind(&path).unwrap();
    // As if somebody had opened the doors: the kernel's word on the uid still counts.
    std::fs::set_permissions(top.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
    let program = top.path().join("client");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let _server = Server::start(OwnedFd::from(listener), 0, |incoming| panic!("{incoming:?}")).unwrap();
    let output = Command::new(program)
        .args(["--exact", "a_client_of_another_user_is_told_that_it_may_not", "--nocapture"])
        .env(SOCKET, &path)
        .current_dir("/")
        .gid(NOBODY)
        .uid(NOBODY)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let expected = "{\"reply\":\"error\",\"kind\":\"denied\",\"message\":\"uid 65534 may not; only uid 0 and root may\"}";
    assert!(said.contains(expected), "{said}");
}

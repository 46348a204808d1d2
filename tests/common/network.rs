//! Small talks with servers on the loopback address and on unix sockets.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);

/// A port of 127.0.0.1 that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Sends and reads until `enough` or the end; None while nobody listens.
pub fn ask_tcp(port: u16, question: &str, enough: &str) -> Option<String> {
    let stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(ANSWER_TIME_MAX)).ok()?;
    converse(stream, question, enough)
}

pub fn ask_unix(path: &Path, question: &str, enough: &str) -> Option<String> {
    let stream = UnixStream::connect(path).ok()?;
    stream.set_read_timeout(Some(ANSWER_TIME_MAX)).ok()?;
    converse(stream, question, enough)
}

fn converse(mut stream: impl Read + Write, question: &str, enough: &str) -> Option<String> {
    stream.write_all(question.as_bytes()).ok()?;
    let mut answer = Vec::new();
    let mut block = [0; 4096];
    loop {
        match stream.read(&mut block) {
            Ok(0) | Err(_) => break,
            Ok(length) => answer.extend_from_slice(&block[..length]),
        }
        if String::from_utf8_lossy(&answer).contains(enough) {
            break;
        }
    }
    let answer = String::from_utf8_lossy(&answer).into_owned();
    answer.contains(enough).then_some(answer)
}

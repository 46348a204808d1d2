//! A supervisor on strings: it passes orders from the test to the guardian, and reports back.
//!
//! A frame is a length and that many bytes, then a count and that many numbers: descriptors to be
//! passed on are named by path in orders, and by number (of this process) in reports.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::exit;
use std::thread;

use svc::os::{descriptor, seqpacket};

/// SOCKET_OF_THE_TEST, or `die CODE`, or `pong`.
pub fn play(words: &[OsString]) -> ! {
    match words[1..].first().and_then(|word| word.to_str()) {
        Some("die") => exit(3),
        Some("pong") => answer_pings(),
        _ => {}
    }
    if Path::new(&words[0]).with_extension("die").exists() {
        exit(4);
    }
    let guardian = descriptor::inherited(3).unwrap();
    let mut test = UnixStream::connect(&words[0]).unwrap();
    test.write_all(&std::process::id().to_le_bytes()).unwrap();
    let (to_guardian, mut from_test) = (guardian.try_clone().unwrap(), test.try_clone().unwrap());
    let mut answer = test.try_clone().unwrap();
    thread::spawn(move || {
        while let Some((bytes, paths)) = read_order(&mut from_test) {
            if bytes.is_empty() && paths.is_empty() {
                // The test wants to know that everything before has been sent.
                answer.write_all(&[0; 8]).unwrap();
                continue;
            }
            let files: Vec<File> =
                paths.iter().map(|path| File::options().read(true).write(true).open(path).unwrap()).collect();
            let descriptors: Vec<_> = files.iter().map(|file| file.as_fd()).collect();
            seqpacket::send(to_guardian.as_fd(), &bytes, &descriptors).unwrap();
        }
        exit(0);
    });
    let mut kept: Vec<OwnedFd> = Vec::new();
    while let Some(message) = seqpacket::receive(guardian.as_fd()).unwrap() {
        write_bytes(&mut test, &message.bytes);
        test.write_all(&(message.descriptors.len() as u32).to_le_bytes()).unwrap();
        for descriptor in message.descriptors {
            test.write_all(&descriptor.as_raw_fd().to_le_bytes()).unwrap();
            kept.push(descriptor);
        }
    }
    exit(0);
}

/// One that only answers clients.
fn answer_pings() -> ! {
    let listener = UnixListener::from(descriptor::inherited(4).unwrap());
    loop {
        let (mut client, _) = listener.accept().unwrap();
        let mut request = [0; 64];
        let length = client.read(&mut request).unwrap();
        assert_eq!(&request[..length], b"{\"version\":1,\"request\":\"ping\"}\n");
        client.write_all(b"{\"reply\":\"pong\"}\n").unwrap();
    }
}

fn read_order(test: &mut UnixStream) -> Option<(Vec<u8>, Vec<String>)> {
    let bytes = read_bytes(test)?;
    let count = read_number(test)?;
    let paths = (0..count).map(|_| String::from_utf8(read_bytes(test).unwrap()).unwrap()).collect();
    Some((bytes, paths))
}

pub fn read_number(from: &mut UnixStream) -> Option<u32> {
    let mut bytes = [0; 4];
    from.read_exact(&mut bytes).ok()?;
    Some(u32::from_le_bytes(bytes))
}

pub fn read_bytes(from: &mut UnixStream) -> Option<Vec<u8>> {
    let mut bytes = vec![0; read_number(from)? as usize];
    from.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

pub fn write_bytes(to: &mut UnixStream, bytes: &[u8]) {
    to.write_all(&(bytes.len() as u32).to_le_bytes()).unwrap();
    to.write_all(bytes).unwrap();
}

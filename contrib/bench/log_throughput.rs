//! The moving parts of `contrib/bench/log-throughput`: a writer of lines, svc's logger alone on
//! stdin, and the bare loop that does only what no logger can leave out.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::ExitCode;

use svc::lifecycle::Name;
use svc::logger::{Kept, Logger, LoggerSetup, rfc3339};
use svc::os::clock::wall;
use svc::os::pipe::pipe;
use svc::os::poll::{Waiting, poll};
use svc::os::shared::memory;
use svc::service::LogSettings;

const LINE: &[u8; 100] = b"2001:db8::1 - - \"GET /assets/app-3f9c1.js HTTP/1.1\" 200 48213 \"-\" \"Mozilla/5.0 (X11; Linux x86_64)\"\n";
const BLOCK_BYTES: usize = 256 << 10;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["write", block, total] => match (block.parse(), total.parse()) {
            (Ok(block), Ok(total)) => write_lines(block, total),
            _ => return usage(),
        },
        ["bare", file] => bare(file),
        ["svc", directory] => logger(directory.into()),
        _ => return usage(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("log_throughput: {error}");
            ExitCode::from(111)
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: log_throughput write BLOCK TOTAL | bare FILE | svc DIRECTORY");
    ExitCode::from(100)
}

/// `total` bytes of lines of 100 bytes, so many whole lines with each write(2) as fit in `block`.
fn write_lines(block: usize, total: usize) -> io::Result<()> {
    let text = LINE.repeat((block / LINE.len()).max(1));
    let mut out = std::fs::File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let mut written = 0;
    while written < total {
        out.write_all(&text)?;
        written += text.len();
    }
    Ok(())
}

/// Read, find the lines, put the time in front, write.
fn bare(file: &str) -> io::Result<()> {
    let mut from = std::fs::File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut to = std::fs::File::create(file)?;
    let (mut block, mut out) = (vec![0; BLOCK_BYTES], Vec::with_capacity(2 * BLOCK_BYTES));
    loop {
        let read = from.read(&mut block)?;
        if read == 0 {
            return Ok(());
        }
        let stamp = rfc3339(wall());
        out.clear();
        let mut begin = 0;
        for end in memchr::memchr_iter(b'\n', &block[..read]) {
            out.extend_from_slice(&stamp);
            out.push(b' ');
            out.extend_from_slice(&block[begin..=end]);
            begin = end + 1;
        }
        out.extend_from_slice(&block[begin..read]);
        to.write_all(&out)?;
    }
}

fn logger(log_dir: PathBuf) -> io::Result<()> {
    let stdin = io::stdin().as_fd().try_clone_to_owned()?;
    // As the guardian keeps it.
    let (reader, writer) = pipe()?;
    let kept = Some(Kept { memory: memory()?, reader, writer });
    let setup = LoggerSetup { log_dir, console: None, took_over: false, kept };
    let logger = Logger::start(setup, |fact| eprintln!("{fact:?}"))?;
    let name = Name::new("bench").map_err(io::Error::other)?;
    logger.attach(name, stdin.try_clone()?, LogSettings::default());
    // Until the last writer has gone.
    while poll(&mut [Waiting::to_end(stdin.as_fd())], None)? == 0 {}
    logger.finish();
    Ok(())
}

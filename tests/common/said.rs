//! What a command said: its exit code and both outputs. Every run is bounded.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use super::PATIENCE;

#[derive(Debug)]
pub struct Said {
    /// The exit code; 128 + n after signal n.
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    /// Both outputs, for messages and for looking for a word wherever it stands.
    pub fn all(&self) -> String {
        format!("{}{}", self.out, self.err)
    }

    #[track_caller]
    pub fn expect_code(self, code: i32) -> Said {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.out, self.err);
        self
    }

    #[track_caller]
    pub fn expect_words(self, words: &[&str]) -> Said {
        let all = self.all().to_lowercase();
        for word in words {
            assert!(all.contains(&word.to_lowercase()), "{word:?} is missing in: {}", self.all());
        }
        self
    }
}

/// Runs it to its end, or kills it after `PATIENCE` and panics.
#[track_caller]
pub fn run(command: &mut Command) -> Said {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    let out = read_aside(child.stdout.take());
    let err = read_aside(child.stderr.take());
    let code = end_of(&mut child, &format!("{command:?}"));
    Said { code, out: out.join().unwrap(), err: err.join().unwrap() }
}

/// A process that runs beside the test, and no longer than it.
pub struct Running(pub Child);

impl Running {
    #[track_caller]
    pub fn spawn(command: &mut Command) -> Running {
        Running(command.spawn().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}")))
    }

    pub fn pid(&self) -> i32 {
        self.0.id() as i32
    }

    /// Waits for its end; its code, or 128 + n.
    #[track_caller]
    pub fn end(&mut self) -> i32 {
        let what = format!("process {}", self.pid());
        end_of(&mut self.0, &what)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Copies a program by a process of its own: while this one has a file open for writing, whatever is
/// forked meanwhile keeps it open too, and nobody can execute it.
#[track_caller]
pub fn copy_program(from: &Path, to: &Path) {
    run(Command::new("cp").arg(from).arg(to)).expect_code(0);
}

fn read_aside(pipe: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            pipe.read_to_end(&mut bytes).ok();
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Waits for the end of a child; its code, or 128 + n.
#[track_caller]
pub fn end_of(child: &mut Child, what: &str) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    let deadline = Instant::now() + 2 * PATIENCE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
        }
        if Instant::now() > deadline {
            child.kill().ok();
            child.wait().ok();
            panic!("{what} did not end");
        }
        std::thread::park_timeout(std::time::Duration::from_millis(2));
    }
}

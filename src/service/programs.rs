//! Whether a program can be started: it is there, is a file, is executable, and so is what
//! interprets it.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::reading::{cause, kind_in_words};
use crate::os::directory::{Directory, FileFacts, FileKind};

/// The PATH of a service that has none of its own and does not inherit svc's.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// As much as the kernel reads of a file to see what it is (BINPRM_BUF_SIZE, linux/binfmts.h).
const HEAD_BYTES: u64 = 256;

/// Why a program cannot be started, and what to do.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    pub text: String,
    pub help: Option<String>,
}

impl Fault {
    fn new(text: impl Into<String>, help: Option<String>) -> Self {
        Self { text: text.into(), help }
    }
}

/// Checks a file that is to be executed; `name` is relative to `directory` or absolute.
pub fn check(directory: &Directory, shown: &Path, name: &Path, facts: &FileFacts) -> Result<(), Fault> {
    check_kind(shown, facts)?;
    match read_head(directory, name) {
        Ok(head) => check_head(directory, &head),
        // A program may be executed by those who may not read it.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        Err(error) => Err(Fault::new(format!("cannot be read: {}", cause(&error)), None)),
    }
}

/// A regular, executable file, whatever is in it.
pub fn check_kind(shown: &Path, facts: &FileFacts) -> Result<(), Fault> {
    match facts.kind {
        FileKind::Regular => {}
        FileKind::Directory | FileKind::Link | FileKind::Fifo | FileKind::Socket | FileKind::Device => {
            let text = format!("is {}, not a program", kind_in_words(facts.kind));
            return Err(Fault::new(text, None));
        }
    }
    if facts.mode & 0o111 == 0 {
        return Err(Fault::new("is not executable", Some(format!("chmod +x {}", shown.display()))));
    }
    Ok(())
}

fn read_head(directory: &Directory, name: &Path) -> io::Result<Vec<u8>> {
    let file = directory.open_file(name.as_os_str())?;
    let mut head = Vec::with_capacity(HEAD_BYTES as usize);
    file.take(HEAD_BYTES).read_to_end(&mut head)?;
    Ok(head)
}

fn check_head(directory: &Directory, head: &[u8]) -> Result<(), Fault> {
    if head.starts_with(b"\x7fELF") {
        return Ok(());
    }
    let Some(line) = head.strip_prefix(b"#!") else {
        let text =
            if head.is_empty() { "is empty" } else { "does not begin with \"#!\" and is no ELF program" };
        return Err(Fault::new(text, Some("begin a script with the line \"#!/bin/sh\"".into())));
    };
    let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if line.ends_with(b"\r") {
        let text = "has Windows line ends: the \"#!\" line ends with a carriage return";
        return Err(Fault::new(text, Some("save it with Unix line ends".into())));
    }
    let mut words = line.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty());
    let Some(interpreter) = words.next().map(OsStr::from_bytes) else {
        return Err(Fault::new("has \"#!\" without an interpreter", Some("write \"#!/bin/sh\"".into())));
    };
    check_interpreter(directory, interpreter)?;
    let looked_up = words.next().filter(|word| !word.starts_with(b"-") && !word.contains(&b'='));
    match (Path::new(interpreter).file_name(), looked_up) {
        (Some(env), Some(program)) if env == "env" && !program.contains(&b'/') => {
            let program = OsStr::from_bytes(program);
            let path = own_path();
            match find_in_path(None, program, &path) {
                Some(_) => Ok(()),
                None => Err(missing_interpreter(program, &format!("not found in {path}"))),
            }
        }
        (_, _) => Ok(()),
    }
}

fn check_interpreter(directory: &Directory, interpreter: &OsStr) -> Result<(), Fault> {
    match directory.facts(interpreter) {
        Ok(facts) if facts.kind == FileKind::Regular && facts.mode & 0o111 != 0 => Ok(()),
        Ok(facts) if facts.kind == FileKind::Regular => {
            Err(missing_interpreter(interpreter, "not executable"))
        }
        Ok(facts) => Err(missing_interpreter(interpreter, kind_in_words(facts.kind))),
        Err(error) => Err(missing_interpreter(interpreter, &cause(&error))),
    }
}

fn missing_interpreter(interpreter: &OsStr, why: &str) -> Fault {
    let interpreter = interpreter.display();
    Fault::new(
        format!("cannot be started by its interpreter {interpreter}: {why}"),
        Some(format!("install {interpreter}, or correct the \"#!\" line")),
    )
}

/// Where svc itself looks for programs, and after it the default places.
pub fn own_path() -> String {
    match std::env::var("PATH") {
        Ok(path) if !path.is_empty() => format!("{path}:{DEFAULT_PATH}"),
        Ok(_) | Err(_) => DEFAULT_PATH.to_owned(),
    }
}

/// The first executable file of that name. With `root`, the places are inside of it.
pub fn find_in_path(root: Option<&Path>, program: &OsStr, path: &str) -> Option<PathBuf> {
    let places = path.split(':').filter(|place| place.starts_with('/'));
    places.map(|place| within(root, &Path::new(place).join(program))).find(|candidate| {
        use std::os::unix::fs::PermissionsExt;
        candidate.metadata().is_ok_and(|facts| facts.is_file() && facts.permissions().mode() & 0o111 != 0)
    })
}

/// An absolute path as seen from outside of `root`.
pub fn within(root: Option<&Path>, path: &Path) -> PathBuf {
    match root {
        Some(root) => root.join(path.strip_prefix("/").unwrap_or(path)),
        None => path.to_owned(),
    }
}

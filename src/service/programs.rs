//! Whether a program can be started: it is there, is a file, is executable, and so is what
//! interprets it.

use std::ffi::OsStr;
use std::fmt;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::reading::{cause, kind_in_words};
use crate::os::directory::{Directory, FileFacts, FileKind};
use crate::os::open;

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

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        self.help.iter().try_for_each(|help| write!(f, "; {help}"))
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
            match find_in_path(None, program, OsStr::new(&path)) {
                Ok(_) => Ok(()),
                Err(_) => Err(missing_interpreter(program, &format!("not found in {path}"))),
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

/// The first executable file of that name in the places of `path`. With `root`, they are inside of it, and so
/// is what is found.
pub fn find_in_path(root: Option<&Path>, program: &OsStr, path: &OsStr) -> Result<PathBuf, Fault> {
    let mut not_executable = None;
    for place in std::env::split_paths(path).filter(|place| place.is_absolute()) {
        let candidate = place.join(program);
        match open::is_executable_file(&within(root, &candidate)) {
            Some(true) => return Ok(candidate),
            Some(false) => not_executable = not_executable.or(Some(candidate)),
            None => {}
        }
    }
    let program = program.display();
    Err(match not_executable.map(|found| within(root, &found)) {
        Some(found) => {
            let found = found.display();
            Fault::new(format!("{program}: {found} is not executable"), Some(format!("chmod +x {found}")))
        }
        None => Fault::new(
            format!("{program}: not found in {}", path.display()),
            Some("install it, or write its whole path".into()),
        ),
    })
}

/// An absolute path as seen from outside of `root`.
pub fn within(root: Option<&Path>, path: &Path) -> PathBuf {
    match root {
        Some(root) => root.join(path.strip_prefix("/").unwrap_or(path)),
        None => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_first_executable_file_is_found_and_one_that_is_not_executable_is_named() {
        let top = tempfile::tempdir().unwrap();
        let top = top.path();
        for (place, mode) in [("one", 0o644), ("two", 0o755), ("three", 0o755)] {
            fs::create_dir(top.join(place)).unwrap();
            fs::write(top.join(place).join("program"), "").unwrap();
            fs::set_permissions(top.join(place).join("program"), fs::Permissions::from_mode(mode)).unwrap();
        }
        let find = |root: Option<&Path>, path: &str| {
            find_in_path(root, OsStr::new("program"), OsStr::new(path)).map_err(|fault| fault.to_string())
        };
        let place = |name: &str| top.join(name).display().to_string();
        let path = format!("relative:{}:{}:{}", place("one"), place("two"), place("three"));
        assert_eq!(find(None, &path), Ok(top.join("two/program")));
        // Inside of a root it is named as it is seen from there.
        assert_eq!(find(Some(top), "/one:/three"), Ok(PathBuf::from("/three/program")));
        let one = place("one/program");
        let expected = format!("program: {one} is not executable; chmod +x {one}");
        assert_eq!(find(None, &place("one")), Err(expected.clone()));
        assert_eq!(find(Some(top), "/one"), Err(expected));
        let expected = "program: not found in /nowhere; install it, or write its whole path";
        assert_eq!(find(None, "/nowhere"), Err(expected.to_owned()));
    }
}

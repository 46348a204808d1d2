//! What is said about wrong service directories, as text: `tests/service_errors/NAME.toml` is the
//! service.toml of a directory with a good `run`, `NAME.txt` what `svc check` says about it.
//! `SVC_REWRITE=1 cargo test --test service_errors` writes the texts anew: review the difference.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use svc::lifecycle::Name;
use svc::service;

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/service_errors")
}

struct Case {
    _root: tempfile::TempDir,
    directory: PathBuf,
}

impl Case {
    fn empty() -> Self {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("web");
        fs::create_dir(&directory).unwrap();
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
        Self { _root: root, directory }
    }

    fn with_run() -> Self {
        Self::empty().file("run", "#!/bin/sh\nexec sleep 1000\n", 0o755)
    }

    fn file(self, name: &str, content: impl AsRef<[u8]>, mode: u32) -> Self {
        let path = self.directory.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::set_permissions(path.parent().unwrap(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    fn toml(self, content: &str) -> Self {
        self.file("service.toml", content, 0o644)
    }

    /// What is said, with a fixed name for the directory and for the PATH of whoever runs this.
    fn said(&self) -> String {
        let problems = service::check(&self.directory);
        let name = Name::new("web").unwrap();
        let read = service::read(&self.directory, &name).service.is_err()
            || service::read(&self.directory, &name).logger.is_err();
        assert_eq!(problems.has_errors(), read, "{problems}");
        let path = format!("{}:{}", std::env::var("PATH").unwrap_or_default(), service::DEFAULT_PATH);
        let said = problems.to_string().replace(self.directory.to_str().unwrap(), "web");
        format!("{}\n", said.replace(&path, "PATH"))
    }

    fn expect(&self, name: &str) {
        expect(&cases().join(format!("{name}.txt")), &self.said());
    }
}

fn expect(file: &Path, said: &str) {
    if std::env::var_os("SVC_REWRITE").is_some() {
        fs::write(file, said).unwrap();
        return;
    }
    let expected = fs::read_to_string(file).unwrap_or_default();
    assert!(expected == said, "{} differs:\n--- expected\n{expected}\n--- said\n{said}", file.display());
}

#[test]
fn every_wrong_service_toml_gets_its_text() {
    let mut files: Vec<PathBuf> = fs::read_dir(cases())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    assert!(files.len() >= 15);
    for file in files {
        let case = Case::with_run().file("service.toml", fs::read(&file).unwrap(), 0o644);
        expect(&file.with_extension("txt"), &case.said());
    }
}

#[test]
fn a_good_directory_has_no_problem() {
    assert_eq!(Case::with_run().said(), "\n");
    assert_eq!(Case::empty().toml("command = [\"/bin/true\"]").said(), "\n");
}

#[test]
fn a_directory_that_is_not_there_is_told() {
    let case = Case::empty();
    fs::remove_dir(&case.directory).unwrap();
    case.expect("no-directory");
}

#[test]
fn nothing_to_run_is_told() {
    Case::empty().expect("no-run");
}

#[test]
fn a_run_that_is_a_directory_is_told() {
    Case::empty().file("run/x", "", 0o644).expect("run-directory");
}

#[test]
fn a_run_that_is_not_executable_is_told() {
    Case::empty().file("run", "#!/bin/sh\n", 0o644).expect("run-not-executable");
}

#[test]
fn a_run_without_interpreter_line_is_told() {
    Case::empty().file("run", "exec nginx\n", 0o755).expect("run-no-line");
}

#[test]
fn an_empty_run_is_told() {
    Case::empty().file("run", "", 0o755).expect("run-empty");
}

#[test]
fn a_missing_interpreter_is_named() {
    Case::empty().file("run", "#!/opt/python/bin/python3 -u\n", 0o755).expect("run-no-interpreter");
}

#[test]
fn an_interpreter_that_env_cannot_find_is_named() {
    Case::empty().file("run", "#!/usr/bin/env no-such-python\n", 0o755).expect("run-no-env-interpreter");
}

#[test]
fn an_interpreter_that_is_a_directory_is_told() {
    Case::empty().file("run", "#! /usr\n", 0o755).expect("run-interpreter-directory");
}

#[test]
fn an_empty_interpreter_line_is_told() {
    Case::empty().file("run", "#!\nexec nginx\n", 0o755).expect("run-empty-line");
}

#[test]
fn windows_line_ends_are_told() {
    Case::empty().file("run", "#!/bin/sh\r\nexec nginx\r\n", 0o755).expect("run-windows");
}

#[test]
fn a_run_that_is_a_dangling_link_is_told() {
    let case = Case::empty();
    symlink("/opt/web/start", case.directory.join("run")).unwrap();
    case.expect("run-dangling");
}

#[test]
fn a_run_that_is_a_fifo_is_told_at_once() {
    let case = Case::empty();
    make_fifo(&case.directory.join("run"), 0o755);
    case.expect("run-fifo");
}

#[test]
fn a_service_toml_that_is_a_fifo_or_a_device_is_told_at_once() {
    let case = Case::with_run();
    make_fifo(&case.directory.join("service.toml"), 0o644);
    case.expect("toml-fifo");
    let case = Case::with_run();
    symlink("/dev/zero", case.directory.join("service.toml")).unwrap();
    case.expect("toml-device");
}

#[test]
fn a_service_toml_that_is_a_directory_is_told() {
    Case::with_run().file("service.toml/x", "", 0o644).expect("toml-directory");
}

#[test]
fn a_service_toml_of_two_megabytes_is_told() {
    Case::with_run().toml(&"# x\n".repeat(500_000)).expect("toml-large");
}

#[test]
fn a_megabyte_of_wrong_variables_is_told_in_a_bounded_number_of_problems() {
    let variables: Vec<String> = (0..50_000).map(|number| format!("\"a {number}\" = \"x\"")).collect();
    let case = Case::with_run().toml(&format!("env = {{ {} }}\n", variables.join(", ")));
    let problems = service::check(&case.directory).iter().count();
    assert!((50..=1_000).contains(&problems), "{problems}");
}

#[test]
fn a_service_toml_that_is_not_utf_8_is_told() {
    Case::with_run()
        .file("service.toml", b"nice = 1\ndescription = \"\xff\"\n", 0o644)
        .expect("toml-not-utf-8");
}

#[test]
fn a_finish_that_cannot_be_started_is_told() {
    Case::with_run().file("finish", "echo bye\n", 0o644).expect("finish-not-executable");
}

#[test]
fn a_command_that_is_missing_or_not_executable_is_told() {
    Case::empty().toml("command = [\"/no/such/program\", \"-x\"]\n").expect("command-missing");
    Case::empty()
        .toml("command = [\"./start\"]\n")
        .file("start", "#!/bin/sh\n", 0o644)
        .expect("command-not-executable");
    Case::empty().toml("command = [\"no-such-program\"]\n").expect("command-not-in-path");
    let own_path = "command = [\"sh\"]\nenv = { PATH = \"/nowhere:/else\" }\n";
    Case::empty().toml(own_path).expect("command-not-in-own-path");
    Case::empty().toml("command = [\"/bin\"]\n").expect("command-directory");
    Case::empty()
        .toml("command = [\"no-such-program\"]\ninherit-env = false\n")
        .expect("command-not-in-default-path");
}

#[test]
fn a_root_without_command_and_with_a_command_that_is_outside_are_told() {
    Case::empty().toml("root = \"jail\"\ncommand = [\"/bin/server\"]\n").expect("root-missing");
    let case = Case::empty().toml("root = \"jail\"\ncommand = [\"/bin/server\"]\n");
    case.file("jail/etc/x", "", 0o644).expect("root-without-program");
}

#[test]
fn a_wrong_variable_directory_is_told() {
    Case::with_run().file("env", "PORT=1\n", 0o644).expect("env-no-directory");
    let case =
        Case::with_run().file("env/A B", "1", 0o644).file("env/1X", "1", 0o644).file("env/D/x", "", 0o644);
    case.file("env/LATIN", b"caf\xe9\n", 0o644).expect("env-directory");
}

#[test]
fn a_wrong_variable_file_is_told_line_by_line() {
    let text = "GOOD=1\nnoequals\nexport A = 1\nB=\"open\nC='x' y\n1D=2\nE=\"\\q\"\n";
    let case = Case::with_run().toml("env-files = [\"web.env\"]\n");
    case.file("web.env", text, 0o644).expect("env-file");
}

#[test]
fn problems_of_all_files_are_told_together() {
    let case = Case::with_run()
        .toml("nice = 99\n")
        .file("service.d/20-last.toml", "umask = \"9\"\n", 0o644)
        .file("service.d/10-first.toml", "kil = \"main\"\n", 0o644)
        .file("service.d/README", "not read", 0o644)
        .file("finish", "", 0o644)
        .file("log/run", "#!/no/such/logger\n", 0o755)
        .file("log/service.toml", "stdin = \"null\"\nstdout = \"log\"\n", 0o644);
    case.expect("all-files");
}

#[test]
fn as_root_files_that_everyone_may_write_are_told() {
    if !svc::os::directory::is_root() {
        assert!(std::env::var_os("SVC_TESTS_MUST_RUN").is_none(), "this test needs root");
        println!("skipped: needs root");
        return;
    }
    let case = Case::empty()
        .file("run", "#!/bin/sh\n", 0o777)
        .file("finish", "#!/bin/sh\n", 0o757)
        .file("service.toml", "nice = 1\n", 0o666)
        .file("env/A", "1", 0o666)
        .file("service.d/a.toml", "", 0o644);
    fs::set_permissions(case.directory.join("service.d"), fs::Permissions::from_mode(0o1777)).unwrap();
    fs::set_permissions(&case.directory, fs::Permissions::from_mode(0o777)).unwrap();
    case.expect("writable");
}

fn make_fifo(path: &Path, mode: u32) {
    nix::unistd::mkfifo(path, nix::sys::stat::Mode::from_bits_truncate(mode)).unwrap();
}

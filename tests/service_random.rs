//! No bytes in a service directory make svc panic or hang, and reading many is fast.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use proptest::prelude::*;
use svc::lifecycle::Name;
use svc::service;

/// Pieces that come near to something meaningful.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        "(nice|stop|env|user|umask|log|limits|limits.core|log.max-size|command|reload|give-up|tty|stdout)",
        "( = |=|\n|\n|\\[|\\]|\\{|\\}|,|\"|'|#|\\.|\\[\\[|\\]\\]|\"\"\")",
        "(5|-1|0x1f|022|1e9|true|nan|inf|2026-01-01|\"10M\"|\"1m\"|\"TERM\"|\"5 in 1m\"|'a'|\"\\\\u0000\"|99999999999999999999)",
        "[ -~]{0,4}",
        any::<char>().prop_map(String::from),
    ]
}

fn check(name: &str, content: &[u8]) {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("web");
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("run"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(directory.join("run"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(directory.join("service.toml"), "env-files = [\"web.env\"]\n").unwrap();
    fs::write(directory.join("web.env"), "").unwrap();
    fs::write(directory.join(name), content).unwrap();
    let problems = service::check(&directory);
    let read = service::read(&directory, &Name::new("web").unwrap()).service;
    assert_eq!(read.is_err(), problems.has_errors(), "{problems}");
    assert!(problems.is_empty() || !problems.to_string().is_empty());
    if let Ok(definition) = read {
        assert_eq!(definition.fingerprint, service::fingerprint(&directory));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_as_service_toml_make_it_panic(content in proptest::collection::vec(any::<u8>(), 0..200)) {
        check("service.toml", &content);
    }

    #[test]
    fn no_nearly_right_service_toml_makes_it_panic(pieces in proptest::collection::vec(piece(), 0..30)) {
        check("service.toml", pieces.concat().as_bytes());
    }

    #[test]
    fn no_bytes_as_env_file_make_it_panic(content in proptest::collection::vec(any::<u8>(), 0..200)) {
        check("web.env", &content);
    }

    #[test]
    fn no_bytes_as_run_make_it_panic(content in proptest::collection::vec(any::<u8>(), 0..300), script: bool) {
        let head: &[u8] = if script { b"#!" } else { b"" };
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("run"), [head, &content].concat()).unwrap();
        fs::set_permissions(root.path().join("run"), fs::Permissions::from_mode(0o755)).unwrap();
        let problems = service::check(root.path());
        prop_assert!(problems.is_empty() || !problems.to_string().is_empty());
    }
}

#[test]
fn a_megabyte_of_errors_is_told_briefly() {
    for line in ["x = 1\n", "x\n", "= \n", "a = [\n", "[x]\n", "a.b = \"\n", "[[a]]\nb\n"] {
        let content = line.repeat((1 << 20) / line.len());
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("service.toml"), content).unwrap();
        let said = service::check(root.path()).to_string();
        assert!(!said.is_empty() && said.len() < 20_000, "{line:?}: {}", said.len());
    }
}

/// Not a test: `cargo test --release --test service_random -- --ignored --nocapture`.
#[test]
#[ignore = "measures only"]
fn reading_a_thousand_directories() {
    let root = tempfile::tempdir().unwrap();
    for number in 0..1000 {
        let directory = root.path().join(format!("s{number}"));
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("run"), "#!/bin/sh\nexec sleep 1000\n").unwrap();
        fs::set_permissions(directory.join("run"), fs::Permissions::from_mode(0o755)).unwrap();
    }
    for round in 0..5 {
        let start = Instant::now();
        let mut definitions = Vec::new();
        for listed in service::list(root.path()).unwrap() {
            if let service::Listed::Service { name, directory } = listed {
                definitions.push(service::read(&directory, &name).service.unwrap());
            }
        }
        let read = start.elapsed();
        let start = Instant::now();
        let sum =
            definitions.iter().fold(0, |sum, d| sum ^ d.fingerprint ^ service::fingerprint(&d.directory));
        println!(
            "round {round}: read {:?} each, fingerprint {:?} each ({sum})",
            read / 1000,
            start.elapsed() / 1000
        );
    }
}

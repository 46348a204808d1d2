//! What a right service directory says reaches its definition, key by key.

#![allow(clippy::unwrap_used)]

mod rows;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use svc::lifecycle::{Kind, Name, Restart, Scope, Signal, StopStep};
use svc::service::{self, Definition, Listed, Output, Program, Reload, Shown};

use rows::ROWS;

struct Web {
    root: tempfile::TempDir,
    directory: PathBuf,
}

impl Web {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("web");
        let web = Self { root, directory };
        web.file("run", "#!/bin/sh\nexec sleep 1000\n");
        fs::set_permissions(&web.directory, fs::Permissions::from_mode(0o755)).unwrap();
        web
    }

    fn with(toml: &str) -> Self {
        let web = Self::new();
        web.file("service.toml", toml);
        web
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.directory.join(name);
        let parent = path.parent().unwrap();
        fs::create_dir_all(parent).unwrap();
        fs::set_permissions(parent, fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(&path, content).unwrap();
        let program = name.ends_with("run") || name.ends_with("finish");
        let mode = if program { 0o755 } else { 0o644 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.directory.join(name)).unwrap();
    }

    fn read(&self) -> Definition {
        service::read(&self.directory, &name()).service.unwrap_or_else(|problems| panic!("{problems}"))
    }

    fn shown(&self, key: &str) -> (String, String) {
        let shown = service::shown(&self.directory, &name()).unwrap();
        let found = shown.into_iter().find(|shown| shown.key == key).unwrap();
        (found.value, found.source)
    }
}

fn name() -> Name {
    Name::new("web").unwrap()
}

fn read(toml: &str) -> Definition {
    Web::with(toml).read()
}

#[test]
fn every_key_reaches_the_definition() {
    for (toml, reached) in ROWS {
        let web = Web::with(toml);
        assert!(reached(&web.read(), &web.directory), "{toml}: {:?}", web.read());
    }
}

#[test]
fn every_key_of_the_schema_has_a_row_above() {
    let tried: BTreeSet<&str> = ROWS.iter().filter_map(|(toml, _)| toml.split([' ', '\n']).next()).collect();
    let shown: BTreeSet<String> =
        service::shown(&Web::new().directory, &name()).unwrap().into_iter().map(|shown| shown.key).collect();
    let without: Vec<_> = shown.iter().filter(|key| !tried.contains(key.as_str())).collect();
    // These have tests of their own below.
    assert_eq!(without, ["command", "root"]);
}

#[test]
fn a_run_alone_has_the_defaults_of_the_design() {
    let web = Web::new();
    let definition = web.read();
    assert_eq!(definition.program, Program::Run);
    assert_eq!(definition.directory, web.directory);
    assert_eq!(definition.reload, Reload::Signal(Signal::HUP));
    assert!(!definition.has_logger);
    assert_eq!(*definition.context, svc::service::Context::default());
    assert_eq!(*definition.log, svc::service::LogSettings::default());
    let policy = &definition.policy;
    assert_eq!((policy.kind, policy.enabled, policy.restart), (Kind::Longrun, true, Restart::Always));
    assert_eq!(policy.backoff.first, Duration::from_millis(100));
    assert_eq!(policy.backoff.max, Duration::from_secs(30));
    assert_eq!(policy.backoff.reset, Duration::from_secs(10));
    assert_eq!(policy.give_up, None);
    let stop = [
        StopStep::Signal(Signal::TERM),
        StopStep::Wait(Duration::from_secs(10)),
        StopStep::Signal(Signal::KILL),
    ];
    assert_eq!(policy.stop, stop);
    assert_eq!((policy.kill, policy.has_finish, policy.may_stand), (Scope::Tree, false, true));
    assert_eq!(policy.timeout_start, Duration::from_secs(60));
    assert_eq!(policy.timeout_finish, Duration::from_secs(5));
}

#[test]
fn a_oneshot_is_not_restarted_and_has_all_the_time() {
    let policy = read("type = \"oneshot\"").policy;
    assert_eq!((policy.restart, policy.timeout_start), (Restart::Never, Duration::MAX));
}

#[test]
fn services_that_say_the_same_share_it() {
    let (one, other) = (Web::new().read(), Web::with("description = \"x\"").read());
    assert!(Arc::ptr_eq(&one.policy, &other.policy));
    assert!(Arc::ptr_eq(&one.context, &other.context));
    assert!(Arc::ptr_eq(&one.log, &other.log));
    assert!(size_of::<Definition>() <= 256, "{}", size_of::<Definition>());
}

#[test]
fn a_command_stands_instead_of_run() {
    let web = Web::with("command = [\"/bin/sleep\", \"1\"]");
    web.remove("run");
    assert_eq!(web.read().program, Program::Command(vec!["/bin/sleep".into(), "1".into()]));
    for found in ["[\"sh\"]", "[\"./start-run\"]", "[\"../web/start-run\"]"] {
        web.file("start-run", "#!/usr/bin/env -S sh -e\n");
        web.file("service.toml", format!("command = {found}"));
        assert!(matches!(web.read().program, Program::Command(_)), "{found}");
    }
    web.file("service.toml", "command = [\"start-run\"]\nenv = { PATH = \"/nowhere\" }");
    assert!(service::read(&web.directory, &name()).service.is_err());
    web.file(
        "service.toml",
        format!("command = [\"start-run\"]\nenv.PATH = \"{}\"", web.directory.display()),
    );
    web.read();
}

#[test]
fn with_a_root_paths_are_inside_of_it() {
    let web = Web::with("root = \"jail\"\ncommand = [\"bin/server-run\"]\ncwd = \"srv\"");
    web.remove("run");
    web.file("jail/srv/bin/server-run", "#!/only/in/the/jail\n");
    let context = web.read().context;
    assert_eq!(context.root, Some(web.directory.join("jail")));
    assert_eq!(context.cwd, Some("/srv".into()));
    web.file("service.toml", "root = \"jail\"\ncommand = [\"/srv/bin/server-run\"]");
    assert_eq!(web.read().context.cwd, Some("/".into()));
}

#[test]
fn overlays_lie_over_it_in_the_order_of_their_names() {
    let web = Web::with(
        "nice = 1\nstop = [\"INT\"]\nenv = { A = \"1\", B = \"1\" }\nlimits.core = 0\nlog.max-files = 5\ngive-up = \"3 in 1s\"",
    );
    web.file("service.d/20.toml", "nice = 3\nenv.B = \"3\"\ngive-up = \"never\"");
    web.file(
        "service.d/10.toml",
        "nice = 2\nenv.C = \"2\"\nlimits.stack = 1\nlog.max-size = \"1M\"\nstop = \"HUP\"",
    );
    web.file("service.d/30.toml.orig", "nice = 9");
    web.file("service.d/.40.toml", "nice = 9");
    let definition = web.read();
    assert_eq!(definition.context.nice, Some(3));
    assert_eq!(definition.policy.stop, [StopStep::Signal(Signal::HUP)]);
    assert_eq!(definition.policy.give_up, None);
    let env: Vec<_> =
        definition.context.env.iter().map(|(k, v)| (k.as_str(), v.as_deref().unwrap())).collect();
    assert_eq!(env, [("A", "1"), ("B", "3"), ("C", "2")]);
    assert_eq!(definition.context.limits, [(3, 1, 1), (4, 0, 0)]);
    assert_eq!((definition.log.files_max, definition.log.bytes_max), (5, 1 << 20));
    assert_eq!(web.shown("nice"), ("3".into(), "service.d/20.toml:1".into()));
    assert_eq!(web.shown("env.B"), ("\"3\"".into(), "service.d/20.toml:2".into()));
    assert_eq!(web.shown("limits.core"), ("0".into(), "service.toml:4".into()));
}

#[test]
fn an_overlay_can_replace_a_user_that_does_not_exist_here() {
    let web = Web::with("user = \"no-such-user\"");
    web.file("service.d/local.toml", "user = \"root\"");
    assert_eq!(web.read().context.user.as_deref(), Some("root"));
}

#[test]
fn overlays_alone_are_enough() {
    let web = Web::new();
    web.file("service.d/a.toml", "nice = 4");
    assert_eq!(web.read().context.nice, Some(4));
}

#[test]
fn env_directory_is_stronger_than_env_and_env_than_env_files() {
    let web =
        Web::with("env-files = [\"one.env\", \"-none\", \"two.env\"]\nenv = { B = \"toml\", C = \"toml\" }");
    web.file("one.env", "A=one\nB=one\nC=one\nE=one\n");
    web.file("two.env", "# second\nA=two\n");
    web.file("env/C", "directory \nignored");
    web.file("env/D", "");
    web.file("env/.hidden", "x");
    let env = web.read().context.env.clone();
    let text = |text: &str| Some(text.to_owned());
    let expected = [
        ("A".to_owned(), text("two")),
        ("B".to_owned(), text("toml")),
        ("C".to_owned(), text("directory")),
        ("D".to_owned(), None),
        ("E".to_owned(), text("one")),
    ];
    assert_eq!(env, expected);
    assert_eq!(web.shown("env.A"), ("\"two\"".into(), "two.env:2".into()));
    assert_eq!(web.shown("env.B"), ("\"toml\"".into(), "service.toml:2".into()));
    assert_eq!(web.shown("env.C"), ("\"directory\"".into(), "env/C".into()));
    assert_eq!(web.shown("env.D"), ("(removed)".into(), "env/D".into()));
}

#[test]
fn down_and_finish_are_seen() {
    let web = Web::new();
    web.file("down", "");
    web.file("finish", "#!/bin/sh\n");
    let policy = web.read().policy;
    assert!(!policy.enabled && policy.has_finish);
    assert_eq!(web.shown("enabled"), ("false".into(), "down".into()));
}

#[test]
fn runit_and_s6_directories_are_taken_as_they_are() {
    let web = Web::new();
    for (file, content) in [
        ("supervise/status", ""),
        ("control/t", "#!/bin/sh\n"),
        ("check", "#!/bin/sh\n"),
        ("notification-fd", "3\n"),
        ("timeout-kill", "5000\n"),
        ("type", "longrun\n"),
        ("data/x", ""),
        ("conf", "OPTS=1\n"),
        ("log/main/current", ""),
    ] {
        web.file(file, content);
    }
    assert_eq!(service::check(&web.directory).to_string(), "");
    assert!(!web.read().has_logger);
    assert_eq!(service::read(&web.directory, &name()).logger, Ok(None));
}

#[test]
fn a_logger_is_a_service_of_its_own() {
    let web = Web::new();
    web.file("log/run", "#!/bin/sh\nexec svlogd -tt ./main\n");
    let logger = service::read(&web.directory, &name()).logger.unwrap().unwrap();
    assert!(web.read().has_logger);
    assert_eq!(logger.name, name().logger());
    assert_eq!(logger.directory, web.directory.join("log"));
    assert_eq!((logger.program, logger.has_logger), (Program::Run, false));
    assert_eq!((&logger.context.stdout, &logger.context.stderr), (&Output::Inherit, &Output::Inherit));
    web.file("log/down", "");
    web.file("log/service.toml", "stop = \"INT\"");
    let logger = service::read(&web.directory, &name()).logger.unwrap().unwrap();
    assert!(!logger.policy.enabled);
    assert_eq!(logger.policy.stop, [StopStep::Signal(Signal(2))]);
    let shown = service::shown(&logger.directory, &logger.name).unwrap();
    assert!(shown.contains(&Shown {
        key: "stdout".into(),
        value: "\"inherit\"".into(),
        source: "default".into()
    }));
}

#[test]
fn a_logger_that_cannot_run_leaves_the_service_its_log() {
    let web = Web::new();
    web.file("log/run", "#!/bin/sh\n");
    fs::set_permissions(web.directory.join("log/run"), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(!web.read().has_logger);
    assert!(service::read(&web.directory, &name()).logger.is_err());
    web.remove("log/run");
    symlink("/no/such/logger", web.directory.join("log/run")).unwrap();
    assert!(!web.read().has_logger);
    assert!(service::read(&web.directory, &name()).logger.is_err());
}

#[test]
fn a_missing_directory_to_work_in_is_a_warning_only() {
    let web = Web::with("cwd = \"/no/such/place\"");
    assert_eq!(web.read().context.cwd, Some("/no/such/place".into()));
    let problems = service::check(&web.directory);
    assert!(!problems.is_empty() && !problems.has_errors());
}

#[test]
fn show_names_every_value_and_its_source() {
    let web = Web::with(
        "# comment\ntype = 'oneshot'\nstop = [ \"TERM\",\n  \"5s\", # soon\n]\n\n[log]\nmax-size = \"1M\"",
    );
    assert_eq!(web.shown("type"), ("\"oneshot\"".into(), "service.toml:2".into()));
    assert_eq!(web.shown("stop"), ("[\"TERM\", \"5s\"]".into(), "service.toml:3".into()));
    assert_eq!(web.shown("log.max-size"), ("\"1M\"".into(), "service.toml:8".into()));
    assert_eq!(web.shown("restart"), ("\"never\"".into(), "default".into()));
    assert_eq!(web.shown("timeout-finish"), ("\"5s\"".into(), "default".into()));
    assert_eq!(web.shown("command"), ("[\"./run\"]".into(), "run".into()));
    assert_eq!(web.shown("cwd"), ("(the service directory; / with root)".into(), "default".into()));
}

#[test]
fn show_of_a_broken_directory_gives_its_problems() {
    assert!(service::shown(&Web::with("nice = 99").directory, &name()).is_err());
}

#[test]
fn the_fingerprint_changes_with_every_edit_and_with_nothing_else() {
    let web = Web::with("env-files = [\"a.env\"]");
    web.file("a.env", "A=1\n");
    let mut seen = BTreeSet::new();
    let mut edited = |what: &str| {
        let now = service::fingerprint(&web.directory);
        assert_eq!(now, service::fingerprint(&web.directory));
        if let Ok(definition) = service::read(&web.directory, &name()).service {
            assert_eq!(definition.fingerprint, now, "{what}");
        }
        assert!(seen.insert(now), "{what} did not change it");
    };
    edited("nothing");
    web.file("run", "#!/bin/sh\nexec sleep 2\n");
    edited("run");
    web.file("service.toml", "env-files = [\"a.env\"]\nnice = 1");
    edited("service.toml");
    web.file("a.env", "A=22\n");
    edited("a.env");
    web.file("service.d/x.toml", "nice = 2");
    edited("service.d");
    web.file("env/B", "1");
    edited("env");
    web.file("down", "");
    edited("down");
    web.file("finish", "#!/bin/sh\n");
    edited("finish");
    web.file("log/run", "#!/bin/sh\n");
    edited("log/run");
    web.file("service.toml", "nice = 99");
    edited("an error");
    web.remove("run");
    edited("no run");
    let last = service::fingerprint(&web.directory);
    web.file("data/state", "x");
    web.file("log/main/current", "x");
    web.file("down", "again");
    assert_eq!(service::fingerprint(&web.directory), last);
    assert_eq!(service::fingerprint(Path::new("/no/such/directory")), 0);
}

#[test]
fn service_directories_are_listed_by_name_and_what_is_wrong_is_told() {
    let web = Web::new();
    let services = web.root.path();
    let elsewhere = tempfile::tempdir().unwrap();
    for directory in ["api", "db@blue", ".hidden", "bad name"] {
        fs::create_dir(services.join(directory)).unwrap();
    }
    fs::write(services.join("svc.toml"), "").unwrap();
    fs::write(services.join("README"), "").unwrap();
    symlink(elsewhere.path(), services.join("linked")).unwrap();
    symlink("svc.toml", services.join("file-link")).unwrap();
    symlink("/no/such/service", services.join("dangling")).unwrap();
    symlink("loop", services.join("loop")).unwrap();
    let listed = service::list(services).unwrap();
    let names: Vec<String> = listed
        .iter()
        .map(|listed| match listed {
            Listed::Service { name, directory } => {
                assert_eq!(directory, &services.join(name.as_str()));
                name.to_string()
            }
            Listed::Wrong(problem) => problem.to_string().replace(services.to_str().unwrap(), "DIR"),
        })
        .collect();
    let expected = [
        "api",
        "DIR/bad name: is no service: a service name has letters, digits, '.', '_', '-' and '@', not ' '",
        "DIR/dangling: is a link to /no/such/service, which does not exist",
        "db@blue",
        "linked",
        "DIR/loop: is a link to loop: Too many levels of symbolic links",
        "web",
    ];
    assert_eq!(names, expected);
    let checked = service::check_all(services).unwrap();
    let wrong = checked.iter().filter(|checked| checked.problems.has_errors()).count();
    assert_eq!((checked.len(), wrong), (7, 6));
}

#[test]
fn a_services_directory_that_is_not_there_is_told() {
    let problem = service::list(Path::new("/no/such/services")).unwrap_err().to_string();
    let expected = "/no/such/services: cannot be read: No such file or directory; \
                    it has to be a directory with one directory for each service";
    assert_eq!(problem, expected);
}

//! Bad input gets a clear error and nothing is lost.

// A test ends by panicking; clippy allows that only inside of #[test] functions.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;

use common::processes::{descriptors, lives, status_line};
use common::{PATIENCE, World, needs_root, wait_until};

#[test]
fn check_tells_all_errors_of_all_services_at_once_with_line_and_caret() {
    let world = World::new();
    world.service("good").run("exec sleep 1000");
    world.service("typo").run("exec sleep 1000").toml("nice = 5\nresart = \"always\"");
    world.service("type").run("exec sleep 1000").toml("nice = \"very\"");
    world.service("broken").run("exec sleep 1000").toml("[limits\nopen-files = 5");
    world.service("norun").toml("nice = 5");
    let said = world.svc(&["check"]);
    assert_eq!(said.code, 1, "{said:?}");
    let all = said.all();
    for word in [
        "typo/service.toml:2:1",
        "resart",
        "restart",
        "type/service.toml:1",
        "broken/service.toml:1",
        "norun",
        "^",
    ] {
        assert!(all.contains(word), "{word} is missing in:\n{all}");
    }
    assert!(!all.contains("good/"), "{all}");
    world.svc(&["check", "good"]).expect_code(0);
    world.svc(&["check", "typo"]).expect_code(1);
    let directory = world.services().display().to_string();
    world.svc(&["check", &directory]).expect_code(1);
}

#[test]
fn one_broken_service_never_stops_another() {
    let world = World::with(|world| {
        world.service("broken").run("exec sleep 1000").toml("nice = = 5");
        world.service("unknown-key").run("exec sleep 1000").toml("colour = \"red\"");
        world.service("good").run("exec sleep 1000");
    });
    world.wait_state("good", &["up", "ready"]);
    for name in ["broken", "unknown-key"] {
        let said = world.svc(&["up", name]);
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.err.contains("service.toml:1"), "{said:?}");
        // Line by line, with the caret below what is wrong.
        assert!(
            said.err.lines().any(|line| line.trim_start_matches([' ', '|']).starts_with('^')),
            "{said:?}"
        );
        assert!(!said.err.contains("\\n"), "{said:?}");
    }
}

#[test]
fn names_that_cannot_be_are_refused_in_words() {
    let world = World::with(|world| {
        world.service("good").run("exec sleep 1000");
        world.service("bad name").run("exec sleep 1000");
        world.service("bad\nline").run("exec sleep 1000");
        world.service(&"x".repeat(201)).run("exec sleep 1000");
    });
    world.wait_state("good", &["up", "ready"]);
    let long = "y".repeat(300);
    for name in ["a/b", "a\nb", long.as_str(), ".", "..", ""] {
        let said = world.svc(&["up", name]);
        assert!([1, 4, 100].contains(&said.code), "{name:?}: {said:?}");
        assert!(!said.err.is_empty());
    }
    let said = world.svc(&["check"]).expect_code(1);
    assert!(said.all().contains("bad name"), "{said:?}");
    assert!(lives(world.pid("good")));
}

#[test]
fn the_longest_name_works_from_end_to_end_and_one_that_only_a_disk_can_hold_is_told() {
    let (longest, with_logger) = ("x".repeat(200), "w".repeat(200));
    let too_long = ["y".repeat(201), "z".repeat(255)];
    let world = World::with(|world| {
        world
            .service(&longest)
            .run("seq 2000\necho hello\nexec sleep 1000")
            .toml("[log]\nmax-size = \"4K\"\ncompress = true");
        world.service(&with_logger).run("echo hello\nexec sleep 1000").script("log/run", "exec cat >../got");
        for name in &too_long {
            world.service(name).run("exec sleep 1000");
        }
    });
    for name in [&longest, &with_logger] {
        let pid = world.wait_state(name, &["up", "ready"])["pid"].as_i64().unwrap() as i32;
        assert!(world.ok(&["status", name]).contains(name.as_str()));
        world.ok(&["restart", name]);
        assert!(!lives(pid) && lives(world.pid(name)));
    }
    world.wait_state(&format!("{with_logger}/log"), &["up", "ready"]);
    world.wait_log(&longest, "hello");
    assert!(world.ok(&["logs", &longest]).ends_with(" hello\n"));
    wait_until("a compressed log file", || {
        let files = fs::read_dir(world.log_dir(&longest)).unwrap();
        files.flatten().any(|file| file.file_name().to_string_lossy().ends_with(".gz"))
    });
    wait_until("the lines at the logger", || {
        fs::read(world.services().join(&with_logger).join("got")).is_ok_and(|got| got.ends_with(b"hello\n"))
    });
    let said = world.svc(&["check"]).expect_code(1);
    for name in &too_long {
        let length = name.len();
        let reason =
            format!("{name}: is no service: a service name has at most 200 bytes, this one has {length}");
        assert!(said.all().contains(&reason), "{reason} is missing in:\n{}", said.all());
        assert!(world.printed().contains(&reason), "{}", world.printed());
        world.svc(&["status", name]).expect_code(100).expect_words(&["at most 200 bytes"]);
        assert!(!world.ok(&["list"]).contains(name.as_str()));
    }
}

#[test]
fn hostile_clients_harm_nobody() {
    let world = World::with(|world| {
        world.service("web").run("exec sleep 1000");
    });
    world.wait_state("web", &["up", "ready"]);
    let connect = || UnixStream::connect(world.control_socket()).unwrap();
    // One that says nothing, one that says half a line, one that never reads its reply.
    let _silent = connect();
    let mut half = connect();
    half.write_all(b"{\"version\":1,\"requ").unwrap();
    let mut deaf = connect();
    for _ in 0..1000 {
        if deaf.write_all(b"{\"version\":1,\"request\":\"status\",\"names\":[],\"detail\":true}\n").is_err() {
            break;
        }
        deaf.set_write_timeout(Some(std::time::Duration::from_millis(50))).unwrap();
    }
    // Rubbish, a line without end, a wrong version, deep nesting.
    let deep = format!("{}1{}\n", "[".repeat(100_000), "]".repeat(100_000));
    let endless = vec![b'x'; 1 << 20];
    for bytes in [&b"\xff\xfe\x00rubbish\n"[..], b"{}\n", b"null\n", b"\n", deep.as_bytes(), &endless] {
        let mut client = connect();
        client.write_all(bytes).ok();
        client.shutdown(std::net::Shutdown::Write).ok();
        let mut answer = String::new();
        client.read_to_string(&mut answer).ok();
        assert!(answer.is_empty() || answer.contains("error"), "{answer}");
    }
    let answer = world.ask(r#"{"version":99,"request":"ping"}"#).unwrap();
    assert_eq!(answer["reply"], "error", "{answer}");
    assert!(world.ok(&["status", "web"]).contains("up"));
}

#[test]
fn a_subscriber_that_never_reads_is_dropped_at_its_limit_and_harms_nobody() {
    // An event says why a start failed, and a long path makes it long: 8 MiB of them in seconds.
    let nowhere = format!("/{}", "d".repeat(200)).repeat(18);
    let delays = "restart-delay = \"1ms\"\nrestart-delay-max = \"1ms\"";
    let restless = ["crashing", "failing-0", "failing-1", "failing-2"];
    let world = World::with(|world| {
        world.service("steady").run("exec sleep 1000");
        for name in restless {
            let cwd = if name == "crashing" { "/" } else { &nowhere };
            let toml = format!("command = [\"/bin/true\"]\ncwd = \"{cwd}\"\n{delays}");
            world.service(name).toml(&toml);
        }
    });
    let steady = world.wait_state("steady", &["up", "ready"]);
    let (guardian, supervisor) = world.pids();
    let sockets = || descriptors(supervisor).values().filter(|leads| leads.starts_with("socket:")).count();
    let peak = || status_line(supervisor, "VmHWM").trim_end_matches(" kB").parse::<u64>().unwrap();
    let subscribe = || {
        let mut client = UnixStream::connect(world.control_socket()).unwrap();
        client.write_all(b"{\"version\":1,\"request\":\"events\"}\n").unwrap();
        client
    };
    let attentive = subscribe();
    attentive.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut lines = BufReader::new(attentive).lines().map(Result::unwrap);
    lines.next().unwrap();
    let (sockets_before, peak_before) = (sockets(), peak());
    let deaf = subscribe();
    let mut events = 0_u64;
    let mut bytes = 0;
    // Each event that the attentive one reads has been sent to the deaf one as well.
    wait_until("its connection", || sockets() > sockets_before);
    while sockets() > sockets_before {
        for line in lines.by_ref().take(100) {
            events += 1;
            bytes += line.len();
        }
        assert!(bytes < 64 << 20, "{events} events of {bytes} bytes in all, and it is still there");
    }
    assert!(bytes > 7 << 20, "dropped after {bytes} bytes");
    let grown = peak() - peak_before;
    println!("{events} events, {bytes} bytes, the supervisor grew by {grown} kB");
    assert!(grown < 32 << 10, "the supervisor grew by {grown} kB");
    for line in lines.take(1_000) {
        assert!(line.contains("transition"), "{line}");
    }
    drop(deaf);
    assert_eq!(world.pids(), (guardian, supervisor));
    assert_eq!(world.status("steady")["pid"], steady["pid"]);
    for name in restless {
        world.ok(&["down", name]);
    }
}

#[test]
fn five_hundred_clients_at_once_do_not_stop_the_next_one() {
    let world = World::with(|world| {
        world.service("web").run("exec sleep 1000");
    });
    world.wait_state("web", &["up", "ready"]);
    let crowd: Vec<_> = (0..500).filter_map(|_| UnixStream::connect(world.control_socket()).ok()).collect();
    drop(crowd);
    wait_until("an answer after the crowd", || world.svc(&["status", "web"]).code == 0);
}

#[test]
fn another_user_is_refused() {
    if !needs_root() {
        return;
    }
    use std::os::unix::process::CommandExt;
    let world = World::with(|world| {
        world.service("web").run("exec sleep 1000");
    });
    use std::os::unix::fs::PermissionsExt;
    for path in [world.root.clone(), world.root.join("run")] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let binary = world.root.join("svc");
    common::said::copy_program(&common::svc_binary(), &binary);
    let mut command = std::process::Command::new(binary);
    command
        .args(["down", "web"])
        .env_clear()
        .env("SVC_RUNTIME_DIR", world.root.join("run"))
        .uid(65534)
        .gid(65534);
    let said = common::said::run(&mut command);
    assert_eq!(said.code, 111, "{said:?}");
    assert!(said.err.to_lowercase().contains("permission denied"), "{said:?}");
    world.wait_state("web", &["up", "ready"]);
}

#[test]
fn twenty_thousand_descriptors_are_given_or_refused_in_words() {
    let world = World::with(|world| {
        world
            .service("hungry")
            .file("down", "")
            .run("echo limit $(ulimit -n)\nexec sleep 1000")
            .toml("[limits]\nopen-files = 20000");
    });
    let said = world.svc(&["up", "hungry"]);
    if said.code == 0 {
        world.wait_log("hungry", "limit 20000");
    } else {
        assert!(said.err.contains("open-files") && said.err.contains("ermitted"), "{said:?}");
    }
}

#[test]
fn without_free_processes_a_start_fails_in_words_and_succeeds_later() {
    if !needs_root() {
        return;
    }
    // RLIMIT_NPROC counts per user, and root is exempt: the program of an ordinary user meets it.
    let world = World::with(|world| {
        world
            .service("cramped")
            .file("down", "")
            .run("sleep 1000 & exec sleep 1000")
            .toml("user = \"games\"\n[limits]\nprocesses = 1");
    });
    let said = world.svc(&["up", "cramped"]);
    assert!(said.code == 0 || !said.err.is_empty(), "{said:?}");
    world.ok(&["down", "cramped"]);
}

#[test]
fn a_services_directory_that_is_missing_or_a_file_is_an_error_in_words() {
    let world = World::new();
    fs::write(world.root.join("file"), "").unwrap();
    for path in [world.root.join("nowhere"), world.root.join("file")] {
        let said = world.svc(&["supervise", &path.display().to_string()]);
        assert_ne!(said.code, 0);
        assert!(said.err.contains("cannot") && said.err.contains(&path.display().to_string()), "{said:?}");
    }
}

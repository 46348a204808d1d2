//! What a program is given at its start, however bad the caller of svc was: DESIGN.md section 5.

// A test ends by panicking; clippy allows that only inside of #[test] functions.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use common::hostile::{Terminal, spoil_command};
use common::processes::{
    descriptor_flags, descriptors, environment, facts, signal_set, status_line, working_directory,
};
use common::{Facts, World, needs_program, needs_root, wait_until};

const O_APPEND: u32 = 0o2000;
const O_ACCMODE: u32 = 0o3;

fn sleeper(world: &World, name: &str, toml: &str) {
    world.service(name).toml(&format!("command = [\"/bin/sleep\", \"1000\"]\n{toml}"));
}

/// The whole launch context of a service that asked for nothing.
#[track_caller]
fn expect_clean_context(world: &World, name: &str) {
    let pid = world.pid(name);
    let Facts { ppid, pgid, sid, tty, tpgid, .. } = facts(pid).unwrap();
    assert_eq!((ppid, pgid, sid, tty, tpgid), (world.guardian(), pid, pid, 0, -1), "ppid pgid sid tty tpgid");
    let open = descriptors(pid);
    assert_eq!(open.keys().copied().collect::<Vec<_>>(), [0, 1, 2], "{open:?}");
    assert_eq!(open[&0], "/dev/null");
    assert!(open[&1].starts_with("pipe:") && open[&1] == open[&2], "{open:?}");
    assert_ne!(descriptor_flags(pid, 0) & O_ACCMODE, 1, "stdin cannot be read");
    assert_eq!(signal_set(pid, "SigBlk"), 0, "blocked signals");
    assert_eq!(signal_set(pid, "SigIgn"), 0, "ignored signals");
    assert_eq!(status_line(pid, "Umask"), "0022");
    assert_eq!(working_directory(pid).unwrap(), world.services().join(name));
}

#[test]
fn a_hostile_caller_on_a_terminal_spoils_nothing_for_the_services() {
    let mut world = World::new();
    sleeper(&world, "web", "");
    let mut terminal = Terminal::open();
    let mut command = world.command(&["supervise"]);
    let guardian = terminal.spawn(&mut command, true);
    let _heard = terminal.listen();
    world.adopt(guardian);
    world.wait_state("web", &["up", "ready"]);
    expect_clean_context(&world, "web");
}

#[test]
fn a_hostile_caller_of_the_daemon_spoils_nothing_for_the_services() {
    let mut world = World::new();
    sleeper(&world, "web", "");
    let mut command = world.command(&["daemon"]);
    spoil_command(&mut command);
    common::said::run(&mut command).expect_code(0);
    world.wait_for_answer();
    world.wait_state("web", &["up", "ready"]);
    expect_clean_context(&world, "web");
}

#[test]
fn a_hostile_caller_of_init_spoils_nothing_for_the_services() {
    let mut world = World::new();
    sleeper(&world, "web", "");
    let mut command = world.command(&["init"]);
    spoil_command(&mut command);
    world.start_with(&mut command);
    world.wait_state("web", &["up", "ready"]);
    expect_clean_context(&world, "web");
}

#[test]
fn a_restarted_service_has_the_same_clean_context_as_the_first() {
    let mut world = World::new();
    sleeper(&world, "web", "restart-reset = \"1ms\"");
    let mut command = world.command(&["supervise"]);
    spoil_command(&mut command);
    world.start_with(&mut command);
    world.wait_state("web", &["up", "ready"]);
    for _ in 0..3 {
        let old = world.pid("web");
        common::processes::kill_9(old);
        world.wait_other_pid("web", old);
        expect_clean_context(&world, "web");
    }
}

#[test]
fn a_system_daemon_gives_its_services_a_short_known_environment() {
    let mut world = World::new();
    world.environment = [("SECRET", "x"), ("LD_LIBRARY_PATH", "/nowhere"), ("LISTEN_FDS", "3")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .to_vec();
    let web = world.service("web");
    web.toml("command = [\"/bin/sleep\", \"1000\"]\ninherit-env = false\nenv = { PORT = \"8080\", KEPT = \"toml\" }\nenv-files = [\"more\", \"-absent\"]");
    web.file("more", "# a comment\nFROM_FILE=yes\nKEPT=file\n").file("env/EXTRA", "from-env-dir\n");
    world.start();
    world.wait_state("web", &["up", "ready"]);
    let given = environment(world.pid("web"));
    let keys: Vec<&str> = given.keys().map(String::as_str).collect();
    let own = ["EXTRA", "FROM_FILE", "KEPT", "PORT"];
    // Run scripts written for runit take their name from PWD.
    let always = ["HOME", "LANG", "LOGNAME", "PATH", "PWD", "SHELL", "USER"];
    let unexpected: Vec<&&str> = keys
        .iter()
        .filter(|key| !own.contains(key) && !always.contains(key) && !key.starts_with("SVC_"))
        .collect();
    assert!(unexpected.is_empty(), "{unexpected:?} in {given:?}");
    for key in always {
        assert!(given.contains_key(key), "{key} is missing in {given:?}");
    }
    for (key, value) in [("PORT", "8080"), ("KEPT", "toml"), ("FROM_FILE", "yes"), ("EXTRA", "from-env-dir")]
    {
        assert_eq!(given[key], value, "{key}");
    }
}

#[test]
fn an_inherited_environment_comes_without_what_was_meant_for_svc_itself() {
    let mut world = World::new();
    world.environment =
        [("COLOUR", "blue"), ("NOTIFY_SOCKET", "/x"), ("LISTEN_PID", "1"), ("WATCHDOG_USEC", "5")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .to_vec();
    sleeper(&world, "web", "inherit-env = true");
    world.start();
    world.wait_state("web", &["up", "ready"]);
    let given = environment(world.pid("web"));
    assert_eq!(given.get("COLOUR").map(String::as_str), Some("blue"), "{given:?}");
    for key in ["NOTIFY_SOCKET", "LISTEN_PID", "WATCHDOG_USEC"] {
        assert!(!given.contains_key(key), "{key} leaked: {given:?}");
    }
}

#[test]
fn user_group_supplementary_groups_umask_and_directory_are_as_configured() {
    if !needs_root() {
        return;
    }
    let world = World::with(|world| {
        sleeper(
            world,
            "web",
            "user = \"daemon\"\ngroup = \"games\"\ngroups = [\"mail\"]\numask = \"027\"\ncwd = \"/usr\"\ninherit-env = false",
        );
    });
    world.wait_state("web", &["up", "ready"]);
    let pid = world.pid("web");
    let id = |database: &str, name: &str| -> String {
        let text = fs::read_to_string(database).unwrap();
        let line = text.lines().find(|line| line.starts_with(&format!("{name}:"))).unwrap();
        line.split(':').nth(2).unwrap().to_owned()
    };
    let four = |id: &str| [id; 4].join(" ");
    assert_eq!(status_line(pid, "Uid"), four(&id("/etc/passwd", "daemon")));
    assert_eq!(status_line(pid, "Gid"), four(&id("/etc/group", "games")));
    let groups = status_line(pid, "Groups");
    assert!(groups.split(' ').any(|group| group == id("/etc/group", "mail")), "groups {groups}");
    assert!(!groups.split(' ').any(|group| group == "0"), "root's group was kept: {groups}");
    assert_eq!(status_line(pid, "Umask"), "0027");
    assert_eq!(working_directory(pid).unwrap().to_str(), Some("/usr"));
    let given = environment(pid);
    assert_eq!(given.get("USER").map(String::as_str), Some("daemon"), "{given:?}");
    assert_eq!(given.get("LOGNAME").map(String::as_str), Some("daemon"), "{given:?}");
}

#[test]
fn a_service_of_another_user_can_open_dev_stdout_and_dev_stderr() {
    if !needs_root() {
        return;
    }
    let world = World::with(|world| {
        let web = world.service("web");
        web.toml("user = \"nobody\"\ncwd = \"/\"\ncommand = [\"/bin/sh\", \"-c\", \"echo first >/dev/stdout && echo second >>/dev/stderr && exec sleep 1000\"]");
    });
    world.wait_log("web", "first");
    world.wait_log("web", "second");
}

#[test]
fn a_logger_of_another_user_can_open_dev_stdin() {
    if !needs_root() {
        return;
    }
    for writer in ["", "user = \"daemon\""] {
        let world = World::with(|world| {
            fs::set_permissions(&world.root, PermissionsExt::from_mode(0o755)).unwrap();
            let caught = world.root.join("caught");
            fs::write(&caught, "").unwrap();
            fs::set_permissions(&caught, PermissionsExt::from_mode(0o666)).unwrap();
            let web = world.service("web");
            web.script("log/run", &format!("exec cat /dev/stdin >{}", caught.display()));
            web.file("log/service.toml", "user = \"games\"");
            web.run("echo one\necho two >/dev/stdout\nexec sleep 1000").toml(writer);
        });
        wait_until("both lines", || fs::read_to_string(world.root.join("caught")).unwrap() == "one\ntwo\n");
    }
}

#[test]
fn the_three_streams_lead_where_the_service_says() {
    let world = World::new();
    fs::write(world.root.join("input"), "from a file\n").unwrap();
    fs::write(world.root.join("appended"), "old\n").unwrap();
    fs::write(world.root.join("truncated"), "old\n").unwrap();
    let root = world.root.display().to_string();
    world
        .service("web")
        .run("cat\necho err >&2\nexec sleep 1000")
        .toml(&format!("stdin = \"file:{root}/input\"\nstdout = \"append:{root}/appended\"\nstderr = \"truncate:{root}/truncated\""));
    let mut world = world;
    world.start();
    world.wait_state("web", &["up", "ready"]);
    wait_until("both files to be written", || {
        fs::read_to_string(world.root.join("truncated")).is_ok_and(|text| text == "err\n")
    });
    assert_eq!(world.wait_file("appended"), "old\nfrom a file\n");
    let pid = world.pid("web");
    let open = descriptors(pid);
    assert_eq!(open.len(), 3, "{open:?}");
    assert_eq!(open[&1], format!("{root}/appended"));
    assert_ne!(descriptor_flags(pid, 1) & O_APPEND, 0, "append");
}

#[test]
fn limits_niceness_oom_score_and_pidfile_are_applied() {
    let world = World::with(|world| {
        let pidfile = world.root.join("web.pid");
        sleeper(
            world,
            "web",
            &format!(
                "nice = 5\noom-score-adjust = 250\nwrite-pidfile = \"{}\"\n[limits]\nopen-files = 77\ncore = 0",
                pidfile.display()
            ),
        );
    });
    world.wait_state("web", &["up", "ready"]);
    let pid = world.pid("web");
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let limit = |name: &str| -> Vec<String> {
        let line = limits.lines().find(|line| line.starts_with(name)).unwrap();
        line[name.len()..].split_whitespace().take(2).map(str::to_owned).collect()
    };
    assert_eq!(limit("Max open files"), ["77", "77"]);
    assert_eq!(limit("Max core file size"), ["0", "0"]);
    assert_eq!(fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap().trim(), "250");
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    assert_eq!(stat.rsplit_once(") ").unwrap().1.split(' ').nth(16), Some("5"), "nice");
    assert_eq!(world.wait_file("web.pid").trim(), pid.to_string());
}

#[test]
fn a_service_may_have_a_terminal_of_its_own() {
    let mut terminal = Terminal::open();
    let _near = fs::File::options().read(true).write(true).open(&terminal.path).unwrap();
    let world = World::with(|world| {
        sleeper(world, "getty", &format!("tty = \"{}\"\nstdin = \"tty\"\nstdout = \"tty\"", terminal.path));
    });
    world.wait_state("getty", &["up", "ready"]);
    let pid = world.pid("getty");
    let facts = facts(pid).unwrap();
    assert_ne!(facts.tty, 0, "{facts:?}");
    assert_eq!((facts.sid, facts.tpgid), (pid, pid), "{facts:?}");
    assert_eq!(descriptors(pid)[&0], terminal.path);
    drop(world);
    terminal.hang_up();
}

#[test]
fn a_service_may_live_in_another_root() {
    if !needs_root() {
        return;
    }
    // The static binary under test is the only program that needs nothing in its root.
    let world = World::new();
    let jail = world.root.join("jail");
    fs::create_dir_all(&jail).unwrap();
    common::said::copy_program(&common::svc_binary(), &jail.join("svc"));
    world.service("web").toml(&format!(
        "type = \"oneshot\"\ncommand = [\"/svc\", \"--version\"]\nroot = \"{}\"\ncwd = \"/\"",
        jail.display()
    ));
    let mut world = world;
    world.start();
    world.wait_state("web", &["done"]);
    world.wait_log("web", "svc");
}

#[test]
fn drop_in_files_lie_over_the_service_in_name_order() {
    let world = World::with(|world| {
        sleeper(world, "web", "umask = \"077\"\nenv = { A = \"0\" }\nnice = 1");
        let web = world.service("web");
        web.file("service.d/10-first.toml", "umask = \"027\"\nnice = 2\n");
        web.file("service.d/20-second.toml", "nice = 3\n");
    });
    world.wait_state("web", &["up", "ready"]);
    let pid = world.pid("web");
    assert_eq!(status_line(pid, "Umask"), "0027");
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    assert_eq!(stat.rsplit_once(") ").unwrap().1.split(' ').nth(16), Some("3"), "nice");
    let shown = world.ok(&["show", "web"]);
    assert!(shown.contains("20-second.toml"), "{shown}");
}

/// `signal(SIGCHLD, SIG_IGN)` survives exec and makes every `system()` of a child lie.
#[test]
fn children_of_a_service_can_wait_for_their_own_children() {
    if !needs_program("python3") {
        return;
    }
    let world = World::with(|world| {
        world
            .service("parent")
            .run("exec python3 -c 'import subprocess; print(\"code\", subprocess.call([\"false\"]), flush=True); import time; time.sleep(1000)'");
    });
    world.wait_log("parent", "code 1");
}

#[test]
fn what_a_service_reads_from_its_stdin_ends_at_once() {
    let world = World::with(|world| {
        world.service("web").run("cat </dev/stdin && echo read to the end\nexec sleep 1000");
    });
    world.wait_log("web", "read to the end");
}

#[test]
fn ten_services_get_their_own_environment_each() {
    let world = World::with(|world| {
        for number in 0..10 {
            sleeper(world, &format!("web{number}"), &format!("env = {{ NUMBER = \"{number}\" }}"));
        }
    });
    let numbers: BTreeMap<usize, String> = (0..10)
        .map(|number| {
            let name = format!("web{number}");
            world.wait_state(&name, &["up", "ready"]);
            (number, environment(world.pid(&name))["NUMBER"].clone())
        })
        .collect();
    assert!(numbers.iter().all(|(number, given)| number.to_string() == *given), "{numbers:?}");
}

#[test]
fn infinitely_many_descriptors_are_as_many_as_svc_may_have() {
    let world = World::with(|world| {
        sleeper(world, "most", "[limits]\nopen-files = \"100:infinity\"");
        sleeper(world, "all", "[limits]\nopen-files = \"infinity\"");
    });
    let limits = |pid: i32| {
        let text = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let line = text.lines().find(|line| line.starts_with("Max open files")).unwrap();
        let mut words = line.split_whitespace().skip(3).map(str::to_owned);
        (words.next().unwrap(), words.next().unwrap())
    };
    let (_, hard) = limits(world.guardian());
    for (name, soft) in [("most", "100"), ("all", hard.as_str())] {
        world.wait_state(name, &["up", "ready"]);
        assert_eq!(limits(world.pid(name)), (soft.to_owned(), hard.clone()), "{name}");
    }
}

//! Real daemons from Debian, kept from service directories: they answer, survive kill -9, restart,
//! reload, stop cleanly, and leave no process and no zombie.

// A test ends by panicking; clippy allows that only inside of #[test] functions.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::network::{ask_tcp, ask_unix, free_port};
use common::processes::{children_of, kill_9, lives, zombies_of};
use common::{World, needs_program, needs_root, said, wait_until};

/// Everything that is asked of a daemon; `answers` talks to it.
fn expect_kept(mut world: World, name: &str, reloads: bool, answers: impl Fn(&World) -> bool) {
    world.start();
    let answer = |when: &str| wait_until(&format!("{name} to answer {when}"), || answers(&world));
    world.wait_state(name, &["up", "ready"]);
    answer("after its start");

    let first = world.pid(name);
    kill_9(first);
    let second = world.wait_other_pid(name, first);
    answer("after kill -9");
    assert!(!lives(first));

    world.ok(&["restart", name]);
    let third = world.pid(name);
    assert_ne!(second, third);
    answer("after a restart");

    if reloads {
        world.ok(&["reload", name]);
        assert_eq!(world.pid(name), third, "a reload is no restart");
        answer("after a reload");
    }

    world.ok(&["down", name]);
    assert!(!answers(&world), "{name} is down and answers");
    let guardian = world.guardian();
    let (_, supervisor) = world.pids();
    let others: Vec<_> = children_of(guardian).into_iter().filter(|child| child.pid != supervisor).collect();
    assert!(others.is_empty(), "left with the guardian: {others:?}");
    assert!(zombies_of(guardian).is_empty());
    let status = world.status(name);
    // No trouble, such as a process that survived.
    assert!(
        status["reason"].as_str().is_some_and(|why| why.starts_with("asked to stop by uid ")),
        "{status}"
    );

    world.ok(&["up", name]);
    answer("after down and up");
    assert_eq!(world.end(), Some(0));
    world.expect_nothing_left();
}

#[test]
fn nginx_is_kept() {
    if !needs_program("nginx") {
        return;
    }
    let world = World::new();
    let port = free_port();
    let root = world.root.display();
    let conf = format!(
        "{}pid {root}/nginx.pid;\nerror_log stderr;\nworker_processes 2;\nevents {{ }}\nhttp {{\n access_log off;\n client_body_temp_path {root}/t1;\n proxy_temp_path {root}/t2;\n fastcgi_temp_path {root}/t3;\n uwsgi_temp_path {root}/t4;\n scgi_temp_path {root}/t5;\n server {{ listen 127.0.0.1:{port}; location / {{ return 200 \"kept by svc\\n\"; }} }}\n}}\n",
        if nix::unistd::geteuid().is_root() { "user root;\n" } else { "" }
    );
    fs::write(world.root.join("nginx.conf"), conf).unwrap();
    world.service("nginx").toml(&format!(
        "command = [\"nginx\", \"-c\", \"{root}/nginx.conf\", \"-g\", \"daemon off;\"]\nstop = [\"QUIT\", \"10s\", \"KILL\"]\nreload = \"HUP\""
    ));
    expect_kept(world, "nginx", true, |_| ask_tcp(port, "GET / HTTP/1.0\r\n\r\n", "kept by svc").is_some());
}

#[test]
fn redis_is_kept() {
    if !needs_program("redis-server") {
        return;
    }
    let world = World::new();
    let port = free_port();
    let root = world.root.display().to_string();
    world.service("redis").toml(&format!(
        "command = [\"redis-server\", \"--port\", \"{port}\", \"--bind\", \"127.0.0.1\", \"--unixsocket\", \"{root}/redis.sock\", \"--dir\", \"{root}\", \"--save\", \"\", \"--daemonize\", \"no\"]"
    ));
    let socket = world.root.join("redis.sock");
    expect_kept(world, "redis", false, |_| {
        ask_tcp(port, "PING\r\n", "+PONG").is_some() && ask_unix(&socket, "PING\r\n", "+PONG").is_some()
    });
}

#[test]
fn memcached_is_kept() {
    if !needs_program("memcached") {
        return;
    }
    let world = World::new();
    let port = free_port();
    let user = if nix::unistd::geteuid().is_root() { ", \"-u\", \"root\"" } else { "" };
    world.service("memcached").toml(&format!(
        "command = [\"memcached\", \"-l\", \"127.0.0.1\", \"-p\", \"{port}\", \"-U\", \"0\"{user}]"
    ));
    expect_kept(world, "memcached", false, |_| {
        ask_tcp(port, "set key 0 0 5\r\nvalue\r\nget key\r\n", "value\r\nEND").is_some()
    });
}

/// Debian keeps the programs of every version in a folder of its own.
fn postgres_programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    versions
        .flatten()
        .map(|version| version.path().join("bin"))
        .find(|folder| folder.join("postgres").is_file())
}

fn as_postgres(program: &Path, arguments: &[&str]) -> Command {
    use std::os::unix::process::CommandExt;
    let text = fs::read_to_string("/etc/passwd").unwrap();
    let line = text.lines().find(|line| line.starts_with("postgres:")).expect("a user postgres");
    let number = |field: usize| line.split(':').nth(field).unwrap().parse::<u32>().unwrap();
    let mut command = Command::new(program);
    command.args(arguments).uid(number(2)).gid(number(3)).current_dir("/").env("LC_ALL", "C");
    command
}

#[test]
fn postgresql_is_kept() {
    // It refuses to run as root, and only root can make it run as another.
    if !needs_root() || !needs_program("psql") {
        return;
    }
    let programs = postgres_programs().expect("postgresql's server programs");
    let world = World::new();
    let port = free_port().to_string();
    let data = world.root.join("pg");
    fs::create_dir(&data).unwrap();
    said::run(Command::new("chown").arg("postgres:postgres").arg(&data)).expect_code(0);
    let place = data.join("data").display().to_string();
    said::run(&mut as_postgres(
        &programs.join("initdb"),
        &["-D", &place, "-A", "trust", "--no-sync", "-U", "postgres"],
    ))
    .expect_code(0);
    world.service("postgresql").toml(&format!(
        "command = [\"{}\", \"-D\", \"{place}\", \"-p\", \"{port}\", \"-k\", \"{}\", \"-c\", \"listen_addresses=127.0.0.1\"]\nuser = \"postgres\"\nstop = [\"INT\", \"20s\", \"QUIT\", \"5s\", \"KILL\"]\nreload = \"HUP\"",
        programs.join("postgres").display(),
        data.display()
    ));
    let socket_directory = data.display().to_string();
    expect_kept(world, "postgresql", true, |_| {
        let ask = |host: &str| {
            let mut psql = Command::new(programs.join("psql"));
            psql.args(["-h", host, "-p", &port, "-U", "postgres", "-Atc", "select 40 + 2"]).current_dir("/");
            said::run(&mut psql).out.trim() == "42"
        };
        ask(&socket_directory) && ask("127.0.0.1")
    });
}

#[test]
fn all_four_are_kept_together_and_end_together() {
    if !needs_program("nginx") || !needs_program("redis-server") || !needs_program("memcached") {
        return;
    }
    let mut world = World::new();
    let root = world.root.display().to_string();
    let user = if nix::unistd::geteuid().is_root() { ", \"-u\", \"root\"" } else { "" };
    world
        .service("memcached")
        .toml(&format!("command = [\"memcached\", \"-s\", \"{root}/memcached.sock\"{user}]"));
    world.service("redis").toml(&format!(
        "command = [\"redis-server\", \"--port\", \"0\", \"--unixsocket\", \"{root}/redis.sock\", \"--dir\", \"{root}\", \"--save\", \"\"]"
    ));
    fs::write(
        world.root.join("nginx.conf"),
        format!("pid {root}/nginx.pid;\nerror_log stderr;\nevents {{ }}\nhttp {{ access_log off; client_body_temp_path {root}/t1; proxy_temp_path {root}/t2; fastcgi_temp_path {root}/t3; uwsgi_temp_path {root}/t4; scgi_temp_path {root}/t5; server {{ listen unix:{root}/nginx.sock; location / {{ return 204; }} }} }}\n"),
    )
    .unwrap();
    // Killed by KILL, nginx leaves its socket file, and refuses to start over it: `run` clears it away.
    world
        .service("nginx")
        .run(&format!("rm -f {root}/nginx.sock\nexec nginx -c {root}/nginx.conf -g 'daemon off;'"));
    world.start();
    let answer = |world: &World| {
        let socket = |name: &str| world.root.join(name);
        ask_unix(&socket("nginx.sock"), "GET / HTTP/1.0\r\n\r\n", "204").is_some()
            && ask_unix(&socket("redis.sock"), "PING\r\n", "+PONG").is_some()
            && ask_unix(&socket("memcached.sock"), "version\r\n", "VERSION").is_some()
    };
    wait_until("all to answer", || answer(&world));
    let names = ["nginx", "redis", "memcached"];
    let old = names.map(|name| world.pid(name));
    old.into_iter().for_each(kill_9);
    for (name, pid) in names.into_iter().zip(old) {
        world.wait_other_pid(name, pid);
    }
    wait_until("all to answer again", || answer(&world));
    assert_eq!(world.end(), Some(0));
    world.expect_nothing_left();
}

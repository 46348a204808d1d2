//! A container of one static file, under a real Docker engine. No registry is asked.

// A test ends by panicking; clippy allows that only inside of #[test] functions.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use common::needs::find_program;
use common::said::{self, Said};
use common::{World, needs_docker, needs_program, svc_binary, wait_until};

#[track_caller]
fn docker(words: &[&str]) -> Said {
    said::run(Command::new("docker").args(words))
}

/// The image of contrib/container with the binary under test; built once, named after the process.
fn image() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let name = format!("svc-test-{}", std::process::id());
        let context = std::env::temp_dir().join(&name);
        fs::create_dir_all(&context).unwrap();
        fs::copy(svc_binary(), context.join("svc")).unwrap();
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/contrib/container/Dockerfile");
        let place = context.display().to_string();
        let said = docker(&["build", "-q", "-t", &name, "-f", file, &place]);
        fs::remove_dir_all(&context).unwrap();
        said.expect_code(0);
        // The image goes with the last test: a process of its own waits for the end of this one.
        remove_image_at_the_end(&name);
        name
    })
}

fn remove_image_at_the_end(name: &str) {
    let script = "while kill -0 \"$1\" 2>/dev/null; do sleep 0.2; done; docker rmi -f \"$0\"";
    Command::new("setsid")
        .args(["--fork", "sh", "-c", script, name, &std::process::id().to_string()])
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()
        .unwrap();
}

struct Container {
    name: String,
}

impl Container {
    /// `docker run -d` with busybox beside svc and the services of this world in /etc/svc.
    #[track_caller]
    fn start(world: &World, options: &[&str]) -> Container {
        let name = world.root.file_name().unwrap().to_string_lossy().into_owned();
        let services = format!("{}:/etc/svc:ro", world.services().display());
        let shell = format!("{}:/bin/sh:ro", busybox().display());
        let mut words =
            vec!["run", "-d", "--network", "none", "--name", &name, "-v", &services, "-v", &shell];
        words.extend(options);
        words.push(image());
        docker(&words).expect_code(0);
        Container { name }
    }

    fn logs(&self) -> String {
        docker(&["logs", &self.name]).all()
    }

    fn exec(&self, words: &[&str]) -> Said {
        docker(&[&["exec", self.name.as_str()], words].concat())
    }

    /// `docker stop`: TERM, and KILL after ten seconds. Returns the exit code of PID 1.
    fn stop(&self) -> i32 {
        docker(&["stop", "-t", "10", &self.name]).expect_code(0);
        let said = docker(&["inspect", "-f", "{{.State.ExitCode}}", &self.name]).expect_code(0);
        said.out.trim().parse().unwrap()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- docker logs:\n{}", self.logs());
        }
        docker(&["rm", "-f", &self.name]);
    }
}

/// A static shell: busybox under the name `sh` is one, and knows its other programs by `busybox NAME`
/// or, inside its own shell, by their names.
fn busybox() -> PathBuf {
    find_program("busybox").expect("busybox")
}

fn ready() -> bool {
    needs_docker() && needs_program("busybox")
}

/// Files in a container are read by any uid.
fn readable(path: &Path) {
    said::run(Command::new("chmod").arg("-R").arg("a+rX").arg(path)).expect_code(0);
}

fn world_with_web() -> World {
    let world = World::new();
    world.service("web").run("echo web says hello\nwhile :; do sleep 1; done");
    readable(&world.root);
    world
}

#[test]
fn one_static_file_runs_one_program_and_passes_its_code() {
    if !ready() {
        return;
    }
    let shell = format!("{}:/bin/sh:ro", busybox().display());
    let run = ["run", "--rm", "--network", "none", "-v", &shell, image()];
    let said = docker(&[&run[..], &["--", "/svc", "--version"]].concat()).expect_code(0);
    assert!(said.out.contains("svc"), "{said:?}");
    docker(&[&run[..], &["--", "/bin/sh", "-c", "exit 7"]].concat()).expect_code(7);
    docker(&[&run[..], &["--", "/nonexistent"]].concat()).expect_code(127);
    docker(&[&run[..], &["--", "/bin/sh", "-c", "kill -KILL $$"]].concat()).expect_code(137);
}

#[test]
fn services_run_log_to_the_container_answer_and_stop_in_time() {
    if !ready() {
        return;
    }
    let world = world_with_web();
    let container = Container::start(&world, &[]);
    wait_until("the log", || container.logs().contains("web says hello"));
    let logs = container.logs();
    let line = logs.lines().find(|line| line.contains("web says hello")).unwrap();
    assert!(line.matches("web").count() >= 2, "the name is not in front: {line}");
    wait_until("svc status inside", || container.exec(&["/svc", "status", "web"]).code == 0);
    let overview = container.exec(&["/svc", "status", "--json"]).expect_code(0);
    let overview: serde_json::Value = serde_json::from_str(&overview.out).unwrap();
    assert_eq!(overview["guardian"]["pid"], 1, "{overview}");
    container.exec(&["/svc", "restart", "web"]).expect_code(0);
    container.exec(&["/svc", "status", "nobody"]).expect_code(4);
    assert_eq!(container.stop(), 0);
}

#[test]
fn a_service_that_ignores_term_is_ended_before_docker_kills() {
    if !ready() {
        return;
    }
    let world = World::new();
    world.service("deaf").run("trap '' TERM\necho deaf\nwhile :; do sleep 1; done");
    readable(&world.root);
    let container = Container::start(&world, &[]);
    wait_until("the log", || container.logs().contains("deaf"));
    assert_ne!(container.stop(), 137, "docker had to kill it");
}

#[test]
fn a_read_only_root_is_enough() {
    if !ready() {
        return;
    }
    let world = world_with_web();
    let container = Container::start(&world, &["--read-only"]);
    wait_until("the log", || container.logs().contains("web says hello"));
    assert_eq!(container.stop(), 0);
}

#[test]
fn a_read_only_root_with_a_writable_run_has_everything() {
    if !ready() {
        return;
    }
    let world = world_with_web();
    let container = Container::start(&world, &["--read-only", "--tmpfs", "/run"]);
    wait_until("the log", || container.logs().contains("web says hello"));
    wait_until("svc status inside", || container.exec(&["/svc", "status", "web"]).code == 0);
    assert_eq!(container.stop(), 0);
}

#[test]
fn any_user_id_will_do() {
    if !ready() {
        return;
    }
    let world = world_with_web();
    let container = Container::start(&world, &["--user", "12345:12345", "--read-only", "--tmpfs", "/tmp"]);
    wait_until("the log", || container.logs().contains("web says hello"));
    wait_until("svc status inside", || container.exec(&["/svc", "status", "web"]).code == 0);
    assert_eq!(container.stop(), 0);
}

#[test]
fn orphans_are_reaped_by_pid_1() {
    if !ready() {
        return;
    }
    let world = World::new();
    world.service("litter").run("for n in 1 2 3 4 5 6 7 8; do (sleep 0 & exec /bin/sh -c :) & done\nwait\necho littered\nwhile :; do sleep 1; done");
    readable(&world.root);
    let container = Container::start(&world, &[]);
    wait_until("the log", || container.logs().contains("littered"));
    wait_until("no zombie", || {
        let said = container.exec(&["/bin/sh", "-c", "grep -l 'State:.Z' /proc/[0-9]*/status | wc -l"]);
        said.out.trim() == "0"
    });
    assert_eq!(container.stop(), 0);
}

#[test]
fn the_example_with_services_baked_in_builds_and_runs() {
    if !ready() {
        return;
    }
    let name = format!("svc-example-{}", std::process::id());
    let context = std::env::temp_dir().join(&name);
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/contrib/container/example");
    said::run(Command::new("cp").arg("-a").arg(source).arg(&context)).expect_code(0);
    fs::copy(busybox(), context.join("busybox")).unwrap();
    let place = context.display().to_string();
    let base = format!("BASE={}", image());
    let said = docker(&["build", "-q", "-t", &name, "--build-arg", &base, &place]);
    fs::remove_dir_all(&context).unwrap();
    said.expect_code(0);
    let container = Container { name: name.clone() };
    docker(&["run", "-d", "--network", "none", "--name", &name, &name]).expect_code(0);
    wait_until("the ticker", || container.logs().contains("tick"));
    let code = container.stop();
    drop(container);
    docker(&["rmi", "-f", &name]).expect_code(0);
    assert_eq!(code, 0);
}

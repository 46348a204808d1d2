//! `svc supervise` in a terminal: what it shows and how it ends.

// A test ends by panicking; clippy allows that only inside of #[test] functions.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::hostile::Terminal;
use common::{World, said, wait_until};

#[test]
fn a_terminal_shows_the_merged_output_with_names_in_colour_and_ctrl_c_ends_all() {
    let mut world = World::new();
    world.service("web").run("echo hello from web\nexec sleep 1000");
    world.service("worker").run("echo hello from worker\nexec sleep 1000");
    let mut terminal = Terminal::open();
    let services = world.services().display().to_string();
    let mut command = world.command(&["supervise", &services]);
    command.env("TERM", "xterm");
    let guardian = terminal.spawn(&mut command, false);
    let heard = terminal.listen();
    world.adopt(guardian);
    wait_until("both outputs", || {
        let heard = heard.lock().unwrap();
        heard.contains("hello from web") && heard.contains("hello from worker")
    });
    let text = heard.lock().unwrap().clone();
    let line = text.lines().find(|line| line.contains("hello from worker")).unwrap();
    assert!(line.contains("worker") && line.contains('\x1b'), "no name or no colour: {line:?}");
    assert!(line.matches("worker").count() >= 2, "the name is not in front: {line:?}");
    terminal.type_in("\x03");
    world.wait_end();
    world.expect_nothing_left();
}

#[test]
fn no_color_is_honoured() {
    let mut world = World::new();
    world.service("web").run("echo hello from web\nexec sleep 1000");
    let mut terminal = Terminal::open();
    let mut command = world.command(&["supervise"]);
    command.env("TERM", "xterm").env("NO_COLOR", "1");
    let guardian = terminal.spawn(&mut command, false);
    let heard = terminal.listen();
    world.adopt(guardian);
    wait_until("the output", || heard.lock().unwrap().contains("hello from web"));
    assert!(!heard.lock().unwrap().contains("\x1b["), "{}", heard.lock().unwrap());
}

#[test]
fn a_second_ctrl_c_hurries() {
    let mut world = World::new();
    world
        .service("deaf")
        .run("trap '' TERM INT\necho deaf\nwhile :; do sleep 1; done")
        .toml("stop = [\"TERM\", \"1h\", \"KILL\"]");
    let mut terminal = Terminal::open();
    let mut command = world.command(&["supervise"]);
    let guardian = terminal.spawn(&mut command, false);
    let heard = terminal.listen();
    world.adopt(guardian);
    wait_until("the program", || heard.lock().unwrap().contains("deaf"));
    world.wait_log("deaf", "deaf");
    terminal.type_in("\x03");
    world.wait_state("deaf", &["stopping"]);
    wait_until("an answer to Ctrl-C", || {
        heard.lock().unwrap().contains("stopping 1 service; Ctrl-C again hurries")
    });
    terminal.type_in("\x03");
    wait_until("an answer to the second", || heard.lock().unwrap().contains("killing what is left"));
    world.wait_end();
    world.expect_nothing_left();
}

#[test]
fn a_closed_terminal_ends_supervise_and_its_services() {
    let mut world = World::new();
    world.service("web").run("exec sleep 1000");
    let mut terminal = Terminal::open();
    let mut command = world.command(&["supervise"]);
    let guardian = terminal.spawn(&mut command, false);
    world.adopt(guardian);
    world.wait_state("web", &["up", "ready"]);
    terminal.hang_up();
    world.wait_end();
    world.expect_nothing_left();
}

#[test]
fn term_ends_it_in_order_with_code_0() {
    let mut world = World::with(|world| {
        world
            .service("web")
            .run("trap 'echo bye; exit 0' TERM\necho ready to hear\nwhile :; do sleep 0.02; done");
    });
    world.wait_log("web", "ready to hear");
    assert_eq!(world.end(), Some(0));
    world.wait_log("web", "bye");
    world.expect_nothing_left();
}

#[test]
fn the_services_of_the_repository_run_as_the_readme_promises() {
    let mut world = World::new();
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/services");
    let copy = world.services().display().to_string();
    said::run(std::process::Command::new("cp").args(["-a", &format!("{source}/."), &copy])).expect_code(0);
    world.svc(&["check"]).expect_code(0);
    world.start();
    let overview = world.overview();
    let services = overview["services"].as_array().unwrap();
    assert!(services.len() >= 4, "{overview}");
    wait_until("a service that runs", || {
        let overview = world.overview();
        overview["services"].as_array().unwrap().iter().any(|service| service["pid"].is_i64())
    });
    wait_until("a log", || std::fs::read_dir(world.root.join("log")).unwrap().next().is_some());
}

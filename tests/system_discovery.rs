//! Service directories that appear, change, vanish or were never right: noticed with no word to svc.

// A test ends by panicking; clippy allows that only inside of #[test] functions.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fs;
use std::os::unix::fs::symlink;

use common::processes::{kill_9, lives};
use common::{ServiceDir, World, wait_for, wait_until};

#[test]
fn a_new_directory_is_started_at_once() {
    let world = World::with(|_| {});
    ServiceDir::appearing(&world.services(), "late", |service| {
        service.run("exec sleep 1000");
    });
    let late = wait_for("late to be up", || {
        let said = world.svc(&["status", "late", "--json"]);
        said.out.contains("\"state\":\"up\"").then(|| world.pid("late"))
    });
    assert!(lives(late));
}

#[test]
fn a_directory_written_piece_by_piece_is_started_when_it_is_whole() {
    let world = World::with(|_| {});
    fs::create_dir(world.services().join("late")).unwrap();
    world.service("late").toml("description = \"slowly made\"");
    world.service("late").run("exec sleep 1000");
    world.wait_state("late", &["up", "ready"]);
    assert_eq!(world.status("late")["description"], "slowly made");
}

#[test]
fn a_directory_with_a_down_file_is_known_but_not_started() {
    let world = World::with(|world| {
        world.service("later").file("down", "").run("exec sleep 1000");
        world.service("never").run("exec sleep 1000").toml("enabled = false");
        world.service("now").run("exec sleep 1000");
    });
    world.wait_state("now", &["up", "ready"]);
    for (name, why) in [("later", "not enabled: file down"), ("never", "not enabled: enabled = false")] {
        assert!(world.ok(&["status"]).lines().any(|line| line.starts_with(name) && line.ends_with(why)));
        let status = world.status(name);
        assert_eq!(
            (status["state"].as_str(), status["enabled"].as_bool()),
            (Some("down"), Some(false)),
            "{status}"
        );
    }
}

#[test]
fn a_changed_directory_is_shown_as_changed_until_restarted() {
    let world = World::with(|world| {
        world.service("web").run("exec sleep 1000").toml("nice = 1");
    });
    world.wait_state("web", &["up", "ready"]);
    let pid = world.pid("web");
    assert_eq!(world.status("web")["changed"], false);
    world.service("web").toml("nice = 2");
    wait_until("the change to be shown", || world.status("web")["changed"] == true);
    assert_eq!(world.pid("web"), pid, "a change alone restarts nothing");
    assert!(world.ok(&["status", "web"]).contains("changed"));
    world.ok(&["restart", "web"]);
    assert_eq!(world.status("web")["changed"], false);
    assert_ne!(world.pid("web"), pid);
}

#[test]
fn a_broken_edit_never_disturbs_the_running_one() {
    let world = World::with(|world| {
        world.service("web").run("exec sleep 1000").toml("nice = 1\nrestart-reset = \"1ms\"");
    });
    world.wait_state("web", &["up", "ready"]);
    let pid = world.pid("web");
    world.service("web").toml("nice = = 2");
    let status = wait_for("the problem to be shown", || {
        let status = world.status("web");
        status["problems"].as_array().is_some_and(|list| !list.is_empty()).then_some(status)
    });
    assert!(status["problems"].to_string().contains("service.toml:1"), "{status}");
    assert_eq!(world.pid("web"), pid);
    kill_9(pid);
    world.wait_other_pid("web", pid);
    world.service("web").toml("nice = 3");
    wait_until("the repair to be seen", || {
        world.status("web").get("problems").is_none_or(|list| list == &serde_json::json!([]))
    });
}

#[test]
fn a_removed_directory_is_stopped_and_forgotten() {
    let world = World::with(|world| {
        world.service("web").run("exec sleep 1000");
        world.service("other").run("exec sleep 1000");
    });
    world.wait_state("web", &["up", "ready"]);
    world.wait_state("other", &["up", "ready"]);
    let (web, other) = (world.pid("web"), world.pid("other"));
    fs::remove_dir_all(world.services().join("web")).unwrap();
    wait_until("web to be stopped", || !lives(web));
    wait_until("web to be forgotten", || world.svc(&["status", "web"]).code == 4);
    assert_eq!(world.pid("other"), other);
}

#[test]
fn a_directory_replaced_while_running_belongs_to_the_new_one() {
    let world = World::with(|world| {
        world.service("web").run("exec sleep 1000");
    });
    world.wait_state("web", &["up", "ready"]);
    let old = world.pid("web");
    fs::rename(world.services().join("web"), world.root.join("old-web")).unwrap();
    ServiceDir::appearing(&world.services(), "web", |service| {
        service.run("exec sleep 2000");
    });
    wait_until("the new one to be known", || {
        let said = world.svc(&["status", "web", "--json"]);
        said.code == 0 || said.out.contains("\"changed\":true")
    });
    world.ok(&["restart", "web"]);
    let new = world.pid("web");
    wait_until("the new program", || common::processes::command_line(new) == ["sleep", "2000"]);
    assert!(!lives(old));
}

#[test]
fn linked_directories_are_services_and_dangling_links_are_told() {
    let world = World::new();
    let elsewhere = world.root.join("elsewhere");
    ServiceDir { path: elsewhere.clone() }.run("exec sleep 1000");
    symlink(&elsewhere, world.services().join("linked")).unwrap();
    symlink(world.root.join("nowhere"), world.services().join("dangling")).unwrap();
    let mut world = world;
    world.start();
    world.wait_state("linked", &["up", "ready"]);
    let said = world.svc(&["check"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.all().contains("dangling"), "{said:?}");
    fs::remove_file(world.services().join("dangling")).unwrap();
    symlink(&elsewhere, world.services().join("second")).unwrap();
    world.wait_state("second", &["up", "ready"]);
    fs::remove_file(world.services().join("linked")).unwrap();
    wait_until("the unlinked one to be forgotten", || world.svc(&["status", "linked"]).code == 4);
    assert!(lives(world.pid("second")));
}

#[test]
fn plain_files_and_dotted_names_are_no_services() {
    let world = World::with(|world| {
        fs::write(world.services().join("notes.txt"), "hello").unwrap();
        world.service(".hidden").run("exec sleep 1000");
        world.service("web").run("exec sleep 1000");
    });
    world.wait_state("web", &["up", "ready"]);
    let overview = world.overview();
    let names: Vec<&str> =
        overview["services"].as_array().unwrap().iter().filter_map(|s| s["name"].as_str()).collect();
    assert_eq!(names, ["web"]);
}

#[test]
fn a_rescan_tells_what_it_found() {
    let world = World::with(|world| {
        world.service("web").run("exec sleep 1000");
    });
    ServiceDir::appearing(&world.services(), "new", |service| {
        service.run("exec sleep 1000");
    });
    world.ok(&["rescan"]);
    world.wait_state("new", &["up", "ready"]);
}

#[test]
fn a_service_that_appears_and_vanishes_fifty_times_leaves_nothing() {
    let world = World::with(|_| {});
    for _ in 0..50 {
        ServiceDir::appearing(&world.services(), "ghost", |service| {
            service.run("exec sleep 1000");
        });
        fs::remove_dir_all(world.services().join("ghost")).unwrap();
    }
    wait_until("the ghost to be forgotten", || world.svc(&["status", "ghost"]).code == 4);
    let (guardian, supervisor) = world.pids();
    wait_until("no process of it to be left", || {
        let left: Vec<i32> =
            world.processes().into_iter().filter(|pid| ![guardian, supervisor].contains(pid)).collect();
        left.is_empty()
    });
}

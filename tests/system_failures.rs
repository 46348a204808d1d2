//! Every step of a start that can fail is named, with its path and the kernel's reason, in the reply
//! of `svc up`, at once, and in `svc status`.

// A test ends by panicking; clippy allows that only inside of #[test] functions.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use common::{PATIENCE, ServiceDir, World, needs_root};

/// `svc up bad` must fail with these words, and `svc status` must repeat them; a good neighbour
/// is not disturbed.
#[track_caller]
fn expect_failure(write: impl FnOnce(&World, &ServiceDir), words: &[&str]) {
    let world = World::with(|world| {
        world.service("good").run("exec sleep 1000");
        let bad = world.service("bad");
        bad.file("down", "");
        write(world, &bad);
    });
    let before = Instant::now();
    let said = world.svc(&["up", "bad"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(before.elapsed() < PATIENCE / 2, "the failure was waited for, not told");
    for word in words {
        assert!(said.err.to_lowercase().contains(&word.to_lowercase()), "{word:?} is not in: {}", said.err);
    }
    let status = world.status("bad");
    let told = format!("{} {}", status["reason"], status["problems"]).to_lowercase();
    assert!(words.iter().all(|word| told.contains(&word.to_lowercase())), "{words:?} not in {status}");
    assert_eq!(world.svc(&["status", "bad"]).expect_words(words).code, 3);
    world.wait_state("good", &["up", "ready"]);
}

#[test]
fn a_missing_run_is_told() {
    expect_failure(|_, _| {}, &["/bad", "no file `run`"]);
}

#[test]
fn a_run_that_is_not_executable_is_told() {
    expect_failure(
        |_, bad| {
            bad.file("run", "#!/bin/sh\nexec sleep 1000\n");
        },
        &["/bad/run", "executable"],
    );
}

#[test]
fn a_run_that_is_a_directory_is_told() {
    expect_failure(|_, bad| fs::create_dir(bad.path.join("run")).unwrap(), &["/bad/run", "director"]);
}

#[test]
fn a_run_without_an_interpreter_line_is_told() {
    expect_failure(
        |_, bad| {
            bad.executable("run", "exec sleep 1000\n");
        },
        &["/bad/run", "#!"],
    );
}

#[test]
fn a_run_with_a_missing_interpreter_is_told() {
    expect_failure(
        |_, bad| {
            bad.executable("run", "#!/nonexistent/shell\nexec sleep 1000\n");
        },
        &["/nonexistent/shell"],
    );
}

#[test]
fn a_missing_command_is_told() {
    expect_failure(
        |_, bad| {
            bad.toml("command = [\"/nonexistent/program\"]");
        },
        &["/nonexistent/program", "no such file"],
    );
}

#[test]
fn a_command_that_is_not_in_the_path_is_told() {
    expect_failure(
        |_, bad| {
            bad.toml("command = [\"no-such-program-anywhere\"]");
        },
        &["no-such-program-anywhere"],
    );
}

#[test]
fn a_missing_working_directory_is_told() {
    expect_failure(
        |_, bad| {
            bad.run("exec sleep 1000").toml("cwd = \"/srv/nonexistent\"");
        },
        &["cannot", "/srv/nonexistent", "no such file"],
    );
}

#[test]
fn an_unknown_user_is_told() {
    expect_failure(
        |_, bad| {
            bad.run("exec sleep 1000").toml("user = \"no-such-user\"");
        },
        &["no-such-user"],
    );
}

#[test]
fn an_unknown_group_is_told() {
    expect_failure(
        |_, bad| {
            bad.run("exec sleep 1000").toml("group = \"no-such-group\"");
        },
        &["no-such-group"],
    );
}

#[test]
fn a_missing_input_file_is_told() {
    expect_failure(
        |_, bad| {
            bad.run("exec sleep 1000").toml("stdin = \"file:/nonexistent/input\"");
        },
        &["/nonexistent/input", "no such file"],
    );
}

#[test]
fn an_output_file_that_cannot_be_made_is_told() {
    expect_failure(
        |_, bad| {
            bad.run("exec sleep 1000").toml("stdout = \"append:/nonexistent/output\"");
        },
        &["/nonexistent/output", "no such file"],
    );
}

#[test]
fn a_missing_environment_file_is_told() {
    expect_failure(
        |_, bad| {
            bad.run("exec sleep 1000").toml("env-files = [\"/nonexistent/env\"]");
        },
        &["/nonexistent/env"],
    );
}

#[test]
fn a_missing_terminal_is_told() {
    expect_failure(
        |_, bad| {
            bad.run("exec sleep 1000").toml("tty = \"/dev/nonexistent-tty\"\nstdin = \"tty\"");
        },
        &["/dev/nonexistent-tty"],
    );
}

#[test]
fn a_limit_that_the_kernel_refuses_is_told() {
    // Above fs.nr_open, not even root may have that many.
    expect_failure(
        |_, bad| {
            bad.run("exec sleep 1000").toml("[limits]\nopen-files = 2000000000000");
        },
        &["open-files"],
    );
}

#[test]
fn a_missing_root_is_told() {
    if !needs_root() {
        return;
    }
    expect_failure(
        |_, bad| {
            bad.toml("command = [\"/bin/true\"]\nroot = \"/srv/no-jail\"");
        },
        &["/srv/no-jail", "no such file"],
    );
}

#[test]
fn a_program_without_permission_is_told() {
    expect_failure(
        |world, bad| {
            let program = world.root.join("program");
            fs::write(&program, "").unwrap();
            fs::set_permissions(&program, fs::Permissions::from_mode(0o600)).unwrap();
            bad.toml(&format!("command = [\"{}\"]", program.display()));
        },
        &["program", "not executable"],
    );
}

#[test]
fn a_program_that_dies_at_once_is_told_with_its_last_log_lines() {
    let world = World::with(|world| {
        world
            .service("bad")
            .file("down", "")
            .run("for n in 1 2 3 4 5 6 7 8 9 10 11 12; do echo line $n; done\nexit 7");
    });
    let said = world.svc(&["up", "bad"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains('7'), "the exit code is not told: {}", said.err);
    assert!(said.all().contains("line 12") && said.all().contains("line 3"), "{}", said.all());
    assert!(!said.all().contains("line 2\n"), "more than ten lines: {}", said.all());
}

#[test]
fn a_program_killed_by_a_signal_is_told_by_its_name() {
    let world = World::with(|world| {
        world.service("bad").file("down", "").run("kill -SEGV $$");
    });
    world.svc(&["up", "bad"]).expect_code(1).expect_words(&["SEGV"]);
}

#[test]
fn several_names_are_each_answered_for() {
    let world = World::with(|world| {
        for name in ["a", "b"] {
            world.service(name).file("down", "").run("exec sleep 1000");
        }
        world.service("bad").file("down", "").toml("command = [\"/nonexistent/program\"]");
    });
    let said = world.svc(&["up", "a", "bad", "b"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("/nonexistent/program"), "{said:?}");
    assert_eq!((world.state("a").as_str(), world.state("b").as_str()), ("up", "up"));
}

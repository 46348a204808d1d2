//! What a test needs of its machine. Where it is missing the test says so and is skipped; with
//! SVC_TESTS_MUST_RUN=1 (as .ci/run sets it) that is a failure.

use std::path::PathBuf;
use std::process::{Command, Stdio};

/// True when the test may go on.
#[track_caller]
#[must_use]
fn needs(met: bool, what: &str) -> bool {
    if !met {
        let name = std::thread::current().name().unwrap_or("a test").to_owned();
        assert!(
            std::env::var_os("SVC_TESTS_MUST_RUN").is_none_or(|value| value != "1"),
            "{name} needs {what}, and SVC_TESTS_MUST_RUN=1 forbids to skip it"
        );
        println!("skipped: {name} needs {what}");
        eprintln!("skipped: {name} needs {what}");
    }
    met
}

#[track_caller]
#[must_use]
pub fn needs_root() -> bool {
    needs(nix::unistd::geteuid().is_root(), "root")
}

#[track_caller]
#[must_use]
pub fn needs_program(program: &str) -> bool {
    needs(find_program(program).is_some(), program)
}

/// A Docker engine that answers. A machine without the program `docker` is no failure: containers
/// are then tested elsewhere.
#[track_caller]
#[must_use]
pub fn needs_docker() -> bool {
    if find_program("docker").is_none() {
        println!("skipped: there is no docker here");
        return false;
    }
    let answers = Command::new("docker")
        .args(["version", "--format", "{{.Server.Version}}"])
        .stdin(Stdio::null())
        .output()
        .is_ok_and(|output| output.status.success());
    needs(answers, "a docker engine that answers")
}

/// New pid and mount namespaces, for being PID 1.
#[track_caller]
#[must_use]
pub fn needs_pid_namespace() -> bool {
    let works = Command::new("unshare")
        .args(["--pid", "--fork", "--mount-proc", "true"])
        .stdin(Stdio::null())
        .output()
        .is_ok_and(|output| output.status.success());
    needs(works, "unshare --pid --fork --mount-proc")
}

/// In PATH, and where Debian puts daemons.
pub fn find_program(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .map(|directory| directory.join(program))
        .find(|file| file.is_file())
}

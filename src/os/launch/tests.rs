//! Programs started and watched; the surroundings of a guardian are in tests/guardian.rs.

use super::*;
use std::io::Read;

use crate::os::process::Ended;

// musl has another type for it.
#[allow(clippy::unnecessary_cast)]
const CORE: u32 = libc::RLIMIT_CORE as u32;

fn text_of(arguments: &str, context: &Context, environment: &[u8]) -> Result<(String, Ended), Failure> {
    let mut launcher = Launcher::new().unwrap();
    let mut bytes = Vec::new();
    for word in arguments.split(' ') {
        bytes.extend_from_slice(word.as_bytes());
        bytes.push(0);
    }
    let path = CString::new(arguments.split(' ').next().unwrap()).unwrap();
    let (reader, writer) = descriptor::pipe().unwrap();
    let null = descriptor::null().unwrap();
    let started = launcher.launch(&Program {
        file: File::Path(&path),
        arguments: &bytes,
        environment: [b"", environment],
        descriptors: &[null.as_fd(), writer.as_fd(), writer.as_fd()],
        log_pipe: None,
        context,
    });
    drop(writer);
    let mut text = String::new();
    std::fs::File::from(reader).read_to_string(&mut text).unwrap();
    started.map(|pid| (text, process::reap(pid).unwrap()))
}

fn failure_of(arguments: &str, context: &Context) -> (Step, u8, i32) {
    let failure = text_of(arguments, context, b"").unwrap_err();
    (failure.step, failure.index, failure.errno)
}

#[test]
fn a_program_gets_its_arguments_environment_and_descriptors() {
    let (text, ended) = text_of("/usr/bin/env", &Context::default(), b"A=1\0B=two words\0").unwrap();
    assert_eq!((text.as_str(), ended), ("A=1\nB=two words\n", Ended::Code(0)));
}

#[test]
fn exactly_three_descriptors_are_open_however_many_we_have() {
    let null = descriptor::null().unwrap();
    let _many: Vec<_> = (0..300).map(|_| duplicate_from(null.as_fd(), 200).unwrap()).collect();
    let (text, _) = text_of("/bin/sh -c echo$IFS/proc/self/fd/*", &Context::default(), b"").unwrap();
    // One more is the shell's own, for the directory that it reads.
    assert_eq!(text.split_whitespace().count(), 4, "{text}");
}

#[test]
fn signals_are_as_on_the_first_day() {
    let before = signal::set_mask(SignalSet::EMPTY.with(10).with(40));
    let (text, _) =
        text_of("/bin/grep -E ^Sig(Blk|Ign) /proc/self/status", &Context::default(), b"").unwrap();
    signal::set_mask(before);
    for line in text.lines() {
        assert_eq!(line.split_whitespace().nth(1), Some("0000000000000000"), "{text}");
    }
    assert_eq!(text.lines().count(), 2);
}

#[test]
fn a_program_leads_a_session_of_its_own() {
    let (text, _) = text_of("/bin/cat /proc/self/stat", &Context::default(), b"").unwrap();
    let words: Vec<&str> = text.split_whitespace().collect();
    assert_eq!((words[4], words[5], words[6], words[7]), (words[0], words[0], "0", "-1"));
}

#[test]
fn umask_directory_nice_and_limits_are_applied() {
    let limit = |resource: u32, value: u64| Limit { resource, soft: value, hard: value };
    let context = Context {
        umask: Some(0o027),
        working_directory: Some(c"/usr".into()),
        nice: Some(7),
        limits: Box::new([limit(CORE, 0), limit(process::DESCRIPTORS, 77)]),
        oom_score_adjust: Some(321),
        ..Context::default()
    };
    let script = "umask;pwd;ulimit\t-n;ulimit\t-c;cat\t/proc/self/oom_score_adj;nice".replace('\t', "${IFS}");
    let (text, _) = text_of(&format!("/bin/sh -c {script}"), &context, b"PATH=/bin:/usr/bin\0").unwrap();
    assert_eq!(text, "0027\n/usr\n77\n0\n321\n7\n");
}

#[test]
fn each_step_that_fails_is_told_with_its_errno() {
    let cwd = Context { working_directory: Some(c"/nonexistent".into()), ..Context::default() };
    assert_eq!(failure_of("/bin/true", &cwd), (Step::WorkingDirectory, 0, libc::ENOENT));
    let root = Context { root: Some(c"/etc/passwd".into()), ..Context::default() };
    assert_eq!(failure_of("/bin/true", &root), (Step::Root, 0, libc::ENOTDIR));
    let good = Limit { resource: CORE, soft: 0, hard: 0 };
    let wrong = Limit { resource: CORE, soft: 2, hard: 1 };
    let limits = Context { limits: Box::new([good, wrong]), ..Context::default() };
    assert_eq!(failure_of("/bin/true", &limits), (Step::Limit, 1, libc::EINVAL));
    let tty = Context { controlling_terminal: true, ..Context::default() };
    assert_eq!(failure_of("/bin/true", &tty), (Step::ControllingTerminal, 0, libc::ENOTTY));
    let scheduler = Context { scheduler: Some((99, 0)), ..Context::default() };
    assert_eq!(failure_of("/bin/true", &scheduler), (Step::Scheduler, 0, libc::EINVAL));
    let io = Context { io_priority: Some(7 << 13), ..Context::default() };
    assert_eq!(failure_of("/bin/true", &io), (Step::IoPriority, 0, libc::EINVAL));
    let oom = Context { oom_score_adjust: Some(5000), ..Context::default() };
    assert_eq!(failure_of("/bin/true", &oom), (Step::OomScore, 1, libc::EINVAL));
    let any = Context::default();
    assert_eq!(failure_of("/nonexistent", &any), (Step::Execute, 0, libc::ENOENT));
    assert_eq!(failure_of("/etc", &any), (Step::Execute, 0, libc::EACCES));
    assert_eq!(failure_of("/etc/passwd", &any), (Step::Execute, 0, libc::EACCES));
    let place = tempfile::tempdir().unwrap();
    let script = place.path().join("run");
    std::fs::write(&script, "echo no interpreter\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&script, mode).unwrap();
    assert_eq!(failure_of(script.to_str().unwrap(), &any), (Step::Execute, 0, libc::ENOEXEC));
}

#[test]
fn a_program_that_was_opened_runs_even_when_its_file_is_gone() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("true");
    // By another process: a copy that this one is writing, when a test beside forks, is busy (ETXTBSY).
    assert!(std::process::Command::new("cp").arg("/bin/true").arg(&path).status().unwrap().success());
    let flags = nix::fcntl::OFlag::O_PATH | nix::fcntl::OFlag::O_CLOEXEC;
    let open = nix::fcntl::open(&path, flags, nix::sys::stat::Mode::empty()).unwrap();
    std::fs::remove_file(&path).unwrap();
    let mut launcher = Launcher::new().unwrap();
    let null = descriptor::null().unwrap();
    let program = Program {
        file: File::Open(open.as_fd()),
        arguments: b"true\0",
        environment: [b"", b""],
        descriptors: &[null.as_fd(); 5],
        log_pipe: None,
        context: &Context::default(),
    };
    let pid = launcher.launch(&program).unwrap();
    assert_eq!(process::reap(pid), Some(Ended::Code(0)));
}

#[test]
fn a_slot_lets_go_of_its_descriptor_after_the_launch() {
    let mut launcher = Launcher::new().unwrap();
    let (reader, writer) = descriptor::pipe().unwrap();
    let program = Program {
        file: File::Path(c"/bin/true"),
        arguments: b"true\0",
        environment: [b"", b""],
        descriptors: &[writer.as_fd(); 3],
        log_pipe: None,
        context: &Context::default(),
    };
    let pid = launcher.launch(&program).unwrap();
    process::reap(pid);
    drop(writer);
    let mut text = String::new();
    assert_eq!(std::fs::File::from(reader).read_to_string(&mut text).unwrap(), 0);
}

/// For this thread and what it starts: clone3 fails with this error, as in a container.
fn refuse_clone3(errno: i32) {
    let step = |code: u32, jt: u8, jf: u8, k: u32| libc::sock_filter { code: code as u16, jt, jf, k };
    let clone3 = libc::SYS_clone3 as u32;
    let mut steps = [
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, clone3),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | errno as u32),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let filter = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
    // SAFETY: takes no memory.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, 0);
    let mode = libc::SECCOMP_MODE_FILTER;
    // SAFETY: the kernel copies the filter, which has as many steps as told.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const filter) }, 0);
}

#[test]
fn where_clone3_is_refused_programs_start_all_the_same() {
    for errno in [libc::ENOSYS, libc::EPERM] {
        let thread = std::thread::spawn(move || {
            refuse_clone3(errno);
            let mut launcher = Launcher::new().unwrap();
            for _ in 0..2 {
                let null = launcher.null();
                let program = Program {
                    file: File::Path(c"/bin/true"),
                    arguments: b"true\0",
                    environment: [b"", b""],
                    descriptors: &[null.as_fd(); 3],
                    log_pipe: None,
                    context: &Context::default(),
                };
                let pid = launcher.launch(&program).unwrap();
                assert_eq!(process::reap(pid), Some(Ended::Code(0)));
                assert!(!launcher.clears_handlers);
            }
        });
        thread.join().unwrap();
    }
}

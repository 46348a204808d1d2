//! Reads what the kernel says about processes: /proc/PID/{stat,status,fd,…}.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The fields of /proc/PID/stat that tell what a process belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    pub pid: i32,
    pub state: char,
    pub ppid: i32,
    pub pgid: i32,
    pub sid: i32,
    pub tty: i32,
    pub tpgid: i32,
    /// Clock ticks since boot: with the pid, the identity of a process.
    pub start: u64,
}

/// None when the process is gone.
pub fn facts(pid: i32) -> Option<Facts> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let after_name = stat.rsplit_once(") ")?.1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let number = |index: usize| fields.get(index).and_then(|field| field.parse::<i32>().ok());
    Some(Facts {
        pid,
        state: fields.first()?.chars().next()?,
        ppid: number(1)?,
        pgid: number(2)?,
        sid: number(3)?,
        tty: number(4)?,
        tpgid: number(5)?,
        start: fields.get(19)?.parse().ok()?,
    })
}

/// Running or stopped: there, and no zombie.
pub fn lives(pid: i32) -> bool {
    facts(pid).is_some_and(|facts| facts.state != 'Z' && facts.state != 'X')
}

/// The value of a line of /proc/PID/status.
#[track_caller]
pub fn status_line(pid: i32, key: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))
        .unwrap_or_else(|error| panic!("cannot read the status of {pid}: {error}"));
    text.lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))
        .unwrap_or_else(|| panic!("no {key} in the status of {pid}"))
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

/// A signal set of /proc/PID/status: SigBlk, SigIgn, SigCgt.
#[track_caller]
pub fn signal_set(pid: i32, key: &str) -> u64 {
    u64::from_str_radix(&status_line(pid, key), 16).unwrap()
}

/// Open descriptors and what they lead to.
pub fn descriptors(pid: i32) -> BTreeMap<i32, String> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return BTreeMap::new() };
    entries
        .flatten()
        .filter_map(|entry| {
            let number = entry.file_name().to_str()?.parse().ok()?;
            Some((number, fs::read_link(entry.path()).ok()?.to_string_lossy().into_owned()))
        })
        .collect()
}

/// The open flags of a descriptor, as in /proc/PID/fdinfo.
#[track_caller]
pub fn descriptor_flags(pid: i32, descriptor: i32) -> u32 {
    let text = fs::read_to_string(format!("/proc/{pid}/fdinfo/{descriptor}")).unwrap();
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
    u32::from_str_radix(flags.trim(), 8).unwrap()
}

pub fn working_directory(pid: i32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/cwd")).ok()
}

pub fn environment(pid: i32) -> BTreeMap<String, String> {
    let bytes = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    String::from_utf8_lossy(&bytes)
        .split('\0')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// The words a process was started with.
pub fn command_line(pid: i32) -> Vec<String> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).split_terminator('\0').map(str::to_owned).collect()
}

pub fn all() -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

pub fn children_of(parent: i32) -> Vec<Facts> {
    all().into_iter().filter_map(facts).filter(|facts| facts.ppid == parent).collect()
}

pub fn zombies_of(parent: i32) -> Vec<Facts> {
    children_of(parent).into_iter().filter(|facts| facts.state == 'Z').collect()
}

/// Those whose session is `sid` and that are not zombies.
pub fn in_session(sid: i32) -> Vec<i32> {
    all()
        .into_iter()
        .filter_map(facts)
        .filter(|facts| facts.sid == sid && facts.state != 'Z')
        .map(|facts| facts.pid)
        .collect()
}

/// Every living process that works in, was started with, or got in its environment a path under
/// `root`. Test roots are unique, so these are all processes of a test and no others.
pub fn of_root(root: &Path) -> Vec<i32> {
    let text = root.to_string_lossy().into_owned();
    let mentions = |pid: i32, file: &str| {
        fs::read(format!("/proc/{pid}/{file}"))
            .is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(&text))
    };
    let own = std::process::id() as i32;
    all()
        .into_iter()
        .filter(|&pid| pid != own && lives(pid))
        .filter(|&pid| {
            working_directory(pid).is_some_and(|cwd| cwd.starts_with(root))
                || mentions(pid, "cmdline")
                || mentions(pid, "environ")
        })
        .collect()
}

/// How often the threads of a process have been put on a processor: each wake-up counts once.
pub fn wake_ups(pid: i32) -> u64 {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return 0 };
    tasks
        .flatten()
        .filter_map(|task| fs::read_to_string(task.path().join("status")).ok())
        .map(|text| {
            text.lines()
                .filter_map(|line| line.split_once("ctxt_switches:"))
                .filter_map(|(_, count)| count.trim().parse::<u64>().ok())
                .sum::<u64>()
        })
        .sum()
}

pub fn signal(pid: i32, signal: nix::sys::signal::Signal) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal).ok();
}

pub fn kill_9(pid: i32) {
    signal(pid, nix::sys::signal::Signal::SIGKILL);
}

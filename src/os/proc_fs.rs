//! What /proc says about processes: stat, children, environment.

use std::fs;
use std::io;
use std::io::Read;
use std::os::unix::fs::MetadataExt;

/// The fields of /proc/PID/stat that a supervisor needs (proc_pid_stat(5)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessStat {
    pub pid: i32,
    /// At most 15 bytes, as exec or prctl left it.
    pub command: String,
    /// `R`, `S`, `D`, `T`, `Z`, `X` …
    pub state: char,
    pub ppid: i32,
    pub pgid: i32,
    pub sid: i32,
    /// Device number of the controlling terminal, 0 for none.
    pub tty: i32,
    pub tpgid: i32,
    /// User and system time in clock ticks (of 10 ms).
    pub cpu_ticks: u64,
    pub nice: i64,
    pub threads: i64,
    /// Clock ticks since boot.
    pub start_ticks: u64,
}

/// A command of 64 bytes at most and 51 numbers of 20 digits, all given by one read.
const STAT_BYTES_MAX: usize = 1536;

/// Reads /proc/PID/stat. NotFound when there is no such process.
pub fn stat(pid: i32) -> io::Result<ProcessStat> {
    let mut text = [0; STAT_BYTES_MAX];
    let length = fs::File::open(format!("/proc/{pid}/stat"))?.read(&mut text)?;
    let text = String::from_utf8_lossy(text.get(..length).unwrap_or_default());
    parse_stat(&text).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

fn parse_stat(text: &str) -> Option<ProcessStat> {
    // The command may itself contain blanks and parentheses: it ends at the last one.
    let (pid, rest) = text.split_once(" (")?;
    let (command, rest) = rest.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<i64>().ok();
    let small = |index: usize| i32::try_from(number(index)?).ok();
    let ticks = |index: usize| u64::try_from(number(index)?).ok();
    Some(ProcessStat {
        pid: pid.parse().ok()?,
        command: command.to_owned(),
        state: fields.first()?.chars().next()?,
        ppid: small(1)?,
        pgid: small(2)?,
        sid: small(3)?,
        tty: small(4)?,
        tpgid: small(5)?,
        cpu_ticks: ticks(11)?.saturating_add(ticks(12)?),
        nice: number(16)?,
        threads: number(17)?,
        start_ticks: ticks(19)?,
    })
}

/// The direct children of a process, of all its threads. Empty when the process is gone.
///
/// Source: /proc/PID/task/TID/children (CONFIG_PROC_CHILDREN); where the kernel has none, the parent
/// of every process is looked at.
pub fn children(pid: i32) -> Vec<i32> {
    let tasks = format!("/proc/{pid}/task");
    // Most processes have one thread: that saves listing the directory.
    let main_thread = read_children(&format!("{tasks}/{pid}/children"));
    let threads = fs::metadata(&tasks).map(|tasks| tasks.nlink().saturating_sub(2)).unwrap_or(0);
    match main_thread {
        Ok(found) if threads <= 1 => found,
        Ok(_) => {
            let threads = fs::read_dir(&tasks).into_iter().flatten().flatten();
            threads.filter_map(|task| read_children(&task.path().join("children")).ok()).flatten().collect()
        }
        Err(_) if threads == 0 => Vec::new(),
        Err(_) => {
            all_processes().into_iter().filter(|&other| stat(other).is_ok_and(|s| s.ppid == pid)).collect()
        }
    }
}

fn read_children<P: AsRef<std::path::Path>>(path: &P) -> io::Result<Vec<i32>> {
    let mut file = fs::File::open(path)?;
    // Most have none: then the first read says so, and there is nothing to allocate.
    let mut text = Vec::new();
    let mut block = [0; 4096];
    loop {
        match file.read(&mut block)? {
            0 => break,
            length => text.extend_from_slice(block.get(..length).unwrap_or_default()),
        }
    }
    let words = text.split(u8::is_ascii_whitespace).filter_map(|word| std::str::from_utf8(word).ok());
    Ok(words.filter_map(|pid| pid.parse().ok()).collect())
}

/// A process and all that descend from it, parents before children.
pub fn descendants(root: i32) -> Vec<i32> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&pid) = found.get(next) {
        next += 1;
        for child in children(pid) {
            if !found.contains(&child) {
                found.push(child);
            }
        }
    }
    found
}

pub fn all_processes() -> Vec<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The values of these variables that the process was started with. `None` when it may not be read.
pub fn environment_values<const N: usize>(pid: i32, keys: [&str; N]) -> Option<[Option<Vec<u8>>; N]> {
    let block = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let value = |key: &str| {
        let mut entries = block.split(|&byte| byte == 0);
        entries.find_map(|entry| Some(entry.strip_prefix(key.as_bytes())?.strip_prefix(b"=")?.to_vec()))
    };
    Some(keys.map(value))
}

/// Whether it counts processes as we do: one of a container does not.
pub fn is_in_own_pid_namespace(pid: i32) -> bool {
    match (fs::read_link(format!("/proc/{pid}/ns/pid")), fs::read_link("/proc/self/ns/pid")) {
        (Ok(its), Ok(ours)) => its == ours,
        (Ok(_), Err(_)) | (Err(_), _) => false,
    }
}

/// Whether the process was started with `variable` (`KEY=VALUE`) in its environment. `None` when it
/// has none at all: that is how one looks for a moment in the middle of exec. False when it may not
/// be read or the program wrote over it.
pub fn environment_has(pid: i32, variable: &str) -> Option<bool> {
    let Ok(block) = fs::read(format!("/proc/{pid}/environ")) else { return Some(false) };
    let mut entries = block.split(|&byte| byte == 0);
    (!block.is_empty()).then(|| entries.any(|entry| entry == variable.as_bytes()))
}

/// The command line with blanks between the words; `[command]` where there is none (zombies).
pub fn command_line(stat: &ProcessStat) -> String {
    let words = fs::read(format!("/proc/{}/cmdline", stat.pid)).unwrap_or_default();
    // A program that writes its own title leaves blanks or NULs behind it.
    let length = words.iter().rposition(|byte| !matches!(byte, 0 | b' ')).map_or(0, |last| last + 1);
    let words = &words[..length];
    if words.is_empty() {
        return format!("[{}]{}", stat.command, if stat.state == 'Z' { " <defunct>" } else { "" });
    }
    String::from_utf8_lossy(words).replace('\0', " ")
}

/// The effective uid of a process.
pub fn uid(pid: i32) -> io::Result<u32> {
    Ok(fs::metadata(format!("/proc/{pid}"))?.uid())
}

/// The terminal of a device number as ps prints it: `pts/0`, `tty1`, `ttyS0`, `?` for none.
pub fn terminal_name(device: i32) -> String {
    let (major, minor) = ((device >> 8) & 0xfff, (device & 0xff) | ((device >> 12) & 0xfff00));
    match (major, minor) {
        (0, _) => "?".to_owned(),
        (136..=143, minor) => format!("pts/{}", minor + (major - 136) * 256),
        (4, minor @ 0..64) => format!("tty{minor}"),
        (4, minor) => format!("ttyS{}", minor - 64),
        (5, 1) => "console".to_owned(),
        (major, minor) => format!("{major}:{minor}"),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::process::{Child, Command, Stdio};

    use super::{children, environment_has, parse_stat, stat};

    #[test]
    fn a_command_with_blanks_and_parentheses_is_read_whole() {
        let line = "7 (a) b (c) S 1 7 7 34816 9 4194304 1 2 3 4 50 60 0 0 20 5 3 0 999 1 1";
        let read = parse_stat(line).unwrap();
        assert_eq!(read.command, "a) b (c");
        assert_eq!((read.ppid, read.pgid, read.sid, read.tty, read.tpgid), (1, 7, 7, 34816, 9));
        assert_eq!((read.cpu_ticks, read.nice, read.threads, read.start_ticks), (110, 5, 3, 999));
    }

    #[test]
    fn terminals_have_the_names_that_ps_prints() {
        assert_eq!(super::terminal_name(0), "?");
        assert_eq!(super::terminal_name(34816), "pts/0");
        assert_eq!(super::terminal_name(34819), "pts/3");
        assert_eq!(super::terminal_name(0x440), "ttyS0");
    }

    /// A shell that waits. It has spoken: right after spawn the kernel may still be busy with its exec, and
    /// /proc shows neither words nor variables.
    fn running(words: &[&str]) -> Child {
        let mut child = Command::new("sh")
            .args(["-c", "echo; read line"])
            .args(words)
            .env("MARK", "here")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        child
    }

    #[test]
    fn blanks_behind_the_title_of_a_program_are_left_out() {
        let mut child = running(&["title", "", "  "]);
        let stat = stat(i32::try_from(child.id()).unwrap()).unwrap();
        let read = super::command_line(&stat);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(read, "sh -c echo; read line title");
    }

    #[test]
    fn a_truncated_line_is_no_process() {
        assert_eq!(parse_stat("7 (a) S 1 7"), None);
        assert_eq!(parse_stat(""), None);
    }

    #[test]
    fn a_child_is_found_under_its_parent() {
        let mut child = running(&[]);
        let pid = i32::try_from(child.id()).unwrap();
        let parent = i32::try_from(std::process::id()).unwrap();
        assert!(children(parent).contains(&pid));
        assert_eq!(stat(pid).unwrap().ppid, parent);
        assert_eq!(environment_has(pid, "MARK=here"), Some(true));
        assert_eq!(environment_has(pid, "MARK=her"), Some(false));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(stat(pid).is_err());
    }
}

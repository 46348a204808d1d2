//! Users and groups by name or number: /etc/passwd and /etc/group, then `getent` for what is not in
//! them. A static binary cannot load the system's name service modules; `getent` can.

use std::fs;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::poll::{Waiting, poll};

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";
/// By full path: svc may run as root with any PATH.
const GETENT: [&str; 2] = ["/usr/bin/getent", "/bin/getent"];
/// A name service on a network that does not answer must not hold up the others for ever.
const GETENT_PATIENCE: Duration = Duration::from_secs(5);
const GETENT_BYTES_MAX: u64 = 1 << 20;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    pub home: PathBuf,
    pub shell: PathBuf,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub name: String,
    pub gid: u32,
    pub members: Vec<String>,
}

/// The user of this name or number; `None` when there is no such user.
pub fn user(name_or_uid: &str) -> io::Result<Option<User>> {
    let in_file = lines_of(Path::new(PASSWD))?.lines().filter_map(parse_user).find(|user| {
        user.name == name_or_uid || name_or_uid.parse().is_ok_and(|number: u32| number == user.uid)
    });
    match in_file {
        Some(user) => Ok(Some(user)),
        None => Ok(getent("passwd", name_or_uid)?.lines().find_map(parse_user)),
    }
}

/// The group of this name or number; `None` when there is no such group.
pub fn group(name_or_gid: &str) -> io::Result<Option<Group>> {
    let in_file = lines_of(Path::new(GROUP))?.lines().filter_map(parse_group).find(|group| {
        group.name == name_or_gid || name_or_gid.parse().is_ok_and(|number: u32| number == group.gid)
    });
    match in_file {
        Some(group) => Ok(Some(group)),
        None => Ok(getent("group", name_or_gid)?.lines().find_map(parse_group)),
    }
}

/// All groups of a user, its own first, each once. `getent` is asked only for a user who is not in
/// /etc/passwd.
pub fn groups_of(user: &User) -> io::Result<Vec<u32>> {
    let mut gids = vec![user.gid];
    let mut add = |gid: u32| {
        if !gids.contains(&gid) {
            gids.push(gid);
        }
    };
    for group in lines_of(Path::new(GROUP))?.lines().filter_map(parse_group) {
        if group.members.contains(&user.name) {
            add(group.gid);
        }
    }
    let local = lines_of(Path::new(PASSWD))?.lines().filter_map(parse_user).any(|u| u.name == user.name);
    if !local {
        // "NAME  GID GID …"
        let answer = getent("initgroups", &user.name)?;
        answer.split_ascii_whitespace().skip(1).filter_map(|gid| gid.parse().ok()).for_each(add);
    }
    Ok(gids)
}

fn parse_user(line: &str) -> Option<User> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| !name.is_empty())?.to_owned();
    let uid = fields.nth(1)?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    let home = fields.nth(1)?.into();
    let shell = fields.next().filter(|shell| !shell.is_empty()).unwrap_or("/bin/sh").into();
    Some(User { name, uid, gid, home, shell })
}

fn parse_group(line: &str) -> Option<Group> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| !name.is_empty())?.to_owned();
    let gid = fields.nth(1)?.parse().ok()?;
    let members = fields.next()?.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    Some(Group { name, gid, members })
}

/// The text of a file, empty when there is none: a container `FROM scratch` has no /etc/passwd.
fn lines_of(path: &Path) -> io::Result<String> {
    match fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error),
    }
}

/// What `getent DATABASE KEY` prints; empty when there is no such key or no `getent`.
fn getent(database: &str, key: &str) -> io::Result<String> {
    // getent takes a word with a leading dash for an option, and no name has one.
    if key.is_empty() || key.starts_with('-') {
        return Ok(String::new());
    }
    let Some(program) = GETENT.iter().find(|path| Path::new(path).exists()) else {
        return Ok(String::new());
    };
    let mut child = Command::new(program)
        .args([database, key])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut text = Vec::new();
    let answer = match child.stdout.take() {
        Some(mut stdout) => read_until_end(&mut stdout, &mut text),
        None => Ok(()),
    };
    if answer.is_err() {
        child.kill()?;
    }
    child.wait()?;
    answer?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn read_until_end(pipe: &mut std::process::ChildStdout, text: &mut Vec<u8>) -> io::Result<()> {
    let deadline = Instant::now() + GETENT_PATIENCE;
    let mut block = [0; 4096];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "getent does not answer"));
        }
        if poll(&mut [Waiting::to_read(pipe.as_fd())], Some(left))? == 0 {
            continue;
        }
        match pipe.read(&mut block)? {
            0 => return Ok(()),
            read => text.extend(block.iter().take(read)),
        }
        if text.len() as u64 > GETENT_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "getent answers without end"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_found_by_name_and_by_number() {
        let by_name = user("root").unwrap().unwrap();
        assert_eq!(by_name.uid, 0);
        assert_eq!(user("0").unwrap(), Some(by_name));
        assert_eq!(group("root").unwrap().unwrap().gid, 0);
    }

    #[test]
    fn a_user_who_does_not_exist_is_none_and_no_error() {
        assert_eq!(user("no-such-user-here").unwrap(), None);
        assert_eq!(user("").unwrap(), None);
        assert_eq!(user("--help").unwrap(), None);
        assert_eq!(group("no-such-group-here").unwrap(), None);
    }

    #[test]
    fn the_users_own_group_comes_first_and_no_group_twice() {
        let groups = groups_of(&user("root").unwrap().unwrap()).unwrap();
        assert_eq!(groups.first(), Some(&0));
        assert_eq!(groups.iter().filter(|gid| **gid == 0).count(), 1);
    }

    #[test]
    fn broken_lines_of_the_user_files_are_passed_over() {
        assert_eq!(parse_user("no fields"), None);
        assert_eq!(parse_user("x:x:notanumber:0::/:"), None);
        assert_eq!(parse_user("+::::::"), None);
        let web = parse_user("web:x:33:34:Web,,,:/srv:").unwrap();
        assert_eq!((web.uid, web.gid, web.home, web.shell), (33, 34, "/srv".into(), "/bin/sh".into()));
        assert_eq!(parse_group("a:x:7:b,c").unwrap().members, ["b", "c"]);
        assert_eq!(parse_group("a:x:7:").unwrap().members, Vec::<String>::new());
    }
}

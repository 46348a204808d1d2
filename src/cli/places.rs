//! Where the service directories, the socket, the logs and the state are: option, environment
//! variable, default, in this order.

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use clap::Args;

use super::failure::Failure;
use crate::os::unix_socket::effective_uid;

/// What every command accepts.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "Where things are")]
pub struct Places {
    /// The folder of the service directories [env: SVC_DIR] [default: /etc/svc, or ~/.config/svc]
    #[arg(long, value_name = "DIR")]
    pub services: Option<PathBuf>,
    /// Where the control socket is [env: SVC_RUNTIME_DIR] [default: /run/svc, or $XDG_RUNTIME_DIR/svc]
    #[arg(long, value_name = "DIR")]
    pub runtime_dir: Option<PathBuf>,
    /// Where the logs are [env: SVC_LOG_DIR] [default: /var/log/svc, or ~/.local/state/svc/log]
    #[arg(long, value_name = "DIR")]
    pub log_dir: Option<PathBuf>,
    /// What outlives a boot [env: SVC_STATE_DIR] [default: /var/lib/svc, or ~/.local/state/svc]
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
}

impl Places {
    /// What was typed before the command counts where nothing was typed after it.
    pub fn or(self, before: Places) -> Self {
        Self {
            services: self.services.or(before.services),
            runtime_dir: self.runtime_dir.or(before.runtime_dir),
            log_dir: self.log_dir.or(before.log_dir),
            state_dir: self.state_dir.or(before.state_dir),
        }
    }

    /// Somebody said where the service directories are.
    pub fn names_services(&self) -> bool {
        self.services.is_some() || variable("SVC_DIR").is_some()
    }

    /// Somebody said where the logs are.
    pub fn names_log_dir(&self) -> bool {
        self.log_dir.is_some() || variable("SVC_LOG_DIR").is_some()
    }

    pub fn services(&self) -> Result<PathBuf, Failure> {
        let default = || {
            let own = user_dir("XDG_CONFIG_HOME", ".config").map(|config| config.join("svc"));
            // The image of a container has its services in one place, whoever runs it.
            let as_in_the_image = std::process::id() == 1 && !own.as_ref().is_some_and(|own| own.is_dir());
            if as_in_the_image { Some(PathBuf::from("/etc/svc")) } else { own }
        };
        choose(self.services.as_deref(), "SVC_DIR", "/etc/svc", default, "--services")
    }

    pub fn log_dir(&self) -> Result<PathBuf, Failure> {
        let default = || user_dir("XDG_STATE_HOME", ".local/state").map(|state| state.join("svc/log"));
        choose(self.log_dir.as_deref(), "SVC_LOG_DIR", "/var/log/svc", default, "--log-dir")
    }

    pub fn state_dir(&self) -> Result<PathBuf, Failure> {
        let default = || user_dir("XDG_STATE_HOME", ".local/state").map(|state| state.join("svc"));
        choose(self.state_dir.as_deref(), "SVC_STATE_DIR", "/var/lib/svc", default, "--state-dir")
    }

    pub fn runtime_dir(&self) -> Result<PathBuf, Failure> {
        if self.runtime_dir.is_none() && variable("SVC_RUNTIME_DIR").is_none() && effective_uid() != 0 {
            return match variable("XDG_RUNTIME_DIR") {
                Some(directory) => absolute(&Path::new(&directory).join("svc")),
                None => shared_runtime_dir(Path::new(&format!("/tmp/svc-{}", effective_uid()))),
            };
        }
        choose(self.runtime_dir.as_deref(), "SVC_RUNTIME_DIR", "/run/svc", || None, "--runtime-dir")
    }
}

fn choose(
    option: Option<&Path>,
    name: &str,
    of_root: &str,
    of_user: impl Fn() -> Option<PathBuf>,
    flag: &str,
) -> Result<PathBuf, Failure> {
    if let Some(path) = option {
        return absolute(path);
    }
    if let Some(path) = variable(name) {
        return absolute(Path::new(&path));
    }
    if effective_uid() == 0 {
        return Ok(PathBuf::from(of_root));
    }
    match of_user() {
        Some(path) => absolute(&path),
        None => {
            Err(Failure::Usage(format!("cannot choose a directory: HOME is not set; name it with {flag}")))
        }
    }
}

/// An empty variable is as good as none.
fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

fn user_dir(name: &str, below_home: &str) -> Option<PathBuf> {
    match variable(name) {
        Some(path) => Some(PathBuf::from(path)),
        None => variable("HOME").map(|home| Path::new(&home).join(below_home)),
    }
}

/// The supervisor changes its directory, so a relative path would mean another place there.
fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| {
        Failure::Usage(format!("cannot use the path {:?}: {error}", path.display().to_string()))
    })
}

/// A directory below /tmp can have been made by anybody, to get our requests.
fn shared_runtime_dir(path: &Path) -> Result<PathBuf, Failure> {
    match path.symlink_metadata() {
        Ok(found) => {
            let problem = if !found.is_dir() {
                "it is no directory".to_owned()
            } else if found.uid() != effective_uid() {
                format!("it belongs to uid {}", found.uid())
            } else if found.mode() & 0o077 != 0 {
                format!("others may enter it (mode {:04o})", found.mode() & 0o7777)
            } else {
                return Ok(path.to_owned());
            };
            let path = path.display();
            Err(Failure::System(format!(
                "cannot use {path}: {problem}; name another place with --runtime-dir"
            )))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(path.to_owned()),
        Err(error) => Err(Failure::System(format!("cannot look at {}: {error}", path.display()))),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_was_typed_after_the_command_wins() {
        let after = Places { services: Some("a".into()), ..Places::default() };
        let before = Places { services: Some("b".into()), log_dir: Some("c".into()), ..Places::default() };
        let both = after.or(before);
        assert_eq!((both.services, both.log_dir), (Some("a".into()), Some("c".into())));
    }

    #[test]
    fn a_path_that_was_typed_becomes_absolute() {
        let places = Places { runtime_dir: Some("here".into()), ..Places::default() };
        assert_eq!(places.runtime_dir().unwrap(), env::current_dir().unwrap().join("here"));
    }

    #[test]
    fn a_directory_in_tmp_that_others_may_enter_is_refused() {
        let top = tempfile::tempdir().unwrap();
        let path = top.path().join("svc-1000");
        assert_eq!(shared_runtime_dir(&path).unwrap(), path);
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let error = shared_runtime_dir(&path).unwrap_err().to_string();
        assert!(
            error.ends_with("others may enter it (mode 0755); name another place with --runtime-dir"),
            "{error}"
        );
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(shared_runtime_dir(&path).unwrap(), path);
        fs::remove_dir(&path).unwrap();
        std::os::unix::fs::symlink(top.path(), &path).unwrap();
        assert!(shared_runtime_dir(&path).unwrap_err().to_string().contains("it is no directory"));
    }
}

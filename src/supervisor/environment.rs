//! The environment of a program: a part that many services share, which the guardian is told once, and
//! the service's own part.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::launch::Purpose;
use super::place::Place;
use crate::os::own;
use crate::os::users::{self, User};
use crate::protocol::guardian::{HOME_MARK, MAIN_PID, MARK};
use crate::service::{DEFAULT_PATH, Definition};

/// Never passed on: they belong to svc's own relation with what started it, or are each service's own.
const NOT_INHERITED: [&str; 12] = [
    "NOTIFY_SOCKET",
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "SHLVL",
    "_",
    "PWD",
    "OLDPWD",
    MAIN_PID,
    MARK,
];

/// With more different shared parts than that, numbering begins anew.
const SHARED_MAX: usize = 256;

type Variables = BTreeMap<OsString, OsString>;

/// What a plan says of the environment.
#[derive(Debug)]
pub struct Environment {
    /// The number of the shared part.
    pub shared: u32,
    /// The service's own, `KEY=VALUE` and NUL each. No key is in both.
    pub own: Vec<u8>,
    /// What programs are looked for in.
    pub path: OsString,
}

/// Makes environments and knows which shared parts the guardian has.
#[derive(Debug)]
pub struct Environments {
    inherits: bool,
    inherited: Variables,
    /// The folder of the service directories.
    home: OsString,
    /// The user that svc runs as.
    own: Option<User>,
    bases: BTreeMap<Base, Variables>,
    shared: BTreeMap<(Base, Vec<OsString>), Shared>,
    /// Shared parts that the guardian has to be told before the next plan: numbers and variables.
    untold: Vec<(u32, Vec<u8>)>,
}

/// What decides about the variables that a service has without saying anything: whether it inherits
/// svc's own, and name, home and shell of its user.
type Base = (bool, Option<(String, OsString, OsString)>);

#[derive(Debug)]
struct Shared {
    number: u32,
    path: OsString,
}

impl Environments {
    pub fn new(place: Place, services_dir: &Path) -> Self {
        let mut inherited: Variables = std::env::vars_os().collect();
        for key in NOT_INHERITED {
            inherited.remove(OsStr::new(key));
        }
        Self {
            inherits: place.inherits_environment(),
            inherited,
            home: services_dir.into(),
            own: users::user(&own::uid().to_string()).ok().flatten(),
            bases: BTreeMap::new(),
            shared: BTreeMap::new(),
            untold: Vec::new(),
        }
    }

    pub fn of(
        &mut self,
        definition: &Definition,
        user: Option<&User>,
        working_directory: &Path,
        purpose: Purpose,
    ) -> Environment {
        let own = own_variables(definition, working_directory, purpose);
        let inherits = definition.context.inherit_env.unwrap_or(self.inherits);
        let user = user.or(self.own.as_ref().filter(|_| !inherits));
        let key = (
            inherits,
            user.map(|user| (user.name.clone(), user.home.clone().into(), user.shell.clone().into())),
        );
        let (inherited, base) = (&self.inherited, self.bases.entry(key.clone()));
        let base = base.or_insert_with(|| {
            let mut base = base_of(inherits, inherited, user);
            base.insert(HOME_MARK.into(), self.home.clone());
            base
        });
        let said = definition.context.env.iter().map(|(key, _)| OsString::from(key));
        let mut without: Vec<OsString> = said.filter(|key| base.contains_key(key)).collect();
        without.sort();
        if self.shared.len() >= SHARED_MAX {
            self.shared.clear();
        }
        let number = u32::try_from(self.shared.len()).unwrap_or(u32::MAX).saturating_add(1);
        let shared = self.shared.entry((key, without)).or_insert_with_key(|(_, without)| {
            let mut variables = base.clone();
            without.iter().for_each(|key| drop(variables.remove(key)));
            self.untold.push((number, block(&variables)));
            Shared {
                number,
                path: variables.remove(OsStr::new("PATH")).unwrap_or_else(|| DEFAULT_PATH.into()),
            }
        });
        let path = own.get(OsStr::new("PATH")).unwrap_or(&shared.path).clone();
        Environment { shared: shared.number, own: block(&own), path }
    }

    /// What the guardian has to be told before a plan that was made until now.
    pub fn take_untold(&mut self) -> Vec<(u32, Vec<u8>)> {
        std::mem::take(&mut self.untold)
    }
}

fn base_of(inherits: bool, inherited: &Variables, user: Option<&User>) -> Variables {
    let mut base = if inherits { inherited.clone() } else { Variables::new() };
    base.entry("PATH".into()).or_insert_with(|| DEFAULT_PATH.into());
    if !inherits {
        base.insert("LANG".into(), inherited.get(OsStr::new("LANG")).cloned().unwrap_or("C.UTF-8".into()));
    }
    if let Some(user) = user {
        base.insert("HOME".into(), user.home.clone().into());
        base.insert("USER".into(), user.name.clone().into());
        base.insert("LOGNAME".into(), user.name.clone().into());
        base.insert("SHELL".into(), user.shell.clone().into());
    }
    base
}

fn own_variables(definition: &Definition, working_directory: &Path, purpose: Purpose) -> Variables {
    let mut own = Variables::new();
    own.insert(MARK.into(), definition.name.as_str().into());
    own.insert("PWD".into(), working_directory.into());
    if let Purpose::Finish { main, .. } | Purpose::Reload { main } = purpose {
        own.insert(MAIN_PID.into(), main.0.to_string().into());
    }
    for (key, value) in &definition.context.env {
        own.remove(OsStr::new(key));
        if let Some(value) = value {
            own.insert(key.into(), value.into());
        }
    }
    own
}

fn block(variables: &Variables) -> Vec<u8> {
    let mut block = Vec::new();
    for (key, value) in variables {
        block.extend_from_slice(key.as_bytes());
        block.push(b'=');
        block.extend_from_slice(value.as_bytes());
        block.push(0);
    }
    block
}

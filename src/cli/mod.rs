//! Role 3: what was typed becomes a request, the reply becomes what is printed and the exit code.
//!
//! Read `commands` for the table of everything that can be typed, `typed` for how a command line is
//! read, then one file per command. `screen` is where output goes, `failure` what can go wrong and
//! its exit codes, `places` where the directories are.

mod act;
mod ask;
mod check;
pub mod commands;
mod disk;
mod events;
mod failure;
mod help;
mod list;
mod logs;
mod moment;
mod outcome;
mod pid;
mod places;
mod progress;
mod ps;
mod rescan;
mod roles;
mod running;
mod screen;
mod show;
mod shutdown;
mod status;
mod status_detail;
mod table;
mod typed;
mod why;

pub use commands::Group;
pub use help::{overview, whole_command};
pub use places::Places;
pub use roles::{GuardianRole, GuardianSort, Place, SupervisorRole};
pub use typed::{Role, role_of};

//! Where svc runs decides some defaults.

use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Terminal,
    Container,
    System,
}

impl Place {
    /// The time a whole shutdown may take. docker kills after 10 s.
    pub fn shutdown_budget(self) -> Duration {
        match self {
            Place::Container => Duration::from_secs(9),
            Place::Terminal | Place::System => Duration::from_secs(60),
        }
    }

    /// Whether services inherit the environment that svc was given. Wiping it is what users of
    /// container inits complain of; a system daemon inherits nothing by accident.
    pub fn inherits_environment(self) -> bool {
        match self {
            Place::Terminal | Place::Container => true,
            Place::System => false,
        }
    }

    /// Whether what services print also goes to svc's own standard output.
    pub fn has_console(self) -> bool {
        match self {
            Place::Terminal | Place::Container => true,
            Place::System => false,
        }
    }
}

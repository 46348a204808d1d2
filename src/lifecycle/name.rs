//! The name of a service: the name of its directory.

use std::fmt;
use std::sync::Arc;

/// The longest name, in bytes. Directory entries end at 255; `/log` and a suffix must fit a path part.
pub const NAME_BYTES_MAX: usize = 200;

/// A checked service name. The logger of `web` (its `log/run`) is named `web/log`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameError {
    Empty,
    LeadingDot,
    TooLong { length: usize },
    Character(char),
}

impl Name {
    /// Accepts letters, digits, `.`, `_`, `-` and `@`, not starting with a dot.
    pub fn new(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.starts_with('.') {
            return Err(NameError::LeadingDot);
        }
        if text.len() > NAME_BYTES_MAX {
            return Err(NameError::TooLong { length: text.len() });
        }
        match text.chars().find(|c| !(c.is_ascii_alphanumeric() || "._-@".contains(*c))) {
            Some(wrong) => Err(NameError::Character(wrong)),
            None => Ok(Self(text.into())),
        }
    }

    /// A name as typed or sent: a service, or the logger of one (`web/log`).
    pub fn parse(text: &str) -> Result<Self, NameError> {
        match text.strip_suffix("/log") {
            Some(service) => Ok(Self::new(service)?.logger()),
            None => Self::new(text),
        }
    }

    /// The name of this service's own logger.
    pub fn logger(&self) -> Self {
        Self(format!("{}/log", self.0).into())
    }

    /// The service whose output this one reads, when this is a logger.
    pub fn logged_service(&self) -> Option<Name> {
        self.0.strip_suffix("/log").map(|service| Self(service.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NameError::Empty => write!(f, "a service name cannot be empty"),
            NameError::LeadingDot => write!(f, "a service name cannot start with a dot"),
            NameError::TooLong { length } => {
                write!(f, "a service name has at most {NAME_BYTES_MAX} bytes, this one has {length}")
            }
            NameError::Character(c) => {
                write!(f, "a service name has letters, digits, '.', '_', '-' and '@', not {c:?}")
            }
        }
    }
}

impl std::error::Error for NameError {}

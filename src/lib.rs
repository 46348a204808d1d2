//! svc keeps programs running that stay in the foreground. This file is the map of the house.
//!
//! ```text
//!   kernel / container runtime / shell
//!            │ signals in, exit code out
//!   ┌────────▼────────┐   ← Order    ┌──────────────┐  ← Request  ┌───────┐
//!   │    guardian     │◄────────────►│  supervisor  │◄───────────►│  cli  │
//!   │ parent of every │   Report →   │   decides    │    Reply →  └───────┘
//!   │ process         │              └──────┬───────┘
//!   └────────┬────────┘        Event ▼ ▲ Action
//!            │ clone + exec         lifecycle (pure)
//!        your programs
//! ```
//!
//! Who may import whom (checked by `tests/tidy.rs`); an upper line imports from lower lines only:
//!
//! ```text
//!   main        → cli, guardian, supervisor        which never import each other
//!   supervisor  → control, logger, service, protocol, os, lifecycle
//!   cli         → control, logger (reading back), service, protocol, os, lifecycle (its types)
//!   guardian    → protocol, os, lifecycle (its types)
//!   control     → protocol, os, lifecycle (its types)
//!   logger      → service (its types), protocol, os, lifecycle (its types)
//!   service     → lifecycle (its types), os (reading files)
//!   protocol    → lifecycle (its types)
//!   lifecycle   → nothing of ours
//!   os          → nothing of ours
//! ```

pub mod cli;
pub mod control;
pub mod guardian;
pub mod lifecycle;
pub mod logger;
pub mod os;
pub mod protocol;
pub mod service;
pub mod supervisor;

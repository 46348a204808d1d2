//! Every system call and every unsafe block, one file per kernel object. The only module that
//! imports nix, libc or signal-hook.
//!
//! Invariant: knows nothing of services; descriptors are OwnedFd or BorrowedFd and close-on-exec
//! from birth; 0, 1 and 2 are never owned.

pub mod boot;
pub mod clock;
pub mod daemonise;
pub mod descriptor;
pub mod directory;
pub mod entry;
pub mod epoll;
pub mod errno;
pub mod event_fd;
pub mod file;
pub mod inheritance;
pub mod inotify;
pub mod launch;
pub mod listener;
pub mod lock;
pub mod memfd;
pub mod memory;
pub mod open;
pub mod own;
pub mod pidfd;
pub mod pipe;
pub mod poll;
pub mod priority;
pub mod private_directory;
pub mod proc_fs;
pub mod process;
pub mod processors;
pub mod record_file;
pub mod replace;
pub mod resource;
pub mod seqpacket;
pub mod shared;
pub mod signal;
pub mod signal_queue;
pub mod single;
pub mod terminal;
pub mod unix_socket;
pub mod users;
mod vfork;

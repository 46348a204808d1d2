//! Which boot this is: of the machine, or of the container whose PID 1 we see.

use std::fs;

use super::proc_fs;

/// The same text as long as the same kernel runs and the same process is PID 1; `None` without /proc.
/// What was noted under another one is of processes that are gone.
pub fn identity() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let processes = fs::read_link("/proc/self/ns/pid").ok()?;
    // Where PID 1 may not be looked at, it cannot be told apart from the one before.
    let first = proc_fs::stat(1).map_or(0, |stat| stat.start_ticks);
    Some(format!("{} {} {first}", boot.trim(), processes.display()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_boot_is_the_same_however_often_one_looks() {
        assert!(super::identity().is_some());
        assert_eq!(super::identity(), super::identity());
    }
}

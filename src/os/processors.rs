//! Which processors a process may run on: sched_setaffinity(2).

use std::io;
use std::mem;

use nix::errno::Errno;

/// A set of processors. More than 1,024 are not told apart: `allowed` fails then (EINVAL).
#[derive(Clone, Copy)]
pub struct Processors(libc::cpu_set_t);

impl Processors {
    /// Where this process may run.
    pub fn allowed() -> io::Result<Self> {
        let mut set = Self::none();
        // SAFETY: writes at most as many bytes as are told.
        let result = unsafe { libc::sched_getaffinity(0, mem::size_of_val(&set.0), &raw mut set.0) };
        Errno::result(result)?;
        Ok(set)
    }

    /// The one that this process runs on at this moment.
    pub fn current() -> io::Result<Self> {
        // SAFETY: takes no memory.
        let number = Errno::result(unsafe { libc::sched_getcpu() })?;
        let mut set = Self::none();
        let number = usize::try_from(number).unwrap_or(usize::MAX);
        if number >= libc::CPU_SETSIZE as usize {
            return Err(Errno::EINVAL.into());
        }
        // SAFETY: the number has just been checked.
        unsafe { libc::CPU_SET(number, &mut set.0) };
        Ok(set)
    }

    /// This process, or thread, runs there from now on. Usable between clone and exec.
    pub fn apply(&self) -> io::Result<()> {
        // SAFETY: reads as many bytes as are told.
        let result = unsafe { libc::sched_setaffinity(0, mem::size_of_val(&self.0), &raw const self.0) };
        Errno::result(result)?;
        Ok(())
    }

    pub fn count(&self) -> usize {
        // SAFETY: reads the set.
        usize::try_from(unsafe { libc::CPU_COUNT(&self.0) }).unwrap_or(0)
    }

    fn none() -> Self {
        // SAFETY: all bits may be zero.
        Self(unsafe { mem::zeroed() })
    }
}

impl std::fmt::Debug for Processors {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "{} processors", self.count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_goes_to_one_processor_and_back() {
        let all = Processors::allowed().unwrap();
        Processors::current().unwrap().apply().unwrap();
        assert_eq!(Processors::allowed().unwrap().count(), 1);
        all.apply().unwrap();
        assert_eq!(Processors::allowed().unwrap().count(), all.count());
    }
}

//! How much a thread of ours yields to others: setpriority(2).

use std::io;

use nix::errno::Errno;

/// Makes the calling thread the last to be scheduled (nice 19; on Linux this is per thread).
pub fn lower_own() -> io::Result<()> {
    // SAFETY: setpriority(2) takes three numbers; 0 is the calling thread.
    let done = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 19) };
    Ok(Errno::result(done).map(drop)?)
}

//! Memory that is ours and not needed: what the allocator keeps of what was given back to it, and the
//! parts of the program itself that only a start uses.

/// One pool for all threads. glibc gives each thread one of its own, which then keeps what others
/// have long given back; musl has one anyway. Before the first thread.
pub fn share_one_pool() {
    #[cfg(target_env = "gnu")]
    {
        // SAFETY: sets a number of the allocator, no other thread runs yet.
        unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
    }
}

unsafe extern "C" {
    /// Set by the linker: where the program begins in memory, and where its instructions end.
    static __executable_start: u8;
    static etext: u8;
}

/// Parts of the program that have been used go back to the kernel, which brings back what is used
/// again: most of it was for reading definitions and is not needed for years.
pub fn let_go_of_program() {
    // SAFETY: only the addresses are taken.
    let start = (&raw const __executable_start).addr();
    // SAFETY: as above.
    let end = (&raw const etext).addr();
    let page = match nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE) {
        Ok(Some(page)) => usize::try_from(page).unwrap_or(4096),
        Ok(None) | Err(_) => return,
    };
    let (start, end) = (start.next_multiple_of(page), end - end % page);
    if start < end {
        // SAFETY: between these two lies what was mapped from the file and is never written to, so what
        // is let go of comes back as it was. An error means that it stays.
        unsafe {
            libc::madvise(std::ptr::with_exposed_provenance_mut(start), end - start, libc::MADV_DONTNEED)
        };
    }
}

/// Returns to the kernel what is free.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    {
        // SAFETY: takes no pointer and touches only free memory, under the allocator's own lock.
        unsafe { libc::malloc_trim(0) };
    }
}

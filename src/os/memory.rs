//! What the allocator keeps of the memory that was given back to it.

/// One pool for all threads. glibc gives each thread one of its own, which then keeps what others
/// have long given back; musl has one anyway. Before the first thread.
pub fn share_one_pool() {
    #[cfg(target_env = "gnu")]
    {
        // SAFETY: sets a number of the allocator, no other thread runs yet.
        unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
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

//! Memory that outlives its process: a memfd mapped shared (mmap(2)). What is stored in it is there
//! for the next process at once, also when this one is killed at the following instruction.

use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::slice;
use std::sync::atomic::AtomicU64;

use libc::c_void;
use nix::errno::Errno;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap, munmap};
use nix::sys::stat::fstat;
use nix::unistd::ftruncate;

/// Mapped are whole pages; no machine that we run on has larger ones.
pub const PAGE_BYTES: usize = 64 << 10;

/// Memory of no size yet.
pub fn memory() -> io::Result<OwnedFd> {
    Ok(memfd_create(c"svc-journal", MFdFlags::MFD_CLOEXEC)?)
}

/// How large it is.
pub fn length(memory: BorrowedFd<'_>) -> io::Result<u64> {
    Ok(u64::try_from(fstat(memory)?.st_size).unwrap_or(0))
}

/// Makes it so large; what comes anew is zero. To nothing first: all of it is.
pub fn set_length(memory: BorrowedFd<'_>, bytes: u64) -> io::Result<()> {
    Ok(ftruncate(memory, libc::off_t::try_from(bytes).map_err(|_| Errno::EFBIG)?)?)
}

/// A part of the memory. Takes room in this process only where it was touched.
#[derive(Debug)]
pub struct Shared {
    address: NonNull<c_void>,
    bytes: usize,
}

// SAFETY: the mapping belongs to this value alone, as a boxed slice would; it has no thread of its own.
unsafe impl Send for Shared {}

impl Shared {
    /// The part of `bytes` at `offset`, both multiples of `PAGE_BYTES`; the memory reaches so far.
    /// Mapped once at a time, by the one process that holds the memory for the others.
    pub fn map(memory: BorrowedFd<'_>, offset: u64, bytes: usize) -> io::Result<Self> {
        let size = NonZeroUsize::new(bytes).ok_or(Errno::EINVAL)?;
        let end = u64::try_from(bytes).ok().and_then(|bytes| offset.checked_add(bytes));
        if end.is_none_or(|end| length(memory).is_ok_and(|length| length < end)) {
            return Err(Errno::EINVAL.into());
        }
        let offset = libc::off_t::try_from(offset).map_err(|_| Errno::EINVAL)?;
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping at an address that the kernel chooses disturbs no other memory.
        let address = unsafe { mmap(None, size, protection, MapFlags::MAP_SHARED, memory.as_fd(), offset) }?;
        Ok(Self { address, bytes })
    }

    pub fn bytes(&self) -> &[u8] {
        // SAFETY: mapped readable for `bytes` as long as `self` lives; it is written through
        // `bytes_mut` only, which borrows `self` mutably.
        unsafe { slice::from_raw_parts(self.address.cast().as_ptr(), self.bytes) }
    }

    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: mapped writable for `bytes`, borrowed mutably for as long as the slice lives.
        unsafe { slice::from_raw_parts_mut(self.address.cast().as_ptr(), self.bytes) }
    }

    /// The same memory as numbers that are stored whole.
    pub fn words(&mut self) -> &[AtomicU64] {
        // SAFETY: a mapping is aligned to pages and any bytes are a number; borrowed mutably, so
        // that there is no plain slice meanwhile.
        unsafe { slice::from_raw_parts(self.address.cast().as_ptr(), self.bytes / size_of::<AtomicU64>()) }
    }

    /// Gives its pages back to the kernel; it is all zero then.
    pub fn give_back(&mut self) {
        // SAFETY: the pages stay mapped; borrowed mutably, so that nobody counts on what is in them.
        let done = unsafe { madvise(self.address, self.bytes, MmapAdvise::MADV_REMOVE) };
        // A kernel that cannot punch holes keeps the pages.
        done.ok();
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: our own mapping, of which no slice is left.
        let done = unsafe { munmap(self.address, self.bytes) };
        // It fails for a mapping only that is none.
        done.ok();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;

    #[test]
    fn what_was_stored_is_there_for_who_maps_it_next() {
        let memory = memory().unwrap();
        set_length(memory.as_fd(), 3 * PAGE_BYTES as u64).unwrap();
        let mut part = Shared::map(memory.as_fd(), PAGE_BYTES as u64, 2 * PAGE_BYTES).unwrap();
        part.bytes_mut()[PAGE_BYTES] = 7;
        part.words()[1].store(8, Ordering::Release);
        drop(part);
        let mut part = Shared::map(memory.as_fd(), PAGE_BYTES as u64, 2 * PAGE_BYTES).unwrap();
        assert_eq!((part.bytes()[PAGE_BYTES], part.words()[1].load(Ordering::Acquire)), (7, 8));
        part.give_back();
        assert!(part.bytes().iter().all(|byte| *byte == 0));
    }

    #[test]
    fn more_than_there_is_cannot_be_mapped() {
        let memory = memory().unwrap();
        assert!(Shared::map(memory.as_fd(), 0, PAGE_BYTES).is_err());
        set_length(memory.as_fd(), PAGE_BYTES as u64).unwrap();
        assert!(Shared::map(memory.as_fd(), PAGE_BYTES as u64, PAGE_BYTES).is_err());
    }
}

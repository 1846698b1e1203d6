//! The two halves of the heap: what of them is mapped, which one is in use, and when to collect next.
//!
//! # Safety
//! The address range belongs to the heap alone, as the compiler's layout promises. The state at the end of the
//! file is used by one thread only.
#![allow(unsafe_code, reason = "maps the heap at fixed addresses")]

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use elfin_abi::gc::{Heap, Program};

/// At least this much may be allocated between two collections.
const ROOM: u64 = 4 << 20;

/// Beyond this an old half is given back to the kernel after a collection. Below, mapping its pages again would
/// cost more time than they are worth.
const KEPT: u64 = 64 << 20;

/// Granule of mappings.
const PAGE: u64 = crate::memory::LARGEST_PAGE;

/// The halves of a program's heap.
#[derive(Clone, Copy, Debug)]
pub struct Space<'a> {
    program: &'a Program,
}

/// Which half is in use: 0 or 1.
static CURRENT: AtomicU64 = AtomicU64::new(0);
/// Bytes from the start of each half that are readable and writable.
static MAPPED: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];

impl<'a> Space<'a> {
    /// The space of a program.
    #[must_use]
    #[cfg_attr(feature = "freestanding", unsafe(link_section = ".text.elfin_gc"))]
    pub fn new(program: &'a Program) -> Self {
        Self { program }
    }

    /// Takes the address range, without access.
    ///
    /// # Errors
    /// The kernel's.
    ///
    /// # Safety
    /// Called once, at boot.
    #[cfg(feature = "freestanding")]
    #[unsafe(link_section = ".text.elfin_gc")]
    pub unsafe fn claim(&self) -> Result<(), rustix::io::Errno> {
        let end = self.program.base + 2 * self.program.half;
        let access = rustix::mm::ProtFlags::empty();
        let later = crate::memory::Commit::Later;
        // SAFETY: by contract.
        unsafe { crate::memory::claim(self.program.base, end, access, later) }
    }

    /// Makes the heap ready for its first object.
    ///
    /// # Safety
    /// The range is claimed and holds nothing.
    #[cfg_attr(feature = "freestanding", unsafe(link_section = ".text.elfin_gc"))]
    pub unsafe fn begin(&self, heap: &mut Heap) {
        heap.next = self.base(0);
        // If nothing can be mapped now, the first allocation tries again, and fails.
        heap.limit = heap.next;
        let room = ROOM.min(self.program.max);
        // SAFETY: the range is claimed.
        if self.program.stress == 0 && unsafe { self.map(0, room) } {
            heap.limit += room;
        }
    }

    /// Number of the half in use.
    #[must_use]
    #[cfg_attr(feature = "freestanding", unsafe(link_section = ".text.elfin_gc"))]
    pub fn current(&self) -> usize {
        CURRENT.load(Relaxed) as usize
    }

    /// First address of a half.
    #[must_use]
    #[cfg_attr(feature = "freestanding", unsafe(link_section = ".text.elfin_gc"))]
    pub fn base(&self, half: usize) -> u64 {
        self.program.base + half as u64 * self.program.half
    }

    /// Makes the first `bytes` of a half readable and writable.
    ///
    /// # Safety
    /// The range is claimed.
    #[must_use]
    #[cfg_attr(feature = "freestanding", unsafe(link_section = ".text.elfin_gc"))]
    pub unsafe fn map(&self, half: usize, bytes: u64) -> bool {
        let end = bytes.next_multiple_of(PAGE).min(self.program.half);
        let mapped = MAPPED[half].load(Relaxed);
        if end > mapped {
            // SAFETY: the range is the heap's own.
            if !unsafe { kernel::allow(self.base(half) + mapped, end - mapped) } {
                return false;
            }
            MAPPED[half].store(end, Relaxed);
        }
        true
    }

    /// Goes over to the other half, which holds `live` bytes of objects; the old one held `used`, and `work` bytes were
    /// looked through. Returns the address of `bytes` bytes, or 0 if there is no room for them.
    ///
    /// # Safety
    /// All that lives is in the other half, and nothing refers to the old one.
    #[cfg_attr(feature = "freestanding", unsafe(link_section = ".text.elfin_gc"))]
    pub unsafe fn switch(
        &self,
        heap: &mut Heap,
        used: u64,
        live: u64,
        work: u64,
        bytes: u64,
    ) -> u64 {
        let old = self.current();
        let half = 1 - old;
        CURRENT.store(half as u64, Relaxed);
        let base = self.base(half);
        heap.next = base + live;
        heap.limit = heap.next;
        if self.program.stress != 0 || used > KEPT {
            let from = if self.program.stress != 0 { 0 } else { KEPT };
            // SAFETY: nothing refers to the old half.
            unsafe { kernel::give_back(self.base(old) + from, used - from.min(used)) };
        }
        if self.program.stress != 0 {
            let mapped = MAPPED[old].load(Relaxed);
            MAPPED[old].store(0, Relaxed);
            // SAFETY: likewise.
            unsafe { kernel::forbid(self.base(old), mapped) };
        }
        // What a collection looks through it does once for twice as much that is allocated.
        let needed = live.saturating_add(bytes);
        let wanted = needed
            .saturating_add((2 * work).max(ROOM))
            .min(self.program.max);
        // SAFETY: the range is claimed.
        if needed > self.program.max || !unsafe { self.map(half, wanted) } {
            return 0;
        }
        if self.program.stress == 0 {
            heap.limit = base + wanted;
        }
        heap.next
    }
}

/// System calls; in a hosted build the tests map everything themselves.
mod kernel {
    /// # Safety
    /// The range is the caller's own.
    #[cfg_attr(feature = "freestanding", unsafe(link_section = ".text.elfin_gc"))]
    pub(super) unsafe fn allow(start: u64, bytes: u64) -> bool {
        const READ_AND_WRITE: usize = 3;
        // SAFETY: by contract.
        unsafe {
            call(
                linux_raw_sys::general::__NR_mprotect,
                start,
                bytes,
                READ_AND_WRITE,
            )
        }
    }

    /// # Safety
    /// Nobody uses the range any more.
    #[cfg_attr(feature = "freestanding", unsafe(link_section = ".text.elfin_gc"))]
    pub(super) unsafe fn forbid(start: u64, bytes: u64) {
        // SAFETY: by contract. If it fails, less is noticed.
        unsafe { call(linux_raw_sys::general::__NR_mprotect, start, bytes, 0) };
    }

    /// # Safety
    /// Nobody uses what is in the range any more.
    #[cfg_attr(feature = "freestanding", unsafe(link_section = ".text.elfin_gc"))]
    pub(super) unsafe fn give_back(start: u64, bytes: u64) {
        let dont_need = linux_raw_sys::general::MADV_DONTNEED as usize;
        // SAFETY: by contract. If it fails, the pages stay.
        unsafe {
            call(
                linux_raw_sys::general::__NR_madvise,
                start,
                bytes,
                dont_need,
            )
        };
    }

    #[cfg_attr(feature = "freestanding", unsafe(link_section = ".text.elfin_gc"))]
    unsafe fn call(number: u32, start: u64, bytes: u64, how: usize) -> bool {
        let bytes = bytes.next_multiple_of(super::PAGE) as usize;
        // SAFETY: by contract.
        unsafe { crate::arch::syscall5(number, start as usize, bytes, how, 0, 0) == 0 }
    }
}

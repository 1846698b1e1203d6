//! Linear memories: their address space at start, and `memory.grow`.
//!
//! In: `MemoryInfo` records and the descriptors that they name. Out: for each memory, every byte below its
//! length readable and writable, every byte of its reservation beyond that inaccessible, and nothing of
//! anybody else's in between.
//!
//! # Safety
//! A memory's range belongs to it alone, which the address map of `elfin_abi::map` promises and
//! `MAP_FIXED_NOREPLACE` checks. Descriptors are written by this file only, while no guest code
//! runs; that of a shared memory under a lock, and other threads look at no more of it than its length.
#![allow(unsafe_code, reason = "maps memory at fixed addresses")]

use crate::program::Program;
use elfin_abi::map::STACK_GUARD;
#[cfg(feature = "freestanding")]
use elfin_abi::program::MemoryInfo;
use elfin_abi::state::{FuncRef, MemoryDescriptor, TableDescriptor};
use rustix::io::Errno;
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags};

/// The largest page size of any kernel of the three machines. Mappings begin and end on multiples of it.
pub const LARGEST_PAGE: u64 = 0x1_0000;

/// Whether the kernel may refuse memory now rather than kill the process later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commit {
    /// Ask it to: for programs built for machines where memory is short.
    Now,
    /// Untouched pages count for nothing.
    Later,
}

/// Maps `[start, end)`, zero-filled, at boot, when everything beyond the executable's own segments is free.
///
/// Linux before 4.17, and qemu-user before 8, take an address that must not be replaced for a hint; qemu
/// moreover keeps all addresses between the executable's first and last segment for itself. There the
/// range is taken without asking.
///
/// # Errors
/// The kernel's; `EEXIST` if the range is not free.
///
/// # Safety
/// No segment of the executable lies in the range.
#[cfg(feature = "freestanding")]
#[inline(never)]
pub unsafe fn claim(start: u64, end: u64, access: ProtFlags, commit: Commit) -> Result<(), Errno> {
    // SAFETY: replaces nothing.
    if !unsafe { map_at(start, end, access, commit, MapFlags::FIXED_NOREPLACE) }? {
        // SAFETY: by contract.
        unsafe { map_at(start, end, access, commit, MapFlags::FIXED) }?;
    }
    Ok(())
}

/// Maps `[start, end)`, readable, writable and zero-filled, while the program runs.
///
/// # Safety
/// Nothing relies on the range being unmapped.
pub unsafe fn extend(program: &Program<'_>, start: u64, end: u64, commit: Commit) -> Option<()> {
    let access = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: replaces nothing.
    if !unsafe { map_at(start, end, access, commit, MapFlags::FIXED_NOREPLACE) }.ok()? {
        // As in `claim`, but now there may be a neighbour.
        if !is_free(program, start, end) {
            return None;
        }
        // SAFETY: nothing is there.
        unsafe { map_at(start, end, access, commit, MapFlags::FIXED) }.ok()?;
    }
    Some(())
}

/// Maps `[start, end)`, or nothing and returns false when the kernel chose another place.
///
/// # Safety
/// Nothing relies on the range being unmapped, nor on what `place` replaces there.
#[inline(never)]
unsafe fn map_at(
    start: u64,
    end: u64,
    access: ProtFlags,
    commit: Commit,
    place: MapFlags,
) -> Result<bool, Errno> {
    if start >= end {
        return Ok(true);
    }
    let len = (end - start) as usize;
    let mut flags = MapFlags::PRIVATE | place;
    if commit == Commit::Later {
        flags |= MapFlags::NORESERVE;
    }
    // SAFETY: by contract.
    let mapped = unsafe { rustix::mm::mmap_anonymous(start as *mut _, len, access, flags) }?;
    if mapped as u64 == start {
        return Ok(true);
    }
    // SAFETY: it was mapped just now and nobody knows of it.
    let _ = unsafe { rustix::mm::munmap(mapped, len) };
    Ok(false)
}

/// Whether nothing that the program may reach lies in `[start, end)`: no memory, no table, no stack. The
/// executable's other segments all lie below the first memory.
fn is_free(program: &Program<'_>, start: u64, end: u64) -> bool {
    let header = program.header();
    let apart = |from: u64, len: u64| end <= from || start >= from.saturating_add(len);
    apart(
        header.stack_base - STACK_GUARD.min(header.stack_base),
        header.stack_size + STACK_GUARD,
    ) && program.memories().all(|memory| {
        // SAFETY: the descriptor of a memory of the program lives as long as it.
        let descriptor = unsafe { &*(memory.descriptor as *const MemoryDescriptor) };
        let mapped = mapped_end(descriptor, descriptor.len).unwrap_or(u64::MAX);
        apart(
            descriptor.base,
            memory.reservation.max(mapped - descriptor.base),
        )
    }) && program.tables().all(|table| {
        // SAFETY: likewise.
        let descriptor = unsafe { &*(table.descriptor as *const TableDescriptor) };
        let mapped = descriptor.mapped.saturating_mul(FuncRef::SIZE.into());
        apart(descriptor.base, table.reservation.max(mapped))
    })
}

/// Prepares every memory of the program and fills in the initial images that are copied.
#[cfg(feature = "freestanding")]
pub fn set_up(program: &Program<'_>) {
    for memory in program.memories() {
        // SAFETY: boot; nothing else runs, nothing else knows of the range.
        if let Err(error) = unsafe { prepare(program, memory) } {
            let (bytes, remedy) = if memory.reservation == 0 {
                // SAFETY: the compiler's record.
                (
                    unsafe { (*(memory.descriptor as *const MemoryDescriptor)).len },
                    "",
                )
            } else {
                (
                    memory.reservation,
                    "; build with --memory checked, or raise ulimit -v",
                )
            };
            crate::start::fail_to_reserve(bytes, "linear memory", error, remedy);
        }
    }
    for copy in program.copies() {
        // SAFETY: the compiler's record of bytes of the executable and their place in a memory.
        unsafe {
            crate::mem::copy_once(
                copy.to as *mut u8,
                copy.from as *const u8,
                copy.len as usize,
            )
        };
    }
}

/// Maps what the executable's own segments do not map of a memory.
///
/// # Safety
/// The record is right and its memory not in use yet.
#[cfg(feature = "freestanding")]
unsafe fn prepare(program: &Program<'_>, memory: &MemoryInfo) -> Result<(), Errno> {
    // SAFETY: by contract.
    let descriptor = unsafe { &*(memory.descriptor as *const MemoryDescriptor) };
    let commit = if memory.reservation == 0 {
        Commit::Now
    } else {
        Commit::Later
    };
    // SAFETY: by contract.
    let claim = |start, end, access| unsafe { claim(start, end, access, commit) };
    let read_write = ProtFlags::READ | ProtFlags::WRITE;
    let usable = mapped_end(descriptor, descriptor.len).ok_or(Errno::NOMEM)?;
    let mut mapped = descriptor.base;
    for image in program.images(memory) {
        claim(mapped, image.start, read_write)?;
        mapped = image.end;
    }
    claim(mapped, usable, read_write)?;
    claim(
        usable.max(mapped),
        descriptor.base + memory.reservation,
        ProtFlags::empty(),
    )
}

/// Where the mapping of a memory of `len` bytes ends.
fn mapped_end(descriptor: &MemoryDescriptor, len: u64) -> Option<u64> {
    descriptor
        .base
        .checked_add(len)?
        .checked_next_multiple_of(LARGEST_PAGE)
}

/// `memory.grow` (core spec, execution, memory instructions): the old length in pages, or `u64::MAX`.
///
/// # Safety
/// `memory` is the descriptor of one of the program's memories.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn elfin_memory_grow(memory: *mut MemoryDescriptor, pages: u64) -> u64 {
    let program = crate::program::program();
    // SAFETY: by contract; no other reference exists while the runtime runs.
    let descriptor = unsafe { &mut *memory };
    let info = program
        .memories()
        .find(|info| info.descriptor == memory as u64);
    let old = descriptor.len >> descriptor.page_log2;
    // SAFETY: the record belongs to the descriptor.
    match info.and_then(|info| unsafe { grow(&program, descriptor, info.reservation, pages) }) {
        Some(()) => old,
        None => u64::MAX,
    }
}

/// `memory.grow` of a shared memory, which other threads may use and grow at the same time: they see the new length
/// when its pages are there.
///
/// # Safety
/// As [`elfin_memory_grow`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn elfin_shared_memory_grow(
    memory: *mut MemoryDescriptor,
    pages: u64,
) -> u64 {
    static GROWING: crate::lock::Lock = crate::lock::Lock::new();

    let _held = GROWING.acquire();
    // SAFETY: by contract.
    unsafe { elfin_memory_grow(memory, pages) }
}

/// Makes the memory longer by `pages`, or leaves it alone.
///
/// # Safety
/// The descriptor is that of a memory with this reservation (0: nothing beyond its length is mapped).
unsafe fn grow(
    program: &Program<'_>,
    descriptor: &mut MemoryDescriptor,
    reservation: u64,
    pages: u64,
) -> Option<()> {
    if pages > u64::MAX >> descriptor.page_log2 {
        return None;
    }
    let len = descriptor.len.checked_add(pages << descriptor.page_log2)?;
    if len > descriptor.max {
        return None;
    }
    let start = mapped_end(descriptor, descriptor.len)?;
    let end = mapped_end(descriptor, len)?;
    if reservation == 0 {
        // SAFETY: beyond its length the memory has nothing.
        unsafe { extend(program, start, end, Commit::Now) }?;
    } else if end > start {
        if end - descriptor.base > reservation {
            return None;
        }
        let access = MprotectFlags::READ | MprotectFlags::WRITE;
        // SAFETY: the range lies in the memory's reservation.
        unsafe { rustix::mm::mprotect(start as *mut _, (end - start) as usize, access) }.ok()?;
    }
    descriptor.len = len;
    Some(())
}

/// Whether a fault at `address` is an access beyond a memory's length; one copy for each handler, see
/// [`crate::signal::classify`].
#[must_use]
pub fn is_guarded<const HANDLER: u8>(program: &Program<'_>, address: u64) -> bool {
    program.memories().any(|memory| {
        // SAFETY: the descriptor of a memory of the program lives as long as it.
        let base = unsafe { (*(memory.descriptor as *const MemoryDescriptor)).base };
        address.wrapping_sub(base) < memory.reservation
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::program;

    /// An address range that nothing else uses, for one test.
    fn free_range(len: u64) -> u64 {
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        let len = (len + LARGEST_PAGE) as usize;
        // SAFETY: a fresh mapping, taken away at once.
        unsafe {
            let found =
                rustix::mm::mmap_anonymous(core::ptr::null_mut(), len, ProtFlags::empty(), flags);
            let found = found.expect("address space");
            rustix::mm::munmap(found, len).expect("unmap");
            (found as u64).next_multiple_of(LARGEST_PAGE)
        }
    }

    /// # Safety
    /// The range is free.
    unsafe fn reserve(base: u64, len: u64) {
        let place = MapFlags::FIXED_NOREPLACE;
        // SAFETY: by contract.
        let exact = unsafe { map_at(base, base + len, ProtFlags::empty(), Commit::Later, place) };
        assert_eq!(exact, Ok(true));
    }

    fn memory_at(base: u64, max: u64, page_log2: u64) -> MemoryDescriptor {
        MemoryDescriptor {
            base,
            len: 0,
            max,
            page_log2,
        }
    }

    #[test]
    fn a_reserved_memory_grows_up_to_its_maximum() {
        let base = free_range(1 << 20);
        // SAFETY: the range is free.
        unsafe { reserve(base, 1 << 20) };
        let mut memory = memory_at(base, 3 << 16, 16);
        // SAFETY: the memory and its reservation are this test's own.
        unsafe {
            assert_eq!(grow(&program(), &mut memory, 1 << 20, 0), Some(()));
            assert_eq!(grow(&program(), &mut memory, 1 << 20, 2), Some(()));
            core::ptr::write_bytes(base as *mut u8, 1, 2 << 16);
            assert_eq!(grow(&program(), &mut memory, 1 << 20, 2), None);
            assert_eq!(grow(&program(), &mut memory, 1 << 20, u64::MAX), None);
            assert_eq!(grow(&program(), &mut memory, 1 << 20, u64::MAX >> 16), None);
            assert_eq!(memory.len, 2 << 16);
            assert_eq!(grow(&program(), &mut memory, 1 << 20, 1), Some(()));
            assert_eq!(grow(&program(), &mut memory, 1 << 20, 0), Some(()));
        }
    }

    #[test]
    fn a_memory_never_leaves_its_reservation() {
        let base = free_range(1 << 17);
        // SAFETY: the range is free.
        unsafe { reserve(base, 1 << 17) };
        let mut memory = memory_at(base, u64::MAX, 16);
        // SAFETY: the memory and its reservation are this test's own.
        unsafe {
            assert_eq!(grow(&program(), &mut memory, 1 << 17, 3), None);
            assert_eq!(grow(&program(), &mut memory, 1 << 17, 2), Some(()));
        }
    }

    #[test]
    fn a_checked_memory_grows_by_bytes_and_stops_at_its_neighbour() {
        let base = free_range(1 << 20);
        let mut memory = memory_at(base, u64::MAX, 0);
        // SAFETY: the range is free.
        unsafe {
            assert_eq!(grow(&program(), &mut memory, 0, 1), Some(()));
            assert_eq!(grow(&program(), &mut memory, 0, LARGEST_PAGE), Some(()));
            assert_eq!(memory.len, LARGEST_PAGE + 1);
            core::ptr::write_bytes(base as *mut u8, 1, memory.len as usize);
            let neighbour = base + 4 * LARGEST_PAGE;
            reserve(neighbour, LARGEST_PAGE);
            assert_eq!(grow(&program(), &mut memory, 0, 3 * LARGEST_PAGE), None);
            assert_eq!(
                grow(&program(), &mut memory, 0, u64::MAX - (LARGEST_PAGE + 1)),
                None
            );
            assert_eq!(grow(&program(), &mut memory, 0, LARGEST_PAGE), Some(()));
        }
    }
}

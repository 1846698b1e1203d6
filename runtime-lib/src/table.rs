//! Tables: their address space at start, `table.grow` and `table.fill`.
//!
//! In: `TableInfo` records and the descriptors that they name. Out: for each table, every entry below its
//! `mapped` readable and writable.
//!
//! # Safety
//! As in [`crate::memory`]: a table's range belongs to it alone, its descriptor is written here only.
#![allow(
    unsafe_code,
    reason = "maps tables at fixed addresses, writes references"
)]

use crate::memory::{Commit, LARGEST_PAGE, extend};
#[cfg(feature = "freestanding")]
use crate::program::Program;
use elfin_abi::state::{FuncRef, TableDescriptor};
#[cfg(feature = "freestanding")]
use rustix::mm::ProtFlags;

const ENTRY: u64 = FuncRef::SIZE as u64;

/// Maps every table that has a reservation of its own.
#[cfg(feature = "freestanding")]
pub fn set_up(program: &Program<'_>) {
    for table in program.tables() {
        // SAFETY: the compiler's record; boot, nothing else knows of the range.
        let result = unsafe {
            let base = (*(table.descriptor as *const TableDescriptor)).base;
            let access = ProtFlags::READ | ProtFlags::WRITE;
            crate::memory::claim(base, base + table.reservation, access, Commit::Later)
        };
        if let Err(error) = result {
            crate::start::fail_to_reserve(table.reservation, "a table", error, "");
        }
    }
}

/// `table.grow` (core spec, execution, table instructions): the old length, or `u64::MAX`.
///
/// # Safety
/// `table` is the descriptor of one of the program's tables.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn elfin_table_grow(
    table: *mut TableDescriptor,
    entries: u64,
    value: u64,
) -> u64 {
    // SAFETY: by contract; no other reference exists while the runtime runs.
    unsafe { grow(&mut *table, entries, value) }.unwrap_or(u64::MAX)
}

/// # Safety
/// As [`elfin_table_grow`].
unsafe fn grow(table: &mut TableDescriptor, entries: u64, value: u64) -> Option<u64> {
    let old = table.len;
    let len = old.checked_add(entries)?;
    if len > table.max {
        return None;
    }
    if len > table.mapped {
        let end = table.base.checked_add(len.checked_mul(ENTRY)?)?;
        let end = end.checked_next_multiple_of(LARGEST_PAGE)?;
        let start = table.base + table.mapped * ENTRY;
        // SAFETY: beyond what is mapped the table has nothing.
        unsafe { extend(&crate::program::program(), start, end, Commit::Later) }?;
        table.mapped = (end - table.base) / ENTRY;
    }
    // SAFETY: the entries are mapped.
    unsafe { elfin_table_fill((table.base as *mut u64).add(old as usize), value, entries) };
    table.len = len;
    Some(old)
}

/// Writes `value` to `entries` entries from `to` on.
///
/// # Safety
/// They are entries of one table.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn elfin_table_fill(to: *mut u64, value: u64, entries: u64) {
    for index in 0..entries as usize {
        // SAFETY: by contract.
        unsafe { to.add(index).write(value) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    #[test]
    fn a_mapped_table_grows_up_to_its_maximum() {
        let mut entries = vec![0_u64; 10];
        let base = entries.as_mut_ptr() as u64;
        let mut table = TableDescriptor {
            base,
            len: 2,
            max: 8,
            mapped: 10,
        };
        // SAFETY: the table lies in `entries`.
        unsafe {
            assert_eq!(elfin_table_grow(&mut table, 3, 7), 2);
            assert_eq!(elfin_table_grow(&mut table, 0, 9), 5);
            assert_eq!(elfin_table_grow(&mut table, 4, 9), u64::MAX);
            assert_eq!(elfin_table_grow(&mut table, u64::MAX, 9), u64::MAX);
        }
        assert_eq!(table.len, 5);
        assert_eq!(entries, [0, 0, 7, 7, 7, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn a_table_maps_what_it_grows_into() {
        let reserve = (4 * LARGEST_PAGE) as usize;
        let flags = rustix::mm::MapFlags::PRIVATE;
        // SAFETY: a fresh mapping, taken away at once; the table then lies in free space.
        unsafe {
            let found = rustix::mm::mmap_anonymous(
                core::ptr::null_mut(),
                reserve,
                rustix::mm::ProtFlags::empty(),
                flags,
            );
            let found = found.expect("address space");
            rustix::mm::munmap(found, reserve).expect("unmap");
            let base = (found as u64).next_multiple_of(LARGEST_PAGE);
            let mut table = TableDescriptor {
                base,
                len: 0,
                max: 10_000,
                mapped: 0,
            };
            assert_eq!(elfin_table_grow(&mut table, 10, 5), 0);
            assert_eq!(table.mapped, LARGEST_PAGE / ENTRY);
            assert_eq!(elfin_table_grow(&mut table, 9_000, 6), 10);
            assert_eq!(*(base as *const u64).add(9), 5);
            assert_eq!(*(base as *const u64).add(9_009), 6);
        }
    }
}

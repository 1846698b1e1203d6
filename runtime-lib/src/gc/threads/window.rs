//! The address space below 4 GiB that the heaps of all threads share, and the kernel's pages in it.
//!
//! In: a number of bytes. Out: a [`Region`] that can be read and written, and is nobody else's. What no heap has taken
//! is without access.
//!
//! # Safety
//! A region is used by the thread that took it only, until that gives it back.
#![allow(unsafe_code, reason = "maps regions at fixed addresses")]

use super::account::{Heaps, Locked};
use crate::gc::regions::GRANULE;
use elfin_abi::gc::Program;
use linux_raw_sys::general::{__NR_madvise, __NR_mprotect, MADV_DONTNEED};

/// A part of the address space, in whole granules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Region {
    pub(super) base: u64,
    pub(super) len: u64,
}

/// The address space that heaps share.
#[derive(Clone, Copy, Debug)]
pub struct Window<'a> {
    /// The program.
    pub program: &'a Program,
    /// What is taken.
    pub heaps: &'a Heaps,
}

impl Window<'_> {
    #[inline(always)]
    pub(super) fn account(&self) -> Locked<'_> {
        self.heaps.lock()
    }

    /// Granules of the whole.
    #[inline(always)]
    pub(super) fn total(&self) -> u64 {
        2 * self.program.half / GRANULE
    }

    #[inline(always)]
    pub(super) fn position(&self, address: u64) -> u64 {
        (address - self.program.base) / GRANULE
    }

    /// Takes the address range, without access.
    ///
    /// # Errors
    /// The kernel's.
    ///
    /// # Safety
    /// Called once, at boot.
    #[cfg(feature = "freestanding")]
    #[inline(always)]
    pub(super) unsafe fn claim(&self) -> Result<(), rustix::io::Errno> {
        let end = self.program.base + 2 * self.program.half;
        let later = crate::memory::Commit::Later;
        let access = rustix::mm::ProtFlags::empty();
        // SAFETY: by contract.
        unsafe { crate::memory::claim(self.program.base, end, access, later) }
    }

    /// A region of at least `bytes` bytes, readable and writable.
    #[cfg_attr(
        feature = "freestanding",
        unsafe(link_section = ".text.elfin_thread_gc")
    )]
    pub(super) fn take(&self, bytes: u64) -> Option<Region> {
        let granules = bytes.div_ceil(GRANULE).max(1);
        let at = {
            let mut account = self.account();
            account.regions.take(self.total(), granules)?
        };
        let region = Region {
            base: self.program.base + at * GRANULE,
            len: granules * GRANULE,
        };
        // SAFETY: it was free until now.
        if unsafe { allow(region) } {
            return Some(region);
        }
        let mut account = self.account();
        account.regions.give_back(at, granules);
        None
    }

    /// # Safety
    /// Nobody uses the region any more.
    #[cfg_attr(
        feature = "freestanding",
        unsafe(link_section = ".text.elfin_thread_gc")
    )]
    pub(super) unsafe fn give_back(&self, region: Region) {
        if region.len == 0 {
            return;
        }
        // SAFETY: by contract; first, so that whoever takes it next finds it without access.
        unsafe { forbid(region) };
        let mut account = self.account();
        let at = self.position(region.base);
        account.regions.give_back(at, region.len / GRANULE);
    }

    /// Bytes that heaps may fill, granules that are taken, and heaps.
    #[inline(always)]
    pub(super) fn taken(&self) -> [u64; 3] {
        let account = self.account();
        [account.held, account.regions.count(), account.heaps]
    }
}

/// Makes a region readable and writable.
///
/// # Safety
/// The region is the caller's own.
#[inline(always)]
pub(super) unsafe fn allow(region: Region) -> bool {
    const READ_AND_WRITE: usize = 3;
    // SAFETY: by contract.
    unsafe { call(__NR_mprotect, region, READ_AND_WRITE) }
}

/// Gives the pages of a region back to the kernel, and forbids access to it. What fails leaves the pages there.
///
/// # Safety
/// Nobody uses the region any more.
#[cfg_attr(
    feature = "freestanding",
    unsafe(link_section = ".text.elfin_thread_gc")
)]
unsafe fn forbid(region: Region) {
    // SAFETY: by contract.
    unsafe {
        call(__NR_madvise, region, MADV_DONTNEED as usize);
        call(__NR_mprotect, region, 0);
    }
}

/// A system call for a region.
///
/// # Safety
/// That of the call.
#[cfg_attr(
    feature = "freestanding",
    unsafe(link_section = ".text.elfin_thread_gc")
)]
unsafe fn call(number: u32, region: Region, how: usize) -> bool {
    let (base, len) = (region.base as usize, region.len as usize);
    // SAFETY: by contract.
    unsafe { crate::arch::syscall5(number, base, len, how, 0, 0) == 0 }
}

//! The grants that were sealed into the executable.
//!
//! In: the block between the linker's symbols `elfin_policy` and `elfin_policy_end`. Out: its entries
//! ([`elfin_abi::policy`]), and which kinds of them do not count any more. It must not know what a grant is
//! good for.
//!
//! # Safety
//!
//! The linker places both symbols around one read-only section (`elfin_abi::symbol::SECTION_POLICY`).
#![allow(unsafe_code, reason = "reads a section by its end symbols")]

use core::sync::atomic::{AtomicU8, Ordering::Relaxed};
use elfin_abi::policy::{Entries, Entry};

/// Kinds of grants that were dropped when the process started (`elfin_abi::policy::denied`).
static DENIED: AtomicU8 = AtomicU8::new(0);

/// Whether this kind of grants was dropped.
#[must_use]
pub fn is_denied(kind: u8) -> bool {
    DENIED.load(Relaxed) & kind != 0
}

/// Drops kinds of grants, once.
pub fn deny(kinds: u8) {
    DENIED.store(kinds, Relaxed);
}

/// Every sealed decision, in the order of the command line.
#[cfg(feature = "freestanding")]
#[must_use]
pub fn entries() -> Entries<'static> {
    unsafe extern "C" {
        #[link_name = "elfin_policy"]
        static START: u8;
        #[link_name = "elfin_policy_end"]
        static END: u8;
    }
    let (start, end) = (&raw const START, &raw const END);
    // SAFETY: both belong to one section, see the head of the file.
    Entries::new(unsafe { core::slice::from_raw_parts(start, end as usize - start as usize) })
}

/// The block of a hosted build, see [`set`].
#[cfg(not(feature = "freestanding"))]
static BLOCK: core::sync::atomic::AtomicPtr<&'static [u8]> =
    core::sync::atomic::AtomicPtr::new(core::ptr::null_mut());

/// Every sealed decision, in the order of the command line.
#[cfg(not(feature = "freestanding"))]
#[must_use]
pub fn entries() -> Entries<'static> {
    let block = BLOCK.load(core::sync::atomic::Ordering::Acquire);
    // SAFETY: null or the address of a reference that lives for ever.
    Entries::new(unsafe { block.as_ref() }.copied().unwrap_or_default())
}

/// Gives a hosted build, which has no linker of ours, a block.
#[cfg(not(feature = "freestanding"))]
pub fn set(block: &'static &'static [u8]) {
    BLOCK.store(
        core::ptr::from_ref(block).cast_mut(),
        core::sync::atomic::Ordering::Release,
    );
}

/// Name for the guest of granted directory `grant`, counted from 1.
#[must_use]
pub fn guest_name(grant: u16) -> Option<&'static [u8]> {
    let mut left = grant;
    for entry in entries() {
        if let Entry::Dir { guest, .. } = entry {
            left = left.checked_sub(1)?;
            if left == 0 {
                return Some(guest);
            }
        }
    }
    None
}

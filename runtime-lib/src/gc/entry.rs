//! What generated code calls.
//!
//! # Safety
//! Called by generated code only, with the record of its own program.
#![allow(unsafe_code, reason = "arguments of generated code")]

use super::space::Space;
use elfin_abi::gc::{Heap, Program};

/// Maps the heap; ends the process when it can't be.
///
/// # Safety
/// Called once, before any object is made.
#[unsafe(link_section = ".text.elfin_gc")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn elfin_gc_set_up(program: *const Program) {
    // SAFETY: by contract.
    let (program, heap) = unsafe { (&*program, &mut *((*program).heap as *mut Heap)) };
    let space = Space::new(program);
    // SAFETY: boot; nothing else knows of the range.
    if let Err(error) = unsafe { space.claim() } {
        crate::start::fail_to_reserve(2 * program.half, "the garbage-collected heap", error, "");
    }
    // SAFETY: the heap is empty.
    unsafe { space.begin(heap) };
}

/// The address of `bytes` bytes for an object, or 0. Entered through `elfin_gc_allocate` of the arch file,
/// which adds the frame pointer and the return address.
///
/// # Safety
/// The last two are those of generated code.
#[unsafe(link_section = ".text.elfin_gc")]
pub unsafe extern "C" fn allocate(
    program: *const Program,
    bytes: u64,
    fp: u64,
    return_address: u64,
) -> u64 {
    // SAFETY: by contract.
    let (program, heap) = unsafe { (&*program, &mut *((*program).heap as *mut Heap)) };
    if let Some(room) = heap.room(bytes) {
        return room;
    }
    let header = crate::program::program().header();
    // SAFETY: by contract.
    unsafe { super::collect::allocate(program, heap, header, bytes, fp, return_address) }
}

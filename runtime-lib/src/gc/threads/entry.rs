//! What generated code and the boot sequence call.
//!
//! In: the program's record; the calling thread's own state is found from its stack. Out: addresses of objects. The
//! account of all heaps is here, the only static of this part.
#![allow(unsafe_code, reason = "entered from generated code")]

use super::{Heaps, Place, Window};
use crate::threads;
use elfin_abi::gc::{Program, ThreadHeap};

#[unsafe(link_section = ".bss.elfin_thread_gc")]
static HEAPS: Heaps = Heaps::new();

#[inline(always)]
fn window(program: &Program) -> Window<'_> {
    Window {
        program,
        heaps: &HEAPS,
    }
}

/// Takes the address space of all heaps; ends the process when it can't be had.
///
/// # Safety
/// Called once, before any object is made, with the program's own record.
#[unsafe(link_section = ".text.elfin_thread_gc")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn elfin_thread_gc_set_up(program: *const Program) {
    // SAFETY: by contract.
    let program = unsafe { &*program };
    // SAFETY: boot; nothing else knows of the range.
    if let Err(error) = unsafe { window(program).claim() } {
        crate::start::fail_to_reserve(2 * program.half, "the garbage-collected heap", error, "");
    }
}

/// The address of `bytes` bytes for an object, or 0. Entered through `elfin_thread_gc_allocate` of the arch file,
/// which adds the frame pointer and the return address.
///
/// # Safety
/// Called by generated code; the last two are its own.
#[unsafe(link_section = ".text.elfin_thread_gc")]
pub unsafe extern "C" fn allocate_in_thread(
    program: *const Program,
    bytes: u64,
    fp: u64,
    return_address: u64,
) -> u64 {
    let distance = threads::state_distance(threads::current());
    // SAFETY: by contract; the calling thread's own heap.
    unsafe {
        let program = &*program;
        let heap = &mut *((program.heap + distance) as *mut ThreadHeap);
        if let Some(room) = heap.heap.room(bytes) {
            return room;
        }
        let place = Place {
            header: crate::program::program().header(),
            distance,
            fp,
            return_address,
        };
        super::allocate(&window(program), heap, &place, bytes)
    }
}

/// Gives back what the calling thread's heap took; the thread makes no more objects.
///
/// # Safety
/// Called by generated code, with the program's own record.
#[unsafe(link_section = ".text.elfin_thread_gc")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn elfin_thread_gc_end(program: *const Program) {
    let distance = threads::state_distance(threads::current());
    // SAFETY: by contract.
    unsafe {
        let program = &*program;
        let heap = &mut *((program.heap + distance) as *mut ThreadHeap);
        super::end(&window(program), heap);
    }
}

//! An arena for each thread of a program with threads.
//!
//! In: an exception that is thrown. Out: room in the arena of the thread that throws it, which nobody else knows: no
//! thread waits for another. References to exceptions lie in globals and tables, of which each thread has its own, and
//! on its stack; the threads of a script, which have no state of their own, look through those of all.
//!
//! A thread's arena is the end of its slot. It comes and goes with the slot, and costs nothing until the thread throws.
//!
//! # Safety
//! As of the parent room; the record of an arena is used by its own thread only.
#![allow(unsafe_code, reason = "exceptions of generated code, by address")]

use super::{Arena, References, program::fail};
use crate::exception::tables;
use crate::message::Message;
use crate::{arch, memory, start, threads};
use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::sync::atomic::Ordering;
use elfin_abi::exception::{ARENA_SIZE, Exception, Roots};
use rustix::mm::ProtFlags;

/// Zero until it is set up, as a thread's record in its slot is.
struct First(UnsafeCell<MaybeUninit<Arena>>);
// SAFETY: the first thread's own.
unsafe impl Sync for First {}
#[unsafe(link_section = ".bss.elfin_thread_arena")]
static FIRST: First = First(UnsafeCell::new(MaybeUninit::zeroed()));

/// Maps the arena of the first thread, and provides for exceptions that nothing catches.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".text.elfin_thread_arena")]
pub extern "C" fn elfin_setup_thread_exceptions() {
    let base = tables().header().arena;
    let access = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: the compiler has kept the range free; nothing was thrown yet.
    let claimed = unsafe { memory::claim(base, base + ARENA_SIZE, access, memory::Commit::Later) };
    if let Err(error) = claimed {
        start::fail_to_reserve(ARENA_SIZE, "exceptions", error, "");
    }
    // SAFETY: boot: nobody else is here.
    unsafe { (*FIRST.0.get()).write(Arena::new(base)) };
    elfin_setup_thread_throws();
}

/// Provides for exceptions that nothing catches, for programs whose exceptions are objects among others.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".text.elfin_thread_throws")]
pub extern "C" fn elfin_setup_thread_throws() {
    crate::exception::UNCAUGHT.store(uncaught as *mut (), Ordering::Relaxed);
}

/// Ends the program as an exception does that nothing catches: with its tag's name and the backtrace of its throw, on
/// whichever stack that was.
#[unsafe(link_section = ".text.elfin_thread_throws")]
extern "C" fn uncaught(tag: u32, fp: u64, return_address: u64) -> ! {
    let mut message = Message::new("elfin: uncaught exception ");
    message.escaped(tables().tag_name(tag));
    let registers = arch::Registers {
        pc: return_address.wrapping_sub(1),
        fp,
        ..arch::Registers::default()
    };
    threads::end(message, &registers)
}

/// A new exception.
///
/// # Safety
/// Called by generated code, as `elfin_abi::host::Libcall::NewThreadException` says.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".text.elfin_thread_arena")]
pub unsafe extern "C" fn elfin_new_thread_exception(tag: u64, size: u64) -> *mut Exception {
    let at = match threads::current() {
        Some(thread) => threads::arena_record(thread).cast::<Arena>(),
        None => FIRST.0.get().cast(),
    };
    // SAFETY: the calling thread's own record, zero or set up, and nothing here throws.
    let arena = unsafe { &mut *at };
    if arena.base == 0
        && let Some(thread) = threads::current()
    {
        *arena = Arena::new(threads::arena(thread));
    }
    match arena.take_or(tag as u32, size, refill) {
        Some(exception) => exception,
        None => fail("no room for an exception: 64 MiB of them are kept"),
    }
}

/// As [`Arena::refill`].
#[inline(never)]
#[unsafe(link_section = ".text.elfin_thread_arena")]
fn refill(arena: &mut Arena, size: u64) -> bool {
    if arena.find_gap(size) {
        return true;
    }
    // SAFETY: the collector reads the stack of the guest, on which this runs.
    unsafe { arch::with_registers_saved(collect, core::ptr::from_mut(arena).cast()) };
    arena.begin_anew(size)
}

#[unsafe(link_section = ".text.elfin_thread_arena")]
extern "C" fn collect(arena: *mut u8, stack: *const u64) {
    let header = tables().header();
    let thread = threads::current();
    let own = threads::header_of(thread);
    // On any other stack nothing would be found, and what is in use would be given back.
    if (stack as u64).wrapping_sub(own.stack_base) > own.stack_size {
        fail("exceptions are thrown on a stack that is not a thread's");
    }
    // SAFETY: the arena that was passed on; the stack is mapped to its end, and the roots are the compiler's.
    unsafe {
        let roots: &[Roots] = match header.root_count {
            0 => &[],
            count => core::slice::from_raw_parts(header.roots as *const Roots, count as usize),
        };
        let references = References {
            stack_end: own.stack_base + own.stack_size,
            roots,
            distance: threads::state_distance(thread),
        };
        (*arena.cast::<Arena>()).collect(stack, &references);
    }
}

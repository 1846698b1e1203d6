//! Threads: where they are put, and what the runtime must know to start one.
//!
//! In: nothing. Out: the record that the compiler's `emit` writes for a program which can start threads, and the
//! shape of the space that belongs to a thread. Other programs have none of this.
//!
//! ```text
//! base    a word for each slot: 0 when it is free
//! slots   slot 0, slot 1, …, each `stride` bytes:
//!           STACK_GUARD bytes that are never mapped
//!           stack
//!           SIGNAL_STACK bytes for signal handlers
//!           ThreadRecord, then the thread's own instance state
//!           its tables that may grow, its exceptions, if the program has any
//! ```
//!
//! A slot is mapped as long as a thread is in it. The slot, and with it everything of the thread's, is found from
//! any address on its stack: no register is kept for that.

use crate::map::STACK_GUARD;

/// Defined by the program under [`crate::symbol::THREADS`].
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ThreadsHeader {
    /// Address of the words that say which slots are taken: one `u32` each.
    pub base: u64,
    /// Address of the first slot, a multiple of 64 KiB.
    pub slots: u64,
    /// Bytes of a slot, a multiple of 64 KiB.
    pub stride: u64,
    /// Number of slots: so many threads there can be beside the first.
    pub count: u64,
    /// Bytes of a thread's stack.
    pub stack_size: u64,
    /// Address of what a thread's own instance state begins with. Behind it the state is zero.
    pub template: u64,
    /// Bytes of the template, a multiple of 8.
    pub template_len: u64,
    /// Address of `extern "C" fn(state: *mut u8, thread: u32, argument: u32)`: makes the instances of a thread and
    /// runs it. 0 in a script, whose threads are actions.
    pub start: u64,
}

impl ThreadsHeader {
    /// Size of the record in bytes.
    pub const SIZE: u32 = size_of::<Self>() as u32;
}

/// Bytes of the stack for a thread's signal handlers: large enough for a signal frame with every vector register
/// that the machines have.
pub const SIGNAL_STACK: u64 = 0x1_0000;

/// Bytes kept for the runtime's own record of a thread; in the second half what only exceptions need.
pub const RECORD: u64 = 128;

/// Largest thread id that wasi-threads allows.
pub const MAX_ID: u64 = (1 << 29) - 1;

/// Offset in a slot of its stack's lowest byte.
pub const STACK: u64 = STACK_GUARD;

/// Offset in a slot of the runtime's record of the thread.
#[must_use]
pub const fn record(stack_size: u64) -> u64 {
    STACK + stack_size + SIGNAL_STACK
}

/// Offset in a slot of the thread's own instance state.
#[must_use]
pub const fn state(stack_size: u64) -> u64 {
    record(stack_size) + RECORD
}

/// Bytes of a slot; `arena` of them, at its end, are for exceptions.
#[must_use]
pub const fn stride(stack_size: u64, state_size: u64, arena: u64) -> u64 {
    (state(stack_size) + state_size).next_multiple_of(0x1_0000) + arena
}

/// Bytes from [`ThreadsHeader::base`] to [`ThreadsHeader::slots`].
#[must_use]
pub const fn words(count: u64) -> u64 {
    (count * 4).next_multiple_of(0x1_0000)
}

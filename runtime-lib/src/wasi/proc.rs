//! WASI preview 1: `proc_*`.
//!
//! In: an exit code or a witx `signal`. Out: the end of the process, for the most part.
#![allow(unsafe_code, reason = "exports symbols")]

use crate::errno::{self, Errno};
use crate::guest::Memory;
use crate::start;

/// Ends the process with the guest's code.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_wasi_proc_exit(_: Memory, code: u32) -> ! {
    start::exit(code as i32)
}

/// Does what the signal does by default, to the guest and nobody else: no signal is sent, so the
/// process needs no `kill` in its system call filter.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_wasi_proc_raise(_: Memory, signal: u32) -> i32 {
    errno::code(match signal {
        // None; child, continue, urgent and window change are ignored by default.
        0 | 16 | 17 | 22 | 27 => Ok(()),
        // A guest that stops itself would need somebody to wake it.
        18..=21 => Err(Errno::NotSup),
        // Ended by the signal, as a shell reports it. Linux has one more number, 16, in between.
        1..=15 => start::exit(128 + signal as i32),
        23..=30 => start::exit(128 + signal as i32 + 1),
        _ => Err(Errno::Inval),
    })
}

//! WASI preview 1: `proc_*`.
//!
//! In: an exit code or a witx `signal`. Out: the end of the process, for the most part.
//!
//! # Safety
//!
//! The system calls made here take numbers only.
#![allow(
    unsafe_code,
    reason = "exports symbols; rustix sends no signal of this kind by number"
)]

use crate::arch::syscall2;
use crate::errno::{self, Errno};
use crate::guest::Memory;
use crate::start;
use linux_raw_sys::general::{__NR_getpid, __NR_kill};

/// Ends the process with the guest's code.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_wasi_proc_exit(_: Memory, code: u32) -> ! {
    start::exit(code as i32)
}

/// Does what the witx says that the signal does. Ending is not left to a real signal: the runtime's own
/// handlers, which tell a trap from anything else, are not for the guest to call.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_wasi_proc_raise(_: Memory, signal: u32) -> i32 {
    errno::code(match signal {
        // None; pipe, child, continue, urgent and window change are ignored.
        0 | 13 | 16 | 17 | 22 | 27 => Ok(()),
        // Stopped until somebody outside continues the process. Linux has one more number, 16, in between.
        18..=21 => stop(signal as usize + 1),
        // Ended by the signal, as a shell reports it.
        1..=15 => start::exit(128 + signal as i32),
        23..=30 => start::exit(128 + signal as i32 + 1),
        _ => Err(Errno::Inval),
    })
}

/// Sends a stopping signal to this process.
fn stop(signal: usize) -> Result<(), Errno> {
    // SAFETY: neither call touches memory.
    let result = unsafe { syscall2(__NR_kill, syscall2(__NR_getpid, 0, 0) as usize, signal) };
    if result < 0 {
        return Err(rustix::io::Errno::from_raw_os_error(result.wrapping_neg() as i32).into());
    }
    Ok(())
}

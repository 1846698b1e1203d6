//! WASI preview 1: `sched_*`.
#![allow(unsafe_code, reason = "exports symbols")]

use crate::guest::Memory;

/// Lets others run.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_wasi_sched_yield(_: Memory) -> i32 {
    rustix::thread::sched_yield();
    0
}

//! WASI preview 1: `random_*`.
//!
//! In: a span of guest memory. Out: the same, filled by the kernel's generator.
#![allow(unsafe_code, reason = "exports symbols")]

use crate::errno::{self, Errno};
use crate::guest::Memory;
use rustix::rand::{GetRandomFlags, getrandom};

/// Fills `len` bytes at `buf`.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_wasi_random_get(memory: Memory, buf: u32, len: u32) -> i32 {
    errno::code(memory.fill(buf, len, fill).flatten())
}

/// The kernel gives at most 32 MiB at a time, and less after a signal.
fn fill(mut rest: &mut [u8]) -> Result<(), Errno> {
    while !rest.is_empty() {
        match getrandom(&mut *rest, GetRandomFlags::empty()) {
            Ok(filled) => rest = rest.get_mut(filled..).unwrap_or_default(),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

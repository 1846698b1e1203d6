//! Boot, in order; and what the kernel handed to the process.
#![allow(unsafe_code, reason = "being written")]

use core::ffi::CStr;

/// Argument `index` of the command line, argv\[0\] included.
#[must_use]
pub fn argument(index: usize) -> Option<&'static CStr> {
    let _ = index;
    None
}

/// The environment: pointers to `KEY=VALUE` strings, ended by null. Null in a hosted build.
#[must_use]
pub fn environment() -> *const *const u8 {
    core::ptr::null()
}

/// Value of an entry of the auxiliary vector (`AT_SYSINFO_EHDR`, …), if the kernel gave it.
#[must_use]
pub fn auxiliary(key: usize) -> Option<usize> {
    let _ = key;
    None
}

/// Ends the process.
pub fn exit(status: i32) -> ! {
    let _ = status;
    loop {}
}

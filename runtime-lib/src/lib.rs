//! The runtime that elfin links into every executable.
//!
//! In: what the kernel hands to a new process, and the tables that the compiler and the linker left in
//! the executable (`elfin-abi`). Out: a running guest, its host functions, and its end. It knows Linux
//! and WASI; it must not know how code is generated.
//!
//! The way of a process through the files: `arch::_start` → [`start`] (boot, in order) → [`memory`],
//! [`signal`] → the guest, which calls [`wasi`] and [`libcall`]; when it faults, [`signal`] → [`trap`]
//! → [`backtrace`]; when it throws, [`exception`].
//!
//! With the feature `freestanding` this is the object that ships inside elfin; without it, a plain
//! library whose logic has unit tests on the host.
#![no_std]
// Unsafe code is allowed file by file, each with a `# Safety` paragraph in its opening comment.
#![deny(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod arch;
pub mod backtrace;
pub mod cpu;
pub mod driver;
pub mod errno;
pub mod exception;
pub mod fd_table;
pub mod gc;
pub mod guest;
pub mod invoke;
pub mod libcall;
pub mod lock;
pub mod mem;
pub mod memory;
pub mod message;
pub mod park;
pub mod path;
pub mod policy;
pub mod program;
pub mod shared_fds;
pub mod signal;
pub mod start;
pub mod table;
#[cfg(feature = "freestanding")]
pub mod threads;
pub mod trap;
pub mod wasi;

/// A bug of ours: no message, no unwinding. The freestanding build is compiled with
/// `panic=immediate-abort`, so that nothing ever gets here.
#[cfg(all(feature = "freestanding", not(test)))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    start::exit(trap::EXIT_STATUS)
}

//! The contract between the compiler, the linker and the runtime: every name, number and byte layout
//! on which two of them must agree, writer and reader side by side.
//!
//! In: nothing. Out: plain constants and `repr(C)` structs. This crate must not know Cranelift, ELF
//! or Linux; it has no dependencies and needs no allocator (the encoders behind the `write` feature
//! are the only part that allocates).
#![no_std]

#[cfg(feature = "write")]
extern crate alloc;

pub mod cpu;
pub mod exception;
pub mod gc;
pub mod host;
pub mod map;
pub mod policy;
pub mod program;
pub mod script;
pub mod state;
pub mod symbol;
pub mod threads;
pub mod trap;

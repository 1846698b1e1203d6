//! What differs between the three machines: the entry point, system calls, signal frames, and where a
//! return address is found. Every file here defines the same functions.

/// Registers from which a walk over the guest's stack begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Registers {
    /// Address of the instruction that stopped, or one inside the instruction that called.
    pub pc: u64,
    /// Frame pointer: address of a pair of words, the caller's frame pointer and the return address.
    pub fp: u64,
    /// Stack pointer.
    pub sp: u64,
    /// Link register; 0 on a machine without one.
    pub link: u64,
}

#[cfg_attr(target_arch = "x86_64", path = "x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "aarch64.rs")]
#[cfg_attr(target_arch = "riscv64", path = "riscv64.rs")]
mod machine;

pub use machine::*;

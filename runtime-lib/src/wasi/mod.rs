//! WASI preview 1, one file a family. Every function is `extern "C"`, named by `elfin_abi::host`, and
//! stands in a section of its own: an executable holds only what its guest imports, so no table may
//! name several of them. What each asks of the kernel is listed in the crate's DESIGN.md.
//! Spec: <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md>.
//!
//! A host function checks everything that could fail without the kernel (guest pointers for results
//! included) before its first system call: one that fails has done nothing.

pub mod args;
pub mod clock;
pub mod environ;
pub mod fd;
pub mod path;
pub mod poll;
pub mod proc;
pub mod random;
pub mod sched;
pub mod setup;
pub mod sock;

use crate::errno::Errno;
use crate::guest::Memory;

/// Number of `strings` and of their bytes, NULs included.
fn list_sizes<'a>(
    memory: Memory,
    strings: impl Iterator<Item = &'a [u8]>,
    count: u32,
    size: u32,
) -> Result<(), Errno> {
    let (mut strings_seen, mut bytes_seen) = (0_u64, 0_u64);
    for string in strings {
        strings_seen += 1;
        bytes_seen += string.len() as u64 + 1;
    }
    let strings_seen = u32::try_from(strings_seen).map_err(|_| Errno::Overflow)?;
    let bytes_seen = u32::try_from(bytes_seen).map_err(|_| Errno::Overflow)?;
    memory.check::<u32>(size, 1)?;
    memory.store(count, strings_seen)?;
    memory.store(size, bytes_seen)
}

/// `strings` at `bytes`, each ended by NUL; pointers to them at `pointers`.
fn list_get<'a>(
    memory: Memory,
    strings: impl Iterator<Item = &'a [u8]>,
    pointers: u32,
    mut bytes: u32,
) -> Result<(), Errno> {
    for (index, string) in strings.enumerate() {
        let len = u32::try_from(string.len()).map_err(|_| Errno::Overflow)?;
        let nul = bytes.checked_add(len).ok_or(Errno::Fault)?;
        memory.store_nth(pointers, index as u32, bytes)?;
        memory.copy_out(bytes, string)?;
        memory.store(nul, 0_u8)?;
        bytes = nul.checked_add(1).ok_or(Errno::Fault)?;
    }
    Ok(())
}

//! WASI preview 1: `args_*`.
//!
//! In: the command line and the sealed arguments. Out: argv\[0\], the sealed ones, the rest of argv.
#![allow(unsafe_code, reason = "exports symbols")]

use crate::errno;
use crate::guest::Memory;
use crate::{policy, start};
use core::ffi::CStr;
use elfin_abi::policy::{Entries, Entry};

/// Number of arguments and of the bytes that they need.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_wasi_args_sizes_get(memory: Memory, count: u32, size: u32) -> i32 {
    errno::code(super::list_sizes(
        memory,
        arguments(start::argument, policy::entries()),
        count,
        size,
    ))
}

/// The arguments, each ended by NUL, at `bytes`; pointers to them at `pointers`.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_wasi_args_get(memory: Memory, pointers: u32, bytes: u32) -> i32 {
    errno::code(super::list_get(
        memory,
        arguments(start::argument, policy::entries()),
        pointers,
        bytes,
    ))
}

fn arguments<'a>(argv: fn(usize) -> Option<&'a CStr>, policy: Entries<'a>) -> Arguments<'a> {
    Arguments {
        argv,
        next: 0,
        policy,
    }
}

struct Arguments<'a> {
    argv: fn(usize) -> Option<&'a CStr>,
    next: usize,
    policy: Entries<'a>,
}

impl<'a> Iterator for Arguments<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.next > 0 {
            for entry in &mut self.policy {
                if let Entry::Arg(argument) = entry {
                    return Some(argument);
                }
            }
        }
        let argument = (self.argv)(self.next)?;
        self.next += 1;
        Some(argument.to_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn sealed_arguments_stand_behind_the_name() {
        let argv = |index| [c"prog", c"x", c""].get(index).copied();
        let block =
            elfin_abi::policy::encode([Entry::Arg(b"-a"), Entry::Env(b"A=1"), Entry::Arg(b"b c")]);
        let all: Vec<_> = arguments(argv, Entries::new(&block)).collect();
        assert_eq!(all, [&b"prog"[..], b"-a", b"b c", b"x", b""]);
    }

    #[test]
    fn without_sealed_ones_argv_is_all() {
        let argv = |index| [c"prog", c"x"].get(index).copied();
        assert_eq!(
            arguments(argv, Entries::new(&[])).collect::<Vec<_>>(),
            [&b"prog"[..], b"x"]
        );
    }
}

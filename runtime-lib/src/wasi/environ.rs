//! WASI preview 1: `environ_*`.
//!
//! In: the process's environment and the sealed grants. Out: the sealed variables, then those passed
//! through. Without a grant the guest's environment is empty.
//!
//! # Safety
//!
//! The kernel's environment block is a list of pointers to NUL-terminated strings, ended by null.
#![allow(unsafe_code, reason = "walks the kernel's environment block")]

use crate::guest::Memory;
use crate::{errno, policy, start};
use core::ffi::{CStr, c_char};
use elfin_abi::policy::{Entries, Entry};

/// Number of variables and of the bytes that they need.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_wasi_environ_sizes_get(memory: Memory, count: u32, size: u32) -> i32 {
    errno::code(super::list_sizes(memory, variables(), count, size))
}

/// The variables, each ended by NUL, at `bytes`; pointers to them at `pointers`.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_wasi_environ_get(memory: Memory, pointers: u32, bytes: u32) -> i32 {
    errno::code(super::list_get(memory, variables(), pointers, bytes))
}

fn variables() -> Variables<'static> {
    Variables {
        inherited: false,
        left: policy::entries(),
        policy: policy::entries(),
        block: start::environment(),
    }
}

/// `KEY=VALUE` strings.
struct Variables<'a> {
    /// Whether the sealed ones are through.
    inherited: bool,
    left: Entries<'a>,
    policy: Entries<'a>,
    block: *const *const c_char,
}

impl<'a> Iterator for Variables<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            match self.left.next() {
                Some(Entry::Env(pair)) if !self.inherited => return Some(pair),
                Some(Entry::InheritEnv(key))
                    if self.inherited && !is_sealed(self.policy.clone(), key) =>
                {
                    if let Some(pair) = inherited(self.block, key) {
                        return Some(pair);
                    }
                }
                Some(_) => {}
                None if self.inherited => return None,
                None => {
                    self.inherited = true;
                    self.left = self.policy.clone();
                }
            }
        }
    }
}

/// Whether `key` has a fixed value, which wins over an inherited one.
fn is_sealed(mut policy: Entries<'_>, key: &[u8]) -> bool {
    policy.any(|entry| matches!(entry, Entry::Env(pair) if has_key(pair, key)))
}

fn has_key(pair: &[u8], key: &[u8]) -> bool {
    pair.strip_prefix(key)
        .is_some_and(|rest| rest.first() == Some(&b'='))
}

fn inherited<'a>(mut block: *const *const c_char, key: &[u8]) -> Option<&'a [u8]> {
    if block.is_null() {
        return None;
    }
    loop {
        // SAFETY: see the head of the file; the walk ends at the null pointer. The block is never
        // written to and lives as long as the process.
        let pair = unsafe {
            let string = *block;
            if string.is_null() {
                return None;
            }
            block = block.add(1);
            CStr::from_ptr(string).to_bytes()
        };
        if has_key(pair, key) {
            return Some(pair);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn all(grants: &[Entry<'_>]) -> Vec<Vec<u8>> {
        let block = [
            c"HOME=/root".as_ptr(),
            c"HOMEX=no".as_ptr(),
            c"EMPTY=".as_ptr(),
            c"SECRET=x".as_ptr(),
            c"HOME=second".as_ptr(),
            core::ptr::null(),
        ];
        let policy = elfin_abi::policy::encode(grants.iter().copied());
        let entries = Entries::new(&policy);
        let variables = Variables {
            inherited: false,
            left: entries.clone(),
            policy: entries,
            block: block.as_ptr(),
        };
        variables.map(<[u8]>::to_vec).collect()
    }

    #[test]
    fn nothing_is_there_without_a_grant() {
        assert!(all(&[]).is_empty());
    }

    #[test]
    fn only_named_variables_are_inherited() {
        assert_eq!(
            all(&[
                Entry::InheritEnv(b"HOME"),
                Entry::InheritEnv(b"EMPTY"),
                Entry::InheritEnv(b"UNSET")
            ]),
            [&b"HOME=/root"[..], b"EMPTY="]
        );
    }

    #[test]
    fn a_fixed_value_wins() {
        assert_eq!(
            all(&[
                Entry::InheritEnv(b"HOME"),
                Entry::Env(b"A=b=c"),
                Entry::Env(b"HOME=/home")
            ]),
            [&b"A=b=c"[..], b"HOME=/home"]
        );
    }
}

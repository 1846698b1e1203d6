//! WASI preview 1: `environ_*`.
//!
//! In: the process's environment and the sealed grants. Out: the sealed variables, then those passed
//! through. Without a grant, or when the process's environment drops it, the guest's is empty. The
//! variable that says so is never passed through.
//!
//! # Safety
//!
//! The kernel's environment block is a list of pointers to NUL-terminated strings, ended by null.
#![allow(unsafe_code, reason = "walks the kernel's environment block")]

use crate::guest::Memory;
use crate::{errno, policy, start};
use core::ffi::{CStr, c_char};
use elfin_abi::policy::{DENY, Entries, Entry, denied};

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

/// [`elfin_wasi_environ_sizes_get`] of a program without a grant (`elfin_abi::host::UNGRANTED`).
#[unsafe(no_mangle)]
pub extern "C" fn elfin_wasi_environ_sizes_get_none(memory: Memory, count: u32, size: u32) -> i32 {
    errno::code(super::list_sizes(memory, core::iter::empty(), count, size))
}

/// [`elfin_wasi_environ_get`] of a program without a grant.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_wasi_environ_get_none(_: Memory, _: u32, _: u32) -> i32 {
    0
}

fn variables() -> Variables<'static> {
    let policy = if policy::is_denied(denied::ENV) {
        Entries::new(&[])
    } else {
        policy::entries()
    };
    Variables::new(policy, start::environment())
}

/// `KEY=VALUE` strings.
struct Variables<'a> {
    /// Whether the sealed ones are through.
    inherited: bool,
    left: Entries<'a>,
    policy: Entries<'a>,
    block: *const *const c_char,
    /// Where the walk through all variables is; null when there is none.
    walk: *const *const c_char,
}

impl<'a> Variables<'a> {
    fn new(policy: Entries<'a>, block: *const *const c_char) -> Self {
        Self {
            inherited: false,
            left: policy.clone(),
            policy,
            block,
            walk: core::ptr::null(),
        }
    }
}

impl<'a> Iterator for Variables<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            while let Some(pair) = take(&mut self.walk) {
                let key = pair.split(|&byte| byte == b'=').next().unwrap_or_default();
                let shown = key.len() < pair.len() && key != DENY.as_bytes();
                if shown && !is_sealed(self.policy.clone(), key) {
                    return Some(pair);
                }
            }
            match self.left.next() {
                Some(Entry::Env(pair)) if !self.inherited => return Some(pair),
                Some(Entry::InheritEnv(b"")) if self.inherited => self.walk = self.block,
                Some(Entry::InheritEnv(key))
                    if self.inherited
                        && key != DENY.as_bytes()
                        && !is_sealed(self.policy.clone(), key) =>
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
    loop {
        let pair = take(&mut block)?;
        if has_key(pair, key) {
            return Some(pair);
        }
    }
}

/// The next string of the block, which is left null at its end.
pub(super) fn take<'a>(block: &mut *const *const c_char) -> Option<&'a [u8]> {
    if block.is_null() {
        return None;
    }
    // SAFETY: see the head of the file; the walk ends at the null pointer. The block is never written to
    // and lives as long as the process.
    unsafe {
        let string = **block;
        if string.is_null() {
            *block = core::ptr::null();
            return None;
        }
        *block = block.add(1);
        Some(CStr::from_ptr(string).to_bytes())
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
            c"ELFIN_DENY=net".as_ptr(),
            c"not a variable".as_ptr(),
            core::ptr::null(),
        ];
        let policy = elfin_abi::policy::encode(grants.iter().copied());
        Variables::new(Entries::new(&policy), block.as_ptr())
            .map(<[u8]>::to_vec)
            .collect()
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

    #[test]
    fn all_but_the_fixed_ones_and_our_own_are_inherited() {
        assert_eq!(
            all(&[Entry::InheritEnv(b""), Entry::Env(b"HOME=/home")]),
            [&b"HOME=/home"[..], b"HOMEX=no", b"EMPTY=", b"SECRET=x"]
        );
        assert!(all(&[Entry::InheritEnv(b"ELFIN_DENY")]).is_empty());
    }
}

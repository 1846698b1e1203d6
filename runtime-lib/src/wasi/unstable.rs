//! `wasi_unstable`: the interface of 2019, as far as it differs from preview 1.
//!
//! In: what a guest of that time passes. Out: what it expects. Only records and numbers differ, no
//! behaviour: links are counted in 32 bits, positions have other numbers, a subscription to a clock names
//! that clock. What does not differ is linked as preview 1.
//! Spec: <https://github.com/WebAssembly/WASI/tree/wasi-0.1/preview0>.
#![allow(unsafe_code, reason = "exports symbols")]

use super::{fd, path, poll};
use crate::errno;
use crate::guest::{Filestat, Memory, Subscription, UnstableFilestat, UnstableSubscription};

impl From<Filestat> for UnstableFilestat {
    fn from(stat: Filestat) -> Self {
        Self {
            dev: stat.dev,
            ino: stat.ino,
            filetype: stat.filetype,
            pad: [0; 3],
            nlink: u32::try_from(stat.nlink).unwrap_or(u32::MAX),
            size: stat.size,
            atim: stat.atim,
            mtim: stat.mtim,
            ctim: stat.ctim,
        }
    }
}

impl From<UnstableSubscription> for Subscription {
    /// A clock stands behind its name, a descriptor in the name's place.
    fn from(old: UnstableSubscription) -> Self {
        Self {
            userdata: old.userdata,
            tag: old.tag,
            pad0: [0; 7],
            id: if old.tag == poll::CLOCK {
                old.id
            } else {
                old.identifier as u32
            },
            pad1: 0,
            timeout: old.timeout,
            precision: old.precision,
            flags: old.flags,
            pad2: [0; 6],
        }
    }
}

/// Attributes of an open file.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_wasi_unstable_fd_filestat_get(memory: Memory, fd: u32, to: u32) -> i32 {
    errno::code(fd::filestat_get::<UnstableFilestat>(memory, fd, to))
}

/// Attributes of a file.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_wasi_unstable_path_filestat_get(
    memory: Memory,
    fd: u32,
    flags: u32,
    path: u32,
    len: u32,
    to: u32,
) -> i32 {
    errno::code(path::filestat_get::<UnstableFilestat>(
        memory, fd, flags, path, len, to,
    ))
}

/// Moves the position.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_wasi_unstable_fd_seek(
    memory: Memory,
    fd: u32,
    offset: i64,
    whence: u32,
    to: u32,
) -> i32 {
    // From here, from the end, from the start.
    let whence = match whence {
        0 => fd::WHENCE_CUR,
        1 => fd::WHENCE_END,
        2 => fd::WHENCE_SET,
        unknown => unknown,
    };
    fd::elfin_wasi_fd_seek(memory, fd, offset, whence, to)
}

/// Waits until one of `count` subscriptions comes true.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_wasi_unstable_poll_oneoff(
    memory: Memory,
    from: u32,
    to: u32,
    count: u32,
    events: u32,
) -> i32 {
    errno::code(poll::poll_oneoff::<UnstableSubscription>(
        memory, from, to, count, events,
    ))
}

//! The few functions of WASI preview 1 that the guests of the bench reach.
//!
//! In: a linker. Out: the same with arguments, an empty environment, standard output, clocks, `sched_yield` and
//! `proc_exit`. No directory is open.

use crate::Guest;
use std::cell::UnsafeCell;
use std::io::Write;
use std::time::{Instant, SystemTime};
use wasmtime::{Caller, Linker, Result};

const SUCCESS: i32 = 0;
const BAD_DESCRIPTOR: i32 = 8;
const FAULT: i32 = 21;
const INVALID: i32 = 28;
const IO: i32 = 29;

const PREVIEW1: &str = "wasi_snapshot_preview1";

/// Bytes of the guest's memory.
fn cells(guest: &Guest, address: i32, len: usize) -> Option<&[UnsafeCell<u8>]> {
    let start = address as u32 as usize;
    guest.memory.data().get(start..start.checked_add(len)?)
}

fn read(guest: &Guest, address: i32, len: usize) -> Option<Vec<u8>> {
    let cells = cells(guest, address, len)?;
    // SAFETY: the guests do not write to what they pass on while it is read.
    Some(cells.iter().map(|cell| unsafe { *cell.get() }).collect())
}

fn write(guest: &Guest, address: i32, bytes: &[u8]) -> Option<()> {
    for (cell, byte) in cells(guest, address, bytes.len())?.iter().zip(bytes) {
        // SAFETY: the guests do not touch results before they have them.
        unsafe { *cell.get() = *byte };
    }
    Some(())
}

fn word(guest: &Guest, address: i32) -> Option<i32> {
    let bytes = read(guest, address, 4)?;
    Some(i32::from_le_bytes(bytes.try_into().ok()?))
}

fn errno(done: Option<()>) -> i32 {
    if done.is_some() { SUCCESS } else { FAULT }
}

/// Strings as the guest wants them: pointers, and the bytes one after the other.
fn put_strings(guest: &Guest, strings: &[String], mut pointers: i32, mut bytes: i32) -> Option<()> {
    for string in strings {
        write(guest, pointers, &bytes.to_le_bytes())?;
        write(guest, bytes, string.as_bytes())?;
        write(guest, bytes + string.len() as i32, &[0])?;
        pointers += 4;
        bytes += string.len() as i32 + 1;
    }
    Some(())
}

fn put_sizes(guest: &Guest, strings: &[String], count: i32, size: i32) -> Option<()> {
    let bytes: usize = strings.iter().map(|string| string.len() + 1).sum();
    write(guest, count, &(strings.len() as u32).to_le_bytes())?;
    write(guest, size, &(bytes as u32).to_le_bytes())
}

fn write_vectors(guest: &Guest, fd: i32, vectors: i32, count: i32, written: i32) -> Option<i32> {
    let mut bytes = Vec::new();
    for index in 0..count {
        let vector = vectors + 8 * index;
        let len = word(guest, vector + 4)? as u32 as usize;
        bytes.extend(read(guest, word(guest, vector)?, len)?);
    }
    let done = match fd {
        1 => std::io::stdout()
            .write_all(&bytes)
            .and_then(|()| std::io::stdout().flush()),
        2 => std::io::stderr().write_all(&bytes),
        _ => return Some(BAD_DESCRIPTOR),
    };
    if done.is_err() {
        return Some(IO);
    }
    write(guest, written, &(bytes.len() as u32).to_le_bytes())?;
    Some(SUCCESS)
}

type In<'a> = Caller<'a, Guest>;

/// Gives a linker all of them.
pub(crate) fn define(linker: &mut Linker<Guest>) -> Result<()> {
    let started = Instant::now();
    linker.func_wrap(
        PREVIEW1,
        "args_sizes_get",
        |guest: In<'_>, count: i32, size: i32| {
            errno(put_sizes(
                guest.data(),
                &guest.data().arguments,
                count,
                size,
            ))
        },
    )?;
    linker.func_wrap(
        PREVIEW1,
        "args_get",
        |guest: In<'_>, pointers: i32, bytes: i32| {
            errno(put_strings(
                guest.data(),
                &guest.data().arguments,
                pointers,
                bytes,
            ))
        },
    )?;
    linker.func_wrap(
        PREVIEW1,
        "environ_sizes_get",
        |guest: In<'_>, count: i32, size: i32| errno(put_sizes(guest.data(), &[], count, size)),
    )?;
    linker.func_wrap(PREVIEW1, "environ_get", |_: i32, _: i32| SUCCESS)?;
    linker.func_wrap(PREVIEW1, "fd_prestat_get", |_: i32, _: i32| BAD_DESCRIPTOR)?;
    linker.func_wrap(PREVIEW1, "fd_close", |_: i32| SUCCESS)?;
    linker.func_wrap(PREVIEW1, "sched_yield", || {
        std::thread::yield_now();
        SUCCESS
    })?;
    linker.func_wrap(PREVIEW1, "proc_exit", |status: i32| -> () {
        std::process::exit(status)
    })?;
    linker.func_wrap(
        PREVIEW1,
        "clock_time_get",
        move |guest: In<'_>, clock: i32, _: i64, time: i32| {
            let now = match clock {
                0 => SystemTime::now()
                    .duration_since(SystemTime::UNIX_EPOCH)
                    .unwrap_or_default(),
                1 => started.elapsed(),
                _ => return INVALID,
            };
            errno(write(
                guest.data(),
                time,
                &(now.as_nanos() as u64).to_le_bytes(),
            ))
        },
    )?;
    linker.func_wrap(
        PREVIEW1,
        "fd_write",
        |guest: In<'_>, fd: i32, vectors: i32, count: i32, written: i32| {
            write_vectors(guest.data(), fd, vectors, count, written).unwrap_or(FAULT)
        },
    )?;
    Ok(())
}

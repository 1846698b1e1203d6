//! What must be prepared, once, before a guest can create descriptors: `elfin_abi::host::Setup`.
//!
//! In: the process's descriptors and the sealed grants. Out: standard streams that are all open, nothing
//! else that was inherited, and the granted directories as descriptors from 3 on. Errors end the process:
//! a program that was promised a directory must not run without it.
#![allow(
    unsafe_code,
    reason = "exports symbols; looks at descriptors 0 to 2 before they are known to be open"
)]

use crate::errno::Errno;
use crate::fd_table::{self, New, filetype, rights};
use crate::message::Message;
use crate::{path, policy, start};
use core::ffi::CStr;
use core::mem::MaybeUninit;
use elfin_abi::policy::{Entry, denied};
use linux_raw_sys::general::__NR_close_range;
use rustix::fd::{AsFd, BorrowedFd, IntoRawFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno as Linux;

/// Fills 0, 1 and 2 if they came closed, so that no file of the guest's takes their place, and closes what
/// else was inherited.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_setup_descriptors() {
    for number in 0..3 {
        // SAFETY: only asks the kernel whether it is open.
        let stream = unsafe { BorrowedFd::borrow_raw(number) };
        if rustix::io::fcntl_getfd(stream) == Err(Linux::BADF) {
            // The lowest free number is this one: those below are open by now. Where there is no
            // /dev/null, something that can be neither read nor written does.
            let filler = rustix::fs::openat(CWD, c"/dev/null", OFlags::RDWR, Mode::empty())
                .or_else(|_| rustix::fs::openat(CWD, c"/", OFlags::PATH, Mode::empty()));
            if let Ok(filler) = filler {
                let _ = filler.into_raw_fd();
            }
        }
    }
    // Kernels before 5.9 don't have it; no guest can name an inherited descriptor anyway.
    // SAFETY: nothing of this process's own is open yet.
    unsafe { crate::arch::syscall5(__NR_close_range, 3, u32::MAX as usize, 0, 0, 0) };
}

/// Opens the granted directories.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_setup_directories() {
    if policy::is_denied(denied::DIR) {
        return;
    }
    let mut grant = 0;
    for entry in policy::entries() {
        if let Entry::Dir {
            host, read_only, ..
        } = entry
        {
            grant += 1;
            if let Err(reason) = grant_directory(host, read_only, grant) {
                let mut message = Message::new("elfin: error: cannot open granted directory ");
                message.escaped(host);
                message.text(": ");
                message.text(reason);
                message.text("\n");
                message.send();
                start::exit(start::EXIT_ERROR);
            }
        }
    }
}

fn grant_directory(path: &[u8], read_only: bool, grant: u16) -> Result<u32, &'static str> {
    let directory = open(path).map_err(reason)?;
    if path::refuse_procfs(directory.as_fd()).is_err() {
        return Err("a proc filesystem can't be granted");
    }
    let lost = if read_only { rights::MUTATION } else { 0 };
    fd_table::insert(New {
        host: directory,
        base: rights::DIRECTORY & !lost,
        inheriting: (rights::DIRECTORY | rights::FILE) & !lost,
        filetype: filetype::DIRECTORY,
        grant,
    })
    .map_err(|error| {
        if error == Errno::MFile {
            "too many granted directories"
        } else {
            "out of descriptors"
        }
    })
}

/// A directory that may be entered but not read is opened for lookups only.
fn open(path: &[u8]) -> Result<OwnedFd, Linux> {
    let mut room = [MaybeUninit::uninit(); path::CAPACITY];
    let path = path::host_string(path, &mut room).ok_or(Linux::NAMETOOLONG)?;
    let open = |flags, path: &CStr| {
        rustix::fs::openat(
            CWD,
            path,
            flags | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
    };
    match open(OFlags::RDONLY, path) {
        Err(Linux::ACCESS) => open(OFlags::PATH, path),
        result => result,
    }
}

fn reason(error: Linux) -> &'static str {
    match error {
        Linux::NOENT => "No such file or directory",
        Linux::NOTDIR => "Not a directory",
        Linux::ACCESS => "Permission denied",
        Linux::PERM => "Operation not permitted",
        Linux::LOOP => "Too many levels of symbolic links",
        Linux::NAMETOOLONG => "File name too long",
        Linux::MFILE | Linux::NFILE => "Too many open files",
        Linux::NOMEM => "Cannot allocate memory",
        Linux::IO => "Input/output error",
        _ => "the system refused",
    }
}

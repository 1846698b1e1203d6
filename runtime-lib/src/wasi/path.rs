//! WASI preview 1: `path_*`.
//!
//! In: a directory of the guest's and a path below it. Out: the effect, or an errno. Every function here
//! goes through [`Lookup`]; it uses the name that comes back with the `NOFOLLOW` flag of its operation,
//! and asks the lookup to go on when the guest wants links to be followed.
#![allow(unsafe_code, reason = "exports symbols")]

use super::fd::{filestat, from_type, host_flags, timestamps};
use crate::errno::{self, Errno};
use crate::fd_table::{self, New, filetype, rights};
use crate::guest::{Filestat, Memory, Plain};
use crate::path::{self, Lookup};
use core::mem::MaybeUninit;
use rustix::fd::AsFd;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno as Linux;

const SYMLINK_FOLLOW: u32 = 1;

const OFLAG_CREAT: u32 = 1;
const OFLAG_DIRECTORY: u32 = 2;
const OFLAG_EXCL: u32 = 4;
const OFLAG_TRUNC: u32 = 8;

const FDFLAG_DSYNC: u32 = 2;
const FDFLAG_RSYNC: u32 = 8;
const FDFLAG_SYNC: u32 = 16;

/// What a directory must be able to hand on for a file that is written through (witx `rights`, `fd_sync`).
fn sync_rights(fdflags: u32) -> u64 {
    let dsync = if fdflags & FDFLAG_DSYNC != 0 {
        rights::FD_DATASYNC
    } else {
        0
    };
    let sync = if fdflags & (FDFLAG_RSYNC | FDFLAG_SYNC) != 0 {
        rights::FD_SYNC
    } else {
        0
    };
    dsync | sync
}

fn wants_follow(flags: u32) -> Result<bool, Errno> {
    if flags & !SYMLINK_FOLLOW == 0 {
        Ok(flags == SYMLINK_FOLLOW)
    } else {
        Err(Errno::Inval)
    }
}

/// The file under the name itself, be it a link.
fn stat(lookup: &Lookup) -> Result<(Stat, FileType), Errno> {
    let stat = rustix::fs::statat(lookup.parent(), lookup.name(), AtFlags::SYMLINK_NOFOLLOW)?;
    Ok((stat, FileType::from_raw_mode(stat.st_mode)))
}

/// The file that the path names. A path that ends with a slash goes through links and to a directory.
fn resolve(lookup: &mut Lookup, follow: bool) -> Result<(Stat, FileType), Errno> {
    loop {
        let (stat, kind) = stat(lookup)?;
        match kind {
            FileType::Symlink if follow || lookup.directory => {
                // Not a link any more: look again.
                lookup.follow()?;
            }
            FileType::Directory => return Ok((stat, kind)),
            _ if lookup.directory => return Err(Errno::NotDir),
            _ => return Ok((stat, kind)),
        }
    }
}

/// For operations that make something which is no directory: with a slash behind the name they fail,
/// and all that is left to find out is how.
fn refuse_slash(lookup: &Lookup) -> Result<(), Errno> {
    if !lookup.directory {
        return Ok(());
    }
    match stat(lookup)?.1 {
        FileType::Directory => Err(Errno::Exist),
        _ => Err(Errno::NotDir),
    }
}

/// Makes a directory.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_wasi_path_create_directory(
    memory: Memory,
    fd: u32,
    path: u32,
    len: u32,
) -> i32 {
    errno::code((|| {
        let directory = fd_table::directory(fd, rights::PATH_CREATE_DIRECTORY)?;
        let mut lookup = Lookup::below(directory.host);
        lookup.find(memory, path, len)?;
        Ok(rustix::fs::mkdirat(
            lookup.parent(),
            lookup.name(),
            Mode::from_raw_mode(0o777),
        )?)
    })())
}

/// Attributes of a file.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_wasi_path_filestat_get(
    memory: Memory,
    fd: u32,
    flags: u32,
    path: u32,
    len: u32,
    to: u32,
) -> i32 {
    errno::code(filestat_get::<Filestat>(memory, fd, flags, path, len, to))
}

/// Attributes of a file, as a record of one interface or the other.
#[inline]
pub(super) fn filestat_get<T: Plain + From<Filestat>>(
    memory: Memory,
    fd: u32,
    flags: u32,
    path: u32,
    len: u32,
    to: u32,
) -> Result<(), Errno> {
    let directory = fd_table::directory(fd, rights::PATH_FILESTAT_GET)?;
    let follow = wants_follow(flags)?;
    memory.check::<T>(to, 1)?;
    let mut lookup = Lookup::below(directory.host);
    lookup.find(memory, path, len)?;
    let (stat, kind) = resolve(&mut lookup, follow)?;
    memory.store(to, T::from(filestat(&stat, from_type(kind))))
}

/// Changes the times of a file.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_wasi_path_filestat_set_times(
    memory: Memory,
    fd: u32,
    flags: u32,
    path: u32,
    len: u32,
    atim: u64,
    mtim: u64,
    times: u32,
) -> i32 {
    errno::code((|| {
        let directory = fd_table::directory(fd, rights::PATH_FILESTAT_SET_TIMES)?;
        let follow = wants_follow(flags)?;
        let times = timestamps(atim, mtim, times)?;
        let mut lookup = Lookup::below(directory.host);
        lookup.find(memory, path, len)?;
        resolve(&mut lookup, follow)?;
        Ok(rustix::fs::utimensat(
            lookup.parent(),
            lookup.name(),
            &times,
            AtFlags::SYMLINK_NOFOLLOW,
        )?)
    })())
}

/// Makes a hard link.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_wasi_path_link(
    memory: Memory,
    old_fd: u32,
    old_flags: u32,
    old_path: u32,
    old_len: u32,
    new_fd: u32,
    new_path: u32,
    new_len: u32,
) -> i32 {
    errno::code((|| {
        let old_directory = fd_table::directory(old_fd, rights::PATH_LINK_SOURCE)?;
        let new_directory = fd_table::directory(new_fd, rights::PATH_LINK_TARGET)?;
        let follow = wants_follow(old_flags)?;
        let mut old = Lookup::below(old_directory.host);
        old.find(memory, old_path, old_len)?;
        if follow || old.directory {
            resolve(&mut old, follow)?;
        }
        let mut new = Lookup::below(new_directory.host);
        new.find(memory, new_path, new_len)?;
        refuse_slash(&new)?;
        Ok(rustix::fs::linkat(
            old.parent(),
            old.name(),
            new.parent(),
            new.name(),
            AtFlags::empty(),
        )?)
    })())
}

/// Opens or makes a file.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_wasi_path_open(
    memory: Memory,
    fd: u32,
    flags: u32,
    path: u32,
    len: u32,
    oflags: u32,
    base: u64,
    inheriting: u64,
    fdflags: u32,
    opened: u32,
) -> i32 {
    errno::code((|| {
        let needed = rights::PATH_OPEN
            | if oflags & OFLAG_CREAT != 0 {
                rights::PATH_CREATE_FILE
            } else {
                0
            }
            | if oflags & OFLAG_TRUNC != 0 {
                rights::PATH_FILESTAT_SET_SIZE
            } else {
                0
            };
        let directory = fd_table::directory(fd, needed)?;
        let follow = wants_follow(flags)?;
        memory.check::<u32>(opened, 1)?;

        // Reading and writing are promises; other rights that the directory can't give are left out, as
        // guests' libraries ask for all that might ever be of use.
        let access = base & (rights::FD_READ | rights::FD_WRITE) | sync_rights(fdflags);
        if access & !directory.inheriting != 0 {
            return Err(Errno::NotCapable);
        }
        let base = base & directory.inheriting;
        let inheriting = inheriting & directory.inheriting;

        let mode = open_flags(oflags, base)? | host_flags(fdflags)?;
        fd_table::check_room()?;
        let mut lookup = Lookup::below(directory.host);
        lookup.find(memory, path, len)?;
        let file = open(&mut lookup, mode, follow)?;
        path::refuse_procfs(file.as_fd())?;
        let stat = rustix::fs::fstat(&file)?;
        let filetype = from_type(FileType::from_raw_mode(stat.st_mode));
        let number = fd_table::insert(New {
            host: file,
            base: base & rights::of(filetype),
            inheriting: if filetype == filetype::DIRECTORY {
                inheriting
            } else {
                0
            },
            filetype,
            grant: 0,
        })?;
        memory.store(opened, number)
    })())
}

/// `O_*` for a way of opening and the rights that are wanted.
fn open_flags(oflags: u32, base: u64) -> Result<OFlags, Errno> {
    if oflags & !15 != 0 {
        return Err(Errno::Inval);
    }
    // Old kernels would make a file out of this; new ones refuse.
    if oflags & OFLAG_CREAT != 0 && oflags & OFLAG_DIRECTORY != 0 {
        return Err(Errno::Inval);
    }
    let writes =
        base & (rights::FD_WRITE | rights::FD_ALLOCATE | rights::FD_FILESTAT_SET_SIZE) != 0;
    let reads = base & (rights::FD_READ | rights::FD_READDIR) != 0;
    let mut flags = match (reads, writes) {
        (true, true) => OFlags::RDWR,
        (false, true) => OFlags::WRONLY,
        (_, false) => OFlags::RDONLY,
    };
    if oflags & OFLAG_CREAT != 0 {
        flags |= OFlags::CREATE;
        if oflags & OFLAG_EXCL != 0 {
            flags |= OFlags::EXCL;
        }
    }
    if oflags & OFLAG_DIRECTORY != 0 {
        flags |= OFlags::DIRECTORY;
    }
    if oflags & OFLAG_TRUNC != 0 {
        flags |= OFlags::TRUNC;
    }
    // A terminal that a guest opens must not become the process's controlling one.
    Ok(flags | OFlags::NOCTTY | OFlags::NOFOLLOW | OFlags::CLOEXEC)
}

fn open(
    lookup: &mut Lookup,
    mut flags: OFlags,
    follow: bool,
) -> Result<rustix::fd::OwnedFd, Errno> {
    loop {
        if lookup.directory {
            if flags.contains(OFlags::CREATE) {
                return Err(Errno::IsDir);
            }
            flags |= OFlags::DIRECTORY;
        }
        match rustix::fs::openat(
            lookup.parent(),
            lookup.name(),
            flags,
            Mode::from_raw_mode(0o666),
        ) {
            // A link; with O_DIRECTORY the kernel calls it "not a directory".
            Err(error @ (Linux::LOOP | Linux::NOTDIR)) if follow || lookup.directory => {
                if !lookup.follow()? {
                    return Err(error.into());
                }
            }
            result => return Ok(result?),
        }
    }
}

/// The target of a symbolic link, cut off where the buffer ends.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_wasi_path_readlink(
    memory: Memory,
    fd: u32,
    path: u32,
    len: u32,
    buf: u32,
    buf_len: u32,
    used: u32,
) -> i32 {
    errno::code((|| {
        let directory = fd_table::directory(fd, rights::PATH_READLINK)?;
        memory.check::<u8>(buf, buf_len)?;
        memory.check::<u32>(used, 1)?;
        let mut lookup = Lookup::below(directory.host);
        lookup.find(memory, path, len)?;
        if lookup.directory {
            resolve(&mut lookup, true)?;
        }
        // Through a buffer of our own: the kernel refuses one of no bytes, the witx does not.
        let mut target = [MaybeUninit::uninit(); path::CAPACITY];
        let (target, _) =
            rustix::fs::readlinkat_raw(lookup.parent(), lookup.name(), &mut target[..])?;
        let target = target.get(..buf_len as usize).unwrap_or(target);
        memory.copy_out(buf, target)?;
        memory.store(used, target.len() as u32)
    })())
}

/// Removes an empty directory.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_wasi_path_remove_directory(
    memory: Memory,
    fd: u32,
    path: u32,
    len: u32,
) -> i32 {
    errno::code((|| {
        let directory = fd_table::directory(fd, rights::PATH_REMOVE_DIRECTORY)?;
        let mut lookup = Lookup::below(directory.host);
        lookup.find(memory, path, len)?;
        Ok(rustix::fs::unlinkat(
            lookup.parent(),
            lookup.name(),
            AtFlags::REMOVEDIR,
        )?)
    })())
}

/// Gives a file another name.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_wasi_path_rename(
    memory: Memory,
    old_fd: u32,
    old_path: u32,
    old_len: u32,
    new_fd: u32,
    new_path: u32,
    new_len: u32,
) -> i32 {
    errno::code((|| {
        let old_directory = fd_table::directory(old_fd, rights::PATH_RENAME_SOURCE)?;
        let new_directory = fd_table::directory(new_fd, rights::PATH_RENAME_TARGET)?;
        let mut old = Lookup::below(old_directory.host);
        old.find(memory, old_path, old_len)?;
        let mut new = Lookup::below(new_directory.host);
        new.find(memory, new_path, new_len)?;
        // A slash behind either name: the thing is a directory, and so is what it replaces.
        if (old.directory || new.directory) && stat(&old)?.1 != FileType::Directory {
            return Err(Errno::NotDir);
        }
        Ok(rustix::fs::renameat(
            old.parent(),
            old.name(),
            new.parent(),
            new.name(),
        )?)
    })())
}

/// Makes a symbolic link. Its text is not looked at until somebody follows it, except that an absolute one
/// could only be meant for somebody outside.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_wasi_path_symlink(
    memory: Memory,
    target: u32,
    target_len: u32,
    fd: u32,
    path: u32,
    len: u32,
) -> i32 {
    errno::code((|| {
        let directory = fd_table::directory(fd, rights::PATH_SYMLINK)?;
        let mut text = [MaybeUninit::uninit(); path::CAPACITY];
        let text = path::read_string(memory, target, target_len, &mut text)?;
        if text.to_bytes().first() == Some(&b'/') {
            return Err(Errno::NotCapable);
        }
        let mut lookup = Lookup::below(directory.host);
        lookup.find(memory, path, len)?;
        refuse_slash(&lookup)?;
        Ok(rustix::fs::symlinkat(text, lookup.parent(), lookup.name())?)
    })())
}

/// Removes a file.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_wasi_path_unlink_file(memory: Memory, fd: u32, path: u32, len: u32) -> i32 {
    errno::code((|| {
        let directory = fd_table::directory(fd, rights::PATH_UNLINK_FILE)?;
        let mut lookup = Lookup::below(directory.host);
        lookup.find(memory, path, len)?;
        if lookup.directory && stat(&lookup)?.1 != FileType::Directory {
            return Err(Errno::NotDir);
        }
        Ok(rustix::fs::unlinkat(
            lookup.parent(),
            lookup.name(),
            AtFlags::empty(),
        )?)
    })())
}

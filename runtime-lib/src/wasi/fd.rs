//! WASI preview 1: `fd_*`.
//!
//! In: a guest's descriptor number and pointers. Out: the effect, or an errno. Rights are those that the
//! witx names for each function; which descriptor stands behind a number only [`fd_table`] knows.
#![allow(unsafe_code, reason = "exports symbols")]

use crate::errno::{self, Errno};
use crate::fd_table::{self, filetype, rights};
use crate::guest::{Fdstat, Filestat, Memory, Plain, Prestat, with_room};
use crate::policy;
use core::mem::MaybeUninit;
use core::num::NonZeroU64;
use rustix::fd::BorrowedFd;
use rustix::fs::{
    Advice, FallocateFlags, FileType, OFlags, RawDir, SeekFrom, Stat, Timespec, Timestamps,
};
use rustix::net::SocketType;

/// Gathered write.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_wasi_fd_write(
    memory: Memory,
    fd: u32,
    iovecs: u32,
    count: u32,
    written: u32,
) -> i32 {
    errno::code(write(memory, fd, iovecs, count, written))
}

#[inline]
fn write(memory: Memory, fd: u32, iovecs: u32, count: u32, written: u32) -> Result<(), Errno> {
    let host = fd_table::host(fd, rights::FD_WRITE)?;
    with_room(count, &mut |room| {
        let spans = memory.gather(iovecs, count, room)?;
        memory.check::<u32>(written, 1)?;
        let bytes = rustix::io::writev(host, spans.to_read())?;
        memory.store(written, bytes as u32)
    })
}

/// Scattered read.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_wasi_fd_read(
    memory: Memory,
    fd: u32,
    iovecs: u32,
    count: u32,
    read: u32,
) -> i32 {
    errno::code((|| {
        let host = fd_table::host(fd, rights::FD_READ)?;
        with_room(count, &mut |room| {
            let mut spans = memory.gather(iovecs, count, room)?;
            memory.check::<u32>(read, 1)?;
            let bytes = rustix::io::readv(host, spans.to_write())?;
            memory.store(read, bytes as u32)
        })
    })())
}

/// Gathered write at an offset; the position stays.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_wasi_fd_pwrite(
    memory: Memory,
    fd: u32,
    iovecs: u32,
    count: u32,
    offset: u64,
    written: u32,
) -> i32 {
    errno::code((|| {
        let host = fd_table::host(fd, rights::FD_WRITE | rights::FD_SEEK)?;
        with_room(count, &mut |room| {
            let spans = memory.gather(iovecs, count, room)?;
            memory.check::<u32>(written, 1)?;
            let bytes = rustix::io::pwritev(host, spans.to_read(), offset)?;
            memory.store(written, bytes as u32)
        })
    })())
}

/// Scattered read at an offset; the position stays.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_wasi_fd_pread(
    memory: Memory,
    fd: u32,
    iovecs: u32,
    count: u32,
    offset: u64,
    read: u32,
) -> i32 {
    errno::code((|| {
        let host = fd_table::host(fd, rights::FD_READ | rights::FD_SEEK)?;
        with_room(count, &mut |room| {
            let mut spans = memory.gather(iovecs, count, room)?;
            memory.check::<u32>(read, 1)?;
            let bytes = rustix::io::preadv(host, spans.to_write(), offset)?;
            memory.store(read, bytes as u32)
        })
    })())
}

/// Advice on how a file will be used.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_wasi_fd_advise(
    _: Memory,
    fd: u32,
    offset: u64,
    len: u64,
    advice: u32,
) -> i32 {
    errno::code((|| {
        let host = fd_table::host(fd, rights::FD_ADVISE)?;
        let advice = match advice {
            0 => Advice::Normal,
            1 => Advice::Sequential,
            2 => Advice::Random,
            3 => Advice::WillNeed,
            4 => Advice::DontNeed,
            5 => Advice::NoReuse,
            _ => return Err(Errno::Inval),
        };
        if offset > i64::MAX as u64 || len > i64::MAX as u64 {
            return Err(Errno::Inval);
        }
        Ok(rustix::fs::fadvise(
            host,
            offset,
            NonZeroU64::new(len),
            advice,
        )?)
    })())
}

/// Makes room in a file.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_wasi_fd_allocate(_: Memory, fd: u32, offset: u64, len: u64) -> i32 {
    errno::code((|| {
        let host = fd_table::host(fd, rights::FD_ALLOCATE)?;
        Ok(rustix::fs::fallocate(
            host,
            FallocateFlags::empty(),
            offset,
            len,
        )?)
    })())
}

/// Closes a descriptor.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_wasi_fd_close(_: Memory, fd: u32) -> i32 {
    errno::code(fd_table::close(fd))
}

/// Brings data to the disk.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_wasi_fd_datasync(_: Memory, fd: u32) -> i32 {
    errno::code((|| {
        Ok(rustix::fs::fdatasync(fd_table::host(
            fd,
            rights::FD_DATASYNC,
        )?)?)
    })())
}

/// Brings data and metadata to the disk.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_wasi_fd_sync(_: Memory, fd: u32) -> i32 {
    errno::code((|| {
        Ok(rustix::fs::fsync(fd_table::host(fd, rights::FD_SYNC)?)?)
    })())
}

/// Type, flags and rights of a descriptor.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_wasi_fd_fdstat_get(memory: Memory, fd: u32, stat: u32) -> i32 {
    errno::code((|| {
        let descriptor = fd_table::get(fd)?;
        memory.check::<Fdstat>(stat, 1)?;
        let mut filetype = descriptor.filetype;
        let mut base = descriptor.base;
        if filetype == filetype::UNKNOWN {
            filetype = type_of(descriptor.host, &rustix::fs::fstat(descriptor.host)?);
            if is_socket(filetype) && base == rights::STDIN {
                base |= rights::FD_WRITE;
            }
            base &= rights::of(filetype);
        }
        // A guest's `isatty` asks for a character device that can't seek.
        if filetype == filetype::CHARACTER_DEVICE
            && rustix::fs::seek(descriptor.host, SeekFrom::Current(0)).is_err()
        {
            base &= !(rights::FD_SEEK | rights::FD_TELL);
        }
        let flags = guest_flags(rustix::fs::fcntl_getfl(descriptor.host)?);
        memory.store(
            stat,
            Fdstat {
                filetype,
                pad0: 0,
                flags,
                pad1: 0,
                base,
                inheriting: descriptor.inheriting,
            },
        )
    })())
}

/// Changes flags. Linux can switch append and nonblock only; the others must stay as they are.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_wasi_fd_fdstat_set_flags(_: Memory, fd: u32, flags: u32) -> i32 {
    errno::code((|| {
        let host = fd_table::host(fd, rights::FD_FDSTAT_SET_FLAGS)?;
        let wanted = host_flags(flags)?;
        let current = rustix::fs::fcntl_getfl(host)?;
        let fixed = FLAG_APPEND | FLAG_NONBLOCK;
        if (flags as u16 ^ guest_flags(current)) & !fixed != 0 {
            return Err(Errno::NotSup);
        }
        let switched = OFlags::APPEND | OFlags::NONBLOCK;
        Ok(rustix::fs::fcntl_setfl(
            host,
            current.difference(switched) | wanted.intersection(switched),
        )?)
    })())
}

/// Takes rights away.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_wasi_fd_fdstat_set_rights(
    _: Memory,
    fd: u32,
    base: u64,
    inheriting: u64,
) -> i32 {
    errno::code(fd_table::restrict(fd, base, inheriting))
}

/// Attributes of a file.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_wasi_fd_filestat_get(memory: Memory, fd: u32, to: u32) -> i32 {
    errno::code(filestat_get::<Filestat>(memory, fd, to))
}

/// Attributes of a file, as a record of one interface or the other.
#[inline]
pub(super) fn filestat_get<T: Plain + From<Filestat>>(
    memory: Memory,
    fd: u32,
    to: u32,
) -> Result<(), Errno> {
    let host = fd_table::host(fd, rights::FD_FILESTAT_GET)?;
    memory.check::<T>(to, 1)?;
    let stat = rustix::fs::fstat(host)?;
    memory.store(to, T::from(filestat(&stat, type_of(host, &stat))))
}

/// Changes the size of a file.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_wasi_fd_filestat_set_size(_: Memory, fd: u32, size: u64) -> i32 {
    errno::code((|| {
        let host = fd_table::host(fd, rights::FD_FILESTAT_SET_SIZE)?;
        Ok(rustix::fs::ftruncate(host, size)?)
    })())
}

/// Changes the times of a file.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_wasi_fd_filestat_set_times(
    _: Memory,
    fd: u32,
    atim: u64,
    mtim: u64,
    flags: u32,
) -> i32 {
    errno::code((|| {
        let host = fd_table::host(fd, rights::FD_FILESTAT_SET_TIMES)?;
        Ok(rustix::fs::futimens(host, &timestamps(atim, mtim, flags)?)?)
    })())
}

/// What a granted directory is: the length of its name.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_wasi_fd_prestat_get(memory: Memory, fd: u32, to: u32) -> i32 {
    errno::code((|| {
        // BADF also for what is open but no grant: a guest's libc looks for grants until it sees one.
        let name = policy::guest_name(fd_table::get(fd)?.grant).ok_or(Errno::BadF)?;
        memory.store(
            to,
            Prestat {
                tag: 0,
                pad: [0; 3],
                name_len: name.len() as u32,
            },
        )
    })())
}

/// The name of a granted directory, not terminated.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_wasi_fd_prestat_dir_name(
    memory: Memory,
    fd: u32,
    to: u32,
    len: u32,
) -> i32 {
    errno::code((|| {
        let name = policy::guest_name(fd_table::get(fd)?.grant).ok_or(Errno::BadF)?;
        if name.len() > len as usize {
            return Err(Errno::NameTooLong);
        }
        memory.copy_out(to, name)
    })())
}

/// Moves a descriptor over another open one.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_wasi_fd_renumber(_: Memory, from: u32, to: u32) -> i32 {
    errno::code(fd_table::renumber(from, to))
}

/// Moves the position.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_wasi_fd_seek(
    memory: Memory,
    fd: u32,
    offset: i64,
    whence: u32,
    to: u32,
) -> i32 {
    errno::code((|| {
        let position = match whence {
            // An offset below zero is refused by the kernel.
            WHENCE_SET => SeekFrom::Start(offset as u64),
            WHENCE_CUR => SeekFrom::Current(offset),
            WHENCE_END => SeekFrom::End(offset),
            _ => return Err(Errno::Inval),
        };
        if offset == 0 && whence == WHENCE_CUR {
            return tell(memory, fd, to);
        }
        let host = fd_table::host(fd, rights::FD_SEEK)?;
        memory.check::<u64>(to, 1)?;
        memory.store(to, rustix::fs::seek(host, position)?)
    })())
}

/// witx `whence`: from the start.
pub(super) const WHENCE_SET: u32 = 0;
/// From here.
pub(super) const WHENCE_CUR: u32 = 1;
/// From the end.
pub(super) const WHENCE_END: u32 = 2;

/// The position.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_wasi_fd_tell(memory: Memory, fd: u32, to: u32) -> i32 {
    errno::code(tell(memory, fd, to))
}

/// The right to seek includes the right to tell.
fn tell(memory: Memory, fd: u32, to: u32) -> Result<(), Errno> {
    let host =
        fd_table::host(fd, rights::FD_TELL).or_else(|_| fd_table::host(fd, rights::FD_SEEK))?;
    memory.check::<u64>(to, 1)?;
    memory.store(to, rustix::fs::seek(host, SeekFrom::Current(0))?)
}

/// Entries of a directory from `cookie` on, the last one cut off where the buffer ends.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_wasi_fd_readdir(
    memory: Memory,
    fd: u32,
    buf: u32,
    len: u32,
    cookie: u64,
    used: u32,
) -> i32 {
    errno::code((|| {
        let host = fd_table::directory(fd, rights::FD_READDIR)?.host;
        memory.check::<u8>(buf, len)?;
        memory.check::<u32>(used, 1)?;
        let filled = readdir(memory, host, buf, len, cookie)?;
        memory.store(used, filled)
    })())
}

/// Cookies are the kernel's: each entry holds the position of the next.
fn readdir(
    memory: Memory,
    host: BorrowedFd<'_>,
    buf: u32,
    len: u32,
    cookie: u64,
) -> Result<u32, Errno> {
    let mut filled = 0;
    let mut put = |bytes: &[u8]| -> Result<bool, Errno> {
        let fits = bytes.get(..(len - filled) as usize).unwrap_or(bytes);
        // In bounds: the caller checked `len` bytes at `buf`.
        memory.copy_out(buf.wrapping_add(filled), fits)?;
        filled += fits.len() as u32;
        Ok(filled < len)
    };
    if len == 0 {
        return Ok(0);
    }
    rustix::fs::seek(host, SeekFrom::Start(cookie)).map_err(not_readable)?;
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut entries = RawDir::new(host, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = entry.map_err(not_readable)?;
        let name = entry.file_name().to_bytes();
        let mut header = [0; 24];
        let (next, rest) = header.split_at_mut(8);
        let (inode, rest) = rest.split_at_mut(8);
        let (name_len, rest) = rest.split_at_mut(4);
        next.copy_from_slice(&entry.next_entry_cookie().to_le_bytes());
        // What is above a granted directory is not the guest's to know.
        let ino = match name {
            b".." => rustix::fs::fstat(host)?.st_ino,
            _ => entry.ino(),
        };
        inode.copy_from_slice(&ino.to_le_bytes());
        name_len.copy_from_slice(&(name.len() as u32).to_le_bytes());
        if let Some(kind) = rest.first_mut() {
            *kind = from_type(entry.file_type());
        }
        if !put(&header)? || !put(name)? {
            break;
        }
    }
    Ok(filled)
}

/// A granted directory that may be entered but not read is open for lookups only.
fn not_readable(error: rustix::io::Errno) -> Errno {
    if error == rustix::io::Errno::BADF {
        Errno::Acces
    } else {
        error.into()
    }
}

/// rustix takes `O_SYNC` for this.
const DSYNC: OFlags = OFlags::from_bits_retain(linux_raw_sys::general::O_DSYNC);

const FLAG_APPEND: u16 = 1;
const FLAG_DSYNC: u16 = 2;
const FLAG_NONBLOCK: u16 = 4;
const FLAG_RSYNC: u16 = 8;
const FLAG_SYNC: u16 = 16;

/// witx `fdflags` → `O_*`.
pub(super) fn host_flags(flags: u32) -> Result<OFlags, Errno> {
    if flags & !31 != 0 {
        return Err(Errno::Inval);
    }
    let mut host = OFlags::empty();
    for (flag, meaning) in [
        (FLAG_APPEND, OFlags::APPEND),
        (FLAG_DSYNC, DSYNC),
        (FLAG_NONBLOCK, OFlags::NONBLOCK),
        (FLAG_RSYNC, OFlags::RSYNC),
        (FLAG_SYNC, OFlags::SYNC),
    ] {
        if flags as u16 & flag != 0 {
            host |= meaning;
        }
    }
    Ok(host)
}

/// `O_*` → witx `fdflags`. Linux's `O_SYNC` includes `O_DSYNC` and is `O_RSYNC`.
fn guest_flags(host: OFlags) -> u16 {
    let mut flags = 0;
    for (flag, meaning) in [
        (FLAG_APPEND, OFlags::APPEND),
        (FLAG_DSYNC, DSYNC),
        (FLAG_NONBLOCK, OFlags::NONBLOCK),
        (FLAG_RSYNC, OFlags::RSYNC),
        (FLAG_SYNC, OFlags::SYNC),
    ] {
        if host.contains(meaning) {
            flags |= flag;
        }
    }
    flags
}

/// Host file type → witx `filetype`. A FIFO has none.
pub(super) fn from_type(kind: FileType) -> u8 {
    match kind {
        FileType::BlockDevice => filetype::BLOCK_DEVICE,
        FileType::CharacterDevice => filetype::CHARACTER_DEVICE,
        FileType::Directory => filetype::DIRECTORY,
        FileType::RegularFile => filetype::REGULAR_FILE,
        FileType::Socket => filetype::SOCKET_STREAM,
        FileType::Symlink => filetype::SYMBOLIC_LINK,
        FileType::Fifo | FileType::Unknown => filetype::UNKNOWN,
    }
}

/// witx `filetype` of an open file; only the socket itself knows whether it is a stream.
fn type_of(host: BorrowedFd<'_>, stat: &Stat) -> u8 {
    let filetype = from_type(FileType::from_raw_mode(stat.st_mode));
    if filetype == filetype::SOCKET_STREAM
        && rustix::net::sockopt::socket_type(host).is_ok_and(|kind| kind == SocketType::DGRAM)
    {
        return filetype::SOCKET_DGRAM;
    }
    filetype
}

pub(super) fn is_socket(filetype: u8) -> bool {
    matches!(filetype, filetype::SOCKET_DGRAM | filetype::SOCKET_STREAM)
}

/// witx `filestat`.
#[allow(
    clippy::useless_conversion,
    reason = "st_nlink is not as wide on every machine"
)]
pub(super) fn filestat(stat: &Stat, filetype: u8) -> Filestat {
    Filestat {
        dev: stat.st_dev,
        ino: stat.st_ino,
        filetype,
        pad: [0; 7],
        nlink: u64::from(stat.st_nlink),
        size: stat.st_size as u64,
        atim: since_epoch(stat.st_atime, stat.st_atime_nsec),
        mtim: since_epoch(stat.st_mtime, stat.st_mtime_nsec),
        ctim: since_epoch(stat.st_ctime, stat.st_ctime_nsec),
    }
}

/// Files can be older than the epoch and younger than 2554; the witx can't say so.
fn since_epoch(seconds: i64, nanoseconds: u64) -> u64 {
    match u64::try_from(seconds) {
        Ok(seconds) => seconds
            .saturating_mul(super::clock::SECOND)
            .saturating_add(nanoseconds),
        Err(_) => 0,
    }
}

/// What `utimensat` wants to have, from witx `fstflags`.
pub(super) fn timestamps(atim: u64, mtim: u64, flags: u32) -> Result<Timestamps, Errno> {
    if flags & !15 != 0 {
        return Err(Errno::Inval);
    }
    Ok(Timestamps {
        last_access: timestamp(atim, flags)?,
        last_modification: timestamp(mtim, flags >> 2)?,
    })
}

fn timestamp(time: u64, flags: u32) -> Result<Timespec, Errno> {
    Ok(match flags & 3 {
        0 => Timespec {
            tv_sec: 0,
            tv_nsec: rustix::fs::UTIME_OMIT,
        },
        1 => Timespec {
            tv_sec: (time / super::clock::SECOND) as i64,
            tv_nsec: (time % super::clock::SECOND) as i64,
        },
        2 => Timespec {
            tv_sec: 0,
            tv_nsec: rustix::fs::UTIME_NOW,
        },
        _ => return Err(Errno::Inval),
    })
}

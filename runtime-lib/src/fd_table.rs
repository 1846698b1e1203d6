//! The guest's descriptors: numbers → host descriptors with rights.
//!
//! In: guest descriptor numbers and the rights that an operation needs. Out: host descriptors to be used
//! within one host call, or an errno. A guest never sees a host number and can't name one that is not in
//! the table. The table's zero state (.bss, nothing to set up) is: 0, 1 and 2 are the process's standard
//! streams, all else is free. Rights only ever shrink on the way from a granted directory to a file
//! (witx `rights`), so a read-only grant is nothing but a directory whose rights lack every mutation.
//!
//! # Safety
//!
//! The host number in an open entry is a descriptor that the table owns; it is closed only here. A
//! borrowed descriptor is used up before the host call that asked for it returns.
#![allow(unsafe_code, reason = "borrows host descriptors by number")]

use crate::errno::Errno;
use core::sync::atomic::{
    AtomicI32, AtomicU8, AtomicU16, AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use rustix::fd::{AsRawFd, BorrowedFd, IntoRawFd, OwnedFd};

/// Descriptors a guest can have at a time. Unused entries are untouched pages.
pub const CAPACITY: usize = elfin_abi::policy::MAX_OPEN_FILES as usize;

/// The first number handed out. Numbers of standard streams are not reused: what a guest prints must
/// not end in a file only because it closed its output before.
const FIRST: u32 = elfin_abi::policy::FIRST_GRANT;

/// witx `rights`.
#[allow(missing_docs, reason = "the names are the witx's")]
pub mod rights {
    pub const FD_DATASYNC: u64 = 1;
    pub const FD_READ: u64 = 1 << 1;
    pub const FD_SEEK: u64 = 1 << 2;
    pub const FD_FDSTAT_SET_FLAGS: u64 = 1 << 3;
    pub const FD_SYNC: u64 = 1 << 4;
    pub const FD_TELL: u64 = 1 << 5;
    pub const FD_WRITE: u64 = 1 << 6;
    pub const FD_ADVISE: u64 = 1 << 7;
    pub const FD_ALLOCATE: u64 = 1 << 8;
    pub const PATH_CREATE_DIRECTORY: u64 = 1 << 9;
    pub const PATH_CREATE_FILE: u64 = 1 << 10;
    pub const PATH_LINK_SOURCE: u64 = 1 << 11;
    pub const PATH_LINK_TARGET: u64 = 1 << 12;
    pub const PATH_OPEN: u64 = 1 << 13;
    pub const FD_READDIR: u64 = 1 << 14;
    pub const PATH_READLINK: u64 = 1 << 15;
    pub const PATH_RENAME_SOURCE: u64 = 1 << 16;
    pub const PATH_RENAME_TARGET: u64 = 1 << 17;
    pub const PATH_FILESTAT_GET: u64 = 1 << 18;
    pub const PATH_FILESTAT_SET_SIZE: u64 = 1 << 19;
    pub const PATH_FILESTAT_SET_TIMES: u64 = 1 << 20;
    pub const FD_FILESTAT_GET: u64 = 1 << 21;
    pub const FD_FILESTAT_SET_SIZE: u64 = 1 << 22;
    pub const FD_FILESTAT_SET_TIMES: u64 = 1 << 23;
    pub const PATH_SYMLINK: u64 = 1 << 24;
    pub const PATH_REMOVE_DIRECTORY: u64 = 1 << 25;
    pub const PATH_UNLINK_FILE: u64 = 1 << 26;
    pub const POLL_FD_READWRITE: u64 = 1 << 27;
    pub const SOCK_SHUTDOWN: u64 = 1 << 28;
    pub const SOCK_ACCEPT: u64 = 1 << 29;

    /// What makes sense for a file.
    pub const FILE: u64 = FD_DATASYNC
        | FD_READ
        | FD_SEEK
        | FD_FDSTAT_SET_FLAGS
        | FD_SYNC
        | FD_TELL
        | FD_WRITE
        | FD_ADVISE
        | FD_ALLOCATE
        | FD_FILESTAT_GET
        | FD_FILESTAT_SET_SIZE
        | FD_FILESTAT_SET_TIMES
        | POLL_FD_READWRITE;
    /// What makes sense for a directory.
    pub const DIRECTORY: u64 = FD_DATASYNC
        | FD_FDSTAT_SET_FLAGS
        | FD_SYNC
        | FD_ADVISE
        | PATH_CREATE_DIRECTORY
        | PATH_CREATE_FILE
        | PATH_LINK_SOURCE
        | PATH_LINK_TARGET
        | PATH_OPEN
        | FD_READDIR
        | PATH_READLINK
        | PATH_RENAME_SOURCE
        | PATH_RENAME_TARGET
        | PATH_FILESTAT_GET
        | PATH_FILESTAT_SET_SIZE
        | PATH_FILESTAT_SET_TIMES
        | FD_FILESTAT_GET
        | FD_FILESTAT_SET_TIMES
        | PATH_SYMLINK
        | PATH_REMOVE_DIRECTORY
        | PATH_UNLINK_FILE
        | POLL_FD_READWRITE;
    /// What makes sense for a socket.
    pub const SOCKET: u64 = FD_READ
        | FD_WRITE
        | FD_FDSTAT_SET_FLAGS
        | FD_FILESTAT_GET
        | POLL_FD_READWRITE
        | SOCK_SHUTDOWN
        | SOCK_ACCEPT;
    /// What changes something behind a directory; a read-only grant has none of it. Linking counts on
    /// both sides: the new name would make the file writable.
    pub const MUTATION: u64 = FD_WRITE
        | FD_ALLOCATE
        | PATH_CREATE_DIRECTORY
        | PATH_CREATE_FILE
        | PATH_LINK_SOURCE
        | PATH_LINK_TARGET
        | PATH_RENAME_SOURCE
        | PATH_RENAME_TARGET
        | PATH_FILESTAT_SET_SIZE
        | PATH_FILESTAT_SET_TIMES
        | FD_FILESTAT_SET_SIZE
        | FD_FILESTAT_SET_TIMES
        | PATH_SYMLINK
        | PATH_REMOVE_DIRECTORY
        | PATH_UNLINK_FILE;

    /// The rights that apply to a type of file.
    #[must_use]
    pub const fn of(filetype: u8) -> u64 {
        match filetype {
            super::filetype::DIRECTORY => DIRECTORY,
            super::filetype::SOCKET_DGRAM | super::filetype::SOCKET_STREAM => SOCKET,
            _ => FILE,
        }
    }

    const STDIO: u64 = (FILE & !(FD_READ | FD_WRITE)) | SOCK_SHUTDOWN | SOCK_ACCEPT;
    /// Standard input, unless it turns out to be a socket.
    pub const STDIN: u64 = STDIO | FD_READ;
    /// Standard output and error.
    pub const STDOUT: u64 = STDIO | FD_WRITE;
}

/// witx `filetype`.
#[allow(missing_docs, reason = "the names are the witx's")]
pub mod filetype {
    pub const UNKNOWN: u8 = 0;
    pub const BLOCK_DEVICE: u8 = 1;
    pub const CHARACTER_DEVICE: u8 = 2;
    pub const DIRECTORY: u8 = 3;
    pub const REGULAR_FILE: u8 = 4;
    pub const SOCKET_DGRAM: u8 = 5;
    pub const SOCKET_STREAM: u8 = 6;
    pub const SYMBOLIC_LINK: u8 = 7;
}

/// Nothing happened to this number yet.
const INITIAL: u8 = 0;
pub(crate) const OPEN: u8 = 1;
pub(crate) const CLOSED: u8 = 2;
/// Neither open nor free: a thread fills it in or closes it. The free states are even.
pub(crate) const BUSY: u8 = 3;

/// One entry. Atomics are for interior mutability without `unsafe`; a relaxed access is a plain one.
struct Entry {
    base: AtomicU64,
    inheriting: AtomicU64,
    host: AtomicI32,
    state: AtomicU8,
    filetype: AtomicU8,
    /// Number of the granted directory, from 1; 0 for anything else.
    grant: AtomicU16,
}

impl Entry {
    const fn new() -> Self {
        Self {
            base: AtomicU64::new(0),
            inheriting: AtomicU64::new(0),
            host: AtomicI32::new(0),
            state: AtomicU8::new(INITIAL),
            filetype: AtomicU8::new(0),
            grant: AtomicU16::new(0),
        }
    }

    /// Takes the entry if it is free: of several threads one gets it.
    fn claim(&self) -> bool {
        let state = self.state.load(Relaxed);
        state & 1 == 0
            && self
                .state
                .compare_exchange(state, BUSY, Acquire, Relaxed)
                .is_ok()
    }

    #[inline]
    fn fill(&self, new: New) -> Result<(), Errno> {
        let host = above_stdio(new.host)?;
        self.base.store(new.base, Relaxed);
        self.inheriting.store(new.inheriting, Relaxed);
        self.host.store(host.into_raw_fd(), Relaxed);
        self.filetype.store(new.filetype, Relaxed);
        self.grant.store(new.grant, Relaxed);
        self.state.store(OPEN, Release);
        Ok(())
    }
}

static TABLE: [Entry; CAPACITY] = [const { Entry::new() }; CAPACITY];

/// No number from [`FIRST`] up to (not including) this plus `FIRST` is free.
static FULL_BELOW: AtomicU32 = AtomicU32::new(0);

/// Numbers at the table's end that are not handed out.
static WITHHELD: AtomicU32 = AtomicU32::new(0);

/// Hands out no number from `max` on. Called before anything is in the table.
pub fn limit(max: u32) {
    WITHHELD.store((CAPACITY as u32).saturating_sub(max), Relaxed);
}

/// What the table knows of an open descriptor.
#[derive(Clone, Copy, Debug)]
pub struct Descriptor {
    /// The host's descriptor.
    pub host: BorrowedFd<'static>,
    /// Rights for the descriptor itself.
    pub base: u64,
    /// Rights for what is opened through it.
    pub inheriting: u64,
    /// witx `filetype`; `UNKNOWN` for a standard stream, at which nobody has looked yet.
    pub filetype: u8,
    /// Number of the granted directory, from 1; 0 for anything else.
    pub grant: u16,
}

impl Descriptor {
    /// Fails unless it has all of `needed`.
    pub fn require(&self, needed: u64) -> Result<(), Errno> {
        if self.base & needed == needed {
            Ok(())
        } else {
            Err(Errno::NotCapable)
        }
    }
}

/// A new entry for the table; its host descriptor is closed if it never gets there.
#[derive(Debug)]
pub struct New {
    /// The host's descriptor.
    pub host: OwnedFd,
    /// Rights for the descriptor itself.
    pub base: u64,
    /// Rights for what is opened through it.
    pub inheriting: u64,
    /// witx `filetype`.
    pub filetype: u8,
    /// Number of the granted directory, from 1; 0 for anything else.
    pub grant: u16,
}

fn borrow(host: i32) -> BorrowedFd<'static> {
    // SAFETY: comes from an open entry or is a standard stream (if that came closed, the kernel says
    // EBADF); -1 is never stored.
    unsafe { BorrowedFd::borrow_raw(host) }
}

/// The host descriptor behind `fd` if it is open and has all of `needed`: the short way for operations
/// that want nothing else.
#[inline]
pub fn host(fd: u32, needed: u64) -> Result<BorrowedFd<'static>, Errno> {
    let entry = TABLE.get(fd as usize).ok_or(Errno::BadF)?;
    let (host, base) = match entry.state.load(Relaxed) {
        OPEN => (entry.host.load(Relaxed), entry.base.load(Relaxed)),
        INITIAL if fd == 0 => (0, rights::STDIN),
        INITIAL if fd < FIRST => (fd as i32, rights::STDOUT),
        _ => return Err(Errno::BadF),
    };
    if base & needed == needed {
        Ok(borrow(host))
    } else {
        Err(Errno::NotCapable)
    }
}

/// All that is known of `fd`.
pub fn get(fd: u32) -> Result<Descriptor, Errno> {
    let entry = TABLE.get(fd as usize).ok_or(Errno::BadF)?;
    match entry.state.load(Relaxed) {
        OPEN => Ok(Descriptor {
            host: borrow(entry.host.load(Relaxed)),
            base: entry.base.load(Relaxed),
            inheriting: entry.inheriting.load(Relaxed),
            filetype: entry.filetype.load(Relaxed),
            grant: entry.grant.load(Relaxed),
        }),
        INITIAL if fd < FIRST => Ok(Descriptor {
            host: borrow(fd as i32),
            base: if fd == 0 {
                rights::STDIN
            } else {
                rights::STDOUT
            },
            inheriting: rights::SOCKET,
            filetype: filetype::UNKNOWN,
            grant: 0,
        }),
        _ => Err(Errno::BadF),
    }
}

/// The directory `fd`, which must have all of `needed`.
pub fn directory(fd: u32, needed: u64) -> Result<Descriptor, Errno> {
    let descriptor = get(fd)?;
    match descriptor.filetype {
        filetype::DIRECTORY => descriptor.require(needed).map(|()| descriptor),
        _ => Err(Errno::NotDir),
    }
}

/// The lowest free number from `fd` on.
fn free(mut fd: u32) -> Result<(u32, &'static Entry), Errno> {
    let end = CAPACITY as u32 - WITHHELD.load(Relaxed);
    while fd < end
        && let Some(entry) = TABLE.get(fd as usize)
    {
        if entry.state.load(Relaxed) & 1 == 0 {
            return Ok((fd, entry));
        }
        fd += 1;
    }
    Err(Errno::MFile)
}

/// Fails when [`insert`] would, for want of a number: asked before something is made or taken that could
/// not be given back.
pub fn check_room() -> Result<(), Errno> {
    free(FIRST + FULL_BELOW.load(Relaxed)).map(drop)
}

/// Puts `new` under the lowest free number.
pub fn insert(new: New) -> Result<u32, Errno> {
    let fd = take(FIRST + FULL_BELOW.load(Relaxed), new)?;
    FULL_BELOW.store(fd + 1 - FIRST, Relaxed);
    Ok(fd)
}

/// Puts `new` under the lowest free number behind the first `skipped` ones.
pub fn insert_behind(skipped: u32, new: New) -> Result<u32, Errno> {
    take(FIRST + skipped, new)
}

/// Puts `new` under the lowest free number from `fd` on.
#[inline]
fn take(fd: u32, new: New) -> Result<u32, Errno> {
    loop {
        let (fd, entry) = free(fd)?;
        if entry.claim() {
            let filled = entry.fill(new);
            return filled
                .inspect_err(|_| entry.state.store(CLOSED, Relaxed))
                .map(|()| fd);
        }
    }
}

/// Lets standard stream `fd` be `host` from the start, for all that the guest can see.
pub fn redirect(fd: u32, host: OwnedFd) -> Result<(), Errno> {
    let inherited = get(fd)?;
    let entry = TABLE.get(fd as usize).ok_or(Errno::BadF)?;
    entry.fill(New {
        host,
        base: inherited.base,
        inheriting: inherited.inheriting,
        filetype: inherited.filetype,
        grant: 0,
    })
}

/// Keeps the host's numbers 0 to 2 free of guest files: the runtime's own messages go to 2.
fn above_stdio(host: OwnedFd) -> Result<OwnedFd, Errno> {
    if host.as_raw_fd() >= FIRST as i32 {
        return Ok(host);
    }
    Ok(rustix::io::fcntl_dupfd_cloexec(&host, FIRST as i32)?)
}

/// Forgets `fd` and closes what is behind it.
pub fn close(fd: u32) -> Result<(), Errno> {
    let host = get(fd)?.host;
    release(fd);
    // SAFETY: the entry that owned it was released above.
    unsafe { rustix::io::close(host.as_raw_fd()) };
    Ok(())
}

fn release(fd: u32) {
    if let Some(entry) = TABLE.get(fd as usize) {
        entry.state.store(CLOSED, Relaxed);
    }
    if let Some(above) = fd.checked_sub(FIRST)
        && above < FULL_BELOW.load(Relaxed)
    {
        FULL_BELOW.store(above, Relaxed);
    }
}

/// Moves `from` to `to`, which must be open and is closed. Grants move like anything else.
pub fn renumber(from: u32, to: u32) -> Result<(), Errno> {
    let descriptor = get(from)?;
    let replaced = get(to)?.host;
    if from == to {
        return Ok(());
    }
    let entry = TABLE.get(to as usize).ok_or(Errno::BadF)?;
    entry.base.store(descriptor.base, Relaxed);
    entry.inheriting.store(descriptor.inheriting, Relaxed);
    entry.host.store(descriptor.host.as_raw_fd(), Relaxed);
    entry.filetype.store(descriptor.filetype, Relaxed);
    entry.grant.store(descriptor.grant, Relaxed);
    entry.state.store(OPEN, Relaxed);
    release(from);
    // SAFETY: no entry holds it any more.
    unsafe { rustix::io::close(replaced.as_raw_fd()) };
    Ok(())
}

/// Takes rights away. Asking for one that is not there is refused.
pub fn restrict(fd: u32, base: u64, inheriting: u64) -> Result<(), Errno> {
    let descriptor = get(fd)?;
    if base & !descriptor.base != 0 || inheriting & !descriptor.inheriting != 0 {
        return Err(Errno::NotCapable);
    }
    let entry = TABLE.get(fd as usize).ok_or(Errno::BadF)?;
    entry.base.store(base, Relaxed);
    entry.inheriting.store(inheriting, Relaxed);
    entry.host.store(descriptor.host.as_raw_fd(), Relaxed);
    entry.filetype.store(descriptor.filetype, Relaxed);
    entry.grant.store(descriptor.grant, Relaxed);
    entry.state.store(OPEN, Relaxed);
    Ok(())
}

/// What has become of `fd`: for `crate::shared_fds`, which has rules for several threads.
pub(crate) fn state(fd: u32) -> Option<&'static AtomicU8> {
    TABLE.get(fd as usize).map(|entry| &entry.state)
}

/// Gives `to`, which is busy, what is behind `from`, which is busy as well.
pub(crate) fn overwrite(from: u32, to: u32) {
    if let (Some(from), Some(to)) = (TABLE.get(from as usize), TABLE.get(to as usize)) {
        to.base.store(from.base.load(Relaxed), Relaxed);
        to.inheriting.store(from.inheriting.load(Relaxed), Relaxed);
        to.host.store(from.host.load(Relaxed), Relaxed);
        to.filetype.store(from.filetype.load(Relaxed), Relaxed);
        to.grant.store(from.grant.load(Relaxed), Relaxed);
    }
}

/// Lets [`insert`] look at every number again: with several threads nobody knows for sure which are full.
pub(crate) fn search_from_the_start() {
    FULL_BELOW.store(0, Relaxed);
}

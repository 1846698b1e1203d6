//! Guest path → a host directory and a name in it. WHAT KEEPS A GUEST INSIDE ITS GRANTS IS HERE: no other
//! file gives the kernel a path that a guest made.
//!
//! In: an open directory that the guest holds and a path relative to it. Out: a [`Lookup`]: a directory
//! below (or equal to) that one and a final name without a slash, never `..`, whose operation must not
//! follow symbolic links. Errors: `NOTCAPABLE` for what leads outside, and the kernel's.
//!
//! The directory is found in one of two ways, which behave the same:
//!
//! * `openat2` with `RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS` (Linux 5.6): the kernel checks, race-free;
//! * where that is missing (old kernels, qemu-user, a seccomp filter of the container), a walk: one
//!   component at a time with `O_PATH | O_NOFOLLOW`, symbolic links read and expanded by us, `..` taken from
//!   our own stack of open directories and never given to the kernel, so that a directory moved during the
//!   walk leads nowhere new.
//!
//! Either way the final name is left to the caller, who uses it with the `NOFOLLOW` flag of its operation
//! and calls [`Lookup::follow`] when it meets a symbolic link that should be followed. Linux follows a link
//! with a slash behind it whatever the flags say; so trailing slashes are taken off here and become
//! [`Lookup::directory`]. A final `.` or `..` is resolved wholly and becomes the name `.`.
//!
//! procfs is refused: `proc/self/mem` would let a guest rewrite its own code.
//!
//! # Safety
//!
//! The bytes of [`Lookup`]'s buffer up to and including `end` are initialised, and so are those of a link
//! buffer up to the length that was read.
#![allow(unsafe_code, reason = "path buffers that are not zeroed first")]

use crate::errno::Errno;
use crate::guest::Memory;
use core::ffi::CStr;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, PROC_SUPER_MAGIC, ResolveFlags};
use rustix::io::Errno as Linux;

/// Bytes of a path, its NUL included (`PATH_MAX`).
pub const CAPACITY: usize = 4096;
/// Symbolic links expanded in one lookup, as in the kernel.
const MAX_LINKS: u32 = 40;
/// Directories that a walk holds open. A path can go up again as many levels, or to the root.
const MAX_DEPTH: usize = 128;
/// Times that a lookup is tried again because somebody renamed directories meanwhile.
const MAX_RETRIES: u32 = 32;

/// Room for a path.
pub type Buffer = [MaybeUninit<u8>; CAPACITY];

/// A path on its way: see the head of the file.
#[derive(Debug)]
pub struct Lookup {
    root: BorrowedFd<'static>,
    /// `None`: `root` itself.
    parent: Option<OwnedFd>,
    /// `parent path`, NUL, `name`, NUL; the first NUL replaces the slash.
    buffer: Buffer,
    /// Length of the path to the parent; 0 for the root.
    parent_len: usize,
    /// Where the final name begins; `None` for `.`.
    name: Option<usize>,
    /// Where the path ends: there is a NUL.
    end: usize,
    links: u32,
    /// The path says that it names a directory (`a/`, `a/.`).
    pub directory: bool,
}

impl Lookup {
    /// A lookup below `root`, to be begun with [`Self::find`]. (In two steps because it is too large to
    /// be moved.)
    #[must_use]
    pub const fn below(root: BorrowedFd<'static>) -> Self {
        Self {
            root,
            parent: None,
            buffer: [MaybeUninit::uninit(); CAPACITY],
            parent_len: 0,
            name: None,
            end: 0,
            links: 0,
            directory: false,
        }
    }

    /// Finds the directory and the name for the guest's path.
    pub fn find(&mut self, memory: Memory, path: u32, len: u32) -> Result<(), Errno> {
        self.end = read(memory, path, len, &mut self.buffer)?;
        self.locate()
    }

    /// The directory that holds the name.
    #[must_use]
    pub fn parent(&self) -> BorrowedFd<'_> {
        self.parent.as_ref().map_or(self.root, AsFd::as_fd)
    }

    /// The name: one component without a slash, or `.`; never `..`.
    #[must_use]
    pub fn name(&self) -> &CStr {
        match self.name {
            None => c".",
            Some(start) => self.string(start),
        }
    }

    /// If the name is a symbolic link, goes on to what it points to and says so. The caller still must
    /// not follow links: the name may have become one since.
    pub fn follow(&mut self) -> Result<bool, Errno> {
        if self.name.is_none() {
            return Ok(false);
        }
        let mut link = [MaybeUninit::uninit(); CAPACITY];
        let target = match read_link(self.parent(), self.name(), &mut link) {
            Ok(target) => target,
            Err(Errno::Inval) => return Ok(false),
            Err(error) => return Err(error),
        };
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err(Errno::Loop);
        }
        if target.first() == Some(&b'/') {
            return Err(Errno::NotCapable);
        }
        // The parent's path, a slash unless that is empty, the target.
        let mut start = self.parent_len;
        if start > 0 {
            self.put(start, b"/")?;
            start += 1;
        }
        self.put(start, target)?;
        self.end = start + target.len();
        self.locate()?;
        Ok(true)
    }

    /// Splits the path in the buffer and opens the directory.
    fn locate(&mut self) -> Result<(), Errno> {
        self.parent = None;
        self.put(self.end, b"\0")?;
        let path = self.path();
        match path.first() {
            None => return Err(Errno::NoEnt),
            Some(b'/') => return Err(Errno::NotCapable),
            Some(_) => {}
        }
        let is_not_slash = |&byte: &u8| byte != b'/';
        let end = path
            .iter()
            .rposition(is_not_slash)
            .map_or(0, |last| last + 1);
        let trimmed = path.get(..end).unwrap_or_default();
        let start = trimmed
            .iter()
            .rposition(|&byte| byte == b'/')
            .map_or(0, |slash| slash + 1);
        let is_dot = matches!(trimmed.get(start..), Some(b"." | b".."));
        let is_root = trimmed == b".";
        let parent = if is_dot {
            trimmed
        } else {
            trimmed.get(..start).unwrap_or_default()
        };
        let parent_len = parent
            .iter()
            .rposition(is_not_slash)
            .map_or(0, |last| last + 1);

        self.directory |= is_dot || end < self.end;
        self.name = if is_dot { None } else { Some(start) };
        self.parent_len = parent_len;
        self.end = end;
        self.put(end, b"\0")?;
        if parent_len > 0 && !is_root {
            self.put(parent_len, b"\0")?;
            let mut links = self.links;
            self.parent = open_directory(self.root, self.string(0), &mut links)?;
            self.links = links;
            if let Some(parent) = &self.parent {
                refuse_procfs(parent.as_fd())?;
            }
        }
        Ok(())
    }

    fn path(&self) -> &[u8] {
        // SAFETY: initialised up to `end`, which is below the capacity: `put` sees to both.
        unsafe { core::slice::from_raw_parts(self.buffer.as_ptr().cast(), self.end) }
    }

    /// The string from `start` to the next NUL.
    fn string(&self, start: usize) -> &CStr {
        // SAFETY: initialised up to `end` and the NUL there.
        let bytes =
            unsafe { core::slice::from_raw_parts(self.buffer.as_ptr().cast(), self.end + 1) };
        CStr::from_bytes_until_nul(bytes.get(start..).unwrap_or_default()).unwrap_or_default()
    }

    fn put(&mut self, start: usize, bytes: &[u8]) -> Result<(), Errno> {
        put(&mut self.buffer, start, bytes)
    }
}

/// Copies `bytes` into the buffer.
fn put(buffer: &mut Buffer, start: usize, bytes: &[u8]) -> Result<(), Errno> {
    let end = start.checked_add(bytes.len()).ok_or(Errno::NameTooLong)?;
    let room = buffer.get_mut(start..end).ok_or(Errno::NameTooLong)?;
    for (to, from) in room.iter_mut().zip(bytes) {
        to.write(*from);
    }
    Ok(())
}

/// A path or link text of the guest's: copied once, without NUL, shorter than the buffer.
fn read(memory: Memory, path: u32, len: u32, room: &mut Buffer) -> Result<usize, Errno> {
    let room = room.get_mut(..CAPACITY - 1).unwrap_or_default();
    let path = memory.copy_in(path, len, room)?;
    if path.contains(&0) {
        Err(Errno::IlSeq)
    } else {
        Ok(path.len())
    }
}

/// The text for a symbolic link.
pub fn read_string(memory: Memory, text: u32, len: u32, room: &mut Buffer) -> Result<&CStr, Errno> {
    let len = read(memory, text, len, room)?;
    put(room, len, b"\0")?;
    // SAFETY: initialised by the two calls above.
    let text = unsafe { core::slice::from_raw_parts(room.as_ptr().cast(), len + 1) };
    CStr::from_bytes_until_nul(text).map_err(|_| Errno::IlSeq)
}

/// A path of the host's own making.
pub fn host_string<'a>(path: &[u8], room: &'a mut Buffer) -> Option<&'a CStr> {
    put(room, 0, path)
        .and_then(|()| put(room, path.len(), b"\0"))
        .ok()?;
    // SAFETY: initialised by the two calls above.
    let path = unsafe { core::slice::from_raw_parts(room.as_ptr().cast(), path.len() + 1) };
    CStr::from_bytes_with_nul(path).ok()
}

/// The target of a link; `INVAL` when it is none.
fn read_link<'a>(
    directory: BorrowedFd<'_>,
    name: &CStr,
    buffer: &'a mut Buffer,
) -> Result<&'a [u8], Errno> {
    let (target, rest) = rustix::fs::readlinkat_raw(directory, name, &mut buffer[..])?;
    if rest.is_empty() {
        Err(Errno::NameTooLong)
    } else {
        Ok(target)
    }
}

/// Opens the directory `path` for lookups; `None` when it is `root` itself.
fn open_directory(
    root: BorrowedFd<'_>,
    path: &CStr,
    links: &mut u32,
) -> Result<Option<OwnedFd>, Errno> {
    if !cfg!(feature = "forced-fallback") {
        match open_beneath(root, path) {
            // AGAIN: renames all the time. The walk does not mind. LOOP: too many links, or one of procfs's,
            // which the walk tells apart.
            Err(Linux::NOSYS | Linux::PERM | Linux::AGAIN | Linux::LOOP) => {}
            // The kernel's word for "leads outside" with RESOLVE_BENEATH.
            Err(Linux::XDEV) => return Err(Errno::NotCapable),
            result => return Ok(Some(result?)),
        }
    }
    walk(root, path, links)
}

fn open_beneath(root: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd, Linux> {
    /// openat2 is not there, or forbidden: not asked again.
    static MISSING: AtomicBool = AtomicBool::new(false);

    if MISSING.load(Relaxed) {
        return Err(Linux::NOSYS);
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let mut left = MAX_RETRIES;
    loop {
        match rustix::fs::openat2(root, path, flags, Mode::empty(), resolve) {
            Err(Linux::AGAIN) if left > 0 => left -= 1,
            // A seccomp filter that does not know the call says EPERM; the call itself never does.
            Err(error @ (Linux::NOSYS | Linux::PERM)) => {
                MISSING.store(true, Relaxed);
                return Err(error);
            }
            result => return result,
        }
    }
}

/// The walk without openat2.
#[cold]
fn walk(root: BorrowedFd<'_>, path: &CStr, links: &mut u32) -> Result<Option<OwnedFd>, Errno> {
    let mut pending = Pending::new(path.to_bytes())?;
    let mut stack = Stack {
        levels: [const { None }; MAX_DEPTH],
        depth: 0,
    };
    while let Some(name) = pending.component() {
        match name.to_bytes() {
            b"." => continue,
            b".." => {
                stack.pop()?;
                continue;
            }
            _ => {}
        }
        let top = stack.top()?.unwrap_or(root);
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(top, name, flags, Mode::empty()) {
            Ok(directory) => stack.push(directory),
            // A link, or neither link nor directory.
            Err(Linux::NOTDIR | Linux::LOOP) => {
                let mut link = [MaybeUninit::uninit(); CAPACITY];
                let target = match read_link(top, name, &mut link) {
                    Err(Errno::Inval) => return Err(Errno::NotDir),
                    target => target?,
                };
                *links += 1;
                if *links > MAX_LINKS {
                    return Err(Errno::Loop);
                }
                if target.first() == Some(&b'/') {
                    return Err(Errno::NotCapable);
                }
                pending.expand(target)?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    stack.pop_or_root()
}

/// The directories between the root and where a walk is. Of very many only the innermost stay open: a path
/// may be as deep as it likes, but `..` can't stop at a level that is not open any more.
struct Stack {
    levels: [Option<OwnedFd>; MAX_DEPTH],
    depth: usize,
}

impl Stack {
    /// The innermost level's place; `None` at the root.
    fn place(&mut self) -> Option<&mut Option<OwnedFd>> {
        let level = self.depth.checked_sub(1)?;
        self.levels.get_mut(level % MAX_DEPTH)
    }

    /// Closes what had the same place before.
    fn push(&mut self, directory: OwnedFd) {
        self.depth += 1;
        if let Some(place) = self.place() {
            *place = Some(directory);
        }
    }

    /// The innermost directory; `None`: the root.
    fn top(&mut self) -> Result<Option<BorrowedFd<'_>>, Errno> {
        match self.place() {
            None => Ok(None),
            Some(Some(directory)) => Ok(Some(OwnedFd::as_fd(directory))),
            Some(None) => Err(Errno::NameTooLong),
        }
    }

    /// Goes up one level. Above the root there is nothing.
    fn pop(&mut self) -> Result<(), Errno> {
        *self.place().ok_or(Errno::NotCapable)? = None;
        self.depth -= 1;
        Ok(())
    }

    /// The innermost directory, to keep; `None`: the root.
    fn pop_or_root(&mut self) -> Result<Option<OwnedFd>, Errno> {
        match self.place() {
            None => Ok(None),
            Some(place) => place.take().map(Some).ok_or(Errno::NameTooLong),
        }
    }
}

/// What is left of a path during a walk, at the end of the buffer: a link's target is put before it.
struct Pending {
    buffer: Buffer,
    next: usize,
}

impl Pending {
    fn new(path: &[u8]) -> Result<Self, Errno> {
        let mut pending = Self {
            buffer: [MaybeUninit::uninit(); CAPACITY],
            next: CAPACITY,
        };
        pending.prepend(b"\0")?;
        pending.prepend(path)?;
        Ok(pending)
    }

    fn prepend(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        self.next = self
            .next
            .checked_sub(bytes.len())
            .ok_or(Errno::NameTooLong)?;
        put(&mut self.buffer, self.next, bytes)
    }

    /// Puts the target of a link before the rest.
    fn expand(&mut self, target: &[u8]) -> Result<(), Errno> {
        self.prepend(b"/")?;
        self.prepend(target)
    }

    fn rest(&self) -> &[u8] {
        let rest = self.buffer.get(self.next..).unwrap_or_default();
        // SAFETY: everything from `next` on is initialised.
        unsafe { core::slice::from_raw_parts(rest.as_ptr().cast(), rest.len()) }
    }

    /// Takes the next component off; `None` at the end.
    fn component(&mut self) -> Option<&CStr> {
        let slashes = self.rest().iter().take_while(|&&byte| byte == b'/').count();
        self.next += slashes;
        let start = self.next;
        let len = self
            .rest()
            .iter()
            .position(|&byte| byte == b'/' || byte == 0)?;
        if len == 0 {
            return None;
        }
        let end = start + len;
        if let Some(separator) = self.buffer.get_mut(end) {
            separator.write(0);
        }
        // The final NUL stays: it is the end for the next call.
        self.next = if end + 1 == CAPACITY { end } else { end + 1 };
        let name = self.buffer.get(start..=end).unwrap_or_default();
        // SAFETY: initialised, see `rest`.
        let name = unsafe { core::slice::from_raw_parts(name.as_ptr().cast(), name.len()) };
        CStr::from_bytes_until_nul(name).ok()
    }
}

/// Fails when `file` lies in a proc filesystem.
pub fn refuse_procfs(file: BorrowedFd<'_>) -> Result<(), Errno> {
    if rustix::fs::fstatfs(file)?.f_type == PROC_SUPER_MAGIC {
        Err(Errno::NotCapable)
    } else {
        Ok(())
    }
}

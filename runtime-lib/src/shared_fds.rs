//! Descriptors of a guest with several threads: nobody's descriptor is closed under his hands.
//!
//! In: guest descriptor numbers that a host function is about to use. Out: leave to use them, or an errno. A host
//! function looks its descriptor up, with the rights that go with it, and then makes system calls with the host's
//! number. Were the number closed and given to another file in between, it would act on that file with rights that
//! it does not have there. So each call holds its descriptors ([`elfin_hold_descriptors`], made by the compiler's
//! glue before the call, [`elfin_release_descriptors`] behind it), and an entry that is held keeps its number: what
//! closes it puts something useless in its file's place, and the last holder gives the number back. What changes
//! entries does so under one lock and never sleeps there; nothing is ever waited for, however long a read takes.
//!
//! `poll_oneoff` holds nothing: with a wrong number it could tell no more than that some descriptor of the guest is
//! ready.
//!
//! # Safety
//! A number is closed or replaced only while its entry is [`fd_table::BUSY`], by the thread that made it so.
#![allow(unsafe_code, reason = "exports symbols, closes host descriptors")]

use crate::errno::{self, Errno};
use crate::fd_table::{self, BUSY, CAPACITY, CLOSED, OPEN};
use crate::guest::Memory;
use crate::lock::Lock;
use crate::wasi::fd::elfin_wasi_fd_fdstat_set_rights;
use core::sync::atomic::{
    AtomicI32, AtomicU32,
    Ordering::{Acquire, Release, SeqCst},
    fence,
};
use linux_raw_sys::general::__NR_dup3;
#[cfg(any(feature = "freestanding", test))]
use rustix::event::epoll;
#[cfg(any(feature = "freestanding", test))]
use rustix::fd::IntoRawFd;
use rustix::fd::{AsRawFd, RawFd};

/// How many calls hold each entry.
static HOLDERS: [AtomicU32; CAPACITY] = [const { AtomicU32::new(0) }; CAPACITY];

/// For each entry that was closed while it was held: the host's number, and one more, to be given back.
static LEFT: [AtomicI32; CAPACITY] = [const { AtomicI32::new(0) }; CAPACITY];

/// Held while entries are changed.
static CHANGING: Lock = Lock::new();

/// The host's descriptor of something that can be neither read nor written nor looked into.
static USELESS: AtomicI32 = AtomicI32::new(-1);

/// Before there are threads: standard streams become entries like all others.
#[cfg(any(feature = "freestanding", test))]
#[cfg_attr(
    feature = "freestanding",
    unsafe(link_section = ".text.elfin_shared_fds")
)]
pub(crate) fn prepare() {
    for fd in 0..3 {
        if let Ok(stream) = fd_table::get(fd) {
            // SAFETY: without a memory.
            let none = unsafe { Memory::new(core::ptr::null()) };
            elfin_wasi_fd_fdstat_set_rights(none, fd, stream.base, stream.inheriting);
        }
    }
    if let Ok(useless) = epoll::create(epoll::CreateFlags::CLOEXEC) {
        USELESS.store(useless.into_raw_fd(), SeqCst);
    }
}

/// Holds `fd`, and `other` unless it is the same, for a host function that is about to be called. Anything but 0 is
/// the errno that the call is to give: then nothing is held.
#[unsafe(no_mangle)]
#[cfg_attr(
    feature = "freestanding",
    unsafe(link_section = ".text.elfin_shared_fds")
)]
pub extern "C" fn elfin_hold_descriptors(fd: u32, other: u32) -> i32 {
    errno::code(hold(fd).and_then(|()| {
        if other == fd {
            return Ok(());
        }
        hold(other).inspect_err(|_| release(fd))
    }))
}

/// Ends what [`elfin_hold_descriptors`] began.
#[unsafe(no_mangle)]
#[cfg_attr(
    feature = "freestanding",
    unsafe(link_section = ".text.elfin_shared_fds")
)]
pub extern "C" fn elfin_release_descriptors(fd: u32, other: u32) {
    release(fd);
    if other != fd {
        release(other);
    }
}

#[cfg_attr(
    feature = "freestanding",
    unsafe(link_section = ".text.elfin_shared_fds")
)]
fn hold(fd: u32) -> Result<(), Errno> {
    let holders = HOLDERS.get(fd as usize).ok_or(Errno::BadF)?;
    holders.fetch_add(1, SeqCst);
    // Whoever closes first says so in the entry and then looks at the holders: one of the two sees the other.
    fence(SeqCst);
    if fd_table::state(fd).is_some_and(|state| state.load(Acquire) == OPEN) {
        return Ok(());
    }
    release(fd);
    Err(Errno::BadF)
}

#[cfg_attr(
    feature = "freestanding",
    unsafe(link_section = ".text.elfin_shared_fds")
)]
fn release(fd: u32) {
    let (Some(holders), Some(left)) = (HOLDERS.get(fd as usize), LEFT.get(fd as usize)) else {
        return;
    };
    if holders.fetch_sub(1, SeqCst) != 1 || left.load(SeqCst) == 0 {
        return;
    }
    let _changing = CHANGING.acquire();
    if holders.load(SeqCst) == 0 {
        let number = left.swap(0, SeqCst);
        if number != 0 {
            give_back(fd, number - 1);
        }
    }
}

/// Closes the host's number of an entry that nobody holds, and frees the entry.
#[cfg_attr(
    feature = "freestanding",
    unsafe(link_section = ".text.elfin_shared_fds")
)]
fn give_back(fd: u32, number: RawFd) {
    // SAFETY: see the head of the file.
    unsafe { rustix::io::close(number) };
    if let Some(state) = fd_table::state(fd) {
        state.store(CLOSED, Release);
    }
    fd_table::search_from_the_start();
}

/// Makes an open entry busy: nobody finds it open from now on. Whether somebody found it so before and still
/// holds it.
#[cfg_attr(
    feature = "freestanding",
    unsafe(link_section = ".text.elfin_shared_fds")
)]
fn close_entry(fd: u32) -> Result<bool, Errno> {
    let state = fd_table::state(fd).ok_or(Errno::BadF)?;
    state
        .compare_exchange(OPEN, BUSY, SeqCst, SeqCst)
        .map_err(|_| Errno::BadF)?;
    fence(SeqCst);
    Ok(HOLDERS[fd as usize].load(SeqCst) != 0)
}

/// `fd_close`, where other threads may use the descriptor.
#[unsafe(no_mangle)]
#[cfg_attr(
    feature = "freestanding",
    unsafe(link_section = ".text.elfin_shared_fds")
)]
pub extern "C" fn elfin_shared_fd_close(_: Memory, fd: u32) -> i32 {
    errno::code(close(fd))
}

#[cfg_attr(
    feature = "freestanding",
    unsafe(link_section = ".text.elfin_shared_fds")
)]
fn close(fd: u32) -> Result<(), Errno> {
    let _changing = CHANGING.acquire();
    let number = fd_table::get(fd)?.host.as_raw_fd();
    if !close_entry(fd)? {
        give_back(fd, number);
        return Ok(());
    }
    // The file is closed as far as the kernel's own users of it allow; the number stays taken.
    // SAFETY: see the head of the file.
    unsafe {
        crate::arch::syscall5(
            __NR_dup3,
            USELESS.load(SeqCst) as usize,
            number as usize,
            rustix::fs::OFlags::CLOEXEC.bits() as usize,
            0,
            0,
        )
    };
    LEFT[fd as usize].store(number + 1, SeqCst);
    // The last holder may have left before it could see that.
    if HOLDERS[fd as usize].load(SeqCst) == 0 {
        LEFT[fd as usize].store(0, SeqCst);
        give_back(fd, number);
    }
    Ok(())
}

/// `fd_renumber`, where other threads may use the descriptors: then it is refused.
#[unsafe(no_mangle)]
#[cfg_attr(
    feature = "freestanding",
    unsafe(link_section = ".text.elfin_shared_fds")
)]
pub extern "C" fn elfin_shared_fd_renumber(_: Memory, from: u32, to: u32) -> i32 {
    errno::code(renumber(from, to))
}

#[cfg_attr(
    feature = "freestanding",
    unsafe(link_section = ".text.elfin_shared_fds")
)]
fn renumber(from: u32, to: u32) -> Result<(), Errno> {
    let _changing = CHANGING.acquire();
    fd_table::get(from)?;
    let replaced = fd_table::get(to)?.host.as_raw_fd();
    if from == to {
        return Ok(());
    }
    let is_held = |fd: u32| HOLDERS[fd as usize].load(SeqCst) != 0;
    let set = |fd, to| {
        if let Some(state) = fd_table::state(fd) {
            state.store(to, Release);
        }
    };
    // Asked before the entries are closed, so that only a call that begins in this very moment may be told that they
    // are although they stay open.
    let refused = is_held(from) || is_held(to) || [from, to].map(close_entry) != [Ok(false); 2];
    if refused {
        set(from, OPEN);
        set(to, OPEN);
        return Err(Errno::Busy);
    }
    fd_table::overwrite(from, to);
    set(to, OPEN);
    set(from, CLOSED);
    fd_table::search_from_the_start();
    // SAFETY: no entry holds it any more.
    unsafe { rustix::io::close(replaced) };
    Ok(())
}

/// `fd_fdstat_set_rights`, which must not open again what another thread closes.
#[unsafe(no_mangle)]
#[cfg_attr(
    feature = "freestanding",
    unsafe(link_section = ".text.elfin_shared_fds")
)]
pub extern "C" fn elfin_shared_fd_fdstat_set_rights(
    memory: Memory,
    fd: u32,
    base: u64,
    inheriting: u64,
) -> i32 {
    let _changing = CHANGING.acquire();
    elfin_wasi_fd_fdstat_set_rights(memory, fd, base, inheriting)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fd_table::New;
    use std::io::{Read, Write};
    use std::os::fd::OwnedFd;
    use std::thread;

    /// Not standard streams, so that the guest's numbers and the process's are different ones.
    fn insert(host: OwnedFd) -> u32 {
        fd_table::insert(New {
            host,
            base: u64::MAX,
            inheriting: u64::MAX,
            filetype: fd_table::filetype::UNKNOWN,
            grant: 0,
        })
        .expect("room")
    }

    fn number(fd: u32) -> RawFd {
        fd_table::get(fd).expect("open").host.as_raw_fd()
    }

    fn is_open(number: RawFd) -> bool {
        std::fs::read_link(std::format!("/proc/self/fd/{number}")).is_ok()
    }

    const BADF: i32 = Errno::BadF as i32;
    const BUSY: i32 = Errno::Busy as i32;

    fn close(fd: u32) -> i32 {
        // SAFETY: without a memory.
        elfin_shared_fd_close(unsafe { Memory::new(core::ptr::null()) }, fd)
    }

    fn renumber(from: u32, to: u32) -> i32 {
        // SAFETY: without a memory.
        elfin_shared_fd_renumber(unsafe { Memory::new(core::ptr::null()) }, from, to)
    }

    /// One after the other: they look at what numbers the process has.
    #[test]
    fn nobody_closes_what_is_held() {
        prepare();
        what_is_held_keeps_its_number();
        held_entries_are_not_renumbered();
        many_threads_never_meet_a_strange_file();
    }

    fn what_is_held_keeps_its_number() {
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        let fd = insert(writer.into());
        let host = number(fd);
        assert_eq!(elfin_hold_descriptors(fd, fd), 0);
        assert_eq!(elfin_hold_descriptors(fd, fd), 0);
        assert_eq!(close(fd), 0);
        // The file is closed: its reader is told. The number is not free.
        assert_eq!(reader.read(&mut [0]).expect("end"), 0);
        assert!(is_open(host));
        assert_eq!(close(fd), BADF);
        assert_eq!(elfin_hold_descriptors(fd, fd), BADF);
        let other = insert(std::fs::File::open("/dev/null").expect("a file").into());
        assert_ne!(other, fd);
        assert_ne!(number(other), host);
        elfin_release_descriptors(fd, fd);
        assert!(is_open(host));
        elfin_release_descriptors(fd, fd);
        assert!(!is_open(host));
        // Now both numbers are free again.
        let again = insert(std::fs::File::open("/dev/null").expect("a file").into());
        assert_eq!(again, fd);
        assert_eq!((close(again), close(other)), (0, 0));
    }

    fn held_entries_are_not_renumbered() {
        let open = || insert(std::fs::File::open("/dev/null").expect("a file").into());
        let (from, to) = (open(), open());
        let (from_host, to_host) = (number(from), number(to));
        for held in [from, to] {
            assert_eq!(elfin_hold_descriptors(held, held), 0);
            assert_eq!(renumber(from, to), BUSY);
            assert_eq!(renumber(held, held), 0);
            elfin_release_descriptors(held, held);
        }
        assert_eq!((number(from), number(to)), (from_host, to_host));
        assert_eq!(renumber(from, 4000), BADF);
        assert_eq!(renumber(from, to), 0);
        assert_eq!(number(to), from_host);
        assert!(!is_open(to_host));
        assert_eq!(elfin_hold_descriptors(from, to), BADF);
        assert_eq!(HOLDERS[to as usize].load(SeqCst), 0);
        assert_eq!(close(to), 0);
        assert_eq!(elfin_hold_descriptors(u32::MAX, 0), BADF);
    }

    /// Some write to whatever has a number, others close it and open something else: each file is written to by
    /// nobody but those who held its entry as long as it was this file's.
    fn many_threads_never_meet_a_strange_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let precious = folder.path().join("precious");
        std::fs::write(&precious, "untouched").expect("a file");
        let fd = insert(
            std::fs::File::create(folder.path().join("scratch"))
                .expect("a file")
                .into(),
        );
        let stop = core::sync::atomic::AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !stop.load(SeqCst) {
                        if elfin_hold_descriptors(fd, fd) == 0 {
                            // What a host function does: look up, then act on the number.
                            let host = fd_table::host(fd, fd_table::rights::FD_WRITE);
                            thread::yield_now();
                            if let Ok(host) = host {
                                let _ = rustix::io::write(host, b"x");
                            }
                            elfin_release_descriptors(fd, fd);
                        }
                    }
                });
            }
            for _ in 0..2_000 {
                assert_eq!(close(fd), 0);
                // A number of the process's that a writer might still have in hand.
                let mut file = std::fs::OpenOptions::new()
                    .append(true)
                    .open(&precious)
                    .expect("a file");
                file.flush().expect("nothing");
                drop(file);
                // Until the last holder is gone the guest's number is taken.
                loop {
                    let scratch = std::fs::File::create(folder.path().join("scratch"));
                    let new = insert(scratch.expect("a file").into());
                    if new == fd {
                        break;
                    }
                    assert_eq!(close(new), 0);
                }
            }
            stop.store(true, SeqCst);
        });
        assert_eq!(std::fs::read(&precious).expect("a file"), b"untouched");
        assert_eq!(close(fd), 0);
    }
}

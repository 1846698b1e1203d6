//! WASI preview 1: `poll_oneoff`.
//!
//! In: an array of witx `subscription`s. Out: an array of `event`s, at least one, in the order of their
//! subscriptions. There may be any number of subscriptions: what the kernel gets is one entry for each
//! descriptor, so there can't be more of those than the descriptor table has.
//!
//! Waiting survives signals and SIGSTOP: times are kept as deadlines; a sleep is absolute, and after
//! anything else that ends early what is left of the time is computed anew.
//!
//! # Safety
//!
//! `clock_nanosleep` reads one timespec; the entries for `ppoll` are initialised up to the number given.
#![allow(
    unsafe_code,
    reason = "exports symbols; a large array that is not zeroed first"
)]

use super::clock::{self, MONOTONIC, REALTIME, SECOND};
use crate::arch::syscall5;
use crate::errno::{self, Errno};
use crate::fd_table::{self, rights};
use crate::guest::{Event, Memory, Plain, Subscription};
use core::mem::MaybeUninit;
use linux_raw_sys::general::{
    __NR_clock_nanosleep, __NR_ppoll, POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT, TIMER_ABSTIME,
};
use rustix::fd::AsRawFd;
use rustix::io::Errno as Linux;

/// witx `eventtype` of a clock.
pub(super) const CLOCK: u8 = 0;
const FD_READ: u8 = 1;
const FD_WRITE: u8 = 2;

const ABSOLUTE: u16 = 1;
const HANGUP: u16 = 1;

/// No deadline.
const NEVER: u64 = u64::MAX;

/// The kernel's `struct pollfd`.
#[repr(C)]
#[derive(Clone, Copy)]
struct PollFd {
    fd: i32,
    events: i16,
    revents: i16,
}

/// The kernel's `struct timespec`.
#[repr(C)]
struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}

impl Timespec {
    fn new(time: u64) -> Self {
        Self {
            seconds: (time / SECOND) as i64,
            nanoseconds: (time % SECOND) as i64,
        }
    }
}

/// Waits until one of `count` subscriptions comes true.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_wasi_poll_oneoff(
    memory: Memory,
    from: u32,
    to: u32,
    count: u32,
    events: u32,
) -> i32 {
    errno::code(poll_oneoff::<Subscription>(memory, from, to, count, events))
}

/// The call, with subscriptions of one interface or the other.
#[inline]
pub(super) fn poll_oneoff<T: Plain + Into<Subscription>>(
    memory: Memory,
    from: u32,
    to: u32,
    count: u32,
    events: u32,
) -> Result<(), Errno> {
    if count == 0 {
        return Err(Errno::Inval);
    }
    memory.check::<T>(from, count)?;
    memory.check::<Event>(to, count)?;
    memory.check::<u32>(events, 1)?;
    let seen = poll::<T>(memory, from, to, count)?;
    memory.store(events, seen)
}

/// When subscribed clocks strike.
struct Deadlines {
    /// When the call began, by both clocks.
    monotonic: u64,
    realtime: u64,
}

impl Deadlines {
    /// The deadline as monotonic time. An absolute one of the wall clock is taken by what that clock
    /// shows now; who sleeps for nothing else sleeps by the wall clock itself.
    fn of(&self, subscription: &Subscription) -> Result<u64, Errno> {
        let absolute = match subscription.flags {
            0 => false,
            ABSOLUTE => true,
            _ => return Err(Errno::Inval),
        };
        match subscription.id {
            MONOTONIC if absolute => Ok(subscription.timeout),
            REALTIME if absolute => Ok(self
                .monotonic
                .saturating_add(subscription.timeout.saturating_sub(self.realtime))),
            MONOTONIC | REALTIME => Ok(self.monotonic.saturating_add(subscription.timeout)),
            2 | 3 => Err(Errno::NotSup),
            _ => Err(Errno::Inval),
        }
    }
}

fn poll<T: Plain + Into<Subscription>>(
    memory: Memory,
    from: u32,
    to: u32,
    count: u32,
) -> Result<u32, Errno> {
    let start = Deadlines {
        monotonic: clock::now(MONOTONIC)?,
        realtime: clock::now(REALTIME)?,
    };
    let mut room = [MaybeUninit::<PollFd>::uninit(); fd_table::CAPACITY];
    let mut used = 0;
    let mut deadline = NEVER;
    let mut sleeps_only = true;
    let mut wall = None;

    for index in 0..count {
        let subscription: Subscription = memory.load_nth::<T>(from, index)?.into();
        match subscription.tag {
            CLOCK => {
                // An event that tells of an error is due at once.
                deadline = deadline.min(start.of(&subscription).unwrap_or(0));
                if count == 1 && subscription.id == REALTIME && subscription.flags == ABSOLUTE {
                    wall = Some(subscription.timeout);
                }
            }
            FD_READ | FD_WRITE => {
                sleeps_only = false;
                match subscribed(&subscription) {
                    Ok((host, interest)) => {
                        // Entries are found by the guest's number; those between stay empty.
                        let slot = subscription.id as usize;
                        while used <= slot {
                            let Some(entry) = room.get_mut(used) else {
                                break;
                            };
                            entry.write(PollFd {
                                fd: -1,
                                events: 0,
                                revents: 0,
                            });
                            used += 1;
                        }
                        if let Some(entry) = initialised(&mut room, used).get_mut(slot) {
                            entry.fd = host;
                            entry.events |= interest;
                        }
                    }
                    Err(_) => deadline = 0,
                }
            }
            _ => return Err(Errno::Inval),
        }
    }

    loop {
        let fds = initialised(&mut room, used);
        if sleeps_only {
            match wall {
                Some(time) => sleep(REALTIME, time)?,
                None => sleep(MONOTONIC, deadline)?,
            }
        } else {
            wait(fds, deadline)?;
        }
        let now = clock::now(MONOTONIC)?;
        let mut seen = 0;
        for index in 0..count {
            let subscription: Subscription = memory.load_nth::<T>(from, index)?.into();
            let mut event = Event {
                userdata: subscription.userdata,
                error: 0,
                tag: subscription.tag,
                pad0: [0; 5],
                nbytes: 0,
                flags: 0,
                pad1: [0; 6],
            };
            let outcome = match subscription.tag {
                // The sleep by the wall clock is over, whatever the other clock says.
                CLOCK if wall.is_some() => Ok(true),
                CLOCK => start.of(&subscription).map(|deadline| deadline <= now),
                _ => subscribed(&subscription).and_then(|(host, interest)| {
                    let revents = fds
                        .get(subscription.id as usize)
                        .map_or(0, |entry| entry.revents);
                    ready(&mut event, host, interest, revents)
                }),
            };
            match outcome {
                Ok(false) => continue,
                Ok(true) => {}
                Err(error) => event.error = error as u16,
            }
            // Safe even if the arrays are the same: events are shorter and never ahead.
            memory.store_nth(to, seen, event)?;
            seen += 1;
        }
        if seen > 0 {
            return Ok(seen);
        }
    }
}

fn initialised(room: &mut [MaybeUninit<PollFd>; fd_table::CAPACITY], used: usize) -> &mut [PollFd] {
    let room = room.get_mut(..used).unwrap_or_default();
    // SAFETY: entries below `used` were written.
    unsafe { core::slice::from_raw_parts_mut(room.as_mut_ptr().cast(), room.len()) }
}

/// Host descriptor and what to wait for.
fn subscribed(subscription: &Subscription) -> Result<(i32, i16), Errno> {
    let (right, interest) = match subscription.tag {
        FD_READ => (rights::FD_READ, POLLIN),
        _ => (rights::FD_WRITE, POLLOUT),
    };
    let host = fd_table::host(subscription.id, right | rights::POLL_FD_READWRITE)?;
    Ok((host.as_raw_fd(), interest as i16))
}

/// Whether a descriptor is ready, and its event. Two subscriptions of one descriptor share an entry: a
/// broken or closed one is ready for both.
fn ready(event: &mut Event, host: i32, interest: i16, revents: i16) -> Result<bool, Errno> {
    let revents = u32::from(revents as u16);
    if revents & POLLNVAL != 0 {
        return Err(Errno::BadF);
    }
    if revents & (interest as u32 | POLLERR | POLLHUP) == 0 {
        return Ok(false);
    }
    if revents & POLLHUP != 0 {
        event.flags = HANGUP;
    }
    if revents & interest as u32 != 0 && event.tag == FD_READ {
        // SAFETY: an open descriptor of the table, used here only.
        let host = unsafe { rustix::fd::BorrowedFd::borrow_raw(host) };
        // What can be read but not counted has something to say (a listening socket, an event counter).
        event.nbytes = rustix::io::ioctl_fionread(host).unwrap_or(1);
    } else if revents & POLLERR != 0 {
        return Err(Errno::Io);
    }
    Ok(true)
}

/// Sleeps until `deadline`.
fn sleep(clock: u32, deadline: u64) -> Result<(), Errno> {
    // A deadline of the monotonic clock that never comes is far enough for the kernel, too.
    let time = Timespec::new(deadline);
    loop {
        // SAFETY: reads one timespec.
        let result = unsafe {
            syscall5(
                __NR_clock_nanosleep,
                clock as usize,
                TIMER_ABSTIME as usize,
                (&raw const time).expose_provenance(),
                0,
                0,
            )
        };
        match result {
            0 => return Ok(()),
            _ if is(result, Linux::INTR) => {}
            _ => {
                return Err(Errno::from(Linux::from_raw_os_error(
                    result.wrapping_neg() as i32
                )));
            }
        }
    }
}

/// Waits for descriptors until `deadline`.
fn wait(fds: &mut [PollFd], deadline: u64) -> Result<(), Errno> {
    loop {
        let left = if deadline == 0 {
            0
        } else {
            deadline.saturating_sub(clock::now(MONOTONIC)?)
        };
        let mut time = Timespec::new(left);
        let time = if deadline == NEVER {
            0
        } else {
            (&raw mut time).expose_provenance()
        };
        // SAFETY: `fds` is an array of the kernel's records, the time is a timespec or null; both may
        // be written to.
        let result = unsafe {
            syscall5(
                __NR_ppoll,
                fds.as_mut_ptr().expose_provenance(),
                fds.len(),
                time,
                0,
                0,
            )
        };
        match result {
            0.. => return Ok(()),
            _ if is(result, Linux::INTR) => {}
            _ => {
                return Err(Errno::from(Linux::from_raw_os_error(
                    result.wrapping_neg() as i32
                )));
            }
        }
    }
}

fn is(result: isize, error: Linux) -> bool {
    result.wrapping_neg() == error.raw_os_error() as isize
}

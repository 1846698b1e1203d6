//! `memory.atomic.wait` and `memory.atomic.notify` (threads proposal): queues of threads that wait at an address.
//!
//! In: addresses that generated code has checked. Out: sleeping and woken threads. The kernel's futex compares 32
//! bits and knows of no 64; so a thread compares under the lock of its address's queue, and sleeps on a word of its
//! own. Whoever notifies takes waiters out of the queue in the order in which they came.
//!
//! Queues are shared by addresses with the same hash. Their number does not matter for what is right.
//!
//! # Safety
//! A waiter's record is on its own stack. It is linked, read and unlinked under the queue's lock; a thread leaves
//! its record only when it was unlinked: by itself after its time was over, or by a notifier, which says so with
//! its last access to the record ([`Waiter::woken`]). Generated code passes addresses inside a memory, which stays
//! mapped.
#![allow(
    unsafe_code,
    reason = "links records on several stacks, reads guest memory"
)]

use crate::lock::Lock;
use crate::wasi::clock;
use core::ptr::null_mut;
use core::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release, SeqCst},
    fence,
};
use rustix::io::Errno;
use rustix::thread::futex;

/// Results of waiting.
const WOKEN: u32 = 0;
const NOT_EQUAL: u32 = 1;
const TIMED_OUT: u32 = 2;

const QUEUES: usize = 64;

/// Threads that wait at some addresses. A queue for itself in a cache line.
#[repr(align(64))]
struct Queue {
    lock: Lock,
    /// How many are linked, or about to look at their value: who sees none here has none to wake.
    waiting: AtomicU32,
    first: AtomicPtr<Waiter>,
    last: AtomicPtr<Waiter>,
}

/// A thread that waits.
struct Waiter {
    address: usize,
    /// 1 when a notifier is done with the record; the thread sleeps on it.
    woken: AtomicU32,
    linked: AtomicBool,
    next: AtomicPtr<Waiter>,
    previous: AtomicPtr<Waiter>,
}

static TABLE: [Queue; QUEUES] = [const {
    Queue {
        lock: Lock::new(),
        waiting: AtomicU32::new(0),
        first: AtomicPtr::new(null_mut()),
        last: AtomicPtr::new(null_mut()),
    }
}; QUEUES];

fn queue(address: usize) -> &'static Queue {
    // Multiplicative hashing: neighbours go to different queues.
    let hash = (address as u64 >> 2).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    &TABLE[(hash >> (64 - QUEUES.trailing_zeros())) as usize]
}

impl Queue {
    /// Appends a record.
    ///
    /// # Safety
    /// The lock is held, and the record stays where it is until it is unlinked.
    unsafe fn link(&self, waiter: &Waiter) {
        let record = core::ptr::from_ref(waiter).cast_mut();
        let last = self.last.load(Relaxed);
        waiter.previous.store(last, Relaxed);
        if last.is_null() {
            self.first.store(record, Relaxed);
        } else {
            // SAFETY: linked records are alive.
            unsafe { (*last).next.store(record, Relaxed) };
        }
        self.last.store(record, Relaxed);
        waiter.linked.store(true, Relaxed);
    }

    /// Takes a record out.
    ///
    /// # Safety
    /// The lock is held, and the record is linked.
    unsafe fn unlink(&self, waiter: &Waiter) {
        let (previous, next) = (waiter.previous.load(Relaxed), waiter.next.load(Relaxed));
        // SAFETY: linked records are alive.
        unsafe {
            match previous.as_ref() {
                Some(previous) => previous.next.store(next, Relaxed),
                None => self.first.store(next, Relaxed),
            }
            match next.as_ref() {
                Some(next) => next.previous.store(previous, Relaxed),
                None => self.last.store(previous, Relaxed),
            }
        }
        waiter.linked.store(false, Relaxed);
        self.waiting.fetch_sub(1, SeqCst);
    }
}

/// Sleeps until somebody notifies `address`, unless `is_expected` is false, or until `timeout` nanoseconds are over.
fn wait(address: usize, is_expected: &dyn Fn() -> bool, timeout: i64) -> u32 {
    let queue = queue(address);
    let deadline = u64::try_from(timeout).ok().map(|timeout| {
        // Where there is no clock, no time passes.
        let end = clock::now(clock::MONOTONIC)
            .unwrap_or(0)
            .saturating_add(timeout);
        futex::Timespec {
            tv_sec: (end / clock::SECOND) as i64,
            tv_nsec: (end % clock::SECOND) as _,
        }
    });
    let waiter = Waiter {
        address,
        woken: AtomicU32::new(0),
        linked: AtomicBool::new(false),
        next: AtomicPtr::new(null_mut()),
        previous: AtomicPtr::new(null_mut()),
    };
    {
        let _held = queue.lock.acquire();
        // First this, then the value: a notifier has written the value before it looks here.
        queue.waiting.fetch_add(1, SeqCst);
        let early = if !is_expected() {
            Some(NOT_EQUAL)
        } else if timeout == 0 {
            Some(TIMED_OUT)
        } else {
            None
        };
        if let Some(result) = early {
            queue.waiting.fetch_sub(1, SeqCst);
            return result;
        }
        // SAFETY: under the lock; this function does not end while the record is linked.
        unsafe { queue.link(&waiter) };
    }
    let mut deadline = deadline.as_ref();
    loop {
        // A deadline, not a duration: a signal does not make the wait longer.
        let result = futex::wait_bitset(
            &waiter.woken,
            futex::Flags::PRIVATE,
            0,
            deadline,
            core::num::NonZeroU32::MAX,
        );
        if waiter.woken.load(Acquire) != 0 {
            return WOKEN;
        }
        if result == Err(Errno::TIMEDOUT) {
            let _held = queue.lock.acquire();
            if waiter.linked.load(Relaxed) {
                // SAFETY: under the lock, linked.
                unsafe { queue.unlink(&waiter) };
                return TIMED_OUT;
            }
            // A notifier has it already, and will be done with it soon.
            deadline = None;
        }
    }
}

/// `memory.atomic.wait32`: see [`elfin_abi::host::Libcall::MemoryWait32`].
///
/// # Safety
/// `address` is aligned and inside a shared memory.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn elfin_memory_wait32(
    address: *const u32,
    expected: u32,
    timeout: i64,
) -> u32 {
    // SAFETY: by contract.
    let word = unsafe { AtomicU32::from_ptr(address.cast_mut()) };
    wait(
        address.expose_provenance(),
        &|| word.load(SeqCst) == expected,
        timeout,
    )
}

/// `memory.atomic.wait64`: see [`elfin_abi::host::Libcall::MemoryWait64`].
///
/// # Safety
/// As [`elfin_memory_wait32`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn elfin_memory_wait64(
    address: *const u64,
    expected: u64,
    timeout: i64,
) -> u32 {
    // SAFETY: by contract.
    let word = unsafe { AtomicU64::from_ptr(address.cast_mut()) };
    wait(
        address.expose_provenance(),
        &|| word.load(SeqCst) == expected,
        timeout,
    )
}

/// `memory.atomic.notify`: wakes at most `count` threads that wait at `address`, and says how many.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_memory_notify(address: *const u32, count: u32) -> u32 {
    let address = address.expose_provenance();
    let queue = queue(address);
    // What the guest wrote before comes first, however it wrote it.
    fence(SeqCst);
    if count == 0 || queue.waiting.load(SeqCst) == 0 {
        return 0;
    }
    let (mut first, mut last): (*mut Waiter, *mut Waiter) = (null_mut(), null_mut());
    let mut woken = 0;
    {
        let _held = queue.lock.acquire();
        let mut at = queue.first.load(Relaxed);
        while woken < count && !at.is_null() {
            // SAFETY: under the lock linked records are alive, and so are those that were unlinked here, for their
            // threads are not told yet.
            let waiter = unsafe { &*at };
            let record = at;
            at = waiter.next.load(Relaxed);
            if waiter.address != address {
                continue;
            }
            // SAFETY: as above.
            unsafe {
                queue.unlink(waiter);
                waiter.next.store(null_mut(), Relaxed);
                match last.as_ref() {
                    Some(last) => last.next.store(record, Relaxed),
                    None => first = record,
                }
            }
            last = record;
            woken += 1;
        }
    }
    // SAFETY: as above, until the thread is told.
    while let Some(waiter) = unsafe { first.as_ref() } {
        first = waiter.next.load(Relaxed);
        let word = &raw const waiter.woken;
        waiter.woken.store(1, Release);
        // From here on the record may be gone: the kernel is given an address, which need not be mapped any more.
        // SAFETY: nothing is read or written through the reference.
        let _ = futex::wake(unsafe { &*word }, futex::Flags::PRIVATE, 1);
    }
    woken
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;
    use std::time::{Duration, Instant};
    use std::vec::Vec;

    fn wait32(word: &AtomicU32, expected: u32, timeout: i64) -> u32 {
        // SAFETY: an aligned word that outlives the call.
        unsafe { elfin_memory_wait32(word.as_ptr(), expected, timeout) }
    }

    fn notify(word: &AtomicU32, count: u32) -> u32 {
        elfin_memory_notify(word.as_ptr(), count)
    }

    #[test]
    fn values_and_times() {
        let word = AtomicU32::new(7);
        assert_eq!(wait32(&word, 8, -1), NOT_EQUAL);
        assert_eq!(wait32(&word, 7, 0), TIMED_OUT);
        let start = Instant::now();
        assert_eq!(wait32(&word, 7, 20_000_000), TIMED_OUT);
        assert!(start.elapsed() >= Duration::from_millis(20));
        assert_eq!(notify(&word, u32::MAX), 0);
        assert_eq!(queue(word.as_ptr().addr()).waiting.load(SeqCst), 0);
    }

    #[test]
    fn all_64_bits_are_compared() {
        let word = AtomicU64::new(1 << 32);
        let wait = |expected| {
            // SAFETY: an aligned word that outlives the call.
            unsafe { elfin_memory_wait64(word.as_ptr(), expected, 1_000_000) }
        };
        assert_eq!(wait(0), NOT_EQUAL);
        assert_eq!(wait(1), NOT_EQUAL);
        assert_eq!(wait(1 << 32), TIMED_OUT);
    }

    #[test]
    fn those_who_came_first_are_woken_first() {
        let word = AtomicU32::new(0);
        let order = std::sync::Mutex::new(Vec::new());
        thread::scope(|scope| {
            for number in 0..4 {
                let (word, order) = (&word, &order);
                let queue = queue(word.as_ptr().addr());
                scope.spawn(move || {
                    assert_eq!(wait32(word, 0, -1), WOKEN);
                    order.lock().expect("order").push(number);
                });
                while queue.waiting.load(SeqCst) <= number {
                    thread::yield_now();
                }
                // The count comes before the link, both under the lock.
                let _held = queue.lock.acquire();
            }
            for number in 0..2 {
                assert_eq!(notify(&word, 1), 1);
                while order.lock().expect("order").len() <= number {
                    thread::yield_now();
                }
            }
            assert_eq!(notify(&word, 0), 0);
            assert_eq!(notify(&word, u32::MAX), 2);
        });
        let order = order.into_inner().expect("order");
        assert_eq!(order[..2], [0, 1]);
    }

    #[test]
    fn no_wake_up_is_lost_between_time_and_notification() {
        // Short times and notifications at once: the sum of those who say that they were woken is the sum of those
        // whom the notifiers count.
        let word = AtomicU32::new(0);
        let (woken, counted) = (AtomicU32::new(0), AtomicU32::new(0));
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        if wait32(&word, 0, 2_000) == WOKEN {
                            woken.fetch_add(1, SeqCst);
                        }
                    }
                });
            }
            scope.spawn(|| {
                for _ in 0..20_000 {
                    counted.fetch_add(notify(&word, 2), SeqCst);
                }
            });
        });
        assert_eq!(woken.into_inner(), counted.into_inner());
    }
}

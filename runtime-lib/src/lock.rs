//! A lock for the runtime's own state, for programs with several threads: a word, and the kernel's futex where
//! somebody has to wait.
//!
//! In: threads. Out: one of them at a time. Only what threads need takes locks, so that other programs hold none of
//! this.

use core::sync::atomic::{
    AtomicU32,
    Ordering::{Acquire, Relaxed, Release},
};
use rustix::thread::futex;

const FREE: u32 = 0;
const HELD: u32 = 1;
/// Held, and somebody sleeps until it is free.
const CONTENDED: u32 = 2;

/// How often a thread looks again before it sleeps: what is done under a lock is short.
const SPINS: u32 = 100;

/// The lock.
#[derive(Debug)]
pub struct Lock(AtomicU32);

/// The lock, held until this is dropped.
#[derive(Debug)]
pub struct Held<'a>(&'a Lock);

impl Lock {
    /// A free lock.
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicU32::new(FREE))
    }

    /// Waits until the lock is free and takes it.
    #[must_use]
    pub fn acquire(&self) -> Held<'_> {
        let free = self.0.compare_exchange(FREE, HELD, Acquire, Relaxed);
        if free.is_err() {
            self.acquire_slowly();
        }
        Held(self)
    }

    #[cold]
    fn acquire_slowly(&self) {
        let mut left = SPINS;
        while left > 0 && self.0.load(Relaxed) == HELD {
            core::hint::spin_loop();
            left -= 1;
        }
        // From here on it is taken as contended: nobody knows who else sleeps.
        while self.0.swap(CONTENDED, Acquire) != FREE {
            // Woken, interrupted or changed meanwhile: look again.
            let _ = futex::wait(&self.0, futex::Flags::PRIVATE, CONTENDED, None);
        }
    }
}

impl Default for Lock {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if self.0.0.swap(FREE, Release) == CONTENDED {
            let _ = futex::wake(&self.0.0, futex::Flags::PRIVATE, 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::cell::UnsafeCell;
    use std::sync::Arc;
    use std::thread;

    #[test]
    #[allow(unsafe_code, reason = "a counter that only the lock protects")]
    fn one_at_a_time() {
        struct Shared(Lock, UnsafeCell<u64>);
        // SAFETY: the counter is used under the lock only, which is what is tested.
        unsafe impl Sync for Shared {}
        let shared = Arc::new(Shared(Lock::new(), UnsafeCell::new(0)));
        let threads: [_; 4] = core::array::from_fn(|_| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                for _ in 0..20_000 {
                    let _held = shared.0.acquire();
                    // SAFETY: as above.
                    unsafe { *shared.1.get() += 1 };
                }
            })
        });
        for thread in threads {
            thread.join().expect("a thread");
        }
        let _held = shared.0.acquire();
        // SAFETY: as above.
        assert_eq!(unsafe { *shared.1.get() }, 80_000);
    }
}

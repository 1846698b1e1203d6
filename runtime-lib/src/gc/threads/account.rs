//! What the heaps of all threads share: which parts of their address space are taken, and how much they hold.
//!
//! In: a thread. Out: the account, for one thread at a time.
#![allow(unsafe_code, reason = "a lock protects what is shared")]

use crate::gc::regions::Regions;
use crate::lock::{Held, Lock};
use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};

/// What the heaps of all threads share.
#[derive(Debug)]
pub struct Heaps {
    lock: Lock,
    account: UnsafeCell<Account>,
}

// SAFETY: the account is used under the lock.
unsafe impl Sync for Heaps {}

#[derive(Debug)]
pub(super) struct Account {
    pub(super) regions: Regions,
    /// Bytes that heaps may fill, taken together.
    pub(super) held: u64,
    /// Threads that have a heap.
    pub(super) heaps: u64,
}

impl Heaps {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            lock: Lock::new(),
            account: UnsafeCell::new(Account {
                regions: Regions::new(),
                held: 0,
                heaps: 0,
            }),
        }
    }

    /// Waits for the lock.
    #[inline(always)]
    pub(super) fn lock(&self) -> Locked<'_> {
        Locked {
            _held: self.lock.acquire(),
            account: &self.account,
        }
    }
}

impl Default for Heaps {
    fn default() -> Self {
        Self::new()
    }
}

/// The account, under its lock.
pub(super) struct Locked<'a> {
    _held: Held<'a>,
    account: &'a UnsafeCell<Account>,
}

impl Deref for Locked<'_> {
    type Target = Account;

    #[inline(always)]
    fn deref(&self) -> &Account {
        // SAFETY: under the lock.
        unsafe { &*self.account.get() }
    }
}

impl DerefMut for Locked<'_> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut Account {
        // SAFETY: under the lock, which is held once.
        unsafe { &mut *self.account.get() }
    }
}

//! How much room a heap gets: for what lives, and until its next collection.
//!
//! In: a heap, and what it needs. Out: the region to move to, and how far the heap may fill it. Here is decided what a
//! thread takes of what all of them together may hold.
#![allow(unsafe_code, reason = "gives regions back that nobody uses")]

use super::window::{Region, Window, allow};
use crate::gc::regions::GRANULE;
use elfin_abi::gc::ThreadHeap;

/// How much a thread may allocate before its first collection …
const FIRST: u64 = 256 << 10;
/// … and between any two later ones if that is not less than it holds: it doubles from one to the next up to this.
const ROOM: u64 = 4 << 20;
/// Beside an eighth of what lives, a collection should make so much room, however little is left for all.
const LEAST: u64 = 16 << 10;
/// At the end of a region, left free: what is asked for at a collection then has room in another one of the same size.
pub(super) const SLACK: u64 = GRANULE;
/// An old region of more bytes is given back at once.
const KEPT: u64 = 16 << 20;
/// So much more address space than it needs a heap may keep.
const UNUSED: u64 = 1 << 20;

/// Whether a region has room for what is asked for.
pub(super) enum Fit {
    Yes,
    /// Another, longer one might have.
    TooShort,
    /// All heaps together would hold too much.
    TooMuch,
}

/// Takes the spare region out of a heap's record.
#[inline(always)]
pub(super) fn take_spare(heap: &mut ThreadHeap) -> Region {
    let spare = Region {
        base: heap.spare,
        len: heap.spare_region,
    };
    (heap.spare, heap.spare_region) = (0, 0);
    spare
}

impl Window<'_> {
    /// Where to move what lives of `used` bytes, with room for `bytes` more if that can be had.
    #[cfg_attr(
        feature = "freestanding",
        unsafe(link_section = ".text.elfin_thread_gc")
    )]
    pub(super) fn region_for(
        &self,
        heap: &mut ThreadHeap,
        used: u64,
        bytes: u64,
    ) -> Option<Region> {
        let most = used.saturating_add(bytes);
        let spare = take_spare(heap);
        if spare.len != 0 && spare.len >= most {
            return Some(spare);
        }
        // SAFETY: nothing is in it.
        unsafe { self.give_back(spare) };
        let mut found = None;
        if self.program.stress == 0 {
            let room = (2 * used)
                .max(2 * heap.counted)
                .clamp(FIRST, used.max(ROOM));
            let ample = most.saturating_add(room).saturating_add(SLACK);
            found = self.take(ample.min(self.program.max.saturating_add(SLACK)).max(most));
        }
        found
            .or_else(|| self.take(most))
            .or_else(|| self.take(used))
    }

    /// Goes over to a region that holds `live` bytes of objects; `work` bytes were looked through. If it fits, there is
    /// room for `bytes` bytes behind them.
    ///
    /// # Safety
    /// All that lives is in that region.
    #[cfg_attr(
        feature = "freestanding",
        unsafe(link_section = ".text.elfin_thread_gc")
    )]
    pub(super) unsafe fn switch(
        &self,
        heap: &mut ThreadHeap,
        mut to: Region,
        live: u64,
        work: u64,
        bytes: u64,
    ) -> Fit {
        let stress = self.program.stress != 0;
        let old = Region {
            base: heap.base,
            len: heap.region,
        };
        let needed = live.saturating_add(bytes);
        // What a collection looks through it does once for twice as much that is allocated.
        let room = if stress {
            0
        } else {
            (2 * work).max((2 * heap.counted).clamp(FIRST, ROOM))
        };
        let share = self.share(heap, to, live, needed, room);
        let mut fit = share.fit;
        // SAFETY: the region behind was free until now, and nothing is in it.
        unsafe {
            if share.behind.len != 0 {
                if allow(share.behind) {
                    to.len += share.behind.len;
                } else {
                    self.give_back(share.behind);
                    if needed > to.len {
                        fit = Fit::TooShort;
                    }
                }
            }
            let wanted = (share.counted + SLACK).next_multiple_of(GRANULE);
            if !stress && wanted + if share.is_crowded { 0 } else { UNUSED } < to.len {
                self.give_back(Region {
                    base: to.base + wanted,
                    len: to.len - wanted,
                });
                to.len = wanted;
            }
        }
        let mut limit = share
            .counted
            .min(needed.max(to.len.saturating_sub(SLACK)))
            .min(to.len);
        let spare_room = old.len.saturating_sub(SLACK);
        if !stress
            && !share.is_crowded
            && !share.is_short
            && old.len <= KEPT
            && spare_room >= live + (limit - live) / 2
            && matches!(fit, Fit::Yes)
        {
            (heap.spare, heap.spare_region) = (old.base, old.len);
            limit = limit.min(spare_room.max(needed));
        } else {
            // SAFETY: by contract.
            unsafe { self.give_back(old) };
        }
        heap.base = to.base;
        heap.region = to.len;
        heap.counted = share.counted;
        heap.heap.next = to.base + live;
        heap.heap.limit = if stress {
            heap.heap.next
        } else {
            to.base + limit
        };
        fit
    }

    /// What a heap gets of what all may hold: `needed` bytes and at best `room` more, of which `live` are in `to`
    /// already.
    #[inline(always)]
    fn share(&self, heap: &ThreadHeap, to: Region, live: u64, needed: u64, room: u64) -> Share {
        let mut account = self.account();
        if heap.region == 0 {
            account.heaps += 1;
        }
        let others = account.held - heap.counted;
        let allowed = self.program.max.saturating_sub(others);
        let mut share = Share {
            fit: Fit::TooMuch,
            counted: live,
            behind: Region::default(),
            is_short: false,
            is_crowded: false,
        };
        if needed <= allowed {
            // Nobody takes the room of all that may come, unless it would be too little to be worth a collection.
            let left = allowed - needed;
            let own = (left / account.heaps).max(live / 8 + LEAST).min(left);
            let wanted = needed + room.min(own);
            if wanted > to.len {
                let at = self.position(to.base + to.len);
                let granules = (wanted - to.len).div_ceil(GRANULE);
                if account.regions.take_at(self.total(), at, granules) {
                    share.behind = Region {
                        base: to.base + to.len,
                        len: granules * GRANULE,
                    };
                }
            }
            let len = to.len + share.behind.len;
            share.fit = Fit::TooShort;
            if needed <= len {
                share.counted = wanted.min(len);
                share.is_short = share.counted < wanted;
                share.fit = Fit::Yes;
            }
        }
        account.held = others + share.counted;
        share.is_crowded = account.regions.count() > self.total() / 2;
        share
    }
}

/// What a heap gets.
struct Share {
    fit: Fit,
    /// Bytes that it may fill.
    counted: u64,
    /// Taken right behind its region, without access yet.
    behind: Region,
    /// Neither is there as much room as there should be, nor can there be where the region is.
    is_short: bool,
    /// More than half of the address space is taken.
    is_crowded: bool,
}

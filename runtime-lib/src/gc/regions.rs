//! Which parts of the heaps' address space are taken, for programs with threads.
//!
//! In: a number of granules. Out: where so many free ones follow each other, the first such place. Somebody else sees to
//! it that one thread at a time asks, and maps what it was given.

/// Bytes of a granule: regions begin and end on multiples of it.
pub const GRANULE: u64 = crate::memory::LARGEST_PAGE;

/// Granules below 4 GiB, where references can lead.
const MOST: u64 = elfin_abi::gc::END / GRANULE;

/// A bit for each granule: whether it is taken.
#[derive(Debug)]
pub struct Regions {
    taken: [u64; (MOST / 64) as usize],
    /// How many are.
    count: u64,
}

impl Default for Regions {
    fn default() -> Self {
        Self::new()
    }
}

impl Regions {
    /// All free.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            taken: [0; (MOST / 64) as usize],
            count: 0,
        }
    }

    /// Granules that are taken.
    #[must_use]
    #[inline(always)]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Takes `granules`, at least one, of the first `total`. Where they begin.
    #[cfg_attr(
        feature = "freestanding",
        unsafe(link_section = ".text.elfin_thread_gc")
    )]
    pub fn take(&mut self, total: u64, granules: u64) -> Option<u64> {
        let mut at = 0;
        loop {
            at = self.next(at, total, false);
            if granules > total - at {
                return None;
            }
            let end = self.next(at, total, true);
            if end - at >= granules {
                self.set(at, granules, true);
                return Some(at);
            }
            at = end;
        }
    }

    /// Takes `granules` from `at` on if they are free, of the first `total`.
    #[cfg_attr(
        feature = "freestanding",
        unsafe(link_section = ".text.elfin_thread_gc")
    )]
    pub fn take_at(&mut self, total: u64, at: u64, granules: u64) -> bool {
        let is_free = granules <= total - at && self.next(at, total, true) - at >= granules;
        if is_free {
            self.set(at, granules, true);
        }
        is_free
    }

    /// Gives `granules` back from `at` on, which were taken.
    #[cfg_attr(
        feature = "freestanding",
        unsafe(link_section = ".text.elfin_thread_gc")
    )]
    pub fn give_back(&mut self, at: u64, granules: u64) {
        self.set(at, granules, false);
    }

    /// The first granule from `at` on that is taken, or that is not; `total` if there is none.
    #[cfg_attr(
        feature = "freestanding",
        unsafe(link_section = ".text.elfin_thread_gc")
    )]
    fn next(&self, at: u64, total: u64, taken: bool) -> u64 {
        let mut at = at;
        while at < total {
            let word = self.taken[(at / 64) as usize] ^ if taken { 0 } else { u64::MAX };
            let mut ahead = word >> (at % 64);
            if ahead != 0 {
                // Bit by bit: counting zeros is a table of constants where there is no instruction for it.
                while ahead & 1 == 0 {
                    ahead >>= 1;
                    at += 1;
                }
                return at.min(total);
            }
            at = (at / 64 + 1) * 64;
        }
        total
    }

    #[cfg_attr(
        feature = "freestanding",
        unsafe(link_section = ".text.elfin_thread_gc")
    )]
    fn set(&mut self, at: u64, granules: u64, taken: bool) {
        let (mut at, end) = (at, at + granules);
        if taken {
            self.count += granules;
        } else {
            self.count -= granules;
        }
        while at < end {
            let first = at % 64;
            let bits = (end - at).min(64 - first);
            let mask = (u64::MAX >> (64 - bits)) << first;
            let word = &mut self.taken[(at / 64) as usize];
            debug_assert_eq!(*word & mask, if taken { 0 } else { mask });
            *word = if taken { *word | mask } else { *word & !mask };
            at += bits;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::boxed::Box;
    use std::vec::Vec;

    #[test]
    fn the_first_gap_that_is_large_enough() {
        let mut regions = Box::new(Regions::new());
        assert_eq!(regions.take(1000, 3), Some(0));
        assert_eq!(regions.take(1000, 200), Some(3));
        assert_eq!(regions.take(1000, 1), Some(203));
        regions.give_back(3, 200);
        assert_eq!(regions.take(1000, 201), Some(204));
        assert_eq!(regions.take(1000, 100), Some(3));
        assert_eq!(regions.take(1000, 100), Some(103));
        assert_eq!(regions.take(1000, 596), None);
        assert_eq!(regions.take(1000, 595), Some(405));
        assert_eq!(regions.take(1000, 1), None);
        assert_eq!(regions.count(), 1000);
    }

    #[test]
    fn a_region_becomes_longer_where_there_is_room() {
        let mut regions = Box::new(Regions::new());
        assert_eq!(regions.take(130, 60), Some(0));
        assert!(regions.take_at(130, 60, 10));
        assert!(!regions.take_at(130, 60, 1));
        assert_eq!(regions.take(130, 1), Some(70));
        assert!(!regions.take_at(130, 69, 3));
        assert!(!regions.take_at(130, 71, 60));
        assert!(regions.take_at(130, 71, 59));
        assert!(!regions.take_at(130, 130, 1));
        assert_eq!(regions.count(), 130);
    }

    /// Against a list of what is taken.
    #[test]
    fn no_granule_is_taken_twice_and_none_is_lost() {
        const TOTAL: u64 = 500;
        let mut regions = Box::new(Regions::new());
        let mut held: Vec<(u64, u64)> = Vec::new();
        let mut state = 7_u64;
        for _ in 0..20_000 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let random = state >> 33;
            if random.is_multiple_of(2) && !held.is_empty() {
                let (at, granules) = held.swap_remove((random / 2) as usize % held.len());
                regions.give_back(at, granules);
            } else {
                let granules = 1 + random / 2 % 70;
                let mut sorted = held.clone();
                sorted.sort_unstable();
                sorted.push((TOTAL, 0));
                let mut free = 0;
                let mut expected = None;
                for (at, len) in sorted {
                    if expected.is_none() && at - free >= granules {
                        expected = Some(free);
                    }
                    free = at + len;
                }
                assert_eq!(regions.take(TOTAL, granules), expected);
                held.extend(expected.map(|at| (at, granules)));
            }
            let sum: u64 = held.iter().map(|(_, granules)| granules).sum();
            assert_eq!(regions.count(), sum);
        }
    }
}

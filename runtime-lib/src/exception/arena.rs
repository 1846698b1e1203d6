//! Where exceptions live.
//!
//! In: a size. Out: room for an exception. What no global, no table, no frame and no other exception refers to any
//! more is given back, so that a program may throw for ever.
//!
//! The arena is a run of granules, its used part growing from its start. An exception stays where it is. Room is
//! taken from the front of a gap between two exceptions; behind the last gap everything that is still referred to
//! is marked, and the search for gaps begins anew. References are recognised by their value: a word that is the
//! address of an exception may refer to it, whatever else it may be. The first [`BITS_SIZE`] bytes are two bits for
//! each granule: whether an exception begins there, and whether it is marked.
//!
//! # Safety
//! An arena belongs to one thread. Bits of starts are set for exceptions and for nothing else, so that each has a
//! complete header.
#![allow(unsafe_code, reason = "manages raw memory, reads the stack")]

use core::ptr::null_mut;
use elfin_abi::exception::{ARENA_SIZE, Exception, Roots};
use elfin_abi::state::TableDescriptor;

const GRANULE: u64 = Exception::GRANULE as u64;
/// Bytes of both sets of bits.
const BITS_SIZE: u64 = ARENA_SIZE / GRANULE / 8 * 2;
/// How much is used before the first collection: little enough to stay in a cache.
const FIRST_USE: u64 = 128 << 10;

/// Where exceptions live.
#[derive(Debug)]
pub struct Arena {
    /// Address of the whole; 0 before it is set up.
    base: u64,
    /// Room that can be taken at once: from here …
    next: u64,
    /// … to here.
    end: u64,
    /// End of the part that is used.
    used: u64,
    /// Bytes that were marked last time.
    live: u64,
    /// Marked exceptions whose references were not followed yet, linked.
    pending: *mut Exception,
}

/// What may refer to exceptions besides exceptions.
#[derive(Clone, Copy, Debug)]
pub struct References<'a> {
    /// The stack, from an address on that was told …
    pub stack_end: u64,
    /// … globals and tables …
    pub roots: &'a [Roots],
    /// … so many bytes from where the program has them: a thread's own.
    pub distance: u64,
}

impl Arena {
    /// An arena at `base`, a multiple of the granule, where there are [`ARENA_SIZE`] bytes of zero; at 0, one that
    /// must not be used.
    #[must_use]
    pub const fn new(base: u64) -> Self {
        let start = base + BITS_SIZE;
        Self {
            base,
            next: start,
            end: start + FIRST_USE,
            used: start + FIRST_USE,
            live: 0,
            pending: null_mut(),
        }
    }

    /// Room for an exception of `size` bytes, a multiple of the granule, its header written.
    #[inline(always)]
    pub fn take(
        &mut self,
        tag: u32,
        size: u64,
        collect: impl FnOnce(&mut Self),
    ) -> Option<*mut Exception> {
        self.take_or(tag, size, |arena, size| arena.refill(size, collect))
    }

    /// As [`Arena::take`]; `refill` finds a gap of that size behind the current one, or behind a collection.
    #[inline(always)]
    fn take_or(
        &mut self,
        tag: u32,
        size: u64,
        refill: impl FnOnce(&mut Self, u64) -> bool,
    ) -> Option<*mut Exception> {
        if self.end - self.next < size && !refill(self, size) {
            return None;
        }
        let at = self.next;
        self.next += size;
        let exception = at as *mut Exception;
        let (word, bit) = self.start_bit(at);
        // SAFETY: a gap of the arena.
        unsafe {
            *word |= bit;
            exception.write(Exception {
                tag,
                granules: (size / GRANULE) as u32,
                link: 0,
            });
        }
        Some(exception)
    }

    /// Finds a gap of at least `size` bytes.
    #[inline(never)]
    #[cfg_attr(feature = "freestanding", unsafe(link_section = ".text.elfin_arena"))]
    fn refill(&mut self, size: u64, collect: impl FnOnce(&mut Self)) -> bool {
        if self.find_gap(size) {
            return true;
        }
        collect(self);
        self.begin_anew(size)
    }

    /// Looks for a gap of at least `size` bytes after a collection.
    #[inline(always)]
    fn begin_anew(&mut self, size: u64) -> bool {
        (self.next, self.end) = (self.base + BITS_SIZE, self.base + BITS_SIZE);
        // A collection must be worth its while: at least half of what is used should be free after it.
        let wanted = BITS_SIZE + 2 * self.live + size;
        if self.used - self.base < wanted {
            self.used = self.base + wanted.next_power_of_two().min(ARENA_SIZE);
        }
        self.find_gap(size)
    }

    /// Goes on from the current gap to the next one that is large enough.
    #[cfg_attr(
        feature = "freestanding",
        unsafe(link_section = ".text.elfin_arena_gaps")
    )]
    fn find_gap(&mut self, size: u64) -> bool {
        let mut at = self.end;
        while at < self.used {
            let next = self.next_start(at);
            if next - at >= size {
                (self.next, self.end) = (at, next);
                return true;
            }
            at = next;
            if at < self.used {
                // SAFETY: an exception begins here.
                at += unsafe { u64::from((*(at as *const Exception)).granules) } * GRANULE;
            }
        }
        (self.next, self.end) = (self.used, self.used);
        false
    }

    /// Where the first exception from `at` on begins, or the end of what is used.
    #[cfg_attr(
        feature = "freestanding",
        unsafe(link_section = ".text.elfin_arena_gaps")
    )]
    fn next_start(&self, at: u64) -> u64 {
        let mut at = at;
        while at < self.used {
            let (word, bit) = self.start_bit(at);
            // SAFETY: bits of the arena.
            let ahead = unsafe { *word } & !(bit - 1);
            let word_start = (at - self.base) / GRANULE / 64 * 64;
            if ahead != 0 {
                let found = self.base + (word_start + u64::from(ahead.trailing_zeros())) * GRANULE;
                return found.min(self.used);
            }
            at = self.base + (word_start + 64) * GRANULE;
        }
        self.used
    }

    /// The bit that tells whether an exception begins at an address.
    #[cfg_attr(feature = "freestanding", unsafe(link_section = ".text.elfin_arena"))]
    fn start_bit(&self, at: u64) -> (*mut u64, u64) {
        let granule = (at - self.base) / GRANULE;
        let word = (self.base as *mut u64).wrapping_add((granule / 64) as usize);
        (word, 1 << (granule % 64))
    }

    /// The bit that tells whether the exception there is marked.
    #[cfg_attr(feature = "freestanding", unsafe(link_section = ".text.elfin_arena"))]
    fn mark_bit(&self, at: u64) -> (*mut u64, u64) {
        let (word, bit) = self.start_bit(at);
        (word.wrapping_add((BITS_SIZE / 2 / 8) as usize), bit)
    }

    /// Marks what `word` refers to.
    #[cfg_attr(feature = "freestanding", unsafe(link_section = ".text.elfin_arena"))]
    fn mark(&mut self, word: u64) {
        if word.wrapping_sub(self.base) >= self.used - self.base || !word.is_multiple_of(GRANULE) {
            return;
        }
        let (start, bit) = self.start_bit(word);
        let (mark, _) = self.mark_bit(word);
        // SAFETY: bits of the arena; where a start is set there is an exception.
        unsafe {
            if *start & bit == 0 || *mark & bit != 0 {
                return;
            }
            *mark |= bit;
            let exception = word as *mut Exception;
            (*exception).link = self.pending as u64;
            self.pending = exception;
            self.live += u64::from((*exception).granules) * GRANULE;
        }
    }

    /// Gives back what nothing refers to.
    ///
    /// # Safety
    /// From `stack` on, an aligned address, to the end of the stack everything can be read; so can the roots.
    #[inline(always)]
    pub unsafe fn collect(&mut self, stack: *const u64, references: &References<'_>) {
        self.live = 0;
        // SAFETY: by contract; bits and exceptions of the arena.
        unsafe {
            let words = ((self.used - self.base) / GRANULE).div_ceil(64) as usize;
            let starts = self.base as *mut u64;
            let marks = starts.add((BITS_SIZE / 2 / 8) as usize);
            for word in 0..words {
                marks.add(word).write(0);
            }
            let count = references.stack_end.saturating_sub(stack as u64) / 8;
            self.mark_words(stack, count);
            for roots in references.roots {
                let address = roots.address.wrapping_add(references.distance);
                if roots.words == Roots::TABLE {
                    let table = address as *const TableDescriptor;
                    self.mark_words((*table).base as *const u64, (*table).len);
                } else {
                    self.mark_words(address as *const u64, roots.words);
                }
            }
            while !self.pending.is_null() {
                let exception = self.pending;
                self.pending = (*exception).link as *mut Exception;
                let words =
                    (u64::from((*exception).granules) * GRANULE - u64::from(Exception::SIZE)) / 8;
                self.mark_words(exception.add(1).cast(), words);
            }
            for word in 0..words {
                starts.add(word).write(marks.add(word).read());
            }
        }
    }

    /// # Safety
    /// There are so many words.
    #[cfg_attr(
        feature = "freestanding",
        unsafe(link_section = ".text.elfin_arena_marks")
    )]
    unsafe fn mark_words(&mut self, first: *const u64, count: u64) {
        for index in 0..count as usize {
            // SAFETY: by contract. Others' frames may be changing; a word is read whole.
            let word = unsafe { first.add(index).read_volatile() };
            self.mark(word);
        }
    }
}

#[cfg(feature = "freestanding")]
pub mod threads;

#[cfg(feature = "freestanding")]
mod program {
    use super::{Arena, References};
    use crate::exception::tables;
    use crate::{arch, memory, start};
    use core::cell::UnsafeCell;
    use core::mem::MaybeUninit;
    use elfin_abi::exception::{ARENA_SIZE, Exception, Roots};
    use rustix::mm::ProtFlags;

    struct Shared(UnsafeCell<MaybeUninit<Arena>>);
    // SAFETY: one thread throws.
    unsafe impl Sync for Shared {}
    // Zero until it is set up: nothing of it is in the file.
    #[unsafe(link_section = ".bss.elfin_arena")]
    static ARENA: Shared = Shared(UnsafeCell::new(MaybeUninit::zeroed()));

    /// Maps the arena.
    #[unsafe(no_mangle)]
    #[cfg_attr(feature = "freestanding", unsafe(link_section = ".text.elfin_arena"))]
    pub extern "C" fn elfin_setup_exceptions() {
        let base = tables().header().arena;
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the compiler has kept the range free; nothing was thrown yet.
        unsafe {
            let end = base + ARENA_SIZE;
            if let Err(error) = memory::claim(base, end, access, memory::Commit::Later) {
                start::fail_to_reserve(ARENA_SIZE, "exceptions", error, "");
            }
            (*ARENA.0.get()).write(Arena::new(base));
        }
    }

    /// A new exception.
    ///
    /// # Safety
    /// Called by generated code, as `elfin_abi::host::Libcall::NewException` says.
    #[unsafe(no_mangle)]
    #[cfg_attr(feature = "freestanding", unsafe(link_section = ".text.elfin_arena"))]
    pub unsafe extern "C" fn elfin_new_exception(tag: u64, size: u64) -> *mut Exception {
        // SAFETY: one thread throws, and nothing here throws. It was set up, and zero would be an arena too.
        let arena = unsafe { (*ARENA.0.get()).assume_init_mut() };
        // SAFETY: the collector reads the stack of the guest, on which this runs.
        let collect = |arena: &mut Arena| unsafe {
            arch::with_registers_saved(collect, core::ptr::from_mut(arena).cast());
        };
        match arena.take(tag as u32, size, collect) {
            Some(exception) => exception,
            None => fail("no room for an exception: 64 MiB of them are kept"),
        }
    }

    #[cfg_attr(feature = "freestanding", unsafe(link_section = ".text.elfin_arena"))]
    extern "C" fn collect(arena: *mut u8, stack: *const u64) {
        let header = tables().header();
        let program = crate::program::program().header();
        // On any other stack nothing would be found, and what is in use would be given back.
        if (stack as u64).wrapping_sub(program.stack_base) > program.stack_size {
            fail("exceptions are thrown on a stack that is not the guest's first");
        }
        // SAFETY: the arena that was passed on; the stack is mapped to its end, and the roots are the compiler's.
        unsafe {
            let roots: &[Roots] = match header.root_count {
                0 => &[],
                count => core::slice::from_raw_parts(header.roots as *const Roots, count as usize),
            };
            let references = References {
                stack_end: program.stack_base + program.stack_size,
                roots,
                distance: 0,
            };
            (*arena.cast::<Arena>()).collect(stack, &references);
        }
    }

    /// Ends the process.
    #[cold]
    #[cfg_attr(
        feature = "freestanding",
        unsafe(link_section = ".text.elfin_arena_fail")
    )]
    pub(super) fn fail(why: &str) -> ! {
        let mut message = crate::message::Message::new("elfin: error: ");
        message.text(why);
        message.byte(b'\n');
        message.send();
        start::exit(crate::trap::EXIT_STATUS)
    }
}

#[cfg(feature = "freestanding")]
pub use program::{elfin_new_exception, elfin_setup_exceptions};

#[cfg(test)]
mod tests {
    use super::*;
    use std::alloc::{Layout, alloc_zeroed, dealloc};
    use std::vec;
    use std::vec::Vec;

    /// An arena in memory of its own.
    struct Own(Arena, Layout);

    impl Own {
        fn new() -> Self {
            let layout = Layout::from_size_align(ARENA_SIZE as usize, 4096).expect("a layout");
            // SAFETY: not empty.
            let base = unsafe { alloc_zeroed(layout) };
            assert!(!base.is_null());
            Self(Arena::new(base as u64), layout)
        }

        /// Takes room; `kept` are the only references.
        fn take(&mut self, tag: u32, size: u64, kept: &[u64]) -> Option<u64> {
            let taken = self.0.take(tag, size, |arena| {
                let roots = [Roots {
                    address: kept.as_ptr() as u64,
                    words: kept.len() as u64,
                }];
                let references = References {
                    stack_end: 0,
                    roots: &roots,
                    distance: 0,
                };
                // SAFETY: an empty stack, and the words that are kept.
                unsafe { arena.collect(core::ptr::dangling(), &references) };
            })?;
            // What is carried, in a shape that the test knows again.
            for word in 2..size / 8 {
                // SAFETY: its own room.
                unsafe {
                    taken
                        .cast::<u64>()
                        .add(word as usize)
                        .write(u64::from(tag) << 32 | word)
                };
            }
            Some(taken as u64)
        }

        fn is_whole(at: u64, tag: u32, size: u64) -> bool {
            // SAFETY: taken by the test.
            unsafe {
                let header = &*(at as *const Exception);
                header.tag == tag
                    && u64::from(header.granules) == size / GRANULE
                    && (2..size / 8).all(|word| {
                        *(at as *const u64).add(word as usize) == u64::from(tag) << 32 | word
                    })
            }
        }
    }

    impl Drop for Own {
        fn drop(&mut self) {
            // SAFETY: allocated so.
            unsafe { dealloc(self.0.base as *mut u8, self.1) };
        }
    }

    #[test]
    fn what_nobody_keeps_is_used_again() {
        let mut own = Own::new();
        let mut addresses = Vec::new();
        for tag in 0..20_000 {
            addresses.push(own.take(tag, 32, &[]).expect("room"));
        }
        addresses.sort_unstable();
        addresses.dedup();
        let room = (FIRST_USE / 32) as usize;
        assert!(addresses.len() <= room, "{} of {room}", addresses.len());
    }

    #[test]
    fn what_is_kept_stays_whole() {
        let mut own = Own::new();
        let mut kept = vec![0_u64; 512];
        let mut sizes = vec![0_u64; 512];
        let mut tags = vec![0_u32; 512];
        let mut state = 1_u64;
        for tag in 1..40_000_u32 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let random = state >> 33;
            let size = 32 + random % 20 * 16;
            let at = own.take(tag, size, &kept).expect("room");
            assert!(!kept.contains(&at));
            if random.is_multiple_of(7) {
                let slot = (random / 7 % 512) as usize;
                (kept[slot], sizes[slot], tags[slot]) = (at, size, tag);
            }
            if tag % 10_000 == 0 {
                for slot in 0..512 {
                    assert!(kept[slot] == 0 || Own::is_whole(kept[slot], tags[slot], sizes[slot]));
                }
            }
        }
    }

    #[test]
    fn what_exceptions_carry_is_kept_as_well() {
        let mut own = Own::new();
        // A chain: each carries the one before.
        let mut head = own.take(0, 32, &[]).expect("room");
        for tag in 1..1000 {
            let next = own.take(tag, 32, &[head]).expect("room");
            // SAFETY: its own room.
            unsafe { *(next as *mut u64).add(2) = head };
            head = next;
        }
        for _ in 0..20_000 {
            own.take(7, 48, &[head]).expect("room");
        }
        let mut tag = 999;
        while tag > 0 {
            // SAFETY: kept by the head.
            unsafe {
                assert_eq!((*(head as *const Exception)).tag, tag);
                head = *(head as *const u64).add(2);
            }
            tag -= 1;
        }
    }

    #[test]
    fn tables_are_references() {
        let mut own = Own::new();
        let entry = own.take(5, 32, &[]).expect("room");
        let entries = [0, entry];
        let mut table = TableDescriptor {
            base: entries.as_ptr() as u64,
            len: 2,
            max: 2,
            mapped: 2,
        };
        let collect = |own: &mut Own, table: &TableDescriptor| {
            let roots = [Roots {
                address: core::ptr::from_ref(table) as u64,
                words: Roots::TABLE,
            }];
            let references = References {
                stack_end: 0,
                roots: &roots,
                distance: 0,
            };
            // SAFETY: an empty stack and this table.
            unsafe { own.0.collect(core::ptr::dangling(), &references) };
        };
        collect(&mut own, &table);
        assert_eq!(own.0.live, 32);
        table.len = 1;
        collect(&mut own, &table);
        assert_eq!(own.0.live, 0);
    }

    #[test]
    fn it_grows_and_has_an_end() {
        let mut own = Own::new();
        let mut kept = Vec::new();
        while let Some(at) = own.take(1, 64 << 10, &kept) {
            kept.push(at);
        }
        let room = (ARENA_SIZE - BITS_SIZE) >> 16;
        assert!(kept.len() as u64 >= room - 1, "{} of {room}", kept.len());
        kept.truncate(10);
        assert!(own.take(1, 64 << 10, &kept).is_some());
    }

    #[test]
    fn a_word_that_is_no_address_of_an_exception_refers_to_none() {
        let mut own = Own::new();
        let at = own.take(1, 64, &[]).expect("room");
        for word in [
            0,
            1,
            at + 1,
            at + 8,
            at + 16,
            at - 16,
            own.0.base,
            own.0.used,
            u64::MAX,
        ] {
            own.0.mark(word);
            assert_eq!(own.0.live, 0, "{word:#x}");
        }
        own.0.mark(at);
        own.0.mark(at);
        assert_eq!(own.0.live, 64);
    }
}

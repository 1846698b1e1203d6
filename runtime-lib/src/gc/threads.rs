//! A heap for each thread of a program with threads.
//!
//! In: the compiler's account of the program, and a thread that needs room. Out: room for objects of that thread, which
//! nobody else knows: no thread waits for another's collection. What they share is the address space below 4 GiB, of
//! which each heap takes a region; a collection moves what lives to another region and gives the old one back, or keeps
//! it for the next time where it is small. All heaps together hold no more than the program's most.
//!
//! # Safety
//! See [`super`], and: a thread's record and its regions are used by this thread only, the shared account under its lock.
#![allow(unsafe_code, reason = "maps regions at fixed addresses, moves objects")]

use super::collect::Collector;
use super::regions::{GRANULE, Regions};
use super::roots;
use crate::lock::{Held, Lock};
use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use elfin_abi::gc::{Program, ThreadHeap};
use elfin_abi::program::ProgramHeader;
use linux_raw_sys::general::{__NR_madvise, __NR_mprotect, __NR_nanosleep, MADV_DONTNEED};

/// How much a thread may allocate before its first collection …
const FIRST: u64 = 256 << 10;
/// … and between any two later ones if that is not less than it holds: it doubles from one to the next up to this.
const ROOM: u64 = 4 << 20;
/// Beside an eighth of what lives, a collection should make so much room, however little is left for all.
const LEAST: u64 = 16 << 10;
/// At the end of a region, left free: what is asked for at a collection then has room in another one of the same size.
const SLACK: u64 = GRANULE;
/// An old region of more bytes is given back at once.
const KEPT: u64 = 16 << 20;
/// So much more address space than it needs a heap may keep.
const UNUSED: u64 = 1 << 20;
/// How often a thread waits for others to give room back, the first time for a millisecond, then for twice as long as
/// before: a second in all.
const WAITS: u32 = 10;

/// What the heaps of all threads share.
#[derive(Debug)]
pub struct Heaps {
    lock: Lock,
    account: UnsafeCell<Account>,
}

// SAFETY: the account is used under the lock.
unsafe impl Sync for Heaps {}

#[derive(Debug)]
struct Account {
    regions: Regions,
    /// Bytes that heaps may fill, taken together.
    held: u64,
    /// Threads that have a heap.
    heaps: u64,
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
}

impl Default for Heaps {
    fn default() -> Self {
        Self::new()
    }
}

/// The account, under its lock.
struct Locked<'a> {
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

/// A part of the address space, in whole granules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Region {
    base: u64,
    len: u64,
}

/// The address space that heaps share.
#[derive(Clone, Copy, Debug)]
pub struct Window<'a> {
    /// The program.
    pub program: &'a Program,
    /// What is taken.
    pub heaps: &'a Heaps,
}

/// Where a thread is.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The program's header.
    pub header: &'a ProgramHeader,
    /// How far the thread's own state is from the first thread's.
    pub distance: u64,
    /// Frame pointer and …
    pub fp: u64,
    /// … return address of the call that asks for room.
    pub return_address: u64,
}

/// Room for `bytes` bytes, after a collection: their address, or 0.
///
/// # Safety
/// See the head of the file; the heap is that of the thread at `place`, which calls this.
#[cfg_attr(
    feature = "freestanding",
    unsafe(link_section = ".text.elfin_thread_gc")
)]
pub unsafe fn allocate(
    window: &Window<'_>,
    heap: &mut ThreadHeap,
    place: &Place<'_>,
    bytes: u64,
) -> u64 {
    // What a guest takes for the end of another thread comes before the end of that thread's heap: where there is no
    // room, there may be some soon.
    let mut waits = 0;
    loop {
        let was_alone = window.is_alone(heap);
        // SAFETY: by contract.
        let room = unsafe { collect(window, heap, place, bytes) };
        if room != 0 || !window.wait(heap, was_alone, &mut waits) {
            return room;
        }
    }
}

/// As [`allocate`], with what room there is now.
///
/// # Safety
/// See [`allocate`].
#[cfg_attr(
    feature = "freestanding",
    unsafe(link_section = ".text.elfin_thread_gc")
)]
unsafe fn collect(
    window: &Window<'_>,
    heap: &mut ThreadHeap,
    place: &Place<'_>,
    bytes: u64,
) -> u64 {
    // At most twice: where there is no room for everything and what is asked for, as if all of it lived, what lives is
    // moved together first.
    for _ in 0..2 {
        let used = heap.heap.next - heap.base;
        let Some(to) = window.region_for(heap, used, bytes) else {
            return 0;
        };
        let mut collector = Collector::new(window.program, to.base);
        // SAFETY: by contract; at most, everything lives.
        let (live, stack) = unsafe {
            let stack = visit_roots(window.program, place, &mut collector);
            collector.scan(to.base);
            (collector.free() - to.base, stack)
        };
        // SAFETY: nothing refers to the old region any more.
        match unsafe { window.switch(heap, to, live, live.max(stack), bytes) } {
            Fit::Yes => return heap.heap.next,
            Fit::TooShort => {}
            Fit::TooMuch => return 0,
        }
    }
    0
}

/// Takes away a heap whose thread ends.
///
/// # Safety
/// Nobody uses its objects any more.
#[cfg_attr(
    feature = "freestanding",
    unsafe(link_section = ".text.elfin_thread_gc")
)]
pub unsafe fn end(window: &Window<'_>, heap: &mut ThreadHeap) {
    if heap.region == 0 {
        return;
    }
    // SAFETY: by contract.
    unsafe {
        window.give_back(heap.spare());
        window.give_back(Region {
            base: heap.base,
            len: heap.region,
        });
    }
    let mut account = window.account();
    account.held -= heap.counted;
    account.heaps -= 1;
}

/// Whether a region has room for what is asked for.
enum Fit {
    Yes,
    /// Another, longer one might have.
    TooShort,
    /// All heaps together would hold too much.
    TooMuch,
}

trait Spare {
    fn spare(&mut self) -> Region;
}

impl Spare for ThreadHeap {
    /// Takes the spare region out of the record.
    #[inline(always)]
    fn spare(&mut self) -> Region {
        let spare = Region {
            base: self.spare,
            len: self.spare_region,
        };
        (self.spare, self.spare_region) = (0, 0);
        spare
    }
}

impl Window<'_> {
    #[inline(always)]
    fn account(&self) -> Locked<'_> {
        Locked {
            _held: self.heaps.lock.acquire(),
            account: &self.heaps.account,
        }
    }

    /// Granules of the whole.
    #[inline(always)]
    fn total(&self) -> u64 {
        2 * self.program.half / GRANULE
    }

    #[inline(always)]
    fn position(&self, address: u64) -> u64 {
        (address - self.program.base) / GRANULE
    }

    /// Takes the address range, without access.
    ///
    /// # Errors
    /// The kernel's.
    ///
    /// # Safety
    /// Called once, at boot.
    #[cfg(feature = "freestanding")]
    #[inline(always)]
    unsafe fn claim(&self) -> Result<(), rustix::io::Errno> {
        let end = self.program.base + 2 * self.program.half;
        let later = crate::memory::Commit::Later;
        let access = rustix::mm::ProtFlags::empty();
        // SAFETY: by contract.
        unsafe { crate::memory::claim(self.program.base, end, access, later) }
    }

    /// A region of at least `bytes` bytes, readable and writable.
    #[cfg_attr(
        feature = "freestanding",
        unsafe(link_section = ".text.elfin_thread_gc")
    )]
    fn take(&self, bytes: u64) -> Option<Region> {
        let granules = bytes.div_ceil(GRANULE).max(1);
        let at = {
            let mut account = self.account();
            account.regions.take(self.total(), granules)?
        };
        let region = Region {
            base: self.program.base + at * GRANULE,
            len: granules * GRANULE,
        };
        // SAFETY: it was free until now.
        if unsafe { allow(region) } {
            return Some(region);
        }
        let mut account = self.account();
        account.regions.give_back(at, granules);
        None
    }

    /// # Safety
    /// Nobody uses the region any more.
    #[cfg_attr(
        feature = "freestanding",
        unsafe(link_section = ".text.elfin_thread_gc")
    )]
    unsafe fn give_back(&self, region: Region) {
        if region.len == 0 {
            return;
        }
        // SAFETY: by contract; first, so that whoever takes it next finds it without access.
        unsafe { forbid(region) };
        let mut account = self.account();
        let at = self.position(region.base);
        account.regions.give_back(at, region.len / GRANULE);
    }

    /// Bytes that heaps may fill, granules that are taken, and heaps.
    #[inline(always)]
    fn taken(&self) -> [u64; 3] {
        let account = self.account();
        [account.held, account.regions.count(), account.heaps]
    }

    /// Whether no other thread has a heap.
    #[inline(always)]
    fn is_alone(&self, heap: &ThreadHeap) -> bool {
        self.taken()[2] <= u64::from(heap.region != 0)
    }

    /// Waits until other threads have given something back, or until it waited [`WAITS`] times, which `waits` counts.
    /// Whether it is worth while to look for room again; `was_alone` before it was looked for.
    #[cfg_attr(
        feature = "freestanding",
        unsafe(link_section = ".text.elfin_thread_gc")
    )]
    fn wait(&self, heap: &ThreadHeap, was_alone: bool, waits: &mut u32) -> bool {
        if self.is_alone(heap) {
            // The last of the others may have ended meanwhile.
            return !was_alone;
        }
        let before = self.taken();
        while *waits < WAITS {
            sleep(1 << *waits);
            *waits += 1;
            let now = self.taken();
            // What was given back while this thread looked for room is seen at the last.
            if *waits == WAITS || (0..3).any(|of| now[of] < before[of]) {
                return true;
            }
        }
        false
    }

    /// Where to move what lives of `used` bytes, with room for `bytes` more if that can be had.
    #[cfg_attr(
        feature = "freestanding",
        unsafe(link_section = ".text.elfin_thread_gc")
    )]
    fn region_for(&self, heap: &mut ThreadHeap, used: u64, bytes: u64) -> Option<Region> {
        let most = used.saturating_add(bytes);
        let spare = heap.spare();
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
    unsafe fn switch(
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
        let mut more = Region::default();
        let (mut fit, is_crowded);
        // Neither is there as much room as there should be, nor can there be where the region is.
        let mut is_short = false;
        let mut counted = live;
        {
            let mut account = self.account();
            if old.len == 0 {
                account.heaps += 1;
            }
            let others = account.held - heap.counted;
            let allowed = self.program.max.saturating_sub(others);
            fit = Fit::TooMuch;
            if needed <= allowed {
                // Nobody takes the room of all that may come, unless it would be too little to be worth a collection.
                let left = allowed - needed;
                let share = (left / account.heaps).max(live / 8 + LEAST).min(left);
                let wanted = needed + room.min(share);
                if wanted > to.len {
                    let at = self.position(to.base + to.len);
                    let granules = (wanted - to.len).div_ceil(GRANULE);
                    if account.regions.take_at(self.total(), at, granules) {
                        more = Region {
                            base: to.base + to.len,
                            len: granules * GRANULE,
                        };
                    }
                }
                let len = to.len + more.len;
                fit = Fit::TooShort;
                if needed <= len {
                    counted = wanted.min(len);
                    is_short = counted < wanted;
                    fit = Fit::Yes;
                }
            }
            account.held = others + counted;
            is_crowded = account.regions.count() > self.total() / 2;
        }
        // SAFETY: the region behind was free until now, and nothing is in it.
        unsafe {
            if more.len != 0 {
                if allow(more) {
                    to.len += more.len;
                } else {
                    self.give_back(more);
                    if needed > to.len {
                        fit = Fit::TooShort;
                    }
                }
            }
            let wanted = (counted + SLACK).next_multiple_of(GRANULE);
            if !stress && wanted + if is_crowded { 0 } else { UNUSED } < to.len {
                self.give_back(Region {
                    base: to.base + wanted,
                    len: to.len - wanted,
                });
                to.len = wanted;
            }
        }
        let mut limit = counted
            .min(needed.max(to.len.saturating_sub(SLACK)))
            .min(to.len);
        let spare_room = old.len.saturating_sub(SLACK);
        if !stress
            && !is_crowded
            && !is_short
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
        heap.counted = counted;
        heap.heap.next = to.base + live;
        heap.heap.limit = if stress {
            heap.heap.next
        } else {
            to.base + limit
        };
        fit
    }
}

/// As [`roots::visit`], in a thread's own state.
///
/// # Safety
/// See the head of the file.
#[inline(always)]
unsafe fn visit_roots(program: &Program, place: &Place<'_>, collector: &mut Collector<'_>) -> u64 {
    // SAFETY: by contract.
    unsafe {
        let words = program.words as *const u64;
        for index in 0..program.word_count as usize {
            let word = (*words.add(index)).wrapping_add(place.distance);
            collector.visit(word as *mut u64);
        }
        let lists = program.lists as *const u64;
        for index in 0..program.list_count as usize {
            let list = (*lists.add(index)).wrapping_add(place.distance);
            let [base, count] = *(list as *const [u64; 2]);
            for word in 0..count as usize {
                collector.visit((base as *mut u64).add(word));
            }
        }
        roots::frames(
            program,
            place.header,
            place.fp,
            place.return_address,
            collector,
        )
    }
}

/// Makes a region readable and writable.
///
/// # Safety
/// The region is the caller's own.
#[inline(always)]
unsafe fn allow(region: Region) -> bool {
    const READ_AND_WRITE: usize = 3;
    // SAFETY: by contract.
    unsafe { call(__NR_mprotect, region, READ_AND_WRITE) }
}

/// Gives the pages of a region back to the kernel, and forbids access to it. What fails leaves the pages there.
///
/// # Safety
/// Nobody uses the region any more.
#[cfg_attr(
    feature = "freestanding",
    unsafe(link_section = ".text.elfin_thread_gc")
)]
unsafe fn forbid(region: Region) {
    // SAFETY: by contract.
    unsafe {
        call(__NR_madvise, region, MADV_DONTNEED as usize);
        call(__NR_mprotect, region, 0);
    }
}

/// Waits for less than a thousand milliseconds.
#[cfg_attr(
    feature = "freestanding",
    unsafe(link_section = ".text.elfin_thread_gc")
)]
fn sleep(milliseconds: u64) {
    let time = [0, milliseconds * 1_000_000];
    // SAFETY: reads one timespec: seconds and nanoseconds.
    unsafe { crate::arch::syscall5(__NR_nanosleep, time.as_ptr() as usize, 0, 0, 0, 0) };
}

/// A system call for a region.
///
/// # Safety
/// That of the call.
#[cfg_attr(
    feature = "freestanding",
    unsafe(link_section = ".text.elfin_thread_gc")
)]
unsafe fn call(number: u32, region: Region, how: usize) -> bool {
    let (base, len) = (region.base as usize, region.len as usize);
    // SAFETY: by contract.
    unsafe { crate::arch::syscall5(number, base, len, how, 0, 0) == 0 }
}

#[cfg(feature = "freestanding")]
mod entry {
    use super::{Heaps, Place, Window};
    use crate::threads;
    use elfin_abi::gc::{Program, ThreadHeap};

    #[unsafe(link_section = ".bss.elfin_thread_gc")]
    static HEAPS: Heaps = Heaps::new();

    #[inline(always)]
    fn window(program: &Program) -> Window<'_> {
        Window {
            program,
            heaps: &HEAPS,
        }
    }

    /// Takes the address space of all heaps; ends the process when it can't be had.
    ///
    /// # Safety
    /// Called once, before any object is made, with the program's own record.
    #[unsafe(link_section = ".text.elfin_thread_gc")]
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn elfin_thread_gc_set_up(program: *const Program) {
        // SAFETY: by contract.
        let program = unsafe { &*program };
        // SAFETY: boot; nothing else knows of the range.
        if let Err(error) = unsafe { window(program).claim() } {
            crate::start::fail_to_reserve(
                2 * program.half,
                "the garbage-collected heap",
                error,
                "",
            );
        }
    }

    /// The address of `bytes` bytes for an object, or 0. Entered through `elfin_thread_gc_allocate` of the arch file,
    /// which adds the frame pointer and the return address.
    ///
    /// # Safety
    /// Called by generated code; the last two are its own.
    #[unsafe(link_section = ".text.elfin_thread_gc")]
    pub unsafe extern "C" fn allocate_in_thread(
        program: *const Program,
        bytes: u64,
        fp: u64,
        return_address: u64,
    ) -> u64 {
        let distance = threads::state_distance(threads::current());
        // SAFETY: by contract; the calling thread's own heap.
        unsafe {
            let program = &*program;
            let heap = &mut *((program.heap + distance) as *mut ThreadHeap);
            if let Some(room) = heap.heap.room(bytes) {
                return room;
            }
            let place = Place {
                header: crate::program::program().header(),
                distance,
                fp,
                return_address,
            };
            super::allocate(&window(program), heap, &place, bytes)
        }
    }

    /// Gives back what the calling thread's heap took; the thread makes no more objects.
    ///
    /// # Safety
    /// Called by generated code, with the program's own record.
    #[unsafe(link_section = ".text.elfin_thread_gc")]
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn elfin_thread_gc_end(program: *const Program) {
        let distance = threads::state_distance(threads::current());
        // SAFETY: by contract.
        unsafe {
            let program = &*program;
            let heap = &mut *((program.heap + distance) as *mut ThreadHeap);
            super::end(&window(program), heap);
        }
    }
}

#[cfg(feature = "freestanding")]
pub use entry::{allocate_in_thread, elfin_thread_gc_end, elfin_thread_gc_set_up};

#[cfg(test)]
mod tests;

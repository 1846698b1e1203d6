//! A heap for each thread of a program with threads.
//!
//! In: the compiler's account of the program, and a thread that needs room. Out: room for objects of that thread, which
//! nobody else knows: no thread waits for another's collection. What they share is the address space below 4 GiB, of
//! which each heap takes a region; a collection moves what lives to another region and gives the old one back, or keeps
//! it for the next time where it is small. All heaps together hold no more than the program's most.
//!
//! Rooms: `account` is what heaps share, `window` the address space, `room` decides who gets how much of it, `entry` is
//! what generated code calls.
//!
//! # Safety
//! See [`super`], and: a thread's record and its regions are used by this thread only, the shared account under its lock.
#![allow(unsafe_code, reason = "moves objects")]

mod account;
#[cfg(feature = "freestanding")]
mod entry;
mod room;
mod window;

use super::collect::Collector;
use super::roots;
use elfin_abi::gc::{Program, ThreadHeap};
use elfin_abi::program::ProgramHeader;
use linux_raw_sys::general::__NR_nanosleep;
use room::{Fit, take_spare};
use window::Region;

pub use account::Heaps;
#[cfg(feature = "freestanding")]
pub use entry::{allocate_in_thread, elfin_thread_gc_end, elfin_thread_gc_set_up};
pub use window::Window;

/// How often a thread waits for others to give room back, the first time for a millisecond, then for twice as long as
/// before: a second in all.
const WAITS: u32 = 10;

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
        window.give_back(take_spare(heap));
        window.give_back(Region {
            base: heap.base,
            len: heap.region,
        });
    }
    let mut account = window.account();
    account.held -= heap.counted;
    account.heaps -= 1;
}

impl Window<'_> {
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

#[cfg(test)]
mod tests;

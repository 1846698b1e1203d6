//! Heaps of several threads in one address space, without threads: the account, and what moves where.

use super::room::SLACK;
use super::*;
use crate::memory::LARGEST_PAGE;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use elfin_abi::gc::{Heap, OPAQUE, OPAQUE_MASK, TYPE, Type};
use rustix::mm::{MapFlags, ProtFlags};
use std::boxed::Box;
use std::vec::Vec;

/// Bytes of each half: 32 MiB of address space in all.
const HALF: u64 = 256 * LARGEST_PAGE;
/// The number of the only type: a struct of 16 bytes with a reference at 4.
const NODE: u32 = 3;

const EMPTY: ThreadHeap = ThreadHeap {
    heap: Heap { next: 0, limit: 0 },
    base: 0,
    region: 0,
    counted: 0,
    spare: 0,
    spare_region: 0,
};

/// A program in a range of its own, with one root in the state of the "first thread".
struct Own {
    program: Program,
    heaps: Box<Heaps>,
    _types: Box<[Type]>,
    _lists: Box<[Vec<u64>]>,
}

/// A thread: its heap and its root.
struct Thread {
    heap: ThreadHeap,
    root: Box<AtomicU64>,
}

impl Thread {
    fn new() -> Self {
        Self {
            heap: EMPTY,
            root: Box::default(),
        }
    }
}

impl Own {
    fn new(base: u64, max: u64, stress: u64) -> Self {
        let free = MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::FIXED_NOREPLACE;
        // SAFETY: replaces nothing.
        let mapped = unsafe {
            let len = 2 * HALF as usize;
            rustix::mm::mmap_anonymous(base as *mut _, len, ProtFlags::empty(), free)
        };
        assert_eq!(mapped.expect("address space") as u64, base);
        let types: Box<[Type]> = Box::new([Type {
            size: 16,
            first: 0,
            count: 1,
        }]);
        // The root of a state at address 0: a thread's distance is the address of its own.
        let words = std::vec![0_u64];
        let references = std::vec![4_u64];
        let program = Program {
            heap: 0,
            base,
            half: HALF,
            max,
            stress,
            types: types.as_ptr() as u64,
            first_type: NODE.into(),
            references: references.as_ptr() as u64,
            words: words.as_ptr() as u64,
            word_count: 1,
            lists: 0,
            list_count: 0,
            chunks: 0,
            safepoints: 0,
            frames: 0,
        };
        Self {
            program,
            heaps: Box::default(),
            _types: types,
            _lists: Box::new([words, references]),
        }
    }

    fn window(&self) -> Window<'_> {
        Window {
            program: &self.program,
            heaps: &self.heaps,
        }
    }

    /// As generated code does it.
    fn room(&self, thread: &mut Thread, bytes: u64) -> u64 {
        let mut at = thread.heap.heap.next;
        if at + bytes > thread.heap.heap.limit {
            let place = Place {
                header: crate::program::program().header(),
                distance: thread.root.as_ptr() as u64,
                fp: 0,
                return_address: 0,
            };
            // SAFETY: a thread of this window, and frames that hold nothing.
            at = unsafe { allocate(&self.window(), &mut thread.heap, &place, bytes) };
        }
        if at != 0 {
            thread.heap.heap.next = at + bytes;
            assert!(thread.heap.heap.next <= thread.heap.base + thread.heap.region);
        }
        at
    }

    /// A new node in front of the thread's list.
    fn push(&self, thread: &mut Thread, value: u32) -> bool {
        let node = self.room(thread, 16);
        if node != 0 {
            let next = thread.root.load(Relaxed) as u32;
            let fields = [(TYPE as u64, NODE), (4, next), (8, value), (12, !value)];
            for (at, field) in fields {
                // SAFETY: room for a node.
                unsafe { *((node + at) as *mut u32) = field };
            }
            thread.root.store(node, Relaxed);
        }
        node != 0
    }

    /// The values of a thread's list.
    fn list(&self, thread: &Thread) -> Vec<u32> {
        let mut values = Vec::new();
        let mut node = thread.root.load(Relaxed);
        while node != 0 {
            // SAFETY: nodes of the heap.
            unsafe {
                let value = *((node + 8) as *const u32);
                assert_eq!(*((node + 12) as *const u32), !value);
                values.push(value);
                node = u64::from(*((node + 4) as *const u32));
            }
        }
        values
    }

    fn end(&self, mut thread: Thread) {
        // SAFETY: nobody uses its objects.
        unsafe { end(&self.window(), &mut thread.heap) };
    }

    /// Granules that are taken, bytes that are held, heaps.
    fn account(&self) -> (u64, u64, u64) {
        let window = self.window();
        let account = window.account();
        (account.regions.count(), account.held, account.heaps)
    }
}

#[test]
fn lists_of_several_threads_stay_whole() {
    for (base, stress, rounds) in [(0x5000_0000, 0, 40_000), (0x5400_0000, 1, 300)] {
        let own = Own::new(base, HALF, stress);
        let mut threads = [Thread::new(), Thread::new(), Thread::new()];
        for round in 0..rounds {
            for (number, thread) in (0..).zip(&mut threads) {
                // Garbage, and now and then a list begins anew.
                assert_ne!(own.room(thread, 16), 0);
                // SAFETY: the node just made: no references.
                unsafe {
                    let node = thread.heap.heap.next - 16;
                    *(node as *mut [u32; 4]) = [NODE, 0, 0, 0];
                }
                if round % (1000 + number) == 0 {
                    thread.root.store(0, Relaxed);
                }
                assert!(own.push(thread, round));
            }
        }
        for (number, thread) in (0..).zip(&threads) {
            let first = (rounds - 1) / (1000 + number) * (1000 + number);
            let expected: Vec<u32> = (first..rounds).rev().collect();
            assert_eq!(own.list(thread), expected, "{number}");
        }
        let (_, held, heaps) = own.account();
        assert_eq!(heaps, 3);
        assert_eq!(held, threads.iter().map(|t| t.heap.counted).sum());
        for thread in threads {
            own.end(thread);
        }
        assert_eq!(own.account(), (0, 0, 0));
    }
}

#[test]
fn all_heaps_together_hold_no_more_than_the_most() {
    const MOST: u64 = 1 << 20;
    let own = Own::new(0x5800_0000, MOST, 0);
    let mut threads = [Thread::new(), Thread::new()];
    // One takes nearly all; the other has what is left.
    while own.push(&mut threads[0], 1) {}
    let first = own.list(&threads[0]).len() as u64 * 16;
    assert!(first + SLACK > MOST && first <= MOST, "{first}");
    assert_eq!(own.room(&mut threads[1], MOST - first + 16), 0);
    // A heap that was too small once is in order still.
    threads[0].root.store(0, Relaxed);
    assert!(own.push(&mut threads[0], 2));
    while own.push(&mut threads[1], 3) {}
    let second = own.list(&threads[1]).len() as u64 * 16;
    // The first has kept a part of what it had.
    assert!(second > MOST / 3, "{second}");
    assert!(own.account().1 <= MOST);
    assert_eq!(own.list(&threads[0]), [2]);
    for thread in threads {
        own.end(thread);
    }
    assert_eq!(own.account(), (0, 0, 0));
}

#[test]
fn what_lives_is_moved_together_where_there_is_no_room_for_both() {
    let own = Own::new(0x5c00_0000, HALF, 0);
    let mut thread = Thread::new();
    for value in 0..10 {
        assert!(own.push(&mut thread, value));
    }
    // Garbage of nearly all, and then as much again.
    for bytes in [HALF / 4 * 3, HALF / 4 * 3, HALF - 1024] {
        let room = own.room(&mut thread, bytes);
        assert_ne!(room, 0, "{bytes}");
    }
    assert_eq!(own.room(&mut thread, HALF), 0);
    let expected: Vec<u32> = (0..10).rev().collect();
    assert_eq!(own.list(&thread), expected);
    own.end(thread);
    assert_eq!(own.account(), (0, 0, 0));
}

/// A thread that finds nothing left waits for one that is about to end.
#[test]
fn what_another_thread_gives_back_is_waited_for() {
    const MOST: u64 = 1 << 20;
    let own = Own::new(0x6000_0000, MOST, 0);
    let mut threads = [Thread::new(), Thread::new()];
    while own.push(&mut threads[0], 1) {}
    let [first, mut second] = threads;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(std::time::Duration::from_millis(50));
            own.end(first);
        });
        assert_ne!(own.room(&mut second, MOST / 2), 0);
    });
    // Who was the last to give something back may have ended before it was looked at; after that, nobody else has
    // anything to give.
    let mut waits = 0;
    assert!(own.window().wait(&second.heap, false, &mut waits));
    assert!(!own.window().wait(&second.heap, true, &mut waits));
    assert_eq!(waits, 0);
    assert_eq!(own.room(&mut second, MOST + 16), 0);
    own.end(second);
    assert_eq!(own.account(), (0, 0, 0));
}

/// A list of which every reference is opaque, the root's too.
#[test]
fn opaque_references_move_and_stay_opaque() {
    for (base, stress, rounds) in [(0x6400_0000, 0, 40_000), (0x6800_0000, 1, 300)] {
        let own = Own::new(base, HALF, stress);
        let mut thread = Thread::new();
        for value in 0..rounds {
            assert_ne!(own.room(&mut thread, 16), 0);
            // SAFETY: the node just made: garbage.
            unsafe {
                let node = thread.heap.heap.next - 16;
                *(node as *mut [u32; 4]) = [NODE, 0, 0, 0];
            }
            assert!(own.push(&mut thread, value));
            thread.root.fetch_or(OPAQUE, Relaxed);
        }
        let mut node = thread.root.load(Relaxed);
        for value in (0..rounds).rev() {
            assert_eq!(node & OPAQUE_MASK, OPAQUE);
            // SAFETY: a node of the heap.
            let found = unsafe { *((node - OPAQUE) as *const [u32; 4]) };
            assert_eq!([found[0], found[2], found[3]], [NODE, value, !value]);
            node = found[1].into();
        }
        assert_eq!(node, 0);
        own.end(thread);
    }
}

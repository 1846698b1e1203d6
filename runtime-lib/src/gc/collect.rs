//! The collector: what lives moves from one half to the other, breadth first (Cheney's algorithm), so that it
//! needs no stack and no marks: behind what was moved last stands what is looked at next.
//!
//! # Safety
//! See [`super`]. In the half in use every object has the number of a type of the program, or has moved.
#![allow(unsafe_code, reason = "moves objects")]

use super::roots;
use super::space::Space;
use elfin_abi::gc::{
    ELEMENTS, Heap, LENGTH, MOVED, OPAQUE_MASK, Program, TYPE, Type, array_size, leads_to_object,
};
use elfin_abi::program::ProgramHeader;

/// Longest object that is copied word by word.
const SHORT: u64 = 128;

/// A collection in progress.
#[derive(Debug)]
pub struct Collector<'a> {
    program: &'a Program,
    /// Where the next object goes.
    free: u64,
}

/// Room for `bytes` bytes, after a collection: their address, or 0.
///
/// # Safety
/// See [`super`]; `fp` and `return_address` are those of the call that asks.
#[cfg_attr(feature = "freestanding", unsafe(link_section = ".text.elfin_gc"))]
pub unsafe fn allocate(
    program: &Program,
    heap: &mut Heap,
    header: &ProgramHeader,
    bytes: u64,
    fp: u64,
    return_address: u64,
) -> u64 {
    let space = Space::new(program);
    let half = space.current();
    let used = heap.next - space.base(half);
    let to = space.base(1 - half);
    // SAFETY: the heap's own range. At most, everything lives.
    if !unsafe { space.map(1 - half, used) } {
        return 0;
    }
    let mut collector = Collector::new(program, to);
    // SAFETY: by contract.
    unsafe {
        let stack = roots::visit(program, header, fp, return_address, &mut collector);
        collector.scan(to);
        let live = collector.free - to;
        space.switch(heap, used, live, live.max(stack), bytes)
    }
}

impl<'a> Collector<'a> {
    /// A collection that moves objects to `to`, where there is room for all of them.
    #[inline(always)]
    pub(super) const fn new(program: &'a Program, to: u64) -> Self {
        Self { program, free: to }
    }

    /// The end of what was moved.
    #[inline(always)]
    pub(super) const fn free(&self) -> u64 {
        self.free
    }

    #[inline(always)]
    unsafe fn ty(&self, number: u32) -> &'a Type {
        let index = u64::from(number) - self.program.first_type;
        // SAFETY: every object has a type of the program.
        unsafe { &*(self.program.types as *const Type).add(index as usize) }
    }

    /// The new place of what a word refers to.
    ///
    /// # Safety
    /// The word is a reference.
    #[inline(always)]
    pub unsafe fn moved(&mut self, word: u64) -> u64 {
        if !leads_to_object(word) || word == 0 {
            return word;
        }
        let (object, tag) = (word & !OPAQUE_MASK, word & OPAQUE_MASK);
        // SAFETY: it is the address of an object.
        let number = unsafe { *((object + TYPE as u64) as *const u32) };
        let moved = if number == MOVED {
            // SAFETY: its new address stands there.
            u64::from(unsafe { *((object + LENGTH as u64) as *const u32) })
        } else {
            // SAFETY: by contract.
            unsafe { self.copy(object, number) }
        };
        moved | tag
    }

    /// Copies an object and leaves its new address behind.
    #[cfg_attr(feature = "freestanding", unsafe(link_section = ".text.elfin_gc_move"))]
    unsafe fn copy(&mut self, from: u64, number: u32) -> u64 {
        let to = self.free;
        // SAFETY: an object of this type, and room for it.
        unsafe {
            let length = (from + LENGTH as u64) as *mut u32;
            let ty = self.ty(number);
            let size = if ty.size & Type::ARRAY != 0 {
                array_size(*length, ty.size & !Type::ARRAY)
            } else {
                u64::from(ty.size)
            };
            copy_words(to, from, size);
            *((from + TYPE as u64) as *mut u32) = MOVED;
            *length = to as u32;
            self.free = to + size;
        }
        to
    }

    /// Looks through everything that was moved, from `at` on.
    ///
    /// # Safety
    /// Moved objects stand there, one behind the other.
    #[inline(always)]
    pub(super) unsafe fn scan(&mut self, mut at: u64) {
        while at != self.free {
            // SAFETY: by contract.
            unsafe {
                let ty = self.ty(*((at + TYPE as u64) as *const u32));
                if ty.size & Type::ARRAY != 0 {
                    let length = *((at + LENGTH as u64) as *const u32);
                    if ty.count != 0 {
                        let first = (at + ELEMENTS as u64) as *mut u32;
                        for index in 0..length as usize {
                            self.visit_field(first.add(index));
                        }
                    }
                    at += array_size(length, ty.size & !Type::ARRAY);
                } else {
                    let offsets = (self.program.references as *const u32).add(ty.first as usize);
                    for index in 0..ty.count as usize {
                        let field = at + u64::from(*offsets.add(index));
                        self.visit_field(field as *mut u32);
                    }
                    at += u64::from(ty.size);
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn visit_field(&mut self, field: *mut u32) {
        // SAFETY: by contract.
        unsafe { *field = self.moved(u64::from(*field)) as u32 };
    }

    /// Moves what a word outside the heap refers to.
    ///
    /// # Safety
    /// The word holds a reference.
    #[cfg_attr(feature = "freestanding", unsafe(link_section = ".text.elfin_gc_move"))]
    pub unsafe fn visit(&mut self, word: *mut u64) {
        // SAFETY: by contract.
        unsafe { *word = self.moved(*word) };
    }
}

/// Copies `size` bytes, a multiple of 8.
#[inline(always)]
unsafe fn copy_words(to: u64, from: u64, size: u64) {
    if size > SHORT {
        // SAFETY: by contract.
        unsafe {
            core::ptr::copy_nonoverlapping(from as *const u8, to as *mut u8, size as usize);
        }
        return;
    }
    let mut at = 0;
    while at != size {
        // SAFETY: by contract. Volatile: a call of `memcpy` would take longer than most objects.
        unsafe {
            let word = ((from + at) as *const u64).read_volatile();
            ((to + at) as *mut u64).write_volatile(word);
        }
        at += 8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::LARGEST_PAGE;
    use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
    use elfin_abi::gc::{ChunkFrames, I31, OPAQUE, Run, Safepoint, host_value};
    use elfin_abi::program::TextChunk;
    use rustix::mm::{MapFlags, ProtFlags};

    /// Where this test has its heap.
    const BASE: u64 = 0x3000_0000;
    const HALF: u64 = 256 * LARGEST_PAGE;
    /// The numbers of the types: a struct with references at 4 and 8, an array of references, one of bytes.
    const PAIR: u32 = 5;
    const REFERENCES: u32 = 6;
    const BYTES: u32 = 7;

    fn word(address: u64) -> u32 {
        // SAFETY: an address in the heap of this test.
        unsafe { *(address as *const u32) }
    }

    /// Puts an object where there is room.
    fn make(heap: &mut Heap, words: &[u32]) -> u64 {
        let object = heap.next;
        for (at, value) in (object..).step_by(4).zip(words) {
            // SAFETY: likewise.
            unsafe { *(at as *mut u32) = *value };
        }
        heap.next += (words.len() as u64 * 4).next_multiple_of(8);
        object
    }

    #[test]
    fn what_lives_moves_and_keeps_its_shape() {
        let free = MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::FIXED_NOREPLACE;
        // SAFETY: replaces nothing.
        let mapped = unsafe {
            let len = 2 * HALF as usize;
            rustix::mm::mmap_anonymous(BASE as *mut _, len, ProtFlags::empty(), free)
        };
        assert_eq!(mapped.expect("address space") as u64, BASE);

        let types = [
            Type {
                size: 16,
                first: 0,
                count: 2,
            },
            Type {
                size: Type::ARRAY | 2,
                first: 0,
                count: 1,
            },
            Type {
                size: Type::ARRAY,
                first: 0,
                count: 0,
            },
        ];
        let mut heap = Heap { next: 0, limit: 0 };
        let globals: [AtomicU64; 3] = Default::default();
        let table: [AtomicU64; 4] = Default::default();
        let descriptor = [table.as_ptr() as u64, 4];
        let words = [
            globals[0].as_ptr() as u64,
            globals[1].as_ptr() as u64,
            globals[2].as_ptr() as u64,
        ];
        let lists = [descriptor.as_ptr() as u64];
        let chunk = TextChunk {
            start: 0x1000,
            size: 0x100,
            first_function: 0,
            function_count: 0,
            first_trap: 0,
            trap_count: 0,
            reserved: 0,
        };
        // Two frames: the inner one without references, the outer one with one 16 and one 32 bytes below its record.
        let stack: [AtomicU64; 16] = Default::default();
        let top = stack.as_ptr() as u64;
        for (at, value) in [(2, top + 64), (3, 0x1100), (9, 0x7777_0000)] {
            stack[at].store(value, Relaxed);
        }
        let header = ProgramHeader {
            chunks: &raw const chunk as u64,
            chunk_count: 1,
            ..*crate::program::program().header()
        };
        const CHUNK: &ChunkFrames = &ChunkFrames { first: 0, count: 1 };
        const SAFEPOINT: &Safepoint = &Safepoint {
            offset: 0x100,
            frame: 1,
        };
        // With the word between them, which is null.
        let frames = [0, 1, Run::new(32, 3).expect("a run").0];
        let program = Program {
            heap: 0,
            base: BASE,
            half: HALF,
            max: HALF - LARGEST_PAGE,
            stress: 0,
            types: types.as_ptr() as u64,
            first_type: PAIR.into(),
            references: [4_u32, 8].as_ptr() as u64,
            words: words.as_ptr() as u64,
            word_count: 3,
            lists: lists.as_ptr() as u64,
            list_count: 1,
            chunks: core::ptr::from_ref(CHUNK) as u64,
            safepoints: core::ptr::from_ref(SAFEPOINT) as u64,
            frames: frames.as_ptr() as u64,
        };
        let space = Space::new(&program);
        // SAFETY: the range is this test's own.
        unsafe { space.begin(&mut heap) };
        assert_eq!(heap.next, BASE);
        assert!(heap.limit > BASE);

        let bytes = make(&mut heap, &[BYTES, 5, 0x0403_0201, 5]);
        make(&mut heap, &[PAIR, 0, 0, 0]); // garbage
        let i31 = (9 << 1 | I31) as u32;
        let host = host_value(3) as u32;
        let opaque = OPAQUE as u32;
        // A pair that refers to itself and to the bytes, and an array of it, of values, of null, and of the pair as an
        // opaque one.
        let next = heap.next as u32;
        let pair = make(&mut heap, &[PAIR, next, bytes as u32, 77]);
        let elements = [pair as u32, i31, host, 0, pair as u32 | opaque];
        let array = make(&mut heap, &[&[REFERENCES, 5], &elements[..]].concat());
        // What only opaque references lead to: of a field, and of every kind of root.
        let far = make(&mut heap, &[BYTES, 1, 9]);
        let secret = make(&mut heap, &[PAIR, far as u32 | opaque, array as u32, 78]);
        let in_frame = make(&mut heap, &[PAIR, 0, array as u32, 0]);
        globals[0].store(array, Relaxed);
        globals[1].store(host.into(), Relaxed);
        table[2].store(pair, Relaxed);
        globals[2].store(secret | OPAQUE, Relaxed);
        table[0].store(secret | OPAQUE, Relaxed);
        stack[6].store(in_frame, Relaxed);
        stack[4].store(far | OPAQUE, Relaxed);
        let ask = |heap: &mut Heap, bytes| {
            // SAFETY: everything is as the collector wants it.
            unsafe { allocate(&program, heap, &header, bytes, top + 16, 0x1050) }
        };

        let room = ask(&mut heap, 64);
        assert_eq!(room, heap.next);
        assert_eq!(room, BASE + HALF + 16 + 16 + 32 + 16 + 16 + 16);
        let load = |word: &AtomicU64| word.load(Relaxed);
        assert_eq!((load(&globals[1]), load(&table[1])), (host.into(), 0));
        let (array, pair, in_frame) = (load(&globals[0]), load(&table[2]), load(&stack[6]));
        assert!([array, pair, in_frame].iter().all(|at| *at >= BASE + HALF));
        assert_eq!([word(array), word(array + 4)], [REFERENCES, 5]);
        assert_eq!([word(array + 8), word(array + 12)], [pair as u32, i31]);
        assert_eq!([word(array + 16), word(array + 20)], [host, 0]);
        assert_eq!(word(array + 24), pair as u32 | opaque);
        let secret = load(&globals[2]);
        assert_eq!(
            (secret & OPAQUE_MASK, secret),
            (OPAQUE, load(&table[0])),
            "all that refer to it, in the same way"
        );
        let secret = secret - OPAQUE;
        let far = load(&stack[4]);
        assert_eq!(far & OPAQUE_MASK, OPAQUE);
        assert_eq!(
            [word(secret), word(secret + 4), word(secret + 8)],
            [PAIR, far as u32, array as u32]
        );
        assert_eq!(word(secret + 12), 78);
        let far = far - OPAQUE;
        assert!(far >= BASE + HALF);
        assert_eq!([word(far), word(far + 4), word(far + 8)], [BYTES, 1, 9]);
        assert_eq!(
            [word(pair), word(pair + 4), word(pair + 12)],
            [PAIR, pair as u32, 77]
        );
        let bytes = u64::from(word(pair + 8));
        assert_eq!(
            [word(bytes), word(bytes + 4), word(bytes + 8)],
            [BYTES, 5, 0x0403_0201]
        );
        assert_eq!(word(in_frame + 8), array as u32);

        // Nothing refers to anything: everything is room, up to the most that there may be.
        let others = [&table[0], &table[2], &stack[4], &stack[6]];
        for root in globals.iter().chain(others) {
            root.store(0, Relaxed);
        }
        assert_eq!(ask(&mut heap, program.max), BASE);
        assert_eq!(heap.limit, BASE + program.max);
        assert_eq!(ask(&mut heap, program.max + 8), 0);
    }
}

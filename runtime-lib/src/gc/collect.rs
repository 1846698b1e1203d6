//! The collector: what lives moves from one half to the other, breadth first (Cheney's algorithm), so that it
//! needs no stack and no marks: behind what was moved last stands what is looked at next.
//!
//! # Safety
//! See [`super`]. In the half in use every object has the number of a type of the program, or has moved.
#![allow(unsafe_code, reason = "moves objects")]

use super::roots;
use super::space::Space;
use elfin_abi::gc::{ELEMENTS, Heap, LENGTH, MOVED, Program, TAG_MASK, TYPE, Type, array_size};
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
    let mut collector = Collector { program, free: to };
    // SAFETY: by contract.
    unsafe {
        roots::visit(program, header, fp, return_address, &mut collector);
        collector.scan(to);
        space.switch(heap, used, collector.free - to, bytes)
    }
}

impl<'a> Collector<'a> {
    #[cfg_attr(feature = "freestanding", unsafe(link_section = ".text.elfin_gc"))]
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
        if word == 0 || word & TAG_MASK != 0 {
            return word;
        }
        // SAFETY: it is the address of an object.
        let number = unsafe { *((word + TYPE as u64) as *const u32) };
        if number == MOVED {
            // SAFETY: its new address stands there.
            return u64::from(unsafe { *((word + LENGTH as u64) as *const u32) });
        }
        // SAFETY: by contract.
        unsafe { self.copy(word, number) }
    }

    /// Copies an object and leaves its new address behind.
    #[cfg_attr(feature = "freestanding", unsafe(link_section = ".text.elfin_gc"))]
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
    #[cfg_attr(feature = "freestanding", unsafe(link_section = ".text.elfin_gc"))]
    unsafe fn scan(&mut self, mut at: u64) {
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
    #[cfg_attr(feature = "freestanding", unsafe(link_section = ".text.elfin_gc"))]
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

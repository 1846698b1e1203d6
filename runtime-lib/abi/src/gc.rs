//! The garbage-collected heap: how references and objects look, and what the collector is told.
//!
//! In: nothing. Out: constants that generated code is made with and that the collector goes by, and the
//! records that the compiler's `emit` writes for it. Only programs that allocate have any of this.
//!
//! A reference is a word: null is 0, what has a tag in its lowest bits is a value of its own, and
//! everything else is the address of an object, below 4 GiB. In the fields of objects a reference takes
//! 4 bytes, everywhere else 8. Objects begin at multiples of 8 with a header of 8 bytes: the number of
//! the type, then the number of elements of an array. A struct has the second half for its fields.
//!
//! | lowest bits | what it is |
//! |---|---|
//! | `000` | null, or the address of an object |
//! | `xx1` | an `i31` |
//! | `010` | a value from outside, with a number |
//! | `110` | an object that is opaque: its address follows. Who looks at two bits takes it for a value from outside |
//!
//! Function references are no references in this sense: see [`crate::state::FuncRef`].

use core::mem::offset_of;

/// Lowest bit of an `i31`; its value follows.
pub const I31: u64 = 1;
/// Lowest two bits of a value from outside: one that is a number ([`host_value`], `ref.extern` of test scripts), or one
/// that is [`OPAQUE`].
pub const HOST: u64 = 2;
/// Bits that are zero in the address of an object, and tell what else there is apart.
pub const TAG_MASK: u64 = 3;
/// Lowest three bits of a reference to an object that is to look like a value from outside: they take the place of
/// zeros in its address.
pub const OPAQUE: u64 = 6;
/// Bits that tell [`OPAQUE`] from all others.
pub const OPAQUE_MASK: u64 = 7;
/// Alignment of objects, and granule of their sizes.
pub const GRANULE: u64 = 8;
/// Whether a word that is not null leads to an object: its lowest bits are `000` or `110`. With 2 added, those are `010`
/// and `000`, where `xx1` stays odd and `010` becomes `100`: one test for both.
#[must_use]
#[inline(always)]
pub const fn leads_to_object(word: u64) -> bool {
    word.wrapping_add(HOST) & (OPAQUE_MASK - HOST) == 0
}

/// The value from outside with a number: one of 29 bits, for fields.
#[must_use]
pub const fn host_value(number: u32) -> u64 {
    (number as u64) << OPAQUE_MASK.count_ones() | HOST
}

/// Offset of the number of an object's type.
pub const TYPE: i32 = 0;
/// Offset of an array's length.
pub const LENGTH: i32 = 4;
/// Offset of an array's elements. A struct's fields begin at [`LENGTH`].
pub const ELEMENTS: i32 = 8;
/// In place of a type's number while a collection is going on: the object has moved to the address that
/// stands where an array has its length.
pub const MOVED: u32 = u32::MAX;

/// One past the last address of the heap.
pub const END: u64 = 1 << 32;

/// What generated code and the collector share, in the state block.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Heap {
    /// Where the next object goes.
    pub next: u64,
    /// Where it must end at the latest; beyond, the collector is called.
    pub limit: u64,
}

impl Heap {
    /// Offset of `next`.
    pub const NEXT: i32 = offset_of!(Self, next) as i32;
    /// Offset of `limit`.
    pub const LIMIT: i32 = offset_of!(Self, limit) as i32;
    /// Size of the record in bytes.
    pub const SIZE: u32 = size_of::<Self>() as u32;

    /// Where `bytes` bytes fit without a collection. Generated code looks itself before it calls the collector, except
    /// where it runs only once: an object for each of many globals or elements must not cost a collection each.
    #[must_use]
    #[inline(always)]
    pub const fn room(&self, bytes: u64) -> Option<u64> {
        // What generated code has put where room was found lies behind the limit with `--gc-stress`.
        match self.limit.checked_sub(self.next) {
            Some(left) if bytes <= left => Some(self.next),
            _ => None,
        }
    }
}

/// The heap of one thread, in a program with threads: in the thread's own state, zero until it makes its first object.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ThreadHeap {
    /// What generated code goes by.
    pub heap: Heap,
    /// Address of the region that objects are in.
    pub base: u64,
    /// Its bytes of address space, a multiple of 64 KiB.
    pub region: u64,
    /// How many of them objects may take up: what counts for [`Program::max`].
    pub counted: u64,
    /// Address of a region for the next collection to move objects to.
    pub spare: u64,
    /// Its bytes; 0 if there is none.
    pub spare_region: u64,
}

impl ThreadHeap {
    /// Size of the record in bytes.
    pub const SIZE: u32 = size_of::<Self>() as u32;
}

/// What the collector must know of the program it works for. Written by the compiler, passed by generated
/// code with every call.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// Address of the [`Heap`]; in a program with threads of the first thread's [`ThreadHeap`], and so are the other
    /// addresses of what is in the state block.
    pub heap: u64,
    /// First address of the lower half of the heap; the upper follows it. Heaps of threads share both.
    pub base: u64,
    /// Bytes of address space of each half, a multiple of 64 KiB.
    pub half: u64,
    /// Most bytes of objects, at most `half`.
    pub max: u64,
    /// Collect at every allocation, and take the old half away.
    pub stress: u64,
    /// Address of an array of [`Type`].
    pub types: u64,
    /// Number of the type that is its first.
    pub first_type: u64,
    /// Address of an array of `u32`: offsets of references in structs, see [`Type::first`].
    pub references: u64,
    /// Address of an array of `u64`: addresses of words that may hold references (globals).
    pub words: u64,
    /// Entries in `words`.
    pub word_count: u64,
    /// Address of an array of `u64`: addresses of descriptors that begin with the address and the number of
    /// words that may hold references (tables and element segments).
    pub lists: u64,
    /// Entries in `lists`.
    pub list_count: u64,
    /// Address of an array of [`ChunkFrames`], parallel to the program's chunks of code.
    pub chunks: u64,
    /// Address of an array of [`Safepoint`].
    pub safepoints: u64,
    /// Address of an array of `u32`, see [`Safepoint::frame`].
    pub frames: u64,
}

impl Program {
    /// Size of the record in bytes.
    pub const SIZE: u32 = size_of::<Self>() as u32;
}

/// What objects of a type look like.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Type {
    /// Bytes of a struct, header included, a multiple of [`GRANULE`]; of an array the base-two logarithm
    /// of the size of an element, plus [`Type::ARRAY`].
    pub size: u32,
    /// Of a struct: first of its entries in [`Program::references`].
    pub first: u32,
    /// Of a struct: number of its entries there. Of an array: whether its elements are references.
    pub count: u32,
}

impl Type {
    /// Marks an array.
    pub const ARRAY: u32 = 1 << 31;
    /// Size of the record in bytes.
    pub const SIZE: u32 = size_of::<Self>() as u32;
}

/// Which safepoints a chunk of code has.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ChunkFrames {
    /// First of its entries in [`Program::safepoints`].
    pub first: u32,
    /// Number of its entries, ascending by offset.
    pub count: u32,
}

/// A call during which references lie in the caller's frame.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Safepoint {
    /// Offset of the return address in its chunk.
    pub offset: u32,
    /// Where its list begins in [`Program::frames`]: a number, and as many [`Run`]s.
    pub frame: u32,
}

/// Words with references that lie side by side in a frame. An expression that has made a thousand objects keeps a
/// thousand words next to each other, and has a list at each of its calls.
///
/// ```text
/// 31                                  8 7             0
/// | distance from the frame pointer / 8 | words minus 1 |
/// ```
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run(pub u32);

impl Run {
    /// Most words of one.
    pub const LONGEST: u32 = 1 << 8;

    /// The run of `words` whose lowest is `distance` bytes below the frame pointer; `None` if that can't be said.
    #[must_use]
    pub const fn new(distance: u32, words: u32) -> Option<Self> {
        let granules = distance / 8;
        if !distance.is_multiple_of(8) || granules >= 1 << 24 || words == 0 || words > Self::LONGEST
        {
            return None;
        }
        Some(Self(granules << 8 | (words - 1)))
    }

    /// How far below the frame pointer its lowest word is, in bytes.
    #[must_use]
    pub const fn distance(self) -> u32 {
        (self.0 >> 8) * 8
    }

    /// How many words it has; the others are above the lowest.
    #[must_use]
    pub const fn words(self) -> u32 {
        (self.0 & 0xff) + 1
    }
}

/// Bytes of an array of `length` elements of `1 << log2` bytes, header included.
#[must_use]
pub const fn array_size(length: u32, log2: u32) -> u64 {
    (ELEMENTS as u64 + ((length as u64) << log2)).next_multiple_of(GRANULE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_opaque_looks_like_a_value_from_outside() {
        assert_eq!(OPAQUE & TAG_MASK, HOST);
        assert_eq!(OPAQUE_MASK, GRANULE - 1);
        for tag in 0..=OPAQUE_MASK {
            let leads = leads_to_object(0x1000 + tag);
            assert_eq!(leads, tag == 0 || tag == OPAQUE, "{tag}");
        }
        assert!(leads_to_object(0xffff_fff8 | OPAQUE));
        for number in [0, 1, 3, (1 << 29) - 1] {
            let value = host_value(number);
            assert_eq!([value & TAG_MASK, value & OPAQUE_MASK], [HOST; 2]);
            assert_eq!(value, u64::from(value as u32));
        }
    }

    #[test]
    fn room_up_to_the_limit() {
        let heap = Heap {
            next: 64,
            limit: 96,
        };
        assert_eq!((heap.room(32), heap.room(40)), (Some(64), None));
        // As `--gc-stress` has it, and an object longer than any address.
        let full = Heap {
            next: 64,
            limit: 64,
        };
        assert_eq!((full.room(8), heap.room(u64::MAX)), (None, None));
        let beyond = Heap {
            next: 72,
            limit: 64,
        };
        assert_eq!((beyond.room(0), beyond.room(8)), (None, None));
    }

    #[test]
    fn runs_up_to_their_limits() {
        for (distance, words) in [(8, 1), (4096, 256), ((1 << 27) - 8, 7)] {
            let run = Run::new(distance, words).expect("a run");
            assert_eq!((run.distance(), run.words()), (distance, words));
        }
        for (distance, words) in [(12, 1), (8, 0), (4096, 257), (1 << 27, 1)] {
            assert_eq!(Run::new(distance, words), None);
        }
    }
}

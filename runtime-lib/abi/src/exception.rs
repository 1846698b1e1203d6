//! Exceptions: what one looks like in memory, and the tables by which the runtime finds its handler.
//!
//! In: nothing. Out: `repr(C)` records, written by the compiler's `emit`, read by the runtime's unwinder. Only
//! programs that throw have any of them. All addresses are absolute and 8 bytes wide.
//!
//! An exception looks for its handler from frame to frame. Of each frame there is the address to which it will be
//! returned. [`Granules`](UnwindHeader::granules) lead from it to the function, whose [`FunctionFrame`] says which
//! registers it saved and which of its calls have handlers; a [`CallSite`] has a list of them.

use core::mem::offset_of;

/// An exception of a program that makes no other objects; otherwise it is a struct of [`crate::gc`], whose number of a
/// type stands where the tag does here. What it carries follows: a word for each value; two words, aligned to 16 bytes,
/// for a vector.
#[repr(C, align(16))]
#[derive(Debug)]
pub struct Exception {
    /// Its tag, program-wide.
    pub tag: u32,
    /// Its size in granules of 16 bytes, this header included.
    pub granules: u32,
    /// For the collector.
    pub link: u64,
}

impl Exception {
    /// Offset of `tag`.
    pub const TAG: i32 = offset_of!(Self, tag) as i32;
    /// Size of the header: where what it carries begins.
    pub const SIZE: u32 = size_of::<Self>() as u32;
    /// Exceptions begin and end at multiples of this.
    pub const GRANULE: u32 = 16;
}

/// Address space for exceptions.
pub const ARENA_SIZE: u64 = 64 << 20;

/// In place of a tag in a list of handlers: any tag.
pub const ANY_TAG: u32 = u32::MAX;

/// Bytes of code for each entry of [`UnwindHeader::granules`], as a power of two.
pub const CODE_GRANULE_LOG2: u32 = 8;

/// Defined by the program under [`crate::symbol::UNWIND`].
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct UnwindHeader {
    /// Address of an array of `u32`, for each chunk of code one entry for each started 256 bytes of it: which
    /// function (by position in [`crate::program::ProgramHeader::functions`]) its first byte belongs to.
    pub granules: u64,
    /// Address of an array of [`FunctionFrame`], parallel to the functions; behind the last one an entry that only
    /// ends its call sites.
    pub frames: u64,
    /// Address of an array of bytes: lists of saved registers. A list is a number of pairs, and the pairs: a
    /// register, by position among the registers that a callee saves, and how many words below the frame pointer
    /// its value is.
    pub saves: u64,
    /// Address of an array of [`CallSite`], those of each function ascending by offset.
    pub sites: u64,
    /// Address of an array of `u32`: lists of handlers. A list is a number of pairs, and the pairs, innermost
    /// handler first: a tag or [`ANY_TAG`], and the offset of the handler's code in its chunk.
    pub handlers: u64,
    /// Address of an array of `u32`, one for each tag and one more: where its name begins in `names`, and the
    /// name before it ends.
    pub name_offsets: u64,
    /// Address of the names of tags, back to back.
    pub names: u64,
    /// Address of an array of [`Roots`].
    pub roots: u64,
    /// Entries in `roots`.
    pub root_count: u64,
    /// Where exceptions live: [`ARENA_SIZE`] bytes that belong to nothing else, not mapped yet. Where exceptions
    /// are objects of the garbage-collected heap, nothing is ever there.
    pub arena: u64,
    /// What stands in the header of an exception with tag 0; with the others it counts on.
    pub first_tag: u64,
}

impl UnwindHeader {
    /// Size of the record in bytes.
    pub const SIZE: u32 = size_of::<Self>() as u32;
}

/// The frame of a function.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct FunctionFrame {
    /// Offset of its list in [`UnwindHeader::saves`].
    pub saves: u32,
    /// Bytes from the stack pointer up to the frame pointer in the body of the function.
    pub size: u32,
    /// First of its entries in [`UnwindHeader::sites`]; they end where the next function's begin.
    pub first_site: u32,
}

/// A call with handlers.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct CallSite {
    /// Offset in the chunk of the address that it returns to.
    pub offset: u32,
    /// Position of its list in [`UnwindHeader::handlers`].
    pub handlers: u32,
}

/// Words that may hold references to exceptions, outside the stack: a global, or the entries of a table.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Roots {
    /// Address of the first word; for a table of its [`crate::state::TableDescriptor`].
    pub address: u64,
    /// Number of words; [`Roots::TABLE`] for a table.
    pub words: u64,
}

impl Roots {
    /// In place of a number of words: as many as the table has entries.
    pub const TABLE: u64 = u64::MAX;
}

/// Registers that a callee of the C convention saves, as lists of saved registers number them: of the integer class
/// by number, then of the float class.
pub mod saved {
    /// rbx, r12, r13, r14, r15.
    pub const X86_64: (&[u8], &[u8]) = (&[3, 12, 13, 14, 15], &[]);
    /// x19 to x28, d8 to d15.
    pub const AARCH64: (&[u8], &[u8]) = (
        &[19, 20, 21, 22, 23, 24, 25, 26, 27, 28],
        &[8, 9, 10, 11, 12, 13, 14, 15],
    );
    /// s1 to s11, fs0 to fs11.
    pub const RISCV64: (&[u8], &[u8]) = (
        &[9, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27],
        &[8, 9, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27],
    );
}

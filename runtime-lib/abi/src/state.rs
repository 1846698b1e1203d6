//! Instance state: the records that generated code and the runtime read and write while a guest runs.
//!
//! In: nothing. Out: `repr(C)` records and the offsets at which generated code finds their fields.
//! All of a program's instances share one block of state; the compiler's `layout` decides the offset of
//! each record in it.

use core::mem::offset_of;

/// Bytes in one WebAssembly page of the default size (core spec, memory types).
pub const WASM_PAGE: u64 = 0x1_0000;

/// A linear memory as generated code and host functions see it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct MemoryDescriptor {
    /// Address of byte 0. Never changes while the program runs.
    pub base: u64,
    /// Current length in bytes. Every byte below is readable and writable.
    pub len: u64,
    /// Length in bytes beyond which `memory.grow` fails: the least of the declared maximum, the limit
    /// of the address type and `--max-memory`.
    pub max: u64,
    /// Base-two logarithm of the page size.
    pub page_log2: u64,
}

impl MemoryDescriptor {
    /// Offset of `base`.
    pub const BASE: i32 = offset_of!(Self, base) as i32;
    /// Offset of `len`.
    pub const LEN: i32 = offset_of!(Self, len) as i32;
    /// Size of the record in bytes.
    pub const SIZE: u32 = size_of::<Self>() as u32;
}

/// A table as generated code sees it. Entries are references of 8 bytes, see [`FuncRef`].
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TableDescriptor {
    /// Address of entry 0. Never changes while the program runs.
    pub base: u64,
    /// Current number of entries.
    pub len: u64,
    /// Number of entries beyond which `table.grow` fails.
    pub max: u64,
    /// Entries that are already mapped and writable; growth beyond asks the kernel for more.
    pub mapped: u64,
}

impl TableDescriptor {
    /// Offset of `base`.
    pub const BASE: i32 = offset_of!(Self, base) as i32;
    /// Offset of `len`.
    pub const LEN: i32 = offset_of!(Self, len) as i32;
    /// Size of the record in bytes.
    pub const SIZE: u32 = size_of::<Self>() as u32;
}

/// A passive data or element segment. Dropping it sets `len` to zero (core spec, `data.drop`).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SegmentDescriptor {
    /// Address of the first byte or of the first 8-byte reference.
    pub base: u64,
    /// Bytes of a data segment, references of an element segment.
    pub len: u64,
}

impl SegmentDescriptor {
    /// Offset of `base`.
    pub const BASE: i32 = offset_of!(Self, base) as i32;
    /// Offset of `len`.
    pub const LEN: i32 = offset_of!(Self, len) as i32;
    /// Size of the record in bytes.
    pub const SIZE: u32 = size_of::<Self>() as u32;
}

/// A function reference: the address of the code in the low half, the id of its type in the high
/// half. Zero is the null reference; type ids start at 1. It is a value, not a pointer to a record:
/// an indirect call loads one word, compares one half and jumps to the other.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct FuncRef {
    /// Address of the function's code (code lies below 4 GiB).
    pub code: u32,
    /// Id of its function type within the program, from 1.
    pub type_id: u32,
}

impl FuncRef {
    /// Offset of `type_id`.
    pub const TYPE_ID: i32 = offset_of!(Self, type_id) as i32;
    /// Size of a reference in a table.
    pub const SIZE: u32 = size_of::<Self>() as u32;
}

//! Static ELF linker: relocatable objects → executable image.
//!
//! In: the program's object, the runtime's object, blobs, and where the compiler decided that some
//! sections must lie. Out: the bytes of an executable and a map of it. It must not know WebAssembly.

/// A relocatable ELF object.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// What errors call it.
    pub name: &'a str,
    /// Its bytes.
    pub data: &'a [u8],
}

/// Read-only bytes that are linked in under a symbol, followed by nothing.
#[derive(Clone, Copy, Debug)]
pub struct Blob<'a> {
    /// Section it is put in.
    pub section: &'a str,
    /// Symbol at its first byte; `SYMBOL_end` is defined one past its last byte.
    pub symbol: &'a str,
    /// Its bytes.
    pub data: &'a [u8],
}

/// An input section whose address was decided before code was generated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Exact name of the section, which exactly one input has.
    pub section: String,
    /// Address of its first byte.
    pub address: u64,
    /// Bytes it takes in memory; what exceeds its bytes in the file is zero.
    pub mem_size: u64,
    /// It shares the first segment with the file header (instance state); otherwise it gets a segment
    /// of its own, page-aligned in the file as in memory (memory images).
    pub first_segment: bool,
}

/// A stretch of the address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// First address.
    pub base: u64,
    /// Size in bytes.
    pub size: u64,
}

/// What the caller decides.
#[derive(Clone, Debug)]
pub struct Options {
    /// Symbol at which execution begins; the root of garbage collection.
    pub entry: String,
    /// Address at which file offset 0 is mapped (readable, writable).
    pub state_base: u64,
    /// One past the last address that the first segment may take.
    pub state_end: u64,
    /// Bytes kept for the file header and program headers before the first placed section.
    pub header_size: u64,
    /// Where read-only data and code begin.
    pub image_base: u64,
    /// One past the last address they may take.
    pub image_end: u64,
    /// The guest's stack: a zero-filled segment of its own.
    pub stack: Region,
    /// Sections with decided addresses.
    pub placements: Vec<Placement>,
}

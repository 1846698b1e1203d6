//! The program header: what the runtime must know of the program it is linked with.
//!
//! In: nothing. Out: `repr(C)` records, written by the compiler's `emit` with relocations for the
//! addresses, read by the runtime. All addresses are absolute and 8 bytes wide.

/// Defined by the program under [`crate::symbol::PROGRAM`].
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ProgramHeader {
    /// Address of the instance state, passed to the program's main function.
    pub state: u64,
    /// Address of an array of [`MemoryInfo`], one for each linear memory of the program.
    pub memories: u64,
    /// Entries in `memories`.
    pub memory_count: u64,
    /// Address of an array of [`ImageRange`]; a memory says which of them are its own.
    pub images: u64,
    /// Address of an array of [`Copy`], to be done at start, in order, after memories are reserved.
    pub copies: u64,
    /// Entries in `copies`.
    pub copy_count: u64,
    /// Address of an array of [`TableInfo`]: the tables with a reservation of their own.
    pub tables: u64,
    /// Entries in `tables`.
    pub table_count: u64,
    /// Address of an array of [`TextChunk`], ascending by address.
    pub chunks: u64,
    /// Entries in `chunks`.
    pub chunk_count: u64,
    /// Address of an array of [`FuncRecord`]; a chunk says which of them are its own.
    pub functions: u64,
    /// Address of the function names, back to back, not terminated.
    pub names: u64,
    /// Address of an array of `u32`: offsets of trapping instructions in their chunk, ascending.
    pub trap_offsets: u64,
    /// Address of an array of `u8`: the trap codes, parallel to `trap_offsets`.
    pub trap_codes: u64,
    /// Lowest usable address of the guest's stack. `STACK_GUARD` bytes below it are unmapped.
    pub stack_base: u64,
    /// Size of the guest's stack in bytes, a multiple of 64 KiB.
    pub stack_size: u64,
}

impl ProgramHeader {
    /// Size of the record in bytes.
    pub const SIZE: u32 = size_of::<Self>() as u32;
}

/// How a linear memory is set up at start.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct MemoryInfo {
    /// Address of its [`crate::state::MemoryDescriptor`] (whose `base` and `len` are already set).
    pub descriptor: u64,
    /// Bytes of address space to reserve from `base` (`PROT_NONE`). Zero: reserve nothing, map pages
    /// as the memory grows (checked memories).
    pub reservation: u64,
    /// First of its entries in [`ProgramHeader::images`].
    pub first_image: u32,
    /// Number of its entries there; ascending by address, not overlapping.
    pub image_count: u32,
}

/// A part of a linear memory that the executable's own segments map, readable and writable, before
/// the runtime starts. What lies outside all images the runtime maps itself.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ImageRange {
    /// First address, a multiple of the target's largest page size.
    pub start: u64,
    /// One past the last address, likewise; never beyond the memory's initial length.
    pub end: u64,
}

/// How a table outside the state block is set up at start: `reservation` bytes at its base are mapped
/// readable and writable without reserve; untouched pages cost nothing.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TableInfo {
    /// Address of its [`crate::state::TableDescriptor`].
    pub descriptor: u64,
    /// Bytes to map from `base`, a multiple of 64 KiB.
    pub reservation: u64,
}

/// Bytes to be copied at start: an initial image too small to be worth a segment of its own.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Copy {
    /// Where to.
    pub to: u64,
    /// Where from.
    pub from: u64,
    /// How many bytes.
    pub len: u64,
}

/// A contiguous stretch of generated code.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TextChunk {
    /// Address of its first byte.
    pub start: u64,
    /// Size in bytes.
    pub size: u32,
    /// First of its records in [`ProgramHeader::functions`].
    pub first_function: u32,
    /// Number of its records, ascending by offset.
    pub function_count: u32,
    /// First of its entries in `trap_offsets` and `trap_codes`.
    pub first_trap: u32,
    /// Number of its entries.
    pub trap_count: u32,
    /// Zero.
    pub reserved: u32,
}

/// A generated function, for backtraces. Behind the last function stands a record that only ends its
/// name.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct FuncRecord {
    /// Offset of its first byte in its chunk.
    pub offset: u32,
    /// Offset of its name in [`ProgramHeader::names`]. The name ends where the next record's begins; it
    /// is empty when the module gives none (printed as `func[17]`).
    pub name: u32,
    /// Low 31 bits: the function's index in its module. Top bit: [`FuncRecord::FRAMELESS`].
    pub index: u32,
}

impl FuncRecord {
    /// The function keeps no frame record: its return address is in the link register, and the
    /// frame pointer is still its caller's.
    pub const FRAMELESS: u32 = 1 << 31;
    /// Set in the low 31 bits: glue made by the compiler, to be left out of a backtrace.
    pub const GLUE: u32 = FRAMELESS_MASK;
    /// Size of the record in bytes.
    pub const SIZE: u32 = size_of::<Self>() as u32;
}

const FRAMELESS_MASK: u32 = (1 << 31) - 1;

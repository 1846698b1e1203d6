//! The address map of an executable whose instance state is at fixed addresses.
//!
//! In: nothing. Out: the addresses that the compiler bakes into code, the linker places sections at
//! and the runtime compares fault addresses with. Only the constants live here; which memory or table
//! gets which slot of the map is decided by the compiler's `layout`.
//!
//! ```text
//! 0x0010_0000  STATE_BASE   RW  file offset 0: ELF header, program headers, instance state, folded
//!                               tables; behind it in the same segment the runtime's .data and .bss
//! 0x0200_0000  STATE_END        STACK_GUARD bytes that stay unmapped, then RW the guest's stack
//!              (computed)   R   read-only data, then RX code
//! 0x1000_0000  MEMORY_BASE      linear memories, MEMORY_STRIDE apart; then large tables
//! ```
//!
//! In a program that allocates objects the garbage-collected heap takes the addresses from `MEMORY_BASE` up to
//! 4 GiB, for references to objects have 32 bits; linear memories and large tables follow it.
//!
//! The first file page is mapped at `STATE_BASE`, so instance state needs no padding in the file on
//! any page size: its file offset and its address agree modulo 64 KiB because both count from zero.

/// Where file offset 0 is mapped. 64 KiB-aligned (one `movz` on aarch64, one `lui` on riscv64), above
/// the usual `vm.mmap_min_addr`.
pub const STATE_BASE: u64 = 0x0010_0000;

/// One past the last address that the state segment (with the runtime's own data) may take. The stack
/// lies above, below every linear memory: an emulator that reserves the whole range from an
/// executable's first segment to its last then leaves the memories' address space free.
pub const STATE_END: u64 = 0x0200_0000;

/// Linear memory 0. Below 2 GiB, so that on x86_64 it folds into the displacement of an access.
pub const MEMORY_BASE: u64 = 0x1000_0000;

/// Linear memory 0 of a program whose code and stack would not fit below [`MEMORY_BASE`].
pub const MEMORY_BASE_LARGE: u64 = 0x6000_0000;

/// Address space reserved for a guarded 32-bit memory: 4 GiB of index, 4 GiB of static offset, and a
/// page for the width of the access. No access of a 32-bit memory can leave it.
pub const GUARDED_RESERVATION: u64 = 0x2_0000_0000 + 0x1_0000;

/// Distance between two linear memories in the map.
pub const MEMORY_STRIDE: u64 = 0x2_1000_0000;

/// Unmapped space kept below the guest's stack. A frame of the runtime must never be larger; frames
/// of guest code are probed page by page.
pub const STACK_GUARD: u64 = 0x10_0000;

/// Bytes of the ELF header and the program headers that stand before the instance state, for an
/// executable with `images` mapped memory images. The linker must not need more.
///
/// 64 bytes of ELF header, then 56 a program header: five fixed ones (state, read-only data, code, stack,
/// `PT_GNU_STACK`) and one for each image.
#[must_use]
pub const fn header_size(images: usize) -> u64 {
    (64 + 56 * (5 + images as u64)).next_multiple_of(16)
}

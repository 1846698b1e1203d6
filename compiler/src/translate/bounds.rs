//! Guest address → host address. THE SANDBOX LIVES HERE: this is the only guest-address arithmetic.
//!
//! In: a memory, an index (of the memory's address type, any bits), a static offset and the width of an access.
//! Out: a base value and an immediate such that base + immediate is inside the memory's reservation, or the
//! access traps.
//!
//! **Guarded memories.** 8 GiB + 64 KiB of address space belong to each memory. The index is zero-extended:
//! at most 4 GiB - 1. The static offset of an instruction is at most 4 GiB - 1. The access is at most 16 bytes
//! wide. The sum is below 8 GiB + 16, so base + index + offset never leaves the reservation, whatever the guest
//! does, and what lies beyond the memory's length is not mapped: the hardware makes the check. A memory whose
//! length need not be a multiple of the kernel's page size is never guarded.
//!
//! **Checked memories with 32-bit addresses.** The length is loaded, and index + offset + width (at most
//! 8 GiB + 16, so no 64-bit sum wraps) is compared with it. Where the check fails, a trap instruction stands.
//!
//! **Memories with 64-bit addresses** are always checked; index and offset may be any 64-bit number, and
//! neither may the sum wrap. Let `reach` be offset + width, or all ones where that wraps. A memory never gets
//! shorter than it was at first, so that there are two cases, known when the code is made:
//!
//! - `reach` ≤ initial length: length - reach cannot wrap, and the access is inside exactly if
//!   index ≤ length - reach. One comparison, and the right side does not depend on the index.
//! - otherwise index + reach is computed, a carry traps, and the sum is compared with the length. A `reach` of
//!   all ones carries or is longer than any memory.
//!
//! Only behind the check is the address computed: base + index + offset is then inside, so it does not wrap.
//!
//! Zero-extension is done on the 32-bit value itself or taken from a load that zero-extended ([`Translator::widen`]).
//! No value of more than 32 bits ever enters as an index of a memory with 32-bit addresses.

use super::state::Access;
use super::{Region, Translator, trap_code};
use crate::layout::BaseAccess;
use crate::program::MemoryId;
use crate::symbol::Symbol;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    ExternalName, GlobalValueData, InstBuilder, MemFlagsData, Value, types,
};
use elfin_abi::state::MemoryDescriptor;
use elfin_abi::trap::TrapCode;

impl Translator<'_, '_> {
    /// Host address of byte 0 of a memory.
    pub(super) fn memory_base(&mut self, memory: MemoryId) -> Value {
        match self
            .env
            .layout
            .base_access(self.env.program, memory, self.env.arch)
        {
            BaseAccess::Constant(base) => self.iconst64(base),
            BaseAccess::Symbol => {
                let symbol = match self.memory_symbol {
                    Some(symbol) => symbol,
                    None => {
                        let name = self
                            .builder
                            .func
                            .declare_imported_user_function(Symbol::Memory.encode());
                        let symbol = self.builder.create_global_value(GlobalValueData::Symbol {
                            name: ExternalName::user(name),
                            offset: 0.into(),
                            colocated: true,
                            tls: false,
                        });
                        self.memory_symbol = Some(symbol);
                        symbol
                    }
                };
                self.builder.ins().symbol_value(types::I64, symbol)
            }
            BaseAccess::Load => {
                let descriptor = self.env.layout.memories[memory.index()].descriptor;
                self.load_state_word(descriptor, MemoryDescriptor::BASE, Access::Constant)
            }
        }
    }

    /// Current length of a memory in bytes.
    pub(super) fn memory_length(&mut self, memory: MemoryId) -> Value {
        let descriptor = self.env.layout.memories[memory.index()].descriptor;
        self.load_state_word(
            descriptor,
            MemoryDescriptor::LEN,
            Access::Mutable(Region::MemoryLength(memory.0)),
        )
    }

    /// Flags of an access to a memory: it may fault, at any alignment.
    pub(super) fn memory_flags(&mut self, memory: MemoryId) -> MemFlagsData {
        let region = self.region(Region::Memory(memory.0));
        MemFlagsData::new().with_alias_region(Some(region))
    }

    /// Where an access of `width` bytes at `index` + `offset` goes.
    pub(super) fn guest_address(
        &mut self,
        memory: MemoryId,
        index: Value,
        offset: u64,
        width: u64,
    ) -> (Value, i32) {
        let is_64 = self.env.program.memories[memory.index()].is_64;
        debug_assert_eq!(
            self.builder.func.dfg.value_type(index),
            if is_64 { types::I64 } else { types::I32 }
        );
        debug_assert!((is_64 || offset <= u64::from(u32::MAX)) && width <= 16);
        let index = self.widen(index);
        if is_64 {
            self.check_64(memory, index, offset.saturating_add(width));
        } else if self.env.layout.memories[memory.index()].reservation == 0 {
            let end = self
                .builder
                .ins()
                .iadd_imm_u(index, (offset + width).cast_signed());
            let length = self.memory_length(memory);
            self.trap_if_greater(end, length, TrapCode::MemoryOutOfBounds);
        }
        let base = self.memory_base(memory);
        match i32::try_from(offset) {
            Ok(offset) => (self.builder.ins().iadd(base, index), offset),
            Err(_) => {
                let index = self.builder.ins().iadd_imm_u(index, offset.cast_signed());
                (self.builder.ins().iadd(base, index), 0)
            }
        }
    }

    /// Host address of an access of `width` bytes at `index` + `offset` that is not made by an instruction which
    /// faults beyond the memory's length: it is compared with the length in every kind of memory.
    pub(super) fn checked_address(
        &mut self,
        memory: MemoryId,
        index: Value,
        offset: u64,
        width: u64,
    ) -> Value {
        let index = self.widen(index);
        let start = if self.env.program.memories[memory.index()].is_64 {
            let offset = self.iconst64(offset);
            let code = trap_code(TrapCode::MemoryOutOfBounds);
            self.builder.ins().uadd_overflow_trap(index, offset, code)
        } else {
            // At most 8 GiB: no carry.
            self.builder.ins().iadd_imm_u(index, offset.cast_signed())
        };
        let width = self.iconst64(width);
        self.guest_range(memory, start, width)
    }

    /// Traps unless `index` + `offset` is a multiple of `width`, a power of two. Where the sum would wrap, its low
    /// bits are right all the same, and the bounds check behind this one fails.
    pub(super) fn check_alignment(&mut self, index: Value, offset: u64, width: u64) {
        if width == 1 {
            return;
        }
        let ty = self.builder.func.dfg.value_type(index);
        let sum = match offset % width {
            0 => index,
            rest => self.builder.ins().iadd_imm_u(index, rest.cast_signed()),
        };
        let low = self
            .builder
            .ins()
            .band_imm_u(sum, (width - 1).cast_signed());
        debug_assert_eq!(self.builder.func.dfg.value_type(low), ty);
        self.builder
            .ins()
            .trapnz(low, trap_code(TrapCode::UnalignedAtomic));
    }

    /// Traps unless `index` + `reach` is within a memory with 64-bit addresses.
    fn check_64(&mut self, memory: MemoryId, index: Value, reach: u64) {
        debug_assert_eq!(self.env.layout.memories[memory.index()].reservation, 0);
        let length = self.memory_length(memory);
        if reach <= self.env.program.memories[memory.index()].initial {
            let reach = self.iconst64(reach);
            let last = self.builder.ins().isub(length, reach);
            self.trap_if_greater(index, last, TrapCode::MemoryOutOfBounds);
        } else {
            let reach = self.iconst64(reach);
            let code = trap_code(TrapCode::MemoryOutOfBounds);
            let end = self.builder.ins().uadd_overflow_trap(index, reach, code);
            self.trap_if_greater(end, length, TrapCode::MemoryOutOfBounds);
        }
    }

    fn trap_if_greater(&mut self, value: Value, limit: Value, code: TrapCode) {
        let outside = self
            .builder
            .ins()
            .icmp(IntCC::UnsignedGreaterThan, value, limit);
        self.builder.ins().trapnz(outside, trap_code(code));
    }

    /// `index` + `len`, both of any address type. Two zero-extended i32 cannot carry; where one is an i64, a
    /// carry traps.
    pub(super) fn range_end(&mut self, index: Value, len: Value, code: TrapCode) -> Value {
        let ty = |value| self.builder.func.dfg.value_type(value);
        let can_carry = ty(index) == types::I64 || ty(len) == types::I64;
        let index = self.widen(index);
        let len = self.widen(len);
        if can_carry {
            self.builder
                .ins()
                .uadd_overflow_trap(index, len, trap_code(code))
        } else {
            self.builder.ins().iadd(index, len)
        }
    }

    /// Host address of the range of `len` bytes at `index`, which is checked to lie inside the memory.
    pub(super) fn guest_range(&mut self, memory: MemoryId, index: Value, len: Value) -> Value {
        let end = self.range_end(index, len, TrapCode::MemoryOutOfBounds);
        let index = self.widen(index);
        let length = self.memory_length(memory);
        self.trap_if_greater(end, length, TrapCode::MemoryOutOfBounds);
        let base = self.memory_base(memory);
        self.builder.ins().iadd(base, index)
    }
}

//! Guest address → host address. THE SANDBOX LIVES HERE: this is the only guest-address arithmetic.
//!
//! In: a memory, an index (i32, any bits), a static offset and the width of an access. Out: a base value and
//! an immediate such that base + immediate is inside the memory's reservation, or the access traps.
//!
//! **Guarded memories.** 8 GiB + 64 KiB of address space belong to each memory. The index is zero-extended:
//! at most 4 GiB - 1. The static offset of an instruction is at most 4 GiB - 1. The access is at most 16 bytes
//! wide. The sum is below 8 GiB + 16, so base + index + offset never leaves the reservation, whatever the guest
//! does, and what lies beyond the memory's length is not mapped: the hardware makes the check.
//!
//! **Checked memories.** The length is loaded, and index + offset + width (at most 8 GiB + 16, so no 64-bit sum
//! wraps) is compared with it. Where the check fails, a trap instruction stands.
//!
//! Zero-extension is done on the 32-bit value itself or taken from a load that zero-extended ([`Translator::widen`]).
//! No value of more than 32 bits ever enters as an index.

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
        debug_assert_eq!(self.builder.func.dfg.value_type(index), types::I32);
        debug_assert!(offset <= u64::from(u32::MAX) && width <= 16);
        let index = self.widen(index);
        if self.env.layout.memories[memory.index()].reservation == 0 {
            let length = self.memory_length(memory);
            let end = self
                .builder
                .ins()
                .iadd_imm_u(index, (offset + width).cast_signed());
            let outside = self
                .builder
                .ins()
                .icmp(IntCC::UnsignedGreaterThan, end, length);
            self.builder
                .ins()
                .trapnz(outside, trap_code(TrapCode::MemoryOutOfBounds));
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

    /// Host address of the range of `len` bytes (i32) at `index` (i32), which is checked to lie inside the memory.
    pub(super) fn guest_range(&mut self, memory: MemoryId, index: Value, len: Value) -> Value {
        let index = self.widen(index);
        let len = self.widen(len);
        let end = self.builder.ins().iadd(index, len);
        let length = self.memory_length(memory);
        let outside = self
            .builder
            .ins()
            .icmp(IntCC::UnsignedGreaterThan, end, length);
        self.builder
            .ins()
            .trapnz(outside, trap_code(TrapCode::MemoryOutOfBounds));
        let base = self.memory_base(memory);
        self.builder.ins().iadd(base, index)
    }
}

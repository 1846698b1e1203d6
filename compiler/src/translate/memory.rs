//! Loads, stores, `memory.size` and `memory.grow` (core spec, 4.4.7).

use super::Translator;
use super::types;
use crate::program::MemoryId;
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Type, Value};
use elfin_abi::host::Libcall;
use wasmparser::{MemArg, MemArgTarget};

impl Translator<'_, '_> {
    pub(super) fn memory(&self, index: u32) -> MemoryId {
        self.instance.memories[index as usize]
    }

    /// The memory that an access goes to.
    pub(super) fn accessed(&self, memarg: &MemArg) -> MemoryId {
        match memarg.target {
            MemArgTarget::Memory(index) => self.memory(index),
            other => unreachable!("parsed: an access of {other:?} was refused"),
        }
    }

    /// Takes the address of an access of `width` bytes: flags, base and immediate.
    pub(super) fn access(&mut self, memarg: &MemArg, width: u32) -> (MemFlagsData, Value, i32) {
        let memory = self.accessed(memarg);
        let index = self.pop();
        let flags = self.memory_flags(memory);
        let (base, offset) = self.guest_address(memory, index, memarg.offset, u64::from(width));
        (flags, base, offset)
    }

    /// A load of the whole type.
    pub(super) fn load(&mut self, memarg: &MemArg, ty: Type) {
        let (flags, base, offset) = self.access(memarg, ty.bytes());
        let value = self.builder.ins().load(ty, flags, base, offset);
        self.push(value);
    }

    /// A load of `from` into a wider `to`.
    pub(super) fn load_extended(&mut self, memarg: &MemArg, to: Type, from: Type, signed: bool) {
        let (flags, base, offset) = self.access(memarg, from.bytes());
        let b = self.builder.ins();
        let value = match (from, signed) {
            (types::I8, true) => b.sload8(to, flags, base, offset),
            (types::I8, false) => b.uload8(to, flags, base, offset),
            (types::I16, true) => b.sload16(to, flags, base, offset),
            (types::I16, false) => b.uload16(to, flags, base, offset),
            (_, true) => b.sload32(flags, base, offset),
            (_, false) => b.uload32(flags, base, offset),
        };
        self.push(value);
    }

    /// An i32 loaded from `from` with zero-extension: it is loaded as an i64, which is kept for addresses that
    /// are computed from it.
    pub(super) fn load_zero_extended(&mut self, memarg: &MemArg, from: Type) {
        self.load_extended(memarg, types::I64, from, false);
        let wide = self.pop();
        let value = self.builder.ins().ireduce(types::I32, wide);
        self.wide.insert(value, wide);
        self.push(value);
    }

    /// A store of the low bytes of a value; floats are stored whole.
    pub(super) fn store(&mut self, memarg: &MemArg, ty: Type) {
        let memory = self.accessed(memarg);
        let (index, value) = self.pop2();
        let flags = self.memory_flags(memory);
        let (base, offset) =
            self.guest_address(memory, index, memarg.offset, u64::from(ty.bytes()));
        let whole = self.builder.func.dfg.value_type(value).bytes() == ty.bytes();
        let b = self.builder.ins();
        match ty {
            _ if whole => b.store(flags, value, base, offset),
            types::I8 => b.istore8(flags, value, base, offset),
            types::I16 => b.istore16(flags, value, base, offset),
            _ => b.istore32(flags, value, base, offset),
        };
    }

    pub(super) fn memory_size(&mut self, index: u32) {
        let memory = self.memory(index);
        let info = &self.env.program.memories[memory.index()];
        let length = if info.shared {
            self.shared_length(memory)
        } else {
            self.memory_length(memory)
        };
        let pages = self
            .builder
            .ins()
            .ushr_imm_u(length, i64::from(info.page_log2));
        self.push_address(pages, info.is_64);
    }

    pub(super) fn memory_grow(&mut self, index: u32) {
        let memory = self.memory(index);
        let pages = self.pop();
        let pages = self.widen(pages);
        let descriptor = self.env.layout.memories[memory.index()].descriptor;
        let descriptor = self.state_address(descriptor);
        let info = &self.env.program.memories[memory.index()];
        let libcall = if info.shared {
            Libcall::SharedMemoryGrow
        } else {
            Libcall::MemoryGrow
        };
        let old = self.call_libcall(libcall, &[descriptor, pages]);
        self.push_address(old[0], info.is_64);
    }
}

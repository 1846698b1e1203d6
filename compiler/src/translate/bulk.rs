//! Bulk memory operators (core spec, 4.4.7): checked here, copied by the runtime or, where the length is a
//! small constant, inline.

use super::state::Access;
use super::{Region, Translator, trap_code, types};
use crate::program::DataId;
use crate::symbol::Symbol;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Type, Value};
use elfin_abi::host::Libcall;
use elfin_abi::state::SegmentDescriptor;
use elfin_abi::trap::TrapCode;

/// Longest copy or fill that is done inline.
const MAX_INLINE: u64 = 32;

/// Splits a small length into accesses: offset and type, the widest first.
fn pieces(len: u64) -> Vec<(i32, Type)> {
    let mut pieces = Vec::new();
    let mut at = 0;
    for ty in [types::I64, types::I32, types::I16, types::I8] {
        let width = u64::from(ty.bytes());
        while len - at >= width {
            pieces.push((at as i32, ty));
            at += width;
        }
    }
    pieces
}

impl Translator<'_, '_> {
    pub(super) fn memory_copy(&mut self, to: u32, from: u32) {
        let (to_memory, from_memory) = (self.memory(to), self.memory(from));
        let (to, from, len) = self.pop3();
        let constant = self.constant(len);
        let from = self.guest_range(from_memory, from, len);
        let to = self.guest_range(to_memory, to, len);
        if let Some(len) = constant
            && len <= MAX_INLINE
        {
            // Both ranges are inside: nothing can trap now. All loads come first, for the ranges may overlap.
            let load_flags = self.memory_flags(from_memory).with_notrap();
            let store_flags = self.memory_flags(to_memory).with_notrap();
            let loaded: Vec<(i32, Value)> = pieces(len)
                .into_iter()
                .map(|(at, ty)| (at, self.builder.ins().load(ty, load_flags, from, at)))
                .collect();
            for (at, value) in loaded {
                self.builder.ins().store(store_flags, value, to, at);
            }
            return;
        }
        let len = self.widen(len);
        self.call_libcall(Libcall::Memmove, &[to, from, len]);
    }

    pub(super) fn memory_fill(&mut self, memory: u32) {
        let memory = self.memory(memory);
        let (to, byte, len) = self.pop3();
        let constants = (self.constant(byte), self.constant(len));
        let to = self.guest_range(memory, to, len);
        if let (Some(byte), Some(len)) = constants
            && len <= MAX_INLINE
        {
            let flags = self.memory_flags(memory).with_notrap();
            for (at, ty) in pieces(len) {
                let pattern = u64::from_ne_bytes([byte as u8; 8]) & (u64::MAX >> (64 - ty.bits()));
                let value = self.builder.ins().iconst(ty, pattern.cast_signed());
                self.builder.ins().store(flags, value, to, at);
            }
            return;
        }
        let len = self.widen(len);
        self.call_libcall(Libcall::Memset, &[to, byte, len]);
    }

    pub(super) fn memory_init(&mut self, data: u32, memory: u32) {
        let memory = self.memory(memory);
        let id = DataId(self.instance.first_data + data);
        let (to, from, len) = self.pop3();
        let to = self.guest_range(memory, to, len);
        let descriptor = self.env.layout.data[id.index()]
            .expect("used: a segment that is read has a descriptor");
        let from = self.segment_range(descriptor, from, len, 0, TrapCode::MemoryOutOfBounds);
        let len = self.widen(len);
        self.call_libcall(Libcall::Memmove, &[to, from, len]);
    }

    pub(super) fn data_drop(&mut self, data: u32) {
        let id = DataId(self.instance.first_data + data);
        let descriptor = self.env.layout.data[id.index()]
            .expect("used: a segment that is dropped has a descriptor");
        self.drop_segment(descriptor);
    }

    pub(super) fn drop_segment(&mut self, descriptor: u32) {
        let zero = self.iconst64(0);
        self.store_state(zero, descriptor, SegmentDescriptor::LEN, Region::Segments);
    }

    /// Address of `len` elements of 1 << `log2` bytes at `index` of a passive segment, checked.
    pub(super) fn segment_range(
        &mut self,
        descriptor: u32,
        index: Value,
        len: Value,
        log2: i64,
        code: TrapCode,
    ) -> Value {
        let index = self.widen(index);
        let len = self.widen(len);
        let end = self.builder.ins().iadd(index, len);
        let length = self.load_state_word(
            descriptor,
            SegmentDescriptor::LEN,
            Access::Mutable(Region::Segments),
        );
        let outside = self
            .builder
            .ins()
            .icmp(IntCC::UnsignedGreaterThan, end, length);
        self.builder.ins().trapnz(outside, trap_code(code));
        let base = self.load_state_word(descriptor, SegmentDescriptor::BASE, Access::Constant);
        let offset = self.builder.ins().ishl_imm_u(index, log2);
        self.builder.ins().iadd(base, offset)
    }

    /// Address of a read-only object of the program.
    pub(super) fn symbol_address(&mut self, symbol: Symbol) -> Value {
        use cranelift_codegen::ir::{ExternalName, GlobalValueData};
        if let Some(global) = self.symbols.get(&symbol) {
            return self.builder.ins().symbol_value(types::I64, *global);
        }
        let name = self
            .builder
            .func
            .declare_imported_user_function(symbol.encode());
        let global = self.builder.create_global_value(GlobalValueData::Symbol {
            name: ExternalName::user(name),
            offset: 0.into(),
            colocated: true,
            tls: false,
        });
        self.symbols.insert(symbol, global);
        self.builder.ins().symbol_value(types::I64, global)
    }
}

//! Room for objects: the next address, if the half in use has as much left; else the collector makes room.
//!
//! Whatever refers to an object may have moved behind this; see the rule of the parent room.

use super::super::state::Access;
use super::super::{Region, Translator, trap_code, types};
use crate::module::{RefType, ValType};
use crate::program::TypeId;
use crate::symbol::Symbol;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{BlockArg, InstBuilder, MemFlagsData, Value};
use elfin_abi::gc::{self, Heap};
use elfin_abi::host::Libcall;
use elfin_abi::trap::TrapCode;
use wasmparser::PackedIndex;

impl Translator<'_, '_> {
    /// A new object of a type of the program, of `size` bytes (i64, a multiple of the granule). It has its type's
    /// number; everything else is to be written before the next call.
    pub(super) fn new_object(&mut self, id: TypeId, size: Value) -> Value {
        let number = self.env.layout.types.numbers(id).0;
        let object = self.allocate(number, size);
        if let Some(index) = PackedIndex::from_module_index(id.0) {
            self.note(object, ValType::Ref(RefType::concrete(false, index)));
        }
        object
    }

    /// `size` bytes of the heap, with a type's number in front. The caller tells the collector of the address.
    pub(in super::super) fn allocate(&mut self, number: u32, size: Value) -> Value {
        let heap = self
            .env
            .layout
            .heap
            .expect("used: a program that makes objects has a heap")
            .state;
        let (object, end) = if self.cold {
            let object = self.call_collector(size);
            (object, self.builder.ins().iadd(object, size))
        } else {
            let next = self.load_state_word(heap, Heap::NEXT, Access::Mutable(Region::Heap(0)));
            let limit = self.load_state_word(heap, Heap::LIMIT, Access::Mutable(Region::Heap(1)));
            let end = self.builder.ins().iadd(next, size);
            let full = self
                .builder
                .ins()
                .icmp(IntCC::UnsignedGreaterThan, end, limit);
            let (collect, go_on) = (self.builder.create_block(), self.builder.create_block());
            let object = self.builder.append_block_param(go_on, types::I64);
            let object_end = self.builder.append_block_param(go_on, types::I64);
            self.builder.set_cold_block(collect);
            let there = [BlockArg::Value(next), BlockArg::Value(end)];
            self.builder.ins().brif(full, collect, &[], go_on, &there);
            self.builder.seal_block(collect);
            self.builder.switch_to_block(collect);
            let found = self.call_collector(size);
            let found_end = self.builder.ins().iadd(found, size);
            self.jump(go_on, &[found, found_end]);
            self.builder.seal_block(go_on);
            self.builder.switch_to_block(go_on);
            (object, object_end)
        };
        self.store_state(end, heap, Heap::NEXT, Region::Heap(0));
        let number = self.iconst32(number);
        let flags = self.header_flags();
        self.builder.ins().store(flags, number, object, gc::TYPE);
        object
    }

    fn call_collector(&mut self, size: Value) -> Value {
        let program = self.symbol_address(Symbol::Gc);
        let libcall = if self.env.layout.has_threads {
            Libcall::ThreadGcAllocate
        } else {
            Libcall::GcAllocate
        };
        let found = self.call_libcall(libcall, &[program, size])[0];
        self.builder
            .ins()
            .trapz(found, trap_code(TrapCode::GcHeapExhausted));
        found
    }

    /// Flags of an access to the header of what is an object.
    pub(super) fn header_flags(&mut self) -> MemFlagsData {
        let region = self.region(Region::Header);
        MemFlagsData::new()
            .with_notrap()
            .with_alias_region(Some(region))
    }
}

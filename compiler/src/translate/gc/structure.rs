//! Structs (core spec, 4.4.4). A field is a displacement from the reference.

use super::super::{Region, Translator};
use cranelift_codegen::ir::{InstBuilder, MemFlagsData};
use elfin_abi::gc::{self, LENGTH};
use elfin_abi::host::Libcall;
use elfin_abi::trap::TrapCode;

/// Longest struct whose fields are set to zero one by one.
const MAX_INLINE: u32 = 512;

impl Translator<'_, '_> {
    pub(super) fn struct_new(&mut self, index: u32) {
        let id = self.type_id(index);
        let (size, fields) = self.env.layout.types.structure(id);
        let values = self.pop_n(fields.len());
        let size = self.iconst64(u64::from(size));
        let object = self.new_object(id, size);
        for (field, value) in fields.iter().zip(values) {
            let region = self.region(Region::Field(field.offset));
            let flags = MemFlagsData::new()
                .with_notrap()
                .with_alias_region(Some(region));
            self.store_storage(field.storage, value, flags, object, field.offset as i32);
        }
        self.push(object);
    }

    pub(super) fn struct_new_default(&mut self, index: u32) {
        let id = self.type_id(index);
        let (size, fields) = self.env.layout.types.structure(id);
        if size > MAX_INLINE {
            // Ten thousand fields are four bytes of a module.
            let all = self.iconst64(u64::from(size));
            let object = self.new_object(id, all);
            let first = self.builder.ins().iadd_imm_u(object, i64::from(LENGTH));
            let zero = self.iconst32(0);
            let bytes = self.iconst64(u64::from(size - LENGTH as u32));
            self.call_libcall(Libcall::Memset, &[first, zero, bytes]);
            self.push(object);
            return;
        }
        for field in fields {
            let zero = self.zero_storage(field.storage);
            self.push(zero);
        }
        self.struct_new(index);
    }

    pub(super) fn struct_get(&mut self, index: u32, field: u32, signed: bool) {
        let (_, fields) = self.env.layout.types.structure(self.type_id(index));
        let field = fields[field as usize];
        let reference = self.pop();
        let flags = self.object_flags(
            reference,
            field.offset,
            Region::Field(field.offset),
            TrapCode::NullStructReference,
        );
        let offset = field.offset as i32;
        let value = self.load_storage(field.storage, signed, flags, reference, offset);
        self.push(value);
    }

    pub(super) fn struct_set(&mut self, index: u32, field: u32) {
        let (_, fields) = self.env.layout.types.structure(self.type_id(index));
        let field = fields[field as usize];
        let (reference, value) = self.pop2();
        let flags = self.object_flags(
            reference,
            field.offset,
            Region::Field(field.offset),
            TrapCode::NullStructReference,
        );
        self.store_storage(field.storage, value, flags, reference, field.offset as i32);
    }

    /// The length in an array's header.
    pub(super) fn store_length(
        &mut self,
        array: cranelift_codegen::ir::Value,
        length: cranelift_codegen::ir::Value,
    ) {
        let flags = self.header_flags();
        self.builder
            .ins()
            .istore32(flags, length, array, gc::LENGTH);
    }
}

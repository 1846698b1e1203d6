//! References to objects (core spec, 4.4.3 and 4.4.4): what they are, which of them the collector must know, and
//! operators on them.
//!
//! A reference is a word (`elfin_abi::gc`). The collector moves objects whenever it is called, so every SSA value
//! that may be the address of one is declared to the code generator, which keeps it in the frame across calls and
//! loads it again behind them. Hence the rule of this room: an address computed from a reference is used before the
//! next call, and never kept. In a program that makes no objects nothing is declared.
//!
//! Rooms: `allocate` makes room, `structure` and `array` work on fields and elements, `cast` tells types apart,
//! `opaque` converts references from and to outside, `constant` evaluates constant expressions that make objects,
//! `roots` counts what the collector is told of.

mod allocate;
mod array;
mod cast;
mod constant;
mod opaque;
mod roots;
mod structure;

pub(super) use roots::Roots;

use super::{Env, Region, Translator, trap_code, types};
use crate::canonical;
use crate::module::{RefType, ValType};
use crate::objects::Storage;
use crate::program::TypeId;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{AliasRegionData, InstBuilder, MemFlagsData, Value};
use elfin_abi::gc;
use elfin_abi::trap::TrapCode;
use wasmparser::{AbstractHeapType, HeapType, Operator, StorageType};

/// An access through null is a fault up to this offset: nothing is mapped there. Beyond, null is tested for.
const NULL_PAGE: u32 = 0x1_0000;

impl Env<'_> {
    /// Whether a value of this type of the program may be the address of an object.
    pub(crate) fn is_traced(&self, ty: ValType) -> bool {
        use AbstractHeapType::{I31, NoCont, NoExn, NoExtern, None};
        let ValType::Ref(ty) = ty else { return false };
        let never = matches!(
            ty.heap_type(),
            HeapType::Abstract {
                ty: I31 | None | NoExtern | NoExn | NoCont,
                ..
            }
        );
        self.usage.allocates && !never && !canonical::is_function(&self.program.types, ty)
    }
}

impl Translator<'_, '_> {
    /// Notes what is known of a new value of this type of the program; the collector learns of it.
    pub(super) fn note(&mut self, value: Value, ty: ValType) {
        if self.env.is_traced(ty) {
            self.builder.declare_value_needs_stack_map(value);
        }
        self.know(value, ty);
    }

    /// Notes that a value has at least this type.
    pub(super) fn know(&mut self, value: Value, ty: ValType) {
        if self.env.usage.allocates
            && let ValType::Ref(ty) = ty
        {
            self.known.entry(value).or_insert(ty);
        }
    }

    /// What is known of a reference.
    fn known_type(&self, value: Value) -> RefType {
        self.known.get(&value).copied().unwrap_or(RefType::ANYREF)
    }

    /// A value type of the module as one of the program.
    pub(super) fn program_type(&self, ty: ValType) -> ValType {
        canonical::value_type(&self.instance.types, ty)
    }

    fn type_id(&self, index: u32) -> TypeId {
        self.instance.types[index as usize]
    }

    /// Flags of an access at an offset of what a reference leads to: null is a fault, with this code.
    fn object_flags(
        &mut self,
        reference: Value,
        offset: u32,
        region: Region,
        code: TrapCode,
    ) -> MemFlagsData {
        let region = self.region(region);
        let flags = MemFlagsData::new().with_alias_region(Some(region));
        if !self.known_type(reference).is_nullable() {
            return flags.with_notrap();
        }
        if offset >= NULL_PAGE {
            self.builder.ins().trapz(reference, trap_code(code));
            return flags.with_notrap();
        }
        flags.with_trap_code(Some(trap_code(code)))
    }

    /// Loads a field or an element. What is narrower than an i32 is extended as `signed` says.
    pub(super) fn load_storage(
        &mut self,
        storage: Storage,
        signed: bool,
        flags: MemFlagsData,
        address: Value,
        offset: i32,
    ) -> Value {
        let env = self.env;
        let ins = self.builder.ins();
        match storage.ty {
            StorageType::I8 if signed => ins.sload8(types::I32, flags, address, offset),
            StorageType::I8 => ins.uload8(types::I32, flags, address, offset),
            StorageType::I16 if signed => ins.sload16(types::I32, flags, address, offset),
            StorageType::I16 => ins.uload16(types::I32, flags, address, offset),
            StorageType::Val(ty) if ty == ValType::I32 || storage.is_short_reference() => {
                let wide = ins.uload32(flags, address, offset);
                if ty == ValType::I32 {
                    let value = self.builder.ins().ireduce(types::I32, wide);
                    self.wide.insert(value, wide);
                    return value;
                }
                self.note(wide, ty);
                wide
            }
            StorageType::Val(ty) => ins.load(env.clif_type(ty), flags, address, offset),
        }
    }

    /// Stores a field or an element.
    pub(super) fn store_storage(
        &mut self,
        storage: Storage,
        value: Value,
        flags: MemFlagsData,
        address: Value,
        offset: i32,
    ) {
        let ins = self.builder.ins();
        match storage.ty {
            StorageType::I8 => ins.istore8(flags, value, address, offset),
            StorageType::I16 => ins.istore16(flags, value, address, offset),
            _ if storage.is_short_reference() => ins.istore32(flags, value, address, offset),
            StorageType::Val(_) => ins.store(flags, value, address, offset),
        };
    }

    /// What a new field or element holds unless something else is said.
    fn zero_storage(&mut self, storage: Storage) -> Value {
        match storage.ty {
            StorageType::I8 | StorageType::I16 | StorageType::Val(ValType::I32) => self.iconst32(0),
            StorageType::Val(ValType::F32) => self.builder.ins().f32const(0.0),
            StorageType::Val(ValType::F64) => self.builder.ins().f64const(0.0),
            StorageType::Val(ValType::V128) => self.vector_constant(0),
            StorageType::Val(_) => self.iconst64(0),
        }
    }

    /// Translates an operator of this family, or hands it on.
    ///
    /// # Errors
    /// Name of the feature when it is not compiled.
    pub(super) fn object_operator(&mut self, operator: &Operator<'_>) -> Result<(), String> {
        match *operator {
            Operator::RefEq => {
                let (a, b) = self.pop2();
                let equal = self.builder.ins().icmp(IntCC::Equal, a, b);
                let equal = self.builder.ins().uextend(types::I32, equal);
                self.push(equal);
            }
            Operator::RefI31 => self.ref_i31(),
            Operator::I31GetS => self.i31_get(true),
            Operator::I31GetU => self.i31_get(false),
            Operator::AnyConvertExtern => self.any_convert_extern(),
            Operator::ExternConvertAny => self.extern_convert_any(),

            Operator::StructNew { struct_type_index } => self.struct_new(struct_type_index),
            Operator::StructNewDefault { struct_type_index } => {
                self.struct_new_default(struct_type_index)
            }
            Operator::StructGet {
                struct_type_index,
                field_index,
            }
            | Operator::StructGetU {
                struct_type_index,
                field_index,
            } => self.struct_get(struct_type_index, field_index, false),
            Operator::StructGetS {
                struct_type_index,
                field_index,
            } => self.struct_get(struct_type_index, field_index, true),
            Operator::StructSet {
                struct_type_index,
                field_index,
            } => self.struct_set(struct_type_index, field_index),

            Operator::ArrayNew { array_type_index } => self.array_new(array_type_index),
            Operator::ArrayNewDefault { array_type_index } => {
                self.array_new_default(array_type_index)
            }
            Operator::ArrayNewFixed {
                array_type_index,
                array_size,
            } => self.array_new_fixed(array_type_index, array_size),
            Operator::ArrayNewData {
                array_type_index,
                array_data_index,
            } => self.array_new_data(array_type_index, array_data_index),
            Operator::ArrayNewElem {
                array_type_index,
                array_elem_index,
            } => self.array_new_elem(array_type_index, array_elem_index),
            Operator::ArrayGet { array_type_index } | Operator::ArrayGetU { array_type_index } => {
                self.array_get(array_type_index, false)
            }
            Operator::ArrayGetS { array_type_index } => self.array_get(array_type_index, true),
            Operator::ArraySet { array_type_index } => self.array_set(array_type_index),
            Operator::ArrayLen => self.array_len(),
            Operator::ArrayFill { array_type_index } => self.array_fill(array_type_index),
            Operator::ArrayCopy {
                array_type_index_dst,
                ..
            } => self.array_copy(array_type_index_dst),
            Operator::ArrayInitData {
                array_type_index,
                array_data_index,
            } => self.array_init_data(array_type_index, array_data_index),
            Operator::ArrayInitElem {
                array_type_index,
                array_elem_index,
            } => self.array_init_elem(array_type_index, array_elem_index),

            Operator::RefTestNonNull { hty } => self.ref_test(hty, false),
            Operator::RefTestNullable { hty } => self.ref_test(hty, true),
            Operator::RefCastNonNull { hty } => self.ref_cast(hty, false),
            Operator::RefCastNullable { hty } => self.ref_cast(hty, true),
            Operator::BrOnCast {
                relative_depth,
                from_ref_type,
                to_ref_type,
            } => self.br_on_cast(relative_depth, from_ref_type, to_ref_type, true),
            Operator::BrOnCastFail {
                relative_depth,
                from_ref_type,
                to_ref_type,
            } => self.br_on_cast(relative_depth, from_ref_type, to_ref_type, false),

            ref other => return self.vector_operator(other),
        }
        Ok(())
    }

    pub(super) fn ref_i31(&mut self) {
        let number = self.pop();
        let shifted = self.builder.ins().ishl_imm_u(number, 1);
        let tagged = self.builder.ins().bor_imm_u(shifted, gc::I31.cast_signed());
        let reference = self.builder.ins().uextend(types::I64, tagged);
        self.know(reference, ValType::Ref(RefType::I31));
        self.push(reference);
    }

    fn i31_get(&mut self, signed: bool) {
        let reference = self.pop();
        if self.known_type(reference).is_nullable() {
            let code = trap_code(TrapCode::NullI31Reference);
            self.builder.ins().trapz(reference, code);
        }
        let tagged = self.builder.ins().ireduce(types::I32, reference);
        let number = if signed {
            self.builder.ins().sshr_imm_u(tagged, 1)
        } else {
            self.builder.ins().ushr_imm_u(tagged, 1)
        };
        self.push(number);
    }

    /// Tells the code generator in which region of memory it keeps references across calls.
    pub(super) fn name_frame_region(&mut self) {
        if self.env.usage.allocates {
            self.builder
                .make_stack_map_alias_region(Box::new(|regions, _, _, _| {
                    Some(regions.insert(AliasRegionData {
                        user_id: Region::Frame.id(),
                        description: "Frame".into(),
                    }))
                }));
        }
    }
}

//! `extern.convert_any` and `any.convert_extern` (core spec, 4.4.3), and what is opaque.
//!
//! Inside and outside a reference is the same word. Only in a module that stands in for the host (`Module::opaque`) an
//! object that goes out gets the tag of what is opaque (`elfin_abi::gc::OPAQUE`), and loses it when it comes back: so
//! for all other modules it is none of the objects of WebAssembly, however they look at it, and it costs no room. Null
//! and what has a tag already stay as they are.

use super::super::Translator;
use super::cast::{internal, with_null_if};
use crate::canonical;
use crate::module::{RefType, ValType};
use cranelift_codegen::ir::InstBuilder;
use cranelift_codegen::ir::condcodes::IntCC;
use elfin_abi::gc::{OPAQUE, OPAQUE_MASK, TAG_MASK};

impl Translator<'_, '_> {
    pub(super) fn extern_convert_any(&mut self) {
        if !self.tells_outside_apart() {
            return;
        }
        let reference = self.pop();
        let known = internal(self.known_type(reference));
        let is_known = |ty| {
            let known = ValType::Ref(known.as_non_null());
            canonical::is_subtype(&self.env.program.types, known, ValType::Ref(ty))
        };
        let is_object = is_known(RefType::STRUCT) || is_known(RefType::ARRAY);
        let mut result = self
            .builder
            .ins()
            .bor_imm_u(reference, OPAQUE.cast_signed());
        if !is_object {
            let tag = self
                .builder
                .ins()
                .band_imm_u(reference, TAG_MASK.cast_signed());
            let is_plain = self.builder.ins().icmp_imm_u(IntCC::Equal, tag, 0);
            result = self.builder.ins().select(is_plain, result, reference);
        }
        if known.is_nullable() {
            result = self.builder.ins().select(reference, result, reference);
        }
        let ty = with_null_if(known.is_nullable(), RefType::EXTERNREF);
        self.note(result, ValType::Ref(ty));
        self.push(result);
    }

    pub(super) fn any_convert_extern(&mut self) {
        if !self.tells_outside_apart() {
            return;
        }
        let reference = self.pop();
        let known = self.known_type(reference);
        // Without the tag it is the address of an object, or there was another tag.
        let plain = self
            .builder
            .ins()
            .bxor_imm_u(reference, OPAQUE.cast_signed());
        let rest = self
            .builder
            .ins()
            .band_imm_u(plain, OPAQUE_MASK.cast_signed());
        let is_opaque = self.builder.ins().icmp_imm_u(IntCC::Equal, rest, 0);
        let result = self.builder.ins().select(is_opaque, plain, reference);
        let ty = with_null_if(known.is_nullable(), RefType::ANYREF);
        self.note(result, ValType::Ref(ty));
        self.push(result);
    }

    /// Whether conversions change objects here. Without objects there is nothing to change.
    fn tells_outside_apart(&self) -> bool {
        self.instance.module.opaque && self.env.usage.allocates
    }
}

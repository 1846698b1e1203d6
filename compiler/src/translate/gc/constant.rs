//! Constant expressions that make objects (core spec, 3.4.16), evaluated when their instance is made.

use super::super::{Translator, types};
use crate::module::{ConstExpr, ConstOperator, ValType};
use crate::program::{Constant, InstanceId};
use cranelift_codegen::ir::{InstBuilder, Value};

impl Translator<'_, '_> {
    /// The value of an expression of an instance.
    pub(in super::super) fn const_expr(&mut self, id: InstanceId, expr: &ConstExpr) -> Value {
        let program = self.env.program;
        let before = std::mem::replace(&mut self.instance, &program.instances[id.index()]);
        for operator in &expr.operators {
            self.const_operator(*operator);
            if operator.allocates() {
                self.count_roots();
            }
            if self.too_large.is_none()
                && let Some(message) = self.exceeded()
            {
                self.too_large = Some((id, message));
            }
            if self.too_large.is_some() {
                // The function is refused: whatever stands for the value.
                let zero = self.iconst64(0);
                self.stack.clear();
                self.push(zero);
                break;
            }
        }
        self.instance = before;
        self.pop()
    }

    fn const_operator(&mut self, operator: ConstOperator) {
        let bits = |t: &mut Self, ty, bits| t.push_constant(ty, Constant::Bits(bits));
        match operator {
            ConstOperator::I32Const(v) => bits(self, ValType::I32, u64::from(v.cast_unsigned())),
            ConstOperator::I64Const(v) => bits(self, ValType::I64, v.cast_unsigned()),
            ConstOperator::F32Const(v) => bits(self, ValType::F32, u64::from(v)),
            ConstOperator::F64Const(v) => bits(self, ValType::F64, v),
            ConstOperator::V128Const(v) => self.push_constant(ValType::V128, Constant::V128(v)),
            ConstOperator::GlobalGet(index) => self.global_get(index),
            ConstOperator::RefNull => self.ref_null(),
            ConstOperator::RefFunc(index) => self.ref_func(index),
            ConstOperator::I32Add | ConstOperator::I64Add => self.binary(|b, x, y| b.iadd(x, y)),
            ConstOperator::I32Sub | ConstOperator::I64Sub => self.binary(|b, x, y| b.isub(x, y)),
            ConstOperator::I32Mul | ConstOperator::I64Mul => self.binary(|b, x, y| b.imul(x, y)),
            ConstOperator::RefI31 => self.ref_i31(),
            ConstOperator::AnyConvertExtern => self.any_convert_extern(),
            ConstOperator::ExternConvertAny => self.extern_convert_any(),
            ConstOperator::StructNew(index) => self.struct_new(index),
            ConstOperator::StructNewDefault(index) => self.struct_new_default(index),
            ConstOperator::ArrayNew(index) => self.array_new(index),
            ConstOperator::ArrayNewDefault(index) => self.array_new_default(index),
            ConstOperator::ArrayNewFixed(index, length) => self.array_new_fixed(index, length),
        }
    }

    /// Type number of what a reference leads to, 0 if it is no object: test scripts tell kinds by it.
    pub(in super::super) fn kind_of(&mut self, reference: Value) -> Value {
        use cranelift_codegen::ir::BlockArg;
        let (test, object, done) = (
            self.builder.create_block(),
            self.builder.create_block(),
            self.builder.create_block(),
        );
        let kind = self.builder.append_block_param(done, types::I64);
        let none = self.iconst64(0);
        let none = [BlockArg::Value(none)];
        self.builder.ins().brif(reference, test, &[], done, &none);
        self.builder.switch_to_block(test);
        let tag = self
            .builder
            .ins()
            .band_imm_u(reference, elfin_abi::gc::TAG_MASK.cast_signed());
        self.builder.ins().brif(tag, done, &none, object, &[]);
        self.builder.switch_to_block(object);
        let flags = self.header_flags();
        let number = self
            .builder
            .ins()
            .uload32(flags, reference, elfin_abi::gc::TYPE);
        self.jump(done, &[number]);
        self.builder.switch_to_block(done);
        kind
    }
}

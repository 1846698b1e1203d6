//! Numeric operators (core spec, 4.3): CLIF has one instruction for nearly each.

use super::Translator;
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::immediates::{Ieee32, Ieee64};
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Type, Value, types};
use cranelift_frontend::FuncInstBuilder;

impl Translator<'_, '_> {
    pub(super) fn unary(&mut self, apply: impl FnOnce(FuncInstBuilder<'_, '_>, Value) -> Value) {
        let a = self.pop();
        let value = apply(self.builder.ins(), a);
        self.push(value);
    }

    pub(super) fn binary(
        &mut self,
        apply: impl FnOnce(FuncInstBuilder<'_, '_>, Value, Value) -> Value,
    ) {
        let (a, b) = self.pop2();
        let value = apply(self.builder.ins(), a, b);
        self.push(value);
    }

    /// Pushes a truth value (i8) as an i32.
    fn push_bool(&mut self, value: Value) {
        let value = self.builder.ins().uextend(types::I32, value);
        self.push(value);
    }

    pub(super) fn eqz(&mut self) {
        let a = self.pop();
        let value = self.builder.ins().icmp_imm_u(IntCC::Equal, a, 0);
        self.push_bool(value);
    }

    pub(super) fn icmp(&mut self, condition: IntCC) {
        let (a, b) = self.pop2();
        let value = self.builder.ins().icmp(condition, a, b);
        self.push_bool(value);
    }

    pub(super) fn fcmp(&mut self, condition: FloatCC) {
        let (a, b) = self.pop2();
        let value = self.builder.ins().fcmp(condition, a, b);
        self.push_bool(value);
    }

    pub(super) fn f32_const(&mut self, bits: u32) {
        let value = self.builder.ins().f32const(Ieee32::with_bits(bits));
        self.push(value);
    }

    pub(super) fn f64_const(&mut self, bits: u64) {
        let value = self.builder.ins().f64const(Ieee64::with_bits(bits));
        self.push(value);
    }

    pub(super) fn bitcast(&mut self, ty: Type) {
        let a = self.pop();
        let value = self.builder.ins().bitcast(ty, MemFlagsData::new(), a);
        self.push(value);
    }

    pub(super) fn sign_extend(&mut self, from: Type, to: Type) {
        let a = self.pop();
        let narrow = self.builder.ins().ireduce(from, a);
        let value = self.builder.ins().sextend(to, narrow);
        self.push(value);
    }

    /// Pushes both halves of an i128, the low one first.
    fn push_halves(&mut self, value: Value) {
        let (low, high) = self.builder.ins().isplit(value);
        self.push(low);
        self.push(high);
    }

    /// An operator on two pairs of i64 (wide arithmetic).
    pub(super) fn binary_128(
        &mut self,
        apply: impl FnOnce(FuncInstBuilder<'_, '_>, Value, Value) -> Value,
    ) {
        let (low, high) = self.pop2();
        let b = self.builder.ins().iconcat(low, high);
        let (low, high) = self.pop2();
        let a = self.builder.ins().iconcat(low, high);
        let value = apply(self.builder.ins(), a, b);
        self.push_halves(value);
    }

    /// The whole product of two i64 (wide arithmetic).
    pub(super) fn multiply_128(&mut self, signed: bool) {
        let (a, b) = self.pop2();
        let extend = |builder: FuncInstBuilder<'_, '_>, value| {
            if signed {
                builder.sextend(types::I128, value)
            } else {
                builder.uextend(types::I128, value)
            }
        };
        let a = extend(self.builder.ins(), a);
        let b = extend(self.builder.ins(), b);
        let value = self.builder.ins().imul(a, b);
        self.push_halves(value);
    }
}

//! Vector arithmetic that takes more than one instruction (core spec, 4.3.5).

use super::Translator;
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{InstBuilder, Type, Value, types};
use cranelift_frontend::FuncInstBuilder;
use types::{I8X16, I16X8, I32, I32X4};

impl Translator<'_, '_> {
    pub(super) fn compare(&mut self, ty: Type, condition: IntCC) {
        self.lanes2(ty, |b, x, y| b.icmp(condition, x, y));
    }

    pub(super) fn compare_floats(&mut self, ty: Type, condition: FloatCC) {
        self.lanes2(ty, |b, x, y| b.fcmp(condition, x, y));
    }

    /// A shift of every lane by the same number, taken modulo the width of a lane as CLIF does.
    pub(super) fn shift(
        &mut self,
        ty: Type,
        apply: impl FnOnce(FuncInstBuilder<'_, '_>, Value, Value) -> Value,
    ) {
        let count = self.pop();
        let a = self.pop_lanes(ty);
        let value = apply(self.builder.ins(), a, count);
        self.push_lanes(value);
    }

    /// Bits of the first operand where those of the third are set, of the second elsewhere.
    pub(super) fn bit_select(&mut self) {
        let (a, b, mask) = self.pop3();
        let value = self.builder.ins().bitselect(mask, a, b);
        self.push(value);
    }

    pub(super) fn any_true(&mut self) {
        let a = self.pop();
        let value = self.builder.ins().vany_true(a);
        let value = self.builder.ins().uextend(I32, value);
        self.push(value);
    }

    pub(super) fn all_true(&mut self, ty: Type) {
        let a = self.pop_lanes(ty);
        let value = self.builder.ins().vall_true(a);
        let value = self.builder.ins().uextend(I32, value);
        self.push(value);
    }

    pub(super) fn bitmask(&mut self, ty: Type) {
        let a = self.pop_lanes(ty);
        let value = self.builder.ins().vhigh_bits(I32, a);
        self.push(value);
    }

    /// `b < a ? b : a` by lane.
    pub(super) fn pseudo_minimum(&mut self, ty: Type) {
        let (a, b) = self.pop_lanes2(ty);
        self.choose_less(ty, b, a, b, a);
    }

    /// `a < b ? b : a` by lane.
    pub(super) fn pseudo_maximum(&mut self, ty: Type) {
        let (a, b) = self.pop_lanes2(ty);
        self.choose_less(ty, a, b, b, a);
    }

    /// `x < y ? then : otherwise` by lane.
    fn choose_less(&mut self, ty: Type, x: Value, y: Value, then: Value, otherwise: Value) {
        let less = self.builder.ins().fcmp(FloatCC::LessThan, x, y);
        let less = self.lanes(less, ty);
        let value = self.builder.ins().bitselect(less, then, otherwise);
        self.push_lanes(value);
    }

    /// `a * b + c`, or `c - a * b`: rounded twice, with or without an instruction that rounds once.
    pub(super) fn multiply_add(&mut self, ty: Type, negated: bool) {
        let c = self.pop_lanes(ty);
        let (a, b) = self.pop_lanes2(ty);
        let product = self.builder.ins().fmul(a, b);
        let value = if negated {
            self.builder.ins().fsub(c, product)
        } else {
            self.builder.ins().fadd(product, c)
        };
        self.push_lanes(value);
    }

    /// Half of the lanes, each made twice as wide.
    pub(super) fn widen_half(&mut self, a: Value, high: bool, signed: bool) -> Value {
        let b = self.builder.ins();
        match (high, signed) {
            (false, true) => b.swiden_low(a),
            (true, true) => b.swiden_high(a),
            (false, false) => b.uwiden_low(a),
            (true, false) => b.uwiden_high(a),
        }
    }

    /// Products of half of the lanes, twice as wide.
    pub(super) fn multiply_wide(&mut self, ty: Type, high: bool, signed: bool) {
        let (a, b) = self.pop_lanes2(ty);
        let a = self.widen_half(a, high, signed);
        let b = self.widen_half(b, high, signed);
        let value = self.builder.ins().imul(a, b);
        self.push_lanes(value);
    }

    /// Sums of neighbouring lanes, twice as wide.
    pub(super) fn add_pairwise(&mut self, ty: Type, signed: bool) {
        let a = self.pop_lanes(ty);
        let value = self.pairwise_sum(a, signed);
        self.push_lanes(value);
    }

    fn pairwise_sum(&mut self, a: Value, signed: bool) -> Value {
        let low = self.widen_half(a, false, signed);
        let high = self.widen_half(a, true, signed);
        self.builder.ins().iadd_pairwise(low, high)
    }

    /// Sums of the products of neighbouring lanes, signed, twice as wide. The sum wraps.
    pub(super) fn dot(&mut self, ty: Type) {
        let (a, b) = self.pop_lanes2(ty);
        let value = self.dot_product(a, b);
        self.push_lanes(value);
    }

    fn dot_product(&mut self, a: Value, b: Value) -> Value {
        let mut half = |high| {
            let a = self.widen_half(a, high, true);
            let b = self.widen_half(b, high, true);
            self.builder.ins().imul(a, b)
        };
        let (low, high) = (half(false), half(true));
        self.builder.ins().iadd_pairwise(low, high)
    }

    /// The dot product of bytes, its neighbours summed, and a vector added.
    pub(super) fn dot_add(&mut self) {
        let c = self.pop_lanes(I32X4);
        let (a, b) = self.pop_lanes2(I8X16);
        let products = self.dot_product(a, b);
        debug_assert_eq!(self.builder.func.dfg.value_type(products), I16X8);
        let sums = self.pairwise_sum(products, true);
        let value = self.builder.ins().iadd(sums, c);
        self.push_lanes(value);
    }
}

//! Float lanes, one at a time (core spec, 4.3.5), and conversions from and to them.
//!
//! Scalar instructions give what the scalar operators give, NaNs and signs of zeros included.

use super::words::Words;
use crate::translate::Translator;
use cranelift_codegen::ir::condcodes::FloatCC;
use cranelift_codegen::ir::{InstBuilder, Type, Value, types};
use cranelift_frontend::FuncInstBuilder;
use types::{F32, F64, I32};

impl Translator<'_, '_> {
    /// A scalar instruction on each lane of type `from`.
    pub(super) fn each_scalar(
        &mut self,
        from: Type,
        apply: impl Fn(FuncInstBuilder<'_, '_>, Value) -> Value,
    ) {
        let a = self.pop_words();
        let mut words = Words::new(&mut self.builder, 64);
        let halves = a.map(|word| {
            let scalars: Vec<Value> = (0..64 / from.bits())
                .map(|lane| {
                    let a = words.scalar(word, lane, from);
                    apply(words.ins(), a)
                })
                .collect();
            words.word(&scalars)
        });
        self.push_words(halves);
    }

    /// A scalar instruction on each pair of lanes.
    pub(super) fn each_scalar2(
        &mut self,
        ty: Type,
        apply: impl Fn(FuncInstBuilder<'_, '_>, Value, Value) -> Value,
    ) {
        let b = self.pop_words();
        let a = self.pop_words();
        let mut words = Words::new(&mut self.builder, 64);
        let halves = [0, 1].map(|half: usize| {
            let scalars: Vec<Value> = (0..64 / ty.bits())
                .map(|lane| {
                    let x = words.scalar(a[half], lane, ty);
                    let y = words.scalar(b[half], lane, ty);
                    apply(words.ins(), x, y)
                })
                .collect();
            words.word(&scalars)
        });
        self.push_words(halves);
    }

    /// `a * b + c`, or `c - a * b`, rounded twice.
    pub(super) fn multiply_add_words(&mut self, ty: Type, negated: bool) {
        let c = self.pop_words();
        let b = self.pop_words();
        let a = self.pop_words();
        let mut words = Words::new(&mut self.builder, 64);
        let halves = [0, 1].map(|half: usize| {
            let scalars: Vec<Value> = (0..64 / ty.bits())
                .map(|lane| {
                    let x = words.scalar(a[half], lane, ty);
                    let y = words.scalar(b[half], lane, ty);
                    let z = words.scalar(c[half], lane, ty);
                    let product = words.ins().fmul(x, y);
                    if negated {
                        words.ins().fsub(z, product)
                    } else {
                        words.ins().fadd(product, z)
                    }
                })
                .collect();
            words.word(&scalars)
        });
        self.push_words(halves);
    }

    /// Lanes of ones where a condition holds.
    fn float_masks(
        &mut self,
        ty: Type,
        condition: FloatCC,
        a: [Value; 2],
        b: [Value; 2],
    ) -> [Value; 2] {
        let mut words = Words::new(&mut self.builder, ty.bits());
        [0, 1].map(|half: usize| {
            let mut mask = |lane| {
                let x = words.scalar(a[half], lane, ty);
                let y = words.scalar(b[half], lane, ty);
                let truth = words.ins().fcmp(condition, x, y);
                words.fill(truth)
            };
            if ty == F64 {
                return mask(0);
            }
            let (low, high) = (mask(0), mask(1));
            let low = words.right(low, 32);
            let high = words.left(high, 32);
            words.or(low, high)
        })
    }

    pub(super) fn compare_float_words(&mut self, ty: Type, condition: FloatCC) {
        let b = self.pop_words();
        let a = self.pop_words();
        let halves = self.float_masks(ty, condition, a, b);
        self.push_words(halves);
    }

    /// `b < a ? b : a` by lane, or `a < b ? b : a` for the maximum.
    pub(super) fn pseudo_extreme_words(&mut self, ty: Type, maximum: bool) {
        let b = self.pop_words();
        let a = self.pop_words();
        let (x, y) = if maximum { (a, b) } else { (b, a) };
        let masks = self.float_masks(ty, FloatCC::LessThan, x, y);
        let mut words = Words::new(&mut self.builder, 64);
        let halves = [0, 1].map(|half| words.choose(masks[half], b[half], a[half]));
        self.push_words(halves);
    }

    /// Without, or with the other, sign bit.
    pub(super) fn change_sign_words(&mut self, ty: Type, absolute: bool) {
        self.words1(ty.bits(), |words, a| {
            if absolute {
                let rests = words.rests();
                words.and(a, rests)
            } else {
                let tops = words.tops();
                words.xor(a, tops)
            }
        });
    }

    /// Two lanes of f64 made half as wide, and zeros above.
    pub(super) fn halve_doubles(
        &mut self,
        apply: impl Fn(FuncInstBuilder<'_, '_>, Value) -> Value,
    ) {
        let a = self.pop_words();
        let mut words = Words::new(&mut self.builder, 64);
        let scalars = a.map(|word| {
            let a = words.scalar(word, 0, F64);
            apply(words.ins(), a)
        });
        let low = words.word(&scalars);
        let high = words.constant(0);
        self.push_words([low, high]);
    }

    /// The two low lanes made twice as wide.
    fn double_low(&mut self, from: Type, apply: impl Fn(FuncInstBuilder<'_, '_>, Value) -> Value) {
        let [low, _] = self.pop_words();
        let mut words = Words::new(&mut self.builder, 64);
        let halves = [0, 1].map(|lane| {
            let a = words.scalar(low, lane, from);
            let wide = apply(words.ins(), a);
            words.bits(wide)
        });
        self.push_words(halves);
    }

    pub(super) fn convert_low_words(&mut self, signed: bool) {
        self.double_low(I32, |b, a| {
            if signed {
                b.fcvt_from_sint(F64, a)
            } else {
                b.fcvt_from_uint(F64, a)
            }
        });
    }

    pub(super) fn promote_low_words(&mut self) {
        self.double_low(F32, |b, a| b.fpromote(F64, a));
    }
}

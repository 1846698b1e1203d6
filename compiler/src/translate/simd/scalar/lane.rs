//! Moving lanes about in words (core spec, 4.3.5): splat, extract, replace, and tests of whole vectors.

use super::place;
use super::words::Words;
use crate::translate::Translator;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Type, Value, types};
use types::{I32, I64};

impl Translator<'_, '_> {
    /// A lane of 8 or 16 bits as an i32.
    pub(super) fn extract_narrow(&mut self, width: u32, lane: u8, signed: bool) {
        let halves = self.pop_words();
        let (half, lane) = place(width, lane);
        let mut words = Words::new(&mut self.builder, width);
        let value = words.lane(halves[half], lane, signed);
        let value = words.ins().ireduce(I32, value);
        self.push(value);
    }

    /// A lane as a number of its own type.
    pub(super) fn extract_scalar(&mut self, ty: Type, lane: u8) {
        let halves = self.pop_words();
        let (half, lane) = place(ty.bits(), lane);
        let mut words = Words::new(&mut self.builder, ty.bits());
        let value = words.scalar(halves[half], lane, ty);
        self.push(value);
    }

    pub(super) fn replace_scalar(&mut self, width: u32, lane: u8) {
        let value = self.pop();
        let halves = self.pop_words();
        let mut words = Words::new(&mut self.builder, width);
        let bits = words.bits(value);
        // An i32 has more bits than a narrow lane.
        let bits = if width < 32 {
            words.low_bits(bits, width)
        } else {
            bits
        };
        self.put_lane(halves, bits, width, lane);
    }

    /// Pushes `halves` with one lane replaced by `bits`, which are zero above the lane's width.
    pub(super) fn put_lane(&mut self, mut halves: [Value; 2], bits: Value, width: u32, lane: u8) {
        let (half, lane) = place(width, lane);
        if width == 64 {
            halves[half] = bits;
        } else {
            let mut words = Words::new(&mut self.builder, width);
            let at = width * lane;
            let others = words.constant(!((u64::MAX >> (64 - width)) << at));
            let kept = words.and(halves[half], others);
            let bits = words.left(bits, at);
            halves[half] = words.or(kept, bits);
        }
        self.push_words(halves);
    }

    pub(super) fn splat_words(&mut self, width: u32) {
        let value = self.pop();
        let mut words = Words::new(&mut self.builder, width);
        let bits = words.bits(value);
        let word = words.repeat(bits);
        self.push_words([word, word]);
    }

    pub(super) fn any_true_words(&mut self) {
        let [low, high] = self.pop_words();
        let either = self.builder.ins().bor(low, high);
        let any = self.builder.ins().icmp_imm_u(IntCC::NotEqual, either, 0);
        let value = self.builder.ins().uextend(I32, any);
        self.push(value);
    }

    pub(super) fn all_true_words(&mut self, width: u32) {
        let [low, high] = self.pop_words();
        let mut words = Words::new(&mut self.builder, width);
        let all = if width == 64 {
            let low = words.ins().icmp_imm_u(IntCC::NotEqual, low, 0);
            let high = words.ins().icmp_imm_u(IntCC::NotEqual, high, 0);
            words.and(low, high)
        } else {
            let (low, high) = (words.nonzero_tops(low), words.nonzero_tops(high));
            let both = words.and(low, high);
            let tops = words.tops();
            let both = words.and(both, tops);
            words.ins().icmp(IntCC::Equal, both, tops)
        };
        let value = words.ins().uextend(I32, all);
        self.push(value);
    }

    pub(super) fn bitmask_words(&mut self, width: u32) {
        let [low, high] = self.pop_words();
        let mut words = Words::new(&mut self.builder, width);
        let (low, high) = (words.top_bits(low), words.top_bits(high));
        let high = words.left(high, 64 / width);
        let bits = words.or(low, high);
        let value = words.ins().ireduce(I32, bits);
        self.push(value);
    }

    /// Bits of the first operand where those of the third are set, of the second elsewhere.
    pub(super) fn bit_select_words(&mut self) {
        let mask = self.pop_words();
        let b = self.pop_words();
        let a = self.pop_words();
        let mut words = Words::new(&mut self.builder, 64);
        let chosen = [0, 1].map(|half| words.choose(mask[half], a[half], b[half]));
        self.push_words(chosen);
    }

    /// Takes the count of a shift, modulo the width of a lane.
    pub(super) fn pop_count(&mut self, width: u32) -> Value {
        let count = self.pop();
        let count = self.builder.ins().uextend(I64, count);
        self.builder.ins().band_imm_u(count, i64::from(width - 1))
    }
}

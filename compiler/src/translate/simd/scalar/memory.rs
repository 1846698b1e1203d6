//! Vector loads and stores (core spec, 4.4.7) as accesses of words. Addresses come from `bounds`, as all do.

use super::words::Words;
use crate::translate::Translator;
use cranelift_codegen::ir::{InstBuilder, Type, Value, types};
use types::{I8, I16, I32, I64};
use wasmparser::MemArg;

/// The type of an integer lane.
pub(super) const fn lane_type(width: u32) -> Type {
    match width {
        8 => I8,
        16 => I16,
        32 => I32,
        _ => I64,
    }
}

impl Translator<'_, '_> {
    /// A base and an immediate to which 8 can be added.
    fn both_words(&mut self, base: Value, offset: i32) -> (Value, i32) {
        if offset <= i32::MAX - 8 {
            return (base, offset);
        }
        let base = self.builder.ins().iadd_imm_u(base, i64::from(offset));
        (base, 0)
    }

    pub(super) fn load_words(&mut self, memarg: &MemArg) {
        let (flags, base, offset) = self.access(memarg, 16);
        let (base, offset) = self.both_words(base, offset);
        let low = self.builder.ins().load(I64, flags, base, offset);
        let high = self.builder.ins().load(I64, flags, base, offset + 8);
        self.push_words([low, high]);
    }

    /// The high word comes first: where only a part of the vector is outside of the memory, this is the access that
    /// traps, and nothing is written before.
    pub(super) fn store_words(&mut self, memarg: &MemArg) {
        let [low, high] = self.pop_words();
        let (flags, base, offset) = self.access(memarg, 16);
        let (base, offset) = self.both_words(base, offset);
        self.builder.ins().store(flags, high, base, offset + 8);
        self.builder.ins().store(flags, low, base, offset);
    }

    /// A lane of memory, zero-extended to an i64.
    fn load_bits(&mut self, memarg: &MemArg, width: u32) -> Value {
        if width == 64 {
            self.load(memarg, I64);
        } else {
            self.load_extended(memarg, I64, lane_type(width), false);
        }
        self.pop()
    }

    /// Eight bytes of memory as lanes of `width` bits, each made twice as wide.
    pub(super) fn load_extended_words(&mut self, memarg: &MemArg, width: u32, signed: bool) {
        let word = self.load_bits(memarg, 64);
        let mut words = Words::new(&mut self.builder, width);
        let low = words.extend(word, false, signed);
        let high = words.extend(word, true, signed);
        self.push_words([low, high]);
    }

    pub(super) fn load_repeated(&mut self, memarg: &MemArg, width: u32) {
        let lane = self.load_bits(memarg, width);
        let word = match width {
            8 | 16 => {
                let mut words = Words::new(&mut self.builder, width);
                let ones = words.all(1);
                words.ins().imul(lane, ones)
            }
            32 => {
                let mut words = Words::new(&mut self.builder, width);
                let high = words.left(lane, 32);
                words.or(lane, high)
            }
            _ => lane,
        };
        self.push_words([word, word]);
    }

    pub(super) fn load_with_zeros(&mut self, memarg: &MemArg, width: u32) {
        let low = self.load_bits(memarg, width);
        let high = self.iconst64(0);
        self.push_words([low, high]);
    }

    pub(super) fn load_word_lane(&mut self, memarg: &MemArg, width: u32, lane: u8) {
        let halves = self.pop_words();
        let bits = self.load_bits(memarg, width);
        self.put_lane(halves, bits, width, lane);
    }

    pub(super) fn store_word_lane(&mut self, memarg: &MemArg, width: u32, lane: u8) {
        let halves = self.pop_words();
        let (half, lane) = super::place(width, lane);
        let mut words = Words::new(&mut self.builder, width);
        let bits = words.right(halves[half], width * lane);
        self.push(bits);
        self.store(memarg, lane_type(width));
    }
}

//! Lanes of a word made wider or narrower, or into bits (core spec, 4.3.5).

use super::words::{Words, every};
use cranelift_codegen::ir::{InstBuilder, Value};

impl Words<'_, '_> {
    /// The lower half of the lanes, or the higher, each made twice as wide.
    pub(super) fn extend(&mut self, x: Value, high: bool, signed: bool) -> Value {
        if self.width == 32 {
            return match (high, signed) {
                (true, true) => self.right_signed(x, 32),
                (true, false) => self.right(x, 32),
                (false, _) => self.lane(x, 0, signed),
            };
        }
        let mut word = if high {
            self.right(x, 32)
        } else {
            self.low_bits(x, 32)
        };
        let mut width = 16;
        while width >= self.width {
            let mask = self.constant(every(2 * width, u64::MAX >> (64 - width)));
            let moved = self.left(word, width);
            word = self.or(word, moved);
            word = self.and(word, mask);
            width /= 2;
        }
        if signed {
            self.extend_signs(word)
        } else {
            word
        }
    }

    /// Lanes of twice the width whose upper halves are zero get the sign of their lower halves there.
    pub(super) fn extend_signs(&mut self, x: Value) -> Value {
        let signs = self.constant(every(2 * self.width, 1 << (self.width - 1)));
        let signs = self.and(x, signs);
        let above = self.left(signs, self.width + 1);
        let below = self.left(signs, 1);
        let ones = self.minus(above, below);
        self.or(x, ones)
    }

    /// Lanes whose upper halves are zero as lanes of half the width, in the lower half of the word.
    fn pack(&mut self, x: Value) -> Value {
        let mut word = x;
        let mut width = self.width / 2;
        while width < 32 {
            let moved = self.right(word, width);
            word = self.or(word, moved);
            width *= 2;
            if width < 32 {
                let mask = self.constant(every(2 * width, u64::MAX >> (64 - width)));
                word = self.and(word, mask);
            }
        }
        self.low_bits(word, 32)
    }

    /// Signed lanes as lanes of half the width, saturated, in the lower half of the word.
    pub(super) fn narrow(&mut self, x: Value, signed: bool) -> Value {
        let half = self.width / 2;
        let negative = self.spread(x);
        let kept = (1_u64 << half) - 1;
        if signed {
            // As large as its bits are when those of negative numbers are turned round.
            let size = self.xor(x, negative);
            let most = kept >> 1;
            let size = self.cap(size, most);
            let mask = self.all(most);
            let size = self.and(size, mask);
            let value = self.xor(size, negative);
            let mask = self.all(kept);
            let value = self.and(value, mask);
            return self.pack(value);
        }
        let size = self.without(x, negative);
        let value = self.cap(size, kept);
        let mask = self.all(kept);
        let value = self.and(value, mask);
        self.pack(value)
    }

    /// All lower bits set in the lanes of `x`, which are not negative, that are more than `most`.
    fn cap(&mut self, x: Value, most: u64) -> Value {
        let reach = self.all((1 << (self.width - 1)) - 1 - most);
        let sum = self.plus(x, reach);
        let tops = self.tops();
        let more = self.and(sum, tops);
        let ones = self.right(more, self.width - 1);
        let more = self.minus(more, ones);
        self.or(x, more)
    }

    /// Sums of neighbouring lanes, twice as wide.
    pub(super) fn add_pairs(&mut self, x: Value, signed: bool) -> Value {
        let x = if signed {
            let tops = self.tops();
            self.xor(x, tops)
        } else {
            x
        };
        let even = self.constant(every(2 * self.width, u64::MAX >> (64 - self.width)));
        let low = self.and(x, even);
        let high = self.right(x, self.width);
        let high = if self.width == 32 {
            high
        } else {
            self.and(high, even)
        };
        let sum = self.plus(low, high);
        if !signed {
            return sum;
        }
        // Each of the two was made larger by 2^(width - 1). A top bit that is set and taken away again keeps the
        // difference in its lane.
        let width = 2 * self.width;
        let top = 1_u64 << (width - 1);
        let less = self.constant(every(width, top - (1 << self.width)));
        let top = self.constant(every(width, top));
        let sum = self.plus(sum, less);
        self.xor(sum, top)
    }

    /// One bit for each lane: its top bit. Bits meet at the top of the word, each by a shift of its own.
    pub(super) fn top_bits(&mut self, x: Value) -> Value {
        let lanes = 64 / self.width;
        if self.width >= 32 {
            let high = self.right(x, 63);
            if self.width == 64 {
                return high;
            }
            let high = self.left(high, 1);
            let low = self.right(x, 31);
            let one = self.constant(1);
            let low = self.and(low, one);
            return self.or(high, low);
        }
        let mut shifts = 0_u64;
        for lane in 0..lanes {
            shifts |= 1 << ((lanes - 1 - lane) * (self.width - 1));
        }
        let tops = self.tops();
        let tops = self.and(x, tops);
        let shifts = self.constant(shifts);
        let met = self.ins().imul(tops, shifts);
        self.right(met, 64 - lanes)
    }
}

//! Expressions on 64-bit words that hold lanes: "SIMD within a register".
//!
//! In: words of lanes of one width. Out: words, or single lanes. Knows nothing of vectors, stacks or memories. A carry
//! never leaves its lane: the top bit of each lane is kept out of sums and put in by itself. Where a result is a truth
//! value by lane, it is first a word whose top bits say it ([`Words::spread`] makes masks of them).
//!
//! The formulas are those of H. S. Warren, Hacker's Delight, 2nd edition, sections 2-13, 2-18 and 5-1, and the like.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Type, Value, types};
use cranelift_frontend::{FuncInstBuilder, FunctionBuilder};
use types::{I32, I64};

/// Makes words for one operator.
pub(super) struct Words<'a, 'f> {
    builder: &'a mut FunctionBuilder<'f>,
    /// Bits of a lane.
    width: u32,
    /// Constants that were made already.
    constants: Vec<(u64, Value)>,
}

/// A lane's bits in every lane of a word.
pub(super) const fn every(width: u32, lane: u64) -> u64 {
    let mut word = 0;
    let mut at = 0;
    while at < 64 {
        word |= lane << at;
        at += width;
    }
    word
}

impl<'a, 'f> Words<'a, 'f> {
    /// Lanes of `width` bits: 8, 16, 32 or 64.
    pub(super) fn new(builder: &'a mut FunctionBuilder<'f>, width: u32) -> Self {
        Self {
            builder,
            width,
            constants: Vec::new(),
        }
    }

    /// Lanes of another width from here on.
    pub(super) fn set_width(&mut self, width: u32) {
        self.width = width;
    }

    pub(super) fn ins(&mut self) -> FuncInstBuilder<'_, 'f> {
        self.builder.ins()
    }

    pub(super) fn constant(&mut self, bits: u64) -> Value {
        if let Some((_, value)) = self.constants.iter().find(|(known, _)| *known == bits) {
            return *value;
        }
        let value = self.ins().iconst(I64, bits.cast_signed());
        self.constants.push((bits, value));
        value
    }

    /// `lane` in every lane.
    pub(super) fn all(&mut self, lane: u64) -> Value {
        self.constant(every(self.width, lane))
    }

    /// The top bit of every lane.
    pub(super) fn tops(&mut self) -> Value {
        self.all(1 << (self.width - 1))
    }

    /// All bits but the top one of every lane.
    pub(super) fn rests(&mut self) -> Value {
        self.constant(!every(self.width, 1 << (self.width - 1)))
    }

    pub(super) fn and(&mut self, x: Value, y: Value) -> Value {
        self.ins().band(x, y)
    }

    /// `x` without the bits of `y`.
    pub(super) fn without(&mut self, x: Value, y: Value) -> Value {
        self.ins().band_not(x, y)
    }

    pub(super) fn or(&mut self, x: Value, y: Value) -> Value {
        self.ins().bor(x, y)
    }

    pub(super) fn xor(&mut self, x: Value, y: Value) -> Value {
        self.ins().bxor(x, y)
    }

    pub(super) fn not(&mut self, x: Value) -> Value {
        self.ins().bnot(x)
    }

    /// The whole word shifted left by a constant.
    pub(super) fn left(&mut self, x: Value, by: u32) -> Value {
        match by {
            0 => x,
            _ => self.ins().ishl_imm_u(x, i64::from(by)),
        }
    }

    /// The whole word shifted right by a constant, filled with zeros.
    pub(super) fn right(&mut self, x: Value, by: u32) -> Value {
        match by {
            0 => x,
            _ => self.ins().ushr_imm_u(x, i64::from(by)),
        }
    }

    /// The whole word shifted right by a constant, filled with its sign.
    pub(super) fn right_signed(&mut self, x: Value, by: u32) -> Value {
        match by {
            0 => x,
            _ => self.ins().sshr_imm_u(x, i64::from(by)),
        }
    }

    /// Sum of whole words: for lanes of which no sum overflows.
    pub(super) fn plus(&mut self, x: Value, y: Value) -> Value {
        self.ins().iadd(x, y)
    }

    /// Difference of whole words: for lanes of which no difference is negative.
    pub(super) fn minus(&mut self, x: Value, y: Value) -> Value {
        self.ins().isub(x, y)
    }

    /// A truth value of the machine as a word of zeros or ones.
    pub(super) fn fill(&mut self, truth: Value) -> Value {
        let word = self.ins().uextend(I64, truth);
        self.ins().ineg(word)
    }

    /// Lanes of ones where the top bit of `x` is set, of zeros elsewhere.
    pub(super) fn spread(&mut self, x: Value) -> Value {
        if self.width == 64 {
            return self.right_signed(x, 63);
        }
        let tops = self.tops();
        let tops = self.and(x, tops);
        self.spread_tops(tops)
    }

    /// As [`Self::spread`], of a word that has no other bits set. The two words' difference is, for each lane,
    /// 2^width - 1 at the lane's place, so that their sum is right even where the first loses a bit at the top.
    fn spread_tops(&mut self, tops: Value) -> Value {
        let double = self.left(tops, 1);
        let ones = self.right(tops, self.width - 1);
        self.minus(double, ones)
    }

    /// `x` where the mask is ones, `y` where it is zeros.
    pub(super) fn choose(&mut self, mask: Value, x: Value, y: Value) -> Value {
        let differ = self.xor(x, y);
        let differ = self.and(differ, mask);
        self.xor(y, differ)
    }

    pub(super) fn add(&mut self, x: Value, y: Value) -> Value {
        if self.width == 64 {
            return self.plus(x, y);
        }
        let rests = self.rests();
        let (a, b) = (self.and(x, rests), self.and(y, rests));
        let sum = self.plus(a, b);
        let top = self.xor(x, y);
        let top = self.without_rests(top);
        self.xor(sum, top)
    }

    fn without_rests(&mut self, x: Value) -> Value {
        let tops = self.tops();
        self.and(x, tops)
    }

    /// The lower bits of `x` with the top bit set, less the lower bits of `y`: the top bit says that there was no
    /// borrow.
    fn minus_below(&mut self, x: Value, y: Value) -> Value {
        let (tops, rests) = (self.tops(), self.rests());
        let x = self.or(x, tops);
        let y = self.and(y, rests);
        self.minus(x, y)
    }

    pub(super) fn sub(&mut self, x: Value, y: Value) -> Value {
        if self.width == 64 {
            return self.minus(x, y);
        }
        let difference = self.minus_below(x, y);
        let same = self.xor(x, y);
        let same = self.not(same);
        let same = self.without_rests(same);
        self.xor(difference, same)
    }

    pub(super) fn neg(&mut self, x: Value) -> Value {
        if self.width == 64 {
            return self.ins().ineg(x);
        }
        let zero = self.constant(0);
        self.sub(zero, x)
    }

    pub(super) fn abs(&mut self, x: Value) -> Value {
        let sign = self.spread(x);
        let flipped = self.xor(x, sign);
        // Not more than the top bit alone, so that nothing is carried on.
        let one = if self.width == 64 {
            self.right(x, 63)
        } else {
            let ones = self.all(1);
            self.and(sign, ones)
        };
        self.plus(flipped, one)
    }

    /// Top bits of the lanes that are not zero; other bits are anything.
    pub(super) fn nonzero_tops(&mut self, x: Value) -> Value {
        let rests = self.rests();
        let below = self.and(x, rests);
        let below = self.plus(below, rests);
        self.or(below, x)
    }

    /// Ones where the lanes are equal.
    pub(super) fn equal(&mut self, x: Value, y: Value) -> Value {
        if self.width == 64 {
            let equal = self.ins().icmp(IntCC::Equal, x, y);
            return self.fill(equal);
        }
        let differ = self.xor(x, y);
        let differ = self.nonzero_tops(differ);
        let equal = self.not(differ);
        self.spread(equal)
    }

    pub(super) fn not_equal(&mut self, x: Value, y: Value) -> Value {
        if self.width == 64 {
            let differ = self.ins().icmp(IntCC::NotEqual, x, y);
            return self.fill(differ);
        }
        let differ = self.xor(x, y);
        let differ = self.nonzero_tops(differ);
        self.spread(differ)
    }

    /// Top bits of the lanes in which `x` < `y`; other bits are anything. The top bits decide where they differ,
    /// the other bits where not.
    fn less_tops(&mut self, x: Value, y: Value, signed: bool) -> Value {
        let not_below = self.minus_below(x, y);
        let by_top = if signed {
            self.without(x, y)
        } else {
            self.without(y, x)
        };
        let differ = self.xor(x, y);
        let not_by_rest = self.or(differ, not_below);
        let by_rest = self.not(not_by_rest);
        self.or(by_top, by_rest)
    }

    /// Ones where `x` < `y`.
    pub(super) fn less(&mut self, x: Value, y: Value, signed: bool) -> Value {
        if self.width == 64 {
            let condition = if signed {
                IntCC::SignedLessThan
            } else {
                IntCC::UnsignedLessThan
            };
            let less = self.ins().icmp(condition, x, y);
            return self.fill(less);
        }
        let less = self.less_tops(x, y, signed);
        self.spread(less)
    }

    /// Ones where a condition holds.
    pub(super) fn compare(&mut self, condition: IntCC, x: Value, y: Value) -> Value {
        use IntCC as C;
        let signed = matches!(
            condition,
            C::SignedLessThan
                | C::SignedGreaterThan
                | C::SignedLessThanOrEqual
                | C::SignedGreaterThanOrEqual
        );
        match condition {
            C::Equal => self.equal(x, y),
            C::NotEqual => self.not_equal(x, y),
            C::SignedLessThan | C::UnsignedLessThan => self.less(x, y, signed),
            C::SignedGreaterThan | C::UnsignedGreaterThan => self.less(y, x, signed),
            C::SignedLessThanOrEqual | C::UnsignedLessThanOrEqual => {
                let greater = self.less(y, x, signed);
                self.not(greater)
            }
            C::SignedGreaterThanOrEqual | C::UnsignedGreaterThanOrEqual => {
                let less = self.less(x, y, signed);
                self.not(less)
            }
        }
    }

    pub(super) fn minimum(&mut self, x: Value, y: Value, signed: bool) -> Value {
        let less = self.less(x, y, signed);
        self.choose(less, x, y)
    }

    pub(super) fn maximum(&mut self, x: Value, y: Value, signed: bool) -> Value {
        let less = self.less(x, y, signed);
        self.choose(less, y, x)
    }

    /// Half of x + y + 1.
    pub(super) fn average(&mut self, x: Value, y: Value) -> Value {
        let either = self.or(x, y);
        let differ = self.xor(x, y);
        let half = self.right(differ, 1);
        let rests = self.rests();
        let half = self.and(half, rests);
        self.minus(either, half)
    }

    pub(super) fn add_saturating(&mut self, x: Value, y: Value, signed: bool) -> Value {
        let sum = self.add(x, y);
        if signed {
            let differ = self.xor(x, y);
            let changed = self.xor(x, sum);
            let overflow = self.without(changed, differ);
            return self.saturate(x, sum, overflow);
        }
        let both = self.and(x, y);
        let either = self.or(x, y);
        let carry = self.without(either, sum);
        let carry = self.or(both, carry);
        let carry = self.spread(carry);
        self.or(sum, carry)
    }

    pub(super) fn sub_saturating(&mut self, x: Value, y: Value, signed: bool) -> Value {
        let difference = self.sub(x, y);
        if signed {
            let differ = self.xor(x, y);
            let changed = self.xor(x, difference);
            let overflow = self.and(differ, changed);
            return self.saturate(x, difference, overflow);
        }
        let borrow = self.less_tops(x, y, false);
        let borrow = self.spread(borrow);
        self.without(difference, borrow)
    }

    /// `value`, but the extreme number of the sign of `x` where a top bit of `overflow` is set.
    fn saturate(&mut self, x: Value, value: Value, overflow: Value) -> Value {
        let overflow = self.spread(overflow);
        let tops = self.tops();
        let negative = self.and(x, tops);
        let negative = self.right(negative, self.width - 1);
        let rests = self.rests();
        let extreme = self.plus(rests, negative);
        self.choose(overflow, extreme, value)
    }

    /// `count` is less than the width of a lane.
    pub(super) fn shift_left(&mut self, x: Value, count: Value) -> Value {
        let shifted = self.ins().ishl(x, count);
        if self.width == 64 {
            return shifted;
        }
        // 2^count - 1 in every lane.
        let ones = self.all(1);
        let lost = self.ins().ishl(ones, count);
        let lost = self.minus(lost, ones);
        self.without(shifted, lost)
    }

    /// `count` is less than the width of a lane.
    pub(super) fn shift_right(&mut self, x: Value, count: Value, signed: bool) -> Value {
        if self.width == 64 {
            return if signed {
                self.ins().sshr(x, count)
            } else {
                self.ins().ushr(x, count)
            };
        }
        // 2^(width - count) - 1 in every lane.
        let tops = self.tops();
        let kept = self.ins().ushr(tops, count);
        let kept = self.left(kept, 1);
        let ones = self.all(1);
        let kept = self.minus(kept, ones);
        let shifted = self.ins().ushr(x, count);
        let shifted = self.and(shifted, kept);
        if !signed {
            return shifted;
        }
        let sign = self.spread(x);
        let sign = self.without(sign, kept);
        self.or(shifted, sign)
    }

    /// The bits set in each byte.
    pub(super) fn count_bits(&mut self, x: Value) -> Value {
        debug_assert_eq!(self.width, 8);
        let (odd, pairs, nibbles) = (self.all(0x55), self.all(0x33), self.all(0x0f));
        let half = self.right(x, 1);
        let half = self.and(half, odd);
        let x = self.minus(x, half);
        let (low, high) = (self.and(x, pairs), self.right(x, 2));
        let high = self.and(high, pairs);
        let x = self.plus(low, high);
        let high = self.right(x, 4);
        let x = self.plus(x, high);
        self.and(x, nibbles)
    }

    /// Low halves of the products.
    pub(super) fn multiply(&mut self, x: Value, y: Value) -> Value {
        if self.width == 64 {
            return self.ins().imul(x, y);
        }
        debug_assert!(self.width >= 16);
        let mut sum = self.ins().imul(x, y);
        sum = self.low_bits(sum, self.width);
        let mut at = self.width;
        while at < 64 {
            // The product's low half stands where the lane of `x` did.
            let mask = (u64::MAX >> (64 - self.width)) << at;
            let mask = self.constant(mask);
            let (a, b) = (self.and(x, mask), self.right(y, at));
            let mut product = self.ins().imul(a, b);
            at += self.width;
            if at < 64 {
                product = self.and(product, mask);
            }
            sum = self.or(sum, product);
        }
        sum
    }

    /// The low `bits` bits.
    pub(super) fn low_bits(&mut self, x: Value, bits: u32) -> Value {
        match bits {
            64 => x,
            8 => {
                let mask = self.constant(0xff);
                self.and(x, mask)
            }
            32 => {
                let x = self.ins().ireduce(I32, x);
                self.ins().uextend(I64, x)
            }
            _ => {
                let x = self.left(x, 64 - bits);
                self.right(x, 64 - bits)
            }
        }
    }

    /// One lane as an i64.
    pub(super) fn lane(&mut self, x: Value, lane: u32, signed: bool) -> Value {
        let above = 64 - self.width * (lane + 1);
        if lane == 0 && !signed {
            return self.low_bits(x, self.width);
        }
        if lane == 0 && signed && self.width == 32 {
            let x = self.ins().ireduce(I32, x);
            return self.ins().sextend(I64, x);
        }
        let x = self.left(x, above);
        if signed {
            self.right_signed(x, 64 - self.width)
        } else {
            self.right(x, 64 - self.width)
        }
    }

    /// The low bits of each value as a lane, from lane 0 on; lanes that are not given are zero.
    pub(super) fn gather(&mut self, lanes: &[Value]) -> Value {
        let mut word = None;
        let mut at = 0;
        for lane in lanes {
            let end = at + self.width;
            let placed = if end == 64 {
                self.left(*lane, at)
            } else {
                let top = self.left(*lane, 64 - self.width);
                self.right(top, 64 - end)
            };
            word = Some(match word {
                Some(word) => self.or(word, placed),
                None => placed,
            });
            at = end;
        }
        word.unwrap_or_else(|| self.constant(0))
    }

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

    /// The low bits of a value in every lane.
    pub(super) fn repeat(&mut self, lane: Value) -> Value {
        if self.width == 64 {
            return lane;
        }
        let lane = self.low_bits(lane, self.width);
        if self.width == 32 {
            let high = self.left(lane, 32);
            return self.or(lane, high);
        }
        let ones = self.all(1);
        self.ins().imul(lane, ones)
    }

    /// A scalar of a lane: i32 and i64 as they are, floats by their bits.
    pub(super) fn scalar(&mut self, x: Value, lane: u32, ty: Type) -> Value {
        let bits = self.right(x, lane * ty.bits());
        let flags = cranelift_codegen::ir::MemFlagsData::new();
        match ty {
            types::I64 => bits,
            types::F64 => self.ins().bitcast(ty, flags, bits),
            _ => {
                let bits = self.ins().ireduce(I32, bits);
                match ty {
                    types::I32 => bits,
                    _ => self.ins().bitcast(ty, flags, bits),
                }
            }
        }
    }

    /// The bits of a scalar as a word, zero-extended.
    pub(super) fn bits(&mut self, scalar: Value) -> Value {
        let flags = cranelift_codegen::ir::MemFlagsData::new();
        let ty = self.builder.func.dfg.value_type(scalar);
        match ty {
            types::I64 => scalar,
            types::F64 => self.ins().bitcast(I64, flags, scalar),
            types::F32 => {
                let bits = self.ins().bitcast(I32, flags, scalar);
                self.ins().uextend(I64, bits)
            }
            _ => self.ins().uextend(I64, scalar),
        }
    }

    /// Scalars as a word, from lane 0 on.
    pub(super) fn word(&mut self, scalars: &[Value]) -> Value {
        let mut word = None;
        let mut at = 0;
        for scalar in scalars {
            let bits = self.bits(*scalar);
            let placed = self.left(bits, at);
            at += 64 / scalars.len() as u32;
            word = Some(match word {
                Some(word) => self.or(word, placed),
                None => placed,
            });
        }
        word.unwrap_or_else(|| self.constant(0))
    }
}

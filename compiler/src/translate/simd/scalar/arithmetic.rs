//! Integer arithmetic on all lanes of a word at once (core spec, 4.3.2).
//!
//! A carry never leaves its lane: the top bit of each lane is kept out of sums and put in by itself. Lanes of 64 bits are
//! words, and simple.
//!
//! The formulas are those of H. S. Warren, Hacker's Delight, 2nd edition, sections 2-13, 2-18 and 5-1, and the like.

use super::words::Words;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value};

impl Words<'_, '_> {
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
}

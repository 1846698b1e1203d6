//! Expressions on 64-bit words that hold lanes: "SIMD within a register".
//!
//! In: words of lanes of one width. Out: words, or single lanes. Knows nothing of vectors, stacks or memories. Where a
//! result is a truth value by lane, it is first a word whose top bits say it ([`Words::spread`] makes masks of them).
//! `arithmetic` and `widths` have what is built upon this.

use cranelift_codegen::ir::{InstBuilder, Type, Value, types};
use cranelift_frontend::{FuncInstBuilder, FunctionBuilder};
use types::{I32, I64};

/// Makes words for one operator.
pub(super) struct Words<'a, 'f> {
    builder: &'a mut FunctionBuilder<'f>,
    /// Bits of a lane.
    pub(super) width: u32,
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

//! Moving lanes about (core spec, 4.3.5): splat, extract, replace, shuffle, swizzle.
//!
//! SSE2 has no byte shuffle. On x86_64 without SSSE3 a shuffle that is none of those it has (interleaving, and choosing among
//! lanes of 16 or 32 bits within limits) goes through 48 bytes of the frame: operands are stored there, bytes are
//! loaded again in their new order and put together in two words. **No index of a guest reaches an address
//! unclamped**: a swizzle takes the minimum of each index and 16, and bytes 16 to 31 there are zero.

use super::{Translator, lane_type};
use crate::cpu::Feature;
use crate::options::Arch;
use crate::translate::Region;
use cranelift_codegen::ir::{
    InstBuilder, MemFlagsData, StackSlotData, StackSlotKind, Type, Value, types,
};
use types::{I8X16, I16X8, I32, I64, I64X2};

/// Where indices are in the scratch space, behind two vectors.
const INDICES: i32 = 32;
/// Bytes of scratch space.
const SCRATCH: u32 = 48;

impl Translator<'_, '_> {
    /// `signed` says how a lane narrower than i32 is extended.
    pub(super) fn extract_lane(&mut self, ty: Type, lane: u8, signed: Option<bool>) {
        let a = self.pop_lanes(ty);
        let value = self.builder.ins().extractlane(a, lane);
        let value = match signed {
            Some(true) => self.builder.ins().sextend(I32, value),
            Some(false) => self.builder.ins().uextend(I32, value),
            None => value,
        };
        self.push(value);
    }

    /// Takes a scalar for a lane of `ty`.
    fn pop_lane(&mut self, ty: Type) -> Value {
        let value = self.pop();
        match ty {
            I8X16 | I16X8 => self.builder.ins().ireduce(lane_type(ty), value),
            _ => value,
        }
    }

    pub(super) fn replace_lane(&mut self, ty: Type, lane: u8) {
        let value = self.pop_lane(ty);
        let vector = self.pop_lanes(ty);
        let value = self.builder.ins().insertlane(vector, value, lane);
        self.push_lanes(value);
    }

    pub(super) fn splat(&mut self, ty: Type) {
        let value = self.pop_lane(ty);
        let value = self.builder.ins().splat(ty, value);
        self.push_lanes(value);
    }

    pub(super) fn shuffle(&mut self, mut lanes: [u8; 16]) {
        let (mut a, mut b) = self.pop2();
        if a == b {
            lanes = lanes.map(|lane| lane % 16);
        }
        if self.env.arch == Arch::X86_64 && self.env.cpu.has(Feature::Ssse3) {
            // One operand takes one `pshufb`, two take three instructions.
            if lanes.iter().all(|lane| *lane < 16) {
                b = a;
            } else if lanes.iter().all(|lane| *lane >= 16) {
                a = b;
                lanes = lanes.map(|lane| lane % 16);
            }
        }
        if self.has_byte_shuffle() || is_sse2_shuffle(&lanes) {
            let mask = lanes.as_slice().into();
            let mask = self.builder.func.dfg.immediates.push(mask);
            let value = self.builder.ins().shuffle(a, b, mask);
            self.push(value);
        } else if lanes.iter().all(|lane| *lane == lanes[0]) {
            let from = if lanes[0] < 16 { a } else { b };
            let lane = self.builder.ins().extractlane(from, lanes[0] % 16);
            let value = self.builder.ins().splat(I8X16, lane);
            self.push(value);
        } else {
            let value = self.shuffle_bytes(a, b, &lanes);
            self.push(value);
        }
    }

    /// Whether the machine can put bytes of a vector into any order with one instruction.
    fn has_byte_shuffle(&self) -> bool {
        self.env.arch != Arch::X86_64 || self.env.cpu.has(Feature::Ssse3)
    }

    fn shuffle_bytes(&mut self, a: Value, b: Value, lanes: &[u8; 16]) -> Value {
        let flags = self.scratch_flags();
        let base = self.scratch();
        if lanes.iter().any(|lane| *lane < 16) {
            self.builder.ins().store(flags, a, base, 0);
        }
        if lanes.iter().any(|lane| *lane >= 16) {
            self.builder.ins().store(flags, b, base, 16);
        }
        if run(lanes) == 16 {
            return self
                .builder
                .ins()
                .load(I8X16, flags, base, i32::from(lanes[0]));
        }
        let (low, high) = lanes.split_at(8);
        let mut word = |lanes: &[u8]| {
            let mut word = None;
            let mut at = 0;
            while at < lanes.len() {
                let len = run(&lanes[at..]);
                let offset = i32::from(lanes[at]);
                let b = self.builder.ins();
                let piece = match len {
                    8 => b.load(I64, flags, base, offset),
                    4 => b.uload32(flags, base, offset),
                    2 => b.uload16(I64, flags, base, offset),
                    _ => b.uload8(I64, flags, base, offset),
                };
                word = Some(self.add_piece(word, piece, at));
                at += len;
            }
            word.expect("a half has lanes")
        };
        let (low, high) = (word(low), word(high));
        self.join_words(low, high)
    }

    /// Byte `i` of the result is byte `indices[i]` of the vector, or zero when there is none.
    pub(super) fn swizzle(&mut self) {
        let (a, indices) = self.pop2();
        if self.has_byte_shuffle() {
            let value = self.builder.ins().swizzle(a, indices);
            self.push(value);
            return;
        }
        let flags = self.scratch_flags();
        let base = self.scratch();
        let zero = self.vector_constant(0);
        let limit = self.vector_constant(u128::from_le_bytes([16; 16]));
        let indices = self.builder.ins().umin(indices, limit);
        self.builder.ins().store(flags, a, base, 0);
        self.builder.ins().store(flags, zero, base, 16);
        self.builder.ins().store(flags, indices, base, INDICES);
        let mut word = |from: i32| {
            let mut word = None;
            for at in 0..8 {
                let offset = INDICES + from + at;
                let index = self.builder.ins().uload8(I64, flags, base, offset);
                let address = self.builder.ins().iadd(base, index);
                let piece = self.builder.ins().uload8(I64, flags, address, 0);
                word = Some(self.add_piece(word, piece, at as usize));
            }
            word.expect("a half has lanes")
        };
        let (low, high) = (word(0), word(8));
        let value = self.join_words(low, high);
        self.push(value);
    }

    /// `word` with `piece` put at byte `at`.
    fn add_piece(&mut self, word: Option<Value>, piece: Value, at: usize) -> Value {
        let piece = if at == 0 {
            piece
        } else {
            self.builder.ins().ishl_imm_u(piece, 8 * at as i64)
        };
        match word {
            Some(word) => self.builder.ins().bor(word, piece),
            None => piece,
        }
    }

    fn join_words(&mut self, low: Value, high: Value) -> Value {
        let both = self.builder.ins().splat(I64X2, low);
        let both = self.builder.ins().insertlane(both, high, 1_u8);
        self.lanes(both, I8X16)
    }

    /// Address of the function's scratch space.
    pub(super) fn scratch(&mut self) -> Value {
        let slot = match self.scratch {
            Some(slot) => slot,
            None => {
                let data = StackSlotData::new(StackSlotKind::ExplicitSlot, SCRATCH, 4);
                let slot = self.builder.create_sized_stack_slot(data);
                self.scratch = Some(slot);
                slot
            }
        };
        self.builder.ins().stack_addr(I64, slot, 0)
    }

    pub(super) fn scratch_flags(&mut self) -> MemFlagsData {
        let region = self.region(Region::Scratch);
        MemFlagsData::new()
            .with_notrap()
            .with_alias_region(Some(region))
    }
}

/// How many bytes from the start of `lanes` lie one behind the other: the largest power of two that can be loaded
/// at once.
fn run(lanes: &[u8]) -> usize {
    let follow = lanes.windows(2).take_while(|w| w[0] + 1 == w[1]).count() + 1;
    1 << follow.ilog2()
}

/// Whether the back end has the shuffle without SSSE3: `punpck*`, `pshufd`, `shufps`, `pshuflw`, `pshufhw`.
fn is_sse2_shuffle(lanes: &[u8; 16]) -> bool {
    interleaves(lanes)
        || words::<4>(lanes).is_some_and(|w: [u8; 4]| {
            let from = w.map(|lane| lane / 4);
            matches!(
                from,
                [0, 0, 0, 0] | [1, 1, 1, 1] | [0, 0, 1, 1] | [1, 1, 0, 0]
            )
        })
        || words::<8>(lanes).is_some_and(|w: [u8; 8]| {
            [0, 8].into_iter().any(|from| {
                let (low, high) = (from..from + 4, from + 4..from + 8);
                let (a, b) = w.split_at(4);
                (a.iter().all(|l| low.contains(l)) && b.iter().copied().eq(high.clone()))
                    || (b.iter().all(|l| high.contains(l)) && a.iter().copied().eq(low))
            })
        })
}

/// The shuffle as one of `N` lanes, if lanes of that width stay whole.
fn words<const N: usize>(lanes: &[u8; 16]) -> Option<[u8; N]> {
    let width = 16 / N;
    let mut words = [0; N];
    for (word, bytes) in words.iter_mut().zip(lanes.chunks_exact(width)) {
        let whole = usize::from(bytes[0]) % width == 0;
        if !whole || bytes.windows(2).any(|w| w[0] + 1 != w[1]) {
            return None;
        }
        *word = bytes[0] / width as u8;
    }
    Some(words)
}

/// Whether lanes of the two operands take turns, from the lower or the upper half of each.
fn interleaves(lanes: &[u8; 16]) -> bool {
    [1, 2, 4, 8].into_iter().any(|width| {
        [0, 8].into_iter().any(|half| {
            (0_u8..).zip(lanes).all(|(at, lane)| {
                let (group, within) = (at / width, at % width);
                *lane == half + (group / 2) * width + within + 16 * (group % 2)
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_words(words: [u8; 8]) -> [u8; 16] {
        std::array::from_fn(|i| words[i / 2] * 2 + (i % 2) as u8)
    }

    #[test]
    fn runs() {
        for (lanes, len) in [
            (&[1_u8, 2, 3, 4, 9][..], 4),
            (&[1, 2, 3, 9], 2),
            (&[31, 0], 1),
            (&[7], 1),
            (&[15, 16, 17, 18, 19, 20, 21, 22], 8),
        ] {
            assert_eq!(run(lanes), len, "{lanes:?}");
        }
    }

    #[test]
    fn shuffles_of_sse2() {
        let bytes_low = std::array::from_fn(|i| (i / 2 + 16 * (i % 2)) as u8);
        let bytes_high = std::array::from_fn(|i| (8 + i / 2 + 16 * (i % 2)) as u8);
        let swapped = std::array::from_fn(|i| (i / 2 + 16 * (1 - i % 2)) as u8);
        let reversed = std::array::from_fn(|i| 15 - i as u8);
        for (lanes, has) in [
            (bytes_low, true),
            (bytes_high, true),
            (swapped, false),
            (reversed, false),
            (of_words([0, 8, 1, 9, 2, 10, 3, 11]), true),
            (of_words([3, 2, 1, 0, 4, 5, 6, 7]), true),
            (of_words([0, 1, 2, 3, 7, 7, 4, 5]), true),
            (of_words([8, 8, 9, 8, 12, 13, 14, 15]), true),
            (of_words([8, 8, 9, 0, 12, 13, 14, 15]), false),
            (of_words([3, 2, 1, 0, 7, 6, 5, 4]), false),
            (of_words([6, 7, 0, 1, 0, 1, 4, 5]), true),
            (of_words([6, 7, 0, 1, 8, 9, 14, 15]), true),
            (of_words([14, 15, 8, 9, 0, 1, 2, 3]), true),
            (of_words([6, 7, 8, 9, 0, 1, 14, 15]), false),
            (of_words([1, 2, 3, 4, 5, 6, 7, 8]), false),
        ] {
            assert_eq!(is_sse2_shuffle(&lanes), has, "{lanes:?}");
        }
    }
}

//! Shuffles and swizzles of bytes on words (core spec, 4.3.5).
//!
//! A shuffle has its lanes in the code. Each word of the result is put together from pieces: bytes of one source word
//! that move by the same distance. [`pieces`] finds them, shifts make them. A word that repeats itself is made once.
//!
//! A swizzle has its lanes in a vector. Bytes are looked up in 32 bytes of the frame, the vector and as many zeros,
//! in a loop, for it would be 400 bytes of code otherwise. **No index of a guest reaches an address unclamped**: what
//! is left of each has five bits, and the fifth is set for every index beyond the vector.

use super::words::Words;
use crate::translate::Translator;
use cranelift_codegen::ir::{BlockArg, InstBuilder, Value, types};
use types::I64;

/// What a byte of the result is: byte `.1` of source word `.0`, or zero.
type Byte = Option<(usize, u8)>;

/// Bytes of one source word that move by the same distance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    /// Source word.
    source: usize,
    /// How far to the left its bytes go, in bytes.
    by: i8,
    /// Which bytes of the result it gives.
    to: u8,
}

/// The pieces of `bytes`, as few as there can be.
fn pieces(bytes: &[Byte]) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    for (at, byte) in (0_i8..).zip(bytes) {
        let Some((source, from)) = *byte else {
            continue;
        };
        let by = at - from.cast_signed();
        match pieces
            .iter_mut()
            .find(|piece| (piece.source, piece.by) == (source, by))
        {
            Some(piece) => piece.to |= 1 << at,
            None => pieces.push(Piece {
                source,
                by,
                to: 1 << at,
            }),
        }
    }
    pieces
}

/// After how many bytes the word repeats itself: 1, 2, 4, or 8 where it does not.
fn period(bytes: &[Byte; 8]) -> usize {
    let repeats = |n: &usize| bytes[*n..] == bytes[..8 - n];
    [1, 2, 4].into_iter().find(repeats).unwrap_or(8)
}

/// Where bytes of two words take turns, or those of one and zeros: the words, and whether it is their higher halves.
fn interleaved(bytes: &[Byte; 8]) -> Option<[Option<(usize, bool)>; 2]> {
    let mut words = [None; 2];
    for (turn, word) in words.iter_mut().enumerate() {
        let Some((source, from)) = bytes[turn] else {
            if bytes.iter().skip(turn).step_by(2).any(Option::is_some) {
                return None;
            }
            continue;
        };
        let follows = |(i, byte): (u8, &Byte)| *byte == Some((source, from + i));
        let mut mine = (0..).zip(bytes.iter().skip(turn).step_by(2));
        if from % 4 != 0 || !mine.all(follows) {
            return None;
        }
        *word = Some((source, from == 4));
    }
    words.iter().any(Option::is_some).then_some(words)
}

impl Translator<'_, '_> {
    pub(super) fn shuffle_words(&mut self, lanes: &[u8; 16]) {
        let b = self.pop_words();
        let a = self.pop_words();
        self.arrange([a[0], a[1], b[0], b[1]], &lanes.map(Some));
    }

    /// Pushes bytes of the sources, counted through; zero where there is none.
    fn arrange(&mut self, sources: [Value; 4], lanes: &[Option<u8>; 16]) {
        // The first of those sources that are the same, and none that is zero.
        let known = sources.map(|source| {
            let first = sources.iter().position(|s| *s == source);
            first.filter(|_| self.constant(source) != Some(0))
        });
        let byte = |lane: Option<u8>| {
            let lane = lane?;
            Some((known[usize::from(lane / 8)]?, lane % 8))
        };
        let (low, high) = lanes.split_at(8);
        let [low, high] = [low, high].map(|lanes| std::array::from_fn(|i| byte(lanes[i])));
        let mut words = Words::new(&mut self.builder, 8);
        let low_word = arrange_word(&mut words, &sources, &low);
        let high_word = if low == high {
            low_word
        } else {
            arrange_word(&mut words, &sources, &high)
        };
        self.push_words([low_word, high_word]);
    }

    /// Byte `i` of the result is byte `indices[i]` of the vector, or zero when there is none.
    pub(super) fn swizzle_words(&mut self) {
        let indices = self.pop_words();
        let a = self.pop_words();
        if let [Some(low), Some(high)] = indices.map(|word| self.constant(word)) {
            let bytes = (u128::from(high) << 64 | u128::from(low)).to_le_bytes();
            let lanes = bytes.map(|index| (index < 16).then_some(index));
            self.arrange([a[0], a[1], a[0], a[1]], &lanes);
            return;
        }
        let flags = self.scratch_flags();
        let base = self.scratch();
        let zero = self.iconst64(0);
        for (at, word) in [(0, a[0]), (8, a[1]), (16, zero), (24, zero)] {
            self.builder.ins().store(flags, word, base, at);
        }
        let mut words = Words::new(&mut self.builder, 8);
        let indices = indices.map(|word| {
            let large = words.all(0x70);
            let beyond = words.and(word, large);
            let beyond = words.plus(beyond, large);
            let beyond = words.or(beyond, word);
            let tops = words.tops();
            let beyond = words.and(beyond, tops);
            let beyond = words.right(beyond, 3);
            let small = words.all(0x0f);
            let word = words.and(word, small);
            words.or(word, beyond)
        });

        // One byte of each word a round: the lowest index goes, the byte that it leads to comes in at the top.
        let (next, end) = (self.builder.create_block(), self.builder.create_block());
        let [left, low, high, low_indices, high_indices] =
            std::array::from_fn(|_| self.builder.append_block_param(next, I64));
        let eight = self.iconst64(8);
        let first = [eight, zero, zero, indices[0], indices[1]].map(BlockArg::Value);
        self.builder.ins().jump(next, &first);
        self.builder.switch_to_block(next);
        let [(low, low_indices), (high, high_indices)] = [(low, low_indices), (high, high_indices)]
            .map(|(word, indices)| {
                let b = &mut self.builder;
                let index = b.ins().band_imm_u(indices, 0x1f);
                let address = b.ins().iadd(base, index);
                let byte = b.ins().uload8(I64, flags, address, 0);
                let byte = b.ins().ishl_imm_u(byte, 56);
                let word = b.ins().ushr_imm_u(word, 8);
                let word = b.ins().bor(word, byte);
                (word, b.ins().ushr_imm_u(indices, 8))
            });
        let left = self.builder.ins().iadd_imm_s(left, -1);
        let again = [left, low, high, low_indices, high_indices].map(BlockArg::Value);
        self.builder.ins().brif(left, next, &again, end, &[]);
        self.builder.seal_block(next);
        self.builder.seal_block(end);
        self.builder.switch_to_block(end);
        self.push_words([low, high]);
    }
}

fn arrange_word(words: &mut Words<'_, '_>, sources: &[Value; 4], bytes: &[Byte; 8]) -> Value {
    if let Some(halves) = interleaved(bytes) {
        words.set_width(8);
        let halves = halves.map(|half| {
            let (source, high) = half?;
            Some(words.extend(sources[source], high, false))
        });
        let odd = halves[1].map(|word| words.left(word, 8));
        return match (halves[0], odd) {
            (Some(even), Some(odd)) => words.or(even, odd),
            (word, None) | (None, word) => word.expect("one of the two has bytes"),
        };
    }
    let period = period(bytes);
    let mut word = None;
    for piece in pieces(&bytes[..period]) {
        let moved = make_piece(words, sources[piece.source], piece);
        word = Some(match word {
            Some(word) => words.or(word, moved),
            None => moved,
        });
    }
    let Some(word) = word else {
        return words.constant(0);
    };
    words.set_width(8 * period as u32);
    match period {
        8 => word,
        4 => {
            let high = words.left(word, 32);
            words.or(word, high)
        }
        _ => {
            let ones = words.all(1);
            words.ins().imul(word, ones)
        }
    }
}

fn make_piece(words: &mut Words<'_, '_>, source: Value, piece: Piece) -> Value {
    let first = piece.to.trailing_zeros();
    let last = 7 - piece.to.leading_zeros();
    if piece.to.count_ones() != last - first + 1 {
        let by = 8 * u32::from(piece.by.unsigned_abs());
        let moved = if piece.by > 0 {
            words.left(source, by)
        } else {
            words.right(source, by)
        };
        let mask = (0..8).fold(0, |mask, byte| match piece.to >> byte & 1 {
            0 => mask,
            _ => mask | 0xff << (8 * byte),
        });
        let mask = words.constant(mask);
        return words.and(moved, mask);
    }
    // Neighbours: what is above and below them is shifted out.
    let from = (first as i32 - i32::from(piece.by)) as u32;
    let above = 7 - (from + last - first);
    if last == 7 {
        let moved = words.right(source, 8 * from);
        return words.left(moved, 8 * first);
    }
    let moved = words.left(source, 8 * above);
    let moved = words.right(moved, 8 * (above + from));
    words.left(moved, 8 * first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<const N: usize>(lanes: [u8; N]) -> [Byte; N] {
        lanes.map(|lane| Some((usize::from(lane / 8), lane % 8)))
    }

    #[test]
    fn bytes_that_move_together_are_one_piece() {
        let piece = |source, by, to| Piece { source, by, to };
        for (lanes, expected) in [
            ([0, 1, 2, 3, 4, 5, 6, 7], vec![piece(0, 0, 0xff)]),
            (
                [2, 3, 4, 5, 6, 7, 0, 1],
                vec![piece(0, -2, 0x3f), piece(0, 6, 0xc0)],
            ),
            (
                [8, 1, 10, 3, 12, 5, 14, 7],
                vec![piece(1, 0, 0x55), piece(0, 0, 0xaa)],
            ),
            ([7, 6, 5, 4, 3, 2, 1, 0], {
                let reversed = (0..8).map(|to: i8| piece(0, 2 * to - 7, 1 << to));
                reversed.collect()
            }),
        ] {
            assert_eq!(pieces(&bytes(lanes)), expected, "{lanes:?}");
        }
        assert_eq!(pieces(&[None, None]), []);
    }

    #[test]
    fn repetitions_and_turns() {
        for (lanes, expected) in [
            ([3; 8], 1),
            ([3, 9, 3, 9, 3, 9, 3, 9], 2),
            ([3, 9, 3, 8, 3, 9, 3, 8], 4),
            ([3, 9, 3, 8, 3, 9, 3, 7], 8),
        ] {
            assert_eq!(period(&bytes(lanes)), expected, "{lanes:?}");
        }
        for (lanes, expected) in [
            (
                [0, 16, 1, 17, 2, 18, 3, 19],
                Some([Some((0, false)), Some((2, false))]),
            ),
            (
                [20, 12, 21, 13, 22, 14, 23, 15],
                Some([Some((2, true)), Some((1, true))]),
            ),
            ([1, 16, 2, 17, 3, 18, 4, 19], None),
            ([0, 16, 1, 17, 2, 18, 3, 20], None),
        ] {
            assert_eq!(interleaved(&bytes(lanes)), expected, "{lanes:?}");
        }
        let mut widened = bytes([4, 0, 5, 0, 6, 0, 7, 0]);
        for byte in widened.iter_mut().skip(1).step_by(2) {
            *byte = None;
        }
        assert_eq!(interleaved(&widened), Some([Some((0, true)), None]));
        widened[3] = Some((0, 1));
        assert_eq!(interleaved(&widened), None);
        assert_eq!(interleaved(&[None; 8]), None);
    }
}

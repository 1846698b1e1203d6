//! Integer lanes that meet others: products, sums of neighbours, other widths (core spec, 4.3.5).

use super::words::{Words, every};
use crate::translate::Translator;
use cranelift_codegen::ir::{InstBuilder, Value};

impl Translator<'_, '_> {
    pub(super) fn extend_half_words(&mut self, width: u32, high: bool, signed: bool) {
        let a = self.pop_words();
        let mut words = Words::new(&mut self.builder, width);
        let word = a[usize::from(high)];
        let halves = [false, true].map(|high| words.extend(word, high, signed));
        self.push_words(halves);
    }

    /// Products of half of the lanes, twice as wide.
    pub(super) fn multiply_wide_words(&mut self, width: u32, high: bool, signed: bool) {
        let b = self.pop_words()[usize::from(high)];
        let a = self.pop_words()[usize::from(high)];
        let mut words = Words::new(&mut self.builder, width);
        let halves = [false, true].map(|high| {
            words.set_width(width);
            let x = words.extend(a, high, signed);
            let y = words.extend(b, high, signed);
            words.set_width(2 * width);
            words.multiply(x, y)
        });
        self.push_words(halves);
    }

    /// Lanes of two vectors at half the width.
    pub(super) fn narrow_words(&mut self, width: u32, signed: bool) {
        let b = self.pop_words();
        let a = self.pop_words();
        let mut words = Words::new(&mut self.builder, width);
        let halves = [a, b].map(|[low, high]| {
            let low = words.narrow(low, signed);
            let high = words.narrow(high, signed);
            let high = words.left(high, 32);
            words.or(low, high)
        });
        self.push_words(halves);
    }

    /// Sums of the products of neighbouring lanes of 16 bits. The sum of two products of the least number wraps.
    pub(super) fn dot_words(&mut self) {
        self.words2(16, |words, x, y| {
            let sums = [0, 2].map(|first| {
                let products = [first, first + 1].map(|lane| {
                    let a = words.lane(x, lane, true);
                    let b = words.lane(y, lane, true);
                    words.ins().imul(a, b)
                });
                words.plus(products[0], products[1])
            });
            words.set_width(32);
            let word = words.gather(&sums);
            words.set_width(16);
            word
        });
    }

    /// Sums of the products of neighbouring bytes, signed, 16 bits wide. The sum wraps.
    fn dot_bytes(words: &mut Words<'_, '_>, x: Value, y: Value) -> Value {
        let even = words.constant(every(16, 0xff));
        let sums = [0, 8].map(|at| {
            let [a, b] = [x, y].map(|word| {
                let word = words.right(word, at);
                let word = words.and(word, even);
                words.set_width(8);
                words.extend_signs(word)
            });
            words.set_width(16);
            words.multiply(a, b)
        });
        words.add(sums[0], sums[1])
    }

    pub(super) fn dot_byte_words(&mut self) {
        self.words2(16, Self::dot_bytes);
    }

    /// The dot product of bytes, its neighbours summed, and a vector added.
    pub(super) fn dot_add_words(&mut self) {
        let c = self.pop_words();
        let b = self.pop_words();
        let a = self.pop_words();
        let mut words = Words::new(&mut self.builder, 16);
        let halves = [0, 1].map(|half: usize| {
            words.set_width(16);
            let products = Self::dot_bytes(&mut words, a[half], b[half]);
            let sums = words.add_pairs(products, true);
            words.set_width(32);
            words.add(sums, c[half])
        });
        self.push_words(halves);
    }

    /// Products of numbers with 15 bits behind the point, rounded. Only -1 times -1 is too large: it gives a lane that
    /// no other product gives, and that is one more than the most.
    pub(super) fn multiply_q15_words(&mut self) {
        self.words2(16, |words, x, y| {
            let round = words.constant(0x4000);
            let products: Vec<Value> = (0..4)
                .map(|lane| {
                    let a = words.lane(x, lane, true);
                    let b = words.lane(y, lane, true);
                    let product = words.ins().imul(a, b);
                    let product = words.plus(product, round);
                    words.right(product, 15)
                })
                .collect();
            let word = words.gather(&products);
            let tops = words.tops();
            let differ = words.xor(word, tops);
            let differ = words.nonzero_tops(differ);
            let excess = words.without(tops, differ);
            let excess = words.right(excess, 15);
            words.minus(word, excess)
        });
    }
}

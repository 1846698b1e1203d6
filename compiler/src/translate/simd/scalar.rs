//! Vector operators without vector instructions (RV64GC): dispatch, and how a v128 is held.
//!
//! In: an operator of the SIMD proposals. Out: CLIF in which no value is a vector. A v128 is an `i128` on the operand
//! stack, in locals, blocks and signatures: the back end keeps it in two registers, and taking it apart and putting it
//! together ([`Translator::pop_words`], [`Translator::push_words`]) costs nothing. Families work on the two words:
//! `arithmetic` and `widths` on all lanes of a word at once, `float` and parts of `integer` on one lane after the other.
//!
//! Results are those of the lowering beside this room, bit for bit where the specification leaves a choice.

mod arithmetic;
mod float;
mod integer;
mod lane;
mod memory;
mod shuffle;
mod widths;
mod words;

use super::super::Translator;
use crate::parse::feature_of;
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{Function, InstBuilder, InstructionData, Opcode, Type, Value, types};
use types::{F32, F64, I32, I64};
use wasmparser::Operator;
use words::Words;

/// The type of a v128.
pub(in crate::translate) const VECTOR: Type = types::I128;

/// Which word a lane is in, and which lane of it it is.
const fn place(width: u32, lane: u8) -> (usize, u32) {
    let bit = width * lane as u32;
    (bit as usize / 64, bit % 64 / width)
}

/// A type in a function that is a vector, if there is one: of a value, or in the signature of the function or of what
/// it calls.
#[must_use]
pub(crate) fn find_vector(func: &Function) -> Option<Type> {
    let signatures = func.dfg.signatures.values().chain([&func.signature]);
    let signatures = signatures.flat_map(|s| s.params.iter().chain(&s.returns));
    func.dfg
        .values()
        .map(|value| func.dfg.value_type(value))
        .chain(signatures.map(|param| param.value_type))
        .find(|ty| ty.is_vector())
}

impl Translator<'_, '_> {
    /// Translates one vector operator.
    ///
    /// # Errors
    /// Name of the feature when it is none; `parse` has refused it before.
    pub(super) fn scalar_operator(&mut self, operator: &Operator<'_>) -> Result<(), String> {
        match *operator {
            Operator::V128Load { memarg } => self.load_words(&memarg),
            Operator::V128Load8x8S { memarg } => self.load_extended_words(&memarg, 8, true),
            Operator::V128Load8x8U { memarg } => self.load_extended_words(&memarg, 8, false),
            Operator::V128Load16x4S { memarg } => self.load_extended_words(&memarg, 16, true),
            Operator::V128Load16x4U { memarg } => self.load_extended_words(&memarg, 16, false),
            Operator::V128Load32x2S { memarg } => self.load_extended_words(&memarg, 32, true),
            Operator::V128Load32x2U { memarg } => self.load_extended_words(&memarg, 32, false),
            Operator::V128Load8Splat { memarg } => self.load_repeated(&memarg, 8),
            Operator::V128Load16Splat { memarg } => self.load_repeated(&memarg, 16),
            Operator::V128Load32Splat { memarg } => self.load_repeated(&memarg, 32),
            Operator::V128Load64Splat { memarg } => self.load_repeated(&memarg, 64),
            Operator::V128Load32Zero { memarg } => self.load_with_zeros(&memarg, 32),
            Operator::V128Load64Zero { memarg } => self.load_with_zeros(&memarg, 64),
            Operator::V128Store { memarg } => self.store_words(&memarg),
            Operator::V128Load8Lane { memarg, lane } => self.load_word_lane(&memarg, 8, lane),
            Operator::V128Load16Lane { memarg, lane } => self.load_word_lane(&memarg, 16, lane),
            Operator::V128Load32Lane { memarg, lane } => self.load_word_lane(&memarg, 32, lane),
            Operator::V128Load64Lane { memarg, lane } => self.load_word_lane(&memarg, 64, lane),
            Operator::V128Store8Lane { memarg, lane } => self.store_word_lane(&memarg, 8, lane),
            Operator::V128Store16Lane { memarg, lane } => self.store_word_lane(&memarg, 16, lane),
            Operator::V128Store32Lane { memarg, lane } => self.store_word_lane(&memarg, 32, lane),
            Operator::V128Store64Lane { memarg, lane } => self.store_word_lane(&memarg, 64, lane),

            Operator::V128Const { value } => {
                let value = self.vector_constant(u128::from_le_bytes(*value.bytes()));
                self.push(value);
            }
            Operator::I8x16Shuffle { lanes } => self.shuffle_words(&lanes),
            Operator::I8x16Swizzle | Operator::I8x16RelaxedSwizzle => self.swizzle_words(),
            Operator::I8x16ExtractLaneS { lane } => self.extract_narrow(8, lane, true),
            Operator::I8x16ExtractLaneU { lane } => self.extract_narrow(8, lane, false),
            Operator::I16x8ExtractLaneS { lane } => self.extract_narrow(16, lane, true),
            Operator::I16x8ExtractLaneU { lane } => self.extract_narrow(16, lane, false),
            Operator::I32x4ExtractLane { lane } => self.extract_scalar(I32, lane),
            Operator::I64x2ExtractLane { lane } => self.extract_scalar(I64, lane),
            Operator::F32x4ExtractLane { lane } => self.extract_scalar(F32, lane),
            Operator::F64x2ExtractLane { lane } => self.extract_scalar(F64, lane),
            Operator::I8x16ReplaceLane { lane } => self.replace_scalar(8, lane),
            Operator::I16x8ReplaceLane { lane } => self.replace_scalar(16, lane),
            Operator::I32x4ReplaceLane { lane } => self.replace_scalar(32, lane),
            Operator::I64x2ReplaceLane { lane } => self.replace_scalar(64, lane),
            Operator::F32x4ReplaceLane { lane } => self.replace_scalar(32, lane),
            Operator::F64x2ReplaceLane { lane } => self.replace_scalar(64, lane),
            Operator::I8x16Splat => self.splat_words(8),
            Operator::I16x8Splat => self.splat_words(16),
            Operator::I32x4Splat => self.splat_words(32),
            Operator::I64x2Splat => self.splat_words(64),
            Operator::F32x4Splat => self.splat_words(32),
            Operator::F64x2Splat => self.splat_words(64),

            Operator::V128Not => self.words1(64, |w, a| w.not(a)),
            Operator::V128And => self.words2(64, |w, x, y| w.and(x, y)),
            Operator::V128AndNot => self.words2(64, |w, x, y| w.without(x, y)),
            Operator::V128Or => self.words2(64, |w, x, y| w.or(x, y)),
            Operator::V128Xor => self.words2(64, |w, x, y| w.xor(x, y)),
            Operator::V128Bitselect
            | Operator::I8x16RelaxedLaneselect
            | Operator::I16x8RelaxedLaneselect
            | Operator::I32x4RelaxedLaneselect
            | Operator::I64x2RelaxedLaneselect => self.bit_select_words(),
            Operator::V128AnyTrue => self.any_true_words(),
            Operator::I8x16AllTrue => self.all_true_words(8),
            Operator::I16x8AllTrue => self.all_true_words(16),
            Operator::I32x4AllTrue => self.all_true_words(32),
            Operator::I64x2AllTrue => self.all_true_words(64),
            Operator::I8x16Bitmask => self.bitmask_words(8),
            Operator::I16x8Bitmask => self.bitmask_words(16),
            Operator::I32x4Bitmask => self.bitmask_words(32),
            Operator::I64x2Bitmask => self.bitmask_words(64),

            ref other => return self.scalar_arithmetic(other),
        }
        Ok(())
    }

    /// The operators that work on each lane by itself, and conversions.
    fn scalar_arithmetic(&mut self, operator: &Operator<'_>) -> Result<(), String> {
        match *operator {
            Operator::I8x16Eq => self.words2(8, |w, x, y| w.compare(IntCC::Equal, x, y)),
            Operator::I8x16Ne => self.words2(8, |w, x, y| w.compare(IntCC::NotEqual, x, y)),
            Operator::I8x16LtS => self.words2(8, |w, x, y| w.compare(IntCC::SignedLessThan, x, y)),
            Operator::I8x16LtU => {
                self.words2(8, |w, x, y| w.compare(IntCC::UnsignedLessThan, x, y))
            }
            Operator::I8x16GtS => {
                self.words2(8, |w, x, y| w.compare(IntCC::SignedGreaterThan, x, y))
            }
            Operator::I8x16GtU => {
                self.words2(8, |w, x, y| w.compare(IntCC::UnsignedGreaterThan, x, y))
            }
            Operator::I8x16LeS => {
                self.words2(8, |w, x, y| w.compare(IntCC::SignedLessThanOrEqual, x, y))
            }
            Operator::I8x16LeU => {
                self.words2(8, |w, x, y| w.compare(IntCC::UnsignedLessThanOrEqual, x, y))
            }
            Operator::I8x16GeS => self.words2(8, |w, x, y| {
                w.compare(IntCC::SignedGreaterThanOrEqual, x, y)
            }),
            Operator::I8x16GeU => self.words2(8, |w, x, y| {
                w.compare(IntCC::UnsignedGreaterThanOrEqual, x, y)
            }),
            Operator::I16x8Eq => self.words2(16, |w, x, y| w.compare(IntCC::Equal, x, y)),
            Operator::I16x8Ne => self.words2(16, |w, x, y| w.compare(IntCC::NotEqual, x, y)),
            Operator::I16x8LtS => self.words2(16, |w, x, y| w.compare(IntCC::SignedLessThan, x, y)),
            Operator::I16x8LtU => {
                self.words2(16, |w, x, y| w.compare(IntCC::UnsignedLessThan, x, y))
            }
            Operator::I16x8GtS => {
                self.words2(16, |w, x, y| w.compare(IntCC::SignedGreaterThan, x, y))
            }
            Operator::I16x8GtU => {
                self.words2(16, |w, x, y| w.compare(IntCC::UnsignedGreaterThan, x, y))
            }
            Operator::I16x8LeS => {
                self.words2(16, |w, x, y| w.compare(IntCC::SignedLessThanOrEqual, x, y))
            }
            Operator::I16x8LeU => self.words2(16, |w, x, y| {
                w.compare(IntCC::UnsignedLessThanOrEqual, x, y)
            }),
            Operator::I16x8GeS => self.words2(16, |w, x, y| {
                w.compare(IntCC::SignedGreaterThanOrEqual, x, y)
            }),
            Operator::I16x8GeU => self.words2(16, |w, x, y| {
                w.compare(IntCC::UnsignedGreaterThanOrEqual, x, y)
            }),
            Operator::I32x4Eq => self.words2(32, |w, x, y| w.compare(IntCC::Equal, x, y)),
            Operator::I32x4Ne => self.words2(32, |w, x, y| w.compare(IntCC::NotEqual, x, y)),
            Operator::I32x4LtS => self.words2(32, |w, x, y| w.compare(IntCC::SignedLessThan, x, y)),
            Operator::I32x4LtU => {
                self.words2(32, |w, x, y| w.compare(IntCC::UnsignedLessThan, x, y))
            }
            Operator::I32x4GtS => {
                self.words2(32, |w, x, y| w.compare(IntCC::SignedGreaterThan, x, y))
            }
            Operator::I32x4GtU => {
                self.words2(32, |w, x, y| w.compare(IntCC::UnsignedGreaterThan, x, y))
            }
            Operator::I32x4LeS => {
                self.words2(32, |w, x, y| w.compare(IntCC::SignedLessThanOrEqual, x, y))
            }
            Operator::I32x4LeU => self.words2(32, |w, x, y| {
                w.compare(IntCC::UnsignedLessThanOrEqual, x, y)
            }),
            Operator::I32x4GeS => self.words2(32, |w, x, y| {
                w.compare(IntCC::SignedGreaterThanOrEqual, x, y)
            }),
            Operator::I32x4GeU => self.words2(32, |w, x, y| {
                w.compare(IntCC::UnsignedGreaterThanOrEqual, x, y)
            }),
            Operator::I64x2Eq => self.words2(64, |w, x, y| w.compare(IntCC::Equal, x, y)),
            Operator::I64x2Ne => self.words2(64, |w, x, y| w.compare(IntCC::NotEqual, x, y)),
            Operator::I64x2LtS => self.words2(64, |w, x, y| w.compare(IntCC::SignedLessThan, x, y)),
            Operator::I64x2GtS => {
                self.words2(64, |w, x, y| w.compare(IntCC::SignedGreaterThan, x, y))
            }
            Operator::I64x2LeS => {
                self.words2(64, |w, x, y| w.compare(IntCC::SignedLessThanOrEqual, x, y))
            }
            Operator::I64x2GeS => self.words2(64, |w, x, y| {
                w.compare(IntCC::SignedGreaterThanOrEqual, x, y)
            }),
            Operator::F32x4Eq => self.compare_float_words(F32, FloatCC::Equal),
            Operator::F32x4Ne => self.compare_float_words(F32, FloatCC::NotEqual),
            Operator::F32x4Lt => self.compare_float_words(F32, FloatCC::LessThan),
            Operator::F32x4Gt => self.compare_float_words(F32, FloatCC::GreaterThan),
            Operator::F32x4Le => self.compare_float_words(F32, FloatCC::LessThanOrEqual),
            Operator::F32x4Ge => self.compare_float_words(F32, FloatCC::GreaterThanOrEqual),
            Operator::F64x2Eq => self.compare_float_words(F64, FloatCC::Equal),
            Operator::F64x2Ne => self.compare_float_words(F64, FloatCC::NotEqual),
            Operator::F64x2Lt => self.compare_float_words(F64, FloatCC::LessThan),
            Operator::F64x2Gt => self.compare_float_words(F64, FloatCC::GreaterThan),
            Operator::F64x2Le => self.compare_float_words(F64, FloatCC::LessThanOrEqual),
            Operator::F64x2Ge => self.compare_float_words(F64, FloatCC::GreaterThanOrEqual),

            Operator::I8x16Abs => self.words1(8, |w, a| w.abs(a)),
            Operator::I16x8Abs => self.words1(16, |w, a| w.abs(a)),
            Operator::I32x4Abs => self.words1(32, |w, a| w.abs(a)),
            Operator::I64x2Abs => self.words1(64, |w, a| w.abs(a)),
            Operator::I8x16Neg => self.words1(8, |w, a| w.neg(a)),
            Operator::I16x8Neg => self.words1(16, |w, a| w.neg(a)),
            Operator::I32x4Neg => self.words1(32, |w, a| w.neg(a)),
            Operator::I64x2Neg => self.words1(64, |w, a| w.neg(a)),
            Operator::I8x16Popcnt => self.words1(8, |w, a| w.count_bits(a)),
            Operator::I8x16Shl => self.shift_words(8, |w, a, n| w.shift_left(a, n)),
            Operator::I16x8Shl => self.shift_words(16, |w, a, n| w.shift_left(a, n)),
            Operator::I32x4Shl => self.shift_words(32, |w, a, n| w.shift_left(a, n)),
            Operator::I64x2Shl => self.shift_words(64, |w, a, n| w.shift_left(a, n)),
            Operator::I8x16ShrS => self.shift_words(8, |w, a, n| w.shift_right(a, n, true)),
            Operator::I16x8ShrS => self.shift_words(16, |w, a, n| w.shift_right(a, n, true)),
            Operator::I32x4ShrS => self.shift_words(32, |w, a, n| w.shift_right(a, n, true)),
            Operator::I64x2ShrS => self.shift_words(64, |w, a, n| w.shift_right(a, n, true)),
            Operator::I8x16ShrU => self.shift_words(8, |w, a, n| w.shift_right(a, n, false)),
            Operator::I16x8ShrU => self.shift_words(16, |w, a, n| w.shift_right(a, n, false)),
            Operator::I32x4ShrU => self.shift_words(32, |w, a, n| w.shift_right(a, n, false)),
            Operator::I64x2ShrU => self.shift_words(64, |w, a, n| w.shift_right(a, n, false)),
            Operator::I8x16Add => self.words2(8, |w, x, y| w.add(x, y)),
            Operator::I16x8Add => self.words2(16, |w, x, y| w.add(x, y)),
            Operator::I32x4Add => self.words2(32, |w, x, y| w.add(x, y)),
            Operator::I64x2Add => self.words2(64, |w, x, y| w.add(x, y)),
            Operator::I8x16Sub => self.words2(8, |w, x, y| w.sub(x, y)),
            Operator::I16x8Sub => self.words2(16, |w, x, y| w.sub(x, y)),
            Operator::I32x4Sub => self.words2(32, |w, x, y| w.sub(x, y)),
            Operator::I64x2Sub => self.words2(64, |w, x, y| w.sub(x, y)),
            Operator::I16x8Mul => self.words2(16, |w, x, y| w.multiply(x, y)),
            Operator::I32x4Mul => self.words2(32, |w, x, y| w.multiply(x, y)),
            Operator::I64x2Mul => self.words2(64, |w, x, y| w.multiply(x, y)),
            Operator::I8x16AddSatS => self.words2(8, |w, x, y| w.add_saturating(x, y, true)),
            Operator::I16x8AddSatS => self.words2(16, |w, x, y| w.add_saturating(x, y, true)),
            Operator::I8x16AddSatU => self.words2(8, |w, x, y| w.add_saturating(x, y, false)),
            Operator::I16x8AddSatU => self.words2(16, |w, x, y| w.add_saturating(x, y, false)),
            Operator::I8x16SubSatS => self.words2(8, |w, x, y| w.sub_saturating(x, y, true)),
            Operator::I16x8SubSatS => self.words2(16, |w, x, y| w.sub_saturating(x, y, true)),
            Operator::I8x16SubSatU => self.words2(8, |w, x, y| w.sub_saturating(x, y, false)),
            Operator::I16x8SubSatU => self.words2(16, |w, x, y| w.sub_saturating(x, y, false)),
            Operator::I8x16MinS => self.words2(8, |w, x, y| w.minimum(x, y, true)),
            Operator::I16x8MinS => self.words2(16, |w, x, y| w.minimum(x, y, true)),
            Operator::I32x4MinS => self.words2(32, |w, x, y| w.minimum(x, y, true)),
            Operator::I8x16MinU => self.words2(8, |w, x, y| w.minimum(x, y, false)),
            Operator::I16x8MinU => self.words2(16, |w, x, y| w.minimum(x, y, false)),
            Operator::I32x4MinU => self.words2(32, |w, x, y| w.minimum(x, y, false)),
            Operator::I8x16MaxS => self.words2(8, |w, x, y| w.maximum(x, y, true)),
            Operator::I16x8MaxS => self.words2(16, |w, x, y| w.maximum(x, y, true)),
            Operator::I32x4MaxS => self.words2(32, |w, x, y| w.maximum(x, y, true)),
            Operator::I8x16MaxU => self.words2(8, |w, x, y| w.maximum(x, y, false)),
            Operator::I16x8MaxU => self.words2(16, |w, x, y| w.maximum(x, y, false)),
            Operator::I32x4MaxU => self.words2(32, |w, x, y| w.maximum(x, y, false)),
            Operator::I8x16AvgrU => self.words2(8, |w, x, y| w.average(x, y)),
            Operator::I16x8AvgrU => self.words2(16, |w, x, y| w.average(x, y)),
            Operator::I16x8Q15MulrSatS | Operator::I16x8RelaxedQ15mulrS => {
                self.multiply_q15_words()
            }
            Operator::I32x4DotI16x8S => self.dot_words(),
            Operator::I16x8RelaxedDotI8x16I7x16S => self.dot_byte_words(),
            Operator::I32x4RelaxedDotI8x16I7x16AddS => self.dot_add_words(),

            Operator::I16x8ExtAddPairwiseI8x16S => self.words1(8, |w, a| w.add_pairs(a, true)),
            Operator::I16x8ExtAddPairwiseI8x16U => self.words1(8, |w, a| w.add_pairs(a, false)),
            Operator::I32x4ExtAddPairwiseI16x8S => self.words1(16, |w, a| w.add_pairs(a, true)),
            Operator::I32x4ExtAddPairwiseI16x8U => self.words1(16, |w, a| w.add_pairs(a, false)),
            Operator::I16x8ExtMulLowI8x16S => self.multiply_wide_words(8, false, true),
            Operator::I16x8ExtMulHighI8x16S => self.multiply_wide_words(8, true, true),
            Operator::I16x8ExtMulLowI8x16U => self.multiply_wide_words(8, false, false),
            Operator::I16x8ExtMulHighI8x16U => self.multiply_wide_words(8, true, false),
            Operator::I32x4ExtMulLowI16x8S => self.multiply_wide_words(16, false, true),
            Operator::I32x4ExtMulHighI16x8S => self.multiply_wide_words(16, true, true),
            Operator::I32x4ExtMulLowI16x8U => self.multiply_wide_words(16, false, false),
            Operator::I32x4ExtMulHighI16x8U => self.multiply_wide_words(16, true, false),
            Operator::I64x2ExtMulLowI32x4S => self.multiply_wide_words(32, false, true),
            Operator::I64x2ExtMulHighI32x4S => self.multiply_wide_words(32, true, true),
            Operator::I64x2ExtMulLowI32x4U => self.multiply_wide_words(32, false, false),
            Operator::I64x2ExtMulHighI32x4U => self.multiply_wide_words(32, true, false),

            Operator::I8x16NarrowI16x8S => self.narrow_words(16, true),
            Operator::I8x16NarrowI16x8U => self.narrow_words(16, false),
            Operator::I16x8NarrowI32x4S => self.narrow_words(32, true),
            Operator::I16x8NarrowI32x4U => self.narrow_words(32, false),
            Operator::I16x8ExtendLowI8x16S => self.extend_half_words(8, false, true),
            Operator::I16x8ExtendHighI8x16S => self.extend_half_words(8, true, true),
            Operator::I16x8ExtendLowI8x16U => self.extend_half_words(8, false, false),
            Operator::I16x8ExtendHighI8x16U => self.extend_half_words(8, true, false),
            Operator::I32x4ExtendLowI16x8S => self.extend_half_words(16, false, true),
            Operator::I32x4ExtendHighI16x8S => self.extend_half_words(16, true, true),
            Operator::I32x4ExtendLowI16x8U => self.extend_half_words(16, false, false),
            Operator::I32x4ExtendHighI16x8U => self.extend_half_words(16, true, false),
            Operator::I64x2ExtendLowI32x4S => self.extend_half_words(32, false, true),
            Operator::I64x2ExtendHighI32x4S => self.extend_half_words(32, true, true),
            Operator::I64x2ExtendLowI32x4U => self.extend_half_words(32, false, false),
            Operator::I64x2ExtendHighI32x4U => self.extend_half_words(32, true, false),

            Operator::F32x4Ceil => self.each_scalar(F32, |b, a| b.ceil(a)),
            Operator::F64x2Ceil => self.each_scalar(F64, |b, a| b.ceil(a)),
            Operator::F32x4Floor => self.each_scalar(F32, |b, a| b.floor(a)),
            Operator::F64x2Floor => self.each_scalar(F64, |b, a| b.floor(a)),
            Operator::F32x4Trunc => self.each_scalar(F32, |b, a| b.trunc(a)),
            Operator::F64x2Trunc => self.each_scalar(F64, |b, a| b.trunc(a)),
            Operator::F32x4Nearest => self.each_scalar(F32, |b, a| b.nearest(a)),
            Operator::F64x2Nearest => self.each_scalar(F64, |b, a| b.nearest(a)),
            Operator::F32x4Abs => self.change_sign_words(F32, true),
            Operator::F64x2Abs => self.change_sign_words(F64, true),
            Operator::F32x4Neg => self.change_sign_words(F32, false),
            Operator::F64x2Neg => self.change_sign_words(F64, false),
            Operator::F32x4Sqrt => self.each_scalar(F32, |b, a| b.sqrt(a)),
            Operator::F64x2Sqrt => self.each_scalar(F64, |b, a| b.sqrt(a)),
            Operator::F32x4Add => self.each_scalar2(F32, |b, x, y| b.fadd(x, y)),
            Operator::F64x2Add => self.each_scalar2(F64, |b, x, y| b.fadd(x, y)),
            Operator::F32x4Sub => self.each_scalar2(F32, |b, x, y| b.fsub(x, y)),
            Operator::F64x2Sub => self.each_scalar2(F64, |b, x, y| b.fsub(x, y)),
            Operator::F32x4Mul => self.each_scalar2(F32, |b, x, y| b.fmul(x, y)),
            Operator::F64x2Mul => self.each_scalar2(F64, |b, x, y| b.fmul(x, y)),
            Operator::F32x4Div => self.each_scalar2(F32, |b, x, y| b.fdiv(x, y)),
            Operator::F64x2Div => self.each_scalar2(F64, |b, x, y| b.fdiv(x, y)),
            Operator::F32x4Min | Operator::F32x4RelaxedMin => {
                self.each_scalar2(F32, |b, x, y| b.fmin(x, y))
            }
            Operator::F64x2Min | Operator::F64x2RelaxedMin => {
                self.each_scalar2(F64, |b, x, y| b.fmin(x, y))
            }
            Operator::F32x4Max | Operator::F32x4RelaxedMax => {
                self.each_scalar2(F32, |b, x, y| b.fmax(x, y))
            }
            Operator::F64x2Max | Operator::F64x2RelaxedMax => {
                self.each_scalar2(F64, |b, x, y| b.fmax(x, y))
            }
            Operator::F32x4PMin => self.pseudo_extreme_words(F32, false),
            Operator::F64x2PMin => self.pseudo_extreme_words(F64, false),
            Operator::F32x4PMax => self.pseudo_extreme_words(F32, true),
            Operator::F64x2PMax => self.pseudo_extreme_words(F64, true),
            Operator::F32x4RelaxedMadd => self.multiply_add_words(F32, false),
            Operator::F64x2RelaxedMadd => self.multiply_add_words(F64, false),
            Operator::F32x4RelaxedNmadd => self.multiply_add_words(F32, true),
            Operator::F64x2RelaxedNmadd => self.multiply_add_words(F64, true),

            Operator::I32x4TruncSatF32x4S | Operator::I32x4RelaxedTruncF32x4S => {
                self.each_scalar(F32, |b, a| b.fcvt_to_sint_sat(I32, a))
            }
            Operator::I32x4TruncSatF32x4U | Operator::I32x4RelaxedTruncF32x4U => {
                self.each_scalar(F32, |b, a| b.fcvt_to_uint_sat(I32, a))
            }
            Operator::I32x4TruncSatF64x2SZero | Operator::I32x4RelaxedTruncF64x2SZero => {
                self.halve_doubles(|b, a| b.fcvt_to_sint_sat(I32, a))
            }
            Operator::I32x4TruncSatF64x2UZero | Operator::I32x4RelaxedTruncF64x2UZero => {
                self.halve_doubles(|b, a| b.fcvt_to_uint_sat(I32, a))
            }
            Operator::F32x4ConvertI32x4S => self.each_scalar(I32, |b, a| b.fcvt_from_sint(F32, a)),
            Operator::F32x4ConvertI32x4U => self.each_scalar(I32, |b, a| b.fcvt_from_uint(F32, a)),
            Operator::F64x2ConvertLowI32x4S => self.convert_low_words(true),
            Operator::F64x2ConvertLowI32x4U => self.convert_low_words(false),
            Operator::F32x4DemoteF64x2Zero => self.halve_doubles(|b, a| b.fdemote(F32, a)),
            Operator::F64x2PromoteLowF32x4 => self.promote_low_words(),

            ref other => return Err(feature_of(other)),
        }
        Ok(())
    }

    /// Takes a v128 as its low and high word. Words that were just put together are taken as they were; others are
    /// taken apart once in a block, so that equal operators on them are seen to be equal.
    fn pop_words(&mut self) -> [Value; 2] {
        let value = self.pop();
        let dfg = &self.builder.func.dfg;
        debug_assert_eq!(dfg.value_type(value), VECTOR);
        if let Some(inst) = dfg.value_def(value).inst()
            && let InstructionData::Binary {
                opcode: Opcode::Iconcat,
                args,
            } = dfg.insts[inst]
        {
            return args;
        }
        let block = self.builder.current_block();
        if let Some((known, words)) = self.words.get(&value)
            && Some(*known) == block
        {
            return *words;
        }
        let (low, high) = self.builder.ins().isplit(value);
        if let Some(block) = block {
            self.words.insert(value, (block, [low, high]));
        }
        [low, high]
    }

    fn push_words(&mut self, [low, high]: [Value; 2]) {
        let value = self.builder.ins().iconcat(low, high);
        self.push(value);
    }

    /// A v128 constant.
    pub(super) fn words_constant(&mut self, bits: u128) -> Value {
        let low = self.iconst64(bits as u64);
        let high = self.iconst64((bits >> 64) as u64);
        self.builder.ins().iconcat(low, high)
    }

    /// The same on both words of a vector with lanes of `width` bits.
    fn words1(&mut self, width: u32, apply: impl Fn(&mut Words<'_, '_>, Value) -> Value) {
        let a = self.pop_words();
        let mut words = Words::new(&mut self.builder, width);
        let halves = a.map(|a| apply(&mut words, a));
        self.push_words(halves);
    }

    /// The same on both words of two vectors with lanes of `width` bits.
    fn words2(&mut self, width: u32, apply: impl Fn(&mut Words<'_, '_>, Value, Value) -> Value) {
        let b = self.pop_words();
        let a = self.pop_words();
        let mut words = Words::new(&mut self.builder, width);
        let halves = [0, 1].map(|half: usize| apply(&mut words, a[half], b[half]));
        self.push_words(halves);
    }

    /// A shift of every lane by the same number, taken modulo the width of a lane.
    fn shift_words(
        &mut self,
        width: u32,
        apply: impl Fn(&mut Words<'_, '_>, Value, Value) -> Value,
    ) {
        let count = self.pop_count(width);
        self.words1(width, |words, a| apply(words, a, count));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cranelift_codegen::ir::{AbiParam, Signature, UserFuncName};
    use cranelift_codegen::isa::CallConv;

    #[test]
    fn lanes_have_places() {
        for (width, lane, expected) in [
            (8, 0, (0, 0)),
            (8, 7, (0, 7)),
            (8, 15, (1, 7)),
            (16, 4, (1, 0)),
            (32, 3, (1, 1)),
            (64, 1, (1, 0)),
        ] {
            assert_eq!(place(width, lane), expected);
        }
    }

    #[test]
    fn a_vector_is_found_in_a_signature_and_among_values() {
        let mut signature = Signature::new(CallConv::SystemV);
        signature.params.push(AbiParam::new(VECTOR));
        let mut func = Function::with_name_signature(UserFuncName::default(), signature.clone());
        assert_eq!(find_vector(&func), None);
        let block = func.dfg.make_block();
        func.dfg.append_block_param(block, VECTOR);
        assert_eq!(find_vector(&func), None);
        func.dfg.append_block_param(block, types::I8X16);
        assert_eq!(find_vector(&func), Some(types::I8X16));

        signature.returns.push(AbiParam::new(types::F32X4));
        let mut func = Function::new();
        func.import_signature(signature);
        assert_eq!(find_vector(&func), Some(types::F32X4));
    }
}

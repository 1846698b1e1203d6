//! Vector operators (core spec, 4.4.3; relaxed ones included): dispatch, and how a v128 is held.
//!
//! In: an operator of the SIMD proposals. Out: CLIF. A v128 on the operand stack is always an `i8x16`; a family that
//! sees other lanes in it casts on the way in and out ([`Translator::pop_lanes`], [`Translator::push_lanes`]).
//!
//! x86_64 means SSE2 here, unless the CPU level says more. Nearly everything has a lowering for it; what would need a
//! helper that the runtime does not have (byte shuffles) is put together from scalar instructions in `lane`, what would
//! need SSE4.1 in `convert` and `rounding`.
//!
//! Where relaxed operators leave a choice, the result is that of the strict operator of the same name, and products
//! are rounded before they are added: the same on every target.

mod arith;
mod convert;
mod lane;
mod memory;
mod scalar;

use super::Translator;
use super::rounding::Rounding;
use crate::parse::feature_of;
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{
    ConstantData, Endianness, InstBuilder, InstructionData, MemFlagsData, Opcode, Type, Value,
    types,
};
use cranelift_frontend::FuncInstBuilder;
use types::{F32, F32X4, F64, F64X2, I8, I8X16, I16, I16X8, I32, I32X4, I64, I64X2};
use wasmparser::Operator;

pub(super) use scalar::VECTOR as TWO_WORDS;
pub(crate) use scalar::find_vector;

impl Translator<'_, '_> {
    /// Translates one vector operator.
    ///
    /// # Errors
    /// Name of the feature when it is none; `parse` has refused it before.
    pub(super) fn vector_operator(&mut self, operator: &Operator<'_>) -> Result<(), String> {
        if !self.env.has_vectors() {
            return self.scalar_operator(operator);
        }
        match *operator {
            Operator::V128Load { memarg } => self.load(&memarg, I8X16),
            Operator::V128Load8x8S { memarg } => self.load_extend(&memarg, I16X8, true),
            Operator::V128Load8x8U { memarg } => self.load_extend(&memarg, I16X8, false),
            Operator::V128Load16x4S { memarg } => self.load_extend(&memarg, I32X4, true),
            Operator::V128Load16x4U { memarg } => self.load_extend(&memarg, I32X4, false),
            Operator::V128Load32x2S { memarg } => self.load_extend(&memarg, I64X2, true),
            Operator::V128Load32x2U { memarg } => self.load_extend(&memarg, I64X2, false),
            Operator::V128Load8Splat { memarg } => self.load_splat(&memarg, I8X16),
            Operator::V128Load16Splat { memarg } => self.load_splat(&memarg, I16X8),
            Operator::V128Load32Splat { memarg } => self.load_splat(&memarg, I32X4),
            Operator::V128Load64Splat { memarg } => self.load_splat(&memarg, I64X2),
            Operator::V128Load32Zero { memarg } => self.load_zero(&memarg, I32X4),
            Operator::V128Load64Zero { memarg } => self.load_zero(&memarg, I64X2),
            Operator::V128Store { memarg } => self.store_vector(&memarg),
            Operator::V128Load8Lane { memarg, lane } => self.load_lane(&memarg, I8X16, lane),
            Operator::V128Load16Lane { memarg, lane } => self.load_lane(&memarg, I16X8, lane),
            Operator::V128Load32Lane { memarg, lane } => self.load_lane(&memarg, I32X4, lane),
            Operator::V128Load64Lane { memarg, lane } => self.load_lane(&memarg, I64X2, lane),
            Operator::V128Store8Lane { memarg, lane } => self.store_lane(&memarg, I8X16, lane),
            Operator::V128Store16Lane { memarg, lane } => self.store_lane(&memarg, I16X8, lane),
            Operator::V128Store32Lane { memarg, lane } => self.store_lane(&memarg, I32X4, lane),
            Operator::V128Store64Lane { memarg, lane } => self.store_lane(&memarg, I64X2, lane),

            Operator::V128Const { value } => {
                let value = self.vector_constant(u128::from_le_bytes(*value.bytes()));
                self.push(value);
            }
            Operator::I8x16Shuffle { lanes } => self.shuffle(lanes),
            Operator::I8x16Swizzle | Operator::I8x16RelaxedSwizzle => self.swizzle(),
            Operator::I8x16ExtractLaneS { lane } => self.extract_lane(I8X16, lane, Some(true)),
            Operator::I8x16ExtractLaneU { lane } => self.extract_lane(I8X16, lane, Some(false)),
            Operator::I16x8ExtractLaneS { lane } => self.extract_lane(I16X8, lane, Some(true)),
            Operator::I16x8ExtractLaneU { lane } => self.extract_lane(I16X8, lane, Some(false)),
            Operator::I32x4ExtractLane { lane } => self.extract_lane(I32X4, lane, None),
            Operator::I64x2ExtractLane { lane } => self.extract_lane(I64X2, lane, None),
            Operator::F32x4ExtractLane { lane } => self.extract_lane(F32X4, lane, None),
            Operator::F64x2ExtractLane { lane } => self.extract_lane(F64X2, lane, None),
            Operator::I8x16ReplaceLane { lane } => self.replace_lane(I8X16, lane),
            Operator::I16x8ReplaceLane { lane } => self.replace_lane(I16X8, lane),
            Operator::I32x4ReplaceLane { lane } => self.replace_lane(I32X4, lane),
            Operator::I64x2ReplaceLane { lane } => self.replace_lane(I64X2, lane),
            Operator::F32x4ReplaceLane { lane } => self.replace_lane(F32X4, lane),
            Operator::F64x2ReplaceLane { lane } => self.replace_lane(F64X2, lane),
            Operator::I8x16Splat => self.splat(I8X16),
            Operator::I16x8Splat => self.splat(I16X8),
            Operator::I32x4Splat => self.splat(I32X4),
            Operator::I64x2Splat => self.splat(I64X2),
            Operator::F32x4Splat => self.splat(F32X4),
            Operator::F64x2Splat => self.splat(F64X2),

            Operator::V128Not => self.lanes1(I8X16, |b, a| b.bnot(a)),
            Operator::V128And => self.lanes2(I8X16, |b, x, y| b.band(x, y)),
            Operator::V128AndNot => self.lanes2(I8X16, |b, x, y| b.band_not(x, y)),
            Operator::V128Or => self.lanes2(I8X16, |b, x, y| b.bor(x, y)),
            Operator::V128Xor => self.lanes2(I8X16, |b, x, y| b.bxor(x, y)),
            Operator::V128Bitselect
            | Operator::I8x16RelaxedLaneselect
            | Operator::I16x8RelaxedLaneselect
            | Operator::I32x4RelaxedLaneselect
            | Operator::I64x2RelaxedLaneselect => self.bit_select(),
            Operator::V128AnyTrue => self.any_true(),
            Operator::I8x16AllTrue => self.all_true(I8X16),
            Operator::I16x8AllTrue => self.all_true(I16X8),
            Operator::I32x4AllTrue => self.all_true(I32X4),
            Operator::I64x2AllTrue => self.all_true(I64X2),
            Operator::I8x16Bitmask => self.bitmask(I8X16),
            Operator::I16x8Bitmask => self.bitmask(I16X8),
            Operator::I32x4Bitmask => self.bitmask(I32X4),
            Operator::I64x2Bitmask => self.bitmask(I64X2),

            ref other => return self.vector_arithmetic(other),
        }
        Ok(())
    }

    /// The operators that work on each lane by itself, and conversions.
    fn vector_arithmetic(&mut self, operator: &Operator<'_>) -> Result<(), String> {
        match *operator {
            Operator::I8x16Eq => self.compare(I8X16, IntCC::Equal),
            Operator::I8x16Ne => self.compare(I8X16, IntCC::NotEqual),
            Operator::I8x16LtS => self.compare(I8X16, IntCC::SignedLessThan),
            Operator::I8x16LtU => self.compare(I8X16, IntCC::UnsignedLessThan),
            Operator::I8x16GtS => self.compare(I8X16, IntCC::SignedGreaterThan),
            Operator::I8x16GtU => self.compare(I8X16, IntCC::UnsignedGreaterThan),
            Operator::I8x16LeS => self.compare(I8X16, IntCC::SignedLessThanOrEqual),
            Operator::I8x16LeU => self.compare(I8X16, IntCC::UnsignedLessThanOrEqual),
            Operator::I8x16GeS => self.compare(I8X16, IntCC::SignedGreaterThanOrEqual),
            Operator::I8x16GeU => self.compare(I8X16, IntCC::UnsignedGreaterThanOrEqual),
            Operator::I16x8Eq => self.compare(I16X8, IntCC::Equal),
            Operator::I16x8Ne => self.compare(I16X8, IntCC::NotEqual),
            Operator::I16x8LtS => self.compare(I16X8, IntCC::SignedLessThan),
            Operator::I16x8LtU => self.compare(I16X8, IntCC::UnsignedLessThan),
            Operator::I16x8GtS => self.compare(I16X8, IntCC::SignedGreaterThan),
            Operator::I16x8GtU => self.compare(I16X8, IntCC::UnsignedGreaterThan),
            Operator::I16x8LeS => self.compare(I16X8, IntCC::SignedLessThanOrEqual),
            Operator::I16x8LeU => self.compare(I16X8, IntCC::UnsignedLessThanOrEqual),
            Operator::I16x8GeS => self.compare(I16X8, IntCC::SignedGreaterThanOrEqual),
            Operator::I16x8GeU => self.compare(I16X8, IntCC::UnsignedGreaterThanOrEqual),
            Operator::I32x4Eq => self.compare(I32X4, IntCC::Equal),
            Operator::I32x4Ne => self.compare(I32X4, IntCC::NotEqual),
            Operator::I32x4LtS => self.compare(I32X4, IntCC::SignedLessThan),
            Operator::I32x4LtU => self.compare(I32X4, IntCC::UnsignedLessThan),
            Operator::I32x4GtS => self.compare(I32X4, IntCC::SignedGreaterThan),
            Operator::I32x4GtU => self.compare(I32X4, IntCC::UnsignedGreaterThan),
            Operator::I32x4LeS => self.compare(I32X4, IntCC::SignedLessThanOrEqual),
            Operator::I32x4LeU => self.compare(I32X4, IntCC::UnsignedLessThanOrEqual),
            Operator::I32x4GeS => self.compare(I32X4, IntCC::SignedGreaterThanOrEqual),
            Operator::I32x4GeU => self.compare(I32X4, IntCC::UnsignedGreaterThanOrEqual),
            Operator::I64x2Eq => self.compare(I64X2, IntCC::Equal),
            Operator::I64x2Ne => self.compare(I64X2, IntCC::NotEqual),
            Operator::I64x2LtS => self.compare(I64X2, IntCC::SignedLessThan),
            Operator::I64x2GtS => self.compare(I64X2, IntCC::SignedGreaterThan),
            Operator::I64x2LeS => self.compare(I64X2, IntCC::SignedLessThanOrEqual),
            Operator::I64x2GeS => self.compare(I64X2, IntCC::SignedGreaterThanOrEqual),
            Operator::F32x4Eq => self.compare_floats(F32X4, FloatCC::Equal),
            Operator::F32x4Ne => self.compare_floats(F32X4, FloatCC::NotEqual),
            Operator::F32x4Lt => self.compare_floats(F32X4, FloatCC::LessThan),
            Operator::F32x4Gt => self.compare_floats(F32X4, FloatCC::GreaterThan),
            Operator::F32x4Le => self.compare_floats(F32X4, FloatCC::LessThanOrEqual),
            Operator::F32x4Ge => self.compare_floats(F32X4, FloatCC::GreaterThanOrEqual),
            Operator::F64x2Eq => self.compare_floats(F64X2, FloatCC::Equal),
            Operator::F64x2Ne => self.compare_floats(F64X2, FloatCC::NotEqual),
            Operator::F64x2Lt => self.compare_floats(F64X2, FloatCC::LessThan),
            Operator::F64x2Gt => self.compare_floats(F64X2, FloatCC::GreaterThan),
            Operator::F64x2Le => self.compare_floats(F64X2, FloatCC::LessThanOrEqual),
            Operator::F64x2Ge => self.compare_floats(F64X2, FloatCC::GreaterThanOrEqual),

            Operator::I8x16Abs => self.lanes1(I8X16, |b, a| b.iabs(a)),
            Operator::I16x8Abs => self.lanes1(I16X8, |b, a| b.iabs(a)),
            Operator::I32x4Abs => self.lanes1(I32X4, |b, a| b.iabs(a)),
            Operator::I64x2Abs => self.lanes1(I64X2, |b, a| b.iabs(a)),
            Operator::I8x16Neg => self.lanes1(I8X16, |b, a| b.ineg(a)),
            Operator::I16x8Neg => self.lanes1(I16X8, |b, a| b.ineg(a)),
            Operator::I32x4Neg => self.lanes1(I32X4, |b, a| b.ineg(a)),
            Operator::I64x2Neg => self.lanes1(I64X2, |b, a| b.ineg(a)),
            Operator::I8x16Popcnt => self.lanes1(I8X16, |b, a| b.popcnt(a)),
            Operator::I8x16Shl => self.shift(I8X16, |b, a, n| b.ishl(a, n)),
            Operator::I16x8Shl => self.shift(I16X8, |b, a, n| b.ishl(a, n)),
            Operator::I32x4Shl => self.shift(I32X4, |b, a, n| b.ishl(a, n)),
            Operator::I64x2Shl => self.shift(I64X2, |b, a, n| b.ishl(a, n)),
            Operator::I8x16ShrS => self.shift(I8X16, |b, a, n| b.sshr(a, n)),
            Operator::I16x8ShrS => self.shift(I16X8, |b, a, n| b.sshr(a, n)),
            Operator::I32x4ShrS => self.shift(I32X4, |b, a, n| b.sshr(a, n)),
            Operator::I64x2ShrS => self.shift(I64X2, |b, a, n| b.sshr(a, n)),
            Operator::I8x16ShrU => self.shift(I8X16, |b, a, n| b.ushr(a, n)),
            Operator::I16x8ShrU => self.shift(I16X8, |b, a, n| b.ushr(a, n)),
            Operator::I32x4ShrU => self.shift(I32X4, |b, a, n| b.ushr(a, n)),
            Operator::I64x2ShrU => self.shift(I64X2, |b, a, n| b.ushr(a, n)),
            Operator::I8x16Add => self.lanes2(I8X16, |b, x, y| b.iadd(x, y)),
            Operator::I16x8Add => self.lanes2(I16X8, |b, x, y| b.iadd(x, y)),
            Operator::I32x4Add => self.lanes2(I32X4, |b, x, y| b.iadd(x, y)),
            Operator::I64x2Add => self.lanes2(I64X2, |b, x, y| b.iadd(x, y)),
            Operator::I8x16Sub => self.lanes2(I8X16, |b, x, y| b.isub(x, y)),
            Operator::I16x8Sub => self.lanes2(I16X8, |b, x, y| b.isub(x, y)),
            Operator::I32x4Sub => self.lanes2(I32X4, |b, x, y| b.isub(x, y)),
            Operator::I64x2Sub => self.lanes2(I64X2, |b, x, y| b.isub(x, y)),
            Operator::I16x8Mul => self.lanes2(I16X8, |b, x, y| b.imul(x, y)),
            Operator::I32x4Mul => self.lanes2(I32X4, |b, x, y| b.imul(x, y)),
            Operator::I64x2Mul => self.lanes2(I64X2, |b, x, y| b.imul(x, y)),
            Operator::I8x16AddSatS => self.lanes2(I8X16, |b, x, y| b.sadd_sat(x, y)),
            Operator::I16x8AddSatS => self.lanes2(I16X8, |b, x, y| b.sadd_sat(x, y)),
            Operator::I8x16AddSatU => self.lanes2(I8X16, |b, x, y| b.uadd_sat(x, y)),
            Operator::I16x8AddSatU => self.lanes2(I16X8, |b, x, y| b.uadd_sat(x, y)),
            Operator::I8x16SubSatS => self.lanes2(I8X16, |b, x, y| b.ssub_sat(x, y)),
            Operator::I16x8SubSatS => self.lanes2(I16X8, |b, x, y| b.ssub_sat(x, y)),
            Operator::I8x16SubSatU => self.lanes2(I8X16, |b, x, y| b.usub_sat(x, y)),
            Operator::I16x8SubSatU => self.lanes2(I16X8, |b, x, y| b.usub_sat(x, y)),
            Operator::I8x16MinS => self.lanes2(I8X16, |b, x, y| b.smin(x, y)),
            Operator::I16x8MinS => self.lanes2(I16X8, |b, x, y| b.smin(x, y)),
            Operator::I32x4MinS => self.lanes2(I32X4, |b, x, y| b.smin(x, y)),
            Operator::I8x16MinU => self.lanes2(I8X16, |b, x, y| b.umin(x, y)),
            Operator::I16x8MinU => self.lanes2(I16X8, |b, x, y| b.umin(x, y)),
            Operator::I32x4MinU => self.lanes2(I32X4, |b, x, y| b.umin(x, y)),
            Operator::I8x16MaxS => self.lanes2(I8X16, |b, x, y| b.smax(x, y)),
            Operator::I16x8MaxS => self.lanes2(I16X8, |b, x, y| b.smax(x, y)),
            Operator::I32x4MaxS => self.lanes2(I32X4, |b, x, y| b.smax(x, y)),
            Operator::I8x16MaxU => self.lanes2(I8X16, |b, x, y| b.umax(x, y)),
            Operator::I16x8MaxU => self.lanes2(I16X8, |b, x, y| b.umax(x, y)),
            Operator::I32x4MaxU => self.lanes2(I32X4, |b, x, y| b.umax(x, y)),
            Operator::I8x16AvgrU => self.lanes2(I8X16, |b, x, y| b.avg_round(x, y)),
            Operator::I16x8AvgrU => self.lanes2(I16X8, |b, x, y| b.avg_round(x, y)),
            Operator::I16x8Q15MulrSatS | Operator::I16x8RelaxedQ15mulrS => {
                self.lanes2(I16X8, |b, x, y| b.sqmul_round_sat(x, y))
            }
            Operator::I32x4DotI16x8S => self.dot(I16X8),
            Operator::I16x8RelaxedDotI8x16I7x16S => self.dot(I8X16),
            Operator::I32x4RelaxedDotI8x16I7x16AddS => self.dot_add(),

            Operator::I16x8ExtAddPairwiseI8x16S => self.add_pairwise(I8X16, true),
            Operator::I16x8ExtAddPairwiseI8x16U => self.add_pairwise(I8X16, false),
            Operator::I32x4ExtAddPairwiseI16x8S => self.add_pairwise(I16X8, true),
            Operator::I32x4ExtAddPairwiseI16x8U => self.add_pairwise(I16X8, false),
            Operator::I16x8ExtMulLowI8x16S => self.multiply_wide(I8X16, false, true),
            Operator::I16x8ExtMulHighI8x16S => self.multiply_wide(I8X16, true, true),
            Operator::I16x8ExtMulLowI8x16U => self.multiply_wide(I8X16, false, false),
            Operator::I16x8ExtMulHighI8x16U => self.multiply_wide(I8X16, true, false),
            Operator::I32x4ExtMulLowI16x8S => self.multiply_wide(I16X8, false, true),
            Operator::I32x4ExtMulHighI16x8S => self.multiply_wide(I16X8, true, true),
            Operator::I32x4ExtMulLowI16x8U => self.multiply_wide(I16X8, false, false),
            Operator::I32x4ExtMulHighI16x8U => self.multiply_wide(I16X8, true, false),
            Operator::I64x2ExtMulLowI32x4S => self.multiply_wide(I32X4, false, true),
            Operator::I64x2ExtMulHighI32x4S => self.multiply_wide(I32X4, true, true),
            Operator::I64x2ExtMulLowI32x4U => self.multiply_wide(I32X4, false, false),
            Operator::I64x2ExtMulHighI32x4U => self.multiply_wide(I32X4, true, false),

            Operator::I8x16NarrowI16x8S => self.lanes2(I16X8, |b, x, y| b.snarrow(x, y)),
            Operator::I8x16NarrowI16x8U => self.lanes2(I16X8, |b, x, y| b.unarrow(x, y)),
            Operator::I16x8NarrowI32x4S => self.lanes2(I32X4, |b, x, y| b.snarrow(x, y)),
            Operator::I16x8NarrowI32x4U => self.lanes2(I32X4, |b, x, y| b.unarrow(x, y)),
            Operator::I16x8ExtendLowI8x16S => self.extend_half(I8X16, false, true),
            Operator::I16x8ExtendHighI8x16S => self.extend_half(I8X16, true, true),
            Operator::I16x8ExtendLowI8x16U => self.extend_half(I8X16, false, false),
            Operator::I16x8ExtendHighI8x16U => self.extend_half(I8X16, true, false),
            Operator::I32x4ExtendLowI16x8S => self.extend_half(I16X8, false, true),
            Operator::I32x4ExtendHighI16x8S => self.extend_half(I16X8, true, true),
            Operator::I32x4ExtendLowI16x8U => self.extend_half(I16X8, false, false),
            Operator::I32x4ExtendHighI16x8U => self.extend_half(I16X8, true, false),
            Operator::I64x2ExtendLowI32x4S => self.extend_half(I32X4, false, true),
            Operator::I64x2ExtendHighI32x4S => self.extend_half(I32X4, true, true),
            Operator::I64x2ExtendLowI32x4U => self.extend_half(I32X4, false, false),
            Operator::I64x2ExtendHighI32x4U => self.extend_half(I32X4, true, false),

            Operator::F32x4Ceil => self.round_vector(F32X4, Rounding::Ceil),
            Operator::F64x2Ceil => self.round_vector(F64X2, Rounding::Ceil),
            Operator::F32x4Floor => self.round_vector(F32X4, Rounding::Floor),
            Operator::F64x2Floor => self.round_vector(F64X2, Rounding::Floor),
            Operator::F32x4Trunc => self.round_vector(F32X4, Rounding::Trunc),
            Operator::F64x2Trunc => self.round_vector(F64X2, Rounding::Trunc),
            Operator::F32x4Nearest => self.round_vector(F32X4, Rounding::Nearest),
            Operator::F64x2Nearest => self.round_vector(F64X2, Rounding::Nearest),
            Operator::F32x4Abs => self.lanes1(F32X4, |b, a| b.fabs(a)),
            Operator::F64x2Abs => self.lanes1(F64X2, |b, a| b.fabs(a)),
            Operator::F32x4Neg => self.lanes1(F32X4, |b, a| b.fneg(a)),
            Operator::F64x2Neg => self.lanes1(F64X2, |b, a| b.fneg(a)),
            Operator::F32x4Sqrt => self.lanes1(F32X4, |b, a| b.sqrt(a)),
            Operator::F64x2Sqrt => self.lanes1(F64X2, |b, a| b.sqrt(a)),
            Operator::F32x4Add => self.lanes2(F32X4, |b, x, y| b.fadd(x, y)),
            Operator::F64x2Add => self.lanes2(F64X2, |b, x, y| b.fadd(x, y)),
            Operator::F32x4Sub => self.lanes2(F32X4, |b, x, y| b.fsub(x, y)),
            Operator::F64x2Sub => self.lanes2(F64X2, |b, x, y| b.fsub(x, y)),
            Operator::F32x4Mul => self.lanes2(F32X4, |b, x, y| b.fmul(x, y)),
            Operator::F64x2Mul => self.lanes2(F64X2, |b, x, y| b.fmul(x, y)),
            Operator::F32x4Div => self.lanes2(F32X4, |b, x, y| b.fdiv(x, y)),
            Operator::F64x2Div => self.lanes2(F64X2, |b, x, y| b.fdiv(x, y)),
            Operator::F32x4Min | Operator::F32x4RelaxedMin => {
                self.lanes2(F32X4, |b, x, y| b.fmin(x, y))
            }
            Operator::F64x2Min | Operator::F64x2RelaxedMin => {
                self.lanes2(F64X2, |b, x, y| b.fmin(x, y))
            }
            Operator::F32x4Max | Operator::F32x4RelaxedMax => {
                self.lanes2(F32X4, |b, x, y| b.fmax(x, y))
            }
            Operator::F64x2Max | Operator::F64x2RelaxedMax => {
                self.lanes2(F64X2, |b, x, y| b.fmax(x, y))
            }
            Operator::F32x4PMin => self.pseudo_minimum(F32X4),
            Operator::F64x2PMin => self.pseudo_minimum(F64X2),
            Operator::F32x4PMax => self.pseudo_maximum(F32X4),
            Operator::F64x2PMax => self.pseudo_maximum(F64X2),
            Operator::F32x4RelaxedMadd => self.multiply_add(F32X4, false),
            Operator::F64x2RelaxedMadd => self.multiply_add(F64X2, false),
            Operator::F32x4RelaxedNmadd => self.multiply_add(F32X4, true),
            Operator::F64x2RelaxedNmadd => self.multiply_add(F64X2, true),

            Operator::I32x4TruncSatF32x4S | Operator::I32x4RelaxedTruncF32x4S => {
                self.lanes1(F32X4, |b, a| b.fcvt_to_sint_sat(I32X4, a))
            }
            Operator::I32x4TruncSatF32x4U | Operator::I32x4RelaxedTruncF32x4U => {
                self.lanes1(F32X4, |b, a| b.fcvt_to_uint_sat(I32X4, a))
            }
            Operator::I32x4TruncSatF64x2SZero | Operator::I32x4RelaxedTruncF64x2SZero => {
                self.truncate_signed()
            }
            Operator::I32x4TruncSatF64x2UZero | Operator::I32x4RelaxedTruncF64x2UZero => {
                self.truncate_unsigned()
            }
            Operator::F32x4ConvertI32x4S => self.lanes1(I32X4, |b, a| b.fcvt_from_sint(F32X4, a)),
            Operator::F32x4ConvertI32x4U => self.lanes1(I32X4, |b, a| b.fcvt_from_uint(F32X4, a)),
            Operator::F64x2ConvertLowI32x4S => self.convert_low(true),
            Operator::F64x2ConvertLowI32x4U => self.convert_low(false),
            Operator::F32x4DemoteF64x2Zero => self.lanes1(F64X2, |b, a| b.fvdemote(a)),
            Operator::F64x2PromoteLowF32x4 => self.lanes1(F32X4, |b, a| b.fvpromote_low(a)),

            ref other => return Err(feature_of(other)),
        }
        Ok(())
    }

    /// A v128 constant.
    pub(super) fn vector_constant(&mut self, bits: u128) -> Value {
        if !self.env.has_vectors() {
            return self.words_constant(bits);
        }
        let data = ConstantData::from(bits.to_le_bytes().as_slice());
        let constant = self.builder.func.dfg.constants.insert(data);
        self.builder.ins().vconst(I8X16, constant)
    }

    /// The same bits as lanes of `ty`. What was just cast from that type is taken as it was before.
    pub(super) fn lanes(&mut self, value: Value, ty: Type) -> Value {
        let dfg = &self.builder.func.dfg;
        if dfg.value_type(value) == ty {
            return value;
        }
        if let Some(inst) = dfg.value_def(value).inst()
            && let InstructionData::LoadNoOffset {
                opcode: Opcode::Bitcast,
                arg,
                ..
            } = dfg.insts[inst]
            && dfg.value_type(arg) == ty
        {
            return arg;
        }
        let flags = MemFlagsData::new().with_endianness(Endianness::Little);
        self.builder.ins().bitcast(ty, flags, value)
    }

    /// Takes a v128 as lanes of `ty`.
    pub(super) fn pop_lanes(&mut self, ty: Type) -> Value {
        let value = self.pop();
        self.lanes(value, ty)
    }

    /// Takes two v128 as lanes of `ty`; the second result was on top.
    fn pop_lanes2(&mut self, ty: Type) -> (Value, Value) {
        let b = self.pop_lanes(ty);
        let a = self.pop_lanes(ty);
        (a, b)
    }

    /// Pushes lanes of any type as a v128.
    pub(super) fn push_lanes(&mut self, value: Value) {
        let value = self.lanes(value, I8X16);
        self.push(value);
    }

    /// One instruction on lanes of `ty`.
    fn lanes1(&mut self, ty: Type, apply: impl FnOnce(FuncInstBuilder<'_, '_>, Value) -> Value) {
        let a = self.pop_lanes(ty);
        let value = apply(self.builder.ins(), a);
        self.push_lanes(value);
    }

    /// One instruction on two vectors with lanes of `ty`.
    fn lanes2(
        &mut self,
        ty: Type,
        apply: impl FnOnce(FuncInstBuilder<'_, '_>, Value, Value) -> Value,
    ) {
        let (a, b) = self.pop_lanes2(ty);
        let value = apply(self.builder.ins(), a, b);
        self.push_lanes(value);
    }
}

/// The scalar type of a lane.
fn lane_type(ty: Type) -> Type {
    match ty {
        I8X16 => I8,
        I16X8 => I16,
        I32X4 => I32,
        F32X4 => F32,
        F64X2 => F64,
        _ => I64,
    }
}

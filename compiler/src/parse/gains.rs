//! What gains by a newer processor.
//!
//! In: an operator. Out: whether x86_64 has got an instruction for it since its baseline. [`crate::twins`] compiles
//! functions that have such operators a second time.

use wasmparser::Operator;

/// Whether newer processors have an instruction for an operator where the baseline has many.
pub(super) fn gains(operator: &Operator<'_>) -> bool {
    use Operator as O;
    matches!(
        operator,
        O::F32Ceil
            | O::F32Floor
            | O::F32Trunc
            | O::F32Nearest
            | O::F64Ceil
            | O::F64Floor
            | O::F64Trunc
            | O::F64Nearest
            | O::I32Popcnt
            | O::I64Popcnt
            | O::F32x4Ceil
            | O::F32x4Floor
            | O::F32x4Trunc
            | O::F32x4Nearest
            | O::F64x2Ceil
            | O::F64x2Floor
            | O::F64x2Trunc
            | O::F64x2Nearest
            | O::I8x16Popcnt
            | O::I8x16Shuffle { .. }
            | O::I8x16Swizzle
            | O::I8x16RelaxedSwizzle
            | O::V128Load8x8S { .. }
            | O::V128Load8x8U { .. }
            | O::V128Load16x4S { .. }
            | O::V128Load16x4U { .. }
            | O::V128Load32x2S { .. }
            | O::V128Load32x2U { .. }
            | O::V128Load8Splat { .. }
            | O::V128Load16Splat { .. }
            | O::I8x16Splat
            | O::I16x8Splat
            | O::I8x16AllTrue
            | O::I16x8AllTrue
            | O::I32x4AllTrue
            | O::I64x2AllTrue
            | O::I8x16Abs
            | O::I16x8Abs
            | O::I32x4Abs
            | O::I64x2Abs
            | O::I8x16MinS
            | O::I8x16MaxS
            | O::I16x8MinU
            | O::I16x8MaxU
            | O::I32x4MinS
            | O::I32x4MinU
            | O::I32x4MaxS
            | O::I32x4MaxU
            | O::I32x4Mul
            | O::I64x2Eq
            | O::I64x2Ne
            | O::I64x2LtS
            | O::I64x2GtS
            | O::I64x2LeS
            | O::I64x2GeS
            | O::I16x8Q15MulrSatS
            | O::I16x8RelaxedQ15mulrS
            | O::I16x8NarrowI32x4U
            | O::I16x8ExtAddPairwiseI8x16S
            | O::I16x8ExtAddPairwiseI8x16U
            | O::I32x4ExtAddPairwiseI16x8U
            | O::I16x8ExtendLowI8x16S
            | O::I16x8ExtendHighI8x16S
            | O::I16x8ExtendLowI8x16U
            | O::I16x8ExtendHighI8x16U
            | O::I32x4ExtendLowI16x8S
            | O::I32x4ExtendHighI16x8S
            | O::I32x4ExtendLowI16x8U
            | O::I32x4ExtendHighI16x8U
            | O::I64x2ExtendLowI32x4S
            | O::I64x2ExtendHighI32x4S
            | O::I64x2ExtendLowI32x4U
            | O::I64x2ExtendHighI32x4U
            | O::I16x8ExtMulLowI8x16S
            | O::I16x8ExtMulHighI8x16S
            | O::I16x8ExtMulLowI8x16U
            | O::I16x8ExtMulHighI8x16U
            | O::I64x2ExtMulLowI32x4S
            | O::I64x2ExtMulHighI32x4S
    )
}

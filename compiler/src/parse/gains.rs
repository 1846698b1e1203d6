//! What gains by a newer processor.
//!
//! In: the operators of a body. Out: whether so many of them are such as x86_64 has got an instruction for since its
//! baseline that [`crate::twins`] should compile the function a second time.

use wasmparser::Operator;

/// A function of so many operators is worth second code for any of them …
const SMALL: u32 = 2048;
/// … and a larger one if one of so many gains. Interpreters have functions with something of everything, in which second
/// code is a tenth of the executable and no gain (Lua: 578,264 bytes in place of 533,208).
const ENOUGH: u32 = 256;

/// Whether `count` operators that gain, among so many, are worth second code.
pub(super) fn pays(count: u32, operators: u32) -> bool {
    count != 0 && (operators <= SMALL || operators / count <= ENOUGH)
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_functions_need_more_that_gains() {
        assert!(!pays(0, 1));
        assert!(pays(1, SMALL));
        assert!(!pays(1, SMALL + 1));
        assert!(pays(100, 100 * ENOUGH));
        assert!(!pays(100, 101 * ENOUGH));
    }
}

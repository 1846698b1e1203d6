//! Operations by the types of their operands.
//!
//! Tables only; what fits is picked by [`super::value`]. Every one is deterministic, but for the payload of NaNs.

use wasm_encoder::{Instruction as I, MemArg, ValType};

/// Operations of one type on two operands.
pub(super) const I32_BINARY: &[I<'static>] = &[
    I::I32Add,
    I::I32Add,
    I::I32Sub,
    I::I32Mul,
    I::I32And,
    I::I32Or,
    I::I32Xor,
    I::I32Shl,
    I::I32ShrS,
    I::I32ShrU,
    I::I32Rotl,
    I::I32Rotr,
];
pub(super) const I64_BINARY: &[I<'static>] = &[
    I::I64Add,
    I::I64Add,
    I::I64Sub,
    I::I64Mul,
    I::I64And,
    I::I64Or,
    I::I64Xor,
    I::I64Shl,
    I::I64ShrS,
    I::I64ShrU,
    I::I64Rotl,
    I::I64Rotr,
];
pub(super) const F32_BINARY: &[I<'static>] = &[
    I::F32Add,
    I::F32Sub,
    I::F32Mul,
    I::F32Div,
    I::F32Min,
    I::F32Max,
];
pub(super) const F64_BINARY: &[I<'static>] = &[
    I::F64Add,
    I::F64Sub,
    I::F64Mul,
    I::F64Div,
    I::F64Min,
    I::F64Max,
];
pub(super) const V128_BINARY: &[I<'static>] = &[
    I::I32x4Add,
    I::I8x16Sub,
    I::I16x8Mul,
    I::I64x2Add,
    I::I32x4Mul,
    I::I8x16AddSatU,
    I::I16x8MinS,
    I::I32x4MaxU,
    I::I32x4GtS,
    I::I8x16Eq,
    I::V128And,
    I::V128Or,
    I::V128Xor,
    I::V128AndNot,
    I::I16x8NarrowI32x4S,
    I::I32x4DotI16x8S,
];

/// On one operand.
pub(super) const I32_UNARY: &[I<'static>] = &[
    I::I32Clz,
    I::I32Ctz,
    I::I32Popcnt,
    I::I32Extend8S,
    I::I32Extend16S,
    I::I32Eqz,
];
pub(super) const I64_UNARY: &[I<'static>] = &[
    I::I64Clz,
    I::I64Ctz,
    I::I64Popcnt,
    I::I64Extend8S,
    I::I64Extend16S,
    I::I64Extend32S,
];
pub(super) const F32_UNARY: &[I<'static>] = &[
    I::F32Abs,
    I::F32Neg,
    I::F32Sqrt,
    I::F32Ceil,
    I::F32Floor,
    I::F32Trunc,
    I::F32Nearest,
];
pub(super) const F64_UNARY: &[I<'static>] = &[
    I::F64Abs,
    I::F64Neg,
    I::F64Sqrt,
    I::F64Ceil,
    I::F64Floor,
    I::F64Trunc,
    I::F64Nearest,
];
pub(super) const V128_UNARY: &[I<'static>] = &[
    I::V128Not,
    I::I8x16Popcnt,
    I::I32x4Neg,
    I::I16x8Abs,
    I::I64x2ExtendLowI32x4S,
    I::I16x8ExtAddPairwiseI8x16U,
];

/// Comparisons of two i32, i64, f32, f64.
pub(super) const COMPARISONS: [(ValType, &[I<'static>]); 4] = [
    (
        ValType::I32,
        &[
            I::I32Eq,
            I::I32Ne,
            I::I32LtS,
            I::I32LtU,
            I::I32GtS,
            I::I32GtU,
            I::I32LeS,
            I::I32LeU,
            I::I32GeS,
            I::I32GeU,
        ],
    ),
    (
        ValType::I64,
        &[
            I::I64Eq,
            I::I64Ne,
            I::I64LtS,
            I::I64LtU,
            I::I64GtS,
            I::I64GtU,
            I::I64LeS,
            I::I64LeU,
            I::I64GeS,
            I::I64GeU,
        ],
    ),
    (
        ValType::F32,
        &[I::F32Eq, I::F32Ne, I::F32Lt, I::F32Gt, I::F32Le, I::F32Ge],
    ),
    (
        ValType::F64,
        &[I::F64Eq, I::F64Ne, I::F64Lt, I::F64Gt, I::F64Le, I::F64Ge],
    ),
];

pub(super) type Access = fn(MemArg) -> I<'static>;

pub(super) const I32_LOADS: &[(Access, u32)] = &[
    (I::I32Load, 4),
    (I::I32Load8U, 1),
    (I::I32Load8U, 1),
    (I::I32Load8S, 1),
    (I::I32Load16U, 2),
    (I::I32Load16S, 2),
];
pub(super) const I64_LOADS: &[(Access, u32)] = &[
    (I::I64Load, 8),
    (I::I64Load8U, 1),
    (I::I64Load16S, 2),
    (I::I64Load32S, 4),
    (I::I64Load32U, 4),
];
pub(super) const I32_STORES: &[(Access, u32)] =
    &[(I::I32Store, 4), (I::I32Store8, 1), (I::I32Store16, 2)];
pub(super) const I64_STORES: &[(Access, u32)] = &[
    (I::I64Store, 8),
    (I::I64Store8, 1),
    (I::I64Store16, 2),
    (I::I64Store32, 4),
];
pub(super) const F32_ACCESS: (Access, Access) = (I::F32Load, I::F32Store);
pub(super) const F64_ACCESS: (Access, Access) = (I::F64Load, I::F64Store);
pub(super) const V128_ACCESS: (Access, Access) = (I::V128Load, I::V128Store);

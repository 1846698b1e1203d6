//! Rounding to integers (core spec, 4.3.3: fceil, ffloor, ftrunc, fnearest) where the machine has no instruction for it:
//! x86_64 before SSE4.1. In and out: floats or vectors of them.
//!
//! A float below 2ⁿ, with n bits of fraction, that has 2ⁿ added to it loses its fraction, rounded to even; taking 2ⁿ
//! away again gives the nearest integer. From there the others are one step away at most. Larger floats are integers: to
//! those, infinities and NaNs, zero is added, which changes nothing but makes a NaN quiet. The sign is put back last: a
//! result of zero has that of the operand.
//!
//! Scalars take the same way in the first lane of a vector, for there a comparison makes a mask and no jump. A call of
//! the runtime's functions costs less code and is left where size matters (`-O s`): all vector registers would be
//! saved around it.

use super::Translator;
use crate::cpu::Feature;
use crate::options::Arch;
use cranelift_codegen::ir::condcodes::FloatCC;
use cranelift_codegen::ir::{InstBuilder, Type, Value, types};
use types::{F32, F32X4, F64X2, I32X4, I64X2};

/// Which integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rounding {
    /// The least one not below.
    Ceil,
    /// The greatest one not above.
    Floor,
    /// The next one towards zero.
    Trunc,
    /// The nearest one, ties to even.
    Nearest,
}

impl Translator<'_, '_> {
    /// Rounds the scalar on top of the stack.
    pub(super) fn round(&mut self, rounding: Rounding) {
        let value = self.pop();
        let scalar = self.builder.func.dfg.value_type(value);
        // `roundsd` keeps what is above the result, and so waits for whatever was in the register before (noise with
        // four octaves: 0.40 s with it, 0.28 s without); `vroundsd` and `roundpd` do not.
        let waits = self.env.arch == Arch::X86_64 && !self.env.cpu.has(Feature::Avx);
        let value = if !waits || self.env.small {
            self.round_by_machine(value, rounding)
        } else {
            let vector = if scalar == F32 { F32X4 } else { F64X2 };
            let value = self.builder.ins().scalar_to_vector(vector, value);
            let value = self.round_by_best(value, rounding);
            self.builder.ins().extractlane(value, 0_u8)
        };
        self.push(value);
    }

    /// Rounds the lanes of the vector on top of the stack.
    pub(super) fn round_vector(&mut self, ty: Type, rounding: Rounding) {
        let value = self.pop_lanes(ty);
        let value = self.round_by_best(value, rounding);
        self.push_lanes(value);
    }

    /// Rounds a vector.
    fn round_by_best(&mut self, value: Value, rounding: Rounding) -> Value {
        if self.has_rounding() {
            self.round_by_machine(value, rounding)
        } else {
            self.round_lanes(value, rounding)
        }
    }

    fn has_rounding(&self) -> bool {
        self.env.arch != Arch::X86_64 || self.env.cpu.has(Feature::Sse41)
    }

    fn round_by_machine(&mut self, value: Value, rounding: Rounding) -> Value {
        let b = self.builder.ins();
        match rounding {
            Rounding::Ceil => b.ceil(value),
            Rounding::Floor => b.floor(value),
            Rounding::Trunc => b.trunc(value),
            Rounding::Nearest => b.nearest(value),
        }
    }

    fn round_lanes(&mut self, value: Value, rounding: Rounding) -> Value {
        let ty = self.builder.func.dfg.value_type(value);
        let (sign, limit, one) = if ty == F32X4 {
            let every = |bits: u32| {
                u128::from_le_bytes(
                    [bits.to_le_bytes(); 4]
                        .concat()
                        .try_into()
                        .unwrap_or_default(),
                )
            };
            (
                every(1 << 31),
                every(8_388_608_f32.to_bits()),
                every(1_f32.to_bits()),
            )
        } else {
            let every = |bits: u64| u128::from(bits) << 64 | u128::from(bits);
            (
                every(1 << 63),
                every(4_503_599_627_370_496_f64.to_bits()),
                every(1_f64.to_bits()),
            )
        };
        let [sign, limit, one] = [sign, limit, one].map(|bits| {
            let bytes = bits.to_le_bytes();
            let constant = self
                .builder
                .func
                .dfg
                .constants
                .insert(bytes.as_slice().into());
            self.builder.ins().vconst(ty, constant)
        });
        let sign = self.builder.ins().band(value, sign);
        let magnitude = self.builder.ins().bxor(value, sign);
        let has_fraction = self.mask(FloatCC::LessThan, magnitude, limit);
        let shift = self.builder.ins().band(has_fraction, limit);
        // Towards zero is downwards for magnitudes.
        let (value, shift) = if rounding == Rounding::Trunc {
            (magnitude, shift)
        } else {
            (value, self.builder.ins().bor(shift, sign))
        };
        let shifted = self.builder.ins().fadd(value, shift);
        let nearest = self.builder.ins().fsub(shifted, shift);
        let rounded = match rounding {
            Rounding::Nearest => nearest,
            Rounding::Ceil => {
                let below = self.mask(FloatCC::LessThan, nearest, value);
                let step = self.builder.ins().band(below, one);
                self.builder.ins().fadd(nearest, step)
            }
            Rounding::Floor | Rounding::Trunc => {
                let above = self.mask(FloatCC::LessThan, value, nearest);
                let step = self.builder.ins().band(above, one);
                self.builder.ins().fsub(nearest, step)
            }
        };
        self.builder.ins().bor(rounded, sign)
    }

    /// All ones in the lanes for which the condition holds, as floats.
    fn mask(&mut self, condition: FloatCC, a: Value, b: Value) -> Value {
        let ty = self.builder.func.dfg.value_type(a);
        let mask = self.builder.ins().fcmp(condition, a, b);
        debug_assert!(matches!(
            self.builder.func.dfg.value_type(mask),
            I32X4 | I64X2
        ));
        self.lanes(mask, ty)
    }
}

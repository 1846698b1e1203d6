//! Conversions between vectors of other lanes (core spec, 4.3.5).

use super::Translator;
use crate::cpu::Feature;
use crate::options::Arch;
use cranelift_codegen::ir::{InstBuilder, Type, Value, types};
use types::{F64X2, I32, I32X4, I64X2};

impl Translator<'_, '_> {
    pub(super) fn extend_half(&mut self, ty: Type, high: bool, signed: bool) {
        let a = self.pop_lanes(ty);
        let value = self.widen_half(a, high, signed);
        self.push_lanes(value);
    }

    pub(super) fn convert_low(&mut self, signed: bool) {
        let a = self.pop_lanes(I32X4);
        let wide = self.widen_half(a, false, signed);
        let value = if signed {
            self.builder.ins().fcvt_from_sint(F64X2, wide)
        } else {
            self.builder.ins().fcvt_from_uint(F64X2, wide)
        };
        self.push_lanes(value);
    }

    fn zero(&mut self, ty: Type) -> Value {
        let zero = self
            .builder
            .func
            .dfg
            .constants
            .insert([0; 16].as_slice().into());
        self.builder.ins().vconst(ty, zero)
    }

    /// Two f64 to i32 with saturation, and two zeros. Back ends know this sequence.
    pub(super) fn truncate_signed(&mut self) {
        let a = self.pop_lanes(F64X2);
        let wide = self.builder.ins().fcvt_to_sint_sat(I64X2, a);
        let zero = self.zero(I64X2);
        let value = self.builder.ins().snarrow(wide, zero);
        self.push_lanes(value);
    }

    /// Two f64 to u32 with saturation, and two zeros. The sequence that back ends know rounds vectors on x86_64,
    /// which takes SSE4.1.
    pub(super) fn truncate_unsigned(&mut self) {
        let a = self.pop_lanes(F64X2);
        let value = if self.env.arch == Arch::X86_64 && !self.env.cpu.has(Feature::Sse41) {
            let mut value = self.zero(I32X4);
            for lane in 0..2_u8 {
                let number = self.builder.ins().extractlane(a, lane);
                let number = self.builder.ins().fcvt_to_uint_sat(I32, number);
                value = self.builder.ins().insertlane(value, number, lane);
            }
            value
        } else {
            let wide = self.builder.ins().fcvt_to_uint_sat(I64X2, a);
            let zero = self.zero(I64X2);
            self.builder.ins().uunarrow(wide, zero)
        };
        self.push_lanes(value);
    }
}

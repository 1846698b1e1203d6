//! Vector loads and stores (core spec, 4.4.7). Addresses come from `bounds`, as all do.

use super::{Translator, lane_type};
use crate::options::Arch;
use cranelift_codegen::ir::{InstBuilder, Type, types};
use types::{I8X16, I16X8, I32X4, I64, I64X2};
use wasmparser::MemArg;

impl Translator<'_, '_> {
    /// Eight bytes of memory as lanes half as wide as those of `to`, extended.
    pub(super) fn load_extend(&mut self, memarg: &MemArg, to: Type, signed: bool) {
        if self.env.arch == Arch::Riscv64 {
            return self.load_and_widen(memarg, to, signed);
        }
        let (flags, base, offset) = self.access(memarg, 8);
        let b = self.builder.ins();
        let value = match (to, signed) {
            (I16X8, true) => b.sload8x8(flags, base, offset),
            (I16X8, false) => b.uload8x8(flags, base, offset),
            (I32X4, true) => b.sload16x4(flags, base, offset),
            (I32X4, false) => b.uload16x4(flags, base, offset),
            (_, true) => b.sload32x2(flags, base, offset),
            (_, false) => b.uload32x2(flags, base, offset),
        };
        self.push_lanes(value);
    }

    /// The same by a scalar load: that of the back end has elements of 64 bits, and may trap where it is misaligned.
    fn load_and_widen(&mut self, memarg: &MemArg, to: Type, signed: bool) {
        self.load(memarg, I64);
        let word = self.pop();
        let narrow = match to {
            I16X8 => I8X16,
            I32X4 => I16X8,
            _ => I32X4,
        };
        let vector = self.builder.ins().scalar_to_vector(I64X2, word);
        let vector = self.lanes(vector, narrow);
        let value = self.widen_half(vector, false, signed);
        self.push_lanes(value);
    }

    /// The whole vector to memory. On riscv64 a store that traps has stored the elements before the one that does;
    /// where nothing was checked before, the last byte is looked at first, so that all is stored or nothing.
    pub(super) fn store_vector(&mut self, memarg: &MemArg) {
        if self.env.arch != Arch::Riscv64 {
            return self.store(memarg, I8X16);
        }
        let memory = self.accessed(memarg);
        let value = self.pop();
        let (flags, base, offset) = self.access(memarg, 16);
        if self.env.layout.memories[memory.index()].reservation == 0 {
            self.builder.ins().store(flags, value, base, offset);
            return;
        }
        let (base, offset) = if offset <= i32::MAX - 15 {
            (base, offset)
        } else {
            (self.builder.ins().iadd_imm_u(base, i64::from(offset)), 0)
        };
        self.builder.ins().uload8(I64, flags, base, offset + 15);
        self.builder.ins().store(flags, value, base, offset);
    }

    /// One lane of memory in every lane.
    pub(super) fn load_splat(&mut self, memarg: &MemArg, ty: Type) {
        self.load(memarg, lane_type(ty));
        let lane = self.pop();
        let value = self.builder.ins().splat(ty, lane);
        self.push_lanes(value);
    }

    /// One lane of memory in lane 0, zero elsewhere.
    pub(super) fn load_zero(&mut self, memarg: &MemArg, ty: Type) {
        self.load(memarg, lane_type(ty));
        let lane = self.pop();
        let value = self.builder.ins().scalar_to_vector(ty, lane);
        self.push_lanes(value);
    }

    /// A vector with one lane taken from memory.
    pub(super) fn load_lane(&mut self, memarg: &MemArg, ty: Type, lane: u8) {
        let vector = self.pop_lanes(ty);
        self.load(memarg, lane_type(ty));
        let loaded = self.pop();
        let value = self.builder.ins().insertlane(vector, loaded, lane);
        self.push_lanes(value);
    }

    /// One lane to memory.
    pub(super) fn store_lane(&mut self, memarg: &MemArg, ty: Type, lane: u8) {
        let vector = self.pop_lanes(ty);
        let value = self.builder.ins().extractlane(vector, lane);
        self.push(value);
        self.store(memarg, lane_type(ty));
    }
}

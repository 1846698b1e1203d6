//! Vector loads and stores (core spec, 4.4.7). Addresses come from `bounds`, as all do.

use super::{Translator, lane_type};
use cranelift_codegen::ir::{InstBuilder, Type, types};
use types::{I16X8, I32X4};
use wasmparser::MemArg;

impl Translator<'_, '_> {
    /// Eight bytes of memory as lanes half as wide as those of `to`, extended.
    pub(super) fn load_extend(&mut self, memarg: &MemArg, to: Type, signed: bool) {
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

//! Seed → module of vector operations.
//!
//! In: a seed. Out: a module for [`crate::differential`] in which every function is nested vector expressions: each
//! operation of 128-bit vectors but the relaxed ones, on constants at which something changes, on what was loaded, and
//! on each other. wasm-smith makes few, for an operand of the right type is rarely there. Nothing loops, and few
//! addresses are out of bounds.

mod operations;

use crate::generate::Random;
use operations::{BINARY, FLOATING, SHIFTS, TESTS, UNARY};
use wasm_encoder::{
    CodeSection, ConstExpr, DataSection, ExportKind, ExportSection, Function, FunctionSection,
    Ieee32, Ieee64, Instruction as I, MemArg, MemArgTarget, MemorySection, MemoryType, Module,
    TypeSection, ValType,
};

/// Parameters and locals of every function: so many of each.
const POOL: [(ValType, u32); 5] = [
    (ValType::V128, 4),
    (ValType::I32, 2),
    (ValType::I64, 2),
    (ValType::F32, 2),
    (ValType::F64, 2),
];

/// Locals behind those, for one value each.
const SCRATCH: u32 = 12;
const SCALAR_SCRATCH: u32 = 13;

/// Bytes of memory that addresses are below; it has a page.
const WINDOW: i32 = 0xfff;

/// The module of a seed.
#[must_use]
pub fn module(seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed ^ 0x0128_b175);
    let (mut types, mut functions) = (TypeSection::new(), FunctionSection::new());
    let (mut exports, mut code) = (ExportSection::new(), CodeSection::new());
    // Half of the pool are parameters.
    let params: Vec<ValType> = POOL
        .iter()
        .flat_map(|(ty, count)| (0..count / 2).map(|_| *ty))
        .collect();
    let results = [ValType::V128, ValType::V128, ValType::I64, ValType::F32];
    types.ty().function(params, results);
    for index in 0..2 + random.below(4) as u32 {
        functions.function(0);
        exports.export(&format!("f{index}"), ExportKind::Func, index);
        let mut maker = Maker {
            random: &mut random,
            code: Function::new_with_locals_types(
                POOL.iter()
                    .flat_map(|(ty, count)| (0..count - count / 2).map(|_| *ty))
                    .chain([ValType::V128, ValType::I32]),
            ),
        };
        maker.body();
        code.function(&maker.code);
    }
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: 1,
        maximum: Some(1),
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    exports.export("m0", ExportKind::Memory, 0);
    let mut data = DataSection::new();
    let mut bytes = Vec::new();
    while bytes.len() < WINDOW as usize {
        bytes.extend(vector(&mut random).to_le_bytes());
    }
    data.active(0, &ConstExpr::i32_const(0), bytes);
    let mut module = Module::new();
    module
        .section(&types)
        .section(&functions)
        .section(&memories);
    module.section(&exports).section(&code).section(&data);
    module.finish()
}

/// Lanes of some width, each something at which something changes, or anything.
fn vector(random: &mut Random) -> u128 {
    let width = 8 << random.below(4);
    let mask = u64::MAX >> (64 - width);
    let floats = random.one_in(2) && width >= 32;
    let same = random.one_in(4);
    let first = lane(random, width, floats);
    (0..128 / width).fold(0, |vector, index| {
        let lane = if same {
            first
        } else {
            lane(random, width, floats)
        };
        vector | u128::from(lane & mask) << (width * index)
    })
}

fn lane(random: &mut Random, width: usize, floats: bool) -> u64 {
    const DOUBLES: [f64; 16] = [
        0.0,
        -0.0,
        0.5,
        -0.5,
        1.0,
        -1.5,
        2.5,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
        127.5,
        65_535.5,
        2_147_483_647.0,
        -2_147_483_649.0,
        4_294_967_295.5,
        1e-310,
    ];
    if floats && !random.one_in(4) {
        let double = DOUBLES[random.below(DOUBLES.len())];
        return match width {
            32 => (double as f32).to_bits().into(),
            _ => double.to_bits(),
        };
    }
    let top = 1_u64 << (width - 1);
    match random.below(10) {
        0 => 0,
        1 => 1,
        2 => u64::MAX,
        3 => top,
        4 => top - 1,
        5 => top | 1,
        6 => random.below(256) as u64,
        7 => top >> (width / 2),
        _ => random.bits(),
    }
}

struct Maker<'r> {
    random: &'r mut Random,
    code: Function,
}

impl Maker<'_> {
    fn put(&mut self, instruction: &I<'_>) {
        self.code.instruction(instruction);
    }

    /// A parameter or local of this type.
    fn local(&mut self, ty: ValType) -> u32 {
        let (mut param, mut local) = (0, POOL.iter().map(|(_, count)| count / 2).sum::<u32>());
        for (found, count) in POOL {
            let half = count / 2;
            if found == ty {
                let pick = self.random.below(count as usize) as u32;
                return if pick < half {
                    param + pick
                } else {
                    local + pick - half
                };
            }
            param += half;
            local += count - half;
        }
        unreachable!("{ty:?} is in the pool")
    }

    fn body(&mut self) {
        for _ in 0..4 + self.random.below(8) {
            if self.random.one_in(4) {
                self.store();
                continue;
            }
            let vectors = !self.random.one_in(4);
            let ty = if vectors {
                ValType::V128
            } else {
                POOL[1 + self.random.below(POOL.len() - 1)].0
            };
            self.value(ty, 4);
            let local = self.local(ty);
            self.put(&I::LocalSet(local));
        }
        for ty in [ValType::V128, ValType::V128, ValType::I64, ValType::F32] {
            self.value(ty, 3);
        }
        self.put(&I::End);
    }

    fn value(&mut self, ty: ValType, depth: u32) {
        match ty {
            ValType::V128 => self.vector(depth),
            _ => self.scalar(ty, depth),
        }
    }

    /// One of some operations.
    fn pick(&mut self, operations: &[I<'static>]) -> I<'static> {
        operations[self.random.below(operations.len())].clone()
    }

    fn vector(&mut self, depth: u32) {
        if depth == 0 {
            return match self.random.below(3) {
                0 => {
                    let bits = vector(self.random);
                    self.put(&I::V128Const(bits.cast_signed()));
                }
                _ => {
                    let local = self.local(ValType::V128);
                    self.put(&I::LocalGet(local));
                }
            };
        }
        let inner = depth - 1;
        match self.random.below(20) {
            0..3 => {
                self.vector(inner);
                let operation = self.pick(UNARY);
                self.put(&operation);
            }
            3..9 => {
                self.vector(inner);
                self.operand(inner);
                let operation = self.pick(BINARY);
                self.put(&operation);
            }
            9..11 => {
                let (operation, operands, wide) =
                    FLOATING[self.random.below(FLOATING.len())].clone();
                for _ in 0..operands {
                    self.vector(inner);
                }
                self.put(&operation);
                self.canonicalise(wide);
            }
            11 | 12 => {
                self.vector(inner);
                self.scalar(ValType::I32, inner.min(1));
                let operation = self.pick(SHIFTS);
                self.put(&operation);
            }
            13 => {
                self.vector(inner);
                // Now and then of one operand.
                if self.random.one_in(3) {
                    let local = self.local(ValType::V128);
                    self.put(&I::LocalTee(local));
                    self.put(&I::LocalGet(local));
                } else {
                    self.vector(inner);
                }
                let lanes = self.lanes();
                self.put(&I::I8x16Shuffle(lanes));
            }
            14 => {
                self.vector(inner);
                self.vector(inner);
                self.operand(inner);
                self.put(&I::V128Bitselect);
            }
            15 => self.splat(inner),
            16 => self.replace(inner),
            17 => self.load_lane(inner),
            18 => self.load(),
            _ => self.vector(0),
        }
    }

    /// The second operand: often a constant, which machines have other instructions for.
    fn operand(&mut self, depth: u32) {
        if self.random.one_in(3) {
            let bits = vector(self.random);
            self.put(&I::V128Const(bits.cast_signed()));
        } else {
            self.vector(depth);
        }
    }

    /// Lanes of a shuffle: any, or those of a pattern that machines have an instruction for.
    fn lanes(&mut self) -> [u8; 16] {
        let width = 1 << self.random.below(4);
        let start = self.random.below(32) as u8;
        let random = &mut *self.random;
        let pattern = random.below(7);
        let mut of_group = |group: u8| match pattern {
            // Anything; any wide lanes.
            0 => random.below(32) as u8,
            1 => random.below(32 / width as usize) as u8 * width,
            // One lane everywhere; from one place on; the other way; every second one; two in turn.
            2 => start,
            3 => start + group * width,
            4 => 31 - group * width,
            5 => start + 2 * group * width,
            _ => group / 2 * width + 16 * (group & 1) + start / 16 * 8,
        };
        let mut lanes = [0; 16];
        for (group, chunk) in lanes.chunks_mut(width.into()).enumerate() {
            let first = of_group(group as u8);
            for (offset, lane) in chunk.iter_mut().enumerate() {
                *lane = (first + offset as u8) % 32;
            }
        }
        lanes
    }

    fn canonicalise(&mut self, wide: bool) {
        let (nan, equal) = if wide {
            (0x7ff8_0000_0000_0000_7ff8_0000_0000_0000, I::F64x2Eq)
        } else {
            (0x7fc0_0000_7fc0_0000_7fc0_0000_7fc0_0000, I::F32x4Eq)
        };
        self.put(&I::LocalTee(SCRATCH));
        self.put(&I::V128Const(nan));
        self.put(&I::LocalGet(SCRATCH));
        self.put(&I::LocalGet(SCRATCH));
        self.put(&equal);
        self.put(&I::V128Bitselect);
    }

    fn splat(&mut self, depth: u32) {
        let (ty, operation) = [
            (ValType::I32, I::I8x16Splat),
            (ValType::I32, I::I16x8Splat),
            (ValType::I32, I::I32x4Splat),
            (ValType::I64, I::I64x2Splat),
            (ValType::F32, I::F32x4Splat),
            (ValType::F64, I::F64x2Splat),
        ][self.random.below(6)]
        .clone();
        self.scalar(ty, depth);
        self.put(&operation);
    }

    fn replace(&mut self, depth: u32) {
        let lane = self.random.below(16) as u8;
        let (ty, operation) = [
            (ValType::I32, I::I8x16ReplaceLane(lane)),
            (ValType::I32, I::I16x8ReplaceLane(lane % 8)),
            (ValType::I32, I::I32x4ReplaceLane(lane % 4)),
            (ValType::I64, I::I64x2ReplaceLane(lane % 2)),
            (ValType::F32, I::F32x4ReplaceLane(lane % 4)),
            (ValType::F64, I::F64x2ReplaceLane(lane % 2)),
        ][self.random.below(6)]
        .clone();
        self.vector(depth);
        self.scalar(ty, depth.min(2));
        self.put(&operation);
    }

    /// An address, nearly always within bounds; `inside`: always.
    fn address(&mut self, inside: bool) {
        match self.random.below(4) {
            0 => {
                let address = self.random.below(WINDOW as usize) as i32;
                self.put(&I::I32Const(address));
            }
            _ => {
                self.scalar(ValType::I32, 1);
                if inside || !self.random.one_in(60) {
                    self.put(&I::I32Const(WINDOW));
                    self.put(&I::I32And);
                }
            }
        }
    }

    /// What stands in the instruction, for an access of so many bytes.
    fn place(&mut self, bytes: u32) -> MemArg {
        let offset = match self.random.below(6) {
            0 => self.random.below(64) as u64,
            1 => self.random.below(0x8000) as u64,
            // The last byte there is, or one beyond.
            2 if self.random.one_in(20) => 0xffff - u64::from(bytes) + self.random.below(3) as u64,
            _ => 0,
        };
        MemArg {
            offset,
            align: self.random.below(bytes.ilog2() as usize + 1) as u32,
            target: MemArgTarget::Memory(0),
            ordering: None,
        }
    }

    fn load(&mut self) {
        type Load = fn(MemArg) -> I<'static>;
        const LOADS: [(Load, u32); 13] = [
            (I::V128Load, 16),
            (I::V128Load8x8S, 8),
            (I::V128Load8x8U, 8),
            (I::V128Load16x4S, 8),
            (I::V128Load16x4U, 8),
            (I::V128Load32x2S, 8),
            (I::V128Load32x2U, 8),
            (I::V128Load8Splat, 1),
            (I::V128Load16Splat, 2),
            (I::V128Load32Splat, 4),
            (I::V128Load64Splat, 8),
            (I::V128Load32Zero, 4),
            (I::V128Load64Zero, 8),
        ];
        let (load, bytes) = LOADS[self.random.below(LOADS.len())];
        self.address(false);
        let place = self.place(bytes);
        self.put(&load(place));
    }

    fn load_lane(&mut self, depth: u32) {
        self.address(false);
        self.vector(depth);
        let lane = self.random.below(16) as u8;
        let width = self.random.below(4);
        let memarg = self.place(1 << width);
        self.put(&match width {
            0 => I::V128Load8Lane { memarg, lane },
            1 => {
                let lane = lane % 8;
                I::V128Load16Lane { memarg, lane }
            }
            2 => {
                let lane = lane % 4;
                I::V128Load32Lane { memarg, lane }
            }
            _ => {
                let lane = lane % 2;
                I::V128Load64Lane { memarg, lane }
            }
        });
    }

    fn store(&mut self) {
        // Within bounds or beyond, not both: of a store across the end, a machine may have written a part when it traps.
        self.address(true);
        self.vector(3);
        let lane = self.random.below(16) as u8;
        let width = self.random.below(6).min(4);
        let mut memarg = self.place(1 << width);
        if memarg.offset > 0x8000 {
            memarg.offset = 0x1_0000;
        }
        self.put(&match width {
            0 => I::V128Store8Lane { memarg, lane },
            1 => {
                let lane = lane % 8;
                I::V128Store16Lane { memarg, lane }
            }
            2 => {
                let lane = lane % 4;
                I::V128Store32Lane { memarg, lane }
            }
            3 => {
                let lane = lane % 2;
                I::V128Store64Lane { memarg, lane }
            }
            _ => I::V128Store(memarg),
        });
    }

    fn scalar(&mut self, ty: ValType, depth: u32) {
        let lane = self.random.below(16) as u8;
        match self.random.below(8) {
            0..4 if depth > 0 => {
                self.vector(depth - 1);
                let extract = match (ty, self.random.below(6)) {
                    (ValType::I32, 0) => I::I8x16ExtractLaneS(lane),
                    (ValType::I32, 1) => I::I8x16ExtractLaneU(lane),
                    (ValType::I32, 2) => I::I16x8ExtractLaneS(lane % 8),
                    (ValType::I32, 3) => I::I16x8ExtractLaneU(lane % 8),
                    (ValType::I32, 4) => I::I32x4ExtractLane(lane % 4),
                    (ValType::I32, _) => self.pick(TESTS),
                    (ValType::I64, _) => I::I64x2ExtractLane(lane % 2),
                    (ValType::F32, _) => I::F32x4ExtractLane(lane % 4),
                    _ => I::F64x2ExtractLane(lane % 2),
                };
                self.put(&extract);
            }
            4 if depth > 0 && ty == ValType::I32 => {
                // The same test of both ways to go: a branch on it.
                self.vector(depth - 1);
                let test = self.pick(TESTS);
                self.put(&test);
                self.put(&I::LocalSet(SCALAR_SCRATCH));
                self.put(&I::I32Const(3));
                let local = self.local(ValType::I32);
                self.put(&I::LocalGet(local));
                self.put(&I::LocalGet(SCALAR_SCRATCH));
                self.put(&I::Select);
            }
            5 | 6 => {
                let bits = vector(self.random) as u64;
                self.put(&match ty {
                    ValType::I32 => I::I32Const(bits as i32),
                    ValType::I64 => I::I64Const(bits.cast_signed()),
                    ValType::F32 => I::F32Const(Ieee32::new(bits as u32)),
                    _ => I::F64Const(Ieee64::new(bits)),
                });
            }
            _ => {
                let local = self.local(ty);
                self.put(&I::LocalGet(local));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every operation is met, and what is made is valid.
    #[test]
    fn every_operation_is_made() {
        let mut text = String::new();
        for seed in 0..150 {
            let wasm = module(seed);
            let read = elfin_compiler::parse::parse("generated", &wasm);
            read.unwrap_or_else(|e| panic!("seed {seed}: {e}"));
            text += &wasmprinter::print_bytes(&wasm).expect("valid");
            assert_eq!(wasm, module(seed));
        }
        let first = |line| str::split_whitespace(line).next();
        let mut seen: Vec<&str> = text
            .lines()
            .filter_map(first)
            .filter(|word| word.starts_with("v128.") || word.contains('x') && word.contains('.'))
            .collect();
        seen.sort_unstable();
        seen.dedup();
        // The 236 operations of the first vector proposal.
        assert_eq!(seen.len(), 236, "{seen:?}");
    }
}

//! Seed → module.
//!
//! In: a seed. Out: the bytes of a valid module without imports that uses what elfin compiles, with small
//! memories and tables, all of it exported. Half of the modules count down fuel in every function and loop
//! and so end by themselves; the others are left as they are, and the oracle says which calls end.

use arbitrary::Unstructured;
use std::collections::VecDeque;
use wasm_encoder::reencode::{self, Reencode, RoundtripReencoder};
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, ExportKind, ExportSection, GlobalSection, GlobalType,
    Ieee32, Ieee64, Instruction, Module, ValType,
};
use wasm_smith::Config;

/// Name under which the fuel global of a module is exported.
pub const FUEL: &str = "fuel";

/// Fuel of one call: entries of functions and loops.
pub const FUEL_PER_CALL: i32 = 500;

/// Bytes that a module is made from, at most; large ones are made from eight times as many.
const MAX_BYTES: usize = 8 << 10;

/// A random sequence that a number decides: SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom
/// number generators, 2014).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        // Neighbouring seeds are far apart.
        let mut random = Self(seed ^ 0x6a09_e667_f3bc_c908);
        random.0 = random.bits();
        random
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, which is not zero.
    pub fn below(&mut self, end: usize) -> usize {
        (self.bits() % end as u64) as usize
    }

    /// True once in `n`.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// This many bytes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(len + 8);
        while bytes.len() < len {
            bytes.extend(self.bits().to_le_bytes());
        }
        bytes.truncate(len);
        bytes
    }
}

/// The module of a seed; `None` when the generator finds none, which is rare.
#[must_use]
pub fn module(seed: u64) -> Option<Vec<u8>> {
    let mut random = Random::new(seed);
    let config = config(&mut random);
    module_of(config, &mut random, None)
}

/// The module of a seed, with objects. It ends.
#[must_use]
pub fn module_with_objects(seed: u64) -> Option<Vec<u8>> {
    let mut random = Random::new(seed ^ 0x0b1ec7);
    let config = Config {
        gc_enabled: true,
        exceptions_enabled: random.one_in(4),
        min_types: 6,
        max_types: 20,
        allow_start_export: false,
        ..config(&mut random)
    };
    module_of(config, &mut random, Some(true))
}

/// A module with fuel or without, or one or the other.
fn module_of(config: Config, random: &mut Random, fuelled: Option<bool>) -> Option<Vec<u8>> {
    // A few are large: long branches, jump tables and constants far from the code that uses them.
    let most = if config.max_instructions > 1000 {
        8 * MAX_BYTES
    } else {
        MAX_BYTES
    };
    let len = 256 + random.below(most - 256);
    let bytes = random.bytes(len);
    let vectors = config.simd_enabled;
    let module = wasm_smith::Module::new(config, &mut Unstructured::new(&bytes)).ok()?;
    let fuelled = fuelled.unwrap_or_else(|| random.one_in(2));
    finish(&module.to_bytes(), fuelled, vectors)
}

/// WebAssembly 2.0 with multi-memory, extended constants, tail calls, and, now and then, 64-bit addresses, small pages and
/// wide arithmetic. Half of the modules have vectors.
fn config(random: &mut Random) -> Config {
    Config {
        min_types: 4,
        min_funcs: 4,
        max_funcs: 12,
        max_imports: 0,
        // An export section is there to be replaced.
        export_everything: true,
        allow_start_export: random.one_in(4),
        max_instructions: [60, 100, 100, 100, 100, 400, 400, 3000][random.below(8)],
        // Most random addresses and divisors trap; some modules get to their ends.
        disallow_traps: random.one_in(3),
        max_memories: 1 + random.below(3),
        min_memories: u32::from(!random.one_in(8)),
        max_memory32_bytes: 4 << 16,
        max_memory64_bytes: 4 << 16,
        memory_max_size_required: true,
        max_tables: 1 + random.below(3),
        min_tables: u32::from(!random.one_in(4)),
        max_table_elements: 200,
        table_max_size_required: true,
        max_globals: 10,
        min_globals: 1,
        max_data_segments: 8,
        max_element_segments: 8,
        max_values: 6,
        allow_floats: !random.one_in(4),
        // The bits of a NaN are the machine's own choice otherwise.
        canonicalize_nans: true,
        bulk_memory_enabled: true,
        extended_const_enabled: true,
        multi_value_enabled: true,
        reference_types_enabled: true,
        saturating_float_to_int_enabled: true,
        sign_extension_ops_enabled: true,
        acquire_release_atomics_enabled: false,
        compact_imports_enabled: false,
        custom_descriptors_enabled: false,
        custom_page_sizes_enabled: random.one_in(4),
        exceptions_enabled: false,
        gc_enabled: false,
        memory64_enabled: random.one_in(4),
        multibyte_array_access_enabled: false,
        relaxed_simd_enabled: false,
        shared_everything_threads_enabled: false,
        simd_enabled: random.one_in(2),
        tail_call_enabled: random.one_in(2),
        threads_enabled: false,
        wide_arithmetic_enabled: random.one_in(4),
        ..Config::default()
    }
}

/// Gives everything plain export names, and fuel to the functions if wanted.
fn finish(wasm: &[u8], fuelled: bool, vectors: bool) -> Option<Vec<u8>> {
    let module = elfin_compiler::parse::parse("generated", wasm).ok()?;
    let mut finisher = Finisher {
        counts: [
            (ExportKind::Func, "f", module.functions.len()),
            (ExportKind::Memory, "m", module.memories.len()),
            (ExportKind::Table, "t", module.tables.len()),
            (ExportKind::Global, "g", module.globals.len()),
        ],
        fuel: (fuelled && !module.globals.is_empty()).then_some(module.globals.len() as u32),
        params: (0..module.functions.len() as u32)
            .map(|index| module.function_type(index).params().len() as u32)
            .collect(),
        vectors,
    };
    let mut finished = Module::new();
    finisher
        .parse_core_module(&mut finished, wasmparser::Parser::new(0), wasm)
        .ok()?;
    Some(finished.finish())
}

struct Finisher {
    counts: [(ExportKind, &'static str, usize); 4],
    /// Index of the fuel global.
    fuel: Option<u32>,
    /// The module may have vectors: functions get a local for them.
    vectors: bool,
    /// How many parameters the functions have that are still to come.
    params: VecDeque<u32>,
}

impl Finisher {
    /// `unreachable` without fuel, else one less.
    fn burn(&self, function: &mut wasm_encoder::Function) {
        let Some(fuel) = self.fuel else { return };
        for instruction in [
            Instruction::GlobalGet(fuel),
            Instruction::I32Eqz,
            Instruction::If(BlockType::Empty),
            Instruction::Unreachable,
            Instruction::End,
            Instruction::GlobalGet(fuel),
            Instruction::I32Const(1),
            Instruction::I32Sub,
            Instruction::GlobalSet(fuel),
        ] {
            function.instruction(&instruction);
        }
    }
}

/// The canonical NaN in place of any other.
fn canonicalise(
    function: &mut wasm_encoder::Function,
    local: u32,
    nan: &Instruction<'_>,
    equal: &Instruction<'_>,
    choose: &Instruction<'_>,
) {
    function
        .instruction(&Instruction::LocalTee(local))
        .instruction(nan)
        .instruction(&Instruction::LocalGet(local))
        .instruction(&Instruction::LocalGet(local))
        .instruction(equal)
        .instruction(choose);
}

type Reencoded = Result<(), reencode::Error<std::convert::Infallible>>;

impl Reencode for Finisher {
    type Error = std::convert::Infallible;

    fn parse_global_section(
        &mut self,
        globals: &mut GlobalSection,
        section: wasmparser::GlobalSectionReader<'_>,
    ) -> Reencoded {
        reencode::utils::parse_global_section(&mut RoundtripReencoder, globals, section)?;
        if self.fuel.is_some() {
            let ty = GlobalType {
                val_type: ValType::I32,
                mutable: true,
                shared: false,
            };
            globals.global(ty, &ConstExpr::i32_const(FUEL_PER_CALL));
        }
        Ok(())
    }

    fn parse_export_section(
        &mut self,
        exports: &mut ExportSection,
        _: wasmparser::ExportSectionReader<'_>,
    ) -> Reencoded {
        for (kind, prefix, count) in self.counts {
            for index in 0..count as u32 {
                exports.export(&format!("{prefix}{index}"), kind, index);
            }
        }
        if let Some(fuel) = self.fuel {
            exports.export(FUEL, ExportKind::Global, fuel);
        }
        Ok(())
    }

    fn parse_function_body(
        &mut self,
        code: &mut CodeSection,
        body: wasmparser::FunctionBody<'_>,
    ) -> Reencoded {
        let mut next = self.params.pop_front().unwrap_or(0);
        let mut locals = Vec::new();
        for run in body.get_locals_reader()? {
            let (count, ty) = run?;
            locals.push((count, self.val_type(ty)?));
            next += count;
        }
        locals.extend([(1, ValType::F32), (1, ValType::F64)]);
        let (single, double, vector) = (next, next + 1, next + 2);
        if self.vectors {
            locals.push((1, ValType::V128));
        }

        let mut function = wasm_encoder::Function::new(locals);
        self.burn(&mut function);
        for operator in body.get_operators_reader()? {
            let instruction = self.instruction(operator?)?;
            function.instruction(&instruction);
            match instruction {
                Instruction::Loop(_) => self.burn(&mut function),
                // The generator leaves these as they are; machines differ in the payload.
                Instruction::F32DemoteF64 => canonicalise(
                    &mut function,
                    single,
                    &Instruction::F32Const(Ieee32::new(0x7fc0_0000)),
                    &Instruction::F32Eq,
                    &Instruction::Select,
                ),
                Instruction::F64PromoteF32 => canonicalise(
                    &mut function,
                    double,
                    &Instruction::F64Const(Ieee64::new(0x7ff8_0000_0000_0000)),
                    &Instruction::F64Eq,
                    &Instruction::Select,
                ),
                Instruction::F32x4DemoteF64x2Zero => canonicalise(
                    &mut function,
                    vector,
                    &Instruction::V128Const(0x7fc0_0000_7fc0_0000_7fc0_0000_7fc0_0000),
                    &Instruction::F32x4Eq,
                    &Instruction::V128Bitselect,
                ),
                Instruction::F64x2PromoteLowF32x4 => canonicalise(
                    &mut function,
                    vector,
                    &Instruction::V128Const(0x7ff8_0000_0000_0000_7ff8_0000_0000_0000),
                    &Instruction::F64x2Eq,
                    &Instruction::V128Bitselect,
                ),
                _ => {}
            }
        }
        code.function(&function);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_module() {
        let mut found = 0;
        // What is switched on is met as well.
        let mut met = ["i8x16.", "f64x2.", "return_call", "pagesize"].map(|part| (part, 0));
        for seed in 0..50 {
            let Some(wasm) = module(seed) else { continue };
            found += 1;
            let text = wasmprinter::print_bytes(&wasm).expect("valid");
            for (part, times) in &mut met {
                *times += usize::from(text.contains(*part));
            }
            assert_eq!(Some(&wasm), module(seed).as_ref());
            let module = elfin_compiler::parse::parse("generated", &wasm);
            let module = module.unwrap_or_else(|e| panic!("seed {seed}: {e}"));
            assert!(module.imports.is_empty() && module.functions.len() >= 4);
        }
        assert!(found >= 45, "{found} of 50");
        assert!(met.iter().all(|(_, times)| *times >= 3), "{met:?}");
    }
}

//! Seed → module of loops.
//!
//! In: a seed. Out: a module for [`crate::differential`] whose functions are what compilers and interpreters emit and
//! wasm-smith hardly ever: loops that run many rounds, in each other, with a test at the head, in the middle or at the
//! end; switches in them whose cases go on, leave or run into the next; states chosen by a jump table, bytecode that is
//! interpreted, walks over memory, values of all types that live around all of it. Every loop has a counter that
//! nothing else writes, so that all ends.
//!
//! - [`maker`]: one function: locals, labels, the instructions so far
//! - [`statement`]: assignments, branches, switches
//! - [`cycle`]: loops of all shapes
//! - [`value`]: expressions of all types
//! - [`operations`]: what they are made of
//!
//! NaNs differ by machine in their payload. What makes it visible (a store, a cast, a result) gets the canonical one;
//! everything else may hand on any.

mod cycle;
mod maker;
mod operations;
mod statement;
mod value;

use crate::generate::Random;
use maker::{Callee, Maker};
use std::borrow::Cow;
use wasm_encoder::{
    CodeSection, ConstExpr, DataSection, ElementSection, Elements, ExportKind, ExportSection,
    Function, FunctionSection, GlobalSection, GlobalType, Ieee32, Ieee64, MemorySection,
    MemoryType, Module, RefType, TableSection, TableType, TypeSection, ValType,
};

/// What holds for all functions of a module.
#[derive(Clone, Debug)]
struct Style {
    /// Types of locals.
    types: Vec<ValType>,
    /// Parameters and results by type index.
    signatures: Vec<(Vec<ValType>, Vec<ValType>)>,
    /// From this index on they are those of loops that carry values around.
    carried: usize,
    /// The memory has 64-bit addresses.
    memory64: bool,
    /// Some calls are tail calls.
    tail_calls: bool,
    /// Values are nested so deep.
    depth: u32,
}

/// Types of the mutable globals.
const GLOBALS: [ValType; 4] = [ValType::I32, ValType::I32, ValType::I64, ValType::F64];

/// Bytes of memory below this are read and written at any place; it has a page.
const WINDOW: i32 = 0xfff;

/// Where functions leave their locals, behind what is written otherwise.
const DUMP: u64 = 0x8000;

/// Operators that one call may execute, by a rough count.
const MAX_COST: u64 = 20_000;

/// The module of a seed; `vectors`: some of what lives is 128 bits wide.
#[must_use]
pub fn module(seed: u64, vectors: bool) -> Vec<u8> {
    let mut random = Random::new(seed ^ 0x0010_0095);
    let style = style(&mut random, vectors);
    let count = 2 + random.below(4);
    let mut chosen: Vec<usize> = (0..count).map(|_| random.below(style.carried)).collect();
    // Neighbours in the table have one type now and then: an index that is computed picks one.
    if random.one_in(2) {
        chosen[1] = chosen[0];
    }

    let mut callees: Vec<Callee> = Vec::new();
    let mut code = CodeSection::new();
    for ty in &chosen {
        let mut maker = Maker::new(&mut random, &style, &callees, *ty);
        maker.body();
        let (locals, instructions, cost) = maker.finish();
        let mut function = Function::new_with_locals_types(locals);
        for instruction in &instructions {
            function.instruction(instruction);
        }
        code.function(&function);
        callees.push(Callee { ty: *ty, cost });
    }

    let mut types = TypeSection::new();
    for (params, results) in &style.signatures {
        types
            .ty()
            .function(params.iter().copied(), results.iter().copied());
    }
    let (mut functions, mut exports) = (FunctionSection::new(), ExportSection::new());
    for (index, ty) in (0..).zip(&chosen) {
        functions.function(*ty as u32);
        exports.export(&format!("f{index}"), ExportKind::Func, index);
    }
    exports.export("m0", ExportKind::Memory, 0);
    let globals = globals(&mut exports);
    let mut tables = TableSection::new();
    tables.table(TableType {
        element_type: RefType::FUNCREF,
        minimum: count as u64,
        maximum: Some(count as u64),
        table64: false,
        shared: false,
    });
    let mut elements = ElementSection::new();
    let all: Vec<u32> = (0..count as u32).collect();
    elements.active(
        None,
        &ConstExpr::i32_const(0),
        Elements::Functions(Cow::Owned(all)),
    );
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&tables);
    module.section(&memory(&style)).section(&globals);
    module.section(&exports).section(&elements).section(&code);
    module.section(&data(&style, &mut random));
    module.finish()
}

fn style(random: &mut Random, vectors: bool) -> Style {
    let mut types = vec![
        ValType::I32,
        ValType::I32,
        ValType::I32,
        ValType::I64,
        ValType::F32,
        ValType::F64,
    ];
    if vectors {
        types.extend([ValType::V128, ValType::V128]);
    }
    let mut signatures = Vec::new();
    for _ in 0..2 + random.below(2) {
        let mut some = |most: usize| -> Vec<ValType> {
            let count = random.below(most + 1);
            (0..count)
                .map(|_| types[random.below(types.len())])
                .collect()
        };
        let mut params = some(5);
        // Something that a loop can depend on.
        params.insert(0, ValType::I32);
        signatures.push((params, some(2)));
    }
    let carried = signatures.len();
    for _ in 0..2 {
        let around: Vec<ValType> = (0..1 + random.below(3))
            .map(|_| types[random.below(types.len())])
            .collect();
        signatures.push((around.clone(), around));
    }
    Style {
        types,
        signatures,
        carried,
        memory64: random.one_in(8),
        tail_calls: random.one_in(6),
        depth: [1, 2, 2, 2, 3][random.below(5)],
    }
}

fn memory(style: &Style) -> MemorySection {
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: 1,
        maximum: Some(1),
        memory64: style.memory64,
        shared: false,
        page_size_log2: None,
    });
    memories
}

fn globals(exports: &mut ExportSection) -> GlobalSection {
    let mut globals = GlobalSection::new();
    for (index, val_type) in (0..).zip(GLOBALS) {
        let first = match val_type {
            ValType::I32 => ConstExpr::i32_const(7),
            ValType::I64 => ConstExpr::i64_const(-7),
            ValType::F32 => ConstExpr::f32_const(Ieee32::new(1.5_f32.to_bits())),
            _ => ConstExpr::f64_const(Ieee64::new(1.5_f64.to_bits())),
        };
        let ty = GlobalType {
            val_type,
            mutable: true,
            shared: false,
        };
        globals.global(ty, &first);
        exports.export(&format!("g{index}"), ExportKind::Global, index);
    }
    globals
}

/// What is walked over: bytes of bytecode or text, and some that are anything.
fn data(style: &Style, random: &mut Random) -> DataSection {
    let mut bytes = Vec::new();
    while bytes.len() <= WINDOW as usize {
        match random.below(4) {
            0 => bytes.extend((0..16).map(|_| random.below(8) as u8)),
            1 => bytes.extend((0..16).map(|_| b' ' + random.below(64) as u8)),
            2 => bytes.extend([0; 8]),
            _ => bytes.extend(random.bits().to_le_bytes()),
        }
    }
    let start = if style.memory64 {
        ConstExpr::i64_const(0)
    } else {
        ConstExpr::i32_const(0)
    };
    let mut data = DataSection::new();
    data.active(0, &start, bytes);
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is made is valid, and has what it is made for.
    #[test]
    fn a_seed_is_a_module_of_loops() {
        let mut met = [
            "loop",
            "br_table",
            "br_if",
            "call_indirect",
            "return_call",
            "(param i32",
            "v128.load",
            "select",
            "f64.load",
            "i64.load",
            "return",
            "loop (type",
            "loop (result",
        ]
        .map(|part| (part, 0));
        for seed in 0..120 {
            let vectors = seed % 2 == 1;
            let wasm = module(seed, vectors);
            let read = elfin_compiler::parse::parse("generated", &wasm);
            read.unwrap_or_else(|e| panic!("seed {seed}: {e}"));
            let text = wasmprinter::print_bytes(&wasm).expect("valid");
            for (part, times) in &mut met {
                *times += usize::from(text.contains(*part));
            }
            assert_eq!(wasm, module(seed, vectors));
        }
        assert!(met.iter().all(|(_, times)| *times >= 5), "{met:?}");
    }
}

//! Module → what it does, by wasmi.
//!
//! In: a module and the seed of its arguments. Out: the steps that were taken, and what each came to. It is an
//! interpreter with a translator of its own: another user of our code generator would share its bugs.

use crate::generate::{FUEL, FUEL_PER_CALL, Random};
use elfin_abi::trap::TrapCode;
use elfin_compiler::module::{Item, Module, ValType};
use wasm_encoder::reencode::{self, Reencode};
use wasm_encoder::{BlockType, CodeSection, Instruction};
use wasmi::{Engine, Extern, ExternRef, Instance, Linker, Nullable, Ref, Store, Val};

/// An argument or result: the bits of a number or vector; an external reference's number and one; 0 for null. A
/// function reference that is not null is 1.
pub type Word = u128;

/// Something that is done with a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// An instance is made.
    Instantiate,
    /// An export is called.
    Call {
        /// Its name.
        export: String,
        /// Its arguments.
        arguments: Vec<(ValType, Word)>,
    },
    /// Everything that is exported and no function is looked at, and fuel given.
    Observe,
}

/// What a step came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its results.
    Done(Vec<Word>),
    /// It trapped.
    Trap(TrapCode),
}

/// What a module does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behaviour {
    /// Steps and outcomes, in order.
    pub steps: Vec<(Step, Outcome)>,
    /// Why there are not more steps.
    pub cut: Option<String>,
}

/// Instructions of one call, in the interpreter's measure.
const MAX_WORK: u64 = 3_000_000;

/// Calls of each exported function.
const CALLS: usize = 2;

/// Runs a module. `module` is the same as `wasm`.
///
/// # Errors
/// When the oracle cannot run it at all.
pub fn run(wasm: &[u8], module: &Module<'_>, seed: u64) -> Result<Behaviour, String> {
    let mut config = wasmi::Config::default();
    config
        .consume_fuel(true)
        .wasm_multi_memory(true)
        .wasm_extended_const(true)
        .wasm_tail_call(true)
        .wasm_memory64(true)
        .wasm_custom_page_sizes(true)
        .wasm_wide_arithmetic(true)
        .set_max_recursion_depth(2_000)
        .set_max_stack_height(4 << 20);
    let engine = Engine::new(&config);
    let compiled = wasmi::Module::new(&engine, unfused(wasm)?).map_err(|e| e.to_string())?;
    let mut run = Run {
        store: Store::new(&engine, ()),
        module,
        random: Random::new(seed),
        behaviour: Behaviour {
            steps: Vec::new(),
            cut: None,
        },
    };
    run.give_fuel()?;
    let made = Linker::new(&engine).instantiate_and_start(&mut run.store, &compiled);
    if let Some(instance) = run.note(Step::Instantiate, made, |_| Vec::new())? {
        run.observe(instance);
        run.calls(instance)?;
    }
    Ok(run.behaviour)
}

/// The same module with an empty block before each instruction. wasmi 2.0.0 gets some neighbours wrong when it
/// makes one operation of them, `(select A B (i32.eqz X))` for one: it drops the comparison and tests, in place
/// of X, the register that the comparison would have set. Across a block it combines nothing.
fn unfused(wasm: &[u8]) -> Result<Vec<u8>, String> {
    let mut module = wasm_encoder::Module::new();
    Unfuse
        .parse_core_module(&mut module, wasmparser::Parser::new(0), wasm)
        .map_err(|e| e.to_string())?;
    Ok(module.finish())
}

/// Puts the blocks in.
struct Unfuse;

impl Reencode for Unfuse {
    type Error = std::convert::Infallible;

    fn parse_function_body(
        &mut self,
        code: &mut CodeSection,
        body: wasmparser::FunctionBody<'_>,
    ) -> Result<(), reencode::Error<Self::Error>> {
        let mut function = self.new_function_with_parsed_locals(&body)?;
        for operator in body.get_operators_reader()? {
            function.instruction(&Instruction::Block(BlockType::Empty));
            function.instruction(&Instruction::End);
            function.instruction(&self.instruction(operator?)?);
        }
        code.function(&function);
        Ok(())
    }
}

struct Run<'a> {
    store: Store<()>,
    module: &'a Module<'a>,
    random: Random,
    behaviour: Behaviour,
}

impl Run<'_> {
    fn give_fuel(&mut self) -> Result<(), String> {
        self.store.set_fuel(MAX_WORK).map_err(|e| e.to_string())
    }

    /// Notes what a step came to. Gives what it gave, unless nothing may follow.
    fn note<T>(
        &mut self,
        step: Step,
        result: Result<T, wasmi::Error>,
        words: impl FnOnce(&T) -> Vec<Word>,
    ) -> Result<Option<T>, String> {
        let (outcome, value) = match result {
            Ok(value) => (Outcome::Done(words(&value)), Some(value)),
            Err(error) => match trap(&error) {
                Some(TrapCode::StackExhausted) => {
                    self.behaviour.cut = Some("stack".to_owned());
                    return Ok(None);
                }
                Some(code) => (Outcome::Trap(code), None),
                None if error.as_trap_code() == Some(wasmi::TrapCode::OutOfFuel) => {
                    self.behaviour.cut = Some("time".to_owned());
                    return Ok(None);
                }
                None => return Err(error.to_string()),
            },
        };
        self.behaviour.steps.push((step, outcome));
        Ok(value)
    }

    fn calls(&mut self, instance: Instance) -> Result<(), String> {
        for export in &self.module.exports {
            let Item::Function(index) = export.item else {
                continue;
            };
            let ty = self.module.function_type(index);
            for _ in 0..CALLS {
                let arguments: Vec<(ValType, Word)> = ty
                    .params()
                    .iter()
                    .map(|ty| (*ty, argument(*ty, &mut self.random)))
                    .collect();
                let values: Vec<Val> = arguments
                    .iter()
                    .map(|(ty, word)| value(*ty, *word, &mut self.store))
                    .collect();
                let function = instance
                    .get_func(&self.store, export.name)
                    .ok_or("an export is missing")?;
                let mut results = vec![Val::I32(0); ty.results().len()];
                self.give_fuel()?;
                let called = function.call(&mut self.store, &values, &mut results);
                let words: Vec<Word> = results.iter().map(|v| word(v, &self.store)).collect();
                let step = Step::Call {
                    export: export.name.to_owned(),
                    arguments,
                };
                self.note(step, called, |()| words)?;
                if self.behaviour.cut.is_some() {
                    return Ok(());
                }
                self.observe(instance);
            }
        }
        Ok(())
    }

    fn observe(&mut self, instance: Instance) {
        let mut words = Vec::new();
        for export in &self.module.exports {
            match instance.get_export(&self.store, export.name) {
                Some(Extern::Memory(memory)) => {
                    words.push(memory.size(&self.store).into());
                    let (chunks, _) = memory.data(&self.store).as_chunks::<8>();
                    let bits = chunks.iter().map(|chunk| u64::from_le_bytes(*chunk));
                    words.push(bits.fold(0, mix).into());
                }
                Some(Extern::Table(table)) => {
                    let size = table.size(&self.store);
                    words.push(size.into());
                    let present = (0..size).map(|i| match table.get(&self.store, i) {
                        Some(Ref::Func(r)) => u64::from(!r.is_null()),
                        Some(Ref::Extern(r)) => u64::from(!r.is_null()),
                        None => 2,
                    });
                    words.push(present.fold(0, mix).into());
                }
                Some(Extern::Global(global)) => {
                    match global.get(&self.store) {
                        // References are looked at as in tables.
                        Val::ExternRef(r) => words.push(u128::from(!r.is_null())),
                        Val::V128(v) => {
                            let bits = v.as_u128();
                            words.extend([bits & u128::from(u64::MAX), bits >> 64]);
                        }
                        value => words.push(word(&value, &self.store)),
                    }
                }
                _ => {}
            }
        }
        if let Some(fuel) = instance.get_global(&self.store, FUEL) {
            // It is a mutable i32; the watcher's text says the same.
            let _ = fuel.set(&mut self.store, Val::I32(FUEL_PER_CALL));
        }
        self.behaviour
            .steps
            .push((Step::Observe, Outcome::Done(words)));
    }
}

/// One step of the hash over a memory's words; [`watcher`] says the same in WebAssembly.
fn mix(hash: u64, word: u64) -> u64 {
    (hash ^ word)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .rotate_left(29)
}

/// A module that imports what `module` exports from `name`; its export `observe` is [`Step::Observe`].
#[must_use]
pub fn watcher(module: &Module<'_>, name: &str) -> String {
    let mut imports = String::new();
    let mut body = String::new();
    let mut results = String::new();
    let mut refuel = String::new();
    for (i, export) in module.exports.iter().enumerate() {
        let import = format!("(import {name:?} {:?}", export.name);
        let count = match export.item {
            Item::Memory(index) => {
                let ty = module.memories[index as usize];
                let (address, index, widened) = addresses(ty.memory64);
                let page = ty.page_size_log2.unwrap_or(16);
                imports += &format!(
                    "{import} (memory $x{i} {address} 0 (pagesize {})))\n",
                    1 << page
                );
                // What is left of a word at the end is not looked at.
                body += &format!(
                    "({widened} (memory.size $x{i}))
                     (local.set $h (i64.const 0)) (local.set $i (i64.const 0))
                     (block $end (loop $next
                       (br_if $end (i64.eq (local.get $i) (i64.and (i64.const -8)
                         (i64.shl ({widened} (memory.size $x{i})) (i64.const {page})))))
                       (i64.xor (local.get $h) (i64.load $x{i} ({index} (local.get $i))))
                       (local.set $h (i64.rotl (i64.mul (i64.const 0x9e3779b97f4a7c15)) (i64.const 29)))
                       (local.set $i (i64.add (local.get $i) (i64.const 8)))
                       (br $next)))
                     (local.get $h)\n"
                );
                2
            }
            Item::Table(index) => {
                let table = &module.tables[index as usize].ty;
                let (address, index, widened) = addresses(table.table64);
                let ty = reference(table.element_type.into());
                imports += &format!("{import} (table $x{i} {address} 0 {ty}))\n");
                body += &format!(
                    "({widened} (table.size $x{i}))
                     (local.set $h (i64.const 0)) (local.set $i (i64.const 0))
                     (block $end (loop $next
                       (br_if $end (i64.eq (local.get $i) ({widened} (table.size $x{i}))))
                       (i64.extend_i32_u (i32.eqz (ref.is_null (table.get $x{i} ({index} (local.get $i))))))
                       (local.set $h (i64.rotl (i64.mul (i64.xor (local.get $h)) (i64.const 0x9e3779b97f4a7c15)) (i64.const 29)))
                       (local.set $i (i64.add (local.get $i) (i64.const 1)))
                       (br $next)))
                     (local.get $h)\n"
                );
                2
            }
            Item::Global(index) => {
                let ty = module.globals[index as usize].ty;
                let name = reference(ty.content_type);
                imports += &if ty.mutable {
                    format!("{import} (global $x{i} (mut {name})))\n")
                } else {
                    format!("{import} (global $x{i} {name}))\n")
                };
                body += &match ty.content_type {
                    ValType::I32 => format!("(i64.extend_i32_u (global.get $x{i}))\n"),
                    ValType::I64 => format!("(global.get $x{i})\n"),
                    ValType::F32 => {
                        format!("(i64.extend_i32_u (i32.reinterpret_f32 (global.get $x{i})))\n")
                    }
                    ValType::F64 => format!("(i64.reinterpret_f64 (global.get $x{i}))\n"),
                    ValType::V128 => format!(
                        "(i64x2.extract_lane 0 (global.get $x{i})) (i64x2.extract_lane 1 (global.get $x{i}))\n"
                    ),
                    _ => format!("(i64.extend_i32_u (i32.eqz (ref.is_null (global.get $x{i}))))\n"),
                };
                if export.name == FUEL {
                    refuel = format!("(global.set $x{i} (i32.const {FUEL_PER_CALL}))\n");
                }
                if ty.content_type == ValType::V128 {
                    2
                } else {
                    1
                }
            }
            Item::Function(_) | Item::Tag(_) => 0,
        };
        results += &" i64".repeat(count);
    }
    format!(
        "(module {imports} (func (export \"observe\") (result{results}) (local $h i64) (local $i i64)
         {body} {refuel}))"
    )
}

/// The address type of a memory or table, what makes an address of an i64, and an i64 of an address.
fn addresses(is_64: bool) -> (&'static str, &'static str, &'static str) {
    // A number is added where there is nothing to be done.
    if is_64 {
        ("i64", "i64.add (i64.const 0)", "i64.add (i64.const 0)")
    } else {
        ("i32", "i32.wrap_i64", "i64.extend_i32_u")
    }
}

/// A type as text.
fn reference(ty: ValType) -> String {
    match ty {
        ValType::Ref(r) if r.is_func_ref() => "funcref".to_owned(),
        ValType::Ref(_) => "externref".to_owned(),
        number => number.to_string(),
    }
}

/// An argument: often one of those at which something changes.
fn argument(ty: ValType, random: &mut Random) -> Word {
    const EDGES: [u64; 12] = [
        0,
        1,
        2,
        u64::MAX,
        i64::MIN.cast_unsigned(),
        i64::MAX.cast_unsigned(),
        0x8000_0000,
        0x7fff_ffff,
        0xffff_fff8,
        0x1_0000,
        0xfff8,
        63,
    ];
    const DOUBLES: [f64; 12] = [
        0.0,
        -0.0,
        1.0,
        -1.5,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
        2_147_483_648.0,
        -2_147_483_649.0,
        9_223_372_036_854_775_808.0,
        4_294_967_295.5,
        1e-310,
    ];
    let edge = random.one_in(2);
    let pick = random.below(EDGES.len());
    let bits = random.bits();
    let word = match ty {
        ValType::V128 => return vector(random),
        ValType::I32 if edge => EDGES[pick] & 0xffff_ffff,
        ValType::I32 => bits & 0xffff_ffff,
        ValType::I64 if edge => EDGES[pick],
        ValType::F32 if edge => u64::from((DOUBLES[pick] as f32).to_bits()),
        ValType::F32 => bits & 0xffff_ffff,
        ValType::F64 if edge => DOUBLES[pick].to_bits(),
        ValType::I64 | ValType::F64 => bits,
        // Null, or what stands for the number before it.
        ValType::Ref(r) if r.is_extern_ref() => (pick as u64) / 2,
        _ => 0,
    };
    word.into()
}

/// A vector of lanes at which something changes, for some width of lanes.
fn vector(random: &mut Random) -> Word {
    let types = [ValType::I32, ValType::I64, ValType::F32, ValType::F64];
    let ty = types[random.below(types.len())];
    let bits = if matches!(ty, ValType::I32 | ValType::F32) {
        32
    } else {
        64
    };
    (0..128 / bits).fold(0, |vector, lane| {
        vector | argument(ty, random) << (bits * lane)
    })
}

fn value(ty: ValType, word: Word, store: &mut Store<()>) -> Val {
    match ty {
        ValType::I32 => Val::I32((word as u32).cast_signed()),
        ValType::I64 => Val::I64((word as u64).cast_signed()),
        ValType::F32 => Val::F32(wasmi::F32::from_bits(word as u32)),
        ValType::F64 => Val::F64(wasmi::F64::from_bits(word as u64)),
        ValType::V128 => Val::V128(word.into()),
        ValType::Ref(r) if r.is_extern_ref() => Val::ExternRef(match word {
            0 => Nullable::Null,
            word => Nullable::Val(ExternRef::new(store, word)),
        }),
        _ => Val::FuncRef(Nullable::Null),
    }
}

fn word(value: &Val, store: &Store<()>) -> Word {
    match value {
        Val::I32(v) => v.cast_unsigned().into(),
        Val::I64(v) => v.cast_unsigned().into(),
        Val::F32(v) => v.to_bits().into(),
        Val::F64(v) => v.to_bits().into(),
        Val::V128(v) => v.as_u128(),
        Val::FuncRef(r) => u128::from(!r.is_null()),
        Val::ExternRef(Nullable::Val(r)) => r.data(store).downcast_ref().copied().unwrap_or(0),
        Val::ExternRef(Nullable::Null) => 0,
    }
}

/// The oracle's trap in our words.
fn trap(error: &wasmi::Error) -> Option<TrapCode> {
    use wasmi::TrapCode as Theirs;
    use wasmi::errors::{ErrorKind, InstantiationError};

    if let ErrorKind::Instantiation(InstantiationError::ElementSegmentDoesNotFit { .. }) =
        error.kind()
    {
        return Some(TrapCode::TableOutOfBounds);
    }
    Some(match error.as_trap_code()? {
        Theirs::UnreachableCodeReached => TrapCode::Unreachable,
        Theirs::MemoryOutOfBounds => TrapCode::MemoryOutOfBounds,
        Theirs::TableOutOfBounds => TrapCode::TableOutOfBounds,
        Theirs::IndirectCallToNull => TrapCode::UninitializedElement,
        Theirs::IntegerDivisionByZero => TrapCode::IntegerDivideByZero,
        Theirs::IntegerOverflow => TrapCode::IntegerOverflow,
        Theirs::BadConversionToInteger => TrapCode::InvalidConversion,
        Theirs::StackOverflow => TrapCode::StackExhausted,
        Theirs::BadSignature => TrapCode::IndirectCallTypeMismatch,
        _ => return None,
    })
}

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

/// An argument or result: a number's bits; an external reference's number and one; 0 for null. A function
/// reference that is not null is 1.
pub type Word = u64;

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
                    words.push(memory.size(&self.store));
                    let (chunks, _) = memory.data(&self.store).as_chunks::<8>();
                    let bits = chunks.iter().map(|chunk| u64::from_le_bytes(*chunk));
                    words.push(bits.fold(0, mix));
                }
                Some(Extern::Table(table)) => {
                    let size = table.size(&self.store);
                    words.push(size);
                    let present = (0..size).map(|i| match table.get(&self.store, i) {
                        Some(Ref::Func(r)) => u64::from(!r.is_null()),
                        Some(Ref::Extern(r)) => u64::from(!r.is_null()),
                        None => 2,
                    });
                    words.push(present.fold(0, mix));
                }
                Some(Extern::Global(global)) => {
                    // References are looked at as in tables.
                    words.push(match global.get(&self.store) {
                        Val::ExternRef(r) => u64::from(!r.is_null()),
                        value => word(&value, &self.store),
                    });
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
            Item::Memory(_) => {
                imports += &format!("{import} (memory $x{i} 0))\n");
                body += &format!(
                    "(i64.extend_i32_u (memory.size $x{i}))
                     (local.set $h (i64.const 0)) (local.set $i (i32.const 0))
                     (block $end (loop $next
                       (br_if $end (i32.eq (local.get $i) (i32.mul (memory.size $x{i}) (i32.const 65536))))
                       (i64.xor (local.get $h) (i64.load $x{i} (local.get $i)))
                       (local.set $h (i64.rotl (i64.mul (i64.const 0x9e3779b97f4a7c15)) (i64.const 29)))
                       (local.set $i (i32.add (local.get $i) (i32.const 8)))
                       (br $next)))
                     (local.get $h)\n"
                );
                2
            }
            Item::Table(index) => {
                let ty = reference(module.tables[index as usize].ty.element_type.into());
                imports += &format!("{import} (table $x{i} 0 {ty}))\n");
                body += &format!(
                    "(i64.extend_i32_u (table.size $x{i}))
                     (local.set $h (i64.const 0)) (local.set $i (i32.const 0))
                     (block $end (loop $next
                       (br_if $end (i32.eq (local.get $i) (table.size $x{i})))
                       (i64.extend_i32_u (i32.eqz (ref.is_null (table.get $x{i} (local.get $i)))))
                       (local.set $h (i64.rotl (i64.mul (i64.xor (local.get $h)) (i64.const 0x9e3779b97f4a7c15)) (i64.const 29)))
                       (local.set $i (i32.add (local.get $i) (i32.const 1)))
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
                    _ => format!("(i64.extend_i32_u (i32.eqz (ref.is_null (global.get $x{i}))))\n"),
                };
                if export.name == FUEL {
                    refuel = format!("(global.set $x{i} (i32.const {FUEL_PER_CALL}))\n");
                }
                1
            }
            Item::Function(_) | Item::Tag(_) => 0,
        };
        results += &" i64".repeat(count);
    }
    format!(
        "(module {imports} (func (export \"observe\") (result{results}) (local $h i64) (local $i i32)
         {body} {refuel}))"
    )
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
    match ty {
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
    }
}

fn value(ty: ValType, word: Word, store: &mut Store<()>) -> Val {
    match ty {
        ValType::I32 => Val::I32((word as u32).cast_signed()),
        ValType::I64 => Val::I64(word.cast_signed()),
        ValType::F32 => Val::F32(wasmi::F32::from_bits(word as u32)),
        ValType::F64 => Val::F64(wasmi::F64::from_bits(word)),
        ValType::Ref(r) if r.is_extern_ref() => Val::ExternRef(match word {
            0 => Nullable::Null,
            word => Nullable::Val(ExternRef::new(store, word)),
        }),
        _ => Val::FuncRef(Nullable::Null),
    }
}

fn word(value: &Val, store: &Store<()>) -> Word {
    match value {
        Val::I32(v) => u64::from(v.cast_unsigned()),
        Val::I64(v) => v.cast_unsigned(),
        Val::F32(v) => u64::from(v.to_bits()),
        Val::F64(v) => v.to_bits(),
        Val::FuncRef(r) => u64::from(!r.is_null()),
        Val::ExternRef(Nullable::Val(r)) => r.data(store).downcast_ref().copied().unwrap_or(0),
        Val::ExternRef(Nullable::Null) | Val::V128(_) => 0,
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

//! `ir::Function` → machine code, one function at a time, in parallel.
//!
//! In: the program and its layout. Out: [`CompiledFunction`]s in a fixed order, whatever the number of threads.
//! A panic while one function is compiled is our bug: it becomes an error with the function's name.

use crate::Progress;
use crate::effort::{self, Effort};
use crate::error::{Error, Place, Result};
use crate::fold::Folded;
use crate::gate::Gate;
use crate::optimise::machine::optimise;
use crate::optimise::near;
use crate::options::Arch;
use crate::parts;
use crate::program::{FuncId, HostId, UnknownId};
use crate::symbol::Symbol;
use crate::translate::{self, Env};
use crate::twins;
use crate::unwind::{self, Unwind};
use crate::usage::body_of;
use cranelift_codegen::binemit::Reloc;
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::ir::{ExternalName, LibCall, TrapCode};
use cranelift_codegen::isa::CallConv;
use cranelift_codegen::{Context, FinalizedRelocTarget, ir};
use cranelift_frontend::FunctionBuilderContext;
use elfin_abi::host::Libcall;
use elfin_abi::trap;
use rayon::prelude::*;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Machine code of one function.
#[derive(Clone, Debug)]
pub struct CompiledFunction {
    /// What it is.
    pub symbol: Symbol,
    /// Its bytes, constants included.
    pub code: Vec<u8>,
    /// Alignment in bytes.
    pub alignment: u64,
    /// Places to be filled in.
    pub relocations: Vec<Relocation>,
    /// Offsets of trapping instructions, ascending, and their codes. Accesses of linear memory are not among
    /// them: those are known by the address that faults.
    pub traps: Vec<(u32, trap::TrapCode)>,
    /// Calls during which references lie in the frame, ascending: the offset of the return address, and the distances
    /// of those words from the frame pointer, downwards.
    pub safepoints: Vec<(u32, Vec<u32>)>,
    /// It keeps no frame record (see `elfin_abi::program::FuncRecord::FRAMELESS`).
    pub frameless: bool,
    /// For the unwinder, if the program throws.
    pub unwind: Option<Unwind>,
    /// Disassembly, if asked for.
    pub disassembly: Option<String>,
}

/// A place to be filled in.
#[derive(Clone, Copy, Debug)]
pub struct Relocation {
    /// Offset in the function.
    pub offset: u32,
    /// Cranelift's kind.
    pub kind: Reloc,
    /// With the address of what.
    pub target: Target,
    /// Added to the address.
    pub addend: i64,
}

/// What a relocation refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A symbol.
    Symbol(Symbol),
    /// An offset of the same function.
    Offset(u32),
}

/// Functions to compile, in the order of their code: the main function and its parts, glue, then the program's own, then
/// the actions of a script.
#[must_use]
pub fn work_list(env: Env<'_>, folded: &Folded) -> Vec<Symbol> {
    let mut list = vec![Symbol::Main];
    if env.program.has_threads() {
        list.push(Symbol::ThreadStart);
    }
    list.extend((0..folded.parts.len() as u32).map(Symbol::Steps));
    let referenced = |flags: &[bool]| {
        (0..)
            .zip(flags.iter().copied())
            .filter_map(|(i, used)| used.then_some(i))
            .collect::<Vec<u32>>()
    };
    list.extend(
        referenced(&env.usage.host_references)
            .into_iter()
            .map(|i| Symbol::HostGlue(HostId(i))),
    );
    // A direct call of an unknown import goes through its glue as well.
    list.extend((0..env.program.unknown.len() as u32).map(|i| Symbol::UnknownGlue(UnknownId(i))));
    list.extend(
        env.usage
            .live
            .iter()
            .flat_map(|id| twins::symbols(env, *id)),
    );
    let actions = env.program.script.as_deref().unwrap_or_default();
    let with_functions = (0..).zip(actions).filter(|(_, a)| a.kind.has_function());
    list.extend(with_functions.map(|(index, _)| Symbol::Action(index)));
    list
}

/// Where a symbol's function is in the sources, for an error.
fn place(env: Env<'_>, symbol: Symbol) -> Place {
    match symbol {
        Symbol::Function(id) | Symbol::Plain(id) | Symbol::Twin(id) => {
            let function = env.program.functions[id.index()];
            env.program.instances[function.instance.index()]
                .module
                .function_place(function.index, None)
        }
        _ => env.program.main().module.place(),
    }
}

/// Translates one entry of the work list.
fn translate_symbol(
    env: Env<'_>,
    folded: &Folded,
    symbol: Symbol,
    func: &mut ir::Function,
    builder: &mut FunctionBuilderContext,
) -> Result<()> {
    match symbol {
        Symbol::Function(id) | Symbol::Plain(id) => translate::translate(env, id, func, builder)?,
        Symbol::Twin(id) => translate::translate(twins::env(env), id, func, builder)?,
        Symbol::HostGlue(id) => translate::host_glue(env, id, func, builder),
        Symbol::UnknownGlue(id) => translate::unknown_glue(env, id, func, builder),
        Symbol::Steps(index) => translate::steps_function(env, folded, index, func, builder)?,
        Symbol::Action(index) => translate::action_glue(env, folded, index, func, builder)?,
        Symbol::ThreadStart => translate::thread_function(env, folded, func, builder)?,
        _ => translate::main_function(env, folded, func, builder)?,
    }
    Ok(())
}

/// Runs `work` so that a panic becomes an error.
fn guarded<T>(env: Env<'_>, symbol: Symbol, work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let message = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("a panic without a message");
        Err(Error::Internal {
            message: message.to_owned(),
            place: place(env, symbol),
        })
    })
}

/// Scratch space of one thread.
struct Scratch {
    context: Context,
    builder: FunctionBuilderContext,
}

impl Scratch {
    fn new() -> Self {
        Self {
            context: Context::new(),
            builder: FunctionBuilderContext::new(),
        }
    }

    /// Whether what was compiled just now needed much more space than functions do.
    fn is_large(&self) -> bool {
        /// Twice as many as the largest function of CPython, Ruby and Yosys has.
        const MANY: usize = 1 << 18;
        self.context.func.dfg.num_insts() > MANY
    }
}

/// How many bytes of the module a function is.
fn body_size(env: Env<'_>, symbol: Symbol) -> u64 {
    match symbol {
        Symbol::Function(id) | Symbol::Plain(id) | Symbol::Twin(id) => {
            let range = body_of(env.program, id).body.range();
            range.end - range.start
        }
        _ => 0,
    }
}

/// Compiles every function of `work`.
///
/// # Errors
/// The first one in the order of `work`.
pub fn compile(
    env: Env<'_>,
    folded: &Folded,
    isas: &twins::Isas,
    work: &[Symbol],
    disassemble: bool,
    progress: &dyn Progress,
) -> Result<Vec<CompiledFunction>> {
    progress.start(work.len());
    let gate = Gate::default();
    let results: Vec<Result<CompiledFunction>> = work
        .par_iter()
        .with_max_len(4)
        .map_init(Scratch::new, |scratch, symbol| {
            let _pass = gate.pass(body_size(env, *symbol));
            let result = guarded(env, *symbol, || {
                compile_one(env, folded, isas, *symbol, disassemble, scratch)
            });
            if result.is_err() || scratch.is_large() {
                // A panic may have left anything behind; and what a large function took is not kept for small ones.
                *scratch = Scratch::new();
            }
            progress.step();
            result
        })
        .collect();
    Ok(arrange(results.into_iter().collect::<Result<_>>()?))
}

/// Puts functions into an order in which little is lost to alignment: a gap before an aligned function is filled with
/// one of the next that fits.
fn arrange(functions: Vec<CompiledFunction>) -> Vec<CompiledFunction> {
    /// How far ahead a filler is looked for: near enough that neighbours stay neighbours.
    const AHEAD: usize = 32;
    let end_of =
        |at: u64, f: &CompiledFunction| at.next_multiple_of(f.alignment) + f.code.len() as u64;
    let mut waiting: VecDeque<CompiledFunction> = functions.into();
    let mut arranged = Vec::with_capacity(waiting.len());
    let mut at = 0_u64;
    while let Some(next) = waiting.front() {
        let start = at.next_multiple_of(next.alignment);
        let filler = (1..waiting.len().min(AHEAD))
            .filter(|i| end_of(at, &waiting[*i]) <= start)
            .max_by_key(|i| (waiting[*i].code.len(), usize::MAX - i));
        let chosen = waiting
            .remove(filler.unwrap_or(0))
            .expect("an index of the queue");
        at = end_of(at, &chosen);
        arranged.push(chosen);
    }
    arranged
}

fn compile_one(
    env: Env<'_>,
    folded: &Folded,
    isas: &twins::Isas,
    symbol: Symbol,
    disassemble: bool,
    scratch: &mut Scratch,
) -> Result<CompiledFunction> {
    if twins::is_chooser(env, symbol) {
        return Ok(twins::chooser(symbol, disassemble));
    }
    let context = &mut scratch.context;
    context.clear();
    context.set_disasm(disassemble);
    translate_symbol(env, folded, symbol, &mut context.func, &mut scratch.builder)?;
    let error = |message: String| Error::Internal {
        message,
        place: place(env, symbol),
    };
    // The back end would panic, at a place that does not say why.
    if !env.has_vectors()
        && let Some(ty) = translate::find_vector(&context.func)
    {
        return Err(error(format!(
            "the code has a vector ({ty}), the target has none"
        )));
    }
    let effort = match symbol {
        Symbol::Steps(_) if folded.parts.len() > parts::MANY => Effort::Quick,
        _ => effort::of(&context.func).ok_or_else(|| Error::LimitExceeded {
            message: "the function has too many values where branches come together".to_owned(),
            place: place(env, symbol),
        })?,
    };
    if effort != Effort::Full {
        near::traps_second(&mut context.func);
    }
    context
        .compile(isas.of(symbol).of(effort), &mut ControlPlane::default())
        .map_err(|e| match &e.inner {
            cranelift_codegen::CodegenError::CodeTooLarge
            | cranelift_codegen::CodegenError::ImplLimitExceeded => Error::LimitExceeded {
                message: "the function is too large for the code generator".to_owned(),
                place: place(env, symbol),
            },
            inner => error(format!("code generation failed: {inner}")),
        })?;
    let compiled = context.take_compiled_code().expect("compiled just now");
    let names = context.func.params.user_named_funcs();
    let mut relocations = Vec::with_capacity(compiled.buffer.relocs().len());
    for reloc in compiled.buffer.relocs() {
        let target = match &reloc.target {
            FinalizedRelocTarget::ExternalName(ExternalName::User(name)) => {
                let target = Symbol::decode(&names[*name]);
                Target::Symbol(twins::known_callee(env, symbol, target))
            }
            FinalizedRelocTarget::ExternalName(ExternalName::LibCall(libcall)) => {
                let libcall = runtime_libcall(*libcall)
                    .ok_or_else(|| error(format!("the runtime has no libcall {libcall}")))?;
                Target::Symbol(Symbol::libcall(libcall))
            }
            FinalizedRelocTarget::ExternalName(name) => {
                return Err(error(format!("unexpected external name {name:?}")));
            }
            FinalizedRelocTarget::Func(offset) => Target::Offset(*offset),
        };
        relocations.push(Relocation {
            offset: reloc.offset,
            kind: reloc.kind,
            target,
            addend: reloc.addend,
        });
    }
    let mut traps: Vec<(u32, trap::TrapCode)> = compiled
        .buffer
        .traps()
        .iter()
        .filter_map(|t| Some((t.offset, runtime_trap(t.code)?)))
        .collect();
    traps.sort_by_key(|(offset, _)| *offset);
    let unwind = if env.usage.throws {
        let restores = env.call_conv() != CallConv::Tail;
        Some(unwind::read(env.arch, restores, &compiled.buffer).map_err(error)?)
    } else {
        None
    };
    let safepoints = compiled
        .buffer
        .user_stack_maps()
        .iter()
        .map(|(offset, span, map)| {
            let distances = map.entries().map(|(_, from_sp)| span - from_sp);
            (*offset, distances.collect())
        })
        .collect();
    let code = compiled.buffer.data().to_vec();
    let mut function = CompiledFunction {
        symbol,
        alignment: alignment(env.arch),
        relocations,
        traps,
        safepoints,
        frameless: is_frameless(env.arch, &code),
        code,
        unwind,
        disassembly: compiled.vcode.clone(),
    };
    if env.arch == Arch::X86_64 && effort == Effort::Full {
        optimise(&mut function, &compiled.bb_starts);
    }
    Ok(function)
}

/// Alignment of functions in bytes: instructions need 1, 4 and 2; constants behind the code of x86_64 need 16
/// (`optimise::machine` knows better where it can).
const fn alignment(arch: Arch) -> u64 {
    match arch {
        Arch::X86_64 => 16,
        Arch::Aarch64 | Arch::Riscv64 => 4,
    }
}

/// What the runtime is told about a trap; `None` for accesses of linear memory.
fn runtime_trap(code: TrapCode) -> Option<trap::TrapCode> {
    match code {
        TrapCode::HEAP_OUT_OF_BOUNDS => None,
        TrapCode::STACK_OVERFLOW => Some(trap::TrapCode::StackExhausted),
        TrapCode::INTEGER_OVERFLOW => Some(trap::TrapCode::IntegerOverflow),
        TrapCode::INTEGER_DIVISION_BY_ZERO => Some(trap::TrapCode::IntegerDivideByZero),
        TrapCode::BAD_CONVERSION_TO_INTEGER => Some(trap::TrapCode::InvalidConversion),
        user => trap::TrapCode::from_u8(user.as_raw().get()),
    }
}

fn runtime_libcall(libcall: LibCall) -> Option<Libcall> {
    Some(match libcall {
        LibCall::CeilF32 => Libcall::CeilF32,
        LibCall::CeilF64 => Libcall::CeilF64,
        LibCall::FloorF32 => Libcall::FloorF32,
        LibCall::FloorF64 => Libcall::FloorF64,
        LibCall::TruncF32 => Libcall::TruncF32,
        LibCall::TruncF64 => Libcall::TruncF64,
        LibCall::NearestF32 => Libcall::NearestF32,
        LibCall::NearestF64 => Libcall::NearestF64,
        LibCall::Memmove | LibCall::Memcpy => Libcall::Memmove,
        _ => return None,
    })
}

/// Whether a function runs without a frame record: its code does not begin by making one.
fn is_frameless(arch: Arch, code: &[u8]) -> bool {
    match arch {
        // Every function keeps `rbp`.
        Arch::X86_64 => false,
        // stp x29, x30, [sp, #-16]! comes first, or behind making room for the arguments of a tail call.
        Arch::Aarch64 => {
            let save = 0xa9bf_7bfd_u32.to_le_bytes();
            !code.chunks_exact(4).take(4).any(|inst| inst == save)
        }
        // sd ra, 8(sp), or the compressed c.sdsp, near the start: room for the arguments of a tail call and for the
        // record itself is made before.
        Arch::Riscv64 => {
            let mut rest = code;
            for _ in 0..6 {
                // The low two bits tell the length (RISC-V unprivileged, 1.5).
                let len = if rest.first().is_some_and(|b| b & 0b11 == 0b11) {
                    4
                } else {
                    2
                };
                let Some((inst, behind)) = rest.split_at_checked(len) else {
                    return true;
                };
                if inst == 0x0011_3423_u32.to_le_bytes() || inst == 0xe406_u16.to_le_bytes() {
                    return false;
                }
                rest = behind;
            }
            true
        }
    }
}

/// CLIF of every function, in order.
///
/// # Errors
/// As [`compile`].
pub fn dump_clif(env: Env<'_>, folded: &Folded, work: &[Symbol]) -> Result<String> {
    let texts: Vec<Result<String>> = work
        .par_iter()
        .filter(|symbol| !twins::is_chooser(env, **symbol))
        .map_init(FunctionBuilderContext::new, |builder, symbol| {
            let result = guarded(env, *symbol, || {
                let mut func = ir::Function::new();
                translate_symbol(env, folded, *symbol, &mut func, builder)?;
                Ok(format!("; {}\n{}", describe(env, *symbol), func.display()))
            });
            if result.is_err() {
                *builder = FunctionBuilderContext::new();
            }
            result
        })
        .collect();
    Ok(texts.into_iter().collect::<Result<Vec<_>>>()?.join("\n"))
}

/// A line that says what a symbol is.
#[must_use]
pub fn describe(env: Env<'_>, symbol: Symbol) -> String {
    match symbol {
        Symbol::Function(id) | Symbol::Plain(id) | Symbol::Twin(id) => {
            let name = function_name(env, id).unwrap_or_default();
            let function = env.program.functions[id.index()];
            format!(
                "func[{}] {}{} ({} operators)",
                function.index,
                name,
                twins::suffix(symbol),
                body_of(env.program, id).summary.operators
            )
        }
        Symbol::HostGlue(id) => format!(
            "host import {}",
            env.program.host_functions[id.index()].function().name
        ),
        Symbol::UnknownGlue(id) => {
            format!("unknown import {}", env.program.unknown[id.index()].name)
        }
        Symbol::Steps(index) => format!("steps at start, part {index}"),
        Symbol::Action(index) => format!("action {index} of the script"),
        Symbol::ThreadStart => "start of a thread".to_owned(),
        _ => "program main".to_owned(),
    }
}

/// What a backtrace calls a function: its name, with the module's for those of linked modules; `None` where the
/// index says enough.
#[must_use]
pub fn function_name(env: Env<'_>, id: FuncId) -> Option<String> {
    let function = env.program.functions[id.index()];
    let is_main = function.instance.index() + 1 == env.program.instances.len();
    let module = env.program.instances[function.instance.index()].module;
    match (module.function_name(function.index), is_main) {
        (Some(name), true) => Some(name.to_owned()),
        (Some(name), false) => Some(format!("{}!{name}", module.name)),
        (None, true) => None,
        (None, false) => Some(format!("{}!func[{}]", module.name, function.index)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_filled_with_what_fits_and_order_is_kept_otherwise() {
        let function = |id, size, alignment| CompiledFunction {
            symbol: Symbol::Function(FuncId(id)),
            code: vec![0xcc; size],
            alignment,
            relocations: Vec::new(),
            traps: Vec::new(),
            safepoints: Vec::new(),
            frameless: false,
            unwind: None,
            disassembly: None,
        };
        let functions = vec![
            function(0, 10, 16),
            function(1, 100, 64),
            function(2, 60, 16),
            function(3, 20, 16),
            function(4, 48, 16),
            function(5, 1, 16),
        ];
        let order: Vec<Symbol> = arrange(functions).iter().map(|f| f.symbol).collect();
        let expected = [0, 4, 1, 2, 3, 5].map(|id| Symbol::Function(FuncId(id)));
        assert_eq!(order, expected);
    }
}

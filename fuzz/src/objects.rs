//! Generated modules that make objects: their results do not depend on when garbage is collected.
//!
//! In: a seed and a target. Out: a [`Verdict`]. There is no oracle for objects here; a module is built for this machine
//! in the usual way, and for the target in others: collected at every allocation (so that whatever the collector is not
//! told of faults), without optimisation, through a context. Every function is called in an instance of its own.
//! Of references the kind counts, of the others every bit.

use crate::generate::{self, Random};
use crate::panic_message;
use elfin_abi::gc;
use elfin_abi::trap::TrapCode;
use elfin_compiler::canonical;
use elfin_compiler::link::Linker;
use elfin_compiler::module::{Item, Module, ValType};
use elfin_compiler::program::{Constant, Program};
use elfin_compiler::{Addressing, Arch, Error, OptLevel, Options, parse};
use spec_tests::driver::{self, Printed};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a case came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The same in all ways; the traps that happened.
    Same {
        /// Calls that were compared.
        calls: usize,
        /// How many of them ended with a trap.
        traps: usize,
    },
    /// Nothing to compare, and why.
    Discarded(String),
    /// Something else.
    Different(String),
}

/// Calls of one module.
const MAX_CALLS: usize = 5;

/// Small: what is larger would be copied at every allocation.
const MAX_HEAP: u64 = 4 << 20;

/// The module of a seed.
#[must_use]
pub fn module(seed: u64) -> Option<Vec<u8>> {
    generate::module_with_objects(seed)
}

/// Runs a module in all ways.
#[must_use]
pub fn run(seed: u64, wasm: &[u8], target: Arch) -> Verdict {
    let host = Options {
        max_gc_heap: MAX_HEAP,
        ..Options::new(if std::env::consts::ARCH == Arch::Aarch64.name() {
            Arch::Aarch64
        } else {
            Arch::X86_64
        })
    };
    let stressed = Options {
        arch: target,
        gc_stress: true,
        ..host.clone()
    };
    let ways = [
        stressed.clone(),
        Options {
            opt_level: OptLevel::O0,
            ..stressed.clone()
        },
        Options {
            addressing: Addressing::Context,
            gc_stress: false,
            ..stressed
        },
    ];
    let usual = match outcomes(seed, wasm, &host) {
        Ok(usual) => usual,
        Err(verdict) => return verdict,
    };
    let mut compared = usual.len();
    for way in &ways {
        let found = match outcomes(seed, wasm, way) {
            Ok(found) => found,
            Err(verdict) => return verdict,
        };
        for (call, (usual, found)) in usual.iter().zip(&found).enumerate() {
            // Frames have other sizes in other modes.
            if [usual, found].contains(&&Outcome::Trap(TrapCode::StackExhausted)) {
                compared = compared.min(call);
                break;
            }
            if usual != found {
                return Verdict::Different(format!(
                    "call {call}: {usual:x?}, and {found:x?} on {} at {:?}, {:?}, stress {}",
                    way.arch.name(),
                    way.opt_level,
                    way.addressing,
                    way.gc_stress
                ));
            }
        }
    }
    let traps = usual[..compared]
        .iter()
        .filter(|o| matches!(o, Outcome::Trap(_)))
        .count();
    Verdict::Same {
        calls: compared,
        traps,
    }
}

/// What a call came to, as far as it is the same wherever objects lie.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Done(Vec<u128>),
    Trap(TrapCode),
    Exception,
    Unlinkable,
}

fn outcomes(seed: u64, wasm: &[u8], options: &Options) -> Result<Vec<Outcome>, Verdict> {
    let made = catch_unwind(AssertUnwindSafe(|| {
        let module = parse::parse("generated", wasm)?;
        let mut linker = Linker::script(options);
        link(seed, &module, &mut linker)?;
        let program = linker.finish();
        let executable = driver::build(&program, options);
        let types = program.script.iter().flatten();
        let types: Vec<Vec<Kind>> = types.map(|action| kinds(&program, action)).collect();
        Ok::<_, Error>((executable, types))
    }));
    let (executable, types) = match made {
        Ok(Ok(made)) => made,
        Ok(Err(error @ (Error::Unsupported { .. } | Error::LimitExceeded { .. }))) => {
            return Err(Verdict::Discarded(error.to_string()));
        }
        Ok(Err(error)) => return Err(Verdict::Different(error.to_string())),
        Err(panic) => {
            let message = format!("it panics: {}", panic_message(&*panic));
            return Err(Verdict::Different(message));
        }
    };
    let run = executable
        .and_then(|executable| driver::run(&executable, options))
        .map_err(Verdict::Different)?;
    if let Some(failure) = run.failure {
        if failure.starts_with("it ran longer") {
            return Err(Verdict::Discarded("too long".to_owned()));
        }
        return Err(Verdict::Different(failure));
    }
    let outcome = |((_, printed), types): ((u32, Printed), &Vec<Kind>)| match printed {
        Printed::Done(slots) => Outcome::Done(
            slots
                .iter()
                .zip(types)
                .map(|(s, kind)| kind.of(*s))
                .collect(),
        ),
        Printed::Trap(code) => Outcome::Trap(code),
        Printed::Exception => Outcome::Exception,
        Printed::Unlinkable => Outcome::Unlinkable,
    };
    Ok(run.lines.into_iter().zip(&types).map(outcome).collect())
}

/// An instance for each call, and the call.
fn link<'m>(seed: u64, module: &'m Module<'m>, linker: &mut Linker<'m, '_>) -> Result<(), Error> {
    let mut random = Random::new(seed ^ 0x0b7e_0c75);
    let functions = module
        .exports
        .iter()
        .filter_map(|export| match export.item {
            Item::Function(index) => Some((export.name, module.function_type(index))),
            _ => None,
        });
    // One that nothing is asked of, for there may be no function that can be called.
    linker.instantiate(0, module)?;
    let can_be_called = |ty: &ValType| !matches!(ty, ValType::Ref(ty) if !ty.is_nullable());
    let mut id = 1;
    for (name, ty) in functions
        .filter(|(_, ty)| ty.params().iter().all(can_be_called))
        .take(MAX_CALLS)
    {
        let instance = linker.instantiate(id, module)?;
        let arguments: Vec<(ValType, Constant)> = ty
            .params()
            .iter()
            .map(|ty| (*ty, argument(*ty, &mut random)))
            .collect();
        linker.invoke(id + 1, instance, name, &arguments)?;
        id += 2;
    }
    Ok(())
}

fn argument(ty: ValType, random: &mut Random) -> Constant {
    let small = random.one_in(2);
    let bits = if small {
        random.below(20) as u64
    } else {
        random.bits()
    };
    match ty {
        ValType::I32 | ValType::F32 => Constant::Bits(bits & u64::from(u32::MAX)),
        ValType::I64 | ValType::F64 => Constant::Bits(bits),
        ValType::V128 => Constant::V128(u128::from(bits) << 64 | u128::from(random.bits())),
        ValType::Ref(_) => Constant::Null,
    }
}

/// What of a result counts.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Number,
    Function,
    Reference,
}

fn kinds(program: &Program<'_>, action: &elfin_compiler::program::Action) -> Vec<Kind> {
    let kind = |ty: &ValType| match ty {
        ValType::Ref(ty) if canonical::is_function(&program.types, *ty) => Kind::Function,
        ValType::Ref(_) => Kind::Reference,
        _ => Kind::Number,
    };
    program.action_results(action).iter().map(kind).collect()
}

impl Kind {
    fn of(self, slot: u128) -> u128 {
        match self {
            Kind::Number => slot,
            // The type's number, without the address of the code.
            Kind::Function => slot >> 32,
            // An object's address says nothing; its type's number stands above it.
            Kind::Reference if slot as u64 & gc::TAG_MASK == 0 => {
                slot >> 64 << 1 | u128::from(slot != 0)
            }
            Kind::Reference => slot,
        }
    }
}

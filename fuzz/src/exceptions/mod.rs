//! Programs that throw, made as trees, and whether executables do what walking the tree does.
//!
//! In: seeds, a target and a mode. Out: a [`Verdict`] for each. No interpreter at hand knows exceptions, hence a model
//! of our own: it never sees the module, only what the module was written from.
//!
//! - [`program`]: the tree
//! - [`generate`]: seed → program
//! - [`encode`]: program → module
//! - [`model`]: program → what its functions come to

pub mod encode;
pub mod generate;
pub mod model;
pub mod program;

use crate::differential::{Mode, Verdict};
use crate::generate::Random;
use crate::panic_message;
use elfin_abi::trap::TrapCode;
use elfin_compiler::link::Linker;
use elfin_compiler::module::{Module, ValType};
use elfin_compiler::program::Constant;
use elfin_compiler::{Arch, Error, Options, parse};
use model::{Machine, Outcome};
use program::{Program, Ty};
use spec_tests::driver::{self, Printed};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Calls of each function.
const CALLS: usize = 2;

/// A program, its module, and what is expected.
pub struct Case {
    /// The seed.
    pub seed: u64,
    /// The module.
    pub wasm: Vec<u8>,
    /// The module whose tags it imports.
    pub tags: Vec<u8>,
    program: Program,
    calls: Vec<Expected>,
    /// Exceptions that were caught in all calls.
    pub caught: u64,
}

struct Expected {
    function: usize,
    arguments: Vec<u128>,
    outcome: Outcome,
    /// The hash after it.
    hash: u64,
}

impl Case {
    /// The case of a seed; none when it takes too long.
    #[must_use]
    pub fn generate(seed: u64) -> Option<Self> {
        let program = generate::program(seed);
        let mut random = Random::new(!seed);
        let mut machine = Machine::new(&program);
        let mut calls = Vec::new();
        for function in (0..program.functions.len()).rev() {
            for _ in 0..CALLS {
                let params = &program.functions[function].params;
                let arguments: Vec<u128> = params.iter().map(|ty| word(*ty, &mut random)).collect();
                let outcome = machine.call(function, &arguments)?;
                calls.push(Expected {
                    function,
                    arguments,
                    outcome,
                    hash: machine.hash(),
                });
            }
        }
        let caught = machine.caught;
        Some(Self {
            seed,
            wasm: encode::module(&program),
            tags: encode::tags(&program),
            program,
            calls,
            caught,
        })
    }
}

fn word(ty: Ty, random: &mut Random) -> u128 {
    match ty {
        Ty::I32 | Ty::F32 => (random.bits() as u32).into(),
        Ty::I64 | Ty::F64 => random.bits().into(),
        Ty::V128 => u128::from(random.bits()) << 64 | u128::from(random.bits()),
        Ty::Func | Ty::Object | Ty::Exn => 0,
    }
}

/// Tries cases in one executable. In every other batch, garbage is collected at each allocation.
#[must_use]
pub fn run(cases: &[Case], arch: Arch, mode: Mode) -> Vec<Verdict> {
    match try_together(cases, arch, mode) {
        Ok(verdicts) => verdicts,
        Err(message) if cases.len() > 1 => {
            // Whose fault is it?
            let mut verdicts: Vec<Verdict> = cases
                .iter()
                .map(|case| {
                    try_together(std::slice::from_ref(case), arch, mode)
                        .map_or_else(Verdict::Different, |mut verdicts| verdicts.remove(0))
                })
                .collect();
            if !verdicts.iter().any(|v| matches!(v, Verdict::Different(_))) {
                verdicts[0] = Verdict::DifferentTogether(message);
            }
            verdicts
        }
        Err(message) => vec![Verdict::Different(message)],
    }
}

/// Builds one executable and compares what it prints.
///
/// # Errors
/// What failed as a whole.
fn try_together(cases: &[Case], arch: Arch, mode: Mode) -> Result<Vec<Verdict>, String> {
    let Some(first) = cases.first() else {
        return Ok(Vec::new());
    };
    let options = Options {
        gc_stress: first.seed & 1 != 0,
        ..mode.options(arch)
    };
    let read = |name, wasm| parse::parse(name, wasm).map_err(|e| format!("not read: {e}"));
    let modules: Vec<(Module<'_>, Module<'_>)> = cases
        .iter()
        .map(|case| Ok((read(encode::TAGS, &case.tags)?, read("case", &case.wasm)?)))
        .collect::<Result<_, String>>()?;
    let mut linker = Linker::script(&options);
    let mut id = 0;
    for (case, (tags, module)) in cases.iter().zip(&modules) {
        add(&mut linker, case, tags, module, &mut id).map_err(|e| format!("not linked: {e}"))?;
    }
    let program = linker.finish();
    let executable = catch_unwind(AssertUnwindSafe(|| driver::build(&program, &options)))
        .map_err(|panic| format!("the compiler panics: {}", panic_message(&*panic)))?
        .map_err(|message| format!("not compiled: {message}"))?;
    let run = driver::run(&executable, &options)?;
    if let Some(failure) = run.failure {
        return Err(format!("it failed: {failure}"));
    }
    if !run.lines.iter().map(|(id, _)| *id).eq(0..id) {
        return Err("it did not report every step".to_owned());
    }
    let mut lines = run.lines.iter().map(|(_, printed)| printed);
    Ok(cases
        .iter()
        .map(|case| {
            let printed: Vec<&Printed> = lines.by_ref().take(2 + 2 * case.calls.len()).collect();
            compare(case, &printed)
        })
        .collect())
}

fn add<'m>(
    linker: &mut Linker<'m, '_>,
    case: &Case,
    tags: &'m Module<'m>,
    module: &'m Module<'m>,
    id: &mut u32,
) -> Result<(), Error> {
    let mut next = || {
        *id += 1;
        *id - 1
    };
    let tags = linker.instantiate(next(), tags)?;
    linker.register(encode::TAGS, tags);
    let instance = linker.instantiate(next(), module)?;
    for call in &case.calls {
        let name = format!("f{}", call.function);
        let types = module_params(module, &name);
        let arguments: Vec<(ValType, Constant)> = types
            .iter()
            .zip(&call.arguments)
            .map(|(ty, word)| match ty {
                ty if ty.is_reference_type() => (*ty, Constant::Null),
                ValType::V128 => (*ty, Constant::V128(*word)),
                _ => (*ty, Constant::Bits(*word as u64)),
            })
            .collect();
        linker.invoke(next(), instance, &name, &arguments)?;
        linker.invoke(next(), instance, "hash", &[])?;
    }
    Ok(())
}

fn module_params<'m>(module: &'m Module<'m>, name: &str) -> &'m [ValType] {
    match module.export(name) {
        Some(elfin_compiler::module::Item::Function(index)) => module.function_type(index).params(),
        _ => &[],
    }
}

fn compare(case: &Case, printed: &[&Printed]) -> Verdict {
    let (instances, printed) = printed.split_at(2);
    if instances.iter().any(|p| !matches!(p, Printed::Done(_))) {
        return Verdict::Different(format!("not instantiated: {instances:?}"));
    }
    let mut traps = Vec::new();
    for (n, (call, printed)) in case.calls.iter().zip(printed.chunks(2)).enumerate() {
        let results = &case.program.functions[call.function].results;
        let agree = match (&call.outcome, printed[0]) {
            (Outcome::Done(words), Printed::Done(slots)) => {
                words.len() == slots.len()
                    && results
                        .iter()
                        .zip(words)
                        .zip(slots)
                        .all(|((ty, word), slot)| match ty {
                            Ty::Func | Ty::Object | Ty::Exn => (*word != 0) == (*slot != 0),
                            _ => word == slot,
                        })
            }
            (Outcome::Trap(expected), Printed::Trap(found)) => {
                traps.push(*found);
                expected == found
            }
            (Outcome::Exception, Printed::Exception) => true,
            (_, Printed::Trap(TrapCode::StackExhausted)) => {
                return Verdict::Same {
                    steps: n,
                    traps,
                    cut: true,
                };
            }
            _ => false,
        };
        let hash = vec![u128::from(call.hash)];
        if !agree || !matches!(printed[1], Printed::Done(found) if *found == hash) {
            return Verdict::Different(format!(
                "call {n}, f{} of {:x?}: {printed:x?}, the model says {:x?}, then {:x}",
                call.function, call.arguments, call.outcome, call.hash
            ));
        }
    }
    Verdict::Same {
        steps: case.calls.len(),
        traps,
        cut: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every construct is met, and programs catch what they throw.
    #[test]
    fn programs_throw_and_catch() {
        let parts = [
            "try_table",
            "catch_ref",
            "catch_all_ref",
            "throw_ref",
            "delegate",
            "rethrow",
            "return_call",
            "call_ref",
            "call_indirect",
            "(import \"tags\"",
            "struct.new",
            "v128",
        ];
        let mut met = parts.map(|part| (part, 0));
        let (mut cases, mut caught, mut uncaught, mut done) = (0, 0, 0, 0);
        for case in (0..200).filter_map(Case::generate) {
            let text = wasmprinter::print_bytes(&case.wasm).expect("valid");
            for (part, times) in &mut met {
                *times += usize::from(text.contains(*part));
            }
            cases += 1;
            caught += case.caught;
            for call in &case.calls {
                uncaught += usize::from(call.outcome == Outcome::Exception);
                done += usize::from(matches!(call.outcome, Outcome::Done(_)));
            }
        }
        assert!(met.iter().all(|(_, times)| *times >= 20), "{met:?}");
        assert!(cases >= 180 && caught > 1000, "{cases} {caught}");
        assert!(uncaught > 200 && done > 400, "{uncaught} {done}");
    }

    /// A comparison that never fails would find nothing for ever.
    #[test]
    fn a_wrong_answer_of_the_model_is_seen() {
        let arch = Arch::ALL
            .iter()
            .find(|arch| arch.name() == std::env::consts::ARCH)
            .expect("a target of ours");
        let mode = Mode::ALL[0];
        let alone = |case: &Case| run(std::slice::from_ref(case), *arch, mode).remove(0);
        for mut case in (0..6).filter_map(Case::generate) {
            let same = alone(&case);
            assert!(
                matches!(same, Verdict::Same { .. }),
                "{}: {same:?}",
                case.seed
            );
            let last = case.calls.len() - 1;
            case.calls[last].hash ^= 1;
            assert!(matches!(alone(&case), Verdict::Different(_)));
            case.calls[last].hash ^= 1;
            case.calls[last].outcome = Outcome::Trap(TrapCode::TableOutOfBounds);
            assert!(matches!(alone(&case), Verdict::Different(_)));
        }
    }
}

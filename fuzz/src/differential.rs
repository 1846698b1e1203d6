//! Modules → executables, and whether they do what the oracle says.
//!
//! In: cases (a module and the seed of its arguments), a target and a mode. Out: a [`Verdict`] for each. The
//! modules of a batch become one script program, each watched by a module that imports what it exports: a
//! trap ends a step, not the process, and what memories, tables and globals hold is compared after every step.

use crate::generate::Random;
use crate::oracle::{self, Behaviour, Outcome, Step, Word};
use crate::{generate, loops, panic_message, vectors};
use elfin_abi::trap::TrapCode;
use elfin_compiler::link::Linker;
use elfin_compiler::module::{Module, ValType};
use elfin_compiler::program::Constant;
use elfin_compiler::{Addressing, Arch, Cpu, Error, MemoryMode, OptLevel, Options, Twins, parse};
use spec_tests::driver::{self, Printed};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// A module, and the seed of the arguments that its exports are called with.
#[derive(Clone, Debug)]
pub struct Case {
    /// The seed.
    pub seed: u64,
    /// The module.
    pub wasm: Vec<u8>,
}

/// What makes the modules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// wasm-smith: everything, somewhere.
    Smith,
    /// Vector operations in each other.
    Vectors,
    /// Loops, switches and machines with states.
    Loops,
    /// The same, with vectors in what lives around them.
    VectorLoops,
}

impl Source {
    /// What is switched on by these flags of the command.
    #[must_use]
    pub fn of_flags(loops: bool, vectors: bool) -> Self {
        match (loops, vectors) {
            (false, false) => Self::Smith,
            (false, true) => Self::Vectors,
            (true, false) => Self::Loops,
            (true, true) => Self::VectorLoops,
        }
    }

    /// The flags.
    #[must_use]
    pub fn flags(self) -> &'static str {
        match self {
            Self::Smith => "",
            Self::Vectors => " --vectors",
            Self::Loops => " --loops",
            Self::VectorLoops => " --loops --vectors",
        }
    }

    /// The case of a seed, if there is one.
    #[must_use]
    pub fn case(self, seed: u64) -> Option<Case> {
        let wasm = match self {
            Self::Smith => generate::module(seed)?,
            Self::Vectors => vectors::module(seed),
            Self::Loops => loops::module(seed, false),
            Self::VectorLoops => loops::module(seed, true),
        };
        Some(Case { seed, wasm })
    }
}

/// The case in a file, binary or text. Its seed is the number at the end of the name, if there is one.
///
/// # Errors
/// When it can't be read.
pub fn read_case(path: &Path) -> Result<Case, String> {
    let error = |e: String| format!("{}: {e}", path.display());
    let bytes = std::fs::read(path).map_err(|e| error(e.to_string()))?;
    let wasm = wat::parse_bytes(&bytes).map_err(|e| error(e.to_string()))?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let seed = name.rsplit('-').next().and_then(|n| n.parse().ok());
    Ok(Case {
        seed: seed.unwrap_or(0),
        wasm: wasm.into_owned(),
    })
}

/// How code is generated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode {
    /// What commands and reports call it.
    pub name: &'static str,
    addressing: Addressing,
    memory: MemoryMode,
    opt_level: OptLevel,
    /// Of each function, which codes there are: for x86_64 only.
    twins: Twins,
    /// For another CPU than the baseline.
    pub cpu: Option<Cpu>,
}

impl Mode {
    /// All modes; the first one is the default of the command line.
    pub const ALL: &[Mode] = &[
        Self::new(
            "fixed",
            Addressing::Fixed,
            MemoryMode::Guarded,
            OptLevel::O2,
        ),
        Self::new(
            "fixed-O0",
            Addressing::Fixed,
            MemoryMode::Guarded,
            OptLevel::O0,
        ),
        Self::new(
            "fixed-O1",
            Addressing::Fixed,
            MemoryMode::Guarded,
            OptLevel::O1,
        ),
        Self::new(
            "fixed-Os",
            Addressing::Fixed,
            MemoryMode::Guarded,
            OptLevel::Os,
        ),
        Self::new(
            "checked",
            Addressing::Fixed,
            MemoryMode::Checked,
            OptLevel::O2,
        ),
        Self::new(
            "context",
            Addressing::Context,
            MemoryMode::Guarded,
            OptLevel::O2,
        ),
        Self::new(
            "context-checked",
            Addressing::Context,
            MemoryMode::Checked,
            OptLevel::O2,
        ),
        Self {
            twins: Twins::All,
            ..Self::new(
                "twins",
                Addressing::Fixed,
                MemoryMode::Guarded,
                OptLevel::O2,
            )
        },
    ];

    const fn new(
        name: &'static str,
        addressing: Addressing,
        memory: MemoryMode,
        opt_level: OptLevel,
    ) -> Self {
        Self {
            name,
            addressing,
            memory,
            opt_level,
            twins: Twins::Never,
            cpu: None,
        }
    }

    /// The same for a CPU.
    #[must_use]
    pub const fn on(self, cpu: Option<Cpu>) -> Self {
        Self { cpu, ..self }
    }

    /// A mode for the batch that begins with this seed: every other one the default, the others in turn.
    #[must_use]
    pub fn of_seed(seed: u64) -> Self {
        let mut random = Random::new(!seed);
        if random.one_in(2) {
            Self::ALL[0]
        } else {
            Self::ALL[1 + random.below(Self::ALL.len() - 1)]
        }
    }

    /// The compiler's options for it.
    #[must_use]
    pub fn options(self, arch: Arch) -> Options {
        Options {
            addressing: self.addressing,
            memory: self.memory,
            opt_level: self.opt_level,
            twins: self.twins,
            cpu: self.cpu.unwrap_or_default(),
            ..Options::new(arch)
        }
    }
}

/// What a case came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every step was as the oracle says.
    Same {
        /// Steps that were compared.
        steps: usize,
        /// How those among them trapped that did.
        traps: Vec<TrapCode>,
        /// The stack was exhausted on one side, or time; what would follow was left out.
        cut: bool,
    },
    /// The oracle can't run it.
    Discarded(String),
    /// Something differs, or the compiler or the executable failed.
    Different(String),
    /// All cases in one executable fail, each in its own does not. Said of the first.
    DifferentTogether(String),
}

/// Tries cases together.
#[must_use]
pub fn run(cases: &[Case], arch: Arch, mode: Mode) -> Vec<Verdict> {
    let subjects: Vec<Result<Subject<'_>, Verdict>> = cases.iter().map(Subject::new).collect();
    let runnable: Vec<&Subject<'_>> = subjects.iter().filter_map(|s| s.as_ref().ok()).collect();
    let mut verdicts = match try_together(&runnable, arch, mode) {
        Ok(verdicts) => verdicts,
        Err(message) if runnable.len() > 1 => {
            // Whose fault is it?
            let mut verdicts: Vec<Verdict> = runnable
                .iter()
                .map(|subject| alone(subject, arch, mode))
                .collect();
            let is_found = |v: &Verdict| matches!(v, Verdict::Different(_));
            if !verdicts.iter().any(is_found) && !is_emulators(&message) {
                verdicts[0] = Verdict::DifferentTogether(message);
            }
            verdicts
        }
        Err(message) => vec![failed(message)],
    }
    .into_iter();
    subjects
        .iter()
        .map(|subject| match subject {
            Ok(_) => verdicts
                .next()
                .unwrap_or_else(|| Verdict::Different("there is no verdict".to_owned())),
            Err(verdict) => verdict.clone(),
        })
        .collect()
}

fn alone(subject: &Subject<'_>, arch: Arch, mode: Mode) -> Verdict {
    match try_together(&[subject], arch, mode) {
        Ok(mut verdicts) => verdicts.remove(0),
        Err(message) => failed(message),
    }
}

/// What is said of a case that fails as a whole.
fn failed(message: String) -> Verdict {
    if is_emulators(&message) {
        return Verdict::Discarded("an assertion of qemu's".to_owned());
    }
    Verdict::Different(message)
}

/// Is it the emulator that failed? qemu-riscv64 7.2 sets the rounding mode twice for a `vfcvt.rtz` with which a block of
/// its begins, and stops itself.
fn is_emulators(message: &str) -> bool {
    message.contains("decode_save_opc")
}

/// A case that the oracle ran.
struct Subject<'a> {
    module: Module<'a>,
    behaviour: Behaviour,
    /// The module that looks at this one.
    watcher: Vec<u8>,
}

impl<'a> Subject<'a> {
    fn new(case: &'a Case) -> Result<Self, Verdict> {
        let module = parse::parse("case", &case.wasm)
            .map_err(|e| Verdict::Different(format!("not read: {}", describe(&e))))?;
        // Its translator panics now and then.
        let run = AssertUnwindSafe(|| oracle::run(&case.wasm, &module, case.seed));
        let behaviour = catch_unwind(run)
            .unwrap_or_else(|_| Err("the oracle panics".to_owned()))
            .map_err(Verdict::Discarded)?;
        let watcher = wat::parse_str(oracle::watcher(&module, "case"))
            .map_err(|e| Verdict::Discarded(format!("no watcher: {e}")))?;
        Ok(Self {
            module,
            behaviour,
            watcher,
        })
    }

    fn is_made(&self) -> bool {
        matches!(self.behaviour.steps.first(), Some((_, Outcome::Done(_))))
    }
}

fn describe(error: &Error) -> String {
    match error.place() {
        Some(place) => format!("{error} ({place})"),
        None => error.to_string(),
    }
}

/// Builds one executable of all subjects and compares what it prints.
///
/// # Errors
/// What failed as a whole.
fn try_together(subjects: &[&Subject<'_>], arch: Arch, mode: Mode) -> Result<Vec<Verdict>, String> {
    if subjects.iter().all(|s| s.behaviour.steps.is_empty()) {
        return Ok(subjects.iter().map(|s| compare(s, &[])).collect());
    }
    let options = mode.options(arch);
    let watchers: Vec<Module<'_>> = subjects
        .iter()
        .map(|s| parse::parse("watcher", &s.watcher).map_err(|e| describe(&e)))
        .collect::<Result<_, _>>()?;
    let mut linker = Linker::script(&options);
    let mut id = 0;
    for (subject, watcher) in subjects.iter().zip(&watchers) {
        add(&mut linker, subject, watcher, &mut id)
            .map_err(|e| format!("not linked: {}", describe(&e)))?;
    }
    let program = linker.finish();
    let executable = catch_unwind(AssertUnwindSafe(|| driver::build(&program, &options)))
        .map_err(|panic| format!("the compiler panics: {}", panic_message(&*panic)))?
        .map_err(|message| format!("not compiled: {message}"))?;
    let run = start(&executable, &options)?;
    if let Some(failure) = run.failure {
        return Err(format!("it failed: {failure}"));
    }
    if run.lines.len() != id as usize || !run.lines.iter().map(|(id, _)| *id).eq(0..id) {
        return Err("it did not report every step".to_owned());
    }
    let mut lines = run.lines.iter().map(|(_, printed)| printed);
    Ok(subjects
        .iter()
        .map(|subject| {
            let printed: Vec<&Printed> = lines.by_ref().take(actions(subject)).collect();
            compare(subject, &printed)
        })
        .collect())
}

/// Runs an executable. Another thread that starts a process just then has it open for writing for a moment,
/// between its `fork` and `exec`.
fn start(executable: &[u8], options: &Options) -> Result<driver::Run, String> {
    let mut tries = 0;
    loop {
        match driver::run(executable, options) {
            Err(message) if tries < 5 && message.contains("Text file busy") => tries += 1,
            result => return result,
        }
    }
}

/// How many actions a subject takes.
fn actions(subject: &Subject<'_>) -> usize {
    // Its watcher is an instance as well.
    subject.behaviour.steps.len() + usize::from(subject.is_made())
}

fn add<'m>(
    linker: &mut Linker<'m, 'm>,
    subject: &'m Subject<'m>,
    watcher: &'m Module<'m>,
    id: &mut u32,
) -> Result<(), Error> {
    let mut next = || {
        *id += 1;
        *id - 1
    };
    let mut instances = None;
    for (step, _) in &subject.behaviour.steps {
        match (step, instances) {
            (Step::Instantiate, _) => {
                let instance = linker.instantiate(next(), &subject.module)?;
                if subject.is_made() {
                    linker.register("case", instance);
                    instances = Some((instance, linker.instantiate(next(), watcher)?));
                }
            }
            (Step::Call { export, arguments }, Some((instance, _))) => {
                let arguments: Vec<(ValType, Constant)> = arguments
                    .iter()
                    .map(|(ty, word)| match word {
                        0 if ty.is_reference_type() => (*ty, Constant::Null),
                        word if *ty == ValType::V128 => (*ty, Constant::V128(*word)),
                        word => (*ty, Constant::Bits(*word as u64)),
                    })
                    .collect();
                linker.invoke(next(), instance, export, &arguments)?;
            }
            (Step::Observe, Some((_, watcher))) => {
                linker.invoke(next(), watcher, "observe", &[])?;
            }
            (Step::Call { .. } | Step::Observe, None) => {}
        }
    }
    Ok(())
}

fn compare(subject: &Subject<'_>, printed: &[&Printed]) -> Verdict {
    let mut traps = Vec::new();
    let mut cut = subject.behaviour.cut.is_some();
    // The watcher's instance comes second.
    let printed = printed
        .iter()
        .enumerate()
        .filter(|(i, _)| *i != 1 || !subject.is_made());
    let mut compared = 0;
    for (n, ((step, expected), (_, printed))) in
        subject.behaviour.steps.iter().zip(printed).enumerate()
    {
        let agree = match (expected, printed) {
            (_, Printed::Trap(TrapCode::StackExhausted)) => {
                cut = true;
                break;
            }
            (Outcome::Done(words), Printed::Done(slots)) => {
                let types = result_types(subject, step);
                words.len() == slots.len()
                    && words
                        .iter()
                        .zip(slots)
                        .enumerate()
                        .all(|(i, (word, slot))| same(types.get(i).copied(), *word, *slot))
            }
            (Outcome::Trap(expected), Printed::Trap(found)) => {
                traps.push(*found);
                // The oracle has one name for both.
                expected == found
                    || (*expected == TrapCode::TableOutOfBounds
                        && *found == TrapCode::UndefinedElement)
            }
            _ => false,
        };
        if !agree {
            return Verdict::Different(format!(
                "step {n}, {step:x?}: {printed:x?}, the oracle says {expected:x?}"
            ));
        }
        compared += 1;
    }
    Verdict::Same {
        steps: compared,
        traps,
        cut,
    }
}

fn result_types<'s>(subject: &'s Subject<'_>, step: &Step) -> &'s [ValType] {
    let Step::Call { export, .. } = step else {
        return &[];
    };
    match subject.module.export(export) {
        Some(elfin_compiler::module::Item::Function(index)) => {
            subject.module.function_type(index).results()
        }
        _ => &[],
    }
}

fn same(ty: Option<ValType>, word: Word, slot: u128) -> bool {
    match ty {
        // Which function it is has no number.
        Some(ty) if ty == ValType::FUNCREF => (word != 0) == (slot != 0),
        _ => word == slot,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A comparison that never fails would find nothing for ever.
    #[test]
    fn a_wrong_word_or_trap_is_seen() {
        let arch = Arch::ALL
            .iter()
            .find(|arch| arch.name() == std::env::consts::ARCH)
            .expect("a target of ours");
        let (mut words, mut traps) = (0, 0);
        for case in (0..12).filter_map(|seed| Source::Smith.case(seed)) {
            let mut subject = Subject::new(&case).expect("a case for the oracle");
            assert!(matches!(
                alone(&subject, *arch, Mode::ALL[0]),
                Verdict::Same { .. }
            ));
            let Some((_, outcome)) = subject.behaviour.steps.last_mut() else {
                continue;
            };
            match outcome {
                Outcome::Done(found) if !found.is_empty() => {
                    let last = found.len() - 1;
                    found[last] ^= 1;
                    words += 1;
                }
                _ => continue,
            }
            let wrong = alone(&subject, *arch, Mode::ALL[0]);
            assert!(
                matches!(wrong, Verdict::Different(_)),
                "{}: {wrong:?}",
                case.seed
            );

            let mut subject = Subject::new(&case).expect("a case for the oracle");
            let trapped = subject
                .behaviour
                .steps
                .iter_mut()
                .find_map(|(_, o)| match o {
                    Outcome::Trap(code) => Some(code),
                    Outcome::Done(_) => None,
                });
            let Some(code) = trapped else { continue };
            *code = TrapCode::NullReference;
            traps += 1;
            let wrong = alone(&subject, *arch, Mode::ALL[0]);
            assert!(
                matches!(wrong, Verdict::Different(_)),
                "{}: {wrong:?}",
                case.seed
            );
        }
        assert!(words > 5 && traps > 3, "{words} {traps}");
    }
}

//! Functions that are in an executable twice: for every x86_64 processor, and for those with AVX (2011).
//!
//! The baseline of x86_64 has no instruction for rounding, for counting bits and for most shuffles; code that does little
//! else takes two to five times as long there (`docs/performance.md`). Where no level is asked for, functions with such
//! operators are compiled for x86-64-v2 with AVX as well, and three instructions choose between the two when one is
//! called: [`Symbol::Function`] is those instructions, [`Symbol::Plain`] and [`Symbol::Twin`] are what they lead to. Calls
//! between such functions need no choice any more.
//!
//! In: the options, what a first reading of each function found. Out: what the work list, code generation and the main
//! function ask. The runtime sets the byte that is compared (`elfin_find_cpu`); until then it is the plain code that runs.

use crate::codegen::{CompiledFunction, Relocation, Target};
use crate::cpu::{Cpu, Feature, Features, Level};
use crate::error::Result;
use crate::isa;
use crate::options::{Arch, OptLevel, Options, Twins};
use crate::program::FuncId;
use crate::symbol::Symbol;
use crate::translate::Env;
use crate::usage::body_of;
use cranelift_codegen::binemit::Reloc;

/// Which functions have a twin under these options: none for another machine, where a level is asked for, or where the
/// least code is.
#[must_use]
pub fn of(options: &Options) -> Twins {
    let baseline = options.arch == Arch::X86_64 && options.cpu == Cpu::default();
    match options.opt_level {
        OptLevel::O1 | OptLevel::O2 if baseline => options.twins,
        _ => Twins::Never,
    }
}

/// What twins are compiled for. All of it is in one leaf of CPUID, each of which costs 8 µs at start in a virtual machine;
/// x86-64-v3 needs five, and gives next to nothing more.
#[must_use]
pub fn cpu() -> Cpu {
    Cpu {
        level: Level::X86_64V2,
        features: Features::of(&[Feature::Popcnt, Feature::Avx]),
    }
}

/// Whether some function of the program has a twin.
#[must_use]
pub fn are_used(env: Env<'_>) -> bool {
    match env.twins {
        Twins::Never => false,
        Twins::Gaining => env.usage.gains,
        Twins::All => true,
    }
}

fn has_twin(env: Env<'_>, id: FuncId) -> bool {
    match env.twins {
        Twins::Never => false,
        Twins::Gaining => body_of(env.program, id).summary.gains,
        Twins::All => true,
    }
}

/// What of a function is to be compiled.
pub fn symbols(env: Env<'_>, id: FuncId) -> impl Iterator<Item = Symbol> {
    let own = [Symbol::Function(id), Symbol::Plain(id), Symbol::Twin(id)];
    own.into_iter().take(if has_twin(env, id) { 3 } else { 1 })
}

/// Whether a symbol is the choice between the two, and no code of its own.
#[must_use]
pub fn is_chooser(env: Env<'_>, symbol: Symbol) -> bool {
    matches!(symbol, Symbol::Function(id) if has_twin(env, id))
}

/// What tells the codes of one function apart in names.
#[must_use]
pub const fn suffix(symbol: Symbol) -> &'static str {
    match symbol {
        Symbol::Plain(_) => ".x86-64",
        Symbol::Twin(_) => ".avx",
        _ => "",
    }
}

/// What a twin is translated for.
#[must_use]
pub fn env(env: Env<'_>) -> Env<'_> {
    Env { cpu: cpu(), ..env }
}

/// What code of `caller` refers to as `target`: where a choice was made already, what it led to.
#[must_use]
pub fn known_callee(env: Env<'_>, caller: Symbol, target: Symbol) -> Symbol {
    match (caller, target) {
        (Symbol::Plain(_), Symbol::Function(id)) if has_twin(env, id) => Symbol::Plain(id),
        (Symbol::Twin(_), Symbol::Function(id)) if has_twin(env, id) => Symbol::Twin(id),
        _ => target,
    }
}

/// The code of [`Symbol::Function`] for a function with a twin. It leaves every register and the stack as they are, and
/// nothing of it can trap: in a backtrace it never stands.
///
/// # Panics
/// When `symbol` is no [`Symbol::Function`].
#[must_use]
pub fn chooser(symbol: Symbol, disassemble: bool) -> CompiledFunction {
    let Symbol::Function(id) = symbol else {
        unreachable!("only a function has a twin")
    };
    let code = [
        &[0x80, 0x3d, 0, 0, 0, 0, 0][..], // cmp byte ptr [rip + found], 0
        &[0x0f, 0x85, 0, 0, 0, 0],        // jne twin
        &[0xe9, 0, 0, 0, 0],              // jmp plain
    ]
    .concat();
    // Distances count from the end of the instruction: behind the four bytes, and behind the 0 that is compared with.
    let relocations = [
        (2, Reloc::X86PCRel4, Symbol::CpuFound, -5),
        (9, Reloc::X86CallPCRel4, Symbol::Twin(id), -4),
        (14, Reloc::X86CallPCRel4, Symbol::Plain(id), -4),
    ];
    let relocation = |(offset, kind, target, addend)| Relocation {
        offset,
        kind,
        target: Target::Symbol(target),
        addend,
    };
    CompiledFunction {
        symbol,
        code,
        alignment: 8,
        relocations: relocations.map(relocation).to_vec(),
        traps: Vec::new(),
        safepoints: Vec::new(),
        frameless: true,
        unwind: None,
        disassembly: disassemble.then(|| {
            "\tcmpb $0, elfin_cpu_found(%rip)\n\tjne the code for newer processors\n\tjmp the code for x86-64\n".into()
        }),
    }
}

/// What functions are compiled with.
#[derive(Clone)]
pub struct Isas {
    plain: isa::Isas,
    twins: Option<isa::Isas>,
}

impl Isas {
    /// For what a symbol stands for.
    #[must_use]
    pub fn of(&self, symbol: Symbol) -> &isa::Isas {
        match (&self.twins, symbol) {
            (Some(twins), Symbol::Twin(_)) => twins,
            _ => &self.plain,
        }
    }
}

/// The instruction sets of a program.
///
/// # Errors
/// As [`isa::build`].
pub fn isas(env: Env<'_>, options: &Options) -> Result<Isas> {
    let throws = env.usage.throws;
    let newer = || Options {
        cpu: cpu(),
        ..options.clone()
    };
    Ok(Isas {
        plain: isa::build(options, throws)?,
        twins: are_used(env)
            .then(|| isa::build(&newer(), throws))
            .transpose()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_plain_baseline_has_twins() {
        let of = |change: &dyn Fn(&mut Options)| {
            let mut options = Options::new(Arch::X86_64);
            options.twins = Twins::Gaining;
            change(&mut options);
            of(&options)
        };
        assert_eq!(of(&|_| {}), Twins::Gaining);
        assert_eq!(of(&|o| o.opt_level = OptLevel::O1), Twins::Gaining);
        assert_eq!(of(&|o| o.opt_level = OptLevel::O0), Twins::Never);
        assert_eq!(of(&|o| o.opt_level = OptLevel::Os), Twins::Never);
        assert_eq!(of(&|o| o.arch = Arch::Aarch64), Twins::Never);
        assert_eq!(of(&|o| o.cpu = cpu()), Twins::Never);
        assert_eq!(super::of(&Options::new(Arch::X86_64)), Twins::Never);
    }

    #[test]
    fn places_to_be_filled_in_are_zero_and_inside() {
        let function = chooser(Symbol::Function(FuncId(7)), false);
        for relocation in &function.relocations {
            let at = relocation.offset as usize;
            assert_eq!(function.code[at..at + 4], [0; 4]);
        }
        // The last instruction ends where the code does.
        assert_eq!(
            function.relocations[2].offset as usize + 4,
            function.code.len()
        );
    }
}

//! Target and options → Cranelift's `TargetIsa`. The only place that names Cranelift's flags.

use crate::cpu::Feature;
use crate::effort::Effort;
use crate::error::{Error, Place, Result};
use crate::options::{Arch, OptLevel, Options};
use cranelift_codegen::isa::{self, OwnedTargetIsa, TargetIsa};
use cranelift_codegen::settings::{self, Configurable};
use target_lexicon::Triple;

/// What functions are compiled with, by effort.
#[derive(Clone)]
pub struct Isas {
    full: OwnedTargetIsa,
    quick: OwnedTargetIsa,
    least: OwnedTargetIsa,
}

impl Isas {
    /// The instruction set and flags for an effort.
    #[must_use]
    pub fn of(&self, effort: Effort) -> &dyn TargetIsa {
        match effort {
            Effort::Full => &*self.full,
            Effort::Quick => &*self.quick,
            Effort::Least => &*self.least,
        }
    }
}

/// The instruction set and flags to compile with. `unwinds`: where registers are saved will be asked for.
///
/// # Errors
/// [`Error::Internal`] when Cranelift does not know a flag.
pub fn build(options: &Options, unwinds: bool) -> Result<Isas> {
    Ok(Isas {
        full: build_one(options, unwinds, Effort::Full)?,
        quick: build_one(options, unwinds, Effort::Quick)?,
        least: build_one(options, unwinds, Effort::Least)?,
    })
}

fn build_one(options: &Options, unwinds: bool, effort: Effort) -> Result<OwnedTargetIsa> {
    let internal = |message: String| Error::Internal {
        message,
        place: Place::default(),
    };
    let mut flags = settings::builder();
    let opt_level = match options.opt_level {
        _ if effort == Effort::Least => "none",
        OptLevel::O0 | OptLevel::O1 => "none",
        OptLevel::O2 => "speed",
        OptLevel::Os => "speed_and_size",
    };
    let regalloc = if options.opt_level == OptLevel::O0 || effort != Effort::Full {
        "single_pass"
    } else {
        "backtracking"
    };
    // x86_64 keeps frame pointers at no cost; elsewhere leaf functions go without (a backtrace starts
    // from the link register there).
    let frame_pointers = if options.arch == Arch::X86_64 {
        "true"
    } else {
        "false"
    };
    for (name, value) in [
        ("opt_level", opt_level),
        ("regalloc_algorithm", regalloc),
        ("is_pic", "false"),
        ("use_colocated_libcalls", "true"),
        (
            "enable_verifier",
            if cfg!(debug_assertions) {
                "true"
            } else {
                "false"
            },
        ),
        // Frames larger than a page touch every page: the guard below the stack can't be jumped.
        ("enable_probestack", "true"),
        ("probestack_strategy", "inline"),
        ("preserve_frame_pointers", frame_pointers),
        ("unwind_info", if unwinds { "true" } else { "false" }),
        // Where blocks begin, for the passes over machine code.
        (
            "machine_code_cfg_info",
            if options.arch == Arch::X86_64 && effort == Effort::Full {
                "true"
            } else {
                "false"
            },
        ),
        // Functions with more results than return registers.
        ("enable_multi_ret_implicit_sret", "true"),
    ] {
        flags
            .set(name, value)
            .map_err(|e| internal(format!("flag {name}: {e}")))?;
    }
    let triple: Triple = match options.arch {
        Arch::X86_64 => "x86_64-unknown-linux-gnu",
        Arch::Aarch64 => "aarch64-unknown-linux-gnu",
        Arch::Riscv64 => "riscv64gc-unknown-linux-gnu",
    }
    .parse()
    .map_err(|e| internal(format!("target: {e}")))?;
    let mut isa = isa::lookup(triple).map_err(|e| internal(format!("target: {e}")))?;
    for feature in options.cpu.features.iter() {
        let flag = flag(feature);
        isa.enable(flag)
            .map_err(|e| internal(format!("flag {flag}: {e}")))?;
    }
    isa.finish(settings::Flags::new(flags))
        .map_err(|e| internal(format!("target: {e}")))
}

/// What the back end calls a feature.
const fn flag(feature: Feature) -> &'static str {
    match feature {
        Feature::Sse3 => "has_sse3",
        Feature::Ssse3 => "has_ssse3",
        Feature::Sse41 => "has_sse41",
        Feature::Sse42 => "has_sse42",
        Feature::Popcnt => "has_popcnt",
        Feature::Cmpxchg16b => "has_cmpxchg16b",
        Feature::Avx => "has_avx",
        Feature::Avx2 => "has_avx2",
        Feature::Fma => "has_fma",
        Feature::Bmi1 => "has_bmi1",
        Feature::Bmi2 => "has_bmi2",
        Feature::Lzcnt => "has_lzcnt",
        Feature::Avx512f => "has_avx512f",
        Feature::Avx512dq => "has_avx512dq",
        Feature::Avx512vl => "has_avx512vl",
        Feature::Avx512vbmi => "has_avx512vbmi",
        Feature::Avx512bitalg => "has_avx512bitalg",
        Feature::Lse => "has_lse",
        Feature::Dotprod => "has_dotprod",
        // At least 128 bits wide, which the back end takes it for.
        Feature::V => "has_v",
        Feature::Zba => "has_zba",
        Feature::Zbb => "has_zbb",
        Feature::Zbs => "has_zbs",
        Feature::Zicond => "has_zicond",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::{Cpu, Features, arch_of};

    #[test]
    fn the_back_end_knows_every_feature() {
        for arch in Arch::ALL {
            let features: Vec<Feature> = Feature::ALL
                .iter()
                .copied()
                .filter(|feature| arch_of(*feature) == *arch)
                .collect();
            let mut options = Options::new(*arch);
            options.cpu = Cpu {
                features: Features::of(&features),
                ..Cpu::default()
            };
            let isa = build(&options, false).unwrap();
            for feature in features {
                let name = flag(feature);
                let set = isa
                    .of(Effort::Full)
                    .isa_flags()
                    .into_iter()
                    .find(|f| f.name == name);
                assert_eq!(set.and_then(|f| f.as_bool()), Some(true), "{name}");
            }
        }
    }
}

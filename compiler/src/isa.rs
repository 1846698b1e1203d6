//! Target and options → Cranelift's `TargetIsa`. The only place that names Cranelift's flags.

use crate::error::{Error, Place, Result};
use crate::options::{Arch, OptLevel, Options};
use cranelift_codegen::isa::{self, OwnedTargetIsa};
use cranelift_codegen::settings::{self, Configurable};
use target_lexicon::Triple;

/// The instruction set and flags to compile with. `unwinds`: where registers are saved will be asked for.
///
/// # Errors
/// [`Error::Internal`] when Cranelift does not know a flag.
pub fn build(options: &Options, unwinds: bool) -> Result<OwnedTargetIsa> {
    let internal = |message: String| Error::Internal {
        message,
        place: Place::default(),
    };
    let mut flags = settings::builder();
    let opt_level = match options.opt_level {
        OptLevel::O0 | OptLevel::O1 => "none",
        OptLevel::O2 => "speed",
        OptLevel::Os => "speed_and_size",
    };
    let regalloc = if options.opt_level == OptLevel::O0 {
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
        // Where blocks begin, for the pass that shortens branches.
        (
            "machine_code_cfg_info",
            if options.arch == Arch::X86_64 {
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
    let isa = isa::lookup(triple).map_err(|e| internal(format!("target: {e}")))?;
    isa.finish(settings::Flags::new(flags))
        .map_err(|e| internal(format!("target: {e}")))
}

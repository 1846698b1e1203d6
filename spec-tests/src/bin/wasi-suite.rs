//! `wasi-suite`: directories of the wasi-testsuite's form from the command line.
//!
//! In: directories, targets, modes. Out: what failed (with `-v`, every program), the table, exit status 1
//! if anything failed.

use clap::{Parser, ValueEnum};
use elfin_compiler::Arch;
use spec_tests::suite::{self, Config};
use std::path::PathBuf;
use std::process::ExitCode;

/// Runs WASI preview 1 programs with expectations beside them, as WebAssembly/wasi-testsuite has them.
#[derive(Debug, Parser)]
#[command(name = "wasi-suite")]
struct Arguments {
    /// Directories that are searched for programs, or programs (.wasm or .wat).
    #[arg(required = true)]
    programs: Vec<PathBuf>,
    /// May be given several times; all stands for the three of them.
    #[arg(long, value_enum, default_value = std::env::consts::ARCH)]
    target: Vec<Target>,
    /// Accept no errno but Linux's: ERRNO_MODE_UNIX=1 for programs that know it, the suite's Rust ones.
    #[arg(long)]
    strict: bool,
    /// Native programs see a kernel without openat2.
    #[arg(long)]
    old_kernel: bool,
    /// Only programs whose name contains this.
    #[arg(long)]
    only: Option<String>,
    /// Show every program.
    #[arg(short)]
    verbose: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Target {
    #[value(name = "x86_64")]
    X86_64,
    Aarch64,
    Riscv64,
    All,
}

impl Target {
    fn archs(self) -> Vec<Arch> {
        match self {
            Target::X86_64 => vec![Arch::X86_64],
            Target::Aarch64 => vec![Arch::Aarch64],
            Target::Riscv64 => vec![Arch::Riscv64],
            Target::All => Arch::ALL.to_vec(),
        }
    }
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(code) => code,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    let mut programs = Vec::new();
    for path in &arguments.programs {
        let found = suite::find(path).map_err(|e| format!("{}: {e}", path.display()))?;
        if found.is_empty() {
            return Err(format!("{}: no programs there", path.display()));
        }
        programs.extend(found);
    }
    if let Some(part) = &arguments.only {
        programs.retain(|program| program.name.contains(part));
    }
    if programs.is_empty() {
        return Err("no program has such a name".to_owned());
    }
    let configs: Vec<Config> = arguments
        .target
        .iter()
        .flat_map(|target| target.archs())
        .map(|arch| Config {
            arch,
            strict: arguments.strict,
            old_kernel: arguments.old_kernel && arch.name() == std::env::consts::ARCH,
        })
        .collect();
    let pool = spec_tests::pool().map_err(|e| format!("cannot start threads: {e}"))?;
    let outcomes = pool.install(|| suite::run_all(&programs, &configs));
    print!("{}", suite::report(&outcomes, arguments.verbose));
    let failed = outcomes.iter().any(|outcome| outcome.failure.is_some());
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

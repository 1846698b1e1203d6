//! `spec-tests`: scripts from the command line.
//!
//! In: files, a target and a mode. Out: what failed (with `-v`, every directive), the table, exit status 1
//! if anything failed.

use clap::Parser;
use elfin_compiler::{Addressing, Arch, Cpu, MemoryMode, OptLevel};
use spec_tests::{Config, Outcome, report};
use std::path::PathBuf;
use std::process::ExitCode;

/// Runs WebAssembly test scripts through real executables.
#[derive(Debug, Parser)]
#[command(name = "spec-tests")]
struct Arguments {
    /// Scripts, or folders that are searched for them.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// x86_64, aarch64 or riscv64; may be given several times.
    #[arg(long, value_parser = arch, default_value = std::env::consts::ARCH)]
    target: Vec<Arch>,
    /// How code finds the state of instances: fixed or context.
    #[arg(long, value_parser = addressing, default_value = "fixed")]
    mode: Addressing,
    /// How memories are kept inside: guarded or checked.
    #[arg(long, value_parser = memory, default_value = "guarded")]
    memory: MemoryMode,
    /// Optimisation level: 0, 1, 2 or s.
    #[arg(short = 'O', value_parser = opt_level, default_value = "2")]
    opt_level: OptLevel,
    /// CPU level of the target, as `elfin build` takes it.
    #[arg(long, default_value = "baseline")]
    cpu: String,
    /// Collect garbage at every allocation.
    #[arg(long)]
    gc_stress: bool,
    /// Compile every function for newer processors as well (x86_64, without `--cpu`).
    #[arg(long)]
    twins: bool,
    /// Show every directive.
    #[arg(short)]
    verbose: bool,
}

fn choose<T: Copy>(text: &str, choices: &[(&str, T)]) -> Result<T, String> {
    let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
    let found = choices.iter().find(|(name, _)| *name == text);
    found
        .map(|(_, choice)| *choice)
        .ok_or_else(|| format!("one of {}", names.join(", ")))
}

fn arch(text: &str) -> Result<Arch, String> {
    choose(
        text,
        &Arch::ALL
            .iter()
            .map(|arch| (arch.name(), *arch))
            .collect::<Vec<_>>(),
    )
}

fn addressing(text: &str) -> Result<Addressing, String> {
    choose(
        text,
        &[
            ("fixed", Addressing::Fixed),
            ("context", Addressing::Context),
        ],
    )
}

fn memory(text: &str) -> Result<MemoryMode, String> {
    choose(
        text,
        &[
            ("guarded", MemoryMode::Guarded),
            ("checked", MemoryMode::Checked),
        ],
    )
}

fn opt_level(text: &str) -> Result<OptLevel, String> {
    let levels = [
        ("0", OptLevel::O0),
        ("1", OptLevel::O1),
        ("2", OptLevel::O2),
        ("s", OptLevel::Os),
    ];
    choose(text, &levels)
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(code) => code,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    let mut scripts = Vec::new();
    for path in &arguments.files {
        let found = spec_tests::find(path, "").map_err(|e| format!("{}: {e}", path.display()))?;
        if found.is_empty() {
            return Err(format!("{}: no scripts there", path.display()));
        }
        scripts.extend(found);
    }
    let configs: Vec<Config> = arguments
        .target
        .iter()
        .map(|arch| {
            let config = Config::new(*arch, arguments.mode, arguments.memory, arguments.opt_level);
            let config = config.with_cpu(Cpu::parse(&arguments.cpu, *arch)?);
            let config = if arguments.twins {
                config.with_twins()
            } else {
                config
            };
            Ok(if arguments.gc_stress {
                config.with_gc_stress()
            } else {
                config
            })
        })
        .collect::<Result<_, String>>()?;
    let pool = spec_tests::pool().map_err(|e| format!("cannot start threads: {e}"))?;
    let reports = pool.install(|| spec_tests::run_all(&scripts, &configs))?;
    for report in &reports {
        print!("{}", report::directives(report, arguments.verbose));
    }
    print!("{}{}", report::skipped(&reports), report::table(&reports));
    let failed = reports
        .iter()
        .any(|r| r.count(|o| matches!(o, Outcome::Failed(_))) > 0);
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

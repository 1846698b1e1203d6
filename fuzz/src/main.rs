//! The command line of the fuzzers: seeds in, findings out.
//!
//! ```text
//! cargo run --release -p elfin-fuzz -- differential --seed 0 --cases 10000 --target riscv64
//! cargo run --release -p elfin-fuzz -- objects --seed 0 --cases 10000
//! cargo run --release -p elfin-fuzz -- exceptions --seed 0 --cases 10000
//! cargo run --release -p elfin-fuzz -- compile --seed 0 --cases 100000
//! cargo run --release -p elfin-fuzz -- text --seed 0 --cases 100000
//! cargo run --release -p elfin-fuzz -- link --seed 0 --cases 10000
//! ```

use clap::{Parser, Subcommand};
use elfin_compiler::{Arch, Cpu};
use elfin_fuzz::differential::{self, Case, Mode, Source, Verdict};
use elfin_fuzz::generate::Random;
use elfin_fuzz::{compile, corpus, exceptions, link, measure, objects, text};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

/// Looks for modules that elfin gets wrong, crashes on or takes too long for.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// First seed.
    #[arg(long, default_value_t = 0, global = true)]
    seed: u64,
    /// How many seeds.
    #[arg(long, default_value_t = 1000, global = true)]
    cases: u64,
    /// Folder for findings.
    #[arg(long, default_value = "target/elfin-fuzz", global = true)]
    save: PathBuf,
}

#[derive(Subcommand)]
enum Command {
    /// Generated modules: the same results, traps, memories, tables and globals as in the oracle.
    Differential {
        /// Architecture of the executables.
        #[arg(long, value_parser = arch, default_value = std::env::consts::ARCH)]
        target: Arch,
        /// How code is generated; `mixed` is another one from batch to batch.
        #[arg(long, value_parser = mode, default_value = "mixed")]
        mode: Modes,
        /// CPU level of the executables, as `elfin build --cpu` takes it.
        #[arg(long)]
        cpu: Option<String>,
        /// Modules in one executable; without it, one to eight natively and 32 under emulation.
        #[arg(long)]
        batch: Option<u64>,
        /// Modules of vector operations, and not what wasm-smith makes.
        #[arg(long)]
        vectors: bool,
        /// Modules of loops, switches and machines with states; with `--vectors`, vectors live around them.
        #[arg(long)]
        loops: bool,
        /// These modules and not generated ones.
        files: Vec<PathBuf>,
    },
    /// Generated modules that make objects: the same results whenever garbage is collected.
    Objects {
        /// Architecture of the executables that are compared with this machine's.
        #[arg(long, value_parser = arch, default_value = std::env::consts::ARCH)]
        target: Arch,
    },
    /// Generated programs that throw and catch: the same results and effects as in a model.
    Exceptions {
        /// Architecture of the executables.
        #[arg(long, value_parser = arch, default_value = std::env::consts::ARCH)]
        target: Arch,
        /// How code is generated; `mixed` is another one from batch to batch.
        #[arg(long, value_parser = mode, default_value = "mixed")]
        mode: Modes,
        /// Programs in one executable; without it, one to eight natively and 32 under emulation.
        #[arg(long)]
        batch: Option<u64>,
    },
    /// Damaged modules: the compiler answers with an error or a program, in bounded time.
    Compile,
    /// Damaged texts: the readers answer with an error or a module, in time and memory that follow the text's length.
    Text,
    /// Damaged objects: the linker answers with an error or an image.
    Link,
}

#[derive(Clone, Copy)]
struct Modes(Option<Mode>);

fn arch(text: &str) -> Result<Arch, String> {
    let known = Arch::ALL.iter().find(|a| a.name() == text);
    known.copied().ok_or_else(|| {
        let names: Vec<_> = Arch::ALL.iter().map(|a| a.name()).collect();
        format!("one of {}", names.join(", "))
    })
}

fn mode(text: &str) -> Result<Modes, String> {
    if text == "mixed" {
        return Ok(Modes(None));
    }
    let known = Mode::ALL.iter().find(|m| m.name == text);
    known.map(|mode| Modes(Some(*mode))).ok_or_else(|| {
        let names: Vec<_> = Mode::ALL.iter().map(|m| m.name).collect();
        format!("mixed, or one of {}", names.join(", "))
    })
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

/// How many findings there are.
fn run(arguments: &Arguments) -> Result<usize, String> {
    // Deep nesting must not exhaust the stack of a thread.
    let pool = match arguments.command {
        Command::Text => rayon::ThreadPoolBuilder::new()
            .stack_size(text::STACK)
            .build(),
        _ => spec_tests::pool(),
    };
    let pool = pool.map_err(|e| format!("cannot start threads: {e}"))?;
    let seeds = arguments.seed..arguments.seed.saturating_add(arguments.cases);
    let findings = Findings {
        folder: &arguments.save,
        count: AtomicU64::new(0),
    };
    pool.install(|| match &arguments.command {
        Command::Differential {
            target,
            mode,
            cpu,
            batch,
            vectors,
            loops,
            files,
        } => {
            let source = Source::of_flags(*loops, *vectors);
            let cpu = cpu.as_ref().map(|text| Cpu::parse(text, *target));
            let cpu = cpu.transpose()?;
            let cases = files
                .iter()
                .map(|path| differential::read_case(path))
                .collect::<Result<Vec<_>, _>>()?;
            let batches = if files.is_empty() {
                let native = target.name() == std::env::consts::ARCH;
                batches(seeds, batch.or((!native).then_some(32)))
            } else {
                Vec::new()
            };
            let mut tally = batches
                .par_iter()
                .map(|batch| {
                    let cases: Vec<Case> =
                        batch.clone().filter_map(|seed| source.case(seed)).collect();
                    let mode = mode.0.unwrap_or_else(|| Mode::of_seed(batch.start));
                    let missing = batch.end - batch.start - cases.len() as u64;
                    let mut tally = try_batch(&cases, source, *target, mode.on(cpu), &findings);
                    tally.count("no module generated", missing);
                    tally
                })
                .reduce(Tally::default, Tally::join);
            for case in cases {
                let mode = mode.0.unwrap_or(Mode::ALL[0]);
                tally = tally.join(try_batch(&[case], source, *target, mode.on(cpu), &findings));
            }
            print!("{tally}");
            Ok::<(), String>(())
        }
        Command::Objects { target } => {
            let tally = seeds
                .into_par_iter()
                .map(|seed| try_objects(seed, *target, &findings))
                .reduce(Tally::default, Tally::join);
            print!("{tally}");
            Ok(())
        }
        Command::Exceptions {
            target,
            mode,
            batch,
        } => {
            let native = target.name() == std::env::consts::ARCH;
            let tally = batches(seeds, batch.or((!native).then_some(32)))
                .par_iter()
                .map(|batch| {
                    let mode = mode.0.unwrap_or_else(|| Mode::of_seed(batch.start));
                    try_exceptions(batch.clone(), *target, mode, &findings)
                })
                .reduce(Tally::default, Tally::join);
            print!("{tally}");
            Ok(())
        }
        Command::Compile => {
            let corpus = corpus::read()?;
            let tally = seeds
                .into_par_iter()
                .map(|seed| {
                    let mut tally = Tally::default();
                    match compile::run(&corpus, seed) {
                        Ok(answer) => tally.count(&answer.to_string(), 1),
                        Err(finding) => {
                            tally.count("FOUND", 1);
                            findings.save(
                                &format!("compile-{seed}"),
                                &finding.input,
                                &finding.message,
                                &format!("compile --seed {seed} --cases 1"),
                            );
                        }
                    }
                    tally
                })
                .reduce(Tally::default, Tally::join);
            print!("{tally}");
            Ok(())
        }
        Command::Text => {
            let corpus = text::read()?;
            let tally = seeds
                .into_par_iter()
                .map(|seed| {
                    let mut tally = Tally::default();
                    match text::run(&corpus, seed) {
                        Ok((answer, cost)) => {
                            tally.count(&answer.to_string(), 1);
                            tally.most(cost);
                        }
                        Err(finding) => {
                            tally.count("FOUND", 1);
                            findings.save(
                                &format!("text-{seed}"),
                                &finding.input,
                                &finding.message,
                                &format!("text --seed {seed} --cases 1"),
                            );
                        }
                    }
                    tally
                })
                .reduce(Tally::default, Tally::join);
            print!("{tally}");
            Ok(())
        }
        Command::Link => {
            let objects = link::objects()?;
            let tally = seeds
                .into_par_iter()
                .map(|seed| {
                    let mut tally = Tally::default();
                    match link::run(&objects, seed) {
                        Ok(true) => tally.count("linked", 1),
                        Ok(false) => tally.count("refused", 1),
                        Err(finding) => {
                            tally.count("FOUND", 1);
                            findings.save(
                                &format!("link-{seed}"),
                                &finding.input,
                                &finding.message,
                                &format!("link --seed {seed} --cases 1"),
                            );
                        }
                    }
                    tally
                })
                .reduce(Tally::default, Tally::join);
            print!("{tally}");
            Ok(())
        }
    })?;
    Ok(findings.count.into_inner() as usize)
}

/// Seeds in batches of `size`, or of different sizes up to eight: only one module of an executable has the
/// memory that is addressed by a constant.
fn batches(seeds: std::ops::Range<u64>, size: Option<u64>) -> Vec<std::ops::Range<u64>> {
    let mut batches = Vec::new();
    let mut start = seeds.start;
    while start < seeds.end {
        let size = size.unwrap_or_else(|| 1 + Random::new(start).below(8) as u64);
        let end = seeds.end.min(start + size.max(1));
        batches.push(start..end);
        start = end;
    }
    batches
}

fn try_batch(
    cases: &[Case],
    source: Source,
    target: Arch,
    mode: Mode,
    findings: &Findings<'_>,
) -> Tally {
    let mut tally = Tally::default();
    for (case, verdict) in cases.iter().zip(differential::run(cases, target, mode)) {
        tally.take(verdict, mode, |message, alone| {
            let (first, last) = (cases[0].seed, cases[cases.len() - 1].seed);
            let (seed, count) = if alone {
                (case.seed, 1)
            } else {
                (first, last - first + 1)
            };
            let command = format!("differential{}", source.flags());
            let again = again(&command, seed, count, target, mode);
            let name = format!("{}-{}-{}", target.name(), mode.name, case.seed);
            findings.save(&name, &case.wasm, message, &again);
        });
    }
    tally
}

fn try_exceptions(
    seeds: std::ops::Range<u64>,
    target: Arch,
    mode: Mode,
    findings: &Findings<'_>,
) -> Tally {
    let mut tally = Tally::default();
    let count = seeds.end - seeds.start;
    let cases: Vec<_> = seeds
        .clone()
        .filter_map(exceptions::Case::generate)
        .collect();
    tally.count("discarded: too long", count - cases.len() as u64);
    for (case, verdict) in cases.iter().zip(exceptions::run(&cases, target, mode)) {
        tally.count("caught", case.caught);
        tally.take(verdict, mode, |message, _| {
            // When garbage is collected is decided by the batch.
            let again = again("exceptions", seeds.start, count, target, mode);
            let name = format!("exceptions-{}-{}-{}", target.name(), mode.name, case.seed);
            findings.save(&name, &case.wasm, message, &again);
        });
    }
    tally
}

fn try_objects(seed: u64, target: Arch, findings: &Findings<'_>) -> Tally {
    let mut tally = Tally::default();
    let Some(wasm) = objects::module(seed) else {
        tally.count("no module generated", 1);
        return tally;
    };
    match objects::run(seed, &wasm, target) {
        objects::Verdict::Same { calls, traps } => {
            tally.count("same", 1);
            tally.count("calls and instances", calls as u64);
            tally.count("traps", traps as u64);
        }
        objects::Verdict::Discarded(reason) => tally.count(&format!("discarded: {reason}"), 1),
        objects::Verdict::Different(message) => {
            tally.count("FOUND", 1);
            let again = format!("objects --seed {seed} --cases 1 --target {}", target.name());
            let name = format!("objects-{}-{seed}", target.name());
            findings.save(&name, &wasm, &message, &again);
        }
    }
    tally
}

/// The arguments that show a finding again.
fn again(command: &str, seed: u64, cases: u64, target: Arch, mode: Mode) -> String {
    let cpu = mode
        .cpu
        .map(|cpu| format!(" --cpu {}", cpu.describe(target)));
    format!(
        "{command} --seed {seed} --cases {cases} --batch {cases} --target {} --mode {}{}",
        target.name(),
        mode.name,
        cpu.unwrap_or_default()
    )
}

/// Counts by what they count.
#[derive(Default)]
struct Tally(BTreeMap<String, u64>, measure::Cost);

impl Tally {
    fn count(&mut self, what: &str, n: u64) {
        if n > 0 {
            *self.0.entry(what.to_owned()).or_default() += n;
        }
    }

    /// Counts a verdict; a finding is handed on, with whether its case shows it alone.
    fn take(&mut self, verdict: Verdict, mode: Mode, found: impl FnOnce(&str, bool)) {
        match verdict {
            Verdict::Same { steps, traps, cut } => {
                self.count("same", 1);
                self.count("steps", steps as u64);
                for code in traps {
                    self.count(&format!("trap: {}", code.message()), 1);
                }
                self.count("cut short", u64::from(cut));
                self.count(&format!("in mode {}", mode.name), 1);
            }
            Verdict::Discarded(reason) => self.count(&format!("discarded: {reason}"), 1),
            Verdict::Different(message) => {
                self.count("FOUND", 1);
                found(&message, true);
            }
            Verdict::DifferentTogether(message) => {
                self.count("FOUND", 1);
                found(&format!("together, not alone: {message}"), false);
            }
        }
    }

    /// Notes what a case cost.
    fn most(&mut self, cost: measure::Cost) {
        self.1.time = self.1.time.max(cost.time);
        self.1.memory = self.1.memory.max(cost.memory);
    }

    fn join(mut self, other: Self) -> Self {
        self.most(other.1);
        for (what, n) in other.0 {
            self.count(&what, n);
        }
        self
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (what, n) in &self.0 {
            writeln!(f, "{n:10} {what}")?;
        }
        if self.1 != measure::Cost::default() {
            let (time, memory) = (self.1.time.as_millis(), self.1.memory >> 20);
            writeln!(f, "{time:10} ms at most\n{memory:10} MiB at most")?;
        }
        Ok(())
    }
}

/// Where findings go.
struct Findings<'a> {
    folder: &'a Path,
    count: AtomicU64,
}

impl Findings<'_> {
    /// Says and saves a finding: the input, its text if it has one, and how to see it again.
    fn save(&self, name: &str, input: &[u8], message: &str, command: &str) {
        self.count.fetch_add(1, Ordering::Relaxed);
        let again = format!("cargo run --release -p elfin-fuzz -- {command}");
        println!("{name}: {message}\n    {again}");
        let write = || {
            std::fs::create_dir_all(self.folder)?;
            let path = self.folder.join(name);
            let is_text = !input.starts_with(b"\0asm") && std::str::from_utf8(input).is_ok();
            let extension = if is_text { "wat" } else { "wasm" };
            std::fs::write(path.with_extension(extension), input)?;
            if let Ok(text) = wasmprinter::print_bytes(input) {
                std::fs::write(path.with_extension("wat"), text)?;
            }
            std::fs::write(path.with_extension("txt"), format!("{message}\n{again}\n"))
        };
        if let Err(error) = write() {
            println!("    it is not saved in {}: {error}", self.folder.display());
        }
    }
}

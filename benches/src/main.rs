//! Measures elfin against its peers: one question a run, each answered by a table of ratios taken
//! in turn on one machine, and by figures that are reached or not.
//!
//! Enters: a question, the `elfin` and `wasmtime` programs, the guests in the folders here, the
//! programs in `../examples` and (where present) the real modules. Leaves: a table on standard output, the same
//! as JSON with `--json`, and status 1 when a figure is missed.
//!
//! Each question is a file; `tools` runs the compilers, `process` the clocks, `corpus` finds the
//! modules, `report` prints.

mod calls;
mod compile;
mod corpus;
mod determinism;
mod error;
mod exceptions;
mod execute;
mod files;
mod memory;
mod objects;
mod process;
mod report;
mod size;
mod startup;
mod statistics;
mod threads;
mod tools;
mod turns;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use crate::error::{Error, Result};
use crate::report::Report;
use crate::tools::Tools;

/// Measures elfin against its peers.
#[derive(Parser)]
#[command(
    name = "elfin-benches",
    version,
    after_help = "Environment:\n  ELFIN          the elfin to measure (default: the one beside this program, then target/release)\n  \
                  WASMTIME       the wasmtime to measure against (default: the one in PATH)\n  \
                  WASMTIME_THREADS  the same with threads, which peers/threads is the source of\n  \
                  ELFIN_MODULES  the real modules (default: ../shared/data/modules)\n\n\
                  Exit status:\n  0  every figure is reached\n  1  a figure is missed, or nothing could be measured\n  2  usage"
)]
struct Options {
    /// What to measure.
    question: Question,

    /// Only programs whose name contains one of these.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,

    /// Rounds of pairs (threads 31, execute, calls and files 9, compile 7, exceptions 5, memory 3, startup 1000).
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,

    /// Exceptions thrown by a run of `exceptions`.
    #[arg(long, value_name = "N", default_value_t = exceptions::THROWS,
          value_parser = clap::value_parser!(u32).range(1..))]
    throws: u32,

    /// Threads of both compilers.
    #[arg(long, value_name = "N", default_value_t = 2)]
    threads: usize,

    /// An argument more for every `elfin build`.
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    elfin_arg: Vec<String>,

    /// The processor that timed programs run on (default: the last one allowed).
    #[arg(long, value_name = "N")]
    cpu: Option<usize>,

    /// Write the report as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Question {
    /// CPU time of the guests, against wasmtime's ahead-of-time code.
    Execute,
    /// CPU time of a million writes and ten million looks at the clock, against wasmtime.
    Calls,
    /// CPU time of guests that make objects, against wasmtime's, and the longest pause for a collection.
    Objects,
    /// Start to exit of hello, against a 400-byte executable that only exits.
    Startup,
    /// Wall time, CPU time and peak memory of building, against `wasmtime compile`.
    Compile,
    /// Bytes of executables and of their text.
    Size,
    /// Peak memory of running programs, against wasmtime.
    Memory,
    /// Throwing and catching, against wasmtime; and a `try_table` in which nothing is thrown.
    Exceptions,
    /// CPU time of walking through many files and reading a large one, against wasmtime.
    Files,
    /// CPU and wall time of guests with two threads, against the wasmtime crate.
    Threads,
    /// The same bytes from several builds, for every module and target.
    Determinism,
}

/// What every question is given.
struct Bench {
    tools: Tools,
    only: Vec<String>,
    rounds: Option<usize>,
    threads: usize,
    cpu: usize,
}

impl Bench {
    /// Is this program asked for?
    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|part| name.contains(part.as_str()))
    }
}

fn run(options: Options) -> Result<bool> {
    let cpu = match options.cpu {
        Some(cpu) => cpu,
        None => process::last_allowed_cpu()?,
    };
    let machine = process::describe_machine(); // before the question pins this process
    let bench = Bench {
        tools: Tools::find(options.elfin_arg)?,
        only: options.only,
        rounds: options.rounds,
        threads: options.threads,
        cpu,
    };
    let mut report: Report = match options.question {
        Question::Calls => calls::measure(&bench)?,
        Question::Execute => execute::measure(&bench, &execute::GUESTS)?,
        Question::Objects => objects::measure(&bench)?,
        Question::Startup => startup::measure(&bench)?,
        Question::Compile => compile::measure(&bench)?,
        Question::Size => size::measure(&bench)?,
        Question::Memory => memory::measure(&bench)?,
        Question::Exceptions => exceptions::measure(&bench, options.throws)?,
        Question::Files => files::measure(&bench)?,
        Question::Threads => threads::measure(&bench)?,
        Question::Determinism => determinism::measure(&bench)?,
    };
    report.machine = machine;
    report.peers = bench.tools.versions()?;
    print!("{report}");
    if let Some(path) = options.json {
        let text = format!("{:#}\n", report.to_json());
        std::fs::write(&path, text)
            .map_err(|e| Error::new(format!("cannot write {}: {e}", path.display())))?;
    }
    Ok(report.passes())
}

fn main() -> ExitCode {
    match run(Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(1)
        }
    }
}

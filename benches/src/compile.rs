//! Question: how long does a build take, and how much memory?
//!
//! `elfin build` and `wasmtime compile` of every real module, in turn, each with the same number of
//! threads (RAYON_NUM_THREADS; with one thread, also on one processor). The figures are those of the
//! largest module.

use std::process::{Command, Stdio};

use crate::Bench;
use crate::corpus::{Program, real_modules};
use crate::error::{Error, Result};
use crate::process::{self, Usage};
use crate::report::{Cell, Figure, Report};
use crate::statistics::median;
use crate::tools::file_size;
use crate::turns::{Pair, in_turn};

const ROUNDS: usize = 7;
const WALL: &str = "wall time of the largest module / wasmtime compile";
const PEAK: &str = "peak memory of the largest module / wasmtime compile";

/// Compiles everything in turn.
pub(crate) fn measure(bench: &Bench) -> Result<Report> {
    let folder = tempfile::tempdir().map_err(|e| Error::new(format!("no scratch folder: {e}")))?;
    if bench.threads == 1 {
        process::pin(bench.cpu)?;
    }
    let mut modules = Vec::new();
    for module in real_modules()?
        .into_iter()
        .filter(|module| bench.wants(&module.name))
    {
        modules.push((file_size(&module.path)?, module));
    }
    modules.sort_by_key(|(size, _)| std::cmp::Reverse(*size));

    let columns = [
        "module",
        "bytes",
        "elfin wall",
        "wasmtime wall",
        "ratio",
        "elfin CPU",
        "wasmtime CPU",
        "ratio",
        "elfin peak",
        "wasmtime peak",
        "ratio",
    ];
    let mut report = Report::new("compile", &columns);
    report
        .notes
        .push(format!("{} threads on both sides.", bench.threads));
    for (i, (size, module)) in modules.iter().enumerate() {
        eprintln!("{}", module.name);
        let is_largest = i == 0;
        let mut row: Vec<Cell> = vec![module.name.as_str().into(), Cell::Bytes(*size)];
        match measure_module(bench, module, folder.path()) {
            Ok(pairs) => {
                row.extend(cells(&pairs));
                if is_largest {
                    let figure =
                        |name, what| Figure::new(name, ratio(&pairs, what), 1.0).note(&module.name);
                    report.figures.push(figure(WALL, wall));
                    report.figures.push(figure(PEAK, peak));
                }
            }
            Err(error) => {
                eprintln!("{}: {error}", module.name);
                let what = format!("failed: {}", error.brief());
                row.push(what.clone().into());
                if is_largest {
                    let wall = Figure::missing(WALL, 1.0, &module.name);
                    let peak = Figure::missing(PEAK, 1.0, what);
                    report.figures.extend([wall, peak]);
                }
            }
        }
        report.rows.push(row);
    }
    if report.figures.is_empty() {
        report
            .figures
            .push(Figure::missing(WALL, 1.0, "no real modules here"));
    }
    Ok(report)
}

/// What is compared of a compilation: seconds, or bytes.
type Measure = fn(Usage) -> f64;

fn wall(usage: Usage) -> f64 {
    usage.wall.as_secs_f64()
}

fn cpu(usage: Usage) -> f64 {
    usage.cpu().as_secs_f64()
}

fn peak(usage: Usage) -> f64 {
    usage.peak as f64
}

fn ratio(pairs: &[Pair], what: Measure) -> f64 {
    median(pairs.iter().map(|pair| what(pair.ours) / what(pair.theirs)))
}

/// Ours, theirs and the ratio: of wall time, CPU time, peak memory.
fn cells(pairs: &[Pair]) -> Vec<Cell> {
    let both = |what: Measure, cell: fn(f64) -> Cell| {
        [
            cell(median(pairs.iter().map(|pair| what(pair.ours)))),
            cell(median(pairs.iter().map(|pair| what(pair.theirs)))),
            Cell::Ratio(ratio(pairs, what)),
        ]
    };
    [
        both(wall, Cell::Seconds),
        both(cpu, Cell::Seconds),
        both(peak, |bytes| Cell::Bytes(bytes as u64)),
    ]
    .concat()
}

fn measure_module(bench: &Bench, module: &Program, folder: &std::path::Path) -> Result<Vec<Pair>> {
    let ours = folder.join("ours");
    let theirs = folder.join("theirs.cwasm");
    // Once before the clock runs: brings the files into memory, and says why when a side can't.
    bench.tools.build_ours(module, None, &ours)?;
    bench.tools.build_theirs(module, &theirs)?;
    let once = |mut command: Command| {
        let command = command.env("RAYON_NUM_THREADS", bench.threads.to_string());
        process::run(
            command
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null()),
        )
    };
    let run_ours = || once(bench.tools.elfin_build(module, None, &ours));
    let run_theirs = || once(bench.tools.wasmtime_compile(module, &theirs));
    in_turn(bench.rounds.unwrap_or(ROUNDS), run_ours, run_theirs)
}

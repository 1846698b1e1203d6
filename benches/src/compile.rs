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
        let largest = i == 0;
        match measure_module(bench, module, folder.path()) {
            Ok(pairs) => {
                let of = |side: fn(&Pair) -> Usage, what: fn(Usage) -> f64| {
                    median(pairs.iter().map(|pair| what(side(pair))))
                };
                let ratio = |what: fn(Usage) -> f64| {
                    median(pairs.iter().map(|pair| what(pair.ours) / what(pair.theirs)))
                };
                let mut row: Vec<Cell> = vec![module.name.as_str().into(), Cell::Bytes(*size)];
                for what in [
                    |usage: Usage| usage.wall.as_secs_f64(),
                    |usage: Usage| usage.cpu().as_secs_f64(),
                ] {
                    row.extend([
                        Cell::Seconds(of(|pair| pair.ours, what)),
                        Cell::Seconds(of(|pair| pair.theirs, what)),
                        Cell::Ratio(ratio(what)),
                    ]);
                }
                let peak = |usage: Usage| usage.peak as f64;
                row.extend([
                    Cell::Bytes(of(|pair| pair.ours, peak) as u64),
                    Cell::Bytes(of(|pair| pair.theirs, peak) as u64),
                    Cell::Ratio(ratio(peak)),
                ]);
                report.rows.push(row);
                if largest {
                    let wall = ratio(|usage| usage.wall.as_secs_f64());
                    report
                        .figures
                        .push(Figure::new(WALL, wall, 1.0).note(&module.name));
                    report
                        .figures
                        .push(Figure::new(PEAK, ratio(peak), 1.0).note(&module.name));
                }
            }
            Err(error) => {
                eprintln!("{}: {error}", module.name);
                let what = format!("failed: {}", error.brief());
                report.rows.push(vec![
                    module.name.as_str().into(),
                    Cell::Bytes(*size),
                    what.clone().into(),
                ]);
                if largest {
                    report
                        .figures
                        .push(Figure::missing(WALL, 1.0, &module.name));
                    report.figures.push(Figure::missing(PEAK, 1.0, what));
                }
            }
        }
    }
    if report.figures.is_empty() {
        report
            .figures
            .push(Figure::missing(WALL, 1.0, "no real modules here"));
    }
    Ok(report)
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

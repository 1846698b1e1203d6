//! Question: how much memory does a running program take?
//!
//! Peak resident size (the kernel's high-water mark, read while the program is stopped at its exit)
//! of both hellos and of every guest, against `wasmtime run` of the same module. No figure is set
//! beyond "not more than the peer".

use std::process::{Command, Stdio};

use crate::Bench;
use crate::corpus::{Program, example, guests};
use crate::error::{Error, Result};
use crate::process::peak_memory;
use crate::report::{Cell, Figure, Report};
use crate::statistics::median;

const ROUNDS: usize = 3;

/// Runs everything.
pub(crate) fn measure(bench: &Bench) -> Result<Report> {
    let folder = tempfile::tempdir().map_err(|e| Error::new(format!("no scratch folder: {e}")))?;
    let mut report = Report::new("memory", &["program", "elfin", "wasmtime", "ratio"]);
    let mut worst: Option<(f64, String)> = None;
    let mut failures = Vec::new();
    let programs = [example("hello")?, example("hello-c")?]
        .into_iter()
        .chain(guests()?);
    for program in programs.filter(|program| bench.wants(&program.name)) {
        eprintln!("{}", program.name);
        match measure_program(bench, &program, folder.path()) {
            Ok((ours, theirs)) => {
                let ratio = ours / theirs;
                report.rows.push(vec![
                    program.name.as_str().into(),
                    Cell::Bytes(ours as u64),
                    Cell::Bytes(theirs as u64),
                    Cell::Ratio(ratio),
                ]);
                if worst.as_ref().is_none_or(|(least, _)| ratio > *least) {
                    worst = Some((ratio, program.name));
                }
            }
            Err(error) => {
                eprintln!("{}: {error}", program.name);
                report.rows.push(vec![
                    program.name.as_str().into(),
                    format!("failed: {}", error.brief()).into(),
                ]);
                failures.push(program.name);
            }
        }
    }
    let what = "peak memory / wasmtime run, worst program";
    report.figures.push(match worst {
        Some((ratio, name)) => Figure::new(what, ratio, 1.0).note(name),
        None => Figure::missing(what, 1.0, "no program ran"),
    });
    let failed =
        Figure::new("programs that fail", failures.len() as f64, 0.0).note(failures.join(", "));
    report.figures.push(failed);
    Ok(report)
}

fn measure_program(
    bench: &Bench,
    program: &Program,
    folder: &std::path::Path,
) -> Result<(f64, f64)> {
    let (ours, theirs) = (
        folder.join(&program.name),
        folder.join(format!("{}.cwasm", program.name)),
    );
    bench.tools.build_ours(program, None, &ours)?;
    bench.tools.build_theirs(program, &theirs)?;
    let peak =
        |mut command: Command| peak_memory(command.stdin(Stdio::null()).stdout(Stdio::null()));
    let mut samples = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds.unwrap_or(ROUNDS) {
        samples.0.push(peak(Command::new(&ours))? as f64);
        samples
            .1
            .push(peak(bench.tools.wasmtime_run(&theirs))? as f64);
    }
    Ok((median(samples.0), median(samples.1)))
}

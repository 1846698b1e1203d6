//! Question: what does an exception cost?
//!
//! Throwing and catching across one frame and across ten, against wasmtime; and a call inside a `try_table` that never
//! throws against the same call without one, both built by elfin. The modules are in `exceptions/`.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::corpus::{Program, project_root};
use crate::error::{Error, Result};
use crate::execute;
use crate::report::{Cell, Figure, Report};
use crate::statistics::median;
use crate::turns::in_turn;
use crate::{Bench, process};

/// Exceptions of one run, as the modules have it.
pub(crate) const THROWS: u32 = 200_000;

const ROUNDS: usize = 5;
const THROW_LIMIT: f64 = 0.5;
const QUIET_LIMIT: f64 = 1.02;

/// Runs all four, with so many exceptions.
pub(crate) fn measure(bench: &Bench, throws: u32) -> Result<Report> {
    let folder = tempfile::tempdir().map_err(|e| Error::new(format!("no scratch folder: {e}")))?;
    process::pin(bench.cpu)?;
    let rounds = bench.rounds.unwrap_or(ROUNDS);
    let mut report = Report::new("exceptions", &["program", "elfin", "peer", "ratio"]);
    for (name, frames) in [("throw-1", "one frame"), ("throw-10", "ten frames")] {
        let guest = thrower(name, throws, folder.path())?;
        let pairs = execute::measure_guest(&bench.tools, &guest, folder.path(), rounds)?;
        let ours = pairs.iter().map(|pair| pair.ours.user.as_secs_f64());
        let theirs = pairs.iter().map(|pair| pair.theirs.user.as_secs_f64());
        let ratios = ours
            .clone()
            .zip(theirs.clone())
            .map(|(ours, theirs)| ours / theirs);
        let ratio = median(ratios);
        report.rows.push(vec![
            name.into(),
            Cell::Seconds(median(ours)),
            Cell::Seconds(median(theirs)),
            Cell::Ratio(ratio),
        ]);
        let what = format!("user CPU time / wasmtime, thrown across {frames}");
        report.figures.push(Figure::new(&what, ratio, THROW_LIMIT));
    }

    let mut once = Vec::new();
    for name in ["quiet", "plain"] {
        let executable = folder.path().join(name);
        bench.tools.build_ours(&program(name), None, &executable)?;
        once.push(move || {
            let mut command = Command::new(&executable);
            let usage = process::run(command.stdin(Stdio::null()).stdout(Stdio::null()))?;
            Ok::<f64, Error>(usage.user.as_secs_f64())
        });
    }
    let pairs = in_turn(rounds, &once[0], &once[1])?;
    let ratio = median(pairs.iter().map(|pair| pair.ours / pair.theirs));
    report.rows.push(vec![
        "quiet".into(),
        Cell::Seconds(median(pairs.iter().map(|pair| pair.ours))),
        Cell::Seconds(median(pairs.iter().map(|pair| pair.theirs))),
        Cell::Ratio(ratio),
    ]);
    report.notes.push(format!(
        "{throws} exceptions a run; wasmtime's start is in its time."
    ));
    let what = "user CPU time / without try_table, nothing thrown";
    report.figures.push(Figure::new(what, ratio, QUIET_LIMIT));
    Ok(report)
}

/// A program of which the text says how many exceptions it throws, with another number.
fn thrower(name: &str, throws: u32, folder: &Path) -> Result<Program> {
    let mut program = program(name);
    let failed = |e| Error::new(format!("{name}: {e}"));
    let text = std::fs::read_to_string(&program.path).map_err(failed)?;
    let count = |n: u32| format!("(local.set $n (i32.const {n}))");
    if text.matches(&count(THROWS)).count() != 1 {
        return Err(Error::new(format!("{name} doesn't throw {THROWS} times")));
    }
    program.path = folder.join(format!("{name}.wat"));
    std::fs::write(&program.path, text.replace(&count(THROWS), &count(throws))).map_err(failed)?;
    Ok(program)
}

fn program(name: &str) -> Program {
    Program {
        name: name.to_owned(),
        path: project_root().join(format!("benches/exceptions/{name}.wat")),
        build: Vec::new(),
    }
}

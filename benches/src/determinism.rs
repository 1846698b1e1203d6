//! Question: does the same module always become the same bytes?
//!
//! Every module (guests, examples, real ones) for every target is built three times: with one
//! thread, with two, and with two again from a copy in another folder. The files must be equal.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::Bench;
use crate::corpus::{Program, examples, guests, real_modules};
use crate::error::{Error, Result};
use crate::report::{Cell, Figure, Report};
use crate::tools::TARGETS;

/// Builds everything three times.
pub(crate) fn measure(bench: &Bench) -> Result<Report> {
    let folder = tempfile::tempdir().map_err(|e| Error::new(format!("no scratch folder: {e}")))?;
    let mut report = Report::new("determinism", &["module", "x86_64", "aarch64", "riscv64"]);
    let (mut differ, mut fail, mut same) = (Vec::new(), Vec::new(), 0_u64);
    let programs = examples()?
        .into_iter()
        .chain(guests()?)
        .chain(real_modules()?);
    for program in programs.filter(|program| bench.wants(&program.name)) {
        eprintln!("{}", program.name);
        let mut row: Vec<Cell> = vec![program.name.as_str().into()];
        for target in TARGETS {
            let name = format!("{} for {target}", program.name);
            row.push(match build_thrice(bench, &program, target, folder.path()) {
                Ok(true) => {
                    same += 1;
                    "same".into()
                }
                Ok(false) => {
                    differ.push(name);
                    "DIFFERENT".into()
                }
                Err(error) => {
                    eprintln!("{name}: {error}");
                    fail.push(name);
                    format!("failed: {}", error.brief()).into()
                }
            });
        }
        report.rows.push(row);
    }
    report.notes.push(format!(
        "{same} pairs of module and target gave the same bytes from all three builds."
    ));
    report
        .figures
        .push(Figure::new("builds that differ", differ.len() as f64, 0.0).note(differ.join(", ")));
    report
        .figures
        .push(Figure::new("builds that fail", fail.len() as f64, 0.0).note(fail.join(", ")));
    Ok(report)
}

fn build_thrice(bench: &Bench, program: &Program, target: &str, folder: &Path) -> Result<bool> {
    let failed = |e: std::io::Error| Error::new(format!("scratch folder: {e}"));
    let elsewhere = folder.join("a folder with another name");
    std::fs::create_dir_all(&elsewhere).map_err(failed)?;
    let mut copy = program.clone();
    if let Some(name) = program.path.file_name() {
        copy.path = elsewhere.join(name);
    }
    std::fs::copy(&program.path, &copy.path).map_err(failed)?;

    // The same name for what is written: it could well be in the file, and rightly so.
    let first = build(
        bench
            .tools
            .elfin_build(program, Some(target), &folder.join("out")),
        "1",
        &folder.join("out"),
    )?;
    let second = build(
        bench
            .tools
            .elfin_build(program, Some(target), &folder.join("out")),
        "2",
        &folder.join("out"),
    )?;
    let out = elsewhere.join("out");
    let mut third = bench.tools.elfin_build(&copy, Some(target), &out);
    third.current_dir(&elsewhere);
    let third = build(third, "2", &out)?;
    Ok(first == second && second == third)
}

fn build(mut command: Command, threads: &str, out: &Path) -> Result<Vec<u8>> {
    let output = command
        .env("RAYON_NUM_THREADS", threads)
        .stdin(Stdio::null())
        .output()
        .map_err(|e| {
            Error::new(format!(
                "cannot run {}: {e}",
                command.get_program().display()
            ))
        })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Error::new(format!(
            "{}: {}",
            output.status,
            said.trim().replace('\n', " ")
        )));
    }
    std::fs::read(out).map_err(|e| Error::new(format!("{}: {e}", out.display())))
}

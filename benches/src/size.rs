//! Question: how large is what we write?
//!
//! The executables of both hellos for every target, against fixed limits; and the executable bytes
//! of every program on x86_64 (all of an executable's segments with execute permission, so with the
//! runtime) against the `.text` of wasmtime's file, with a figure for SQLite.

use std::path::Path;

use crate::Bench;
use crate::corpus::{Program, example, guests, real_modules};
use crate::error::{Error, Result};
use crate::report::{Cell, Figure, Report};
use crate::tools::{TARGETS, file_size, text_of_cwasm, text_of_executable};

const HELLO_LIMIT: f64 = 6.0 * 1024.0;
const TARGET_LIMIT: f64 = 1.5;
const SQLITE_LIMIT: f64 = 0.85;

/// Builds everything once and looks at the files.
pub(crate) fn measure(bench: &Bench) -> Result<Report> {
    let folder = tempfile::tempdir().map_err(|e| Error::new(format!("no scratch folder: {e}")))?;
    let columns = [
        "program",
        "target",
        ".wasm",
        "executable",
        "text",
        "wasmtime text",
        "ratio",
    ];
    let mut report = Report::new("size", &columns);
    for name in ["hello", "hello-c"] {
        measure_hello(bench, &example(name)?, folder.path(), &mut report)?;
    }
    let programs = real_modules()?.into_iter().chain(guests()?);
    for program in programs.filter(|program| bench.wants(&program.name)) {
        eprintln!("{}", program.name);
        let row = text_row(bench, &program, folder.path());
        let ratio = row.as_ref().ok().and_then(|row| match row.last() {
            Some(Cell::Ratio(ratio)) => Some(*ratio),
            _ => None,
        });
        let remark = row.as_ref().err().map(|error| error.brief());
        report.rows.push(row.unwrap_or_else(|error| {
            vec![
                program.name.as_str().into(),
                "x86_64".into(),
                format!("failed: {}", error.brief()).into(),
            ]
        }));
        if program.name == "sqlite3" {
            let what = "text of sqlite3 / wasmtime's .text";
            report.figures.push(match ratio {
                Some(ratio) => Figure::new(what, ratio, SQLITE_LIMIT),
                None => Figure::missing(what, SQLITE_LIMIT, remark.unwrap_or_default()),
            });
        }
    }
    Ok(report)
}

fn measure_hello(
    bench: &Bench,
    program: &Program,
    folder: &Path,
    report: &mut Report,
) -> Result<()> {
    let name = &program.name;
    let module = file_size(&program.path)?;
    let is_text = program
        .path
        .extension()
        .is_some_and(|extension| extension == "wat");
    let mut reference = None;
    for target in TARGETS {
        let out = folder.join(format!("{name}-{target}"));
        let built = bench
            .tools
            .build_ours(program, Some(target), &out)
            .and_then(|()| file_size(&out));
        let reference_target = target == TARGETS[0];
        let (what, limit) = if !reference_target {
            (format!("{name} for {target} / x86_64"), TARGET_LIMIT)
        } else if is_text {
            (format!("{name} for {target}, bytes"), HELLO_LIMIT)
        } else {
            (
                format!("{name} for {target}, bytes (1.3 × .wasm + 16 KiB)"),
                (1.3 * module as f64 + 16384.0).floor(),
            )
        };
        let size = match built {
            Ok(size) => size,
            Err(error) => {
                eprintln!("{name}: {error}");
                report
                    .figures
                    .push(Figure::missing(what, limit, error.brief()));
                continue;
            }
        };
        report.rows.push(vec![
            name.as_str().into(),
            target.into(),
            if is_text {
                Cell::Empty
            } else {
                Cell::Bytes(module)
            },
            Cell::Bytes(size),
            Cell::Bytes(text_of_executable(&out)?),
        ]);
        report.figures.push(match reference {
            None if reference_target => Figure::new(what, size as f64, limit),
            None => Figure::missing(what, limit, "no x86_64"),
            Some(reference) => Figure::new(what, size as f64 / reference, limit),
        });
        if reference_target {
            reference = Some(size as f64);
        }
    }
    Ok(())
}

fn text_row(bench: &Bench, program: &Program, folder: &Path) -> Result<Vec<Cell>> {
    let (ours, theirs) = (folder.join("ours"), folder.join("theirs.cwasm"));
    bench.tools.build_ours(program, Some("x86_64"), &ours)?;
    let text = text_of_executable(&ours)?;
    let mut row = vec![
        program.name.as_str().into(),
        "x86_64".into(),
        Cell::Bytes(file_size(&program.path)?),
        Cell::Bytes(file_size(&ours)?),
        Cell::Bytes(text),
    ];
    // A peer that can't take the module leaves two cells empty; that isn't our failure.
    match bench.tools.build_theirs(program, &theirs) {
        Ok(()) => {
            let peer = text_of_cwasm(&theirs)?;
            row.extend([Cell::Bytes(peer), Cell::Ratio(text as f64 / peer as f64)]);
        }
        Err(error) => eprintln!("note: {error}"),
    }
    Ok(row)
}

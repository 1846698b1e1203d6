//! Question: how fast does the guest get through files?
//!
//! Each program of `files/` is built by both compilers with their defaults and run by each with the same
//! directory granted: a tree of 10,000 files and a file of 1 GiB, which are made for the run and in the
//! page cache before it is measured. Outputs are compared first; then both run in turn on one processor.
//! Figures are user and system CPU time together: of each pair the ratio, of the ratios the median.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;

use crate::Bench;
use crate::corpus::{Program, file_guests};
use crate::error::{Error, Result};
use crate::process::{self, Usage};
use crate::report::{Cell, Figure, Report};
use crate::statistics::median;
use crate::turns::{Pair, run_in_turn};

const ROUNDS: usize = 9;
const LIMIT: f64 = 1.0;

/// Directories of the tree, and files in each.
const TREE: (usize, usize) = (100, 100);
/// Bytes of the file.
const FILE: usize = 1 << 30;

/// What is expected of a program.
struct Question {
    name: &'static str,
    what: &'static str,
}

const QUESTIONS: [Question; 2] = [
    Question {
        name: "walk",
        what: "walk of 10,000 files, 10 times",
    },
    Question {
        name: "read",
        what: "sequential read of 1 GiB",
    },
];

/// Runs every program on both sides.
pub(crate) fn measure(bench: &Bench) -> Result<Report> {
    let folder = tempfile::tempdir().map_err(|e| Error::new(format!("no scratch folder: {e}")))?;
    let granted = folder.path().join("granted");
    furnish(&granted).map_err(|e| Error::new(format!("cannot make the files: {e}")))?;
    process::pin(bench.cpu)?;
    let mut report = Report::new(
        "files",
        &["program", "elfin", "wasmtime", "ratio", "wall time"],
    );
    let programs = file_guests()?;
    for question in &QUESTIONS {
        let program = programs
            .iter()
            .find(|program| program.name == question.name)
            .ok_or_else(|| Error::new(format!("benches/files has no {}", question.name)))?;
        if !bench.wants(&program.name) {
            continue;
        }
        eprintln!("{}", program.name);
        let pairs = measure_program(bench, program, folder.path(), &granted)?;
        let ratio = |of: fn(&Usage) -> std::time::Duration| {
            let ratios = pairs
                .iter()
                .map(|pair| of(&pair.ours).as_secs_f64() / of(&pair.theirs).as_secs_f64());
            median(ratios)
        };
        let (cpu, wall) = (ratio(Usage::cpu), ratio(|usage| usage.wall));
        let seconds = |of: fn(&Pair) -> Usage| {
            Cell::Seconds(median(
                pairs.iter().map(|pair| of(pair).cpu().as_secs_f64()),
            ))
        };
        report.rows.push(vec![
            question.what.into(),
            seconds(|pair| pair.ours),
            seconds(|pair| pair.theirs),
            Cell::Ratio(cpu),
            Cell::Ratio(wall),
        ]);
        report.figures.push(Figure::new(
            format!("CPU time / wasmtime, {}", question.what),
            cpu,
            LIMIT,
        ));
    }
    Ok(report)
}

/// Makes the files, and reads them so that the kernel has them.
fn furnish(granted: &Path) -> std::io::Result<()> {
    let (directories, files) = TREE;
    for directory in 0..directories {
        let directory = granted.join(format!("tree/{directory}"));
        fs::create_dir_all(&directory)?;
        for file in 0..files {
            fs::write(directory.join(format!("file-{file}.txt")), "content")?;
        }
    }
    let path = granted.join("file");
    let mut file = File::create(&path)?;
    let block: Vec<u8> = (0..1 << 20).map(|i: u32| (i >> 12) as u8).collect();
    for _ in 0..FILE / block.len() {
        file.write_all(&block)?;
    }
    drop(file);
    let mut file = File::open(&path)?;
    let mut room = vec![0; 1 << 20];
    while file.read(&mut room)? > 0 {}
    Ok(())
}

fn measure_program(
    bench: &Bench,
    program: &Program,
    folder: &Path,
    granted: &Path,
) -> Result<Vec<Pair>> {
    let ours = folder.join(&program.name);
    let theirs = folder.join(format!("{}.cwasm", program.name));
    let grant = format!("{}::/", granted.display());
    let mut granting = program.clone();
    granting.build = vec!["--dir".into(), grant.clone()];
    bench.tools.build_ours(&granting, None, &ours)?;
    bench.tools.build_theirs(program, &theirs)?;
    let run_theirs = || bench.tools.wasmtime_run_with(&["--dir", &grant], &theirs);
    let rounds = bench.rounds.unwrap_or(ROUNDS);
    run_in_turn(rounds, || Command::new(&ours), run_theirs)
        .map_err(|error| error.within(program.name.clone()))
}

//! Question: what do threads cost?
//!
//! Each guest in `threads/` has two threads that share nothing, one word, a mutex, or a queue. wasmtime's command has
//! no `wasi.thread-spawn`, so the peer is a program over its crate, `peers/threads`, which is built by hand and named in
//! WASMTIME_THREADS. Outputs are compared first; then both run in turn, on two processors where there are two. Of each
//! pair the ratio, of the ratios the median: user CPU time and wall time.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Bench;
use crate::corpus::{Program, project_root, thread_guests};
use crate::error::{Error, Result};
use crate::process::{self, Usage};
use crate::report::{Cell, Figure, Report};
use crate::statistics::median;
use crate::turns::{Pair, run_in_turn};

const LIMIT: f64 = 1.0;

/// Pairs of runs. Who of two threads has the word that both add to differs from run to run, and a run's time by 20 %.
const ROUNDS: usize = 31;

/// Guests with a figure to reach. What a mutex costs is decided by when the kernel wakes whom.
const FIGURES: [&str; 2] = ["sum", "counter"];

/// Runs every guest on both sides.
pub(crate) fn measure(bench: &Bench) -> Result<Report> {
    let peer = find_peer()?;
    let folder = tempfile::tempdir().map_err(|e| Error::new(format!("no scratch folder: {e}")))?;
    let mut report = Report::new(
        "threads",
        &["guest", "elfin", "wasmtime", "ratio", "wall time"],
    );
    let guests = thread_guests()?;
    for guest in guests.iter().filter(|guest| bench.wants(&guest.name)) {
        eprintln!("{}", guest.name);
        let rounds = bench.rounds.unwrap_or(ROUNDS);
        let pairs = measure_guest(bench, &peer, guest, folder.path(), rounds);
        let pairs = pairs.map_err(|e| e.within(guest.name.clone()))?;
        let seconds = |of: fn(&Pair) -> &Usage| {
            Cell::Seconds(median(pairs.iter().map(|pair| of(pair).user.as_secs_f64())))
        };
        let ratio = |of: fn(&Usage) -> std::time::Duration| {
            let ratios = pairs
                .iter()
                .map(|pair| of(&pair.ours).as_secs_f64() / of(&pair.theirs).as_secs_f64());
            median(ratios)
        };
        let (user, wall) = (ratio(|usage| usage.user), ratio(|usage| usage.wall));
        report.rows.push(vec![
            guest.name.as_str().into(),
            seconds(|pair| &pair.ours),
            seconds(|pair| &pair.theirs),
            Cell::Ratio(user),
            Cell::Ratio(wall),
        ]);
        if FIGURES.contains(&guest.name.as_str()) {
            for (time, value) in [("user CPU time", user), ("wall time", wall)] {
                let what = format!("{time} / wasmtime, {}", guest.name);
                report.figures.push(Figure::new(what, value, LIMIT));
            }
        }
    }
    report
        .notes
        .push("The peer is the wasmtime crate in benches/peers/threads.".to_owned());
    Ok(report)
}

fn find_peer() -> Result<PathBuf> {
    let path = match std::env::var_os("WASMTIME_THREADS") {
        Some(path) => PathBuf::from(path),
        None => project_root().join("benches/peers/threads/target/release/wasmtime-threads"),
    };
    if path.is_file() {
        return Ok(path);
    }
    Err(Error::new(format!(
        "no {}: `cargo build --release --manifest-path benches/peers/threads/Cargo.toml`, or name one in WASMTIME_THREADS",
        path.display()
    )))
}

fn measure_guest(
    bench: &Bench,
    peer: &Path,
    guest: &Program,
    folder: &Path,
    rounds: usize,
) -> Result<Vec<Pair>> {
    let ours = folder.join(&guest.name);
    let theirs = folder.join(format!("{}.cwasm", guest.name));
    bench.tools.build_ours(guest, None, &ours)?;
    let mut compile = Command::new(peer);
    compile.arg("compile").arg(&guest.path).arg(&theirs);
    process::output_of(compile)?;
    let run_theirs = || {
        let mut command = Command::new(peer);
        command.arg("run").arg(&theirs);
        command
    };
    run_in_turn(rounds, || Command::new(&ours), run_theirs)
}

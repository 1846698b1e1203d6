//! Question: how fast is the code?
//!
//! Each guest is built by both compilers with their defaults, run once by each with the outputs
//! compared, then run in turn on one processor. Figures are user CPU time: of each pair the ratio,
//! of the ratios the median, over the guests the geometric mean. User and system time together are
//! shown beside it; wasmtime's start (some milliseconds) is in there.

use std::process::Command;

use crate::corpus::{Program, guests};
use crate::error::{Error, Result};
use crate::process::{self, Usage};
use crate::report::{Cell, Figure, Report};
use crate::statistics::{geometric_mean, median};
use crate::turns::{Pair, run_in_turn};
use crate::{Bench, tools::Tools};

/// Pairs, when nothing is said.
pub(crate) const ROUNDS: usize = 9;

/// Guests and what their ratios should be.
pub(crate) struct Suite {
    /// Name of the report.
    pub(crate) name: &'static str,
    /// The guests.
    pub(crate) guests: fn() -> Result<Vec<Program>>,
    /// The geometric mean is at most this.
    pub(crate) mean_limit: f64,
    /// No ratio is above this.
    pub(crate) worst_limit: f64,
}

/// The guests of the question.
pub(crate) const GUESTS: Suite = Suite {
    name: "execute",
    guests,
    mean_limit: 0.95,
    worst_limit: 1.1,
};

struct Measured {
    name: String,
    user: f64,
    cpu: f64,
}

/// Runs every guest on both sides.
pub(crate) fn measure(bench: &Bench, suite: &Suite) -> Result<Report> {
    let folder = tempfile::tempdir().map_err(|e| Error::new(format!("no scratch folder: {e}")))?;
    process::pin(bench.cpu)?;
    let mut report = Report::new(
        suite.name,
        &["guest", "elfin", "wasmtime", "ratio", "user + system"],
    );
    let mut measured: Vec<Measured> = Vec::new();
    let mut failures: Vec<String> = Vec::new();
    for guest in (suite.guests)()?
        .into_iter()
        .filter(|guest| bench.wants(&guest.name))
    {
        eprintln!("{}", guest.name);
        match measure_guest(
            &bench.tools,
            &guest,
            folder.path(),
            bench.rounds.unwrap_or(ROUNDS),
        ) {
            Ok(pairs) => {
                let ratio =
                    |of: fn(&Usage) -> std::time::Duration| {
                        median(pairs.iter().map(|pair| {
                            of(&pair.ours).as_secs_f64() / of(&pair.theirs).as_secs_f64()
                        }))
                    };
                let (user, cpu) = (ratio(|usage| usage.user), ratio(Usage::cpu));
                report.rows.push(vec![
                    guest.name.as_str().into(),
                    Cell::Seconds(median(
                        pairs.iter().map(|pair| pair.ours.user.as_secs_f64()),
                    )),
                    Cell::Seconds(median(
                        pairs.iter().map(|pair| pair.theirs.user.as_secs_f64()),
                    )),
                    Cell::Ratio(user),
                    Cell::Ratio(cpu),
                ]);
                measured.push(Measured {
                    name: guest.name,
                    user,
                    cpu,
                });
            }
            Err(error) => {
                eprintln!("{}: {error}", guest.name);
                report.rows.push(vec![
                    guest.name.as_str().into(),
                    format!("failed: {}", error.brief()).into(),
                ]);
                failures.push(guest.name);
            }
        }
    }
    let users: Vec<f64> = measured.iter().map(|guest| guest.user).collect();
    let cpus: Vec<f64> = measured.iter().map(|guest| guest.cpu).collect();
    report.rows.push(vec![
        "geometric mean".into(),
        Cell::Empty,
        Cell::Empty,
        Cell::Ratio(geometric_mean(&users)),
        Cell::Ratio(geometric_mean(&cpus)),
    ]);
    report.figures = figures(suite, &measured, &failures);
    Ok(report)
}

fn figures(suite: &Suite, measured: &[Measured], failures: &[String]) -> Vec<Figure> {
    let mean = "user CPU time / wasmtime, geometric mean";
    let worst = "user CPU time / wasmtime, worst guest";
    let mut by_ratio: Vec<&Measured> = measured.iter().collect();
    by_ratio.sort_by(|a, b| b.user.total_cmp(&a.user));
    let Some(slowest) = by_ratio.first() else {
        return vec![
            Figure::missing(mean, suite.mean_limit, "no guest ran"),
            Figure::missing(worst, suite.worst_limit, ""),
        ];
    };
    let ratios: Vec<f64> = measured.iter().map(|guest| guest.user).collect();
    let over: Vec<String> = by_ratio
        .iter()
        .take(3)
        .map(|guest| format!("{} {:.2}", guest.name, guest.user))
        .collect();
    vec![
        Figure::new(mean, geometric_mean(&ratios), suite.mean_limit)
            .note(format!("{} guests", measured.len())),
        Figure::new(worst, slowest.user, suite.worst_limit).note(over.join(", ")),
        Figure::new("guests that fail or differ", failures.len() as f64, 0.0)
            .note(failures.join(", ")),
    ]
}

/// Builds a program on both sides, compares what it prints, and runs it in turn.
pub(crate) fn measure_guest(
    tools: &Tools,
    guest: &Program,
    folder: &std::path::Path,
    rounds: usize,
) -> Result<Vec<Pair>> {
    let ours = folder.join(&guest.name);
    let theirs = folder.join(format!("{}.cwasm", guest.name));
    tools.build_ours(guest, None, &ours)?;
    tools.build_theirs(guest, &theirs)?;
    let run_ours = || Command::new(&ours);
    run_in_turn(rounds, run_ours, || tools.wasmtime_run(&theirs))
}

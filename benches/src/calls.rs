//! Question: what does it cost to leave the guest?
//!
//! Each guest in `calls/` makes one call of the system interface very often and does nothing else. Measured
//! as in [`crate::execute`], but user and system time together: where the boundary lies is a matter of
//! taste, and both sides have the kernel's part in them.

use crate::Bench;
use crate::corpus::call_guests;
use crate::error::{Error, Result};
use crate::execute::{ROUNDS, measure_guest};
use crate::process::{self, Usage};
use crate::report::{Cell, Figure, Report};
use crate::statistics::median;

const LIMIT: f64 = 0.8;

/// Runs every guest on both sides.
pub(crate) fn measure(bench: &Bench) -> Result<Report> {
    let folder = tempfile::tempdir().map_err(|e| Error::new(format!("no scratch folder: {e}")))?;
    process::pin(bench.cpu)?;
    let mut report = Report::new("calls", &["guest", "elfin", "wasmtime", "ratio"]);
    for guest in call_guests()?
        .into_iter()
        .filter(|guest| bench.wants(&guest.name))
    {
        eprintln!("{}", guest.name);
        let what = format!("CPU time / wasmtime, {}", guest.name);
        let rounds = bench.rounds.unwrap_or(ROUNDS);
        let pairs = match measure_guest(&bench.tools, &guest, folder.path(), rounds) {
            Ok(pairs) => pairs,
            Err(error) => {
                let error = error.to_string();
                report.figures.push(Figure::missing(&what, LIMIT, &error));
                continue;
            }
        };
        let seconds = |usage: &Usage| usage.cpu().as_secs_f64();
        let ratio = median(
            pairs
                .iter()
                .map(|pair| seconds(&pair.ours) / seconds(&pair.theirs)),
        );
        report.rows.push(vec![
            guest.name.as_str().into(),
            Cell::Seconds(median(pairs.iter().map(|pair| seconds(&pair.ours)))),
            Cell::Seconds(median(pairs.iter().map(|pair| seconds(&pair.theirs)))),
            Cell::Ratio(ratio),
        ]);
        report.figures.push(Figure::new(&what, ratio, LIMIT));
    }
    Ok(report)
}

//! Question: how fast are programs that make objects, and how long does a collection stop them?
//!
//! The guests in `objects/` are run as `execute` runs its own. Then one of them keeps a binary tree alive, of 16 bytes
//! a node, and reports the longest time between two allocations of something else: nanoseconds of the process's own
//! time, so that what else the machine does is not in them.

use std::process::Command;

use crate::corpus::{Program, object_guests};
use crate::error::{Error, Result};
use crate::execute::{self, Suite};
use crate::report::{Cell, Report};
use crate::{Bench, tools::Tools};

/// The guest that reports its pauses; it is not run against anything.
const PAUSE: &str = "pause";

/// Depths of the trees that live: 16 KiB, 8 MiB and 32 MiB.
const DEPTHS: [u32; 3] = [9, 18, 20];

const SUITE: Suite = Suite {
    name: "objects",
    guests: compared,
    mean_limit: 0.9,
    worst_limit: 0.9,
};

fn compared() -> Result<Vec<Program>> {
    let mut guests = object_guests()?;
    guests.retain(|guest| guest.name != PAUSE);
    Ok(guests)
}

/// Runs every guest on both sides, and one for its pauses.
pub(crate) fn measure(bench: &Bench) -> Result<Report> {
    let mut report = execute::measure(bench, &SUITE)?;
    let mut guests = object_guests()?.into_iter();
    let pause = guests.find(|guest| guest.name == PAUSE);
    let mut pause = pause.ok_or_else(|| Error::new("benches/objects/pause is missing"))?;
    pause.build = vec!["--invoke".into(), PAUSE.into()];
    for (depth, seconds) in pauses(&bench.tools, &pause)? {
        report.rows.push(vec![
            format!("longest pause, tree of depth {depth}").into(),
            Cell::Seconds(seconds),
        ]);
    }
    Ok(report)
}

/// The longest pause for each depth, in seconds.
fn pauses(tools: &Tools, pause: &Program) -> Result<Vec<(u32, f64)>> {
    let folder = tempfile::tempdir().map_err(|e| Error::new(format!("no scratch folder: {e}")))?;
    let executable = folder.path().join(PAUSE);
    tools.build_ours(pause, None, &executable)?;
    DEPTHS
        .into_iter()
        .map(|depth| {
            let output = Command::new(&executable)
                .arg(depth.to_string())
                .output()
                .map_err(|e| Error::new(format!("cannot run {PAUSE}: {e}")))?;
            let text = String::from_utf8_lossy(&output.stdout);
            let nanoseconds: f64 = text
                .trim()
                .parse()
                .map_err(|_| Error::new(format!("{PAUSE} printed {text:?}")))?;
            Ok((depth, nanoseconds / 1e9))
        })
        .collect()
}

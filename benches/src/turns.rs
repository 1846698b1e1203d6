//! Two sides, measured in turn.
//!
//! Enters: what each side does once; leaves: pairs of measurements. Who goes first alternates, so that a drift of the
//! machine's speed cancels out.

use std::process::{Command, Stdio};

use crate::error::{Error, Result};
use crate::process::{self, Usage};

/// One run of each side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair<T = Usage> {
    pub(crate) ours: T,
    pub(crate) theirs: T,
}

/// So many pairs.
pub(crate) fn in_turn<T>(
    rounds: usize,
    ours: impl Fn() -> Result<T>,
    theirs: impl Fn() -> Result<T>,
) -> Result<Vec<Pair<T>>> {
    let mut pairs = Vec::with_capacity(rounds);
    for round in 0..rounds {
        pairs.push(if round % 2 == 0 {
            let ours = ours()?;
            Pair {
                ours,
                theirs: theirs()?,
            }
        } else {
            let theirs = theirs()?;
            Pair {
                ours: ours()?,
                theirs,
            }
        });
    }
    Ok(pairs)
}

/// So many pairs of runs of one program on both sides, which must print the same.
pub(crate) fn run_in_turn(
    rounds: usize,
    ours: impl Fn() -> Command,
    theirs: impl Fn() -> Command,
) -> Result<Vec<Pair>> {
    if process::output_of(ours())? != process::output_of(theirs())? {
        return Err(Error::new("its output differs from wasmtime's"));
    }
    let once =
        |mut command: Command| process::run(command.stdin(Stdio::null()).stdout(Stdio::null()));
    in_turn(rounds, || once(ours()), || once(theirs()))
}

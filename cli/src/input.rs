//! Reading modules.
//!
//! In: paths. Out: bytes, at most [`MAX_BYTES`] of each. Only regular files are read by name: a FIFO
//! would block and a device need not end. Standard input, asked for with `-`, is read up to the limit.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use crate::plan::{Input, ProgramPlan};
use crate::report::{Failure, Result};

/// Largest module that is read.
pub(crate) const MAX_BYTES: u64 = 1 << 30;

/// The modules of a program.
pub(crate) struct Modules {
    /// What errors call the main module.
    pub(crate) name: String,
    /// The main module.
    pub(crate) main: Vec<u8>,
    /// The modules linked in, parallel to [`ProgramPlan::links`].
    pub(crate) links: Vec<Vec<u8>>,
}

/// Reads what `plan` names.
pub(crate) fn read_modules(plan: &ProgramPlan) -> Result<Modules> {
    let main = match &plan.input {
        Input::Stdin => read_limited(&mut io::stdin().lock(), 0)
            .map_err(|error| cannot_read("standard input", error))?,
        Input::File(path) => read_file(path)?,
    };
    let links = plan
        .links
        .iter()
        .map(|link| read_file(&link.file))
        .collect::<Result<_>>()?;
    Ok(Modules {
        name: plan.input.name(),
        main,
        links,
    })
}

/// Reads a regular file.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>> {
    let failed = |error| cannot_read(&path.display().to_string(), error);
    // Asked before opening: opening a FIFO waits for its writer.
    regular_size(&fs::metadata(path).map_err(failed)?).map_err(failed)?;
    let mut file = File::open(path).map_err(failed)?;
    let size = file
        .metadata()
        .and_then(|metadata| regular_size(&metadata))
        .map_err(failed)?;
    read_limited(&mut file, size).map_err(failed)
}

fn regular_size(metadata: &fs::Metadata) -> io::Result<u64> {
    if metadata.is_dir() {
        Err(io::Error::other("it is a directory"))
    } else if !metadata.is_file() {
        Err(io::Error::other(
            "it is not a regular file; to read from a pipe, give `-`",
        ))
    } else if metadata.len() > MAX_BYTES {
        Err(too_large())
    } else {
        Ok(metadata.len())
    }
}

fn read_limited(from: &mut dyn Read, expected: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(expected as usize);
    from.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        Err(too_large())
    } else {
        Ok(bytes)
    }
}

fn too_large() -> io::Error {
    io::Error::other("it is larger than 1 GiB, the most that elfin reads")
}

fn cannot_read(what: &str, error: io::Error) -> Failure {
    Failure::new(format!("cannot read {}", elfin_compiler::Printable(what))).because(error)
}

//! Writing results: whole or not at all.
//!
//! In: bytes and names. Out: files. Each is written under a temporary name in the directory of its
//! final one and renamed at the end: whoever is killed, or runs out of space, leaves nothing under the
//! final name. A rename replaces a symbolic link itself, never what it points to. Devices and FIFOs
//! cannot be replaced like that and are written to.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use tempfile::TempPath;

use crate::plan::{BuildPlan, Destination, Input};
use crate::report::{Failure, Result};

/// Prefix of temporary names.
pub(crate) const TEMPORARY_PREFIX: &str = ".elfin-";

/// Permissions of an executable and of other files, before the umask.
pub(crate) const EXECUTABLE: u32 = 0o777;
/// See [`EXECUTABLE`].
pub(crate) const PLAIN: u32 = 0o666;

/// One file to be written.
pub(crate) struct Artifact {
    /// Where to.
    pub(crate) path: PathBuf,
    /// Permissions before the umask.
    pub(crate) mode: u32,
    /// What.
    pub(crate) bytes: Vec<u8>,
}

/// Refuses outputs that would replace an input or another output. Asked before the work is done.
pub(crate) fn check_destinations(plan: &BuildPlan) -> Result<()> {
    let files = plan.outputs.iter().flat_map(|output| {
        let main = match &output.to {
            Destination::File(path) => Some(path),
            Destination::Stdout => None,
        };
        main.into_iter().chain(&output.map)
    });
    let main_input = match &plan.program.input {
        Input::File(path) => Some(path),
        Input::Stdin => None,
    };
    let inputs: Vec<&PathBuf> = main_input
        .into_iter()
        .chain(plan.program.links.iter().map(|link| &link.file))
        .collect();
    for path in files {
        if let Some(input) = inputs.iter().find(|input| is_same_file(input, path)) {
            return Err(
                Failure::new(format!("cannot write {}", path.display())).because(format!(
                    "it is the input {}; name another output with -o",
                    input.display()
                )),
            );
        }
        check_destination(path)?;
    }
    Ok(())
}

/// Whether writing `output` would replace `input`: the name itself, or a file that it leads to.
fn is_same_file(input: &Path, output: &Path) -> bool {
    let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    let Ok(output) = fs::symlink_metadata(output).map(identity) else {
        return false;
    };
    [fs::symlink_metadata(input), fs::metadata(input)]
        .into_iter()
        .flatten()
        .any(|metadata| identity(metadata) == output)
}

fn check_destination(path: &Path) -> Result<()> {
    let refuse = |why: &str| Err(cannot_write(path, io::Error::other(why)));
    let Ok(metadata) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    if metadata.is_dir() {
        return refuse("it is a directory; name a file with -o");
    }
    // /dev/stdout and its like: replacing the link would break the machine for everyone.
    if metadata.is_symlink() && fs::read_link(path).is_ok_and(|to| to.starts_with("/proc")) {
        return refuse("it is a link into /proc; `-o -` writes to standard output");
    }
    Ok(())
}

/// Writes all of `artifacts`, or none.
pub(crate) fn write_all(artifacts: &[Artifact]) -> Result<()> {
    let mut prepared = Vec::new();
    for artifact in artifacts {
        let failed = |error| cannot_write(&artifact.path, error);
        check_destination(&artifact.path)?;
        if is_special(&artifact.path) {
            write_special(artifact).map_err(failed)?;
        } else {
            prepared.push((artifact, write_temporary(artifact).map_err(failed)?));
        }
    }
    for (artifact, temporary) in prepared {
        temporary
            .persist(&artifact.path)
            .map_err(|error| cannot_write(&artifact.path, error.error))?;
    }
    Ok(())
}

/// Writes an artifact under a temporary name beside its final one. Dropping the result removes it.
///
/// The file is closed before anybody knows its final name: the kernel does not run a file that is open
/// for writing (`ETXTBSY`), and another process may run it as soon as it has that name.
pub(crate) fn write_temporary(artifact: &Artifact) -> io::Result<TempPath> {
    let directory = match artifact.path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let create = |path: &Path| {
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(artifact.mode)
            .open(path)
    };
    let mut file = tempfile::Builder::new()
        .prefix(TEMPORARY_PREFIX)
        .make_in(directory, create)?;
    // Past the wrapper, which would put the temporary name into the error.
    file.as_file_mut().write_all(&artifact.bytes)?;
    Ok(file.into_temp_path())
}

fn is_special(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| {
        let kind = metadata.file_type();
        kind.is_char_device() || kind.is_block_device() || kind.is_fifo() || kind.is_socket()
    })
}

fn write_special(artifact: &Artifact) -> io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).open(&artifact.path)?;
    file.write_all(&artifact.bytes)
}

/// Writes to standard output; a reader that has had enough is no error.
pub(crate) fn write_stdout(bytes: &[u8]) -> Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new("cannot write to standard output").because(error))
        }
        _ => Ok(()),
    }
}

fn cannot_write(path: &Path, error: io::Error) -> Failure {
    let name = path.display().to_string();
    Failure::new(format!("cannot write {}", elfin_compiler::Printable(&name))).because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_renamed_is_not_open() {
        let directory = tempfile::tempdir().unwrap();
        let artifact = Artifact {
            path: directory.path().join("program"),
            mode: 0o700,
            bytes: b"#!/bin/sh\n".to_vec(),
        };
        let temporary = write_temporary(&artifact).unwrap();
        let written = fs::canonicalize(&temporary).unwrap();
        let open = fs::read_dir("/proc/self/fd")
            .unwrap()
            .flatten()
            .filter_map(|entry| fs::read_link(entry.path()).ok());
        assert_eq!(open.filter(|file| *file == written).count(), 0);
        temporary.persist(&artifact.path).unwrap();
        assert_eq!(fs::read(&artifact.path).unwrap(), artifact.bytes);
    }
}

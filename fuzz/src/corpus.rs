//! Files → inputs to damage and modules to replay.
//!
//! In: the project's own examples, guests of the benchmarks and the regression corpus. Out: bytes, in the
//! order of their paths.

use std::path::{Path, PathBuf};

/// Inputs that are damaged.
#[derive(Clone, Debug)]
pub struct Corpus {
    /// Modules, binary or text.
    pub inputs: Vec<Vec<u8>>,
}

/// Larger files are left out: most of the time would go into reading them.
const MAX_BYTES: u64 = 64 << 10;

/// The folder of the project.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Reads the corpus.
///
/// # Errors
/// When a file can't be read, or there are none.
pub fn read() -> Result<Corpus, String> {
    let mut paths = Vec::new();
    for folder in ["examples", "benches/guests", "fuzz/corpora"] {
        find(&root().join(folder), &mut paths)?;
    }
    let mut inputs = Vec::new();
    for path in paths {
        let bytes = std::fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        if bytes.len() as u64 <= MAX_BYTES {
            inputs.push(bytes);
        }
    }
    if inputs.is_empty() {
        return Err("the corpus is empty".to_owned());
    }
    Ok(Corpus { inputs })
}

/// Modules that once were compiled wrongly.
///
/// # Errors
/// When the folder can't be read.
pub fn regressions() -> Result<Vec<PathBuf>, String> {
    let mut paths = Vec::new();
    find(&root().join("fuzz/corpora/regressions"), &mut paths)?;
    Ok(paths)
}

fn find(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<(), String> {
    let error = |e: std::io::Error| format!("{}: {e}", folder.display());
    let mut entries = std::fs::read_dir(folder)
        .and_then(|entries| {
            entries
                .map(|e| Ok(e?.path()))
                .collect::<Result<Vec<_>, _>>()
        })
        .map_err(error)?;
    entries.sort();
    for path in entries {
        if path.is_dir() {
            find(&path, paths)?;
        } else if path.extension().is_some_and(|e| e == "wasm" || e == "wat") {
            paths.push(path);
        }
    }
    Ok(())
}

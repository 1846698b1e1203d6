//! The cache of `elfin run`: executables by what they were made from.
//!
//! In: a key (everything that decides the bytes of an executable) and, for a miss, its bytes. Out: the
//! path of an executable file. Entries appear by rename, so that two processes can insert at once; a
//! hit marks its entry as used; an insertion removes the entries unused for longest beyond
//! [`MAX_BYTES`].

use std::fs::{self, DirBuilder, File, Metadata};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use elfin_compiler::Arch;
use sha2::{Digest, Sha256};

use crate::assemble::hexadecimal;
use crate::input::Modules;
use crate::output::{self, Artifact, TEMPORARY_PREFIX};
use crate::plan::ProgramPlan;
use crate::report::{Failure, Result};

/// Bytes kept.
const MAX_BYTES: u64 = 512 << 20;

/// Age at which a temporary file has certainly lost its owner.
const ABANDONED: Duration = Duration::from_secs(60 * 60);

/// An open cache.
pub(crate) struct Cache {
    directory: PathBuf,
}

impl Cache {
    /// Opens (and creates) `$XDG_CACHE_HOME/elfin`, or else `~/.cache/elfin`.
    pub(crate) fn open() -> Result<Self> {
        // The XDG base directory specification: a relative path is to be ignored.
        let absolute = |name: &str| {
            std::env::var_os(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        let base = absolute("XDG_CACHE_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
            .ok_or_else(|| {
                Failure::new("there is no place for the cache")
                    .because("neither XDG_CACHE_HOME nor HOME is set to an absolute path")
            })?;
        let directory = base.join("elfin");
        // Whoever could write here could have us run anything.
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)
            .map_err(|error| {
                Failure::new(format!("cannot create the cache {}", directory.display()))
                    .because(error)
            })?;
        Ok(Self { directory })
    }

    /// The executable of this key, if it is there.
    pub(crate) fn find(&self, key: &str) -> Option<PathBuf> {
        let path = self.directory.join(key);
        let file = File::open(&path).ok()?;
        // Only the order of removal depends on this.
        let _ = file.set_modified(SystemTime::now());
        Some(path)
    }

    /// Inserts an executable.
    pub(crate) fn insert(&self, key: &str, bytes: Vec<u8>) -> Result<PathBuf> {
        let path = self.directory.join(key);
        let failed = |error| {
            Failure::new(format!(
                "cannot write to the cache {}",
                self.directory.display()
            ))
            .because(error)
        };
        let artifact = Artifact {
            path: path.clone(),
            mode: 0o700,
            bytes,
        };
        let temporary = output::write_temporary(&artifact).map_err(failed)?;
        temporary
            .persist(&path)
            .map_err(|error| failed(error.error))?;
        self.prune(&path, MAX_BYTES);
        Ok(path)
    }

    /// Removes the oldest entries but `keep` until at most `max_bytes` remain. Another process may do
    /// the same at the same time: nothing here is an error.
    fn prune(&self, keep: &Path, max_bytes: u64) {
        let Ok(entries) = fs::read_dir(&self.directory) else {
            return;
        };
        let mut files: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for entry in entries.flatten() {
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            let Ok(modified) = metadata.modified() else {
                continue;
            };
            if entry
                .file_name()
                .as_encoded_bytes()
                .starts_with(TEMPORARY_PREFIX.as_bytes())
            {
                if modified.elapsed().is_ok_and(|age| age > ABANDONED) {
                    let _ = fs::remove_file(entry.path());
                }
            } else if metadata.is_file() {
                files.push((modified, metadata.len(), entry.path()));
            }
        }
        files.sort();
        let mut total: u64 = files.iter().map(|(_, size, _)| size).sum();
        for (_, size, path) in files {
            if total <= max_bytes {
                return;
            }
            if path != keep && fs::remove_file(&path).is_ok() {
                total -= size;
            }
        }
    }
}

/// Everything that decides the bytes of an executable, hashed.
pub(crate) fn key(plan: &ProgramPlan, modules: &Modules, arch: Arch) -> String {
    let mut hash = Sha256::new();
    // Each field is preceded by its length: no two lists of fields run together to the same bytes.
    let mut field = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    field(this_elfin().as_bytes());
    field(format!("{:?}", plan.options(arch)).as_bytes());
    field(&plan.policy.encode());
    field(modules.name.as_bytes());
    field(&modules.main);
    for (link, bytes) in plan.links.iter().zip(&modules.links) {
        field(link.name.as_bytes());
        field(bytes);
    }
    hexadecimal(&hash.finalize())
}

/// Tells one build of elfin from another, without reading all of it: its version, and which file it is
/// and when that was written.
fn this_elfin() -> String {
    let stamp = |metadata: Metadata| {
        let (modified, nanoseconds) = (metadata.mtime(), metadata.mtime_nsec());
        format!(
            "{} {} {} {modified} {nanoseconds}",
            metadata.dev(),
            metadata.ino(),
            metadata.len()
        )
    };
    let file = fs::metadata("/proc/self/exe")
        .map(stamp)
        .unwrap_or_default();
    format!("{} {file}", env!("CARGO_PKG_VERSION"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pruning_removes_the_oldest_first() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache {
            directory: directory.path().to_path_buf(),
        };
        for (i, key) in ["a", "b", "c"].into_iter().enumerate() {
            let path = cache.insert(key, vec![0; 100]).unwrap();
            let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(1000 + i as u64);
            File::open(path).unwrap().set_modified(modified).unwrap();
        }
        // A hit makes the oldest the newest.
        let a = cache.find("a").unwrap();
        cache.prune(Path::new(""), 200);
        assert!(cache.find("b").is_none());
        assert!(cache.find("c").is_some());
        // What was just inserted stays, however large.
        cache.prune(&a, 10);
        assert!(cache.find("c").is_none());
        assert!(cache.find("a").is_some());
    }

    #[test]
    fn abandoned_temporary_files_are_removed() {
        let directory = tempfile::tempdir().unwrap();
        let old = directory.path().join(".elfin-old");
        let new = directory.path().join(".elfin-new");
        fs::write(&new, "").unwrap();
        fs::write(&old, "").unwrap();
        let modified = SystemTime::now() - 2 * ABANDONED;
        File::open(&old).unwrap().set_modified(modified).unwrap();
        Cache {
            directory: directory.path().to_path_buf(),
        }
        .prune(Path::new(""), MAX_BYTES);
        assert!(new.exists() && !old.exists());
    }
}

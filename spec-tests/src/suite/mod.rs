//! Directories of preview 1 programs with expectations beside them, as WebAssembly/wasi-testsuite lays them
//! out: `foo.wasm` (or `foo.wat`), and `foo.json` if there is something to say about it.
//!
//! In: directories and a [`Config`]. Out: an [`Outcome`] for each program and target. Each program becomes an
//! executable as `elfin build` makes one, and runs in a fresh copy of its root directory.
//!
//! - [`expect`]: `foo.json` → what to do and what to expect, both forms of the suite
//! - [`execute`]: that, done with a process
//! - [`old_kernel`]: how a process sees a kernel without `openat2`, so that the other resolver runs natively

pub mod execute;
pub mod expect;
pub mod old_kernel;

use crate::driver;
use elfin_abi::host::Grants;
use elfin_abi::policy::{self, Entry};
use elfin_compiler::{Arch, Options, Silent, Source};
use rayon::prelude::*;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// How programs are run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Target.
    pub arch: Arch,
    /// The suite's programs in Rust accept no errno but Linux's: `ERRNO_MODE_UNIX=1` for programs in which
    /// that name occurs.
    pub strict: bool,
    /// The process sees a kernel without `openat2`. Native processes only: emulated ones never have it.
    pub old_kernel: bool,
}

impl Config {
    /// Its name, for tables.
    #[must_use]
    pub fn mode(&self) -> String {
        let mode = if self.strict { "strict" } else { "permissive" };
        let old = if self.old_kernel { ", old kernel" } else { "" };
        format!("{mode}{old}")
    }
}

/// A program of a suite.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Program {
    /// Its path without extension, below the directory that was searched.
    pub name: String,
    /// The module.
    pub module: PathBuf,
}

impl Program {
    /// What there is to do and to expect.
    ///
    /// # Errors
    /// When the file beside the module says what no such file says, and where.
    pub fn expectation(&self) -> Result<expect::Expectation, String> {
        let path = self.module.with_extension("json");
        match std::fs::read_to_string(&path) {
            Ok(text) => expect::parse(&text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Ok(expect::Expectation::default())
            }
            Err(error) => Err(error.to_string()),
        }
        .map_err(|error| format!("{}: {error}", path.display()))
    }
}

/// A program that was run, or should have been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Name of the program.
    pub name: String,
    /// How it was run.
    pub config: Config,
    /// Why it failed.
    pub failure: Option<String>,
}

/// The programs at or below `path`, in order.
///
/// # Errors
/// When something can't be read.
pub fn find(path: &Path) -> std::io::Result<Vec<Program>> {
    fn is_module(path: &Path) -> bool {
        path.extension()
            .is_some_and(|extension| extension == "wasm" || extension == "wat")
    }
    fn below(directory: &Path, prefix: &str, found: &mut Vec<Program>) -> std::io::Result<()> {
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            let path = entry.path();
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            if entry.file_type()?.is_dir() {
                let name = entry.file_name();
                below(
                    &path,
                    &format!("{prefix}{}/", name.to_string_lossy()),
                    found,
                )?;
            } else if is_module(&path) {
                found.push(Program {
                    name: format!("{prefix}{stem}"),
                    module: path,
                });
            }
        }
        Ok(())
    }

    let mut found = Vec::new();
    if path.is_dir() {
        below(path, "", &mut found)?;
        found.sort();
    } else {
        let stem = path.file_stem().unwrap_or_default();
        found.push(Program {
            name: stem.to_string_lossy().into_owned(),
            module: path.to_owned(),
        });
    }
    Ok(found)
}

/// Makes the executable of a module with these grants.
///
/// # Errors
/// When the module can't be read, and what the compiler or the linker says.
pub fn build<'a>(
    module: &Path,
    arch: Arch,
    grants: impl IntoIterator<Item = Entry<'a>>,
) -> Result<Vec<u8>, String> {
    let bytes = std::fs::read(module).map_err(|error| error.to_string())?;
    let name = module.file_name().unwrap_or_default().to_string_lossy();
    let source = Source {
        name: &name,
        bytes: &bytes,
    };
    let grants: Vec<Entry<'_>> = grants.into_iter().collect();
    let options = Options {
        grants: kinds(&grants),
        ..Options::new(arch)
    };
    let program = elfin_compiler::compile(source, &[], &options, &Silent)
        .map_err(|error| driver::explain(&error))?;
    driver::link(&program, arch, &policy::encode(grants))
        .map_err(|error| format!("linking: {error}"))
}

/// What kinds of entries there are: the compiler prepares for them.
fn kinds(entries: &[Entry<'_>]) -> Grants {
    let mut kinds = Grants::default();
    for entry in entries {
        match entry {
            Entry::Dir { .. } => kinds.directories = true,
            Entry::Env(_) | Entry::InheritEnv(_) => kinds.variables = true,
            Entry::Arg(_) => {}
            Entry::TcpListen { .. } => kinds.sockets = true,
            Entry::NullStreams(_) => kinds.null_streams = true,
            Entry::MaxOpenFiles(_) => kinds.max_open_files = true,
        }
    }
    kinds
}

/// Runs a program.
#[must_use]
pub fn run(program: &Program, config: &Config) -> Outcome {
    let failure = program
        .expectation()
        .and_then(|expectation| execute::execute(program, &expectation, config))
        .err();
    Outcome {
        name: program.name.clone(),
        config: config.clone(),
        failure,
    }
}

/// Runs programs, several at a time.
#[must_use]
pub fn run_all(programs: &[Program], configs: &[Config]) -> Vec<Outcome> {
    let work: Vec<_> = configs
        .iter()
        .flat_map(|config| programs.iter().map(move |program| (program, config)))
        .collect();
    work.par_iter()
        .with_max_len(1)
        .map(|(program, config)| run(program, config))
        .collect()
}

/// A line for each program that failed, or for each one at all; then the table.
#[must_use]
pub fn report(outcomes: &[Outcome], all: bool) -> String {
    let mut text = String::new();
    let mut rows: Vec<(&Config, usize, usize)> = Vec::new();
    for outcome in outcomes {
        let (name, arch) = (&outcome.name, outcome.config.arch.name());
        let mode = outcome.config.mode();
        match &outcome.failure {
            Some(failure) => {
                let _ = writeln!(text, "{name} {arch} {mode}: FAILED: {failure}");
            }
            None if all => {
                let _ = writeln!(text, "{name} {arch} {mode}: passed");
            }
            None => {}
        }
        let position = rows
            .iter()
            .position(|(config, ..)| **config == outcome.config);
        let position = position.unwrap_or_else(|| {
            rows.push((&outcome.config, 0, 0));
            rows.len() - 1
        });
        match outcome.failure {
            None => rows[position].1 += 1,
            Some(_) => rows[position].2 += 1,
        }
    }
    let modes = rows.iter().map(|(config, ..)| config.mode().len()).max();
    let width = modes.unwrap_or(0).max(4);
    let _ = writeln!(text, "target   {:width$}  passed  failed", "mode");
    for (config, passed, failed) in &rows {
        let (arch, mode) = (config.arch.name(), config.mode());
        let _ = writeln!(text, "{arch:7}  {mode:width$}  {passed:6}  {failed:6}");
    }
    let passed: usize = rows.iter().map(|(_, passed, _)| passed).sum();
    let failed: usize = rows.iter().map(|(.., failed)| failed).sum();
    let _ = writeln!(text, "{passed} passed, {failed} failed");
    text
}

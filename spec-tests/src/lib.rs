//! Test scripts (`.wast`) through the real compiler, linker and runtime.
//!
//! In: the text of a script and a [`Config`]. Out: an [`Outcome`] for each directive. All modules of a
//! script become one static executable that carries out its actions and prints raw outcomes; what was
//! expected stays on this side. [`run`] is the chain.
//!
//! - [`script`]: text → directives, plain data
//! - [`plan`]: directives → a program, what to expect of it, and what is decided without running it
//! - [`driver`]: program → executable → the lines that it prints
//! - [`compare`]: what was printed against what was expected
//! - [`report`]: tables; [`skips`]: what is not expected to work yet
//!
//! [`suite`] is the other judge: WASI programs with expectations beside them.

pub mod compare;
pub mod driver;
pub mod plan;
pub mod report;
pub mod script;
pub mod skips;
pub mod spectest;
pub mod suite;

use elfin_compiler::{Addressing, Arch, Cpu, MemoryMode, OptLevel, Options, Twins};
use rayon::prelude::*;
use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// What a script is compiled for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Options of the compiler, the target among them.
    pub options: Options,
    /// The name of the mode, for tables.
    pub mode: String,
}

impl Config {
    /// The configuration with the options named, as the command line names them.
    #[must_use]
    pub fn new(
        arch: Arch,
        addressing: Addressing,
        memory: MemoryMode,
        opt_level: OptLevel,
    ) -> Self {
        let mut words = vec![match addressing {
            Addressing::Fixed => "fixed",
            Addressing::Context => "context",
        }];
        if memory == MemoryMode::Checked {
            words.push("checked");
        }
        match opt_level {
            OptLevel::O0 => words.push("O0"),
            OptLevel::O1 => words.push("O1"),
            OptLevel::O2 => {}
            OptLevel::Os => words.push("Os"),
        }
        Self::with(
            Options {
                addressing,
                memory,
                opt_level,
                ..Options::new(arch)
            },
            words.join(" "),
        )
    }

    /// The configuration in which garbage is collected at every allocation.
    #[must_use]
    pub fn with_gc_stress(mut self) -> Self {
        self.options.gc_stress = true;
        self.mode += " gc-stress";
        self
    }

    /// The configuration in which every function is there twice, and one of the two is chosen when it is called.
    #[must_use]
    pub fn with_twins(mut self) -> Self {
        self.options.twins = Twins::All;
        self.mode += " twins";
        self
    }

    fn with(options: Options, mode: String) -> Self {
        Self { options, mode }
    }

    /// The same for another CPU level of its target.
    #[must_use]
    pub fn with_cpu(mut self, cpu: Cpu) -> Self {
        self.options.cpu = cpu;
        if cpu != Cpu::default() {
            self.mode = format!("{} {}", self.mode, cpu.describe(self.options.arch));
        }
        self
    }
}

/// What a directive came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As expected.
    Passed,
    /// Not as expected, and how.
    Failed(String),
    /// Not tried: it needs this feature.
    Skipped(String),
}

/// A directive and what it came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Result {
    /// Its line in the script.
    pub line: usize,
    /// What it is.
    pub what: String,
    /// What it came to.
    pub outcome: Outcome,
}

/// A script and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Name of the script: its path below the folder of all scripts.
    pub name: String,
    /// Target.
    pub arch: Arch,
    /// Name of the mode.
    pub mode: String,
    /// One for each directive, in order.
    pub results: Vec<Result>,
}

impl Report {
    /// How many directives came to what `is` says.
    pub fn count(&self, is: impl Fn(&Outcome) -> bool) -> usize {
        self.results.iter().filter(|r| is(&r.outcome)).count()
    }

    /// A report with a single failure, that of the script as a whole.
    fn failed(name: &str, config: &Config, message: String) -> Self {
        Self {
            name: name.to_owned(),
            arch: config.options.arch,
            mode: config.mode.clone(),
            results: vec![Result {
                line: 1,
                what: "script".to_owned(),
                outcome: Outcome::Failed(message),
            }],
        }
    }
}

/// Runs a script.
#[must_use]
pub fn run(name: &str, text: &str, config: &Config) -> Report {
    let directives = match script::parse(text) {
        Ok(directives) => directives,
        Err(message) => return Report::failed(name, config, message),
    };
    let binaries = plan::to_binaries(&directives);
    let modules = plan::parse_modules(&binaries);
    let planned = plan::plan(&directives, &modules, &config.options);
    let mut outcomes = planned.decided;
    if !planned.expected.is_empty() {
        let printed = driver::build(&planned.program, &config.options)
            .and_then(|executable| driver::run(&executable, &config.options));
        compare::compare(&planned.program, &planned.expected, printed, &mut outcomes);
    }
    let results = directives
        .iter()
        .zip(outcomes)
        .map(|(directive, outcome)| Result {
            line: directive.line,
            what: directive.what.clone(),
            outcome: outcome.unwrap_or_else(|| Outcome::Failed("nothing was reported".to_owned())),
        })
        .collect();
    Report {
        name: name.to_owned(),
        arch: config.options.arch,
        mode: config.mode.clone(),
        results,
    }
}

/// A script, not read yet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Script {
    /// Its name: the path below the folder that was searched, or the file name.
    pub name: String,
    /// Where it is.
    pub text: Text,
}

/// The text of a script.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Text {
    /// In a file.
    File(PathBuf),
    /// In this program.
    Here(&'static str),
}

impl Script {
    /// Reads the script and runs it.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn run(&self, config: &Config) -> std::result::Result<Report, String> {
        let text = match &self.text {
            Text::File(path) => Cow::Owned(
                std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?,
            ),
            Text::Here(text) => Cow::Borrowed(*text),
        };
        Ok(run(&self.name, &text, config))
    }
}

/// The script at `path`, or all scripts below it, in order. `name` is what the names of those begin with.
///
/// # Errors
/// When something can't be read.
pub fn find(path: &Path, name: &str) -> std::io::Result<Vec<Script>> {
    let mut found = Vec::new();
    if path.is_dir() {
        for entry in std::fs::read_dir(path)? {
            let entry = entry?;
            let below = entry.file_name().to_string_lossy().into_owned();
            let is_script = below.ends_with(".wast");
            let name = if name.is_empty() {
                below
            } else {
                format!("{name}/{below}")
            };
            if is_script || entry.path().is_dir() {
                found.extend(find(&entry.path(), &name)?);
            }
        }
        found.sort();
    } else {
        let name = match name {
            "" => path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            name => name.to_owned(),
        };
        found.push(Script {
            name,
            text: Text::File(path.to_owned()),
        });
    }
    Ok(found)
}

/// Runs scripts, several at a time.
///
/// # Errors
/// When one can't be read.
pub fn run_all(scripts: &[Script], configs: &[Config]) -> std::result::Result<Vec<Report>, String> {
    let work: Vec<_> = configs
        .iter()
        .flat_map(|config| scripts.iter().map(move |script| (config, script)))
        .collect();
    work.par_iter()
        .with_max_len(1)
        .map(|(config, script)| script.run(config))
        .collect()
}

/// Threads on which scripts run: deep nesting in a module must not exhaust their stacks.
///
/// # Errors
/// When there are no threads.
pub fn pool() -> std::result::Result<rayon::ThreadPool, rayon::ThreadPoolBuildError> {
    rayon::ThreadPoolBuilder::new().stack_size(64 << 20).build()
}

//! `elfin run`: builds into the cache and becomes the program.
//!
//! In: a [`RunPlan`]. Out: nothing on success, for the process is the program then. An executable for
//! another machine is run by qemu-user, if it is installed.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use elfin_compiler::{Arch, Feature, Phase};

use crate::assemble::{assemble, format_phases, on_pool};
use crate::cache::{self, Cache};
use crate::input::read_modules;
use crate::plan::{Input, RunPlan};
use crate::report::{Failure, Result};

/// Runs the command; returns only on failure.
pub(crate) fn run(plan: &RunPlan) -> Failure {
    match prepare(plan) {
        Ok(executable) => start(plan, &executable),
        Err(failure) => failure,
    }
}

/// The executable, from the cache or built into it.
fn prepare(plan: &RunPlan) -> Result<PathBuf> {
    let program = &plan.program;
    let started = Instant::now();
    let modules = read_modules(program)?;
    let cache = Cache::open()?;
    let key = cache::key(program, &modules, plan.arch);
    let read = Phase {
        name: "read",
        time: started.elapsed(),
    };
    let mut phases = vec![read];
    let path = match cache.find(&key) {
        Some(path) => path,
        None => {
            let executable = on_pool(program, || assemble(program, &modules, plan.arch))??;
            phases.extend(executable.phases);
            cache.insert(&key, executable.bytes)?
        }
    };
    if program.time {
        eprint!("{}:\n{}", plan.arch.name(), format_phases(&phases));
    }
    Ok(path)
}

/// Becomes the program; returns only on failure.
fn start(plan: &RunPlan, executable: &Path) -> Failure {
    let name = argv0(&plan.program.input);
    let mut command = if std::env::consts::ARCH == plan.arch.name() {
        let mut command = Command::new(executable);
        command.arg0(&name);
        command
    } else {
        match find_qemu(plan.arch) {
            Some(qemu) => {
                let mut command = Command::new(qemu);
                // Emulation leaves vectors out unless it is told.
                if uses_vectors(plan) && std::env::var_os("QEMU_CPU").is_none() {
                    command.args(["-cpu", "rv64,v=true,vext_spec=v1.0"]);
                }
                command.arg("-0").arg(&name).arg(executable);
                command
            }
            None => {
                return Failure::new(format!(
                    "cannot run a program for {} here",
                    plan.arch.name()
                ))
                .because(format!(
                    "{} is not in PATH; install qemu-user",
                    qemu_names(plan.arch).join(" or ")
                ));
            }
        }
    };
    let error = command.args(&plan.args).exec();
    let failure = Failure::new(format!(
        "cannot start {}",
        elfin_compiler::Printable(&name.to_string_lossy())
    ));
    match error.kind() {
        io::ErrorKind::PermissionDenied => failure.because(format!(
            "{}: {error} (is the cache on a file system mounted noexec?)",
            executable.display()
        )),
        _ => failure.because(format!("{}: {error}", executable.display())),
    }
}

/// Whether the program may use vectors that emulation has only when asked.
fn uses_vectors(plan: &RunPlan) -> bool {
    plan.program.options(plan.arch).cpu.has(Feature::V)
}

/// What the program sees as its own name: the module's file name.
fn argv0(input: &Input) -> OsString {
    match input {
        Input::File(path) => path.file_name().unwrap_or(path.as_os_str()).into(),
        Input::Stdin => OsStr::new("-").into(),
    }
}

fn qemu_names(arch: Arch) -> [String; 2] {
    [
        format!("qemu-{}", arch.name()),
        format!("qemu-{}-static", arch.name()),
    ]
}

fn find_qemu(arch: Arch) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    qemu_names(arch)
        .into_iter()
        .flat_map(|name| std::env::split_paths(&path).map(move |directory| directory.join(&name)))
        .find(|candidate| candidate.is_file())
}

//! Modules → executable: compiler, runtime object, linker, note.
//!
//! In: a plan and the bytes of its modules. Out: the bytes of an executable and the linker's map of it.
//! Where the three crates meet; touches no file.

use std::time::{Duration, Instant};

use elfin_compiler::{self as compiler, Arch, CompiledProgram, Source};
use elfin_linker as linker;
use sha2::{Digest, Sha256};

use crate::input::Modules;
use crate::note::Note;
use crate::plan::ProgramPlan;
use crate::progress::Display;
use crate::report::{Failure, Result};

/// Stack of a compiling thread: deep nesting in a module must not exhaust it.
const THREAD_STACK: usize = 64 << 20;

/// An executable.
pub(crate) struct Executable {
    /// The file.
    pub(crate) bytes: Vec<u8>,
    /// What lies where in it.
    pub(crate) map: linker::Map,
    /// Time by phase.
    pub(crate) phases: Vec<compiler::Phase>,
    /// The compiler's remark.
    pub(crate) remark: Option<String>,
}

/// Runs `work` on a pool of the threads that `plan` asks for.
pub(crate) fn on_pool<T: Send>(plan: &ProgramPlan, work: impl FnOnce() -> T + Send) -> Result<T> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(plan.threads.unwrap_or(0))
        .stack_size(THREAD_STACK)
        .build()
        .map_err(|error| Failure::new("cannot start threads").because(error))?;
    Ok(pool.install(work))
}

/// Builds the executable for `arch`.
pub(crate) fn assemble(plan: &ProgramPlan, modules: &Modules, arch: Arch) -> Result<Executable> {
    let program = compile(plan, modules, arch)?;
    let started = Instant::now();
    let policy = plan.policy.encode();
    let image = elfin_image::link(&program, &policy, arch).map_err(|error| {
        cannot_build(modules, arch)
            .because("linking")
            .because(error)
    })?;
    let mut bytes = image.bytes;
    bytes.extend(note(plan, modules, &program, policy, arch).encode());
    let mut phases = program.phases;
    phases.push(compiler::Phase {
        name: "link",
        time: started.elapsed(),
    });
    Ok(Executable {
        bytes,
        map: image.map,
        phases,
        remark: program.remark,
    })
}

/// Compiles the program for `arch`.
pub(crate) fn compile(
    plan: &ProgramPlan,
    modules: &Modules,
    arch: Arch,
) -> Result<CompiledProgram> {
    let display = Display::new(format!("{} for {}", modules.name, arch.name()));
    let (main, links) = sources(plan, modules);
    compiler::compile(main, &links, &plan.options(arch), &display)
        .map_err(|error| cannot_build(modules, arch).because_compiler(&error))
}

/// The text of a stage for `arch`.
pub(crate) fn dump(
    plan: &ProgramPlan,
    modules: &Modules,
    arch: Arch,
    stage: fn(Source<'_>, &[Source<'_>], &compiler::Options) -> compiler::Result<String>,
) -> Result<String> {
    let (main, links) = sources(plan, modules);
    stage(main, &links, &plan.options(arch))
        .map_err(|error| cannot_build(modules, arch).because_compiler(&error))
}

/// Prints phases, longest names aligned.
pub(crate) fn format_phases(phases: &[compiler::Phase]) -> String {
    let width = phases
        .iter()
        .map(|phase| phase.name.len())
        .max()
        .unwrap_or(0);
    let line =
        |name: &str, time: Duration| format!("{name:width$} {:9.3} ms\n", time.as_secs_f64() * 1e3);
    let mut text: String = phases
        .iter()
        .map(|phase| line(phase.name, phase.time))
        .collect();
    text += &line("total", phases.iter().map(|phase| phase.time).sum());
    text
}

fn cannot_build(modules: &Modules, arch: Arch) -> Failure {
    let name = compiler::Printable(&modules.name);
    Failure::new(format!("cannot build {name} for {}", arch.name()))
}

fn sources<'a>(plan: &'a ProgramPlan, modules: &'a Modules) -> (Source<'a>, Vec<Source<'a>>) {
    let main = Source {
        name: &modules.name,
        bytes: &modules.main,
    };
    let links = plan
        .links
        .iter()
        .zip(&modules.links)
        .map(|(link, bytes)| Source {
            name: &link.name,
            bytes,
        })
        .collect();
    (main, links)
}

fn note(
    plan: &ProgramPlan,
    modules: &Modules,
    program: &CompiledProgram,
    policy: Vec<u8>,
    arch: Arch,
) -> Note {
    let cpu = plan.options(arch).cpu;
    Note {
        version: env!("CARGO_PKG_VERSION").into(),
        opt_level: match plan.options.opt_level {
            compiler::OptLevel::O0 => "0",
            compiler::OptLevel::O1 => "1",
            compiler::OptLevel::O2 => "2",
            compiler::OptLevel::Os => "s",
        }
        .into(),
        memory: match plan.options.memory {
            compiler::MemoryMode::Guarded => "guarded",
            compiler::MemoryMode::Checked => "checked",
        }
        .into(),
        cpu: if cpu == compiler::Cpu::default() {
            String::new()
        } else {
            cpu.describe(arch)
        },
        max_memory: plan.options.max_memory,
        max_stack: Some(plan.options.max_stack).filter(|&size| size != compiler::DEFAULT_MAX_STACK),
        modules: std::iter::once(&modules.main)
            .chain(&modules.links)
            .map(|bytes| hexadecimal(&Sha256::digest(bytes)))
            .collect(),
        host_functions: program
            .host_functions
            .iter()
            .map(|function| format!("{}.{}", function.module, function.name))
            .collect(),
        policy,
    }
}

/// Bytes in hexadecimal.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

//! WebAssembly → native relocatable object.
//!
//! In: the bytes of a main module and of the modules linked to it. Out: one object and the addresses
//! that were decided for it. This crate knows WebAssembly and CLIF; it must not know segments, ELF
//! program headers or system calls.

pub mod canonical;
pub mod codegen;
pub mod cpu;
pub mod effort;
pub mod emit;
pub mod error;
pub mod fold;
pub mod gate;
pub mod isa;
pub mod layout;
pub mod legacy_text;
pub mod link;
pub mod module;
pub mod objects;
pub mod optimise;
pub mod options;
pub mod parse;
pub mod parts;
pub mod program;
pub mod proposals;
pub mod symbol;
pub mod translate;
pub mod twins;
pub mod unwind;
pub mod usage;

use std::borrow::Cow;
use std::time::Instant;

pub use cpu::{Cpu, Feature};
pub use error::{Error, Place, Printable, Result};
pub use options::*;

/// A module and the name under which it is linked.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// For the main module what errors call it (the file name); for others the import module name.
    pub name: &'a str,
    /// Binary or text format.
    pub bytes: &'a [u8],
}

/// A section whose address was decided before code generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Name of the section in the object.
    pub section: String,
    /// Address of its first byte.
    pub address: u64,
    /// Bytes in memory; those beyond the section's own are zero.
    pub mem_size: u64,
    /// It follows the file header (instance state); otherwise it is a memory image.
    pub is_state: bool,
}

/// Where things lie that the linker must put there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressMap {
    /// Bytes kept before the instance state for the file header and program headers.
    pub header_size: u64,
    /// Where read-only data and code begin.
    pub image_base: u64,
    /// One past the last address that read-only data and code may take.
    pub image_end: u64,
    /// Lowest address and size of the guest's stack.
    pub stack: (u64, u64),
    /// Sections with decided addresses.
    pub placements: Vec<Placement>,
}

/// Time spent in a phase.
#[derive(Clone, Copy, Debug)]
pub struct Phase {
    /// Its name.
    pub name: &'static str,
    /// Wall-clock time.
    pub time: std::time::Duration,
}

/// What the command line shows while a program is compiled; called from several threads.
pub trait Progress: Sync {
    /// Code generation begins for this many functions.
    fn start(&self, functions: usize);
    /// One more function is done.
    fn step(&self);
}

/// A compiled program.
#[derive(Clone, Debug)]
pub struct CompiledProgram {
    /// Relocatable ELF object.
    pub object: Vec<u8>,
    /// Addresses that were decided.
    pub map: AddressMap,
    /// Host functions that it calls.
    pub host_functions: Vec<&'static elfin_abi::host::HostFunction>,
    /// Generated functions (glue not counted).
    pub function_count: usize,
    /// What is odd about the program though it can be built.
    pub remark: Option<String>,
    /// Time by phase.
    pub phases: Vec<Phase>,
}

/// Progress that nobody watches.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn start(&self, _functions: usize) {}
    fn step(&self) {}
}

/// Compiles `main`, wired to `links` and to the host, into one object.
///
/// # Errors
/// See [`Error`]; nothing in the input makes this panic.
pub fn compile(
    main: Source<'_>,
    links: &[Source<'_>],
    options: &Options,
    progress: &dyn Progress,
) -> Result<CompiledProgram> {
    let mut clock = Clock::start();
    let binaries = to_binaries(main, links)?;
    let modules = parse_all(main, links, &binaries)?;
    clock.lap("parse");
    let program = link::link(&modules, options)?;
    compile_linked(&program, options, progress, clock)
}

/// Compiles a program that is linked already: a test script, for which [`link::Linker`] has the verbs.
///
/// # Errors
/// See [`Error`].
pub fn compile_program(
    program: &program::Program<'_>,
    options: &Options,
    progress: &dyn Progress,
) -> Result<CompiledProgram> {
    compile_linked(program, options, progress, Clock::start())
}

fn compile_linked(
    program: &program::Program<'_>,
    options: &Options,
    progress: &dyn Progress,
    mut clock: Clock,
) -> Result<CompiledProgram> {
    let plan = Plan::of(program, options)?;
    let (env, folded) = (plan.env(program, options), &plan.folded);
    let isas = twins::isas(env, options)?;
    clock.lap("plan");
    let work = codegen::work_list(env, folded);
    let functions = codegen::compile(env, folded, &isas, &work, false, progress)?;
    clock.lap("compile");
    let (object, map) = emit::emit(env, folded, &functions)?;
    clock.lap("emit");
    Ok(CompiledProgram {
        object,
        map,
        host_functions: used_host_functions(program, env.usage),
        function_count: env.usage.live.len(),
        remark: program.entry.remark.clone(),
        phases: clock.phases,
    })
}

/// Text of the program after translation (`--emit clif`), functions in index order.
///
/// # Errors
/// As [`compile`].
pub fn dump_clif(main: Source<'_>, links: &[Source<'_>], options: &Options) -> Result<String> {
    planned(main, links, options, |env, folded| {
        codegen::dump_clif(env, folded, &codegen::work_list(env, folded))
    })
}

/// Disassembly of the program (`--emit asm`), functions in index order.
///
/// # Errors
/// As [`compile`].
pub fn dump_asm(main: Source<'_>, links: &[Source<'_>], options: &Options) -> Result<String> {
    planned(main, links, options, |env, folded| {
        let isas = twins::isas(env, options)?;
        let work = codegen::work_list(env, folded);
        let functions = codegen::compile(env, folded, &isas, &work, true, &Silent)?;
        let text = functions.iter().map(|f| {
            format!(
                "; {}\n{}",
                codegen::describe(env, f.symbol),
                f.disassembly.as_deref().unwrap_or_default()
            )
        });
        Ok(text.collect::<Vec<_>>().join("\n"))
    })
}

/// Runs `work` on a program up to its layout.
fn planned<T>(
    main: Source<'_>,
    links: &[Source<'_>],
    options: &Options,
    work: impl FnOnce(translate::Env<'_>, &fold::Folded) -> Result<T>,
) -> Result<T> {
    let binaries = to_binaries(main, links)?;
    let modules = parse_all(main, links, &binaries)?;
    let program = link::link(&modules, options)?;
    let plan = Plan::of(&program, options)?;
    work(plan.env(&program, options), &plan.folded)
}

/// What is decided before code is generated.
struct Plan {
    usage: usage::Usage,
    folded: fold::Folded,
    layout: layout::Layout,
}

impl Plan {
    fn of(program: &program::Program<'_>, options: &Options) -> Result<Self> {
        let usage = usage::find(program);
        let folded = fold::fold(program, options.arch);
        let layout = layout::lay_out(program, &usage, &folded, options)?;
        Ok(Self {
            usage,
            folded,
            layout,
        })
    }

    fn env<'p>(
        &'p self,
        program: &'p program::Program<'p>,
        options: &Options,
    ) -> translate::Env<'p> {
        translate::Env {
            program,
            usage: &self.usage,
            layout: &self.layout,
            arch: options.arch,
            cpu: options.cpu,
            small: options.opt_level == OptLevel::Os,
            grants: options.grants,
            twins: twins::of(options),
        }
    }
}

/// Binary forms in the order of instantiation: linked modules as given, the main module last.
fn to_binaries<'a>(main: Source<'a>, links: &[Source<'a>]) -> Result<Vec<Cow<'a, [u8]>>> {
    links
        .iter()
        .chain([&main])
        .map(|source| parse::to_binary(source.name, source.bytes))
        .collect()
}

fn parse_all<'a>(
    main: Source<'_>,
    links: &[Source<'_>],
    binaries: &'a [Cow<'_, [u8]>],
) -> Result<Vec<module::Module<'a>>> {
    links
        .iter()
        .chain([&main])
        .zip(binaries)
        .map(|(source, binary)| parse::parse(source.name, binary))
        .collect()
}

fn used_host_functions(
    program: &program::Program<'_>,
    usage: &usage::Usage,
) -> Vec<&'static elfin_abi::host::HostFunction> {
    let mut indices: Vec<usize> = program
        .host_functions
        .iter()
        .zip(&usage.host_used)
        .filter_map(|(f, used)| used.then_some(f.index))
        .collect();
    indices.sort_unstable();
    indices.dedup();
    indices
        .into_iter()
        .map(|i| &elfin_abi::host::HOST_FUNCTIONS[i])
        .collect()
}

/// Measures phases.
struct Clock {
    last: Instant,
    phases: Vec<Phase>,
}

impl Clock {
    fn start() -> Self {
        Self {
            last: Instant::now(),
            phases: Vec::new(),
        }
    }

    fn lap(&mut self, name: &'static str) {
        let now = Instant::now();
        self.phases.push(Phase {
            name,
            time: now - self.last,
        });
        self.last = now;
    }
}

//! WebAssembly → native relocatable object.
//!
//! In: the bytes of a main module and of the modules linked to it. Out: one object and the addresses
//! that were decided for it. This crate knows WebAssembly and CLIF; it must not know segments, ELF
//! program headers or system calls.

pub mod error;
pub mod fold;
pub mod layout;
pub mod module;
pub mod options;
pub mod parse;
pub mod program;
pub mod usage;

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
    /// Time by phase.
    pub phases: Vec<Phase>,
}

/// Compiles `main`, wired to `links` and to the host, into one object.
///
/// # Errors
/// See [`Error`]; nothing in the input makes this panic.
pub fn compile(main: Source<'_>, links: &[Source<'_>], options: &Options, progress: &dyn Progress) -> Result<CompiledProgram> {
    let _ = (main, links, options, progress);
    Err(Error::Internal { message: "under construction".into(), place: Place::default() })
}

/// Text of the program after translation (`--emit clif`), functions in index order.
///
/// # Errors
/// As [`compile`].
pub fn dump_clif(main: Source<'_>, links: &[Source<'_>], options: &Options) -> Result<String> {
    let _ = (main, links, options);
    Err(Error::Internal { message: "under construction".into(), place: Place::default() })
}

/// Disassembly of the program (`--emit asm`), functions in index order.
///
/// # Errors
/// As [`compile`].
pub fn dump_asm(main: Source<'_>, links: &[Source<'_>], options: &Options) -> Result<String> {
    let _ = (main, links, options);
    Err(Error::Internal { message: "under construction".into(), place: Place::default() })
}

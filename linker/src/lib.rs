//! Static ELF linker: relocatable objects → executable image.
//!
//! In: the program's object, the runtime's object, blobs, and where the compiler decided that some
//! sections must lie. Out: the bytes of an executable and a map of it. It must not know WebAssembly.

mod arch;
mod error;
mod gc;
mod got;
mod input;
mod layout;
mod map;
mod merge;
mod relax;
mod relocate;
mod symbol;
mod symtab;
mod thunk;
mod verify;
mod write;

pub use error::{Error, Problem, Reference, RelocationError};
pub use map::{Map, MapSection, MapSegment, MapSymbol};
pub use symtab::with_symbols;

/// A relocatable ELF object.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// What errors call it.
    pub name: &'a str,
    /// Its bytes.
    pub data: &'a [u8],
}

/// Read-only bytes that are linked in under a symbol, aligned to 8, followed by nothing.
#[derive(Clone, Copy, Debug)]
pub struct Blob<'a> {
    /// Section it is put in.
    pub section: &'a str,
    /// Symbol at its first byte; `SYMBOL_end` is defined one past its last byte.
    pub symbol: &'a str,
    /// Its bytes.
    pub data: &'a [u8],
}

/// An input section whose address was decided before code was generated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Exact name of the section, which exactly one input has.
    pub section: String,
    /// Address of its first byte.
    pub address: u64,
    /// Bytes it takes in memory; what exceeds its bytes in the file is zero.
    pub mem_size: u64,
    /// It shares the first segment with the file header (instance state); otherwise it gets a segment
    /// of its own, page-aligned in the file as in memory (memory images).
    pub first_segment: bool,
}

/// A stretch of the address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// First address.
    pub base: u64,
    /// Size in bytes.
    pub size: u64,
}

/// What the caller decides.
#[derive(Clone, Debug)]
pub struct Options {
    /// Symbol at which execution begins; the root of garbage collection.
    pub entry: String,
    /// Address at which file offset 0 is mapped (readable, writable).
    pub state_base: u64,
    /// One past the last address that the first segment may take.
    pub state_end: u64,
    /// Bytes kept for the file header and program headers before the first placed section.
    pub header_size: u64,
    /// Where read-only data and code begin.
    pub image_base: u64,
    /// One past the last address they may take.
    pub image_end: u64,
    /// The guest's stack: a zero-filled segment of its own.
    pub stack: Region,
    /// Sections with decided addresses.
    pub placements: Vec<Placement>,
}

/// An executable.
#[derive(Clone, Debug)]
pub struct Image {
    /// The file.
    pub bytes: Vec<u8>,
    /// What lies where in it.
    pub map: Map,
}

/// Links objects and blobs into an executable.
///
/// Objects should come with the program's first: code keeps the order of inputs and of sections in them.
pub fn link(inputs: &[Input<'_>], blobs: &[Blob<'_>], options: &Options) -> Result<Image, Error> {
    link_with_reach(inputs, blobs, options, None)
}

/// [`link`] as if branches reached less far than the machine's do, so that tests see veneers without
/// 128 MiB of code.
#[doc(hidden)]
pub fn link_with_reach(
    inputs: &[Input<'_>],
    blobs: &[Blob<'_>],
    options: &Options,
    reach: Option<u64>,
) -> Result<Image, Error> {
    let objects = input::read_inputs(inputs, blobs)?;
    let resolved = symbol::resolve_symbols(&objects)?;
    let live = gc::mark_live(&objects, &resolved, options)?;
    let got = got::plan_got(&objects, &resolved, &live);
    let code = settle(&objects, &resolved, &live, &got, options, reach)?;
    let mut bytes = write::write_parts(&objects, &code.layout)?;
    let context = relocate::Context {
        objects: &objects,
        resolved: &resolved,
        got: &got,
        relaxation: &code.relaxation,
        veneers: &code.veneers,
        layout: &code.layout,
    };
    relocate::relocate(context, &mut bytes)?;
    verify::verify(
        &bytes,
        &code.layout,
        &live.placed,
        options,
        objects.arch.max_page(),
    )?;
    let map = map::describe(&objects, &resolved, &code.layout);
    Ok(Image { bytes, map })
}

/// Names of the global symbols that survive garbage collection, ascending: what an image made of these
/// inputs can call. The contents of blobs play no part in it.
pub fn live_symbols(
    inputs: &[Input<'_>],
    blobs: &[Blob<'_>],
    options: &Options,
) -> Result<Vec<String>, Error> {
    let objects = input::read_inputs(inputs, blobs)?;
    let resolved = symbol::resolve_symbols(&objects)?;
    let live = gc::mark_live(&objects, &resolved, options)?;
    let mut names: Vec<String> = resolved
        .definitions
        .iter()
        .filter(|&&id| match resolved.target(id) {
            symbol::Target::Section(section, _) => live.has(section),
            _ => false,
        })
        .map(|&id| objects.symbol(id).name.to_string())
        .collect();
    names.sort_unstable();
    Ok(names)
}

/// Addresses, and what they make of code whose size depends on them.
struct Settled {
    layout: layout::Layout,
    relaxation: relax::Relaxation,
    veneers: thunk::Veneers,
}

/// Lays out until no call can be shortened and no branch is out of reach. Each round only adds
/// decisions to those of the last, so that it ends; rounds of shortening are limited, since a call that
/// stays long is no mistake.
fn settle(
    objects: &input::Objects<'_>,
    resolved: &symbol::Resolved,
    live: &gc::Live,
    got: &got::Got,
    options: &Options,
    reach: Option<u64>,
) -> Result<Settled, Error> {
    const SHORTENING_ROUNDS: usize = 8;
    const ROUNDS: usize = 100;
    let mut relaxation = relax::Relaxation::find(objects, live)?;
    let mut veneers = thunk::Veneers::group(objects, live, reach);
    for round in 0..ROUNDS {
        let layout = layout::lay_out(objects, live, got, &relaxation, &veneers, options)?;
        let shorter = round < SHORTENING_ROUNDS && relaxation.shorten(objects, resolved, &layout);
        let veneered = veneers.add_missing(objects, resolved, live, &layout);
        if !shorter && !veneered {
            return Ok(Settled {
                layout,
                relaxation,
                veneers,
            });
        }
    }
    Err(Error::Internal {
        what: "the layout of code does not settle".into(),
    })
}

//! Layout: an address and a file offset for everything that is live.
//!
//! In: [`Live`] sections, the table of addresses, what was decided about code ([`Relaxation`],
//! [`Veneers`]) and the caller's [`Options`]. Out: [`Layout`]. It must not touch bytes.
//!
//! ```text
//! file   header | placed | data | rodata, got | text |········ image | ········ image
//! memory RW ^state_base     bss | R ^image_base| RX  | RW at its address            | RW stack
//! ```
//! Segments follow each other in the file without padding: the address of each is congruent to its file
//! offset modulo the largest page size, and each begins on a fresh page *of memory*. A file page that two
//! segments share is mapped twice, with the rights of each. Only memory images, whose addresses are
//! decided, are aligned in the file as well.

mod segments;

use std::collections::HashMap;

use crate::Options;
use crate::error::Error;
use crate::gc::Live;
use crate::got::Got;
use crate::input::{Objects, Relocation, SectionId};
use crate::relax::{Relaxation, Shape};
use crate::symbol::{LinkerSymbol, Resolved, Target};
use crate::thunk::Veneers;
use segments::{Builder, Cursor, Order};

/// Size of the ELF header and of each program header.
pub(crate) const FILE_HEADER: u64 = 64;
pub(crate) const PROGRAM_HEADER: u64 = 56;

/// Larger files are refused: nothing that fits the address map comes near.
const MAX_FILE: u64 = 1 << 32;

/// Linux before 6.17 does not load a program whose program headers take more than a page: 73 of them,
/// thus 68 memory images.
const MAX_PROGRAM_HEADERS: u64 = 0x1000;

/// The address of what is not in the image.
const NOWHERE: u64 = u64::MAX;

/// What a loadable segment is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SegmentKind {
    /// File header, instance state, writable data.
    State,
    /// Read-only data.
    ReadOnly,
    /// Code.
    Text,
    /// The initial image of a memory.
    Image,
    /// The guest's stack.
    Stack,
}

impl SegmentKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            SegmentKind::State => "state and data",
            SegmentKind::ReadOnly => "read-only data",
            SegmentKind::Text => "code",
            SegmentKind::Image => "memory image",
            SegmentKind::Stack => "stack",
        }
    }

    /// Readable is implied.
    pub(crate) fn is_writable(self) -> bool {
        matches!(
            self,
            SegmentKind::State | SegmentKind::Image | SegmentKind::Stack
        )
    }

    pub(crate) fn is_executable(self) -> bool {
        self == SegmentKind::Text
    }
}

/// A loadable segment.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub kind: SegmentKind,
    pub address: u64,
    pub mem_size: u64,
    pub file_offset: u64,
    pub file_size: u64,
}

impl Segment {
    pub(crate) fn end(&self) -> u64 {
        self.address + self.mem_size
    }
}

/// What lies at some place of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Section(SectionId),
    Got,
    /// The veneers behind a group of code.
    Island(u32),
}

/// Something with bytes or addresses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub content: Content,
    pub segment: SegmentKind,
    pub address: u64,
    pub mem_size: u64,
    pub file_offset: u64,
    /// Zero for what is zero-filled.
    pub file_size: u64,
}

#[derive(Debug)]
pub(crate) struct Layout {
    /// Ascending by address.
    pub segments: Vec<Segment>,
    /// In the order of the file.
    pub parts: Vec<Part>,
    /// By [`SectionId`].
    addresses: Vec<u64>,
    /// What became of code that shrank.
    pub shapes: HashMap<SectionId, Shape>,
    pub got: u64,
    /// By group.
    pub islands: Vec<u64>,
    pub entry: u64,
    /// The executable segment.
    pub text: (u64, u64),
    pub state_base: u64,
    /// Bytes of the file header and the program headers.
    pub header_size: u64,
    pub file_size: u64,
}

impl Layout {
    /// Address of an (original) offset in a section.
    pub(crate) fn place(&self, section: SectionId, offset: u64) -> u64 {
        let offset = self
            .shapes
            .get(&section)
            .map_or(offset, |shape| shape.offset(offset));
        self.addresses[section.0 as usize].wrapping_add(offset)
    }

    /// Address of what a symbol means.
    pub(crate) fn address(&self, target: Target) -> u64 {
        match target {
            Target::Section(section, offset) => self.place(section, offset),
            Target::Absolute(value) => value,
            Target::Linker(LinkerSymbol::ExecutableStart) => self.state_base,
            Target::Linker(LinkerSymbol::TextStart) => self.text.0,
            Target::Linker(LinkerSymbol::TextEnd) => self.text.1,
            // The latter two are errors before layout.
            Target::WeakZero | Target::Undefined | Target::Unusable(_) => 0,
        }
    }

    /// Symbol plus addend of a relocation.
    pub(crate) fn sum(
        &self,
        objects: &Objects<'_>,
        resolved: &Resolved,
        relocation: &Relocation,
    ) -> u64 {
        let (target, addend) = resolved.meaning(objects, relocation);
        self.address(target).wrapping_add(addend)
    }
}

/// Lays out the image.
pub(crate) fn lay_out(
    objects: &Objects<'_>,
    live: &Live,
    got: &Got,
    relaxation: &Relaxation,
    veneers: &Veneers,
    options: &Options,
) -> Result<Layout, Error> {
    check(options, objects.arch.max_page())?;
    let mut layout = Layout {
        segments: Vec::new(),
        parts: Vec::new(),
        addresses: vec![NOWHERE; objects.sections.len()],
        shapes: HashMap::new(),
        got: NOWHERE,
        islands: vec![NOWHERE; veneers.islands.len()],
        entry: NOWHERE,
        text: (0, 0),
        state_base: options.state_base,
        header_size: 0,
        file_size: 0,
    };
    let mut builder = Builder {
        objects,
        live,
        options,
        layout: &mut layout,
    };
    let order = Order::of(objects, live, options);
    builder.state(&order)?;
    let mut cursor = Cursor {
        address: options.image_base,
        file_offset: builder.layout.file_size,
        limit: options.image_end,
        what: "read-only data and code",
    };
    builder.read_only(&order, got, &mut cursor)?;
    builder.text(&order, relaxation, veneers, &mut cursor)?;
    builder.images()?;
    builder.stack();

    layout.segments.sort_by_key(|segment| segment.address);
    check_overlaps(&layout, objects.arch.max_page())?;
    // One more for PT_GNU_STACK.
    layout.header_size = FILE_HEADER + PROGRAM_HEADER * (layout.segments.len() as u64 + 1);
    if layout.header_size > options.header_size {
        let limit = options.header_size;
        return Err(Error::TooLarge {
            what: "the program headers".into(),
            end: layout.header_size,
            limit,
        });
    }
    if layout.header_size - FILE_HEADER > MAX_PROGRAM_HEADERS {
        return Err(Error::TooLarge {
            what: "the program headers".into(),
            end: layout.header_size,
            limit: FILE_HEADER + MAX_PROGRAM_HEADERS,
        });
    }
    if layout.file_size > MAX_FILE {
        let what = "the file".into();
        return Err(Error::TooLarge {
            what,
            end: layout.file_size,
            limit: MAX_FILE,
        });
    }
    layout.entry = layout.place(live.entry.0, live.entry.1);
    Ok(layout)
}

fn check(options: &Options, page: u64) -> Result<(), Error> {
    let error = |what: String| Err(Error::Options { what });
    let regions = [
        ("state", options.state_base, options.state_end),
        ("image", options.image_base, options.image_end),
        (
            "stack",
            options.stack.base,
            options.stack.base.saturating_add(options.stack.size),
        ),
    ];
    for (name, base, end) in regions {
        if base % page != 0 {
            return error(format!(
                "the {name} region's address {base:#x} is not a multiple of {page:#x}"
            ));
        }
        // A user address has 47 bits on every machine we know.
        if end < base || end >= 1 << 47 {
            return error(format!(
                "the {name} region {base:#x}..{end:#x} makes no sense"
            ));
        }
    }
    Ok(())
}

fn check_overlaps(layout: &Layout, page: u64) -> Result<(), Error> {
    for pair in layout.segments.windows(2) {
        let [low, high] = pair else { continue };
        if low.end().next_multiple_of(page) > high.address - high.address % page {
            let name = |segment: &Segment| {
                let (kind, start, end) = (segment.kind.name(), segment.address, segment.end());
                format!("{kind} at {start:#x}..{end:#x}")
            };
            return Err(Error::Overlap {
                first: name(low),
                second: name(high),
            });
        }
    }
    Ok(())
}

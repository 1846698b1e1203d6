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

use std::collections::HashMap;

use crate::error::Error;
use crate::gc::Live;
use crate::got::{self, Got};
use crate::input::{Kind, Objects, Relocation, SectionId};
use crate::relax::{Relaxation, Shape};
use crate::symbol::{LinkerSymbol, Resolved, Target};
use crate::thunk::Veneers;
use crate::{Options, Placement};

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

/// Where the next part goes.
struct Cursor {
    address: u64,
    file_offset: u64,
    /// Nothing may end beyond this address.
    limit: u64,
    what: &'static str,
}

impl Cursor {
    fn advance(&mut self, bytes: u64) -> Result<(), Error> {
        let address = self.address.saturating_add(bytes);
        if address > self.limit {
            let what = self.what.into();
            return Err(Error::TooLarge {
                what,
                end: address,
                limit: self.limit,
            });
        }
        self.file_offset += address - self.address;
        self.address = address;
        Ok(())
    }

    fn align(&mut self, align: u64) -> Result<(), Error> {
        self.advance(self.address.next_multiple_of(align) - self.address)
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

/// Sections by what they are, in the order in which they are laid out.
#[derive(Default)]
struct Order<'o> {
    /// Placed in the first segment; ascending by address.
    placed: Vec<(SectionId, &'o Placement)>,
    data: Vec<SectionId>,
    zero: Vec<SectionId>,
    read_only: Vec<SectionId>,
    text: Vec<SectionId>,
}

impl<'o> Order<'o> {
    fn of(objects: &Objects<'_>, live: &Live, options: &'o Options) -> Self {
        let mut order = Order::default();
        let pairs = live.placed.iter().copied().zip(&options.placements);
        order
            .placed
            .extend(pairs.filter(|(_, placement)| placement.first_segment));
        order.placed.sort_by_key(|(_, placement)| placement.address);

        let placed: std::collections::HashSet<SectionId> = live.placed.iter().copied().collect();
        for id in live.iter().filter(|id| !placed.contains(id)) {
            let section = objects.section(id);
            match section.kind {
                Kind::Text => order.text.push(id),
                Kind::ReadOnly => order.read_only.push(id),
                // Zeroes need no bytes in the file, whoever wrote them down.
                Kind::Data
                    if section.relocation_count() == 0 && section.data.iter().all(|&b| b == 0) =>
                {
                    order.zero.push(id);
                }
                Kind::Data => order.data.push(id),
                Kind::Zero => order.zero.push(id),
                Kind::Dropped => {}
            }
        }
        // Falling alignment loses the least padding. Not for code, whose order the compiler chose.
        for group in [&mut order.data, &mut order.zero, &mut order.read_only] {
            group.sort_by_key(|&id| std::cmp::Reverse(objects.section(id).align));
        }
        order
    }
}

struct Builder<'b, 'a> {
    objects: &'b Objects<'a>,
    live: &'b Live,
    options: &'b Options,
    layout: &'b mut Layout,
}

impl Builder<'_, '_> {
    fn put(&mut self, content: Content, segment: SegmentKind, at: &Cursor, mem: u64, file: u64) {
        if let Content::Section(id) = content {
            self.layout.addresses[id.0 as usize] = at.address;
        }
        self.layout.parts.push(Part {
            content,
            segment,
            address: at.address,
            mem_size: mem,
            file_offset: at.file_offset,
            file_size: file,
        });
    }

    fn state(&mut self, order: &Order<'_>) -> Result<(), Error> {
        let mut cursor = Cursor {
            address: self.options.state_base,
            file_offset: 0,
            limit: self.options.state_end,
            what: "state and writable data",
        };
        let start = cursor.address;
        cursor.advance(self.options.header_size)?;
        let mut file_end = self.options.header_size;
        for &(id, placement) in &order.placed {
            let size = self.check_placement(id, placement)?;
            if placement.address < cursor.address {
                return Err(Error::Placement {
                    section: placement.section.clone(),
                    what: format!(
                        "its address {:#x} is taken up to {:#x}",
                        placement.address, cursor.address
                    ),
                });
            }
            cursor.advance(placement.address - cursor.address)?;
            let content = Content::Section(id);
            self.put(
                content,
                SegmentKind::State,
                &cursor,
                placement.mem_size,
                size,
            );
            if size > 0 {
                file_end = cursor.file_offset + size;
            }
            cursor.advance(placement.mem_size)?;
        }
        for &id in &order.data {
            let section = self.objects.section(id);
            cursor.align(section.align)?;
            let content = Content::Section(id);
            self.put(
                content,
                SegmentKind::State,
                &cursor,
                section.size,
                section.size,
            );
            cursor.advance(section.size)?;
            file_end = cursor.file_offset;
        }
        for &id in &order.zero {
            let section = self.objects.section(id);
            cursor.align(section.align)?;
            self.put(
                Content::Section(id),
                SegmentKind::State,
                &cursor,
                section.size,
                0,
            );
            cursor.advance(section.size)?;
        }
        self.layout.segments.push(Segment {
            kind: SegmentKind::State,
            address: start,
            mem_size: cursor.address - start,
            file_offset: 0,
            file_size: file_end,
        });
        self.layout.file_size = file_end;
        Ok(())
    }

    /// Bytes in the file of a placed section.
    fn check_placement(&self, id: SectionId, placement: &Placement) -> Result<u64, Error> {
        let section = self.objects.section(id);
        let error = |what: String| {
            Err(Error::Placement {
                section: placement.section.clone(),
                what,
            })
        };
        if placement.mem_size < section.size {
            return error(format!(
                "it has {:#x} bytes but room for {:#x} only",
                section.size, placement.mem_size
            ));
        }
        if !placement.address.is_multiple_of(section.align) {
            let (address, align) = (placement.address, section.align);
            return error(format!(
                "its address {address:#x} is not a multiple of {align:#x}"
            ));
        }
        Ok(section.data.len() as u64)
    }

    /// Begins a segment: `cursor` moves to an address congruent to the file offset. The first part may
    /// move it further.
    fn begin(&self, cursor: &mut Cursor) {
        let page = self.objects.arch.max_page();
        cursor.address = cursor.address.next_multiple_of(page) + cursor.file_offset % page;
    }

    fn end(&mut self, kind: SegmentKind, start: Option<(u64, u64)>, cursor: &Cursor) {
        let Some((address, file_offset)) = start else {
            return;
        };
        let size = cursor.address - address;
        let (mem_size, file_size) = (size, size);
        self.layout.segments.push(Segment {
            kind,
            address,
            mem_size,
            file_offset,
            file_size,
        });
        self.layout.file_size = cursor.file_offset;
    }

    fn read_only(
        &mut self,
        order: &Order<'_>,
        got: &Got,
        cursor: &mut Cursor,
    ) -> Result<(), Error> {
        self.begin(cursor);
        let mut start = None;
        if got.size() > 0 {
            cursor.align(got::ENTRY)?;
            start = Some((cursor.address, cursor.file_offset));
            self.layout.got = cursor.address;
            self.put(
                Content::Got,
                SegmentKind::ReadOnly,
                cursor,
                got.size(),
                got.size(),
            );
            cursor.advance(got.size())?;
        }
        for &id in &order.read_only {
            let section = self.objects.section(id);
            cursor.align(section.align)?;
            start = start.or(Some((cursor.address, cursor.file_offset)));
            let content = Content::Section(id);
            self.put(
                content,
                SegmentKind::ReadOnly,
                cursor,
                section.size,
                section.size,
            );
            cursor.advance(section.size)?;
        }
        self.end(SegmentKind::ReadOnly, start, cursor);
        Ok(())
    }

    fn text(
        &mut self,
        order: &Order<'_>,
        relaxation: &Relaxation,
        veneers: &Veneers,
        cursor: &mut Cursor,
    ) -> Result<(), Error> {
        self.begin(cursor);
        let mut start = None;
        let mut group = 0;
        for &id in &order.text {
            let next = veneers.group_of(id);
            if next != group {
                self.island(group, veneers, cursor)?;
                group = next;
            }
            let section = self.objects.section(id);
            cursor.align(section.align)?;
            start = start.or(Some((cursor.address, cursor.file_offset)));
            let mut size = section.size;
            if let Some(shape) = relaxation.shape(self.objects, id, cursor.address)? {
                size -= shape.removed();
                self.layout.shapes.insert(id, shape);
            }
            self.put(Content::Section(id), SegmentKind::Text, cursor, size, size);
            cursor.advance(size)?;
        }
        self.island(group, veneers, cursor)?;
        self.layout.text = (start.map_or(0, |(address, _)| address), cursor.address);
        self.end(SegmentKind::Text, start, cursor);
        Ok(())
    }

    fn island(&mut self, group: u32, veneers: &Veneers, cursor: &mut Cursor) -> Result<(), Error> {
        let size = veneers.island_size(group);
        if let (Some(veneer), true) = (veneers.veneer, size > 0) {
            cursor.align(veneer.align)?;
            self.layout.islands[group as usize] = cursor.address;
            self.put(
                Content::Island(group),
                SegmentKind::Text,
                cursor,
                size,
                size,
            );
            cursor.advance(size)?;
        }
        Ok(())
    }

    fn images(&mut self) -> Result<(), Error> {
        let page = self.objects.arch.max_page();
        let placed = self
            .live
            .placed
            .iter()
            .copied()
            .zip(&self.options.placements);
        let mut images: Vec<_> = placed
            .filter(|(_, placement)| !placement.first_segment)
            .collect();
        images.sort_by_key(|(_, placement)| placement.address);
        for (id, placement) in images {
            let file_size = self.check_placement(id, placement)?;
            let Placement {
                section,
                address,
                mem_size,
                ..
            } = placement;
            if address % page != 0 {
                return Err(Error::Placement {
                    section: section.clone(),
                    what: format!("its address {address:#x} is not a multiple of {page:#x}"),
                });
            }
            // A segment without bytes takes no room in the file, not even for alignment.
            let file_offset = match file_size {
                0 => 0,
                _ => self.layout.file_size.next_multiple_of(page),
            };
            let cursor = Cursor {
                address: *address,
                file_offset,
                limit: 1 << 47,
                what: "a memory image",
            };
            Cursor { ..cursor }.advance(*mem_size)?;
            let content = Content::Section(id);
            self.put(content, SegmentKind::Image, &cursor, *mem_size, file_size);
            if *mem_size == 0 {
                continue;
            }
            self.layout.segments.push(Segment {
                kind: SegmentKind::Image,
                address: *address,
                mem_size: *mem_size,
                file_offset,
                file_size,
            });
            if file_size > 0 {
                self.layout.file_size = file_offset + file_size;
            }
        }
        Ok(())
    }

    fn stack(&mut self) {
        if self.options.stack.size > 0 {
            self.layout.segments.push(Segment {
                kind: SegmentKind::Stack,
                address: self.options.stack.base,
                mem_size: self.options.stack.size,
                file_offset: 0,
                file_size: 0,
            });
        }
    }
}

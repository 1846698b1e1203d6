//! Segments, one behind the other, and the parts of each.
//!
//! In: live sections and the caller's [`Options`]. Out: [`Segment`]s and [`Part`]s of a [`Layout`], in the order of the
//! file; addresses of sections. Whether all of it together makes sense is checked elsewhere.

use std::collections::HashSet;

use super::{Content, Layout, Part, Segment, SegmentKind};
use crate::error::Error;
use crate::gc::Live;
use crate::got::{self, Got};
use crate::input::{Kind, Objects, SectionId};
use crate::relax::Relaxation;
use crate::thunk::Veneers;
use crate::{Options, Placement};

/// Where the next part goes.
pub(super) struct Cursor {
    pub(super) address: u64,
    pub(super) file_offset: u64,
    /// Nothing may end beyond this address.
    pub(super) limit: u64,
    /// What is laid out, for errors.
    pub(super) what: &'static str,
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

/// Sections by what they are, in the order in which they are laid out.
#[derive(Default)]
pub(super) struct Order<'o> {
    /// Placed in the first segment; ascending by address.
    placed: Vec<(SectionId, &'o Placement)>,
    data: Vec<SectionId>,
    zero: Vec<SectionId>,
    read_only: Vec<SectionId>,
    text: Vec<SectionId>,
}

impl<'o> Order<'o> {
    pub(super) fn of(objects: &Objects<'_>, live: &Live, options: &'o Options) -> Self {
        let mut order = Order::default();
        let pairs = live.placed.iter().copied().zip(&options.placements);
        order
            .placed
            .extend(pairs.filter(|(_, placement)| placement.first_segment));
        order.placed.sort_by_key(|(_, placement)| placement.address);

        let placed: HashSet<SectionId> = live.placed.iter().copied().collect();
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

pub(super) struct Builder<'b, 'a> {
    pub(super) objects: &'b Objects<'a>,
    pub(super) live: &'b Live,
    pub(super) options: &'b Options,
    pub(super) layout: &'b mut Layout,
}

impl Builder<'_, '_> {
    /// Puts a part where `at` is: `mem` bytes of memory, of which the file has `file`.
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

    /// The first segment: file header, what is placed there, writable data.
    pub(super) fn state(&mut self, order: &Order<'_>) -> Result<(), Error> {
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

    /// Behind it in the file, at addresses of its own: what nobody writes.
    pub(super) fn read_only(
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

    /// Code, with veneers between its groups.
    pub(super) fn text(
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

    /// The veneers behind a group.
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

    /// Memory images, each a segment.
    pub(super) fn images(&mut self) -> Result<(), Error> {
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

    /// The guest's stack: addresses without bytes.
    pub(super) fn stack(&mut self) {
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

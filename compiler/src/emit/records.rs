//! The program header and the records it leads to, which the runtime reads.
//!
//! In: the layout, where code was put, its traps. Out: read-only data, and sections of mapped images.

use super::{Emitter, Image, Record, Text, readable};
use crate::Placement;
use crate::codegen::{CompiledFunction, function_name};
use crate::error::Result;
use crate::fold::Folded;
use crate::layout::Entries;
use crate::program::TableId;
use crate::symbol::Symbol;
use crate::twins;
use elfin_abi::program::{
    Copy, FuncRecord, ImageRange, MemoryInfo, ProgramHeader, TableInfo, TextChunk,
};
use elfin_abi::state::{FuncRef, MemoryDescriptor, SegmentDescriptor, TableDescriptor};
use elfin_abi::symbol;
use object::SectionKind;

impl Emitter<'_> {
    /// Sections of the mapped runs. Each reaches to the next, so that the zeros between are mapped as well.
    pub(super) fn images(&mut self, folded: &Folded) -> Vec<Image> {
        let mut images = Vec::new();
        let page = self.env.arch.max_page_size();
        for (memory, image) in folded.memories.iter().enumerate() {
            let base = self.layout().memories[memory].base;
            for (i, run) in image.mapped.iter().enumerate() {
                let end = match image.mapped.get(i + 1) {
                    Some(next) => next.offset,
                    None => (run.offset + run.bytes.len() as u64).next_multiple_of(page),
                };
                let name = format!("{}{memory}.{i}", symbol::SECTION_IMAGE_PREFIX);
                let section = self.section(&name, SectionKind::Data);
                self.append(section, &run.bytes, page);
                images.push(Image {
                    memory,
                    placement: Placement {
                        section: name,
                        address: base + run.offset,
                        mem_size: end - run.offset,
                        is_state: false,
                    },
                });
            }
        }
        images
    }

    /// The program header and everything it leads to.
    pub(super) fn program(
        &mut self,
        folded: &Folded,
        functions: &[CompiledFunction],
        text: &Text,
        images: &[Image],
    ) -> Result<()> {
        let (program, layout) = (self.env.program, self.layout());
        let state = layout.state();

        let mut ranges = Record::default();
        let mut memories = Record::default();
        for (i, place) in layout.memories.iter().enumerate() {
            let first = (ranges.bytes.len() / size_of::<ImageRange>()) as u32;
            // Runs of one memory touch each other: one range.
            let mut own = images
                .iter()
                .filter(|image| image.memory == i)
                .map(|image| &image.placement);
            let count = match (own.next(), own.next_back()) {
                (None, _) => 0,
                (Some(only), None) => {
                    ranges.word(only.address);
                    ranges.word(only.address + only.mem_size);
                    1
                }
                (Some(low), Some(high)) => {
                    ranges.word(low.address);
                    ranges.word(high.address + high.mem_size);
                    1
                }
            };
            memories.word(state + u64::from(place.descriptor));
            memories.word(place.reservation);
            memories.half(first);
            memories.half(count);
        }

        let mut copies = Record::default();
        for (image, place) in folded.memories.iter().zip(&layout.memories) {
            for run in &image.copied {
                let at = self.append(self.rodata, &run.bytes, 1);
                let from = self.local("elfin_copy", self.rodata, at);
                copies.word(place.base + run.offset);
                copies.address(from, 0);
                copies.word(run.bytes.len() as u64);
            }
        }
        let mut tables = Record::default();
        for (i, place) in layout.tables.iter().enumerate() {
            let Entries::Reserved(address) = place.entries else {
                continue;
            };
            tables.word(state + u64::from(place.descriptor));
            tables.word((place.capacity * u64::from(FuncRef::SIZE)).next_multiple_of(0x1_0000));
            let entries = &folded.tables[i];
            if !entries.is_empty() {
                let own = Symbol::TableEntries(TableId(i as u32));
                let from = match self.symbols.get(&own) {
                    Some(symbol) => *symbol,
                    None => {
                        let at = self.references(self.rodata, entries)?;
                        self.local("elfin_entries", self.rodata, at)
                    }
                };
                copies.word(address);
                copies.address(from, 0);
                copies.word(entries.len() as u64 * u64::from(FuncRef::SIZE));
            }
        }

        let mut chunks = Record::default();
        let mut records = Record::default();
        let mut names = Vec::new();
        let mut trap_offsets = Record::default();
        let mut trap_codes = Vec::new();
        for chunk in &text.chunks {
            let first_trap = trap_codes.len() as u32;
            for i in chunk.functions.clone() {
                let function = &functions[i];
                let offset = text.places[i].1 as u32;
                let (index, name) = match function.symbol {
                    // What chooses between two codes never stands in a backtrace.
                    symbol if twins::is_chooser(self.env, symbol) => (FuncRecord::GLUE, None),
                    Symbol::Function(id) | Symbol::Plain(id) | Symbol::Twin(id) => (
                        program.functions[id.index()].index,
                        function_name(self.env, id),
                    ),
                    _ => (FuncRecord::GLUE, None),
                };
                let name = name.map(readable::readable).unwrap_or_default();
                records.half(offset);
                records.half(names.len() as u32);
                records.half(
                    index
                        | if function.frameless {
                            FuncRecord::FRAMELESS
                        } else {
                            0
                        },
                );
                names.extend_from_slice(name.as_bytes());
                for (at, code) in &function.traps {
                    trap_offsets.half(offset + at);
                    trap_codes.push(*code as u8);
                }
            }
            chunks.address(chunk.start, 0);
            chunks.half(chunk.size as u32);
            chunks.half(chunk.functions.start as u32);
            chunks.half(chunk.functions.len() as u32);
            chunks.half(first_trap);
            chunks.half(trap_codes.len() as u32 - first_trap);
            chunks.half(0);
        }

        // The end of the last name.
        records.half(0);
        records.half(names.len() as u32);
        records.half(FuncRecord::GLUE);

        let mut header = Record::default();
        header.word(state);
        // Those with a size are followed by the number of their entries.
        let lists: [(&Record, Option<usize>); 5] = [
            (&memories, Some(size_of::<MemoryInfo>())),
            (&ranges, None),
            (&copies, Some(size_of::<Copy>())),
            (&tables, Some(size_of::<TableInfo>())),
            (&chunks, Some(size_of::<TextChunk>())),
        ];
        for (list, size) in lists {
            self.lead(&mut header, list, 8)?;
            if let Some(size) = size {
                header.word((list.bytes.len() / size) as u64);
            }
        }
        let trap_codes = Record {
            bytes: trap_codes,
            addresses: Vec::new(),
        };
        let names = Record {
            bytes: names,
            addresses: Vec::new(),
        };
        for (list, align) in [
            (&records, 4),
            (&names, 1),
            (&trap_offsets, 4),
            (&trap_codes, 1),
        ] {
            self.lead(&mut header, list, align)?;
        }
        header.word(layout.stack.0);
        header.word(layout.stack.1);
        debug_assert_eq!(header.bytes.len(), ProgramHeader::SIZE as usize);
        self.publish(&header, symbol::PROGRAM)
    }
}

// The records above are written field by field; their readers are `repr(C)` structs.
const _: () = {
    assert!(
        MemoryDescriptor::SIZE == 32
            && TableDescriptor::SIZE == 32
            && SegmentDescriptor::SIZE == 16
    );
    assert!(
        size_of::<MemoryInfo>() == 24 && size_of::<TableInfo>() == 16 && size_of::<Copy>() == 24
    );
    assert!(size_of::<elfin_abi::script::Action>() == 16);
    assert!(
        size_of::<TextChunk>() == 32
            && size_of::<FuncRecord>() == 12
            && size_of::<ImageRange>() == 16
    );
};

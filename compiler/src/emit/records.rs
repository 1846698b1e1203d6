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
use elfin_abi::trap::{Messages, TrapCode};
use object::{SectionKind, SymbolKind, SymbolScope};

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
        let layout = self.layout();
        let (memories, ranges) = self.memories(images);
        let mut copies = self.memory_copies(folded);
        let tables = self.tables(folded, &mut copies)?;
        let code = self.code(functions, text);

        let mut header = Record::default();
        header.word(layout.state());
        self.lead(&mut header, &memories, 8)?;
        header.word(memories.count::<MemoryInfo>());
        self.lead(&mut header, &ranges, 8)?;
        self.lead(&mut header, &copies, 8)?;
        header.word(copies.count::<Copy>());
        self.lead(&mut header, &tables, 8)?;
        header.word(tables.count::<TableInfo>());
        self.lead(&mut header, &code.chunks, 8)?;
        header.word(code.chunks.count::<TextChunk>());
        self.lead_all(
            &mut header,
            &[
                (&code.functions, 4),
                (&code.names, 1),
                (&code.trap_offsets, 4),
                (&code.trap_codes, 1),
            ],
        )?;
        header.word(layout.stack.0);
        header.word(layout.stack.1);
        debug_assert_eq!(header.bytes.len(), ProgramHeader::SIZE as usize);
        self.publish(&header, symbol::PROGRAM)
    }

    /// What the runtime knows of each memory, and the ranges of their images.
    fn memories(&self, images: &[Image]) -> (Record, Record) {
        let layout = self.layout();
        let (mut memories, mut ranges) = (Record::default(), Record::default());
        for (i, place) in layout.memories.iter().enumerate() {
            let first = ranges.count::<ImageRange>() as u32;
            // Runs of one memory touch each other: one range.
            let mut own = images.iter().filter(|image| image.memory == i);
            if let Some(low) = own.next() {
                let high = own.next_back().unwrap_or(low);
                ranges.word(low.placement.address);
                ranges.word(high.placement.address + high.placement.mem_size);
            }
            memories.word(layout.state() + u64::from(place.descriptor));
            memories.word(place.reservation);
            memories.half(first);
            memories.half(ranges.count::<ImageRange>() as u32 - first);
        }
        (memories, ranges)
    }

    /// The runs of memories that are copied to their place at start.
    fn memory_copies(&mut self, folded: &Folded) -> Record {
        let mut copies = Record::default();
        for (image, place) in folded.memories.iter().zip(&self.layout().memories) {
            for run in &image.copied {
                let at = self.append(self.rodata, &run.bytes, 1);
                let from = self.local("elfin_copy", self.rodata, at);
                copies.word(place.base + run.offset);
                copies.address(from, 0);
                copies.word(run.bytes.len() as u64);
            }
        }
        copies
    }

    /// What the runtime knows of the tables that are reserved at start; `copies` gets their entries.
    fn tables(&mut self, folded: &Folded, copies: &mut Record) -> Result<Record> {
        let layout = self.layout();
        let mut tables = Record::default();
        for (i, place) in layout.tables.iter().enumerate() {
            let Entries::Reserved(address) = place.entries else {
                continue;
            };
            tables.word(layout.state() + u64::from(place.descriptor));
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
        Ok(tables)
    }

    /// By address: which function code belongs to, and why it traps.
    fn code(&self, functions: &[CompiledFunction], text: &Text) -> Code {
        let mut code = Code::default();
        for chunk in &text.chunks {
            let first_trap = code.trap_codes.bytes.len() as u32;
            for i in chunk.functions.clone() {
                let function = &functions[i];
                let offset = text.places[i].1 as u32;
                let (index, name) = self.function_record(function);
                code.functions.half(offset);
                code.functions.half(code.names.bytes.len() as u32);
                code.functions.half(index);
                code.names.bytes.extend_from_slice(name.as_bytes());
                for (at, trap) in &function.traps {
                    code.trap_offsets.half(offset + at);
                    code.trap_codes.bytes.push(*trap as u8);
                }
            }
            let traps = code.trap_codes.bytes.len() as u32 - first_trap;
            code.chunks.address(chunk.start, 0);
            code.chunks.half(chunk.size as u32);
            code.chunks.half(chunk.functions.start as u32);
            code.chunks.half(chunk.functions.len() as u32);
            code.chunks.half(first_trap);
            code.chunks.half(traps);
            code.chunks.half(0);
        }
        // The end of the last name.
        code.functions.half(0);
        code.functions.half(code.names.bytes.len() as u32);
        code.functions.half(FuncRecord::GLUE);
        code
    }

    /// A function's index with its flags, and what backtraces call it.
    fn function_record(&self, function: &CompiledFunction) -> (u32, String) {
        let (index, name) = match function.symbol {
            // What chooses between two codes never stands in a backtrace.
            symbol if twins::is_chooser(self.env, symbol) => (FuncRecord::GLUE, None),
            Symbol::Function(id) | Symbol::Plain(id) | Symbol::Twin(id) => (
                self.env.program.functions[id.index()].index,
                function_name(self.env, id),
            ),
            _ => (FuncRecord::GLUE, None),
        };
        let flags = if function.frameless {
            FuncRecord::FRAMELESS
        } else {
            0
        };
        let name = name.map(readable::readable).unwrap_or_default();
        (index | flags, name)
    }

    /// The messages of the traps that the program can raise.
    pub(super) fn trap_messages(&mut self, functions: &[CompiledFunction]) {
        // Faults, and what the runtime raises by itself.
        let mut codes = vec![TrapCode::MemoryOutOfBounds, TrapCode::StackExhausted];
        if !self.env.program.unknown.is_empty() {
            codes.push(TrapCode::UnknownImport);
        }
        codes.extend(
            functions
                .iter()
                .flat_map(|f| &f.traps)
                .map(|(_, code)| *code),
        );
        let bytes = Messages::encode(&codes);
        let at = self.append(self.rodata, &bytes, 1);
        self.define(
            symbol::TRAP_MESSAGES.into(),
            self.rodata,
            at,
            bytes.len() as u64,
            SymbolKind::Data,
            SymbolScope::Linkage,
        );
    }
}

/// The records of code: lists of [`TextChunk`], [`FuncRecord`], names, traps.
#[derive(Default)]
struct Code {
    chunks: Record,
    functions: Record,
    names: Record,
    trap_offsets: Record,
    trap_codes: Record,
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

//! Compiled functions, folded images and records → one relocatable ELF object.
//!
//! In: everything that was decided. Out: the bytes of an object and the addresses at which the linker must put
//! some of its sections. Code goes into chunks in the order of the work list, so that a linker can put veneers
//! between them.

use crate::codegen::{CompiledFunction, Target, function_name};
use crate::error::{Error, Result};
use crate::fold::{Applied, Folded};
use crate::layout::{Entries, GlobalPlace, Layout};
use crate::options::Arch;
use crate::program::{Callee, Constant, DataId, ElementId, FuncId, Program, UnknownId, evaluate};
use crate::symbol::Symbol;
use crate::translate::{Env, reference_symbol};
use crate::{AddressMap, Placement};
use cranelift_codegen::binemit::Reloc;
use elfin_abi::program::{
    Copy, FuncRecord, ImageRange, MemoryInfo, ProgramHeader, TableInfo, TextChunk,
};
use elfin_abi::state::{FuncRef, MemoryDescriptor, SegmentDescriptor, TableDescriptor};
use elfin_abi::{host, symbol};
use object::write::{
    Object, Relocation, SectionId, StandardSegment, Symbol as ObjectSymbol, SymbolId, SymbolSection,
};
use object::{
    Architecture, BinaryFormat, Endianness, RelocationFlags, SectionKind, SymbolFlags, SymbolKind,
    SymbolScope, elf,
};
use std::collections::HashMap;

/// Most bytes of code in one section. Far below the reach of a call on aarch64, for veneers go between sections.
const MAX_CHUNK: u64 = 16 << 20;

/// Writes the object.
///
/// # Errors
/// [`Error::LimitExceeded`] when the code is too large, [`Error::Internal`].
pub fn emit(
    env: Env<'_>,
    folded: &Folded,
    functions: &[CompiledFunction],
) -> Result<(Vec<u8>, AddressMap)> {
    let mut emitter = Emitter::new(env);
    let text = emitter.text(functions)?;
    emitter.segments(folded)?;
    let state_size = emitter.state(folded)?;
    let images = emitter.images(folded);
    emitter.program(folded, functions, &text, &images)?;
    emitter.relocate(functions, &text)?;

    let layout = env.layout;
    let mut placements = vec![Placement {
        section: symbol::SECTION_STATE.to_owned(),
        address: layout.state(),
        mem_size: state_size,
        is_state: true,
    }];
    placements.extend(images.into_iter().map(|image| image.placement));
    let map = AddressMap {
        header_size: layout.header_size,
        image_base: layout.image_base,
        image_end: layout.image_end,
        stack: layout.stack,
        placements,
    };
    let object = emitter
        .object
        .write()
        .map_err(|e| emitter_error(env.program, &e.to_string()))?;
    Ok((object, map))
}

fn emitter_error(program: &Program<'_>, message: &str) -> Error {
    Error::Internal {
        message: format!("writing the object: {message}"),
        place: program.main().module.place(),
    }
}

/// Where each function's code is.
struct Text {
    chunks: Vec<Chunk>,
    /// For each function: chunk and offset in it.
    places: Vec<(usize, u64)>,
}

struct Chunk {
    section: SectionId,
    /// Symbol at its first byte.
    start: SymbolId,
    size: u64,
    functions: std::ops::Range<usize>,
}

/// A mapped run of a memory's image.
struct Image {
    memory: usize,
    placement: Placement,
}

struct Emitter<'p> {
    env: Env<'p>,
    object: Object<'static>,
    symbols: HashMap<Symbol, SymbolId>,
    rodata: SectionId,
}

/// Bytes of a record under construction, with the addresses to be filled in.
#[derive(Default)]
struct Record {
    bytes: Vec<u8>,
    addresses: Vec<(u64, SymbolId, i64)>,
}

impl Record {
    fn word(&mut self, value: u64) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    fn half(&mut self, value: u32) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    fn address(&mut self, symbol: SymbolId, addend: i64) {
        self.addresses
            .push((self.bytes.len() as u64, symbol, addend));
        self.word(0);
    }
}

impl<'p> Emitter<'p> {
    fn new(env: Env<'p>) -> Self {
        let architecture = match env.arch {
            Arch::X86_64 => Architecture::X86_64,
            Arch::Aarch64 => Architecture::Aarch64,
            Arch::Riscv64 => Architecture::Riscv64,
        };
        let mut object = Object::new(BinaryFormat::Elf, architecture, Endianness::Little);
        if env.arch == Arch::Riscv64 {
            object.flags = object::FileFlags::Elf {
                os_abi: elf::ELFOSABI_NONE,
                abi_version: 0,
                e_flags: elf::EF_RISCV_RVC | elf::EF_RISCV_FLOAT_ABI_DOUBLE,
            };
        }
        let segment = object.segment_name(StandardSegment::Data).to_vec();
        let rodata = object.add_section(
            segment,
            symbol::SECTION_PROGRAM.into(),
            SectionKind::ReadOnlyData,
        );
        Self {
            env,
            object,
            symbols: HashMap::new(),
            rodata,
        }
    }

    fn layout(&self) -> &'p Layout {
        self.env.layout
    }

    fn section(&mut self, name: &str, kind: SectionKind) -> SectionId {
        let segment = self.object.segment_name(StandardSegment::Data).to_vec();
        self.object
            .add_section(segment, name.as_bytes().to_vec(), kind)
    }

    fn define(
        &mut self,
        name: Vec<u8>,
        section: SectionId,
        value: u64,
        size: u64,
        kind: SymbolKind,
        scope: SymbolScope,
    ) -> SymbolId {
        self.object.add_symbol(ObjectSymbol {
            name,
            value,
            size,
            kind,
            scope,
            weak: false,
            section: SymbolSection::Section(section),
            flags: SymbolFlags::None,
        })
    }

    fn local(&mut self, name: &str, section: SectionId, value: u64) -> SymbolId {
        self.define(
            name.as_bytes().to_vec(),
            section,
            value,
            0,
            SymbolKind::Data,
            SymbolScope::Compilation,
        )
    }

    /// The object's symbol for something that is defined elsewhere, or was defined before.
    fn symbol(&mut self, symbol: Symbol) -> SymbolId {
        if let Some(id) = self.symbols.get(&symbol) {
            return *id;
        }
        let (name, section, value) = match symbol {
            Symbol::Host(index) => (
                host::HOST_FUNCTIONS[index as usize].linked_symbol(&self.env.grants),
                SymbolSection::Undefined,
                0,
            ),
            Symbol::Libcall(index) => (
                Symbol::as_libcall(index).symbol(),
                SymbolSection::Undefined,
                0,
            ),
            Symbol::Setup(index) => (
                Symbol::as_setup(index).symbol(),
                SymbolSection::Undefined,
                0,
            ),
            Symbol::Memory => {
                let id = self
                    .env
                    .program
                    .primary_memory()
                    .expect("code refers to a memory");
                (
                    symbol::MEMORY_0,
                    SymbolSection::Absolute,
                    self.layout().memories[id.index()].base,
                )
            }
            defined => unreachable!("{defined:?} is defined before it is referred to"),
        };
        let undefined = section == SymbolSection::Undefined;
        let id = self.object.add_symbol(ObjectSymbol {
            name: name.as_bytes().to_vec(),
            value,
            size: 0,
            kind: if undefined {
                SymbolKind::Unknown
            } else {
                SymbolKind::Data
            },
            scope: if undefined {
                SymbolScope::Unknown
            } else {
                SymbolScope::Compilation
            },
            weak: false,
            section,
            flags: SymbolFlags::None,
        });
        self.symbols.insert(symbol, id);
        id
    }

    fn append(&mut self, section: SectionId, bytes: &[u8], align: u64) -> u64 {
        self.object.append_section_data(section, bytes, align)
    }

    /// Puts a record into read-only data and returns its offset.
    fn append_record(&mut self, record: &Record, align: u64) -> Result<u64> {
        let at = self.append(self.rodata, &record.bytes, align);
        for (offset, symbol, addend) in &record.addresses {
            self.relocation(
                self.rodata,
                at + offset,
                *symbol,
                *addend,
                self.absolute_64(),
            )?;
        }
        Ok(at)
    }

    fn relocation(
        &mut self,
        section: SectionId,
        offset: u64,
        symbol: SymbolId,
        addend: i64,
        r_type: u32,
    ) -> Result<()> {
        self.object
            .add_relocation(
                section,
                Relocation {
                    offset,
                    symbol,
                    addend,
                    flags: RelocationFlags::Elf { r_type },
                },
            )
            .map_err(|e| emitter_error(self.env.program, &e.to_string()))
    }

    fn absolute_64(&self) -> u32 {
        match self.env.arch {
            Arch::X86_64 => elf::R_X86_64_64,
            Arch::Aarch64 => elf::R_AARCH64_ABS64,
            Arch::Riscv64 => elf::R_RISCV_64,
        }
    }

    fn absolute_32(&self) -> u32 {
        match self.env.arch {
            Arch::X86_64 => elf::R_X86_64_32,
            Arch::Aarch64 => elf::R_AARCH64_ABS32,
            Arch::Riscv64 => elf::R_RISCV_32,
        }
    }

    /// Puts code into chunks and defines its symbols.
    fn text(&mut self, functions: &[CompiledFunction]) -> Result<Text> {
        let mut text = Text {
            chunks: Vec::new(),
            places: Vec::with_capacity(functions.len()),
        };
        for (i, function) in functions.iter().enumerate() {
            let full = text
                .chunks
                .last()
                .is_none_or(|c: &Chunk| c.size + function.code.len() as u64 > MAX_CHUNK);
            if full {
                let name = format!(".text.elfin.{:04}", text.chunks.len());
                let section = self.section(&name, SectionKind::Text);
                let start = self.local(&format!("elfin_chunk_{}", text.chunks.len()), section, 0);
                text.chunks.push(Chunk {
                    section,
                    start,
                    size: 0,
                    functions: i..i,
                });
            }
            let chunk = text.chunks.len() - 1;
            let section = text.chunks[chunk].section;
            let at = self.append(section, &function.code, function.alignment);
            text.chunks[chunk].size = at + function.code.len() as u64;
            text.chunks[chunk].functions.end = i + 1;
            text.places.push((chunk, at));
            let (name, scope) = match function.symbol {
                Symbol::Main => (symbol::PROGRAM_MAIN.to_owned(), SymbolScope::Linkage),
                Symbol::Function(id) => (object_name(self.env, id), SymbolScope::Compilation),
                Symbol::HostGlue(id) => (
                    format!("elfin_host_glue_{}", id.0),
                    SymbolScope::Compilation,
                ),
                other => (format!("elfin_glue_{other:?}"), SymbolScope::Compilation),
            };
            let id = self.define(
                name.into_bytes(),
                section,
                at,
                function.code.len() as u64,
                SymbolKind::Text,
                scope,
            );
            self.symbols.insert(function.symbol, id);
        }
        let size: u64 = text.chunks.iter().map(|c| c.size).sum();
        let room = self.layout().image_end - self.layout().image_base;
        if size > room {
            return Err(Error::LimitExceeded {
                message: format!("machine code of {size} bytes; there is room for {room}"),
                place: self.env.program.main().module.place(),
            });
        }
        Ok(text)
    }

    /// Writes a function reference: the code's address and the type's id.
    fn reference(&mut self, section: SectionId, offset: u64, callee: Callee) -> Result<()> {
        let symbol = self.symbol(reference_symbol(callee));
        self.relocation(section, offset, symbol, 0, self.absolute_32())
    }

    /// The bytes of a reference, the address left out.
    fn reference_bytes(&self, callee: Option<Callee>) -> [u8; FuncRef::SIZE as usize] {
        let id = callee.map_or(0, |callee| self.env.program.callee_type(callee).0);
        (u64::from(id) << 32).to_le_bytes()
    }

    /// Read-only bytes of segments that are needed at run time, names of unknown imports, the name of the
    /// invoked export.
    fn segments(&mut self, folded: &Folded) -> Result<()> {
        let program = self.env.program;
        for (i, segment) in (0..).zip(&program.data) {
            let id = DataId(i);
            let wanted = match folded.data[id.index()] {
                Applied::Folded => false,
                Applied::AtStart => true,
                Applied::Never => self.env.usage.data_used[id.index()],
            };
            if !wanted {
                continue;
            }
            let bytes = program.instances[segment.instance.index()].module.data
                [segment.index as usize]
                .bytes;
            let at = self.append(self.rodata, bytes, 1);
            let symbol = self.local(&format!("elfin_data_{i}"), self.rodata, at);
            self.symbols.insert(Symbol::Data(id), symbol);
        }
        for (i, segment) in (0..).zip(&program.elements) {
            let id = ElementId(i);
            let wanted = match folded.elements[id.index()] {
                Applied::Folded => false,
                Applied::AtStart => true,
                Applied::Never => self.env.usage.elements_used[id.index()] && !segment.declared,
            };
            if !wanted {
                continue;
            }
            let instance = &program.instances[segment.instance.index()];
            let items: Vec<Option<Callee>> = instance.module.elements[segment.index as usize]
                .items
                .iter()
                .map(|item| function_constant(evaluate(&program.globals, instance, item)))
                .collect();
            let at = self.references(self.rodata, &items)?;
            let symbol = self.local(&format!("elfin_elements_{i}"), self.rodata, at);
            self.symbols.insert(Symbol::Elements(id), symbol);
        }
        for (i, unknown) in (0..).zip(&program.unknown) {
            let text = [unknown.module.as_bytes(), unknown.name.as_bytes()].concat();
            let at = self.append(self.rodata, &text, 1);
            let symbol = self.local(&format!("elfin_unknown_{i}"), self.rodata, at);
            self.symbols
                .insert(Symbol::UnknownName(UnknownId(i)), symbol);
        }
        if let Some(name) = &program.entry.invoke {
            let at = self.append(self.rodata, name.as_bytes(), 1);
            let symbol = self.local("elfin_invoke", self.rodata, at);
            self.symbols.insert(Symbol::InvokeName, symbol);
        }
        if let Some(actions) = &program.script {
            let mut records = Record::default();
            for (index, action) in (0..).zip(actions) {
                records.address(self.symbols[&Symbol::Action(index)], 0);
                records.half(action.id);
                records.half(program.action_results(action).len() as u32);
            }
            let at = self.append_record(&records, 8)?;
            let symbol = self.local("elfin_actions", self.rodata, at);
            self.symbols.insert(Symbol::Script, symbol);
        }
        Ok(())
    }

    /// Appends an array of references.
    fn references(&mut self, section: SectionId, items: &[Option<Callee>]) -> Result<u64> {
        let bytes: Vec<u8> = items
            .iter()
            .flat_map(|item| self.reference_bytes(*item))
            .collect();
        let at = self.append(section, &bytes, u64::from(FuncRef::SIZE));
        for (slot, item) in (0_u64..).zip(items) {
            if let Some(callee) = item {
                self.reference(section, at + slot * u64::from(FuncRef::SIZE), *callee)?;
            }
        }
        Ok(at)
    }

    /// The state block as it is before the first instruction. Returns the bytes it takes in memory.
    fn state(&mut self, folded: &Folded) -> Result<u64> {
        let (program, layout) = (self.env.program, self.layout());
        let mut block = StateBlock::new(layout.state_size.max(8));
        for (global, place) in program.globals.iter().zip(&layout.globals) {
            let GlobalPlace::Slot(offset) = *place else {
                continue;
            };
            match global.init {
                Constant::Bits(bits) => block.word(offset, 0, bits),
                Constant::V128(bits) => {
                    block.word(offset, 0, bits as u64);
                    block.word(offset, 8, (bits >> 64) as u64);
                }
                Constant::Null => {}
                Constant::Function(callee) => {
                    block.reference(offset, callee, self.reference_bytes(Some(callee)))
                }
            }
        }
        for (memory, place) in program.memories.iter().zip(&layout.memories) {
            block.record(
                place.descriptor,
                &[
                    place.base,
                    memory.initial,
                    memory.maximum,
                    u64::from(memory.page_log2),
                ],
            );
        }
        for (i, (table, place)) in program.tables.iter().zip(&layout.tables).enumerate() {
            let base = layout.table_address(crate::program::TableId(i as u32));
            block.record(
                place.descriptor,
                &[base, table.initial, place.capacity, place.capacity],
            );
            if let Entries::State(offset) = place.entries {
                for (slot, entry) in (0_u32..).zip(&folded.tables[i]) {
                    if let Some(callee) = entry {
                        block.reference(
                            offset + slot * FuncRef::SIZE,
                            *callee,
                            self.reference_bytes(*entry),
                        );
                    }
                }
            }
        }
        let mut descriptors: Vec<(u32, SymbolId)> = Vec::new();
        for (i, (segment, place)) in program.data.iter().zip(&layout.data).enumerate() {
            // An active segment is dropped once it was applied (core spec, 4.5.4).
            if let Some(offset) = *place
                && folded.data[i] != Applied::Folded
            {
                let len = program.instances[segment.instance.index()].module.data
                    [segment.index as usize]
                    .bytes
                    .len();
                block.word(offset, SegmentDescriptor::LEN, len as u64);
                descriptors.push((offset, self.symbols[&Symbol::Data(DataId(i as u32))]));
            }
        }
        for (i, (segment, place)) in program.elements.iter().zip(&layout.elements).enumerate() {
            if let Some(offset) = *place
                && folded.elements[i] != Applied::Folded
                && !segment.declared
            {
                let len = program.instances[segment.instance.index()].module.elements
                    [segment.index as usize]
                    .items
                    .len();
                block.word(offset, SegmentDescriptor::LEN, len as u64);
                descriptors.push((offset, self.symbols[&Symbol::Elements(ElementId(i as u32))]));
            }
        }
        let end = descriptors
            .iter()
            .map(|(at, _)| u64::from(at + SegmentDescriptor::SIZE))
            .max()
            .unwrap_or(0);
        block.trim(end.max(8));

        let section = self.section(symbol::SECTION_STATE, SectionKind::Data);
        self.append(section, &block.bytes, 16);
        for (offset, callee) in block.references {
            self.reference(section, u64::from(offset), callee)?;
        }
        for (offset, symbol) in descriptors {
            self.relocation(section, u64::from(offset), symbol, 0, self.absolute_64())?;
        }
        Ok(layout.state_size.max(8))
    }

    /// Sections of the mapped runs. Each reaches to the next, so that the zeros between are mapped as well.
    fn images(&mut self, folded: &Folded) -> Vec<Image> {
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
    fn program(
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
                let at = self.references(self.rodata, entries)?;
                let from = self.local("elfin_entries", self.rodata, at);
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
                    Symbol::Function(id) => (
                        program.functions[id.index()].index,
                        function_name(self.env, id),
                    ),
                    _ => (FuncRecord::GLUE, None),
                };
                let name = name.unwrap_or_default();
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
            let at = self.append_record(list, 8)?;
            let symbol = self.local("elfin_records", self.rodata, at);
            header.address(symbol, 0);
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
            let at = self.append_record(list, align)?;
            let symbol = self.local("elfin_records", self.rodata, at);
            header.address(symbol, 0);
        }
        header.word(layout.stack.0);
        header.word(layout.stack.1);
        debug_assert_eq!(header.bytes.len(), ProgramHeader::SIZE as usize);
        let at = self.append_record(&header, 8)?;
        self.define(
            symbol::PROGRAM.into(),
            self.rodata,
            at,
            header.bytes.len() as u64,
            SymbolKind::Data,
            SymbolScope::Linkage,
        );
        Ok(())
    }

    /// Relocations of the code.
    fn relocate(&mut self, functions: &[CompiledFunction], text: &Text) -> Result<()> {
        for (function, (chunk, at)) in functions.iter().zip(&text.places) {
            let section = text.chunks[*chunk].section;
            for relocation in &function.relocations {
                let offset = at + u64::from(relocation.offset);
                let symbol = match relocation.target {
                    Target::Symbol(symbol) => self.symbol(symbol),
                    // The low half of a PC-relative address on riscv64 names the instruction of the high half.
                    Target::Offset(target) => self.define(
                        b".Lpcrel".to_vec(),
                        section,
                        at + u64::from(target),
                        0,
                        SymbolKind::Label,
                        SymbolScope::Compilation,
                    ),
                };
                let r_type = elf_relocation(self.env.arch, relocation.kind).ok_or_else(|| {
                    emitter_error(
                        self.env.program,
                        &format!("no ELF relocation for {:?}", relocation.kind),
                    )
                })?;
                self.relocation(section, offset, symbol, relocation.addend, r_type)?;
            }
        }
        Ok(())
    }
}

fn function_constant(constant: Constant) -> Option<Callee> {
    match constant {
        Constant::Function(callee) => Some(callee),
        Constant::Null | Constant::Bits(_) | Constant::V128(_) => None,
    }
}

/// The ELF relocation for one of Cranelift's (psABIs of the three machines).
fn elf_relocation(arch: Arch, kind: Reloc) -> Option<u32> {
    Some(match (arch, kind) {
        (Arch::X86_64, Reloc::Abs8) => elf::R_X86_64_64,
        (Arch::X86_64, Reloc::X86PCRel4) => elf::R_X86_64_PC32,
        (Arch::X86_64, Reloc::X86CallPCRel4 | Reloc::X86CallPLTRel4) => elf::R_X86_64_PLT32,
        (Arch::X86_64, Reloc::X86GOTPCRel4) => elf::R_X86_64_GOTPCREL,
        (Arch::Aarch64, Reloc::Abs8) => elf::R_AARCH64_ABS64,
        (Arch::Aarch64, Reloc::Arm64Call) => elf::R_AARCH64_CALL26,
        (Arch::Aarch64, Reloc::Aarch64AdrPrelPgHi21) => elf::R_AARCH64_ADR_PREL_PG_HI21,
        (Arch::Aarch64, Reloc::Aarch64AddAbsLo12Nc) => elf::R_AARCH64_ADD_ABS_LO12_NC,
        (Arch::Aarch64, Reloc::Aarch64AdrGotPage21) => elf::R_AARCH64_ADR_GOT_PAGE,
        (Arch::Aarch64, Reloc::Aarch64Ld64GotLo12Nc) => elf::R_AARCH64_LD64_GOT_LO12_NC,
        (Arch::Riscv64, Reloc::Abs8) => elf::R_RISCV_64,
        (Arch::Riscv64, Reloc::RiscvCallPlt) => elf::R_RISCV_CALL_PLT,
        (Arch::Riscv64, Reloc::RiscvPCRelHi20) => elf::R_RISCV_PCREL_HI20,
        (Arch::Riscv64, Reloc::RiscvPCRelLo12I) => elf::R_RISCV_PCREL_LO12_I,
        (Arch::Riscv64, Reloc::RiscvGotHi20) => elf::R_RISCV_GOT_HI20,
        _ => return None,
    })
}

/// A function's name in the object: what the module calls it where that is harmless, else its index.
fn object_name(env: Env<'_>, id: FuncId) -> String {
    match function_name(env, id) {
        Some(name) if name.len() <= 255 && name.bytes().all(|b| b.is_ascii_graphic()) => name,
        _ => format!("func[{}]", env.program.functions[id.index()].index),
    }
}

/// The state block under construction.
struct StateBlock {
    bytes: Vec<u8>,
    references: Vec<(u32, Callee)>,
}

impl StateBlock {
    fn new(size: u64) -> Self {
        Self {
            bytes: vec![0; size as usize],
            references: Vec::new(),
        }
    }

    fn word(&mut self, offset: u32, field: i32, value: u64) {
        let at = offset as usize + field as usize;
        self.bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }

    fn record(&mut self, offset: u32, words: &[u64]) {
        for (i, word) in (0..).zip(words) {
            self.word(offset, i * 8, *word);
        }
    }

    fn reference(&mut self, offset: u32, callee: Callee, bytes: [u8; FuncRef::SIZE as usize]) {
        self.word(offset, 0, u64::from_le_bytes(bytes));
        self.references.push((offset, callee));
    }

    /// Cuts zeros off the end, for the kernel fills them in; what lies below `at_least` stays.
    fn trim(&mut self, at_least: u64) {
        let used = self
            .bytes
            .iter()
            .rposition(|b| *b != 0)
            .map_or(0, |last| last + 1);
        self.bytes.truncate(
            used.max(at_least as usize)
                .next_multiple_of(8)
                .min(self.bytes.len()),
        );
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

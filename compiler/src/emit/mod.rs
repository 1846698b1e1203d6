//! Compiled functions, folded images and records → one relocatable ELF object.
//!
//! In: everything that was decided. Out: the bytes of an object and the addresses at which the linker must put
//! some of its sections. Code goes into chunks in the order of the work list, so that a linker can put veneers
//! between them. Rooms: `state` writes what generated code reads and changes, `records` what the runtime reads,
//! `heap` what the collector reads, `unwind` what is read when exceptions are thrown.

mod heap;
mod readable;
mod records;
mod state;
mod threads;
mod unwind;

use crate::codegen::{CompiledFunction, Target, function_name};
use crate::error::{Error, Result};
use crate::fold::Folded;
use crate::layout::Layout;
use crate::options::Arch;
use crate::program::{FuncId, Program};
use crate::symbol::Symbol;
use crate::translate::Env;
use crate::twins;
use crate::{AddressMap, Placement};
use cranelift_codegen::binemit::Reloc;
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
    emitter.read_only(folded)?;
    let state_size = emitter.state(folded)?;
    let images = emitter.images(folded);
    emitter.heap(functions, &text)?;
    emitter.trap_messages(functions);
    emitter.program(folded, functions, &text, &images)?;
    // The driver of scripts says what becomes of exceptions in any of them.
    if env.usage.throws || env.program.script.is_some() {
        emitter.unwind(functions, &text)?;
    }
    emitter.threads()?;
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
    /// Bytes of what a thread's own state begins with.
    template_len: u64,
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

    /// How many values of `T` it has, where it is a list of them.
    fn count<T>(&self) -> u64 {
        (self.bytes.len() / size_of::<T>()) as u64
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
            template_len: 0,
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
            Symbol::Host(index) => {
                let function = &host::HOST_FUNCTIONS[index as usize];
                let shared = self.env.program.has_threads();
                let name = match function.shared_symbol() {
                    Some(symbol) if shared => symbol,
                    _ => function.linked_symbol(&self.env.grants),
                };
                (name, SymbolSection::Undefined, 0)
            }
            Symbol::Libcall(index) => (
                Symbol::as_libcall(index).symbol(),
                SymbolSection::Undefined,
                0,
            ),
            Symbol::CpuFound => (symbol::CPU_FOUND, SymbolSection::Undefined, 0),
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

    /// Names what lies at `at` in read-only data, for code that refers to it; `name` is for those who read the object.
    fn name(&mut self, symbol: Symbol, name: &str, at: u64) {
        let id = self.local(name, self.rodata, at);
        self.symbols.insert(symbol, id);
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

    /// Appends a list, and its address to a record.
    fn lead(&mut self, record: &mut Record, list: &Record, align: u64) -> Result<()> {
        let at = self.append_record(list, align)?;
        let symbol = self.local("elfin_records", self.rodata, at);
        record.address(symbol, 0);
        Ok(())
    }

    /// Appends lists, each with its alignment, and their addresses to a record.
    fn lead_all(&mut self, record: &mut Record, lists: &[(&Record, u64)]) -> Result<()> {
        lists
            .iter()
            .try_for_each(|(list, align)| self.lead(record, list, *align))
    }

    /// Puts a record into read-only data where the runtime finds it by name.
    fn publish(&mut self, record: &Record, name: &str) -> Result<()> {
        let at = self.append_record(record, 8)?;
        let size = record.bytes.len() as u64;
        let (kind, scope) = (SymbolKind::Data, SymbolScope::Linkage);
        self.define(name.into(), self.rodata, at, size, kind, scope);
        Ok(())
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
                Symbol::Function(id) | Symbol::Plain(id) | Symbol::Twin(id) => (
                    object_name(self.env, id) + twins::suffix(function.symbol),
                    SymbolScope::Compilation,
                ),
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

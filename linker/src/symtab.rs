//! A symbol table for tools that show addresses (debuggers, profilers, disassemblers).
//!
//! In: a finished [`Image`]. Out: the same file with section headers and symbols behind its bytes. No
//! segment maps them, so that the program does not change. It needs nothing but the map.

use object::elf;

use crate::{Image, Map, MapSegment};

/// Names of the section headers: one for each segment with bytes, then the tables themselves.
const SYMTAB: &str = ".symtab";
const STRTAB: &str = ".strtab";
const SHSTRTAB: &str = ".shstrtab";

const HEADER: usize = 64;
const SYMBOL: u64 = 24;

/// The bytes of an image, with symbols appended.
#[must_use]
pub fn with_symbols(image: &Image) -> Vec<u8> {
    let map = &image.map;
    let mut bytes = image.bytes.clone();
    let mut section_names = vec![0];
    let mut headers = vec![[0; HEADER]];
    for segment in &map.segments {
        let name = add_name(&mut section_names, section_name(segment));
        headers.push(segment_header(segment, name));
    }
    let Symbols {
        symbols,
        names,
        locals,
    } = symbols(map);
    let [symtab, strtab, shstrtab] =
        [SYMTAB, STRTAB, SHSTRTAB].map(|name| add_name(&mut section_names, name));
    let strtab_index = headers.len() as u32 + 1;
    headers.push(section_header(SectionHeader {
        name: symtab,
        kind: elf::SHT_SYMTAB,
        offset: append(&mut bytes, &symbols),
        size: symbols.len() as u64,
        link: strtab_index,
        info: locals,
        align: 8,
        entry_size: SYMBOL,
        ..SectionHeader::default()
    }));
    for (name, table) in [(strtab, names), (shstrtab, section_names)] {
        headers.push(section_header(SectionHeader {
            name,
            kind: elf::SHT_STRTAB,
            offset: append(&mut bytes, &table),
            size: table.len() as u64,
            align: 1,
            ..SectionHeader::default()
        }));
    }

    let e_shnum = headers.len() as u16;
    let e_shoff = append(&mut bytes, headers.as_flattened());
    // gABI, "ELF Header".
    bytes[40..48].copy_from_slice(&e_shoff.to_le_bytes());
    bytes[60..62].copy_from_slice(&e_shnum.to_le_bytes());
    bytes[62..64].copy_from_slice(&(e_shnum - 1).to_le_bytes());
    bytes
}

/// Appends a table, aligned. Returns its offset.
fn append(bytes: &mut Vec<u8>, table: &[u8]) -> u64 {
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    let offset = bytes.len() as u64;
    bytes.extend(table);
    offset
}

fn segment_header(segment: &MapSegment, name: u32) -> [u8; HEADER] {
    let (kind, size) = match segment.file_size {
        0 => (elf::SHT_NOBITS, segment.mem_size),
        size => (elf::SHT_PROGBITS, size),
    };
    section_header(SectionHeader {
        name,
        kind,
        flags: flags(segment),
        address: segment.address,
        offset: segment.file_offset,
        size,
        align: 1,
        ..SectionHeader::default()
    })
}

/// The two tables of symbols.
struct Symbols {
    /// Entries, local ones first (gABI, "Symbol Table").
    symbols: Vec<u8>,
    names: Vec<u8>,
    /// Local entries, that without a name included.
    locals: u32,
}

fn symbols(map: &Map) -> Symbols {
    let mut names = vec![0];
    let mut symbols = vec![0; SYMBOL as usize];
    let (local, global): (Vec<_>, Vec<_>) = map.symbols.iter().partition(|symbol| !symbol.global);
    let locals = local.len() as u32 + 1;
    for symbol in local.into_iter().chain(global) {
        let section = map.segments.iter().position(|segment| {
            (segment.address..=segment.address + segment.mem_size).contains(&symbol.address)
        });
        let binding = if symbol.global {
            elf::STB_GLOBAL
        } else {
            elf::STB_LOCAL
        };
        let kind = if symbol.function {
            elf::STT_FUNC
        } else {
            elf::STT_NOTYPE
        };
        let section = section.map_or(elf::SHN_ABS, |section| section as u16 + 1);
        symbols.extend(add_name(&mut names, &symbol.name).to_le_bytes());
        symbols.extend([binding << 4 | kind, 0]);
        symbols.extend(section.to_le_bytes());
        symbols.extend(symbol.address.to_le_bytes());
        symbols.extend(symbol.size.to_le_bytes());
    }
    Symbols {
        symbols,
        names,
        locals,
    }
}

fn section_name(segment: &MapSegment) -> &'static str {
    match (segment.executable, segment.writable, segment.file_size) {
        (true, ..) => ".text",
        (_, false, _) => ".rodata",
        (_, true, 0) => ".bss",
        (_, true, _) => ".data",
    }
}

fn flags(segment: &MapSegment) -> u64 {
    let mut flags = elf::SHF_ALLOC;
    if segment.writable {
        flags |= elf::SHF_WRITE;
    }
    if segment.executable {
        flags |= elf::SHF_EXECINSTR;
    }
    flags.into()
}

/// Adds a string to a string table; returns where it is.
fn add_name(table: &mut Vec<u8>, name: &str) -> u32 {
    let offset = table.len() as u32;
    table.extend(name.bytes());
    table.push(0);
    offset
}

#[derive(Default)]
struct SectionHeader {
    name: u32,
    kind: u32,
    flags: u64,
    address: u64,
    offset: u64,
    size: u64,
    link: u32,
    info: u32,
    align: u64,
    entry_size: u64,
}

fn section_header(header: SectionHeader) -> [u8; HEADER] {
    let SectionHeader {
        name,
        kind,
        flags,
        address,
        offset,
        size,
        link,
        info,
        align,
        entry_size,
    } = header;
    let mut bytes = [0; HEADER];
    let mut at = 0;
    let mut put = |field: &[u8]| {
        bytes[at..at + field.len()].copy_from_slice(field);
        at += field.len();
    };
    put(&name.to_le_bytes());
    put(&kind.to_le_bytes());
    put(&flags.to_le_bytes());
    put(&address.to_le_bytes());
    put(&offset.to_le_bytes());
    put(&size.to_le_bytes());
    put(&link.to_le_bytes());
    put(&info.to_le_bytes());
    put(&align.to_le_bytes());
    put(&entry_size.to_le_bytes());
    bytes
}

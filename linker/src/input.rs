//! Object bytes and blobs → flat tables of sections and symbols.
//!
//! In: the caller's inputs. Out: [`Objects`], in which every later index is known to be in range and
//! every size to be backed by bytes. Nothing is copied; what is never part of an image (debug
//! information, notes, unwind tables) is marked [`Kind::Dropped`]. It must not know addresses.
//!
//! Format: <https://gabi.xinuos.com/elf/> ("gABI" below).

use std::borrow::Cow;
use std::collections::HashMap;

use object::LittleEndian as LE;
use object::elf;
use object::read::elf::{
    FileHeader as _, Rela as _, SectionHeader as _, SectionTable, Sym as _, SymbolTable,
};

use crate::arch::{self, Arch};
use crate::{Blob, Error, Input, merge};

/// Larger alignments than the largest page cannot be honoured by a loader.
const MAX_ALIGN: u64 = 0x1_0000;

/// Alignment of blobs: enough for any record of integers in them.
const BLOB_ALIGN: u64 = 8;

/// Index of a section among those of all inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SectionId(pub u32);

/// Index of a symbol among those of all inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SymbolId(pub u32);

/// What a section is to the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Executable.
    Text,
    /// Neither executable nor written after linking.
    ReadOnly,
    /// Writable, with bytes.
    Data,
    /// Writable, all zero, without bytes in the file.
    Zero,
    /// Not part of the image.
    Dropped,
}

#[derive(Debug)]
pub(crate) struct Section<'a> {
    pub object: u32,
    pub name: &'a str,
    pub kind: Kind,
    /// Empty for [`Kind::Zero`] and [`Kind::Dropped`].
    pub data: &'a [u8],
    pub size: u64,
    pub align: u64,
    /// Kept even if nothing refers to it.
    pub retain: bool,
    /// Bytes of each entry, where equal entries may be merged; else zero.
    pub entry_size: u64,
    relocations: &'a [elf::Rela64<LE>],
    first_symbol: u32,
}

/// A relocation, its symbol index checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Relocation {
    pub offset: u64,
    pub r_type: u32,
    pub symbol: SymbolId,
    pub addend: i64,
}

impl<'a> Section<'a> {
    /// An entry of this section as a section of its own.
    pub(crate) fn entry(&self, data: &'a [u8], align: u64) -> Section<'a> {
        let size = data.len() as u64;
        Section {
            data,
            size,
            align,
            relocations: &[],
            ..*self
        }
    }

    pub(crate) fn relocation_count(&self) -> usize {
        self.relocations.len()
    }

    pub(crate) fn relocation(&self, index: usize) -> Relocation {
        decode(&self.relocations[index], self.first_symbol)
    }

    pub(crate) fn relocations(&self) -> impl Iterator<Item = Relocation> {
        self.relocations
            .iter()
            .map(|raw| decode(raw, self.first_symbol))
    }
}

fn decode(raw: &elf::Rela64<LE>, first_symbol: u32) -> Relocation {
    Relocation {
        offset: raw.r_offset(LE),
        r_type: raw.r_type(LE, false),
        symbol: SymbolId(first_symbol + raw.r_sym(LE, false)),
        addend: raw.r_addend(LE),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binding {
    Local,
    Global,
    Weak,
}

/// Where an object says a symbol is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Undefined,
    Absolute,
    Section(SectionId),
    /// Common, thread-local or indirect: an error once something live refers to it.
    Unusable(&'static str),
}

#[derive(Debug)]
pub(crate) struct Symbol<'a> {
    pub object: u32,
    pub name: Cow<'a, str>,
    pub binding: Binding,
    pub place: Place,
    pub value: u64,
    pub size: u64,
    /// It stands for its section: an addend to it is an offset in the section.
    pub is_section: bool,
    pub is_function: bool,
}

/// Sections of which only the first group of a given signature is kept (gABI, "Section Groups").
#[derive(Debug)]
pub(crate) struct Group<'a> {
    pub signature: Cow<'a, str>,
    pub members: Vec<SectionId>,
}

/// Everything read, blobs included.
#[derive(Debug)]
pub(crate) struct Objects<'a> {
    pub names: Vec<&'a str>,
    pub sections: Vec<Section<'a>>,
    pub symbols: Vec<Symbol<'a>>,
    pub groups: Vec<Group<'a>>,
    /// Constant pools that were taken apart: a section for each entry.
    pub pools: HashMap<SectionId, Vec<SectionId>>,
    pub arch: &'static dyn Arch,
    /// `e_flags` of the executable.
    pub flags: u32,
}

impl<'a> Objects<'a> {
    pub(crate) fn section(&self, id: SectionId) -> &Section<'a> {
        &self.sections[id.0 as usize]
    }

    pub(crate) fn symbol(&self, id: SymbolId) -> &Symbol<'a> {
        &self.symbols[id.0 as usize]
    }

    pub(crate) fn object_name(&self, object: u32) -> &'a str {
        self.names[object as usize]
    }

    /// All section indices, in input order.
    pub(crate) fn section_ids(&self) -> impl Iterator<Item = SectionId> + use<> {
        (0..self.sections.len() as u32).map(SectionId)
    }

    /// The entry, and the offset in it, that an offset in a pool means.
    pub(crate) fn entry_at(&self, pool: SectionId, offset: u64) -> Option<(SectionId, u64)> {
        let entries = self.pools.get(&pool)?;
        let size = self.section(pool).entry_size;
        let entry = entries.get(usize::try_from(offset / size).ok()?)?;
        Some((*entry, offset % size))
    }

    /// How errors call a symbol: its own name or, for one without, its section's.
    pub(crate) fn symbol_name(&self, id: SymbolId) -> String {
        let symbol = self.symbol(id);
        match symbol.place {
            Place::Section(section) if symbol.name.is_empty() => self.section(section).name.into(),
            _ => symbol.name.to_string(),
        }
    }
}

/// Reads every input.
pub(crate) fn read_inputs<'a>(
    inputs: &[Input<'a>],
    blobs: &[Blob<'a>],
) -> Result<Objects<'a>, Error> {
    let mut arch: Option<(&'static dyn Arch, u32)> = None;
    let mut objects = Objects {
        names: Vec::new(),
        sections: Vec::new(),
        symbols: Vec::new(),
        groups: Vec::new(),
        pools: HashMap::new(),
        arch: &arch::x86_64::X86_64,
        flags: 0,
    };
    let mut pool = merge::Pool::new();
    for input in inputs {
        let reader = Reader::new(input)?;
        let (its, flags) = (reader.arch, reader.header.e_flags.get(LE));
        arch = Some(match arch {
            None => (its, flags),
            Some((first, _)) if first.machine() != its.machine() => {
                return Err(reader.malformed(format!(
                    "it is for {}, but the objects before it are for {}",
                    its.name(),
                    first.name()
                )));
            }
            Some((first, merged)) => match first.merge_flags(merged, flags) {
                Some(flags) => (first, flags),
                None => {
                    return Err(reader.malformed("its calling convention differs from the others'"));
                }
            },
        });
        let (sections, symbols) = (objects.sections.len(), objects.symbols.len());
        objects.arch = reader.arch;
        reader.read(&mut objects)?;
        let (sections, symbols) = (
            sections..objects.sections.len(),
            symbols..objects.symbols.len(),
        );
        merge::split_pools(&mut objects, sections, symbols, &mut pool);
    }
    let Some((_, flags)) = arch else {
        return Err(Error::Options {
            what: "there is no object to link".into(),
        });
    };
    objects.flags = flags;
    add_blobs(blobs, &mut objects)?;
    Ok(objects)
}

fn add_blobs<'a>(blobs: &[Blob<'a>], objects: &mut Objects<'a>) -> Result<(), Error> {
    let object = objects.names.len() as u32;
    objects.names.push("(blobs)");
    for blob in blobs {
        let id = SectionId(objects.sections.len() as u32);
        let symbol = |name: Cow<'a, str>, value: u64, size: u64| Symbol {
            object,
            name,
            binding: Binding::Global,
            place: Place::Section(id),
            value,
            size,
            is_section: false,
            is_function: false,
        };
        let size = blob.data.len() as u64;
        let first_symbol = objects.symbols.len() as u32;
        objects
            .symbols
            .push(symbol(Cow::Borrowed(blob.symbol), 0, size));
        objects
            .symbols
            .push(symbol(Cow::Owned(format!("{}_end", blob.symbol)), size, 0));
        objects.sections.push(Section {
            object,
            name: blob.section,
            kind: Kind::ReadOnly,
            data: blob.data,
            size,
            align: BLOB_ALIGN,
            retain: false,
            entry_size: 0,
            relocations: &[],
            first_symbol,
        });
    }
    Ok(())
}

type Header = elf::FileHeader64<LE>;

/// One object being read.
struct Reader<'a> {
    name: &'a str,
    data: &'a [u8],
    header: &'a Header,
    arch: &'static dyn Arch,
}

/// The tables of an object being read, and where its sections and symbols begin among all.
struct Own<'a> {
    object: u32,
    first_section: u32,
    first_symbol: u32,
    table: SectionTable<'a, Header>,
    symtab: SymbolTable<'a, Header>,
}

impl Own<'_> {
    /// The section with this index in the object.
    fn section(&self, index: u32) -> SectionId {
        SectionId(self.first_section + index)
    }
}

impl<'a> Reader<'a> {
    fn new(input: &Input<'a>) -> Result<Self, Error> {
        let Input { name, data } = *input;
        let malformed = |what: String| Error::Malformed {
            object: name.into(),
            what,
        };
        let header = Header::parse(data).map_err(|e| malformed(e.to_string()))?;
        if header.e_ident.data != elf::ELFDATA2LSB {
            return Err(malformed("it is not little-endian".into()));
        }
        if header.e_type.get(LE) != elf::ET_REL {
            return Err(malformed("it is not relocatable".into()));
        }
        let machine = header.e_machine.get(LE);
        let arch = arch::for_machine(machine).ok_or_else(|| Error::Unsupported {
            object: name.into(),
            what: format!("ELF machine {machine}"),
        })?;
        Ok(Reader {
            name,
            data,
            header,
            arch,
        })
    }

    fn malformed(&self, what: impl Into<String>) -> Error {
        Error::Malformed {
            object: self.name.into(),
            what: what.into(),
        }
    }

    fn unsupported(&self, what: impl Into<String>) -> Error {
        Error::Unsupported {
            object: self.name.into(),
            what: what.into(),
        }
    }

    fn text(&self, bytes: &'a [u8], what: &str) -> Result<&'a str, Error> {
        str::from_utf8(bytes).map_err(|_| self.malformed(format!("{what} is not UTF-8")))
    }

    fn read(&self, objects: &mut Objects<'a>) -> Result<(), Error> {
        let err = |e: object::read::Error| self.malformed(e.to_string());
        let table = self.header.sections(LE, self.data).map_err(err)?;
        let symtab = table.symbols(LE, self.data, elf::SHT_SYMTAB).map_err(err)?;
        if table.len() > u32::MAX as usize / 2 || symtab.len() > u32::MAX as usize / 2 {
            return Err(self.malformed("too many sections or symbols"));
        }
        let own = Own {
            object: objects.names.len() as u32,
            first_section: objects.sections.len() as u32,
            first_symbol: objects.symbols.len() as u32,
            table,
            symtab,
        };
        objects.names.push(self.name);
        self.read_sections(&own, objects)?;
        self.read_symbols(&own, objects)?;
        for header in own.table.iter() {
            match header.sh_type(LE) {
                elf::SHT_RELA => self.read_relocations(&own, header, objects)?,
                elf::SHT_REL => return Err(self.unsupported("relocations without addends")),
                elf::SHT_GROUP => self.read_group(&own, header, objects)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn read_sections(&self, own: &Own<'a>, objects: &mut Objects<'a>) -> Result<(), Error> {
        // Sections of a sound object do not overlap. Without this check a small file could claim the
        // same bytes thousands of times and make the image or the time to link it as large as it likes.
        let mut budget = self.data.len() as u64;
        for (index, header) in own.table.enumerate() {
            let name = own
                .table
                .section_name(LE, header)
                .map_err(|e| self.malformed(e.to_string()))?;
            let name = self.text(name, "a section name")?;
            let mut section = self.section(header, name)?;
            section.object = own.object;
            section.first_symbol = own.first_symbol;
            if index.0 != 0 && header.sh_type(LE) != elf::SHT_NOBITS {
                let size = header.sh_size(LE);
                budget = budget
                    .checked_sub(size)
                    .ok_or_else(|| self.malformed(format!("section {name} overlaps others")))?;
            }
            objects.sections.push(section);
        }
        Ok(())
    }

    fn read_symbols(&self, own: &Own<'a>, objects: &mut Objects<'a>) -> Result<(), Error> {
        // As for sections: suffixes may be shared, but a name that all symbols share could be as
        // long as the file.
        let mut budget = (self.data.len() as u64).saturating_mul(16);
        for (index, raw) in own.symtab.iter().enumerate() {
            let index = object::SymbolIndex(index);
            // Entry 0 is reserved, so that its name need not make sense.
            let name = match index.0 {
                0 => &[][..],
                _ => own
                    .symtab
                    .symbol_name(LE, raw)
                    .map_err(|e| self.malformed(e.to_string()))?,
            };
            budget = budget
                .checked_sub(name.len() as u64)
                .ok_or_else(|| self.malformed("symbol names are too long"))?;
            let binding = match raw.st_bind() {
                elf::STB_LOCAL => Binding::Local,
                elf::STB_WEAK => Binding::Weak,
                _ => Binding::Global,
            };
            objects.symbols.push(Symbol {
                object: own.object,
                name: Cow::Borrowed(self.text(name, "a symbol name")?),
                binding,
                place: self.place(own, index, raw)?,
                value: raw.st_value(LE),
                size: raw.st_size(LE),
                is_section: raw.st_type() == elf::STT_SECTION,
                is_function: raw.st_type() == elf::STT_FUNC,
            });
        }
        if own.symtab.is_empty() {
            // Relocations without a symbol refer to entry 0, in every object.
            objects.symbols.push(Symbol {
                object: own.object,
                name: Cow::Borrowed(""),
                binding: Binding::Local,
                place: Place::Undefined,
                value: 0,
                size: 0,
                is_section: false,
                is_function: false,
            });
        }
        Ok(())
    }

    /// Where a symbol is defined.
    fn place(
        &self,
        own: &Own<'a>,
        index: object::SymbolIndex,
        raw: &elf::Sym64<LE>,
    ) -> Result<Place, Error> {
        match (raw.st_type(), raw.st_shndx(LE)) {
            (elf::STT_TLS, _) => return Ok(Place::Unusable("thread-local")),
            (elf::STT_GNU_IFUNC, _) => return Ok(Place::Unusable("indirect function")),
            (_, elf::SHN_ABS) => return Ok(Place::Absolute),
            (_, elf::SHN_COMMON) => return Ok(Place::Unusable("common")),
            _ => {}
        }
        match own
            .symtab
            .symbol_section(LE, raw, index)
            .map_err(|e| self.malformed(e.to_string()))?
        {
            Some(section) if section.0 < own.table.len() => {
                Ok(Place::Section(own.section(section.0 as u32)))
            }
            Some(_) => Err(self.malformed("a symbol's section does not exist")),
            None => Ok(Place::Undefined),
        }
    }

    fn read_relocations(
        &self,
        own: &Own<'a>,
        header: &elf::SectionHeader64<LE>,
        objects: &mut Objects<'a>,
    ) -> Result<(), Error> {
        let target = header.sh_info(LE);
        if target == 0 || target as usize >= own.table.len() {
            return Err(self.malformed("relocations for a section that does not exist"));
        }
        let section = &mut objects.sections[own.section(target).0 as usize];
        if section.kind == Kind::Dropped {
            return Ok(());
        }
        if header.sh_link(LE) as usize != own.symtab.section().0 {
            return Err(self.malformed("relocations against another symbol table"));
        }
        let Some((relocations, _)) = header
            .rela(LE, self.data)
            .map_err(|e| self.malformed(e.to_string()))?
        else {
            return Ok(());
        };
        for raw in relocations {
            if raw.r_sym(LE, false) as usize >= own.symtab.len().max(1) {
                return Err(self.malformed("a relocation's symbol does not exist"));
            }
            if raw.r_offset(LE) > section.size {
                return Err(self.malformed("a relocation lies outside of its section"));
            }
        }
        if !section.relocations.is_empty() {
            return Err(self.unsupported("two relocation sections for one section"));
        }
        section.relocations = relocations;
        Ok(())
    }

    /// Reads a group of which the linker keeps one of each signature; of another kind there is nothing to know.
    fn read_group(
        &self,
        own: &Own<'a>,
        header: &elf::SectionHeader64<LE>,
        objects: &mut Objects<'a>,
    ) -> Result<(), Error> {
        let Some((flags, members)) = header
            .group(LE, self.data)
            .map_err(|e| self.malformed(e.to_string()))?
        else {
            return Ok(());
        };
        if flags & elf::GRP_COMDAT == 0 {
            return Ok(());
        }
        let signature = header.sh_info(LE);
        if signature == 0 || signature as usize >= own.symtab.len() {
            return Err(self.malformed("a section group's symbol does not exist"));
        }
        let signature = objects.symbols[(own.first_symbol + signature) as usize]
            .name
            .clone();
        let members = members
            .iter()
            .map(|index| match index.get(LE) {
                i if (i as usize) < own.table.len() => Ok(own.section(i)),
                _ => Err(self.malformed("a section group's member does not exist")),
            })
            .collect::<Result<_, _>>()?;
        objects.groups.push(Group { signature, members });
        Ok(())
    }

    fn section(
        &self,
        header: &elf::SectionHeader64<LE>,
        name: &'a str,
    ) -> Result<Section<'a>, Error> {
        let kind = self.kind(header, name)?;
        let size = header.sh_size(LE);
        let data = match kind {
            Kind::Zero | Kind::Dropped => &[],
            _ => header
                .data(LE, self.data)
                .map_err(|_| self.malformed(format!("section {name} lies outside of the file")))?,
        };
        let align = header.sh_addralign(LE).max(1);
        if kind != Kind::Dropped && !(align.is_power_of_two() && align <= MAX_ALIGN) {
            return Err(self.malformed(format!("section {name}: alignment {align:#x}")));
        }
        let retain = header.sh_flags(LE) & u64::from(elf::SHF_GNU_RETAIN) != 0;
        // Strings are not of one size; their sections stay as they are.
        let mergeable = header.sh_flags(LE) & u64::from(elf::SHF_MERGE | elf::SHF_STRINGS)
            == u64::from(elf::SHF_MERGE);
        let entry_size = if mergeable { header.sh_entsize(LE) } else { 0 };
        let (relocations, first_symbol) = (&[][..], 0);
        Ok(Section {
            object: 0,
            name,
            kind,
            data,
            size,
            align,
            retain: retain && kind != Kind::Dropped,
            entry_size,
            relocations,
            first_symbol,
        })
    }

    fn kind(&self, header: &elf::SectionHeader64<LE>, name: &str) -> Result<Kind, Error> {
        let flags = header.sh_flags(LE);
        let has = |flag: u32| flags & u64::from(flag) != 0;
        let zero = match header.sh_type(LE) {
            elf::SHT_NOBITS => true,
            elf::SHT_PROGBITS | elf::SHT_INIT_ARRAY | elf::SHT_FINI_ARRAY => false,
            _ => return Ok(Kind::Dropped),
        };
        // Unwinding is done by frame records and our own tables. (Some assemblers give this section a
        // type of its own, which the match above has dropped already.)
        if !has(elf::SHF_ALLOC) || name == ".eh_frame" {
            return Ok(Kind::Dropped);
        }
        if has(elf::SHF_TLS) {
            return Ok(Kind::Dropped);
        }
        if has(elf::SHF_COMPRESSED) {
            return Err(self.unsupported(format!("compressed section {name}")));
        }
        Ok(match (has(elf::SHF_EXECINSTR), has(elf::SHF_WRITE)) {
            (true, true) => {
                return Err(self.unsupported(format!("section {name} is writable and executable")));
            }
            (true, false) if zero => {
                return Err(self.unsupported(format!("section {name} is code without bytes")));
            }
            (true, false) => Kind::Text,
            // Written only by a dynamic loader, of which there is none here.
            (false, true) if is_relro(name) && !zero => Kind::ReadOnly,
            (false, true) if zero => Kind::Zero,
            (false, true) => Kind::Data,
            // Zeroes that nobody writes: rare enough to share the writable ones.
            (false, false) if zero => Kind::Zero,
            (false, false) => Kind::ReadOnly,
        })
    }
}

fn is_relro(name: &str) -> bool {
    name == ".data.rel.ro" || name.starts_with(".data.rel.ro.")
}

//! Small objects, written by hand, and a way to run what is linked from them.
//!
//! The instructions are encoded here, for three machines, so that the tests need no assembler. Programs
//! end with an exit status, which is what most tests look at. Foreign programs run under qemu-user; a
//! test that cannot run its program fails.

use std::collections::HashMap;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use elfin_linker::{Error, Image, Input, MapSegment, Options, Placement, Region};
use object::write::{Object, Relocation, SectionId, Symbol, SymbolId, SymbolSection};
use object::{
    Architecture, BinaryFormat, Endianness, RelocationFlags, SectionFlags, SectionKind,
    SymbolFlags, SymbolKind, SymbolScope, elf,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Machine {
    X86_64,
    Aarch64,
    Riscv64,
}

pub(crate) use Machine::{Aarch64, Riscv64, X86_64};

impl Machine {
    pub(crate) const ALL: [Machine; 3] = [X86_64, Aarch64, Riscv64];

    pub(crate) fn page(self) -> u64 {
        match self {
            Aarch64 => 0x1_0000,
            X86_64 | Riscv64 => 0x1000,
        }
    }

    /// Relocation of a 64-bit absolute address.
    pub(crate) fn abs64(self) -> u32 {
        match self {
            X86_64 => elf::R_X86_64_64,
            Aarch64 => elf::R_AARCH64_ABS64,
            Riscv64 => elf::R_RISCV_64,
        }
    }

    /// Runs a program and returns its exit status.
    pub(crate) fn run(self, bytes: &[u8]) -> i32 {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let unique = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(format!("elfin-linker-{}-{}", unique.0, unique.1));
        std::fs::write(&path, bytes).unwrap();
        let mut permissions = std::fs::metadata(&path).unwrap().permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o755);
        std::fs::set_permissions(&path, permissions).unwrap();

        let native = match self {
            X86_64 => cfg!(target_arch = "x86_64"),
            Aarch64 => cfg!(target_arch = "aarch64"),
            Riscv64 => cfg!(target_arch = "riscv64"),
        };
        let mut command = if native {
            Command::new(&path)
        } else {
            let qemu = match self {
                X86_64 => "qemu-x86_64",
                Aarch64 => "qemu-aarch64",
                Riscv64 => "qemu-riscv64",
            };
            let mut command = Command::new(qemu);
            command.arg(&path);
            command
        };
        let status = loop {
            match command.status() {
                // Another test's child may still have the file open that we have just written.
                Err(e) if e.kind() == std::io::ErrorKind::ExecutableFileBusy => {
                    std::thread::sleep(std::time::Duration::from_millis(5));
                }
                other => break other,
            }
        };
        std::fs::remove_file(&path).unwrap();
        let status = status.unwrap_or_else(|e| panic!("cannot run {command:?}: {e}"));
        status
            .code()
            .unwrap_or_else(|| panic!("{self:?}: {status}"))
    }
}

/// Little-endian instructions.
pub(crate) fn words(instructions: &[u32]) -> Vec<u8> {
    instructions
        .iter()
        .flat_map(|instruction| instruction.to_le_bytes())
        .collect()
}

/// An object under construction.
pub(crate) struct Builder {
    pub(crate) machine: Machine,
    pub(crate) object: Object<'static>,
    names: HashMap<String, SymbolId>,
}

impl Builder {
    pub(crate) fn new(machine: Machine) -> Self {
        let architecture = match machine {
            X86_64 => Architecture::X86_64,
            Aarch64 => Architecture::Aarch64,
            Riscv64 => Architecture::Riscv64,
        };
        let mut object = Object::new(BinaryFormat::Elf, architecture, Endianness::Little);
        if machine == Riscv64 {
            object.flags = object::FileFlags::Elf {
                os_abi: 0,
                abi_version: 0,
                e_flags: elf::EF_RISCV_RVC | elf::EF_RISCV_FLOAT_ABI_DOUBLE,
            };
        }
        Builder {
            machine,
            object,
            names: HashMap::new(),
        }
    }

    pub(crate) fn finish(&self) -> Vec<u8> {
        self.object.write().unwrap()
    }

    pub(crate) fn section(
        &mut self,
        name: &str,
        kind: SectionKind,
        data: &[u8],
        align: u64,
    ) -> SectionId {
        let section = self.object.add_section(Vec::new(), name.into(), kind);
        self.object.append_section_data(section, data, align);
        section
    }

    pub(crate) fn text(&mut self, name: &str, code: &[u8]) -> SectionId {
        self.section(name, SectionKind::Text, code, 4)
    }

    pub(crate) fn bss(&mut self, name: &str, size: u64, align: u64) -> SectionId {
        let section =
            self.object
                .add_section(Vec::new(), name.into(), SectionKind::UninitializedData);
        self.object.append_section_bss(section, size, align);
        section
    }

    /// Adds flags to a section's usual ones.
    pub(crate) fn add_flags(&mut self, section: SectionId, more: u32) {
        let flags = self.object.section_flags(self.object.section(section));
        let SectionFlags::Elf { sh_flags } = flags else {
            unreachable!()
        };
        *self.object.section_flags_mut(section) = SectionFlags::Elf {
            sh_flags: sh_flags | u64::from(more),
        };
    }

    fn symbol(&mut self, name: &str, section: SymbolSection, value: u64) -> Symbol {
        let undefined = section == SymbolSection::Undefined;
        Symbol {
            name: name.into(),
            value,
            size: 0,
            kind: if undefined {
                SymbolKind::Unknown
            } else {
                SymbolKind::Text
            },
            scope: if undefined {
                SymbolScope::Unknown
            } else {
                SymbolScope::Linkage
            },
            weak: false,
            section,
            flags: SymbolFlags::None,
        }
    }

    /// Adds a symbol, or makes an undefined one of the same name what this one is.
    fn add(&mut self, symbol: Symbol) -> SymbolId {
        let name = String::from_utf8(symbol.name.clone()).unwrap();
        if let Some(&known) = self.names.get(&name)
            && !name.is_empty()
        {
            *self.object.symbol_mut(known) = symbol;
            return known;
        }
        let id = self.object.add_symbol(symbol);
        self.names.insert(name, id);
        id
    }

    pub(crate) fn define(&mut self, name: &str, section: SectionId, offset: u64) -> SymbolId {
        let symbol = self.symbol(name, SymbolSection::Section(section), offset);
        self.add(symbol)
    }

    pub(crate) fn define_local(&mut self, name: &str, section: SectionId, offset: u64) -> SymbolId {
        let mut symbol = self.symbol(name, SymbolSection::Section(section), offset);
        symbol.scope = SymbolScope::Compilation;
        symbol.kind = SymbolKind::Label;
        self.add(symbol)
    }

    pub(crate) fn define_weak(&mut self, name: &str, section: SectionId, offset: u64) -> SymbolId {
        let mut symbol = self.symbol(name, SymbolSection::Section(section), offset);
        symbol.weak = true;
        self.add(symbol)
    }

    pub(crate) fn define_absolute(&mut self, name: &str, value: u64) -> SymbolId {
        let mut symbol = self.symbol(name, SymbolSection::Absolute, value);
        symbol.kind = SymbolKind::Data;
        self.add(symbol)
    }

    /// The symbol of this name, undefined if there is none yet.
    pub(crate) fn refer(&mut self, name: &str) -> SymbolId {
        if let Some(&known) = self.names.get(name) {
            return known;
        }
        let symbol = self.symbol(name, SymbolSection::Undefined, 0);
        self.add(symbol)
    }

    pub(crate) fn refer_weakly(&mut self, name: &str) -> SymbolId {
        let mut symbol = self.symbol(name, SymbolSection::Undefined, 0);
        symbol.weak = true;
        self.add(symbol)
    }

    pub(crate) fn relocate(
        &mut self,
        section: SectionId,
        offset: u64,
        r_type: u32,
        symbol: SymbolId,
        addend: i64,
    ) {
        let flags = RelocationFlags::Elf { r_type };
        let relocation = Relocation {
            offset,
            symbol,
            addend,
            flags,
        };
        self.object.add_relocation(section, relocation).unwrap();
    }

    /// `_start`: calls `function` and exits with what it returns.
    pub(crate) fn start(&mut self, function: &str) -> SectionId {
        let callee = self.refer(function);
        let (code, offset, r_type, addend) = match self.machine {
            X86_64 => {
                // call function; mov edi, eax; mov eax, 231; syscall
                let code = [
                    0xe8, 0, 0, 0, 0, 0x89, 0xc7, 0xb8, 0xe7, 0, 0, 0, 0x0f, 0x05,
                ];
                (code.to_vec(), 1, elf::R_X86_64_PLT32, -4)
            }
            Aarch64 => {
                // bl function; mov x8, 94; svc 0
                (
                    words(&[0x9400_0000, 0xd280_0bc8, 0xd400_0001]),
                    0,
                    elf::R_AARCH64_CALL26,
                    0,
                )
            }
            Riscv64 => {
                // call function; li a7, 94; ecall
                let code = words(&[0x0000_0097, 0x0000_80e7, 0x05e0_0893, 0x0000_0073]);
                (code, 0, elf::R_RISCV_CALL_PLT, 0)
            }
        };
        let section = self.text(".text._start", &code);
        self.define("_start", section, 0);
        self.relocate(section, offset, r_type, callee, addend);
        section
    }

    /// Code that returns a small number.
    pub(crate) fn code_returning(&self, value: u8) -> Vec<u8> {
        let number = u32::from(value);
        match self.machine {
            X86_64 => vec![0xb8, value, 0, 0, 0, 0xc3],
            Aarch64 => words(&[0x5280_0000 | number << 5, 0xd65f_03c0]),
            Riscv64 => words(&[0x0000_0513 | number << 20, 0x0000_8067]),
        }
    }

    /// A function, in a section of its own, that returns a small number.
    pub(crate) fn returns(&mut self, name: &str, value: u8) -> SectionId {
        let code = self.code_returning(value);
        let section = self.text(&format!(".text.{name}"), &code);
        self.define(name, section, 0);
        section
    }

    /// A function that jumps to another one.
    pub(crate) fn jumps(&mut self, name: &str, to: &str) -> SectionId {
        let target = self.refer(to);
        let (code, offset, r_type, addend) = match self.machine {
            X86_64 => (vec![0xe9, 0, 0, 0, 0], 1, elf::R_X86_64_PLT32, -4),
            Aarch64 => (words(&[0x1400_0000]), 0, elf::R_AARCH64_JUMP26, 0),
            Riscv64 => (
                words(&[0x0000_0317, 0x0003_0067]),
                0,
                elf::R_RISCV_CALL_PLT,
                0,
            ),
        };
        let section = self.text(&format!(".text.{name}"), &code);
        self.define(name, section, 0);
        self.relocate(section, offset, r_type, target, addend);
        section
    }

    /// A function that returns the low 32 bits at `variable`.
    pub(crate) fn loads(&mut self, name: &str, variable: &str) -> SectionId {
        let symbol = self.refer(variable);
        let code = match self.machine {
            X86_64 => vec![0x8b, 0x05, 0, 0, 0, 0, 0xc3],
            Aarch64 => words(&[0x9000_0000, 0xb940_0000, 0xd65f_03c0]),
            Riscv64 => words(&[0x0000_0517, 0x0005_2503, 0x0000_8067]),
        };
        let section = self.text(&format!(".text.{name}"), &code);
        self.define(name, section, 0);
        match self.machine {
            X86_64 => self.relocate(section, 2, elf::R_X86_64_PC32, symbol, -4),
            Aarch64 => {
                self.relocate(section, 0, elf::R_AARCH64_ADR_PREL_PG_HI21, symbol, 0);
                self.relocate(section, 4, elf::R_AARCH64_LDST32_ABS_LO12_NC, symbol, 0);
            }
            Riscv64 => {
                let label = self.define_local(&format!(".Lpcrel_{name}"), section, 0);
                self.relocate(section, 0, elf::R_RISCV_PCREL_HI20, symbol, 0);
                self.relocate(section, 4, elf::R_RISCV_PCREL_LO12_I, label, 0);
            }
        }
        section
    }
}

/// Bytes kept for headers, for so many memory images.
pub(crate) fn header_size(images: u64) -> u64 {
    (64 + 56 * (8 + images)).next_multiple_of(64)
}

/// The address map that elfin's executables have.
pub(crate) fn options() -> Options {
    Options {
        entry: "_start".into(),
        state_base: 0x10_0000,
        state_end: 0x200_0000,
        header_size: header_size(0),
        image_base: 0x200_0000,
        image_end: 0x1000_0000,
        stack: Region {
            base: 0x6_0000_0000,
            size: 0x10_0000,
        },
        placements: Vec::new(),
    }
}

pub(crate) fn placement(
    section: &str,
    address: u64,
    mem_size: u64,
    first_segment: bool,
) -> Placement {
    Placement {
        section: section.into(),
        address,
        mem_size,
        first_segment,
    }
}

/// Links objects called `0.o`, `1.o`, …
pub(crate) fn link_with(objects: &[&[u8]], options: &Options) -> Result<Image, Error> {
    let names: Vec<String> = (0..objects.len()).map(|i| format!("{i}.o")).collect();
    let inputs: Vec<Input<'_>> = names
        .iter()
        .zip(objects)
        .map(|(name, data)| Input { name, data })
        .collect();
    elfin_linker::link(&inputs, &[], options)
}

pub(crate) fn link(builders: &[&Builder]) -> Result<Image, Error> {
    let objects: Vec<Vec<u8>> = builders.iter().map(|builder| builder.finish()).collect();
    let objects: Vec<&[u8]> = objects.iter().map(Vec::as_slice).collect();
    link_with(&objects, &options())
}

/// Links and runs.
pub(crate) fn status(builders: &[&Builder]) -> i32 {
    let image = link(builders).unwrap_or_else(|e| panic!("{:?}: {e}", builders[0].machine));
    builders[0].machine.run(&image.bytes)
}

pub(crate) fn error(builders: &[&Builder]) -> String {
    link(builders).map(|_| ()).unwrap_err().to_string()
}

/// Address of a symbol.
pub(crate) fn address(image: &Image, name: &str) -> u64 {
    let symbol = image.map.symbols.iter().find(|symbol| symbol.name == name);
    symbol
        .unwrap_or_else(|| panic!("no symbol {name} in\n{}", image.map))
        .address
}

/// The segment with code.
pub(crate) fn code_segment(image: &Image) -> &MapSegment {
    let mut segments = image.map.segments.iter();
    segments
        .find(|segment| segment.executable)
        .expect("an executable segment")
}

/// Bytes of the image at an address.
pub(crate) fn bytes_at(image: &Image, address: u64, len: usize) -> &[u8] {
    let segment = image
        .map
        .segments
        .iter()
        .find(|s| (s.address..s.address + s.file_size).contains(&address))
        .unwrap_or_else(|| panic!("{address:#x} has no bytes"));
    let start = (address - segment.address + segment.file_offset) as usize;
    &image.bytes[start..start + len]
}

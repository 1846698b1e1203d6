//! What cannot be linked, and what the error says.

use crate::support::*;
use object::write::{Symbol, SymbolSection};
use object::{SectionKind, SymbolFlags, SymbolKind, SymbolScope, elf};

#[test]
fn overflow() {
    for (machine, r_type, expected) in [
        (
            X86_64,
            elf::R_X86_64_PC32,
            "0.o: section .text._start, offset 0x0: R_X86_64_PC32 to `far`: \
             0x123456780000000 - x is not in -0x80000000..=0x7fffffff",
        ),
        (
            X86_64,
            elf::R_X86_64_32,
            "0.o: section .text._start, offset 0x0: R_X86_64_32 to `far`: \
             0x123456780000000 is not in 0x0..=0xffffffff",
        ),
        (
            Aarch64,
            elf::R_AARCH64_MOVW_UABS_G1,
            "0.o: section .text._start, offset 0x0: R_AARCH64_MOVW_UABS_G1 to `far`: \
             0x123456780000000 is not in 0x0..=0xffffffff",
        ),
        (
            Riscv64,
            elf::R_RISCV_HI20,
            "0.o: section .text._start, offset 0x0: R_RISCV_HI20 to `far`: \
             0x123456780000000 is not in -0x80000800..=0x7ffff7ff",
        ),
    ] {
        let mut b = Builder::new(machine);
        let start = b.start("f");
        b.returns("f", 0);
        let far = b.define_absolute("far", 0x0123_4567_8000_0000);
        b.relocate(start, 0, r_type, far, 0);
        let text = error(&[&b]);
        if let Some((before, after)) = expected.split_once("0x123456780000000 - x") {
            assert!(text.starts_with(before) && text.ends_with(after), "{text}");
        } else {
            assert_eq!(text, expected);
        }
    }
}

#[test]
fn an_aarch64_call_beyond_every_veneer() {
    let mut b = Builder::new(Aarch64);
    b.start("f");
    b.define_absolute("f", 0x0123_4567_8000_0000);
    let text = error(&[&b]);
    assert!(
        text.contains("R_AARCH64_CALL26 to `f`: 0x12345677"),
        "{text}"
    );
    assert!(
        text.ends_with(" is not in -0x8000000..=0x7ffffff"),
        "{text}"
    );
}

#[test]
fn misaligned_targets() {
    let mut b = Builder::new(Aarch64);
    let start = b.start("f");
    b.returns("f", 0);
    let odd = b.define_absolute("odd", 0x1004);
    b.relocate(start, 0, elf::R_AARCH64_LDST64_ABS_LO12_NC, odd, 0);
    assert_eq!(
        error(&[&b]),
        "0.o: section .text._start, offset 0x0: R_AARCH64_LDST64_ABS_LO12_NC to `odd`: \
         0x1004 is not a multiple of 8"
    );
}

#[test]
fn thread_local_storage() {
    for (machine, r_type, name) in [
        (X86_64, elf::R_X86_64_GOTTPOFF, "R_X86_64_GOTTPOFF"),
        (
            Aarch64,
            elf::R_AARCH64_TLSLE_ADD_TPREL_HI12,
            "R_AARCH64_TLSLE_ADD_TPREL_HI12",
        ),
        (Riscv64, elf::R_RISCV_TPREL_HI20, "R_RISCV_TPREL_HI20"),
    ] {
        let mut b = Builder::new(machine);
        let start = b.start("f");
        let f = b.returns("f", 0);
        let f = b.object.section_symbol(f);
        b.relocate(start, 0, r_type, f, 0);
        assert_eq!(
            error(&[&b]),
            format!(
                "0.o: section .text._start, offset 0x0: {name} to `.text.f`: \
                 thread-local storage is not supported"
            )
        );
    }
}

#[test]
fn thread_local_symbols() {
    let mut b = Builder::new(X86_64);
    let start = b.start("f");
    b.returns("f", 0);
    let section = b.section(".tdata", SectionKind::Tls, &[0; 8], 8);
    let variable = b.object.add_symbol(Symbol {
        name: b"variable".to_vec(),
        value: 0,
        size: 8,
        kind: SymbolKind::Tls,
        scope: SymbolScope::Linkage,
        weak: false,
        section: SymbolSection::Section(section),
        flags: SymbolFlags::None,
    });
    b.relocate(start, 0, elf::R_X86_64_64, variable, 0);
    assert_eq!(
        error(&[&b]),
        "0.o: section .text._start, offset 0x0: R_X86_64_64 to `variable`: \
         thread-local symbols are not supported"
    );
}

#[test]
fn unknown_relocations() {
    for machine in Machine::ALL {
        let mut b = Builder::new(machine);
        let start = b.start("f");
        let f = b.returns("f", 0);
        let f = b.object.section_symbol(f);
        b.relocate(start, 4, 250, f, 0);
        assert_eq!(
            error(&[&b]),
            "0.o: section .text._start, offset 0x4: relocation type 250 to `.text.f`: \
             unknown relocation type"
        );
    }
}

#[test]
fn a_field_at_the_end_of_its_section() {
    let mut b = Builder::new(X86_64);
    let start = b.start("f");
    b.returns("f", 0);
    let f = b.refer("f");
    b.relocate(start, 11, elf::R_X86_64_32, f, 0);
    assert_eq!(
        error(&[&b]),
        "0.o: section .text._start, offset 0xb: R_X86_64_32 to `f`: \
         the field lies outside of the section"
    );
}

#[test]
fn references_to_what_is_not_in_the_image() {
    let mut b = Builder::new(X86_64);
    let start = b.start("f");
    b.returns("f", 0);
    let debug = b.section(".debug_info", SectionKind::Debug, &[0; 8], 1);
    let debug = b.define_local("label", debug, 0);
    b.relocate(start, 0, elf::R_X86_64_64, debug, 0);
    assert_eq!(
        error(&[&b]),
        "0.o: section .text._start, offset 0x0: R_X86_64_64 to `label`: \
         its section .debug_info is not part of the image"
    );
}

#[test]
fn writable_code() {
    let mut b = Builder::new(X86_64);
    b.start("f");
    let f = b.returns("f", 0);
    b.add_flags(f, elf::SHF_WRITE);
    assert_eq!(
        error(&[&b]),
        "0.o: not supported: section .text.f is writable and executable"
    );
}

#[test]
fn different_machines() {
    let (mut a, mut b) = (Builder::new(X86_64), Builder::new(Riscv64));
    a.start("f");
    b.returns("f", 0);
    assert_eq!(
        error(&[&a, &b]),
        "1.o: malformed object: it is for riscv64, but the objects before it are for x86_64"
    );
}

#[test]
fn different_float_conventions() {
    let (mut a, mut b) = (Builder::new(Riscv64), Builder::new(Riscv64));
    a.start("f");
    b.returns("f", 0);
    b.object.flags = object::FileFlags::Elf {
        os_abi: 0,
        abi_version: 0,
        e_flags: 0,
    };
    assert_eq!(
        error(&[&a, &b]),
        "1.o: malformed object: its calling convention differs from the others'"
    );
}

#[test]
fn a_low_part_without_its_high_part() {
    let mut b = Builder::new(Riscv64);
    let start = b.start("f");
    let f = b.returns("f", 0);
    let label = b.define_local("label", f, 0);
    b.relocate(start, 8, elf::R_RISCV_PCREL_LO12_I, label, 0);
    assert_eq!(
        error(&[&b]),
        "0.o: section .text._start, offset 0x8: R_RISCV_PCREL_LO12_I to `label`: \
         no high part at the label it refers to"
    );
}

#[test]
fn nothing_to_link() {
    let error = elfin_linker::link(&[], &[], &options()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "link options: there is no object to link"
    );
}

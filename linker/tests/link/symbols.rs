//! Symbol resolution.

use crate::support::*;
use elfin_linker::{Blob, Input};
use object::SectionKind;
use object::write::Comdat;

/// A program that exits with the low byte of an address.
fn returns_address_of(machine: Machine, name: &str, weakly: bool) -> Builder {
    let mut b = Builder::new(machine);
    b.start("load");
    b.loads("load", "pointer");
    let pointer = b.section(".rodata.pointer", SectionKind::ReadOnlyData, &[0xaa; 8], 8);
    b.define("pointer", pointer, 0);
    let symbol = if weakly {
        b.refer_weakly(name)
    } else {
        b.refer(name)
    };
    b.relocate(pointer, 0, machine.abs64(), symbol, 0);
    b
}

#[test]
fn a_weak_definition_yields_to_a_strong_one() {
    for machine in Machine::ALL {
        let (mut main, mut weak, mut strong) = (
            Builder::new(machine),
            Builder::new(machine),
            Builder::new(machine),
        );
        main.start("f");
        let code = weak.code_returning(1);
        let section = weak.text(".text.weak", &code);
        weak.define_weak("f", section, 0);
        strong.returns("f", 2);
        assert_eq!(status(&[&main, &weak, &strong]), 2);
        assert_eq!(status(&[&main, &strong, &weak]), 2);
        assert_eq!(status(&[&main, &weak]), 1);
        assert_eq!(status(&[&main, &weak, &weak]), 1);
    }
}

#[test]
fn an_undefined_weak_symbol_is_zero() {
    for machine in Machine::ALL {
        let b = returns_address_of(machine, "missing", true);
        assert_eq!(status(&[&b]), 0, "{machine:?}");
    }
}

#[test]
fn a_call_of_an_undefined_weak_function_links() {
    for machine in Machine::ALL {
        let mut b = Builder::new(machine);
        b.refer_weakly("missing");
        b.start("missing");
        link(&[&b]).unwrap_or_else(|e| panic!("{machine:?}: {e}"));
    }
}

#[test]
fn absolute_symbols_are_numbers() {
    for machine in Machine::ALL {
        let mut b = returns_address_of(machine, "number", false);
        let mut other = Builder::new(machine);
        other.define_absolute("number", 0x8000_0000_0000_0045);
        assert_eq!(status(&[&b, &other]), 0x45, "{machine:?}");
        b.define_absolute("unused", 1);
        assert_eq!(status(&[&b, &other]), 0x45, "{machine:?}");
    }
}

#[test]
fn the_linker_knows_where_code_lies() {
    for machine in Machine::ALL {
        let mut b = Builder::new(machine);
        b.start("load");
        b.loads("load", "table");
        let table = b.section(".rodata.table", SectionKind::ReadOnlyData, &[0; 24], 8);
        b.define("table", table, 0);
        let names = ["elfin_text_start", "elfin_text_end", "__executable_start"];
        for (i, name) in names.into_iter().enumerate() {
            let symbol = b.refer(name);
            b.relocate(table, 8 * i as u64, machine.abs64(), symbol, 0);
        }
        let image = link(&[&b]).unwrap();
        let table = bytes_at(&image, address(&image, "table"), 24);
        let entry = |i: usize| u64::from_le_bytes(table[8 * i..][..8].try_into().unwrap());
        let code = code_segment(&image);
        assert_eq!(entry(0), code.address);
        assert_eq!(entry(1), code.address + code.mem_size);
        assert_eq!(entry(2), 0x10_0000);
    }
}

#[test]
fn two_strong_definitions_are_an_error() {
    let (mut a, mut b) = (Builder::new(X86_64), Builder::new(X86_64));
    a.start("f");
    a.returns("f", 1);
    let section = b.text(".text.other", &[0xc3]);
    b.define("f", section, 0);
    assert_eq!(
        error(&[&a, &b]),
        "symbol `f` is defined twice: in 0.o (section .text.f) and in 1.o (section .text.other)"
    );
}

#[test]
fn undefined_symbols_are_listed_together() {
    let (mut a, mut b) = (Builder::new(X86_64), Builder::new(X86_64));
    a.start("f");
    b.jumps("f", "missing_0");
    assert_eq!(
        error(&[&a, &b]),
        "undefined symbols: `missing_0` (in 1.o, section .text.f)"
    );
    let start = a.start("f");
    for i in 0..30 {
        let missing = a.refer(&format!("missing_{}", i / 2));
        a.relocate(start, 0, object::elf::R_X86_64_64, missing, 0);
    }
    let text = error(&[&a, &b]);
    assert!(text.starts_with("undefined symbols: `missing_0` (in 0.o, section .text._start), "));
    assert_eq!(text.matches("missing_").count(), 15, "{text}");
}

#[test]
fn very_many_undefined_symbols_are_counted() {
    let mut b = Builder::new(X86_64);
    let start = b.start("missing");
    for i in 0..50 {
        let missing = b.refer(&format!("missing_{i}"));
        b.relocate(start, 0, object::elf::R_X86_64_64, missing, 0);
    }
    assert!(error(&[&b]).ends_with(" and 31 more"));
}

#[test]
fn of_equal_groups_the_first_is_kept() {
    for machine in Machine::ALL {
        let group = |value: u8| {
            let mut b = Builder::new(machine);
            let code = b.code_returning(value);
            let section = b.text(".text.f", &code);
            let symbol = b.define("f", section, 0);
            let sections = vec![section];
            b.object.add_comdat(Comdat {
                kind: object::ComdatKind::Any,
                symbol,
                sections,
            });
            b
        };
        let mut main = Builder::new(machine);
        main.start("f");
        assert_eq!(status(&[&main, &group(5), &group(6)]), 5);
        assert_eq!(status(&[&main, &group(6), &group(5)]), 6);
    }
}

#[test]
fn without_an_entry_point_there_is_no_program() {
    let mut b = Builder::new(X86_64);
    b.returns("main", 1);
    assert_eq!(error(&[&b]), "entry symbol `_start` is not defined");
    let data = b.section(".data", SectionKind::Data, &[1], 1);
    b.define("_start", data, 0);
    assert_eq!(error(&[&b]), "entry symbol `_start` is not defined");
}

#[test]
fn a_blob_lies_between_its_symbols() {
    for machine in Machine::ALL {
        let mut b = returns_address_of(machine, "blob_end", false);
        let symbol = b.refer("blob");
        let pointer = b.section(".rodata.start", SectionKind::ReadOnlyData, &[0; 8], 8);
        b.relocate(pointer, 0, machine.abs64(), symbol, 0);
        b.add_flags(pointer, object::elf::SHF_GNU_RETAIN);
        let data = b.finish();
        let inputs = [Input {
            name: "0.o",
            data: &data,
        }];
        let blobs = [Blob {
            section: ".rodata.blob",
            symbol: "blob",
            data: b"some bytes",
        }];
        let image = elfin_linker::link(&inputs, &blobs, &options()).unwrap();
        let (start, end) = (address(&image, "blob"), address(&image, "blob_end"));
        assert_eq!(end - start, 10);
        assert_eq!(start % 8, 0);
        assert_eq!(bytes_at(&image, start, 10), b"some bytes");
        assert_eq!(machine.run(&image.bytes), (end & 0xff) as i32);
    }
}

#[test]
fn more_sections_than_an_index_has_bits() {
    let mut b = Builder::new(X86_64);
    for i in 0..65_300 {
        b.section(&format!(".text.{i}"), SectionKind::Text, &[0xc3], 1);
    }
    // These are beyond SHN_LORESERVE.
    b.start("f");
    b.returns("f", 77);
    assert_eq!(status(&[&b]), 77);
}

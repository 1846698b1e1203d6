//! Garbage collection: what is not reached is not there.

use crate::support::*;
use elfin_linker::{Blob, Input};
use object::{SectionKind, elf};

fn names(image: &elfin_linker::Image) -> Vec<&str> {
    image
        .map
        .sections
        .iter()
        .map(|section| section.name.as_str())
        .collect()
}

#[test]
fn unreached_sections_go_away() {
    for machine in Machine::ALL {
        let mut b = Builder::new(machine);
        b.start("answer");
        b.returns("answer", 1);
        b.jumps("dead", "also_dead");
        b.loads("also_dead", "nowhere");
        let image = link(&[&b]).unwrap();
        assert_eq!(
            names(&image),
            [".text._start", ".text.answer"],
            "{machine:?}"
        );
    }
}

#[test]
fn data_keeps_what_it_points_to() {
    for machine in Machine::ALL {
        let mut b = Builder::new(machine);
        b.start("load");
        b.loads("load", "pointer");
        let pointer = b.section(".rodata.pointer", SectionKind::ReadOnlyData, &[0; 8], 8);
        b.define("pointer", pointer, 0);
        let target = b.returns("target", 0);
        let target = b.object.section_symbol(target);
        b.relocate(pointer, 0, machine.abs64(), target, 0);
        let image = link(&[&b]).unwrap();
        assert!(names(&image).contains(&".text.target"), "{machine:?}");
        let value = bytes_at(&image, address(&image, "pointer"), 8)
            .try_into()
            .unwrap();
        assert_eq!(u64::from_le_bytes(value), address(&image, "target"));
    }
}

#[test]
fn placed_and_retained_sections_are_roots() {
    let mut b = Builder::new(X86_64);
    b.start("answer");
    b.returns("answer", 1);
    b.section(".elfin.state", SectionKind::Data, &[1], 8);
    let retained = b.section(".rodata.retained", SectionKind::ReadOnlyData, b"kept", 1);
    b.add_flags(retained, elf::SHF_GNU_RETAIN);
    let mut options = options();
    let state = options.state_base + options.header_size;
    options
        .placements
        .push(placement(".elfin.state", state, 0x10, true));
    let image = link_with(&[&b.finish()], &options).unwrap();
    let expected = [
        ".elfin.state",
        ".rodata.retained",
        ".text._start",
        ".text.answer",
    ];
    assert_eq!(names(&image), expected);
}

#[test]
fn sections_for_tools_are_dropped() {
    let mut b = Builder::new(X86_64);
    let start = b.start("answer");
    b.returns("answer", 1);
    let start = b.object.section_symbol(start);
    for (name, kind) in [
        (".eh_frame", SectionKind::ReadOnlyData),
        (".debug_info", SectionKind::Debug),
        (".comment", SectionKind::OtherString),
        (".note.gnu.property", SectionKind::Note),
    ] {
        let section = b.section(name, kind, &[0; 16], 8);
        b.relocate(section, 0, elf::R_X86_64_64, start, 0);
    }
    assert_eq!(
        names(&link(&[&b]).unwrap()),
        [".text._start", ".text.answer"]
    );
}

#[test]
fn live_symbols_are_those_of_live_sections() {
    let mut b = Builder::new(X86_64);
    b.start("load");
    b.loads("load", "blob");
    b.returns("dead", 0);
    b.define_absolute("absolute", 1);
    let data = b.finish();
    let inputs = [Input {
        name: "0.o",
        data: &data,
    }];
    let blobs = [
        Blob {
            section: ".rodata.blob",
            symbol: "blob",
            data: b"1234",
        },
        Blob {
            section: ".rodata.unused",
            symbol: "unused",
            data: b"",
        },
    ];
    let live = elfin_linker::live_symbols(&inputs, &blobs, &options()).unwrap();
    assert_eq!(live, ["_start", "blob", "blob_end", "load"]);
}

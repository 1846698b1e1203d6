//! Relaxation on riscv64: calls get shorter, alignment is kept, everything that depends on distances
//! follows.

use crate::support::*;
use object::{SectionKind, elf};

const CALL: [u32; 2] = [0x0000_0097, 0x0000_80e7];

/// `_start` exits with seven plus the distance from its start to the label `skip`, which is 24 before
/// relaxation and 16 after it.
///
/// ```text
///  0  start: call seven
///  8         mv   s0, a0
/// 12         beq  zero, zero, skip
/// 16         call seven
/// 24  skip:  (6 bytes of padding to a multiple of 8)
/// 30  label: auipc a1, %pcrel_hi(distance)
/// 34         lw   a1, %pcrel_lo(label)(a1)
/// 38         add  a0, s0, a1
/// 42         li   a7, 94
/// 46         ecall
/// ```
fn program(relax: bool) -> Builder {
    let mut b = Builder::new(Riscv64);
    let mut code = words(&[
        CALL[0],
        CALL[1],
        0x0005_0413,
        0x0000_0063,
        CALL[0],
        CALL[1],
        0x0000_0013,
    ]);
    code.extend([0x01, 0x00]);
    code.extend(words(&[
        0x0000_0597,
        0x0005_a583,
        0x00b4_0533,
        0x05e0_0893,
        0x0000_0073,
    ]));
    let section = b.section(".text._start", SectionKind::Text, &code, 8);
    let start = b.define("_start", section, 0);
    let skip = b.define_local("skip", section, 24);
    let label = b.define_local("label", section, 30);
    b.define("end", section, 50);
    let seven = b.refer("seven");
    let distance = b.section(".rodata.distance", SectionKind::ReadOnlyData, &[0; 4], 4);
    let distance_symbol = b.define("distance", distance, 0);
    b.relocate(distance, 0, elf::R_RISCV_ADD32, skip, 0);
    b.relocate(distance, 0, elf::R_RISCV_SUB32, start, 0);

    let nothing = b.define_absolute("", 0);
    for offset in [0, 16] {
        b.relocate(section, offset, elf::R_RISCV_CALL_PLT, seven, 0);
        if relax {
            b.relocate(section, offset, elf::R_RISCV_RELAX, nothing, 0);
        }
    }
    b.relocate(section, 12, elf::R_RISCV_BRANCH, skip, 0);
    if relax {
        b.relocate(section, 24, elf::R_RISCV_ALIGN, nothing, 6);
    }
    b.relocate(section, 30, elf::R_RISCV_PCREL_HI20, distance_symbol, 0);
    b.relocate(section, 34, elf::R_RISCV_PCREL_LO12_I, label, 0);
    b
}

fn code_at(image: &elfin_linker::Image, offset: u64) -> u32 {
    let bytes = bytes_at(image, address(image, "_start") + offset, 4);
    u32::from_le_bytes(bytes.try_into().unwrap())
}

#[test]
fn near_calls_get_shorter() {
    let mut b = program(true);
    b.returns("seven", 7);
    assert_eq!(status(&[&b]), 7 + 16);
    let image = link(&[&b]).unwrap();
    let at = |name| address(&image, name) - address(&image, "_start");
    // Two calls lost 4 bytes each, and `skip` is a multiple of 8 without any padding.
    assert_eq!((at("skip"), at("label"), at("end")), (16, 16, 36));
    assert_eq!(code_at(&image, 0) & 0xfff, 0x0ef, "jal ra");
    assert_eq!(code_at(&image, 4), 0x0005_0413);
    let section = image
        .map
        .sections
        .iter()
        .find(|s| s.name == ".text._start")
        .unwrap();
    assert_eq!(section.mem_size, 36);
}

#[test]
fn far_calls_stay() {
    let mut b = program(true);
    let filler = b.section(".text.filler", SectionKind::Text, &vec![0; 0x12_0000], 2);
    b.add_flags(filler, elf::SHF_GNU_RETAIN);
    b.returns("seven", 7);
    assert_eq!(status(&[&b]), 7 + 24);
    let image = link(&[&b]).unwrap();
    assert_eq!(address(&image, "label") - address(&image, "_start"), 24);
    assert_eq!(code_at(&image, 0) & 0xfff, 0x097, "auipc ra");
}

#[test]
fn padding_that_stays_does_nothing() {
    // A first call that stays long, a second one that gets short: 4 bytes of padding are needed.
    let mut b = Builder::new(Riscv64);
    let mut code = words(&[CALL[0], CALL[1], 0x0000_0013]);
    code.extend([0x01, 0x00]);
    code.extend(words(&[0x05e0_0893, 0x0000_0073]));
    let section = b.section(".text._start", SectionKind::Text, &code, 8);
    b.define("_start", section, 0);
    b.define("aligned", section, 14);
    let seven = b.refer("seven");
    let nothing = b.define_absolute("", 0);
    b.relocate(section, 0, elf::R_RISCV_CALL, seven, 0);
    b.relocate(section, 0, elf::R_RISCV_RELAX, nothing, 0);
    b.relocate(section, 8, elf::R_RISCV_ALIGN, nothing, 6);
    b.returns("seven", 7);
    assert_eq!(status(&[&b]), 7);
    let image = link(&[&b]).unwrap();
    assert_eq!(address(&image, "aligned") - address(&image, "_start"), 8);
    assert_eq!(code_at(&image, 4), 0x0000_0013, "nop");
}

#[test]
fn without_relax_nothing_moves() {
    let mut b = program(false);
    b.returns("seven", 7);
    assert_eq!(status(&[&b]), 7 + 24);
    let image = link(&[&b]).unwrap();
    // But a near call is direct, in the same room.
    assert_eq!(code_at(&image, 0), 0x0000_0013, "nop");
    assert_eq!(code_at(&image, 4) & 0xfff, 0x0ef, "jal ra");
}

#[test]
fn an_addend_to_a_section_symbol_counts_original_bytes() {
    let mut b = program(true);
    b.returns("seven", 7);
    let start = b.refer("_start");
    let (section, _) = b.object.symbol_section_and_offset(start).unwrap();
    let pointer = b.section(".rodata.pointer", SectionKind::ReadOnlyData, &[0; 8], 8);
    b.add_flags(pointer, elf::SHF_GNU_RETAIN);
    b.define("pointer", pointer, 0);
    b.relocate(pointer, 0, elf::R_RISCV_64, section, 24);
    let image = link(&[&b]).unwrap();
    let value = bytes_at(&image, address(&image, "pointer"), 8)
        .try_into()
        .unwrap();
    assert_eq!(u64::from_le_bytes(value), address(&image, "skip"));
}

#[test]
fn alignment_that_cannot_be_kept_is_an_error() {
    let mut b = Builder::new(Riscv64);
    let section = b.start("f");
    b.returns("f", 0);
    let nothing = b.define_absolute("", 0);
    b.relocate(section, 0, elf::R_RISCV_ALIGN, nothing, 0x7fff_ffff_ffff);
    assert!(
        error(&[&b]).contains("the alignment cannot be honoured"),
        "{}",
        error(&[&b])
    );
    let mut b = Builder::new(Riscv64);
    let section = b.start("f");
    b.returns("f", 0);
    let nothing = b.define_absolute("", 0);
    b.relocate(section, 12, elf::R_RISCV_ALIGN, nothing, 6);
    assert!(
        error(&[&b]).contains("outside of the section"),
        "{}",
        error(&[&b])
    );
}

//! # aarch64
//!
//! psABI: <https://github.com/ARM-software/abi-aa/blob/main/aaelf64/aaelf64.rst>, "Relocation".
//!
//! Instructions are 32 bits, always aligned, always little-endian. An address takes two of them: `adrp`
//! gives the 4 KiB page of a symbol relative to the page of the instruction (21 bits of pages: ±4 GiB),
//! and an `add` or a load supplies the low 12 bits. A load scales its 12-bit offset by the width of the
//! access, so that the low bits must be a multiple of it.
//! ```text
//! adr(p)  [31] op  [30:29] immlo  [28:24] 10000  [23:5] immhi  [4:0] rd
//! add     [31] sf  [30:22] …      [21:10] imm12  [9:5] rn      [4:0] rd
//! ldr     [31:30] size  …         [21:10] imm12 (scaled)       [9:5] rn  [4:0] rt
//! mov{z,k}[31] sf  [22:21] hw     [20:5] imm16                 [4:0] rd
//! b, bl   [31:26] opcode          [25:0] imm26 (words)
//! b.cond, cbz, ldr (literal)      [23:5] imm19 (words)
//! tbz     …                       [18:5] imm14 (words)
//! ```
//! The page of `adrp` is 4 KiB whatever the kernel's page size is; kernels use up to 64 KiB, and
//! segments respect the largest.
//!
//! ## Veneers
//! `b` and `bl` reach ±128 MiB. Beyond that they go to a veneer in reach, which may use `x16` (IP0, set
//! aside for linkers by the procedure call standard) and reaches ±4 GiB.
//!
//! ## Loads from the GOT
//! `adrp x0, :got:foo` directly followed by `ldr x0, [x0, :got_lo12:foo]` becomes `adrp x0, foo` and
//! `add x0, x0, :lo12:foo`. Only adjacent pairs on one register qualify, since the value between them
//! (a page of the GOT) must have no other reader, and only in sections without a stray half of such a
//! pair. The rest gets a GOT.

use object::elf;

use super::{
    Arch, Kind, Range, Row, Shortening, Veneer, data, field, marker, read_u32, row, set_bits,
};
use crate::error::Problem;
use crate::input::Section;

#[derive(Debug)]
pub(crate) struct Aarch64;

use Kind::{Absolute, Branch, GotAbsolute, GotPage, Page, Relative, ThreadLocal};
use Range::{Any, Either, Signed, Unsigned};

#[rustfmt::skip]
const ROWS: &[Row] = &[
    marker(elf::R_AARCH64_NONE, "R_AARCH64_NONE", Kind::None),
    row(elf::R_AARCH64_ABS64,               "R_AARCH64_ABS64",               Absolute,    8, Any,          1, data),
    row(elf::R_AARCH64_ABS32,               "R_AARCH64_ABS32",               Absolute,    4, Either(32),   1, data),
    row(elf::R_AARCH64_ABS16,               "R_AARCH64_ABS16",               Absolute,    2, Either(16),   1, data),
    row(elf::R_AARCH64_PREL64,              "R_AARCH64_PREL64",              Relative,    8, Any,          1, data),
    row(elf::R_AARCH64_PREL32,              "R_AARCH64_PREL32",              Relative,    4, Either(32),   1, data),
    row(elf::R_AARCH64_PREL16,              "R_AARCH64_PREL16",              Relative,    2, Either(16),   1, data),
    row(elf::R_AARCH64_MOVW_UABS_G0,        "R_AARCH64_MOVW_UABS_G0",        Absolute,    4, Unsigned(16), 1, mov::<0>),
    row(elf::R_AARCH64_MOVW_UABS_G0_NC,     "R_AARCH64_MOVW_UABS_G0_NC",     Absolute,    4, Any,          1, mov::<0>),
    row(elf::R_AARCH64_MOVW_UABS_G1,        "R_AARCH64_MOVW_UABS_G1",        Absolute,    4, Unsigned(32), 1, mov::<16>),
    row(elf::R_AARCH64_MOVW_UABS_G1_NC,     "R_AARCH64_MOVW_UABS_G1_NC",     Absolute,    4, Any,          1, mov::<16>),
    row(elf::R_AARCH64_MOVW_UABS_G2,        "R_AARCH64_MOVW_UABS_G2",        Absolute,    4, Unsigned(48), 1, mov::<32>),
    row(elf::R_AARCH64_MOVW_UABS_G2_NC,     "R_AARCH64_MOVW_UABS_G2_NC",     Absolute,    4, Any,          1, mov::<32>),
    row(elf::R_AARCH64_MOVW_UABS_G3,        "R_AARCH64_MOVW_UABS_G3",        Absolute,    4, Any,          1, mov::<48>),
    row(elf::R_AARCH64_LD_PREL_LO19,        "R_AARCH64_LD_PREL_LO19",        Relative,    4, Signed(21),   4, imm19),
    row(elf::R_AARCH64_ADR_PREL_LO21,       "R_AARCH64_ADR_PREL_LO21",       Relative,    4, Signed(21),   1, adr),
    row(elf::R_AARCH64_ADR_PREL_PG_HI21,    "R_AARCH64_ADR_PREL_PG_HI21",    Page,        4, Signed(33),   1, adrp),
    row(elf::R_AARCH64_ADR_PREL_PG_HI21_NC, "R_AARCH64_ADR_PREL_PG_HI21_NC", Page,        4, Any,          1, adrp),
    row(elf::R_AARCH64_ADD_ABS_LO12_NC,     "R_AARCH64_ADD_ABS_LO12_NC",     Absolute,    4, Any,          1, imm12::<0>),
    row(elf::R_AARCH64_LDST8_ABS_LO12_NC,   "R_AARCH64_LDST8_ABS_LO12_NC",   Absolute,    4, Any,          1, imm12::<0>),
    row(elf::R_AARCH64_TSTBR14,             "R_AARCH64_TSTBR14",             Relative,    4, Signed(16),   4, imm14),
    row(elf::R_AARCH64_CONDBR19,            "R_AARCH64_CONDBR19",            Relative,    4, Signed(21),   4, imm19),
    row(elf::R_AARCH64_JUMP26,              "R_AARCH64_JUMP26",              Branch,      4, Signed(28),   4, imm26),
    row(elf::R_AARCH64_CALL26,              "R_AARCH64_CALL26",              Branch,      4, Signed(28),   4, imm26),
    row(elf::R_AARCH64_LDST16_ABS_LO12_NC,  "R_AARCH64_LDST16_ABS_LO12_NC",  Absolute,    4, Any,          2, imm12::<1>),
    row(elf::R_AARCH64_LDST32_ABS_LO12_NC,  "R_AARCH64_LDST32_ABS_LO12_NC",  Absolute,    4, Any,          4, imm12::<2>),
    row(elf::R_AARCH64_LDST64_ABS_LO12_NC,  "R_AARCH64_LDST64_ABS_LO12_NC",  Absolute,    4, Any,          8, imm12::<3>),
    row(elf::R_AARCH64_LDST128_ABS_LO12_NC, "R_AARCH64_LDST128_ABS_LO12_NC", Absolute,    4, Any,         16, imm12::<4>),
    row(elf::R_AARCH64_ADR_GOT_PAGE,        "R_AARCH64_ADR_GOT_PAGE",        GotPage,     4, Signed(33),   1, adrp),
    row(elf::R_AARCH64_LD64_GOT_LO12_NC,    "R_AARCH64_LD64_GOT_LO12_NC",    GotAbsolute, 4, Any,          8, imm12::<3>),
    row(R_AARCH64_PLT32,                    "R_AARCH64_PLT32",               Relative,    4, Signed(32),   1, data),
    marker(elf::R_AARCH64_TLSGD_ADR_PAGE21,            "R_AARCH64_TLSGD_ADR_PAGE21",            ThreadLocal),
    marker(elf::R_AARCH64_TLSGD_ADD_LO12_NC,           "R_AARCH64_TLSGD_ADD_LO12_NC",           ThreadLocal),
    marker(elf::R_AARCH64_TLSIE_ADR_GOTTPREL_PAGE21,   "R_AARCH64_TLSIE_ADR_GOTTPREL_PAGE21",   ThreadLocal),
    marker(elf::R_AARCH64_TLSIE_LD64_GOTTPREL_LO12_NC, "R_AARCH64_TLSIE_LD64_GOTTPREL_LO12_NC", ThreadLocal),
    marker(elf::R_AARCH64_TLSLE_ADD_TPREL_HI12,        "R_AARCH64_TLSLE_ADD_TPREL_HI12",        ThreadLocal),
    marker(elf::R_AARCH64_TLSLE_ADD_TPREL_LO12,        "R_AARCH64_TLSLE_ADD_TPREL_LO12",        ThreadLocal),
    marker(elf::R_AARCH64_TLSLE_ADD_TPREL_LO12_NC,     "R_AARCH64_TLSLE_ADD_TPREL_LO12_NC",     ThreadLocal),
    marker(elf::R_AARCH64_TLSDESC_ADR_PAGE21,          "R_AARCH64_TLSDESC_ADR_PAGE21",          ThreadLocal),
    marker(elf::R_AARCH64_TLSDESC_LD64_LO12,           "R_AARCH64_TLSDESC_LD64_LO12",           ThreadLocal),
    marker(elf::R_AARCH64_TLSDESC_ADD_LO12,            "R_AARCH64_TLSDESC_ADD_LO12",            ThreadLocal),
    marker(elf::R_AARCH64_TLSDESC_CALL,                "R_AARCH64_TLSDESC_CALL",                ThreadLocal),
];

/// Not in `object` 0.39 under this name.
const R_AARCH64_PLT32: u32 = 314;

fn adr(place: &mut [u8], value: u64) {
    set_bits(
        place,
        0b11 << 29 | 0x7_ffff << 5,
        field(value, 0, 2) << 29 | field(value, 2, 19) << 5,
    );
}

fn adrp(place: &mut [u8], value: u64) {
    adr(place, value >> 12);
}

fn imm12<const SCALE: u32>(place: &mut [u8], value: u64) {
    set_bits(place, 0xfff << 10, field(value, SCALE, 12 - SCALE) << 10);
}

fn mov<const SHIFT: u32>(place: &mut [u8], value: u64) {
    set_bits(place, 0xffff << 5, field(value, SHIFT, 16) << 5);
}

fn imm14(place: &mut [u8], value: u64) {
    set_bits(place, 0x3fff << 5, field(value, 2, 14) << 5);
}

fn imm19(place: &mut [u8], value: u64) {
    set_bits(place, 0x7_ffff << 5, field(value, 2, 19) << 5);
}

fn imm26(place: &mut [u8], value: u64) {
    set_bits(place, 0x3ff_ffff, field(value, 2, 26));
}

const ADRP_X16: u32 = 0x9000_0010;
const ADD_X16_X16: u32 = 0x9100_0210;
const BR_X16: u32 = 0xd61f_0200;

fn write_veneer(bytes: &mut [u8], from: u64, to: u64) -> Result<(), Problem> {
    for (i, instruction) in [ADRP_X16, ADD_X16_X16, BR_X16].into_iter().enumerate() {
        bytes[4 * i..][..4].copy_from_slice(&instruction.to_le_bytes());
    }
    let row = |r_type| Aarch64.row(r_type).ok_or(Problem::UnknownType);
    let pages = (to & !0xfff).wrapping_sub(from & !0xfff);
    row(elf::R_AARCH64_ADR_PREL_PG_HI21)?.apply(bytes, pages)?;
    row(elf::R_AARCH64_ADD_ABS_LO12_NC)?.apply(&mut bytes[4..], to)
}

const VENEER: Veneer = Veneer {
    size: 12,
    align: 4,
    reach: 1 << 27,
    write: write_veneer,
};

const ADRP: (u32, u32) = (0x9f00_0000, 0x9000_0000);
/// `ldr x, [x, #imm]`.
const LDR_X: (u32, u32) = (0xffc0_0000, 0xf940_0000);
/// `add x, x, #imm`.
const ADD_X: u32 = 0x9100_0000;

fn is(instruction: u32, (mask, bits): (u32, u32)) -> bool {
    instruction & mask == bits
}

impl Arch for Aarch64 {
    fn machine(&self) -> u16 {
        elf::EM_AARCH64
    }

    fn name(&self) -> &'static str {
        "aarch64"
    }

    fn max_page(&self) -> u64 {
        0x1_0000
    }

    fn merge_flags(&self, merged: u32, more: u32) -> Option<u32> {
        (merged == more).then_some(merged)
    }

    fn rows(&self) -> &'static [Row] {
        ROWS
    }

    fn text_fill(&self) -> u8 {
        0 // udf #0
    }

    fn veneer(&self) -> Option<&'static Veneer> {
        Some(&VENEER)
    }

    fn got_rewrites(&self, section: &Section<'_>) -> Vec<u32> {
        let instruction = |offset: u64| {
            let start = usize::try_from(offset).ok()?;
            section.data.get(start..start.checked_add(4)?).map(read_u32)
        };
        let mut rewrites = Vec::new();
        let mut index = 0;
        while index < section.relocation_count() {
            let page = section.relocation(index);
            match page.r_type {
                elf::R_AARCH64_ADR_GOT_PAGE => {}
                elf::R_AARCH64_LD64_GOT_LO12_NC => return Vec::new(),
                _ => {
                    index += 1;
                    continue;
                }
            }
            if index + 1 == section.relocation_count() {
                return Vec::new();
            }
            let low = section.relocation(index + 1);
            let adjacent = low.r_type == elf::R_AARCH64_LD64_GOT_LO12_NC
                && low.symbol == page.symbol
                && low.offset == page.offset + 4
                && (page.addend, low.addend) == (0, 0);
            let (Some(adrp), Some(ldr)) = (instruction(page.offset), instruction(low.offset))
            else {
                return Vec::new();
            };
            let register = adrp & 31;
            let one_register = ldr & 31 == register && ldr >> 5 & 31 == register;
            if !(adjacent && one_register && is(adrp, ADRP) && is(ldr, LDR_X)) {
                return Vec::new();
            }
            rewrites.extend([index as u32, index as u32 + 1]);
            index += 2;
        }
        rewrites
    }

    fn rewrite_got(&self, bytes: &mut [u8], r_type: u32, offset: u64) -> (u32, u64) {
        if r_type == elf::R_AARCH64_ADR_GOT_PAGE {
            return (elf::R_AARCH64_ADR_PREL_PG_HI21, offset);
        }
        let place = &mut bytes[offset as usize..][..4];
        let registers = read_u32(place) & 0x3ff;
        place.copy_from_slice(&(ADD_X | registers).to_le_bytes());
        (elf::R_AARCH64_ADD_ABS_LO12_NC, offset)
    }

    fn shortening(&self) -> Option<&'static Shortening> {
        None
    }

    fn shorten_call(&self, _call: &mut [u8], _value: i64) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The instruction after patching it with `value`.
    fn patched(r_type: u32, instruction: u32, value: i64) -> u32 {
        let mut place = instruction.to_le_bytes();
        Aarch64
            .row(r_type)
            .unwrap()
            .apply(&mut place, value as u64)
            .unwrap();
        u32::from_le_bytes(place)
    }

    #[test]
    fn fields() {
        use elf::*;
        // Expected encodings are those of an assembler.
        for (r_type, before, value, after) in [
            (R_AARCH64_CALL26, 0x9400_0000, 0x7ff_fffc, 0x95ff_ffff),
            (R_AARCH64_CALL26, 0x97ff_ffff, -0x800_0000, 0x9600_0000),
            (R_AARCH64_JUMP26, 0x1400_0000, -4, 0x17ff_ffff),
            (R_AARCH64_CONDBR19, 0x5400_0001, -4, 0x54ff_ffe1),
            (R_AARCH64_CONDBR19, 0x5400_0001, 0xf_fffc, 0x547f_ffe1),
            (R_AARCH64_LD_PREL_LO19, 0x5800_0003, 8, 0x5800_0043),
            (R_AARCH64_TSTBR14, 0x3600_0005, -0x8000, 0x3604_0005),
            (R_AARCH64_TSTBR14, 0x3600_0005, 0x7ffc, 0x3603_ffe5),
            (R_AARCH64_ADR_PREL_LO21, 0x1000_0007, -1, 0x70ff_ffe7),
            (R_AARCH64_ADR_PREL_LO21, 0x1000_0007, 5, 0x3000_0027),
            (
                R_AARCH64_ADR_PREL_PG_HI21,
                0x9000_0000,
                0xffff_f000,
                0xf07f_ffe0,
            ),
            (
                R_AARCH64_ADR_PREL_PG_HI21,
                0x9000_0000,
                -0x1_0000_0000,
                0x9080_0000,
            ),
            (
                R_AARCH64_ADD_ABS_LO12_NC,
                0x913f_fc21,
                0x1_2345,
                0x910d_1421,
            ),
            (R_AARCH64_LDST8_ABS_LO12_NC, 0x3940_0020, 0xfff, 0x397f_fc20),
            (
                R_AARCH64_LDST16_ABS_LO12_NC,
                0x7940_0020,
                0xffe,
                0x795f_fc20,
            ),
            (
                R_AARCH64_LDST32_ABS_LO12_NC,
                0xb940_0020,
                0xffc,
                0xb94f_fc20,
            ),
            (
                R_AARCH64_LDST64_ABS_LO12_NC,
                0xf940_0020,
                0xff8,
                0xf947_fc20,
            ),
            (
                R_AARCH64_LDST128_ABS_LO12_NC,
                0x3dc0_0020,
                0xff0,
                0x3dc3_fc20,
            ),
            (R_AARCH64_MOVW_UABS_G0, 0xd280_0000, 0xffff, 0xd29f_ffe0),
            (R_AARCH64_MOVW_UABS_G0_NC, 0xf280_0000, -1, 0xf29f_ffe0),
            (
                R_AARCH64_MOVW_UABS_G1,
                0xd2a0_0000,
                0x8000_1234,
                0xd2b0_0000,
            ),
            (
                R_AARCH64_MOVW_UABS_G2,
                0xd2c0_0000,
                0x8000_0000_0000,
                0xd2d0_0000,
            ),
            (R_AARCH64_MOVW_UABS_G3, 0xd2e0_0000, i64::MIN, 0xd2f0_0000),
            (R_AARCH64_LD64_GOT_LO12_NC, 0xf940_0000, 0xff8, 0xf947_fc00),
            (R_AARCH64_ABS32, 0, 0xffff_ffff, 0xffff_ffff),
            (R_AARCH64_PREL32, 0, -2, 0xffff_fffe),
        ] {
            assert_eq!(
                patched(r_type, before, value),
                after,
                "type {r_type}, value {value:#x}"
            );
        }
    }

    #[test]
    fn misaligned_loads_are_refused() {
        let row = Aarch64.row(elf::R_AARCH64_LDST64_ABS_LO12_NC).unwrap();
        let result = row.apply(&mut [0; 4], 0x1004);
        assert_eq!(
            result,
            Err(Problem::Misaligned {
                value: 0x1004,
                align: 8
            })
        );
    }

    #[test]
    fn a_veneer_names_page_and_rest() {
        let mut bytes = [0; 12];
        write_veneer(&mut bytes, 0x20_0ffc, 0x1234_5678).unwrap();
        // adrp x16, #0x12145000 (from page 0x200000); add x16, x16, #0x678; br x16
        assert_eq!(read_u32(&bytes), 0xb009_0a30);
        assert_eq!(read_u32(&bytes[4..]), 0x9119_e210);
        assert_eq!(read_u32(&bytes[8..]), BR_X16);
    }
}

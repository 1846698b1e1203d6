//! # riscv64
//!
//! psABI: <https://github.com/riscv-non-isa/riscv-elf-psabi-doc/blob/master/riscv-elf.adoc>,
//! "Relocations" and "Linker Relaxation".
//!
//! Immediates are 12 bits (loads, stores, `addi`) or the upper 20 of 32 (`lui`, `auipc`), scattered so
//! that hardware finds the sign in bit 31:
//! ```text
//! I      [31:20] imm[11:0]
//! S      [31:25] imm[11:5]             [11:7] imm[4:0]
//! B      [31] imm[12] [30:25] imm[10:5] [11:8] imm[4:1] [7] imm[11]
//! U      [31:12] imm[31:12]
//! J      [31] imm[20] [30:21] imm[10:1] [20] imm[11] [19:12] imm[19:12]
//! c.b*z  [12] imm[8] [11:10] imm[4:3] [6:5] imm[7:6] [4:3] imm[2:1] [2] imm[5]
//! c.j    [12] imm[11|4|9:8|10|6|7|3:1|5] in bits 12..=2, in this order
//! ```
//!
//! ## High and low parts
//! The low 12 bits are signed, so that the high part is rounded: `(value + 0x800) >> 12`. A low part
//! relative to the program counter (PCREL_LO12) belongs to the `auipc`, not to the instruction that
//! carries it: its symbol is a *label at the auipc*, and its value is the low part of what the
//! relocation there (PCREL_HI20 or GOT_HI20) computes.
//!
//! ## Relaxation
//! A call is `auipc` + `jalr`, ±2 GiB. Where the compiler allows it with R_RISCV_RELAX and the target is
//! within ±1 MiB, `jal` takes its place and 4 bytes go away. This moves what follows, and therefore
//! code with RELAX has relocations for everything that depends on distances (ADD/SUB/SET for tables, one
//! for each branch), and R_RISCV_ALIGN where it needs alignment: the addend is the number of bytes of
//! `nop` that the assembler left, of which the linker deletes what is too many. See `relax.rs`.
//!
//! Without RELAX nothing may move (other tables hold offsets into the code). A near call then becomes
//! `nop` + `jal` in the same room: the return address stays, and a direct jump needs no
//! indirect-branch prediction.

use object::elf;

use super::{
    Arch, Kind, Range, Row, Shortening, Veneer, data, field, marker, read_u32, row, set_bits,
};
use crate::input::Section;

#[derive(Debug)]
pub(crate) struct Riscv64;

use Kind::{Absolute, GotRelative, LongCall, LowOf, Relative, ThreadLocal};
use Range::{Any, Either, Signed, SignedHigh};

#[rustfmt::skip]
const ROWS: &[Row] = &[
    marker(elf::R_RISCV_NONE, "R_RISCV_NONE", Kind::None),
    row(elf::R_RISCV_32,           "R_RISCV_32",           Absolute,    4, Either(32),     1, data),
    row(elf::R_RISCV_64,           "R_RISCV_64",           Absolute,    8, Any,            1, data),
    row(elf::R_RISCV_BRANCH,       "R_RISCV_BRANCH",       Relative,    4, Signed(13),     2, b_type),
    row(elf::R_RISCV_JAL,          "R_RISCV_JAL",          Relative,    4, Signed(21),     2, j_type),
    row(elf::R_RISCV_CALL,         "R_RISCV_CALL",         LongCall,    8, SignedHigh(32), 2, call),
    row(elf::R_RISCV_CALL_PLT,     "R_RISCV_CALL_PLT",     LongCall,    8, SignedHigh(32), 2, call),
    row(elf::R_RISCV_GOT_HI20,     "R_RISCV_GOT_HI20",     GotRelative, 4, SignedHigh(32), 1, u_type),
    marker(elf::R_RISCV_TLS_GOT_HI20, "R_RISCV_TLS_GOT_HI20", ThreadLocal),
    marker(elf::R_RISCV_TLS_GD_HI20,  "R_RISCV_TLS_GD_HI20",  ThreadLocal),
    row(elf::R_RISCV_PCREL_HI20,   "R_RISCV_PCREL_HI20",   Relative,    4, SignedHigh(32), 1, u_type),
    row(elf::R_RISCV_PCREL_LO12_I, "R_RISCV_PCREL_LO12_I", LowOf,       4, Any,            1, i_type),
    row(elf::R_RISCV_PCREL_LO12_S, "R_RISCV_PCREL_LO12_S", LowOf,       4, Any,            1, s_type),
    row(elf::R_RISCV_HI20,         "R_RISCV_HI20",         Absolute,    4, SignedHigh(32), 1, u_type),
    row(elf::R_RISCV_LO12_I,       "R_RISCV_LO12_I",       Absolute,    4, Any,            1, i_type),
    row(elf::R_RISCV_LO12_S,       "R_RISCV_LO12_S",       Absolute,    4, Any,            1, s_type),
    marker(elf::R_RISCV_TPREL_HI20,   "R_RISCV_TPREL_HI20",   ThreadLocal),
    marker(elf::R_RISCV_TPREL_LO12_I, "R_RISCV_TPREL_LO12_I", ThreadLocal),
    marker(elf::R_RISCV_TPREL_LO12_S, "R_RISCV_TPREL_LO12_S", ThreadLocal),
    marker(elf::R_RISCV_TPREL_ADD,    "R_RISCV_TPREL_ADD",    ThreadLocal),
    row(elf::R_RISCV_ADD8,         "R_RISCV_ADD8",         Absolute,    1, Any,            1, add),
    row(elf::R_RISCV_ADD16,        "R_RISCV_ADD16",        Absolute,    2, Any,            1, add),
    row(elf::R_RISCV_ADD32,        "R_RISCV_ADD32",        Absolute,    4, Any,            1, add),
    row(elf::R_RISCV_ADD64,        "R_RISCV_ADD64",        Absolute,    8, Any,            1, add),
    row(elf::R_RISCV_SUB8,         "R_RISCV_SUB8",         Absolute,    1, Any,            1, sub),
    row(elf::R_RISCV_SUB16,        "R_RISCV_SUB16",        Absolute,    2, Any,            1, sub),
    row(elf::R_RISCV_SUB32,        "R_RISCV_SUB32",        Absolute,    4, Any,            1, sub),
    row(elf::R_RISCV_SUB64,        "R_RISCV_SUB64",        Absolute,    8, Any,            1, sub),
    marker(elf::R_RISCV_ALIGN,     "R_RISCV_ALIGN",        Kind::Align),
    row(elf::R_RISCV_RVC_BRANCH,   "R_RISCV_RVC_BRANCH",   Relative,    2, Signed(9),      2, cb_type),
    row(elf::R_RISCV_RVC_JUMP,     "R_RISCV_RVC_JUMP",     Relative,    2, Signed(12),     2, cj_type),
    marker(elf::R_RISCV_RELAX,     "R_RISCV_RELAX",        Kind::Relax),
    row(elf::R_RISCV_SUB6,         "R_RISCV_SUB6",         Absolute,    1, Any,            1, sub6),
    row(elf::R_RISCV_SET6,         "R_RISCV_SET6",         Absolute,    1, Any,            1, set6),
    row(elf::R_RISCV_SET8,         "R_RISCV_SET8",         Absolute,    1, Any,            1, data),
    row(elf::R_RISCV_SET16,        "R_RISCV_SET16",        Absolute,    2, Any,            1, data),
    row(elf::R_RISCV_SET32,        "R_RISCV_SET32",        Absolute,    4, Any,            1, data),
    row(elf::R_RISCV_32_PCREL,     "R_RISCV_32_PCREL",     Relative,    4, Signed(32),     1, data),
    row(elf::R_RISCV_PLT32,        "R_RISCV_PLT32",        Relative,    4, Signed(32),     1, data),
];

fn i_type(place: &mut [u8], value: u64) {
    set_bits(place, 0xfff << 20, field(value, 0, 12) << 20);
}

fn s_type(place: &mut [u8], value: u64) {
    set_bits(
        place,
        0x7f << 25 | 0x1f << 7,
        field(value, 5, 7) << 25 | field(value, 0, 5) << 7,
    );
}

fn b_type(place: &mut [u8], value: u64) {
    let bits = field(value, 12, 1) << 31
        | field(value, 5, 6) << 25
        | field(value, 1, 4) << 8
        | field(value, 11, 1) << 7;
    set_bits(place, 0xfe00_0f80, bits);
}

/// The high part, rounded for a signed low part.
fn u_type(place: &mut [u8], value: u64) {
    set_bits(
        place,
        0xffff_f000,
        field(value.wrapping_add(0x800), 12, 20) << 12,
    );
}

fn j_type(place: &mut [u8], value: u64) {
    let bits = field(value, 20, 1) << 31
        | field(value, 1, 10) << 21
        | field(value, 11, 1) << 20
        | field(value, 12, 8) << 12;
    set_bits(place, 0xffff_f000, bits);
}

fn call(place: &mut [u8], value: u64) {
    let (auipc, jalr) = place.split_at_mut(4);
    u_type(auipc, value);
    i_type(jalr, value);
}

fn set_bits_16(place: &mut [u8], mask: u16, bits: u32) {
    let old = u16::from_le_bytes([place[0], place[1]]);
    place.copy_from_slice(&(old & !mask | bits as u16).to_le_bytes());
}

fn cb_type(place: &mut [u8], value: u64) {
    let bits = field(value, 8, 1) << 12
        | field(value, 3, 2) << 10
        | field(value, 6, 2) << 5
        | field(value, 1, 2) << 3
        | field(value, 5, 1) << 2;
    set_bits_16(place, 0x1c7c, bits);
}

fn cj_type(place: &mut [u8], value: u64) {
    let bits = field(value, 11, 1) << 12
        | field(value, 4, 1) << 11
        | field(value, 8, 2) << 9
        | field(value, 10, 1) << 8
        | field(value, 6, 1) << 7
        | field(value, 7, 1) << 6
        | field(value, 1, 3) << 3
        | field(value, 5, 1) << 2;
    set_bits_16(place, 0x1ffc, bits);
}

fn read(place: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    bytes[..place.len()].copy_from_slice(place);
    u64::from_le_bytes(bytes)
}

fn add(place: &mut [u8], value: u64) {
    data(place, read(place).wrapping_add(value));
}

fn sub(place: &mut [u8], value: u64) {
    data(place, read(place).wrapping_sub(value));
}

/// The low 6 bits of a byte whose upper bits are an opcode (of call frame information).
fn set6(place: &mut [u8], value: u64) {
    place[0] = place[0] & 0xc0 | value as u8 & 0x3f;
}

fn sub6(place: &mut [u8], value: u64) {
    set6(place, u64::from(place[0]).wrapping_sub(value));
}

const NOP: [u8; 4] = 0x0000_0013_u32.to_le_bytes();
/// `c.nop`.
const NOP_16: [u8; 2] = 0x0001_u16.to_le_bytes();
const JAL: u32 = 0x6f;

/// How far `jal` reaches.
const JAL_RANGE: Range = Signed(21);

/// `jal` with the link register of the `jalr` that is the second instruction of `call`.
fn write_jal(call: &[u8], place: &mut [u8], value: i64) {
    let link = read_u32(&call[4..]) & (0x1f << 7);
    place[..4].copy_from_slice(&(JAL | link).to_le_bytes());
    j_type(&mut place[..4], value as u64);
}

fn pad(bytes: &mut [u8]) {
    let mut words = bytes.chunks_exact_mut(4);
    for word in &mut words {
        word.copy_from_slice(&NOP);
    }
    let rest = words.into_remainder();
    if rest.len() >= 2 {
        rest[..2].copy_from_slice(&NOP_16);
    }
}

const SHORTENING: Shortening = Shortening {
    from: 8,
    to: 4,
    range: JAL_RANGE,
    write: write_jal,
    pad,
};

impl Arch for Riscv64 {
    fn machine(&self) -> u16 {
        elf::EM_RISCV
    }

    fn name(&self) -> &'static str {
        "riscv64"
    }

    fn max_page(&self) -> u64 {
        0x1000
    }

    fn merge_flags(&self, merged: u32, more: u32) -> Option<u32> {
        // "Compressed" and "total store order" are needed as soon as one object needs them; the float
        // convention and the base instruction set must agree.
        const UNION: u32 = elf::EF_RISCV_RVC | elf::EF_RISCV_TSO;
        (merged & !UNION == more & !UNION).then_some(merged | more)
    }

    fn rows(&self) -> &'static [Row] {
        ROWS
    }

    fn text_fill(&self) -> u8 {
        0 // 16 zero bits are defined to be illegal
    }

    fn veneer(&self) -> Option<&'static Veneer> {
        None
    }

    fn got_rewrites(&self, _section: &Section<'_>) -> Vec<u32> {
        Vec::new()
    }

    fn rewrite_got(&self, _bytes: &mut [u8], r_type: u32, offset: u64) -> (u32, u64) {
        (r_type, offset)
    }

    fn shortening(&self) -> Option<&'static Shortening> {
        Some(&SHORTENING)
    }

    fn shorten_call(&self, call: &mut [u8], value: i64) -> bool {
        let (min, max) = JAL_RANGE.bounds();
        let value = value.wrapping_sub(4);
        if value < min || value > max || value & 1 != 0 || call.len() < 8 {
            return false;
        }
        let mut jal = [0; 4];
        write_jal(call, &mut jal, value);
        call[..4].copy_from_slice(&NOP);
        call[4..8].copy_from_slice(&jal);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patched(r_type: u32, instruction: u32, value: i64) -> u32 {
        let row = Riscv64.row(r_type).unwrap();
        let mut place = instruction.to_le_bytes();
        row.apply(&mut place, value as u64).unwrap();
        u32::from_le_bytes(place)
    }

    #[test]
    fn fields() {
        use elf::*;
        // Expected encodings are those of an assembler.
        for (r_type, before, value, after) in [
            (R_RISCV_BRANCH, 0x0000_0063, -4096, 0x8000_0063), // beq x0, x0, .-4096
            (R_RISCV_BRANCH, 0x0000_0063, 4094, 0x7e00_0fe3),
            (R_RISCV_BRANCH, 0x00b5_1463, -2, 0xfeb5_1fe3), // bne a0, a1, .-2
            (R_RISCV_JAL, 0x0000_00ef, -0x10_0000, 0x8000_00ef),
            (R_RISCV_JAL, 0x0000_00ef, 0xf_fffe, 0x7fff_f0ef),
            (R_RISCV_JAL, 0x0000_00ef, 0x800, 0x0010_00ef),
            (R_RISCV_HI20, 0x0000_0537, 0x1234_5678, 0x1234_5537),
            (R_RISCV_HI20, 0x0000_0537, 0x1234_5800, 0x1234_6537),
            (R_RISCV_PCREL_HI20, 0x0000_0517, -0x800, 0x0000_0517),
            (R_RISCV_PCREL_HI20, 0x0000_0517, -0x801, 0xffff_f517),
            (R_RISCV_PCREL_HI20, 0x0000_0517, -0x8000_0800, 0x8000_0517),
            (R_RISCV_LO12_I, 0x0005_0513, 0x1234_5fff, 0xfff5_0513),
            (R_RISCV_LO12_S, 0x00b5_0023, 0x7ff, 0x7eb5_0fa3),
            (R_RISCV_LO12_S, 0x00b5_0023, 0x800, 0x80b5_0023),
            (R_RISCV_32, 0, 0xffff_ffff, 0xffff_ffff),
            (R_RISCV_32_PCREL, 0, -3, 0xffff_fffd),
            (R_RISCV_ADD32, 7, -3, 4),
            (R_RISCV_SUB32, 7, 9, 0xffff_fffe),
            (R_RISCV_SET32, 7, 9, 9),
            (R_RISCV_ADD16, 0x1_ffff, 2, 0x1_0001),
            (R_RISCV_SUB16, 0x1_0000, 1, 0x1_ffff),
            (R_RISCV_SET16, 0x1_0000, -1, 0x1_ffff),
            (R_RISCV_ADD8, 0x1ff, 2, 0x101),
            (R_RISCV_SUB8, 0x100, 1, 0x1ff),
            (R_RISCV_SET8, 0x100, -1, 0x1ff),
            (R_RISCV_SET6, 0xc0, 0x7f, 0xff),
            (R_RISCV_SUB6, 0xc1, 2, 0xff),
            (R_RISCV_RVC_BRANCH, 0xc001, -256, 0xd001), // c.beqz s0, .-256
            (R_RISCV_RVC_BRANCH, 0xc001, 254, 0xcc7d),
            (R_RISCV_RVC_JUMP, 0xa001, -2048, 0xb001), // c.j .-2048
            (R_RISCV_RVC_JUMP, 0xa001, 2046, 0xaffd),
        ] {
            let after_is = patched(r_type, before, value);
            assert_eq!(
                after_is, after,
                "type {r_type}, value {value:#x}: {after_is:#x}"
            );
        }
    }

    #[test]
    fn calls() {
        let far = |value: i64| {
            // auipc ra, 0; jalr ra, ra
            let mut place = [0x97, 0x00, 0x00, 0x00, 0xe7, 0x80, 0x00, 0x00];
            let row = Riscv64.row(elf::R_RISCV_CALL_PLT).unwrap();
            row.apply(&mut place, value as u64).unwrap();
            (read_u32(&place), read_u32(&place[4..]))
        };
        assert_eq!(far(0x7fff_f7fe), (0x7fff_f097, 0x7fe0_80e7));
        assert_eq!(far(-0x8000_0800), (0x8000_0097, 0x8000_80e7));
        assert_eq!(far(0x800), (0x0000_1097, 0x8000_80e7));
    }

    #[test]
    fn near_calls_are_direct() {
        // auipc t1, 0; jr t1
        let tail = [0x17, 0x03, 0x00, 0x00, 0x67, 0x00, 0x03, 0x00];
        let mut place = tail;
        assert!(Riscv64.shorten_call(&mut place, 0x10_0002));
        assert_eq!(
            (read_u32(&place), read_u32(&place[4..])),
            (0x13, 0x7fff_f06f)
        );
        let mut place = tail;
        assert!(!Riscv64.shorten_call(&mut place, 0x10_0004));
        assert_eq!(place, tail);
    }
}

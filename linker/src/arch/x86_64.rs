//! # x86_64
//!
//! psABI: <https://gitlab.com/x86-psABIs/x86-64-ABI>, "Relocation".
//!
//! A friendly machine for a linker: fields are whole little-endian bytes, and every branch and every
//! `rip`-relative access reaches ±2 GiB, more than the image may be long. So there are no veneers and
//! no shortening; `rip` is the address of the *next* instruction, which compilers account for in the
//! addend (usually -4).
//!
//! Absolute 32-bit fields come in two kinds. A `mov r32, imm32` zero-extends, a displacement and a
//! 64-bit operation's immediate sign-extend; hence R_X86_64_32 and R_X86_64_32S, which agree for
//! addresses below 2 GiB only.
//!
//! ## Loads from the GOT
//! A compiler that does not know whether a symbol is in another module loads its address from a table
//! that the dynamic loader fills. Here everything is in one module, so that the loads marked `X`
//! ("relaxable") become computations of the address ("Optimize GOTPCRELX Relocations"):
//! ```text
//! 48 8b 05 rel32   mov  foo@GOTPCREL(%rip), %rax  →  48 8d 05 rel32   lea  foo(%rip), %rax
//! ff 15 rel32      call *foo@GOTPCREL(%rip)       →  67 e8 rel32      addr32 call foo
//! ff 25 rel32      jmp  *foo@GOTPCREL(%rip)       →  e9 rel32 90      jmp foo; nop
//! ```
//! The rest (comparisons and arithmetic with a GOT entry, unmarked loads) gets an entry in a table of
//! constants among the read-only data.

use object::elf;

use super::{Arch, Kind, Range, Row, Shortening, Veneer, data, marker, row};
use crate::input::Section;

#[derive(Debug)]
pub(crate) struct X86_64;

use Kind::{Absolute, Branch, GotRelative, Relative, ThreadLocal};
use Range::{Any, Either, Signed, Unsigned};

#[rustfmt::skip]
const ROWS: &[Row] = &[
    marker(elf::R_X86_64_NONE, "R_X86_64_NONE", Kind::None),
    row(elf::R_X86_64_64,            "R_X86_64_64",            Absolute,    8, Any,          1, data),
    row(elf::R_X86_64_PC32,          "R_X86_64_PC32",          Relative,    4, Signed(32),   1, data),
    row(elf::R_X86_64_PLT32,         "R_X86_64_PLT32",         Branch,      4, Signed(32),   1, data),
    row(elf::R_X86_64_GOTPCREL,      "R_X86_64_GOTPCREL",      GotRelative, 4, Signed(32),   1, data),
    row(elf::R_X86_64_32,            "R_X86_64_32",            Absolute,    4, Unsigned(32), 1, data),
    row(elf::R_X86_64_32S,           "R_X86_64_32S",           Absolute,    4, Signed(32),   1, data),
    row(elf::R_X86_64_16,            "R_X86_64_16",            Absolute,    2, Either(16),   1, data),
    row(elf::R_X86_64_PC16,          "R_X86_64_PC16",          Relative,    2, Signed(16),   1, data),
    row(elf::R_X86_64_8,             "R_X86_64_8",             Absolute,    1, Either(8),    1, data),
    row(elf::R_X86_64_PC8,           "R_X86_64_PC8",           Relative,    1, Signed(8),    1, data),
    marker(elf::R_X86_64_DTPMOD64,   "R_X86_64_DTPMOD64",      ThreadLocal),
    marker(elf::R_X86_64_DTPOFF64,   "R_X86_64_DTPOFF64",      ThreadLocal),
    marker(elf::R_X86_64_TPOFF64,    "R_X86_64_TPOFF64",       ThreadLocal),
    marker(elf::R_X86_64_TLSGD,      "R_X86_64_TLSGD",         ThreadLocal),
    marker(elf::R_X86_64_TLSLD,      "R_X86_64_TLSLD",         ThreadLocal),
    marker(elf::R_X86_64_DTPOFF32,   "R_X86_64_DTPOFF32",      ThreadLocal),
    marker(elf::R_X86_64_GOTTPOFF,   "R_X86_64_GOTTPOFF",      ThreadLocal),
    marker(elf::R_X86_64_TPOFF32,    "R_X86_64_TPOFF32",       ThreadLocal),
    row(elf::R_X86_64_PC64,          "R_X86_64_PC64",          Relative,    8, Any,          1, data),
    row(elf::R_X86_64_GOTPCRELX,     "R_X86_64_GOTPCRELX",     GotRelative, 4, Signed(32),   1, data),
    row(elf::R_X86_64_REX_GOTPCRELX, "R_X86_64_REX_GOTPCRELX", GotRelative, 4, Signed(32),   1, data),
];

const MOV_LOAD: u8 = 0x8b;
const LEA: u8 = 0x8d;
const GROUP_5: u8 = 0xff;
/// ModRM bytes of group 5 with a `rip`-relative operand.
const CALL_INDIRECT: u8 = 0x15;
const JMP_INDIRECT: u8 = 0x25;
const ADDR32: u8 = 0x67;
const CALL: u8 = 0xe8;
const JMP: u8 = 0xe9;
const NOP: u8 = 0x90;

impl Arch for X86_64 {
    fn machine(&self) -> u16 {
        elf::EM_X86_64
    }

    fn name(&self) -> &'static str {
        "x86_64"
    }

    fn max_page(&self) -> u64 {
        0x1000
    }

    fn merge_flags(&self, merged: u32, more: u32) -> Option<u32> {
        (merged == more).then_some(merged)
    }

    fn rows(&self) -> &'static [Row] {
        ROWS
    }

    fn text_fill(&self) -> u8 {
        0xcc // int3
    }

    fn veneer(&self) -> Option<&'static Veneer> {
        None
    }

    fn got_rewrites(&self, section: &Section<'_>) -> Vec<u32> {
        let mut rewrites = Vec::new();
        for (index, relocation) in section.relocations().enumerate() {
            let relaxable = matches!(
                relocation.r_type,
                elf::R_X86_64_GOTPCRELX | elf::R_X86_64_REX_GOTPCRELX
            );
            // Another addend would mean another entry of the GOT, or an immediate after the field.
            if !relaxable || relocation.addend != -4 {
                continue;
            }
            let offset = relocation.offset as usize;
            let Some(&[opcode, modrm]) = offset
                .checked_sub(2)
                .and_then(|start| section.data.get(start..offset))
            else {
                continue;
            };
            // mod = 00, rm = 101: rip-relative.
            let known = match opcode {
                MOV_LOAD => modrm & 0b11_000_111 == 0b00_000_101,
                GROUP_5 => matches!(modrm, CALL_INDIRECT | JMP_INDIRECT),
                _ => false,
            };
            if known && section.data.len() - offset >= 4 {
                rewrites.push(index as u32);
            }
        }
        rewrites
    }

    fn rewrite_got(&self, bytes: &mut [u8], _r_type: u32, offset: u64) -> (u32, u64) {
        let at = offset as usize;
        match (bytes[at - 2], bytes[at - 1]) {
            (GROUP_5, CALL_INDIRECT) => {
                bytes[at - 2..at].copy_from_slice(&[ADDR32, CALL]);
                (elf::R_X86_64_PC32, offset)
            }
            (GROUP_5, _) => {
                bytes[at - 2] = JMP;
                bytes[at + 3] = NOP;
                (elf::R_X86_64_PC32, offset - 1)
            }
            _ => {
                bytes[at - 2] = LEA;
                (elf::R_X86_64_PC32, offset)
            }
        }
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

    fn patched(r_type: u32, value: i64) -> Vec<u8> {
        let row = X86_64.row(r_type).unwrap();
        let mut place = vec![0xaa; row.size as usize];
        row.apply(&mut place, value as u64).unwrap();
        place
    }

    #[test]
    fn fields() {
        assert_eq!(
            patched(elf::R_X86_64_64, 0x8877_6655_4433_2211_u64 as i64),
            [0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88]
        );
        assert_eq!(
            patched(elf::R_X86_64_32, 0xfedc_ba98),
            [0x98, 0xba, 0xdc, 0xfe]
        );
        assert_eq!(patched(elf::R_X86_64_32S, -2), [0xfe, 0xff, 0xff, 0xff]);
        assert_eq!(
            patched(elf::R_X86_64_PC32, i64::from(i32::MIN)),
            [0, 0, 0, 0x80]
        );
        assert_eq!(
            patched(elf::R_X86_64_PLT32, i64::from(i32::MAX)),
            [0xff, 0xff, 0xff, 0x7f]
        );
        assert_eq!(patched(elf::R_X86_64_PC64, -1), [0xff; 8]);
        assert_eq!(patched(elf::R_X86_64_16, 0xbeef), [0xef, 0xbe]);
        assert_eq!(patched(elf::R_X86_64_PC16, -1), [0xff, 0xff]);
        assert_eq!(patched(elf::R_X86_64_8, 0x80), [0x80]);
        assert_eq!(patched(elf::R_X86_64_PC8, -128), [0x80]);
    }

    #[test]
    fn loads_from_the_got_become_computations() {
        let mut mov = [0x4c, 0x8b, 0x3d, 0, 0, 0, 0];
        assert_eq!(
            X86_64.rewrite_got(&mut mov, elf::R_X86_64_REX_GOTPCRELX, 3),
            (elf::R_X86_64_PC32, 3)
        );
        assert_eq!(mov, [0x4c, 0x8d, 0x3d, 0, 0, 0, 0]);

        let mut call = [0xff, 0x15, 0, 0, 0, 0];
        assert_eq!(
            X86_64.rewrite_got(&mut call, elf::R_X86_64_GOTPCRELX, 2),
            (elf::R_X86_64_PC32, 2)
        );
        assert_eq!(call, [0x67, 0xe8, 0, 0, 0, 0]);

        let mut jmp = [0xff, 0x25, 0, 0, 0, 0];
        assert_eq!(
            X86_64.rewrite_got(&mut jmp, elf::R_X86_64_GOTPCRELX, 2),
            (elf::R_X86_64_PC32, 1)
        );
        assert_eq!(jmp, [0xe9, 0x25, 0, 0, 0, 0x90]);
    }
}

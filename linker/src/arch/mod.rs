//! What differs between the machines: relocation tables, veneers, rewriting of instructions.
//!
//! In: numbers that the phases have computed. Out: patched bytes. The files beside this one offer the
//! same things; no phase has a `match` on the machine other than [`for_machine`].

use std::fmt;

use object::elf;

use crate::error::Problem;
use crate::input::Section;

pub(crate) mod aarch64;
pub(crate) mod riscv64;
pub(crate) mod x86_64;

/// A machine.
pub(crate) trait Arch: fmt::Debug + Sync {
    /// `e_machine`.
    fn machine(&self) -> u16;
    /// Its name.
    fn name(&self) -> &'static str;
    /// The largest page size that its Linux kernels use: segments are congruent modulo this.
    fn max_page(&self) -> u64;
    /// `e_flags` of an executable made of objects with these; `None` if they do not go together.
    fn merge_flags(&self, merged: u32, more: u32) -> Option<u32>;
    /// The relocation table, ascending by type.
    fn rows(&self) -> &'static [Row];
    /// Fills gaps in code: traps where the machine has a one-byte trap.
    fn text_fill(&self) -> u8;

    /// How a branch gets beyond its reach, where sections can lie that far apart.
    fn veneer(&self) -> Option<&'static Veneer>;

    /// Which relocations of a section load an address from the GOT with code that can compute it
    /// instead; indices into the section's relocations.
    fn got_rewrites(&self, section: &Section<'_>) -> Vec<u32>;

    /// Rewrites such code. In: the section's bytes, the relocation's type and offset. Out: the type and
    /// offset of the relocation to be applied in its stead.
    fn rewrite_got(&self, bytes: &mut [u8], r_type: u32, offset: u64) -> (u32, u64);

    /// How a call that the compiler allows to be shortened gets shorter.
    fn shortening(&self) -> Option<&'static Shortening>;

    /// Rewrites a long call in place into a shorter one that takes the same room, if there is one and
    /// `value` (target minus place) allows it. Returns whether it did.
    fn shorten_call(&self, call: &mut [u8], value: i64) -> bool;

    /// The row of a relocation type.
    fn row(&self, r_type: u32) -> Option<&'static Row> {
        let rows = self.rows();
        rows.binary_search_by_key(&r_type, |row| row.r_type)
            .ok()
            .map(|i| &rows[i])
    }
}

/// The machine with this `e_machine`.
pub(crate) fn for_machine(machine: u16) -> Option<&'static dyn Arch> {
    Some(match machine {
        elf::EM_X86_64 => &x86_64::X86_64,
        elf::EM_AARCH64 => &aarch64::Aarch64,
        elf::EM_RISCV => &riscv64::Riscv64,
        _ => return None,
    })
}

/// A relocation type.
#[derive(Debug)]
pub(crate) struct Row {
    /// Its number.
    pub r_type: u32,
    /// Its name in the psABI.
    pub name: &'static str,
    /// What is computed.
    pub kind: Kind,
    /// Bytes of the field.
    pub size: u64,
    /// Values that the field can hold.
    pub range: Range,
    /// What the value must be a multiple of.
    pub align: u64,
    /// Writes the value (checked against `range` and `align`) into `size` bytes.
    pub patch: fn(&mut [u8], u64),
}

/// What a relocation computes. S: address of the symbol; A: addend; P: address of the field; G: address
/// of the symbol's entry in the global offset table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing.
    None,
    /// S + A.
    Absolute,
    /// S + A - P.
    Relative,
    /// S + A - P, of a call or jump that may be led through a veneer.
    Branch,
    /// S + A - P, of a call that has a shorter form.
    LongCall,
    /// Page(S + A) - Page(P).
    Page,
    /// G + A - P.
    GotRelative,
    /// Page(G) - Page(P).
    GotPage,
    /// G.
    GotAbsolute,
    /// The low part of what the relocation at address S computes.
    LowOf,
    /// Marks bytes that exist for alignment only.
    Align,
    /// Marks code that may be shortened.
    Relax,
    /// An error.
    ThreadLocal,
}

impl Kind {
    /// It needs an entry in the global offset table.
    pub(crate) fn is_got(self) -> bool {
        matches!(self, Kind::GotRelative | Kind::GotPage | Kind::GotAbsolute)
    }
}

/// Values that a field can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Range {
    /// Every value; the field takes the bits that it has.
    Any,
    /// Two's complement of so many bits.
    Signed(u32),
    /// So many bits.
    Unsigned(u32),
    /// Either of them.
    Either(u32),
    /// So many bits, where the lowest 12 are added by a second, signed field.
    SignedHigh(u32),
}

impl Range {
    /// Least and greatest value.
    pub(crate) fn bounds(self) -> (i64, i64) {
        match self {
            Range::Any => (i64::MIN, i64::MAX),
            Range::Signed(bits) => (-1 << (bits - 1), (1 << (bits - 1)) - 1),
            Range::Unsigned(bits) => (0, (1 << bits) - 1),
            Range::Either(bits) => (-1 << (bits - 1), (1 << bits) - 1),
            Range::SignedHigh(bits) => ((-1 << (bits - 1)) - 0x800, (1 << (bits - 1)) - 1 - 0x800),
        }
    }
}

impl Row {
    /// Checks a value and writes it at the start of `place`.
    pub(crate) fn apply(&self, place: &mut [u8], value: u64) -> Result<(), Problem> {
        let (min, max) = self.range.bounds();
        let signed = value as i64;
        if signed < min || signed > max {
            return Err(Problem::Overflow {
                value: signed,
                min,
                max,
            });
        }
        if !value.is_multiple_of(self.align) {
            return Err(Problem::Misaligned {
                value: signed,
                align: self.align,
            });
        }
        let place = place
            .get_mut(..self.size as usize)
            .ok_or(Problem::OutsideSection)?;
        (self.patch)(place, value);
        Ok(())
    }
}

/// Code that a branch out of reach goes through.
#[derive(Debug)]
pub(crate) struct Veneer {
    /// Bytes it takes.
    pub size: u64,
    /// Its alignment.
    pub align: u64,
    /// How far a branch reaches in both directions.
    pub reach: u64,
    /// Writes a veneer at address `from` that goes to `to`.
    pub write: fn(&mut [u8], from: u64, to: u64) -> Result<(), Problem>,
}

/// A call that takes less room if its target is near.
#[derive(Debug)]
pub(crate) struct Shortening {
    /// Bytes of the long form.
    pub from: u64,
    /// Bytes of the short form.
    pub to: u64,
    /// What the short form reaches.
    pub range: Range,
    /// Writes the short form of the long form `call` into `place`; `value` is target minus place.
    pub write: fn(call: &[u8], place: &mut [u8], value: i64),
    /// Fills padding with instructions that do nothing.
    pub pad: fn(&mut [u8]),
}

/// A row; kept short so that a table reads as one.
const fn row(
    r_type: u32,
    name: &'static str,
    kind: Kind,
    size: u64,
    range: Range,
    align: u64,
    patch: fn(&mut [u8], u64),
) -> Row {
    Row {
        r_type,
        name,
        kind,
        size,
        range,
        align,
        patch,
    }
}

/// A marker without a field.
const fn marker(r_type: u32, name: &'static str, kind: Kind) -> Row {
    row(r_type, name, kind, 0, Range::Any, 1, |_, _| {})
}

/// A little-endian field of whole bytes, as long as the row says.
fn data(place: &mut [u8], value: u64) {
    place.copy_from_slice(&value.to_le_bytes()[..place.len()]);
}

/// Replaces the bits of `mask` in a 32-bit instruction.
fn set_bits(place: &mut [u8], mask: u32, bits: u32) {
    debug_assert_eq!(bits & !mask, 0);
    let old = read_u32(place);
    place[..4].copy_from_slice(&(old & !mask | bits).to_le_bytes());
}

fn read_u32(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

/// Bits `low..low + count` of a value.
const fn field(value: u64, low: u32, count: u32) -> u32 {
    ((value >> low) & ((1 << count) - 1)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [&dyn Arch; 3] = [&x86_64::X86_64, &aarch64::Aarch64, &riscv64::Riscv64];

    #[test]
    fn tables_are_ascending() {
        for arch in ALL {
            assert!(
                arch.rows().is_sorted_by(|a, b| a.r_type < b.r_type),
                "{}",
                arch.name()
            );
            assert!(arch.rows().iter().all(|row| row.align.is_power_of_two()));
        }
    }

    /// Both ends of every row's range are accepted and the values just beyond are not, whatever the
    /// field held before.
    #[test]
    fn ranges_end_where_they_say() {
        for arch in ALL {
            for row in arch.rows() {
                let (min, max) = row.range.bounds();
                let step = row.align as i64;
                let (low, high) = (min, max - max.rem_euclid(step));
                for fill in [0x00, 0xff] {
                    let mut place = [fill; 8];
                    for good in [low, high] {
                        assert_eq!(row.apply(&mut place, good as u64), Ok(()), "{}", row.name);
                    }
                    for bad in [low.checked_sub(step), high.checked_add(step)]
                        .into_iter()
                        .flatten()
                    {
                        let result = row.apply(&mut place, bad as u64);
                        assert!(
                            matches!(result, Err(Problem::Overflow { .. })),
                            "{}",
                            row.name
                        );
                    }
                    if step > 1 {
                        let result = row.apply(&mut place, (high - 1) as u64);
                        assert!(
                            matches!(result, Err(Problem::Misaligned { .. })),
                            "{}",
                            row.name
                        );
                    }
                    let short =
                        row.apply(&mut [fill; 8][..(row.size as usize).saturating_sub(1)], 0);
                    assert_eq!(short.is_ok(), row.size == 0, "{}", row.name);
                }
            }
        }
    }

    /// Patching with all ones and then with zero touches the same bits: those of the field.
    #[test]
    fn fields_are_cleared_before_they_are_set() {
        for arch in ALL {
            for row in arch.rows().iter().filter(|row| row.size > 0) {
                if row.name.contains("_ADD") && !row.name.contains("LO12")
                    || row.name.contains("_SUB")
                {
                    continue; // these accumulate, on purpose
                }
                let (mut ones, mut zeros) = ([0xff; 8], [0xff; 8]);
                (row.patch)(&mut ones[..row.size as usize], u64::MAX);
                (row.patch)(&mut ones[..row.size as usize], 0);
                (row.patch)(&mut zeros[..row.size as usize], 0);
                assert_eq!(ones, zeros, "{}", row.name);
            }
        }
    }
}

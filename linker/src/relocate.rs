//! Relocation: every field that depends on addresses gets its value.
//!
//! In: [`Layout`] and the file as written. Out: the file with all fields patched. What is computed is in
//! the machines' tables; this file knows how to compute it.

use std::ops::Range;

use crate::arch::{Kind, Row};
use crate::error::{Error, Problem};
use crate::gc::relocation_error;
use crate::got::Got;
use crate::input::{Objects, Relocation, SectionId};
use crate::layout::{Content, Layout, Part};
use crate::relax::Relaxation;
use crate::symbol::{Resolved, Target};
use crate::thunk::{self, Veneers};

/// What relocation reads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'c, 'a> {
    pub objects: &'c Objects<'a>,
    pub resolved: &'c Resolved,
    pub got: &'c Got,
    pub relaxation: &'c Relaxation,
    pub veneers: &'c Veneers,
    pub layout: &'c Layout,
}

/// Patches every field of every part.
pub(crate) fn relocate(context: Context<'_, '_>, bytes: &mut [u8]) -> Result<(), Error> {
    for part in &context.layout.parts {
        let range = file_range(part);
        match part.content {
            Content::Section(id) => context.section(id, &mut bytes[range])?,
            Content::Got => {
                let entries = context.got.entries.iter();
                for (entry, &target) in bytes[range].chunks_exact_mut(8).zip(entries) {
                    entry.copy_from_slice(&context.layout.address(target).to_le_bytes());
                }
            }
            Content::Island(group) => context.island(group, part, &mut bytes[range])?,
        }
    }
    Ok(())
}

fn file_range(part: &Part) -> Range<usize> {
    // What is zero-filled may lie beyond the end of the file.
    if part.file_size == 0 {
        return 0..0;
    }
    let start = part.file_offset as usize;
    start..start + part.file_size as usize
}

impl Context<'_, '_> {
    fn island(&self, group: u32, part: &Part, bytes: &mut [u8]) -> Result<(), Error> {
        let Some(veneer) = self.veneers.veneer else {
            return Ok(());
        };
        let destinations = &self.veneers.islands[group as usize];
        let places = bytes.chunks_exact_mut(veneer.size as usize);
        for (i, (place, &(target, addend))) in places.zip(destinations).enumerate() {
            let from = part.address + i as u64 * veneer.size;
            let to = self.layout.address(target).wrapping_add(addend as u64);
            (veneer.write)(place, from, to).map_err(|problem| Error::Internal {
                what: format!("a veneer at {from:#x} to {to:#x}: {problem}"),
            })?;
        }
        Ok(())
    }

    fn section(&self, id: SectionId, bytes: &mut [u8]) -> Result<(), Error> {
        let section = self.objects.section(id);
        let mut labels = Labels {
            section: id,
            high: None,
        };
        let mut rewrites = self.got.rewrites(id).iter().copied().peekable();
        for (index, relocation) in section.relocations().enumerate() {
            let index = index as u32;
            let rewrite = rewrites.next_if_eq(&index).is_some();
            self.one(id, index, &relocation, rewrite, bytes, &mut labels)
                .map_err(|problem| relocation_error(self.objects, id, &relocation, problem))?;
        }
        Ok(())
    }

    fn one(
        &self,
        id: SectionId,
        index: u32,
        relocation: &Relocation,
        rewrite: bool,
        bytes: &mut [u8],
        labels: &mut Labels,
    ) -> Result<(), Problem> {
        let arch = self.objects.arch;
        let mut row = arch.row(relocation.r_type).ok_or(Problem::UnknownType)?;
        let mut offset = match self.layout.shapes.get(&id) {
            Some(shape) => shape.offset(relocation.offset),
            None => relocation.offset,
        };
        if rewrite {
            let (r_type, new_offset) = arch.rewrite_got(bytes, relocation.r_type, offset);
            offset = new_offset;
            row = arch.row(r_type).ok_or(Problem::UnknownType)?;
        }

        let start = self.layout.place(id, 0);
        let place = start.wrapping_add(offset);
        let value = match row.kind {
            Kind::None | Kind::Relax => return Ok(()),
            Kind::Align => {
                // Where code may shrink, layout has dealt with it.
                let known = self.objects.section(id).kind == crate::input::Kind::Text;
                return if known {
                    Ok(())
                } else {
                    Err(Problem::BadAlignment)
                };
            }
            Kind::ThreadLocal => return Err(Problem::ThreadLocal),
            Kind::LowOf => self.low_part(relocation, labels)?,
            _ => self.value(row, relocation, place)?,
        };
        let at = usize::try_from(offset).map_err(|_| Problem::OutsideSection)?;
        let field = bytes.get_mut(at..).ok_or(Problem::OutsideSection)?;
        match row.kind {
            Kind::LongCall => {
                if self.relaxation.is_short(id, index, relocation.offset) {
                    return self.short_call(id, relocation, field, value);
                }
                if field.len() >= row.size as usize
                    && arch.shorten_call(&mut field[..row.size as usize], value as i64)
                {
                    return Ok(());
                }
                row.apply(field, value)
            }
            Kind::Branch => {
                let value = self.branch(id, relocation, place, value)?;
                row.apply(field, value)
            }
            _ => row.apply(field, value),
        }
    }

    fn value(&self, row: &Row, relocation: &Relocation, place: u64) -> Result<u64, Problem> {
        let sum = || self.layout.sum(self.objects, self.resolved, relocation);
        let page = |address: u64| address & !0xfff;
        let got = || {
            let target = self.resolved.target(relocation.symbol);
            let offset = self.got.offset(target).ok_or(Problem::OutsideSection)?;
            Ok(self
                .layout
                .got
                .wrapping_add(offset)
                .wrapping_add(relocation.addend as u64))
        };
        Ok(match row.kind {
            Kind::Absolute => sum(),
            Kind::Relative | Kind::Branch | Kind::LongCall => sum().wrapping_sub(place),
            Kind::Page => page(sum()).wrapping_sub(page(place)),
            Kind::GotRelative => got()?.wrapping_sub(place),
            Kind::GotPage => page(got()?).wrapping_sub(page(place)),
            Kind::GotAbsolute => got()?,
            Kind::None | Kind::LowOf | Kind::Align | Kind::Relax | Kind::ThreadLocal => {
                return Err(Problem::UnknownType);
            }
        })
    }

    /// Leads a branch that does not reach its target through the veneer made for it.
    fn branch(
        &self,
        id: SectionId,
        relocation: &Relocation,
        place: u64,
        value: u64,
    ) -> Result<u64, Problem> {
        let Some(veneer) = self.veneers.veneer else {
            return Ok(value);
        };
        let (min, max) = (-(self.veneers.reach as i64), self.veneers.reach as i64 - 1);
        let (target, addend) = thunk::destination(self.resolved, relocation);
        if target == Target::WeakZero {
            // The procedure call standard: a call of an undefined weak function goes on behind it.
            return Ok(4);
        }
        if self.veneers.reaches(value as i64) {
            return Ok(value);
        }
        let overflow = |value: u64| Problem::Overflow {
            value: value as i64,
            min,
            max,
        };
        let offset = self
            .veneers
            .offset(id, (target, addend))
            .ok_or_else(|| overflow(value))?;
        debug_assert_eq!(offset % veneer.size, 0);
        let island = self.layout.islands[self.veneers.group_of(id) as usize];
        let value = island.wrapping_add(offset).wrapping_sub(place);
        match self.veneers.reaches(value as i64) {
            true => Ok(value),
            false => Err(overflow(value)),
        }
    }

    fn short_call(
        &self,
        id: SectionId,
        relocation: &Relocation,
        field: &mut [u8],
        value: u64,
    ) -> Result<(), Problem> {
        let shortening = self.objects.arch.shortening().ok_or(Problem::UnknownType)?;
        let (min, max) = shortening.range.bounds();
        let value = value as i64;
        if value < min || value > max {
            return Err(Problem::Overflow { value, min, max });
        }
        let start = relocation.offset as usize;
        let original = self
            .objects
            .section(id)
            .data
            .get(start..start + shortening.from as usize);
        let place = field.get_mut(..shortening.to as usize);
        let (Some(original), Some(place)) = (original, place) else {
            return Err(Problem::OutsideSection);
        };
        (shortening.write)(original, place, value);
        Ok(())
    }

    /// What the relocation at a label computes.
    fn low_part(&self, relocation: &Relocation, labels: &mut Labels) -> Result<u64, Problem> {
        let Target::Section(section, label) = self.resolved.target(relocation.symbol) else {
            return Err(Problem::NoHighPart);
        };
        let high = labels
            .high_at(self, section, label)
            .ok_or(Problem::NoHighPart)?;
        let place = self.layout.place(section, high.offset);
        let row = self
            .objects
            .arch
            .row(high.r_type)
            .ok_or(Problem::UnknownType)?;
        let value = self.value(row, &high, place)?;
        let low = value.wrapping_add(relocation.addend as u64);
        // An addend must not carry into the high part, which the label's instruction has already.
        let high_part = |value: u64| value.wrapping_add(0x800) & !0xfff;
        if high_part(low) != high_part(value) {
            let value = low as i64;
            return Err(Problem::Overflow {
                value,
                min: -0x800,
                max: 0x7ff,
            });
        }
        Ok(low)
    }
}

/// The high parts of the section that is being relocated, for the low parts that name them.
struct Labels {
    section: SectionId,
    /// Ascending by offset; collected when first asked for.
    high: Option<Vec<(u64, u32)>>,
}

impl Labels {
    fn high_at(
        &mut self,
        context: &Context<'_, '_>,
        section: SectionId,
        offset: u64,
    ) -> Option<Relocation> {
        if section != self.section {
            return None;
        }
        let arch = context.objects.arch;
        let section = context.objects.section(section);
        let high = self.high.get_or_insert_with(|| {
            let is_high = |r_type| {
                arch.row(r_type).is_some_and(|row| {
                    matches!(row.range, crate::arch::Range::SignedHigh(_))
                        && matches!(row.kind, Kind::Relative | Kind::GotRelative)
                })
            };
            let mut high: Vec<(u64, u32)> = section
                .relocations()
                .enumerate()
                .filter(|(_, relocation)| is_high(relocation.r_type))
                .map(|(index, relocation)| (relocation.offset, index as u32))
                .collect();
            high.sort_unstable();
            high
        });
        let at = high
            .binary_search_by_key(&offset, |&(offset, _)| offset)
            .ok()?;
        Some(section.relocation(high[at].1 as usize))
    }
}

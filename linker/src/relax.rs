//! Relaxation: code that gets shorter once distances are known.
//!
//! In: live code of a machine with a [`Shortening`](crate::arch::Shortening). Out: [`Relaxation`], the
//! calls to be shortened, and for a section at a known address its [`Shape`]: which bytes go away.
//!
//! Decisions are never taken back. This is sound because shortening only ever moves addresses down, and
//! two addresses can drift apart by less than the largest alignment between them: a distance that fits
//! with this much to spare will fit for good.

use std::collections::HashMap;

use crate::Error;
use crate::arch::Kind;
use crate::error::Problem;
use crate::gc::{Live, relocation_error};
use crate::input::{self, Objects, SectionId};
use crate::layout::Layout;
use crate::symbol::{Resolved, Target};

/// A place where a section may shrink.
#[derive(Debug)]
struct Site {
    offset: u64,
    /// Bytes of the original that belong to it.
    len: u64,
    /// Index of its relocation.
    relocation: u32,
    what: What,
}

#[derive(Debug)]
enum What {
    Align { to: u64 },
    Call { short: bool },
}

/// Every place where code may shrink, and what was decided.
#[derive(Debug)]
pub(crate) struct Relaxation {
    /// Ascending by offset, not overlapping.
    sites: HashMap<SectionId, Vec<Site>>,
    /// The largest alignment in all code.
    slack: i64,
}

/// Bytes that are missing from a section.
#[derive(Debug, Default)]
pub(crate) struct Shape {
    pub gaps: Vec<Gap>,
    /// Padding that stays: original offset and length.
    pub nops: Vec<(u64, u64)>,
}

/// Original bytes `start..end` are gone; `total` bytes are gone up to here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gap {
    pub start: u64,
    pub end: u64,
    total: u64,
}

impl Shape {
    fn remove(&mut self, start: u64, end: u64) {
        if start < end {
            let total = self.removed() + (end - start);
            self.gaps.push(Gap { start, end, total });
        }
    }

    /// Bytes that are gone.
    pub(crate) fn removed(&self) -> u64 {
        self.gaps.last().map_or(0, |gap| gap.total)
    }

    /// Where the byte at an original offset is now.
    pub(crate) fn offset(&self, original: u64) -> u64 {
        match self.gaps.partition_point(|gap| gap.start < original) {
            0 => original,
            n => {
                let gap = self.gaps[n - 1];
                original.max(gap.end) - gap.total
            }
        }
    }
}

impl Relaxation {
    /// Finds the places. Nothing is shortened yet.
    pub(crate) fn find(objects: &Objects<'_>, live: &Live) -> Result<Self, Error> {
        let mut relaxation = Relaxation {
            sites: HashMap::new(),
            slack: 0,
        };
        if !objects
            .arch
            .rows()
            .iter()
            .any(|row| row.kind == Kind::Align)
        {
            return Ok(relaxation);
        }
        for id in live
            .iter()
            .filter(|&id| objects.section(id).kind == input::Kind::Text)
        {
            let sites = find_sites(objects, id)?;
            let aligns = sites.iter().map(|site| match site.what {
                What::Align { to } => to as i64,
                What::Call { .. } => 0,
            });
            let largest = aligns
                .max()
                .unwrap_or(0)
                .max(objects.section(id).align as i64);
            relaxation.slack = relaxation.slack.max(largest);
            if !sites.is_empty() {
                relaxation.sites.insert(id, sites);
            }
        }
        Ok(relaxation)
    }

    /// The shape of a section that begins at `address`.
    pub(crate) fn shape(
        &self,
        objects: &Objects<'_>,
        id: SectionId,
        address: u64,
    ) -> Result<Option<Shape>, Error> {
        let Some(sites) = self.sites.get(&id) else {
            return Ok(None);
        };
        let mut shape = Shape::default();
        for site in sites {
            let end = site.offset + site.len;
            match site.what {
                What::Call { short: false } => {}
                What::Call { short: true } => {
                    let kept = objects.arch.shortening().map_or(site.len, |short| short.to);
                    shape.remove(site.offset + kept, end);
                }
                What::Align { to } => {
                    let here = address + site.offset - shape.removed();
                    let needed = here.next_multiple_of(to) - here;
                    if needed > site.len {
                        let relocation = objects.section(id).relocation(site.relocation as usize);
                        let problem = Problem::BadAlignment;
                        return Err(relocation_error(objects, id, &relocation, problem));
                    }
                    if needed > 0 {
                        shape.nops.push((site.offset, needed));
                    }
                    shape.remove(site.offset + needed, end);
                }
            }
        }
        Ok(Some(shape))
    }

    /// Shortens every call that has become near enough. Returns whether there was one.
    pub(crate) fn shorten(
        &mut self,
        objects: &Objects<'_>,
        resolved: &Resolved,
        layout: &Layout,
    ) -> bool {
        let Some(shortening) = objects.arch.shortening() else {
            return false;
        };
        let (min, max) = shortening.range.bounds();
        let mut changed = false;
        for (&id, sites) in &mut self.sites {
            let section = objects.section(id);
            for site in sites {
                let What::Call {
                    short: short @ false,
                } = &mut site.what
                else {
                    continue;
                };
                let relocation = section.relocation(site.relocation as usize);
                let Target::Section(target, _) = resolved.target(relocation.symbol) else {
                    continue;
                };
                // Other segments do not move along.
                if objects.section(target).kind != input::Kind::Text {
                    continue;
                }
                let place = layout.place(id, site.offset);
                let value = layout
                    .sum(objects, resolved, &relocation)
                    .wrapping_sub(place) as i64;
                if value >= min + self.slack && value <= max - self.slack && value & 1 == 0 {
                    *short = true;
                    changed = true;
                }
            }
        }
        changed
    }

    /// The call at this relocation was shortened.
    pub(crate) fn is_short(&self, id: SectionId, relocation: u32, offset: u64) -> bool {
        let Some(sites) = self.sites.get(&id) else {
            return false;
        };
        sites
            .binary_search_by_key(&offset, |site| site.offset)
            .is_ok_and(|i| {
                sites[i].relocation == relocation
                    && matches!(sites[i].what, What::Call { short: true })
            })
    }
}

fn find_sites(objects: &Objects<'_>, id: SectionId) -> Result<Vec<Site>, Error> {
    let section = objects.section(id);
    let row = |r_type| objects.arch.row(r_type).map(|row| row.kind);
    let mut sites = Vec::new();
    for (index, relocation) in section.relocations().enumerate() {
        let (len, what) = match row(relocation.r_type) {
            Some(Kind::LongCall) => {
                let Some(shortening) = objects.arch.shortening() else {
                    continue;
                };
                // The marker directly follows the relocation that it allows to relax.
                let relax = index + 1 < section.relocation_count() && {
                    let next = section.relocation(index + 1);
                    next.offset == relocation.offset && row(next.r_type) == Some(Kind::Relax)
                };
                if !relax {
                    continue;
                }
                (shortening.from, What::Call { short: false })
            }
            Some(Kind::Align) => {
                let len = relocation.addend as u64;
                // The assembler left what is needed at worst: the alignment minus one instruction.
                let to = len
                    .saturating_add(2)
                    .checked_next_power_of_two()
                    .unwrap_or(u64::MAX);
                if len == 0 {
                    continue;
                }
                if to > 0x1_0000 || !len.is_multiple_of(2) {
                    let problem = Problem::BadAlignment;
                    return Err(relocation_error(objects, id, &relocation, problem));
                }
                (len, What::Align { to })
            }
            _ => continue,
        };
        sites.push((
            relocation,
            Site {
                offset: relocation.offset,
                len,
                relocation: index as u32,
                what,
            },
        ));
    }
    sites.sort_by_key(|(_, site)| site.offset);
    let mut end = 0;
    for (relocation, site) in &sites {
        let fits = site.offset >= end && section.size - site.offset >= site.len;
        if !fits {
            return Err(relocation_error(
                objects,
                id,
                relocation,
                Problem::OutsideSection,
            ));
        }
        end = site.offset + site.len;
    }
    Ok(sites.into_iter().map(|(_, site)| site).collect())
}

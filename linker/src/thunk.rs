//! Veneers: how a branch gets to a target out of its reach.
//!
//! In: live code in its order. Out: [`Veneers`]. Code is cut into groups that are shorter than the
//! reach; behind each group is room for an island of veneers, shared by the group's branches. A link
//! that needs none has none.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::arch::{Kind, Veneer};
use crate::gc::Live;
use crate::input::{self, Objects, Relocation, SectionId};
use crate::layout::Layout;
use crate::symbol::{Resolved, Target};

/// Less than what a veneer reaches, wherever near the branch it is.
const VENEER_REACH: u64 = 1 << 31;

/// Where a veneer goes: target and addend.
pub(crate) type Destination = (Target, i64);

#[derive(Debug)]
pub(crate) struct Veneers {
    /// What the machine's veneers are like; `None` where branches reach everything.
    pub veneer: Option<&'static Veneer>,
    /// How far a branch reaches.
    pub reach: u64,
    /// By [`SectionId`]: the group of a code section.
    groups: Vec<u32>,
    /// By group: the veneers behind it.
    pub islands: Vec<Vec<Destination>>,
    index: HashMap<(u32, Destination), u64>,
}

impl Veneers {
    /// Cuts code into groups. Tests pass a `reach` that is shorter than the machine's.
    pub(crate) fn group(objects: &Objects<'_>, live: &Live, reach: Option<u64>) -> Self {
        let veneer = objects.arch.veneer();
        let reach = reach
            .or(veneer.map(|veneer| veneer.reach))
            .unwrap_or(u64::MAX);
        let mut groups = vec![0; objects.sections.len()];
        let mut group = 0;
        if veneer.is_some() {
            // An eighth of the reach is left to the island.
            let limit = reach - reach / 8;
            let mut span: u64 = 0;
            for id in live.iter() {
                let section = objects.section(id);
                if section.kind != input::Kind::Text {
                    continue;
                }
                let size = section.size.saturating_add(section.align - 1);
                if span > 0 && span.saturating_add(size) > limit {
                    group += 1;
                    span = 0;
                }
                span = span.saturating_add(size);
                groups[id.0 as usize] = group;
            }
        }
        Veneers {
            veneer,
            reach,
            groups,
            islands: vec![Vec::new(); group as usize + 1],
            index: HashMap::new(),
        }
    }

    pub(crate) fn group_of(&self, section: SectionId) -> u32 {
        self.groups[section.0 as usize]
    }

    /// A branch over this distance needs no veneer.
    pub(crate) fn reaches(&self, value: i64) -> bool {
        value >= 0 && (value as u64) < self.reach || value < 0 && value.unsigned_abs() <= self.reach
    }

    /// Bytes of a group's island.
    pub(crate) fn island_size(&self, group: u32) -> u64 {
        let veneers = self.islands[group as usize].len() as u64;
        self.veneer.map_or(0, |veneer| veneer.size * veneers)
    }

    /// Offset in its island of the veneer that a section's branches to `destination` use.
    pub(crate) fn offset(&self, section: SectionId, destination: Destination) -> Option<u64> {
        self.index
            .get(&(self.group_of(section), destination))
            .copied()
    }

    /// Adds a veneer for each branch that does not reach its target. Returns whether there was one.
    pub(crate) fn add_missing(
        &mut self,
        objects: &Objects<'_>,
        resolved: &Resolved,
        live: &Live,
        layout: &Layout,
    ) -> bool {
        if self.veneer.is_none() {
            return false;
        }
        let mut changed = false;
        for id in live
            .iter()
            .filter(|&id| objects.section(id).kind == input::Kind::Text)
        {
            for relocation in objects.section(id).relocations() {
                let Some(row) = objects.arch.row(relocation.r_type) else {
                    continue;
                };
                let target = resolved.target(relocation.symbol);
                if row.kind != Kind::Branch || target == Target::WeakZero {
                    continue;
                }
                let place = layout.place(id, relocation.offset);
                let value = layout
                    .sum(objects, resolved, &relocation)
                    .wrapping_sub(place) as i64;
                // What even a veneer does not reach is an error of the branch.
                if self.reaches(value) || value.unsigned_abs() > VENEER_REACH {
                    continue;
                }
                let group = self.group_of(id);
                let destination = destination(resolved, &relocation);
                let next = self.island_size(group);
                if let Entry::Vacant(vacant) = self.index.entry((group, destination)) {
                    vacant.insert(next);
                    self.islands[group as usize].push(destination);
                    changed = true;
                }
            }
        }
        changed
    }
}

/// Where a branch goes.
pub(crate) fn destination(resolved: &Resolved, relocation: &Relocation) -> Destination {
    (resolved.target(relocation.symbol), relocation.addend)
}

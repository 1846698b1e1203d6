//! The global offset table: which loads from it remain, and which become computations.
//!
//! In: what is live. Out: [`Got`]. In a static executable every entry is a constant, so that the table
//! lies among the read-only data, and most code that would use it need not.

use std::collections::HashMap;

use crate::gc::Live;
use crate::input::{Objects, SectionId};
use crate::symbol::{Resolved, Target};

/// Bytes of an entry.
pub(crate) const ENTRY: u64 = 8;

#[derive(Debug)]
pub(crate) struct Got {
    /// What each entry is the address of.
    pub entries: Vec<Target>,
    index: HashMap<Target, u64>,
    /// Relocations whose code is rewritten to do without; ascending.
    rewrites: HashMap<SectionId, Vec<u32>>,
}

impl Got {
    pub(crate) fn size(&self) -> u64 {
        self.entries.len() as u64 * ENTRY
    }

    /// Offset of a target's entry.
    pub(crate) fn offset(&self, target: Target) -> Option<u64> {
        self.index.get(&target).copied()
    }

    /// The relocations of a section whose code is rewritten.
    pub(crate) fn rewrites(&self, section: SectionId) -> &[u32] {
        self.rewrites.get(&section).map_or(&[], |rewrites| rewrites)
    }
}

/// Decides for every live use of the table.
pub(crate) fn plan_got(objects: &Objects<'_>, resolved: &Resolved, live: &Live) -> Got {
    let arch = objects.arch;
    let mut got = Got {
        entries: Vec::new(),
        index: HashMap::new(),
        rewrites: HashMap::new(),
    };
    let uses_got = |r_type: u32| arch.row(r_type).is_some_and(|row| row.kind.is_got());
    for id in live.iter() {
        let section = objects.section(id);
        if !section
            .relocations()
            .any(|relocation| uses_got(relocation.r_type))
        {
            continue;
        }
        let mut rewrites = arch.got_rewrites(section);
        // An absolute symbol may be further away than a computation reaches.
        rewrites.retain(|&index| {
            let symbol = section.relocation(index as usize).symbol;
            !matches!(resolved.target(symbol), Target::Absolute(_))
        });
        for (index, relocation) in section.relocations().enumerate() {
            if !uses_got(relocation.r_type) || rewrites.binary_search(&(index as u32)).is_ok() {
                continue;
            }
            let target = resolved.target(relocation.symbol);
            let next = got.size();
            got.index.entry(target).or_insert_with(|| {
                got.entries.push(target);
                next
            });
        }
        got.rewrites.insert(id, rewrites);
    }
    got
}

//! Constant pools: taken apart into their entries, equal entries joined.
//!
//! In: an object just read. Out: its mergeable sections (gABI, SHF_MERGE) as one section for each
//! constant, shared with equal constants of any object. The reason is garbage
//! collection, more than merging: compilers put the constants of all functions into one section, which
//! a single live function would keep whole.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use crate::arch;
use crate::input::{Kind, Objects, Place, Relocation, Section, SectionId};

/// Larger entries are left alone.
const MAX_ENTRY: u64 = 64;

/// Constants by their bytes and alignment.
pub(crate) type Pool<'a> = HashMap<(&'a [u8], u64), SectionId>;

/// Takes apart the pools among `sections`, which are those of one object, as `symbols` are.
pub(crate) fn split_pools<'a>(
    objects: &mut Objects<'a>,
    sections: Range<usize>,
    symbols: Range<usize>,
    pool: &mut Pool<'a>,
) {
    let mut pools: HashSet<SectionId> = sections
        .clone()
        .filter(|&index| is_pool(&objects.sections[index]))
        .map(|index| SectionId(index as u32))
        .collect();
    if pools.is_empty() {
        return;
    }
    // What is addressed in another way than by entry must stay whole.
    for group in &objects.groups {
        for member in &group.members {
            pools.remove(member);
        }
    }
    for section in &objects.sections[sections.clone()] {
        for relocation in section.relocations() {
            let symbol = objects.symbol(relocation.symbol);
            if let (true, Place::Section(id)) = (symbol.is_section, symbol.place)
                && !names_entry(objects, id, &relocation)
            {
                pools.remove(&id);
            }
        }
    }
    for symbol in &objects.symbols[symbols.clone()] {
        if let (false, Place::Section(id)) = (symbol.is_section, symbol.place) {
            let section = objects.section(id);
            let at_entry = symbol.value < section.size
                && section.entry_size > 0
                && symbol.value % section.entry_size == 0
                && symbol.size <= section.entry_size;
            if !at_entry {
                pools.remove(&id);
            }
        }
    }

    // In input order: a hash set has none.
    for id in sections
        .map(|index| SectionId(index as u32))
        .filter(|id| pools.contains(id))
    {
        let section = objects.section(id);
        let align = section.align.min(1 << section.entry_size.trailing_zeros());
        let mut entries = Vec::new();
        let mut new = Vec::new();
        for data in section.data.chunks_exact(section.entry_size as usize) {
            let next = SectionId((objects.sections.len() + new.len()) as u32);
            let entry = *pool.entry((data, align)).or_insert(next);
            if entry == next {
                new.push(section.entry(data, align));
            }
            entries.push(entry);
        }
        objects.sections.extend(new);
        objects.sections[id.0 as usize].kind = Kind::Dropped;
        objects.pools.insert(id, entries);
    }
    for index in symbols {
        let symbol = &objects.symbols[index];
        let Place::Section(id) = symbol.place else {
            continue;
        };
        if let (false, Some((entry, rest))) =
            (symbol.is_section, objects.entry_at(id, symbol.value))
        {
            let symbol = &mut objects.symbols[index];
            symbol.place = Place::Section(entry);
            symbol.value = rest;
        }
    }
}

/// A relocation to a section symbol says with its addend which entry it means. Not where the addend is
/// also a distance between the field and the end of its instruction.
fn names_entry(objects: &Objects<'_>, pool: SectionId, relocation: &Relocation) -> bool {
    let row = objects.arch.row(relocation.r_type);
    let plain = row.is_some_and(|row| matches!(row.kind, arch::Kind::Absolute | arch::Kind::Page));
    plain && (relocation.addend as u64) < objects.section(pool).size
}

fn is_pool(section: &Section<'_>) -> bool {
    let entry = section.entry_size;
    section.kind == Kind::ReadOnly
        && !section.retain
        && section.relocation_count() == 0
        && (1..=MAX_ENTRY).contains(&entry)
        && section.size.is_multiple_of(entry)
}

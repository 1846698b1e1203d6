//! Section garbage collection: what the entry point, the placed and the retained sections reach.
//!
//! In: [`Objects`] and [`Resolved`]. Out: [`Live`]. A live reference to something that is not there is
//! found here, where all of them can be listed at once.

use std::collections::{HashMap, HashSet};

use crate::error::{Problem, Reference, RelocationError};
use crate::input::{Kind, Objects, Relocation, SectionId};
use crate::symbol::{Resolved, Target};
use crate::{Error, Options};

/// Undefined symbols listed in an error.
const MAX_LISTED: usize = 20;

#[derive(Debug)]
pub(crate) struct Live {
    /// By [`SectionId`].
    pub sections: Vec<bool>,
    /// Sections of [`Options::placements`], in that order.
    pub placed: Vec<SectionId>,
    /// The entry point.
    pub entry: (SectionId, u64),
}

impl Live {
    pub(crate) fn has(&self, section: SectionId) -> bool {
        self.sections[section.0 as usize]
    }

    /// Live sections in input order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = SectionId> {
        (0..self.sections.len() as u32)
            .map(SectionId)
            .filter(|&id| self.has(id))
    }
}

/// Marks what the image needs.
pub(crate) fn mark_live(
    objects: &Objects<'_>,
    resolved: &Resolved,
    options: &Options,
) -> Result<Live, Error> {
    let placed = find_placed(objects, resolved, options)?;
    let entry = find_entry(objects, resolved, options)?;

    let mut live = vec![false; objects.sections.len()];
    let mut work = Vec::new();
    let mut reach = |section: SectionId, work: &mut Vec<SectionId>| {
        if !std::mem::replace(&mut live[section.0 as usize], true) {
            work.push(section);
        }
    };
    reach(entry.0, &mut work);
    for &section in &placed {
        reach(section, &mut work);
    }
    for id in objects.section_ids() {
        if objects.section(id).retain && !resolved.discarded[id.0 as usize] {
            reach(id, &mut work);
        }
    }

    let mut seen: HashSet<&str> = HashSet::new();
    let mut references = Vec::new();
    while let Some(id) = work.pop() {
        let section = objects.section(id);
        for relocation in section.relocations() {
            let problem = match resolved.meaning(objects, &relocation).0 {
                Target::Absolute(_) | Target::WeakZero | Target::Linker(_) => continue,
                Target::Section(target, _) => {
                    if objects.section(target).kind != Kind::Dropped
                        && !resolved.discarded[target.0 as usize]
                    {
                        reach(target, &mut work);
                        continue;
                    }
                    Problem::NotInImage(objects.section(target).name.into())
                }
                Target::Undefined => {
                    let name = &*objects.symbol(relocation.symbol).name;
                    if seen.insert(name) && references.len() < MAX_LISTED {
                        references.push(Reference {
                            symbol: name.into(),
                            object: objects.object_name(section.object).into(),
                            section: section.name.into(),
                        });
                    }
                    continue;
                }
                Target::Unusable(kind) => Problem::BadSymbol(kind),
            };
            return Err(relocation_error(objects, id, &relocation, problem));
        }
    }
    if !seen.is_empty() {
        // The order in which the work list reached them says nothing to a reader.
        references.sort_by(|a, b| a.symbol.cmp(&b.symbol));
        return Err(Error::Undefined {
            more: seen.len() - references.len(),
            references,
        });
    }
    Ok(Live {
        sections: live,
        placed,
        entry,
    })
}

/// Section and offset of the entry point, which is code.
fn find_entry(
    objects: &Objects<'_>,
    resolved: &Resolved,
    options: &Options,
) -> Result<(SectionId, u64), Error> {
    let found = resolved.find(objects, &options.entry);
    match found.map(|id| resolved.target(id)) {
        Some(Target::Section(section, offset))
            if objects.section(section).kind == Kind::Text
                && offset < objects.section(section).size =>
        {
            Ok((section, offset))
        }
        _ => Err(Error::NoEntry {
            symbol: options.entry.clone(),
        }),
    }
}

fn find_placed(
    objects: &Objects<'_>,
    resolved: &Resolved,
    options: &Options,
) -> Result<Vec<SectionId>, Error> {
    let mut wanted: HashMap<&str, Option<SectionId>> = HashMap::new();
    let error = |section: &str, what: &str| Error::Placement {
        section: section.into(),
        what: what.into(),
    };
    for placement in &options.placements {
        if wanted.insert(&placement.section, None).is_some() {
            return Err(error(&placement.section, "it is placed twice"));
        }
    }
    for id in objects.section_ids() {
        let name = objects.section(id).name;
        if resolved.discarded[id.0 as usize] {
            continue;
        }
        if let Some(found) = wanted.get_mut(name)
            && found.replace(id).is_some()
        {
            return Err(error(name, "two input sections have this name"));
        }
    }
    options
        .placements
        .iter()
        .map(|placement| {
            let name = &placement.section;
            let id = wanted[name.as_str()].ok_or_else(|| error(name, "no input has it"))?;
            match objects.section(id).kind {
                Kind::Text => Err(error(name, "code cannot be placed")),
                Kind::Dropped => Err(error(name, "it is not part of the image")),
                Kind::ReadOnly | Kind::Data | Kind::Zero => Ok(id),
            }
        })
        .collect()
}

/// A relocation's problem with its whole context.
pub(crate) fn relocation_error(
    objects: &Objects<'_>,
    section: SectionId,
    relocation: &Relocation,
    problem: Problem,
) -> Error {
    let name = match objects.arch.row(relocation.r_type) {
        Some(row) => row.name.to_string(),
        None => format!("relocation type {}", relocation.r_type),
    };
    let section = objects.section(section);
    Error::Relocation(Box::new(RelocationError {
        object: objects.object_name(section.object).into(),
        section: section.name.into(),
        offset: relocation.offset,
        relocation: name,
        symbol: objects.symbol_name(relocation.symbol),
        problem,
    }))
}

//! Symbol resolution: what each symbol of each object means.
//!
//! In: [`Objects`]. Out: a [`Target`] for every symbol, and the sections that duplicate COMDAT groups
//! lose. An undefined symbol is not an error here, since dead code may refer to it.

use std::collections::HashMap;
use std::collections::HashSet;

use crate::Error;
use crate::input::{Binding, Objects, Place, Relocation, SectionId, Symbol, SymbolId};

/// A symbol that the linker itself defines where something refers to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum LinkerSymbol {
    /// First byte of the file header in memory.
    ExecutableStart,
    /// First byte of the executable segment.
    TextStart,
    /// One past its last byte.
    TextEnd,
}

impl LinkerSymbol {
    fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "__executable_start" => Self::ExecutableStart,
            "elfin_text_start" => Self::TextStart,
            "elfin_text_end" => Self::TextEnd,
            _ => return None,
        })
    }
}

/// What a symbol means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    /// A place in a section.
    Section(SectionId, u64),
    /// A number.
    Absolute(u64),
    /// A weak reference that nothing defines: zero.
    WeakZero,
    /// Known after layout.
    Linker(LinkerSymbol),
    /// Nothing defines it.
    Undefined,
    /// Of a kind that cannot be linked.
    Unusable(&'static str),
}

#[derive(Debug)]
pub(crate) struct Resolved {
    /// By [`SymbolId`].
    pub targets: Vec<Target>,
    /// By [`SectionId`]: member of a COMDAT group that an earlier one replaces.
    pub discarded: Vec<bool>,
    /// The definition of each global name that has one, by object and then by index.
    pub definitions: Vec<SymbolId>,
}

impl Resolved {
    pub(crate) fn target(&self, symbol: SymbolId) -> Target {
        self.targets[symbol.0 as usize]
    }

    /// What a relocation refers to: its symbol's meaning and what is to be added to it. To a section
    /// symbol nothing is added: its addend is a place in the section as it was, which may have been
    /// taken apart or have shrunk since.
    pub(crate) fn meaning(&self, objects: &Objects<'_>, relocation: &Relocation) -> (Target, u64) {
        let addend = relocation.addend as u64;
        match self.target(relocation.symbol) {
            Target::Section(section, offset) if objects.symbol(relocation.symbol).is_section => {
                let offset = offset.wrapping_add(addend);
                let (section, offset) = objects
                    .entry_at(section, offset)
                    .unwrap_or((section, offset));
                (Target::Section(section, offset), 0)
            }
            target => (target, addend),
        }
    }

    /// The definition of a global name. Linear: for the few names that options hold.
    pub(crate) fn find(&self, objects: &Objects<'_>, name: &str) -> Option<SymbolId> {
        self.definitions
            .iter()
            .copied()
            .find(|&id| objects.symbol(id).name == name)
    }
}

/// Decides what every symbol means: strong definitions before weak ones, then the first; two strong
/// ones are an error.
pub(crate) fn resolve_symbols(objects: &Objects<'_>) -> Result<Resolved, Error> {
    let discarded = discard_duplicate_groups(objects);
    let is_definition = |symbol: &Symbol<'_>| match symbol.place {
        Place::Undefined => false,
        Place::Section(section) => !discarded[section.0 as usize],
        Place::Absolute | Place::Unusable(_) => true,
    };

    let mut winners: HashMap<&str, SymbolId> = HashMap::with_capacity(objects.symbols.len());
    let mut definitions = Vec::new();
    for (index, symbol) in objects.symbols.iter().enumerate() {
        if symbol.binding == Binding::Local || symbol.name.is_empty() || !is_definition(symbol) {
            continue;
        }
        let id = SymbolId(index as u32);
        let Some(&first) = winners.get(&*symbol.name) else {
            winners.insert(&symbol.name, id);
            definitions.push(id);
            continue;
        };
        match (objects.symbol(first).binding, symbol.binding) {
            (_, Binding::Weak) => {}
            (Binding::Weak, _) => {
                winners.insert(&symbol.name, id);
            }
            _ => {
                return Err(Error::Duplicate {
                    symbol: symbol.name.to_string(),
                    first: describe(objects, first),
                    second: describe(objects, id),
                });
            }
        }
    }
    for definition in &mut definitions {
        *definition = winners[&*objects.symbol(*definition).name];
    }

    let own_meaning = |symbol: &Symbol<'_>| match symbol.place {
        Place::Undefined => Target::Undefined,
        Place::Absolute => Target::Absolute(symbol.value),
        Place::Section(section) => Target::Section(section, symbol.value),
        Place::Unusable(kind) => Target::Unusable(kind),
    };
    let targets = objects
        .symbols
        .iter()
        .map(|symbol| {
            if symbol.name.is_empty() && symbol.place == Place::Undefined {
                // The null symbol: relocations that refer to none have it.
                return Target::Absolute(0);
            }
            if symbol.binding == Binding::Local || symbol.name.is_empty() {
                return own_meaning(symbol);
            }
            match winners.get(&*symbol.name) {
                Some(&winner) => own_meaning(objects.symbol(winner)),
                None => match LinkerSymbol::by_name(&symbol.name) {
                    Some(known) => Target::Linker(known),
                    None if symbol.binding == Binding::Weak => Target::WeakZero,
                    None => Target::Undefined,
                },
            }
        })
        .collect();
    Ok(Resolved {
        targets,
        discarded,
        definitions,
    })
}

fn discard_duplicate_groups(objects: &Objects<'_>) -> Vec<bool> {
    let mut discarded = vec![false; objects.sections.len()];
    let mut seen: HashSet<&str> = HashSet::new();
    for group in &objects.groups {
        if !seen.insert(&group.signature) {
            for member in &group.members {
                discarded[member.0 as usize] = true;
            }
        }
    }
    discarded
}

fn describe(objects: &Objects<'_>, id: SymbolId) -> String {
    let symbol = objects.symbol(id);
    let object = objects.object_name(symbol.object);
    match symbol.place {
        Place::Section(section) => format!("{object} (section {})", objects.section(section).name),
        _ => format!("{object} (absolute)"),
    }
}

//! Whether what was found for an import matches what the module wants (core spec, 3.5.11 and 4.5.3).
//!
//! In: an import and a program-wide entity. Out: a check that is left for later, or the reason why it does not match.

use super::{Draft, Linker, Resolved};
use crate::canonical;
use crate::module::{FuncType, GlobalType, Item, MemoryType, TableType, ValType};
use crate::program::*;

impl Linker<'_, '_> {
    /// What has to be checked when the instance is made, if something.
    ///
    /// # Errors
    /// Why what was found does not match what is imported.
    pub(super) fn matching(
        &self,
        draft: &Draft<'_>,
        wanted: Item,
        found: Resolved,
    ) -> Result<Option<Check>, String> {
        let module = draft.module;
        match (wanted, found) {
            (Item::Function(index), Resolved::Function(callee)) => {
                let wanted = draft.types[module.functions[index as usize] as usize];
                let found = self.program.callee_type(callee);
                let matches = canonical::is_declared_subtype(&self.program.types, found, wanted);
                self.match_types(matches, found, wanted)
            }
            (Item::Global(index), Resolved::Global(id)) => {
                let mut wanted = module.globals[index as usize].ty;
                wanted.content_type = canonical::value_type(&draft.types, wanted.content_type);
                self.match_global(self.program.globals[id.index()].ty, wanted)
            }
            (Item::Memory(index), Resolved::Memory(id)) => {
                self.match_memory(id, module.memories[index as usize])
            }
            (Item::Table(index), Resolved::Table(id)) => {
                let mut wanted = module.tables[index as usize].ty;
                wanted.element_type = canonical::reference_type(&draft.types, wanted.element_type);
                self.match_table(id, wanted)
            }
            (Item::Tag(index), Resolved::Tag(id)) => {
                // Equal, not merely alike: a handler takes what the tag's own type says (GHSA-cfhf-m2cr-62wj).
                let wanted = draft.types[module.tags[index as usize] as usize];
                let found = self.program.tags[id.index()].ty;
                self.match_types(wanted == found, found, wanted)
            }
            (wanted, found) => {
                let found = match found {
                    Resolved::Function(_) => "function",
                    Resolved::Table(_) => "table",
                    Resolved::Memory(_) => "memory",
                    Resolved::Global(_) => "global",
                    Resolved::Tag(_) => "tag",
                };
                Err(format!("it is a {found}, wanted is a {}", wanted.kind()))
            }
        }
    }

    fn match_types(
        &self,
        matches: bool,
        found: TypeId,
        wanted: TypeId,
    ) -> Result<Option<Check>, String> {
        ensure(matches, || {
            format!(
                "it has type {}, wanted is type {}",
                describe(self.program.ty(found)),
                describe(self.program.ty(wanted))
            )
        })?;
        Ok(None)
    }

    fn match_global(&self, found: GlobalType, wanted: GlobalType) -> Result<Option<Check>, String> {
        let types = &self.program.types;
        // What is only read may be more special than what is wanted.
        let matches = wanted == found
            || (!wanted.mutable
                && !found.mutable
                && canonical::is_subtype(types, found.content_type, wanted.content_type));
        ensure(matches, || {
            format!(
                "it is a {}, wanted is a {}",
                describe_global(found),
                describe_global(wanted)
            )
        })?;
        Ok(None)
    }

    fn match_memory(&self, id: MemoryId, wanted: MemoryType) -> Result<Option<Check>, String> {
        let found = self.program.memories[id.index()];
        match_addresses(found.is_64, wanted.memory64)?;
        ensure(found.shared == wanted.shared, || {
            let name = |shared| if shared { "shared" } else { "not shared" };
            format!(
                "it is {}, wanted is one that is {}",
                name(found.shared),
                name(wanted.shared)
            )
        })?;
        let wanted_log2 = wanted.page_size_log2.unwrap_or(DEFAULT_PAGE_LOG2);
        ensure(found.page_log2 == wanted_log2, || {
            format!(
                "its pages have {} bytes, wanted are {}",
                1_u64 << found.page_log2,
                1_u64 << wanted_log2
            )
        })?;
        let page = 1 << wanted_log2;
        let (mut pages, mut check) = (found.initial / page, None);
        if pages < wanted.initial && self.may_have_grown(Resolved::Memory(id)) {
            check = Some(Check::Memory(id, wanted.initial.saturating_mul(page)));
            pages = wanted.initial;
        }
        match_limits(
            (pages, found.declared_maximum),
            (wanted.initial, wanted.maximum),
            "pages",
        )?;
        Ok(check)
    }

    /// The element type of `wanted` is one of the program.
    fn match_table(&self, id: TableId, wanted: TableType) -> Result<Option<Check>, String> {
        let found = &self.program.tables[id.index()];
        match_addresses(found.is_64, wanted.table64)?;
        ensure(found.element == wanted.element_type, || {
            format!(
                "it is a table of {}, wanted is one of {}",
                found.element, wanted.element_type
            )
        })?;
        let (mut entries, mut check) = (found.initial, None);
        if entries < wanted.initial && self.may_have_grown(Resolved::Table(id)) {
            check = Some(Check::Table(id, wanted.initial));
            entries = wanted.initial;
        }
        match_limits(
            (entries, found.maximum),
            (wanted.initial, wanted.maximum),
            "entries",
        )?;
        Ok(check)
    }

    /// Whether an action of the script may have made a memory or table longer. In a command only start
    /// functions run before the last instance is made: what they grow counts with its initial length.
    fn may_have_grown(&self, item: Resolved) -> bool {
        let grows = |instance: &Instance<'_>| {
            instance.module.bodies.iter().any(|body| match item {
                Resolved::Memory(id) => {
                    let grown = &body.summary.memories_grown;
                    grown.iter().any(|i| instance.memories[*i as usize] == id)
                }
                Resolved::Table(id) => {
                    let grown = &body.summary.tables_grown;
                    grown.iter().any(|i| instance.tables[*i as usize] == id)
                }
                Resolved::Function(_) | Resolved::Global(_) | Resolved::Tag(_) => false,
            })
        };
        self.program.script.is_some() && self.program.instances.iter().any(grows)
    }
}

fn ensure(matches: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if matches { Ok(()) } else { Err(why()) }
}

/// Whether limits match: each a minimum and perhaps a maximum, counted in `unit`.
fn match_limits(
    found: (u64, Option<u64>),
    wanted: (u64, Option<u64>),
    unit: &str,
) -> Result<(), String> {
    ensure(found.0 >= wanted.0, || {
        format!(
            "it has {} {unit}, at least {} are wanted",
            found.0, wanted.0
        )
    })?;
    match (found.1, wanted.1) {
        (_, None) => Ok(()),
        (Some(found), Some(wanted)) => ensure(found <= wanted, || {
            format!("its maximum is {found} {unit}, at most {wanted} is wanted")
        }),
        (None, Some(wanted)) => Err(format!(
            "it has no maximum, at most {wanted} {unit} is wanted"
        )),
    }
}

/// Whether both have addresses of 64 bits, or neither.
fn match_addresses(found: bool, wanted: bool) -> Result<(), String> {
    let name = |is_64| if is_64 { "i64" } else { "i32" };
    ensure(found == wanted, || {
        format!(
            "its addresses are {}, wanted are {}",
            name(found),
            name(wanted)
        )
    })
}

/// A function type as the text format writes it.
#[must_use]
pub fn describe(ty: &FuncType) -> String {
    let list = |types: &[ValType]| {
        types
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(" ")
    };
    format!("({}) -> ({})", list(ty.params()), list(ty.results()))
}

fn describe_global(ty: GlobalType) -> String {
    format!(
        "{} global of type {}",
        if ty.mutable { "mutable" } else { "constant" },
        ty.content_type
    )
}

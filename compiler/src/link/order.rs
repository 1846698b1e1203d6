//! What may lead to a module that is instantiated later.
//!
//! In: drafts of which all imports are resolved. Out: nothing, or an error. Modules that import from each other are
//! instantiated one after the other all the same: what a later one gives to an earlier one is there, but has no
//! contents before its turn. So no code may run until then, and nothing may be computed from it or written to its
//! tables. Its memory is zero, and takes segments.

use super::resolve::{describe_import, import_place};
use super::{Draft, Linker};
use crate::error::{Error, Printable, Result};
use crate::module::{ConstExpr, ConstOperator, Import, Item, Module, SegmentMode};
use crate::program::InstanceId;
use std::collections::HashMap;

impl Linker<'_, '_> {
    /// # Errors
    /// [`Error::Link`] for the first import that asks too much of a later module.
    pub(super) fn check_order(&self) -> Result<()> {
        let mut next_start = None;
        let mut starts = vec![None; self.drafts.len()];
        for (position, draft) in self.drafts.iter().enumerate().rev() {
            if draft.module.start.is_some() {
                next_start = Some(InstanceId(position as u32));
            }
            starts[position] = next_start;
        }
        for (draft, start) in self.drafts.iter().zip(starts) {
            if draft.late.is_empty() {
                continue;
            }
            self.check_start(draft, start)?;
            let late: HashMap<Item, InstanceId> = draft
                .late
                .iter()
                .map(|(number, owner)| (draft.module.imports[*number as usize].item, *owner))
                .collect();
            for (item, what) in used_by_instantiation(draft.module) {
                if let Some(owner) = late.get(&item) {
                    let mut imports = draft.module.imports.iter();
                    let import = imports
                        .find(|import| import.item == item)
                        .expect("what is late is imported");
                    return Err(self.error(draft.module, import, *owner, what));
                }
            }
        }
        Ok(())
    }

    /// `start` is the first instance, from this one on, that has a start function.
    fn check_start(&self, draft: &Draft<'_>, start: Option<InstanceId>) -> Result<()> {
        let Some(start) = start else {
            return Ok(());
        };
        // A tag has no contents.
        let mut late = draft.late.iter().map(|(number, owner)| {
            let import = &draft.module.imports[*number as usize];
            (import, *owner)
        });
        let found =
            late.find(|(import, owner)| *owner > start && !matches!(import.item, Item::Tag(_)));
        let Some((import, owner)) = found else {
            return Ok(());
        };
        let name = &self.draft_of(start).module.name;
        let what = format!(
            "the start function of {} runs before that; let it export `_initialize` instead, which runs after",
            Printable(name)
        );
        Err(self.error(draft.module, import, owner, &what))
    }

    fn error(
        &self,
        module: &Module<'_>,
        import: &Import<'_>,
        owner: InstanceId,
        what: &str,
    ) -> Error {
        Error::Link {
            message: format!(
                "{} is of {}, which is instantiated later, and {what}",
                describe_import(import),
                Printable(&self.draft_of(owner).module.name)
            ),
            place: import_place(module, import),
        }
    }
}

/// The globals that constant expressions read, and the tables that active segments write to; with what that is.
fn used_by_instantiation<'m>(
    module: &'m Module<'m>,
) -> impl Iterator<Item = (Item, &'static str)> + 'm {
    let globals = module
        .globals
        .iter()
        .filter_map(|global| global.init.as_ref());
    let tables = module.tables.iter().filter_map(|table| table.init.as_ref());
    let elements = module.elements.iter().flat_map(|element| {
        let offset = active(&element.mode).map(|(_, offset)| offset);
        element.items.iter().chain(offset)
    });
    let data = module
        .data
        .iter()
        .filter_map(|data| active(&data.mode).map(|(_, offset)| offset));
    let read = globals
        .chain(tables)
        .chain(elements)
        .chain(data)
        .flat_map(|expr| &expr.operators)
        .filter_map(|operator| match operator {
            ConstOperator::GlobalGet(index) => Some((
                Item::Global(*index),
                "a constant expression needs its value before that",
            )),
            _ => None,
        });
    let written = module.elements.iter().filter_map(|element| {
        active(&element.mode).map(|(table, _)| {
            (
                Item::Table(table),
                "an element segment is written to it before that",
            )
        })
    });
    read.chain(written)
}

/// What an active segment is written to, and where.
const fn active(mode: &SegmentMode) -> Option<(u32, &ConstExpr)> {
    match mode {
        SegmentMode::Active { index, offset } => Some((*index, offset)),
        SegmentMode::Passive | SegmentMode::Declared => None,
    }
}

//! What may lead to a module that is instantiated later.
//!
//! In: drafts of which all imports are resolved. Out: nothing, or an error. Modules that import from each other are
//! instantiated one after the other all the same: what a later one gives to an earlier one is there, but has no
//! contents before its turn. So no code may run until then, and nothing may be computed from it or written to its
//! tables. Its memory is zero, and takes segments.

use super::Linker;
use super::resolve::Wanted;
use crate::error::{Error, Printable, Result};
use crate::module::{ConstExpr, ConstOperator, Item, Module, SegmentMode};
use crate::program::InstanceId;
use std::collections::HashMap;

impl Linker<'_, '_> {
    /// # Errors
    /// [`Error::Link`] for the first import that asks too much of a later module.
    pub(super) fn check_order(&self) -> Result<()> {
        // The first instance from each one on that has a start function.
        let mut starts = vec![None; self.drafts.len()];
        let mut next = None;
        for (position, draft) in self.drafts.iter().enumerate().rev() {
            if draft.module.start.is_some() {
                next = Some(InstanceId(position as u32));
            }
            starts[position] = next;
        }
        for (id, (draft, start)) in (0..).map(InstanceId).zip(self.drafts.iter().zip(starts)) {
            self.check_start(id, start)?;
            let late: HashMap<Item, (u32, InstanceId)> = draft
                .late
                .iter()
                .map(|late| (draft.module.imports[late.0 as usize].item, *late))
                .collect();
            if late.is_empty() {
                continue;
            }
            for (item, why) in used_by_instantiation(draft.module) {
                if let Some((number, owner)) = late.get(&item) {
                    return Err(self.too_early((id, *number), *owner, why));
                }
            }
        }
        Ok(())
    }

    fn check_start(&self, id: InstanceId, start: Option<InstanceId>) -> Result<()> {
        let Some(start) = start else {
            return Ok(());
        };
        let draft = self.draft_of(id);
        for (number, owner) in &draft.late {
            // A tag has no contents.
            let item = draft.module.imports[*number as usize].item;
            if *owner > start && !matches!(item, Item::Tag(_)) {
                let why = format!(
                    "the start function of {} runs before that; let it export `_initialize` instead, which runs after",
                    Printable(&self.draft_of(start).module.name)
                );
                return Err(self.too_early((id, *number), *owner, &why));
            }
        }
        Ok(())
    }

    fn too_early(&self, import: Wanted, owner: InstanceId, why: &str) -> Error {
        let owner = Printable(&self.draft_of(owner).module.name);
        self.error(import, |what| {
            format!("{what} is of {owner}, which is instantiated later, and {why}")
        })
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

//! What an import leads to.
//!
//! In: drafts, and what names lead to now. Out: drafts of which each import leads to a program-wide entity, or the
//! reason why one leads nowhere.

use super::{Linker, Resolved, Slot, describe, host_type};
use crate::error::{Error, Place, Printable, Result};
use crate::module::{Import, Item};
use crate::options::UnknownImports;
use crate::program::*;
use elfin_abi::host;

/// An import: whose, and its number.
pub(super) type Wanted = (InstanceId, u32);

/// Where an import leads now.
enum Found {
    /// To something that matches, perhaps only if this holds when the instance is made.
    Here(Resolved, Option<Check>),
    /// To another import, which has to be resolved first.
    Through(Wanted),
    /// To something that is not what is wanted: what is wrong, and why.
    Nowhere(&'static str, String),
}

impl<'m> Linker<'m, '_> {
    /// Resolves all imports of a draft.
    ///
    /// # Errors
    /// [`Error::Link`], [`Error::LimitExceeded`].
    pub(super) fn resolve_imports(&mut self, id: InstanceId) -> Result<()> {
        for number in 0..self.draft_of(id).module.imports.len() as u32 {
            self.settle((id, number))?;
        }
        Ok(())
    }

    /// Resolves an import, and before it those to which it leads.
    fn settle(&mut self, wanted: Wanted) -> Result<()> {
        let mut chain = vec![wanted];
        while let Some(&(id, number)) = chain.last() {
            let item = self.draft_of(id).module.imports[number as usize].item;
            if let Slot::Leads(_) = self.draft_of(id).slot(item) {
                chain.pop();
                continue;
            }
            self.draft_of_mut(id).set_slot(item, Slot::Waiting);
            match self.resolve(id, number)? {
                Found::Through(next) => chain.push(next),
                Found::Nowhere(wrong, why) => {
                    return Err(self.error((id, number), |what| format!("{wrong}: {what}: {why}")));
                }
                Found::Here(resolved, check) => {
                    let owner = self.owner(resolved);
                    let draft = self.draft_of_mut(id);
                    draft.checks.extend(check);
                    draft.set_slot(item, Slot::Leads(resolved));
                    if let Some(owner) = owner.filter(|owner| *owner > id) {
                        draft.late.push((number, owner));
                    }
                }
            }
        }
        Ok(())
    }

    /// The instance that defines something; the host's belongs to none.
    fn owner(&self, resolved: Resolved) -> Option<InstanceId> {
        let program = &self.program;
        match resolved {
            Resolved::Function(Callee::Defined(id)) => Some(program.functions[id.index()].instance),
            Resolved::Function(Callee::Host(_) | Callee::Unknown(_)) => None,
            Resolved::Table(id) => Some(program.tables[id.index()].instance),
            Resolved::Memory(id) => Some(program.memories[id.index()].instance),
            Resolved::Global(id) => Some(program.globals[id.index()].instance),
            Resolved::Tag(id) => Some(program.tags[id.index()].instance),
        }
    }

    fn resolve(&mut self, id: InstanceId, number: u32) -> Result<Found> {
        let module = self.draft_of(id).module;
        let import = &module.imports[number as usize];
        // Nobody imports from himself.
        let mut named = self.names.get(import.module).into_iter().flatten();
        let is_linked = named.any(|provider| *provider != id);
        // Who links something else in for a module's name does not want what elfin provides under it.
        let mut found = if is_linked {
            self.resolve_linked(id, import)
        } else {
            self.resolve_host(id, import)
        };
        if found.is_none() {
            found = self.trap_instead(id, import);
        }
        if found.is_none() && !is_linked {
            found = self.resolve_memory(id, import)?;
        }
        found.map_or_else(
            || {
                Err(self.error((id, number), |what| match import.item {
                    _ if is_linked => format!(
                        "unknown import: {what}: the module linked as \"{}\" has no such export",
                        Printable(import.module)
                    ),
                    Item::Function(_) => format!(
                        "unknown import: {what}; provide it with --link NAME=FILE, or build with --unknown-imports \
                         trap to trap when it is called"
                    ),
                    _ => format!("unknown import: {what}; provide it with --link NAME=FILE"),
                }))
            },
            Ok,
        )
    }

    /// An error about an import, which `message` gets described.
    pub(super) fn error(
        &self,
        (id, number): Wanted,
        message: impl FnOnce(String) -> String,
    ) -> Error {
        let module = self.draft_of(id).module;
        let import = &module.imports[number as usize];
        let what = format!(
            "{} \"{}\" \"{}\"",
            import.item.kind(),
            Printable(import.module),
            Printable(import.name)
        );
        Error::Link {
            message: message(what),
            place: Place {
                offset: Some(import.offset),
                ..module.place()
            },
        }
    }

    /// A function that the runtime has.
    fn resolve_host(&mut self, id: InstanceId, import: &Import<'m>) -> Option<Found> {
        let Item::Function(index) = import.item else {
            return None;
        };
        let &host = self.host_ids.get(&(import.module, import.name))?;
        let function = &host::HOST_FUNCTIONS[host];
        let (ty, expected) = (
            self.draft_of(id).module.function_type(index),
            host_type(function),
        );
        if *ty != expected {
            return Some(Found::Nowhere(
                "incompatible import type",
                format!(
                    "elfin provides it with type {}, the module imports it with type {}",
                    describe(&expected),
                    describe(ty)
                ),
            ));
        }
        let ty = self.draft_of(id).function_type(index);
        let host_id = HostId(self.program.host_functions.len() as u32);
        self.program.host_functions.push(HostImport {
            index: host,
            memory: None,
            ty,
        });
        self.draft_of_mut(id).hosts.push(host_id);
        Some(Found::Here(Resolved::Function(Callee::Host(host_id)), None))
    }

    /// A function that nothing provides, if such a one is to trap.
    fn trap_instead(&mut self, id: InstanceId, import: &Import<'m>) -> Option<Found> {
        let Item::Function(index) = import.item else {
            return None;
        };
        if self.options.unknown_imports != UnknownImports::Trap {
            return None;
        }
        let unknown = UnknownId(self.program.unknown.len() as u32);
        self.program.unknown.push(Unknown {
            module: import.module.to_owned(),
            name: import.name.to_owned(),
            ty: self.draft_of(id).function_type(index),
        });
        let callee = Callee::Unknown(unknown);
        Some(Found::Here(Resolved::Function(callee), None))
    }

    /// A memory that is made for those who import it.
    fn resolve_memory(&mut self, id: InstanceId, import: &Import<'m>) -> Result<Option<Found>> {
        let module = self.draft_of(id).module;
        let memory = self.provide_memory(id, module, import)?;
        Ok(memory.map(|memory| {
            self.matching(self.draft_of(id), import.item, memory)
                .map_or_else(
                    |why| Found::Nowhere("incompatible import type", why),
                    |check| Found::Here(memory, check),
                )
        }))
    }

    /// Asks the instances that the import's module name leads to, in their order: the first export of that name
    /// whose type matches is it, for modules of JavaScript's world import one function with several types. `None`
    /// if none exports the name; if none matches, what is wrong with the first.
    fn resolve_linked(&self, id: InstanceId, import: &Import<'m>) -> Option<Found> {
        let mut first_mismatch = None;
        for &provider in self.names.get(import.module).into_iter().flatten() {
            if provider == id {
                continue;
            }
            let mismatch = match self.export(provider, import.name) {
                None => continue,
                Some(Slot::Import(number)) => return Some(Found::Through((provider, number))),
                Some(Slot::Waiting) => Found::Nowhere(
                    "unknown import",
                    "the export of that name is this import".to_owned(),
                ),
                Some(Slot::Leads(found)) => {
                    match self.matching(self.draft_of(id), import.item, found) {
                        Ok(check) => return Some(Found::Here(found, check)),
                        Err(why) => Found::Nowhere("incompatible import type", why),
                    }
                }
            };
            first_mismatch = first_mismatch.or(Some(mismatch));
        }
        first_mismatch
    }
}

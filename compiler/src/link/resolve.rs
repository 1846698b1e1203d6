//! What an import leads to.
//!
//! In: drafts, and what names lead to now. Out: drafts of which each import leads to a program-wide entity, or the
//! reason why one leads nowhere.

use super::{Linker, Resolved, Slot, describe, host_type};
use crate::error::{Error, Place, Printable, Result};
use crate::module::{Import, Item, Module};
use crate::options::UnknownImports;
use crate::program::*;
use elfin_abi::host;

/// An import: whose, and its number.
type Wanted = (InstanceId, u32);

/// Where an import leads now.
enum Found {
    Here(Resolved),
    /// To another import, which has to be resolved first.
    Through(Wanted),
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
                Found::Here(resolved) => {
                    let owner = self.owner(resolved);
                    let draft = self.draft_of_mut(id);
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
        let what = describe_import(import);
        let error = |message: String| Error::Link {
            message,
            place: import_place(module, import),
        };

        // Nobody imports from himself.
        let named = self.names.get(import.module).into_iter().flatten();
        let is_linked = named.clone().any(|provider| *provider != id);
        if is_linked && let Some(found) = self.resolve_linked(id, import) {
            let (found, check) = found
                .map_err(|[what_is_wrong, why]| error(format!("{what_is_wrong}: {what}: {why}")))?;
            self.draft_of_mut(id).checks.extend(check);
            return Ok(found);
        }

        if let Item::Function(index) = import.item {
            let ty = module.function_type(index);
            let id_of_type = self.draft_of(id).types[module.functions[index as usize] as usize];
            // Who links something else in for a module's name does not want the host's functions.
            if !is_linked && let Some(&host) = self.host_ids.get(&(import.module, import.name)) {
                let function = &host::HOST_FUNCTIONS[host];
                let expected = host_type(function);
                if *ty != expected {
                    return Err(error(format!(
                        "incompatible import type: {what}: elfin provides it with type {}, the module imports it with type {}",
                        describe(&expected),
                        describe(ty)
                    )));
                }
                if function.symbol.is_empty() {
                    return Err(error(format!(
                        "{what} is part of WASI preview1 but elfin does not have it yet"
                    )));
                }
                let host_id = HostId(self.program.host_functions.len() as u32);
                self.program.host_functions.push(HostImport {
                    index: host,
                    memory: None,
                    ty: id_of_type,
                });
                self.draft_of_mut(id).hosts.push(host_id);
                return Ok(Found::Here(Resolved::Function(Callee::Host(host_id))));
            }
            if self.options.unknown_imports == UnknownImports::Trap {
                let unknown = UnknownId(self.program.unknown.len() as u32);
                self.program.unknown.push(Unknown {
                    module: import.module.to_owned(),
                    name: import.name.to_owned(),
                    ty: id_of_type,
                });
                return Ok(Found::Here(Resolved::Function(Callee::Unknown(unknown))));
            }
        }
        if !is_linked && let Some(resolved) = self.provide_memory(id, module, import)? {
            return match self.matching(self.draft_of(id), import.item, resolved) {
                Ok(_) => Ok(Found::Here(resolved)),
                Err(why) => Err(error(format!("incompatible import type: {what}: {why}"))),
            };
        }
        if is_linked {
            return Err(error(format!(
                "unknown import: {what}: the module linked as \"{}\" has no such export",
                Printable(import.module)
            )));
        }
        let hint = match import.item {
            Item::Function(_) => {
                "; provide it with --link NAME=FILE, or build with --unknown-imports trap to trap when it is called"
            }
            _ => "; provide it with --link NAME=FILE",
        };
        Err(error(format!("unknown import: {what}{hint}")))
    }

    /// Asks the instances that the import's module name leads to, in their order: the first export of that name
    /// whose type matches is it, for modules of JavaScript's world import one function with several types. `None`
    /// if none exports the name, otherwise what is wrong with the first that does, and why.
    #[allow(clippy::type_complexity, reason = "used here only")]
    fn resolve_linked(
        &self,
        id: InstanceId,
        import: &Import<'m>,
    ) -> Option<std::result::Result<(Found, Option<Check>), [String; 2]>> {
        let mut first_mismatch = None;
        for &provider in self.names.get(import.module).into_iter().flatten() {
            if provider == id {
                continue;
            }
            let why = match self.export(provider, import.name) {
                None => continue,
                Some(Slot::Import(number)) => {
                    return Some(Ok((Found::Through((provider, number)), None)));
                }
                Some(Slot::Waiting) => [
                    "unknown import".to_owned(),
                    "the export of that name is this import".to_owned(),
                ],
                Some(Slot::Leads(found)) => {
                    match self.matching(self.draft_of(id), import.item, found) {
                        Ok(check) => return Some(Ok((Found::Here(found), check))),
                        Err(why) => ["incompatible import type".to_owned(), why],
                    }
                }
            };
            first_mismatch = first_mismatch.or(Some(why));
        }
        first_mismatch.map(Err)
    }
}

/// An import as errors call it.
pub(super) fn describe_import(import: &Import<'_>) -> String {
    format!(
        "{} \"{}\" \"{}\"",
        import.item.kind(),
        Printable(import.module),
        Printable(import.name)
    )
}

/// Where a module imports something, for an error.
pub(super) fn import_place(module: &Module<'_>, import: &Import<'_>) -> Place {
    Place {
        offset: Some(import.offset),
        ..module.place()
    }
}

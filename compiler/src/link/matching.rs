//! What an import leads to, and whether that matches what the module wants (core spec, 3.5.11 and 4.5.3).
//!
//! In: an import and what names lead to now. Out: a program-wide entity, or the reason why there is none.

use super::{Linker, Resolved, host_type};
use crate::canonical;
use crate::error::{Error, Place, Printable, Result};
use crate::module::{FuncType, GlobalType, Item, Module, ValType};
use crate::options::UnknownImports;
use crate::program::*;
use elfin_abi::host;

impl<'m> Linker<'m, '_> {
    pub(super) fn resolve(
        &mut self,
        instance: &mut Instance<'_>,
        import: &crate::module::Import<'m>,
        later: &[Module<'_>],
    ) -> Result<Resolved> {
        let module = instance.module;
        let place = Place {
            offset: Some(import.offset),
            ..module.place()
        };
        let what = format!(
            "{} \"{}\" \"{}\"",
            import.item.kind(),
            Printable(import.module),
            Printable(import.name)
        );
        let error = |message: String| Error::Link {
            message,
            place: place.clone(),
        };

        let linked = |m: &&Module<'_>| m.name == import.module;
        let is_linked = self.names.contains_key(import.module) || later.iter().any(|m| linked(&m));
        if is_linked {
            if let Some(found) = self.resolve_linked(instance, import) {
                return found
                    .map_err(|why| error(format!("incompatible import type: {what}: {why}")));
            }
            if later
                .iter()
                .filter(linked)
                .any(|m| m.export(import.name).is_some())
            {
                return Err(error(format!(
                    "unknown import: {what}: the module linked as \"{}\" is instantiated later; put its --link earlier",
                    Printable(import.module)
                )));
            }
        }

        if let Item::Function(index) = import.item {
            // Who links something else in for a module's name does not want the host's functions.
            if !is_linked && let Some(&host) = self.host_ids.get(&(import.module, import.name)) {
                let function = &host::HOST_FUNCTIONS[host];
                let ty = module.function_type(index);
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
                let ty = instance.types[module.functions[index as usize] as usize];
                let id = HostId(self.program.host_functions.len() as u32);
                self.program.host_functions.push(HostImport {
                    index: host,
                    memory: None,
                    ty,
                });
                return Ok(Resolved::Function(Callee::Host(id)));
            }
            if self.options.unknown_imports == UnknownImports::Trap {
                let ty = instance.types[module.functions[index as usize] as usize];
                let id = UnknownId(self.program.unknown.len() as u32);
                self.program.unknown.push(Unknown {
                    module: import.module.to_owned(),
                    name: import.name.to_owned(),
                    ty,
                });
                return Ok(Resolved::Function(Callee::Unknown(id)));
            }
        }
        if !is_linked && let Some(resolved) = self.provide_memory(instance, import)? {
            if let Some(why) = self.mismatch(instance, import.item, &resolved) {
                return Err(error(format!("incompatible import type: {what}: {why}")));
            }
            return Ok(resolved);
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
    /// if none exports the name, otherwise why the first that does is not it.
    fn resolve_linked(
        &self,
        instance: &mut Instance<'_>,
        import: &crate::module::Import<'m>,
    ) -> Option<std::result::Result<Resolved, String>> {
        let mut first_mismatch = None;
        for &provider in self.names.get(import.module).into_iter().flatten() {
            let Some(found) = self.export(provider, import.name) else {
                continue;
            };
            match self.mismatch(instance, import.item, &found) {
                None => return Some(Ok(found)),
                Some(why) => first_mismatch = first_mismatch.or(Some(why)),
            }
        }
        first_mismatch.map(Err)
    }

    /// Why what was found does not match what is imported.
    fn mismatch(
        &self,
        instance: &mut Instance<'_>,
        wanted: Item,
        found: &Resolved,
    ) -> Option<String> {
        let module = instance.module;
        let limits = |found: (u64, Option<u64>), wanted: (u64, Option<u64>), unit: &str| {
            if found.0 < wanted.0 {
                return Some(format!(
                    "it has {} {unit}, at least {} are wanted",
                    found.0, wanted.0
                ));
            }
            match (found.1, wanted.1) {
                (_, None) => None,
                (Some(found), Some(wanted)) if found <= wanted => None,
                (Some(found), Some(wanted)) => Some(format!(
                    "its maximum is {found} {unit}, at most {wanted} is wanted"
                )),
                (None, Some(wanted)) => Some(format!(
                    "it has no maximum, at most {wanted} {unit} is wanted"
                )),
            }
        };
        let found_as = found;
        match (wanted, found) {
            (Item::Function(index), Resolved::Function(callee)) => {
                let wanted = instance.types[module.functions[index as usize] as usize];
                let found = self.program.callee_type(*callee);
                let matches = canonical::is_declared_subtype(&self.program.types, found, wanted);
                (!matches).then(|| {
                    format!(
                        "it has type {}, wanted is type {}",
                        describe(self.program.ty(found)),
                        describe(self.program.ty(wanted))
                    )
                })
            }
            (Item::Global(index), Resolved::Global(id)) => {
                let mut wanted = module.globals[index as usize].ty;
                wanted.content_type = canonical::value_type(&instance.types, wanted.content_type);
                let found = self.program.globals[id.index()].ty;
                // What is only read may be more special than what is wanted.
                let matches = wanted == found
                    || (!wanted.mutable
                        && !found.mutable
                        && canonical::is_subtype(
                            &self.program.types,
                            found.content_type,
                            wanted.content_type,
                        ));
                (!matches).then(|| {
                    format!(
                        "it is a {}, wanted is a {}",
                        describe_global(found),
                        describe_global(wanted)
                    )
                })
            }
            (Item::Memory(index), Resolved::Memory(id)) => {
                let wanted = module.memories[index as usize];
                let found = self.program.memories[id.index()];
                if let Some(why) = address_mismatch(found.is_64, wanted.memory64) {
                    return Some(why);
                }
                if found.shared != wanted.shared {
                    let name = |shared| if shared { "shared" } else { "not shared" };
                    return Some(format!(
                        "it is {}, wanted is one that is {}",
                        name(found.shared),
                        name(wanted.shared)
                    ));
                }
                let wanted_log2 = wanted.page_size_log2.unwrap_or(DEFAULT_PAGE_LOG2);
                if found.page_log2 != wanted_log2 {
                    return Some(format!(
                        "its pages have {} bytes, wanted are {}",
                        1_u64 << found.page_log2,
                        1_u64 << wanted_log2
                    ));
                }
                let page = 1 << wanted_log2;
                let mut pages = found.initial / page;
                if pages < wanted.initial && self.may_have_grown(found_as) {
                    instance
                        .checks
                        .push(Check::Memory(*id, wanted.initial.saturating_mul(page)));
                    pages = wanted.initial;
                }
                limits(
                    (pages, found.declared_maximum),
                    (wanted.initial, wanted.maximum),
                    "pages",
                )
            }
            (Item::Table(index), Resolved::Table(id)) => {
                let wanted = module.tables[index as usize].ty;
                let found = &self.program.tables[id.index()];
                if let Some(why) = address_mismatch(found.is_64, wanted.table64) {
                    return Some(why);
                }
                let element = canonical::reference_type(&instance.types, wanted.element_type);
                if element != found.element {
                    return Some(format!(
                        "it is a table of {}, wanted is one of {element}",
                        found.element
                    ));
                }
                let mut entries = found.initial;
                if entries < wanted.initial && self.may_have_grown(found_as) {
                    instance.checks.push(Check::Table(*id, wanted.initial));
                    entries = wanted.initial;
                }
                limits(
                    (entries, found.maximum),
                    (wanted.initial, wanted.maximum),
                    "entries",
                )
            }
            (Item::Tag(index), Resolved::Tag(id)) => {
                // Equal, not merely alike: a handler takes what the tag's own type says (GHSA-cfhf-m2cr-62wj).
                let wanted = instance.types[module.tags[index as usize] as usize];
                let found = self.program.tags[id.index()].ty;
                (wanted != found).then(|| {
                    format!(
                        "it has type {}, wanted is type {}",
                        describe(self.program.ty(found)),
                        describe(self.program.ty(wanted))
                    )
                })
            }
            (wanted, found) => {
                let found = match found {
                    Resolved::Function(_) => "function",
                    Resolved::Table(_) => "table",
                    Resolved::Memory(_) => "memory",
                    Resolved::Global(_) => "global",
                    Resolved::Tag(_) => "tag",
                };
                Some(format!("it is a {found}, wanted is a {}", wanted.kind()))
            }
        }
    }

    /// Whether an action of the script may have made a memory or table longer. In a command only start
    /// functions run before the last instance is made: what they grow counts with its initial length.
    fn may_have_grown(&self, item: &Resolved) -> bool {
        let grows = |instance: &Instance<'_>| {
            instance.module.bodies.iter().any(|body| match item {
                Resolved::Memory(id) => {
                    let grown = &body.summary.memories_grown;
                    grown.iter().any(|i| instance.memories[*i as usize] == *id)
                }
                Resolved::Table(id) => {
                    let grown = &body.summary.tables_grown;
                    grown.iter().any(|i| instance.tables[*i as usize] == *id)
                }
                Resolved::Function(_) | Resolved::Global(_) | Resolved::Tag(_) => false,
            })
        };
        self.program.script.is_some() && self.program.instances.iter().any(grows)
    }
}

/// Why an address type does not match.
fn address_mismatch(found: bool, wanted: bool) -> Option<String> {
    let name = |is_64| if is_64 { "i64" } else { "i32" };
    (found != wanted).then(|| {
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

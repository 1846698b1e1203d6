//! What runs after instantiation.
//!
//! In: all instances and `--invoke`. Out: [`Entry`], or an error that lists what could be called.

use super::{Linker, describe};
use crate::error::{Error, Printable, Result};
use crate::module::{FuncType, Item, ValType};
use crate::program::{Callee, Entry, Instance};

impl Linker<'_, '_> {
    pub(super) fn choose_entry(&mut self) -> Result<()> {
        let nullary = FuncType::new([], []);
        let (main, links) = self
            .program
            .instances
            .split_last()
            .expect("a program has a main instance");
        let exported = |instance: &Instance<'_>, name: &str| match instance.module.export(name) {
            Some(Item::Function(index)) => Some((index, instance.functions[index as usize])),
            _ => None,
        };
        let lifecycle = |instance: &Instance<'_>, name: &str| {
            exported(instance, name).and_then(|(index, callee)| match callee {
                Callee::Defined(id) if *instance.module.function_type(index) == nullary => Some(id),
                _ => None,
            })
        };
        let mut entry = Entry::default();
        for link in links {
            entry.initialize.extend(lifecycle(link, "_initialize"));
        }
        let error = |message: String| Error::Link {
            message,
            place: main.module.place(),
        };
        let choices = || {
            let names: Vec<_> = main
                .module
                .exports
                .iter()
                .filter(|e| matches!(e.item, Item::Function(_)) && e.name != "_initialize")
                .take(8)
                .map(|e| Printable(e.name).to_string())
                .collect();
            if names.is_empty() {
                "it exports no function".to_owned()
            } else {
                format!("it exports {}", names.join(", "))
            }
        };
        if let Some(name) = &self.options.invoke {
            entry.initialize.extend(lifecycle(main, "_initialize"));
            let Some((index, callee)) = exported(main, name) else {
                return Err(error(format!(
                    "--invoke {}: the module has no such exported function; {}",
                    Printable(name),
                    choices()
                )));
            };
            let Callee::Defined(id) = callee else {
                return Err(error(format!(
                    "--invoke {}: the export is an imported function",
                    Printable(name)
                )));
            };
            let ty = main.module.function_type(index);
            if ty
                .params()
                .iter()
                .chain(ty.results())
                .any(|ty| ty.is_reference_type() || *ty == ValType::V128)
            {
                return Err(error(format!(
                    "--invoke {}: its type {} has a reference or a vector, which no command line can give or show",
                    Printable(name),
                    describe(ty)
                )));
            }
            entry.call = Some(id);
            entry.invoke = Some(name.clone());
        } else if let Some(start) = lifecycle(main, "_start") {
            entry.call = Some(start);
        } else {
            entry.initialize.extend(lifecycle(main, "_initialize"));
            if entry.initialize.is_empty() && main.module.start.is_none() {
                // An export of that name with parameters or results is no program's beginning.
                let missing = match exported(main, "_start") {
                    Some((_, Callee::Host(_))) => {
                        "the export `_start` is an imported function".to_owned()
                    }
                    Some((index, _)) => format!(
                        "the export `_start` has type {}",
                        describe(main.module.function_type(index))
                    ),
                    None => "no export `_start`".to_owned(),
                };
                return Err(error(format!(
                    "there is nothing to run: {missing}, no start function; build with --invoke NAME ({})",
                    choices()
                )));
            }
            if !entry.initialize.is_empty() && main.module.start.is_none() {
                entry.remark = Some(format!(
                    "no export `_start`: the program initializes itself and ends; --invoke NAME makes it call an \
                     export ({})",
                    choices()
                ));
            }
        }
        self.program.entry = entry;
        Ok(())
    }
}

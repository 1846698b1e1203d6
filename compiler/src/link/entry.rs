//! What runs after instantiation.
//!
//! In: all instances and `--invoke`. Out: [`Entry`], or an error that lists what could be called.

use super::{Linker, describe};
use crate::error::{Error, Printable, Result};
use crate::module::{FuncType, Item, ValType};
use crate::program::{Callee, Entry, FuncId, Instance};

impl Linker<'_, '_> {
    pub(super) fn choose_entry(&mut self) -> Result<()> {
        let (main, links) = self
            .program
            .instances
            .split_last()
            .expect("a program has a main instance");
        let mut entry = Entry::default();
        for link in links {
            entry.initialize.extend(lifecycle(link, "_initialize"));
        }
        let chosen = match &self.options.invoke {
            Some(name) => invoke(main, name, &mut entry),
            None => run(main, &mut entry),
        };
        chosen.map_err(|message| Error::Link {
            message,
            place: main.module.place(),
        })?;
        self.program.entry = entry;
        Ok(())
    }
}

/// Calls the export that `--invoke` names.
fn invoke(main: &Instance<'_>, name: &str, entry: &mut Entry) -> std::result::Result<(), String> {
    entry.initialize.extend(lifecycle(main, "_initialize"));
    let Some((index, callee)) = exported(main, name) else {
        return Err(format!(
            "--invoke {}: the module has no such exported function; {}",
            Printable(name),
            choices(main)
        ));
    };
    let Callee::Defined(id) = callee else {
        return Err(format!(
            "--invoke {}: the export is an imported function",
            Printable(name)
        ));
    };
    let ty = main.module.function_type(index);
    if ty
        .params()
        .iter()
        .chain(ty.results())
        .any(|ty| ty.is_reference_type() || *ty == ValType::V128)
    {
        return Err(format!(
            "--invoke {}: its type {} has a reference or a vector, which no command line can give or show",
            Printable(name),
            describe(ty)
        ));
    }
    entry.call = Some(id);
    entry.invoke = Some(name.to_owned());
    Ok(())
}

/// Calls `_start`, or initialises a module that has none.
fn run(main: &Instance<'_>, entry: &mut Entry) -> std::result::Result<(), String> {
    if let Some(start) = lifecycle(main, "_start") {
        entry.call = Some(start);
        return Ok(());
    }
    entry.initialize.extend(lifecycle(main, "_initialize"));
    if main.module.start.is_some() {
        return Ok(());
    }
    if entry.initialize.is_empty() {
        // An export of that name with parameters or results is no program's beginning.
        let missing = match exported(main, "_start") {
            Some((_, Callee::Host(_))) => "the export `_start` is an imported function".to_owned(),
            Some((index, _)) => format!(
                "the export `_start` has type {}",
                describe(main.module.function_type(index))
            ),
            None => "no export `_start`".to_owned(),
        };
        return Err(format!(
            "there is nothing to run: {missing}, no start function; build with --invoke NAME ({})",
            choices(main)
        ));
    }
    entry.remark = Some(format!(
        "no export `_start`: the program initializes itself and ends; --invoke NAME makes it call an export ({})",
        choices(main)
    ));
    Ok(())
}

/// An exported function: its index, and what it is.
fn exported(instance: &Instance<'_>, name: &str) -> Option<(u32, Callee)> {
    match instance.module.export(name) {
        Some(Item::Function(index)) => Some((index, instance.functions[index as usize])),
        _ => None,
    }
}

/// An exported function without parameters and results that the module defines itself.
fn lifecycle(instance: &Instance<'_>, name: &str) -> Option<FuncId> {
    match exported(instance, name)? {
        (index, Callee::Defined(id))
            if *instance.module.function_type(index) == FuncType::new([], []) =>
        {
            Some(id)
        }
        _ => None,
    }
}

/// What `--invoke` could name.
fn choices(main: &Instance<'_>) -> String {
    let functions =
        main.module.exports.iter().filter(|export| {
            matches!(export.item, Item::Function(_)) && export.name != "_initialize"
        });
    let names: Vec<_> = functions
        .take(8)
        .map(|export| Printable(export.name).to_string())
        .collect();
    if names.is_empty() {
        "it exports no function".to_owned()
    } else {
        format!("it exports {}", names.join(", "))
    }
}

//! Test scripts: what they do, one call each.
//!
//! In: modules, and what a script does with instances of them. Out: a program whose actions are those, in order.

use super::{Linker, Resolved, Slot, describe};
use crate::canonical;
use crate::error::{Error, Place, Printable, Result};
use crate::module::{FuncType, Module, ValType};
use crate::options::Options;
use crate::program::{Action, ActionKind, Constant, InstanceId, Program};
use elfin_abi::script::MAX_THREADS;
use std::collections::HashMap;

/// A thread of a script whose actions are being made.
#[derive(Debug)]
pub struct ScriptThread {
    /// Its number.
    pub number: u32,
    names: HashMap<String, Vec<InstanceId>>,
    position: usize,
}

impl<'m, 'o> Linker<'m, 'o> {
    /// A script that does nothing yet.
    #[must_use]
    pub fn script(options: &'o Options) -> Self {
        Self::new(options, true)
    }

    /// Makes an instance of `module` the next action.
    ///
    /// # Errors
    /// As [`super::link`]; the script is as before then.
    pub fn instantiate(&mut self, id: u32, module: &'m Module<'m>) -> Result<InstanceId> {
        let instance = self.draft(module)?;
        // What it defines nobody else can import yet: it is made when nothing can fail any more.
        if let Err(error) = self
            .resolve_imports(instance)
            .and_then(|()| self.declare(instance))
        {
            self.drafts.clear();
            self.exports.truncate(instance.index());
            return Err(error);
        }
        self.complete();
        self.act(id, ActionKind::Instantiate(instance));
        Ok(instance)
    }

    /// Lets `name` lead to `instance` from now on, and to nothing else.
    pub fn register(&mut self, name: &str, instance: InstanceId) {
        self.names.insert(name.to_owned(), vec![instance]);
    }

    /// Makes a call the next action.
    ///
    /// # Errors
    /// [`Error::Link`] when there is no such export, or it takes other arguments.
    pub fn invoke(
        &mut self,
        id: u32,
        instance: InstanceId,
        export: &str,
        arguments: &[(ValType, Constant)],
    ) -> Result<()> {
        let program = &self.program;
        let error = |message: String| Error::Link {
            message,
            place: program.instances[instance.index()].module.place(),
        };
        let Some(Slot::Leads(Resolved::Function(callee))) = self.export(instance, export) else {
            return Err(error(format!("no exported function {}", Printable(export))));
        };
        let ty = program.ty(program.callee_type(callee));
        let fits =
            |(wanted, (given, value)): (&ValType, &(ValType, Constant))| match (wanted, given) {
                (ValType::Ref(wanted), ValType::Ref(_)) if *value == Constant::Null => {
                    wanted.is_nullable()
                }
                (wanted, given) => canonical::is_subtype(&program.types, *given, *wanted),
            };
        if ty.params().len() != arguments.len() || !ty.params().iter().zip(arguments).all(fits) {
            let given: Vec<ValType> = arguments.iter().map(|(ty, _)| *ty).collect();
            let given = FuncType::new(given, []);
            return Err(error(format!(
                "{} has type {}, it is given arguments of {}",
                Printable(export),
                describe(ty),
                describe(&given)
            )));
        }
        if ty.results().len() > elfin_abi::script::MAX_RESULTS as usize {
            return Err(error(format!("{} has too many results", Printable(export))));
        }
        let arguments = arguments.iter().map(|(_, value)| *value).collect();
        self.act(id, ActionKind::Invoke { callee, arguments });
        Ok(())
    }

    /// Makes the reading of a global the next action.
    ///
    /// # Errors
    /// [`Error::Link`] when there is no such export.
    pub fn get(&mut self, id: u32, instance: InstanceId, export: &str) -> Result<()> {
        let Some(Slot::Leads(Resolved::Global(global))) = self.export(instance, export) else {
            return Err(Error::Link {
                message: format!("no exported global {}", Printable(export)),
                place: self.program.instances[instance.index()].module.place(),
            });
        };
        self.act(id, ActionKind::Get(global));
        Ok(())
    }

    /// The script as a program.
    #[must_use]
    pub fn finish(self) -> Program<'m> {
        self.program
    }

    /// The program as it is so far.
    #[must_use]
    pub fn program(&self) -> &Program<'m> {
        &self.program
    }

    fn act(&mut self, id: u32, kind: ActionKind) {
        self.program
            .script
            .get_or_insert_default()
            .push(Action { id, kind });
    }
}

/// Threads.
impl Linker<'_, '_> {
    /// Makes the start of a thread the next action; further actions are the thread's. `kept` are the names that lead
    /// to the same in it, all others lead nowhere.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`] when a script has more threads than the driver can tell apart.
    pub fn begin_thread(&mut self, id: u32, kept: &[&str]) -> Result<ScriptThread> {
        let actions = self.program.script.get_or_insert_default();
        let is_thread = |action: &&Action| matches!(action.kind, ActionKind::Thread { .. });
        let number = actions.iter().filter(is_thread).count() as u32;
        if number == MAX_THREADS {
            return Err(Error::LimitExceeded {
                message: format!("more threads than {MAX_THREADS} in a script"),
                place: Place::default(),
            });
        }
        let position = actions.len();
        let actions = 0;
        self.act(id, ActionKind::Thread { number, actions });
        let names = self.names.clone();
        self.names.retain(|name, _| kept.contains(&name.as_str()));
        Ok(ScriptThread {
            number,
            names,
            position,
        })
    }

    /// Ends the actions of a thread.
    pub fn end_thread(&mut self, thread: ScriptThread) {
        self.names = thread.names;
        let list = self.program.script.get_or_insert_default();
        let count = (list.len() - thread.position - 1) as u32;
        if let Some(ActionKind::Thread { actions, .. }) =
            list.get_mut(thread.position).map(|action| &mut action.kind)
        {
            *actions = count;
        }
    }

    /// Makes waiting for a thread the next action.
    pub fn wait(&mut self, id: u32, number: u32) {
        self.act(id, ActionKind::Wait(number));
    }
}

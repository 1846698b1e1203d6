//! What threads run and what they share (wasi-threads), and threads of test scripts.
//!
//! In: all instances. Out: the function that a thread calls, or an error that says what such a program must have;
//! shared memories that nobody else provides.

use super::{Linker, Resolved, describe};
use crate::error::{Error, Result};
use crate::module::{FuncType, Import, Item, ValType};
use crate::program::{Action, ActionKind, Callee, Instance, InstanceId};
use elfin_abi::host::THREAD_START;
use elfin_abi::script::MAX_THREADS;
use std::collections::HashMap;

impl<'m> Linker<'m, '_> {
    /// A shared memory that is imported from where nothing is linked, as toolchains for threads import theirs: it is
    /// made with the import's limits. In a script such an import is an error.
    pub(super) fn provide_memory(
        &mut self,
        instance: &Instance<'_>,
        import: &Import<'m>,
    ) -> Result<Option<Resolved>> {
        let Item::Memory(index) = import.item else {
            return Ok(None);
        };
        let ty = instance.module.memories[index as usize];
        if !ty.shared || self.program.script.is_some() {
            return Ok(None);
        }
        let name = (import.module, import.name);
        if let Some(id) = self.provided.get(&name) {
            return Ok(Some(Resolved::Memory(*id)));
        }
        self.check_memory(instance.module, &ty)?;
        let owner = InstanceId(self.program.instances.len() as u32);
        let id = self.define_memory(owner, &ty);
        self.provided.insert(name, id);
        Ok(Some(Resolved::Memory(id)))
    }

    /// Finds what threads call, for a program that imports what starts them.
    pub(super) fn choose_thread_start(&mut self) -> Result<()> {
        let program = &self.program;
        let mut hosts = program.host_functions.iter();
        if !hosts.any(|host| host.function().starts_threads()) {
            return Ok(());
        }
        let main = program.main();
        let error = |message: String| Error::Link {
            message,
            place: main.module.place(),
        };
        let wanted = FuncType::new([ValType::I32, ValType::I32], []);
        let found = match main.module.export(THREAD_START) {
            Some(Item::Function(index)) => Some(main.functions[index as usize]),
            _ => None,
        };
        let start = match found {
            Some(Callee::Defined(id))
                if *program.ty(program.functions[id.index()].ty) == wanted =>
            {
                id
            }
            _ => {
                return Err(error(format!(
                    "it imports wasi.thread-spawn, so it must define and export {THREAD_START} of type {}",
                    describe(&wanted)
                )));
            }
        };
        if program.memories.iter().any(|memory| !memory.shared) {
            return Err(error(
                "it imports wasi.thread-spawn, so its memories must be shared ones: each thread would have another \
                 memory of its own"
                    .to_owned(),
            ));
        }
        self.program.entry.thread_start = Some(start);
        Ok(())
    }
}

/// A thread of a script whose actions are being made.
#[derive(Debug)]
pub struct ScriptThread {
    /// Its number.
    pub number: u32,
    names: HashMap<String, Vec<InstanceId>>,
    position: usize,
}

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
                place: crate::error::Place::default(),
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

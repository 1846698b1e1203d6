//! What threads run and what they share (wasi-threads).
//!
//! In: all instances. Out: the function that a thread calls, or an error that says what such a program must have;
//! shared memories that nobody else provides.

use super::{Linker, Resolved, describe};
use crate::error::{Error, Result};
use crate::module::{FuncType, Import, Item, Module, ValType};
use crate::program::{Callee, InstanceId};
use elfin_abi::host::THREAD_START;

impl<'m> Linker<'m, '_> {
    /// A shared memory that is imported from where nothing is linked, as toolchains for threads import theirs: it is
    /// made with the import's limits. In a script such an import is an error.
    pub(super) fn provide_memory(
        &mut self,
        importer: InstanceId,
        module: &'m Module<'m>,
        import: &Import<'m>,
    ) -> Result<Option<Resolved>> {
        let Item::Memory(index) = import.item else {
            return Ok(None);
        };
        let ty = module.memories[index as usize];
        if !ty.shared || self.program.script.is_some() {
            return Ok(None);
        }
        let name = (import.module, import.name);
        if let Some(id) = self.provided.get(&name) {
            return Ok(Some(Resolved::Memory(*id)));
        }
        self.check_memory(module, &ty)?;
        let id = self.define_memory(importer, &ty);
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

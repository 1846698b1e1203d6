//! The messages of traps.
//!
//! In: the compiled functions. Out: a list of the messages of those traps that can happen in this program.

use super::Emitter;
use crate::codegen::{CompiledFunction, Target};
use crate::symbol::Symbol;
use elfin_abi::host::Libcall;
use elfin_abi::symbol;
use elfin_abi::trap::{TrapCode, encode_messages};
use object::{SymbolKind, SymbolScope};

impl Emitter<'_> {
    pub(super) fn messages(&mut self, functions: &[CompiledFunction]) {
        let unknown = Target::Symbol(Symbol::libcall(Libcall::UnknownImport));
        let raised = |code: TrapCode| match code {
            // The runtime's own: faults that no table of the program names.
            TrapCode::MemoryOutOfBounds | TrapCode::StackExhausted => true,
            TrapCode::UnknownImport => functions
                .iter()
                .any(|f| f.relocations.iter().any(|r| r.target == unknown)),
            code => functions
                .iter()
                .any(|f| f.traps.iter().any(|(_, trap)| *trap == code)),
        };
        let codes = TrapCode::ALL.iter().copied();
        let list = encode_messages(codes.filter(|code| raised(*code)));
        let at = self.append(self.rodata, &list, 1);
        self.define(
            symbol::TRAP_MESSAGES.into(),
            self.rodata,
            at,
            list.len() as u64,
            SymbolKind::Data,
            SymbolScope::Linkage,
        );
    }
}

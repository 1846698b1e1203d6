//! What the runtime must know to start threads.
//!
//! In: the layout, the state block as it is before the first instruction. Out: the record
//! `elfin_abi::threads::ThreadsHeader`, and a read-only copy of what each thread has for itself: the block proper has
//! changed by the time that a thread is started.

use super::state::StateBlock;
use super::{Emitter, Record};
use crate::error::Result;
use crate::symbol::Symbol;
use elfin_abi::symbol;
use elfin_abi::threads::ThreadsHeader;
use object::write::SymbolId;

impl Emitter<'_> {
    /// The copy; `descriptors` are the offsets of descriptors of segments that begin with the address of one.
    pub(super) fn template(
        &mut self,
        block: &StateBlock,
        descriptors: &[(u32, SymbolId)],
    ) -> Result<()> {
        if !self.env.program.has_threads() {
            return Ok(());
        }
        let size = self.layout().private_size;
        let is_own = |offset: u32| u64::from(offset) < size;
        let own = &block.bytes[..size as usize];
        let used = own.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
        let pointed = descriptors.iter().filter(|(at, _)| is_own(*at));
        let end = pointed.clone().map(|(at, _)| *at as usize + 8).max();
        let len = used.max(end.unwrap_or(0)).next_multiple_of(8);
        let at = self.append(self.rodata, &own[..len], 16);
        for (offset, callee) in block.references.iter().filter(|(at, _)| is_own(*at)) {
            self.reference(self.rodata, at + u64::from(*offset), *callee)?;
        }
        for (offset, symbol) in pointed {
            let offset = at + u64::from(*offset);
            self.relocation(self.rodata, offset, *symbol, 0, self.absolute_64())?;
        }
        self.name(Symbol::ThreadTemplate, "elfin_thread_template", at);
        self.template_len = len as u64;
        Ok(())
    }

    /// The record, for programs that have threads.
    pub(super) fn threads(&mut self) -> Result<()> {
        let Some(place) = self.layout().threads else {
            return Ok(());
        };
        let mut header = Record::default();
        header.word(place.base);
        header.word(place.slots);
        header.word(place.stride);
        header.word(place.count);
        header.word(self.layout().stack.1);
        match self.symbols.get(&Symbol::ThreadTemplate) {
            Some(template) => header.address(*template, 0),
            None => header.word(0),
        }
        header.word(self.template_len);
        match self.symbols.get(&Symbol::ThreadStart) {
            Some(start) => header.address(*start, 0),
            None => header.word(0),
        }
        debug_assert_eq!(header.bytes.len(), ThreadsHeader::SIZE as usize);
        self.publish(&header, symbol::THREADS)
    }
}

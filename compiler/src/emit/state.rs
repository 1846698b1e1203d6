//! The state block and the segments that are needed at run time.
//!
//! In: folded tables, globals and segments. Out: the section of the state block, read-only bytes, and the symbols
//! that code refers to.

use super::{Emitter, Record};
use crate::error::Result;
use crate::fold::{Applied, Folded, is_computed};
use crate::layout::{Entries, GlobalPlace};
use crate::module::ConstExpr;
use crate::program::{
    Action, ActionKind, Callee, Constant, DataId, ElementId, Program, Segment, TableId, UnknownId,
    evaluate,
};
use crate::symbol::Symbol;
use crate::translate::reference_symbol;
use elfin_abi::state::{FuncRef, SegmentDescriptor};
use elfin_abi::{script, symbol};
use object::SectionKind;
use object::write::{SectionId, SymbolId};

impl Emitter<'_> {
    /// Writes a function reference: the code's address and the type's id.
    pub(super) fn reference(
        &mut self,
        section: SectionId,
        offset: u64,
        callee: Callee,
    ) -> Result<()> {
        let symbol = self.symbol(reference_symbol(callee));
        self.relocation(section, offset, symbol, 0, self.absolute_32())
    }

    /// The bytes of a reference, the address left out.
    pub(super) fn reference_bytes(&self, callee: Option<Callee>) -> [u8; FuncRef::SIZE as usize] {
        let id = callee.map_or(0, |callee| {
            let ty = self.env.program.callee_type(callee);
            self.layout().types.numbers(ty).0
        });
        (u64::from(id) << 32).to_le_bytes()
    }

    /// Read-only bytes of segments that are needed at run time, names of unknown imports, the name of the
    /// invoked export.
    pub(super) fn read_only(&mut self, folded: &Folded) -> Result<()> {
        let program = self.env.program;
        self.data(folded);
        self.elements(folded)?;
        for (i, entries) in (0..).zip(&folded.tables) {
            let id = TableId(i);
            if self.layout().tables[id.index()].own.is_some() && !entries.is_empty() {
                let at = self.references(self.rodata, entries)?;
                self.name(Symbol::TableEntries(id), &format!("elfin_entries_{i}"), at);
            }
        }
        for (i, unknown) in (0..).zip(&program.unknown) {
            let text = [unknown.module.as_bytes(), unknown.name.as_bytes()].concat();
            let at = self.append(self.rodata, &text, 1);
            let symbol = Symbol::UnknownName(UnknownId(i));
            self.name(symbol, &format!("elfin_unknown_{i}"), at);
        }
        if let Some(name) = &program.entry.invoke {
            let at = self.append(self.rodata, name.as_bytes(), 1);
            self.name(Symbol::InvokeName, "elfin_invoke", at);
        }
        if self.env.cpu.needs_check() {
            let name = self.env.cpu.describe_level(self.env.arch);
            let at = self.append(self.rodata, name.as_bytes(), 1);
            self.name(Symbol::CpuName, "elfin_cpu", at);
        }
        match &program.script {
            Some(actions) => self.script(actions),
            None => Ok(()),
        }
    }

    fn data(&mut self, folded: &Folded) {
        for (i, segment) in (0..).zip(&self.env.program.data) {
            let id = DataId(i);
            let is_wanted = match folded.data[id.index()] {
                Applied::Folded => false,
                Applied::AtStart => true,
                Applied::Never => self.env.usage.data_used[id.index()],
            };
            if is_wanted {
                let at = self.append(self.rodata, data_bytes(self.env.program, segment), 1);
                self.name(Symbol::Data(id), &format!("elfin_data_{i}"), at);
            }
        }
    }

    fn elements(&mut self, folded: &Folded) -> Result<()> {
        let program = self.env.program;
        for (i, segment) in (0..).zip(&program.elements) {
            let id = ElementId(i);
            let is_wanted = match folded.elements[id.index()] {
                Applied::Folded => false,
                Applied::AtStart => true,
                Applied::Never => self.env.usage.elements_used[id.index()] && !segment.declared,
            };
            let instance = &program.instances[segment.instance.index()];
            let items = element_items(program, segment);
            if !is_wanted || is_computed(program, instance, items) {
                continue;
            }
            let items: Vec<Option<Callee>> = items
                .iter()
                .map(|item| function_constant(evaluate(&program.globals, instance, item)))
                .collect();
            let at = self.references(self.rodata, &items)?;
            self.name(Symbol::Elements(id), &format!("elfin_elements_{i}"), at);
        }
        Ok(())
    }

    /// What a script does, for its driver: `elfin_abi::script::Action`.
    fn script(&mut self, actions: &[Action]) -> Result<()> {
        let mut records = Record::default();
        for (index, action) in (0..).zip(actions) {
            let results = match action.kind {
                ActionKind::Thread { number, actions } => {
                    records.word(actions.into());
                    script::THREAD | number
                }
                ActionKind::Wait(number) => {
                    records.word(0);
                    script::WAIT | number
                }
                _ => {
                    records.address(self.symbols[&Symbol::Action(index)], 0);
                    self.env.program.action_results(action).len() as u32
                }
            };
            records.half(action.id);
            records.half(results);
        }
        let at = self.append_record(&records, 8)?;
        self.name(Symbol::Script, "elfin_actions", at);
        Ok(())
    }

    /// Appends an array of references.
    pub(super) fn references(
        &mut self,
        section: SectionId,
        items: &[Option<Callee>],
    ) -> Result<u64> {
        let bytes: Vec<u8> = items
            .iter()
            .flat_map(|item| self.reference_bytes(*item))
            .collect();
        let at = self.append(section, &bytes, u64::from(FuncRef::SIZE));
        for (slot, item) in (0_u64..).zip(items) {
            if let Some(callee) = item {
                self.reference(section, at + slot * u64::from(FuncRef::SIZE), *callee)?;
            }
        }
        Ok(at)
    }

    /// The state block as it is before the first instruction. Returns the bytes it takes in memory.
    pub(super) fn state(&mut self, folded: &Folded) -> Result<u64> {
        let layout = self.layout();
        let mut block = StateBlock::new(layout.state_size.max(8));
        self.put_globals(&mut block);
        self.put_memories(&mut block);
        self.put_tables(&mut block, folded);
        let mut descriptors = self.put_data(&mut block, folded);
        descriptors.extend(self.put_elements(&mut block, folded));
        self.template(&block, &descriptors)?;
        let end = descriptors
            .iter()
            .map(|(at, _)| u64::from(at + SegmentDescriptor::SIZE))
            .max()
            .unwrap_or(0);
        block.trim(end.max(8));

        let section = self.section(symbol::SECTION_STATE, SectionKind::Data);
        self.append(section, &block.bytes, 16);
        for (offset, callee) in block.references {
            self.reference(section, u64::from(offset), callee)?;
        }
        for (offset, symbol) in descriptors {
            self.relocation(section, u64::from(offset), symbol, 0, self.absolute_64())?;
        }
        Ok(layout.state_size.max(8))
    }

    fn put_globals(&self, block: &mut StateBlock) {
        let globals = self.env.program.globals.iter();
        for (global, place) in globals.zip(&self.layout().globals) {
            let GlobalPlace::Slot(offset) = *place else {
                continue;
            };
            match global.init {
                Constant::Bits(bits) => block.word(offset, 0, bits),
                Constant::V128(bits) => {
                    block.word(offset, 0, bits as u64);
                    block.word(offset, 8, (bits >> 64) as u64);
                }
                Constant::Null | Constant::Computed => {}
                Constant::Function(callee) => {
                    block.reference(offset, callee, self.reference_bytes(Some(callee)))
                }
            }
        }
    }

    fn put_memories(&self, block: &mut StateBlock) {
        let memories = self.env.program.memories.iter();
        for (memory, place) in memories.zip(&self.layout().memories) {
            let page_log2 = u64::from(memory.page_log2);
            block.record(
                place.descriptor,
                &[place.base, memory.initial, memory.maximum, page_log2],
            );
        }
    }

    fn put_tables(&self, block: &mut StateBlock, folded: &Folded) {
        let (program, layout) = (self.env.program, self.layout());
        for (id, table) in (0..).map(TableId).zip(&program.tables) {
            let place = layout.tables[id.index()];
            let base = layout.table_address(id);
            block.record(
                place.descriptor,
                &[base, table.initial, place.capacity, place.capacity],
            );
            let Entries::State(offset) = place.entries else {
                continue;
            };
            for (slot, entry) in (0_u32..).zip(&folded.tables[id.index()]) {
                if let Some(callee) = entry {
                    let at = offset + slot * FuncRef::SIZE;
                    block.reference(at, *callee, self.reference_bytes(*entry));
                }
            }
        }
    }

    /// Returns the descriptors that begin with the address of bytes elsewhere, and the symbol of these.
    fn put_data(&self, block: &mut StateBlock, folded: &Folded) -> Vec<(u32, SymbolId)> {
        let (program, layout) = (self.env.program, self.layout());
        let mut descriptors = Vec::new();
        for (i, (segment, place)) in program.data.iter().zip(&layout.data).enumerate() {
            // An active segment is dropped once it was applied (core spec, 4.5.4).
            if let Some(offset) = *place
                && folded.data[i] != Applied::Folded
            {
                let len = data_bytes(program, segment).len() as u64;
                block.word(offset, SegmentDescriptor::LEN, len);
                descriptors.push((offset, self.symbols[&Symbol::Data(DataId(i as u32))]));
            }
        }
        descriptors
    }

    /// As [`Self::put_data`].
    fn put_elements(&self, block: &mut StateBlock, folded: &Folded) -> Vec<(u32, SymbolId)> {
        let (program, layout) = (self.env.program, self.layout());
        let mut descriptors = Vec::new();
        for (i, (segment, place)) in program.elements.iter().zip(&layout.elements).enumerate() {
            let Some(offset) = *place else { continue };
            if folded.elements[i] == Applied::Folded || segment.declared {
                continue;
            }
            let len = element_items(program, segment).len() as u64;
            let symbol = self.symbols.get(&Symbol::Elements(ElementId(i as u32)));
            match (symbol, layout.element_items[i]) {
                (Some(symbol), _) => {
                    block.word(offset, SegmentDescriptor::LEN, len);
                    descriptors.push((offset, *symbol));
                }
                (None, Some(items)) => {
                    let base = layout.state() + u64::from(items);
                    block.record(offset, &[base, len]);
                }
                // Evaluated into its table, and dropped.
                (None, None) => {}
            }
        }
        descriptors
    }
}

fn data_bytes<'m>(program: &Program<'m>, segment: &Segment) -> &'m [u8] {
    let module = program.instances[segment.instance.index()].module;
    module.data[segment.index as usize].bytes
}

fn element_items<'m>(program: &Program<'m>, segment: &Segment) -> &'m [ConstExpr] {
    let module = program.instances[segment.instance.index()].module;
    &module.elements[segment.index as usize].items
}

fn function_constant(constant: Constant) -> Option<Callee> {
    match constant {
        Constant::Function(callee) => Some(callee),
        Constant::Null | Constant::Bits(_) | Constant::V128(_) | Constant::Computed => None,
    }
}

/// The state block under construction.
pub(super) struct StateBlock {
    pub(super) bytes: Vec<u8>,
    pub(super) references: Vec<(u32, Callee)>,
}

impl StateBlock {
    fn new(size: u64) -> Self {
        Self {
            bytes: vec![0; size as usize],
            references: Vec::new(),
        }
    }

    fn word(&mut self, offset: u32, field: i32, value: u64) {
        let at = offset as usize + field as usize;
        self.bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }

    fn record(&mut self, offset: u32, words: &[u64]) {
        for (i, word) in (0..).zip(words) {
            self.word(offset, i * 8, *word);
        }
    }

    fn reference(&mut self, offset: u32, callee: Callee, bytes: [u8; FuncRef::SIZE as usize]) {
        self.word(offset, 0, u64::from_le_bytes(bytes));
        self.references.push((offset, callee));
    }

    /// Cuts zeros off the end, for the kernel fills them in; what lies below `at_least` stays.
    fn trim(&mut self, at_least: u64) {
        let used = self
            .bytes
            .iter()
            .rposition(|b| *b != 0)
            .map_or(0, |last| last + 1);
        self.bytes.truncate(
            used.max(at_least as usize)
                .next_multiple_of(8)
                .min(self.bytes.len()),
        );
    }
}

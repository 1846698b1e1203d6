//! What is left to do at start: the steps that were not folded (`crate::fold`).
//!
//! In: steps, in the order of the specification. Out: code that copies segments, sets globals, fills tables and calls
//! start functions, up to a step that is known to trap.

use super::glue::main_signature;
use super::{Region, Translator, trap_code};
use crate::fold::{Applied, Folded, Items, Step};
use crate::layout::{Entries, GlobalPlace};
use crate::parts;
use crate::program::{Callee, DataId, ElementId, GlobalId, MemoryId, TableId};
use crate::symbol::Symbol;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value};
use elfin_abi::host::Libcall;
use elfin_abi::state::FuncRef;
use elfin_abi::trap::TrapCode;
use std::ops::Range;

/// Why a segment that is copied has a place.
const ACTIVE: &str = "folded: only active segments are steps";

impl Translator<'_, '_> {
    /// Steps, up to one that is known to trap: here, or where they are many in functions of their own.
    pub(super) fn steps(&mut self, folded: &Folded, steps: Range<usize>) {
        let parts = parts::of_scope(folded, &steps);
        for part in parts.clone() {
            let state = self.state_address(0);
            let steps = self.function(Symbol::Steps(part), main_signature);
            self.builder.ins().call(steps, &[state]);
        }
        if !parts.is_empty() {
            return;
        }
        for step in &folded.steps[steps] {
            if self.reachable {
                self.step(folded, *step);
            }
        }
    }

    /// Traps unless `end` is within `length`, which is at least `initial`.
    fn check_end(
        &mut self,
        end: u64,
        initial: u64,
        length: impl FnOnce(&mut Self) -> Value,
        code: TrapCode,
    ) {
        if end > initial {
            let length = length(self);
            let end = self.iconst64(end);
            let outside = self
                .builder
                .ins()
                .icmp(IntCC::UnsignedGreaterThan, end, length);
            self.builder.ins().trapnz(outside, trap_code(code));
        }
    }

    pub(super) fn fill_table(&mut self, table: usize, callee: Callee, entries: u64) {
        let place = self.env.layout.tables[table];
        let base = match place.entries {
            Entries::State(offset) => self.state_address(offset),
            Entries::Reserved(_) if place.own.is_some() => self.table_base(TableId(table as u32)),
            Entries::Reserved(address) => self.iconst64(address),
        };
        self.push_function_reference(callee);
        let value = self.pop();
        let entries = self.iconst64(entries);
        self.call_libcall(Libcall::TableFill, &[base, value, entries]);
    }

    pub(super) fn step(&mut self, folded: &Folded, step: Step) {
        match step {
            Step::Trap(code) => self.trap(code),
            Step::Start(id) => {
                self.call_function(Callee::Defined(id), &[]);
            }
            Step::StartImport(callee) => {
                self.call_function(callee, &[]);
            }
            Step::CopyData(id) => {
                debug_assert_eq!(folded.data[id.index()], Applied::AtStart);
                self.copy_data(id);
            }
            Step::SetGlobal(id) => self.set_global(id),
            Step::FillTable(id) => {
                let table = &self.env.program.tables[id.index()];
                let module = self.env.program.instances[table.instance.index()].module;
                let init = module.tables[table.index as usize].init.as_ref();
                let init = init.expect("folded: null needs no step");
                let value = self.const_expr(table.instance, init);
                let base = self.table_base(id);
                let entries = self.iconst64(table.initial);
                self.call_libcall(Libcall::TableFill, &[base, value, entries]);
            }
            Step::EvaluateElements(id, items) => self.evaluate_elements(id, items),
            Step::CheckElements(id) => {
                self.check_elements(id);
            }
            Step::PlaceElements(id, items) => self.place_elements(id, items),
            Step::DropElements(id) => {
                debug_assert_eq!(folded.elements[id.index()], Applied::AtStart);
                if let Some(descriptor) = self.env.layout.elements[id.index()] {
                    self.drop_segment(descriptor);
                }
            }
            Step::CopyElements(id) => {
                debug_assert_eq!(folded.elements[id.index()], Applied::AtStart);
                self.copy_elements(id);
            }
        }
    }

    fn copy_data(&mut self, id: DataId) {
        let program = self.env.program;
        let segment = program.data[id.index()];
        let (memory, offset) = segment.active.expect(ACTIVE);
        let module = program.instances[segment.instance.index()].module;
        let len = module.data[segment.index as usize].bytes.len() as u64;
        let memory = MemoryId(memory);
        self.check_end(
            offset.saturating_add(len),
            program.memories[memory.index()].initial,
            |t| t.memory_length(memory),
            TrapCode::MemoryOutOfBounds,
        );
        let base = self.memory_base(memory);
        let to = self.builder.ins().iadd_imm_u(base, offset.cast_signed());
        let from = self.symbol_address(Symbol::Data(id));
        let len = self.iconst64(len);
        self.call_libcall(Libcall::Memmove, &[to, from, len]);
        if let Some(descriptor) = self.env.layout.data[id.index()] {
            self.drop_segment(descriptor);
        }
    }

    /// Gives a global its initial value, which is made at start.
    fn set_global(&mut self, id: GlobalId) {
        let global = self.env.program.globals[id.index()];
        let module = self.env.program.instances[global.instance.index()].module;
        let init = module.globals[global.index as usize].init.as_ref();
        let init = init.expect("a defined global has an initial value");
        let value = self.const_expr(global.instance, init);
        let GlobalPlace::Slot(offset) = self.env.layout.global(id) else {
            unreachable!("laid out: what is computed has a slot");
        };
        self.store_state(value, offset, 0, Region::Global(id.0));
    }

    /// Makes items of a passive segment, where anything reads them.
    fn evaluate_elements(&mut self, id: ElementId, items: Items) {
        let Some(offset) = self.env.layout.element_items[id.index()] else {
            return;
        };
        let segment = self.env.program.elements[id.index()];
        let module = self.env.program.instances[segment.instance.index()].module;
        let all = &module.elements[segment.index as usize].items;
        for at in items.first..items.end {
            let value = self.const_expr(segment.instance, &all[at as usize]);
            let at = offset + at * FuncRef::SIZE;
            self.store_state(value, at, 0, Region::Segments);
        }
    }

    /// Makes items of an active segment and puts them into their table, which has room for them.
    fn place_elements(&mut self, id: ElementId, items: Items) {
        let segment = self.env.program.elements[id.index()];
        let (table, offset) = segment.active.expect(ACTIVE);
        let module = self.env.program.instances[segment.instance.index()].module;
        let all = &module.elements[segment.index as usize].items;
        let table = TableId(table);
        // An item is in its place before the next one may call the collector.
        for at in items.first..items.end {
            let value = self.const_expr(segment.instance, &all[at as usize]);
            let base = self.table_base(table);
            let at = offset.wrapping_add(at.into());
            let at = at.wrapping_mul(FuncRef::SIZE.into()).cast_signed();
            let (to, at) = match i32::try_from(at) {
                Ok(at) => (base, at),
                Err(_) => (self.builder.ins().iadd_imm_u(base, at), 0),
            };
            let flags = self.table_flags(table);
            self.builder.ins().store(flags, value, to, at);
        }
    }

    fn copy_elements(&mut self, id: ElementId) {
        let (table, offset, len) = self.check_elements(id);
        let size = u64::from(FuncRef::SIZE);
        let base = self.table_base(table);
        let to = self
            .builder
            .ins()
            .iadd_imm_u(base, offset.wrapping_mul(size).cast_signed());
        let from = self.symbol_address(Symbol::Elements(id));
        let len = self.iconst64(len * size);
        self.call_libcall(Libcall::Memmove, &[to, from, len]);
        if let Some(descriptor) = self.env.layout.elements[id.index()] {
            self.drop_segment(descriptor);
        }
    }

    /// Traps unless an active element segment fits its table: which, where, and how many items.
    fn check_elements(&mut self, id: ElementId) -> (TableId, u64, u64) {
        let program = self.env.program;
        let segment = program.elements[id.index()];
        let (table, offset) = segment.active.expect(ACTIVE);
        let module = program.instances[segment.instance.index()].module;
        let len = module.elements[segment.index as usize].items.len() as u64;
        let table = TableId(table);
        self.check_end(
            offset.saturating_add(len),
            program.tables[table.index()].initial,
            |t| t.table_length(table),
            TrapCode::TableOutOfBounds,
        );
        (table, offset, len)
    }
}

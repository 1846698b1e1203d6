//! Table operators (core spec, 4.4.6). Entries are 64-bit references.

use super::state::Access;
use super::{Region, Translator, trap_code, types};
use crate::layout::Entries;
use crate::module::ValType;
use crate::options::Addressing;
use crate::program::{ElementId, TableId};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Value};
use elfin_abi::host::Libcall;
use elfin_abi::state::{FuncRef, TableDescriptor};
use elfin_abi::trap::TrapCode;

const ENTRY_LOG2: i64 = FuncRef::SIZE.trailing_zeros() as i64;

impl Translator<'_, '_> {
    pub(super) fn table(&self, index: u32) -> TableId {
        self.instance.tables[index as usize]
    }

    /// Length of a table (i64).
    pub(super) fn table_length(&mut self, table: TableId) -> Value {
        let place = self.env.layout.tables[table.index()];
        if place.fixed_length {
            return self.iconst64(self.env.program.tables[table.index()].initial);
        }
        self.load_state_word(
            place.descriptor,
            TableDescriptor::LEN,
            Access::Mutable(Region::TableLength(table.0)),
        )
    }

    /// Address of entry 0.
    pub(super) fn table_base(&mut self, table: TableId) -> Value {
        let layout = self.env.layout;
        match (layout.tables[table.index()].entries, layout.addressing) {
            (Entries::State(offset), Addressing::Context) => self.state_address(offset),
            (_, Addressing::Fixed) => self.iconst64(layout.table_address(table)),
            (Entries::Reserved(_), Addressing::Context)
                if layout.tables[table.index()].own.is_some() =>
            {
                // Each thread has it elsewhere.
                let descriptor = layout.tables[table.index()].descriptor;
                self.load_state_word(descriptor, TableDescriptor::BASE, Access::Constant)
            }
            // Never written to, so that threads share it.
            (Entries::Reserved(address), Addressing::Context) if layout.has_threads => {
                self.iconst64(address)
            }
            (Entries::Reserved(_), Addressing::Context) => {
                let descriptor = layout.tables[table.index()].descriptor;
                self.load_state_word(descriptor, TableDescriptor::BASE, Access::Constant)
            }
        }
    }

    /// Address of entry `index` (of the table's address type), which is checked.
    pub(super) fn table_entry(&mut self, table: TableId, index: Value, code: TrapCode) -> Value {
        let index = self.widen(index);
        let length = self.table_length(table);
        let outside = self
            .builder
            .ins()
            .icmp(IntCC::UnsignedGreaterThanOrEqual, index, length);
        self.builder.ins().trapnz(outside, trap_code(code));
        let base = self.table_base(table);
        let offset = self.builder.ins().ishl_imm_u(index, ENTRY_LOG2);
        self.builder.ins().iadd(base, offset)
    }

    /// Flags of an access to an entry whose index was checked.
    pub(super) fn table_flags(&mut self, table: TableId) -> MemFlagsData {
        let region = self.region(Region::Table(table.0));
        let flags = MemFlagsData::trusted().with_alias_region(Some(region));
        if self.env.layout.tables[table.index()].constant {
            flags.with_readonly()
        } else {
            flags
        }
    }

    /// Address of `len` entries at `index`, checked.
    fn table_range(&mut self, table: TableId, index: Value, len: Value) -> Value {
        let end = self.range_end(index, len, TrapCode::TableOutOfBounds);
        let index = self.widen(index);
        let length = self.table_length(table);
        let outside = self
            .builder
            .ins()
            .icmp(IntCC::UnsignedGreaterThan, end, length);
        self.builder
            .ins()
            .trapnz(outside, trap_code(TrapCode::TableOutOfBounds));
        let base = self.table_base(table);
        let offset = self.builder.ins().ishl_imm_u(index, ENTRY_LOG2);
        self.builder.ins().iadd(base, offset)
    }

    pub(super) fn table_get(&mut self, table: u32) {
        let table = self.table(table);
        let index = self.pop();
        let entry = self.table_entry(table, index, TrapCode::TableOutOfBounds);
        let flags = self.table_flags(table);
        let value = self.builder.ins().load(types::I64, flags, entry, 0);
        let element = self.env.program.tables[table.index()].element;
        self.note(value, ValType::Ref(element));
        self.push(value);
    }

    pub(super) fn table_set(&mut self, table: u32) {
        let table = self.table(table);
        let (index, value) = self.pop2();
        let entry = self.table_entry(table, index, TrapCode::TableOutOfBounds);
        let flags = self.table_flags(table);
        self.builder.ins().store(flags, value, entry, 0);
    }

    pub(super) fn table_size(&mut self, table: u32) {
        let table = self.table(table);
        let length = self.table_length(table);
        let is_64 = self.env.program.tables[table.index()].is_64;
        self.push_address(length, is_64);
    }

    pub(super) fn table_grow(&mut self, table: u32) {
        let table = self.table(table);
        let (value, entries) = self.pop2();
        let entries = self.widen(entries);
        let descriptor = self.env.layout.tables[table.index()].descriptor;
        let descriptor = self.state_address(descriptor);
        let old = self.call_libcall(Libcall::TableGrow, &[descriptor, entries, value]);
        let is_64 = self.env.program.tables[table.index()].is_64;
        self.push_address(old[0], is_64);
    }

    pub(super) fn table_fill(&mut self, table: u32) {
        let table = self.table(table);
        let (index, value, len) = self.pop3();
        let to = self.table_range(table, index, len);
        let len = self.widen(len);
        self.call_libcall(Libcall::TableFill, &[to, value, len]);
    }

    pub(super) fn table_copy(&mut self, to: u32, from: u32) {
        let (to_table, from_table) = (self.table(to), self.table(from));
        let (to, from, len) = self.pop3();
        let from = self.table_range(from_table, from, len);
        let to = self.table_range(to_table, to, len);
        self.copy_entries(to, from, len);
    }

    pub(super) fn table_init(&mut self, element: u32, table: u32) {
        let id = ElementId(self.instance.first_element + element);
        let table = self.table(table);
        let (to, from, len) = self.pop3();
        let to = self.table_range(table, to, len);
        let descriptor = self.env.layout.elements[id.index()]
            .expect("used: a segment that is read has a descriptor");
        let from = self.segment_range(
            descriptor,
            from,
            len,
            ENTRY_LOG2,
            TrapCode::TableOutOfBounds,
        );
        self.copy_entries(to, from, len);
    }

    fn copy_entries(&mut self, to: Value, from: Value, len: Value) {
        let len = self.widen(len);
        let bytes = self.builder.ins().ishl_imm_u(len, ENTRY_LOG2);
        self.call_libcall(Libcall::Memmove, &[to, from, bytes]);
    }

    pub(super) fn elem_drop(&mut self, element: u32) {
        let id = ElementId(self.instance.first_element + element);
        let descriptor = self.env.layout.elements[id.index()]
            .expect("used: a segment that is dropped has a descriptor");
        self.drop_segment(descriptor);
    }
}

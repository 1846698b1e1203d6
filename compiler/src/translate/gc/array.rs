//! Arrays (core spec, 4.4.4). Elements follow the header; every access is compared with the length there, and the
//! load of the length is where null faults.

use super::super::{Region, Translator, trap_code, types};
use crate::objects::Storage;
use crate::program::{DataId, ElementId};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Value};
use elfin_abi::gc::{ELEMENTS, GRANULE, LENGTH, array_size};
use elfin_abi::host::Libcall;
use elfin_abi::state::FuncRef;
use elfin_abi::trap::TrapCode;
use wasmparser::StorageType;

/// Most bytes of zeros that are written one word after the other.
const MAX_INLINE: u64 = 64;

impl Translator<'_, '_> {
    /// A new array of `length` elements (i64), which are to be written before the next call.
    fn new_array(&mut self, index: u32, length: Value) -> Value {
        let id = self.type_id(index);
        let log2 = self.env.layout.types.array(id).log2;
        let size = match self.constant_length(length) {
            Some(length) => self.iconst64(array_size(length, log2)),
            None => {
                let bytes = self.builder.ins().ishl_imm_u(length, i64::from(log2));
                if u64::from(log2) < u64::from(GRANULE.trailing_zeros()) {
                    let above = (ELEMENTS as u64 + GRANULE - 1).cast_signed();
                    let above = self.builder.ins().iadd_imm_u(bytes, above);
                    self.builder.ins().band_imm_s(above, -GRANULE.cast_signed())
                } else {
                    self.builder.ins().iadd_imm_u(bytes, i64::from(ELEMENTS))
                }
            }
        };
        let array = self.new_object(id, size);
        self.store_length(array, length);
        array
    }

    /// A length that is a constant of the function, widened or not.
    fn constant_length(&self, length: Value) -> Option<u32> {
        let dfg = &self.builder.func.dfg;
        let narrow = match dfg.value_def(length).inst().map(|inst| dfg.insts[inst]) {
            Some(cranelift_codegen::ir::InstructionData::Unary {
                opcode: cranelift_codegen::ir::Opcode::Uextend,
                arg,
            }) => arg,
            _ => length,
        };
        self.constant(narrow).map(|length| length as u32)
    }

    fn element(&self, index: u32) -> Storage {
        self.env.layout.types.array(self.type_id(index))
    }

    fn element_flags(&mut self, element: Storage) -> MemFlagsData {
        let region = self.region(Region::Element(element.log2));
        MemFlagsData::new()
            .with_notrap()
            .with_alias_region(Some(region))
    }

    /// Length of an array (i64).
    fn array_length(&mut self, array: Value) -> Value {
        let code = TrapCode::NullArrayReference;
        let flags = self.object_flags(array, LENGTH as u32, Region::Header, code);
        self.builder.ins().uload32(flags, array, LENGTH)
    }

    /// Address of an element, less the header; the index is checked.
    fn element_address(&mut self, element: Storage, array: Value, index: Value) -> Value {
        let index = self.widen(index);
        let length = self.array_length(array);
        self.trap_if_outside(IntCC::UnsignedGreaterThanOrEqual, index, length);
        let offset = self.bytes_of(element, index);
        self.builder.ins().iadd(array, offset)
    }

    /// Address of the first of `length` elements, which are checked to be there.
    fn element_range(
        &mut self,
        element: Storage,
        array: Value,
        index: Value,
        length: Value,
    ) -> Value {
        let (index, length) = (self.widen(index), self.widen(length));
        let end = self.builder.ins().iadd(index, length);
        let there = self.array_length(array);
        self.trap_if_outside(IntCC::UnsignedGreaterThan, end, there);
        let offset = self.bytes_of(element, index);
        let first = self.builder.ins().iadd(array, offset);
        self.builder.ins().iadd_imm_u(first, i64::from(ELEMENTS))
    }

    /// Traps if the comparison of an index (i64) with an array's length holds.
    fn trap_if_outside(&mut self, comparison: IntCC, index: Value, length: Value) {
        let outside = self.builder.ins().icmp(comparison, index, length);
        self.builder
            .ins()
            .trapnz(outside, trap_code(TrapCode::ArrayOutOfBounds));
    }

    fn first_element(&mut self, array: Value) -> Value {
        self.builder.ins().iadd_imm_u(array, i64::from(ELEMENTS))
    }

    fn bytes_of(&mut self, element: Storage, length: Value) -> Value {
        let length = self.widen(length);
        self.builder
            .ins()
            .ishl_imm_u(length, i64::from(element.log2))
    }

    pub(super) fn array_new(&mut self, index: u32) {
        let (value, length) = self.pop2();
        let element = self.element(index);
        if self.is_zero(value) {
            return self.zeroed_array(index, length);
        }
        let length = self.widen(length);
        let array = self.new_array(index, length);
        let first = self.first_element(array);
        self.fill(element, first, length, value);
        self.push(array);
    }

    pub(super) fn array_new_default(&mut self, index: u32) {
        let length = self.pop();
        self.zeroed_array(index, length);
    }

    fn zeroed_array(&mut self, index: u32, length: Value) {
        let element = self.element(index);
        let length = self.widen(length);
        let constant = self.constant_length(length);
        let array = self.new_array(index, length);
        let bytes = constant.map(|length| array_size(length, element.log2) - ELEMENTS as u64);
        match bytes {
            Some(bytes) if bytes <= MAX_INLINE => {
                let zero = self.iconst64(0);
                let flags = self.element_flags(element);
                for at in (0..bytes as i32).step_by(GRANULE as usize) {
                    self.builder.ins().store(flags, zero, array, ELEMENTS + at);
                }
            }
            _ => {
                let first = self.first_element(array);
                let zero = self.iconst32(0);
                let bytes = self.bytes_of(element, length);
                self.call_libcall(Libcall::Memset, &[first, zero, bytes]);
            }
        }
        self.push(array);
    }

    pub(super) fn array_new_fixed(&mut self, index: u32, length: u32) {
        let values = self.pop_n(length as usize);
        let element = self.element(index);
        let length = self.iconst64(u64::from(length));
        let array = self.new_array(index, length);
        let flags = self.element_flags(element);
        for (at, value) in (0..).zip(values) {
            let offset = ELEMENTS + (at << element.log2);
            self.store_storage(element, value, flags, array, offset);
        }
        self.push(array);
    }

    pub(super) fn array_new_data(&mut self, index: u32, data: u32) {
        let (from, length) = self.pop2();
        let element = self.element(index);
        let bytes = self.bytes_of(element, length);
        let from = self.data_range(data, from, bytes);
        let length = self.widen(length);
        let array = self.new_array(index, length);
        let first = self.first_element(array);
        self.call_libcall(Libcall::Memmove, &[first, from, bytes]);
        self.push(array);
    }

    pub(super) fn array_init_data(&mut self, index: u32, data: u32) {
        let (from, length) = self.pop2();
        let (array, to) = self.pop2();
        let element = self.element(index);
        let to = self.element_range(element, array, to, length);
        let bytes = self.bytes_of(element, length);
        let from = self.data_range(data, from, bytes);
        self.call_libcall(Libcall::Memmove, &[to, from, bytes]);
    }

    fn data_range(&mut self, data: u32, from: Value, bytes: Value) -> Value {
        let id = DataId(self.instance.first_data + data);
        let descriptor = self.env.layout.data[id.index()]
            .expect("used: a segment that is read has a descriptor");
        self.segment_range(descriptor, from, bytes, 0, TrapCode::MemoryOutOfBounds)
    }

    pub(super) fn array_new_elem(&mut self, index: u32, segment: u32) {
        let (from, length) = self.pop2();
        let element = self.element(index);
        let from = self.segment_elements(segment, from, length);
        let length = self.widen(length);
        let array = self.new_array(index, length);
        let first = self.first_element(array);
        self.copy_references(element, first, from, length);
        self.push(array);
    }

    pub(super) fn array_init_elem(&mut self, index: u32, segment: u32) {
        let (from, length) = self.pop2();
        let (array, to) = self.pop2();
        let element = self.element(index);
        let to = self.element_range(element, array, to, length);
        let from = self.segment_elements(segment, from, length);
        let length = self.widen(length);
        self.copy_references(element, to, from, length);
    }

    fn segment_elements(&mut self, segment: u32, from: Value, length: Value) -> Value {
        let id = ElementId(self.instance.first_element + segment);
        let descriptor = self.env.layout.elements[id.index()]
            .expect("used: a segment that is read has a descriptor");
        let log2 = i64::from(FuncRef::SIZE.trailing_zeros());
        self.segment_range(descriptor, from, length, log2, TrapCode::TableOutOfBounds)
    }

    /// Copies references of an element segment, 8 bytes each, to elements.
    fn copy_references(&mut self, element: Storage, to: Value, from: Value, length: Value) {
        if !element.is_short_reference() {
            let bytes = self.bytes_of(element, length);
            self.call_libcall(Libcall::Memmove, &[to, from, bytes]);
            return;
        }
        let flags = self.element_flags(element);
        let word = i64::from(FuncRef::SIZE);
        let bytes = self.bytes_of(element, length);
        let end = self.builder.ins().iadd(to, bytes);
        self.each(to, end, element.log2, &[(from, word)], |t, to, others| {
            let load = MemFlagsData::new().with_notrap();
            let value = t.builder.ins().load(types::I32, load, others[0], 0);
            t.builder.ins().store(flags, value, to, 0);
        });
    }

    pub(super) fn array_get(&mut self, index: u32, signed: bool) {
        let (array, at) = self.pop2();
        let element = self.element(index);
        let address = self.element_address(element, array, at);
        let flags = self.element_flags(element);
        let value = self.load_storage(element, signed, flags, address, ELEMENTS);
        self.push(value);
    }

    pub(super) fn array_set(&mut self, index: u32) {
        let (array, at, value) = self.pop3();
        let element = self.element(index);
        let address = self.element_address(element, array, at);
        let flags = self.element_flags(element);
        self.store_storage(element, value, flags, address, ELEMENTS);
    }

    pub(super) fn array_len(&mut self) {
        let array = self.pop();
        let wide = self.array_length(array);
        let length = self.builder.ins().ireduce(types::I32, wide);
        self.wide.insert(length, wide);
        self.push(length);
    }

    pub(super) fn array_fill(&mut self, index: u32) {
        let (at, value, length) = self.pop3();
        let array = self.pop();
        let element = self.element(index);
        let first = self.element_range(element, array, at, length);
        let length = self.widen(length);
        self.fill(element, first, length, value);
    }

    pub(super) fn array_copy(&mut self, index: u32) {
        let (from_array, from, length) = self.pop3();
        let (to_array, to) = self.pop2();
        let element = self.element(index);
        let to = self.element_range(element, to_array, to, length);
        let from = self.element_range(element, from_array, from, length);
        let bytes = self.bytes_of(element, length);
        self.call_libcall(Libcall::Memmove, &[to, from, bytes]);
    }

    /// Whether a value is a constant all of whose bits are zero.
    fn is_zero(&self, value: Value) -> bool {
        self.constant(value) == Some(0)
    }

    /// Writes `length` (i64) elements.
    fn fill(&mut self, element: Storage, first: Value, length: Value, value: Value) {
        let bytes = self.bytes_of(element, length);
        if element.ty == StorageType::I8 {
            self.call_libcall(Libcall::Memset, &[first, value, bytes]);
            return;
        }
        let flags = self.element_flags(element);
        let end = self.builder.ins().iadd(first, bytes);
        self.each(first, end, element.log2, &[], |t, at, _| {
            t.store_storage(element, value, flags, at, 0);
        });
    }

    /// A loop over addresses from `first` to `end`, in steps of `1 << log2`, and others in steps of their own. The
    /// body must not call.
    fn each(
        &mut self,
        first: Value,
        end: Value,
        log2: u32,
        others: &[(Value, i64)],
        body: impl FnOnce(&mut Self, Value, &[Value]),
    ) {
        let steps: Vec<i64> = std::iter::once(1 << log2)
            .chain(others.iter().map(|(_, step)| *step))
            .collect();
        let starts: Vec<Value> = std::iter::once(first)
            .chain(others.iter().map(|(start, _)| *start))
            .collect();
        let (head, step, done) = (
            self.builder.create_block(),
            self.builder.create_block(),
            self.builder.create_block(),
        );
        let at: Vec<Value> = starts
            .iter()
            .map(|_| self.builder.append_block_param(head, types::I64))
            .collect();
        self.jump(head, &starts);
        self.builder.switch_to_block(head);
        let more = self.builder.ins().icmp(IntCC::NotEqual, at[0], end);
        self.builder.ins().brif(more, step, &[], done, &[]);
        self.builder.seal_block(step);
        self.builder.switch_to_block(step);
        body(self, at[0], &at[1..]);
        let next: Vec<Value> = at
            .iter()
            .zip(steps)
            .map(|(at, step)| self.builder.ins().iadd_imm_u(*at, step))
            .collect();
        self.jump(head, &next);
        self.builder.seal_block(head);
        self.builder.seal_block(done);
        self.builder.switch_to_block(done);
    }
}

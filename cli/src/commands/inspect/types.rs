//! Types as text.
//!
//! In: types as the validator has them, which calls one type by different names from section to section. Out: text in
//! which every type is the first index that the module has for it.

use std::collections::HashMap;

use wasmparser::types::{CoreTypeId, TypesRef};
use wasmparser::{HeapType, RefType, UnpackedIndex, ValType};

/// A module's types, and their names.
pub(super) struct Names<'m> {
    pub(super) types: TypesRef<'m>,
    numbers: HashMap<CoreTypeId, u32>,
}

impl<'m> Names<'m> {
    pub(super) fn new(types: TypesRef<'m>) -> Self {
        let mut numbers = HashMap::new();
        for index in 0..types.core_type_count_in_module() {
            let id = types.core_type_at_in_module(index);
            numbers.entry(id).or_insert(index);
        }
        Self { types, numbers }
    }

    pub(super) fn value(&self, ty: ValType) -> String {
        match ty {
            ValType::Ref(ty) => self.reference(ty),
            number => number.to_string(),
        }
    }

    pub(super) fn reference(&self, ty: RefType) -> String {
        let heap = match ty.heap_type() {
            HeapType::Concrete(index) => self.number(index),
            HeapType::Exact(index) => format!("(exact {})", self.number(index)),
            HeapType::Abstract { .. } => return ty.to_string(),
        };
        let null = if ty.is_nullable() { "null " } else { "" };
        format!("(ref {null}{heap})")
    }

    fn number(&self, index: UnpackedIndex) -> String {
        let id = match index {
            UnpackedIndex::Module(index) => self.types.core_type_at_in_module(index),
            UnpackedIndex::Id(id) => id,
            UnpackedIndex::RecGroup(_) => return index.to_string(),
        };
        match self.numbers.get(&id) {
            Some(number) => number.to_string(),
            None => index.to_string(),
        }
    }
}

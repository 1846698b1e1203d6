//! Types as the running program knows them: numbers that make casts cheap, and what objects look like.
//!
//! In: the types of a program. Out: [`ObjectTypes`]. Types are numbered so that a type and its subtypes have
//! consecutive numbers (preorder), functions first, then structs, then arrays: whether something is of a type is a
//! subtraction and a comparison. Without subtypes the number of a type is its id.
//!
//! An object's fields are laid out in order, each in the first gap that it fits; so the fields that a subtype
//! inherits lie where its supertype has them. The format is that of `elfin_abi::gc`.

use crate::canonical::{self, Types};
use crate::program::{Program, Tag, TypeId};
use elfin_abi::gc::{GRANULE, LENGTH};
use wasmparser::{CompositeInnerType, StorageType, UnpackedIndex, ValType};

/// Numbers and objects of a program's types.
#[derive(Debug)]
pub struct ObjectTypes {
    /// For each type its number, and the last of its subtypes.
    numbers: Vec<(u32, u32)>,
    /// For each type that objects can have.
    objects: Vec<Option<Object>>,
    /// Number of the first struct type.
    pub first_struct: u32,
    /// Number of the first array type.
    pub first_array: u32,
    /// One past the last number of an array type.
    pub end: u32,
}

/// What objects of a type look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    /// A struct: its bytes, header included, and its fields.
    Struct(u32, Vec<Field>),
    /// An array.
    Array(Storage),
}

/// A field of a struct.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Where it begins.
    pub offset: u32,
    /// What it holds.
    pub storage: Storage,
}

/// What a field or an element holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Storage {
    /// Its type in the program.
    pub ty: StorageType,
    /// Base-two logarithm of its size.
    pub log2: u32,
    /// It may refer to an object.
    pub traced: bool,
}

impl Storage {
    /// A reference that takes 4 bytes here, and 8 elsewhere.
    #[must_use]
    pub fn is_short_reference(&self) -> bool {
        self.log2 == 2 && matches!(self.ty, StorageType::Val(ValType::Ref(_)))
    }
}

impl ObjectTypes {
    /// Number of a type, and the last number of its subtypes.
    #[must_use]
    pub fn numbers(&self, id: TypeId) -> (u32, u32) {
        self.numbers[id.index() - 1]
    }

    /// What objects of a type look like.
    ///
    /// # Panics
    /// When there are none, which validation rules out.
    #[must_use]
    pub fn object(&self, id: TypeId) -> &Object {
        self.objects[id.index() - 1]
            .as_ref()
            .expect("validated: a type of structs or arrays")
    }

    /// Bytes and fields of a struct.
    ///
    /// # Panics
    /// When it is none, which validation rules out.
    #[must_use]
    pub fn structure(&self, id: TypeId) -> (u32, &[Field]) {
        match self.object(id) {
            Object::Struct(size, fields) => (*size, fields),
            Object::Array(_) => unreachable!("validated: a struct type"),
        }
    }

    /// Elements of an array.
    ///
    /// # Panics
    /// When it is none, which validation rules out.
    #[must_use]
    pub fn array(&self, id: TypeId) -> Storage {
        match self.object(id) {
            Object::Array(element) => *element,
            Object::Struct(..) => unreachable!("validated: an array type"),
        }
    }

    /// The objects in the order of their numbers, from `first_struct` on.
    #[must_use]
    pub fn by_number(&self) -> Vec<&Object> {
        let mut objects: Vec<(u32, &Object)> = self
            .numbers
            .iter()
            .zip(&self.objects)
            .filter_map(|((number, _), object)| Some((*number, object.as_ref()?)))
            .collect();
        objects.sort_unstable_by_key(|(number, _)| *number);
        objects.into_iter().map(|(_, object)| object).collect()
    }
}

/// Numbers the types of a program and lays out its objects.
#[must_use]
pub fn object_types(types: &Types) -> ObjectTypes {
    let kind = |index: usize| match types[index].composite_type.inner {
        CompositeInnerType::Func(_) | CompositeInnerType::Cont(_) => 0,
        CompositeInnerType::Struct(_) => 1,
        CompositeInnerType::Array(_) => 2,
    };
    let mut subtypes: Vec<Vec<usize>> = vec![Vec::new(); types.len()];
    let mut roots: [Vec<usize>; 3] = Default::default();
    for (index, ty) in types.iter().enumerate() {
        match canonical::supertype(ty) {
            Some(id) => subtypes[id.index() - 1].push(index),
            None => roots[kind(index)].push(index),
        }
    }
    let mut numbers = vec![(0, 0); types.len()];
    let mut next = 1;
    let mut first = [0; 3];
    for (kind, roots) in roots.iter().enumerate() {
        first[kind] = next;
        for root in roots {
            number(*root, &subtypes, &mut numbers, &mut next);
        }
    }
    ObjectTypes {
        numbers,
        objects: types.iter().map(|ty| object(types, ty)).collect(),
        first_struct: first[1],
        first_array: first[2],
        end: next,
    }
}

/// Numbers a type and its subtypes. Validation keeps chains of subtypes short.
fn number(index: usize, subtypes: &[Vec<usize>], numbers: &mut [(u32, u32)], next: &mut u32) {
    let first = *next;
    *next += 1;
    for subtype in &subtypes[index] {
        number(*subtype, subtypes, numbers, next);
    }
    numbers[index] = (first, *next - 1);
}

/// What exceptions look like as objects, for each tag; their numbers follow those of types.
#[must_use]
pub fn exception_objects(program: &Program<'_>) -> Vec<Object> {
    let object = |tag: &Tag| {
        let carried = program.ty(tag.ty).params().iter();
        let storages = carried.map(|ty| storage(&program.types, StorageType::Val(*ty)));
        let (size, fields) = lay_out(storages);
        Object::Struct(size, fields)
    };
    program.tags.iter().map(object).collect()
}

fn object(types: &Types, ty: &wasmparser::SubType) -> Option<Object> {
    match &ty.composite_type.inner {
        CompositeInnerType::Struct(ty) => {
            let storages = ty.fields.iter().map(|f| storage(types, f.element_type));
            let (size, fields) = lay_out(storages);
            Some(Object::Struct(size, fields))
        }
        CompositeInnerType::Array(ty) => Some(Object::Array(storage(types, ty.0.element_type))),
        CompositeInnerType::Func(_) | CompositeInnerType::Cont(_) => None,
    }
}

fn storage(types: &Types, ty: StorageType) -> Storage {
    let (log2, traced) = match ty {
        StorageType::I8 => (0, false),
        StorageType::I16 => (1, false),
        StorageType::Val(ValType::I32 | ValType::F32) => (2, false),
        StorageType::Val(ValType::I64 | ValType::F64) => (3, false),
        StorageType::Val(ValType::V128) => (4, false),
        StorageType::Val(ValType::Ref(ty)) if canonical::is_function(types, ty) => (3, false),
        StorageType::Val(ValType::Ref(_)) => (2, true),
    };
    Storage { ty, log2, traced }
}

/// Places fields in order, each in the first gap that it fits, for where a field lies must not depend on those
/// behind it. Returns the bytes they take, header included.
fn lay_out(storages: impl Iterator<Item = Storage>) -> (u32, Vec<Field>) {
    let mut end = GRANULE as u32;
    // Gaps: aligned to their size, which is a power of two.
    let mut gaps: Vec<(u32, u32)> = vec![(LENGTH as u32, 4)];
    let fields = storages
        .map(|storage| {
            let size = 1 << storage.log2;
            let fitting = gaps.iter().position(|(_, gap)| *gap >= size);
            let (offset, gap) = match fitting {
                Some(position) => gaps.remove(position),
                None => {
                    let offset = end;
                    end += size.max(GRANULE as u32);
                    (offset, end - offset)
                }
            };
            let mut rest = gap;
            while rest > size {
                rest /= 2;
                gaps.push((offset + rest, rest));
            }
            gaps.sort_unstable_by_key(|(offset, size)| (*size, *offset));
            Field { offset, storage }
        })
        .collect();
    (end, fields)
}

/// The program-wide id in a reference type of the program.
pub(crate) fn concrete(ty: wasmparser::RefType) -> Option<TypeId> {
    match ty.type_index()?.unpack() {
        UnpackedIndex::Module(id) => Some(TypeId(id)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmparser::{
        ArrayType, CompositeType, FieldType, FuncType, PackedIndex, StructType, SubType,
    };

    fn sub(inner: CompositeInnerType, supertype: Option<u32>) -> SubType {
        SubType {
            is_final: false,
            supertype_idxs: supertype
                .and_then(PackedIndex::from_module_index)
                .into_iter()
                .collect(),
            composite_type: CompositeType {
                inner,
                shared: false,
                descriptor_idx: None,
                describes_idx: None,
            },
        }
    }

    fn structure(fields: &[StorageType]) -> CompositeInnerType {
        let field = |ty: &StorageType| FieldType {
            element_type: *ty,
            mutable: true,
        };
        CompositeInnerType::Struct(StructType {
            fields: fields.iter().map(field).collect(),
        })
    }

    fn offsets(fields: &[StorageType]) -> (u32, Vec<u32>) {
        let types = object_types(&vec![sub(structure(fields), None)]);
        let (size, fields) = types.structure(TypeId(1));
        (size, fields.iter().map(|f| f.offset).collect())
    }

    #[test]
    fn small_fields_fill_gaps_and_the_header() {
        use StorageType::{I8, I16, Val};
        assert_eq!(offsets(&[]), (8, vec![]));
        assert_eq!(offsets(&[Val(ValType::I32)]), (8, vec![4]));
        assert_eq!(
            offsets(&[Val(ValType::I64), Val(ValType::I32)]),
            (16, vec![8, 4])
        );
        assert_eq!(
            offsets(&[I8, I16, I8, Val(ValType::I32), I8, I8]),
            (16, vec![4, 6, 5, 8, 12, 13])
        );
        assert_eq!(offsets(&[Val(ValType::V128), I8]), (24, vec![8, 4]));
        assert_eq!(
            offsets(&[Val(ValType::FUNCREF), Val(ValType::EXTERNREF)]),
            (16, vec![8, 4])
        );
    }

    #[test]
    fn a_field_lies_where_the_supertype_has_it() {
        use StorageType::{I8, I16, Val};
        let all = [
            I8,
            Val(ValType::I64),
            I16,
            Val(ValType::F32),
            I8,
            Val(ValType::V128),
            I16,
            I8,
        ];
        let (_, whole) = offsets(&all);
        for len in 0..all.len() {
            assert_eq!(offsets(&all[..len]).1, whole[..len]);
        }
    }

    #[test]
    fn subtypes_have_consecutive_numbers_behind_their_supertype() {
        let func = || CompositeInnerType::Func(FuncType::new([], []));
        let array = CompositeInnerType::Array(ArrayType(FieldType {
            element_type: StorageType::I8,
            mutable: false,
        }));
        let types = vec![
            sub(structure(&[]), None),
            sub(array, None),
            sub(func(), None),
            sub(structure(&[]), None),
            sub(structure(&[]), Some(1)),
            sub(func(), Some(3)),
            sub(structure(&[]), Some(5)),
        ];
        let types = object_types(&types);
        let numbers: Vec<_> = (1..=7).map(|id| types.numbers(TypeId(id))).collect();
        assert_eq!(
            numbers,
            [(3, 5), (7, 7), (1, 2), (6, 6), (4, 5), (2, 2), (5, 5)]
        );
        assert_eq!(
            (types.first_struct, types.first_array, types.end),
            (3, 7, 8)
        );
    }
}

//! Types of modules → program-wide types (core spec, 3.1.2: types are equal if their recursion groups are).
//!
//! In: the recursion groups of a module. Out: for each of its type indices an id that equal types of all modules
//! share. A group is looked up by its own text, in which a reference to a type of the same group is its
//! position there, and one to an earlier group the id of that type: so equal groups have equal texts.

use crate::module::{FuncType, RefType, ValType};
use crate::program::TypeId;
use std::collections::HashMap;
use wasmparser::{
    AbstractHeapType, ArrayType, CompositeInnerType, CompositeType, ContType, FieldType, HeapType,
    PackedIndex, StorageType, StructType, SubType, UnpackedIndex,
};

/// The types of a program; an index in one of them is a `TypeId`. `TypeId` n is entry n - 1.
pub type Types = Vec<SubType>;

/// Groups that were met, and the id of the first type of each.
#[derive(Debug, Default)]
pub struct Canonical {
    groups: HashMap<Vec<SubType>, TypeId>,
}

impl Canonical {
    /// The ids of the types of a module.
    ///
    /// # Errors
    /// [`TooMany`].
    pub fn module(
        &mut self,
        types: &mut Types,
        groups: &[Vec<SubType>],
    ) -> Result<Vec<TypeId>, TooMany> {
        let mut ids: Vec<TypeId> = Vec::new();
        for group in groups.iter().filter(|group| !group.is_empty()) {
            let start = ids.len();
            let mut key = Vec::with_capacity(group.len());
            for ty in group {
                key.push(with_indices(ty, &|index| {
                    let UnpackedIndex::Module(index) = index.unpack() else {
                        return Some(index);
                    };
                    match (index as usize).checked_sub(start) {
                        Some(position) => PackedIndex::from_rec_group_index(position as u32),
                        None => PackedIndex::from_module_index(ids[index as usize].0),
                    }
                })?);
            }
            let first = self.group(types, key, group.len() as u32 - 1)?;
            ids.extend((first.0..).take(group.len()).map(TypeId));
        }
        Ok(ids)
    }

    /// The id of the first type of a group; its last type is `last` behind it.
    fn group(
        &mut self,
        types: &mut Types,
        group: Vec<SubType>,
        last: u32,
    ) -> Result<TypeId, TooMany> {
        if let Some(first) = self.groups.get(&group) {
            return Ok(*first);
        }
        let first = TypeId(types.len() as u32 + 1);
        PackedIndex::from_module_index(first.0 + last).ok_or(TooMany)?;
        for ty in &group {
            let ty = with_indices(ty, &|index| match index.unpack() {
                UnpackedIndex::RecGroup(position) => {
                    PackedIndex::from_module_index(first.0 + position)
                }
                _ => Some(index),
            })?;
            types.push(ty);
        }
        self.groups.insert(group, first);
        Ok(first)
    }
}

/// A program has more types than a reference type can name.
#[derive(Debug)]
pub struct TooMany;

/// A value type of a module as a type of the program.
#[must_use]
pub fn value_type(ids: &[TypeId], ty: ValType) -> ValType {
    match ty {
        ValType::Ref(ty) => ValType::Ref(reference_type(ids, ty)),
        number => number,
    }
}

/// A reference type of a module as a type of the program.
#[must_use]
pub fn reference_type(ids: &[TypeId], ty: RefType) -> RefType {
    let canonical = |index: PackedIndex| match index.unpack() {
        UnpackedIndex::Module(index) => PackedIndex::from_module_index(ids[index as usize].0),
        _ => Some(index),
    };
    reference_with(ty, &canonical).unwrap_or(ty)
}

/// Whether a value of type `found` is one of type `wanted`, both of the program (core spec, 3.3 Matching).
#[must_use]
pub fn is_subtype(types: &Types, found: ValType, wanted: ValType) -> bool {
    let (ValType::Ref(found), ValType::Ref(wanted)) = (found, wanted) else {
        return found == wanted;
    };
    if found.is_nullable() && !wanted.is_nullable() {
        return false;
    }
    is_heap_subtype(types, found.heap_type(), wanted.heap_type())
}

fn is_heap_subtype(types: &Types, found: HeapType, wanted: HeapType) -> bool {
    use AbstractHeapType::{Any, Array, Cont, Eq, Exn, Extern, Func, I31, Struct};
    use AbstractHeapType::{NoCont, NoExn, NoExtern, NoFunc, None};
    if found == wanted {
        return true;
    }
    let (found_id, wanted_id) = (heap_id(found), heap_id(wanted));
    match (found, wanted) {
        (HeapType::Abstract { ty: found, .. }, HeapType::Abstract { ty: wanted, .. }) => {
            matches!(
                (found, wanted),
                (Eq | I31 | Struct | Array | None, Any)
                    | (I31 | Struct | Array | None, Eq)
                    | (None, I31 | Struct | Array)
                    | (NoExtern, Extern)
                    | (NoFunc, Func)
                    | (NoExn, Exn)
                    | (NoCont, Cont)
            )
        }
        (HeapType::Abstract { ty: found, .. }, _) => {
            let inner = wanted_id.map(|id| &types[id.index() - 1].composite_type.inner);
            matches!(
                (found, inner),
                (
                    None,
                    Some(CompositeInnerType::Struct(_) | CompositeInnerType::Array(_))
                ) | (NoFunc, Some(CompositeInnerType::Func(_)))
                    | (NoCont, Some(CompositeInnerType::Cont(_)))
            )
        }
        (_, HeapType::Abstract { ty: wanted, .. }) => {
            let inner = found_id.map(|id| &types[id.index() - 1].composite_type.inner);
            matches!(
                (inner, wanted),
                (Some(CompositeInnerType::Struct(_)), Any | Eq | Struct)
                    | (Some(CompositeInnerType::Array(_)), Any | Eq | Array)
                    | (Some(CompositeInnerType::Func(_)), Func)
                    | (Some(CompositeInnerType::Cont(_)), Cont)
            )
        }
        _ => match (found_id, wanted_id) {
            (Some(found), Some(wanted)) => is_declared_subtype(types, found, wanted),
            _ => false,
        },
    }
}

/// Whether `found` is `wanted` or one of its declared subtypes.
#[must_use]
pub fn is_declared_subtype(types: &Types, found: TypeId, wanted: TypeId) -> bool {
    let mut found = Some(found);
    while let Some(id) = found {
        if id == wanted {
            return true;
        }
        found = supertype(&types[id.index() - 1]);
    }
    false
}

/// The declared supertype of a type of the program.
#[must_use]
pub fn supertype(ty: &SubType) -> Option<TypeId> {
    match ty.supertype_idxs.first()?.unpack() {
        UnpackedIndex::Module(id) => Some(TypeId(id)),
        _ => None,
    }
}

/// Whether references of a type of the program lead to functions.
#[must_use]
pub fn is_function(types: &Types, ty: RefType) -> bool {
    match ty.heap_type() {
        HeapType::Abstract { ty, .. } => {
            matches!(ty, AbstractHeapType::Func | AbstractHeapType::NoFunc)
        }
        concrete => heap_id(concrete).is_some_and(|id| {
            matches!(
                types[id.index() - 1].composite_type.inner,
                CompositeInnerType::Func(_)
            )
        }),
    }
}

fn heap_id(ty: HeapType) -> Option<TypeId> {
    match ty {
        HeapType::Concrete(UnpackedIndex::Module(id))
        | HeapType::Exact(UnpackedIndex::Module(id)) => Some(TypeId(id)),
        _ => None,
    }
}

/// A heap type of a module as one of the program.
#[must_use]
pub fn heap_type(ids: &[TypeId], ty: HeapType) -> HeapType {
    match ty {
        HeapType::Concrete(UnpackedIndex::Module(index)) => {
            HeapType::Concrete(UnpackedIndex::Module(ids[index as usize].0))
        }
        ty => ty,
    }
}

type Map<'a> = &'a dyn Fn(PackedIndex) -> Option<PackedIndex>;

fn reference_with(ty: RefType, map: Map<'_>) -> Option<RefType> {
    match ty.type_index() {
        Some(index) => Some(RefType::concrete(ty.is_nullable(), map(index)?)),
        None => Some(ty),
    }
}

fn value_with(ty: ValType, map: Map<'_>) -> Option<ValType> {
    match ty {
        ValType::Ref(ty) => Some(ValType::Ref(reference_with(ty, map)?)),
        number => Some(number),
    }
}

fn field_with(field: &FieldType, map: Map<'_>) -> Option<FieldType> {
    let element_type = match field.element_type {
        StorageType::Val(ty) => StorageType::Val(value_with(ty, map)?),
        packed => packed,
    };
    Some(FieldType {
        element_type,
        mutable: field.mutable,
    })
}

/// The type with `map` applied to every index in it.
fn with_indices(ty: &SubType, map: Map<'_>) -> Result<SubType, TooMany> {
    let replaced = || {
        let old = &ty.composite_type;
        let all = |types: &[ValType]| {
            types
                .iter()
                .map(|ty| value_with(*ty, map))
                .collect::<Option<Vec<_>>>()
        };
        let inner = match &old.inner {
            CompositeInnerType::Func(f) => {
                CompositeInnerType::Func(FuncType::new(all(f.params())?, all(f.results())?))
            }
            CompositeInnerType::Array(a) => {
                CompositeInnerType::Array(ArrayType(field_with(&a.0, map)?))
            }
            CompositeInnerType::Struct(s) => CompositeInnerType::Struct(StructType {
                fields: s
                    .fields
                    .iter()
                    .map(|f| field_with(f, map))
                    .collect::<Option<_>>()?,
            }),
            CompositeInnerType::Cont(c) => CompositeInnerType::Cont(ContType(map(c.0)?)),
        };
        Some(SubType {
            is_final: ty.is_final,
            supertype_idxs: ty
                .supertype_idxs
                .iter()
                .map(|i| map(*i))
                .collect::<Option<_>>()?,
            composite_type: CompositeType {
                inner,
                shared: old.shared,
                descriptor_idx: old.descriptor_idx,
                describes_idx: old.describes_idx,
            },
        })
    };
    replaced().ok_or(TooMany)
}

//! What elfin compiles, by feature.
//!
//! In: value types and operators that the validator has accepted. Out: the name of the feature that one needs beyond
//! what elfin compiles, as error messages and documentation spell it.

use wasmparser::{AbstractHeapType, BlockType, HeapType, Operator, RefType, ValType};

/// The feature that a value type needs and elfin lacks.
pub(super) fn lacking_for_type(ty: ValType) -> Option<&'static str> {
    let ValType::Ref(ty) = ty else { return None };
    match ty.heap_type() {
        HeapType::Abstract {
            ty: AbstractHeapType::Cont | AbstractHeapType::NoCont,
            ..
        } => Some("stack-switching"),
        _ => None,
    }
}

/// The feature that an operator needs and elfin lacks.
pub(super) fn lacking_for_operator(operator: &Operator<'_>) -> Option<String> {
    let ty = match *operator {
        Operator::TryTable { ref try_table } => block_type(try_table.ty),
        Operator::Block { blockty }
        | Operator::Loop { blockty }
        | Operator::If { blockty }
        | Operator::Try { blockty } => block_type(blockty),
        Operator::TypedSelect { ty } => Some(ty),
        Operator::RefNull { hty }
        | Operator::RefTestNonNull { hty }
        | Operator::RefTestNullable { hty }
        | Operator::RefCastNonNull { hty }
        | Operator::RefCastNullable { hty } => match RefType::new(true, hty) {
            Some(ty) => Some(ValType::Ref(ty)),
            // A type index beyond what fits beside the kind of a reference.
            None => return Some("gc".to_owned()),
        },
        _ => None,
    };
    if let Some(feature) = ty.and_then(lacking_for_type) {
        return Some(feature.to_owned());
    }
    (!is_compiled(proposal_of(operator))).then(|| feature_of(operator))
}

fn block_type(ty: BlockType) -> Option<ValType> {
    match ty {
        BlockType::Type(ty) => Some(ty),
        BlockType::Empty | BlockType::FuncType(_) => None,
    }
}

/// Whether elfin compiles the operators of a proposal.
fn is_compiled(proposal: &str) -> bool {
    matches!(
        proposal,
        "mvp"
            | "sign_extension"
            | "saturating_float_to_int"
            | "bulk_memory"
            | "reference_types"
            | "tail_call"
            | "function_references"
            | "gc"
            | "wide_arithmetic"
            | "threads"
            | "simd"
            | "relaxed_simd"
            | "exceptions"
            | "legacy_exceptions"
    )
}

macro_rules! define_feature_of {
    ($( @$proposal:ident $op:ident $({ $($arg:ident: $argty:ty),* })? => $visit:ident ($($ann:tt)*) )*) => {
        /// Name of the proposal that an operator belongs to.
        fn proposal_of(operator: &Operator<'_>) -> &'static str {
            match operator {
                $( Operator::$op { .. } => stringify!($proposal), )*
                // The enum is non-exhaustive.
                _ => "unknown",
            }
        }
    };
}
wasmparser::for_each_operator!(define_feature_of);

/// Name of the feature that an operator needs, as error messages and documentation spell it.
#[must_use]
pub(crate) fn feature_of(operator: &Operator<'_>) -> String {
    proposal_of(operator).replace('_', "-")
}

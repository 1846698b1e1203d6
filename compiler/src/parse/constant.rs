//! Constant expressions: of globals, tables and segments.
//!
//! In: an expression that the validator has accepted. Out: a [`ConstExpr`], or the feature that one of its operators
//! needs and elfin lacks.

use super::feature::feature_of;
use super::{exceeded, invalid, unsupported};
use crate::error::Result;
use crate::module::{ConstExpr, ConstOperator, Module};
use wasmparser::Operator;

/// Most operators of a constant expression that makes objects: it becomes code of one function.
const MAX_CONST_OPERATORS: usize = 1 << 17;

/// Reads an expression.
///
/// # Errors
/// `Unsupported`, and `LimitExceeded` for more than [`MAX_CONST_OPERATORS`] where objects are made.
pub(super) fn read(module: &Module<'_>, expr: &wasmparser::ConstExpr<'_>) -> Result<ConstExpr> {
    let mut operators = Vec::new();
    let mut reader = expr.get_operators_reader();
    while !reader.eof() {
        let (operator, offset) = reader
            .read_with_offset()
            .map_err(|e| invalid(module.place(), &e))?;
        if matches!(operator, Operator::End) {
            continue;
        }
        let Some(operator) = constant(&operator) else {
            return Err(unsupported(
                &feature_of(&operator),
                module.place().at(offset),
            ));
        };
        operators.push(operator);
    }
    let expression = ConstExpr { operators };
    let count = expression.operators.len();
    if count > MAX_CONST_OPERATORS && expression.allocates() {
        let start = expr.get_binary_reader().original_position();
        let what = format!("a constant expression of {count} operators that makes objects");
        return Err(exceeded(
            &what,
            MAX_CONST_OPERATORS as u64,
            module.place().at(start),
        ));
    }
    Ok(expression)
}

/// The constant operator, where elfin folds or compiles it.
fn constant(operator: &Operator<'_>) -> Option<ConstOperator> {
    Some(match *operator {
        Operator::I32Const { value } => ConstOperator::I32Const(value),
        Operator::I64Const { value } => ConstOperator::I64Const(value),
        Operator::F32Const { value } => ConstOperator::F32Const(value.bits()),
        Operator::F64Const { value } => ConstOperator::F64Const(value.bits()),
        Operator::V128Const { value } => {
            ConstOperator::V128Const(u128::from_le_bytes(*value.bytes()))
        }
        Operator::GlobalGet { global_index } => ConstOperator::GlobalGet(global_index),
        Operator::RefNull { .. } => ConstOperator::RefNull,
        Operator::RefFunc { function_index } => ConstOperator::RefFunc(function_index),
        Operator::I32Add => ConstOperator::I32Add,
        Operator::I32Sub => ConstOperator::I32Sub,
        Operator::I32Mul => ConstOperator::I32Mul,
        Operator::I64Add => ConstOperator::I64Add,
        Operator::I64Sub => ConstOperator::I64Sub,
        Operator::I64Mul => ConstOperator::I64Mul,
        Operator::RefI31 => ConstOperator::RefI31,
        Operator::AnyConvertExtern => ConstOperator::AnyConvertExtern,
        Operator::ExternConvertAny => ConstOperator::ExternConvertAny,
        Operator::StructNew { struct_type_index } => ConstOperator::StructNew(struct_type_index),
        Operator::StructNewDefault { struct_type_index } => {
            ConstOperator::StructNewDefault(struct_type_index)
        }
        Operator::ArrayNew { array_type_index } => ConstOperator::ArrayNew(array_type_index),
        Operator::ArrayNewDefault { array_type_index } => {
            ConstOperator::ArrayNewDefault(array_type_index)
        }
        Operator::ArrayNewFixed {
            array_type_index,
            array_size,
        } => ConstOperator::ArrayNewFixed(array_type_index, array_size),
        _ => return None,
    })
}

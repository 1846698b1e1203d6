//! What the operators of a body use, for [`crate::usage`].
//!
//! In: operators, one by one. Out: a [`Summary`].

use crate::module::Summary;
use wasmparser::Operator;

/// Notes what an operator uses.
pub(super) fn note(operator: &Operator<'_>, summary: &mut Summary) {
    match *operator {
        Operator::ReturnCallIndirect { .. } | Operator::ReturnCallRef { .. } => {
            summary.tail_calls = true;
        }
        Operator::Call { function_index }
        | Operator::ReturnCall { function_index }
        | Operator::RefFunc { function_index } => {
            summary.tail_calls |= matches!(operator, Operator::ReturnCall { .. });
            // Runs of calls to one function are common; the list is sorted later.
            if summary.functions.last() != Some(&function_index) {
                summary.functions.push(function_index);
            }
            summary.takes_references |= matches!(operator, Operator::RefFunc { .. });
        }
        Operator::GlobalSet { global_index }
            if summary.globals_set.last() != Some(&global_index) =>
        {
            summary.globals_set.push(global_index);
        }
        Operator::TableSet { table } | Operator::TableFill { table } => {
            summary.tables_written.push(table)
        }
        Operator::TableCopy { dst_table, .. } => summary.tables_written.push(dst_table),
        Operator::TableInit { elem_index, table } => {
            summary.tables_written.push(table);
            summary.elements.push(elem_index);
        }
        Operator::TableGrow { table } => {
            summary.tables_written.push(table);
            summary.tables_grown.push(table);
        }
        Operator::MemoryGrow { mem } => summary.memories_grown.push(mem),
        Operator::ElemDrop { elem_index } => summary.elements.push(elem_index),
        Operator::StructNew { .. }
        | Operator::StructNewDefault { .. }
        | Operator::ArrayNew { .. }
        | Operator::ArrayNewDefault { .. }
        | Operator::ArrayNewFixed { .. } => summary.allocates = true,
        Operator::ArrayNewData {
            array_data_index, ..
        } => {
            summary.allocates = true;
            summary.data.push(array_data_index);
        }
        Operator::ArrayNewElem {
            array_elem_index, ..
        } => {
            summary.allocates = true;
            summary.elements.push(array_elem_index);
        }
        Operator::ArrayInitData {
            array_data_index, ..
        } => summary.data.push(array_data_index),
        Operator::ArrayInitElem {
            array_elem_index, ..
        } => summary.elements.push(array_elem_index),
        Operator::MemoryInit { data_index, .. } | Operator::DataDrop { data_index } => {
            summary.data.push(data_index)
        }
        Operator::Throw { .. } | Operator::ThrowRef | Operator::Rethrow { .. } => {
            summary.throws = true;
        }
        Operator::Try { .. } => summary.legacy_try = true,
        _ => {}
    }
}

/// Sorts the lists, and leaves each entry once.
pub(super) fn settle(summary: &mut Summary) {
    for list in [
        &mut summary.functions,
        &mut summary.globals_set,
        &mut summary.tables_written,
        &mut summary.tables_grown,
        &mut summary.memories_grown,
        &mut summary.data,
        &mut summary.elements,
    ] {
        list.sort_unstable();
        list.dedup();
    }
}

//! The locals of a function.
//!
//! In: how many of which types a body declares, and which of them it names. Out: a variable for each that is named. A
//! body of some bytes may declare 50,000: what it declares and does not name is not there, so that a function costs
//! what its bytes do.

use super::Translator;
use crate::module::ValType;
use cranelift_codegen::ir::{InstBuilder, Value};
use cranelift_frontend::Variable;
use std::collections::HashMap;
use wasmparser::{FunctionBody, Operator};

/// A local that is there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Local {
    /// Its place among those that are there.
    pub(super) slot: usize,
    pub(super) variable: Variable,
    /// Its type, in the program.
    pub(super) ty: ValType,
}

/// The locals of a function, parameters included.
#[derive(Debug, Default)]
pub(super) struct Locals {
    /// Those that are there.
    all: Vec<Local>,
    /// How many were declared.
    declared: u32,
    /// By index, where not all are there: places in `all`.
    named: Option<HashMap<u32, usize>>,
}

impl Locals {
    /// The local with an index that the body names.
    pub(super) fn get(&self, index: u32) -> Local {
        let slot = match &self.named {
            Some(named) => named[&index],
            None => index as usize,
        };
        self.all[slot]
    }
}

/// The locals that a body names, ascending.
fn named(body: &FunctionBody<'_>) -> wasmparser::Result<Vec<u32>> {
    let mut indices = Vec::new();
    for operator in body.get_operators_reader()? {
        if let Operator::LocalGet { local_index }
        | Operator::LocalSet { local_index }
        | Operator::LocalTee { local_index } = operator?
        {
            indices.push(local_index);
        }
    }
    indices.sort_unstable();
    indices.dedup();
    Ok(indices)
}

impl Translator<'_, '_> {
    /// Declares the locals of `body`, whose parameters have these values and types.
    pub(super) fn declare_all_locals(
        &mut self,
        params: impl Iterator<Item = (Value, ValType)>,
        body: &FunctionBody<'_>,
    ) -> wasmparser::Result<()> {
        for (value, ty) in params {
            self.declare_local(ty, value);
            self.locals.declared += 1;
        }
        let mut count = 0_u64;
        for local in body.get_locals_reader()? {
            count += u64::from(local?.0);
        }
        let range = body.range();
        // Each that is named takes two bytes and more to name.
        let sparse = count > range.end - range.start;
        let names = if sparse { named(body)? } else { Vec::new() };
        if sparse {
            self.locals.named = Some((0..self.locals.declared).map(|i| (i, i as usize)).collect());
        }
        for local in body.get_locals_reader()? {
            let (count, ty) = local?;
            let ty = self.program_type(ty);
            let first = self.locals.declared;
            self.locals.declared += count;
            let these = if sparse {
                let from = names.partition_point(|index| *index < first);
                let to = names.partition_point(|index| *index < self.locals.declared);
                &names[from..to]
            } else {
                &[]
            };
            self.declare_locals(if sparse { these.len() } else { count as usize }, ty);
            if let Some(named) = &mut self.locals.named {
                let slots = self.locals.all.len() - these.len()..;
                named.extend(these.iter().copied().zip(slots));
            }
        }
        Ok(())
    }

    fn declare_locals(&mut self, count: usize, ty: ValType) {
        if count == 0 {
            return;
        }
        let clif = self.env.clif_type(ty);
        let zero = match ty {
            ValType::F32 => self.builder.ins().f32const(0.0),
            ValType::F64 => self.builder.ins().f64const(0.0),
            ValType::V128 => self.vector_constant(0),
            _ => self.builder.ins().iconst(clif, 0),
        };
        for _ in 0..count {
            self.declare_local(ty, zero);
        }
    }

    fn declare_local(&mut self, ty: ValType, value: Value) {
        let variable = self.builder.declare_var(self.env.clif_type(ty));
        if self.env.is_traced(ty) {
            self.builder.declare_var_needs_stack_map(variable);
            self.roots.locals += 1;
        }
        self.builder.def_var(variable, value);
        let slot = self.locals.all.len();
        self.locals.all.push(Local { slot, variable, ty });
    }
}

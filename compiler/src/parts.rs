//! The steps at start, divided into functions of bounded size.
//!
//! In: steps, and the constant expressions that they evaluate. Out: which of them make a function together. A module
//! of four megabytes may set a million entries of a table to new objects: in one function that would take the code
//! generator minutes and gigabytes, for what it does grows faster than the function. Nothing here knows CLIF.

use crate::fold::{Folded, Items, Step};
use crate::module::{ConstExpr, Module};
use crate::program::{InstanceId, Program};
use std::ops::Range;

/// Most steps of one function.
const MAX_STEPS: usize = 256;

/// Most operators of constant expressions in one function; a single expression may have more.
const MAX_OPERATORS: usize = 1024;

/// More functions than this are compiled quickly: what runs once need not be fast, and a tenth more code is not what
/// makes such a program large. A Flutter application has 1,300; without the optimiser its executable has 92 MB and not 61.
pub const MANY: usize = 1024;

/// Consecutive items of an element segment, so that none of them has more than [`MAX_OPERATORS`] operators, or more
/// than [`MAX_STEPS`] items.
pub fn divide_items(items: &[ConstExpr]) -> impl Iterator<Item = Items> + '_ {
    let weights = items.iter().map(|item| item.operators.len());
    divide_weights(weights).map(|range| Items {
        first: range.start as u32,
        end: range.end as u32,
    })
}

/// Runs of consecutive things that are few and light together.
fn divide_weights(weights: impl Iterator<Item = usize>) -> impl Iterator<Item = Range<usize>> {
    let mut weights = weights.enumerate().peekable();
    std::iter::from_fn(move || {
        let (first, mut weight) = weights.next()?;
        let mut end = first + 1;
        while let Some((_, next)) =
            weights.next_if(|(_, next)| end - first < MAX_STEPS && weight + next <= MAX_OPERATORS)
        {
            weight += next;
            end += 1;
        }
        Some(first..end)
    })
}

/// Which steps make functions of their own. Steps in none of them are few: the function that makes the instance has
/// them. No function has steps of two actions of a script.
#[must_use]
pub fn divide(program: &Program<'_>, folded: &Folded) -> Vec<Range<usize>> {
    let whole = 0..folded.steps.len();
    let scopes = match program.script {
        Some(_) => &folded.ranges[..],
        None => std::slice::from_ref(&whole),
    };
    let mut parts = Vec::new();
    for scope in scopes {
        let weights = folded.steps[scope.clone()]
            .iter()
            .map(|step| weight(program, step));
        let ranges: Vec<Range<usize>> = divide_weights(weights)
            .map(|range| scope.start + range.start..scope.start + range.end)
            .collect();
        if ranges.len() > 1 {
            parts.extend(ranges);
        }
    }
    parts
}

/// The parts that the steps of `scope` are divided into; none if they are few.
#[must_use]
pub fn of_scope(folded: &Folded, scope: &Range<usize>) -> Range<u32> {
    let before = |at: usize| folded.parts.partition_point(|part| part.start < at) as u32;
    before(scope.start)..before(scope.end)
}

/// How many operators of constant expressions a step has.
fn weight(program: &Program<'_>, step: &Step) -> usize {
    let module =
        |instance: InstanceId| -> &Module<'_> { program.instances[instance.index()].module };
    let operators = |expr: &Option<ConstExpr>| expr.as_ref().map_or(0, |expr| expr.operators.len());
    match *step {
        Step::SetGlobal(id) => {
            let global = program.globals[id.index()];
            operators(&module(global.instance).globals[global.index as usize].init)
        }
        Step::FillTable(id) => {
            let table = &program.tables[id.index()];
            operators(&module(table.instance).tables[table.index as usize].init)
        }
        Step::PlaceElements(id, items) | Step::EvaluateElements(id, items) => {
            let segment = program.elements[id.index()];
            let all = &module(segment.instance).elements[segment.index as usize].items;
            all[items.first as usize..items.end as usize]
                .iter()
                .map(|item| item.operators.len())
                .sum()
        }
        Step::CopyData(_)
        | Step::CopyElements(_)
        | Step::CheckElements(_)
        | Step::DropElements(_)
        | Step::Start(_)
        | Step::StartImport(_)
        | Step::Trap(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_few_and_light() {
        let light: Vec<_> = divide_weights([1; 600].into_iter()).collect();
        assert_eq!(light, [0..256, 256..512, 512..600]);
        let heavy: Vec<_> = divide_weights([1000, 24, 1, 5000, 1, 1].into_iter()).collect();
        assert_eq!(heavy, [0..2, 2..3, 3..4, 4..6]);
        assert_eq!(divide_weights(std::iter::empty()).count(), 0);
    }
}

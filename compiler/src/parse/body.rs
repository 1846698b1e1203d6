//! Bodies of functions: validated and summarised, in parallel.
//!
//! In: bodies with what the validator knows of the module. Out: a [`Body`] for each, in their order; or the first error
//! by position, so that the message does not depend on the number of threads.

use super::{exceeded, feature, gains, invalid, summary, unsupported};
use crate::error::Result;
use crate::module::{Body, Module, Summary};
use rayon::prelude::*;
use wasmparser::{
    FuncToValidate, FuncValidator, FuncValidatorAllocations, FunctionBody, Operator,
    OperatorsReader, ValidatorResources,
};

/// Most targets of a `br_table`: a larger one was once miscompiled on aarch64 (GHSA-mghf-wjfp-p5xm).
const MAX_BR_TABLE_TARGETS: u32 = 65_520;

/// Deepest nesting of blocks in a function. Real compilers stay below a few hundred.
const MAX_NESTING: u32 = 50_000;

/// Most bytes of one function body: what is larger would make compile time unbounded in practice.
const MAX_BODY_BYTES: u64 = 7_654_321;

/// A body, and the validator for it.
pub(super) type Unread<'a> = (FuncToValidate<ValidatorResources>, FunctionBody<'a>);

/// Reads bodies.
///
/// # Errors
/// `Invalid`, `Unsupported`, and `LimitExceeded` for the limits of this file.
pub(super) fn read_all<'a>(module: &Module<'a>, bodies: Vec<Unread<'a>>) -> Result<Vec<Body<'a>>> {
    let results: Vec<Result<Body<'a>>> = bodies
        .into_par_iter()
        .with_min_len(16)
        .map_init(
            FuncValidatorAllocations::default,
            |allocations, (validator, body)| {
                let index = validator.index;
                let mut validator = validator.into_validator(std::mem::take(allocations));
                let result = read(module, index, &mut validator, body);
                *allocations = validator.into_allocations();
                result
            },
        )
        .collect();
    results.into_iter().collect()
}

fn read<'a>(
    module: &Module<'a>,
    index: u32,
    validator: &mut FuncValidator<ValidatorResources>,
    body: FunctionBody<'a>,
) -> Result<Body<'a>> {
    let at = |offset: u64| module.function_place(index, Some(offset));
    let invalid = |error| invalid(module.function_place(index, None), &error);
    let range = body.range();
    let size = range.end - range.start;
    if size > MAX_BODY_BYTES {
        let what = format!("a function body of {size} bytes");
        return Err(exceeded(&what, MAX_BODY_BYTES, at(range.start)));
    }
    let mut summary = Summary::default();
    let mut gaining = 0;
    // A body may be valid and need a feature that elfin lacks: the whole body is validated before it is
    // said, for "invalid" is the stronger word.
    let mut lacking: Option<(String, u64)> = None;

    let mut reader = body.get_binary_reader();
    let start = reader.original_position();
    validator.read_locals(&mut reader).map_err(invalid)?;
    for local in body.get_locals_reader().map_err(invalid)? {
        let (_, ty) = local.map_err(invalid)?;
        if let Some(feature) = feature::lacking_for_type(ty) {
            lacking.get_or_insert((feature.to_owned(), start));
        }
    }
    let mut operators = OperatorsReader::new(reader);
    while !operators.eof() {
        let (operator, offset) = operators.read_with_offset().map_err(invalid)?;
        validator.op(offset, &operator).map_err(invalid)?;
        summary.operators += 1;
        gaining += u32::from(gains::gains(&operator));
        summary::note(&operator, &mut summary);
        if let Some(feature) = feature::lacking_for_operator(&operator) {
            lacking.get_or_insert((feature, offset));
        }
        if let Operator::BrTable { targets } = &operator
            && targets.len() > MAX_BR_TABLE_TARGETS
        {
            let what = format!("a br_table of {} targets", targets.len());
            return Err(exceeded(&what, MAX_BR_TABLE_TARGETS.into(), at(offset)));
        }
        let nesting = validator.control_stack_height();
        if nesting > MAX_NESTING {
            let what = format!("blocks nested {nesting} deep");
            return Err(exceeded(&what, MAX_NESTING.into(), at(offset)));
        }
    }
    operators.finish().map_err(invalid)?;
    if let Some((feature, offset)) = lacking {
        return Err(unsupported(&feature, at(offset)));
    }
    summary.gains = gains::pays(gaining, summary.operators);
    summary::settle(&mut summary);
    Ok(Body { body, summary })
}

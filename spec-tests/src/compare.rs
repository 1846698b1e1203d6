//! What an executable printed against what its script expects.
//!
//! In: printed outcomes and expectations, by id. Out: the outcome of each directive. Ids that are missing,
//! printed twice or unknown are failures.

use crate::Outcome;
use crate::driver::{Printed, Run};
use crate::plan::{Expectation, SPECTEST_ID};
use crate::script::{Expected, Kinds, Lane, Pattern, extern_word};
use elfin_abi::gc;
use elfin_abi::trap::TrapCode;
use elfin_compiler::canonical::{self, Types};
use elfin_compiler::module::{RefType, ValType};
use elfin_compiler::objects::object_types;
use elfin_compiler::program::{Action, ActionKind, Program};
use std::collections::BTreeMap;

/// Fills in the outcomes of the directives that have an expectation.
pub fn compare(
    program: &Program<'_>,
    expected: &BTreeMap<u32, Expectation>,
    run: Result<Run, String>,
    outcomes: &mut [Option<Outcome>],
) {
    let run = run.unwrap_or_else(|failure| Run {
        lines: Vec::new(),
        failure: Some(failure),
    });
    let actions = program.script.as_deref().unwrap_or_default();
    let mut failure = run.failure;
    let has_threads = actions
        .iter()
        .any(|action| matches!(action.kind, ActionKind::Thread { .. }));
    let mut left: BTreeMap<u32, &Action> = actions.iter().map(|a| (a.id, a)).collect();
    for (position, (id, printed)) in run.lines.iter().enumerate() {
        // Threads report when they please; else the order is that of the script.
        let next = actions.get(position).map(|action| action.id);
        if !has_threads && next != Some(*id) {
            failure.get_or_insert_with(|| match next {
                Some(next) => format!("it reported {id} in place of {next}"),
                None => "it reported more than it was to do".to_owned(),
            });
            break;
        }
        let Some(action) = left.remove(id) else {
            failure.get_or_insert_with(|| format!("it reported {id}, twice or unasked"));
            break;
        };
        if let Some(expectation) = expected.get(id) {
            let types = program.action_results(action);
            outcomes[*id as usize] =
                Some(match check(&program.types, expectation, types, printed) {
                    Ok(()) => Outcome::Passed,
                    Err(message) => Outcome::Failed(message),
                });
        } else if *id == SPECTEST_ID && *printed != Printed::Done(Vec::new()) {
            failure.get_or_insert_with(|| "there is no instance of spectest".to_owned());
        }
    }
    // What the process died of is said at the first directive that it did not report.
    let failure = failure.unwrap_or_else(|| "it ended early".to_owned());
    for id in expected.keys() {
        outcomes[*id as usize]
            .get_or_insert_with(|| Outcome::Failed(format!("not reported: {failure}")));
    }
}

/// Whether what was printed is as expected.
///
/// # Errors
/// The difference.
pub fn check(
    program: &Types,
    expectation: &Expectation,
    types: &[ValType],
    printed: &Printed,
) -> Result<(), String> {
    match (expectation, printed) {
        (Expectation::Done, Printed::Done(_))
        | (Expectation::Exception, Printed::Exception)
        | (Expectation::Unlinkable, Printed::Unlinkable) => Ok(()),
        (Expectation::Results(wanted), Printed::Done(slots)) => {
            if wanted.len() != slots.len() || slots.len() != types.len() {
                return Err(format!("{} results, wanted {}", slots.len(), wanted.len()));
            }
            for ((wanted, ty), slot) in wanted.iter().zip(types).zip(slots) {
                if !matches(program, wanted, *ty, *slot) {
                    return Err(format!("result {ty} {slot:#x}, wanted {wanted:x?}"));
                }
            }
            Ok(())
        }
        (Expectation::Trap(message), Printed::Trap(code)) if is_message(message, *code) => Ok(()),
        (wanted, Printed::Trap(code)) => {
            Err(format!("trap: {}; wanted {wanted:x?}", code.message()))
        }
        (wanted, found) => Err(format!("{found:x?}, wanted {wanted:x?}")),
    }
}

/// Whether a script means this trap. Scripts shorten the message, or add to it (an index).
fn is_message(message: &str, code: TrapCode) -> bool {
    let ours = code.message();
    message.starts_with(ours) || (message.len() >= MIN_MESSAGE && ours.starts_with(message))
}

/// Shortened messages are not shorter than this.
const MIN_MESSAGE: usize = 8;

fn matches(types: &Types, wanted: &Expected, ty: ValType, slot: u128) -> bool {
    match wanted {
        Expected::Number(wanted, lanes) => {
            let mut rest = slot;
            *wanted == ty
                && lanes.iter().all(|lane| {
                    let value = rest & (u128::MAX >> (128 - lane.bits));
                    rest = if lane.bits == 128 {
                        0
                    } else {
                        rest >> lane.bits
                    };
                    matches_lane(*lane, value as u64)
                })
                && rest == 0
        }
        Expected::Null => ty.is_reference_type() && slot == 0,
        Expected::Function => {
            is_reference(ty, |ty| canonical::is_function(types, *ty)) && slot != 0
        }
        Expected::Extern(number) => {
            is_reference(ty, |ty| !canonical::is_function(types, *ty))
                && slot == u128::from(extern_word(*number))
        }
        Expected::Reference(kinds) => {
            is_reference(ty, |ty| !canonical::is_function(types, *ty))
                && is_kind(types, *kinds, ty, slot)
        }
        Expected::Either(cases) => cases.iter().any(|case| matches(types, case, ty, slot)),
        Expected::Needs(_) => false,
    }
}

/// Whether a slot has a reference of a kind: a word, and above it the number of its object's type.
fn is_kind(types: &Types, kinds: Kinds, ty: ValType, slot: u128) -> bool {
    let (word, number) = (slot as u64, (slot >> 64) as u64);
    let numbers = object_types(types);
    let within = |first: u32, end: u32| (u64::from(first)..u64::from(end)).contains(&number);
    let is_struct = within(numbers.first_struct, numbers.first_array);
    let is_array = within(numbers.first_array, numbers.end);
    let is_object = word != 0 && word & gc::TAG_MASK == 0 && (is_struct || is_array);
    let is_i31 = word & gc::I31 != 0 && number == 0;
    let is_host = word & gc::TAG_MASK == gc::HOST && number == 0;
    match kinds {
        Kinds::Any => !is_reference(ty, RefType::is_extern_ref) && (is_object || is_i31 || is_host),
        Kinds::Extern => {
            is_reference(ty, RefType::is_extern_ref) && (is_object || is_i31 || is_host)
        }
        Kinds::Eq => is_object || is_i31,
        Kinds::I31 => is_i31,
        Kinds::Struct => is_object && is_struct,
        Kinds::Array => is_object && is_array,
    }
}

fn is_reference(ty: ValType, kind: impl Fn(&RefType) -> bool) -> bool {
    matches!(ty, ValType::Ref(ty) if kind(&ty))
}

fn matches_lane(lane: Lane, value: u64) -> bool {
    // Exponent all ones and the payload's most significant bit: a quiet NaN.
    let (sign, quiet) = match lane.bits {
        32 => (1 << 31, 0x7fc0_0000),
        _ => (1 << 63, 0x7ff8_0000_0000_0000),
    };
    match lane.pattern {
        Pattern::Bits(bits) => value == bits,
        Pattern::CanonicalNan => value & !sign == quiet,
        Pattern::ArithmeticNan => value & quiet == quiet,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As with a program that has no types.
    fn matches(wanted: &Expected, ty: ValType, slot: u128) -> bool {
        super::matches(&Types::new(), wanted, ty, slot)
    }

    fn check(
        expectation: &Expectation,
        types: &[ValType],
        printed: &Printed,
    ) -> Result<(), String> {
        super::check(&Types::new(), expectation, types, printed)
    }

    fn lane(bits: u32, pattern: Pattern) -> Expected {
        let ty = if bits == 32 {
            ValType::F32
        } else {
            ValType::F64
        };
        Expected::Number(ty, vec![Lane { bits, pattern }])
    }

    #[test]
    fn nan_patterns() {
        for (bits, pattern, slot, fits) in [
            (32, Pattern::CanonicalNan, 0x7fc0_0000, true),
            (32, Pattern::CanonicalNan, 0xffc0_0000, true),
            (32, Pattern::CanonicalNan, 0x7fc0_0001, false),
            (32, Pattern::CanonicalNan, 0x7f80_0000, false),
            (32, Pattern::ArithmeticNan, 0x7fc0_0001, true),
            (32, Pattern::ArithmeticNan, 0xffff_ffff, true),
            (32, Pattern::ArithmeticNan, 0x7fa0_0000, false),
            (64, Pattern::CanonicalNan, 0xfff8_0000_0000_0000, true),
            (64, Pattern::CanonicalNan, 0x7ff8_0000_0000_0001, false),
            (64, Pattern::ArithmeticNan, 0x7ffc_0000_0000_0000, true),
            (64, Pattern::ArithmeticNan, 0x7ff4_0000_0000_0000, false),
        ] {
            let ty = if bits == 32 {
                ValType::F32
            } else {
                ValType::F64
            };
            assert_eq!(matches(&lane(bits, pattern), ty, slot), fits, "{slot:#x}");
        }
    }

    #[test]
    fn types_and_upper_bits_count() {
        let one = lane(32, Pattern::Bits(1));
        assert!(matches(&one, ValType::F32, 1));
        assert!(!matches(&one, ValType::I32, 1));
        assert!(!matches(&one, ValType::F32, 1 << 32 | 1));
        let pair = Expected::Number(
            ValType::V128,
            vec![
                Lane {
                    bits: 64,
                    pattern: Pattern::Bits(1),
                },
                Lane {
                    bits: 64,
                    pattern: Pattern::CanonicalNan,
                },
            ],
        );
        assert!(matches(
            &pair,
            ValType::V128,
            0x7ff8_0000_0000_0000_u128 << 64 | 1
        ));
        assert!(!matches(&pair, ValType::V128, 1));
    }

    #[test]
    fn references() {
        assert!(matches(&Expected::Null, ValType::FUNCREF, 0));
        assert!(!matches(&Expected::Null, ValType::I64, 0));
        assert!(!matches(&Expected::Null, ValType::EXTERNREF, 1));
        let host = u128::from(extern_word(1));
        assert!(matches(&Expected::Extern(1), ValType::EXTERNREF, host));
        assert!(!matches(&Expected::Extern(0), ValType::EXTERNREF, host));
        let any = ValType::Ref(RefType::ANYREF);
        assert!(matches(&Expected::Extern(1), any, host));
        for (kinds, ty, slot, fits) in [
            (Kinds::Extern, ValType::EXTERNREF, host, true),
            (Kinds::Extern, any, host, false),
            (Kinds::Extern, ValType::EXTERNREF, 0, false),
            (Kinds::Any, any, host, true),
            (Kinds::Eq, any, host, false),
            (Kinds::I31, any, host, false),
            (Kinds::I31, any, 7, true),
            (Kinds::Eq, any, 7, true),
            (Kinds::Struct, any, 7, false),
            (Kinds::I31, ValType::FUNCREF, 7, false),
            // An address, but of nothing that the program has a type for.
            (Kinds::Any, any, 8, false),
        ] {
            assert_eq!(
                matches(&Expected::Reference(kinds), ty, slot),
                fits,
                "{kinds:?} {slot:x}"
            );
        }
        assert!(!matches(&Expected::Function, ValType::FUNCREF, 0));
        let either = Expected::Either(vec![Expected::Null, Expected::Function]);
        assert!(matches(&either, ValType::FUNCREF, 5));
    }

    #[test]
    fn trap_messages_name_kinds() {
        use TrapCode::*;
        for (message, code, fits) in [
            ("unreachable", Unreachable, true),
            ("un", Unreachable, false),
            ("", Unreachable, false),
            ("uninitialized element 7", UninitializedElement, true),
            ("uninitialized", UninitializedElement, true),
            ("undefined element", UninitializedElement, false),
            ("undefined", UndefinedElement, true),
            ("indirect call", IndirectCallTypeMismatch, true),
            ("out of bounds memory access", TableOutOfBounds, false),
            ("out of bounds table access", TableOutOfBounds, true),
            ("integer overflow", IntegerDivideByZero, false),
        ] {
            assert_eq!(is_message(message, code), fits, "{message}");
        }
    }

    #[test]
    fn a_trap_is_no_result() {
        let trap = Printed::Trap(TrapCode::Unreachable);
        assert!(check(&Expectation::Done, &[], &trap).is_err());
        assert!(check(&Expectation::Results(Vec::new()), &[], &trap).is_err());
        let wanted = Expectation::Trap("unreachable".to_owned());
        assert!(check(&wanted, &[], &trap).is_ok());
        assert!(check(&wanted, &[], &Printed::Done(Vec::new())).is_err());
        assert!(check(&Expectation::Exception, &[], &Printed::Exception).is_ok());
        assert!(check(&Expectation::Exception, &[], &trap).is_err());
        assert!(check(&Expectation::Exception, &[], &Printed::Done(Vec::new())).is_err());
        assert!(check(&Expectation::Done, &[], &Printed::Exception).is_err());
        assert!(check(&wanted, &[], &Printed::Exception).is_err());
        assert!(check(&Expectation::Unlinkable, &[], &Printed::Done(Vec::new())).is_err());
    }
}

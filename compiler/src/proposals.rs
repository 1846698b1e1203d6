//! Modules of proposals that are not finished: told so, and not called invalid.
//!
//! In: a module that the validator refused, and what it said. Out: the proposals with which it is valid.
//! Asked only when the complaint is about a proposal: without that, a module that breaks a rule which a
//! proposal would relax would no longer be invalid.

use wasmparser::{Validator, WasmFeatures};

/// Proposals that the validator knows and elfin does not compile.
const PROPOSALS: [(WasmFeatures, &str); 6] = [
    (WasmFeatures::STACK_SWITCHING, "stack switching"),
    (
        WasmFeatures::SHARED_EVERYTHING_THREADS,
        "shared-everything threads",
    ),
    (WasmFeatures::CUSTOM_DESCRIPTORS, "custom descriptors"),
    (WasmFeatures::MEMORY_CONTROL, "memory control"),
    (
        WasmFeatures::ACQUIRE_RELEASE_ATOMICS,
        "acquire-release atomics",
    ),
    (
        WasmFeatures::MULTIBYTE_ARRAY_ACCESS,
        "multi-byte array access",
    ),
];

/// What a module needs besides `features`, which made the validator say `message`.
#[must_use]
pub fn needed(bytes: &[u8], features: WasmFeatures, message: &str) -> Option<String> {
    if !["enabled", "disabled", "require"]
        .iter()
        .any(|word| message.contains(word))
    {
        return None;
    }
    let valid = |features| {
        Validator::new_with_features(features)
            .validate_all(bytes)
            .is_ok()
    };
    let all = PROPOSALS
        .iter()
        .fold(features, |all, (proposal, _)| all | *proposal);
    if !valid(all) {
        return None;
    }
    // Those without which it is not valid; where one stands in for another, none is needed by itself.
    let names: Vec<_> = PROPOSALS
        .iter()
        .filter(|(proposal, _)| !valid(all - *proposal))
        .map(|(_, name)| *name)
        .collect();
    Some(if names.is_empty() {
        "a proposal that is not finished".to_owned()
    } else {
        names.join(", ")
    })
}

#[cfg(test)]
mod tests {
    use crate::error::Error;
    use crate::parse::parse;

    fn refused(text: &str) -> String {
        let bytes = wat::parse_str(text).unwrap();
        match parse("test", &bytes).map(|_| ()) {
            Err(error @ (Error::Invalid { .. } | Error::Unsupported { .. })) => error.to_string(),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn proposals_are_named() {
        for (text, feature) in [
            (
                "(module (type $f (func)) (type (cont $f)))",
                "stack switching",
            ),
            (
                "(module (type (shared (struct))))",
                "shared-everything threads",
            ),
            (
                "(module (rec (type $a (descriptor $b) (struct)) (type $b (describes $a) (struct))))",
                "custom descriptors",
            ),
            (
                "(module (memory 1) (func i32.const 0 i32.const 0 memory.discard))",
                "memory control",
            ),
            (
                "(module (type $f (func)) (type (cont $f)) (type (shared (struct))))",
                "stack switching, shared-everything threads",
            ),
        ] {
            assert_eq!(refused(text), format!("unsupported feature: {feature}"));
        }
    }

    #[test]
    fn what_is_invalid_with_them_is_invalid() {
        for text in [
            "(module (type $f (func)) (type (cont $f)) (func unreachable i32.add drop i32.add))",
            "(module (func (result i32)))",
        ] {
            assert!(refused(text).starts_with("invalid module: "), "{text}");
        }
    }
}

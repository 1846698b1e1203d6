//! The harness finds what is wrong: scripts whose expectations are wrong, one by one, fail at exactly the
//! directives that are wrong.
//!
//! A comment `;; wrong` ends the first line of each directive that must fail.

use elfin_compiler::{Addressing, Arch, MemoryMode, OptLevel};
use spec_tests::{Config, Outcome};

fn config() -> Config {
    Config::new(
        Arch::X86_64,
        Addressing::Fixed,
        MemoryMode::Guarded,
        OptLevel::O2,
    )
}

/// Lines of directives that failed, and those that the script says are wrong.
fn failures(text: &str) -> (Vec<usize>, Vec<usize>) {
    let report = spec_tests::run("script", text, &config());
    let failed = report
        .results
        .iter()
        .filter(|r| matches!(r.outcome, Outcome::Failed(_)));
    let wrong = (1..)
        .zip(text.lines())
        .filter(|(_, line)| line.ends_with(";; wrong"));
    (
        failed.map(|r| r.line).collect(),
        wrong.map(|(number, _)| number).collect(),
    )
}

const WRONG: &str = r#"
(module $M
  (global (export "g") i32 (i32.const 7))
  (table $t 1 funcref)
  (func (export "id") (param i32) (result i32) (local.get 0))
  (func (export "nan") (result f32) (f32.const nan:0x600000))
  (func (export "zero") (result f64) (f64.const -0))
  (func (export "null") (result externref) (ref.null extern))
  (func (export "same") (param externref) (result externref) (local.get 0))
  (func (export "func") (result funcref) (ref.func 0))
  (tag $e)
  (func (export "throw") (throw $e))
  (func (export "trap") unreachable)
  (func (export "divide") (result i32) (i32.div_s (i32.const 1) (i32.const 0)))
  (func $deep (export "deep") (call $deep))
  (elem declare func 0)
)
(assert_return (invoke "id" (i32.const 1)) (i32.const 1))
(assert_exception (invoke "throw"))
(assert_exception (invoke "trap")) ;; wrong
(assert_exception (invoke "id" (i32.const 1))) ;; wrong
(assert_return (invoke "throw")) ;; wrong
(assert_trap (invoke "throw") "unreachable") ;; wrong
(invoke "throw") ;; wrong
(assert_return (invoke "id" (i32.const 1)) (i32.const 2)) ;; wrong
(assert_return (invoke "id" (i32.const 1)) (i64.const 1)) ;; wrong
(assert_return (invoke "id" (i32.const 1))) ;; wrong
(assert_return (invoke "id" (i64.const 1)) (i32.const 1)) ;; wrong
(assert_return (invoke "nothing") (i32.const 1)) ;; wrong
(assert_return (invoke $N "id" (i32.const 1)) (i32.const 1)) ;; wrong
(assert_return (get "g") (i32.const 7))
(assert_return (get "g") (i32.const 8)) ;; wrong
(assert_return (get "id") (i32.const 8)) ;; wrong
(assert_return (invoke "nan") (f32.const nan:arithmetic))
(assert_return (invoke "nan") (f32.const nan:canonical)) ;; wrong
(assert_return (invoke "nan") (f32.const nan:0x600000))
(assert_return (invoke "nan") (f32.const nan:0x600001)) ;; wrong
(assert_return (invoke "zero") (f64.const -0))
(assert_return (invoke "zero") (f64.const 0)) ;; wrong
(assert_return (invoke "null") (ref.null extern))
(assert_return (invoke "null") (ref.extern 0)) ;; wrong
(assert_return (invoke "same" (ref.extern 3)) (ref.extern 3))
(assert_return (invoke "same" (ref.extern 3)) (ref.extern 4)) ;; wrong
(assert_return (invoke "same" (ref.extern 0)) (ref.null extern)) ;; wrong
(assert_return (invoke "func") (ref.func))
(assert_return (invoke "func") (ref.null func)) ;; wrong
(assert_return (invoke "id" (i32.const 1)) (either (i32.const 5) (i32.const 1)))
(assert_return (invoke "id" (i32.const 1)) (either (i32.const 5) (i32.const 2))) ;; wrong
(assert_trap (invoke "trap") "unreachable")
(assert_trap (invoke "trap") "integer divide by zero") ;; wrong
(assert_trap (invoke "trap") "") ;; wrong
(assert_trap (invoke "divide") "integer divide by zero")
(assert_trap (invoke "id" (i32.const 1)) "unreachable") ;; wrong
(assert_return (invoke "trap")) ;; wrong
(invoke "trap") ;; wrong
(assert_exhaustion (invoke "deep") "call stack exhausted")
(assert_exhaustion (invoke "trap") "call stack exhausted") ;; wrong
(assert_exhaustion (invoke "id" (i32.const 1)) "call stack exhausted") ;; wrong
(assert_trap (invoke "deep") "unreachable") ;; wrong
(assert_exhaustion (invoke "deep") "call stack exhausted")
(assert_invalid (module (func (result i32))) "type mismatch")
(assert_invalid (module (func)) "type mismatch") ;; wrong
(assert_malformed (module quote "(module (func") "unexpected token")
(assert_malformed (module quote "(module (func))") "unexpected token") ;; wrong
(assert_malformed (module binary "\00asm\01\00\00\00") "unexpected end") ;; wrong
(assert_unlinkable (module (import "spectest" "no" (func))) "unknown import")
(assert_unlinkable (module (import "spectest" "no" (func))) "incompatible import type") ;; wrong
(assert_unlinkable (module (import "spectest" "print" (func (param i64)))) "incompatible import type")
(assert_unlinkable (module (import "spectest" "print" (func (param i64)))) "unknown import") ;; wrong
(assert_unlinkable (module (import "spectest" "print" (func))) "unknown import") ;; wrong
(assert_unlinkable (module (import "spectest" "memory" (memory 2))) "incompatible import type")
(assert_trap (module (func unreachable) (start 0)) "unreachable")
(assert_trap (module (func) (start 0)) "unreachable") ;; wrong
(module (import "nowhere" "f" (func))) ;; wrong
(invoke "id" (i32.const 1)) ;; wrong
(register "N" $N) ;; wrong
(module (memory 1) (data (i32.const 65536) "x")) ;; wrong
(module $Shared (memory (export "memory") 1 1 shared)
  (func (export "get") (result i32) (i32.atomic.load (i32.const 0))))
(register "shared")
(wait $T) ;; wrong
(thread $T (shared (module $Shared))
  (module $Mine (func (export "f") (result i32) (i32.const 5)))
  (assert_return (invoke "f") (i32.const 6)) ;; wrong
  (assert_return (invoke "f") (i32.const 5))
  (assert_return (invoke $Shared "get") (i32.const 0))
  (module (memory (import "shared" "memory") 1 1 shared)) ;; wrong
  (register "shared" $Shared)
  (module (memory (import "shared" "memory") 1 1 shared)
    (func (export "set") (i32.atomic.store (i32.const 0) (i32.const 9)))
    (func (export "trap") unreachable)
    (func $deep (export "deep") (call $deep)))
  (invoke "trap") ;; wrong
  (assert_trap (invoke "trap") "integer overflow") ;; wrong
  (assert_exhaustion (invoke "deep") "call stack exhausted")
  (assert_exhaustion (invoke "trap") "call stack exhausted") ;; wrong
  (thread $Inner (assert_return (invoke $Mine "f") (i32.const 5))) ;; wrong
  (wait $Inner)
  (invoke "set")
)
(wait $T)
(wait $Inner) ;; wrong
(assert_return (invoke $Shared "get") (i32.const 9))
(assert_return (invoke $Shared "get") (i32.const 0)) ;; wrong
(invoke $Mine "f") ;; wrong
(module $M (func (export "last") (result i32) (i32.const 1)))
(assert_return (invoke $M "last") (i32.const 1))
"#;

#[test]
fn every_wrong_expectation_fails_and_no_other() {
    let (failed, wrong) = failures(WRONG);
    assert!(wrong.len() > 30);
    assert_eq!(failed, wrong);
}

#[test]
fn a_script_that_is_none_fails() {
    let report = spec_tests::run("script", "(assert_return", &config());
    assert_eq!(
        report.count(|outcome| matches!(outcome, Outcome::Failed(_))),
        1
    );
}

#[test]
fn what_is_not_supported_is_skipped_with_all_that_needs_it() {
    let text = r#"
(component $later)
(register "later" $later)
(invoke "f")
(module (import "later" "f" (func (result i32))))
(assert_return (invoke "f") (i32.const 0))
(assert_unlinkable (module (import "later" "g" (func))) "unknown import")
"#;
    let report = spec_tests::run("script", text, &config());
    assert_eq!(report.results.len(), 6);
    for result in report.results {
        assert_eq!(
            result.outcome,
            Outcome::Skipped("component-model".to_owned()),
            "line {}",
            result.line
        );
    }
}

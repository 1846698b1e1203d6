//! `examples/js-string/builtins.wat`: what its builtins refuse. What they give is the example's output, which the
//! examples' test compares with that of an engine that has them built in.

mod support;

use std::fs;

use support::{run_elfin, run_executable, workspace};

/// Imports of every builtin that takes something it may refuse, and what the cases below work on.
const PROLOGUE: &str = r#"(module
  (type $units (array (mut i16)))
  (import "wasm:js-string" "cast" (func $cast (param externref) (result (ref extern))))
  (import "wasm:js-string" "fromCharCode" (func $fromCharCode (param i32) (result (ref extern))))
  (import "wasm:js-string" "fromCodePoint" (func $fromCodePoint (param i32) (result (ref extern))))
  (import "wasm:js-string" "fromCharCodeArray"
    (func $from (param (ref null $units) i32 i32) (result (ref extern))))
  (import "wasm:js-string" "intoCharCodeArray"
    (func $into (param externref (ref null $units) i32) (result i32)))
  (import "wasm:js-string" "charCodeAt" (func $charCodeAt (param externref i32) (result i32)))
  (import "wasm:js-string" "codePointAt" (func $codePointAt (param externref i32) (result i32)))
  (import "wasm:js-string" "length" (func $length (param externref) (result i32)))
  (import "wasm:js-string" "concat" (func $concat (param externref externref) (result (ref extern))))
  (import "wasm:js-string" "substring" (func $substring (param externref i32 i32) (result (ref extern))))
  (import "wasm:js-string" "equals" (func $equals (param externref externref) (result i32)))
  (import "wasm:js-string" "compare" (func $compare (param externref externref) (result i32)))
  (memory (export "memory") 1)
  (func $a (result externref) (call $fromCharCode (i32.const 97)))
  (func $three (result (ref $units)) (array.new_default $units (i32.const 3)))
  (func $null (result externref) (ref.null extern))
  (func $other (result externref) (extern.convert_any (call $three)))
"#;

/// Expressions that the interface of `wasm:js-string` says are traps.
const TRAPS: [&str; 25] = [
    "(call $cast (call $null))",
    "(call $cast (call $other))",
    "(call $fromCodePoint (i32.const 0x110000))",
    "(call $fromCodePoint (i32.const -1))",
    "(call $from (ref.null $units) (i32.const 0) (i32.const 0))",
    "(call $from (call $three) (i32.const 0) (i32.const 4))",
    "(call $from (call $three) (i32.const 2) (i32.const 1))",
    "(call $from (call $three) (i32.const -1) (i32.const 3))",
    "(call $from (call $three) (i32.const 0) (i32.const -1))",
    "(call $into (call $null) (call $three) (i32.const 0))",
    "(call $into (call $a) (ref.null $units) (i32.const 0))",
    "(call $into (call $a) (call $three) (i32.const 3))",
    "(call $into (call $a) (call $three) (i32.const -1))",
    "(call $charCodeAt (call $a) (i32.const 1))",
    "(call $charCodeAt (call $a) (i32.const -1))",
    "(call $charCodeAt (call $null) (i32.const 0))",
    "(call $codePointAt (call $a) (i32.const 1))",
    "(call $codePointAt (call $other) (i32.const 0))",
    "(call $length (call $null))",
    "(call $concat (call $a) (call $null))",
    "(call $concat (call $other) (call $a))",
    "(call $substring (call $null) (i32.const 0) (i32.const 0))",
    "(call $equals (call $a) (call $other))",
    "(call $equals (call $null) (call $other))",
    "(call $compare (call $a) (call $null))",
];

/// Expressions at the borders of those, which are none.
const NO_TRAPS: [&str; 7] = [
    "(call $fromCodePoint (i32.const 0x10ffff))",
    "(call $from (call $three) (i32.const 3) (i32.const 3))",
    "(call $into (call $a) (call $three) (i32.const 2))",
    "(call $charCodeAt (call $a) (i32.const 0))",
    "(call $substring (call $a) (i32.const -1) (i32.const -1))",
    "(call $equals (call $null) (call $a))",
    "(call $cast (call $a))",
];

#[test]
fn what_is_no_string_and_what_is_out_of_bounds() {
    let scratch = tempfile::tempdir().expect("scratch");
    fs::copy(
        workspace().join("examples/js-string/builtins.wat"),
        scratch.path().join("builtins.wat"),
    )
    .expect("the library");
    let cases = TRAPS.iter().map(|case| (case, true));
    for (case, traps) in cases.chain(NO_TRAPS.iter().map(|case| (case, false))) {
        let module = format!("{PROLOGUE}  (func (export \"_start\") (drop {case})))\n");
        fs::write(scratch.path().join("case.wat"), module).expect("module");
        run_elfin(
            scratch.path(),
            "build case.wat --link wasm:js-string=builtins.wat",
        )
        .expect_code(0);
        let executable = scratch.path().join("case");
        let ran = run_executable(
            std::env::consts::ARCH,
            &executable,
            &["case"],
            scratch.path(),
            None,
        );
        assert_eq!(
            ran.code(),
            if traps { 134 } else { 0 },
            "{case}: {}",
            ran.stderr
        );
    }
}

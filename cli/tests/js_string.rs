//! `examples/js-string/builtins.wat`: what its builtins refuse. What they give is the example's output, which the
//! examples' test compares with that of an engine that has them built in. And stand-ins of which only a part is opaque.

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

/// A stand-in whose own conversions leave references as they are: it gets two functions from a module that is opaque.
/// So it can give what is opaque back as `anyref`, and pass on what belongs to the program.
#[test]
fn a_stand_in_of_which_a_part_is_opaque() {
    const OPAQUE: &str = r#"(module (@custom "elfin.opaque" "")
        (func (export "hide") (param (ref any)) (result (ref extern)) (extern.convert_any (local.get 0)))
        (func (export "reveal") (param externref) (result anyref) (any.convert_extern (local.get 0))))"#;
    const HOST: &str = r#"(module
        (import "opaque" "hide" (func $hide (param (ref any)) (result (ref extern))))
        (import "opaque" "reveal" (func $reveal (param externref) (result anyref)))
        (rec (type $cell (sub (struct (field (mut anyref))))))
        (func (export "cell") (param anyref) (result anyref)
          (any.convert_extern (call $hide (struct.new $cell (local.get 0)))))
        (func (export "content") (param anyref) (result externref)
          (extern.convert_any
            (struct.get $cell 0
              (ref.cast (ref $cell) (call $reveal (extern.convert_any (local.get 0))))))))"#;
    const PROGRAM: &str = r#"(module
        (import "host" "cell" (func $cell (param anyref) (result anyref)))
        (import "host" "content" (func $content (param anyref) (result externref)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (type $own (struct (field i32)))
        ;; The same as the stand-in's, and none of them all the same.
        (rec (type $cell (sub (struct (field (mut anyref))))))
        (func (export "_start") (local $cell anyref)
          (local.set $cell (call $cell (call $cell (struct.new $own (i32.const 40)))))
          (call $exit
            (i32.add
              (struct.get $own 0
                (ref.cast (ref $own)
                  (any.convert_extern (call $content (any.convert_extern (call $content (local.get $cell)))))))
              (i32.or
                (i32.or
                  (ref.test (ref any) (local.get $cell))
                  (i32.shl (ref.test (ref eq) (local.get $cell)) (i32.const 1)))
                (i32.or
                  (i32.shl (ref.test (ref $cell) (local.get $cell)) (i32.const 2))
                  (i32.shl
                    (ref.test (ref eq) (any.convert_extern (call $content (local.get $cell))))
                    (i32.const 3))))))))"#;
    let scratch = tempfile::tempdir().expect("scratch");
    for (name, text) in [
        ("opaque.wat", OPAQUE),
        ("host.wat", HOST),
        ("program.wat", PROGRAM),
    ] {
        fs::write(scratch.path().join(name), text).expect("module");
    }
    for options in ["", "-O 0", "--addressing context", "--gc-stress"] {
        let line =
            format!("build program.wat --link opaque=opaque.wat --link host=host.wat {options}");
        run_elfin(scratch.path(), &line).expect_code(0);
        let program = scratch.path().join("program");
        let arch = std::env::consts::ARCH;
        run_executable(arch, &program, &["program"], scratch.path(), None).expect_code(41);
    }
}

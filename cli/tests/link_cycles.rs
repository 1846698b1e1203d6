//! `--link` of modules that need each other: a helper that reads the main module's memory and calls it back.

mod support;

use std::fs;
use std::process::Command;

use support::{Finished, TARGETS, finish, guest, run_elfin, workspace};
use tempfile::TempDir;

/// A directory with these modules.
fn scratch(written: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().expect("scratch");
    for (name, text) in written {
        fs::write(directory.path().join(name), text).expect("module");
    }
    directory
}

/// Builds `main.wat` with these options and runs it.
fn run(scratch: &TempDir, options: &str) -> Finished {
    let line = format!("build main.wat {options} -o program");
    run_elfin(scratch.path(), &line).expect_code(0);
    finish(Command::new(scratch.path().join("program")), None)
}

/// What elfin says when it does not build `main.wat`.
fn refused(scratch: &TempDir, options: &str) -> String {
    let ran = run_elfin(scratch.path(), &format!("build main.wat {options}"));
    ran.expect_code(1);
    ran.stderr
}

#[test]
fn a_helper_uses_the_memory_of_the_program() {
    let scratch = tempfile::tempdir().expect("scratch");
    let helper = workspace().join("examples/assemblyscript/env.wat");
    for file in [helper, guest("helped.wat")] {
        let name = file.file_name().expect("name");
        fs::copy(&file, scratch.path().join(name)).expect("guest");
    }
    for target in TARGETS {
        let line = format!("run helped.wat --link env=env.wat --target {target}");
        let ran = run_elfin(scratch.path(), &line);
        ran.expect_code(134);
        assert_eq!(
            ran.stderr,
            "no more milk in null:1:23\nelfin: trap: unreachable\n    0: milk\n    1: func[2]\n",
            "{target}"
        );
    }
}

/// Three ways back into the program: its export, its table, and a reference that a global keeps.
#[test]
fn a_helper_calls_the_program() {
    let scratch = scratch(&[
        (
            "helper.wat",
            r#"(module
              (import "main" "double" (func $double (param i32) (result i32)))
              (import "main" "table" (table $table 0 funcref))
              (import "main" "count" (global $count (mut i32)))
              (type $unary (func (param i32) (result i32)))
              (elem declare func $double)
              (func (export "apply") (param $which i32) (param $value i32) (result i32)
                (global.set $count (i32.add (global.get $count) (i32.const 1)))
                (call $double (call_indirect $table (type $unary) (local.get $value) (local.get $which))))
              (func (export "reference") (result funcref) (ref.func $double)))"#,
        ),
        (
            "main.wat",
            r#"(module
              (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
              (import "env" "apply" (func $apply (param i32 i32) (result i32)))
              (import "env" "reference" (func $reference (result funcref)))
              (type $unary (func (param i32) (result i32)))
              (memory (export "memory") 1)
              (table $table (export "table") 3 funcref)
              (elem (table $table) (i32.const 1) func $next)
              (global $count (export "count") (mut i32) (i32.const 40))
              (func $next (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
              (func (export "double") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2)))
              (func (export "_start")
                (table.set $table (i32.const 2) (call $reference))
                ;; 2 * (9 + 1) + 2 * (2 * 9) + 42
                (call $exit (i32.add
                  (i32.add (call $apply (i32.const 1) (i32.const 9)) (call $apply (i32.const 2) (i32.const 9)))
                  (global.get $count)))))"#,
        ),
    ]);
    run(&scratch, "--link env=helper.wat").expect_code(98);
}

/// Whoever is instantiated first: both import from each other, and what one exports of the other's leads on.
#[test]
fn two_helpers_of_each_other() {
    let even = r#"(module
      (import "odd" "odd" (func $odd (param i32) (result i32)))
      (func (export "even") (param i32) (result i32)
        (if (i32.eqz (local.get 0)) (then (return (i32.const 1))))
        (return_call $odd (i32.sub (local.get 0) (i32.const 1))))
      (export "odd" (func $odd)))"#;
    let odd = r#"(module
      (import "even" "even" (func $even (param i32) (result i32)))
      (import "even" "odd" (func $self (param i32) (result i32)))
      (func (export "odd") (param i32) (result i32)
        (if (i32.eqz (local.get 0)) (then (return (i32.const 0))))
        (return_call $even (i32.sub (local.get 0) (i32.const 1))))
      (func (export "again") (param i32) (result i32) (return_call $self (local.get 0))))"#;
    let main = r#"(module
      (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
      (import "even" "even" (func $even (param i32) (result i32)))
      (import "even" "odd" (func $odd (param i32) (result i32)))
      (import "odd" "again" (func $again (param i32) (result i32)))
      (memory (export "memory") 0)
      (func (export "_start")
        (call $exit (i32.add
          (i32.mul (call $even (i32.const 1000000)) (i32.const 1))
          (i32.add
            (i32.mul (call $odd (i32.const 77)) (i32.const 2))
            (i32.mul (call $again (i32.const 7)) (i32.const 4)))))))"#;
    let scratch = scratch(&[("even.wat", even), ("odd.wat", odd), ("main.wat", main)]);
    for order in [
        "--link even=even.wat --link odd=odd.wat",
        "--link odd=odd.wat --link even=even.wat",
    ] {
        run(&scratch, order).expect_code(7);
    }
}

/// An earlier module writes to a later one's memory first, also where its segments are copied at start.
#[test]
fn segments_are_written_in_order() {
    let helper = r#"(module
      (import "main" "memory" (memory 1))
      (data (i32.const 0) "\01\02\03"))"#;
    let main = r#"(module
      (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
      (memory (export "memory") 1)
      (data (i32.const 1) "\10")
      (func (export "_start")
        (call $exit (i32.add
          (i32.add (i32.load8_u (i32.const 0)) (i32.load8_u (i32.const 1)))
          (i32.load8_u (i32.const 2))))))"#;
    let starts = "(module (global $g (mut i32) (i32.const 0)) (func $f (global.set $g (i32.const 1))) (start $f))";
    let scratch = scratch(&[
        ("helper.wat", helper),
        ("main.wat", main),
        ("starts.wat", starts),
    ]);
    run(&scratch, "--link env=helper.wat").expect_code(20);
    run(&scratch, "--link starts=starts.wat --link env=helper.wat").expect_code(20);
}

#[test]
fn what_is_not_there_yet_is_refused() {
    let main = r#"(module
      (memory (export "memory") 1)
      (table (export "table") 1 funcref)
      (global (export "three") i32 (i32.const 3))
      (func (export "f"))
      (tag (export "tag"))
      (func (export "_start")))"#;
    let cases = [
        (
            r#"(module (import "main" "f" (func $f)) (start $f))"#,
            "function \"main\" \"f\" is of main.wat, which is instantiated later, and the start function of env",
        ),
        (
            r#"(module (import "main" "three" (global i32)) (global i32 (global.get 0)))"#,
            "global \"main\" \"three\" is of main.wat, which is instantiated later, and a constant expression",
        ),
        (
            r#"(module (import "main" "three" (global i32)) (memory 1) (data (global.get 0) "x"))"#,
            "a constant expression needs its value before that",
        ),
        (
            r#"(module (import "main" "table" (table 1 funcref)) (func $f) (elem (i32.const 0) func $f))"#,
            "an element segment is written to it before that",
        ),
        (
            r#"(module (import "main" "f" (func (param i32))))"#,
            "incompatible import type: function \"main\" \"f\": it has type () -> (), wanted is type (i32) -> ()",
        ),
        (
            r#"(module (import "main" "g" (func)))"#,
            "the module linked as \"main\" has no such export",
        ),
    ];
    for (helper, expected) in cases {
        let scratch = scratch(&[("main.wat", main), ("helper.wat", helper)]);
        let said = refused(&scratch, "--link env=helper.wat");
        assert!(said.contains(expected), "{said}");
    }
    // A tag is only a name.
    let helper = r#"(module (import "main" "tag" (tag)) (func $f) (start $f))"#;
    let scratch = scratch(&[("main.wat", main), ("helper.wat", helper)]);
    run(&scratch, "--link env=helper.wat").expect_code(0);
}

#[test]
fn an_import_that_leads_back_to_itself() {
    let of = |other: &str| {
        format!(
            r#"(module (import "{other}" "f" (func $f)) (export "f" (func $f)) (func (export "_start")))"#
        )
    };
    let scratch = scratch(&[
        ("a.wat", &of("b")),
        ("b.wat", &of("a")),
        ("main.wat", &of("a")),
        ("own.wat", &of("main")),
    ]);
    let said = refused(&scratch, "--link a=a.wat --link b=b.wat");
    assert!(
        said.contains(
            "unknown import: function \"a\" \"f\": the export of that name is this import"
        ),
        "{said}"
    );
    // A name of one's own is nobody's.
    let ran = run_elfin(scratch.path(), "build own.wat");
    ran.expect_code(1);
    assert!(
        ran.stderr.contains("provide it with --link"),
        "{}",
        ran.stderr
    );
}

/// Many imports that lead through each other: no recursion, no square of their number.
#[test]
fn a_long_chain() {
    const LENGTH: usize = 20_000;
    let module = |other: &str, step: usize| {
        let imports: String = (0..LENGTH)
            .map(|i| {
                let from = i + step;
                format!("(import \"{other}\" \"f{from}\" (func $f{i}))")
            })
            .collect();
        let exports: String = (0..LENGTH)
            .map(|i| format!("(export \"f{i}\" (func $f{i}))"))
            .collect();
        format!("(module {imports} {exports} (func (export \"f{LENGTH}\")))")
    };
    let main = r#"(module (import "a" "f0" (func $f)) (func (export "_start") (call $f)))"#;
    let scratch = scratch(&[
        ("a.wat", &module("b", 0)),
        ("b.wat", &module("a", 1)),
        ("main.wat", main),
    ]);
    run(&scratch, "--link a=a.wat --link b=b.wat").expect_code(0);
}

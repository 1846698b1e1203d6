//! Modules in which something is very large: they are built in bounded memory and do what they should, or are refused
//! with the limit and the place. Nothing here looks at a clock.

mod support;

use std::fmt::Write;
use std::fs;
use std::path::Path;

use support::{BUILD_MEMORY, Finished, TARGETS, elfin, finish, run_executable};

/// Builds `text` with the words of `options`, in a directory that is there for longer.
fn build(directory: &Path, text: &str, options: &str) -> Finished {
    fs::write(directory.join("large.wat"), text).expect("module");
    let mut command = elfin(directory);
    command
        .args(["build", "large.wat", "-o", "out"])
        .args(options.split_whitespace());
    let built = finish(command, None);
    assert!(built.memory <= BUILD_MEMORY, "{} bytes", built.memory);
    assert!(!built.stderr.contains("bug in elfin"), "{}", built.stderr);
    built
}

/// Builds and runs.
#[track_caller]
fn run(text: &str, target: &str, options: &str) -> Finished {
    let scratch = tempfile::tempdir().expect("scratch");
    let options = format!("--target {target} {options}");
    build(scratch.path(), text, &options).expect_code(0);
    let out = scratch.path().join("out");
    run_executable(target, &out, &["out"], scratch.path(), None)
}

#[track_caller]
fn refused(text: &str, words: &[&str]) {
    let scratch = tempfile::tempdir().expect("scratch");
    let built = build(scratch.path(), text, "");
    built.expect_code(1);
    for word in words {
        assert!(built.stderr.contains(word), "no {word:?}: {}", built.stderr);
    }
}

/// Items of an element segment: objects with numbers from `first` on.
fn objects(first: u32, count: u32) -> String {
    (first..first + count).fold(String::new(), |mut items, number| {
        let _ = write!(items, "(item (struct.new $s (i32.const {number})))");
        items
    })
}

/// Traps unless the entries of the table from `at` on have the numbers from `first` on.
fn check(at: u32, first: u32, count: u32) -> String {
    format!("(call $check (i32.const {at}) (i32.const {first}) (i32.const {count}))")
}

/// Elements and globals, thousands each, that are new objects.
fn many_objects() -> String {
    let globals: String = (0..700)
        .map(|i| format!("(global $g{i} (ref $s) (struct.new $s (i32.const {i})))"))
        .collect();
    let globals_checked: String = (0..700)
        .map(|i| {
            format!("(if (i32.ne (struct.get $s 0 (global.get $g{i})) (i32.const {i})) (then unreachable))")
        })
        .collect();
    format!(
        r#"(module
            (type $s (struct (field i32)))
            (table $t 6000 (ref null $s) (struct.new $s (i32.const 9)))
            {globals}
            (elem (table $t) (offset (i32.const 100)) (ref null $s) {active})
            (elem $last (table $t) (offset (i32.const 3090)) (ref null $s) {over})
            (elem $passive (ref null $s) {passive})
            (func $check (param $at i32) (param $number i32) (param $count i32)
                (loop $next
                    (if (i32.ne
                            (struct.get $s 0 (table.get $t (local.get $at)))
                            (local.get $number))
                        (then unreachable))
                    (local.set $at (i32.add (local.get $at) (i32.const 1)))
                    (local.set $number (i32.add (local.get $number) (i32.const 1)))
                    (local.set $count (i32.sub (local.get $count) (i32.const 1)))
                    (br_if $next (local.get $count))))
            (func (export "_start")
                (table.init $t $passive (i32.const 4000) (i32.const 0) (i32.const 1500))
                {first} {last} {initial} {taken} {globals_checked}
                ;; Dropped: it has no items any more.
                (table.init $t $last (i32.const 0) (i32.const 0) (i32.const 1))))"#,
        active = objects(0, 3000),
        over = objects(10_000, 20),
        passive = objects(50_000, 1500),
        first = check(100, 0, 2990),
        last = check(3090, 10_000, 20),
        initial = check(99, 9, 1),
        taken = check(4000, 50_000, 1500),
    )
}

#[test]
fn elements_that_are_objects_are_divided_among_functions() {
    let text = many_objects();
    for target in TARGETS {
        for options in ["", "--gc-stress", "--addressing context -O 0"] {
            if target != "x86_64" && !options.is_empty() {
                continue;
            }
            let ran = run(&text, target, options);
            ran.expect_code(134);
            // The last instruction: all before were right.
            assert!(
                ran.stderr
                    .starts_with("elfin: trap: out of bounds table access"),
                "{target} {options}: {}",
                ran.stderr
            );
        }
    }
    // None of the functions is large: items, globals, and what lies between.
    let scratch = tempfile::tempdir().expect("scratch");
    build(scratch.path(), &text, "--emit clif").expect_code(0);
    let clif = fs::read_to_string(scratch.path().join("out")).expect("text");
    let parts: Vec<&str> = clif
        .split("\n; ")
        .filter(|part| part.starts_with("steps at start, part "))
        .collect();
    // An object is two operators.
    assert!(parts.len() > (3000 + 1500 + 700) / 512, "{}", parts.len());
    for part in parts {
        let made = part.matches(" call ").count();
        assert!(made <= 512, "{made} objects");
    }
}

#[test]
fn a_divided_segment_ends_where_it_should() {
    let library =
        r#"(module (type $s (struct (field i32))) (table (export "t") 10 (ref null $s)))"#;
    let main = format!(
        r#"(module
            (type $s (struct (field i32)))
            (import "lib" "t" (table $t 10 (ref null $s)))
            (elem (table $t) (offset (i32.const 0)) (ref null $s) {})
            (elem (table $t) (offset (i32.const 0)) (ref null $s) {})
            (func (export "_start") unreachable))"#,
        objects(0, 10),
        objects(0, 1000),
    );
    let scratch = tempfile::tempdir().expect("scratch");
    fs::write(scratch.path().join("lib.wat"), library).expect("module");
    build(scratch.path(), &main, "--link lib=lib.wat").expect_code(0);
    let out = scratch.path().join("out");
    let ran = run_executable("x86_64", &out, &["out"], scratch.path(), None);
    ran.expect_trap("out of bounds table access");

    // The heap is full before all items are there.
    let item = "(item (array.new_default $a (i32.const 100000)))";
    let text = format!(
        r#"(module (type $a (array i32)) (table $t 2000 (ref null $a))
            (elem (table $t) (offset (i32.const 0)) (ref null $a) {})
            (func (export "_start") (drop (table.get $t (i32.const 0)))))"#,
        item.repeat(2000)
    );
    let ran = run(&text, "x86_64", "--max-gc-heap 16MiB");
    ran.expect_trap("garbage-collected heap exhausted");
}

/// A function with a block that so many branches lead to, each with so many values, and references and handlers alive
/// over calls in between.
fn very_many_branches(branches: u32, values: usize) -> String {
    let count = branches;
    let zeros = "(i32.const 0) ".repeat(values - 1);
    let drops = "(drop) ".repeat(values);
    let results = "i32 ".repeat(values);
    let unused = "(drop) ".repeat(values - 1);
    let branches: String = (0..count)
        .map(|i| {
            let between = if i % 1000 == 0 {
                "(block $caught (try_table (catch $e $caught) (call $throws))) (call $churn)"
            } else {
                ""
            };
            format!(
                "{between} {zeros} (i32.const {}) (br_if $out (i32.eq (local.get $i) (i32.const {i}))) {drops}",
                2 * i
            )
        })
        .collect();
    let checks: String = [0, 1, 8001, count - 1, count]
        .into_iter()
        .map(|i| {
            let wanted = if i < count { 2 * i + 5 } else { 4 };
            format!(
                "(if (i32.ne (call $pick (i32.const {i})) (i32.const {wanted})) (then unreachable))"
            )
        })
        .collect();
    format!(
        r#"(module
            (type $s (struct (field i32)))
            (tag $e)
            (func $throws (throw $e))
            (func $churn (local $n i32)
                (loop $next
                    (drop (struct.new $s (local.get $n)))
                    (br_if $next (i32.lt_u
                        (local.tee $n (i32.add (local.get $n) (i32.const 1)))
                        (i32.const 10)))))
            (func $pick (param $i i32) (result i32) (local $keep (ref null $s))
                (local.set $keep (struct.new $s (i32.const 5)))
                (block $out (result {results}) {branches} {zeros} (i32.const -1))
                (local.set $i) {unused}
                (local.get $i)
                (i32.add (struct.get $s 0 (local.get $keep))))
            (func (export "_start") {checks}))"#
    )
}

/// More branches than the optimiser takes back (`Effort::Least` of the compiler).
const LEAST: (u32, usize) = (17_000, 1);
/// Fewer, but values that are one too often for the good allocator (`Effort::Quick`).
const QUICK: (u32, usize) = (8_600, 4);

#[test]
fn what_is_compiled_with_less_effort_is_right() {
    for (branches, values) in [LEAST, QUICK] {
        let text = very_many_branches(branches, values);
        for target in TARGETS {
            run(&text, target, "--gc-stress").expect_code(0);
        }
    }
    let text = very_many_branches(LEAST.0, LEAST.1);
    let tail = text.replace(
        "(func $throws (throw $e))",
        "(func $throw (throw $e)) (func $throws (return_call $throw))",
    );
    run(&tail, "x86_64", "").expect_code(0);
}

#[test]
fn large_functions_are_built_alike() {
    let scratch = tempfile::tempdir().expect("scratch");
    for text in [
        many_objects(),
        very_many_branches(LEAST.0, LEAST.1),
        very_many_branches(QUICK.0, QUICK.1),
    ] {
        let bytes = ["1", "4"].map(|threads| {
            build(scratch.path(), &text, &format!("-j {threads}")).expect_code(0);
            fs::read(scratch.path().join("out")).expect("executable")
        });
        assert!(bytes[0] == bytes[1]);
    }
}

#[test]
fn a_long_table_of_branches_with_values() {
    // Every target takes a value along and has a local that differs by where one comes from.
    const TARGETS_OF_TABLE: usize = 2000;
    let open = "(block (result i32) ".repeat(TARGETS_OF_TABLE);
    let targets: String = (0..TARGETS_OF_TABLE).map(|i| format!(" {i}")).collect();
    let close = "(local.set $x (i32.add (local.get $x) (i32.const 1))) (i32.const 3) i32.add)"
        .repeat(TARGETS_OF_TABLE);
    let text = format!(
        r#"(module
            (func $f (param $i i32) (result i32) (local $x i32)
                {open} (br_table {targets} (i32.const 7) (local.get $i)) {close}
                (i32.add (i32.mul (local.get $x) (i32.const 100000))))
            (func (export "_start")
                ;; The last target: one end is left, and no addition.
                (if (i32.ne (call $f (i32.const 1999)) (i32.const 7)) (then unreachable))
                (if (i32.ne (call $f (i32.const 5000)) (i32.const 7)) (then unreachable))
                (if (i32.ne (call $f (i32.const 1998)) (i32.const 100010)) (then unreachable))
                (if (i32.ne (call $f (i32.const 0)) (i32.const 199906004)) (then unreachable))))"#
    );
    for target in TARGETS {
        run(&text, target, "").expect_code(0);
    }
}

#[test]
fn a_function_may_grow_only_so_much() {
    // Loops of 1,000 parameters, a few bytes each.
    let types = format!(
        "(type $t (func (param {0}) (result {0})))",
        "i32 ".repeat(1000)
    );
    let text = format!(
        r#"(module {types} (func (export "_start") {} {} {} {}))"#,
        "i32.const 0 ".repeat(1000),
        "loop (type $t) ".repeat(20_000),
        "end ".repeat(20_000),
        "drop ".repeat(1000),
    );
    refused(
        &text,
        &[
            "limit exceeded: the function has too many values",
            "function 0",
        ],
    );
    // Locals that are set behind many blocks.
    let locals = "i32 ".repeat(40_000);
    let sets: String = (0..40_000)
        .map(|i| format!("(local.set {i} (i32.const 1))"))
        .collect();
    let blocks = "(if (local.get 0) (then (nop)))".repeat(5000);
    let text = format!(r#"(module (func (export "_start") (local {locals}) {blocks} {sets}))"#);
    refused(
        &text,
        &["limit exceeded: the function has too many locals in too many blocks"],
    );
    // Objects alive while others are made, in the value of a global.
    let made = "struct.new_default $s ".repeat(12_000);
    let joined = "struct.new $s ".repeat(11_999);
    let text = format!(
        r#"(module (type $s (struct (field (ref null $s)) (field (ref null $s))))
            (global $g (ref $s) {made} {joined})
            (func (export "_start") (drop (global.get $g))))"#
    );
    refused(
        &text,
        &["limit exceeded: in constant expressions, the function has too many references alive"],
    );
    let chain = "struct.new $s ".repeat(200_000);
    let text = format!(
        r#"(module (type $s (struct (field (ref null $s))))
            (global $g (ref null $s) ref.null $s {chain})
            (func (export "_start") (drop (global.get $g))))"#
    );
    refused(
        &text,
        &[
            "limit exceeded: a constant expression of 200001 operators",
            "at offset",
        ],
    );
}

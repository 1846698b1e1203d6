//! Modules of which a few bytes cost much: loops in loops, locals that nothing names, calls, tables of branches, data far
//! apart. They are built within bounds and do what they should, or are refused.

use super::*;

#[test]
fn locals_that_nothing_names_are_not_there() {
    // 50,000 each: 150 million of them, and a function that names some, between parameters and those of other types.
    let locals = format!("(local {}) (local $z i32)", "i64 ".repeat(40_000));
    let text = format!(
        r#"(module
            (func $named (param $p i32) (param i64) (result i32) {locals} (local $l i64) (local f32 f64) (local $d f64)
                (if (i32.ne (local.get $z) (i32.const 0)) (then unreachable))
                (if (f64.ne (local.get $d) (f64.const 0)) (then unreachable))
                (loop $again
                    (local.set $z (i32.add (local.get $z) (local.get $p)))
                    (br_if $again (i64.lt_u
                        (local.tee $l (i64.add (local.get $l) (i64.const 1)))
                        (i64.const 10))))
                (i32.add (local.get $z) (i32.wrap_i64 (local.get $l))))
            (func (export "_start")
                (if (i32.ne (call $named (i32.const 3) (i64.const 1)) (i32.const 40)) (then unreachable))))"#
    );
    runs(text.as_bytes()).0.expect_code(0);

    const FUNCTIONS: u32 = 3000;
    let mut types = TypeSection::new();
    types.ty().function([], []);
    let mut declared = FunctionSection::new();
    let mut exports = ExportSection::new();
    exports.export("_start", ExportKind::Func, 0);
    let mut code = CodeSection::new();
    let first = body(&[], |function| {
        for index in 1..FUNCTIONS {
            function.instruction(&Instruction::Call(index));
        }
    });
    code.function(&first);
    declared.function(0);
    for _ in 1..FUNCTIONS {
        declared.function(0);
        let last = Instruction::LocalGet(49_999);
        code.function(&body(&[(50_000, ValType::I64)], |function| {
            function.instruction(&last).instruction(&Instruction::Drop);
        }));
    }
    let mut module = Module::new();
    module
        .section(&types)
        .section(&declared)
        .section(&exports)
        .section(&code);
    runs(&module.finish()).0.expect_code(0);
}

#[test]
fn thousands_of_loops_in_each_other() {
    const LOOPS: usize = 10_000;
    let open = "(loop (local.set 0 (i32.add (local.get 0) (i32.const 1)))".repeat(LOOPS);
    let close = "(br_if 0 (i32.eqz (local.get 0))))".repeat(LOOPS);
    let text = format!(
        r#"(module (func (export "_start") (local i32) {open} {close}
            (if (i32.ne (local.get 0) (i32.const {LOOPS})) (then unreachable))))"#
    );
    runs(text.as_bytes()).0.expect_code(0);
}

#[test]
fn long_tables_of_branches_to_two_places() {
    const TABLES: usize = 6;
    let targets = "0 1 ".repeat(20_000);
    let table = format!("(block (br_table {targets} 1 (local.get 0)))");
    let text = format!(
        r#"(module
            (func $f (param i32) (result i32)
                (block {} (return (i32.const 7)))
                (i32.const 8))
            (func (export "_start")
                (if (i32.ne (call $f (i32.const 39998)) (i32.const 7)) (then unreachable))
                (if (i32.ne (call $f (i32.const 39999)) (i32.const 8)) (then unreachable))
                (if (i32.ne (call $f (i32.const 40000)) (i32.const 8)) (then unreachable))))"#,
        table.repeat(TABLES)
    );
    runs(text.as_bytes()).0.expect_code(0);
}

#[test]
fn very_many_indirect_calls_in_a_function() {
    const CALLS: usize = 50_000;
    let calls = "(local.set 0 (call_indirect (type $t) (local.get 0) (local.get 1)))".repeat(CALLS);
    let module = |last: &str| {
        format!(
            r#"(module
                (type $t (func (param i32) (result i32)))
                (table (export "t") 10 funcref)
                (elem (i32.const 0) $next $start)
                (func $next (type $t) (i32.add (local.get 0) (i32.const 1)))
                (func $calls (param i32 i32) (result i32) {calls} {last} (local.get 0))
                (func $start (export "_start")
                    (if (i32.ne (call $calls (i32.const 5) (i32.const 0)) (i32.const {})) (then unreachable))))"#,
            CALLS + 5
        )
    };
    runs(module("").as_bytes()).0.expect_code(0);
    // Traps are told apart behind so many calls as well.
    for (index, message) in [
        (1, "indirect call type mismatch"),
        (2, "uninitialized element"),
        (10, "undefined element"),
    ] {
        let last = format!("(drop (call_indirect (type $t) (i32.const 1) (i32.const {index})))");
        let (ran, _) = runs(module(&last).as_bytes());
        ran.expect_code(134);
        assert!(ran.stderr.contains(message), "{index}: {}", ran.stderr);
    }
}

#[test]
fn data_far_apart_is_not_a_file_of_gigabytes() {
    // Nearer to each other than what is taken together, but from one end of 2 GiB to the other.
    let segments: String = (0..20_000)
        .map(|i| format!(r#"(data (i32.const {}) "x")"#, i * 100_000))
        .collect();
    let text = format!(
        r#"(module (memory 32768) {segments}
            (func (export "_start")
                (if (i32.ne (i32.load8_u (i32.const 0)) (i32.const 120)) (then unreachable))
                (if (i32.ne (i32.load8_u (i32.const 1)) (i32.const 0)) (then unreachable))
                (if (i32.ne (i32.load8_u (i32.const 1999900000)) (i32.const 120)) (then unreachable))))"#
    );
    let (ran, size) = runs(text.as_bytes());
    ran.expect_code(0);
    assert!(size < 1 << 20, "{size}");
}

#[test]
fn more_calls_than_a_function_may_have() {
    let calls = body(&[], |function| {
        function.raw(b"\x10\x00".repeat((1 << 20) + 1));
    });
    refused(
        &start(|_| {}, &calls),
        &[
            "limit exceeded: the function has too many calls",
            "function 0",
        ],
    );
}

#[test]
fn locals_that_every_call_of_a_try_may_end_with() {
    let locals = "i32 ".repeat(400);
    let calls: String = (0..24_000)
        .map(|i| format!("(local.set {} (i32.const {i})) (call $f)", i % 400))
        .collect();
    let used: String = (0..400)
        .map(|i| format!("(drop (local.get {i}))"))
        .collect();
    let text = format!(
        r#"(module (tag $e)
            (func $f (throw $e))
            (func (export "_start") (local {locals})
                (block (try_table (catch $e 0) {calls})) {used}))"#
    );
    refused(
        text.as_bytes(),
        &["limit exceeded: the function has too many values where branches come together"],
    );
}

#[test]
fn imports_of_very_many_modules_are_listed() {
    let imports: String = (0..100_000)
        .map(|i| format!(r#"(import "m{i}" "f" (func))"#))
        .collect();
    let scratch = tempfile::tempdir().expect("scratch");
    fs::write(
        scratch.path().join("hostile.wat"),
        format!("(module {imports})"),
    )
    .expect("module");
    let mut command = elfin(scratch.path());
    command.args(["inspect", "hostile.wat"]);
    let listed = finish(command, None);
    listed.expect_code(0);
    assert!(
        listed.processor_time <= 2 * BUILD_TIME,
        "{:?}",
        listed.processor_time
    );
    assert!(listed.memory <= BUILD_MEMORY);
    let last =
        "a module for the imports from m99999: --link m99999=FILE, or --unknown-imports trap";
    assert!(String::from_utf8_lossy(&listed.stdout).contains(last));
}

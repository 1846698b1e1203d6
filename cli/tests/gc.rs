//! Programs that make objects: they move, and there is an end to them.

mod support;

use std::fs;
use std::time::Duration;

use support::{Finished, TARGETS, guest, run_elfin, run_executable};

/// Builds the guest for `target` and runs it.
fn run(target: &str, options: &str) -> Finished {
    let scratch = tempfile::tempdir().expect("scratch");
    fs::copy(guest("long-list.wat"), scratch.path().join("long-list.wat")).expect("guest");
    let line = format!("build long-list.wat --target {target} -o list {options}");
    run_elfin(scratch.path(), &line).expect_code(0);
    let list = scratch.path().join("list");
    run_executable(target, &list, &["list"], scratch.path(), None)
}

#[test]
fn what_is_referred_to_lives() {
    for target in TARGETS {
        run(target, "").expect_code(7);
    }
    run("x86_64", "--addressing context").expect_code(7);
    run("x86_64", "-O 0").expect_code(7);
    // As much as the list and what the frames keep, and no more than a granule for what is thrown away.
    run("x86_64", "--max-gc-heap 20MiB").expect_code(7);
}

#[test]
fn a_full_heap_is_a_trap() {
    for target in TARGETS {
        let ran = run(target, "--max-gc-heap 12MiB");
        ran.expect_code(134);
        let expected =
            "elfin: trap: garbage-collected heap exhausted\n    0: make\n    1: frames\n";
        assert!(ran.stderr.starts_with(expected), "{}", ran.stderr);
    }
}

#[test]
fn there_is_no_collector_where_nothing_is_made() {
    let scratch = tempfile::tempdir().expect("scratch");
    let text =
        r#"(module (func (export "_start") (drop (ref.test (ref i31) (ref.i31 (i32.const 1))))))"#;
    fs::write(scratch.path().join("none.wat"), text).expect("guest");
    run_elfin(scratch.path(), "build none.wat --map none.map").expect_code(0);
    let map = fs::read_to_string(scratch.path().join("none.map")).expect("map");
    assert!(!map.contains("elfin_gc"), "{map}");
}

/// Code that makes instances asks the collector for every object: it collects only when there is no room.
#[test]
fn many_constant_objects() {
    let scratch = tempfile::tempdir().expect("scratch");
    let element = "(item (struct.new $s (i64.const 1) (i64.const 2)))\n";
    let text = format!(
        "(module (type $s (struct (field i64 i64)))
           (elem $e (ref $s) {})
           (table $t 20000 (ref null $s))
           (func (export \"_start\")
             (table.init $t $e (i32.const 0) (i32.const 0) (i32.const 20000))
             (drop (struct.get $s 1 (table.get $t (i32.const 19999))))))",
        element.repeat(20_000)
    );
    fs::write(scratch.path().join("many.wat"), text).expect("guest");
    run_elfin(scratch.path(), "build many.wat").expect_code(0);
    let many = scratch.path().join("many");
    let ran = run_executable(
        std::env::consts::ARCH,
        &many,
        &["many"],
        scratch.path(),
        None,
    );
    ran.expect_code(0);
    // A collection for each would copy 5 GB.
    let time = ran.processor_time;
    assert!(time < Duration::from_millis(500), "{time:?}");
}

/// Twelve MiB, object by object: with no collection at each there would not be as much.
#[test]
fn collecting_at_every_allocation() {
    let text = r#"(module
        (type $bytes (array (mut i8)))
        (global $kept (mut (ref null $bytes)) (ref.null $bytes))
        (func (export "_start") (local $count i32)
            (loop $more
                (global.set $kept (array.new $bytes (local.get $count) (i32.const 60000)))
                (if (i32.ne
                        (array.get_u $bytes (global.get $kept) (i32.const 59999))
                        (i32.and (local.get $count) (i32.const 255)))
                    (then unreachable))
                (local.set $count (i32.add (local.get $count) (i32.const 1)))
                (br_if $more (i32.lt_u (local.get $count) (i32.const 200))))))"#;
    for target in TARGETS {
        let scratch = tempfile::tempdir().expect("scratch");
        fs::write(scratch.path().join("stress.wat"), text).expect("guest");
        let line = format!("build stress.wat --target {target} -o stress --gc-stress");
        run_elfin(scratch.path(), &line).expect_code(0);
        let stress = scratch.path().join("stress");
        run_executable(target, &stress, &["stress"], scratch.path(), None).expect_code(0);
    }
}

/// Every call while the operands of a long array are made finds all that were made before: what the collector is told
/// about each is a few words, not one for each operand.
#[test]
fn thousands_of_objects_at_hand() {
    const COUNT: usize = 3000;
    let object = |value: usize| format!("(struct.new $s (i32.const {value}))\n");
    let objects: String = (0..COUNT).map(object).collect();
    let text = format!(
        r#"(module
        (type $s (struct (field i32)))
        (type $list (array (ref $s)))
        (func $make (result (ref $list)) (array.new_fixed $list {COUNT} {objects}))
        (func (export "_start") (local $list (ref $list)) (local $i i32)
            (local.set $list (call $make))
            (loop $more
                (if (i32.ne
                        (struct.get $s 0 (array.get $list (local.get $list) (local.get $i)))
                        (local.get $i))
                    (then unreachable))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $more (i32.lt_u (local.get $i) (array.len (local.get $list)))))))"#
    );
    for (target, options) in [
        ("x86_64", "--gc-stress"),
        ("x86_64", "--gc-stress -O 0"),
        ("aarch64", ""),
        ("riscv64", ""),
    ] {
        let scratch = tempfile::tempdir().expect("scratch");
        fs::write(scratch.path().join("many.wat"), &text).expect("guest");
        let line = format!("build many.wat --target {target} -o many {options}");
        run_elfin(scratch.path(), &line).expect_code(0);
        let many = scratch.path().join("many");
        let size = fs::metadata(&many).expect("executable").len();
        assert!(size < 2 << 20, "{size} bytes for {target} {options}");
        run_executable(target, &many, &["many"], scratch.path(), None).expect_code(0);
    }
}

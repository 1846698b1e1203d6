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

/// Under stress every object is moved by the next one: what is thrown away never fills the heap.
#[test]
fn stress_collects_every_time() {
    let scratch = tempfile::tempdir().expect("scratch");
    let text = "(module (type $a (array i8)) (func (export \"_start\") (local $i i32)
        (loop $l
          (drop (array.new_default $a (i32.const 65536)))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $l (i32.lt_u (local.get $i) (i32.const 1000))))))";
    fs::write(scratch.path().join("stress.wat"), text).expect("guest");
    for target in TARGETS {
        let line =
            format!("build stress.wat --target {target} --gc-stress --max-gc-heap 1MiB -o stress");
        run_elfin(scratch.path(), &line).expect_code(0);
        let stress = scratch.path().join("stress");
        run_executable(target, &stress, &["stress"], scratch.path(), None).expect_code(0);
    }
}

//! What each thread of a program has for itself: the exceptions that it throws, the objects that it makes, tables that
//! grow. On every target; the guests are in `guests/threads`.

mod support;

use std::fs;
use std::process::Command;

use support::{Finished, TARGETS, build_threads, finish, guest, run_elfin, run_executable};
use tempfile::TempDir;

fn run(scratch: &TempDir, target: &str, arguments: &[&str]) -> Finished {
    let executable = scratch.path().join(format!("guest-{target}"));
    let argv = [&["guest"], arguments].concat();
    run_executable(target, &executable, &argv, scratch.path(), None)
}

#[test]
fn threads_throw_and_catch_at_the_same_time() {
    for options in ["", "--memory checked", "-O 0"] {
        let scratch = build_threads("exceptions.wat", options);
        for target in TARGETS {
            run(&scratch, target, &[]).expect_code(0);
        }
    }
}

#[test]
fn an_exception_that_nothing_catches_ends_the_process_with_its_threads_backtrace() {
    let scratch = build_threads("exceptions.wat", "");
    for target in TARGETS {
        for (arguments, expected) in [
            (
                &["", ""][..],
                "elfin: uncaught exception real\n    0: throw\n    1: deep\n    2: deep\n    3: thread\n",
            ),
            (
                &["", "", ""],
                "elfin: uncaught exception lost\n    0: thread\n",
            ),
            (
                &["", "", "", ""],
                "elfin: trap: null reference\n    0: thread\n",
            ),
            (
                &["", "", "", "", ""],
                "elfin: error: no room for an exception: 64 MiB of them are kept\n",
            ),
        ] {
            let ran = run(&scratch, target, arguments);
            ran.expect_code(134);
            assert_eq!(ran.stderr, expected, "{target}");
        }
    }
}

/// As many bytes of address space as some threads take (the last ones may not be gone yet), for a thousand of them.
#[test]
fn what_a_thread_threw_ends_with_it() {
    let scratch = build_threads("exceptions.wat", "--memory checked");
    for target in TARGETS {
        run(&scratch, target, &["x"]).expect_code(0);
    }
    let mut limited = Command::new("/bin/sh");
    let line = format!(
        "ulimit -v 1500000; exec ./guest-{} xxxxxxxxxx",
        std::env::consts::ARCH
    );
    limited.args(["-c", &line]).current_dir(scratch.path());
    finish(limited, None).expect_code(0);
}

/// A C++ program with pthreads: what it prints is what the same source prints when it is compiled natively. How the
/// module was made: `guests/threads-cpp/recipe`.
#[test]
fn a_cpp_program_throws_in_several_threads() {
    let folder = guest("threads-cpp");
    let expected = fs::read_to_string(folder.join("expected.txt")).expect("expected output");
    let scratch = tempfile::tempdir().expect("scratch");
    fs::copy(folder.join("threads.wasm"), scratch.path().join("app.wasm")).expect("guest");
    run_elfin(scratch.path(), "build app.wasm --target all -o guest").expect_code(0);
    for target in TARGETS {
        let ran = run(&scratch, target, &[]);
        assert_eq!(ran.expect_code(0).text(), expected, "{target}");
        let ended = run(&scratch, target, &["x"]);
        assert_eq!(ended.expect_code(3).text(), "terminate\n", "{target}");
        // Nothing between the thread's function and the host catches it.
        let lost = run(&scratch, target, &["x", "x"]);
        lost.expect_code(134);
        let line = "elfin: uncaught exception tag[0]\n";
        assert!(lost.stderr.starts_with(line), "{target}: {}", lost.stderr);
    }
}

#[test]
fn tables_of_several_threads_grow() {
    for options in ["", "--memory checked", "-O 0"] {
        let scratch = build_threads("tables.wat", options);
        for target in TARGETS {
            run(&scratch, target, &[]).expect_code(0);
        }
    }
}

#[test]
fn each_thread_has_objects_of_its_own() {
    for options in ["", "--memory checked", "-O 0", "--max-gc-heap 24MiB"] {
        let scratch = build_threads("objects.wat", options);
        for target in TARGETS {
            run(&scratch, target, &[]).expect_code(0);
        }
    }
    for options in ["--gc-stress", "--gc-stress -O 0"] {
        let scratch = build_threads("objects.wat", options);
        for target in TARGETS {
            run(&scratch, target, &["", ""]).expect_code(0);
        }
    }
}

#[test]
fn each_thread_has_opaque_objects_of_its_own() {
    for (options, arguments) in [("", &[][..]), ("-O 0", &[]), ("--gc-stress", &[""])] {
        let scratch = tempfile::tempdir().expect("scratch");
        for name in ["opaque.wat", "opaque-host.wat"] {
            let guest = guest(&format!("threads/{name}"));
            fs::copy(guest, scratch.path().join(name)).expect("guest");
        }
        let line =
            format!("build opaque.wat --link host=opaque-host.wat --target all -o guest {options}");
        run_elfin(scratch.path(), &line).expect_code(0);
        for target in TARGETS {
            run(&scratch, target, arguments).expect_code(7);
        }
    }
}

/// With room for a few heaps only: those of threads that have ended are given back.
#[test]
fn the_heap_of_a_thread_ends_with_it() {
    let scratch = build_threads("objects.wat", "--max-gc-heap 16MiB");
    for target in TARGETS {
        run(&scratch, target, &[""]).expect_code(0);
    }
}

#[test]
fn a_full_heap_is_a_trap_in_the_thread_that_wants_more() {
    let scratch = build_threads("objects.wat", "--max-gc-heap 8MiB");
    for target in TARGETS {
        let full = run(&scratch, target, &["", "", ""]);
        full.expect_code(134);
        let expected =
            "elfin: trap: garbage-collected heap exhausted\n    0: hoard\n    1: thread\n";
        // Another thread may be the first that finds nothing left.
        let other = "elfin: trap: garbage-collected heap exhausted\n    0: make\n";
        assert!(
            full.stderr == expected || full.stderr.starts_with(other),
            "{target}: {}",
            full.stderr
        );
        let lost = run(&scratch, target, &["", "", "", ""]);
        lost.expect_code(134);
        let expected = "elfin: uncaught exception lost\n    0: thread\n";
        assert_eq!(lost.stderr, expected, "{target}");
        run(&scratch, target, &["", "", "", "", ""]).expect_code(42);
    }
}

/// More objects in globals than one function makes: a thread makes its own of all of them.
#[test]
fn a_thread_makes_its_instances_however_many_objects_they_begin_with() {
    const COUNT: i32 = 600;
    let globals: String = (0..COUNT)
        .map(|i| format!("(global $g{i} (ref $b) (struct.new $b (i32.const {i})))\n"))
        .collect();
    // Each takes the number of its global out of it and puts -1 there.
    let taken: String = (0..COUNT)
        .map(|i| {
            format!(
                "(local.set 0 (i32.add (local.get 0) (struct.get $b 0 (global.get $g{i}))))
                 (struct.set $b 0 (global.get $g{i}) (i32.const -1))\n"
            )
        })
        .collect();
    let text = format!(
        r#"(module
          (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
          (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
          (import "env" "memory" (memory 1 1 shared))
          (type $b (struct (field (mut i32))))
          {globals}
          (func $sum (local i32) {taken}
            (if (i32.ne (local.get 0) (i32.const {sum})) (then (call $exit (i32.const 1))))
            (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1)))
            (drop (memory.atomic.notify (i32.const 0) (i32.const 1))))
          (func (export "wasi_thread_start") (param i32 i32) (call $sum))
          (func (export "_start") (local $done i32)
            (drop (call $spawn (i32.const 0)))
            (drop (call $spawn (i32.const 0)))
            (call $sum)
            (loop $more
              (local.set $done (i32.atomic.load (i32.const 0)))
              (if (i32.lt_u (local.get $done) (i32.const 3))
                (then
                  (drop (memory.atomic.wait32 (i32.const 0) (local.get $done) (i64.const -1)))
                  (br $more))))
            (call $exit (i32.const 7))))"#,
        sum = COUNT * (COUNT - 1) / 2
    );
    for options in ["", "--gc-stress"] {
        let scratch = tempfile::tempdir().expect("scratch");
        fs::write(scratch.path().join("many.wat"), &text).expect("guest");
        let line = format!("build many.wat --target all -o guest {options}");
        run_elfin(scratch.path(), &line).expect_code(0);
        for target in TARGETS {
            run(&scratch, target, &[]).expect_code(7);
        }
    }
}

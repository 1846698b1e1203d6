//! Threads: programs that start some, on every target.
//!
//! The guests are in `guests/threads`: small ones in text that check one thing each, and `pthreads.wasm`, a Rust
//! program over wasi-libc's pthreads.

mod support;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::{Finished, TARGETS, build_threads, finish, qemu, run_elfin};
use tempfile::TempDir;

fn command(scratch: &Path, target: &str) -> Command {
    let executable = scratch.join(format!("guest-{target}"));
    let mut command = if target == std::env::consts::ARCH {
        Command::new(executable)
    } else {
        let mut command = Command::new(qemu(target));
        command.arg(executable);
        command
    };
    command.current_dir(scratch);
    command
}

fn run(scratch: &TempDir, target: &str, args: &[&str]) -> Finished {
    let mut command = command(scratch.path(), target);
    command.args(args);
    finish(command, None)
}

#[test]
fn each_thread_has_instances_of_its_own() {
    for options in ["", "--memory checked", "-O 0"] {
        let scratch = build_threads("instances.wat", options);
        for target in TARGETS {
            run(&scratch, target, &[]).expect_code(0);
        }
    }
}

#[test]
fn a_memory_is_made_longer_by_several_threads() {
    for options in ["", "--memory checked"] {
        let scratch = build_threads("grow.wat", options);
        for target in TARGETS {
            run(&scratch, target, &[]).expect_code(0);
        }
    }
}

#[test]
fn a_trap_in_a_thread_ends_the_process_with_its_backtrace() {
    let scratch = build_threads("trap.wat", "--max-stack 1MiB");
    for target in TARGETS {
        let outside = "elfin: trap: out of bounds memory access\n    0: outside\n    1: thread\n";
        let stop = "elfin: trap: unreachable\n    0: stop\n    1: thread\n";
        for (mode, expected) in [("x", outside), ("xxx", stop)] {
            let trap = run(&scratch, target, &[mode]);
            trap.expect_code(134);
            assert_eq!(trap.stderr, expected, "{target}");
        }
        let deep = run(&scratch, target, &["xx"]);
        deep.expect_code(134);
        let expected = "elfin: trap: call stack exhausted\n    0: deeper\n    1: deeper\n";
        assert!(
            deep.stderr.starts_with(expected),
            "{target}: {}",
            deep.stderr
        );
        assert!(
            deep.stderr.ends_with(" more\n"),
            "{target}: {}",
            deep.stderr
        );
        run(&scratch, target, &["xxxx"]).expect_code(9);
    }
}

#[test]
fn threads_end_with_the_first_one() {
    let scratch = build_threads("return.wat", "");
    for target in TARGETS {
        run(&scratch, target, &[]).expect_code(0);
    }
}

#[test]
fn there_are_as_many_threads_as_allowed() {
    for count in [1, 6] {
        let scratch = build_threads(
            "limit.wat",
            &format!("--max-threads {count} --max-stack 64KiB"),
        );
        for target in TARGETS {
            run(&scratch, target, &[]).expect_code(count);
        }
    }
}

#[test]
fn a_descriptor_can_be_closed_while_a_thread_reads_from_it() {
    let scratch = build_threads("close.wat", "");
    for target in TARGETS {
        let mut command = command(scratch.path(), target);
        command.stdin(Stdio::piped()).stderr(Stdio::piped());
        let started = Instant::now();
        let mut process = command.spawn().expect("start");
        // Kept open as long as the process lives: the thread's read never ends.
        let stdin = process.stdin.take();
        let output = process.wait_with_output().expect("end");
        drop(stdin);
        assert_eq!(output.status.code(), Some(0), "{target}");
        assert!(started.elapsed() < Duration::from_secs(60), "{target}");
    }
}

#[test]
fn what_pthreads_do() {
    let scratch = build_threads("pthreads.wasm", "--dir d::/d");
    fs::create_dir(scratch.path().join("d")).expect("directory");
    let expected = "sum 333332833834249952\nmutex 80000\natomic 80000\nqueue 199990000\nlocals 128\n\
                    channel 4950\nscope 3\n";
    for target in TARGETS {
        let all = run(&scratch, target, &[]);
        all.expect_code(0);
        assert_eq!(all.text(), expected, "{target}");
        run(&scratch, target, &["exit"]).expect_code(42);
        let many = run(&scratch, target, &["many"]);
        assert_eq!(
            many.expect_code(0).text(),
            "1000 499500\n499500\n",
            "{target}"
        );
        let sleep = run(&scratch, target, &["sleep"]);
        assert_eq!(sleep.expect_code(0).text(), "true true\n", "{target}");
        let files = run(&scratch, target, &["files"]);
        assert_eq!(files.expect_code(0).text(), "0\n", "{target}");
        let output = run(&scratch, target, &["output"]);
        output.expect_code(0);
        let text = output.text();
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        lines.dedup();
        assert_eq!(lines.len(), 1000, "{target}");
    }
}

/// What a program with threads must be like, and what is said when it is not.
#[test]
fn programs_that_cannot_have_threads_are_refused() {
    let spawn = r#"(import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))"#;
    let start = r#"(func (export "_start") (drop (call $spawn (i32.const 0))))"#;
    let thread = r#"(func (export "wasi_thread_start") (param i32 i32))"#;
    for (module, options, message) in [
        (
            format!("(module {spawn} (memory 1 1 shared) {start})"),
            "",
            "it must define and export wasi_thread_start",
        ),
        (
            format!(
                r#"(module {spawn} (memory 1 1 shared) {start}
                   (func (export "wasi_thread_start") (param i32)))"#
            ),
            "",
            "of type (i32 i32) -> ()",
        ),
        (
            format!("(module {spawn} (memory 1) {start} {thread})"),
            "",
            "its memories must be shared ones",
        ),
        (
            format!(r#"(module {spawn} (import "env" "memory" (memory 1)) {start} {thread})"#),
            "",
            "unknown import: memory \"env\" \"memory\"",
        ),
        (
            format!(
                r#"(module {spawn} (import "env" "memory" (memory 8 9 shared)) {start} {thread})"#
            ),
            "--max-memory 64KiB",
            "more than --max-memory allows",
        ),
        (
            format!("(module {spawn} (memory 1 1 shared) {start} {thread})"),
            "--max-threads 100000 --max-stack 1GiB",
            "100000 threads with 1073741824 bytes of stack each",
        ),
    ] {
        let scratch = tempfile::tempdir().expect("scratch");
        let mut file = fs::File::create(scratch.path().join("m.wat")).expect("module");
        file.write_all(module.as_bytes()).expect("module");
        let refused = run_elfin(scratch.path(), &format!("build m.wat {options}"));
        refused.expect_code(1);
        assert!(
            refused.stderr.contains(message),
            "{message}: {}",
            refused.stderr
        );
        assert!(!scratch.path().join("m").exists());
    }
}

//! What each thread of a program has for itself: the exceptions that it throws, the objects that it makes, tables that
//! grow. On every target; the guests are in `guests/threads`.

mod support;

use std::fs;
use std::process::Command;

use support::{Finished, TARGETS, finish, guest, run_elfin, run_executable};
use tempfile::TempDir;

/// A scratch directory with executables of a guest for every target, built with these options.
fn build(name: &str, options: &str) -> TempDir {
    let scratch = tempfile::tempdir().expect("scratch");
    fs::copy(guest(&format!("threads/{name}")), scratch.path().join(name)).expect("guest");
    run_elfin(
        scratch.path(),
        &format!("build {name} --target all -o guest {options}"),
    )
    .expect_code(0);
    scratch
}

fn run(scratch: &TempDir, target: &str, arguments: &[&str]) -> Finished {
    let executable = scratch.path().join(format!("guest-{target}"));
    let argv = [&["guest"], arguments].concat();
    run_executable(target, &executable, &argv, scratch.path(), None)
}

#[test]
fn threads_throw_and_catch_at_the_same_time() {
    for options in ["", "--memory checked", "-O 0"] {
        let scratch = build("exceptions.wat", options);
        for target in TARGETS {
            run(&scratch, target, &[]).expect_code(0);
        }
    }
}

#[test]
fn an_exception_that_nothing_catches_ends_the_process_with_its_threads_backtrace() {
    let scratch = build("exceptions.wat", "");
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

/// As many bytes of address space as a few threads take, for a thousand of them.
#[test]
fn what_a_thread_threw_ends_with_it() {
    let scratch = build("exceptions.wat", "--memory checked");
    for target in TARGETS {
        run(&scratch, target, &["x"]).expect_code(0);
    }
    let mut limited = Command::new("/bin/sh");
    let line = format!(
        "ulimit -v 400000; exec ./guest-{} xxxxxxxxxx",
        std::env::consts::ARCH
    );
    limited.args(["-c", &line]).current_dir(scratch.path());
    finish(limited, None).expect_code(0);
}

#[test]
fn tables_of_several_threads_grow() {
    for options in ["", "--memory checked", "-O 0"] {
        let scratch = build("tables.wat", options);
        for target in TARGETS {
            run(&scratch, target, &[]).expect_code(0);
        }
    }
}

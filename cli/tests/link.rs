//! `--link`: which of several modules an import leads to, and what elfin says when it leads nowhere.

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use support::{Finished, finish, guest, run_elfin};
use tempfile::TempDir;

/// A directory with these guests and, by name, modules written here.
fn scratch(guests: &[&str], written: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().expect("scratch");
    for name in guests {
        fs::copy(guest(name), directory.path().join(name)).expect("guest");
    }
    for (name, text) in written {
        fs::write(directory.path().join(name), text).expect("module");
    }
    directory
}

/// Runs what was built for this machine.
fn run_native(executable: &Path) -> Finished {
    finish(Command::new(executable), None)
}

/// What `line` says when it fails.
fn refused(scratch: &TempDir, line: &str) -> String {
    let ran = run_elfin(scratch.path(), line);
    ran.expect_code(1);
    ran.stderr
}

const OVERLOADS: [&str; 4] = [
    "overload.wat",
    "overload-a.wat",
    "overload-b.wat",
    "overload-c.wat",
];

#[test]
fn one_name_with_several_types() {
    let scratch = scratch(&OVERLOADS, &[]);
    run_elfin(
        scratch.path(),
        "build overload.wat --link js=overload-a.wat --link js=overload-b.wat --link js=overload-c.wat",
    )
    .expect_code(0);
    run_native(&scratch.path().join("overload")).expect_code(142);
}

#[test]
fn the_first_that_matches() {
    let scratch = scratch(
        &OVERLOADS,
        &[(
            "other.wat",
            "(module (func (export \"of\") (param f64) (result i32) (i32.const 7)))",
        )],
    );
    for (order, status) in [
        ("--link js=overload-b.wat --link js=other.wat", 142),
        ("--link js=other.wat --link js=overload-b.wat", 147),
    ] {
        run_elfin(
            scratch.path(),
            &format!(
                "build overload.wat --link js=overload-a.wat {order} --link js=overload-c.wat"
            ),
        )
        .expect_code(0);
        run_native(&scratch.path().join("overload")).expect_code(status);
    }
}

#[test]
fn no_type_matches() {
    let scratch = scratch(&OVERLOADS, &[]);
    let said = refused(
        &scratch,
        "build overload.wat --link js=overload-b.wat --link js=overload-b.wat",
    );
    assert!(
        said.contains("incompatible import type: function \"js\" \"of\": it has type (f64) -> (i32), wanted is type (i32) -> (i32)"),
        "{said}"
    );
    // It is there, so it is not an unknown import.
    let said = refused(
        &scratch,
        "build overload.wat --link js=overload-b.wat --unknown-imports trap",
    );
    assert!(said.contains("incompatible import type"), "{said}");
}

/// `js` is linked, but has nothing of that name, wherever it stands.
#[test]
fn exported_nowhere() {
    let scratch = scratch(
        &[],
        &[
            (
                "wants.wat",
                "(module (import \"js\" \"add\" (func (param i32 i32) (result i32))))",
            ),
            ("has-not.wat", "(module (func (export \"other\")))"),
            (
                "program.wat",
                "(module (func (export \"_start\")) (memory (export \"memory\") 1))",
            ),
        ],
    );
    for order in [
        "--link x=wants.wat --link js=has-not.wat",
        "--link js=has-not.wat --link x=wants.wat",
        "--link js=wants.wat --link js=has-not.wat",
    ] {
        let said = refused(&scratch, &format!("build program.wat {order}"));
        assert!(said.contains("has no such export"), "{said}");
    }
    // Alone under that name, it is not what it asks for.
    let said = refused(&scratch, "build program.wat --link js=wants.wat");
    assert!(said.contains("provide it with --link"), "{said}");
}

#[test]
fn a_function_that_a_linked_module_lacks_traps_if_asked_for() {
    let scratch = scratch(
        &["main.wat"],
        &[
            ("empty.wat", "(module)"),
            (
                "global.wat",
                "(module (import \"env\" \"g\" (global i32)) (func (export \"_start\")))",
            ),
        ],
    );
    let said = refused(&scratch, "build main.wat --link env=empty.wat");
    assert!(said.contains("has no such export"), "{said}");
    run_elfin(
        scratch.path(),
        "build main.wat --link env=empty.wat --unknown-imports trap",
    )
    .expect_code(0);
    let trapped = run_native(&scratch.path().join("main"));
    trapped.expect_code(134);
    assert!(
        trapped.stderr.contains("unknown import called"),
        "{}",
        trapped.stderr
    );
    // Nothing can stand in for a global.
    let said = refused(
        &scratch,
        "build global.wat --link env=empty.wat --unknown-imports trap",
    );
    assert!(said.contains("has no such export"), "{said}");
}

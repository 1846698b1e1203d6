//! The runner of WASI suites finds what is as expected and what is not: one program, `wasi/runner/everything.wat`,
//! with expectations that are right and expectations of which one field is wrong.

use elfin_compiler::Arch;
use spec_tests::suite::{self, Config, Program};
use std::path::{Path, PathBuf};

fn runner() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("wasi/runner")
}

fn native() -> Arch {
    let found = Arch::ALL
        .iter()
        .find(|arch| arch.name() == std::env::consts::ARCH);
    *found.expect("tests run on a machine that elfin knows")
}

fn config(arch: Arch) -> Config {
    Config {
        arch,
        strict: false,
        old_kernel: false,
    }
}

/// A suite of one program with this expectation.
fn suite_of(expectation: &str) -> (tempfile::TempDir, Program) {
    let directory = tempfile::tempdir().expect("scratch");
    let module = directory.path().join("everything.wat");
    std::fs::copy(runner().join("everything.wat"), &module).expect("guest");
    std::fs::write(directory.path().join("everything.json"), expectation).expect("expectation");
    let root = directory.path().join("fs.dir");
    std::fs::create_dir(&root).expect("root");
    std::fs::write(root.join("file"), "content").expect("file");
    std::os::unix::fs::symlink("file", root.join("link")).expect("link");
    // A suite's own runner would have removed it first.
    std::fs::write(root.join("old.cleanup"), "").expect("file");
    let mut found = suite::find(directory.path()).expect("suite");
    assert_eq!(found.len(), 1);
    (directory, found.remove(0))
}

#[track_caller]
fn failure(expectation: &str) -> Option<String> {
    let (directory, program) = suite_of(expectation);
    let failure = suite::run(&program, &config(native())).failure;
    // The program removes a file: of its own copy.
    assert!(directory.path().join("fs.dir/file").is_file());
    failure
}

#[track_caller]
fn assert_fails(expectation: &str, why: &str) {
    let failure = failure(expectation);
    let text = failure.expect(expectation);
    assert!(text.starts_with(why), "{expectation}: {text}");
}

const ALL: &str = r#"{"args": ["a", "b c"], "env": {"K": "v", "L": ""}, "root": "fs.dir", "exit_code": 7,
    "stdout": "everything.wat\u0000a\u0000b c\u0000K=v\u0000L=\u0000", "stderr": "contentfile"}"#;

#[test]
fn every_field_counts_on_every_target() {
    let (_directory, program) = suite_of(ALL);
    let configs: Vec<Config> = Arch::ALL.iter().map(|arch| config(*arch)).collect();
    let outcomes = suite::run_all(&[program], &configs);
    for outcome in &outcomes {
        assert_eq!(outcome.failure, None, "{:?}", outcome.config);
    }
    let report = suite::report(&outcomes, false);
    assert!(report.ends_with("\n3 passed, 0 failed\n"), "{report}");
}

#[test]
fn a_wrong_field_fails() {
    for (right, wrong, why) in [
        (r#""b c""#, r#""b d""#, "stdout: expected"),
        (r#""K": "v""#, r#""K": "w""#, "stdout: expected"),
        (r#""K": "v", "#, "", "stdout: expected"),
        (r#""contentfile""#, r#""contentlink""#, "stderr: expected"),
        (r#""contentfile""#, r#""content""#, "stderr: expected"),
        (r#""contentfile""#, r#""contentfile\n""#, "stderr: expected"),
        (
            r#""exit_code": 7"#,
            r#""exit_code": 0"#,
            "exit code: expected 0, got 7",
        ),
        (r#""exit_code": 7"#, r#""exitcode": 7"#, "/"),
        (
            r#""root": "fs.dir""#,
            r#""root": "no.dir""#,
            "cannot copy directory no.dir",
        ),
        (r#""root": "fs.dir""#, r#""root": null"#, "stderr: expected"),
    ] {
        let expectation = ALL.replace(right, wrong);
        assert_ne!(expectation, ALL, "{right}");
        assert_fails(&expectation, why);
    }
    // Without a file, status 0 is expected.
    assert_fails("{}", "exit code: expected 0, got 7");
}

#[test]
fn operations_are_followed() {
    let operations = |steps: &str| {
        format!(
            r#"{{"operations": [{{"type": "run", "root": "fs.dir"}}, {steps}
                {{"type": "wait", "exit_code": 7}}]}}"#
        )
    };
    let talk = r#"{"type": "read", "payload": "everything.wat\u0000"},
        {"type": "write", "id": "stdin", "payload": "in"}, {"type": "read", "payload": "i"},
        {"type": "read", "id": "stdout", "payload": "n"},"#;
    assert_eq!(failure(&operations(talk)), None);
    assert_eq!(failure(&operations("")), None);
    let stderr = r#"{"type": "read", "id": "stderr", "payload": "contentfile"},"#;
    assert_eq!(failure(&operations(stderr)), None);
    for (right, wrong) in [("\"in\"", "\"on\""), ("\"i\"", "\"I\"")] {
        assert_fails(&operations(&talk.replace(right, wrong)), "stdout: expected");
    }
    assert_fails(
        &operations(r#"{"type": "read", "id": "stderr", "payload": "contentlink"},"#),
        "stderr: expected",
    );
    assert_fails(
        &operations("").replace("\"exit_code\": 7", "\"exit_code\": 8"),
        "exit code: expected 8, got 7",
    );
}

#[test]
fn the_command_counts_and_fails() {
    let run = |expectation: &str| {
        let (directory, _program) = suite_of(expectation);
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_wasi-suite"))
            .arg(directory.path())
            .args(["--target", std::env::consts::ARCH])
            .output()
            .expect("wasi-suite");
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
        )
    };
    let (status, text) = run(ALL);
    assert_eq!(status, Some(0), "{text}");
    assert!(text.ends_with("\n1 passed, 0 failed\n"), "{text}");
    let (status, text) = run("{}");
    assert_eq!(status, Some(1), "{text}");
    assert!(text.starts_with("everything "), "{text}");
    assert!(
        text.contains("FAILED: exit code: expected 0, got 7\n"),
        "{text}"
    );
    assert!(text.ends_with("\n0 passed, 1 failed\n"), "{text}");
}

#[test]
fn a_module_that_is_none_fails() {
    let (_directory, program) = suite_of("{}");
    std::fs::write(&program.module, "(module (func $f (call $g)))").expect("guest");
    let outcome = suite::run(&program, &config(native()));
    assert!(outcome.failure.is_some_and(|text| text.contains('g')));
}

#[test]
fn an_old_kernel_has_no_openat2() {
    use std::os::unix::process::CommandExt;
    let mut command = std::process::Command::new("true");
    suite::old_kernel::pretend(&mut command);
    assert!(command.status().expect("true").success());
    // What is done in the new process after that sees the old kernel.
    let open = || {
        let how = [0_u64; 3];
        // SAFETY: reads a path and a record of this size.
        let opened = unsafe {
            libc::syscall(
                libc::SYS_openat2,
                libc::AT_FDCWD,
                c".".as_ptr(),
                how.as_ptr(),
                size_of_val(&how),
            )
        };
        if opened < 0 {
            return Err(std::io::Error::last_os_error());
        }
        Ok(())
    };
    // SAFETY: makes one system call.
    let command = unsafe { command.pre_exec(open) };
    let error = command.status().expect_err("openat2");
    assert_eq!(error.raw_os_error(), Some(libc::ENOSYS));

    let config = Config {
        old_kernel: true,
        ..config(native())
    };
    let (_directory, program) = suite_of(ALL);
    assert_eq!(suite::run(&program, &config).failure, None);
}

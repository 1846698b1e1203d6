//! The command line as a user meets it: what is accepted, what is refused and how, where files go, and
//! what is left behind when something goes wrong.

#[path = "command_line/files.rs"]
mod files;
#[path = "command_line/inspect.rs"]
mod inspect;
#[path = "command_line/program.rs"]
mod program;
mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use support::{TARGETS, elfin, finish, guest, run_elfin, run_executable};
use tempfile::TempDir;

/// A scratch directory with guests in it.
fn scratch(guests: &[&str]) -> TempDir {
    let directory = tempfile::tempdir().expect("scratch");
    for name in guests {
        fs::copy(guest(name), directory.path().join(name)).expect("guest");
    }
    directory
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .expect("directory")
        .map(|entry| {
            entry
                .expect("entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

fn run_native(executable: &Path, args: &[&str]) -> support::Finished {
    let argv: Vec<&str> = ["program"].iter().chain(args).copied().collect();
    let directory = executable.parent().expect("parent");
    run_executable(std::env::consts::ARCH, executable, &argv, directory, None)
}

/// Builds in a scratch directory with these options and runs the result natively.
fn build_and_run(guest: &str, options: &str, args: &[&str]) -> (support::Finished, TempDir) {
    let scratch = scratch(&[guest]);
    run_elfin(scratch.path(), &format!("build {guest} -o out {options}")).expect_code(0);
    (run_native(&scratch.path().join("out"), args), scratch)
}

#[test]
fn a_silent_build() {
    let scratch = scratch(&["hello.wat"]);
    let built = run_elfin(scratch.path(), "build hello.wat");
    built.expect_code(0);
    assert!(
        built.stdout.is_empty() && built.stderr.is_empty(),
        "{}{}",
        built.text(),
        built.stderr
    );
    assert_eq!(names(scratch.path()), ["hello", "hello.wat"]);
    let ran = run_native(&scratch.path().join("hello"), &[]);
    ran.expect_code(0);
    assert_eq!(ran.text(), "Hello, world!\n");
}

#[test]
fn every_target() {
    let scratch = scratch(&["hello.wat"]);
    run_elfin(scratch.path(), "build hello.wat --target all -o h").expect_code(0);
    assert_eq!(
        names(scratch.path()),
        ["h-aarch64", "h-riscv64", "h-x86_64", "hello.wat"]
    );
    for target in TARGETS {
        let executable = scratch.path().join(format!("h-{target}"));
        let ran = run_executable(target, &executable, &["h"], scratch.path(), None);
        ran.expect_code(0);
        assert_eq!(ran.text(), "Hello, world!\n");
        // The name of a target and its triple say the same.
        let line = format!("build hello.wat --target {target}-unknown-linux-gnu -o triple");
        run_elfin(scratch.path(), &line).expect_code(0);
        let triple = fs::read(scratch.path().join("triple")).expect("executable");
        assert!(triple == fs::read(executable).expect("executable"));
    }
}

#[test]
fn all_targets_fail_together() {
    let scratch = scratch(&["hello.wat"]);
    // The last one cannot be written: the others must not be either.
    fs::create_dir(scratch.path().join("h-riscv64")).expect("directory");
    run_elfin(scratch.path(), "build hello.wat --target all -o h").expect_code(1);
    assert_eq!(names(scratch.path()), ["h-riscv64", "hello.wat"]);
}

#[test]
fn every_optimisation_level_and_mode() {
    for options in [
        "-O 0",
        "-O1",
        "-O 2",
        "-O s",
        "--memory checked",
        "--addressing context",
    ] {
        for target in TARGETS {
            let scratch = scratch(&["cat.wat"]);
            let line = format!("build cat.wat -o out --target {target} {options}");
            run_elfin(scratch.path(), &line).expect_code(0);
            let input = scratch.path().join("cat.wat");
            let executable = scratch.path().join("out");
            let ran = run_executable(target, &executable, &["cat"], scratch.path(), Some(&input));
            ran.expect_code(0);
            assert!(
                ran.stdout == fs::read(&input).expect("input"),
                "{options} {target}: {}",
                ran.text()
            );
        }
    }
}

#[test]
fn usage_errors() {
    let scratch = scratch(&["hello.wat"]);
    for (line, words) in [
        ("", "Usage: elfin <COMMAND>"),
        ("build", "<FILE>"),
        ("frobnicate", "unrecognized subcommand"),
        (
            "build hello.wat --target sparc",
            "x86_64, aarch64, riscv64, native and all",
        ),
        (
            "build hello.wat --target x86_64-pc-windows-msvc",
            "Linux only",
        ),
        ("build hello.wat -O 3", "possible values: 0, 1, 2, s"),
        ("build hello.wat --max-memory 0", "must not be 0"),
        ("build hello.wat --max-memory 17000000TiB", "64 bits"),
        ("build hello.wat --max-stack 1MB", "KiB, MiB, GiB or TiB"),
        (
            "build hello.wat --dir ::/",
            "the directory on the host is empty",
        ),
        ("build hello.wat --dir a:/b", "HOST::GUEST"),
        (
            "build hello.wat --dir a::/ --dir b::/",
            "two directories the name '/'",
        ),
        ("build hello.wat --env A", "--inherit-env"),
        ("build hello.wat --env =A", "empty"),
        ("build hello.wat --env A=1 --env A=1", "'A' is given twice"),
        (
            "build hello.wat --env A=1 --inherit-env A",
            "'A' is given twice",
        ),
        ("build hello.wat --inherit-env A=1", "--env"),
        ("build hello.wat --link env", "there is no `=`"),
        ("build hello.wat --threads 0", "0 is not in 1..=1024"),
        ("build hello.wat --memory none", "guarded, checked"),
        ("build hello.wat --emit staticlib", "exe, obj, clif, asm"),
        ("build hello.wat --emit asm --map m", "--map"),
        ("build hello.wat -o -", "an executable must be a file"),
        ("build -", "use -o"),
        ("build hello.wat two.wat", "unexpected argument"),
        ("run hello.wat --target all", "one target"),
        ("run -", "standard input belongs to the program"),
        ("run hello.wat argument", "unexpected argument"),
        // What elfin does not do yet is not accepted and ignored.
        ("build hello.wat --timeout 5s", "unexpected argument"),
        ("build hello.wat --harden require", "unexpected argument"),
        ("build hello.wat --cpus 2", "unexpected argument"),
        (
            "build hello.wat --target riscv64 --cpu x86-64-v3",
            "riscv64 has no level 'x86-64-v3'; its levels are baseline, rv64gc, rv64gcv, native",
        ),
        ("build hello.wat -g", "unexpected argument"),
    ] {
        let finished = run_elfin(scratch.path(), line);
        finished.expect_code(2);
        assert!(
            finished.stderr.contains(words),
            "{line}: no {words:?} in: {}",
            finished.stderr
        );
        assert!(finished.stdout.is_empty(), "{line}");
    }
    assert_eq!(names(scratch.path()), ["hello.wat"]);
}

#[test]
fn help_ends_with_examples_and_exit_status() {
    let scratch = scratch(&[]);
    for command in ["", "build ", "run ", "inspect "] {
        let help = run_elfin(scratch.path(), &format!("{command}--help"));
        help.expect_code(0);
        let text = help.text();
        let (examples, status) = (
            text.find("\nExamples:\n  elfin "),
            text.find("\nExit status:\n  "),
        );
        assert!(examples.is_some() && examples < status, "{text}");
    }
}

#[test]
fn emit() {
    let scratch = scratch(&["cat.wat"]);
    for target in TARGETS {
        let clif = run_elfin(
            scratch.path(),
            &format!("build cat.wat --emit clif --target {target}"),
        );
        clif.expect_code(0);
        assert!(
            clif.text().contains("function ") && clif.text().contains("block0"),
            "{}",
            clif.text()
        );
        let asm = run_elfin(
            scratch.path(),
            &format!("build cat.wat --emit asm -o - --target {target}"),
        );
        asm.expect_code(0);
        assert!(asm.text().lines().count() > 20, "{}", asm.text());
        run_elfin(
            scratch.path(),
            &format!("build cat.wat --emit obj --target {target}"),
        )
        .expect_code(0);
        let object = fs::read(scratch.path().join("cat.o")).expect("object");
        assert_eq!(object[..4], *b"\x7fELF");
        assert_eq!(object[16], 1, "ET_REL");
        let stdout = run_elfin(
            scratch.path(),
            &format!("build cat.wat --emit obj -o - --target {target}"),
        );
        assert!(stdout.expect_code(0).stdout == object);
    }
    run_elfin(
        scratch.path(),
        "build cat.wat --emit asm --target all -o cat.s",
    )
    .expect_code(0);
    let expected = [
        "cat-aarch64.s",
        "cat-riscv64.s",
        "cat-x86_64.s",
        "cat.o",
        "cat.wat",
    ];
    assert_eq!(names(scratch.path()), expected);
}

#[test]
fn a_reader_that_stops_is_no_error() {
    let scratch = scratch(&["cat.wat"]);
    let mut command = elfin(scratch.path());
    command
        .args(["build", "cat.wat", "--emit", "asm"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("elfin");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("wait");
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
}

#[test]
fn time_and_map() {
    let scratch = scratch(&["hello.wat"]);
    let built = run_elfin(
        scratch.path(),
        "build hello.wat --time --map map --target x86_64",
    );
    built.expect_code(0);
    assert!(built.stdout.is_empty());
    assert!(built.stderr.starts_with("x86_64:\n"), "{}", built.stderr);
    for phase in ["read", "link", "write", "total"] {
        let line = built.stderr.lines().find(|line| line.starts_with(phase));
        assert!(
            line.is_some_and(|line| line.ends_with(" ms")),
            "{phase}: {}",
            built.stderr
        );
    }
    let map = fs::read_to_string(scratch.path().join("map")).expect("map");
    for word in ["_start", "elfin_program_main", "elfin_wasi_fd_write"] {
        assert!(map.contains(word), "{word}: {map}");
    }
    assert!(
        !map.contains("elfin_wasi_path_open"),
        "garbage was not collected: {map}"
    );
    run_elfin(scratch.path(), "build hello.wat --map m --target all").expect_code(0);
    assert!(scratch.path().join("m-riscv64").is_file());
}

/// A module that takes some seconds to build on one thread.
fn long_build() -> String {
    let function = |index: usize| {
        let operations =
            "(local.set 0 (i32.xor (i32.mul (local.get 0) (i32.const 77)) (local.get 1)))
            (local.set 1 (i32.rotl (local.get 0) (i32.const 5)))\n"
                .repeat(500);
        format!(
            "(func $f{index} (param i32 i32) (result i32) {operations} (local.get 1))
             (elem declare func $f{index})"
        )
    };
    let count = if cfg!(debug_assertions) { 300 } else { 900 };
    let functions: String = (0..count).map(function).collect();
    let calls: String = (0..count)
        .map(|index| format!("(drop (call $f{index} (i32.const 1) (i32.const 2)))"))
        .collect();
    format!("(module {functions} (func (export \"_start\") {calls}))")
}

#[test]
fn progress_is_shown_on_a_terminal_after_a_while() {
    let scratch = scratch(&["hello.wat"]);
    fs::write(scratch.path().join("long.wat"), long_build()).expect("module");
    let on_terminal = |line: &str| {
        // `script` runs it on a terminal of its own, and copies that to its standard output.
        let mut command = Command::new("script");
        let line = format!("{} {line}", env!("CARGO_BIN_EXE_elfin"));
        command
            .args(["-qefc", &line, "/dev/null"])
            .env("TERM", "xterm")
            .current_dir(scratch.path());
        finish(command, None)
    };
    let long = on_terminal("build long.wat -j 1 --target x86_64");
    let text = long.expect_code(0).text();
    assert!(
        text.contains("long.wat for x86_64 [") && text.contains(" functions"),
        "{:?}: {text:?}",
        long.processor_time
    );
    let short = on_terminal("build hello.wat");
    assert_eq!(short.expect_code(0).text(), "");
    // The same in a pipe.
    let silent = run_elfin(scratch.path(), "build long.wat -j 1 --target x86_64");
    assert!(silent.expect_code(0).stderr.is_empty(), "{}", silent.stderr);
}

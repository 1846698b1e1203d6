//! `elfin run`: the cache, what the program receives, and how it ends.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{Finished, TARGETS, elfin, finish, guest};
use tempfile::TempDir;

/// A scratch directory with guests in it, and a cache in `cache/`.
fn scratch(guests: &[&str]) -> TempDir {
    let directory = tempfile::tempdir().expect("scratch");
    for name in guests {
        fs::copy(guest(name), directory.path().join(name)).expect("guest");
    }
    directory
}

fn command(scratch: &Path, args: &[&str]) -> Command {
    let mut command = elfin(scratch);
    command
        .arg("run")
        .args(args)
        .env("XDG_CACHE_HOME", scratch.join("cache"));
    command
}

fn run(scratch: &Path, args: &[&str]) -> Finished {
    finish(command(scratch, args), None)
}

fn cached(scratch: &Path) -> Vec<PathBuf> {
    let directory = scratch.join("cache/elfin");
    fs::read_dir(directory).map_or(Vec::new(), |entries| {
        entries.map(|entry| entry.expect("entry").path()).collect()
    })
}

#[test]
fn a_backtrace_goes_through_tail_calls_and_functions_without_a_frame() {
    let scratch = scratch(&["trap-behind-tail-call.wat"]);
    for target in TARGETS {
        let trap = run(
            scratch.path(),
            &["trap-behind-tail-call.wat", "--target", target],
        );
        trap.expect_code(134);
        let expected =
            "elfin: trap: out of bounds memory access\n    0: leaf\n    1: big\n    2: start\n";
        assert_eq!(trap.stderr, expected, "{target}");
    }
}

#[test]
fn an_uncaught_exception_has_its_tag_s_name_and_the_backtrace_of_its_throw() {
    let scratch = scratch(&["throw.wat"]);
    for target in TARGETS {
        for (argument, tag) in [(None, "out of \\x1bmilk"), (Some("x"), "tag[1]")] {
            let mut args = vec!["throw.wat", "--target", target, "--"];
            args.extend(argument);
            let thrown = run(scratch.path(), &args);
            thrown.expect_code(134);
            let expected = format!(
                "elfin: uncaught exception {tag}\n    0: inner\n    1: outer\n    2: func[3]\n"
            );
            assert_eq!(thrown.stderr, expected, "{target}");
        }
    }
}

#[test]
fn exit_codes_and_traps_on_every_target() {
    let scratch = scratch(&["exit.wat", "trap.wat", "hello.wat"]);
    for target in TARGETS {
        run(scratch.path(), &["exit.wat", "--target", target]).expect_code(7);
        let hello = run(scratch.path(), &["hello.wat", "--target", target]);
        assert_eq!(hello.expect_code(0).text(), "Hello, world!\n");
        assert!(hello.stderr.is_empty(), "{}", hello.stderr);
        let trap = run(scratch.path(), &["trap.wat", "--target", target]);
        trap.expect_code(134);
        let mut lines = trap.stderr.lines();
        assert_eq!(
            lines.next(),
            Some("elfin: trap: out of bounds memory access"),
            "{target}"
        );
        let rest: Vec<_> = lines.collect();
        let position = |name: &str| rest.iter().position(|line| line.contains(name));
        assert!(
            position("inner").is_some() && position("inner") < position("outer"),
            "{target}: {rest:?}"
        );
        assert!(trap.stdout.is_empty());
    }
    assert_eq!(cached(scratch.path()).len(), 9);
}

#[test]
fn arguments_and_name() {
    let scratch = scratch(&["args.wat"]);
    for target in TARGETS {
        let args = [
            "args.wat", "--target", target, "--arg", "sealed", "--", "-a", "", "--target", "b c",
        ];
        let ran = run(scratch.path(), &args);
        assert_eq!(
            ran.expect_code(0).text(),
            "args.wat\0sealed\0-a\0\0--target\0b c\0",
            "{target}"
        );
    }
}

#[test]
fn standard_input_and_working_directory_are_the_program_s() {
    let scratch = scratch(&["cat.wat", "create.wat"]);
    let input = scratch.path().join("cat.wat");
    let ran = finish(command(scratch.path(), &["cat.wat"]), Some(&input));
    assert!(ran.expect_code(0).stdout == fs::read(&input).expect("input"));
    run(scratch.path(), &["create.wat", "--dir", "."]).expect_code(0);
    assert!(scratch.path().join("created").is_file());
}

#[test]
fn nothing_of_the_environment_unless_granted() {
    let scratch = scratch(&["environ.wat"]);
    let mut ungranted = command(scratch.path(), &["environ.wat"]);
    ungranted.env("SECRET", "s");
    assert_eq!(finish(ungranted, None).expect_code(0).text(), "");
    let mut granted = command(scratch.path(), &["environ.wat", "--inherit-env", "SECRET"]);
    granted.env("SECRET", "s");
    assert_eq!(finish(granted, None).expect_code(0).text(), "SECRET=s\0");
}

#[test]
fn the_cache_knows_everything_that_matters() {
    let scratch = scratch(&["exit.wat", "main.wat", "add.wat"]);
    let path = scratch.path();
    let entries = |args: &[&str]| {
        run(path, args);
        cached(path).len()
    };
    assert_eq!(entries(&["exit.wat"]), 1);
    assert_eq!(entries(&["exit.wat"]), 1);
    assert_eq!(
        entries(&["exit.wat", "-j", "2", "--time", "--", "argument"]),
        1
    );
    assert_eq!(entries(&["exit.wat", "-O", "0"]), 2);
    assert_eq!(entries(&["exit.wat", "--memory", "checked"]), 3);
    assert_eq!(entries(&["exit.wat", "--env", "A=b"]), 4);
    assert_eq!(entries(&["exit.wat", "--env", "A=c"]), 5);
    assert_eq!(entries(&["exit.wat", "--dir", "."]), 6);
    assert_eq!(entries(&["exit.wat", "--dir", ".:ro"]), 7);
    assert_eq!(entries(&["exit.wat", "--max-stack", "1MiB"]), 8);
    assert_eq!(
        entries(&["exit.wat", "--target", "riscv64"]),
        if cfg!(target_arch = "riscv64") { 8 } else { 9 }
    );
    let before = cached(path).len();
    run(path, &["main.wat", "--link", "env=add.wat"]).expect_code(42);
    let text = fs::read_to_string(path.join("add.wat"))
        .expect("guest")
        .replace("i32.add", "i32.sub");
    fs::write(path.join("add.wat"), text).expect("guest");
    run(path, &["main.wat", "--link", "env=add.wat"]).expect_code(254);
    assert_eq!(cached(path).len(), before + 2);
    let text = fs::read_to_string(path.join("exit.wat"))
        .expect("guest")
        .replace("const 7", "const 8");
    fs::write(path.join("exit.wat"), text).expect("guest");
    run(path, &["exit.wat"]).expect_code(8);
}

#[test]
fn a_cached_program_is_not_built_again() {
    let scratch = scratch(&["exit.wat"]);
    let first = run(scratch.path(), &["exit.wat", "--time"]);
    assert!(
        first.expect_code(7).stderr.contains("\nlink"),
        "{}",
        first.stderr
    );
    let entry = cached(scratch.path()).remove(0);
    let second = run(scratch.path(), &["exit.wat", "--time"]);
    assert!(
        !second.expect_code(7).stderr.contains("\nlink"),
        "{}",
        second.stderr
    );
    // It is the entry that is run.
    fs::copy(
        scratch.path().join("exit.wat"),
        scratch.path().join("copy.wat"),
    )
    .expect("copy");
    fs::remove_file(&entry).expect("remove");
    let third = run(scratch.path(), &["exit.wat", "--time"]);
    assert!(
        third.expect_code(7).stderr.contains("\nlink"),
        "{}",
        third.stderr
    );
}

#[test]
fn two_at_once() {
    let scratch = scratch(&["exit.wat"]);
    let children: Vec<_> = (0..4)
        .map(|_| {
            command(scratch.path(), &["exit.wat"])
                .spawn()
                .expect("elfin")
        })
        .collect();
    for mut child in children {
        assert_eq!(child.wait().expect("wait").code(), Some(7));
    }
    assert_eq!(cached(scratch.path()).len(), 1);
}

#[test]
fn where_the_cache_is() {
    let scratch = scratch(&["exit.wat"]);
    let mut home = elfin(scratch.path());
    home.args(["run", "exit.wat"])
        .env("HOME", scratch.path())
        .env_remove("XDG_CACHE_HOME");
    finish(home, None).expect_code(7);
    assert_eq!(
        fs::read_dir(scratch.path().join(".cache/elfin"))
            .expect("cache")
            .count(),
        1
    );
    let mut nowhere = elfin(scratch.path());
    nowhere
        .args(["run", "exit.wat"])
        .env_remove("HOME")
        .env("XDG_CACHE_HOME", "relative");
    let failed = finish(nowhere, None);
    assert!(
        failed.expect_code(1).stderr.contains("XDG_CACHE_HOME"),
        "{}",
        failed.stderr
    );
}

#[test]
fn no_emulator() {
    let scratch = scratch(&["exit.wat"]);
    let foreign = if cfg!(target_arch = "riscv64") {
        "aarch64"
    } else {
        "riscv64"
    };
    let mut command = command(scratch.path(), &["exit.wat", "--target", foreign]);
    command.env("PATH", scratch.path());
    let failed = finish(command, None);
    failed.expect_code(1);
    assert!(
        failed.stderr.contains(&format!("qemu-{foreign}")),
        "{}",
        failed.stderr
    );
    assert!(
        failed.stderr.contains("install qemu-user"),
        "{}",
        failed.stderr
    );
}

#[test]
fn a_program_that_cannot_be_built() {
    let scratch = scratch(&["main.wat"]);
    let failed = run(scratch.path(), &["main.wat"]);
    failed.expect_code(1);
    assert!(
        failed
            .stderr
            .starts_with("error: cannot build main.wat for "),
        "{}",
        failed.stderr
    );
    assert!(cached(scratch.path()).is_empty());
}

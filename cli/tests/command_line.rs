//! The command line as a user meets it: what is accepted, what is refused and how, where files go, and
//! what is left behind when something goes wrong.

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
fn inputs_that_cannot_be_read() {
    let scratch = scratch(&["hello.wat"]);
    let fifo = scratch.path().join("fifo");
    assert!(
        Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .expect("mkfifo")
            .success()
    );
    let large = fs::File::create(scratch.path().join("large")).expect("file");
    large.set_len((1 << 30) + 1).expect("sparse file");
    for (file, words) in [
        ("absent.wasm", "No such file"),
        (".", "it is a directory"),
        ("fifo", "not a regular file"),
        ("/dev/zero", "not a regular file"),
        ("large", "larger than 1 GiB"),
    ] {
        for line in [
            format!("build {file} -o out"),
            format!("run {file}"),
            format!("inspect {file}"),
            format!("build hello.wat -o out --link env={file}"),
        ] {
            let mut command = elfin(scratch.path());
            command
                .args(line.split(' '))
                .env("XDG_CACHE_HOME", scratch.path());
            let finished = finish(command, None);
            finished.expect_code(1);
            let start = format!("error: cannot read {file}\n\nCaused by:\n    0: ");
            assert!(finished.stderr.starts_with(&start), "{}", finished.stderr);
            assert!(finished.stderr.contains(words), "{}", finished.stderr);
        }
    }
    assert!(!scratch.path().join("out").exists());
}

#[test]
fn standard_input() {
    let scratch = scratch(&["exit.wat"]);
    let mut command = elfin(scratch.path());
    command.args(["build", "-", "-o", "out"]);
    finish(command, Some(&scratch.path().join("exit.wat"))).expect_code(0);
    run_native(&scratch.path().join("out"), &[]).expect_code(7);
    // Endless input ends at the limit.
    let mut command = elfin(scratch.path());
    command.args(["build", "-", "-o", "endless"]);
    let finished = finish(command, Some(Path::new("/dev/zero")));
    finished.expect_code(1);
    assert!(
        finished.stderr.contains("larger than 1 GiB"),
        "{}",
        finished.stderr
    );
    assert!(finished.memory < support::BUILD_MEMORY);
    assert_eq!(names(scratch.path()), ["exit.wat", "out"]);
}

#[test]
fn output_is_never_an_input() {
    let scratch = scratch(&["main.wat", "add.wat"]);
    symlink("main.wat", scratch.path().join("link.wat")).expect("symlink");
    fs::create_dir(scratch.path().join("sub")).expect("directory");
    for line in [
        "build main.wat -o main.wat --link env=add.wat",
        "build main.wat -o add.wat --link env=add.wat",
        "build main.wat -o sub/../main.wat --link env=add.wat",
        "build main.wat -o out --map main.wat --link env=add.wat",
        "build link.wat -o main.wat --link env=add.wat",
        "build link.wat -o link.wat --link env=add.wat",
    ] {
        let finished = run_elfin(scratch.path(), line);
        finished.expect_code(1);
        assert!(
            finished.stderr.contains("it is the input"),
            "{line}: {}",
            finished.stderr
        );
    }
    // Without an extension the default name is the input's own.
    fs::copy(guest("exit.wat"), scratch.path().join("plain")).expect("copy");
    assert!(
        run_elfin(scratch.path(), "build plain")
            .expect_code(1)
            .stderr
            .contains("it is the input")
    );
    assert_eq!(
        names(scratch.path()),
        ["add.wat", "link.wat", "main.wat", "plain", "sub"]
    );
    for (name, original) in [
        ("main.wat", "main.wat"),
        ("add.wat", "add.wat"),
        ("plain", "exit.wat"),
    ] {
        let kept = fs::read(scratch.path().join(name)).expect("input");
        assert!(kept == fs::read(guest(original)).expect("guest"), "{name}");
    }
}

#[test]
fn a_symbolic_link_is_replaced() {
    let scratch = scratch(&["exit.wat"]);
    let out = scratch.path().join("out");
    fs::write(scratch.path().join("precious"), "precious").expect("file");
    for target in ["precious", "dangling"] {
        let _ = fs::remove_file(&out);
        symlink(target, &out).expect("symlink");
        run_elfin(scratch.path(), "build exit.wat -o out").expect_code(0);
        assert!(fs::symlink_metadata(&out).expect("output").is_file());
        run_native(&out, &[]).expect_code(7);
    }
    assert_eq!(
        fs::read(scratch.path().join("precious")).expect("file"),
        b"precious"
    );
    assert!(!scratch.path().join("dangling").exists());
}

#[test]
fn devices_are_written_to() {
    let scratch = scratch(&["exit.wat"]);
    let identity = |path: &str| {
        fs::metadata(path)
            .map(|metadata| (metadata.ino(), metadata.mode()))
            .expect("device")
    };
    let before = identity("/dev/null");
    run_elfin(scratch.path(), "build exit.wat -o /dev/null").expect_code(0);
    assert_eq!(identity("/dev/null"), before);
    let full = run_elfin(scratch.path(), "build exit.wat -o /dev/full");
    assert!(
        full.expect_code(1).stderr.contains("No space left"),
        "{}",
        full.stderr
    );
    let stdout = run_elfin(scratch.path(), "build exit.wat -o /dev/stdout");
    assert!(
        stdout.expect_code(1).stderr.contains("-o -"),
        "{}",
        stdout.stderr
    );
    assert!(fs::symlink_metadata("/dev/stdout").is_ok_and(|metadata| metadata.is_symlink()));
}

#[test]
fn outputs_that_cannot_be_written() {
    let scratch = scratch(&["exit.wat"]);
    fs::create_dir(scratch.path().join("exit")).expect("directory");
    fs::write(scratch.path().join("file"), "").expect("file");
    for (line, words) in [
        ("build exit.wat", "it is a directory"),
        ("build exit.wat -o absent/out", "No such file or directory"),
        ("build exit.wat -o file/out", "Not a directory"),
    ] {
        let finished = run_elfin(scratch.path(), line);
        finished.expect_code(1);
        assert!(
            finished.stderr.starts_with("error: cannot write "),
            "{}",
            finished.stderr
        );
        assert!(
            finished.stderr.contains(words),
            "{line}: {}",
            finished.stderr
        );
    }
    assert_eq!(names(scratch.path()), ["exit", "exit.wat", "file"]);
}

#[test]
fn the_umask_decides_permissions() {
    let scratch = scratch(&["exit.wat"]);
    for (umask, mode) in [("022", 0o755), ("077", 0o700), ("027", 0o750)] {
        let mut command = Command::new("sh");
        let script = format!("umask {umask}; exec \"$0\" build exit.wat -o out --map map");
        command
            .args(["-c", &script, env!("CARGO_BIN_EXE_elfin")])
            .current_dir(scratch.path());
        finish(command, None).expect_code(0);
        let permissions = |name| {
            let metadata = fs::metadata(scratch.path().join(name)).expect("output");
            metadata.permissions().mode() & 0o777
        };
        assert_eq!(permissions("out"), mode, "umask {umask}");
        assert_eq!(permissions("map"), mode & 0o666, "umask {umask}");
    }
}

#[test]
fn no_space_leaves_nothing() {
    let scratch = scratch(&["exit.wat"]);
    fs::write(scratch.path().join("out"), "as before").expect("file");
    // A limit on file sizes fails a write in the middle, as a full disk does.
    let mut command = Command::new("sh");
    let script = "trap '' XFSZ; ulimit -f 1; exec \"$0\" build exit.wat -o out --emit obj";
    command
        .args(["-c", script, env!("CARGO_BIN_EXE_elfin")])
        .current_dir(scratch.path());
    let small = finish(command, None);
    let object = tempfile::tempdir().expect("scratch");
    fs::copy(guest("exit.wat"), object.path().join("exit.wat")).expect("guest");
    run_elfin(object.path(), "build exit.wat --emit obj").expect_code(0);
    let size = fs::metadata(object.path().join("exit.o"))
        .expect("object")
        .len();
    assert!(size > 1024, "the limit of 1 KiB must be met: {size}");
    small.expect_code(1);
    assert!(
        small.stderr.contains("cannot write out") && small.stderr.contains("File too large"),
        "{}",
        small.stderr
    );
    assert_eq!(names(scratch.path()), ["exit.wat", "out"]);
    assert_eq!(
        fs::read(scratch.path().join("out")).expect("file"),
        b"as before"
    );
}

#[test]
fn a_killed_build_leaves_no_partial_output() {
    let scratch = scratch(&["cat.wat"]);
    run_elfin(scratch.path(), "build cat.wat -o whole").expect_code(0);
    let whole = fs::read(scratch.path().join("whole")).expect("executable");
    let out = scratch.path().join("out");
    let (mut absent, mut complete) = (0, 0);
    let mut delay = Duration::from_micros(500);
    while complete < 3 && delay < Duration::from_secs(5) {
        let mut command = elfin(scratch.path());
        command
            .args(["build", "cat.wat", "-o", "out"])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut child = command.spawn().expect("elfin");
        std::thread::sleep(delay);
        child.kill().expect("kill");
        child.wait().expect("wait");
        match fs::read(&out) {
            Ok(bytes) => {
                assert!(bytes == whole, "a partial output after {delay:?}");
                complete += 1;
                fs::remove_file(&out).expect("remove");
            }
            Err(_) => absent += 1,
        }
        delay = delay * 5 / 4;
    }
    assert!(
        absent > 0 && complete > 0,
        "{absent} absent, {complete} complete: nothing was tested"
    );
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

#[test]
fn invoke() {
    let (ran, scratch) = build_and_run("add.wat", "--invoke add", &["2", "40"]);
    ran.expect_code(0);
    assert_eq!(ran.text(), "42\n");
    let executable = scratch.path().join("out");
    assert_eq!(run_native(&executable, &["-1", "0x10"]).text(), "15\n");
    for wrong in [&["2"][..], &["2", "x"], &["2", "3", "4"]] {
        let ran = run_native(&executable, wrong);
        ran.expect_code(2);
        assert!(!ran.stderr.is_empty() && ran.stdout.is_empty());
    }
}

#[test]
fn link() {
    let scratch = scratch(&["main.wat", "add.wat"]);
    run_elfin(scratch.path(), "build main.wat").expect_code(1);
    run_elfin(scratch.path(), "build main.wat --link env=add.wat").expect_code(0);
    run_native(&scratch.path().join("main"), &[]).expect_code(42);
}

/// Nothing says that a module's name has a letter: dart2wasm's string constants come from `""`.
#[test]
fn link_without_a_name() {
    let scratch = scratch(&["main.wat", "add.wat"]);
    let main = fs::read_to_string(scratch.path().join("main.wat")).expect("guest");
    let nameless = main.replace("\"env\"", "\"\"");
    assert_ne!(nameless, main);
    fs::write(scratch.path().join("main.wat"), nameless).expect("guest");
    run_elfin(scratch.path(), "build main.wat").expect_code(1);
    run_elfin(scratch.path(), "build main.wat --link =add.wat").expect_code(0);
    run_native(&scratch.path().join("main"), &[]).expect_code(42);
}

#[test]
fn unknown_imports() {
    let scratch = scratch(&["missing.wat"]);
    let refused = run_elfin(scratch.path(), "build missing.wat");
    assert!(
        refused.expect_code(1).stderr.contains("missing"),
        "{}",
        refused.stderr
    );
    run_elfin(scratch.path(), "build missing.wat --unknown-imports trap").expect_code(0);
    let executable = scratch.path().join("missing");
    run_native(&executable, &[]).expect_code(0);
    let trapped = run_native(&executable, &["call it"]);
    trapped.expect_code(134);
    assert!(
        trapped.stderr.contains("unknown import called"),
        "{}",
        trapped.stderr
    );
    assert!(trapped.stderr.contains("missing"), "{}", trapped.stderr);
}

#[test]
fn arguments_and_environment() {
    let (ran, _scratch) =
        build_and_run("args.wat", "--arg one --arg --two", &["three", "", "fo ur"]);
    assert_eq!(
        ran.expect_code(0).text(),
        "program\0one\0--two\0three\0\0fo ur\0"
    );
    let (ran, scratch) = build_and_run(
        "environ.wat",
        "--env A=b=c --env EMPTY= --inherit-env SEEN",
        &[],
    );
    assert_eq!(
        ran.expect_code(0).text(),
        "A=b=c\0EMPTY=\0",
        "unset variables are not passed, nor others"
    );
    let mut command = Command::new(scratch.path().join("out"));
    command
        .env("SEEN", "yes")
        .env("A", "not this")
        .env("UNSEEN", "no");
    assert_eq!(
        finish(command, None).expect_code(0).text(),
        "A=b=c\0EMPTY=\0SEEN=yes\0"
    );
}

#[test]
fn directories() {
    // WASI errnos: 8 is badf, 69 is rofs, 76 is notcapable.
    let created = |options: &str| {
        let scratch = scratch(&["create.wat"]);
        fs::create_dir(scratch.path().join("data")).expect("directory");
        run_elfin(
            scratch.path(),
            &format!("build create.wat -o out {options}"),
        )
        .expect_code(0);
        let ran = run_native(&scratch.path().join("out"), &[]);
        let existing = ["created", "data/created"].map(|name| scratch.path().join(name).exists());
        (ran.code(), existing)
    };
    assert_eq!(created("--dir data"), (0, [false, true]));
    assert_eq!(created("--dir .::/"), (0, [true, false]));
    assert_eq!(created(""), (8, [false, false]));
    let (errno, existing) = created("--dir data:ro");
    assert!([69, 76].contains(&errno), "{errno}");
    assert_eq!(existing, [false, false]);
}

#[test]
fn a_granted_directory_that_is_missing() {
    let (ran, _scratch) = build_and_run("create.wat", "--dir no-such-directory::/", &[]);
    assert_ne!(ran.code(), 0);
    assert!(ran.stderr.contains("no-such-directory"), "{}", ran.stderr);
}

#[test]
fn limits() {
    build_and_run("grow.wat", "", &[]).0.expect_code(0);
    build_and_run("grow.wat", "--max-memory 8MiB", &[])
        .0
        .expect_code(0);
    build_and_run("grow.wat", "--max-memory 6MiB", &[])
        .0
        .expect_code(1);
    build_and_run("grow.wat", "--max-memory 6MiB --memory checked", &[])
        .0
        .expect_code(1);
    let frames = |options: &str| {
        let (ran, _scratch) = build_and_run("recurse.wat", options, &[]);
        ran.expect_code(134);
        assert!(
            ran.stderr
                .starts_with("elfin: trap: call stack exhausted\n"),
            "{}",
            ran.stderr
        );
    };
    frames("");
    frames("--max-stack 64KiB");
    frames("--max-stack 64MiB");
    let scratch = scratch(&["grow.wat"]);
    let refused = run_elfin(scratch.path(), "build grow.wat --max-memory 1KiB");
    assert!(
        refused.expect_code(1).stderr.contains("memory"),
        "{}",
        refused.stderr
    );
    let refused = run_elfin(scratch.path(), "build grow.wat --max-stack 16000000TiB");
    assert!(
        [1, 2].contains(&refused.code()) && refused.stderr.contains("stack"),
        "{}",
        refused.stderr
    );
}

#[test]
fn inspect_a_module() {
    let scratch = scratch(&["main.wat", "hello.wat", "add.wat"]);
    let text = run_elfin(scratch.path(), "inspect main.wat");
    text.expect_code(0);
    for line in [
        "  wasi_snapshot_preview1.proc_exit: func (i32) -> ()",
        "  env.add: func (i32, i32) -> (i32)   not provided by elfin",
        "  _start: func () -> ()",
        "  1.. pages of 65536 bytes",
        "  a module for the imports from env: --link env=FILE, or --unknown-imports trap",
    ] {
        assert!(
            text.text().lines().any(|found| found == line),
            "no {line:?} in:\n{}",
            text.text()
        );
    }
    let json = |name: &str| -> Value {
        let finished = run_elfin(scratch.path(), &format!("inspect {name} --json"));
        serde_json::from_slice(&finished.expect_code(0).stdout).expect("JSON")
    };
    let main = json("main.wat");
    assert_eq!(main["kind"], "module");
    assert_eq!(main["imports"][1]["module"], "env");
    assert_eq!(main["imports"][1]["provided"], false);
    assert_eq!(main["exports"][1]["name"], "_start");
    assert_eq!(main["memories"][0]["initial_pages"], 1);
    assert_eq!(main["features"], Value::Array(vec![]));
    assert_eq!(json("hello.wat")["needs"], Value::Array(vec![]));
    assert!(
        json("add.wat")["needs"][0]
            .as_str()
            .is_some_and(|need| need.contains("--invoke"))
    );
    fs::write(scratch.path().join("bad.wasm"), b"\0asm\x01\0\0\0\x01").expect("file");
    let bad = run_elfin(scratch.path(), "inspect bad.wasm");
    assert!(
        bad.expect_code(1).stderr.contains("at offset 0x"),
        "{}",
        bad.stderr
    );
}

#[test]
fn what_inspect_says_is_what_build_does() {
    let Some(root) = support::real_modules() else {
        support::announce("SKIPPED: ../shared/data/modules is not on this machine");
        return;
    };
    let unsupported = support::unsupported_modules();
    for (name, directory) in support::case_directories(&root) {
        let mut command = elfin(&directory);
        command.args(["inspect", "--json", "module.wasm"]);
        let inspected = finish(command, None);
        let json: Value = serde_json::from_slice(&inspected.expect_code(0).stdout).expect("JSON");
        let needs = json["needs"].as_array().expect("needs");
        let refused = |other: &&support::Unsupported| other.name == name && other.target.is_none();
        match unsupported.iter().find(refused) {
            None => assert!(needs.is_empty(), "{name}: {needs:?}"),
            Some(support::Unsupported { feature, .. }) => {
                let need = format!("unsupported feature: {feature} ");
                assert!(
                    needs[0]
                        .as_str()
                        .is_some_and(|text| text.starts_with(&need)),
                    "{name}: {needs:?}"
                );
                let features = json["features"].as_array().expect("features");
                assert!(
                    features.iter().any(|used| used == feature.as_str()),
                    "{name}: {features:?}"
                );
            }
        }
    }
}

#[test]
fn inspect_an_executable() {
    let scratch = scratch(&["create.wat", "hello.wat"]);
    let line = "build create.wat -o app --dir /srv/data::/data:ro --dir out --env A=b=c \
                --inherit-env HOME --arg -v -O s --target riscv64";
    run_elfin(scratch.path(), line).expect_code(0);
    let finished = run_elfin(scratch.path(), "inspect app --json");
    let json: Value = serde_json::from_slice(&finished.expect_code(0).stdout).expect("JSON");
    assert_eq!(json["kind"], "executable");
    assert_eq!(json["target"], "riscv64");
    assert_eq!(
        json["size"],
        fs::metadata(scratch.path().join("app")).expect("app").len()
    );
    let expected = serde_json::json!({
        "dirs": [
            { "host": "/srv/data", "guest": "/data", "read_only": true },
            { "host": "out", "guest": "out", "read_only": false },
        ],
        "env": [{ "name": "A", "value": "b=c" }],
        "inherit_env": ["HOME"],
        "args": ["-v"],
        "inherit_all_env": false, "tcp_listen": [], "null_streams": [], "max_open_files": 4096,
            "max_memory": null, "max_stack": 8 << 20, "in_image": true,
    });
    assert_eq!(json["policy"], expected);
    let functions = [
        "wasi_snapshot_preview1.path_open",
        "wasi_snapshot_preview1.proc_exit",
    ];
    let mut found: Vec<_> = json["host_functions"].as_array().expect("array").clone();
    found.sort_by_key(Value::to_string);
    assert_eq!(found, functions);
    assert_eq!(json["provenance"]["elfin"], env!("CARGO_PKG_VERSION"));
    assert_eq!(json["provenance"]["opt_level"], "s");
    assert_eq!(json["provenance"]["memory"], "guarded");
    assert_eq!(
        json["provenance"]["module_sha256"][0]
            .as_str()
            .map(str::len),
        Some(64)
    );
    let permissions: Vec<_> = json["segments"]
        .as_array()
        .expect("segments")
        .iter()
        .map(|segment| {
            segment["permissions"]
                .as_str()
                .expect("permissions")
                .to_owned()
        })
        .collect();
    assert!(
        permissions.contains(&"r-x".into()) && permissions.contains(&"rw-".into()),
        "{permissions:?}"
    );

    let text = run_elfin(scratch.path(), "inspect app");
    for line in [
        "  directory /srv/data as /data, read only",
        "  environment variable HOME, inherited",
        "  argument -v",
    ] {
        assert!(
            text.expect_code(0)
                .text()
                .lines()
                .any(|found| found == line),
            "{}",
            text.text()
        );
    }

    // What no function in the program asks for is not even in the image.
    run_elfin(scratch.path(), "build hello.wat --dir /srv/data --env A=b").expect_code(0);
    let finished = run_elfin(scratch.path(), "inspect hello --json");
    let json: Value = serde_json::from_slice(&finished.expect_code(0).stdout).expect("JSON");
    assert_eq!(json["policy"]["in_image"], false);

    let foreign = env!("CARGO_BIN_EXE_elfin");
    let finished = run_elfin(scratch.path(), &format!("inspect {foreign}"));
    assert!(
        finished.expect_code(1).stderr.contains("not made by elfin"),
        "{}",
        finished.stderr
    );
}

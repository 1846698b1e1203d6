//! Options that decide what the program is and may do: entry, links, imports, arguments, grants, limits.

use super::*;

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

/// It can be built, but hardly anybody wants a program that makes itself ready and ends.
#[test]
fn a_reactor_that_nothing_is_called_of() {
    let reactor = r#"(module (func (export "_initialize")) (func (export "answer") (result i32) (i32.const 42)))"#;
    let scratch = scratch(&[]);
    fs::write(scratch.path().join("reactor.wat"), reactor).expect("guest");
    let built = run_elfin(scratch.path(), "build reactor.wat");
    built.expect_code(0);
    for part in ["note: reactor.wat: ", "`_start`", "--invoke", "answer"] {
        assert!(built.stderr.contains(part), "{part}: {}", built.stderr);
    }
    let called = run_elfin(scratch.path(), "build reactor.wat --invoke answer");
    assert!(called.expect_code(0).stderr.is_empty(), "{}", called.stderr);
    let ran = run_native(&scratch.path().join("reactor"), &[]);
    assert_eq!(ran.text(), "42\n");
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
        ran.expect_trap("call stack exhausted");
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

//! Whole programs: each is built for every target and run as its `cmd.json` says.
//!
//! A directory holds a module, `cmd.json` and `run/`. `cmd.json` has `module` (a file; without it
//! `module.wasm`, `NAME.wasm` or `NAME.wat`), `link` (`[name, file]` pairs) and `cases`, each with `args`
//! (argv\[0\] first), `env`, `dirs` (`[host relative to run/, guest]`), `invoke` (the export to call),
//! `stdin` (a file relative to run/, or null) and `expect`: `exit`, `stdout` (a file beside `cmd.json`),
//! `files` (path relative to run/ → SHA-256 after the run), `check` (`exact`, or `first-line` of the
//! standard output). Each case runs in a fresh copy of run/.
//!
//! The programs are those of `examples/` and, where this machine has them, those of
//! `../shared/data/modules`. What elfin does not compile yet stands in `unsupported-modules.txt` and must
//! be refused by the name of the missing feature.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};
use support::{
    announce, case_directories, check_segments, copy_tree, elfin, finish, module_of, real_modules,
    run_executable, unsupported_modules, workspace,
};

#[test]
fn examples_x86_64() {
    run_all("examples", &workspace().join("examples"), "x86_64");
}

#[test]
fn examples_aarch64() {
    run_all("examples", &workspace().join("examples"), "aarch64");
}

#[test]
fn examples_riscv64() {
    run_all("examples", &workspace().join("examples"), "riscv64");
}

#[test]
fn real_modules_x86_64() {
    run_real_modules("x86_64");
}

#[test]
fn real_modules_aarch64() {
    run_real_modules("aarch64");
}

#[test]
fn real_modules_riscv64() {
    run_real_modules("riscv64");
}

fn run_real_modules(target: &str) {
    match real_modules() {
        Some(root) => run_all("../shared/data/modules", &root, target),
        None => announce(&format!(
            "SKIPPED for {target}: ../shared/data/modules is not on this machine"
        )),
    }
}

/// Runs every program of `root`; fails at the end, having named every failure.
fn run_all(what: &str, root: &Path, target: &str) {
    let unsupported: BTreeMap<String, String> = unsupported_modules()
        .into_iter()
        .filter(|module| module.target.as_deref().is_none_or(|only| only == target))
        .map(|module| (module.name, module.feature))
        .collect();
    let directories = case_directories(root);
    assert!(
        !directories.is_empty(),
        "{} has no directory with a cmd.json",
        root.display()
    );
    let (mut cases, mut refused, mut failures) = (0, 0, Vec::new());
    for (name, directory) in &directories {
        let outcome = catch_unwind(AssertUnwindSafe(|| match unsupported.get(name) {
            Some(feature) => {
                expect_refusal(directory, target, feature);
                refused += 1;
            }
            None => cases += run_program(directory, target),
        }));
        if let Err(panic) = outcome {
            let text = panic
                .downcast_ref::<String>()
                .map_or("panic", String::as_str);
            failures.push(format!("{name}: {text}"));
        }
    }
    announce(&format!(
        "{what} for {target}: {} programs, {cases} cases ran, {refused} refused as listed, {} failed",
        directories.len(),
        failures.len()
    ));
    assert!(failures.is_empty(), "\n{}", failures.join("\n\n"));
}

fn expect_refusal(directory: &Path, target: &str, feature: &str) {
    let scratch = tempfile::tempdir().expect("scratch");
    let mut command = elfin(scratch.path());
    command
        .arg("build")
        .arg(module_of(directory))
        .args(["-o", "out", "--target", target]);
    let built = finish(command, None);
    built.expect_code(1);
    let expected = format!("unsupported feature: {feature}");
    assert!(
        built.stderr.lines().any(|line| line.ends_with(&expected)),
        "{expected}: {}",
        built.stderr
    );
    assert!(!scratch.path().join("out").exists());
}

/// Runs one program's cases; returns how many they were.
fn run_program(directory: &Path, target: &str) -> usize {
    let commands = support::commands(directory);
    let cases = commands["cases"].as_array().expect("cases");
    assert!(!cases.is_empty(), "no cases");
    let module = module_of(directory);
    let build_directory = tempfile::tempdir().expect("scratch");
    // What is sealed in decides the executable: cases that agree in it share one.
    let mut executables: BTreeMap<Vec<String>, PathBuf> = BTreeMap::new();
    for case in cases {
        let flags = [link_flags(&commands), build_flags(case)].concat();
        let count = executables.len();
        let executable = executables.entry(flags).or_insert_with_key(|flags| {
            let path = build_directory.path().join(format!("program-{count}"));
            let mut command = elfin(directory);
            command
                .arg("build")
                .arg(&module)
                .arg("-o")
                .arg(&path)
                .args(["--target", target])
                .args(flags);
            finish(command, None).expect_code(0);
            check_segments(&fs::read(&path).expect("executable"));
            path
        });
        run_case(case, directory, executable, target);
    }
    cases.len()
}

fn build_flags(case: &Value) -> Vec<String> {
    let string = |value: &Value| value.as_str().expect("a string").to_owned();
    let mut flags = Vec::new();
    for (key, value) in case["env"].as_object().into_iter().flatten() {
        flags.extend(["--env".into(), format!("{key}={}", string(value))]);
    }
    for dir in case["dirs"].as_array().into_iter().flatten() {
        flags.extend([
            "--dir".into(),
            format!("{}::{}", string(&dir[0]), string(&dir[1])),
        ]);
    }
    if let Some(name) = case["invoke"].as_str() {
        flags.extend(["--invoke".into(), name.into()]);
    }
    flags
}

fn link_flags(commands: &Value) -> Vec<String> {
    let string = |value: &Value| value.as_str().expect("a string").to_owned();
    let links = commands["link"].as_array().into_iter().flatten();
    links
        .flat_map(|link| {
            [
                "--link".into(),
                format!("{}={}", string(&link[0]), string(&link[1])),
            ]
        })
        .collect()
}

fn run_case(case: &Value, directory: &Path, executable: &Path, target: &str) {
    let scratch = tempfile::tempdir().expect("scratch");
    let run = scratch.path().join("run");
    fs::create_dir(&run).expect("run");
    if directory.join("run").is_dir() {
        copy_tree(&directory.join("run"), &run);
    }
    for dir in case["dirs"].as_array().into_iter().flatten() {
        // An empty directory is lost in a checkout.
        fs::create_dir_all(run.join(dir[0].as_str().expect("a string")))
            .expect("granted directory");
    }
    let argv: Vec<&str> = case["args"]
        .as_array()
        .expect("args")
        .iter()
        .map(|arg| arg.as_str().expect("a string"))
        .collect();
    let stdin = case["stdin"].as_str().map(|name| run.join(name));
    let finished = run_executable(target, executable, &argv, &run, stdin.as_deref());

    let expect = &case["expect"];
    let about = || {
        format!(
            "{argv:?}\nstdout:\n{}\nstderr:\n{}",
            finished.text(),
            finished.stderr
        )
    };
    assert_eq!(
        i64::from(finished.code()),
        expect["exit"].as_i64().expect("exit"),
        "exit of {}",
        about()
    );
    if let Some(file) = expect["stdout"].as_str() {
        let expected = fs::read(directory.join(file)).expect("expected output");
        let first_line = |bytes: &[u8]| {
            bytes
                .split(|&byte| byte == b'\n')
                .next()
                .unwrap_or(&[])
                .to_vec()
        };
        match expect["check"].as_str().unwrap_or("exact") {
            "exact" => assert!(
                finished.stdout == expected,
                "stdout of {}\nexpected:\n{}",
                about(),
                String::from_utf8_lossy(&expected)
            ),
            "first-line" => assert_eq!(
                first_line(&finished.stdout),
                first_line(&expected),
                "{}",
                about()
            ),
            other => panic!("check: {other}"),
        }
    }
    for (path, hash) in expect["files"].as_object().into_iter().flatten() {
        let bytes =
            fs::read(run.join(path)).unwrap_or_else(|error| panic!("{path}: {error}; {}", about()));
        let found: String = Sha256::digest(&bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(
            found,
            hash.as_str().expect("a hash"),
            "contents of {path}; {}",
            about()
        );
    }
}

//! `--cpu`: what an executable for more than the baseline does where the CPU has it, and what it says where not.
//!
//! CPUs that lack something are qemu's; so is one that has vectors for riscv64.

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use support::{Finished, TARGETS, finish, guest, qemu, run_elfin};
use tempfile::TempDir;

fn scratch(guests: &[&str]) -> TempDir {
    let directory = tempfile::tempdir().expect("scratch");
    for name in guests {
        fs::copy(guest(name), directory.path().join(name)).expect("guest");
    }
    directory
}

/// Builds `guest` for `target` with these options, and runs it on this model of CPU.
fn run_on(target: &str, model: &str, directory: &Path, guest: &str, options: &str) -> Finished {
    let line = format!("build {guest} -o out --target {target} {options}");
    run_elfin(directory, &line).expect_code(0);
    let mut command = Command::new(qemu(target));
    command.args(["-cpu", model]).arg(directory.join("out"));
    finish(command, None)
}

/// What an emulator says on its own account is not the executable's.
fn lines_of_ours(finished: &Finished) -> Vec<String> {
    let lines = finished.stderr.lines();
    lines
        .filter(|line| !line.contains("warning: "))
        .map(str::to_owned)
        .collect()
}

#[test]
fn a_cpu_that_lacks_something_is_told_in_one_line() {
    let scratch = scratch(&["hello.wat"]);
    for (target, model, level, missing) in [
        ("x86_64", "qemu64", "x86-64-v2", "ssse3"),
        ("x86_64", "Nehalem", "x86-64-v3", "avx"),
        ("x86_64", "Haswell,-avx2", "x86-64-v3", "avx2"),
        ("x86_64", "Haswell,-bmi2", "x86-64-v3", "bmi2"),
        ("x86_64", "Haswell", "x86-64-v4", "avx512f"),
        ("x86_64", "Nehalem", "x86-64+bmi1", "bmi1"),
        ("aarch64", "cortex-a53", "armv8.1-a", "lse"),
        ("aarch64", "cortex-a53", "armv8-a+dotprod", "dotprod"),
        ("riscv64", "rv64", "rv64gcv", "v"),
        // No qemu before 9.1 answers riscv_hwprobe: what it has is not known either.
        ("riscv64", "rv64,zbs=false", "rv64gc+zbs", "zbs"),
    ] {
        let options = format!("--cpu {level}");
        let ran = run_on(target, model, scratch.path(), "hello.wat", &options);
        ran.expect_code(1);
        let expected =
            format!("elfin: this executable was built for {level}, but this CPU has no {missing}");
        assert_eq!(lines_of_ours(&ran), [expected]);
        assert!(ran.stdout.is_empty());
    }
}

#[test]
fn every_level_runs_where_the_cpu_has_it() {
    let scratch = scratch(&["simd.wat"]);
    for (target, model, level) in [
        ("x86_64", "qemu64", "x86-64"),
        ("x86_64", "Nehalem", "x86-64-v2"),
        ("x86_64", "Haswell", "x86-64-v3"),
        ("x86_64", "Nehalem", "x86-64+sse4.1"),
        ("aarch64", "cortex-a53", "armv8-a"),
        ("aarch64", "max", "armv8.1-a"),
        ("riscv64", "rv64,v=true,vext_spec=v1.0,vlen=128", "rv64gcv"),
        ("riscv64", "rv64,v=true,vext_spec=v1.0,vlen=512", "rv64gcv"),
    ] {
        for mode in ["", "-O 0", "--addressing context"] {
            let options = format!("--cpu {level} {mode}");
            let ran = run_on(target, model, scratch.path(), "simd.wat", &options);
            ran.expect_code(42);
            assert_eq!(lines_of_ours(&ran), [""; 0]);
        }
    }
}

#[test]
fn the_baseline_is_not_checked() {
    let scratch = scratch(&["hello.wat"]);
    for (target, level) in TARGETS.iter().zip(["x86-64", "armv8-a", "rv64gc"]) {
        let build = |options: &str| {
            let line = format!("build hello.wat -o out --target {target} --map map {options}");
            run_elfin(scratch.path(), &line).expect_code(0);
            let map = fs::read_to_string(scratch.path().join("map")).expect("map");
            let executable = fs::read(scratch.path().join("out")).expect("executable");
            (executable, map.contains("elfin_check_cpu"))
        };
        let (plain, checked) = build("");
        assert!(!checked, "{target}");
        assert!(plain == build(&format!("--cpu {level}")).0, "{target}");
        assert!(plain == build("--cpu baseline").0, "{target}");
    }
    run_elfin(
        scratch.path(),
        "build hello.wat -o out --target x86_64 --map map --cpu x86-64-v2",
    )
    .expect_code(0);
    let map = fs::read_to_string(scratch.path().join("map")).expect("map");
    assert!(map.contains("elfin_check_cpu"));
}

/// What gains by a newer CPU is there twice. Which of the two runs shows when the way to one of them is cut off.
#[test]
fn the_cpu_chooses_between_twins() {
    let scratch = scratch(&["simd.wat", "hello.wat"]);
    let build = |line: &str| {
        let line = format!("build {line} -o out --target x86_64 --map map");
        run_elfin(scratch.path(), &line).expect_code(0);
        fs::read_to_string(scratch.path().join("map")).expect("map")
    };
    for without in [
        "hello.wat",
        "simd.wat --cpu baseline",
        "simd.wat -O 0",
        "simd.wat -O s",
        "simd.wat --cpu x86-64-v3",
    ] {
        assert!(!build(without).contains("elfin_find_cpu"), "{without}");
    }
    // An instruction that traps, over the jump to the code for newer processors and over the one to the plain code.
    const TRAP: [u8; 2] = [0x0f, 0x0b];
    let cut = |executable: &[u8], offset: usize| {
        let mut cut = executable.to_vec();
        let choosers: Vec<usize> = (0..executable.len() - 18)
            .filter(|at| {
                let code = &executable[*at..*at + 18];
                code[..2] == [0x80, 0x3d] && code[6..9] == [0, 0x0f, 0x85] && code[13] == 0xe9
            })
            .collect();
        assert!(!choosers.is_empty());
        for at in choosers {
            cut[at + offset..][..2].copy_from_slice(&TRAP);
        }
        cut
    };
    for mode in ["", "-O 1", "--addressing context", "--memory checked"] {
        assert!(build(&format!("simd.wat {mode}")).contains("elfin_find_cpu"));
        let whole = fs::read(scratch.path().join("out")).expect("executable");
        let runs = |bytes: &[u8], model: &str| {
            fs::write(scratch.path().join("out"), bytes).expect("executable");
            let mut command = Command::new(qemu("x86_64"));
            command
                .args(["-cpu", model])
                .arg(scratch.path().join("out"));
            finish(command, None).status.code() == Some(42)
        };
        // Behind the comparison, where the jump is not taken: the plain code.
        let (newer_only, none) = (cut(&whole, 13), cut(&whole, 7));
        for (model, is_newer) in [("qemu64", false), ("Nehalem", false), ("Haswell", true)] {
            assert!(runs(&whole, model), "{mode} {model}");
            assert_eq!(runs(&newer_only, model), is_newer, "{mode} {model}");
            assert!(!runs(&none, model), "{mode} {model}");
        }
    }
}

#[test]
fn inspect_says_what_it_was_built_for() {
    let scratch = scratch(&["hello.wat"]);
    for (options, cpu) in [
        ("--target riscv64", "rv64gc"),
        ("--target riscv64 --cpu rv64gcv", "rv64gcv"),
        ("--target aarch64 --cpu armv8.1-a", "armv8.1-a"),
        ("--target x86_64", "x86-64"),
        ("--target x86_64 --cpu x86-64-v2+bmi1", "x86-64-v2+bmi1"),
    ] {
        run_elfin(scratch.path(), &format!("build hello.wat -o out {options}")).expect_code(0);
        let json = run_elfin(scratch.path(), "inspect out --json");
        let json: Value = serde_json::from_slice(&json.expect_code(0).stdout).expect("JSON");
        assert_eq!(json["cpu"], cpu);
        let text = run_elfin(scratch.path(), "inspect out").text();
        assert!(text.contains(&format!("({cpu})")), "{text}");
    }
}

#[test]
fn native_is_this_machine() {
    let scratch = scratch(&["simd.wat"]);
    run_elfin(scratch.path(), "build simd.wat -o out --cpu native").expect_code(0);
    let command = Command::new(scratch.path().join("out"));
    finish(command, None).expect_code(42);
    for target in TARGETS.iter().filter(|t| **t != std::env::consts::ARCH) {
        let line = format!("build simd.wat -o out --cpu native --target {target}");
        let refused = run_elfin(scratch.path(), &line);
        refused.expect_code(2);
        let expected = format!("the CPU of this machine is no {target}");
        assert!(refused.stderr.contains(&expected), "{}", refused.stderr);
    }
}

#[test]
fn run_keeps_levels_apart() {
    let scratch = scratch(&["simd.wat"]);
    let cache = scratch.path().join("cache");
    for options in [
        "--target x86_64",
        "--target x86_64 --cpu x86-64+popcnt",
        "--target riscv64 --cpu rv64gcv",
        "--target riscv64 --cpu rv64gcv",
    ] {
        let mut command = support::elfin(scratch.path());
        command
            .args(["run", "simd.wat"])
            .args(options.split(' '))
            .env("XDG_CACHE_HOME", &cache);
        finish(command, None).expect_code(42);
    }
    let entries = fs::read_dir(cache.join("elfin")).expect("cache");
    assert_eq!(entries.count(), 3);
}

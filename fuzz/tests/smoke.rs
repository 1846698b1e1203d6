//! A bounded number of cases of every kind: the same for everyone, within seconds. Long runs are the command's
//! (see `README.md`).

use elfin_compiler::Arch;
use elfin_fuzz::differential::{self, Case, Mode, Source, Verdict};
use elfin_fuzz::{compile, corpus, exceptions, link, objects, text};

/// Runs on threads whose stacks deep nesting does not exhaust.
fn on_pool(work: impl FnOnce() + Send) {
    spec_tests::pool().expect("threads").install(work);
}

/// Tries cases in one executable; the findings.
fn differences(cases: &[Case], arch: Arch, mode: Mode) -> Vec<String> {
    let verdicts = differential::run(cases, arch, mode);
    assert_eq!(verdicts.len(), cases.len());
    let same = |v: &&Verdict| matches!(v, Verdict::Same { .. });
    let few = cases.len() / 8 + 1;
    assert!(verdicts.iter().filter(same).count() + few >= cases.len());
    cases
        .iter()
        .zip(verdicts)
        .filter_map(|(case, verdict)| match verdict {
            Verdict::Different(message) | Verdict::DifferentTogether(message) => Some(format!(
                "seed {} on {} in mode {}: {message}",
                case.seed,
                arch.name(),
                mode.name
            )),
            _ => None,
        })
        .collect()
}

fn cases(source: Source, seeds: std::ops::Range<u64>) -> Vec<Case> {
    seeds.filter_map(|seed| source.case(seed)).collect()
}

/// Modules of each source in every mode: `native` of them for this machine, and for others as many as `emulated` says
/// for the mode's place in [`Mode::ALL`].
fn as_the_oracle_has_them(sources: &[Source], native: u64, emulated: fn(u64) -> u64) {
    on_pool(|| {
        for (n, mode) in (0..).zip(Mode::ALL) {
            for arch in Arch::ALL.iter().filter(|arch| runs(**arch)) {
                let is_native = arch.name() == std::env::consts::ARCH;
                let count = if is_native { native } else { emulated(n) };
                if count == 0 {
                    continue;
                }
                for source in sources {
                    let cases = cases(*source, n * 1000..n * 1000 + count);
                    let found = differences(&cases, *arch, *mode);
                    assert!(found.is_empty(), "{}", found.join("\n"));
                }
            }
        }
    });
}

/// Whether executables for it run here.
fn runs(arch: Arch) -> bool {
    arch.name() == std::env::consts::ARCH
        || std::process::Command::new(format!("qemu-{}", arch.name()))
            .arg("--version")
            .output()
            .is_ok()
}

#[test]
fn objects_whenever_garbage_is_collected() {
    on_pool(|| {
        let mut calls = 0;
        for arch in Arch::ALL.iter().filter(|arch| runs(**arch)) {
            let native = arch.name() == std::env::consts::ARCH;
            for seed in 0..if native { 16 } else { 3 } {
                let Some(wasm) = objects::module(seed) else {
                    continue;
                };
                match objects::run(seed, &wasm, *arch) {
                    objects::Verdict::Same { calls: more, .. } => calls += more,
                    objects::Verdict::Discarded(_) => {}
                    objects::Verdict::Different(message) => {
                        panic!("seed {seed} on {}: {message}", arch.name())
                    }
                }
            }
        }
        assert!(calls > 50, "{calls}");
    });
}

#[test]
fn exceptions_are_caught_where_the_model_catches_them() {
    on_pool(|| {
        for (n, mode) in (0..).zip(Mode::ALL) {
            for arch in Arch::ALL.iter().filter(|arch| runs(**arch)) {
                let native = arch.name() == std::env::consts::ARCH;
                let count = match (native, n) {
                    (true, _) => 16,
                    (false, 0 | 1) => 12,
                    (false, _) => continue,
                };
                // In every other mode, garbage is collected at each allocation: the first seed is odd.
                let seeds = n * 1001..n * 1001 + count;
                let cases: Vec<_> = seeds.filter_map(exceptions::Case::generate).collect();
                let caught: u64 = cases.iter().map(|case| case.caught).sum();
                assert!(caught > 0);
                for (case, verdict) in cases.iter().zip(exceptions::run(&cases, *arch, *mode)) {
                    assert!(
                        matches!(verdict, Verdict::Same { .. }),
                        "seed {} on {} in mode {}: {verdict:?}",
                        case.seed,
                        arch.name(),
                        mode.name
                    );
                }
            }
        }
    });
}

#[test]
fn the_same_as_the_oracle() {
    // Emulated: one executable in the mode that matters most, and one in another.
    as_the_oracle_has_them(&[Source::Smith], 24, |mode| match mode {
        0 => 24,
        5 => 8,
        _ => 0,
    });
}

#[test]
fn vectors_as_the_oracle_has_them() {
    // Emulated: with optimisation and without.
    as_the_oracle_has_them(&[Source::Vectors], 12, |mode| if mode < 2 { 12 } else { 0 });
}

#[test]
fn loops_as_the_oracle_has_them() {
    let sources = [Source::Loops, Source::VectorLoops];
    as_the_oracle_has_them(&sources, 16, |mode| match mode {
        0 | 5 => 12,
        _ => 0,
    });
}

#[test]
fn regressions() {
    on_pool(|| {
        let paths = corpus::regressions().expect("the corpus");
        let cases: Vec<Case> = paths
            .iter()
            .map(|path| differential::read_case(path).unwrap_or_else(|e| panic!("{e}")))
            .collect();
        for arch in Arch::ALL.iter().filter(|arch| runs(**arch)) {
            for mode in Mode::ALL {
                let found = differences(&cases, *arch, *mode);
                assert!(found.is_empty(), "{}", found.join("\n"));
            }
        }
    });
}

#[test]
fn damaged_modules_are_answered() {
    on_pool(|| {
        let corpus = corpus::read().expect("the corpus");
        let mut compiled = 0;
        for seed in 0..400 {
            match compile::run(&corpus, seed) {
                Ok(answer) => compiled += u32::from(answer == compile::Answer::Compiled),
                Err(finding) => panic!("seed {seed}: {}", finding.message),
            }
        }
        assert!(compiled > 0);
    });
}

#[test]
fn damaged_texts_are_answered() {
    on_pool(|| {
        let corpus = text::read().expect("the corpus");
        let mut compiled = 0;
        for seed in 0..300 {
            match text::run(&corpus, seed) {
                Ok((answer, cost)) => {
                    compiled += u32::from(answer == compile::Answer::Compiled);
                    assert!(cost.memory > 0);
                }
                Err(finding) => panic!("seed {seed}: {}", finding.message),
            }
        }
        assert!(compiled > 10, "{compiled}");
    });
}

#[test]
fn damaged_objects_are_answered() {
    let objects = link::objects().expect("objects");
    let mut linked = 0;
    for seed in 0..1000 {
        match link::run(&objects, seed) {
            Ok(is_linked) => linked += u32::from(is_linked),
            Err(finding) => panic!("seed {seed}: {}", finding.message),
        }
    }
    assert!(linked > 0);
}

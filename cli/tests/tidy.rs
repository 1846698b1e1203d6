//! Each line of code knows its room: what a crate must not know is looked for in its sources, and what
//! is found is answered with the name of the room where it belongs.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("cli/ has a parent")
}

/// Every file below `directory` with this extension.
fn files(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let entries =
        fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    for entry in entries {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The sources of a crate: its own `src/`.
fn sources(name: &str) -> Vec<PathBuf> {
    let found = files(&workspace().join(name).join("src"), "rs");
    assert!(!found.is_empty(), "{name} has no sources");
    found
}

/// The code of a source file: comments and its test module left out.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("source");
    let before_tests = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let code = |line: &&str| !line.trim_start().starts_with("//");
    before_tests
        .lines()
        .filter(code)
        .map(|line| format!("{line}\n"))
        .collect()
}

/// Fails when `word` stands in the code of one of these crates.
fn forbid(crates: &[&str], word: &str, room: &str) {
    for name in crates {
        for path in sources(name) {
            let code = code(&path);
            for line in code.lines() {
                assert!(
                    !line.contains(word),
                    "{}: `{word}` belongs in {room}: {line}",
                    path.display()
                );
            }
        }
    }
}

/// The names of a manifest's dependencies, those for tests left out.
fn dependencies(name: &str) -> Vec<String> {
    let manifest = fs::read_to_string(workspace().join(name).join("Cargo.toml")).expect("manifest");
    let section = manifest
        .split("\n[")
        .find(|section| section.starts_with("dependencies]"));
    section.map_or(Vec::new(), |section| {
        section
            .lines()
            .skip(1)
            .filter(|line| !line.trim_start().starts_with('#'))
            .filter_map(|line| line.split([' ', '=', '.']).next())
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect()
    })
}

fn forbid_dependencies(name: &str, forbidden: &[&str], room: &str) {
    for dependency in dependencies(name) {
        assert!(
            !forbidden
                .iter()
                .any(|prefix| dependency.starts_with(prefix)),
            "{name} depends on {dependency}, which belongs in {room}"
        );
    }
}

#[test]
fn the_linker_does_not_know_wasm() {
    forbid(&["linker"], "wasm", "compiler/");
    forbid_dependencies("linker", &["wasm", "wat", "wast", "cranelift"], "compiler/");
}

#[test]
fn the_compiler_does_not_know_linux() {
    forbid_dependencies("compiler", &["rustix", "libc", "linux"], "runtime-lib/");
    forbid_dependencies("linker", &["rustix", "libc", "linux"], "runtime-lib/");
    for word in ["PT_LOAD", "ProgramHeader64", "p_vaddr"] {
        forbid(&["compiler"], word, "linker/");
    }
}

#[test]
fn the_runtime_does_not_know_the_back_end() {
    let back_end = [
        "cranelift",
        "wasmparser",
        "object",
        "elfin-compiler",
        "elfin-linker",
    ];
    forbid_dependencies("runtime-lib", &back_end, "compiler/ or linker/");
    assert_eq!(
        dependencies("runtime-lib/abi"),
        [""; 0],
        "the contract has no dependencies"
    );
    for name in ["runtime-lib", "runtime-lib/abi"] {
        let lib = fs::read_to_string(workspace().join(name).join("src/lib.rs")).expect("lib.rs");
        assert!(lib.contains("no_std"), "{name} is no_std");
    }
}

#[test]
fn only_the_command_line_touches_files_terminal_and_exit_codes() {
    for word in [
        "std::fs",
        "fs::File",
        "std::env",
        "process::exit",
        "println!",
        "std::io::stdout",
        "std::io::stderr",
    ] {
        forbid(&["compiler", "linker", "cli/image"], word, "cli/");
    }
    for path in sources("cli") {
        if path.ends_with("src/main.rs") {
            continue;
        }
        let code = code(&path);
        assert!(
            !code.contains("process::exit"),
            "{}: exit codes belong in cli/src/main.rs",
            path.display()
        );
    }
}

/// The public functions at the top level of a file.
fn public_functions(path: &Path) -> BTreeSet<String> {
    let is_public = |line: &&str| {
        line.starts_with("pub fn ")
            || line.starts_with("pub(crate) fn ")
            || line.starts_with("pub(super) fn ")
            || (line.starts_with("pub") && line.contains(" unsafe fn "))
            || (line.starts_with("pub") && line.contains(" extern \"C\" fn "))
            || (line.starts_with("pub") && line.contains(" const fn "))
    };
    let code = code(path);
    let lines = code.lines().filter(is_public);
    lines
        .filter_map(|line| {
            line.split("fn ")
                .nth(1)?
                .split(['(', '<'])
                .next()
                .map(str::to_owned)
        })
        .collect()
}

#[test]
fn every_arch_file_has_the_same_functions() {
    let mut compared = 0;
    for name in ["compiler", "linker", "runtime-lib"] {
        let directory = workspace().join(name).join("src/arch");
        if !directory.is_dir() {
            continue;
        }
        let [first, rest @ ..] = ["x86_64", "aarch64", "riscv64"];
        let of = |arch: &str| public_functions(&directory.join(format!("{arch}.rs")));
        let expected = of(first);
        for arch in rest {
            assert_eq!(
                of(arch),
                expected,
                "{}: {arch}.rs and {first}.rs differ",
                directory.display()
            );
        }
        compared += 1;
    }
    assert!(compared >= 2, "linker/ and runtime-lib/ have arch/");
}

/// Every source file, tests and benches included.
fn all_files() -> Vec<PathBuf> {
    // The crates below `cli` and `runtime-lib` are found with them.
    let crates = [
        "cli",
        "compiler",
        "linker",
        "runtime-lib",
        "spec-tests",
        "fuzz",
        "benches",
    ];
    let mut all: Vec<PathBuf> = crates
        .iter()
        .flat_map(|name| files(&workspace().join(name), "rs"))
        .collect();
    all.retain(|path| {
        let own = path.strip_prefix(workspace()).expect("below the workspace");
        !own.components().any(|c| c.as_os_str() == "target")
    });
    assert!(all.len() > crates.len(), "the sources are not there");
    all
}

#[test]
fn every_file_opens_with_what_it_is() {
    for path in all_files() {
        let text = fs::read_to_string(&path).expect("source");
        assert!(
            text.starts_with("//! "),
            "{} does not open with `//! `",
            path.display()
        );
    }
}

#[test]
fn a_file_is_about_one_thing() {
    const MOST: usize = 750;
    for path in all_files() {
        let lines = fs::read_to_string(&path).expect("source").lines().count();
        assert!(
            lines <= MOST,
            "{} has {lines} lines, more than {MOST}: what part of it wants a file of its own?",
            path.display()
        );
    }
}

#[test]
fn exceptions_have_reasons() {
    for name in [
        "cli",
        "compiler",
        "linker",
        "cli/image",
        "runtime-lib",
        "runtime-lib/abi",
    ] {
        for path in sources(name) {
            for line in code(&path).lines() {
                let marker = ["#[ignore]", "todo!(", "unimplemented!("]
                    .iter()
                    .find(|word| line.contains(**word));
                assert!(marker.is_none(), "{}: {line}", path.display());
            }
        }
    }
}

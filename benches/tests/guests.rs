//! The checked-in modules are what the recipes promise: valid, small, and with no feature beyond
//! WebAssembly 2.0 without SIMD and reference types, so that every peer can run the same file. Guests and examples that
//! are about a later feature are not asked.

use std::path::{Path, PathBuf};

use wasmparser::{Validator, WasmFeatures};

fn modules(below: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(below);
    let mut found = Vec::new();
    for folder in std::fs::read_dir(&root).unwrap() {
        let folder = folder.unwrap().path();
        if !folder.is_dir() {
            continue;
        }
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            if path
                .extension()
                .is_some_and(|extension| extension == "wasm")
            {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn only_plain_features() {
    let features = WasmFeatures::MUTABLE_GLOBAL
        | WasmFeatures::FLOATS
        | WasmFeatures::SIGN_EXTENSION
        | WasmFeatures::SATURATING_FLOAT_TO_INT
        | WasmFeatures::MULTI_VALUE
        | WasmFeatures::BULK_MEMORY;
    let modules = ["guests", "files", "../examples"].map(modules);
    let about_objects = |path: &PathBuf| path.ends_with("moonbit/moonbit.wasm");
    for path in modules.into_iter().flatten() {
        if about_objects(&path) {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        if let Err(error) = Validator::new_with_features(features).validate_all(&bytes) {
            panic!("{}: {error}", path.display());
        }
    }
}

/// Those with threads share a memory and are started by wasi-threads.
#[test]
fn threads_and_no_more() {
    let modules = modules("threads");
    assert!(modules.len() >= 4);
    for path in modules {
        let bytes = std::fs::read(&path).unwrap();
        let features = WasmFeatures::WASM1
            | WasmFeatures::THREADS
            | WasmFeatures::SIGN_EXTENSION
            | WasmFeatures::SATURATING_FLOAT_TO_INT
            | WasmFeatures::MULTI_VALUE
            | WasmFeatures::REFERENCE_TYPES
            | WasmFeatures::BULK_MEMORY;
        let valid = Validator::new_with_features(features).validate_all(&bytes);
        let types = valid.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(types.as_ref().memory_at(0).shared, "{}", path.display());
        let names: [&[u8]; 2] = [b"thread-spawn", b"wasi_thread_start"];
        for name in names {
            let found = bytes.windows(name.len()).any(|window| window == name);
            assert!(found, "{}", path.display());
        }
    }
}

#[test]
fn every_guest_has_its_module_and_the_folder_stays_small() {
    let modules = modules("guests");
    let folders = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("guests")).unwrap();
    let folders = folders
        .filter(|entry| entry.as_ref().unwrap().path().is_dir())
        .count();
    assert_eq!(modules.len(), folders);
    assert!(modules.len() >= 14);
    let bytes: u64 = modules
        .iter()
        .map(|path| std::fs::metadata(path).unwrap().len())
        .sum();
    assert!(bytes < 3 << 20, "{bytes}");
}

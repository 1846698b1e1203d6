//! Same input, same flags, same bytes: whatever the number of threads, the directory, the time and the
//! names of the files; for every target.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use support::{
    TARGETS, announce, case_directories, elfin, finish, module_of, real_modules, workspace,
};

/// Builds for every target, with a map, in a directory of its own.
fn build(module: &Path, directory: &Path, threads: &str) -> Vec<Vec<u8>> {
    // The same name for errors and cache, in different places.
    let copy = directory.join(module.file_name().expect("name"));
    fs::create_dir_all(directory).expect("directory");
    fs::copy(module, &copy).expect("copy");
    let mut command = elfin(directory);
    command.arg("build").arg(&copy).args([
        "-o", "out", "--target", "all", "--map", "map", "-j", threads,
    ]);
    command.args(["--dir", "data::/data", "--env", "A=b"]);
    finish(command, None).expect_code(0);
    TARGETS
        .iter()
        .flat_map(|target| [format!("out-{target}"), format!("map-{target}")])
        .map(|name| fs::read(directory.join(name)).expect("output"))
        .collect()
}

fn check(modules: &[PathBuf]) {
    assert!(!modules.is_empty());
    for module in modules {
        let scratch = tempfile::tempdir().expect("scratch");
        let one = build(module, &scratch.path().join("one"), "1");
        let two = build(module, &scratch.path().join("somewhere/else"), "2");
        for (i, (one, two)) in one.iter().zip(&two).enumerate() {
            let what = if i % 2 == 0 { "executable" } else { "map" };
            assert!(
                one == two,
                "{}, {}: the {what}s differ",
                module.display(),
                TARGETS[i / 2]
            );
            let path = scratch.path().as_os_str().as_encoded_bytes();
            let leaked = one.windows(path.len()).any(|window| window == path);
            assert!(
                !leaked,
                "{}, {}: a host path is in the {what}",
                module.display(),
                TARGETS[i / 2]
            );
        }
    }
}

#[test]
fn guests() {
    // Modules that need more options to be built are left to the tests of those options.
    let special = [
        "add.wat",
        "helped.wat",
        "main.wat",
        "missing.wat",
        "opaque.wat",
        "opaque-host.wat",
        "overload.wat",
        "overload-a.wat",
        "overload-b.wat",
        "overload-c.wat",
    ];
    let guests: Vec<_> = modules_below(&support::guest(""))
        .into_iter()
        .filter(|path| !special.iter().any(|name| path.ends_with(name)))
        .collect();
    check(&guests);
}

/// Modules in a directory and those below it; sources and recipes are none.
fn modules_below(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("guests");
    let paths = entries.map(|entry| entry.expect("entry").path());
    paths
        .flat_map(|path| match path.extension() {
            _ if path.is_dir() => modules_below(&path),
            Some(extension) if extension == "wat" || extension == "wasm" => vec![path],
            _ => Vec::new(),
        })
        .collect()
}

#[test]
fn examples() {
    let directories = case_directories(&workspace().join("examples"));
    // A directory that needs more options to be built says so in its cmd.json.
    let plain = |directory: &&PathBuf| {
        let commands = support::commands(directory);
        commands["link"].is_null() && commands["cases"][0]["invoke"].is_null()
    };
    let modules: Vec<_> = directories
        .iter()
        .map(|(_, path)| path)
        .filter(plain)
        .map(|path| module_of(path))
        .collect();
    check(&modules);
}

#[test]
fn real_programs() {
    let Some(root) = real_modules() else {
        announce("SKIPPED: ../shared/data/modules is not on this machine");
        return;
    };
    let unsupported = support::unsupported_modules();
    let modules: Vec<_> = case_directories(&root)
        .into_iter()
        .filter(|(name, _)| !unsupported.iter().any(|other| other.name == *name))
        .map(|(_, directory)| module_of(&directory))
        .collect();
    check(&modules);
}

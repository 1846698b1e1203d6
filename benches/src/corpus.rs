//! The programs that are measured, and where they lie.
//!
//! Enters: folder names; leaves: a sorted list of modules. Knows no tool and no clock.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// A module on disk.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// The folder's name.
    pub(crate) name: String,
    /// The `.wasm` or `.wat` file.
    pub(crate) path: PathBuf,
    /// Arguments of `elfin build` without which it isn't a program (`--link`, `--invoke`).
    pub(crate) build: Vec<String>,
}

fn package_root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The project's folder.
pub(crate) fn project_root() -> &'static Path {
    package_root().parent().unwrap_or(package_root())
}

/// Our own guests, by name.
pub(crate) fn guests() -> Result<Vec<Program>> {
    let programs = modules_below(&package_root().join("guests"))?;
    if programs.is_empty() {
        return Err(Error::new("benches/guests holds no module; run its recipe"));
    }
    Ok(programs)
}

/// Programs that make one call of the system interface very often, by name.
pub(crate) fn call_guests() -> Result<Vec<Program>> {
    modules_below(&package_root().join("calls"))
}

/// Programs that go through many files or one large one, by name.
pub(crate) fn file_guests() -> Result<Vec<Program>> {
    modules_below(&package_root().join("files"))
}

/// Our own guests that make objects, by name.
pub(crate) fn object_guests() -> Result<Vec<Program>> {
    modules_below(&package_root().join("objects"))
}

/// Our own guests with threads, by name.
pub(crate) fn thread_guests() -> Result<Vec<Program>> {
    modules_below(&package_root().join("threads"))
}

/// The programs in `examples/`, by name.
pub(crate) fn examples() -> Result<Vec<Program>> {
    let root = project_root().join("examples");
    let mut programs = modules_below(&root)?;
    for program in &mut programs {
        match program.name.as_str() {
            "link" => {
                let lib = root.join("link/lib.wat");
                program.build = vec!["--link".into(), format!("lib={}", lib.display())];
            }
            "js-string" => {
                for (module, file) in [
                    ("wasm:js-string", "builtins.wat"),
                    ("'", "strings.wat"),
                    ("console", "console.wat"),
                ] {
                    let lib = root.join("js-string").join(file);
                    let link = format!("{module}={}", lib.display());
                    program.build.extend(["--link".into(), link]);
                }
            }
            "moonbit" => {
                let lib = root.join("moonbit/spectest.wat");
                program.build = vec!["--link".into(), format!("spectest={}", lib.display())];
            }
            "reactor" => program.build = vec!["--invoke".into(), "gcd".into()],
            _ => {}
        }
    }
    Ok(programs)
}

/// One of the examples.
pub(crate) fn example(name: &str) -> Result<Program> {
    let found = examples()?.into_iter().find(|program| program.name == name);
    found.ok_or_else(|| {
        Error::new(format!(
            "examples/{name} holds no module; run the recipe in examples"
        ))
    })
}

/// Real programs that nobody here wrote; none where they aren't present.
pub(crate) fn real_modules() -> Result<Vec<Program>> {
    let root = match std::env::var_os("ELFIN_MODULES") {
        Some(path) => PathBuf::from(path),
        None => project_root().join("../shared/data/modules"),
    };
    if !root.is_dir() {
        eprintln!("note: no real modules (ELFIN_MODULES names their folder)");
        return Ok(Vec::new());
    }
    modules_below(&root)
}

/// `NAME/{NAME.wasm, NAME.wat, module.wasm}` for every folder, sorted by name.
fn modules_below(root: &Path) -> Result<Vec<Program>> {
    let unreadable = |e| Error::new(format!("cannot list {}: {e}", root.display()));
    let mut programs = Vec::new();
    for entry in std::fs::read_dir(root).map_err(unreadable)? {
        let folder = entry.map_err(unreadable)?.path();
        let Some(name) = folder.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        let candidates = [
            format!("{name}.wasm"),
            format!("{name}.wat"),
            "module.wasm".to_owned(),
        ];
        if let Some(path) = candidates
            .iter()
            .map(|file| folder.join(file))
            .find(|path| path.is_file())
        {
            programs.push(Program {
                name: name.to_owned(),
                path,
                build: Vec::new(),
            });
        }
    }
    programs.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(programs)
}

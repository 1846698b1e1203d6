//! What the checked-in objects were built from: shared by the command that builds them and the test that
//! holds them to their sources.
//!
//! In: the checkout. Out: the recipe, the hash of everything that decides the objects' bytes, and the
//! manifest that records both.

use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// The machines, and the name of each one's object.
pub(crate) const MACHINES: [&str; 3] = ["x86_64", "aarch64", "riscv64"];

/// The command that rebuilds the objects.
pub(crate) const COMMAND: &str = "cargo run -p elfin-runtime --example rebuild-prebuilt";

/// Flags of every crate of the object, the library `core` included.
pub(crate) const RUSTFLAGS: &[&str] = &[
    "-Crelocation-model=static",
    // A panic is an illegal instruction: no messages, no formatting, no paths.
    "-Zunstable-options",
    "-Cpanic=immediate-abort",
    "-Zlocation-detail=none",
    "-Cforce-unwind-tables=no",
];

/// Further flags for one machine's crates.
pub(crate) fn machine_flags(machine: &str) -> &'static [&'static str] {
    match machine {
        // Atomic operations are done in place; the default calls helpers of a library that is not there.
        "aarch64" => &["-Ctarget-feature=-outline-atomics"],
        _ => &[],
    }
}

/// Settings that replace those of the workspace's release profile.
pub(crate) const CONFIG: &[&str] = &[
    "profile.release.lto='fat'",
    "profile.release.codegen-units=1",
    "profile.release.opt-level='z'",
    "profile.release.panic='abort'",
    "profile.release.debug=false",
    "profile.release.strip=false",
    "profile.release.incremental=false",
];

/// Crates outside this repository whose code is in the objects.
const OUTSIDE: &[&str] = &["bitflags", "linux-raw-sys", "rustix"];

/// Lines of the workspace's manifest on which the objects depend begin with one of these.
const WORKSPACE_LINES: &[&str] = &["edition", "elfin-abi", "rustix"];

/// What the manifest says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// Version of the compiler.
    pub(crate) toolchain: String,
    /// Hash of the sources, see [`hash_sources`].
    pub(crate) sources: String,
    /// SHA-256 of each object, in the order of [`MACHINES`].
    pub(crate) objects: [String; 3],
}

impl Manifest {
    /// Reads lines `key = "value"`; what is missing is empty.
    pub(crate) fn parse(text: &str) -> Self {
        let value = |key: &str| {
            text.lines()
                .find_map(|line| {
                    line.strip_prefix(key)?
                        .strip_prefix(" = \"")?
                        .strip_suffix('"')
                })
                .unwrap_or_default()
                .to_owned()
        };
        Self {
            toolchain: value("toolchain"),
            sources: value("sources"),
            objects: MACHINES.map(value),
        }
    }

    /// The text that [`Manifest::parse`] reads.
    pub(crate) fn to_text(&self) -> String {
        let mut text = format!("# Written by `{COMMAND}`.\n");
        let _ = writeln!(text, "toolchain = \"{}\"", self.toolchain);
        let _ = writeln!(text, "sources = \"{}\"", self.sources);
        for (machine, hash) in MACHINES.iter().zip(&self.objects) {
            let _ = writeln!(text, "{machine} = \"{hash}\"");
        }
        text
    }
}

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The folder of the checked-in objects.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("prebuilt")
}

/// SHA-256 as hexadecimal digits.
pub(crate) fn sha256(data: &[u8]) -> String {
    Sha256::digest(data)
        .iter()
        .fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// Hash over the paths and contents of all that decides the objects' bytes, the compiler apart.
pub(crate) fn hash_sources() -> String {
    let root = root();
    let mut files: Vec<String> = ["runtime-lib/Cargo.toml", "runtime-lib/abi/Cargo.toml"]
        .map(String::from)
        .into();
    for folder in ["runtime-lib/src", "runtime-lib/abi/src"] {
        list(&root, folder, &mut files);
    }
    files.push("runtime-lib/prebuilt/manifest.rs".to_owned());
    files.sort();

    let mut listing = String::new();
    for file in files {
        let contents = fs::read(root.join(&file)).expect("a source file can be read");
        let _ = writeln!(listing, "{} {file}", sha256(&contents));
    }
    let lock = fs::read_to_string(root.join("Cargo.lock")).expect("Cargo.lock can be read");
    for package in lock.split("\n\n") {
        let name = package
            .lines()
            .find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
        if name.is_some_and(|name| OUTSIDE.contains(&name)) {
            listing.push_str(package.trim());
            listing.push('\n');
        }
    }
    let workspace = fs::read_to_string(root.join("Cargo.toml")).expect("Cargo.toml can be read");
    for line in workspace.lines() {
        if WORKSPACE_LINES
            .iter()
            .any(|start| line.split(' ').next() == Some(start))
        {
            let _ = writeln!(listing, "{line}");
        }
    }
    sha256(listing.as_bytes())
}

fn list(root: &Path, folder: &str, files: &mut Vec<String>) {
    for entry in fs::read_dir(root.join(folder)).expect("a source folder can be read") {
        let entry = entry.expect("a source folder can be read");
        let path = format!(
            "{folder}/{}",
            entry.file_name().to_str().expect("file names are text")
        );
        if entry.file_type().expect("a file has a type").is_dir() {
            list(root, &path, files);
        } else if path.ends_with(".rs") {
            files.push(path);
        }
    }
}

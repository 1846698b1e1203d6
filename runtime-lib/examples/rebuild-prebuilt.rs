//! Builds the runtime's objects for the three machines.
//!
//! ```text
//! cargo run -p elfin-runtime --example rebuild-prebuilt              build and replace runtime-lib/prebuilt/*.o
//! cargo run -p elfin-runtime --example rebuild-prebuilt -- --check   build and compare
//! ```
//!
//! It needs a Rust compiler with the sources of its library: Debian's `rustc-web cargo-web rust-web-src` in
//! /usr/bin, or what `RUNTIME_RUSTC` and `RUNTIME_CARGO` name. No linker and no C compiler takes part. The
//! fresh objects stay in `target/prebuilt/objects`. With `--check`, exit status 0 means that they equal
//! the checked-in ones, or that they can't be compared because the compiler is not the manifest's (a line
//! on standard error says so).

#[allow(dead_code, reason = "shared with the test, which uses the rest")]
#[path = "../prebuilt/manifest.rs"]
mod manifest;

use manifest::{COMMAND, CONFIG, MACHINES, Manifest, RUSTFLAGS};
use object::{Object as _, ObjectSymbol as _};
use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// Symbols that the program brings.
const FROM_THE_PROGRAM: &[&str] = &[
    elfin_abi::symbol::PROGRAM,
    elfin_abi::symbol::PROGRAM_MAIN,
    elfin_abi::symbol::THREADS,
    elfin_abi::symbol::POLICY,
    elfin_abi::symbol::UNWIND,
    elfin_abi::symbol::TRAP_MESSAGES,
    "elfin_policy_end",
];

fn main() -> ExitCode {
    let check = match env::args().nth(1).as_deref() {
        None => false,
        Some("--check") => true,
        Some(_) => {
            eprintln!("usage: {COMMAND} [-- --check]");
            return ExitCode::from(2);
        }
    };
    match run(check) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(check: bool) -> Result<ExitCode, Box<dyn Error>> {
    let rustc = env::var("RUNTIME_RUSTC").unwrap_or_else(|_| "/usr/bin/rustc".to_owned());
    let cargo = env::var("RUNTIME_CARGO").unwrap_or_else(|_| "/usr/bin/cargo".to_owned());
    let root = manifest::root().canonicalize()?;
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let target = target.join("prebuilt");
    let fresh = target.join("objects");
    fs::create_dir_all(&fresh)?;

    // Before and after: an edit during the build must not go unnoticed.
    let sources = manifest::hash_sources();
    let mut built = Manifest {
        toolchain: toolchain(&rustc)?,
        sources,
        ..Manifest::default()
    };
    for (machine, hash) in MACHINES.iter().zip(&mut built.objects) {
        let object = build(machine, &rustc, &cargo, &root, &target)?;
        verify(machine, &object)?;
        *hash = manifest::sha256(&object);
        fs::write(fresh.join(format!("{machine}.o")), &object)?;
        eprintln!("{machine}.o: {} bytes, {hash}", object.len());
    }
    if manifest::hash_sources() != built.sources {
        return Err("the sources changed during the build".into());
    }
    fs::write(fresh.join("manifest.toml"), built.to_text())?;

    let folder = manifest::folder();
    if !check {
        for name in MACHINES.map(|machine| format!("{machine}.o")) {
            fs::copy(fresh.join(&name), folder.join(&name))?;
        }
        fs::write(folder.join("manifest.toml"), built.to_text())?;
        return Ok(ExitCode::SUCCESS);
    }

    let recorded = Manifest::parse(&fs::read_to_string(folder.join("manifest.toml"))?);
    if recorded.toolchain != built.toolchain {
        eprintln!(
            "not compared: the checked-in objects are by {}, the fresh ones in {} by {}",
            recorded.toolchain,
            fresh.display(),
            built.toolchain
        );
        return Ok(ExitCode::SUCCESS);
    }
    let mut same = recorded.sources == built.sources;
    if !same {
        eprintln!("the sources are not those of the manifest: run `{COMMAND}`");
    }
    for name in MACHINES.map(|machine| format!("{machine}.o")) {
        if fs::read(folder.join(&name))? != fs::read(fresh.join(&name))? {
            eprintln!(
                "{name} differs from what its sources give; the fresh one is in {}",
                fresh.display()
            );
            same = false;
        }
    }
    Ok(if same {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The compiler's and its back end's version.
fn toolchain(rustc: &str) -> Result<String, Box<dyn Error>> {
    let output = Command::new(rustc)
        .arg("-vV")
        .output()
        .map_err(|error| format!("cannot run {rustc} ({error}); Debian has it in rustc-web"))?;
    let text = String::from_utf8(output.stdout)?;
    let llvm = text
        .lines()
        .find(|line| line.starts_with("LLVM version"))
        .unwrap_or("LLVM unknown");
    Ok(format!(
        "{}, {llvm}",
        text.lines().next().unwrap_or("rustc unknown")
    ))
}

/// Builds one machine's object and returns its bytes.
fn build(
    machine: &str,
    rustc: &str,
    cargo: &str,
    root: &Path,
    target: &Path,
) -> Result<Vec<u8>, Box<dyn Error>> {
    let triple = match machine {
        "riscv64" => "riscv64gc-unknown-linux-gnu".to_owned(),
        _ => format!("{machine}-unknown-linux-gnu"),
    };
    let outputs = target.join(&triple).join("release");
    // Outputs of earlier builds could be taken for the new one.
    for folder in [outputs.join("deps"), outputs.join(".fingerprint")] {
        remove_outputs(&folder)?;
    }
    let mut command = Command::new(cargo);
    for (key, _) in env::vars_os() {
        let key = key.to_string_lossy().into_owned();
        let kept = ["CARGO_HOME", "CARGO_NET_OFFLINE", "CARGO_HTTP_CAINFO"];
        if ["CARGO", "RUST"].iter().any(|start| key.starts_with(start))
            && !kept.contains(&key.as_str())
        {
            command.env_remove(key);
        }
    }
    command
        .current_dir(root)
        .env("RUSTC", rustc)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_DIR", target)
        .env(
            "CARGO_ENCODED_RUSTFLAGS",
            [RUSTFLAGS, manifest::machine_flags(machine)]
                .concat()
                .join("\x1f"),
        )
        .args([
            "rustc",
            "--quiet",
            "--locked",
            "--release",
            "-p",
            "elfin-runtime",
            "--lib",
        ])
        .args([
            "--crate-type",
            "staticlib",
            "--features",
            "freestanding",
            "--target",
            &triple,
        ])
        .args(["-Zbuild-std=core,compiler_builtins"]);
    for setting in CONFIG {
        command.args(["--config", setting]);
    }
    let status = command
        .args(["--", "--emit", "obj"])
        .stdin(Stdio::null())
        .status()?;
    if !status.success() {
        return Err(format!("{cargo} failed for {triple}").into());
    }
    for entry in fs::read_dir(outputs.join("deps"))? {
        let path = entry?.path();
        if is_output(&path) && path.extension().is_some_and(|extension| extension == "o") {
            return Ok(fs::read(path)?);
        }
    }
    Err(format!("{triple}: no object in {}", outputs.display()).into())
}

fn is_output(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    ["elfin_runtime-", "libelfin_runtime-", "elfin-runtime-"]
        .iter()
        .any(|start| name.starts_with(start))
}

fn remove_outputs(folder: &Path) -> Result<(), Box<dyn Error>> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(());
    };
    for entry in entries {
        let path = entry?.path();
        if is_output(&path) {
            if path.is_dir() {
                fs::remove_dir_all(path)?
            } else {
                fs::remove_file(path)?
            }
        }
    }
    Ok(())
}

/// The object needs nothing but what a program brings.
fn verify(machine: &str, object: &[u8]) -> Result<(), Box<dyn Error>> {
    for symbol in object::File::parse(object)?.symbols() {
        let name = symbol.name()?;
        if symbol.is_undefined() && !name.is_empty() && !FROM_THE_PROGRAM.contains(&name) {
            return Err(format!("{machine}.o needs {name}, which nobody brings").into());
        }
    }
    Ok(())
}

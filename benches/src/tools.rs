//! The compilers under comparison: where they are, how they are asked, what they write.
//!
//! Enters: a module; leaves: the command that builds it, or the finished file. Every flag given to a
//! tool is in this file.

use std::path::{Path, PathBuf};
use std::process::Command;

use object::elf;
use object::read::elf::{ElfFile64, ProgramHeader};
use object::{Endianness, Object, ObjectSection};

use crate::corpus::{Program, project_root};
use crate::error::{Error, Result};
use crate::process::output_of;

/// The targets, the reference first.
pub(crate) const TARGETS: [&str; 3] = ["x86_64", "aarch64", "riscv64"];

/// Paths of both compilers.
#[derive(Debug)]
pub(crate) struct Tools {
    elfin: PathBuf,
    wasmtime: PathBuf,
    elfin_args: Vec<String>,
}

impl Tools {
    /// Finds both; a missing one is an error that says what to do.
    pub(crate) fn find(elfin_args: Vec<String>) -> Result<Self> {
        Ok(Self {
            elfin: find_elfin()?,
            wasmtime: find_wasmtime()?,
            elfin_args,
        })
    }

    /// One line for each tool.
    pub(crate) fn versions(&self) -> Result<Vec<String>> {
        let mut ours = first_line_of(Command::new(&self.elfin).arg("--version"))?;
        for arg in &self.elfin_args {
            ours.push(' ');
            ours.push_str(arg);
        }
        Ok(vec![
            ours,
            first_line_of(Command::new(&self.wasmtime).arg("--version"))?,
        ])
    }

    /// `elfin build` of a program for a target (`None`: this machine).
    pub(crate) fn elfin_build(
        &self,
        program: &Program,
        target: Option<&str>,
        out: &Path,
    ) -> Command {
        let mut command = Command::new(&self.elfin);
        command.arg("build").arg(&program.path).arg("-o").arg(out);
        if let Some(target) = target {
            command.args(["--target", target]);
        }
        command.args(&program.build).args(&self.elfin_args);
        command
    }

    /// `wasmtime compile` of a program for this machine, whose processor features it uses.
    pub(crate) fn wasmtime_compile(&self, program: &Program, out: &Path) -> Command {
        let mut command = Command::new(&self.wasmtime);
        // `compile` doesn't look into the cache; the flag makes sure that it stays so.
        command
            .args(["compile", "-C", "cache=n"])
            .arg(&program.path)
            .arg("-o")
            .arg(out);
        command
    }

    /// `wasmtime run` of what `wasmtime_compile` wrote.
    pub(crate) fn wasmtime_run(&self, compiled: &Path) -> Command {
        self.wasmtime_run_with(&[], compiled)
    }

    /// The same with options more, for grants.
    pub(crate) fn wasmtime_run_with(&self, options: &[&str], compiled: &Path) -> Command {
        let mut command = Command::new(&self.wasmtime);
        command
            .args(["run", "--allow-precompiled"])
            .args(options)
            .arg(compiled);
        command
    }

    /// Builds an executable for a target (`None`: this machine).
    pub(crate) fn build_ours(
        &self,
        program: &Program,
        target: Option<&str>,
        out: &Path,
    ) -> Result<()> {
        output_of(self.elfin_build(program, target, out)).map_err(|e| {
            e.within(format!(
                "elfin build {} --target {}",
                program.name,
                target.unwrap_or("native")
            ))
        })?;
        Ok(())
    }

    /// Builds wasmtime's file.
    pub(crate) fn build_theirs(&self, program: &Program, out: &Path) -> Result<()> {
        output_of(self.wasmtime_compile(program, out))
            .map_err(|e| e.within(format!("wasmtime compile {}", program.name)))?;
        Ok(())
    }
}

fn find_elfin() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("ELFIN") {
        let path = PathBuf::from(path);
        return if path.is_file() {
            path.canonicalize()
                .map_err(|e| Error::new(format!("ELFIN: {e}")))
        } else {
            Err(Error::new(format!(
                "ELFIN names {}, which isn't a file",
                path.display()
            )))
        };
    }
    let beside = std::env::current_exe()
        .ok()
        .and_then(|exe| Some(exe.parent()?.join("elfin")));
    let candidates = beside
        .into_iter()
        .chain([project_root().join("target/release/elfin")]);
    candidates
        .into_iter()
        .find(|path| path.is_file())
        .ok_or_else(|| {
            Error::new(
                "no elfin to measure: `cargo build --release -p elfin`, or name one in ELFIN",
            )
        })
}

fn find_wasmtime() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("WASMTIME") {
        return Ok(PathBuf::from(path));
    }
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo/bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .chain(home)
        .map(|dir| dir.join("wasmtime"))
        .find(|file| file.is_file());
    found.ok_or_else(|| {
        Error::new("no wasmtime to measure against: `cargo install wasmtime-cli --version 48.0.8 --locked`")
    })
}

/// The first line that a command prints.
fn first_line_of(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .map_err(|e| Error::new(format!("cannot run {command:?}: {e}")))?;
    Ok(String::from_utf8_lossy(&output.stdout)
        .lines()
        .next()
        .unwrap_or("?")
        .to_owned())
}

/// Size of a file.
pub(crate) fn file_size(path: &Path) -> Result<u64> {
    let metadata =
        std::fs::metadata(path).map_err(|e| Error::new(format!("{}: {e}", path.display())))?;
    Ok(metadata.len())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|e| Error::new(format!("{}: {e}", path.display())))
}

/// Bytes of the `.text` section of a `.cwasm`, which is an ELF file.
pub(crate) fn text_of_cwasm(path: &Path) -> Result<u64> {
    let bytes = read(path)?;
    let unreadable = |e| Error::new(format!("{}: {e}", path.display()));
    let file = ElfFile64::<Endianness>::parse(&*bytes).map_err(unreadable)?;
    let text = file
        .section_by_name(".text")
        .ok_or_else(|| Error::new(format!("{}: no .text", path.display())))?;
    Ok(text.size())
}

/// Bytes of an executable's segments that may be executed: code, runtime and whatever shares them.
pub(crate) fn text_of_executable(path: &Path) -> Result<u64> {
    let bytes = read(path)?;
    let unreadable = |e| Error::new(format!("{}: {e}", path.display()));
    let file = ElfFile64::<Endianness>::parse(&*bytes).map_err(unreadable)?;
    let endian = file.endian();
    let is_text = |header: &&elf::ProgramHeader64<Endianness>| {
        header.p_type(endian) == elf::PT_LOAD && header.p_flags(endian) & elf::PF_X != 0
    };
    Ok(file
        .elf_program_headers()
        .iter()
        .filter(is_text)
        .map(|header| header.p_filesz(endian))
        .sum())
}

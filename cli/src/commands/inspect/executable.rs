//! What an executable made by elfin may touch, and what is in it.
//!
//! In: bytes of an ELF file. Out: [`Described`]. Host functions and provenance come from the note behind
//! the image, a claim of whoever made the file; segments come from the program headers, and whether the
//! policy shown is in the image at all is looked up there.

use elfin_abi::policy;
use elfin_compiler::{Arch, Printable, cpu};
use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, elf};
use serde_json::{Value, json};

use super::section;
use crate::note::Note;
use crate::report::{Failure, Result};

/// An executable.
pub(super) struct Described {
    size: usize,
    target: Arch,
    note: Note,
    /// The policy block stands in a segment that cannot be written: the runtime in it reads it.
    sealed: bool,
    segments: Vec<Segment>,
}

struct Segment {
    address: u64,
    file_size: u64,
    memory_size: u64,
    permissions: String,
}

/// Describes the executable `bytes`.
pub(super) fn describe(bytes: &[u8]) -> Result<Described> {
    let note = Note::decode(bytes)?;
    let bad = |error: object::Error| Failure::new(format!("its ELF headers are damaged: {error}"));
    let header = elf::FileHeader64::<Endianness>::parse(bytes).map_err(bad)?;
    let endian = header.endian().map_err(bad)?;
    let target = match header.e_machine(endian) {
        elf::EM_X86_64 => Arch::X86_64,
        elf::EM_AARCH64 => Arch::Aarch64,
        elf::EM_RISCV => Arch::Riscv64,
        other => {
            return Err(Failure::new(format!(
                "its machine, {other}, is none of elfin's"
            )));
        }
    };
    let mut segments = Vec::new();
    let mut sealed = false;
    for program_header in header.program_headers(endian, bytes).map_err(bad)? {
        if program_header.p_type(endian) != elf::PT_LOAD {
            continue;
        }
        let flags = program_header.p_flags(endian);
        let data = program_header.data(endian, bytes).unwrap_or_default();
        if flags & elf::PF_W == 0 {
            sealed |= data
                .windows(note.policy.len().max(1))
                .any(|window| window == note.policy);
        }
        let letter = |flag, letter| if flags & flag != 0 { letter } else { '-' };
        segments.push(Segment {
            address: program_header.p_vaddr(endian),
            file_size: program_header.p_filesz(endian),
            memory_size: program_header.p_memsz(endian),
            permissions: [
                letter(elf::PF_R, 'r'),
                letter(elf::PF_W, 'w'),
                letter(elf::PF_X, 'x'),
            ]
            .iter()
            .collect(),
        });
    }
    Ok(Described {
        size: bytes.len(),
        target,
        note,
        sealed,
        segments,
    })
}

impl Described {
    /// The CPU level; an executable for the baseline does not mention it.
    fn cpu(&self) -> &str {
        match self.note.cpu.as_str() {
            "" => cpu::Level::Baseline.name(self.target),
            cpu => cpu,
        }
    }

    /// As documented in `docs/inspect.md`.
    pub(super) fn to_json(&self) -> Value {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (mut dirs, mut env, mut inherit, mut args) = (vec![], vec![], vec![], vec![]);
        let (mut sockets, mut nulls, mut max_open_files) = (vec![], vec![], policy::MAX_OPEN_FILES);
        let mut inherit_all = false;
        for entry in policy::Entries::new(&self.note.policy) {
            match entry {
                policy::Entry::Dir {
                    host,
                    guest,
                    read_only,
                } => {
                    dirs.push(
                        json!({ "host": text(host), "guest": text(guest), "read_only": read_only }),
                    );
                }
                policy::Entry::Env(pair) => {
                    let pair = text(pair);
                    let (key, value) = pair.split_once('=').unwrap_or((&pair, ""));
                    env.push(json!({ "name": key, "value": value }));
                }
                policy::Entry::InheritEnv(b"") => inherit_all = true,
                policy::Entry::InheritEnv(key) => inherit.push(text(key)),
                policy::Entry::Arg(arg) => args.push(text(arg)),
                policy::Entry::TcpListen { name, .. } => sockets.push(text(name)),
                policy::Entry::NullStreams(streams) => {
                    nulls.extend(streams.iter().map(|&stream| stream_name(stream).1));
                }
                policy::Entry::MaxOpenFiles(bytes) => {
                    max_open_files = policy::number(bytes).unwrap_or(max_open_files);
                }
            }
        }
        let segments: Vec<_> = self
            .segments
            .iter()
            .map(|segment| {
                json!({
                    "address": segment.address, "file_size": segment.file_size,
                    "memory_size": segment.memory_size, "permissions": segment.permissions,
                })
            })
            .collect();
        json!({
            "kind": "executable",
            "size": self.size,
            "target": self.target.name(),
            "cpu": self.cpu(),
            "policy": {
                "dirs": dirs, "env": env, "inherit_env": inherit, "inherit_all_env": inherit_all, "args": args,
                "tcp_listen": sockets, "null_streams": nulls, "max_open_files": max_open_files,
                "max_memory": self.note.max_memory,
                "max_stack": self.note.max_stack.unwrap_or(elfin_compiler::DEFAULT_MAX_STACK),
                "in_image": self.sealed,
            },
            "host_functions": self.note.host_functions,
            "segments": segments,
            "provenance": {
                "elfin": self.note.version, "opt_level": self.note.opt_level, "memory": self.note.memory,
                "module_sha256": self.note.modules,
            },
        })
    }

    /// For a person.
    pub(super) fn to_text(&self, name: &str) -> String {
        let mut out = format!(
            "{}: executable made by elfin {}, for {} ({}), {} bytes\n",
            Printable(name),
            Printable(&self.note.version),
            self.target.name(),
            Printable(self.cpu()),
            self.size
        );
        out += &section("granted", self.grants());
        out += &section("limits", self.limits());
        out += &section(
            "host functions it calls",
            self.note
                .host_functions
                .iter()
                .map(|name| Printable(name).to_string()),
        );
        out += &section(
            "segments",
            self.segments.iter().map(|segment| {
                format!(
                    "{} {:#012x}  {:>9} bytes in the file, {:>9} in memory",
                    segment.permissions, segment.address, segment.file_size, segment.memory_size
                )
            }),
        );
        let modules = self
            .note
            .modules
            .iter()
            .map(|hash| format!("module sha256 {}", Printable(hash)));
        let options = format!(
            "-O {}, --memory {}",
            Printable(&self.note.opt_level),
            Printable(&self.note.memory)
        );
        out += &section("made from", modules.chain([options]));
        out
    }

    /// What it may touch, a line each.
    fn grants(&self) -> Vec<String> {
        let text = |bytes: &[u8]| Printable(&String::from_utf8_lossy(bytes)).to_string();
        let (mut grants, mut streams) = (Vec::new(), Vec::new());
        let mut descriptor = policy::FIRST_GRANT;
        for entry in policy::Entries::new(&self.note.policy) {
            grants.push(match entry {
                policy::Entry::Dir {
                    host,
                    guest,
                    read_only,
                } => {
                    descriptor += 1;
                    let how = if read_only {
                        "read only"
                    } else {
                        "read and write"
                    };
                    format!("directory {} as {}, {how}", text(host), text(guest))
                }
                policy::Entry::Env(pair) => format!("environment variable {}", text(pair)),
                policy::Entry::InheritEnv(b"") => "every environment variable, inherited".into(),
                policy::Entry::InheritEnv(key) => {
                    format!("environment variable {}, inherited", text(key))
                }
                policy::Entry::Arg(arg) => format!("argument {}", text(arg)),
                policy::Entry::TcpListen { name, .. } => {
                    descriptor += 1;
                    format!(
                        "TCP connections to {}, on descriptor {}",
                        text(name),
                        descriptor - 1
                    )
                }
                policy::Entry::NullStreams(nulls) => {
                    streams.extend(nulls.iter().map(|&stream| stream_name(stream).0));
                    continue;
                }
                // A limit.
                policy::Entry::MaxOpenFiles(_) => continue,
            });
        }
        if grants.is_empty() {
            grants.push("no directory, no environment variable, no socket, no argument".into());
        } else if !self.sealed {
            grants.push("(not in the image: nothing in the program asks for any of this)".into());
        }
        grants.push("standard streams, its command line, clocks, random numbers".into());
        if !streams.is_empty() {
            grants.push(format!("but nothing as its {}", streams.join(", ")));
        }
        grants
    }

    /// How much it may have, a line each.
    fn limits(&self) -> Vec<String> {
        let max = policy::Entries::new(&self.note.policy)
            .find_map(|entry| match entry {
                policy::Entry::MaxOpenFiles(bytes) => policy::number(bytes),
                _ => None,
            })
            .unwrap_or(policy::MAX_OPEN_FILES);
        let memory = self.note.max_memory.map_or_else(
            || "each memory: as the module says".into(),
            |bytes| format!("each memory: {bytes} bytes"),
        );
        let stack = self
            .note
            .max_stack
            .unwrap_or(elfin_compiler::DEFAULT_MAX_STACK);
        vec![
            memory,
            format!("stack: {stack} bytes"),
            format!("open files: {max}"),
        ]
    }
}

/// What a standard stream is called, for a person and in JSON.
fn stream_name(stream: u8) -> (&'static str, &'static str) {
    match stream {
        0 => ("standard input", "stdin"),
        1 => ("standard output", "stdout"),
        _ => ("standard error", "stderr"),
    }
}

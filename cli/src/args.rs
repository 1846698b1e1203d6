//! The command line as typed.
//!
//! In: the process's arguments. Out: [`Mode`], each value parsed on its own and no two of them compared:
//! that is the work of [`crate::plan`]. Touches no file. Where an option means what wasmtime's means,
//! it is spelled as there.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use clap::builder::TypedValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use elfin_compiler::Arch;

use crate::grants::{self, GrantArgs, InheritEnv};

const HELP: &str = "\
Examples:
  elfin build app.wasm                       one static executable, ./app
  elfin build app.wasm --target all          app-x86_64, app-aarch64, app-riscv64
  elfin run app.wasm --dir . -- input.txt    build into the cache, then run
  elfin inspect app                          what it may touch, what is in it

Exit status:
  0  done
  1  it could not be done; standard error says why
  2  the command line is wrong";

const BUILD_HELP: &str = "\
A produced executable takes no options of its own: its arguments all belong to the program in it. The
environment variable ELFIN_DENY (a list of dir, net and env, with commas) drops grants when it starts. It
ends with the program's exit status, or with 134 after a trap, which it explains on standard error.

Examples:
  elfin build app.wasm
  elfin build app.wat -o bin/app --target riscv64
  elfin build app.wasm --dir data::/data:ro --dir out --env LANG=C --inherit-env HOME
  elfin build server.wasm --tcp-listen 127.0.0.1:8080 --max-open-files 100
  elfin build app.wasm --config elfin.toml
  elfin build main.wasm --link env=library.wasm
  elfin build sum.wasm --invoke add && ./sum 2 3
  elfin build app.wasm --emit asm -O s | less

Exit status:
  0  built
  1  could not be built; standard error says why and where, and no output file was written
  2  the command line is wrong";

const RUN_HELP: &str = "\
What was built is kept in $XDG_CACHE_HOME/elfin or ~/.cache/elfin (at most 512 MiB, oldest removed
first) and found again by the contents of the modules, the options and this elfin.
For a foreign target, qemu-user must be installed (qemu-x86_64, qemu-aarch64, qemu-riscv64 in PATH).

Examples:
  elfin run app.wasm
  elfin run app.wasm --dir data::/data -- --verbose /data/input.txt
  elfin run app.wat --target aarch64
  generate | elfin run filter.wasm > out.txt

Exit status:
  The program's own; 134 after a trap
  1  it could not be built or started; standard error says why
  2  the command line is wrong";

const INSPECT_HELP: &str = "\
Of a module: imports (and whether elfin provides them), exports, memories, tables, the features it
uses, and what it would need to be built. Of an executable made by elfin: its target, what it may
touch, the host functions linked into it, its segments, and what it was made from.

Examples:
  elfin inspect app.wasm
  elfin inspect app
  elfin inspect app --json | jq .policy

Exit status:
  0  described
  1  not a valid module and not an executable made by elfin
  2  the command line is wrong";

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Mode {
    /// Turn a WebAssembly module into a static executable
    Build(BuildArgs),
    /// Build a module into a cache and run it
    Run(RunArgs),
    /// Describe a module or an executable made by elfin
    Inspect(InspectArgs),
}

/// Ahead-of-time compiler and native bundler for WebAssembly: a module in, one static executable
/// for Linux on x86_64, aarch64 or riscv64 out
#[derive(Debug, Parser)]
#[command(name = "elfin", version, after_help = HELP, max_term_width = 100)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct CommandLine {
    #[command(subcommand)]
    pub(crate) mode: Mode,
}

/// `elfin build`.
#[derive(Args, Debug)]
#[command(after_help = BUILD_HELP)]
pub(crate) struct BuildArgs {
    /// The module, binary or text; `-` reads standard input
    pub(crate) file: PathBuf,

    /// Where to write [default: the module's name without its extension, in the current directory]
    ///
    /// Written whole or not at all. A symbolic link of this name is replaced, its target is left alone.
    /// With `--target all` the targets' names are appended. `-` is standard output, except for
    /// executables.
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: Option<PathBuf>,

    /// x86_64, aarch64, riscv64, a Linux target triple, `native`, or `all`
    #[arg(long, value_name = "TARGET", default_value = "native", value_parser = parse_targets)]
    pub(crate) target: Targets,

    /// What to write
    #[arg(long, value_name = "KIND", default_value = "exe")]
    pub(crate) emit: Emit,

    /// Also write a map of the executable's sections and symbols
    #[arg(long, value_name = "FILE")]
    pub(crate) map: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) program: ProgramArgs,
}

/// `elfin run`.
#[derive(Args, Debug)]
#[command(after_help = RUN_HELP)]
pub(crate) struct RunArgs {
    /// The module, binary or text
    pub(crate) file: PathBuf,

    /// x86_64, aarch64, riscv64, a Linux target triple, or `native`
    #[arg(long, value_name = "TARGET", default_value = "native", value_parser = parse_targets)]
    pub(crate) target: Targets,

    #[command(flatten)]
    pub(crate) program: ProgramArgs,

    /// Arguments of the program
    #[arg(last = true, value_name = "ARGS")]
    pub(crate) command_line: Vec<OsString>,
}

/// `elfin inspect`.
#[derive(Args, Debug)]
#[command(after_help = INSPECT_HELP)]
pub(crate) struct InspectArgs {
    /// A module (binary or text), or an executable made by elfin
    pub(crate) file: PathBuf,

    /// Print JSON, as described in docs/inspect.md
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options that decide what the program is, for `build` and `run` alike.
#[derive(Args, Debug)]
pub(crate) struct ProgramArgs {
    /// Optimisation level
    #[arg(short = 'O', long, value_name = "LEVEL", default_value = "2")]
    pub(crate) opt_level: OptLevel,

    /// Grant a directory: HOST is opened when the program starts (a relative one against its working
    /// directory) and the program sees it as GUEST [default: HOST]; `:ro` forbids changes
    #[arg(long = "dir", value_name = "HOST[::GUEST][:ro]", value_parser = parser(parse_dir))]
    pub(crate) dirs: Vec<Dir>,

    /// Set an environment variable of the program
    #[arg(long = "env", value_name = "KEY=VALUE", value_parser = parser(parse_env))]
    pub(crate) envs: Vec<Env>,

    /// Pass an environment variable through when it is set; without KEY, all of them
    #[arg(long = "inherit-env", value_name = "KEY", num_args = 0..=1, default_missing_value = grants::ALL,
        value_parser = parser(grants::parse_inherit_env))]
    pub(crate) inherit_envs: Vec<InheritEnv>,

    /// An argument to put before those of the command line
    #[arg(long = "arg", value_name = "ARG", allow_hyphen_values = true)]
    pub(crate) args: Vec<OsString>,

    #[command(flatten)]
    pub(crate) grants: GrantArgs,

    /// Upper limit of each linear memory (bytes, or with KiB, MiB, GiB, TiB)
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) max_memory: Option<u64>,

    /// Size of the program's stack [default: 8MiB]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) max_stack: Option<u64>,

    /// Most threads that the program may have at a time beside its first; each has a stack of --max-stack
    /// [default: 1024]
    #[arg(long, value_name = "N")]
    pub(crate) max_threads: Option<u32>,

    /// Upper limit of what objects take up in the garbage-collected heap, those of all threads together [default: 1GiB]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) max_gc_heap: Option<u64>,

    /// Collect garbage at every allocation: slow, for tests of elfin itself
    #[arg(long, hide = true)]
    pub(crate) gc_stress: bool,

    /// How memory accesses are kept inside: by 8 GiB of reserved address space around each memory, or
    /// by explicit checks, for machines and limits that refuse such a reservation
    #[arg(long, value_name = "HOW", default_value = "guarded")]
    pub(crate) memory: Memory,

    /// The least CPU that must run it: `baseline`, `native`, or a level of the target (x86-64-v2, x86-64-v3,
    /// x86-64-v4; armv8.1-a; rv64gcv); on another the executable says so and ends [default: every CPU of
    /// the target]
    ///
    /// Single features can be added with `+`, as in rv64gc+zba+zbb.
    ///
    /// Without this option, an executable for x86_64 runs on every such CPU, and what gains much by a newer one
    /// (rounding, bit counts, shuffles of vectors) is in it a second time, for those that have AVX.
    #[arg(long, value_name = "LEVEL")]
    pub(crate) cpu: Option<String>,

    /// Link another module in, for the imports from module NAME; of several given for one NAME, the first
    /// that exports what is imported, with a type that matches
    #[arg(long = "link", value_name = "NAME=FILE", value_parser = parser(parse_link))]
    pub(crate) links: Vec<Link>,

    /// Call this export instead of `_start`; its parameters come from the command line, its results
    /// are printed
    #[arg(long, value_name = "NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) invoke: Option<String>,

    /// What to do with imports that nothing provides: refuse to build, or trap when one is called
    #[arg(long, value_name = "WHAT", default_value = "error")]
    pub(crate) unknown_imports: UnknownImports,

    /// Print the time that each phase took to standard error
    #[arg(long)]
    pub(crate) time: bool,

    /// Compile on N threads [default: one for each processor]; the result is the same
    #[arg(short = 'j', long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,

    /// How generated code finds instance state (for elfin's own tests)
    #[arg(long, value_name = "MODE", default_value = "fixed", hide = true)]
    pub(crate) addressing: Addressing,
}

/// `--target`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Targets {
    /// Every one.
    All,
    /// One.
    One(Arch),
}

/// `--emit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Emit {
    /// A static executable
    Exe,
    /// The program's relocatable object, before linking
    Obj,
    /// Cranelift's intermediate representation, as text
    Clif,
    /// Disassembly, as text
    Asm,
}

/// `-O`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OptLevel {
    /// Compile as quickly as possible
    #[value(name = "0")]
    O0,
    /// Good register allocation only
    #[value(name = "1")]
    O1,
    /// All optimisations
    #[value(name = "2")]
    O2,
    /// All optimisations that do not cost size
    #[value(name = "s")]
    Os,
}

/// `--memory`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Memory {
    /// Reserve address space; no checks
    Guarded,
    /// Check each access
    Checked,
}

/// `--unknown-imports`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum UnknownImports {
    /// Refuse to build
    Error,
    /// Trap when one is called
    Trap,
}

/// `--addressing`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Addressing {
    /// At constant addresses
    Fixed,
    /// Through a context pointer
    Context,
}

/// `--dir`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dir {
    /// Path on the host, as typed.
    pub(crate) host: OsString,
    /// Name that the program sees.
    pub(crate) guest: String,
    /// `:ro`.
    pub(crate) read_only: bool,
}

/// `--env`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Env {
    /// Before the first `=`.
    pub(crate) key: OsString,
    /// Behind it.
    pub(crate) value: OsString,
}

/// `--link`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    /// Import module that it provides.
    pub(crate) name: String,
    /// The module.
    pub(crate) file: PathBuf,
}

/// Reads the process's arguments; on a usage error or a request for help prints and ends the process.
pub(crate) fn parse() -> Mode {
    CommandLine::parse().mode
}

/// Lifts a function on [`OsStr`] to clap's interface: values need not be UTF-8.
pub(crate) fn parser<T: Clone + Send + Sync + 'static>(
    parse: fn(&OsStr) -> Result<T, String>,
) -> impl TypedValueParser<Value = T> {
    clap::builder::OsStringValueParser::new().try_map(move |value| parse(&value))
}

/// `--target`: a name, a triple, `native` or `all`.
fn parse_targets(value: &str) -> Result<Targets, String> {
    let known = || {
        let names: Vec<_> = Arch::ALL.iter().map(|arch| arch.name()).collect();
        format!(
            "the targets are {}, native and all, and Linux triples of these",
            names.join(", ")
        )
    };
    match value {
        "all" => return Ok(Targets::All),
        "native" => {
            return named_arch(std::env::consts::ARCH)
                .map(Targets::One)
                .ok_or_else(|| {
                    format!(
                        "elfin does not make executables for this machine; {}",
                        known()
                    )
                });
        }
        _ => {}
    }
    let mut parts = value.split('-');
    let arch = parts.next().and_then(triple_arch);
    let rest: Vec<_> = parts.collect();
    match arch {
        Some(arch) if value == arch.name() || rest.contains(&"linux") => Ok(Targets::One(arch)),
        Some(arch) if !rest.is_empty() => Err(format!(
            "elfin makes executables for Linux only; say {}",
            arch.name()
        )),
        _ => Err(known()),
    }
}

fn named_arch(name: &str) -> Option<Arch> {
    Arch::ALL.iter().copied().find(|arch| arch.name() == name)
}

/// The first part of a triple. Rust and LLVM name riscv64's instruction set extensions there.
fn triple_arch(name: &str) -> Option<Arch> {
    named_arch(if name == "riscv64gc" { "riscv64" } else { name })
}

/// `--dir HOST[::GUEST][:ro]`.
fn parse_dir(value: &OsStr) -> Result<Dir, String> {
    let bytes = value.as_bytes();
    let (bytes, read_only) = match bytes.strip_suffix(b":ro") {
        Some(rest) => (rest, true),
        None => (bytes, false),
    };
    let separator = bytes.windows(2).position(|pair| pair == b"::");
    let (host, guest) = match separator {
        Some(at) => (&bytes[..at], &bytes[at + 2..]),
        None if bytes.contains(&b':') => {
            return Err(
                "two colons stand between the directory and the name the program sees: \
                        HOST::GUEST, or HOST::GUEST:ro for a read-only one"
                    .into(),
            );
        }
        None => (bytes, bytes),
    };
    if host.is_empty() {
        return Err("the directory on the host is empty; `.` is the working directory".into());
    }
    if guest.is_empty() {
        return Err(
            "the name that the program sees is empty; leave `::` out to use the same".into(),
        );
    }
    let guest = std::str::from_utf8(guest)
        .map_err(|_| "the name that the program sees must be UTF-8; give one after `::`")?;
    Ok(Dir {
        host: OsStr::from_bytes(host).into(),
        guest: guest.into(),
        read_only,
    })
}

/// `--env KEY=VALUE`.
fn parse_env(value: &OsStr) -> Result<Env, String> {
    match split_at_equals(value) {
        None => Err("there is no `=`; to pass a variable through, use --inherit-env".into()),
        Some((key, _)) if key.is_empty() => Err("the name before `=` is empty".into()),
        Some((key, value)) => Ok(Env {
            key: key.into(),
            value: value.into(),
        }),
    }
}

/// `--link NAME=FILE`. The name may be empty: modules do import from `""` (dart2wasm's string constants).
fn parse_link(value: &OsStr) -> Result<Link, String> {
    let (name, file) = split_at_equals(value)
        .ok_or("there is no `=`; write the import module's name, `=`, and the file")?;
    let name = name
        .to_str()
        .ok_or("the import module's name must be UTF-8")?;
    if file.is_empty() {
        return Err("the file behind `=` is missing".into());
    }
    Ok(Link {
        name: name.into(),
        file: file.into(),
    })
}

fn split_at_equals(value: &OsStr) -> Option<(&OsStr, &OsStr)> {
    let bytes = value.as_bytes();
    let at = bytes.iter().position(|&byte| byte == b'=')?;
    Some((
        OsStr::from_bytes(&bytes[..at]),
        OsStr::from_bytes(&bytes[at + 1..]),
    ))
}

/// A positive number of bytes, plain or with a binary suffix.
fn parse_size(value: &str) -> Result<u64, String> {
    const SUFFIXES: [(&str, u32); 4] = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)];
    let (digits, shift) = SUFFIXES
        .iter()
        .find_map(|&(suffix, shift)| Some((value.strip_suffix(suffix)?, shift)))
        .unwrap_or((value, 0));
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("a size is a whole number of bytes, or one with KiB, MiB, GiB or TiB".into());
    }
    let size = digits
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(1 << shift));
    match size {
        None => Err("this size does not fit in 64 bits".into()),
        Some(0) => Err("the size must not be 0; leave the option out for the default".into()),
        Some(size) => Ok(size),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        use clap::CommandFactory;
        CommandLine::command().debug_assert();
    }

    #[test]
    fn targets() {
        let one = |arch| Ok(Targets::One(arch));
        assert_eq!(parse_targets("all"), Ok(Targets::All));
        assert_eq!(parse_targets("aarch64"), one(Arch::Aarch64));
        assert_eq!(
            parse_targets("riscv64gc-unknown-linux-gnu"),
            one(Arch::Riscv64)
        );
        assert_eq!(parse_targets("x86_64-linux-musl"), one(Arch::X86_64));
        assert!(
            parse_targets("x86_64-apple-darwin")
                .unwrap_err()
                .contains("Linux only")
        );
        for unknown in [
            "",
            "arm",
            "riscv64gc",
            "x86_64x",
            "x86_64-",
            "sparc-unknown-linux-gnu",
        ] {
            assert!(parse_targets(unknown).is_err(), "{unknown}");
        }
        assert!(
            parse_targets("sparc")
                .unwrap_err()
                .contains("x86_64, aarch64, riscv64")
        );
    }

    #[test]
    fn dirs() {
        let dir = |host: &str, guest: &str, read_only| {
            Ok(Dir {
                host: host.into(),
                guest: guest.into(),
                read_only,
            })
        };
        let parse = |value: &str| parse_dir(OsStr::new(value));
        assert_eq!(parse("data"), dir("data", "data", false));
        assert_eq!(parse("data:ro"), dir("data", "data", true));
        assert_eq!(parse("/srv/data::/data"), dir("/srv/data", "/data", false));
        assert_eq!(parse(".::/:ro"), dir(".", "/", true));
        assert_eq!(parse("a:b::c::d"), dir("a:b", "c::d", false));
        for wrong in ["", ":ro", "::", "::x", "x::", "x:::ro", "data:/data"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(parse_size("65536"), Ok(65536));
        assert_eq!(parse_size("64KiB"), Ok(65536));
        assert_eq!(parse_size("3GiB"), Ok(3 << 30));
        let wrong = [
            "", "KiB", "0", "0MiB", "-1", "+1", "1.5MiB", "1 MiB", "1MB", "1k",
        ];
        for wrong in wrong
            .into_iter()
            .chain(["18446744073709551616", "16777216TiB"])
        {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn variables() {
        let env = parse_env(OsStr::new("A=b=c")).unwrap();
        assert_eq!(
            (env.key.as_os_str(), env.value.as_os_str()),
            (OsStr::new("A"), OsStr::new("b=c"))
        );
        assert!(parse_env(OsStr::new("A=")).is_ok());
        assert!(
            parse_env(OsStr::new("A"))
                .unwrap_err()
                .contains("--inherit-env")
        );
        assert!(parse_env(OsStr::new("=A")).is_err());
    }
}

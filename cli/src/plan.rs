//! The command line, validated: plain data from which a command can run without asking further.
//!
//! In: [`crate::args`]. Out: [`BuildPlan`] or [`RunPlan`], or a usage error that says what to do. Options
//! are compared with each other here; files are not opened yet.

use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use elfin_abi::host::Grants;
use elfin_abi::policy;
use elfin_compiler as compiler;
use elfin_compiler::Arch;

use crate::args::{self, BuildArgs, Emit, ProgramArgs, RunArgs, Targets};
use crate::grants::{GrantArgs, InheritEnv, Stream};
use crate::report::{Failure, Result};

/// `elfin build`.
#[derive(Debug)]
pub(crate) struct BuildPlan {
    /// What to build.
    pub(crate) program: ProgramPlan,
    /// What to write.
    pub(crate) emit: Emit,
    /// For which targets, and where to: in this order.
    pub(crate) outputs: Vec<Output>,
}

/// One result.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Output {
    /// Target.
    pub(crate) arch: Arch,
    /// Where to write it.
    pub(crate) to: Destination,
    /// Where to write the linker's map.
    pub(crate) map: Option<PathBuf>,
}

/// Where a result goes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// Standard output.
    Stdout,
    /// A file.
    File(PathBuf),
}

/// `elfin run`.
#[derive(Debug)]
pub(crate) struct RunPlan {
    /// What to build.
    pub(crate) program: ProgramPlan,
    /// For which machine.
    pub(crate) arch: Arch,
    /// Arguments of the program, argv\[0\] not included.
    pub(crate) args: Vec<OsString>,
}

/// What decides the program, whatever is made of it.
#[derive(Debug)]
pub(crate) struct ProgramPlan {
    /// The main module.
    pub(crate) input: Input,
    /// Modules linked in, in the order given.
    pub(crate) links: Vec<args::Link>,
    /// What it may touch.
    pub(crate) policy: Policy,
    /// Options of the compiler, the target and its CPU aside: see [`ProgramPlan::options`].
    pub(crate) options: compiler::Options,
    /// The CPU of each target.
    pub(crate) cpus: Vec<(Arch, compiler::Cpu)>,
    /// Threads to compile on.
    pub(crate) threads: Option<usize>,
    /// Whether to print phase times.
    pub(crate) time: bool,
}

impl ProgramPlan {
    /// Options of the compiler for one target.
    pub(crate) fn options(&self, arch: Arch) -> compiler::Options {
        let cpu = self.cpus.iter().find(|(of, _)| *of == arch);
        compiler::Options {
            arch,
            cpu: cpu.map_or_else(compiler::Cpu::default, |(_, cpu)| *cpu),
            ..self.options.clone()
        }
    }
}

/// Where the main module comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// Standard input.
    Stdin,
    /// A file.
    File(PathBuf),
}

impl Input {
    /// What errors call it. The directory is left out: nothing of it may reach the output.
    pub(crate) fn name(&self) -> String {
        match self {
            Input::Stdin => "<stdin>".into(),
            Input::File(path) => file_name(path),
        }
    }
}

/// The last component of a path, made readable.
pub(crate) fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}

/// What the program may touch: no two entries contradict each other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Policy {
    /// Directories.
    pub(crate) dirs: Vec<args::Dir>,
    /// Variables with their values, as `KEY=VALUE`.
    pub(crate) envs: Vec<OsString>,
    /// Variables passed through; the empty name stands for all of them, and then alone.
    pub(crate) inherit_envs: Vec<OsString>,
    /// Arguments put before those of the command line.
    pub(crate) args: Vec<OsString>,
    /// Listening sockets.
    pub(crate) tcp_listen: Vec<SocketAddr>,
    /// Numbers of standard streams that are nothing.
    pub(crate) null_streams: Vec<u8>,
    /// Most descriptors.
    pub(crate) max_open_files: Option<u32>,
}

impl Policy {
    /// The block that is sealed into the executable.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let dirs = self.dirs.iter().map(|dir| policy::Entry::Dir {
            host: dir.host.as_bytes(),
            guest: dir.guest.as_bytes(),
            read_only: dir.read_only,
        });
        let envs = self
            .envs
            .iter()
            .map(|pair| policy::Entry::Env(pair.as_bytes()));
        let inherit = self
            .inherit_envs
            .iter()
            .map(|key| policy::Entry::InheritEnv(key.as_bytes()));
        let args = self
            .args
            .iter()
            .map(|arg| policy::Entry::Arg(arg.as_bytes()));
        let sockets: Vec<_> = self
            .tcp_listen
            .iter()
            .map(|address| (policy::socket_address(address), address.to_string()))
            .collect();
        let sockets = sockets
            .iter()
            .map(|(address, name)| policy::Entry::TcpListen {
                address,
                name: name.as_bytes(),
            });
        let nulls = Some(&self.null_streams[..]).filter(|streams| !streams.is_empty());
        let max = self.max_open_files.map(u32::to_le_bytes);
        policy::encode(
            dirs.chain(envs)
                .chain(inherit)
                .chain(args)
                .chain(sockets)
                .chain(nulls.map(policy::Entry::NullStreams))
                .chain(max.as_ref().map(|max| policy::Entry::MaxOpenFiles(max))),
        )
    }

    /// What kinds of entries there are.
    fn grants(&self) -> Grants {
        Grants {
            directories: !self.dirs.is_empty(),
            variables: !self.envs.is_empty() || !self.inherit_envs.is_empty(),
            sockets: !self.tcp_listen.is_empty(),
            null_streams: !self.null_streams.is_empty(),
            max_open_files: self.max_open_files.is_some(),
        }
    }
}

/// Validates `elfin build`.
pub(crate) fn plan_build(args: BuildArgs) -> Result<BuildPlan> {
    let input = if args.file == Path::new("-") {
        Input::Stdin
    } else {
        Input::File(args.file)
    };
    if args.map.is_some() && args.emit != Emit::Exe {
        return Err(Failure::usage(
            "--map describes an executable: it goes with --emit exe only",
        ));
    }
    let archs = match args.target {
        Targets::All => Arch::ALL.to_vec(),
        Targets::One(arch) => vec![arch],
    };
    let several = args.target == Targets::All;
    let output = match args.output {
        Some(output) if output.as_os_str().is_empty() => {
            return Err(Failure::usage("the name of the output is empty"));
        }
        Some(output) if output == Path::new("-") => {
            if several {
                return Err(Failure::usage(
                    "--target all makes several files: -o must name one",
                ));
            }
            if args.emit == Emit::Exe {
                return Err(Failure::usage(
                    "an executable must be a file: give -o a name",
                ));
            }
            None
        }
        Some(output) => Some(output),
        None => default_output(&input, args.emit, several)?,
    };
    if let (Some(output), Some(map)) = (&output, &args.map)
        && output == map
    {
        return Err(Failure::usage("-o and --map name the same file"));
    }
    let outputs = archs
        .iter()
        .map(|&arch| {
            let suffix = several.then(|| format!("-{}", arch.name()));
            let name = |path: &PathBuf, extension| match &suffix {
                None => path.clone(),
                Some(suffix) if extension => insert_before_extension(path, suffix),
                Some(suffix) => append(path, suffix),
            };
            Output {
                arch,
                to: match &output {
                    None => Destination::Stdout,
                    Some(path) => Destination::File(name(path, args.emit != Emit::Exe)),
                },
                map: args.map.as_ref().map(|path| name(path, true)),
            }
        })
        .collect();
    Ok(BuildPlan {
        program: plan_program(input, args.program, &archs)?,
        emit: args.emit,
        outputs,
    })
}

/// Validates `elfin run`.
pub(crate) fn plan_run(args: RunArgs) -> Result<RunPlan> {
    let Targets::One(arch) = args.target else {
        return Err(Failure::usage("one target can be run at a time: say which"));
    };
    if args.file == Path::new("-") {
        return Err(Failure::usage(
            "standard input belongs to the program that is run: the module must be a file",
        ));
    }
    let program = plan_program(Input::File(args.file), args.program, &[arch])?;
    Ok(RunPlan {
        program,
        arch,
        args: args.command_line,
    })
}

fn plan_program(input: Input, args: ProgramArgs, archs: &[Arch]) -> Result<ProgramPlan> {
    let mut options = compiler::Options::new(Arch::X86_64);
    options.opt_level = match args.opt_level {
        args::OptLevel::O0 => compiler::OptLevel::O0,
        args::OptLevel::O1 => compiler::OptLevel::O1,
        args::OptLevel::O2 => compiler::OptLevel::O2,
        args::OptLevel::Os => compiler::OptLevel::Os,
    };
    options.memory = match args.memory {
        args::Memory::Guarded => compiler::MemoryMode::Guarded,
        args::Memory::Checked => compiler::MemoryMode::Checked,
    };
    options.addressing = match args.addressing {
        args::Addressing::Fixed => compiler::Addressing::Fixed,
        args::Addressing::Context => compiler::Addressing::Context,
    };
    options.unknown_imports = match args.unknown_imports {
        args::UnknownImports::Error => compiler::UnknownImports::Error,
        args::UnknownImports::Trap => compiler::UnknownImports::Trap,
    };
    options.max_memory = args.max_memory;
    if let Some(max_stack) = args.max_stack {
        options.max_stack = max_stack;
    }
    options.max_threads = args.max_threads;
    if let Some(max_gc_heap) = args.max_gc_heap {
        options.max_gc_heap = max_gc_heap;
    }
    options.gc_stress = args.gc_stress;
    options.invoke = args.invoke;
    if args.cpu.is_none() {
        options.twins = compiler::Twins::Gaining;
    }
    let cpu = args.cpu.as_deref().unwrap_or("baseline");
    let cpus = archs
        .iter()
        .map(|arch| Ok((*arch, compiler::Cpu::parse(cpu, *arch)?)))
        .collect::<std::result::Result<_, String>>()
        .map_err(|error| Failure::usage(format!("--cpu: {error}")))?;
    let policy = plan_policy(
        args.dirs,
        &args.envs,
        &args.inherit_envs,
        args.args,
        args.grants,
    )?;
    options.grants = policy.grants();
    Ok(ProgramPlan {
        input,
        links: args.links,
        policy,
        options,
        cpus,
        threads: args.threads.map(usize::from),
        time: args.time,
    })
}

fn plan_policy(
    dirs: Vec<args::Dir>,
    envs: &[args::Env],
    inherit_envs: &[InheritEnv],
    args: Vec<OsString>,
    grants: GrantArgs,
) -> Result<Policy> {
    let named = inherit_envs.iter().filter_map(|inherit| match inherit {
        InheritEnv::All => None,
        InheritEnv::Key(key) => Some(key.as_os_str()),
    });
    for (i, dir) in dirs.iter().enumerate() {
        if dirs[..i].iter().any(|other| other.guest == dir.guest) {
            return Err(Failure::usage(format!(
                "--dir gives two directories the name '{}': give one of them another with HOST::GUEST",
                compiler::Printable(&dir.guest)
            )));
        }
    }
    let keys: Vec<&OsStr> = envs
        .iter()
        .map(|env| env.key.as_os_str())
        .chain(named.clone())
        .collect();
    for (i, key) in keys.iter().enumerate() {
        if keys[..i].contains(key) {
            return Err(Failure::usage(format!(
                "the environment variable '{}' is given twice: keep one --env or --inherit-env of it",
                compiler::Printable(&key.to_string_lossy())
            )));
        }
    }
    let envs = envs
        .iter()
        .map(|env| {
            let mut pair = env.key.clone();
            pair.push("=");
            pair.push(&env.value);
            pair
        })
        .collect();
    let inherit_envs = if inherit_envs.contains(&InheritEnv::All) {
        vec![OsString::new()]
    } else {
        named.map(OsStr::to_os_string).collect()
    };
    plan_descriptors(dirs.len(), &grants)?;
    Ok(Policy {
        dirs,
        envs,
        inherit_envs,
        args,
        null_streams: (0..)
            .zip([grants.stdin, grants.stdout, grants.stderr])
            .filter_map(|(number, stream)| (stream == Stream::Null).then_some(number))
            .collect(),
        tcp_listen: grants.tcp_listen,
        max_open_files: grants.max_open_files,
    })
}

/// What is open from the start must be possible.
fn plan_descriptors(dirs: usize, grants: &GrantArgs) -> Result<()> {
    let sockets = &grants.tcp_listen;
    for (i, address) in sockets.iter().enumerate() {
        if sockets[..i].contains(address) {
            return Err(Failure::usage(format!(
                "--tcp-listen gives {address} twice"
            )));
        }
    }
    let open = policy::FIRST_GRANT as usize + dirs + sockets.len();
    let max = grants.max_open_files.unwrap_or(policy::MAX_OPEN_FILES);
    if open > max as usize {
        return Err(Failure::usage(format!(
            "{open} descriptors are open from the start ({} standard streams, {dirs} directories, {} sockets), \
             more than the {max} that there may be",
            policy::FIRST_GRANT,
            sockets.len()
        )));
    }
    Ok(())
}

/// Where a result goes when nothing is said; `None` is standard output.
fn default_output(input: &Input, emit: Emit, several: bool) -> Result<Option<PathBuf>> {
    let extension = match emit {
        Emit::Exe => None,
        Emit::Obj => Some("o"),
        Emit::Clif | Emit::Asm if several => {
            return Err(Failure::usage(
                "--target all makes several files: name them with -o",
            ));
        }
        Emit::Clif | Emit::Asm => return Ok(None),
    };
    let stem = match input {
        Input::Stdin => None,
        Input::File(path) => path.file_stem(),
    };
    let Some(stem) = stem else {
        return Err(Failure::usage(
            "the input has no file name to name the output by: use -o",
        ));
    };
    let mut output = PathBuf::from(stem);
    if let Some(extension) = extension {
        output.as_mut_os_string().push(format!(".{extension}"));
    }
    Ok(Some(output))
}

/// `app` → `app-riscv64`.
fn append(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_os_string();
    path.push(suffix);
    path.into()
}

/// `app.o` → `app-riscv64.o`.
fn insert_before_extension(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_stem().unwrap_or_default().to_os_string();
    name.push(suffix);
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{CommandLine, Mode};
    use clap::Parser;

    fn build(line: &str) -> Result<BuildPlan> {
        let words = ["elfin", "build"].into_iter().chain(line.split(' '));
        match CommandLine::try_parse_from(words).unwrap().mode {
            Mode::Build(args) => plan_build(args),
            mode => panic!("{mode:?}"),
        }
    }

    fn destinations(line: &str) -> Vec<String> {
        let name = |output: &Output| match &output.to {
            Destination::Stdout => "-".into(),
            Destination::File(path) => path.display().to_string(),
        };
        build(line).unwrap().outputs.iter().map(name).collect()
    }

    #[test]
    fn where_results_go() {
        assert_eq!(destinations("dir/app.wasm"), ["app"]);
        assert_eq!(destinations("app.v2.wat -o x/y"), ["x/y"]);
        assert_eq!(destinations("app.wasm --emit obj"), ["app.o"]);
        assert_eq!(destinations("app.wasm --emit clif"), ["-"]);
        assert_eq!(destinations("- --emit asm"), ["-"]);
        assert_eq!(destinations("app.wasm --emit obj -o -"), ["-"]);
        let all = ["x/app-x86_64", "x/app-aarch64", "x/app-riscv64"];
        assert_eq!(destinations("app.wasm --target all -o x/app"), all);
        let all = ["a.b-x86_64", "a.b-aarch64", "a.b-riscv64"];
        assert_eq!(destinations("app.wasm --target all -o a.b"), all);
        let all = ["app-x86_64.o", "app-aarch64.o", "app-riscv64.o"];
        assert_eq!(destinations("app.wasm --target all --emit obj"), all);
    }

    #[test]
    fn what_does_not_go_together() {
        for line in [
            "-",
            "app.wasm -o -",
            "app.wasm --target all --emit asm",
            "app.wasm --target all --emit asm -o -",
            "app.wasm --emit asm --map m",
            "app.wasm -o m --map m",
            "app.wasm --env A=1 --env A=2",
            "app.wasm --env A=1 --inherit-env A",
            "app.wasm --dir a::/ --dir b::/",
            "app.wasm --inherit-env A --inherit-env A",
            "app.wasm --tcp-listen 127.0.0.1:80 --tcp-listen 127.0.0.1:80",
            "app.wasm --max-open-files 3 --dir a",
            "app.wasm --max-open-files 4 --dir a --tcp-listen 127.0.0.1:80",
            "app.wasm --target riscv64 --cpu x86-64-v3",
            "app.wasm --target all --cpu x86-64",
            "app.wasm --target all --cpu native",
            "app.wasm --target aarch64 --cpu armv8-a+avx",
        ] {
            let failure = build(line).expect_err(line);
            assert!(failure.to_string().contains("--help"), "{line}");
        }
    }
}

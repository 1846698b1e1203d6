//! What the end-to-end tests share: running a process with its limits measured, scratch directories,
//! building with elfin, and running what was built natively or under qemu-user.
#![allow(dead_code, reason = "each test binary uses a part of this")]

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Every target, by name.
pub(crate) const TARGETS: [&str; 3] = ["x86_64", "aarch64", "riscv64"];

/// How long one build may take on two idle processors. The promise is ten seconds for an optimised
/// elfin; `cargo test` without `--release` tests one whose own code is not optimised.
pub(crate) const BUILD_TIME: Duration =
    Duration::from_secs(if cfg!(debug_assertions) { 60 } else { 10 });

/// After this time a process is killed and its test fails. Tests run beside each other and beside other
/// work: promises are kept in processor time, see [`Finished::processor_time`].
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// How much memory one build may take.
pub(crate) const BUILD_MEMORY: u64 = 2 << 30;

/// A finished process.
#[derive(Debug)]
pub(crate) struct Finished {
    /// How it ended.
    pub(crate) status: ExitStatus,
    /// Standard output.
    pub(crate) stdout: Vec<u8>,
    /// Standard error, made readable.
    pub(crate) stderr: String,
    /// Time that it and its threads were running, together.
    pub(crate) processor_time: Duration,
    /// Largest resident set, in bytes.
    pub(crate) memory: u64,
}

impl Finished {
    /// The exit status as a shell gives it: 128 + signal for a killed process.
    pub(crate) fn code(&self) -> i32 {
        self.status
            .code()
            .unwrap_or_else(|| 128 + self.status.signal().unwrap_or(0))
    }

    /// Standard output, made readable.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Panics with everything there is to see unless the process ended with `code`.
    #[track_caller]
    pub(crate) fn expect_code(&self, code: i32) -> &Self {
        assert_eq!(
            self.code(),
            code,
            "stdout:\n{}\nstderr:\n{}",
            self.text(),
            self.stderr
        );
        self
    }

    /// Panics unless the process ended by this trap: status 134, and the message first on standard error.
    #[track_caller]
    pub(crate) fn expect_trap(&self, message: &str) -> &Self {
        self.expect_code(134);
        let expected = format!("elfin: trap: {message}");
        assert_eq!(self.stderr.lines().next(), Some(&*expected));
        self
    }
}

/// Runs a process to its end. Its standard input is empty, or a file.
#[allow(
    clippy::zombie_processes,
    reason = "it is waited for, by wait4, for the sake of its resource usage"
)]
pub(crate) fn finish(mut command: Command, stdin: Option<&Path>) -> Finished {
    let directory = tempfile::tempdir().expect("a scratch directory");
    let (out, err) = (directory.path().join("out"), directory.path().join("err"));
    match stdin {
        Some(path) => command.stdin(File::open(path).expect("standard input")),
        None => command.stdin(Stdio::null()),
    };
    command
        .stdout(File::create(&out).expect("out"))
        .stderr(File::create(&err).expect("err"));
    let started = Instant::now();
    let child = command
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    let pid = child.id() as libc::pid_t;
    let (status, usage) = loop {
        let mut status = 0;
        // SAFETY: all-zero bytes are a valid `rusage`, a struct of integers.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: both pointers are to live locals; the process is our child and nobody else waits for it.
        let reaped = unsafe { libc::wait4(pid, &mut status, libc::WNOHANG, &mut usage) };
        if reaped == pid {
            break (ExitStatus::from_raw(status), usage);
        }
        assert_eq!(reaped, 0, "wait4: {}", std::io::Error::last_os_error());
        if started.elapsed() > PATIENCE {
            // SAFETY: our own child, not yet reaped: the id cannot belong to another process.
            unsafe { libc::kill(pid, libc::SIGKILL) };
            panic!("{command:?} took longer than {PATIENCE:?}");
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    Finished {
        status,
        stdout: fs::read(&out).expect("out"),
        stderr: String::from_utf8_lossy(&fs::read(&err).expect("err")).into_owned(),
        processor_time: duration(usage.ru_utime) + duration(usage.ru_stime),
        memory: usage.ru_maxrss as u64 * 1024,
    }
}

fn duration(time: libc::timeval) -> Duration {
    Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000)
}

/// A command for elfin, to be run in `directory`.
pub(crate) fn elfin(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_elfin"));
    command.current_dir(directory).env_remove("RUST_BACKTRACE");
    command
}

/// Runs elfin in `directory` with arguments that have no spaces in them.
pub(crate) fn run_elfin(directory: &Path, line: &str) -> Finished {
    let mut command = elfin(directory);
    command.args(line.split_whitespace());
    finish(command, None)
}

/// Runs an executable for `target`: `argv` begins with argv\[0\].
pub(crate) fn run_executable(
    target: &str,
    executable: &Path,
    argv: &[impl AsRef<OsStr>],
    directory: &Path,
    stdin: Option<&Path>,
) -> Finished {
    let mut command = if target == std::env::consts::ARCH {
        let mut command = Command::new(executable);
        command.arg0(&argv[0]);
        command
    } else {
        let mut command = Command::new(qemu(target));
        command.arg("-0").arg(&argv[0]).arg(executable);
        command
    };
    command.args(&argv[1..]).current_dir(directory);
    finish(command, stdin)
}

/// The emulator for `target`. Without it the tests fail: they would not test what they say.
pub(crate) fn qemu(target: &str) -> PathBuf {
    let name = format!("qemu-{target}");
    std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .map(|directory| directory.join(&name))
        .find(|candidate| candidate.is_file())
        .unwrap_or_else(|| {
            panic!("{name} is not in PATH: install qemu-user (apt-get install qemu-user)")
        })
}

/// The root of the workspace.
pub(crate) fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("cli/ has a parent")
}

/// A guest in `tests/guests/`.
pub(crate) fn guest(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/guests")
        .join(name)
}

/// The real programs beside the checkout, if this machine has them.
pub(crate) fn real_modules() -> Option<PathBuf> {
    Some(workspace().join("../shared/data/modules")).filter(|path| path.is_dir())
}

/// Prints a line that is seen whether the test passes or not: the harness captures only the macros.
pub(crate) fn announce(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// The directories of `root` that hold a `cmd.json`, by name.
pub(crate) fn case_directories(root: &Path) -> Vec<(String, PathBuf)> {
    let entries = fs::read_dir(root).unwrap_or_else(|error| panic!("{}: {error}", root.display()));
    let mut directories: Vec<_> = entries
        .map(|entry| entry.expect("entry").path())
        .filter(|path| path.join("cmd.json").is_file())
        .map(|path| {
            (
                path.file_name()
                    .expect("name")
                    .to_string_lossy()
                    .into_owned(),
                path,
            )
        })
        .collect();
    directories.sort();
    directories
}

/// The `cmd.json` of a directory.
pub(crate) fn commands(directory: &Path) -> Value {
    let text = fs::read_to_string(directory.join("cmd.json")).expect("cmd.json");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", directory.display()))
}

/// The module of a directory: what `cmd.json` says, or `module` or the directory's own name, `.wasm` or
/// `.wat`.
pub(crate) fn module_of(directory: &Path) -> PathBuf {
    if let Some(file) = commands(directory)["module"].as_str() {
        return directory.join(file);
    }
    let name = directory.file_name().expect("name").to_string_lossy();
    ["module", &name]
        .iter()
        .flat_map(|stem| {
            ["wasm", "wat"].map(|extension| directory.join(format!("{stem}.{extension}")))
        })
        .find(|path| path.is_file())
        .unwrap_or_else(|| {
            panic!(
                "{} has neither module.wasm nor {name}.wasm or .wat",
                directory.display()
            )
        })
}

/// A program that is refused today.
pub(crate) struct Unsupported {
    /// Its directory.
    pub(crate) name: String,
    /// For this target only.
    pub(crate) target: Option<String>,
    /// The feature that is missing.
    pub(crate) feature: String,
}

/// What is refused today.
pub(crate) fn unsupported_modules() -> Vec<Unsupported> {
    include_str!("../unsupported-modules.txt")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let mut words = line.split_whitespace();
            let mut word = || {
                words
                    .next()
                    .unwrap_or_else(|| panic!("{line}: name, feature, reason"))
            };
            let (name, feature, _reason) = (word(), word().to_owned(), word());
            let (name, target) = match name.split_once('@') {
                Some((name, target)) => (name.to_owned(), Some(target.to_owned())),
                None => (name.to_owned(), None),
            };
            Unsupported {
                name,
                target,
                feature,
            }
        })
        .collect()
}

/// Asserts what holds for every executable: no interpreter, nothing dynamic, no segment that can be
/// both written and executed, a stack that cannot be executed.
#[track_caller]
pub(crate) fn check_segments(executable: &[u8]) {
    use object::read::elf::{FileHeader, ProgramHeader};
    use object::{Endianness, elf};
    let header = elf::FileHeader64::<Endianness>::parse(executable).expect("an ELF file");
    let endian = header.endian().expect("its byte order");
    let mut stack = None;
    for segment in header
        .program_headers(endian, executable)
        .expect("program headers")
    {
        let flags = segment.p_flags(endian);
        assert!(
            flags & elf::PF_W == 0 || flags & elf::PF_X == 0,
            "a segment is writable and executable"
        );
        match segment.p_type(endian) {
            elf::PT_INTERP => panic!("an interpreter is asked for"),
            elf::PT_DYNAMIC => panic!("it is dynamic"),
            elf::PT_GNU_STACK => stack = Some(flags),
            _ => {}
        }
    }
    assert_eq!(stack, Some(elf::PF_R | elf::PF_W), "PT_GNU_STACK");
}

/// Copies a directory with everything in it.
pub(crate) fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("directory");
    for entry in fs::read_dir(from).expect("directory") {
        let entry = entry.expect("entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("type").is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copy");
        }
    }
}

/// A scratch directory with executables `guest-TARGET` of a guest in `guests/threads`, built with these options.
pub(crate) fn build_threads(name: &str, options: &str) -> tempfile::TempDir {
    let scratch = tempfile::tempdir().expect("scratch");
    fs::copy(guest(&format!("threads/{name}")), scratch.path().join(name)).expect("guest");
    run_elfin(
        scratch.path(),
        &format!("build {name} --target all -o guest {options}"),
    )
    .expect_code(0);
    scratch
}

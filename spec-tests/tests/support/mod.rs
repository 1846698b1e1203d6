//! What the tests with WASI guests share: building a guest with grants, and running it natively, natively
//! on what looks like an old kernel, and under qemu-user.
#![allow(dead_code, reason = "each test binary uses a part of this")]

use elfin_abi::policy::Entry;
use elfin_compiler::Arch;
use spec_tests::suite;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Where a guest runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) arch: Arch,
    pub(crate) old_kernel: bool,
}

/// Both resolvers natively, and every other machine.
pub(crate) fn places() -> Vec<Place> {
    let place = |arch, old_kernel| Place { arch, old_kernel };
    let mut places = natives().to_vec();
    let foreign = Arch::ALL
        .iter()
        .filter(|arch| arch.name() != std::env::consts::ARCH);
    places.extend(foreign.map(|arch| place(*arch, false)));
    places
}

/// Both resolvers natively.
pub(crate) fn natives() -> [Place; 2] {
    let native = Arch::ALL
        .iter()
        .find(|arch| arch.name() == std::env::consts::ARCH);
    let arch = *native.expect("tests run on a machine that elfin knows");
    [false, true].map(|old_kernel| Place { arch, old_kernel })
}

/// A file of `wasi/`.
pub(crate) fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("wasi")
        .join(name)
}

/// A granted directory, its path relative to the working directory.
pub(crate) fn dir<'a>(host: &'a str, guest: &'a str, read_only: bool) -> Entry<'a> {
    Entry::Dir {
        host: host.as_bytes(),
        guest: guest.as_bytes(),
        read_only,
    }
}

/// A directory for many small files: in memory, where there is such a place.
pub(crate) fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .expect("scratch")
}

/// An executable in a directory of its own.
#[derive(Debug)]
pub(crate) struct Guest {
    place: Place,
    home: tempfile::TempDir,
}

/// How a guest ended, and what it printed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// The status as a shell has it: 128 + signal for a killed process.
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Guest {
    /// Builds `wasi/NAME.wasm` for a place.
    pub(crate) fn build(name: &str, place: Place, grants: &[Entry<'_>]) -> Self {
        Self::of(&file(&format!("{name}.wasm")), place, grants)
    }

    /// Builds a module for a place.
    pub(crate) fn of(module: &Path, place: Place, grants: &[Entry<'_>]) -> Self {
        let executable = suite::build(module, place.arch, grants.iter().copied())
            .unwrap_or_else(|error| panic!("{}: {error}", module.display()));
        let home = tempfile::tempdir().expect("scratch");
        // Written by a process of its own: a process that another test starts just now would inherit a file
        // that is open for writing here, and the kernel does not run such a file.
        let image = home.path().join("image");
        std::fs::write(&image, executable).expect("image");
        std::fs::set_permissions(&image, PermissionsExt::from_mode(0o755)).expect("mode");
        let copied = Command::new("cp")
            .arg(&image)
            .arg(home.path().join("guest"))
            .status();
        assert!(copied.expect("cp").success());
        Self { place, home }
    }

    /// The executable.
    pub(crate) fn path(&self) -> PathBuf {
        self.home.path().join("guest")
    }

    /// A command for it, to be run in `directory`; standard input is empty.
    pub(crate) fn command(&self, directory: &Path, args: &[&str]) -> Command {
        let mut command = if self.place.arch.name() == std::env::consts::ARCH {
            Command::new(self.path())
        } else {
            let mut command = Command::new(format!("qemu-{}", self.place.arch.name()));
            command.arg(self.path());
            command
        };
        command
            .args(args)
            .current_dir(directory)
            .stdin(Stdio::null());
        if self.place.old_kernel {
            suite::old_kernel::pretend(&mut command);
        }
        command
    }

    /// Runs it with `input` as its standard input.
    pub(crate) fn run(&self, directory: &Path, args: &[&str], input: &[u8]) -> Ended {
        let mut command = self.command(directory, args);
        finish(command.stdin(Stdio::piped()), input)
    }
}

/// Runs a command to its end.
pub(crate) fn finish(command: &mut Command, input: &[u8]) -> Ended {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    if let Some(mut stdin) = child.stdin.take() {
        // A guest may end without having read all.
        let _ = stdin.write_all(input);
    }
    collect(child)
}

/// Waits for the end of a process, and reads what it prints.
pub(crate) fn collect(child: Child) -> Ended {
    let output = child.wait_with_output().expect("output");
    let status = output.status;
    Ended {
        code: status
            .code()
            .unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Prints a line that is seen whether the test passes or not: the harness captures only the macros.
pub(crate) fn announce(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Compares with `wasi/NAME`; with BLESS=1 writes it.
pub(crate) fn expect_text(name: &str, text: &str, what: &str) {
    let path = file(name);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, text).expect("expectation");
    }
    let expected = std::fs::read_to_string(&path).expect("expectation");
    for (number, (got, expected)) in text.lines().zip(expected.lines()).enumerate() {
        assert_eq!(got, expected, "{name}:{}: {what}", number + 1);
    }
    assert_eq!(text, expected, "{what}");
}

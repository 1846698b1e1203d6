//! Program → executable → what it prints.
//!
//! In: a linked script program. Out: the lines that its executable prints, read into [`Printed`]. The
//! executable is made as `elfin build` makes one: compiler, runtime object, linker. Executables for other
//! machines run under qemu-user.

use elfin_abi::policy;
use elfin_abi::trap::TrapCode;
use elfin_compiler::program::Program;
use elfin_compiler::{Arch, CompiledProgram, Feature, Options, Silent};
use elfin_linker as linker;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What one line of a script's executable says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Printed {
    /// The action was carried out; its result slots.
    Done(Vec<u128>),
    /// It trapped.
    Trap(TrapCode),
    /// It ended with an exception that nothing caught.
    Exception,
    /// Its instance could not be made.
    Unlinkable,
}

/// How an executable ended, and what it printed before: ids and outcomes in order.
#[derive(Clone, Debug)]
pub struct Run {
    /// One for each line.
    pub lines: Vec<(u32, Printed)>,
    /// Why it did not end as it should have.
    pub failure: Option<String>,
}

/// Held while an executable is written and while a process is started: a process that begins while a file is
/// open for writing holds it open until it runs its own program, and the file can't be run as long.
pub(crate) static ALONE: Mutex<()> = Mutex::new(());

/// How long an executable may run.
const TIME: Duration = Duration::from_secs(60);

/// How much longer under emulation.
pub(crate) const EMULATED: u32 = 5;

/// Makes the executable of a script.
///
/// # Errors
/// What the compiler or the linker says.
pub fn build(program: &Program<'_>, options: &Options) -> Result<Vec<u8>, String> {
    let compiled = elfin_compiler::compile_program(program, options, &Silent)
        .map_err(|error| explain(&error))?;
    link(&compiled, options.arch, &policy::encode([])).map_err(|error| format!("linking: {error}"))
}

/// An error of the compiler with its place.
pub(crate) fn explain(error: &elfin_compiler::Error) -> String {
    let place = error.place().map(ToString::to_string).unwrap_or_default();
    format!("{error} ({place})")
}

/// Links a compiled program with the runtime and a policy block.
pub(crate) fn link(
    program: &CompiledProgram,
    arch: Arch,
    policy: &[u8],
) -> Result<Vec<u8>, linker::Error> {
    Ok(elfin_image::link(program, policy, arch)?.bytes)
}

/// Writes an executable that is to be run.
pub(crate) fn write_executable(path: &Path, executable: &[u8]) -> Result<(), String> {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    std::fs::write(path, executable)
        .and_then(|()| std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)))
        .map_err(|e| format!("cannot write the executable: {e}"))
}

/// Runs the executable of a script, which was made with these options.
///
/// # Errors
/// When it can't be started, or prints what no script prints.
pub fn run(executable: &[u8], options: &Options) -> Result<Run, String> {
    let arch = options.arch;
    let native = arch.name() == std::env::consts::ARCH;
    let folder = tempfile::tempdir().map_err(|e| format!("cannot make a directory: {e}"))?;
    let path = folder.path().join("script");
    write_executable(&path, executable)?;

    let mut command = if native {
        Command::new(&path)
    } else {
        let mut command = Command::new(format!("qemu-{}", arch.name()));
        // Emulation leaves vectors out unless it is told; wider ones than needed show what depends on the width. The
        // smaller extensions are reported to programs from qemu 8.1 on, which has a CPU with all of them.
        let small = [Feature::Zba, Feature::Zbb, Feature::Zbs, Feature::Zicond];
        if small.into_iter().any(|feature| options.cpu.has(feature)) {
            command.args(["-cpu", "max,vlen=256"]);
        } else if options.cpu.has(Feature::V) {
            command.args(["-cpu", "rv64,v=true,vext_spec=v1.0,vlen=256"]);
        }
        command.arg(&path);
        command
    };
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut process = {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        command
            .spawn()
            .map_err(|e| format!("cannot start {}: {e}", command.get_program().display()))?
    };
    let (Some(stdout), Some(stderr)) = (process.stdout.take(), process.stderr.take()) else {
        return Err("the process has no output".to_owned());
    };
    let stdout = std::thread::spawn(move || read(stdout));
    let stderr = std::thread::spawn(move || read(stderr));

    let time = if native { TIME } else { TIME * EMULATED };
    let deadline = Instant::now() + time;
    let mut pause = Duration::from_micros(200);
    let status = loop {
        match process.try_wait() {
            Ok(Some(status)) => break Some(status),
            Ok(None) if Instant::now() < deadline => {
                std::thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(20));
            }
            Ok(None) => {
                // Both may fail only because it ended by itself just now.
                let _ = process.kill();
                let _ = process.wait();
                break None;
            }
            Err(error) => return Err(format!("cannot wait for the process: {error}")),
        }
    };
    let stdout = stdout.join().map_err(|_| "a reader panicked")??;
    let stderr = stderr.join().map_err(|_| "a reader panicked")??;
    let failure = match status {
        Some(status) if status.success() && stderr.is_empty() => None,
        Some(status) => Some(format!("{status}: {}", stderr.trim_end())),
        None => Some(format!("it ran longer than {} s", time.as_secs())),
    };
    Ok(Run {
        lines: stdout.lines().map(line).collect::<Result<_, _>>()?,
        failure,
    })
}

fn read(mut stream: impl std::io::Read) -> Result<String, String> {
    let mut text = String::new();
    stream
        .read_to_string(&mut text)
        .map_err(|e| format!("cannot read its output: {e}"))?;
    Ok(text)
}

/// Reads a line of output.
fn line(line: &str) -> Result<(u32, Printed), String> {
    let error = || format!("it printed a line that no script prints: {line:?}");
    let mut words = line.split(' ');
    let id = words
        .next()
        .and_then(|w| w.parse().ok())
        .ok_or_else(error)?;
    let printed = match words.next() {
        Some("done") => {
            let slots = words.by_ref().map(|w| u128::from_str_radix(w, 16));
            Printed::Done(slots.collect::<Result<_, _>>().map_err(|_| error())?)
        }
        Some("trap") => {
            let code = words.next().and_then(|w| w.parse().ok());
            Printed::Trap(code.and_then(TrapCode::from_u8).ok_or_else(error)?)
        }
        Some("exception") => Printed::Exception,
        Some("unlinkable") => Printed::Unlinkable,
        _ => return Err(error()),
    };
    match words.next() {
        None => Ok((id, printed)),
        Some(_) => Err(error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read() {
        assert_eq!(line("3 done"), Ok((3, Printed::Done(Vec::new()))));
        let slots = vec![0x1f, 1 << 64];
        assert_eq!(
            line("40 done 1f 10000000000000000"),
            Ok((40, Printed::Done(slots)))
        );
        assert_eq!(
            line("0 trap 10"),
            Ok((0, Printed::Trap(TrapCode::StackExhausted)))
        );
        assert_eq!(line("9 unlinkable"), Ok((9, Printed::Unlinkable)));
        assert_eq!(line("9 exception"), Ok((9, Printed::Exception)));
        for wrong in [
            "",
            "x done",
            "1",
            "1 trap 99",
            "1 done g",
            "1 trap 1 2",
            "1 other",
        ] {
            assert!(line(wrong).is_err(), "{wrong:?}");
        }
    }
}

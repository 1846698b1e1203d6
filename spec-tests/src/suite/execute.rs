//! A program and its expectation → the first thing that is not as expected.
//!
//! In: a program, what to do with it, a configuration. Out: nothing, or why it failed. The executable runs
//! in a scratch directory that holds a copy of each granted directory, so that a program never sees what
//! another one, or itself on another machine, has left behind.

use super::expect::{Expectation, Operation, Stream};
use super::{Config, Program, build, old_kernel};
use crate::driver::{self, ALONE};
use elfin_abi::policy::Entry;
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a program may run.
const TIME: Duration = Duration::from_secs(60);

/// Runs `program` and compares.
///
/// # Errors
/// The first thing that is not as expected.
pub fn execute(
    program: &Program,
    expectation: &Expectation,
    config: &Config,
) -> Result<(), String> {
    let run = &expectation.run;
    let native = config.arch.name() == std::env::consts::ARCH;
    let scratch = tempfile::tempdir().map_err(|e| format!("cannot make a directory: {e}"))?;

    let home = program.module.parent().unwrap_or(Path::new("."));
    let mut hosts = Vec::new();
    for (index, (from, _)) in run.dirs.iter().enumerate() {
        let host = format!("dir-{index}");
        copy(&home.join(from), &scratch.path().join(&host))
            .map_err(|e| format!("cannot copy directory {from}: {e}"))?;
        hosts.push(host);
    }
    let mut env: Vec<String> = run.env.iter().map(|(k, v)| format!("{k}={v}")).collect();
    // Only where it is looked for: some programs count what is in their environment.
    let module = std::fs::read(&program.module).map_err(|error| error.to_string())?;
    let mode = b"ERRNO_MODE_UNIX";
    if config.strict && module.windows(mode.len()).any(|window| window == mode) {
        env.push("ERRNO_MODE_UNIX=1".to_owned());
    }
    let dirs = hosts
        .iter()
        .zip(&run.dirs)
        .map(|(host, (_, guest))| Entry::Dir {
            host: host.as_bytes(),
            guest: guest.as_bytes(),
            read_only: false,
        });
    let env = env.iter().map(|pair| Entry::Env(pair.as_bytes()));
    let executable = build(&program.module, config.arch, dirs.chain(env))?;
    let path = scratch.path().join("program");
    driver::write_executable(&path, &executable)?;

    let name = program.module.file_name().unwrap_or_default();
    let mut command = if native {
        let mut command = Command::new(&path);
        command.arg0(name);
        command
    } else {
        let mut command = Command::new(format!("qemu-{}", config.arch.name()));
        command.arg("-0").arg(name).arg(&path);
        command
    };
    command
        .args(&run.args)
        .current_dir(scratch.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if config.old_kernel && native {
        old_kernel::pretend(&mut command);
    }
    let limit = if native {
        TIME
    } else {
        TIME * driver::EMULATED
    };
    let mut process = Process::start(&mut command, limit)?;
    let compared = process
        .follow(&expectation.operations)
        .and_then(|()| process.end(expectation.exit_code));
    compared.map_err(|error| process.explain(error))
}

/// Copies a directory with everything in it. Links stay links; what an earlier run of a suite was to clean
/// up (`*.cleanup`) is left out.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if path
            .extension()
            .is_some_and(|extension| extension == "cleanup")
        {
        } else if kind.is_symlink() {
            symlink(std::fs::read_link(path)?, to)?;
        } else if kind.is_dir() {
            copy(&path, &to)?;
        } else {
            std::fs::copy(path, to)?;
        }
    }
    Ok(())
}

/// A process on its way, and what it has printed so far.
struct Process {
    child: Child,
    outputs: [Arc<Output>; 2],
    deadline: Instant,
    status: Option<ExitStatus>,
}

/// What came out of a stream.
#[derive(Default)]
struct Output {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    /// How much of it was compared already.
    compared: usize,
    ended: bool,
}

impl Output {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `enough` says so, the stream ends, or the deadline passes.
    fn wait(&self, deadline: Instant, enough: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        while !state.ended && !enough(&state) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        state
    }

    fn collect(&self, mut stream: impl Read) {
        let mut buffer = [0; 4096];
        loop {
            let read = stream.read(&mut buffer);
            let mut state = self.lock();
            match read {
                Ok(0) | Err(_) => state.ended = true,
                Ok(len) => state.bytes.extend_from_slice(&buffer[..len]),
            }
            self.changed.notify_all();
            if state.ended {
                return;
            }
        }
    }
}

impl Process {
    fn start(command: &mut Command, limit: Duration) -> Result<Self, String> {
        let mut child = {
            let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
            command
                .spawn()
                .map_err(|e| format!("cannot start {}: {e}", command.get_program().display()))?
        };
        let outputs = [Arc::default(), Arc::default()];
        let [out, err]: &[Arc<Output>; 2] = &outputs;
        if let Some(stream) = child.stdout.take() {
            let output = Arc::clone(out);
            std::thread::spawn(move || output.collect(stream));
        }
        if let Some(stream) = child.stderr.take() {
            let output = Arc::clone(err);
            std::thread::spawn(move || output.collect(stream));
        }
        Ok(Self {
            child,
            outputs,
            deadline: Instant::now() + limit,
            status: None,
        })
    }

    fn output(&self, stream: Stream) -> &Output {
        let [out, err] = &self.outputs;
        match stream {
            Stream::Stdout => out,
            Stream::Stderr => err,
        }
    }

    /// Does one thing after the other.
    fn follow(&mut self, operations: &[Operation]) -> Result<(), String> {
        // Outputs that are compared whole end with the program, which may wait for the end of its input.
        if !operations
            .iter()
            .any(|operation| matches!(operation, Operation::Write(_)))
        {
            drop(self.child.stdin.take());
        }
        for operation in operations {
            match operation {
                Operation::Write(text) => {
                    let stdin = self.child.stdin.as_mut();
                    stdin
                        .ok_or("standard input is closed")?
                        .write_all(text.as_bytes())
                        .map_err(|e| format!("cannot write to standard input: {e}"))?;
                }
                Operation::Read(stream, expected) => {
                    let mut state = self.output(*stream).wait(self.deadline, |state| {
                        state.bytes.len() - state.compared >= expected.len()
                    });
                    let fresh = &state.bytes[state.compared..];
                    let fresh = &fresh[..expected.len().min(fresh.len())];
                    if fresh != expected.as_bytes() {
                        return Err(differs(*stream, expected, fresh));
                    }
                    state.compared += expected.len();
                }
                Operation::ReadAll(stream, expected) => {
                    let state = self.output(*stream).wait(self.deadline, |_| false);
                    if state.bytes != expected.as_bytes() {
                        return Err(differs(*stream, expected, &state.bytes));
                    }
                }
            }
        }
        Ok(())
    }

    /// Waits for the end.
    fn end(&mut self, expected: i64) -> Result<(), String> {
        drop(self.child.stdin.take());
        let mut pause = Duration::from_micros(200);
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if Instant::now() < self.deadline => {
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(Duration::from_millis(20));
                }
                Ok(None) => return Err("it ran too long".to_owned()),
                Err(error) => return Err(format!("cannot wait for it: {error}")),
            }
        };
        self.status = Some(status);
        // Killed by a signal: its number, negated, as the suite's own runner has it.
        let code = status
            .code()
            .unwrap_or_else(|| -status.signal().unwrap_or(0));
        if i64::from(code) == expected {
            Ok(())
        } else {
            Err(format!("exit code: expected {expected}, got {code}"))
        }
    }

    /// Adds what the program had to say.
    fn explain(&self, mut error: String) -> String {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let state = self.output(stream).wait(Instant::now(), |_| true);
            if !state.bytes.is_empty() {
                let text = String::from_utf8_lossy(&state.bytes);
                error += &format!("\n  {}: {}", stream.name(), text.trim_end().escape_debug());
            }
        }
        error
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.status.is_none() {
            // Both may fail only because it ended by itself just now.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn differs(stream: Stream, expected: &str, got: &[u8]) -> String {
    format!(
        "{}: expected {expected:?}, got {:?}",
        stream.name(),
        String::from_utf8_lossy(got)
    )
}

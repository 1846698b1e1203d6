//! Clocks and counters of child processes. The only unsafe code of the benches, all of it libc.
//!
//! Enters: a command; leaves: how long it took, on whose time, and how much memory it had.
//!
//! # Safety
//! Every call here passes pointers to locals that outlive the call; nothing is kept by the callee
//! except the file actions, which are destroyed before they go out of scope.

use std::ffi::{CStr, CString, c_char};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// What a child used from spawn to reap.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// Wall time.
    pub(crate) wall: Duration,
    /// CPU time in user mode.
    pub(crate) user: Duration,
    /// CPU time in the kernel.
    pub(crate) system: Duration,
    /// Peak resident bytes. Includes the spawning process at the moment of exec, so it is only
    /// meaningful for children larger than this program (a few MiB).
    pub(crate) peak: u64,
}

impl Usage {
    /// CPU time in all.
    pub(crate) fn cpu(&self) -> Duration {
        self.user + self.system
    }
}

fn os_error(what: &str) -> Error {
    Error::new(format!("{what}: {}", std::io::Error::last_os_error()))
}

/// Runs a command to its end; anything but status 0 is an error.
pub(crate) fn run(command: &mut Command) -> Result<Usage> {
    let start = Instant::now();
    let child = command
        .spawn()
        .map_err(|e| Error::new(format!("cannot run {command:?}: {e}")))?;
    let (status, usage) = reap(child.id().cast_signed())?;
    let wall = start.elapsed();
    if !status.success() {
        return Err(Error::new(format!(
            "{}: {status}",
            command.get_program().display()
        )));
    }
    let duration = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec.cast_unsigned())
            + Duration::from_micros(time.tv_usec.cast_unsigned())
    };
    Ok(Usage {
        wall,
        user: duration(usage.ru_utime),
        system: duration(usage.ru_stime),
        peak: usage.ru_maxrss.cast_unsigned() * 1024,
    })
}

/// What a command prints; anything but status 0 is an error that says what it had to say.
pub(crate) fn output_of(mut command: Command) -> Result<Vec<u8>> {
    let output = command.stdin(Stdio::null()).output().map_err(|e| {
        Error::new(format!(
            "cannot run {}: {e}",
            command.get_program().display()
        ))
    })?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    // On one line, without the backtrace that wasmtime adds when it is told to.
    let lines: Vec<&str> = said
        .lines()
        .map(str::trim)
        .take_while(|line| *line != "Stack backtrace:")
        .filter(|line| !line.is_empty() && *line != "Caused by:")
        .collect();
    Err(Error::new(format!(
        "{}: {}",
        output.status,
        lines.join(" ")
    )))
}

fn reap(pid: libc::pid_t) -> Result<(ExitStatus, libc::rusage)> {
    let mut status = 0;
    // SAFETY: all zeros is a valid rusage.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to locals.
    if unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) } != pid {
        return Err(os_error("wait4"));
    }
    Ok((ExitStatus::from_raw(status), usage))
}

/// A program to be started many times, with everything prepared that can be.
pub(crate) struct Starter {
    path: CString,
    arguments: Vec<CString>,
}

impl Starter {
    /// Prepares a program with arguments (its own name is added).
    pub(crate) fn new(path: &Path, arguments: &[&str]) -> Result<Self> {
        let text = |bytes: &[u8]| {
            CString::new(bytes).map_err(|e| Error::new(format!("{}: {e}", path.display())))
        };
        let path = text(path.as_os_str().as_bytes())?;
        let arguments = std::iter::once(Ok(path.clone()))
            .chain(arguments.iter().map(|argument| text(argument.as_bytes())))
            .collect::<Result<_>>()?;
        Ok(Self { path, arguments })
    }

    /// From the call of posix_spawn (vfork and exec) to the end of waitpid; standard output goes
    /// nowhere, the environment is empty.
    pub(crate) fn start_to_reap(&self) -> Result<Duration> {
        const NOWHERE: &CStr = c"/dev/null";
        let mut argv: Vec<*mut c_char> = self
            .arguments
            .iter()
            .map(|a| a.as_ptr().cast_mut())
            .collect();
        argv.push(std::ptr::null_mut());
        let environment: [*mut c_char; 1] = [std::ptr::null_mut()];
        let mut pid = 0;
        let mut status = 0;
        // SAFETY: all zeros is what posix_spawn_file_actions_init starts from.
        let mut actions: libc::posix_spawn_file_actions_t = unsafe { std::mem::zeroed() };
        // SAFETY: `actions` is a local, destroyed below.
        unsafe {
            libc::posix_spawn_file_actions_init(&raw mut actions);
            libc::posix_spawn_file_actions_addopen(
                &raw mut actions,
                1,
                NOWHERE.as_ptr(),
                libc::O_WRONLY,
                0,
            );
        }
        let start = Instant::now();
        // SAFETY: argv and the environment end in a null pointer and outlive the call.
        let failed = unsafe {
            libc::posix_spawn(
                &raw mut pid,
                self.path.as_ptr(),
                &raw const actions,
                std::ptr::null(),
                argv.as_ptr(),
                environment.as_ptr(),
            )
        };
        // SAFETY: the child was just started and belongs to nobody else.
        let reaped = failed == 0 && unsafe { libc::waitpid(pid, &raw mut status, 0) } == pid;
        let took = start.elapsed();
        // SAFETY: initialised above.
        unsafe { libc::posix_spawn_file_actions_destroy(&raw mut actions) };
        if failed != 0 {
            let error = std::io::Error::from_raw_os_error(failed);
            return Err(Error::new(format!(
                "cannot start {}: {error}",
                self.path.to_string_lossy()
            )));
        }
        if !reaped {
            return Err(os_error("waitpid"));
        }
        let status = ExitStatus::from_raw(status);
        if !status.success() {
            return Err(Error::new(format!(
                "{}: {status}",
                self.path.to_string_lossy()
            )));
        }
        Ok(took)
    }
}

/// Peak resident bytes of a program alone, read from `/proc` while it is stopped at its exit. (What
/// wait4 reports begins with the size of whoever called exec.)
pub(crate) fn peak_memory(command: &mut Command) -> Result<u64> {
    // SAFETY: ptrace(PTRACE_TRACEME) is async-signal-safe and touches no memory of ours.
    unsafe {
        command.pre_exec(|| match libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) {
            -1 => Err(std::io::Error::last_os_error()),
            _ => Ok(()),
        });
    }
    let child = command
        .spawn()
        .map_err(|e| Error::new(format!("cannot run {command:?}: {e}")))?;
    let pid = child.id().cast_signed();
    let mut peak = None;
    let mut started = false;
    loop {
        let (status, _) = reap(pid)?;
        let Some(signal) = status.stopped_signal() else {
            if !status.success() {
                return Err(Error::new(format!(
                    "{}: {status}",
                    command.get_program().display()
                )));
            }
            return peak.ok_or_else(|| Error::new("the program ended without a stop at its exit"));
        };
        let mut deliver = signal;
        if !started {
            // The stop at exec: from here on, stop at the exit as well.
            started = true;
            deliver = 0;
            // SAFETY: the child is stopped and traced by this thread.
            if unsafe { libc::ptrace(libc::PTRACE_SETOPTIONS, pid, 0, libc::PTRACE_O_TRACEEXIT) }
                == -1
            {
                return Err(os_error("PTRACE_SETOPTIONS"));
            }
        } else if status.into_raw() >> 8 == libc::SIGTRAP | libc::PTRACE_EVENT_EXIT << 8 {
            deliver = 0;
            peak = Some(high_water_mark(pid)?);
        }
        // SAFETY: the child is stopped and traced by this thread.
        if unsafe { libc::ptrace(libc::PTRACE_CONT, pid, 0, deliver) } == -1 {
            return Err(os_error("PTRACE_CONT"));
        }
    }
}

fn high_water_mark(pid: libc::pid_t) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let status = std::fs::read_to_string(&path).map_err(|e| Error::new(format!("{path}: {e}")))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: Option<u64> =
        line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok());
    kib.map(|kib| kib * 1024)
        .ok_or_else(|| Error::new(format!("{path} has no VmHWM")))
}

fn allowed_cpus() -> Result<libc::cpu_set_t> {
    // SAFETY: all zeros is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set is a local of the size given.
    if unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) } != 0 {
        return Err(os_error("sched_getaffinity"));
    }
    Ok(set)
}

/// The last processor that this process may run on: the first one takes most interrupts.
pub(crate) fn last_allowed_cpu() -> Result<usize> {
    let set = allowed_cpus()?;
    // SAFETY: the index is below the size of the set.
    let allowed = |cpu: &usize| unsafe { libc::CPU_ISSET(*cpu, &set) };
    let last = (0..libc::CPU_SETSIZE.cast_unsigned() as usize)
        .rev()
        .find(allowed);
    last.ok_or_else(|| Error::new("no processor allowed"))
}

/// Keeps this process, and the children started from now on, on one processor.
pub(crate) fn pin(cpu: usize) -> Result<()> {
    // SAFETY: all zeros is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: CPU_SET checks the index against the size of the set.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: the set is a local of the size given.
    if unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) } != 0 {
        return Err(os_error(&format!("cannot run on processor {cpu}")));
    }
    Ok(())
}

/// The machine in one line: processor, how many, system.
pub(crate) fn describe_machine() -> String {
    let file = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = file("/proc/cpuinfo");
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or(std::env::consts::ARCH, |(_, name)| name.trim());
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    format!(
        "{model}, {count} CPUs, Linux {}",
        file("/proc/sys/kernel/osrelease").trim()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_of_a_child() {
        let usage = run(Command::new("/bin/true").arg("x")).unwrap();
        assert!(usage.wall > Duration::ZERO && usage.peak > 0);
        assert!(run(&mut Command::new("/bin/false")).is_err());
    }

    #[test]
    fn starting_and_reaping() {
        let starter = Starter::new(Path::new("/bin/echo"), &["hello"]).unwrap();
        assert!(starter.start_to_reap().unwrap() > Duration::ZERO);
        assert!(
            Starter::new(Path::new("/nowhere"), &[])
                .unwrap()
                .start_to_reap()
                .is_err()
        );
    }

    #[test]
    fn peak_memory_is_the_program_s_own() {
        // Larger than `true` can be; must not appear in its figure.
        let ballast = vec![1_u8; 64 << 20];
        let peak = peak_memory(&mut Command::new("/bin/true")).unwrap();
        assert!(
            peak > 0 && peak < 16 << 20,
            "{peak} with {} of ballast",
            ballast.len()
        );
    }
}

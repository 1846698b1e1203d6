//! A process that sees a kernel before Linux 5.6: `openat2` is missing, and the runtime walks paths itself.
//!
//! In: a command. Out: the same, started under a seccomp filter that answers `openat2` with ENOSYS. So the
//! executables that are shipped run their other resolver, natively and at full speed, and nothing is built
//! differently for the test.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Lets the processes of `command` see an old kernel.
pub fn pretend(command: &mut Command) {
    // SAFETY: between fork and exec only two system calls are made; nothing is allocated or locked.
    unsafe { command.pre_exec(hide_openat2) };
}

/// `BPF_LD | BPF_W | BPF_ABS`: the system call's number is the first word that a filter sees.
const LOAD_NUMBER: libc::sock_filter = statement(0x20, 0);

const fn statement(code: u16, k: u32) -> libc::sock_filter {
    libc::sock_filter {
        code,
        jt: 0,
        jf: 0,
        k,
    }
}

fn hide_openat2() -> io::Result<()> {
    let is_openat2 = libc::sock_filter {
        code: 0x15, // BPF_JMP | BPF_JEQ | BPF_K
        jt: 0,
        jf: 1,
        k: libc::SYS_openat2 as u32,
    };
    let mut filter = [
        LOAD_NUMBER,
        is_openat2,
        statement(0x06, libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32), // BPF_RET
        statement(0x06, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: takes no pointers.
    if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the program and its filter live through the call, which copies them.
    let installed = unsafe {
        libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::SECCOMP_MODE_FILTER,
            &raw const program,
        )
    };
    if installed != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

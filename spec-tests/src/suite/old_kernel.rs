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
    answer(command, libc::SYS_openat2, libc::ENOSYS);
}

/// Lets a system call of the processes of `command` fail with `errno`, without the kernel's having tried.
pub fn answer(command: &mut Command, number: libc::c_long, errno: i32) {
    // SAFETY: between fork and exec only two system calls are made; nothing is allocated or locked.
    unsafe { command.pre_exec(move || filter(number as u32, errno as u32)) };
}

const fn statement(code: u16, k: u32) -> libc::sock_filter {
    libc::sock_filter {
        code,
        jt: 0,
        jf: 0,
        k,
    }
}

fn filter(number: u32, errno: u32) -> io::Result<()> {
    let is_it = libc::sock_filter {
        code: 0x15, // BPF_JMP | BPF_JEQ | BPF_K
        jt: 0,
        jf: 1,
        k: number,
    };
    let mut filter = [
        statement(0x20, 0), // BPF_LD | BPF_W | BPF_ABS: the number is the first word that a filter sees
        is_it,
        statement(0x06, libc::SECCOMP_RET_ERRNO | errno), // BPF_RET
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

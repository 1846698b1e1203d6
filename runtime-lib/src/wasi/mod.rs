//! WASI preview 1, one file a family. Every function is `extern "C"`, named by `elfin_abi::host`, and
//! stands in a section of its own: an executable holds only what its guest imports, so no table may
//! name several of them.
//! Spec: <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md>.
//!
//! A host function checks everything that could fail without the kernel (guest pointers for results
//! included) before its first system call: one that fails has done nothing.
//!
//! System calls that each may make, for a filter. **P**, what finds a path: `openat2`, and `openat`,
//! `readlinkat` where that is missing; `fstatfs`, `close`.
//!
//! | function | system calls |
//! |---|---|
//! | `args_*`, `environ_*`, `fd_prestat_*`, `fd_fdstat_set_rights` | none |
//! | `clock_res_get`; `clock_time_get` | `clock_getres`; `clock_gettime` (where the vDSO can't) |
//! | `fd_advise`; `fd_allocate` | `fadvise64`; `fallocate` |
//! | `fd_close`, `fd_renumber` | `close` |
//! | `fd_datasync`; `fd_sync` | `fdatasync`; `fsync` |
//! | `fd_fdstat_get`; `fd_fdstat_set_flags` | `fstat`, `getsockopt`, `lseek`, `fcntl`; `fcntl` |
//! | `fd_filestat_get`; `_set_size`; `_set_times` | `fstat`, `getsockopt`; `ftruncate`; `utimensat` |
//! | `fd_read`; `fd_write`; `fd_pread`; `fd_pwrite` | `readv`; `writev`; `preadv`; `pwritev` |
//! | `fd_readdir`; `fd_seek`, `fd_tell` | `lseek`, `getdents64`, `fstat`; `lseek` |
//! | `path_create_directory`; `path_remove_directory` | P, `mkdirat`; P, `unlinkat` |
//! | `path_filestat_get`; `_set_times` | P, `newfstatat`, `readlinkat`; and `utimensat` |
//! | `path_link`; `path_symlink` | P, `newfstatat`, `readlinkat`, `linkat`; P, `newfstatat`, `symlinkat` |
//! | `path_open` | P, `openat`, `readlinkat`, `fstat`, `fcntl` |
//! | `path_readlink` | P, `newfstatat`, `readlinkat` |
//! | `path_rename` | P, `newfstatat`, `renameat` (riscv64: `renameat2`) |
//! | `path_unlink_file` | P, `newfstatat`, `unlinkat` |
//! | `poll_oneoff` | `ppoll`, `clock_nanosleep`, `clock_gettime`, `ioctl` (`FIONREAD`) |
//! | `proc_exit`; `proc_raise` | `exit_group`; and `getpid`, `kill` |
//! | `random_get`; `sched_yield` | `getrandom`; `sched_yield` |
//! | `sock_accept` | `accept4`, `fcntl`, `close` |
//! | `sock_recv`; `sock_send`; `sock_shutdown` | `recvmsg`; `sendmsg`; `shutdown` |
//! | `wasi.thread-spawn` (`crate::threads`) | `mmap`, `clone`, `munmap`, `sched_yield`; a thread: `sigaltstack`, `munmap`, `exit` |
//! | with threads: all; `fd_close`, `fd_renumber` | `futex`; `dup3` |
//! | set-up, before a filter | `fcntl`, `openat`, `close_range`, `fstatfs`, `close`, `socket`, `setsockopt`, `bind`, `listen` |
//!
//! Functions of `wasi_unstable` make the calls of their namesakes.

pub mod args;
pub mod clock;
pub mod environ;
pub mod fd;
pub mod listen;
pub mod narrow;
pub mod path;
pub mod poll;
pub mod proc;
pub mod random;
pub mod sched;
pub mod setup;
pub mod sock;
pub mod unstable;

use crate::errno::Errno;
use crate::guest::Memory;

/// Number of `strings` and of their bytes, NULs included.
fn list_sizes<'a>(
    memory: Memory,
    strings: impl Iterator<Item = &'a [u8]>,
    count: u32,
    size: u32,
) -> Result<(), Errno> {
    let (mut strings_seen, mut bytes_seen) = (0_u64, 0_u64);
    for string in strings {
        strings_seen += 1;
        bytes_seen += string.len() as u64 + 1;
    }
    let strings_seen = u32::try_from(strings_seen).map_err(|_| Errno::Overflow)?;
    let bytes_seen = u32::try_from(bytes_seen).map_err(|_| Errno::Overflow)?;
    memory.check::<u32>(size, 1)?;
    memory.store(count, strings_seen)?;
    memory.store(size, bytes_seen)
}

/// `strings` at `bytes`, each ended by NUL; pointers to them at `pointers`.
fn list_get<'a>(
    memory: Memory,
    strings: impl Iterator<Item = &'a [u8]>,
    pointers: u32,
    mut bytes: u32,
) -> Result<(), Errno> {
    for (index, string) in strings.enumerate() {
        let len = u32::try_from(string.len()).map_err(|_| Errno::Overflow)?;
        let nul = bytes.checked_add(len).ok_or(Errno::Fault)?;
        memory.store_nth(pointers, index as u32, bytes)?;
        memory.copy_out(bytes, string)?;
        memory.store(nul, 0_u8)?;
        bytes = nul.checked_add(1).ok_or(Errno::Fault)?;
    }
    Ok(())
}

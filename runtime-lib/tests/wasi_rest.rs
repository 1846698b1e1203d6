//! `args_*`, `environ_*`, `clock_*`, `proc_*`, `random_*`, `sched_*`, `sock_*`; set-up; and that every
//! function of the contract is there with its signature.

mod support;

use elfin_abi::host::{HOST_FUNCTIONS, ValType};
use elfin_abi::policy::Entry;
use elfin_runtime::errno::Errno;
use elfin_runtime::guest::Memory;
use elfin_runtime::wasi::args::*;
use elfin_runtime::wasi::clock::*;
use elfin_runtime::wasi::environ::*;
use elfin_runtime::wasi::fd::*;
use elfin_runtime::wasi::path::*;
use elfin_runtime::wasi::poll::*;
use elfin_runtime::wasi::proc::*;
use elfin_runtime::wasi::random::*;
use elfin_runtime::wasi::sched::*;
use elfin_runtime::wasi::sock::*;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::Command;
use support::*;

trait Value {
    const TYPE: ValType;
}
impl Value for u32 {
    const TYPE: ValType = ValType::I32;
}
impl Value for i32 {
    const TYPE: ValType = ValType::I32;
}
impl Value for u64 {
    const TYPE: ValType = ValType::I64;
}
impl Value for i64 {
    const TYPE: ValType = ValType::I64;
}

/// Parameters and whether it returns.
type Signature = (Vec<ValType>, bool);

trait HostFunction {
    fn signature(&self) -> Signature;
}

macro_rules! host_function {
    ($($param:ident)*) => {
        impl<$($param: Value),*> HostFunction for extern "C" fn(Memory, $($param),*) -> i32 {
            fn signature(&self) -> Signature { (vec![$($param::TYPE),*], true) }
        }
    };
}
host_function!();
host_function!(A);
host_function!(A B);
host_function!(A B C);
host_function!(A B C D);
host_function!(A B C D E);
host_function!(A B C D E F);
host_function!(A B C D E F G);
host_function!(A B C D E F G H);
host_function!(A B C D E F G H I);

impl HostFunction for extern "C" fn(Memory, u32) -> ! {
    fn signature(&self) -> Signature {
        (vec![ValType::I32], false)
    }
}

macro_rules! functions {
    ($($name:ident($($param:tt)*) -> $result:ty;)*) => {
        [$((stringify!($name), ($name as extern "C" fn(Memory, $($param)*) -> $result).signature()),)*]
    };
}

#[test]
fn every_function_of_the_contract_is_there() {
    let ours: BTreeMap<_, _> = functions! {
        elfin_wasi_args_get(u32, u32) -> i32;
        elfin_wasi_args_sizes_get(u32, u32) -> i32;
        elfin_wasi_environ_get(u32, u32) -> i32;
        elfin_wasi_environ_sizes_get(u32, u32) -> i32;
        elfin_wasi_clock_res_get(u32, u32) -> i32;
        elfin_wasi_clock_time_get(u32, u64, u32) -> i32;
        elfin_wasi_fd_advise(u32, u64, u64, u32) -> i32;
        elfin_wasi_fd_allocate(u32, u64, u64) -> i32;
        elfin_wasi_fd_close(u32) -> i32;
        elfin_wasi_fd_datasync(u32) -> i32;
        elfin_wasi_fd_fdstat_get(u32, u32) -> i32;
        elfin_wasi_fd_fdstat_set_flags(u32, u32) -> i32;
        elfin_wasi_fd_fdstat_set_rights(u32, u64, u64) -> i32;
        elfin_wasi_fd_filestat_get(u32, u32) -> i32;
        elfin_wasi_fd_filestat_set_size(u32, u64) -> i32;
        elfin_wasi_fd_filestat_set_times(u32, u64, u64, u32) -> i32;
        elfin_wasi_fd_pread(u32, u32, u32, u64, u32) -> i32;
        elfin_wasi_fd_prestat_get(u32, u32) -> i32;
        elfin_wasi_fd_prestat_dir_name(u32, u32, u32) -> i32;
        elfin_wasi_fd_pwrite(u32, u32, u32, u64, u32) -> i32;
        elfin_wasi_fd_read(u32, u32, u32, u32) -> i32;
        elfin_wasi_fd_readdir(u32, u32, u32, u64, u32) -> i32;
        elfin_wasi_fd_renumber(u32, u32) -> i32;
        elfin_wasi_fd_seek(u32, i64, u32, u32) -> i32;
        elfin_wasi_fd_sync(u32) -> i32;
        elfin_wasi_fd_tell(u32, u32) -> i32;
        elfin_wasi_fd_write(u32, u32, u32, u32) -> i32;
        elfin_wasi_path_create_directory(u32, u32, u32) -> i32;
        elfin_wasi_path_filestat_get(u32, u32, u32, u32, u32) -> i32;
        elfin_wasi_path_filestat_set_times(u32, u32, u32, u32, u64, u64, u32) -> i32;
        elfin_wasi_path_link(u32, u32, u32, u32, u32, u32, u32) -> i32;
        elfin_wasi_path_open(u32, u32, u32, u32, u32, u64, u64, u32, u32) -> i32;
        elfin_wasi_path_readlink(u32, u32, u32, u32, u32, u32) -> i32;
        elfin_wasi_path_remove_directory(u32, u32, u32) -> i32;
        elfin_wasi_path_rename(u32, u32, u32, u32, u32, u32) -> i32;
        elfin_wasi_path_symlink(u32, u32, u32, u32, u32) -> i32;
        elfin_wasi_path_unlink_file(u32, u32, u32) -> i32;
        elfin_wasi_poll_oneoff(u32, u32, u32, u32) -> i32;
        elfin_wasi_proc_exit(u32) -> !;
        elfin_wasi_proc_raise(u32) -> i32;
        elfin_wasi_random_get(u32, u32) -> i32;
        elfin_wasi_sched_yield() -> i32;
        elfin_wasi_sock_accept(u32, u32, u32) -> i32;
        elfin_wasi_sock_recv(u32, u32, u32, u32, u32, u32) -> i32;
        elfin_wasi_sock_send(u32, u32, u32, u32, u32) -> i32;
        elfin_wasi_sock_shutdown(u32, u32) -> i32;
    }
    .into_iter()
    .collect();
    let contract: BTreeMap<_, _> = HOST_FUNCTIONS
        .iter()
        .filter(|function| function.module == "wasi_snapshot_preview1")
        .map(|function| {
            assert_eq!(function.results.len(), usize::from(!function.noreturn));
            (
                function.symbol,
                (function.params.to_vec(), !function.noreturn),
            )
        })
        .collect();
    assert_eq!(ours, contract);
}

#[test]
fn the_environment_is_what_was_sealed() {
    let guest = Guest::with_policy(vec![
        Entry::Env(b"A=1"),
        Entry::InheritEnv(b"HOME"),
        Entry::Arg(b"x"),
        Entry::Env(b"LONGER=a=b"),
    ]);
    let memory = guest.memory();
    assert_eq!(elfin_wasi_environ_sizes_get(memory, RESULT, RESULT + 4), 0);
    assert_eq!((guest.u32(RESULT), guest.u32(RESULT + 4)), (2, 15));
    // Unaligned, and exactly at the end of the memory.
    assert_eq!(elfin_wasi_environ_get(memory, BUFFER + 1, SIZE - 15), 0);
    assert_eq!(
        (guest.u32(BUFFER + 1), guest.u32(BUFFER + 5)),
        (SIZE - 15, SIZE - 11)
    );
    assert_eq!(guest.bytes(SIZE - 15, 15), b"A=1\0LONGER=a=b\0");
    let fault = Errno::Fault as i32;
    assert_eq!(elfin_wasi_environ_get(memory, BUFFER, SIZE - 14), fault);
    assert_eq!(elfin_wasi_environ_get(memory, BUFFER, u32::MAX), fault);
    assert_eq!(elfin_wasi_environ_get(memory, SIZE - 7, BUFFER), fault);
    assert_eq!(elfin_wasi_environ_get(memory, u32::MAX - 3, BUFFER), fault);
    assert_eq!(
        elfin_wasi_environ_sizes_get(memory, SIZE - 3, RESULT),
        fault
    );
    assert_eq!(
        elfin_wasi_environ_sizes_get(memory, RESULT, SIZE - 3),
        fault
    );
    // A hosted build has no command line; the sealed arguments stand behind argv[0], so there are none.
    assert_eq!(elfin_wasi_args_sizes_get(memory, RESULT, RESULT + 4), 0);
    assert_eq!((guest.u32(RESULT), guest.u32(RESULT + 4)), (0, 0));
    assert_eq!(elfin_wasi_args_get(memory, u32::MAX, u32::MAX), 0);
}

#[test]
fn the_environment_is_empty_without_a_grant() {
    let mut guest = Guest::with_grants(&[]);
    guest.put(RESULT, &[0xaa; 8]);
    assert_eq!(
        elfin_wasi_environ_sizes_get(guest.memory(), RESULT, RESULT + 4),
        0
    );
    assert_eq!(guest.u64(RESULT), 0);
    assert_eq!(elfin_wasi_environ_get(guest.memory(), BUFFER, BUFFER), 0);
}

#[test]
fn four_clocks_go_forward() {
    let mut guest = Guest::with_grants(&[]);
    let memory = guest.memory();
    for clock in 0..4 {
        assert_eq!(elfin_wasi_clock_res_get(memory, clock, RESULT), 0);
        let resolution = guest.u64(RESULT);
        assert!((1..=1_000_000_000).contains(&resolution), "{resolution}");
        guest.put(RESULT, &[0; 8]);
        assert_eq!(
            elfin_wasi_clock_time_get(memory, clock, u64::MAX, RESULT + 1),
            0
        );
        let first = guest.u64(RESULT + 1);
        assert!(first > 0);
        assert_eq!(elfin_wasi_clock_time_get(memory, clock, 0, RESULT), 0);
        assert!(guest.u64(RESULT) >= first, "{clock}");
    }
    assert_eq!(elfin_wasi_clock_time_get(memory, 0, 0, RESULT), 0);
    let host = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_nanos();
    assert!(host.abs_diff(guest.u64(RESULT).into()) < 10_000_000_000);
    for clock in [4, 5, 11, 1 << 31, u32::MAX] {
        assert_eq!(
            elfin_wasi_clock_res_get(memory, clock, RESULT),
            Errno::Inval as i32
        );
        assert_eq!(
            elfin_wasi_clock_time_get(memory, clock, 0, RESULT),
            Errno::Inval as i32
        );
    }
    assert_eq!(
        elfin_wasi_clock_time_get(memory, 1, 0, SIZE - 7),
        Errno::Fault as i32
    );
    assert_eq!(
        elfin_wasi_clock_res_get(memory, 1, SIZE - 7),
        Errno::Fault as i32
    );
    assert_eq!(elfin_wasi_sched_yield(memory), 0);
}

#[test]
fn random_bytes_of_any_number() {
    let mut guest = Guest::with_grants(&[]);
    let memory = guest.memory();
    let fault = Errno::Fault as i32;
    for (at, len) in [
        (0, SIZE + 1),
        (1, SIZE),
        (SIZE, 1),
        (0, u32::MAX),
        (u32::MAX, 1),
        (u32::MAX, u32::MAX),
    ] {
        assert_eq!(elfin_wasi_random_get(memory, at, len), fault);
    }
    assert!(
        guest.bytes(0, SIZE).iter().all(|&byte| byte == 0),
        "something was written"
    );
    assert_eq!(elfin_wasi_random_get(memory, SIZE, 0), 0);
    assert_eq!(elfin_wasi_random_get(memory, BUFFER + 1, 100), 0);
    assert!(guest.bytes(BUFFER + 1, 100).iter().any(|&byte| byte != 0));
    assert_eq!(
        (guest.bytes(BUFFER, 1), guest.bytes(BUFFER + 101, 1)),
        (&[0][..], &[0][..])
    );
    // More than the kernel gives at a time.
    let len = 40 << 20;
    guest.set_memory(vec![0; len as usize]);
    assert_eq!(elfin_wasi_random_get(guest.memory(), 0, len), 0);
    for chunk in guest.bytes(0, len).chunks(64) {
        assert!(chunk.iter().any(|&byte| byte != 0));
    }
}

#[test]
fn signals_that_do_nothing() {
    let guest = Guest::with_grants(&[]);
    let memory = guest.memory();
    for (signal, expected) in [
        (0, 0),
        (13, 0),
        (16, 0),
        (17, 0),
        (22, 0),
        (27, 0),
        (31, Errno::Inval as i32),
        (u32::MAX, Errno::Inval as i32),
    ] {
        assert_eq!(elfin_wasi_proc_raise(memory, signal), expected, "{signal}");
    }
}

/// Runs this binary's test `name`, which is ignored otherwise, with a number for it.
fn child(name: &str, number: i32) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", name, "--ignored", "--nocapture"])
        .env("NUMBER", number.to_string());
    command
}

fn number() -> i32 {
    std::env::var("NUMBER").unwrap().parse().unwrap()
}

#[test]
#[ignore = "is the child of another test"]
fn child_that_exits() {
    elfin_wasi_proc_exit(Guest::with_grants(&[]).memory(), number() as u32);
}

#[test]
#[ignore = "is the child of another test"]
fn child_that_raises() {
    elfin_wasi_proc_raise(Guest::with_grants(&[]).memory(), number() as u32);
}

#[test]
fn processes_end_as_they_should() {
    alone();
    for (code, expected) in [
        (0, 0),
        (1, 1),
        (33, 33),
        (126, 126),
        (255, 255),
        (256, 0),
        (-1, 255),
    ] {
        assert_eq!(
            child("child_that_exits", code)
                .output()
                .unwrap()
                .status
                .code(),
            Some(expected)
        );
    }
    // abort, kill, segmentation fault, termination, system call: as a shell reports them.
    for (signal, expected) in [
        (6, 134),
        (9, 137),
        (11, 139),
        (15, 143),
        (23, 152),
        (30, 159),
    ] {
        assert_eq!(
            child("child_that_raises", signal)
                .output()
                .unwrap()
                .status
                .code(),
            Some(expected)
        );
    }
}

#[test]
fn a_stopped_guest_goes_on_when_it_is_continued() {
    alone();
    // The other three signals that stop do so only where a shell looks after the process's group.
    let mut child = child("child_that_raises", 18)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    let options = rustix::process::WaitOptions::UNTRACED;
    let (_, status) = rustix::process::waitpid(Some(pid), options)
        .unwrap()
        .unwrap();
    assert!(status.stopped());
    rustix::process::kill_process(pid, rustix::process::Signal::CONT).unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
#[ignore = "is the child of another test"]
fn child_that_sets_up() {
    use rustix::fd::BorrowedFd;
    static EMPTY: &[u8] = &[];
    elfin_runtime::policy::set(&EMPTY);
    // SAFETY: nothing in this process needs them any more; it ends below.
    let host = |number| unsafe { BorrowedFd::borrow_raw(number) };
    let kept = rustix::io::fcntl_dupfd_cloexec(host(1), 100).unwrap();
    std::mem::forget(kept);
    for number in 0..3 {
        // SAFETY: as above.
        unsafe { rustix::io::close(number) };
    }
    elfin_runtime::wasi::setup::elfin_setup_descriptors();
    let null = rustix::fs::stat("/dev/null").unwrap().st_rdev;
    for number in 0..3 {
        if rustix::fs::fstat(host(number)).map(|stat| stat.st_rdev) != Ok(null) {
            std::process::exit(10 + number);
        }
    }
    if rustix::fs::fstat(host(100)).is_ok() {
        std::process::exit(20);
    }
    // A file never gets a standard stream's number, whatever the guest closes.
    let guest = Guest::with_grants(&[(std::path::Path::new("/"), "/", false)]);
    let memory = guest.memory();
    for number in 0..3 {
        if elfin_wasi_fd_close(memory, number) != 0 {
            std::process::exit(30);
        }
    }
    let mut guest = guest;
    let fd = guest
        .path_open(3, 0, "etc/passwd", 0, rights::FD_READ, 0, 0)
        .unwrap_or(99);
    let code = match rustix::fs::fstat(host(0))
        .or(rustix::fs::fstat(host(1)))
        .or(rustix::fs::fstat(host(2)))
    {
        _ if fd != 4 => 31,
        Ok(_) => 32,
        Err(_) => 42,
    };
    std::process::exit(code);
}

#[test]
fn closed_streams_are_filled_and_inherited_files_closed() {
    alone();
    assert_eq!(
        child("child_that_sets_up", 0)
            .output()
            .unwrap()
            .status
            .code(),
        Some(42)
    );
}

#[test]
#[ignore = "is the child of another test"]
fn child_without_its_directory() {
    match number() {
        0 => drop(Guest::with_grants(&[(
            std::path::Path::new("/nowhere/\u{1b}[31m"),
            "/",
            false,
        )])),
        1 => drop(Guest::with_grants(&[(
            std::path::Path::new("/etc/passwd"),
            "/",
            false,
        )])),
        2 => drop(Guest::with_grants(&[(
            std::path::Path::new("/proc"),
            "/",
            true,
        )])),
        _ => drop(Guest::with_policy(vec![Entry::Dir {
            host: &[b'x'; 5000],
            guest: b"/",
            read_only: false,
        }])),
    }
}

#[test]
fn a_directory_that_is_not_there_ends_the_program() {
    alone();
    for (number, reason) in [
        (0, "/nowhere/\\x1b[31m: No such file or directory"),
        (1, "/etc/passwd: Not a directory"),
        (2, "/proc: a proc filesystem can't be granted"),
        (3, "x: File name too long"),
    ] {
        let output = child("child_without_its_directory", number)
            .output()
            .unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(
            message.starts_with("elfin: error: cannot open granted directory "),
            "{message}"
        );
        assert!(message.ends_with(&format!("{reason}\n")), "{message}");
        assert_eq!(
            (message.lines().count(), output.status.code()),
            (1, Some(1))
        );
    }
}

#[test]
fn messages_are_sent_and_received() {
    let mut guest = Guest::with_grants(&[]);
    let memory = guest.memory();
    let (one, mut two) = UnixStream::pair().unwrap();
    let fd = guest.adopt(one, filetype::SOCKET_STREAM, rights::SOCKET);
    guest.put(0x9000, b"hello world");
    guest.iovecs(BUFFER, &[(0x9000, 5), (0x9005, 6)]);
    assert_eq!(elfin_wasi_sock_send(memory, fd, BUFFER, 2, 0, RESULT), 0);
    assert_eq!(guest.u32(RESULT), 11);
    let mut text = [0; 11];
    two.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"hello world");

    two.write_all(b"abcdef").unwrap();
    guest.iovecs(BUFFER, &[(0xa000, 2), (0xb000, 3)]);
    for flags in [1, 2] {
        guest.put(RESULT, &[0xaa; 8]);
        assert_eq!(
            elfin_wasi_sock_recv(memory, fd, BUFFER, 2, flags, RESULT, RESULT + 4),
            0
        );
        assert_eq!((guest.u32(RESULT), guest.u16(RESULT + 4)), (5, 0));
        assert_eq!(
            (guest.bytes(0xa000, 2), guest.bytes(0xb000, 3)),
            (&b"ab"[..], &b"cde"[..])
        );
    }
    assert_eq!(guest.read(fd, 10).unwrap(), b"f");
    let (inval, fault) = (Errno::Inval as i32, Errno::Fault as i32);
    assert_eq!(
        elfin_wasi_sock_recv(memory, fd, BUFFER, 2, 4, RESULT, RESULT + 4),
        inval
    );
    assert_eq!(
        elfin_wasi_sock_send(memory, fd, BUFFER, 2, 1, RESULT),
        inval
    );
    assert_eq!(
        elfin_wasi_sock_recv(memory, fd, BUFFER, 2, 0, SIZE, RESULT),
        fault
    );
    assert_eq!(
        elfin_wasi_sock_recv(memory, fd, BUFFER, 2, 0, RESULT, SIZE - 1),
        fault
    );
    assert_eq!(
        elfin_wasi_sock_send(memory, fd, BUFFER, 1025, 0, RESULT),
        inval
    );
    for how in [0, 4, u32::MAX] {
        assert_eq!(elfin_wasi_sock_shutdown(memory, fd, how), inval);
    }
    assert_eq!(elfin_wasi_sock_shutdown(memory, fd, 2), 0);
    assert_eq!(two.read(&mut text).unwrap(), 0);
    assert_eq!(
        elfin_wasi_sock_send(memory, fd, BUFFER, 2, 0, RESULT),
        Errno::Pipe as i32
    );
    assert_eq!(elfin_wasi_sock_shutdown(memory, fd, 3), 0);
    assert_eq!(
        elfin_wasi_sock_recv(memory, fd, BUFFER, 2, 0, RESULT, RESULT + 4),
        0
    );
    assert_eq!(guest.u32(RESULT), 0);

    // A datagram that does not fit says so.
    let (one, two) = UnixDatagram::pair().unwrap();
    let fd = guest.adopt(one, filetype::SOCKET_DGRAM, rights::SOCKET);
    two.send(b"0123456789").unwrap();
    guest.iovecs(BUFFER, &[(0xa000, 2), (0xb000, 3)]);
    assert_eq!(
        elfin_wasi_sock_recv(memory, fd, BUFFER, 2, 0, RESULT, RESULT + 4),
        0
    );
    assert_eq!((guest.u32(RESULT), guest.u16(RESULT + 4)), (5, 1));
    assert_eq!(guest.fdstat(fd).unwrap().filetype, filetype::SOCKET_DGRAM);
    assert_eq!(
        guest.fd_filestat(fd).unwrap().filetype,
        filetype::SOCKET_DGRAM
    );
}

#[test]
fn connections_are_accepted() {
    let directory = tempdir();
    let mut guest = Guest::in_directory(&directory);
    let memory = guest.memory();
    let path = directory.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    listener.set_nonblocking(true).unwrap();
    let fd = guest.adopt(listener, filetype::SOCKET_STREAM, rights::SOCKET);
    assert_eq!(
        elfin_wasi_sock_accept(memory, fd, 0, RESULT),
        Errno::Again as i32
    );
    let mut client = UnixStream::connect(&path).unwrap();
    assert_eq!(
        elfin_wasi_sock_accept(memory, fd, 1, RESULT),
        Errno::Inval as i32
    );
    assert_eq!(
        elfin_wasi_sock_accept(memory, fd, 0, SIZE - 3),
        Errno::Fault as i32
    );
    assert_eq!(elfin_wasi_sock_accept(memory, fd, 4, RESULT), 0);
    let accepted = guest.u32(RESULT);
    let stat = guest.fdstat(accepted).unwrap();
    assert_eq!((stat.filetype, stat.flags), (filetype::SOCKET_STREAM, 4));
    assert_eq!(stat.base, rights::SOCKET & !rights::SOCK_ACCEPT);
    assert_eq!(guest.read(accepted, 10), err(Errno::Again));
    client.write_all(b"hi").unwrap();
    assert_eq!(guest.read(accepted, 10).unwrap(), b"hi");
    assert_eq!(
        elfin_wasi_sock_accept(memory, accepted, 0, RESULT),
        Errno::NotCapable as i32
    );
}

#[test]
fn what_is_no_socket() {
    let directory = tempdir();
    let mut guest = Guest::in_directory(&directory);
    let file = guest.open("file", CREAT).unwrap();
    let memory = guest.memory();
    guest.iovecs(BUFFER, &[(0x9000, 1)]);
    for fd in [3, file] {
        let no = Errno::NotSock as i32;
        assert_eq!(elfin_wasi_sock_accept(memory, fd, 0, RESULT), no);
        assert_eq!(
            elfin_wasi_sock_recv(memory, fd, BUFFER, 1, 0, RESULT, RESULT + 4),
            no
        );
        assert_eq!(elfin_wasi_sock_send(memory, fd, BUFFER, 1, 0, RESULT), no);
        assert_eq!(elfin_wasi_sock_shutdown(memory, fd, 1), no);
    }
    for fd in [99, 4096, u32::MAX] {
        let bad = Errno::BadF as i32;
        assert_eq!(elfin_wasi_sock_accept(memory, fd, 0, RESULT), bad);
        assert_eq!(
            elfin_wasi_sock_recv(memory, fd, BUFFER, 1, 0, RESULT, RESULT + 4),
            bad
        );
        assert_eq!(elfin_wasi_sock_send(memory, fd, BUFFER, 1, 0, RESULT), bad);
        assert_eq!(elfin_wasi_sock_shutdown(memory, fd, 1), bad);
    }
    let (one, _two) = UnixStream::pair().unwrap();
    let fd = guest.adopt(one, filetype::SOCKET_STREAM, rights::FD_FILESTAT_GET);
    let refused = Errno::NotCapable as i32;
    assert_eq!(
        elfin_wasi_sock_recv(memory, fd, BUFFER, 1, 0, RESULT, RESULT + 4),
        refused
    );
    assert_eq!(
        elfin_wasi_sock_send(memory, fd, BUFFER, 1, 0, RESULT),
        refused
    );
    assert_eq!(elfin_wasi_sock_shutdown(memory, fd, 1), refused);
    assert_eq!(elfin_wasi_sock_accept(memory, fd, 0, RESULT), refused);
}

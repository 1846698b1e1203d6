//! `proc_*`, and set-up as a process sees it: exit statuses, signals, streams, directories that are not there.

use super::*;
use std::process::Command;

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

/// Runs the test `name` of this module, which is ignored otherwise, in a process of its own with a number for it.
fn child(name: &str, number: i32) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let name = format!("process::{name}");
    command
        .args(["--exact", &name, "--ignored", "--nocapture"])
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

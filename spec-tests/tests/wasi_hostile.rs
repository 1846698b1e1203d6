//! Hostile programs: every pointer, length, number and moment that a program should not pass but can, on
//! every target, against `wasi/hostile.txt` (BLESS=1 rewrites it); and what needs a hostile environment:
//! closed streams, a closed pipe, a system call that fails.

mod support;

use spec_tests::suite::old_kernel;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};
use support::{Guest, Place, dir, expect_text, finish, natives, places, scratch};

/// The directories that the guest is granted.
fn furnish(home: &Path) {
    for name in ["box", "box/many", "box/empty", "ro"] {
        fs::create_dir(home.join(name)).expect("directory");
    }
    for name in ["box/file", "ro/file"] {
        fs::write(home.join(name), "content").expect("file");
    }
    symlink("file", home.join("box/link")).expect("link");
    for number in 0..100 {
        let name = format!("{number}{}", "-".repeat(number * 5 / 2));
        fs::write(home.join("box/many").join(name), "").expect("file");
    }
    let ancient = fs::File::create(home.join("box/ancient")).expect("file");
    ancient
        .set_modified(SystemTime::UNIX_EPOCH - Duration::from_secs(1_000_000))
        .expect("time");
}

fn guest(place: Place) -> Guest {
    Guest::build(
        "hostile",
        place,
        &[dir("box", "/", false), dir("ro", "/ro", true)],
    )
}

/// How often a test repeats what it repeats.
fn repetitions(variable: &str, count: usize) -> String {
    std::env::var(variable).unwrap_or_else(|_| count.to_string())
}

#[test]
fn what_programs_should_not_do() {
    for place in places() {
        let native = place.arch.name() == std::env::consts::ARCH;
        let opens = repetitions("ELFIN_OPENS", if native { 20_000 } else { 2_000 });
        let guest = guest(place);
        let mut text = String::new();
        for section in [
            "memory",
            "descriptors",
            "many",
            "readdir",
            "times",
            "poll",
            "offsets",
            "rights",
            "sync",
        ] {
            let scratch = scratch();
            furnish(scratch.path());
            let ended = guest.run(scratch.path(), &[section, &opens], b"");
            assert_eq!(ended.stderr, "", "{section} {place:?}");
            assert_eq!(ended.code, 0, "{section} {place:?}: {}", ended.stdout);
            let _ = write!(text, "# {section}\n{}\n", ended.stdout);
        }
        expect_text("hostile.txt", &text, &format!("{place:?}"));
    }
}

#[test]
fn the_proc_filesystem_below_a_granted_root() {
    for place in places() {
        let guest = Guest::build("hostile", place, &[dir("/", "/", false)]);
        let scratch = scratch();
        let ended = guest.run(scratch.path(), &["procfs"], b"");
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{place:?}");
        expect_text("procfs.txt", &ended.stdout, &format!("{place:?}"));
    }
}

/// What a signal of the witx does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Raised {
    /// Nothing.
    Ignored,
    /// The process ends as a shell reports this signal of Linux.
    Ends(i32),
    /// The process stops until it is continued. (The kernel leaves it out where no shell could continue it,
    /// but for the first of them.)
    Stops,
}

fn raised(signal: i32) -> Raised {
    match signal {
        0 | 13 | 16 | 17 | 22 | 27 => Raised::Ignored,
        18..=21 => Raised::Stops,
        1..=15 => Raised::Ends(signal),
        // Linux has one more number, 16, in between.
        _ => Raised::Ends(signal + 1),
    }
}

/// Runs to the end, and continues the process whenever it is stopped: how often.
fn continuing(command: &mut Command) -> (support::Ended, usize) {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("guest");
    let pid = child.id();
    let mut stops = 0;
    while child.try_wait().expect("guest").is_none() {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        if stat
            .rsplit(')')
            .next()
            .is_some_and(|rest| rest.starts_with(" T"))
        {
            stops += 1;
            // SAFETY: our own child, not yet waited for.
            unsafe { libc::kill(pid as libc::pid_t, libc::SIGCONT) };
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    (support::collect(child), stops)
}

#[test]
fn raising_signals() {
    for place in places() {
        let guest = guest(place);
        let scratch = scratch();
        furnish(scratch.path());
        for signal in 0..31 {
            let mut command = guest.command(scratch.path(), &["raise", &signal.to_string()]);
            let (ended, stops) = continuing(&mut command);
            let raised = raised(signal);
            let (code, text) = match raised {
                Raised::Ends(linux) => (128 + linux, ""),
                _ => (0, "proc_raise: SUCCESS\n"),
            };
            assert_eq!(
                (ended.code, ended.stdout.as_str()),
                (code, text),
                "signal {signal} {place:?}"
            );
            assert_eq!(ended.stderr, "", "signal {signal} {place:?}");
            assert!(stops == 0 || raised == Raised::Stops, "{signal} {place:?}");
            assert!(stops > 0 || signal != 18, "{signal} {place:?}");
        }
        for signal in ["31", "255", "256", "2147483648", "4294967295"] {
            let ended = guest.run(scratch.path(), &["raise", signal], b"");
            assert_eq!(ended.code, 0, "signal {signal} {place:?}");
            assert_eq!(ended.stdout, "proc_raise: INVAL\n", "{signal} {place:?}");
        }
    }
}

/// Data is brought to the disk by the kernel, and the guest hears when that fails.
#[test]
fn failing_to_synchronise_is_told() {
    let [native, _] = natives();
    let guest = guest(native);
    for (number, name) in [
        (libc::SYS_fsync, "fd_sync of a"),
        (libc::SYS_fdatasync, "fd_datasync of a"),
    ] {
        let scratch = scratch();
        furnish(scratch.path());
        let mut command = guest.command(scratch.path(), &["sync"]);
        old_kernel::answer(&mut command, number, libc::ENOSPC);
        let ended = finish(&mut command, b"");
        let lines: Vec<&str> = ended
            .stdout
            .lines()
            .filter(|line| line.starts_with(name))
            .collect();
        // A file, a directory, a grant, a pipe.
        assert_eq!(lines.len(), 4, "{}", ended.stdout);
        for line in lines {
            assert!(line.ends_with(": NOSPC"), "{line}");
        }
    }
}

#[test]
fn closed_streams_and_a_closed_pipe() {
    for place in places() {
        let guest = guest(place);
        let quoted = |command: &Command| {
            let words = std::iter::once(command.get_program()).chain(command.get_args());
            let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
            words.join(" ")
        };
        let mut text = String::new();
        for (section, script) in [
            ("closed", "exec COMMAND <&- >&- 2>&-"),
            ("pipe", "COMMAND | true"),
        ] {
            let scratch = scratch();
            furnish(scratch.path());
            let line = quoted(&guest.command(scratch.path(), &[section]));
            let mut shell = Command::new("sh");
            shell
                .args(["-c", &script.replace("COMMAND", &line)])
                .current_dir(scratch.path())
                .stdin(Stdio::null());
            if place.old_kernel {
                old_kernel::pretend(&mut shell);
            }
            let ended = finish(&mut shell, b"");
            assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{place:?}");
            let result = fs::read_to_string(scratch.path().join("box/result"));
            let _ = write!(text, "# {section}\n{}\n", result.expect("result"));
            if section == "closed" {
                let other = fs::read(scratch.path().join("box/other"));
                assert!(other.expect("file").is_empty(), "{place:?}");
            }
        }
        expect_text("closed.txt", &text, &format!("{place:?}"));
    }
}

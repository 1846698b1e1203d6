//! A program opens files while somebody else exchanges them for links that lead outside: with neither
//! resolver does it ever get there, in 200,000 opens each (`ELFIN_RACES` names another number).
//!
//! That there is something to get to is shown by opening the same paths without care.

mod support;

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use support::{Guest, announce, dir, places, scratch};

/// Gives each of two names the file of the other, at one moment.
fn exchange(a: &Path, b: &Path, flags: u32) -> io::Result<()> {
    let path = |path: &Path| CString::new(path.as_os_str().as_bytes()).expect("no NUL");
    let (a, b) = (path(a), path(b));
    // SAFETY: two strings that live through the call.
    let renamed = unsafe {
        libc::renameat2(
            libc::AT_FDCWD,
            a.as_ptr(),
            libc::AT_FDCWD,
            b.as_ptr(),
            flags,
        )
    };
    match renamed {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Files inside begin with `i`, all others with `o`.
fn furnish(home: &Path) {
    for name in [
        "box/swap",
        "box/a/b/c",
        "box/deep/leaf",
        "outside/b",
        "outside/leaf",
    ] {
        fs::create_dir_all(home.join(name)).expect("directory");
    }
    for name in ["box/swap/file", "box/file", "box/leaf"] {
        fs::write(home.join(name), "inside").expect("file");
    }
    for name in ["file", "leaf", "outside/file", "outside/leaf.file"] {
        fs::write(home.join(name), "outside").expect("file");
    }
    for (target, name) in [
        ("../outside", "swap-link"),
        ("../outside/leaf.file", "leaf-link"),
        ("../../outside/leaf", "deep/leaf-link"),
    ] {
        symlink(target, home.join("box").join(name)).expect("link");
    }
    // Only one of the two places at a time.
    fs::remove_dir(home.join("outside/b")).expect("directory");
}

/// Exchanges, again and again, until told to stop; counts.
fn rename(home: &Path, stop: &AtomicBool, rounds: &AtomicU64) {
    let path = |name: &str| -> PathBuf { home.join(name) };
    let pairs = [
        ("box/swap", "box/swap-link", libc::RENAME_EXCHANGE),
        ("box/leaf", "box/leaf-link", libc::RENAME_EXCHANGE),
        ("box/deep/leaf", "box/deep/leaf-link", libc::RENAME_EXCHANGE),
        ("box/a/b", "outside/b", 0),
    ]
    .map(|(a, b, flags)| (path(a), path(b), flags));
    while !stop.load(Ordering::Relaxed) {
        // There and back again: the world is in order for a moment.
        for (a, b, flags) in &pairs {
            exchange(a, b, *flags).expect("rename");
        }
        for (a, b, flags) in &pairs {
            exchange(b, a, *flags).expect("rename");
        }
        rounds.fetch_add(1, Ordering::Relaxed);
    }
}

/// How many of some opens of the guest's paths lead outside when the kernel resolves them as it likes.
fn open_carelessly(home: &Path) -> usize {
    let paths = ["swap/file", "leaf", "swap/../file", "a/b/c/../../../file"];
    let is_outside =
        |path: &&str| fs::read(home.join(path)).is_ok_and(|text| text.first() == Some(&b'o'));
    let found = |_| paths.iter().filter(|path| is_outside(path)).count();
    (0..10_000).map(found).sum()
}

#[test]
fn a_renamer_never_leads_outside() {
    for place in places() {
        let native = place.arch.name() == std::env::consts::ARCH;
        let asked = std::env::var("ELFIN_RACES").ok();
        let count = match &asked {
            Some(count) if native => count.as_str(),
            _ if native => "200000",
            _ => "2000",
        };
        let guest = Guest::build("racer", place, &[dir("box", "/", false)]);
        let scratch = scratch();
        furnish(scratch.path());
        let (stop, rounds) = (AtomicBool::new(false), AtomicU64::new(0));
        let mut careless = 0;
        let ended = std::thread::scope(|scope| {
            scope.spawn(|| rename(scratch.path(), &stop, &rounds));
            let ended = guest.run(scratch.path(), &[count], b"");
            careless = open_carelessly(&scratch.path().join("box"));
            stop.store(true, Ordering::Relaxed);
            ended
        });
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{place:?}");
        let rounds = rounds.into_inner();
        announce(&format!(
            "{} {}: {count} opens, {} while {rounds} times everything was exchanged",
            place.arch.name(),
            if place.old_kernel || !native {
                "by the walk"
            } else {
                "by openat2"
            },
            ended.stdout.trim_end(),
        ));
        let words: Vec<&str> = ended.stdout.split_whitespace().collect();
        let ["inside", inside, "refused", refused, "escapes", escapes] = words[..] else {
            panic!("{}", ended.stdout);
        };
        assert_eq!(escapes, "0", "{place:?}");
        assert_ne!(careless, 0, "{place:?}");
        // There was a race: both happened.
        assert_ne!(inside, "0", "{place:?}");
        assert_ne!(refused, "0", "{place:?}");
        let mut outside: Vec<_> = fs::read_dir(scratch.path().join("outside"))
            .expect("outside")
            .map(|entry| entry.expect("entry").file_name())
            .collect();
        outside.sort();
        assert_eq!(outside, ["file", "leaf", "leaf.file"], "{place:?}");
    }
}

//! `path_*` against hostile paths, links, races and read-only grants. Run once as it is and once with the
//! feature `forced-fallback`: both resolvers must give the same answers.

#[path = "wasi_path/grants.rs"]
mod grants;
#[path = "wasi_path/names.rs"]
mod names;
mod support;

use elfin_runtime::errno::Errno;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use support::*;
use tempfile::TempDir;

const SECRET: &str = "not yours";

/// A directory for the guest inside one that is not: `outside` and `root`, both in the result.
struct Tree(TempDir);

impl Tree {
    fn new() -> Self {
        let top = tempdir();
        let root = top.path().join("root");
        fs::create_dir_all(root.join("dir/nested")).unwrap();
        fs::create_dir(top.path().join("outside")).unwrap();
        fs::write(top.path().join("outside/secret"), SECRET).unwrap();
        fs::write(root.join("file"), "file").unwrap();
        fs::write(root.join("dir/file"), "dir/file").unwrap();
        fs::write(root.join("dir/nested/file"), "dir/nested/file").unwrap();
        for (target, link) in [
            ("file", "to_file"),
            ("dir", "to_dir"),
            ("dir/", "to_dir_slash"),
            ("../file", "dir/up"),
            ("../dir/nested/../file", "dir/around"),
            ("missing", "dangling"),
            ("loop", "loop"),
            ("to_file", "to_to_file"),
            // All that follows leads outside.
            ("/etc/passwd", "absolute"),
            ("/", "slash"),
            ("..", "up"),
            ("../", "up_slash"),
            ("../outside/secret", "out"),
            ("../outside/new", "out_new"),
            ("../outside", "out_dir"),
            ("dir/../../outside/secret", "out_later"),
            ("up/outside/secret", "out_through"),
            ("up_slash/", "evil"),
            ("evil/", "link1"),
            ("../../outside/secret", "dir/out"),
            ("/etc/passwd", "dir/absolute"),
            ("/file", "dir/nested/absolute"),
        ] {
            symlink(target, root.join(link)).unwrap();
        }
        Self(top)
    }

    fn root(&self) -> std::path::PathBuf {
        self.0.path().join("root")
    }

    fn guest(&self) -> Guest {
        Guest::with_grants(&[(&self.root(), "/", false)])
    }

    /// Everything outside the guest's directory is as it was.
    fn assert_untouched(&self) {
        let secret = self.0.path().join("outside/secret");
        assert_eq!(fs::read_to_string(&secret).unwrap(), SECRET);
        assert_eq!(fs::metadata(&secret).unwrap().nlink(), 1);
        assert_eq!(names(&self.0.path().join("outside")), ["secret"]);
        assert_eq!(names(self.0.path()), ["outside", "root"]);
    }
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Paths that lead outside, whether or not a final link is followed.
const OUTSIDE: &[&str] = &[
    "..",
    "../",
    "../.",
    "../..",
    "./..",
    "dir/../..",
    "../root/file",
    "../outside/secret",
    "a/../../outside/secret",
    "dir/../../outside/secret",
    "dir/nested/../../../outside/secret",
    "/",
    "//",
    "/etc/passwd",
    "/file",
    "slash/etc/passwd",
    "slash/",
    "absolute/",
    "up/",
    "up/.",
    "up/..",
    "up/outside/secret",
    "up/root/file",
    "out_dir/secret",
    "out_dir/",
    "evil/",
    "evil/outside/secret",
    "link1/outside/secret",
    "link1/",
    "dir/../up/outside/secret",
];

/// Links that lead outside only when they are followed.
const OUTSIDE_WHEN_FOLLOWED: &[&str] = &[
    "absolute",
    "slash",
    "up",
    "up_slash",
    "out",
    "out_dir",
    "out_later",
    "out_through",
    "evil",
    "link1",
    "dir/out",
    "dir/absolute",
    "dir/nested/absolute",
    "to_dir/absolute",
];

/// Some tests below name a directory that isn't there before they leave.
fn is_refused<T: std::fmt::Debug>(path: &str, result: Result<T, i32>) {
    let missing =
        path.starts_with("a/") && matches!(result, Err(code) if code == Errno::NoEnt as i32);
    assert!(
        missing || matches!(result, Err(code) if code == Errno::NotCapable as i32),
        "{path}: {result:?}"
    );
}

#[test]
fn what_leads_outside_is_refused_by_every_function() {
    let tree = Tree::new();
    let mut guest = tree.guest();
    for path in OUTSIDE {
        for flags in [0, FOLLOW] {
            is_refused(path, guest.stat(flags, path));
            is_refused(path, guest.set_times(flags, path, 1, 1, 5));
            is_refused(
                path,
                guest.path_open(3, flags, path, 0, rights::FD_READ, 0, 0),
            );
            is_refused(path, guest.path_open(3, flags, path, DIRECTORY, 0, 0, 0));
            is_refused(path, guest.link(flags, path, "new"));
        }
        for oflags in [CREAT, CREAT | EXCL, CREAT | TRUNC, TRUNC] {
            let result = guest.open(path, oflags);
            // A link with a slash behind it, to be made as a file: refused before it is followed.
            if result != err(Errno::IsDir) {
                is_refused(path, result);
            }
        }
        let ends_in_link = path.ends_with('/') && !path.starts_with('/') && !path.starts_with("..");
        if ends_in_link {
            // The name is the link's: it is there, it is not a directory.
            assert_eq!(guest.mkdir(path), err(Errno::Exist), "{path}");
            assert_eq!(guest.rmdir(path), err(Errno::NotDir), "{path}");
            assert_eq!(guest.unlink(path), err(Errno::NotDir), "{path}");
            assert_eq!(guest.rename(path, "new"), err(Errno::NotDir), "{path}");
            assert_eq!(guest.symlink("x", path), err(Errno::NotDir), "{path}");
            is_refused(path, guest.readlink(path, 100));
        } else {
            is_refused(path, guest.mkdir(path));
            is_refused(path, guest.rmdir(path));
            is_refused(path, guest.unlink(path));
            is_refused(path, guest.rename(path, "new"));
            is_refused(path, guest.rename("file", path));
            is_refused(path, guest.link(0, "file", path));
            is_refused(path, guest.symlink("x", path));
            is_refused(path, guest.readlink(path, 100));
        }
    }
    tree.assert_untouched();
    assert!(!tree.root().join("new").exists());
}

#[test]
fn links_that_lead_outside_are_not_followed() {
    let tree = Tree::new();
    let mut guest = tree.guest();
    for path in OUTSIDE_WHEN_FOLLOWED {
        is_refused(path, guest.stat(FOLLOW, path));
        is_refused(path, guest.set_times(FOLLOW, path, 1, 1, 5));
        is_refused(
            path,
            guest.path_open(3, FOLLOW, path, 0, rights::FD_READ, 0, 0),
        );
        is_refused(path, guest.path_open(3, FOLLOW, path, DIRECTORY, 0, 0, 0));
        match guest.open(path, CREAT) {
            // Their targets end with a slash: nothing that could be made.
            Err(error) if ["evil", "link1"].contains(path) => {
                assert_eq!(error, Errno::IsDir as i32)
            }
            result => is_refused(path, result),
        }
        is_refused(path, guest.open(path, TRUNC));
        is_refused(path, guest.link(FOLLOW, path, "new"));

        assert_eq!(
            guest.stat(0, path).unwrap().filetype,
            filetype::SYMBOLIC_LINK,
            "{path}"
        );
        assert_eq!(
            guest.path_open(3, 0, path, 0, 0, 0, 0),
            err(Errno::Loop),
            "{path}"
        );
        assert_eq!(
            guest.path_open(3, 0, path, CREAT, 0, 0, 0),
            err(Errno::Loop),
            "{path}"
        );
        assert_eq!(
            guest.path_open(3, 0, path, DIRECTORY, 0, 0, 0),
            err(Errno::NotDir),
            "{path}"
        );
        assert_eq!(guest.open(path, CREAT | EXCL), err(Errno::Exist), "{path}");
        guest
            .set_times(0, path, 1_000_000_007, 2_000_000_009, 5)
            .unwrap();
        assert_eq!(guest.stat(0, path).unwrap().mtim, 2_000_000_009);
    }
    // O_CREAT on a dangling link that points outside.
    is_refused("out_new", guest.open("out_new", CREAT));
    assert_eq!(
        guest.path_open(3, 0, "out_new", CREAT, 0, 0, 0),
        err(Errno::Loop)
    );
    tree.assert_untouched();
    assert!(
        fs::metadata(tree.0.path().join("outside/secret"))
            .unwrap()
            .mtime()
            > 1_000_000_000
    );
}

#[test]
fn names_of_links_are_theirs_for_making_and_removing() {
    let tree = Tree::new();
    let mut guest = tree.guest();
    assert_eq!(guest.readlink("out", 100).unwrap(), b"../outside/secret");
    guest.link(0, "out", "hard").unwrap();
    assert_eq!(guest.readlink("hard", 100).unwrap(), b"../outside/secret");
    guest.rename("hard", "renamed").unwrap();
    assert_eq!(guest.rmdir("renamed"), err(Errno::NotDir));
    guest.unlink("renamed").unwrap();
    assert_eq!(guest.mkdir("out_new"), err(Errno::Exist));
    assert_eq!(guest.symlink("x", "out_new"), err(Errno::Exist));
    assert_eq!(guest.link(0, "file", "out_new"), err(Errno::Exist));
    // Renaming over a link replaces the link.
    guest.rename("file", "out_new").unwrap();
    assert_eq!(
        fs::read_to_string(tree.root().join("out_new")).unwrap(),
        "file"
    );
    tree.assert_untouched();
}

#[test]
fn what_stays_inside_is_found() {
    let tree = Tree::new();
    let mut guest = tree.guest();
    for (path, text) in [
        ("file", "file"),
        ("./file", "file"),
        ("./././/file", "file"),
        ("dir/file", "dir/file"),
        ("dir//file", "dir/file"),
        ("dir/../file", "file"),
        ("dir/nested/../../file", "file"),
        (
            "dir/.//nested/../../dir/nested/../nested///./file",
            "dir/nested/file",
        ),
        ("to_file", "file"),
        ("to_to_file", "file"),
        ("to_dir/file", "dir/file"),
        ("to_dir/../file", "file"),
        ("to_dir/nested/file", "dir/nested/file"),
        ("to_dir_slash/file", "dir/file"),
        ("dir/up", "file"),
        ("dir/around", "dir/file"),
        ("to_dir/up", "file"),
    ] {
        let fd = guest
            .path_open(3, FOLLOW, path, 0, rights::FD_READ, 0, 0)
            .expect(path);
        assert_eq!(guest.read(fd, 100).unwrap(), text.as_bytes(), "{path}");
        guest.close(fd).unwrap();
        let host = fs::metadata(tree.root().join(path)).unwrap();
        let stat = guest.stat(FOLLOW, path).unwrap();
        assert_eq!(
            (stat.dev, stat.ino, stat.size),
            (host.dev(), host.ino(), host.size()),
            "{path}"
        );
        assert_eq!(stat.filetype, filetype::REGULAR_FILE);
        assert_eq!(stat.nlink, 1);
        assert_eq!(
            stat.mtim,
            host.mtime() as u64 * 1_000_000_000 + host.mtime_nsec() as u64
        );
    }
}

#[test]
fn procfs_is_refused_wherever_it_is() {
    let mut guest = Guest::with_grants(&[(Path::new("/"), "/", false)]);
    let read = rights::FD_READ;
    for path in [
        "proc",
        "proc/",
        "proc/.",
        "proc/self/mem",
        "proc/self/exe",
        "proc/self/maps",
        "proc/self/fd/0",
        "proc/self/root/etc/passwd",
        "proc/1/root",
        "etc/../proc/self/mem",
    ] {
        for flags in [0, FOLLOW] {
            let result = guest.path_open(3, flags, path, 0, read, 0, 0);
            assert!(
                result == err(Errno::NotCapable)
                    || result == err(Errno::Loop)
                    || result == err(Errno::Acces),
                "{path}: {result:?}"
            );
        }
    }
    assert_eq!(
        guest.path_open(3, 0, "proc/self/mem", 0, read, 0, 0),
        err(Errno::NotCapable)
    );
    assert_eq!(guest.readlink("proc/self/exe", 100), err(Errno::NotCapable));
    assert_eq!(guest.stat(0, "proc/self/mem"), err(Errno::NotCapable));
    assert_eq!(
        guest.path_open(3, 0, "proc", DIRECTORY, 0, 0, 0),
        err(Errno::NotCapable)
    );
    // All else is there.
    let fd = guest
        .path_open(3, FOLLOW, "etc/passwd", 0, read, 0, 0)
        .unwrap();
    assert!(!guest.read(fd, 10).unwrap().is_empty());
    assert_eq!(guest.stat(0, ".."), err(Errno::NotCapable));
}

/// `count` times, or as often as the variable says.
fn repetitions(variable: &str, count: usize) -> usize {
    std::env::var(variable)
        .ok()
        .and_then(|value| value.parse().ok())
        .unwrap_or(count)
}

/// Somebody outside exchanges a directory with a link to the outside, and a deep directory with one that
/// is higher, as fast as they can; the guest never gets what is outside.
#[test]
fn a_renamer_gains_nothing() {
    let tree = Tree::new();
    let root = tree.root();
    fs::create_dir_all(root.join("swap/a/b")).unwrap();
    fs::write(root.join("swap/secret"), "inside").unwrap();
    fs::write(root.join("secret"), "inside").unwrap();
    fs::write(root.join("plain"), "inside").unwrap();
    symlink("../outside", root.join("swap_link")).unwrap();
    symlink("../outside/secret", root.join("plain_link")).unwrap();
    let mut guest = tree.guest();
    /// Ends the renamer also when the test fails.
    struct Stop<'a>(&'a AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let stop = AtomicBool::new(false);
    let exchange = |a: &str, b: &str| {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        let _ = renameat_with(CWD, root.join(a), CWD, root.join(b), RenameFlags::EXCHANGE);
    };
    std::thread::scope(|scope| {
        let _stop = Stop(&stop);
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                exchange("swap", "swap_link");
                exchange("plain", "plain_link");
                exchange("swap", "swap_link");
                exchange("plain", "plain_link");
                // Up and down: what is `..` of b changes under the guest's feet.
                let _ = fs::rename(root.join("swap/a/b"), root.join("b"));
                let _ = fs::rename(root.join("b"), root.join("swap/a/b"));
            }
        });
        let paths = [
            "swap/secret",
            "plain",
            "swap/a/../secret",
            "swap/a/b/../../secret",
            "swap/a/b/../../../secret",
        ];
        let (mut inside, mut refused) = (0, 0);
        for index in 0..repetitions("ELFIN_RACES", 20_000) {
            let path = paths[index % paths.len()];
            if let Ok(fd) = guest.path_open(3, FOLLOW, path, 0, rights::FD_READ, 0, 0) {
                let text = guest.read(fd, 100).unwrap();
                guest.close(fd).unwrap();
                assert_eq!(text, b"inside", "{path}");
                inside += 1;
            } else {
                refused += 1;
            }
            if let Ok(stat) = guest.stat(FOLLOW, path) {
                assert_eq!(stat.size, 6, "{path}");
            }
            if let Ok(fd) = guest.path_open(3, FOLLOW, "swap/new", CREAT, 0, 0, 0) {
                guest.close(fd).unwrap();
            }
        }
        // Else nothing was raced for.
        assert!(inside > 0 && refused > 0, "{inside} {refused}");
    });
    tree.assert_untouched();
}

#[test]
fn opening_again_and_again_leaks_nothing() {
    let tree = Tree::new();
    let mut guest = tree.guest();
    let before = host_descriptors();
    for index in 0..repetitions("ELFIN_OPENS", 20_000) {
        let fd = guest
            .path_open(3, FOLLOW, "to_dir/nested/../file", 0, rights::FD_READ, 0, 0)
            .unwrap();
        assert_eq!(fd, 4, "{index}");
        guest.close(fd).unwrap();
        for (path, oflags) in [
            ("to_dir/nested/missing", 0),
            ("to_dir/file", CREAT | EXCL),
            ("to_dir/../../x", 0),
            ("dir/out", 0),
            ("dir/nested/../../loop/x", 0),
            ("dir/nested/file/x", 0),
        ] {
            assert!(guest.open(path, oflags).is_err());
        }
        assert!(guest.rename("dir/nested/file", "dir/nested/x/y").is_err());
        assert!(guest.link(0, "dir/nested/file", "dir/nested/file").is_err());
    }
    assert_eq!(host_descriptors(), before);
}

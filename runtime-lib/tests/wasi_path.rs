//! `path_*` against hostile paths, links, races and read-only grants. Run once as it is and once with the
//! feature `forced-fallback`: both resolvers must give the same answers.

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
fn dots_and_slashes_at_the_end_name_directories() {
    let tree = Tree::new();
    let mut guest = tree.guest();
    let inode = |path: &str| fs::metadata(tree.root().join(path)).unwrap().ino();
    let (root, dir, nested) = (inode("."), inode("dir"), inode("dir/nested"));
    for (path, expected) in [
        (".", root),
        ("./", root),
        ("./.", root),
        ("dir/..", root),
        ("dir/nested/../..", root),
        ("dir/../", root),
        ("to_dir/..", root),
        ("dir/", dir),
        ("dir///", dir),
        ("dir/.", dir),
        ("dir/nested/..", dir),
        ("to_dir/", dir),
        ("to_dir/.", dir),
        ("to_dir_slash/", dir),
        ("dir/nested/.", nested),
        ("to_dir/nested/", nested),
    ] {
        for flags in [0, FOLLOW] {
            assert_eq!(
                guest.stat(flags, path).map(|stat| stat.ino),
                Ok(expected),
                "{path}"
            );
            let fd = guest
                .path_open(3, flags, path, DIRECTORY, 0, 0, 0)
                .expect(path);
            assert_eq!(guest.fdstat(fd).unwrap().filetype, filetype::DIRECTORY);
            guest.close(fd).unwrap();
            let fd = guest
                .path_open(3, flags, path, 0, rights::FD_FILESTAT_GET, 0, 0)
                .expect(path);
            assert_eq!(guest.fd_filestat(fd).unwrap().ino, expected, "{path}");
            guest.close(fd).unwrap();
            guest.set_times(flags, path, 0, 3_000_000_000, 4).unwrap();
            assert_eq!(
                guest.stat(flags, path).unwrap().mtim,
                3_000_000_000,
                "{path}"
            );
        }
        assert_eq!(guest.mkdir(path), err(Errno::Exist), "{path}");
        assert!(guest.unlink(path).is_err(), "{path}");
    }
    for path in [
        "file/",
        "file/.",
        "file///",
        "to_file/",
        "dir/file/",
        "file/..",
        "file/x",
        "to_file/x",
    ] {
        for flags in [0, FOLLOW] {
            assert_eq!(guest.stat(flags, path), err(Errno::NotDir), "{path}");
            assert_eq!(
                guest.path_open(3, flags, path, 0, 0, 0, 0),
                err(Errno::NotDir),
                "{path}"
            );
            assert_eq!(
                guest.set_times(flags, path, 0, 0, 4),
                err(Errno::NotDir),
                "{path}"
            );
        }
        assert_eq!(guest.readlink(path, 10), err(Errno::NotDir), "{path}");
        assert_eq!(guest.rmdir(path), err(Errno::NotDir), "{path}");
        assert_eq!(guest.unlink(path), err(Errno::NotDir), "{path}");
        assert_eq!(guest.rename(path, "x"), err(Errno::NotDir), "{path}");
    }
    for path in [
        "missing/",
        "dangling/",
        "missing/x",
        "dangling/x",
        "missing/..",
    ] {
        assert_eq!(guest.stat(0, path), err(Errno::NoEnt), "{path}");
        assert_eq!(
            guest.path_open(3, 0, path, 0, 0, 0, 0),
            err(Errno::NoEnt),
            "{path}"
        );
    }
    assert_eq!(guest.open("new/", CREAT), err(Errno::IsDir));
    assert_eq!(guest.symlink("x", "new/"), err(Errno::NoEnt));
    assert_eq!(guest.symlink("x", "dir/"), err(Errno::Exist));
    assert_eq!(guest.symlink("x", "file/"), err(Errno::NotDir));
    assert_eq!(guest.link(0, "file", "new/"), err(Errno::NoEnt));
    assert_eq!(guest.link(0, "file/", "new"), err(Errno::NotDir));
    assert_eq!(guest.readlink("to_dir/", 10), err(Errno::Inval));
    assert_eq!(guest.rename("file", "new/"), err(Errno::NotDir));
    assert_eq!(guest.unlink("dir/nested/"), err(Errno::IsDir));
    guest.rename("dir/", "moved/").unwrap();
    guest.mkdir("made///").unwrap();
    guest.rmdir("made/").unwrap();
    assert!(guest.rmdir(".").is_err());
    assert!(guest.rmdir("moved/nested/..").is_err());
    assert!(guest.rename(".", "x").is_err());
    assert!(guest.rename("file", ".").is_err());
    assert!(tree.root().join("moved/nested/file").exists());
}

#[test]
fn paths_that_are_none() {
    let tree = Tree::new();
    let mut guest = tree.guest();
    let long_name = "n".repeat(256);
    let long_path = format!("{}file", "./".repeat(2046));
    let too_long = format!("{}file", "./".repeat(2047));
    let way_too_long = "x/".repeat(4000);
    assert_eq!(long_path.len(), 4096);
    for (path, error) in [
        ("", Errno::NoEnt),
        ("file\0", Errno::IlSeq),
        ("\0", Errno::IlSeq),
        ("dir/\0/../file", Errno::IlSeq),
        (long_name.as_str(), Errno::NameTooLong),
        (long_path.as_str(), Errno::NameTooLong),
        (too_long.as_str(), Errno::NameTooLong),
        (way_too_long.as_str(), Errno::NameTooLong),
    ] {
        let shown = &path[..path.len().min(20)];
        assert_eq!(guest.stat(0, path), err(error), "{shown:?}");
        assert_eq!(
            guest.path_open(3, 0, path, CREAT, 0, 0, 0),
            err(error),
            "{shown:?}"
        );
        assert_eq!(guest.set_times(0, path, 0, 0, 0), err(error), "{shown:?}");
        assert_eq!(guest.mkdir(path), err(error), "{shown:?}");
        assert_eq!(guest.rmdir(path), err(error), "{shown:?}");
        assert_eq!(guest.unlink(path), err(error), "{shown:?}");
        assert_eq!(guest.readlink(path, 9), err(error), "{shown:?}");
        assert_eq!(guest.rename(path, "x"), err(error), "{shown:?}");
        assert_eq!(guest.rename("file", path), err(error), "{shown:?}");
        assert_eq!(guest.link(0, path, "x"), err(error), "{shown:?}");
        assert_eq!(guest.link(0, "file", path), err(error), "{shown:?}");
        assert_eq!(guest.symlink("x", path), err(error), "{shown:?}");
    }
    let just_fits = format!("{}file", "./".repeat(2045));
    assert_eq!(just_fits.len(), 4094);
    assert_eq!(guest.stat(0, just_fits).unwrap().size, 4);
    assert_eq!(guest.symlink("", "x"), err(Errno::NoEnt));
    assert_eq!(guest.symlink("a\0b", "x"), err(Errno::IlSeq));
    assert_eq!(guest.symlink("/", "x"), err(Errno::NotCapable));
    assert_eq!(guest.symlink("/etc/passwd", "x"), err(Errno::NotCapable));
    assert_eq!(
        guest.symlink("x".repeat(4096), "x"),
        err(Errno::NameTooLong)
    );
    guest.symlink("x".repeat(4000), "x").unwrap();
    assert_eq!(guest.readlink("x", 8000).unwrap().len(), 4000);
    assert_eq!(guest.stat(FOLLOW, "x"), err(Errno::NameTooLong));
}

#[test]
fn pointers_to_paths_are_checked() {
    use elfin_runtime::wasi::path::*;
    let tree = Tree::new();
    let mut guest = tree.guest();
    guest.put(SIZE - 4, b"file");
    let memory = guest.memory();
    let fault = Errno::Fault as i32;
    for (path, len) in [
        (SIZE - 3, 4),
        (SIZE, 1),
        (u32::MAX, 1),
        (u32::MAX, u32::MAX),
        (0, u32::MAX),
        (SIZE - 4, 5),
    ] {
        assert_eq!(
            elfin_wasi_path_filestat_get(memory, 3, 0, path, len, RESULT),
            fault
        );
        assert_eq!(
            elfin_wasi_path_open(memory, 3, 0, path, len, CREAT, 0, 0, 0, RESULT),
            fault
        );
        assert_eq!(
            elfin_wasi_path_create_directory(memory, 3, path, len),
            fault
        );
        assert_eq!(
            elfin_wasi_path_symlink(memory, path, len, 3, PATH, 1),
            fault
        );
    }
    assert_eq!(
        elfin_wasi_path_filestat_get(memory, 3, 0, SIZE - 4, 4, RESULT),
        0
    );
    // Results that can't be delivered: nothing is done.
    let len = guest.put(PATH, b"new");
    let memory = guest.memory();
    for out in [SIZE - 3, SIZE, u32::MAX] {
        assert_eq!(
            elfin_wasi_path_open(memory, 3, 0, PATH, len, CREAT, 0, 0, 0, out),
            fault
        );
        assert_eq!(
            elfin_wasi_path_filestat_get(memory, 3, 0, SIZE - 4, 4, out),
            fault
        );
        assert_eq!(
            elfin_wasi_path_readlink(memory, 3, PATH, len, BUFFER, 10, out),
            fault
        );
        assert_eq!(
            elfin_wasi_path_readlink(memory, 3, PATH, len, out, 10, RESULT),
            fault
        );
    }
    assert!(!tree.root().join("new").exists());
}

#[test]
fn forty_links_are_followed_and_forty_one_are_not() {
    let tree = Tree::new();
    let mut guest = tree.guest();
    let mut target = String::from("file");
    for index in 0..41 {
        let name = format!("chain{index}");
        symlink(&target, tree.root().join(&name)).unwrap();
        target = name;
    }
    assert_eq!(
        guest.stat(FOLLOW, "chain39").unwrap().filetype,
        filetype::REGULAR_FILE
    );
    assert_eq!(guest.stat(FOLLOW, "chain40"), err(Errno::Loop));
    let fd = guest.path_open(3, FOLLOW, "chain39", 0, 0, 0, 0).unwrap();
    guest.close(fd).unwrap();
    assert_eq!(
        guest.path_open(3, FOLLOW, "chain40", 0, 0, 0, 0),
        err(Errno::Loop)
    );
    for (flags, path) in [
        (FOLLOW, "loop"),
        (0, "loop/"),
        (0, "loop/x"),
        (FOLLOW, "loop/x"),
    ] {
        assert_eq!(guest.stat(flags, path), err(Errno::Loop), "{path}");
        assert_eq!(
            guest.path_open(3, flags, path, 0, 0, 0, 0),
            err(Errno::Loop),
            "{path}"
        );
    }
    assert_eq!(guest.path_open(3, 0, "loop", 0, 0, 0, 0), err(Errno::Loop));

    // The same with directories in the middle of a path.
    let mut target = String::from("dir");
    for index in 0..41 {
        let name = format!("through{index}");
        symlink(&target, tree.root().join(&name)).unwrap();
        target = name;
    }
    assert_eq!(guest.stat(0, "through39/file").unwrap().size, 8);
    assert_eq!(guest.stat(0, "through40/file"), err(Errno::Loop));
}

#[test]
fn many_directories_deep() {
    let tree = Tree::new();
    let mut guest = tree.guest();
    for depth in [100, 128, 129, 500] {
        let deep = "d/".repeat(depth);
        fs::create_dir_all(tree.root().join(&deep)).unwrap();
        fs::write(tree.root().join(&deep).join("bottom"), "x").unwrap();
        assert_eq!(guest.stat(0, format!("{deep}bottom")).unwrap().size, 1);
        let up = format!("{deep}{}{}bottom", "../".repeat(99), "d/".repeat(99));
        assert_eq!(guest.stat(0, up).unwrap().size, 1);
        let root = format!("{deep}{}file", "../".repeat(depth));
        assert_eq!(guest.stat(0, root).unwrap().size, 4);
        let above = format!("{deep}{}file", "../".repeat(depth + 1));
        assert_eq!(guest.stat(0, above), err(Errno::NotCapable));
    }
    // The one difference: a walk does not keep every level open.
    let up = format!("{}{}d/..", "d/".repeat(500), "../".repeat(450));
    let inode = fs::metadata(tree.root().join("d/".repeat(50)))
        .unwrap()
        .ino();
    let expected = if cfg!(feature = "forced-fallback") {
        err(Errno::NameTooLong)
    } else {
        Ok(inode)
    };
    assert_eq!(guest.stat(0, up).map(|stat| stat.ino), expected);
}

#[test]
fn opening_makes_truncates_and_refuses() {
    let tree = Tree::new();
    let mut guest = tree.guest();
    let fd = guest.open("new", CREAT | EXCL).unwrap();
    assert_eq!(guest.write(fd, b"hello").unwrap(), 5);
    guest.close(fd).unwrap();
    assert_eq!(guest.open("new", CREAT | EXCL), err(Errno::Exist));
    let fd = guest.open("new", CREAT).unwrap();
    assert_eq!(guest.read(fd, 10).unwrap(), b"hello");
    guest.close(fd).unwrap();
    let fd = guest.path_open(3, 0, "new", TRUNC, 0, 0, 0).unwrap();
    guest.close(fd).unwrap();
    assert_eq!(guest.stat(0, "new").unwrap().size, 0);
    // Through a dangling link that stays inside.
    let fd = guest.open("dangling", CREAT).unwrap();
    guest.close(fd).unwrap();
    assert!(tree.root().join("missing").exists());

    assert_eq!(guest.open("dir", 0), err(Errno::IsDir));
    assert_eq!(
        guest.path_open(
            3,
            0,
            ".",
            DIRECTORY,
            rights::FD_READ | rights::FD_WRITE,
            0,
            0
        ),
        err(Errno::IsDir)
    );
    assert_eq!(
        guest.path_open(3, 0, "file", DIRECTORY, 0, 0, 0),
        err(Errno::NotDir)
    );
    assert_eq!(
        guest.path_open(3, FOLLOW, "to_file", DIRECTORY, 0, 0, 0),
        err(Errno::NotDir)
    );
    assert_eq!(
        guest.path_open(3, 0, "x", CREAT | DIRECTORY, 0, 0, 0),
        err(Errno::Inval)
    );
    assert_eq!(guest.path_open(3, 0, "x", 16, 0, 0, 0), err(Errno::Inval));
    assert_eq!(guest.path_open(3, 2, "x", 0, 0, 0, 0), err(Errno::Inval));
    assert_eq!(guest.path_open(3, 0, "x", 0, 0, 0, 32), err(Errno::Inval));
    assert_eq!(guest.stat(2, "file"), err(Errno::Inval));
    assert_eq!(guest.path_open(99, 0, "x", 0, 0, 0, 0), err(Errno::BadF));
    let file = guest.open("file", 0).unwrap();
    assert_eq!(
        guest.path_open(file, 0, "x", CREAT, 0, 0, 0),
        err(Errno::NotDir)
    );
    assert_eq!(
        guest.path_open(1, 0, "x", CREAT, 0, 0, 0),
        err(Errno::NotDir)
    );
}

#[test]
fn rights_decide_how_a_file_is_opened() {
    let tree = Tree::new();
    let mut guest = tree.guest();
    let read_only = guest
        .path_open(3, 0, "file", 0, rights::FD_READ | rights::FD_SEEK, 0, 0)
        .unwrap();
    assert_eq!(guest.read(read_only, 9).unwrap(), b"file");
    assert_eq!(guest.write(read_only, b"x"), err(Errno::NotCapable));
    let write_only = guest
        .path_open(3, 0, "file", 0, rights::FD_WRITE, 0, 1)
        .unwrap();
    assert_eq!(guest.write(write_only, b"!").unwrap(), 1);
    assert_eq!(guest.read(write_only, 9), err(Errno::NotCapable));
    let stat = guest.fdstat(write_only).unwrap();
    assert_eq!(
        (stat.base, stat.inheriting, stat.flags),
        (rights::FD_WRITE, 0, 1)
    );
    assert_eq!(stat.filetype, filetype::REGULAR_FILE);

    // What a directory can't hand on: reading and writing are refused, the rest is left out.
    let dir = guest
        .path_open(
            3,
            0,
            "dir",
            DIRECTORY,
            rights::PATH_OPEN,
            rights::FD_READ | rights::FD_SEEK,
            0,
        )
        .unwrap();
    assert_eq!(
        guest.path_open(dir, 0, "file", 0, rights::FD_WRITE, 0, 0),
        err(Errno::NotCapable)
    );
    assert_eq!(
        guest.path_open(dir, 0, "file", CREAT, 0, 0, 0),
        err(Errno::NotCapable)
    );
    assert_eq!(
        guest.path_open(dir, 0, "file", TRUNC, 0, 0, 0),
        err(Errno::NotCapable)
    );
    let fd = guest
        .path_open(
            dir,
            0,
            "file",
            0,
            rights::FD_READ | rights::FD_ALLOCATE,
            u64::MAX,
            0,
        )
        .unwrap();
    assert_eq!(guest.fdstat(fd).unwrap().base, rights::FD_READ);
    let nested = guest
        .path_open(dir, 0, "nested", DIRECTORY, rights::FD_READ, u64::MAX, 0)
        .unwrap();
    assert_eq!(guest.fdstat(nested).unwrap().base, 0);
    assert_eq!(
        guest.fdstat(nested).unwrap().inheriting,
        rights::FD_READ | rights::FD_SEEK
    );
    assert_eq!(
        guest.path_open(nested, 0, "file", 0, 0, 0, 0),
        err(Errno::NotCapable)
    );
}

#[test]
fn a_read_only_grant_can_be_read_and_no_more() {
    let tree = Tree::new();
    let writable = tempdir();
    let mut guest =
        Guest::with_grants(&[(&tree.root(), "/ro", true), (writable.path(), "/rw", false)]);
    let before = fs::metadata(tree.root().join("file")).unwrap();
    fs::write(writable.path().join("mine"), "mine").unwrap();

    // As libraries do: ask for everything but writing, or for reading with all else.
    let all_but_writing = rights::FILE & !rights::FD_WRITE;
    let fd = guest
        .path_open(3, FOLLOW, "file", 0, all_but_writing, u64::MAX, 0)
        .unwrap();
    assert_eq!(guest.read(fd, 10).unwrap(), b"file");
    assert_eq!(guest.write(fd, b"x"), err(Errno::NotCapable));
    {
        use elfin_runtime::wasi::fd::*;
        let memory = guest.memory();
        let refused = Errno::NotCapable as i32;
        assert_eq!(
            elfin_wasi_fd_filestat_set_times(memory, fd, 0, 0, 5),
            refused
        );
        assert_eq!(elfin_wasi_fd_filestat_set_size(memory, fd, 0), refused);
        assert_eq!(elfin_wasi_fd_allocate(memory, fd, 0, 100), refused);
        assert_eq!(
            elfin_wasi_fd_filestat_set_times(memory, 3, 0, 0, 5),
            refused
        );
        assert_eq!(
            elfin_wasi_fd_fdstat_set_rights(memory, 3, rights::DIRECTORY, 0),
            refused
        );
        assert_eq!(
            elfin_wasi_fd_fdstat_set_rights(memory, fd, rights::FILE, 0),
            refused
        );
    }
    assert_eq!(
        guest.path_open(3, 0, "file", 0, rights::FD_WRITE, 0, 0),
        err(Errno::NotCapable)
    );
    for oflags in [TRUNC, CREAT, CREAT | TRUNC, CREAT | EXCL] {
        for rights in [0, rights::FD_READ, rights::FD_WRITE] {
            assert_eq!(
                guest.path_open(3, 0, "file", oflags, rights, 0, 0),
                err(Errno::NotCapable)
            );
            assert_eq!(
                guest.path_open(3, 0, "new", oflags, rights, 0, 0),
                err(Errno::NotCapable)
            );
        }
    }
    assert_eq!(guest.mkdir("new"), err(Errno::NotCapable));
    assert_eq!(guest.rmdir("dir"), err(Errno::NotCapable));
    assert_eq!(guest.unlink("file"), err(Errno::NotCapable));
    assert_eq!(guest.symlink("x", "new"), err(Errno::NotCapable));
    assert_eq!(guest.set_times(0, "file", 0, 0, 10), err(Errno::NotCapable));
    assert_eq!(
        guest.set_times(FOLLOW, "file", 0, 0, 5),
        err(Errno::NotCapable)
    );
    assert_eq!(guest.rename("file", "new"), err(Errno::NotCapable));
    assert_eq!(
        guest.rename_between((3, "file"), (4, "new")),
        err(Errno::NotCapable)
    );
    assert_eq!(
        guest.rename_between((4, "mine"), (3, "new")),
        err(Errno::NotCapable)
    );
    assert_eq!(
        guest.rename_between((4, "mine"), (3, "file")),
        err(Errno::NotCapable)
    );
    assert_eq!(
        guest.link_between((3, 0, "file"), (4, "new")),
        err(Errno::NotCapable)
    );
    assert_eq!(
        guest.link_between((4, 0, "mine"), (3, "new")),
        err(Errno::NotCapable)
    );
    // And nothing of it comes back below.
    let dir = guest.open_dir("dir").unwrap();
    assert_eq!(
        guest.path_open(dir, 0, "file", TRUNC, 0, 0, 0),
        err(Errno::NotCapable)
    );
    assert_eq!(
        guest.path_open(dir, 0, "file", 0, rights::FD_WRITE, 0, 0),
        err(Errno::NotCapable)
    );
    assert_eq!(
        guest.path_open(dir, 0, "new", CREAT, 0, 0, 0),
        err(Errno::NotCapable)
    );
    let again = guest
        .path_open(3, 0, ".", DIRECTORY, !rights::FD_WRITE, u64::MAX, 0)
        .unwrap();
    assert_eq!(
        guest.path_open(again, 0, "new", CREAT, 0, 0, 0),
        err(Errno::NotCapable)
    );

    let after = fs::metadata(tree.root().join("file")).unwrap();
    assert_eq!(
        (after.mtime(), after.mtime_nsec(), after.size()),
        (before.mtime(), before.mtime_nsec(), 4)
    );
    assert_eq!(
        names(&tree.root().join("dir")),
        ["absolute", "around", "file", "nested", "out", "up"]
    );
    assert_eq!(names(writable.path()), ["mine"]);
}

#[test]
fn renaming_and_linking_between_grants() {
    let (one, two) = (tempdir(), tempdir());
    fs::write(one.path().join("a"), "a").unwrap();
    let mut guest = Guest::with_grants(&[(one.path(), "/one", false), (two.path(), "/two", false)]);
    guest.link_between((3, 0, "a"), (4, "b")).unwrap();
    assert_eq!(guest.stat(0, "a").unwrap().nlink, 2);
    guest.rename_between((3, "a"), (4, "c")).unwrap();
    assert_eq!(names(two.path()), ["b", "c"]);
    assert!(names(one.path()).is_empty());
    assert_eq!(
        guest.rename_between((4, "b"), (3, "../x")),
        err(Errno::NotCapable)
    );
    assert_eq!(
        guest.rename_between((4, "../x"), (3, "b")),
        err(Errno::NotCapable)
    );
    assert_eq!(
        guest.link_between((4, 0, "b"), (3, "../x")),
        err(Errno::NotCapable)
    );
}

#[test]
fn the_outcome_of_a_rename_is_the_kernels() {
    let tree = Tree::new();
    let mut guest = tree.guest();
    guest.mkdir("empty").unwrap();
    assert_eq!(guest.rename("empty", "dir"), err(Errno::NotEmpty));
    assert_eq!(guest.rename("empty", "file"), err(Errno::NotDir));
    assert_eq!(guest.rename("file", "empty"), err(Errno::IsDir));
    assert_eq!(guest.rename("missing", "x"), err(Errno::NoEnt));
    assert_eq!(guest.rename("dir", "dir/nested/x"), err(Errno::Inval));
    guest.rename("dir", "empty").unwrap();
    assert_eq!(guest.link(0, "empty", "x"), err(Errno::Perm));
    assert_eq!(guest.link(0, "file", "empty"), err(Errno::Exist));
    assert_eq!(guest.link(FOLLOW, "dangling", "x"), err(Errno::NoEnt));
    guest.link(0, "dangling", "x").unwrap();
    guest.link(FOLLOW, "to_file", "y").unwrap();
    assert_eq!(guest.stat(0, "y").unwrap().filetype, filetype::REGULAR_FILE);
    assert_eq!(guest.rmdir("empty"), err(Errno::NotEmpty));
    assert_eq!(guest.rmdir("file"), err(Errno::NotDir));
    assert_eq!(guest.unlink("empty"), err(Errno::IsDir));
    assert_eq!(guest.unlink("missing"), err(Errno::NoEnt));
}

#[test]
fn readlink_cuts_off() {
    let tree = Tree::new();
    let mut guest = tree.guest();
    guest.put(BUFFER, &[0xaa; 16]);
    assert_eq!(guest.readlink("to_file", 10).unwrap(), b"file");
    assert_eq!(guest.bytes(BUFFER + 4, 8), [0xaa; 8]);
    assert_eq!(guest.readlink("to_file", 2).unwrap(), b"fi");
    assert_eq!(guest.readlink("to_file", 0).unwrap(), b"");
    assert_eq!(guest.readlink("file", 10), err(Errno::Inval));
    assert_eq!(guest.readlink("dir", 10), err(Errno::Inval));
    assert_eq!(guest.readlink(".", 10), err(Errno::Inval));
    assert_eq!(guest.readlink("missing", 10), err(Errno::NoEnt));
}

#[test]
fn times_at_their_limits() {
    let tree = Tree::new();
    let mut guest = tree.guest();
    guest
        .set_times(0, "file", 1_000_000_001, 2_000_000_002, 5)
        .unwrap();
    let stat = guest.stat(0, "file").unwrap();
    assert_eq!((stat.atim, stat.mtim), (1_000_000_001, 2_000_000_002));
    guest.set_times(0, "file", 7, 9, 4).unwrap();
    let stat = guest.stat(0, "file").unwrap();
    assert_eq!((stat.atim, stat.mtim), (1_000_000_001, 9));
    guest.set_times(0, "file", 7, 9, 2).unwrap();
    let stat = guest.stat(0, "file").unwrap();
    assert!(stat.atim > 1_600_000_000_000_000_000 && stat.mtim == 9);
    // What the file system can't store it clamps; what comes back is a time, not a wrapped one.
    guest.set_times(0, "file", u64::MAX, u64::MAX, 5).unwrap();
    assert!(guest.stat(0, "file").unwrap().mtim > 4_000_000_000_000_000_000);
    for flags in [3, 12, 15, 16, 7, u32::MAX] {
        assert_eq!(
            guest.set_times(0, "file", 1, 1, flags),
            err(Errno::Inval),
            "{flags}"
        );
    }
    // Older than the epoch.
    let host = fs::File::options()
        .write(true)
        .open(tree.root().join("file"))
        .unwrap();
    host.set_modified(std::time::UNIX_EPOCH - std::time::Duration::from_secs(1000))
        .unwrap();
    assert_eq!(guest.stat(0, "file").unwrap().mtim, 0);
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

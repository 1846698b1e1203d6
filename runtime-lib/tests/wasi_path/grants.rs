//! What may be done with what is found: opening, rights, read-only grants, renaming, times.

use super::*;

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

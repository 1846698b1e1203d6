//! Paths as they are written: how they end, what is none, how long and how deep they may be.

use super::*;

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

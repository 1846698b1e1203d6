//! Where input comes from and output goes to, and what is left behind when that fails.

use super::*;

#[test]
fn inputs_that_cannot_be_read() {
    let scratch = scratch(&["hello.wat"]);
    let fifo = scratch.path().join("fifo");
    assert!(
        Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .expect("mkfifo")
            .success()
    );
    let large = fs::File::create(scratch.path().join("large")).expect("file");
    large.set_len((1 << 30) + 1).expect("sparse file");
    for (file, words) in [
        ("absent.wasm", "No such file"),
        (".", "it is a directory"),
        ("fifo", "not a regular file"),
        ("/dev/zero", "not a regular file"),
        ("large", "larger than 1 GiB"),
    ] {
        for line in [
            format!("build {file} -o out"),
            format!("run {file}"),
            format!("inspect {file}"),
            format!("build hello.wat -o out --link env={file}"),
        ] {
            let mut command = elfin(scratch.path());
            command
                .args(line.split(' '))
                .env("XDG_CACHE_HOME", scratch.path());
            let finished = finish(command, None);
            finished.expect_code(1);
            let start = format!("error: cannot read {file}\n\nCaused by:\n    0: ");
            assert!(finished.stderr.starts_with(&start), "{}", finished.stderr);
            assert!(finished.stderr.contains(words), "{}", finished.stderr);
        }
    }
    assert!(!scratch.path().join("out").exists());
}

#[test]
fn standard_input() {
    let scratch = scratch(&["exit.wat"]);
    let mut command = elfin(scratch.path());
    command.args(["build", "-", "-o", "out"]);
    finish(command, Some(&scratch.path().join("exit.wat"))).expect_code(0);
    run_native(&scratch.path().join("out"), &[]).expect_code(7);
    // Endless input ends at the limit.
    let mut command = elfin(scratch.path());
    command.args(["build", "-", "-o", "endless"]);
    let finished = finish(command, Some(Path::new("/dev/zero")));
    finished.expect_code(1);
    assert!(
        finished.stderr.contains("larger than 1 GiB"),
        "{}",
        finished.stderr
    );
    assert!(finished.memory < support::BUILD_MEMORY);
    assert_eq!(names(scratch.path()), ["exit.wat", "out"]);
}

#[test]
fn output_is_never_an_input() {
    let scratch = scratch(&["main.wat", "add.wat"]);
    symlink("main.wat", scratch.path().join("link.wat")).expect("symlink");
    fs::create_dir(scratch.path().join("sub")).expect("directory");
    for line in [
        "build main.wat -o main.wat --link env=add.wat",
        "build main.wat -o add.wat --link env=add.wat",
        "build main.wat -o sub/../main.wat --link env=add.wat",
        "build main.wat -o out --map main.wat --link env=add.wat",
        "build link.wat -o main.wat --link env=add.wat",
        "build link.wat -o link.wat --link env=add.wat",
    ] {
        let finished = run_elfin(scratch.path(), line);
        finished.expect_code(1);
        assert!(
            finished.stderr.contains("it is the input"),
            "{line}: {}",
            finished.stderr
        );
    }
    // Without an extension the default name is the input's own.
    fs::copy(guest("exit.wat"), scratch.path().join("plain")).expect("copy");
    assert!(
        run_elfin(scratch.path(), "build plain")
            .expect_code(1)
            .stderr
            .contains("it is the input")
    );
    assert_eq!(
        names(scratch.path()),
        ["add.wat", "link.wat", "main.wat", "plain", "sub"]
    );
    for (name, original) in [
        ("main.wat", "main.wat"),
        ("add.wat", "add.wat"),
        ("plain", "exit.wat"),
    ] {
        let kept = fs::read(scratch.path().join(name)).expect("input");
        assert!(kept == fs::read(guest(original)).expect("guest"), "{name}");
    }
}

#[test]
fn a_symbolic_link_is_replaced() {
    let scratch = scratch(&["exit.wat"]);
    let out = scratch.path().join("out");
    fs::write(scratch.path().join("precious"), "precious").expect("file");
    for target in ["precious", "dangling"] {
        let _ = fs::remove_file(&out);
        symlink(target, &out).expect("symlink");
        run_elfin(scratch.path(), "build exit.wat -o out").expect_code(0);
        assert!(fs::symlink_metadata(&out).expect("output").is_file());
        run_native(&out, &[]).expect_code(7);
    }
    assert_eq!(
        fs::read(scratch.path().join("precious")).expect("file"),
        b"precious"
    );
    assert!(!scratch.path().join("dangling").exists());
}

#[test]
fn devices_are_written_to() {
    let scratch = scratch(&["exit.wat"]);
    let identity = |path: &str| {
        fs::metadata(path)
            .map(|metadata| (metadata.ino(), metadata.mode()))
            .expect("device")
    };
    let before = identity("/dev/null");
    run_elfin(scratch.path(), "build exit.wat -o /dev/null").expect_code(0);
    assert_eq!(identity("/dev/null"), before);
    let full = run_elfin(scratch.path(), "build exit.wat -o /dev/full");
    assert!(
        full.expect_code(1).stderr.contains("No space left"),
        "{}",
        full.stderr
    );
    let stdout = run_elfin(scratch.path(), "build exit.wat -o /dev/stdout");
    assert!(
        stdout.expect_code(1).stderr.contains("-o -"),
        "{}",
        stdout.stderr
    );
    assert!(fs::symlink_metadata("/dev/stdout").is_ok_and(|metadata| metadata.is_symlink()));
}

#[test]
fn outputs_that_cannot_be_written() {
    let scratch = scratch(&["exit.wat"]);
    fs::create_dir(scratch.path().join("exit")).expect("directory");
    fs::write(scratch.path().join("file"), "").expect("file");
    for (line, words) in [
        ("build exit.wat", "it is a directory"),
        ("build exit.wat -o absent/out", "No such file or directory"),
        ("build exit.wat -o file/out", "Not a directory"),
    ] {
        let finished = run_elfin(scratch.path(), line);
        finished.expect_code(1);
        assert!(
            finished.stderr.starts_with("error: cannot write "),
            "{}",
            finished.stderr
        );
        assert!(
            finished.stderr.contains(words),
            "{line}: {}",
            finished.stderr
        );
    }
    assert_eq!(names(scratch.path()), ["exit", "exit.wat", "file"]);
}

#[test]
fn the_umask_decides_permissions() {
    let scratch = scratch(&["exit.wat"]);
    for (umask, mode) in [("022", 0o755), ("077", 0o700), ("027", 0o750)] {
        let mut command = Command::new("sh");
        let script = format!("umask {umask}; exec \"$0\" build exit.wat -o out --map map");
        command
            .args(["-c", &script, env!("CARGO_BIN_EXE_elfin")])
            .current_dir(scratch.path());
        finish(command, None).expect_code(0);
        let permissions = |name| {
            let metadata = fs::metadata(scratch.path().join(name)).expect("output");
            metadata.permissions().mode() & 0o777
        };
        assert_eq!(permissions("out"), mode, "umask {umask}");
        assert_eq!(permissions("map"), mode & 0o666, "umask {umask}");
    }
}

#[test]
fn no_space_leaves_nothing() {
    let scratch = scratch(&["exit.wat"]);
    fs::write(scratch.path().join("out"), "as before").expect("file");
    // A limit on file sizes fails a write in the middle, as a full disk does.
    let mut command = Command::new("sh");
    let script = "trap '' XFSZ; ulimit -f 1; exec \"$0\" build exit.wat -o out --emit obj";
    command
        .args(["-c", script, env!("CARGO_BIN_EXE_elfin")])
        .current_dir(scratch.path());
    let small = finish(command, None);
    let object = tempfile::tempdir().expect("scratch");
    fs::copy(guest("exit.wat"), object.path().join("exit.wat")).expect("guest");
    run_elfin(object.path(), "build exit.wat --emit obj").expect_code(0);
    let size = fs::metadata(object.path().join("exit.o"))
        .expect("object")
        .len();
    assert!(size > 1024, "the limit of 1 KiB must be met: {size}");
    small.expect_code(1);
    assert!(
        small.stderr.contains("cannot write out") && small.stderr.contains("File too large"),
        "{}",
        small.stderr
    );
    assert_eq!(names(scratch.path()), ["exit.wat", "out"]);
    assert_eq!(
        fs::read(scratch.path().join("out")).expect("file"),
        b"as before"
    );
}

#[test]
fn a_killed_build_leaves_no_partial_output() {
    let scratch = scratch(&["cat.wat"]);
    run_elfin(scratch.path(), "build cat.wat -o whole").expect_code(0);
    let whole = fs::read(scratch.path().join("whole")).expect("executable");
    let out = scratch.path().join("out");
    let (mut absent, mut complete) = (0, 0);
    let mut delay = Duration::from_micros(500);
    while complete < 3 && delay < Duration::from_secs(5) {
        let mut command = elfin(scratch.path());
        command
            .args(["build", "cat.wat", "-o", "out"])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut child = command.spawn().expect("elfin");
        std::thread::sleep(delay);
        child.kill().expect("kill");
        child.wait().expect("wait");
        match fs::read(&out) {
            Ok(bytes) => {
                assert!(bytes == whole, "a partial output after {delay:?}");
                complete += 1;
                fs::remove_file(&out).expect("remove");
            }
            Err(_) => absent += 1,
        }
        delay = delay * 5 / 4;
    }
    assert!(
        absent > 0 && complete > 0,
        "{absent} absent, {complete} complete: nothing was tested"
    );
}

//! What the program may touch, end to end: older names of the system interface, the environment, listening
//! sockets, standard streams, limits, configuration files; and that `ELFIN_DENY` takes grants away.

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use support::{Finished, TARGETS, finish, guest, qemu, run_elfin};
use tempfile::TempDir;

/// A scratch directory with guests in it.
fn scratch(guests: &[&str]) -> TempDir {
    let directory = tempfile::tempdir().expect("scratch");
    for name in guests {
        fs::copy(guest(name), directory.path().join(name)).expect("guest");
    }
    directory
}

/// Builds `guest` as `a` for a target.
#[track_caller]
fn build(scratch: &Path, target: &str, guest: &str, options: &str) {
    run_elfin(
        scratch,
        &format!("build {guest} --target {target} -o a {options}"),
    )
    .expect_code(0);
}

/// What runs `a`, with nothing in its environment.
fn command(scratch: &Path, target: &str) -> Command {
    let mut command = if target == std::env::consts::ARCH {
        Command::new(scratch.join("a"))
    } else {
        let mut command = Command::new(qemu(target));
        command.arg(scratch.join("a"));
        command
    };
    command.current_dir(scratch).env_clear();
    command
}

/// Runs `a` with these environment variables.
fn run(scratch: &Path, target: &str, variables: &[(&str, &str)]) -> Finished {
    let mut command = command(scratch, target);
    command.envs(variables.iter().copied());
    finish(command, None)
}

fn inspect(scratch: &Path) -> Value {
    let described = run_elfin(scratch, "inspect a --json");
    serde_json::from_str(&described.expect_code(0).text()).expect("JSON")
}

#[test]
fn the_older_interface_has_its_own_records_and_numbers() {
    let scratch = scratch(&["unstable.wat"]);
    fs::write(scratch.path().join("five"), "12345").expect("file");
    fs::hard_link(scratch.path().join("five"), scratch.path().join("six")).expect("link");
    for target in TARGETS {
        build(scratch.path(), target, "unstable.wat", "--dir .::/");
        let ran = run(scratch.path(), target, &[]);
        assert_eq!(ran.expect_code(0).text(), "unstable\n", "{target}");
    }
    let functions = inspect(scratch.path())["host_functions"].clone();
    assert!(
        functions
            .as_array()
            .is_some_and(|all| all.contains(&json!("wasi_unstable.poll_oneoff")))
    );
}

#[test]
fn both_interfaces_in_one_program() {
    // The same function under both names: one symbol.
    let scratch = scratch(&[]);
    let module = r#"(module
        (import "wasi_unstable" "fd_write" (func $old (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write" (func $new (param i32 i32 i32 i32) (result i32)))
        (import "wasi_unstable" "fd_seek" (func $old_seek (param i32 i64 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_seek" (func $new_seek (param i32 i64 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "\10\00\00\00\01\00\00\00") (data (i32.const 16) "x")
        (func (export "_start")
            (drop (call $old (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
            (drop (call $new (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
            ;; Neither numbering has a fourth way to say from where.
            (if (i32.ne (i32.const 28) (call $new_seek (i32.const 0) (i64.const 0) (i32.const 3) (i32.const 8)))
                (then unreachable))
            (if (i32.ne (i32.const 28) (call $old_seek (i32.const 0) (i64.const 0) (i32.const 3) (i32.const 8)))
                (then unreachable))))"#;
    fs::write(scratch.path().join("both.wat"), module).expect("module");
    for target in TARGETS {
        build(scratch.path(), target, "both.wat", "");
        assert_eq!(run(scratch.path(), target, &[]).expect_code(0).text(), "xx");
    }
    // A function that came later has no older name.
    let module = r#"(module (import "wasi_unstable" "sock_accept" (func (param i32 i32 i32) (result i32)))
        (func (export "_start")))"#;
    fs::write(scratch.path().join("late.wat"), module).expect("module");
    let failed = run_elfin(scratch.path(), "build late.wat");
    assert!(failed.expect_code(1).stderr.contains("sock_accept"));
}

#[test]
fn the_whole_environment_when_granted() {
    let scratch = scratch(&["environ.wat"]);
    let variables = [("A", "1"), ("B", "x=y"), ("C", ""), ("ELFIN_DENY", "dir")];
    for target in TARGETS {
        build(
            scratch.path(),
            target,
            "environ.wat",
            "--inherit-env --env B=sealed --inherit-env A",
        );
        let ran = run(scratch.path(), target, &variables);
        let text = ran.expect_code(0).text();
        let mut all: Vec<_> = text.split_terminator('\0').collect();
        all.sort_unstable();
        assert_eq!(all, ["A=1", "B=sealed", "C="], "{target}");
    }
    let policy = &inspect(scratch.path())["policy"];
    assert_eq!(policy["inherit_all_env"], json!(true));
    assert_eq!(policy["inherit_env"], json!([]));
    assert_eq!(policy["env"], json!([{ "name": "B", "value": "sealed" }]));
    let failed = run_elfin(scratch.path(), "build --inherit-env environ.wat");
    assert!(
        failed.expect_code(2).stderr.contains("module"),
        "{}",
        failed.stderr
    );
    let failed = run_elfin(scratch.path(), "build environ.wat --inherit-env ELFIN_DENY");
    assert!(failed.expect_code(2).stderr.contains("never see it"));
}

#[test]
fn variables_are_denied() {
    let scratch = scratch(&["environ.wat"]);
    for target in TARGETS {
        build(
            scratch.path(),
            target,
            "environ.wat",
            "--inherit-env A --env B=2",
        );
        let ran = |deny| run(scratch.path(), target, &[("A", "1"), ("ELFIN_DENY", deny)]);
        assert_eq!(ran("").expect_code(0).text(), "B=2\0A=1\0");
        assert_eq!(ran("dir,net").expect_code(0).text(), "B=2\0A=1\0");
        assert_eq!(ran("env").expect_code(0).text(), "");
        assert_eq!(ran("net,env,env").expect_code(0).text(), "");
        for (wrong, word) in [
            ("all", "all"),
            ("env,", ""),
            ("ENV", "ENV"),
            ("\x1b[1m", "\\x1b[1m"),
        ] {
            let refused = ran(wrong);
            assert_eq!(
                refused.expect_code(1).stderr,
                format!(
                    "elfin: error: ELFIN_DENY: unknown word '{word}'; the words are dir, net and env, with \
                     commas between them\n"
                )
            );
            assert!(refused.stdout.is_empty());
        }
    }
    // A program that was granted nothing does not look.
    build(scratch.path(), TARGETS[0], "environ.wat", "");
    let ran = run(scratch.path(), TARGETS[0], &[("ELFIN_DENY", "all")]);
    assert_eq!(ran.expect_code(0).text(), "");
}

#[test]
fn directories_are_denied() {
    let scratch = scratch(&["create.wat"]);
    fs::create_dir(scratch.path().join("d")).expect("directory");
    for target in TARGETS {
        build(scratch.path(), target, "create.wat", "--dir d::/");
        let created = scratch.path().join("d/created");
        // A bad descriptor: there is none.
        run(scratch.path(), target, &[("ELFIN_DENY", "dir")]).expect_code(8);
        run(scratch.path(), target, &[("ELFIN_DENY", "env,dir,net")]).expect_code(8);
        run(scratch.path(), target, &[("ELFIN_DENY", "dirs")]).expect_code(1);
        assert!(!created.exists());
        run(scratch.path(), target, &[("ELFIN_DENY", "env,net")]).expect_code(0);
        fs::remove_file(created).expect("created");
    }
    // Not even looked for.
    build(scratch.path(), TARGETS[0], "create.wat", "--dir none");
    run(scratch.path(), TARGETS[0], &[]).expect_code(1);
    run(scratch.path(), TARGETS[0], &[("ELFIN_DENY", "dir")]).expect_code(8);
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("its address").port()
}

/// Talks to `server.wat` at this port; its exit status.
fn talk(mut command: Command, address: (&str, u16)) -> Option<i32> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the server starts");
    let mut ready = String::new();
    BufReader::new(child.stdout.take().expect("its output"))
        .read_line(&mut ready)
        .expect("a line");
    if ready != "ready\n" {
        return child.wait().expect("its status").code();
    }
    let mut connection = TcpStream::connect(address).expect("a connection");
    connection
        .set_read_timeout(Some(support::PATIENCE))
        .expect("a time limit");
    let mut answer = [0; 4];
    connection.write_all(b"ping").expect("sent");
    connection.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"ping");
    connection.write_all(b"po").expect("sent");
    thread::sleep(Duration::from_millis(20));
    connection.write_all(b"ng").expect("sent");
    connection.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"pong");
    assert_eq!(connection.read(&mut answer).expect("its end"), 0);
    drop(connection);
    child.wait().expect("its status").code()
}

#[test]
fn a_server_listens_and_answers() {
    let scratch = scratch(&["server.wat"]);
    for target in TARGETS {
        let port = free_port();
        build(
            scratch.path(),
            target,
            "server.wat",
            &format!("--tcp-listen 127.0.0.1:{port}"),
        );
        let server = command(scratch.path(), target);
        assert_eq!(talk(server, ("127.0.0.1", port)), Some(103), "{target}");
        // Again at once, though its last connection is still remembered.
        let server = command(scratch.path(), target);
        assert_eq!(talk(server, ("127.0.0.1", port)), Some(103), "{target}");
        // Without it, there is no socket.
        run(scratch.path(), target, &[("ELFIN_DENY", "net")]).expect_code(90);
    }
}

#[test]
fn sockets_have_the_numbers_behind_the_directories() {
    let scratch = scratch(&["server.wat"]);
    let (port, other) = (free_port(), free_port());
    // The machine may have no IPv6.
    let (host, address) = match TcpListener::bind("[::1]:0") {
        Ok(_) => ("::1", format!("[::1]:{port}")),
        Err(_) => ("127.0.0.1", format!("127.0.0.1:{port}")),
    };
    for target in TARGETS {
        build(
            scratch.path(),
            target,
            "server.wat",
            &format!(
                "--tcp-listen {address} --dir .::/ --dir /::/all:ro --tcp-listen 127.0.0.1:{other}"
            ),
        );
        let server = command(scratch.path(), target);
        assert_eq!(talk(server, (host, port)), Some(105), "{target}");
        // The number stays when the directories go.
        let mut server = command(scratch.path(), target);
        server.env("ELFIN_DENY", "dir");
        assert_eq!(talk(server, (host, port)), Some(105), "{target}");
    }
    let policy = &inspect(scratch.path())["policy"];
    assert_eq!(
        policy["tcp_listen"],
        json!([address, format!("127.0.0.1:{other}")])
    );
}

#[test]
fn an_address_that_can_not_be_had_ends_the_program() {
    let scratch = scratch(&["server.wat"]);
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("its address").port();
    for target in TARGETS {
        for (address, reason) in [
            (format!("127.0.0.1:{port}"), "Address already in use"),
            ("192.0.2.1:80".into(), "Cannot assign requested address"),
        ] {
            let options = format!("--tcp-listen {address}");
            build(scratch.path(), target, "server.wat", &options);
            let ran = run(scratch.path(), target, &[]);
            assert_eq!(
                ran.expect_code(1).stderr,
                format!("elfin: error: cannot listen on {address}: {reason}\n"),
                "{target}"
            );
        }
    }
    for wrong in ["localhost:80", "127.0.0.1", "127.0.0.1:0"] {
        let failed = run_elfin(
            scratch.path(),
            &format!("build server.wat --tcp-listen {wrong}"),
        );
        failed.expect_code(2);
    }
}

#[test]
fn standard_streams_can_be_nothing() {
    let scratch = scratch(&["hello.wat", "cat.wat", "trap.wat"]);
    let input = scratch.path().join("hello.wat");
    for target in TARGETS {
        let ran = |options: &str, guest: &str| {
            build(scratch.path(), target, guest, options);
            finish(command(scratch.path(), target), Some(&input))
        };
        let hello = ran("--stdout null", "hello.wat");
        assert!(hello.expect_code(0).stdout.is_empty());
        let hello = ran("--stdout inherit --stderr null", "hello.wat");
        assert!(!hello.expect_code(0).stdout.is_empty());
        assert!(!ran("", "cat.wat").expect_code(0).stdout.is_empty());
        assert!(
            ran("--stdin null", "cat.wat")
                .expect_code(0)
                .stdout
                .is_empty()
        );
        // Why a program ended is not the program's to hide.
        let trap = ran("--stderr null", "trap.wat");
        assert!(trap.expect_code(134).stderr.contains("elfin: trap: "));
    }
    build(
        scratch.path(),
        TARGETS[0],
        "hello.wat",
        "--stdin null --stderr null",
    );
    let described = inspect(scratch.path());
    assert_eq!(
        described["policy"]["null_streams"],
        json!(["stdin", "stderr"])
    );
    run_elfin(scratch.path(), "build hello.wat --stdin file").expect_code(2);
}

#[test]
fn open_files_are_counted() {
    let scratch = scratch(&["open-many.wat"]);
    for target in TARGETS {
        for (max, opened) in [(5, 1), (10, 6), (100, 96)] {
            build(
                scratch.path(),
                target,
                "open-many.wat",
                &format!("--dir . --max-open-files {max}"),
            );
            run(scratch.path(), target, &[]).expect_code(opened);
        }
    }
    for wrong in ["2", "4097", "x"] {
        let line = format!("build open-many.wat --max-open-files {wrong}");
        run_elfin(scratch.path(), &line).expect_code(2);
    }
}

#[test]
fn a_configuration_file_is_as_good_as_options() {
    let scratch = scratch(&["environ.wat", "create.wat"]);
    let config = "dir = ['d::/:ro', 'e']\narg = ['-v']\nmax-memory = '1MiB'\nmax-stack = 65536\n\
        tcp-listen = '127.0.0.1:8080'\nstdin = 'null'\nmax-open-files = 12\ninherit-env = ['HOME']\nopt-level = 's'\n\
        [env]\nLANG = 'C'\nTERM = 'dumb'\n";
    fs::write(scratch.path().join("elfin.toml"), config).expect("file");
    let executable = || fs::read(scratch.path().join("a")).expect("executable");
    build(
        scratch.path(),
        TARGETS[0],
        "environ.wat",
        "--config elfin.toml --env TERM=vt100",
    );
    let (from_file, described) = (executable(), inspect(scratch.path()));
    build(
        scratch.path(),
        TARGETS[0],
        "environ.wat",
        "--dir d::/:ro --dir e --arg=-v --max-memory 1MiB --max-stack 65536 --tcp-listen 127.0.0.1:8080 \
         --stdin null --max-open-files 12 --inherit-env HOME -O s --env LANG=C --env TERM=vt100",
    );
    assert!(from_file == executable());
    let policy = &described["policy"];
    assert_eq!(
        *policy,
        json!({
            "dirs": [
                { "host": "d", "guest": "/", "read_only": true },
                { "host": "e", "guest": "e", "read_only": false },
            ],
            "env": [{ "name": "LANG", "value": "C" }, { "name": "TERM", "value": "vt100" }],
            "inherit_env": ["HOME"], "inherit_all_env": false, "args": ["-v"],
            "tcp_listen": ["127.0.0.1:8080"], "null_streams": ["stdin"], "max_open_files": 12,
            "max_memory": 1 << 20, "max_stack": 65536, "in_image": true,
        })
    );
    assert_eq!(described["provenance"]["opt_level"], json!("s"));
    let text = run_elfin(scratch.path(), "inspect a").expect_code(0).text();
    for line in [
        "directory d as /, read only",
        "directory e as e, read and write",
        "environment variable LANG=C",
        "environment variable HOME, inherited",
        "argument -v",
        "TCP connections to 127.0.0.1:8080, on descriptor 5",
        "but nothing as its standard input",
        "each memory: 1048576 bytes",
        "stack: 65536 bytes",
        "open files: 12",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }

    // Not read unless it is named, be it in the working directory.
    build(scratch.path(), TARGETS[0], "environ.wat", "");
    assert_eq!(inspect(scratch.path())["policy"]["args"], json!([]));

    // A relative directory is relative to where the program runs, not to the file.
    fs::create_dir_all(scratch.path().join("sub/d")).expect("directory");
    fs::create_dir(scratch.path().join("d")).expect("directory");
    fs::write(scratch.path().join("sub/x.toml"), "dir = ['d']\n").expect("file");
    build(
        scratch.path(),
        TARGETS[0],
        "create.wat",
        "--config sub/x.toml",
    );
    run(scratch.path(), TARGETS[0], &[]).expect_code(0);
    assert!(scratch.path().join("d/created").is_file());

    // `run` has it as well.
    let mut run = support::elfin(scratch.path());
    run.args(["run", "environ.wat", "--config", "c.toml"])
        .env("XDG_CACHE_HOME", scratch.path().join("cache"));
    fs::write(scratch.path().join("c.toml"), "env = 'A=1'\n").expect("file");
    assert_eq!(finish(run, None).expect_code(0).text(), "A=1\0");
}

#[test]
fn what_is_wrong_in_a_configuration_file_has_its_line() {
    let scratch = scratch(&["environ.wat"]);
    for (text, error) in [
        ("arg = ['x']\nenvs = ['A=1']\n", "c.toml, line 2\n"),
        ("\n\nmax-open-files = 2\n", "c.toml, line 3\n"),
        ("dir = [\n  'a',\n  'b::',\n]\n", "c.toml, line 3\n"),
        ("dir = \n", "c.toml, line 1\n"),
    ] {
        fs::write(scratch.path().join("c.toml"), text).expect("file");
        let failed = run_elfin(scratch.path(), "build environ.wat -o a --config c.toml");
        assert!(
            failed.expect_code(1).stderr.contains(error),
            "{}",
            failed.stderr
        );
        assert!(!scratch.path().join("a").exists());
    }
    fs::write(scratch.path().join("c.toml"), b"arg = '\xff'").expect("file");
    let failed = run_elfin(scratch.path(), "build environ.wat --config c.toml");
    assert!(failed.expect_code(1).stderr.contains("UTF-8"));
    let failed = run_elfin(scratch.path(), "build environ.wat --config none.toml");
    assert!(
        failed
            .expect_code(1)
            .stderr
            .contains("cannot read none.toml")
    );
}

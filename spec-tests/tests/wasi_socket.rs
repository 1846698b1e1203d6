//! Programs that were given a socket as their standard input: what they receive and send, what they accept.

mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::process::{Child, Command, Stdio};
use support::{Guest, expect_text, places, scratch};

fn start(guest: &Guest, section: &str, socket: OwnedFd) -> Child {
    let scratch = scratch();
    let mut command: Command = guest.command(scratch.path(), &[section, "0"]);
    command
        .stdin(Stdio::from(socket))
        .stdout(Stdio::piped())
        .spawn()
        .expect("guest")
}

fn end(child: Child) -> String {
    let output = child.wait_with_output().expect("guest");
    assert_eq!(output.status.code(), Some(0));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn streams_datagrams_and_connections() {
    for place in places() {
        let guest = Guest::build("socket", place, &[]);
        let mut text = String::new();
        let mut add = |section: &str, said: &str| text += &format!("# {section}\n{said}\n");

        let (mut ours, theirs) = UnixStream::pair().expect("sockets");
        ours.write_all(b"hello").expect("send");
        let child = start(&guest, "stream", theirs.into());
        let mut ready = [0; 5];
        ours.read_exact(&mut ready).expect("receive");
        assert_eq!(&ready, b"ready");
        ours.write_all(b"abc").expect("send");
        // The guest waits for six bytes, however long it takes.
        std::thread::sleep(std::time::Duration::from_millis(50));
        ours.write_all(b"def").expect("send");
        ours.shutdown(std::net::Shutdown::Write).expect("shutdown");
        let mut rest = Vec::new();
        ours.read_to_end(&mut rest).expect("receive");
        assert!(rest.is_empty(), "{rest:?}");
        add("stream", &end(child));

        let (ours, theirs) = UnixDatagram::pair().expect("sockets");
        ours.send(b"datagram").expect("send");
        ours.send(b"second").expect("send");
        let child = start(&guest, "datagram", theirs.into());
        let mut answer = [0; 100];
        let len = ours.recv(&mut answer).expect("receive");
        assert_eq!(&answer[..len], b"answer");
        add("datagram", &end(child));

        let listener = TcpListener::bind("127.0.0.1:0").expect("listener");
        let address = listener.local_addr().expect("address");
        let child = start(&guest, "listening", listener.into());
        for line in ["first", "other", "third"] {
            let mut connection = TcpStream::connect(address).expect("connection");
            connection.write_all(line.as_bytes()).expect("send");
            let mut back = String::new();
            connection.read_to_string(&mut back).expect("receive");
            assert_eq!(back, line);
        }
        add("listening", &end(child));
        expect_text("socket.txt", &text, &format!("{place:?}"));
    }
}

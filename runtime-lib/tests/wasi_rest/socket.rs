//! `sock_*`.

use super::*;
use std::io::{Read, Write};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

#[test]
fn messages_are_sent_and_received() {
    let mut guest = Guest::with_grants(&[]);
    let memory = guest.memory();
    let (one, mut two) = UnixStream::pair().unwrap();
    let fd = guest.adopt(one, filetype::SOCKET_STREAM, rights::SOCKET);
    guest.put(0x9000, b"hello world");
    guest.iovecs(BUFFER, &[(0x9000, 5), (0x9005, 6)]);
    assert_eq!(elfin_wasi_sock_send(memory, fd, BUFFER, 2, 0, RESULT), 0);
    assert_eq!(guest.u32(RESULT), 11);
    let mut text = [0; 11];
    two.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"hello world");

    two.write_all(b"abcdef").unwrap();
    guest.iovecs(BUFFER, &[(0xa000, 2), (0xb000, 3)]);
    for flags in [1, 2] {
        guest.put(RESULT, &[0xaa; 8]);
        assert_eq!(
            elfin_wasi_sock_recv(memory, fd, BUFFER, 2, flags, RESULT, RESULT + 4),
            0
        );
        assert_eq!((guest.u32(RESULT), guest.u16(RESULT + 4)), (5, 0));
        assert_eq!(
            (guest.bytes(0xa000, 2), guest.bytes(0xb000, 3)),
            (&b"ab"[..], &b"cde"[..])
        );
    }
    assert_eq!(guest.read(fd, 10).unwrap(), b"f");
    let (inval, fault) = (Errno::Inval as i32, Errno::Fault as i32);
    assert_eq!(
        elfin_wasi_sock_recv(memory, fd, BUFFER, 2, 4, RESULT, RESULT + 4),
        inval
    );
    assert_eq!(
        elfin_wasi_sock_send(memory, fd, BUFFER, 2, 1, RESULT),
        inval
    );
    assert_eq!(
        elfin_wasi_sock_recv(memory, fd, BUFFER, 2, 0, SIZE, RESULT),
        fault
    );
    assert_eq!(
        elfin_wasi_sock_recv(memory, fd, BUFFER, 2, 0, RESULT, SIZE - 1),
        fault
    );
    assert_eq!(
        elfin_wasi_sock_send(memory, fd, BUFFER, 1025, 0, RESULT),
        inval
    );
    for how in [0, 4, u32::MAX] {
        assert_eq!(elfin_wasi_sock_shutdown(memory, fd, how), inval);
    }
    assert_eq!(elfin_wasi_sock_shutdown(memory, fd, 2), 0);
    assert_eq!(two.read(&mut text).unwrap(), 0);
    assert_eq!(
        elfin_wasi_sock_send(memory, fd, BUFFER, 2, 0, RESULT),
        Errno::Pipe as i32
    );
    assert_eq!(elfin_wasi_sock_shutdown(memory, fd, 3), 0);
    assert_eq!(
        elfin_wasi_sock_recv(memory, fd, BUFFER, 2, 0, RESULT, RESULT + 4),
        0
    );
    assert_eq!(guest.u32(RESULT), 0);

    // A datagram that does not fit says so.
    let (one, two) = UnixDatagram::pair().unwrap();
    let fd = guest.adopt(one, filetype::SOCKET_DGRAM, rights::SOCKET);
    two.send(b"0123456789").unwrap();
    guest.iovecs(BUFFER, &[(0xa000, 2), (0xb000, 3)]);
    assert_eq!(
        elfin_wasi_sock_recv(memory, fd, BUFFER, 2, 0, RESULT, RESULT + 4),
        0
    );
    assert_eq!((guest.u32(RESULT), guest.u16(RESULT + 4)), (5, 1));
    assert_eq!(guest.fdstat(fd).unwrap().filetype, filetype::SOCKET_DGRAM);
    assert_eq!(
        guest.fd_filestat(fd).unwrap().filetype,
        filetype::SOCKET_DGRAM
    );
}

#[test]
fn connections_are_accepted() {
    let directory = tempdir();
    let mut guest = Guest::in_directory(&directory);
    let memory = guest.memory();
    let path = directory.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    listener.set_nonblocking(true).unwrap();
    let fd = guest.adopt(listener, filetype::SOCKET_STREAM, rights::SOCKET);
    assert_eq!(
        elfin_wasi_sock_accept(memory, fd, 0, RESULT),
        Errno::Again as i32
    );
    let mut client = UnixStream::connect(&path).unwrap();
    assert_eq!(
        elfin_wasi_sock_accept(memory, fd, 1, RESULT),
        Errno::Inval as i32
    );
    assert_eq!(
        elfin_wasi_sock_accept(memory, fd, 0, SIZE - 3),
        Errno::Fault as i32
    );
    assert_eq!(elfin_wasi_sock_accept(memory, fd, 4, RESULT), 0);
    let accepted = guest.u32(RESULT);
    let stat = guest.fdstat(accepted).unwrap();
    assert_eq!((stat.filetype, stat.flags), (filetype::SOCKET_STREAM, 4));
    assert_eq!(stat.base, rights::SOCKET & !rights::SOCK_ACCEPT);
    assert_eq!(guest.read(accepted, 10), err(Errno::Again));
    client.write_all(b"hi").unwrap();
    assert_eq!(guest.read(accepted, 10).unwrap(), b"hi");
    assert_eq!(
        elfin_wasi_sock_accept(memory, accepted, 0, RESULT),
        Errno::NotCapable as i32
    );
}

#[test]
fn what_is_no_socket() {
    let directory = tempdir();
    let mut guest = Guest::in_directory(&directory);
    let file = guest.open("file", CREAT).unwrap();
    let memory = guest.memory();
    guest.iovecs(BUFFER, &[(0x9000, 1)]);
    for fd in [3, file] {
        let no = Errno::NotSock as i32;
        assert_eq!(elfin_wasi_sock_accept(memory, fd, 0, RESULT), no);
        assert_eq!(
            elfin_wasi_sock_recv(memory, fd, BUFFER, 1, 0, RESULT, RESULT + 4),
            no
        );
        assert_eq!(elfin_wasi_sock_send(memory, fd, BUFFER, 1, 0, RESULT), no);
        assert_eq!(elfin_wasi_sock_shutdown(memory, fd, 1), no);
    }
    for fd in [99, 4096, u32::MAX] {
        let bad = Errno::BadF as i32;
        assert_eq!(elfin_wasi_sock_accept(memory, fd, 0, RESULT), bad);
        assert_eq!(
            elfin_wasi_sock_recv(memory, fd, BUFFER, 1, 0, RESULT, RESULT + 4),
            bad
        );
        assert_eq!(elfin_wasi_sock_send(memory, fd, BUFFER, 1, 0, RESULT), bad);
        assert_eq!(elfin_wasi_sock_shutdown(memory, fd, 1), bad);
    }
    let (one, _two) = UnixStream::pair().unwrap();
    let fd = guest.adopt(one, filetype::SOCKET_STREAM, rights::FD_FILESTAT_GET);
    let refused = Errno::NotCapable as i32;
    assert_eq!(
        elfin_wasi_sock_recv(memory, fd, BUFFER, 1, 0, RESULT, RESULT + 4),
        refused
    );
    assert_eq!(
        elfin_wasi_sock_send(memory, fd, BUFFER, 1, 0, RESULT),
        refused
    );
    assert_eq!(elfin_wasi_sock_shutdown(memory, fd, 1), refused);
    assert_eq!(elfin_wasi_sock_accept(memory, fd, 0, RESULT), refused);
}

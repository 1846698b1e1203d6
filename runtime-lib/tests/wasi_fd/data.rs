//! Data: gathered and scattered, at an offset; iovecs at the ends of memory.

use super::*;
use std::os::unix::net::UnixStream;

#[test]
fn data_goes_where_it_should() {
    let directory = tempdir();
    let mut guest = Guest::in_directory(&directory);
    let fd = guest.open("file", CREAT).unwrap();
    let memory = guest.memory();
    // Scattered over the memory, with an empty one between, and unaligned.
    guest.put(0x9001, b"abc");
    guest.put(0xa000, b"defg");
    guest.iovecs(BUFFER + 1, &[(0x9001, 3), (0, 0), (0xa000, 4)]);
    assert_eq!(
        elfin_wasi_fd_write(memory, fd, BUFFER + 1, 3, RESULT + 3),
        0
    );
    assert_eq!(guest.u32(RESULT + 3), 7);
    assert_eq!(
        elfin_wasi_fd_pwrite(memory, fd, BUFFER + 1, 1, 5, RESULT),
        0
    );
    assert_eq!(
        fs::read(directory.path().join("file")).unwrap(),
        b"abcdeabc"
    );
    assert_eq!(guest.seek(fd, 0, 1), Ok(7));
    assert_eq!(guest.seek(fd, -2, 2), Ok(6));
    assert_eq!(guest.read(fd, 100).unwrap(), b"bc");
    guest.iovecs(BUFFER, &[(0x9000, 2), (0xb000, 2)]);
    assert_eq!(elfin_wasi_fd_pread(memory, fd, BUFFER, 2, 1, RESULT), 0);
    assert_eq!(
        (
            guest.u32(RESULT),
            guest.bytes(0x9000, 2),
            guest.bytes(0xb000, 2)
        ),
        (4, &b"bc"[..], &b"de"[..])
    );
    assert_eq!(guest.seek(fd, 0, 1), Ok(8));
    assert_eq!(guest.seek(fd, -9, 1), err(Errno::Inval));
    assert_eq!(guest.seek(fd, i64::MIN, 0), err(Errno::Inval));
    assert_eq!(guest.seek(fd, 0, 3), err(Errno::Inval));
    assert_eq!(guest.seek(fd, 1 << 40, 0), Ok(1 << 40));
    assert_eq!(
        elfin_wasi_fd_pread(memory, fd, BUFFER, 2, u64::MAX, RESULT),
        Errno::Inval as i32
    );
    assert_eq!(
        elfin_wasi_fd_pwrite(memory, fd, BUFFER, 2, 1 << 63, RESULT),
        Errno::Inval as i32
    );
    // Nothing at all is written, and well.
    assert_eq!(elfin_wasi_fd_write(memory, fd, 0, 0, RESULT), 0);
    assert_eq!(guest.u32(RESULT), 0);
}

#[test]
fn iovecs_at_their_limits() {
    let directory = tempdir();
    let mut guest = Guest::in_directory(&directory);
    let fd = guest.open("file", CREAT).unwrap();
    guest.write(fd, b"0123456789").unwrap();
    guest.seek(fd, 0, 0).unwrap();
    let memory = guest.memory();
    let (fault, inval) = (Errno::Fault as i32, Errno::Inval as i32);
    let both = |iovecs, count, result, expected| {
        assert_eq!(
            elfin_wasi_fd_write(memory, fd, iovecs, count, result),
            expected
        );
        assert_eq!(
            elfin_wasi_fd_read(memory, fd, iovecs, count, result),
            expected
        );
        assert_eq!(
            elfin_wasi_fd_pwrite(memory, fd, iovecs, count, 0, result),
            expected
        );
        assert_eq!(
            elfin_wasi_fd_pread(memory, fd, iovecs, count, 0, result),
            expected
        );
    };
    both(u32::MAX - 3, 1, RESULT, fault);
    both(SIZE - 7, 1, RESULT, fault);
    both(SIZE, 1, RESULT, fault);
    both(BUFFER, 1025, RESULT, inval);
    both(BUFFER, 1 << 31, RESULT, inval);
    both(BUFFER, u32::MAX, RESULT, inval);
    for iovec in [
        (0, u32::MAX),
        (u32::MAX, u32::MAX),
        (u32::MAX, 1),
        (SIZE, 1),
        (SIZE - 1, 2),
        (1, SIZE),
        (0x8000_0000, 0x8000_0000),
        (u32::MAX, 0),
    ] {
        guest.iovecs(BUFFER, &[(0x9000, 1), iovec]);
        both(BUFFER, 2, RESULT, fault);
    }
    // Results that can't be delivered: nothing was done.
    guest.iovecs(BUFFER, &[(0x9000, 1)]);
    for result in [SIZE - 3, SIZE, u32::MAX] {
        both(BUFFER, 1, result, fault);
    }
    assert_eq!(guest.seek(fd, 0, 1), Ok(0));
    assert_eq!(
        fs::read(directory.path().join("file")).unwrap(),
        b"0123456789"
    );
    // 1,024 are allowed, also at the very end of the memory; they may overlap each other.
    let at = SIZE - 1024 * 8;
    guest.iovecs(at, &vec![(0x9000, 1); 1024]);
    assert_eq!(elfin_wasi_fd_read(memory, fd, at, 1024, RESULT), 0);
    assert_eq!((guest.u32(RESULT), guest.bytes(0x9000, 1)), (10, &b"9"[..]));
    guest.seek(fd, 0, 0).unwrap();
    // The result inside the data, the data over the iovecs: each iovec counts as it was read first.
    guest.iovecs(BUFFER, &[(BUFFER, 8), (BUFFER + 8, 2)]);
    assert_eq!(elfin_wasi_fd_read(memory, fd, BUFFER, 2, BUFFER + 2), 0);
    assert_eq!(guest.bytes(BUFFER, 10), b"01\x0a\x00\x00\x006789");
    // No memory at all.
    // SAFETY: null.
    let none = unsafe { elfin_runtime::guest::Memory::new(core::ptr::null()) };
    assert_eq!(elfin_wasi_fd_write(none, fd, 0, 1, 0), fault);
    assert_eq!(elfin_wasi_fd_write(none, fd, 0, 0, 0), fault);
    assert_eq!(elfin_wasi_fd_fdstat_get(none, fd, 0), fault);
}

#[test]
fn a_memory_of_four_gigabytes_has_no_end_inside() {
    let mut guest = Guest::with_grants(&[]);
    // All of a 32-bit memory; untouched pages cost nothing.
    guest.set_memory(vec![0; 1 << 32]);
    let (one, two) = UnixStream::pair().unwrap();
    let fd = guest.adopt(one, filetype::SOCKET_STREAM, rights::SOCKET);
    guest.iovecs(u32::MAX - 7, &[(u32::MAX, 1)]);
    let memory = guest.memory();
    assert_eq!(
        elfin_wasi_fd_write(memory, fd, u32::MAX - 7, 1, u32::MAX - 3),
        0
    );
    assert_eq!(guest.u32(u32::MAX - 3), 1);
    assert_eq!(
        elfin_wasi_fd_write(memory, fd, u32::MAX - 6, 1, 0),
        Errno::Fault as i32
    );
    guest.iovecs(0, &[(u32::MAX, 2)]);
    assert_eq!(
        elfin_wasi_fd_write(memory, fd, 0, 1, 100),
        Errno::Fault as i32
    );
    guest.iovecs(0, &[(1, u32::MAX)]);
    drop(two);
    assert_eq!(
        elfin_wasi_fd_write(memory, fd, 0, 1, 100),
        Errno::Pipe as i32
    );
}

//! `fd_*`: descriptors, rights, data, attributes, directories, and hostile numbers and pointers.

mod support;

use elfin_runtime::errno::Errno;
use elfin_runtime::wasi::fd::*;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use support::*;

const ODD_NUMBERS: [u32; 6] = [4095, 4096, 1 << 20, 1 << 31, i32::MAX as u32, u32::MAX];

#[test]
fn numbers_that_are_not_open() {
    let directory = tempdir();
    let mut guest = Guest::in_directory(&directory);
    let memory = guest.memory();
    let bad = Errno::BadF as i32;
    for fd in ODD_NUMBERS.into_iter().chain([4]) {
        assert_eq!(elfin_wasi_fd_write(memory, fd, 0, 0, RESULT), bad, "{fd}");
        assert_eq!(elfin_wasi_fd_read(memory, fd, 0, 0, RESULT), bad, "{fd}");
        assert_eq!(
            elfin_wasi_fd_pwrite(memory, fd, 0, 0, 0, RESULT),
            bad,
            "{fd}"
        );
        assert_eq!(
            elfin_wasi_fd_pread(memory, fd, 0, 0, 0, RESULT),
            bad,
            "{fd}"
        );
        assert_eq!(elfin_wasi_fd_advise(memory, fd, 0, 0, 0), bad, "{fd}");
        assert_eq!(elfin_wasi_fd_allocate(memory, fd, 0, 1), bad, "{fd}");
        assert_eq!(elfin_wasi_fd_close(memory, fd), bad, "{fd}");
        assert_eq!(elfin_wasi_fd_datasync(memory, fd), bad, "{fd}");
        assert_eq!(elfin_wasi_fd_sync(memory, fd), bad, "{fd}");
        assert_eq!(elfin_wasi_fd_fdstat_get(memory, fd, RESULT), bad, "{fd}");
        assert_eq!(elfin_wasi_fd_fdstat_set_flags(memory, fd, 0), bad, "{fd}");
        assert_eq!(
            elfin_wasi_fd_fdstat_set_rights(memory, fd, 0, 0),
            bad,
            "{fd}"
        );
        assert_eq!(elfin_wasi_fd_filestat_get(memory, fd, RESULT), bad, "{fd}");
        assert_eq!(elfin_wasi_fd_filestat_set_size(memory, fd, 0), bad, "{fd}");
        assert_eq!(
            elfin_wasi_fd_filestat_set_times(memory, fd, 0, 0, 0),
            bad,
            "{fd}"
        );
        assert_eq!(elfin_wasi_fd_prestat_get(memory, fd, RESULT), bad, "{fd}");
        assert_eq!(
            elfin_wasi_fd_prestat_dir_name(memory, fd, BUFFER, 9),
            bad,
            "{fd}"
        );
        assert_eq!(elfin_wasi_fd_renumber(memory, fd, 3), bad, "{fd}");
        assert_eq!(elfin_wasi_fd_renumber(memory, 3, fd), bad, "{fd}");
        assert_eq!(elfin_wasi_fd_seek(memory, fd, 0, 0, RESULT), bad, "{fd}");
        assert_eq!(elfin_wasi_fd_tell(memory, fd, RESULT), bad, "{fd}");
        assert_eq!(
            elfin_wasi_fd_readdir(memory, fd, BUFFER, 100, 0, RESULT),
            bad,
            "{fd}"
        );
    }
    // The directory is still there.
    assert_eq!(guest.fdstat(3).unwrap().filetype, filetype::DIRECTORY);
}

#[test]
fn grants_have_names() {
    let (one, two) = (tempdir(), tempdir());
    let mut guest =
        Guest::with_grants(&[(one.path(), "/", false), (two.path(), "some/where", true)]);
    let memory = guest.memory();
    guest.put(RESULT, &[0xaa; 8]);
    assert_eq!(elfin_wasi_fd_prestat_get(memory, 3, RESULT), 0);
    assert_eq!(guest.bytes(RESULT, 8), [0, 0, 0, 0, 1, 0, 0, 0]);
    assert_eq!(elfin_wasi_fd_prestat_get(memory, 4, RESULT), 0);
    assert_eq!(guest.u32(RESULT + 4), 10);
    guest.put(BUFFER, &[0xaa; 12]);
    assert_eq!(
        elfin_wasi_fd_prestat_dir_name(memory, 4, BUFFER, 9),
        Errno::NameTooLong as i32
    );
    assert_eq!(guest.bytes(BUFFER, 1), [0xaa]);
    assert_eq!(elfin_wasi_fd_prestat_dir_name(memory, 4, BUFFER, 12), 0);
    assert_eq!(guest.bytes(BUFFER, 12), b"some/where\xaa\xaa");
    assert_eq!(
        elfin_wasi_fd_prestat_dir_name(memory, 4, SIZE - 9, 10),
        Errno::Fault as i32
    );
    assert_eq!(
        elfin_wasi_fd_prestat_get(memory, 4, SIZE - 7),
        Errno::Fault as i32
    );
    for fd in [0, 1, 2, 5] {
        assert_eq!(
            elfin_wasi_fd_prestat_get(memory, fd, RESULT),
            Errno::BadF as i32,
            "{fd}"
        );
    }
    // What is opened through a grant is none; what a grant is moved to is.
    let fd = guest.open_dir(".").unwrap();
    assert_eq!(
        elfin_wasi_fd_prestat_get(memory, fd, RESULT),
        Errno::BadF as i32
    );
    assert_eq!(elfin_wasi_fd_renumber(memory, 4, fd), 0);
    assert_eq!(
        elfin_wasi_fd_prestat_get(memory, 4, RESULT),
        Errno::BadF as i32
    );
    assert_eq!(elfin_wasi_fd_prestat_get(memory, fd, RESULT), 0);
    assert_eq!(guest.u32(RESULT + 4), 10);
    let stat = guest.fdstat(3).unwrap();
    assert_eq!(
        (stat.base, stat.inheriting, stat.flags),
        (rights::DIRECTORY, rights::DIRECTORY | rights::FILE, 0)
    );
    let stat = guest.fdstat(fd).unwrap();
    assert_eq!((stat.base | stat.inheriting) & rights::MUTATION, 0);
}

#[test]
fn renumbering_closes_and_moves() {
    let directory = tempdir();
    let mut guest = Guest::in_directory(&directory);
    let one = guest.open("one", CREAT).unwrap();
    let two = guest.open("two", CREAT).unwrap();
    guest.write(one, b"one").unwrap();
    let memory = guest.memory();
    let open = host_descriptors();
    assert_eq!(elfin_wasi_fd_renumber(memory, one, one), 0);
    assert_eq!(elfin_wasi_fd_renumber(memory, one, two), 0);
    assert_eq!(host_descriptors(), open - 1);
    assert_eq!(guest.close(one), err(Errno::BadF));
    assert_eq!(elfin_wasi_fd_renumber(memory, two, one), Errno::BadF as i32);
    assert_eq!(guest.seek(two, 0, 1), Ok(3));
    assert_eq!(guest.fd_filestat(two).unwrap().size, 3);
    // The freed number is the next one.
    assert_eq!(guest.open("three", CREAT), Ok(one));
    // Over the grant itself.
    let dir = guest.open_dir(".").unwrap();
    assert_eq!(elfin_wasi_fd_renumber(memory, dir, 3), 0);
    assert_eq!(guest.fdstat(dir), err(Errno::BadF));
    assert_eq!(guest.stat(0, "one").unwrap().size, 3);
    guest.close(3).unwrap();
    assert_eq!(guest.stat(0, "one"), err(Errno::BadF));
    assert_eq!(guest.close(3), err(Errno::BadF));
}

#[test]
fn the_table_ends_somewhere() {
    let directory = tempdir();
    let mut guest = Guest::in_directory(&directory);
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    rustix::process::setrlimit(
        rustix::process::Resource::Nofile,
        rustix::process::Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    )
    .unwrap();
    let room = limit.maximum.unwrap_or(u64::MAX);
    let mut last = 3;
    let error = loop {
        match guest.path_open(3, 0, ".", 0, 0, 0, 0) {
            Ok(fd) => {
                assert_eq!(fd, last + 1);
                last = fd;
            }
            Err(error) => break error,
        }
    };
    assert_eq!(error, Errno::MFile as i32);
    assert!(room < 4500 || last == 4095, "{last}");
    // Nothing is made that nobody could have.
    assert_eq!(guest.open("new", CREAT), err(Errno::MFile));
    assert!(!directory.path().join("new").exists());
    let open = host_descriptors_after_failure(&mut guest);
    guest.close(100).unwrap();
    guest.close(last).unwrap();
    assert_eq!(guest.path_open(3, 0, ".", 0, 0, 0, 0), Ok(100));
    assert_eq!(guest.path_open(3, 0, ".", 0, 0, 0, 0), Ok(last));
    assert_eq!(host_descriptors_after_failure(&mut guest), open);
    for fd in 4..=last {
        guest.close(fd).unwrap();
    }
    rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).unwrap();
}

fn host_descriptors_after_failure(guest: &mut Guest) -> u64 {
    assert_eq!(guest.path_open(3, 0, ".", 0, 0, 0, 0), err(Errno::MFile));
    (0..5000)
        .filter(|&fd| {
            // SAFETY: only asks whether it is open.
            rustix::io::fcntl_getfd(unsafe { rustix::fd::BorrowedFd::borrow_raw(fd) }).is_ok()
        })
        .count() as u64
}

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

#[test]
fn rights_are_checked_and_only_shrink() {
    let directory = tempdir();
    fs::write(directory.path().join("file"), "text").unwrap();
    let mut guest = Guest::in_directory(&directory);
    let fd = guest
        .path_open(3, 0, "file", 0, rights::FILE, 0, 0)
        .unwrap();
    let memory = guest.memory();
    let refused = Errno::NotCapable as i32;
    let keep = rights::FD_SEEK | rights::FD_READ;
    assert_eq!(elfin_wasi_fd_fdstat_set_rights(memory, fd, keep, 0), 0);
    assert_eq!(guest.fdstat(fd).unwrap().base, keep);
    assert_eq!(
        elfin_wasi_fd_fdstat_set_rights(memory, fd, keep | rights::FD_WRITE, 0),
        refused
    );
    assert_eq!(
        elfin_wasi_fd_fdstat_set_rights(memory, fd, keep, 1),
        refused
    );
    assert_eq!(
        elfin_wasi_fd_fdstat_set_rights(memory, fd, u64::MAX, u64::MAX),
        refused
    );
    assert_eq!(guest.fdstat(fd).unwrap().base, keep);
    assert_eq!(guest.read(fd, 9).unwrap(), b"text");
    // The right to seek includes the right to tell.
    assert_eq!(elfin_wasi_fd_tell(memory, fd, RESULT), 0);
    assert_eq!(guest.u64(RESULT), 4);
    assert_eq!(elfin_wasi_fd_write(memory, fd, 0, 0, RESULT), refused);
    assert_eq!(elfin_wasi_fd_pwrite(memory, fd, 0, 0, 0, RESULT), refused);
    assert_eq!(elfin_wasi_fd_advise(memory, fd, 0, 0, 0), refused);
    assert_eq!(elfin_wasi_fd_allocate(memory, fd, 0, 1), refused);
    assert_eq!(elfin_wasi_fd_datasync(memory, fd), refused);
    assert_eq!(elfin_wasi_fd_sync(memory, fd), refused);
    assert_eq!(elfin_wasi_fd_fdstat_set_flags(memory, fd, 1), refused);
    assert_eq!(elfin_wasi_fd_filestat_get(memory, fd, RESULT), refused);
    assert_eq!(elfin_wasi_fd_filestat_set_size(memory, fd, 0), refused);
    assert_eq!(
        elfin_wasi_fd_filestat_set_times(memory, fd, 0, 0, 0),
        refused
    );
    assert_eq!(
        elfin_wasi_fd_fdstat_set_rights(memory, fd, rights::FD_TELL, 0),
        refused
    );
    assert_eq!(elfin_wasi_fd_fdstat_set_rights(memory, fd, 0, 0), 0);
    assert_eq!(guest.seek(fd, 0, 1), err(Errno::NotCapable));
    assert_eq!(guest.seek(fd, 0, 0), err(Errno::NotCapable));
    assert_eq!(guest.read(fd, 9), err(Errno::NotCapable));
    assert_eq!(elfin_wasi_fd_pread(memory, fd, 0, 0, 0, RESULT), refused);
    guest.close(fd).unwrap();

    // A directory is no file.
    for (code, name) in [
        (elfin_wasi_fd_read(memory, 3, 0, 0, RESULT), "read"),
        (elfin_wasi_fd_write(memory, 3, 0, 0, RESULT), "write"),
        (elfin_wasi_fd_seek(memory, 3, 0, 0, RESULT), "seek"),
        (elfin_wasi_fd_tell(memory, 3, RESULT), "tell"),
        (elfin_wasi_fd_allocate(memory, 3, 0, 1), "allocate"),
        (elfin_wasi_fd_filestat_set_size(memory, 3, 0), "set_size"),
    ] {
        assert_eq!(code, refused, "{name}");
    }
    assert_eq!(elfin_wasi_fd_sync(memory, 3), 0);
    assert_eq!(
        elfin_wasi_fd_filestat_set_times(memory, 3, 1, 2_000_000_000, 5),
        0
    );
    assert_eq!(guest.fd_filestat(3).unwrap().mtim, 2_000_000_000);
    // A directory without rights is still a directory.
    assert_eq!(elfin_wasi_fd_fdstat_set_rights(memory, 3, 0, 0), 0);
    assert_eq!(guest.stat(0, "file"), err(Errno::NotCapable));
    assert_eq!(
        elfin_wasi_fd_readdir(memory, 3, BUFFER, 100, 0, RESULT),
        refused
    );
}

#[test]
fn flags_come_back_and_can_be_switched() {
    let directory = tempdir();
    let mut guest = Guest::in_directory(&directory);
    let (append, dsync, nonblock, rsync, sync) = (1, 2, 4, 8, 16);
    for (asked, expected) in [
        (0, 0),
        (append, append),
        (nonblock, nonblock),
        (dsync, dsync),
        (sync, sync | rsync | dsync),
        (append | nonblock | sync, 31),
    ] {
        let fd = guest
            .path_open(3, 0, "file", CREAT, rights::FILE, 0, asked)
            .unwrap();
        assert_eq!(guest.fdstat(fd).unwrap().flags, expected as u16, "{asked}");
        guest.close(fd).unwrap();
    }
    let fd = guest
        .path_open(3, 0, "file", CREAT, rights::FILE, 0, append)
        .unwrap();
    let memory = guest.memory();
    guest.write(fd, b"12").unwrap();
    guest.seek(fd, 0, 0).unwrap();
    guest.write(fd, b"34").unwrap();
    assert_eq!(elfin_wasi_fd_fdstat_set_flags(memory, fd, 0), 0);
    assert_eq!(guest.fdstat(fd).unwrap().flags, 0);
    guest.seek(fd, 0, 0).unwrap();
    guest.write(fd, b"56").unwrap();
    assert_eq!(fs::read(directory.path().join("file")).unwrap(), b"5634");
    assert_eq!(
        elfin_wasi_fd_fdstat_set_flags(memory, fd, append | nonblock),
        0
    );
    assert_eq!(guest.fdstat(fd).unwrap().flags, 5);
    assert_eq!(
        elfin_wasi_fd_fdstat_set_flags(memory, fd, sync),
        Errno::NotSup as i32
    );
    assert_eq!(
        elfin_wasi_fd_fdstat_set_flags(memory, fd, 32),
        Errno::Inval as i32
    );
    assert_eq!(guest.fdstat(fd).unwrap().flags, 5);
    // Padding of the record is zero.
    guest.put(RESULT, &[0xaa; 24]);
    guest.fdstat(fd).unwrap();
    assert_eq!(
        (guest.bytes(RESULT + 1, 1), guest.bytes(RESULT + 4, 4)),
        (&[0][..], &[0; 4][..])
    );
}

#[test]
fn attributes_of_open_files() {
    let directory = tempdir();
    let mut guest = Guest::in_directory(&directory);
    let fd = guest.open("file", CREAT).unwrap();
    let memory = guest.memory();
    assert_eq!(elfin_wasi_fd_filestat_set_size(memory, fd, 100), 0);
    assert_eq!(elfin_wasi_fd_allocate(memory, fd, 90, 20), 0);
    let host = fs::metadata(directory.path().join("file")).unwrap();
    let stat = guest.fd_filestat(fd).unwrap();
    assert_eq!(
        (stat.size, stat.dev, stat.ino, stat.nlink),
        (110, host.dev(), host.ino(), 1)
    );
    assert_eq!(stat.filetype, filetype::REGULAR_FILE);
    assert_eq!(
        stat.ctim,
        host.ctime() as u64 * 1_000_000_000 + host.ctime_nsec() as u64
    );
    assert_eq!(
        elfin_wasi_fd_filestat_set_size(memory, fd, u64::MAX),
        Errno::Inval as i32
    );
    assert_eq!(
        elfin_wasi_fd_allocate(memory, fd, 0, 0),
        Errno::Inval as i32
    );
    assert_eq!(
        elfin_wasi_fd_allocate(memory, fd, u64::MAX, 1),
        Errno::Inval as i32
    );
    assert_eq!(
        elfin_wasi_fd_allocate(memory, fd, 0, u64::MAX),
        Errno::Inval as i32
    );
    assert!(elfin_wasi_fd_allocate(memory, fd, i64::MAX as u64, i64::MAX as u64) != 0);
    assert_eq!(guest.fd_filestat(fd).unwrap().size, 110);
    for advice in 0..6 {
        assert_eq!(
            elfin_wasi_fd_advise(memory, fd, 10, 50, advice),
            0,
            "{advice}"
        );
    }
    assert_eq!(
        elfin_wasi_fd_advise(memory, fd, 10, 50, 6),
        Errno::Inval as i32
    );
    assert_eq!(
        elfin_wasi_fd_advise(memory, fd, 0, u64::MAX, 0),
        Errno::Inval as i32
    );
    assert_eq!(
        elfin_wasi_fd_advise(memory, fd, 1 << 63, 1, 0),
        Errno::Inval as i32
    );
    assert_eq!(elfin_wasi_fd_filestat_set_times(memory, fd, 5, 6, 5), 0);
    let stat = guest.fd_filestat(fd).unwrap();
    assert_eq!((stat.atim, stat.mtim), (5, 6));
    for flags in [3, 12, 16] {
        assert_eq!(
            elfin_wasi_fd_filestat_set_times(memory, fd, 1, 1, flags),
            Errno::Inval as i32
        );
    }
    assert_eq!(
        elfin_wasi_fd_filestat_set_times(memory, fd, u64::MAX, u64::MAX, 5),
        0
    );
    assert_eq!(
        (
            elfin_wasi_fd_sync(memory, fd),
            elfin_wasi_fd_datasync(memory, fd)
        ),
        (0, 0)
    );
    assert_eq!(
        elfin_wasi_fd_filestat_get(memory, fd, SIZE - 63),
        Errno::Fault as i32
    );
    assert_eq!(elfin_wasi_fd_filestat_get(memory, fd, SIZE - 64), 0);
}

#[test]
fn standard_streams_need_no_setup() {
    let mut guest = Guest::with_grants(&[]);
    let memory = guest.memory();
    assert_eq!(elfin_wasi_fd_write(memory, 1, 0, 0, RESULT), 0);
    assert_eq!(elfin_wasi_fd_write(memory, 2, 0, 0, RESULT), 0);
    assert_eq!(elfin_wasi_fd_read(memory, 0, 0, 0, RESULT), 0);
    assert_eq!(
        elfin_wasi_fd_write(memory, 0, 0, 0, RESULT),
        Errno::NotCapable as i32
    );
    assert_eq!(
        elfin_wasi_fd_read(memory, 1, 0, 0, RESULT),
        Errno::NotCapable as i32
    );
    for fd in 0..3 {
        let stat = guest.fdstat(fd).unwrap();
        assert_ne!(stat.base & (rights::FD_READ | rights::FD_WRITE), 0);
        assert_eq!(stat.base & (rights::PATH_OPEN | rights::FD_READDIR), 0);
        guest.fd_filestat(fd).unwrap();
    }
}

#[test]
fn a_character_device_that_can_not_seek_is_a_terminal() {
    let mut guest = Guest::with_grants(&[(std::path::Path::new("/dev"), "/dev", false)]);
    let tells = rights::FD_SEEK | rights::FD_TELL;
    let null = guest.open("null", 0).unwrap();
    let stat = guest.fdstat(null).unwrap();
    assert_eq!(
        (stat.filetype, stat.base & tells),
        (filetype::CHARACTER_DEVICE, tells)
    );
    if let Ok(terminal) = guest.open("ptmx", 0) {
        let stat = guest.fdstat(terminal).unwrap();
        assert_eq!(
            (stat.filetype, stat.base & tells),
            (filetype::CHARACTER_DEVICE, 0)
        );
    }
}

struct Entry {
    next: u64,
    ino: u64,
    name: String,
    filetype: u8,
}

fn readdir(guest: &mut Guest, fd: u32, len: u32, cookie: u64) -> Result<(Vec<Entry>, u32), i32> {
    guest.put(BUFFER, &vec![0xaa; len as usize + 8]);
    outcome(elfin_wasi_fd_readdir(
        guest.memory(),
        fd,
        BUFFER,
        len,
        cookie,
        RESULT,
    ))?;
    let used = guest.u32(RESULT);
    assert!(used <= len);
    assert_eq!(
        guest.bytes(BUFFER + used, 8),
        [0xaa; 8],
        "written beyond the end"
    );
    let (mut entries, mut at) = (Vec::new(), 0);
    while used - at >= 24 {
        let name_len = guest.u32(BUFFER + at + 16);
        if used - at < 24 + name_len {
            break;
        }
        assert_eq!(guest.bytes(BUFFER + at + 21, 3), [0; 3], "padding");
        entries.push(Entry {
            next: guest.u64(BUFFER + at),
            ino: guest.u64(BUFFER + at + 8),
            filetype: guest.bytes(BUFFER + at + 20, 1)[0],
            name: String::from_utf8(guest.bytes(BUFFER + at + 24, name_len).to_vec()).unwrap(),
        });
        at += 24 + name_len;
    }
    Ok((entries, used))
}

#[test]
fn directories_are_read_in_pieces_of_any_size() {
    let directory = tempdir();
    let mut expected = vec![
        (".".to_owned(), filetype::DIRECTORY),
        ("..".to_owned(), filetype::DIRECTORY),
    ];
    for index in 0..300 {
        let name = format!("{index:0width$}", width = index % 200 + 3);
        fs::write(directory.path().join(&name), "").unwrap();
        expected.push((name, filetype::REGULAR_FILE));
    }
    fs::create_dir(directory.path().join("sub")).unwrap();
    expected.push(("sub".to_owned(), filetype::DIRECTORY));
    std::os::unix::fs::symlink("x", directory.path().join("link")).unwrap();
    expected.push(("link".to_owned(), filetype::SYMBOLIC_LINK));
    let _socket = std::os::unix::net::UnixListener::bind(directory.path().join("socket")).unwrap();
    expected.push(("socket".to_owned(), filetype::SOCKET_STREAM));
    rustix::fs::mknodat(
        rustix::fs::CWD,
        directory.path().join("fifo"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    expected.push(("fifo".to_owned(), filetype::UNKNOWN));
    expected.sort();

    let mut guest = Guest::in_directory(&directory);
    let opened = guest.open_dir(".").unwrap();
    for fd in [3, opened] {
        for len in [250, 256, 1000, 4096, 0x8000] {
            let (mut seen, mut cookie) = (Vec::new(), 0);
            loop {
                let (entries, used) = readdir(&mut guest, fd, len, cookie).unwrap();
                for entry in &entries {
                    // What is above a granted directory is not told.
                    let name = entry.name.strip_suffix("..").unwrap_or(&entry.name);
                    let host = fs::symlink_metadata(directory.path().join(name)).unwrap();
                    assert_eq!(entry.ino, host.ino());
                    seen.push((entry.name.clone(), entry.filetype));
                    cookie = entry.next;
                }
                if used < len {
                    break;
                }
                assert!(!entries.is_empty(), "no entry in {len} bytes");
            }
            seen.sort();
            assert_eq!(seen, expected, "{len}");
        }
    }
}

#[test]
fn short_buffers_get_the_beginning() {
    let directory = tempdir();
    fs::write(directory.path().join("name"), "").unwrap();
    let mut guest = Guest::in_directory(&directory);
    let (_, used) = readdir(&mut guest, 3, 200, 0).unwrap();
    let whole = guest.bytes(BUFFER, used).to_vec();
    assert_eq!(used as usize, 3 * 24 + 1 + 2 + 4);
    for len in 0..used {
        let (_, used) = readdir(&mut guest, 3, len, 0).unwrap();
        assert_eq!(used, len);
        assert_eq!(guest.bytes(BUFFER, len), &whole[..len as usize]);
    }
    let memory = guest.memory();
    let fault = Errno::Fault as i32;
    assert_eq!(
        elfin_wasi_fd_readdir(memory, 3, SIZE - 10, 11, 0, RESULT),
        fault
    );
    assert_eq!(
        elfin_wasi_fd_readdir(memory, 3, BUFFER, u32::MAX, 0, RESULT),
        fault
    );
    assert_eq!(
        elfin_wasi_fd_readdir(memory, 3, BUFFER, 10, 0, SIZE - 3),
        fault
    );
    assert_eq!(
        elfin_wasi_fd_readdir(memory, 3, SIZE - 10, 10, 0, RESULT),
        0
    );
    // Cookies from nowhere.
    assert_eq!(
        elfin_wasi_fd_readdir(memory, 3, BUFFER, 100, u64::MAX, RESULT),
        Errno::Inval as i32
    );
    assert_eq!(
        elfin_wasi_fd_readdir(memory, 3, BUFFER, 100, 1 << 63, RESULT),
        Errno::Inval as i32
    );
    for cookie in [i64::MAX as u64, 1 << 40, 12345] {
        let code = elfin_wasi_fd_readdir(memory, 3, BUFFER, 100, cookie, RESULT);
        assert!(code == 0 || code == Errno::Inval as i32, "{cookie}: {code}");
    }
    let file = guest
        .path_open(3, 0, "name", 0, rights::FD_READ | rights::FD_READDIR, 0, 0)
        .unwrap();
    assert_eq!(
        readdir(&mut guest, file, 100, 0).err(),
        Some(Errno::NotDir as i32)
    );
}

//! What a descriptor is and may: rights, flags, attributes, the kinds of files.

use super::*;

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

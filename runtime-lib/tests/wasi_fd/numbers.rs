//! Descriptors as numbers: what is not open, grants, renumbering, the end of the table.

use super::*;

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

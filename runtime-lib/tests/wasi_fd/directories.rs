//! `fd_readdir`: listings in pieces, short buffers, cookies.

use super::*;

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

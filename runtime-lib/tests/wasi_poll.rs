//! `poll_oneoff`, and sleeping through signals.

mod support;

use elfin_runtime::errno::Errno;
use elfin_runtime::wasi::clock::elfin_wasi_clock_time_get;
use elfin_runtime::wasi::poll::elfin_wasi_poll_oneoff;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};
use support::*;

const REALTIME: u32 = 0;
const MONOTONIC: u32 = 1;
const MILLISECOND: u64 = 1_000_000;

#[derive(Clone, Copy)]
enum Subscribe {
    Relative(u32, u64),
    Absolute(u32, u64),
    Read(u32),
    Write(u32),
    Raw(u8, u32, u64, u16),
}
use Subscribe::*;

fn encode(subscriptions: &[Subscribe]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (index, subscription) in subscriptions.iter().enumerate() {
        let (tag, id, timeout, flags) = match *subscription {
            Relative(clock, timeout) => (0, clock, timeout, 0),
            Absolute(clock, timeout) => (0, clock, timeout, 1),
            Read(fd) => (1, fd, 0, 0),
            Write(fd) => (2, fd, 0, 0),
            Raw(tag, id, timeout, flags) => (tag, id, timeout, flags),
        };
        bytes.extend(0x1000_u64.wrapping_add(index as u64).to_le_bytes());
        bytes.extend([tag, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa]);
        bytes.extend(id.to_le_bytes());
        bytes.extend([0xaa; 4]);
        bytes.extend(timeout.to_le_bytes());
        bytes.extend(0_u64.to_le_bytes());
        bytes.extend(flags.to_le_bytes());
        bytes.extend([0xaa; 6]);
    }
    bytes
}

#[derive(Debug, PartialEq, Eq)]
struct Event {
    index: u64,
    error: u16,
    tag: u8,
    nbytes: u64,
    flags: u16,
}

const FROM: u32 = 0x8000;

fn poll_at(guest: &mut Guest, subscriptions: &[Subscribe], to: u32) -> Result<Vec<Event>, i32> {
    let count = subscriptions.len() as u32;
    guest.put(FROM, &encode(subscriptions));
    outcome(elfin_wasi_poll_oneoff(
        guest.memory(),
        FROM,
        to,
        count,
        RESULT,
    ))?;
    Ok((0..guest.u32(RESULT))
        .map(|index| {
            let at = to + index * 32;
            assert_eq!(
                (guest.bytes(at + 11, 5), guest.bytes(at + 26, 6)),
                (&[0; 5][..], &[0; 6][..]),
                "padding"
            );
            Event {
                index: guest.u64(at) - 0x1000,
                error: guest.u16(at + 8),
                tag: guest.bytes(at + 10, 1)[0],
                nbytes: guest.u64(at + 16),
                flags: guest.u16(at + 24),
            }
        })
        .collect())
}

fn poll(guest: &mut Guest, subscriptions: &[Subscribe]) -> Result<Vec<Event>, i32> {
    let to = FROM + subscriptions.len() as u32 * 48;
    poll_at(guest, subscriptions, to)
}

fn clock(index: u64) -> Event {
    Event {
        index,
        error: 0,
        tag: 0,
        nbytes: 0,
        flags: 0,
    }
}

fn now(guest: &mut Guest, clock: u32) -> u64 {
    outcome(elfin_wasi_clock_time_get(guest.memory(), clock, 0, RESULT)).unwrap();
    guest.u64(RESULT)
}

#[test]
fn clocks_strike_in_time() {
    let mut guest = Guest::with_grants(&[]);
    for subscription in [
        |_: &mut Guest| Relative(MONOTONIC, 30 * MILLISECOND),
        |_: &mut Guest| Relative(REALTIME, 30 * MILLISECOND),
        |guest: &mut Guest| Absolute(MONOTONIC, now(guest, MONOTONIC) + 30 * MILLISECOND),
        |guest: &mut Guest| Absolute(REALTIME, now(guest, REALTIME) + 30 * MILLISECOND),
    ] {
        let begin = Instant::now();
        let subscription = subscription(&mut guest);
        assert_eq!(poll(&mut guest, &[subscription]), Ok(vec![clock(0)]));
        let took = begin.elapsed();
        assert!(
            took >= Duration::from_millis(29) && took < Duration::from_secs(5),
            "{took:?}"
        );
        // The same among others, with descriptors or without.
        let never = Relative(MONOTONIC, u64::MAX);
        let (one, _two) = UnixStream::pair().unwrap();
        let fd = guest.adopt(one, filetype::SOCKET_STREAM, rights::SOCKET);
        let begin = Instant::now();
        assert_eq!(
            poll(
                &mut guest,
                &[never, Relative(MONOTONIC, 20 * MILLISECOND), never]
            ),
            Ok(vec![clock(1)])
        );
        assert_eq!(
            poll(
                &mut guest,
                &[Read(fd), never, Relative(REALTIME, 20 * MILLISECOND)]
            ),
            Ok(vec![clock(2)])
        );
        assert!(begin.elapsed() >= Duration::from_millis(39));
        guest.close(fd).unwrap();
    }
    // In the past, or now.
    let begin = Instant::now();
    for subscription in [
        Relative(MONOTONIC, 0),
        Absolute(MONOTONIC, 0),
        Absolute(REALTIME, 1),
        Absolute(MONOTONIC, 1),
        Relative(REALTIME, 0),
    ] {
        assert_eq!(poll(&mut guest, &[subscription]), Ok(vec![clock(0)]));
        assert_eq!(
            poll(&mut guest, &[Relative(MONOTONIC, u64::MAX), subscription]),
            Ok(vec![clock(1)])
        );
    }
    assert!(begin.elapsed() < Duration::from_secs(5));
}

#[test]
fn what_can_not_be_polled() {
    let mut guest = Guest::with_grants(&[]);
    let memory = guest.memory();
    let (inval, fault) = (Errno::Inval as i32, Errno::Fault as i32);
    assert_eq!(elfin_wasi_poll_oneoff(memory, FROM, FROM, 0, RESULT), inval);
    for count in [1 << 20, 1 << 27, 1 << 31, u32::MAX] {
        assert_eq!(
            elfin_wasi_poll_oneoff(memory, FROM, FROM, count, RESULT),
            fault,
            "{count}"
        );
    }
    guest.put(SIZE - 48, &encode(&[Relative(MONOTONIC, 0)]));
    assert_eq!(
        elfin_wasi_poll_oneoff(memory, SIZE - 47, FROM, 1, RESULT),
        fault
    );
    assert_eq!(
        elfin_wasi_poll_oneoff(memory, SIZE - 48, SIZE - 31, 1, RESULT),
        fault
    );
    assert_eq!(
        elfin_wasi_poll_oneoff(memory, SIZE - 48, FROM, 1, SIZE - 3),
        fault
    );
    assert_eq!(
        elfin_wasi_poll_oneoff(memory, SIZE - 48, FROM, 1, RESULT),
        0
    );
    assert_eq!(poll(&mut guest, &[Raw(3, 0, 0, 0)]), err(Errno::Inval));
    assert_eq!(
        poll(&mut guest, &[Relative(MONOTONIC, 0), Raw(255, 0, 0, 0)]),
        err(Errno::Inval)
    );
    // What is wrong with one subscription is its own event.
    let failed = |index, error: Errno, tag| Event {
        index,
        error: error as u16,
        tag,
        nbytes: 0,
        flags: 0,
    };
    let never = Relative(MONOTONIC, u64::MAX);
    assert_eq!(
        poll(
            &mut guest,
            &[
                never,
                Relative(2, 0),
                Relative(3, 9),
                Relative(4, 0),
                Relative(u32::MAX, 0),
                Raw(0, 1, 0, 2),
                Read(77)
            ]
        ),
        Ok(vec![
            failed(1, Errno::NotSup, 0),
            failed(2, Errno::NotSup, 0),
            failed(3, Errno::Inval, 0),
            failed(4, Errno::Inval, 0),
            failed(5, Errno::Inval, 0),
            failed(6, Errno::BadF, 1),
        ])
    );
    for fd in [4095, 4096, 1 << 31, u32::MAX] {
        assert_eq!(
            poll(&mut guest, &[Write(fd), never, Read(fd)]),
            Ok(vec![failed(0, Errno::BadF, 2), failed(2, Errno::BadF, 1)])
        );
    }
    let (one, _two) = UnixStream::pair().unwrap();
    let fd = guest.adopt(
        one,
        filetype::SOCKET_STREAM,
        rights::SOCKET & !rights::POLL_FD_READWRITE,
    );
    assert_eq!(
        poll(&mut guest, &[Write(fd)]),
        Ok(vec![failed(0, Errno::NotCapable, 2)])
    );
}

#[test]
fn descriptors_are_ready_when_they_are() {
    let directory = tempdir();
    std::fs::write(directory.path().join("file"), "12345").unwrap();
    let mut guest = Guest::in_directory(&directory);
    let file = guest.open("file", 0).unwrap();
    guest.seek(file, 2, 0).unwrap();
    let (one, mut two) = UnixStream::pair().unwrap();
    let fd = guest.adopt(one, filetype::SOCKET_STREAM, rights::SOCKET);
    let ready = |index, tag, nbytes, flags| Event {
        index,
        error: 0,
        tag,
        nbytes,
        flags,
    };
    let soon = Relative(MONOTONIC, 10 * MILLISECOND);

    // Regular files always are; bytes up to the end count.
    assert_eq!(
        poll(&mut guest, &[Read(file), Write(file)]),
        Ok(vec![ready(0, 1, 3, 0), ready(1, 2, 0, 0)])
    );
    assert_eq!(poll(&mut guest, &[Read(fd), soon]), Ok(vec![clock(1)]));
    assert_eq!(
        poll(&mut guest, &[Read(fd), Write(fd), soon]),
        Ok(vec![ready(1, 2, 0, 0)])
    );
    two.write_all(b"1234567").unwrap();
    assert_eq!(
        poll(&mut guest, &[Read(fd), Write(fd)]),
        Ok(vec![ready(0, 1, 7, 0), ready(1, 2, 0, 0)])
    );
    drop(two);
    assert_eq!(
        poll(&mut guest, &[soon, Read(fd)]),
        Ok(vec![ready(1, 1, 7, 1)])
    );
    assert_eq!(guest.read(fd, 100).unwrap(), b"1234567");
    assert_eq!(poll(&mut guest, &[Read(fd)]), Ok(vec![ready(0, 1, 0, 1)]));

    // A pipe that nobody reads any more.
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    let writer = guest.adopt(writer, filetype::UNKNOWN, rights::FILE);
    assert_eq!(
        poll(&mut guest, &[Write(writer)]),
        Ok(vec![ready(0, 2, 0, 0)])
    );
    drop(reader);
    let events = poll(&mut guest, &[Write(writer)]).unwrap();
    assert_eq!((events[0].error, events.len()), (Errno::Io as u16, 1));

    // Data that comes while waiting.
    let (one, mut two) = UnixStream::pair().unwrap();
    let late = guest.adopt(one, filetype::SOCKET_STREAM, rights::SOCKET);
    let begin = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(30));
            two.write_all(b"x").unwrap();
        });
        assert_eq!(
            poll(&mut guest, &[Relative(MONOTONIC, u64::MAX), Read(late)]),
            Ok(vec![ready(1, 1, 1, 0)])
        );
    });
    assert!(begin.elapsed() >= Duration::from_millis(29));
}

#[test]
fn there_may_be_very_many() {
    let mut guest = Guest::with_grants(&[]);
    let count = 100_000;
    guest.set_memory(vec![0; 16 << 20]);
    let (one, mut two) = UnixStream::pair().unwrap();
    let fd = guest.adopt(one, filetype::SOCKET_STREAM, rights::SOCKET);
    let mut subscriptions = vec![Relative(MONOTONIC, u64::MAX); count];
    subscriptions[1] = Read(fd);
    subscriptions[count - 1] = Read(fd);
    two.write_all(b"x").unwrap();
    let events = poll(&mut guest, &subscriptions).unwrap();
    assert_eq!(
        events.iter().map(|event| event.index).collect::<Vec<_>>(),
        [1, count as u64 - 1]
    );
    subscriptions.fill(Relative(MONOTONIC, 1));
    // Events over their own subscriptions.
    let events = poll_at(&mut guest, &subscriptions, FROM).unwrap();
    assert_eq!(events.len(), count);
    assert!(
        events
            .iter()
            .enumerate()
            .all(|(index, event)| *event == clock(index as u64))
    );
}

#[test]
fn distant_descriptors_share_one_call() {
    let mut guest = Guest::with_grants(&[]);
    let mut others = Vec::new();
    let mut fds = Vec::new();
    for _ in 0..200 {
        let (one, two) = UnixStream::pair().unwrap();
        fds.push(guest.adopt(one, filetype::SOCKET_STREAM, rights::SOCKET));
        others.push(two);
    }
    others[0].write_all(b"a").unwrap();
    others[199].write_all(b"bb").unwrap();
    let mut subscriptions: Vec<_> = fds.iter().rev().map(|&fd| Read(fd)).collect();
    subscriptions.push(Relative(MONOTONIC, u64::MAX));
    let events = poll(&mut guest, &subscriptions).unwrap();
    assert_eq!(
        events
            .iter()
            .map(|event| (event.index, event.nbytes))
            .collect::<Vec<_>>(),
        [(0, 2), (199, 1)]
    );
}

/// Runs by itself as another process, see below.
#[test]
#[ignore = "is the child of another test"]
fn child_that_sleeps() {
    let mut guest = Guest::with_grants(&[]);
    let (one, _two) = UnixStream::pair().unwrap();
    let fd = guest.adopt(one, filetype::SOCKET_STREAM, rights::SOCKET);
    let begin = Instant::now();
    assert_eq!(
        poll(&mut guest, &[Relative(MONOTONIC, 300 * MILLISECOND)]),
        Ok(vec![clock(0)])
    );
    assert_eq!(
        poll(
            &mut guest,
            &[Read(fd), Relative(MONOTONIC, 300 * MILLISECOND)]
        ),
        Ok(vec![clock(1)])
    );
    let took = begin.elapsed();
    assert!(
        took >= Duration::from_millis(599) && took < Duration::from_secs(10),
        "{took:?}"
    );
}

#[test]
fn sleeping_goes_on_after_stop_and_continue() {
    alone();
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_that_sleeps", "--ignored"])
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(Duration::from_millis(50));
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::STOP);
        std::thread::sleep(Duration::from_millis(10));
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::CONT);
    };
    assert!(status.success(), "{status}");
}

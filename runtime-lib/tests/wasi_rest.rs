//! `args_*`, `environ_*`, `clock_*`, `proc_*`, `random_*`, `sched_*`, `sock_*`; set-up; and that every
//! function of the contract is there with its signature.

#[path = "wasi_rest/contract.rs"]
mod contract;
#[path = "wasi_rest/process.rs"]
mod process;
#[path = "wasi_rest/socket.rs"]
mod socket;
mod support;

use elfin_abi::policy::Entry;
use elfin_runtime::errno::Errno;
use elfin_runtime::guest::Memory;
use elfin_runtime::wasi::args::*;
use elfin_runtime::wasi::clock::*;
use elfin_runtime::wasi::environ::*;
use elfin_runtime::wasi::fd::*;
use elfin_runtime::wasi::proc::*;
use elfin_runtime::wasi::random::*;
use elfin_runtime::wasi::sched::*;
use elfin_runtime::wasi::sock::*;
use support::*;

#[test]
fn the_environment_is_what_was_sealed() {
    let guest = Guest::with_policy(vec![
        Entry::Env(b"A=1"),
        Entry::InheritEnv(b"HOME"),
        Entry::Arg(b"x"),
        Entry::Env(b"LONGER=a=b"),
    ]);
    let memory = guest.memory();
    assert_eq!(elfin_wasi_environ_sizes_get(memory, RESULT, RESULT + 4), 0);
    assert_eq!((guest.u32(RESULT), guest.u32(RESULT + 4)), (2, 15));
    // Unaligned, and exactly at the end of the memory.
    assert_eq!(elfin_wasi_environ_get(memory, BUFFER + 1, SIZE - 15), 0);
    assert_eq!(
        (guest.u32(BUFFER + 1), guest.u32(BUFFER + 5)),
        (SIZE - 15, SIZE - 11)
    );
    assert_eq!(guest.bytes(SIZE - 15, 15), b"A=1\0LONGER=a=b\0");
    let fault = Errno::Fault as i32;
    assert_eq!(elfin_wasi_environ_get(memory, BUFFER, SIZE - 14), fault);
    assert_eq!(elfin_wasi_environ_get(memory, BUFFER, u32::MAX), fault);
    assert_eq!(elfin_wasi_environ_get(memory, SIZE - 7, BUFFER), fault);
    assert_eq!(elfin_wasi_environ_get(memory, u32::MAX - 3, BUFFER), fault);
    assert_eq!(
        elfin_wasi_environ_sizes_get(memory, SIZE - 3, RESULT),
        fault
    );
    assert_eq!(
        elfin_wasi_environ_sizes_get(memory, RESULT, SIZE - 3),
        fault
    );
    // A hosted build has no command line; the sealed arguments stand behind argv[0], so there are none.
    assert_eq!(elfin_wasi_args_sizes_get(memory, RESULT, RESULT + 4), 0);
    assert_eq!((guest.u32(RESULT), guest.u32(RESULT + 4)), (0, 0));
    assert_eq!(elfin_wasi_args_get(memory, u32::MAX, u32::MAX), 0);
}

#[test]
fn the_environment_is_empty_without_a_grant() {
    let mut guest = Guest::with_grants(&[]);
    guest.put(RESULT, &[0xaa; 8]);
    assert_eq!(
        elfin_wasi_environ_sizes_get(guest.memory(), RESULT, RESULT + 4),
        0
    );
    assert_eq!(guest.u64(RESULT), 0);
    assert_eq!(elfin_wasi_environ_get(guest.memory(), BUFFER, BUFFER), 0);
}

#[test]
fn four_clocks_go_forward() {
    let mut guest = Guest::with_grants(&[]);
    let memory = guest.memory();
    for clock in 0..4 {
        assert_eq!(elfin_wasi_clock_res_get(memory, clock, RESULT), 0);
        let resolution = guest.u64(RESULT);
        assert!((1..=1_000_000_000).contains(&resolution), "{resolution}");
        guest.put(RESULT, &[0; 8]);
        assert_eq!(
            elfin_wasi_clock_time_get(memory, clock, u64::MAX, RESULT + 1),
            0
        );
        let first = guest.u64(RESULT + 1);
        assert!(first > 0);
        assert_eq!(elfin_wasi_clock_time_get(memory, clock, 0, RESULT), 0);
        assert!(guest.u64(RESULT) >= first, "{clock}");
    }
    assert_eq!(elfin_wasi_clock_time_get(memory, 0, 0, RESULT), 0);
    let host = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_nanos();
    assert!(host.abs_diff(guest.u64(RESULT).into()) < 10_000_000_000);
    for clock in [4, 5, 11, 1 << 31, u32::MAX] {
        assert_eq!(
            elfin_wasi_clock_res_get(memory, clock, RESULT),
            Errno::Inval as i32
        );
        assert_eq!(
            elfin_wasi_clock_time_get(memory, clock, 0, RESULT),
            Errno::Inval as i32
        );
    }
    assert_eq!(
        elfin_wasi_clock_time_get(memory, 1, 0, SIZE - 7),
        Errno::Fault as i32
    );
    assert_eq!(
        elfin_wasi_clock_res_get(memory, 1, SIZE - 7),
        Errno::Fault as i32
    );
    assert_eq!(elfin_wasi_sched_yield(memory), 0);
}

#[test]
fn random_bytes_of_any_number() {
    let mut guest = Guest::with_grants(&[]);
    let memory = guest.memory();
    let fault = Errno::Fault as i32;
    for (at, len) in [
        (0, SIZE + 1),
        (1, SIZE),
        (SIZE, 1),
        (0, u32::MAX),
        (u32::MAX, 1),
        (u32::MAX, u32::MAX),
    ] {
        assert_eq!(elfin_wasi_random_get(memory, at, len), fault);
    }
    assert!(
        guest.bytes(0, SIZE).iter().all(|&byte| byte == 0),
        "something was written"
    );
    assert_eq!(elfin_wasi_random_get(memory, SIZE, 0), 0);
    assert_eq!(elfin_wasi_random_get(memory, BUFFER + 1, 100), 0);
    assert!(guest.bytes(BUFFER + 1, 100).iter().any(|&byte| byte != 0));
    assert_eq!(
        (guest.bytes(BUFFER, 1), guest.bytes(BUFFER + 101, 1)),
        (&[0][..], &[0][..])
    );
    // More than the kernel gives at a time.
    let len = 40 << 20;
    guest.set_memory(vec![0; len as usize]);
    assert_eq!(elfin_wasi_random_get(guest.memory(), 0, len), 0);
    for chunk in guest.bytes(0, len).chunks(64) {
        assert!(chunk.iter().any(|&byte| byte != 0));
    }
}

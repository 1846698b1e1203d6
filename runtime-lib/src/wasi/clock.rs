//! WASI preview 1: `clock_*`, and the time for `poll_oneoff`.
//!
//! In: a witx `clockid` (the first four of Linux have the same numbers). Out: nanoseconds. Time is read
//! through the kernel's vDSO (22 ns against 229 ns for a system call); where it has none, by the call.
//! The vDSO is an ELF image that the kernel maps into every process and names in the auxiliary vector,
//! see `Documentation/ABI/stable/vdso` of Linux and the gABI's chapter on dynamic linking.
//!
//! # Safety
//!
//! The vDSO is part of the kernel and well formed. The function found in it has the signature of
//! `clock_gettime(2)`; it is a leaf that needs little stack.
#![allow(unsafe_code, reason = "reads the vDSO and calls into it")]

use crate::arch::syscall2;
use crate::errno::{self, Errno};
use crate::guest::Memory;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use linux_raw_sys::general::{__NR_clock_getres, __NR_clock_gettime};

/// witx `clockid` of the wall clock.
pub const REALTIME: u32 = 0;
/// witx `clockid` of the clock that only goes forward.
pub const MONOTONIC: u32 = 1;
const THREAD_CPUTIME: u32 = 3;

/// Nanoseconds in a second.
pub const SECOND: u64 = 1_000_000_000;

#[repr(C)]
#[derive(Default)]
struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}

impl Timespec {
    fn in_nanoseconds(&self) -> Result<u64, Errno> {
        let seconds = u64::try_from(self.seconds).ok();
        let sum = seconds.and_then(|s| s.checked_mul(SECOND)?.checked_add(self.nanoseconds as u64));
        sum.ok_or(Errno::Overflow)
    }
}

/// Resolution of a clock.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_wasi_clock_res_get(memory: Memory, clock: u32, resolution: u32) -> i32 {
    errno::code(resolution_of(clock).and_then(|value| memory.store(resolution, value)))
}

/// Time of a clock. The precision asked for is a permission to be lazy that we don't use.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_wasi_clock_time_get(
    memory: Memory,
    clock: u32,
    _precision: u64,
    time: u32,
) -> i32 {
    errno::code(now(clock).and_then(|value| memory.store(time, value)))
}

fn resolution_of(clock: u32) -> Result<u64, Errno> {
    by_call(__NR_clock_getres, clock)
}

/// Time of `clock` in nanoseconds.
pub fn now(clock: u32) -> Result<u64, Errno> {
    if clock > THREAD_CPUTIME {
        return Err(Errno::Inval);
    }
    if let Some(function) = vdso() {
        let mut time = Timespec::default();
        // SAFETY: see the head of the file; it writes to `time` only.
        if unsafe { function(clock as i32, &raw mut time) } == 0 {
            return time.in_nanoseconds();
        }
    }
    by_call(__NR_clock_gettime, clock)
}

#[cold]
fn by_call(number: u32, clock: u32) -> Result<u64, Errno> {
    if clock > THREAD_CPUTIME {
        return Err(Errno::Inval);
    }
    let mut time = Timespec::default();
    // SAFETY: both calls take a clock and write a timespec.
    if unsafe { syscall2(number, clock as usize, (&raw mut time).expose_provenance()) } < 0 {
        return Err(Errno::NotSup);
    }
    time.in_nanoseconds()
}

type ClockGettime = unsafe extern "C" fn(i32, *mut Timespec) -> i32;

#[cfg(target_arch = "aarch64")]
const SYMBOL: &[u8] = b"__kernel_clock_gettime\0";
#[cfg(not(target_arch = "aarch64"))]
const SYMBOL: &[u8] = b"__vdso_clock_gettime\0";

/// The vDSO's function, looked up on first use.
fn vdso() -> Option<ClockGettime> {
    const UNKNOWN: usize = 0;
    const ABSENT: usize = 1;
    static FOUND: AtomicUsize = AtomicUsize::new(UNKNOWN);

    let mut address = FOUND.load(Relaxed);
    if address == UNKNOWN {
        let image = crate::start::auxiliary(linux_raw_sys::auxvec::AT_SYSINFO_EHDR);
        // SAFETY: the kernel says that the image is there.
        address = image
            .and_then(|image| unsafe { find(image, SYMBOL) })
            .unwrap_or(ABSENT);
        FOUND.store(address, Relaxed);
    }
    // SAFETY: an address of code with this signature, see the head of the file.
    (address != ABSENT).then(|| unsafe { core::mem::transmute::<usize, ClockGettime>(address) })
}

/// Reads a value of the image.
unsafe fn at<T: Copy>(address: usize) -> T {
    // SAFETY: by contract of the caller, who follows the image's own tables.
    unsafe { core::ptr::with_exposed_provenance::<T>(address).read_unaligned() }
}

/// Address of the function `name` in the ELF image at `image`.
///
/// # Safety
/// A mapped, well-formed shared object is there.
#[cold]
unsafe fn find(image: usize, name: &[u8]) -> Option<usize> {
    const PT_LOAD: u32 = 1;
    const PT_DYNAMIC: u32 = 2;
    const DT_HASH: usize = 4;
    const DT_STRTAB: usize = 5;
    const DT_SYMTAB: usize = 6;
    const DT_GNU_HASH: usize = 0x6fff_fef5;

    // SAFETY: offsets are those of Elf64_Ehdr, Elf64_Phdr, Elf64_Dyn, Elf64_Sym and the hash tables.
    unsafe {
        let mut header = image + at::<u64>(image + 32) as usize;
        let (mut dynamic, mut bias) = (None, None);
        for _ in 0..at::<u16>(image + 56) {
            let (offset, address) = (at::<usize>(header + 8), at::<usize>(header + 16));
            match at::<u32>(header) {
                PT_LOAD if bias.is_none() => {
                    bias = Some(image.wrapping_add(offset).wrapping_sub(address))
                }
                PT_DYNAMIC => dynamic = Some(image + offset),
                _ => {}
            }
            header += usize::from(at::<u16>(image + 54));
        }
        let (mut dynamic, bias) = (dynamic?, bias?);

        let (mut hash, mut gnu_hash, mut strings, mut symbols) = (None, None, None, None);
        loop {
            let value = bias.wrapping_add(at::<usize>(dynamic + 8));
            match at::<usize>(dynamic) {
                0 => break,
                DT_HASH => hash = Some(value),
                DT_GNU_HASH => gnu_hash = Some(value),
                DT_STRTAB => strings = Some(value),
                DT_SYMTAB => symbols = Some(value),
                _ => {}
            }
            dynamic += 16;
        }
        let (strings, symbols) = (strings?, symbols?);
        let count = match (hash, gnu_hash) {
            (Some(hash), _) => at::<u32>(hash + 4),
            (None, Some(hash)) => gnu_count(hash),
            (None, None) => return None,
        };

        for index in 0..count as usize {
            let symbol = symbols + index * 24;
            let mut text = strings + at::<u32>(symbol) as usize;
            let defined = at::<u16>(symbol + 6) != 0;
            let same = name.iter().all(|&byte| {
                let same = at::<u8>(text) == byte;
                text += 1;
                same
            });
            if defined && same {
                return Some(bias.wrapping_add(at::<usize>(symbol + 8)));
            }
        }
        None
    }
}

/// Number of symbols that a GNU hash table tells of: one more than the end of its last chain. (Newer
/// kernels leave the other hash table out.)
unsafe fn gnu_count(hash: usize) -> u32 {
    // SAFETY: by contract of `find`.
    unsafe {
        let buckets = at::<u32>(hash) as usize;
        let first = at::<u32>(hash + 4);
        let bucket = hash + 16 + at::<u32>(hash + 8) as usize * 8;
        let mut last = 0;
        for index in 0..buckets {
            last = last.max(at::<u32>(bucket + index * 4));
        }
        if last < first {
            return first;
        }
        let chains = bucket + buckets * 4;
        while at::<u32>(chains + (last - first) as usize * 4) & 1 == 0 {
            last += 1;
        }
        last + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test process's vDSO, as the kernel names it.
    fn image() -> usize {
        let auxv = std::fs::read("/proc/self/auxv").unwrap();
        let word = |bytes: &[u8]| usize::from_ne_bytes(bytes.try_into().unwrap());
        auxv.chunks_exact(16)
            .find(|pair| word(&pair[..8]) == linux_raw_sys::auxvec::AT_SYSINFO_EHDR as usize)
            .map(|pair| word(&pair[8..]))
            .unwrap()
    }

    #[test]
    fn the_vdso_and_the_system_call_tell_the_same_time() {
        // SAFETY: the image is the kernel's.
        let address = unsafe { find(image(), SYMBOL) }.expect("this kernel has it");
        // SAFETY: an address of code with this signature.
        let function = unsafe { core::mem::transmute::<usize, ClockGettime>(address) };
        for clock in [REALTIME, MONOTONIC, 2, THREAD_CPUTIME] {
            let before = by_call(__NR_clock_gettime, clock).unwrap();
            let mut time = Timespec::default();
            // SAFETY: as in `now`.
            assert_eq!(unsafe { function(clock as i32, &raw mut time) }, 0);
            let between = time.in_nanoseconds().unwrap();
            let after = by_call(__NR_clock_gettime, clock).unwrap();
            assert!(
                before <= between && between <= after,
                "clock {clock}: {before} {between} {after}"
            );
        }
    }

    #[test]
    fn both_hash_tables_count_the_same_symbols() {
        // SAFETY: the image is the kernel's; a name that is not there makes `find` look at all of it.
        assert_eq!(unsafe { find(image(), b"elfin\0") }, None);
        // A hand-made table: 2 buckets, first hashed symbol 1, bloom of one word, chains end at 3 and 5.
        let table: [u32; 4 + 2 + 2 + 5] = [2, 1, 1, 0, 0, 0, 1, 4, 2, 4, 7, 8, 9];
        // SAFETY: well formed.
        assert_eq!(unsafe { gnu_count(table.as_ptr().expose_provenance()) }, 6);
    }

    #[test]
    fn times_that_do_not_fit_are_overflows() {
        let time = |seconds, nanoseconds| {
            Timespec {
                seconds,
                nanoseconds,
            }
            .in_nanoseconds()
        };
        assert_eq!(time(-1, 999_999_999), Err(Errno::Overflow));
        assert_eq!(time(1, 2), Ok(1_000_000_002));
        assert_eq!(time(18_446_744_073, 709_551_615), Ok(u64::MAX));
        assert_eq!(time(18_446_744_073, 709_551_616), Err(Errno::Overflow));
    }
}

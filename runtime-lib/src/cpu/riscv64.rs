//! riscv64: letters are in the auxiliary vector (bit `letter - 'A'`), longer names are told by a system call, which
//! Linux has since 6.4: see `Documentation/arch/riscv/hwprobe.rst`. A kernel that does not tell is taken for a CPU
//! that has none of them.
//!
//! # Safety
//! The system call writes to one pair of words that lives as long as the call.
#![allow(unsafe_code, reason = "a system call")]

use super::set;
use crate::start;
use elfin_abi::cpu::Feature;
use linux_raw_sys::auxvec::AT_HWCAP;
use linux_raw_sys::general::__NR_riscv_hwprobe;

/// The key of the extensions on top of IMA.
const KEY_IMA_EXT_0: i64 = 4;

/// The features of this CPU that are in `wanted`.
pub(super) fn features(wanted: u64) -> u64 {
    let letters = start::auxiliary(AT_HWCAP).unwrap_or(0);
    let vectors = 1_u64 << Feature::V as u8;
    let extensions = if wanted & !vectors == 0 {
        0
    } else {
        extensions()
    };
    set(&[
        (Feature::V, letters >> (b'V' - b'A') & 1 != 0),
        (Feature::Zba, extensions >> 3 & 1 != 0),
        (Feature::Zbb, extensions >> 4 & 1 != 0),
        (Feature::Zbs, extensions >> 5 & 1 != 0),
        (Feature::Zicond, extensions >> 35 & 1 != 0),
    ])
}

/// What every CPU of the machine has.
fn extensions() -> u64 {
    #[repr(C)]
    struct Pair {
        key: i64,
        value: u64,
    }
    let mut pair = Pair {
        key: KEY_IMA_EXT_0,
        value: 0,
    };
    // SAFETY: one pair, for all CPUs, no flags.
    let result =
        unsafe { crate::arch::syscall5(__NR_riscv_hwprobe, &raw mut pair as usize, 1, 0, 0, 0) };
    // An unknown key comes back as -1.
    if result == 0 && pair.key == KEY_IMA_EXT_0 {
        pair.value
    } else {
        0
    }
}

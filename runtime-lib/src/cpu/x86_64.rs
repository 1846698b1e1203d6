//! x86_64: CPUID, and XGETBV for what the operating system saves. Intel SDM volume 1, 14.3 (AVX) and 15.2 (AVX-512);
//! volume 2, CPUID.
//!
//! # Safety
//! XGETBV is executed only where CPUID says that the operating system enabled it.
#![allow(unsafe_code, reason = "one instruction that has no safe form")]

use super::set;
use core::arch::asm;
use core::arch::x86_64::{__cpuid_count, CpuidResult};
use elfin_abi::cpu::Feature;

/// Registers that the operating system must save (XCR0): XMM and YMM.
const YMM: u64 = 0b110;
/// Likewise for AVX-512: opmask, the upper halves, and the sixteen new ones, besides.
const ZMM: u64 = 0b1110_0110;

/// The features that leaf 1 of CPUID tells of.
const BASIC: u64 = 1 << Feature::Sse3 as u8
    | 1 << Feature::Ssse3 as u8
    | 1 << Feature::Sse41 as u8
    | 1 << Feature::Sse42 as u8
    | 1 << Feature::Popcnt as u8
    | 1 << Feature::Cmpxchg16b as u8
    | 1 << Feature::Avx as u8
    | 1 << Feature::Fma as u8;

/// Those of `wanted` that this CPU has. In a virtual machine CPUID is an exit to the host, some microseconds each time:
/// a leaf is asked for only if it matters.
pub(super) fn features(wanted: u64) -> u64 {
    let leaf = |number| cpuid(number, 0);
    let basic = leaf(1);
    let (mut extended, mut amd) = (NOTHING, NOTHING);
    if wanted & !BASIC != 0 {
        if leaf(0).eax >= 7 {
            extended = leaf(7);
        }
        if leaf(0x8000_0000).eax >= 0x8000_0001 {
            amd = leaf(0x8000_0001);
        }
    }
    let saved = if bit(basic.ecx, 27) { xcr0() } else { 0 };
    let ymm = saved & YMM == YMM;
    let zmm = saved & ZMM == ZMM;
    set(&[
        (Feature::Sse3, bit(basic.ecx, 0)),
        (Feature::Ssse3, bit(basic.ecx, 9)),
        (Feature::Sse41, bit(basic.ecx, 19)),
        (Feature::Sse42, bit(basic.ecx, 20)),
        (Feature::Popcnt, bit(basic.ecx, 23)),
        (Feature::Cmpxchg16b, bit(basic.ecx, 13)),
        (Feature::Avx, ymm && bit(basic.ecx, 28)),
        (Feature::Avx2, ymm && bit(extended.ebx, 5)),
        (Feature::Fma, ymm && bit(basic.ecx, 12)),
        (Feature::Bmi1, bit(extended.ebx, 3)),
        (Feature::Bmi2, bit(extended.ebx, 8)),
        (Feature::Lzcnt, bit(amd.ecx, 5)),
        (Feature::Avx512f, zmm && bit(extended.ebx, 16)),
        (Feature::Avx512dq, zmm && bit(extended.ebx, 17)),
        (Feature::Avx512vl, zmm && bit(extended.ebx, 31)),
        (Feature::Avx512vbmi, zmm && bit(extended.ecx, 1)),
        (Feature::Avx512bitalg, zmm && bit(extended.ecx, 12)),
    ])
}

const NOTHING: CpuidResult = CpuidResult {
    eax: 0,
    ebx: 0,
    ecx: 0,
    edx: 0,
};

fn bit(register: u32, bit: u32) -> bool {
    register >> bit & 1 != 0
}

/// One call site: the intrinsic saves `rbx` each time it is inlined.
#[inline(never)]
fn cpuid(leaf: u32, subleaf: u32) -> CpuidResult {
    __cpuid_count(leaf, subleaf)
}

fn xcr0() -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: see the head of the file; it reads a register.
    unsafe {
        asm!("xgetbv", in("ecx") 0, out("eax") low, out("edx") high, options(nomem, nostack, preserves_flags));
    }
    u64::from(high) << 32 | u64::from(low)
}

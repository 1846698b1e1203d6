//! Whether the CPU has what an executable was built for: linked only into one built for more than the baseline, or
//! with functions that have second code for newer processors.
//!
//! In: a set of [`elfin_abi::cpu::Feature`]s, and the name of the level they make up. Out: nothing, or one line and the
//! end of the process, instead of an illegal instruction somewhere later. What the operating system does not enable
//! (the registers of AVX, vectors of riscv64) counts as missing.
//!
//! # Safety
//! An exported symbol, and a name whose address and length generated code gives.
#![allow(unsafe_code, reason = "exported symbols")]

use crate::message::Message;
use crate::start;
use core::sync::atomic::{AtomicU8, Ordering::Relaxed};
use elfin_abi::cpu::Feature;

// Every file defines `features(wanted) -> u64`: those of `wanted` that the CPU has, and perhaps others.
#[cfg_attr(target_arch = "x86_64", path = "cpu/x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "cpu/aarch64.rs")]
#[cfg_attr(target_arch = "riscv64", path = "cpu/riscv64.rs")]
mod machine;

/// Ends the process unless the CPU has all of `wanted`.
///
/// # Safety
/// `level_len` bytes lie at `level`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn elfin_check_cpu(wanted: u64, level: *const u8, level_len: u64) {
    let Some(missing) = first_missing(wanted, machine::features(wanted)) else {
        return;
    };
    let mut message = Message::new("elfin: this executable was built for ");
    // SAFETY: by contract.
    message.escaped(unsafe { core::slice::from_raw_parts(level, level_len as usize) });
    message.text(", but this CPU has no ");
    message.text(missing.name());
    message.byte(b'\n');
    message.send();
    start::exit(start::EXIT_ERROR)
}

/// Whether the CPU has what code was compiled for a second time.
#[unsafe(export_name = "elfin_cpu_found")]
pub static CPU_FOUND: AtomicU8 = AtomicU8::new(0);

/// Lets code run that uses `wanted`, if the CPU has all of it. Called once, before other code of the program.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_find_cpu(wanted: u64) {
    if first_missing(wanted, machine::features(wanted)).is_none() {
        CPU_FOUND.store(1, Relaxed);
    }
}

/// The first of `wanted` that is not in `found`.
fn first_missing(wanted: u64, found: u64) -> Option<Feature> {
    let missing = wanted & !found;
    let is_missing = |feature: &Feature| missing >> *feature as u8 & 1 != 0;
    Feature::ALL.iter().copied().find(is_missing)
}

/// The set of those features whose flag is true.
fn set(features: &[(Feature, bool)]) -> u64 {
    features
        .iter()
        .map(|(feature, found)| u64::from(*found) << *feature as u8)
        .fold(0, core::ops::BitOr::bitor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_is_missing_is_named() {
        let features = |list: &[Feature]| list.iter().fold(0, |set, f| set | 1 << *f as u8);
        let wanted = features(&[Feature::Ssse3, Feature::Avx, Feature::Avx2]);
        assert_eq!(first_missing(wanted, wanted), None);
        assert_eq!(first_missing(wanted, u64::MAX), None);
        assert_eq!(first_missing(wanted, 0), Some(Feature::Ssse3));
        let found = features(&[Feature::Ssse3, Feature::Lzcnt]);
        assert_eq!(first_missing(wanted, found), Some(Feature::Avx));
        assert_eq!(
            first_missing(1 << Feature::Zicond as u8, 0),
            Some(Feature::Zicond)
        );
        assert_eq!(set(&[(Feature::Sse3, false), (Feature::V, true)]), 1 << 32);
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn this_machine_has_what_the_standard_library_finds() {
        use std::arch::is_x86_feature_detected as has;
        let expected = [
            (Feature::Sse3, has!("sse3")),
            (Feature::Ssse3, has!("ssse3")),
            (Feature::Sse41, has!("sse4.1")),
            (Feature::Sse42, has!("sse4.2")),
            (Feature::Popcnt, has!("popcnt")),
            (Feature::Cmpxchg16b, has!("cmpxchg16b")),
            (Feature::Avx, has!("avx")),
            (Feature::Avx2, has!("avx2")),
            (Feature::Fma, has!("fma")),
            (Feature::Bmi1, has!("bmi1")),
            (Feature::Bmi2, has!("bmi2")),
            (Feature::Lzcnt, has!("lzcnt")),
            (Feature::Avx512f, has!("avx512f")),
            (Feature::Avx512dq, has!("avx512dq")),
            (Feature::Avx512vl, has!("avx512vl")),
            (Feature::Avx512vbmi, has!("avx512vbmi")),
            (Feature::Avx512bitalg, has!("avx512bitalg")),
        ];
        assert_eq!(machine::features(u64::MAX), set(&expected));
    }
}

//! What the CPU of this machine has, as the standard library finds it out (with the operating system's support for
//! the registers of AVX and AVX-512 taken into account).

use super::{Feature, Features};
use crate::options::Arch;

/// The features of this machine's CPU.
///
/// # Errors
/// When it is not of this instruction set.
pub(super) fn features(arch: Arch) -> Result<Features, String> {
    let is_this = match arch {
        Arch::X86_64 => cfg!(target_arch = "x86_64"),
        Arch::Aarch64 => cfg!(target_arch = "aarch64"),
        Arch::Riscv64 => cfg!(target_arch = "riscv64"),
    };
    if !is_this {
        return Err(format!(
            "the CPU of this machine is no {}: name a level instead of 'native'",
            arch.name()
        ));
    }
    let found: Vec<Feature> = found()
        .into_iter()
        .filter_map(|(feature, found)| found.then_some(feature))
        .collect();
    Ok(Features::of(&found))
}

#[cfg(target_arch = "x86_64")]
fn found() -> [(Feature, bool); 17] {
    use std::arch::is_x86_feature_detected as has;
    [
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
    ]
}

#[cfg(target_arch = "aarch64")]
fn found() -> [(Feature, bool); 2] {
    use std::arch::is_aarch64_feature_detected as has;
    [
        (Feature::Lse, has!("lse")),
        (Feature::Dotprod, has!("dotprod")),
    ]
}

#[cfg(target_arch = "riscv64")]
fn found() -> [(Feature, bool); 5] {
    use std::arch::is_riscv_feature_detected as has;
    [
        (Feature::V, has!("v")),
        (Feature::Zba, has!("zba")),
        (Feature::Zbb, has!("zbb")),
        (Feature::Zbs, has!("zbs")),
        (Feature::Zicond, has!("zicond")),
    ]
}

#[cfg(not(any(
    target_arch = "x86_64",
    target_arch = "aarch64",
    target_arch = "riscv64"
)))]
fn found() -> [(Feature, bool); 0] {
    []
}

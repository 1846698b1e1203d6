//! aarch64: what the kernel says in the auxiliary vector. Bits: `arch/arm64/include/uapi/asm/hwcap.h`.

use super::set;
use crate::start;
use elfin_abi::cpu::Feature;
use linux_raw_sys::auxvec::AT_HWCAP;

const HWCAP_ATOMICS: usize = 1 << 8;
const HWCAP_ASIMDDP: usize = 1 << 20;

/// The features of this CPU.
pub(super) fn features(_wanted: u64) -> u64 {
    let capabilities = start::auxiliary(AT_HWCAP).unwrap_or(0);
    set(&[
        (Feature::Lse, capabilities & HWCAP_ATOMICS != 0),
        (Feature::Dotprod, capabilities & HWCAP_ASIMDDP != 0),
    ])
}

//! The runtime objects that elfin carries: one for each target, built from `runtime-lib/`.

use elfin_compiler::Arch;

/// The runtime's relocatable object for `arch`.
pub(crate) fn object(arch: Arch) -> &'static [u8] {
    match arch {
        Arch::X86_64 => include_bytes!("../../runtime-lib/prebuilt/x86_64.o"),
        Arch::Aarch64 => include_bytes!("../../runtime-lib/prebuilt/aarch64.o"),
        Arch::Riscv64 => include_bytes!("../../runtime-lib/prebuilt/riscv64.o"),
    }
}

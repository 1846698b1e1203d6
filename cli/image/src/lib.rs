//! Compiled program, runtime and policy → image.
//!
//! Where the compiler's output meets the linker's input: what each calls the same thing is written down here and
//! nowhere else. Carries the runtime's objects, which are built from `runtime-lib/`. Touches no file.

use elfin_abi::{map, symbol};
use elfin_compiler::{Arch, CompiledProgram};
use elfin_linker as linker;

/// The runtime's relocatable object for `arch`.
#[must_use]
pub fn runtime(arch: Arch) -> &'static [u8] {
    match arch {
        Arch::X86_64 => include_bytes!("../../../runtime-lib/prebuilt/x86_64.o"),
        Arch::Aarch64 => include_bytes!("../../../runtime-lib/prebuilt/aarch64.o"),
        Arch::Riscv64 => include_bytes!("../../../runtime-lib/prebuilt/riscv64.o"),
    }
}

/// Links a program with the runtime and an encoded policy.
///
/// # Errors
/// What the linker says.
pub fn link(
    program: &CompiledProgram,
    policy: &[u8],
    arch: Arch,
) -> Result<linker::Image, linker::Error> {
    link_object(&program.object, program, policy, arch)
}

/// The same with another object in place of the program's own.
///
/// # Errors
/// What the linker says.
pub fn link_object(
    object: &[u8],
    program: &CompiledProgram,
    policy: &[u8],
    arch: Arch,
) -> Result<linker::Image, linker::Error> {
    let inputs = [
        linker::Input {
            name: "program",
            data: object,
        },
        linker::Input {
            name: "runtime",
            data: runtime(arch),
        },
    ];
    let blobs = [linker::Blob {
        section: symbol::SECTION_POLICY,
        symbol: symbol::POLICY,
        data: policy,
    }];
    let (base, size) = program.map.stack;
    let placements = program.map.placements.iter();
    let options = linker::Options {
        entry: symbol::START.into(),
        state_base: map::STATE_BASE,
        state_end: map::STATE_END,
        header_size: program.map.header_size,
        image_base: program.map.image_base,
        image_end: program.map.image_end,
        stack: linker::Region { base, size },
        placements: placements
            .map(|placement| linker::Placement {
                section: placement.section.clone(),
                address: placement.address,
                mem_size: placement.mem_size,
                first_segment: placement.is_state,
            })
            .collect(),
    };
    linker::link(&inputs, &blobs, &options)
}

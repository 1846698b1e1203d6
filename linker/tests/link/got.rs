//! Loads from the global offset table: rewritten where possible, served from a table otherwise.

use crate::support::*;
use object::{SectionKind, elf};

fn has_table(image: &elfin_linker::Image) -> bool {
    image
        .map
        .sections
        .iter()
        .any(|section| section.name == "(addresses)")
}

/// Links a program whose `f` returns what `code` makes of the variable's address; runs it.
fn run(
    machine: Machine,
    code: &[u8],
    relocations: &[(u64, u32, i64)],
    target: &str,
) -> (i32, bool) {
    let mut b = Builder::new(machine);
    b.start("f");
    b.returns("function", 51);
    let value = b.section(
        ".rodata.value",
        SectionKind::ReadOnlyData,
        &[50, 0, 0, 0],
        8,
    );
    b.define("value", value, 0);
    let f = b.text(".text.f", code);
    b.define("f", f, 0);
    let target = b.refer(target);
    let label = b.define_local("label", f, 0);
    for &(offset, r_type, addend) in relocations {
        let low = matches!(r_type, elf::R_RISCV_PCREL_LO12_I) && machine == Riscv64;
        b.relocate(f, offset, r_type, if low { label } else { target }, addend);
    }
    let image = link(&[&b]).unwrap();
    (machine.run(&image.bytes), has_table(&image))
}

#[test]
fn x86_64_load() {
    // mov rax, [rip + value@GOTPCREL]; mov eax, [rax]; ret
    let code = [0x48, 0x8b, 0x05, 0, 0, 0, 0, 0x8b, 0x00, 0xc3];
    for (r_type, table) in [
        (elf::R_X86_64_REX_GOTPCRELX, false),
        (elf::R_X86_64_GOTPCREL, true),
    ] {
        assert_eq!(run(X86_64, &code, &[(3, r_type, -4)], "value"), (50, table));
    }
}

#[test]
fn x86_64_jump_and_call() {
    // jmp [rip + function@GOTPCREL]
    let jump = [0xff, 0x25, 0, 0, 0, 0];
    // call [rip + function@GOTPCREL]; ret
    let call = [0xff, 0x15, 0, 0, 0, 0, 0xc3];
    for code in [&jump[..], &call] {
        for (r_type, table) in [
            (elf::R_X86_64_GOTPCRELX, false),
            (elf::R_X86_64_GOTPCREL, true),
        ] {
            assert_eq!(
                run(X86_64, code, &[(2, r_type, -4)], "function"),
                (51, table)
            );
        }
    }
}

#[test]
fn x86_64_comparison_keeps_its_table() {
    // lea rax, [rip + value]; cmp rax, [rip + value@GOTPCREL]; sete al; movzx eax, al; ret
    let code = [
        0x48, 0x8d, 0x05, 0, 0, 0, 0, 0x48, 0x3b, 0x05, 0, 0, 0, 0, 0x0f, 0x94, 0xc0, 0x0f, 0xb6,
        0xc0, 0xc3,
    ];
    let relocations = [
        (3, elf::R_X86_64_PC32, -4),
        (10, elf::R_X86_64_REX_GOTPCRELX, -4),
    ];
    assert_eq!(run(X86_64, &code, &relocations, "value"), (1, true));
}

#[test]
fn aarch64_pair() {
    // adrp x0, :got:value; ldr x0, [x0, :got_lo12:value]; ldr w0, [x0]; ret
    let code = words(&[0x9000_0000, 0xf940_0000, 0xb940_0000, 0xd65f_03c0]);
    let relocations = [
        (0, elf::R_AARCH64_ADR_GOT_PAGE, 0),
        (4, elf::R_AARCH64_LD64_GOT_LO12_NC, 0),
    ];
    assert_eq!(run(Aarch64, &code, &relocations, "value"), (50, false));
    // The same with two registers: adrp x1; ldr x0, [x1].
    let code = words(&[0x9000_0001, 0xf940_0020, 0xb940_0000, 0xd65f_03c0]);
    assert_eq!(run(Aarch64, &code, &relocations, "value"), (50, true));
    // The same with a nop in between.
    let code = words(&[
        0x9000_0000,
        0xd503_201f,
        0xf940_0000,
        0xb940_0000,
        0xd65f_03c0,
    ]);
    let relocations = [
        (0, elf::R_AARCH64_ADR_GOT_PAGE, 0),
        (8, elf::R_AARCH64_LD64_GOT_LO12_NC, 0),
    ];
    assert_eq!(run(Aarch64, &code, &relocations, "value"), (50, true));
}

#[test]
fn riscv64_load() {
    // auipc a0, %got_pcrel_hi(value); ld a0, %pcrel_lo(label)(a0); lw a0, 0(a0); ret
    let code = words(&[0x0000_0517, 0x0005_3503, 0x0005_2503, 0x0000_8067]);
    let relocations = [
        (0, elf::R_RISCV_GOT_HI20, 0),
        (4, elf::R_RISCV_PCREL_LO12_I, 0),
    ];
    assert_eq!(run(Riscv64, &code, &relocations, "value"), (50, true));
}

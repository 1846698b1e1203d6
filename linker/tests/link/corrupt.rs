//! Damaged objects: an error or an image, never a panic, and never more than the input deserves.

use crate::pools::finish_pools;
use crate::support::*;
use object::{SectionKind, elf};

/// Objects that use most of what the linker knows.
fn samples() -> Vec<Vec<u8>> {
    let mut samples = Vec::new();
    for machine in Machine::ALL {
        let mut b = Builder::new(machine);
        let start = b.start("load");
        b.loads("load", "value");
        let value = b.section(".data.value", SectionKind::Data, &[1; 16], 8);
        b.define("value", value, 4);
        let zero = b.bss(".bss.zero", 64, 8);
        let zero = b.define_weak("zero", zero, 0);
        b.relocate(value, 8, machine.abs64(), zero, 3);
        b.section(".elfin.state", SectionKind::Data, &[5; 24], 8);
        let pool = b.section(".rodata.cst8", SectionKind::ReadOnlyData, &[6; 24], 8);
        b.add_flags(pool, elf::SHF_MERGE);
        let whole = b.object.section_symbol(pool);
        b.relocate(value, 0, machine.abs64(), whole, 17);
        let symbol = b.define_local("constant", pool, 8);
        let (got, rest): (u32, &[u32]) = match machine {
            X86_64 => (elf::R_X86_64_GOTPCRELX, &[elf::R_X86_64_32S]),
            Aarch64 => (
                elf::R_AARCH64_ADR_GOT_PAGE,
                &[elf::R_AARCH64_LDST64_ABS_LO12_NC],
            ),
            Riscv64 => (
                elf::R_RISCV_GOT_HI20,
                &[elf::R_RISCV_RELAX, elf::R_RISCV_LO12_S],
            ),
        };
        b.relocate(start, 4, got, symbol, 0);
        for r_type in rest {
            b.relocate(start, 4, *r_type, symbol, 0);
        }
        if machine == Riscv64 {
            b.relocate(start, 0, elf::R_RISCV_RELAX, symbol, 0);
            b.relocate(start, 12, elf::R_RISCV_ALIGN, symbol, 2);
        }
        let code = b.code_returning(1);
        let section = b.text(".text.group", &code);
        let symbol = b.define("group", section, 0);
        b.object.add_comdat(object::write::Comdat {
            kind: object::ComdatKind::Any,
            symbol,
            sections: vec![section],
        });
        samples.push(finish_pools(&b));
    }
    samples
}

fn try_link(object: &[u8]) -> bool {
    let mut options = options();
    let state = options.state_base + options.header_size;
    options
        .placements
        .push(placement(".elfin.state", state, 0x40, true));
    match link_with(&[object, object], &options) {
        Ok(_) => {}
        Err(error) => {
            let text = error.to_string();
            assert!(!text.contains("internal error"), "{text}");
        }
    }
    match link_with(&[object], &options) {
        Ok(image) => {
            assert!(image.bytes.len() < 0x40_0000, "{} bytes", image.bytes.len());
            true
        }
        Err(error) => {
            let text = error.to_string();
            assert!(!text.contains("internal error"), "{text}");
            false
        }
    }
}

#[test]
fn the_samples_themselves_link() {
    for sample in samples() {
        let mut options = options();
        let state = options.state_base + options.header_size;
        options
            .placements
            .push(placement(".elfin.state", state, 0x40, true));
        link_with(&[&sample], &options).unwrap();
    }
}

#[test]
fn truncation_at_every_byte() {
    for sample in samples() {
        assert!(try_link(&sample));
        for len in 0..sample.len() {
            try_link(&sample[..len]);
        }
    }
}

/// xorshift64*: reproducible, and no dependency.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

#[test]
fn flipped_bytes() {
    let mut random = Random(0x1234_5678_9abc_def1);
    for sample in samples() {
        for _ in 0..5_000 {
            let mut damaged = sample.clone();
            for _ in 0..1 + random.below(4) {
                let at = random.below(damaged.len());
                damaged[at] = match random.below(4) {
                    0 => 0xff,
                    1 => 0,
                    2 => damaged[at] ^ 1 << random.below(8),
                    _ => random.next() as u8,
                };
            }
            try_link(&damaged);
        }
    }
}

/// Every 4- and 8-byte field of the headers set to values that make arithmetic go wrong.
#[test]
fn extreme_fields() {
    for sample in samples() {
        for at in (0..sample.len() - 8).step_by(4) {
            for value in [
                u64::MAX,
                i64::MAX as u64,
                u64::from(u32::MAX),
                1 << 63,
                0x1_0000_0000,
            ] {
                let mut damaged = sample.clone();
                damaged[at..at + 8].copy_from_slice(&value.to_le_bytes());
                try_link(&damaged);
                let mut damaged = sample.clone();
                damaged[at..at + 4].copy_from_slice(&(value as u32).to_le_bytes());
                try_link(&damaged);
            }
        }
    }
}

/// A section that claims the same bytes again and again would let a small object fill memory.
#[test]
fn overlapping_sections() {
    let mut b = Builder::new(X86_64);
    b.start("f");
    b.returns("f", 0);
    for i in 0..100 {
        let section = b.section(
            &format!(".rodata.{i}"),
            SectionKind::ReadOnlyData,
            &[1; 64],
            1,
        );
        b.add_flags(section, elf::SHF_GNU_RETAIN);
    }
    let mut object = b.finish();
    let headers = u64::from_le_bytes(object[40..48].try_into().unwrap()) as usize;
    let len = object.len() as u64;
    for header in object[headers..].chunks_exact_mut(64) {
        let kind = u32::from_le_bytes(header[4..8].try_into().unwrap());
        let flags = u64::from_le_bytes(header[8..16].try_into().unwrap());
        if kind == elf::SHT_PROGBITS && flags & u64::from(elf::SHF_GNU_RETAIN) != 0 {
            header[24..32].copy_from_slice(&0_u64.to_le_bytes());
            header[32..40].copy_from_slice(&len.to_le_bytes());
        }
    }
    let error = link_with(&[&object], &options())
        .map(|_| ())
        .unwrap_err()
        .to_string();
    assert!(error.contains("overlaps others"), "{error}");
}

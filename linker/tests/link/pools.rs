//! Constant pools: only the constants that are used stay, and equal ones once.

use crate::support::*;
use object::{SectionFlags, SectionKind, elf};

/// Adds a pool of 8-byte constants, one symbol each.
fn pool(b: &mut Builder, prefix: &str, constants: &[u64]) -> object::write::SectionId {
    let data: Vec<u8> = constants.iter().flat_map(|c| c.to_le_bytes()).collect();
    // The object crate writes the entry size of read-only strings only: patched in `finish_pools`.
    let section = b.section(".rodata.cst8", SectionKind::ReadOnlyData, &data, 8);
    *b.object.section_flags_mut(section) = SectionFlags::Elf {
        sh_flags: u64::from(elf::SHF_ALLOC | elf::SHF_MERGE),
    };
    for i in 0..constants.len() {
        b.define(&format!("{prefix}{i}"), section, 8 * i as u64);
    }
    section
}

/// Sets the entry size of mergeable sections.
pub(crate) fn finish_pools(b: &Builder) -> Vec<u8> {
    let mut object = b.finish();
    let headers = u64::from_le_bytes(object[40..48].try_into().unwrap()) as usize;
    for header in object[headers..].chunks_exact_mut(64) {
        let flags = u64::from_le_bytes(header[8..16].try_into().unwrap());
        if flags & u64::from(elf::SHF_MERGE | elf::SHF_STRINGS) == u64::from(elf::SHF_MERGE) {
            header[56..64].copy_from_slice(&8_u64.to_le_bytes());
        }
    }
    object
}

fn sizes(image: &elfin_linker::Image) -> Vec<u64> {
    let pools = image
        .map
        .sections
        .iter()
        .filter(|s| s.name == ".rodata.cst8");
    pools.map(|section| section.mem_size).collect()
}

#[test]
fn unused_constants_go_away() {
    for machine in Machine::ALL {
        let mut b = Builder::new(machine);
        b.start("load");
        b.loads("load", "c1");
        pool(&mut b, "c", &[60, 61, 62]);
        let image = link_with(&[&finish_pools(&b)], &options()).unwrap();
        assert_eq!(sizes(&image), [8]);
        assert_eq!(machine.run(&image.bytes), 61);
    }
}

#[test]
fn equal_constants_are_one() {
    for machine in Machine::ALL {
        let (mut a, mut b) = (Builder::new(machine), Builder::new(machine));
        a.start("load");
        a.loads("load", "a0");
        pool(&mut a, "a", &[63, 64]);
        pool(&mut b, "b", &[65, 63]);
        let table = a.section(".rodata.table", SectionKind::ReadOnlyData, &[0; 24], 8);
        a.add_flags(table, elf::SHF_GNU_RETAIN);
        for (i, name) in ["a0", "a1", "b1"].into_iter().enumerate() {
            let symbol = a.refer(name);
            a.relocate(table, 8 * i as u64, machine.abs64(), symbol, 0);
        }
        let objects = [finish_pools(&a), finish_pools(&b)];
        let image = link_with(&[&objects[0], &objects[1]], &options()).unwrap();
        assert_eq!(sizes(&image), [8, 8]);
        assert_eq!(address(&image, "a0"), address(&image, "b1"));
        assert_eq!(machine.run(&image.bytes), 63);
    }
}

#[test]
fn an_entry_can_be_named_by_its_offset() {
    for machine in Machine::ALL {
        let mut b = Builder::new(machine);
        b.start("load");
        b.loads("load", "pointer");
        let section = pool(&mut b, "c", &[60, 61, 62]);
        let section = b.object.section_symbol(section);
        let pointer = b.section(".rodata.pointer", SectionKind::ReadOnlyData, &[0; 8], 8);
        b.define("pointer", pointer, 0);
        b.relocate(pointer, 0, machine.abs64(), section, 20);
        let image = link_with(&[&finish_pools(&b)], &options()).unwrap();
        assert_eq!(sizes(&image), [8]);
        let value = bytes_at(&image, address(&image, "pointer"), 8);
        let value = u64::from_le_bytes(value.try_into().unwrap());
        assert_eq!(value, address(&image, "c2") + 4);
        assert_eq!(bytes_at(&image, value - 4, 1), [62]);
    }
}

#[test]
fn a_pool_that_is_addressed_as_a_whole_stays_whole() {
    let mut b = Builder::new(X86_64);
    let start = b.start("load");
    b.loads("load", "c1");
    let section = pool(&mut b, "c", &[60, 61, 62]);
    let symbol = b.object.section_symbol(section);
    b.relocate(start, 0, elf::R_X86_64_PC32, symbol, 4);
    let image = link_with(&[&finish_pools(&b)], &options()).unwrap();
    assert_eq!(sizes(&image), [24]);

    let mut b = Builder::new(X86_64);
    b.start("load");
    b.loads("load", "middle");
    let section = pool(&mut b, "c", &[60, 61, 62]);
    b.define("middle", section, 12);
    let image = link_with(&[&finish_pools(&b)], &options()).unwrap();
    assert_eq!(sizes(&image), [24]);
}

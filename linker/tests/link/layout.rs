//! Where things lie, in the file and in memory.

use crate::support::*;
use elfin_linker::{Image, Region};
use object::{SectionKind, elf};

/// A program with everything: constants, data, zeroes, state, two memory images; exits with the byte at
/// the second image's start plus the one at its zero-filled end.
fn full(machine: Machine) -> (Builder, elfin_linker::Options) {
    let mut b = Builder::new(machine);
    b.start("load");
    b.loads("load", "image_value");
    for (name, kind) in [
        (".rodata.a", SectionKind::ReadOnlyData),
        (".data.a", SectionKind::Data),
    ] {
        let section = b.section(name, kind, b"data", 8);
        b.add_flags(section, elf::SHF_GNU_RETAIN);
    }
    let zero = b.bss(".bss.a", 0x12_345, 16);
    b.add_flags(zero, elf::SHF_GNU_RETAIN);
    b.section(".elfin.state", SectionKind::Data, &[7; 100], 64);
    b.section(".elfin.image.0.0", SectionKind::Data, &[1; 0x1_0000], 1);
    let image = b.section(".elfin.image.0.1", SectionKind::Data, &[9, 0, 0, 0, 1], 1);
    b.define("image_value", image, 0);
    b.section(".elfin.image.0.2", SectionKind::Data, &[], 1);

    let mut options = options();
    options.header_size = header_size(3);
    let state = options.state_base + options.header_size;
    // Not in the order of addresses, which must not matter.
    options.placements = vec![
        placement(".elfin.image.0.1", 0x1004_0000, 0x2_0000, false),
        placement(".elfin.state", state, 0x1000, true),
        placement(".elfin.image.0.2", 0x1008_0000, 0x1_0000, false),
        placement(".elfin.image.0.0", 0x1000_0000, 0x1_0000, false),
    ];
    (b, options)
}

fn segment<'i>(image: &'i Image, name: &str) -> &'i elfin_linker::MapSegment {
    image
        .map
        .segments
        .iter()
        .find(|segment| segment.name == name)
        .unwrap()
}

#[test]
fn everything_together_runs() {
    for machine in Machine::ALL {
        let (b, options) = full(machine);
        let image = link_with(&[&b.finish()], &options).unwrap();
        assert_eq!(machine.run(&image.bytes), 9, "{machine:?}");
    }
}

#[test]
fn segments_follow_without_padding() {
    for machine in Machine::ALL {
        let (b, options) = full(machine);
        let image = link_with(&[&b.finish()], &options).unwrap();
        let [state, constants, code] =
            ["state and data", "read-only data", "code"].map(|name| segment(&image, name));
        assert_eq!((state.address, state.file_offset), (0x10_0000, 0));
        // 64-byte alignment of state, then 4 bytes of data behind its zero tail.
        assert_eq!(state.file_size, options.header_size + 0x1000 + 4);
        assert!(state.mem_size > state.file_size + 0x1_2345);
        let after = |segment: &elfin_linker::MapSegment| segment.file_offset + segment.file_size;
        assert!(constants.file_offset - after(state) < 8, "{}", image.map);
        assert!(code.file_offset - after(constants) < 4, "{}", image.map);
        for segment in &image.map.segments {
            let page = machine.page();
            assert_eq!(segment.address % page, segment.file_offset % page);
            assert!(!(segment.writable && segment.executable));
        }
    }
}

#[test]
fn images_are_aligned_and_zero_filled() {
    for machine in Machine::ALL {
        let (b, options) = full(machine);
        let image = link_with(&[&b.finish()], &options).unwrap();
        let images: Vec<_> = image
            .map
            .segments
            .iter()
            .filter(|segment| segment.name == "memory image")
            .collect();
        let sizes: Vec<_> = images
            .iter()
            .map(|s| (s.address, s.mem_size, s.file_size))
            .collect();
        assert_eq!(
            sizes,
            [
                (0x1000_0000, 0x1_0000, 0x1_0000),
                (0x1004_0000, 0x2_0000, 5),
                (0x1008_0000, 0x1_0000, 0)
            ]
        );
        assert!(
            images
                .iter()
                .all(|image| image.file_offset % machine.page() == 0)
        );
        assert_eq!(image.bytes.len() as u64, images[1].file_offset + 5);
        assert_eq!(bytes_at(&image, 0x1004_0000, 5), [9, 0, 0, 0, 1]);
    }
}

#[test]
fn a_small_program_is_small() {
    for machine in Machine::ALL {
        let mut b = Builder::new(machine);
        b.start("f");
        b.returns("f", 0);
        let image = link(&[&b]).unwrap();
        assert!(
            image.bytes.len() < 550,
            "{machine:?}: {}",
            image.bytes.len()
        );
        assert_eq!(image.map.segments.len(), 3);
    }
}

#[test]
fn without_a_stack_there_is_no_segment_for_it() {
    let mut b = Builder::new(X86_64);
    b.start("f");
    b.returns("f", 0);
    let mut options = options();
    options.stack = Region { base: 0, size: 0 };
    let image = link_with(&[&b.finish()], &options).unwrap();
    assert_eq!(image.map.segments.len(), 2);
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    for machine in Machine::ALL {
        let (b, options) = full(machine);
        let object = b.finish();
        let first = link_with(&[&object], &options).unwrap();
        for _ in 0..5 {
            let again = link_with(&[&object], &options).unwrap();
            assert_eq!(first.bytes, again.bytes);
            assert_eq!(first.map, again.map);
        }
    }
}

#[test]
fn code_keeps_its_order_and_data_falls_in_alignment() {
    let mut b = Builder::new(X86_64);
    b.start("f");
    b.returns("f", 0);
    for (i, align) in [1, 16, 4, 64].into_iter().enumerate() {
        for (name, kind) in [
            (".text", SectionKind::Text),
            (".rodata", SectionKind::ReadOnlyData),
        ] {
            let section = b.section(&format!("{name}.{i}"), kind, &[1], align);
            b.add_flags(section, elf::SHF_GNU_RETAIN);
        }
    }
    let image = link(&[&b]).unwrap();
    let names: Vec<_> = image.map.sections.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(
        names,
        [
            ".rodata.3",
            ".rodata.1",
            ".rodata.2",
            ".rodata.0",
            ".text._start",
            ".text.f",
            ".text.0",
            ".text.1",
            ".text.2",
            ".text.3"
        ]
    );
    // Gaps in code trap.
    let code = segment(&image, "code");
    let gap = address(&image, "f") + 6;
    assert_eq!(bytes_at(&image, gap, 1), [1]);
    assert_eq!(bytes_at(&image, gap + 1, 1), [0xcc]);
    assert_eq!((code.address + code.mem_size - 1) % 64, 0);
}

#[test]
fn zeroes_need_no_bytes() {
    let mut b = Builder::new(X86_64);
    b.start("f");
    b.returns("f", 0);
    let section = b.section(".data.zero", SectionKind::Data, &[0; 1000], 8);
    b.add_flags(section, elf::SHF_GNU_RETAIN);
    let image = link(&[&b]).unwrap();
    assert_eq!(segment(&image, "state and data").file_size, header_size(0));
    assert_eq!(
        segment(&image, "state and data").mem_size,
        header_size(0) + 1000
    );
}

/// Links `full` after a change to its options that makes it fail.
fn failure(change: impl FnOnce(&mut elfin_linker::Options)) -> String {
    let (b, mut options) = full(X86_64);
    change(&mut options);
    link_with(&[&b.finish()], &options)
        .map(|_| ())
        .unwrap_err()
        .to_string()
}

#[test]
fn what_does_not_fit_is_an_error() {
    assert_eq!(
        failure(|options| options.header_size = 64 + 56 * 5),
        "the program headers would end at 0x200, beyond 0x158"
    );
    assert_eq!(
        failure(|options| options.state_end = 0x10_2000),
        "state and writable data would end at 0x113615, beyond 0x102000"
    );
    assert_eq!(
        failure(|options| options.image_end = options.image_base + 1),
        "read-only data and code would end at 0x20002c8, beyond 0x2000001"
    );
    assert_eq!(
        failure(|options| options.state_base = 0x10_0001),
        "link options: the state region's address 0x100001 is not a multiple of 0x1000"
    );
    assert_eq!(
        failure(|options| options.stack.base = 0x1004_1000),
        "memory image at 0x10040000..0x10060000 overlaps stack at 0x10041000..0x10141000"
    );
    assert_eq!(
        failure(|options| options.stack.size = u64::MAX),
        "link options: the stack region 0x600000000..0xffffffffffffffff makes no sense"
    );
}

#[test]
fn placements_that_cannot_be() {
    let placed = |change: fn(&mut elfin_linker::Placement)| {
        failure(|options| change(&mut options.placements[1]))
    };
    assert_eq!(
        placed(|state| state.mem_size = 99),
        "placed section .elfin.state: it has 0x64 bytes but room for 0x63 only"
    );
    assert_eq!(
        placed(|state| state.address += 1),
        "placed section .elfin.state: its address 0x1002c1 is not a multiple of 0x40"
    );
    assert_eq!(
        placed(|state| state.address = 0x10_0000),
        "placed section .elfin.state: its address 0x100000 is taken up to 0x1002c0"
    );
    assert_eq!(
        placed(|state| state.section = ".missing".into()),
        "placed section .missing: no input has it"
    );
    assert_eq!(
        placed(|state| state.section = ".elfin.image.0.1".into()),
        "placed section .elfin.image.0.1: it is placed twice"
    );
    assert_eq!(
        placed(|state| state.section = ".text.load".into()),
        "placed section .text.load: code cannot be placed"
    );
    assert_eq!(
        failure(|options| options.placements[0].address += 0x800),
        "placed section .elfin.image.0.1: its address 0x10040800 is not a multiple of 0x1000"
    );
    assert_eq!(
        failure(|options| options.placements[0].mem_size = u64::MAX),
        "a memory image would end at 0xffffffffffffffff, beyond 0x800000000000"
    );

    let (b, options) = full(X86_64);
    let mut other = Builder::new(X86_64);
    other.section(".elfin.state", SectionKind::Data, &[1], 1);
    let error = link_with(&[&b.finish(), &other.finish()], &options).unwrap_err();
    assert_eq!(
        error.to_string(),
        "placed section .elfin.state: two input sections have this name"
    );
}

#[test]
fn the_map_can_be_printed() {
    let mut b = Builder::new(X86_64);
    b.start("f");
    b.returns("f", 0);
    let map = link(&[&b]).unwrap().map.to_string();
    assert!(map.contains("r-x code"), "{map}");
    assert!(map.contains(".text.f 0.o"), "{map}");
    assert!(map.contains(" f\n"), "{map}");
}

/// A program with so many memory images; exits with the first byte of the last one.
fn many_images(machine: Machine, count: u64) -> Result<Image, elfin_linker::Error> {
    let mut b = Builder::new(machine);
    b.start("load");
    b.loads("load", "last");
    let mut options = options();
    options.header_size = header_size(count);
    for i in 0..count {
        let name = format!(".elfin.image.{i}");
        let section = b.section(&name, SectionKind::Data, &[i as u8, 0, 0, 0], 1);
        if i == count - 1 {
            b.define("last", section, 0);
        }
        options.placements.push(placement(
            &name,
            0x1000_0000 + i * 0x2_0000,
            0x1_0000,
            false,
        ));
    }
    link_with(&[&b.finish()], &options)
}

#[test]
fn many_segments() {
    for machine in Machine::ALL {
        let image = many_images(machine, 68).unwrap();
        assert_eq!(machine.run(&image.bytes), 67);
        // The state, code, the guest's stack, the process's, and what is more than a page of headers.
        let error = many_images(machine, 70).map(|_| ()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the program headers would end at 0x1070, beyond 0x1040"
        );
    }
}

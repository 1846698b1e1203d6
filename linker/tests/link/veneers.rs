//! Branches beyond their reach on aarch64, with an artificially short one.

use crate::support::*;
use elfin_linker::{Image, Input};

const REACH: u64 = 1024;

fn link_short(b: &Builder) -> Result<Image, elfin_linker::Error> {
    let data = b.finish();
    let inputs = [Input {
        name: "0.o",
        data: &data,
    }];
    elfin_linker::link_with_reach(&inputs, &[], &options(), Some(REACH))
}

/// Functions of some hundred bytes that jump back and forth: first to last to second to last but one …
fn ping_pong(machine: Machine, count: u32) -> Builder {
    let mut b = Builder::new(machine);
    b.start("f0");
    let mut next: Vec<u32> = (0..count).collect();
    let mut order = Vec::new();
    while !next.is_empty() {
        order.push(next.remove(0));
        order.extend(next.pop());
    }
    for i in 0..count {
        let at = order.iter().position(|&f| f == i).unwrap();
        let section = match order.get(at + 1) {
            Some(to) => b.jumps(&format!("f{i}"), &format!("f{to}")),
            None => b.returns(&format!("f{i}"), 42),
        };
        b.object.append_section_data(section, &[0; 300], 4);
    }
    b
}

#[test]
fn far_branches_go_through_veneers() {
    let b = ping_pong(Aarch64, 40);
    let image = link_short(&b).unwrap();
    let islands = image
        .map
        .sections
        .iter()
        .filter(|s| s.name == "(veneers)")
        .count();
    assert!(islands > 10, "{}", image.map);
    assert_eq!(Aarch64.run(&image.bytes), 42);
    // With the machine's own reach there are none.
    let image = link(&[&b]).unwrap();
    assert!(image.map.sections.iter().all(|s| s.name != "(veneers)"));
    assert_eq!(Aarch64.run(&image.bytes), 42);
}

#[test]
fn branches_of_a_group_share_veneers() {
    let mut b = Builder::new(Aarch64);
    b.start("f0");
    for i in 0..4 {
        b.jumps(&format!("f{i}"), "far");
    }
    for i in 0..3 {
        let section = b.jumps(&format!("filler{i}"), "f3");
        b.object.append_section_data(section, &[0; 700], 4);
        b.add_flags(section, object::elf::SHF_GNU_RETAIN);
    }
    b.returns("far", 9);
    let image = link_short(&b).unwrap();
    let islands: Vec<_> = image
        .map
        .sections
        .iter()
        .filter(|s| s.name == "(veneers)")
        .map(|s| s.mem_size)
        .collect();
    assert_eq!(islands.first(), Some(&12), "{}", image.map);
    assert_eq!(Aarch64.run(&image.bytes), 9);
}

#[test]
fn code_longer_than_the_reach_is_an_error() {
    let mut b = Builder::new(Aarch64);
    b.start("f");
    let f = b.jumps("f", "g");
    b.object.append_section_data(f, &[0; 4096], 4);
    b.returns("g", 0);
    let error = link_short(&b).map(|_| ()).unwrap_err().to_string();
    assert!(
        error.contains("section .text.f, offset 0x0: R_AARCH64_JUMP26 to `g`: "),
        "{error}"
    );
}

#[test]
fn other_machines_need_none() {
    for machine in [X86_64, Riscv64] {
        let b = ping_pong(machine, 10);
        let image = link_short(&b).unwrap();
        assert!(image.map.sections.iter().all(|s| s.name != "(veneers)"));
        assert_eq!(machine.run(&image.bytes), 42);
    }
}

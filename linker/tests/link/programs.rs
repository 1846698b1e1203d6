//! Whole programs: they run, and what they return is what was meant.

use crate::support::*;
use object::SectionKind;

#[test]
fn a_call_across_sections() {
    for machine in Machine::ALL {
        let mut b = Builder::new(machine);
        b.start("answer");
        b.returns("answer", 42);
        assert_eq!(status(&[&b]), 42, "{machine:?}");
    }
}

#[test]
fn a_call_across_objects_and_a_tail_call() {
    for machine in Machine::ALL {
        let (mut a, mut b) = (Builder::new(machine), Builder::new(machine));
        a.start("between");
        b.returns("answer", 43);
        b.jumps("between", "answer");
        assert_eq!(status(&[&a, &b]), 43, "{machine:?}");
    }
}

#[test]
fn constants_variables_and_zeroes() {
    for machine in Machine::ALL {
        for (kind, name) in [
            (SectionKind::ReadOnlyData, ".rodata.value"),
            (SectionKind::Data, ".data.value"),
            (SectionKind::ReadOnlyData, ".data.rel.ro.value"),
        ] {
            let mut b = Builder::new(machine);
            b.start("load");
            b.loads("load", "value");
            let section = b.section(name, kind, &[0, 0, 0, 0, 44, 0, 0, 0], 8);
            b.define("value", section, 4);
            assert_eq!(status(&[&b]), 44, "{machine:?} {name}");
        }
        let mut b = Builder::new(machine);
        b.start("load");
        b.loads("load", "value");
        let section = b.bss(".bss.value", 0x2_0000, 64);
        b.define("value", section, 0x1_fffc);
        assert_eq!(status(&[&b]), 0, "{machine:?}");
    }
}

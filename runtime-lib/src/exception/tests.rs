//! The walk from a throw to its handler, over a stack and tables made by hand.

use super::*;
use crate::program::sample::{CODE, FAR_CODE, program};
use std::vec;
use std::vec::Vec;

/// Tables for the program of [`program`]: functions 0 to 2 lie at 0, 0x40 and 0x80 of the first chunk, function 3 at
/// 0x10 of the second. Function 1 saves register 0 in the word below its frame and register 2 two words below; it
/// handles tag 5, then any, at one call and tag 6 at another. Function 3 saves register 2 one word below.
fn header() -> UnwindHeader {
    fn array<T>(records: Vec<T>) -> u64 {
        Vec::leak(records).as_ptr() as u64
    }
    let frame = |saves, size, first_site| FunctionFrame {
        saves,
        size,
        first_site,
    };
    let site = |offset, handlers| CallSite { offset, handlers };
    UnwindHeader {
        granules: array(vec![0_u32, 3]),
        frames: array(vec![
            frame(0, 0, 0),
            frame(1, 32, 0),
            frame(0, 0, 2),
            frame(6, 48, 2),
            frame(0, 0, 2),
        ]),
        saves: array(vec![0_u8, 2, 0, 1, 2, 2, 1, 2, 1]),
        sites: array(vec![site(0x50, 0), site(0x80, 5)]),
        handlers: array(vec![2_u32, 5, 0x70, ANY_TAG, 0x78, 1, 6, 0x7c]),
        name_offsets: array(vec![0_u32, 3, 3, 8]),
        names: array(b"onethree".to_vec()),
        roots: 0,
        root_count: 0,
        arena: 0,
        first_tag: 0,
    }
}

/// Unwinds from a function with its frame at word `fp`, which called behind `pc`.
fn unwind(stack: &[u64], tag: u32, pc: u64, fp: usize) -> Option<Frame> {
    let header = header();
    let mut frame = Frame {
        saved: core::array::from_fn(|register| 1000 + register as u64),
        fp: stack.as_ptr() as u64 + 8 * fp as u64,
        sp: 0,
        pc,
    };
    // SAFETY: records that are leaked, and a stack that has the frames.
    let found = unsafe { Tables::new(&header, program(stack)).unwind(tag, &mut frame) };
    found.then_some(frame)
}

#[test]
fn the_first_handler_that_fits_is_taken() {
    let stack = [0_u64; 16];
    let base = stack.as_ptr() as u64;
    for (tag, pc, pad) in [
        (5, CODE + 0x50, CODE + 0x70),
        (6, CODE + 0x50, CODE + 0x78),
        // The call is the last instruction of its function.
        (6, CODE + 0x80, CODE + 0x7c),
    ] {
        let frame = unwind(&stack, tag, pc, 8).expect("a handler");
        assert_eq!((frame.pc, frame.fp, frame.sp), (pad, base + 64, base + 32));
        assert_eq!(frame.saved[2], 1002, "its own registers are its own affair");
    }
}

#[test]
fn registers_come_back_from_the_frames_that_are_left() {
    let mut stack = vec![0_u64; 24];
    let base = stack.as_ptr() as u64;
    // Function 3 at word 4 was called by function 1 at word 10 (which has no handler there), and that by function 1
    // at word 16, which has one.
    (stack[4], stack[5], stack[3]) = (base + 80, CODE + 0x60, 33);
    (stack[10], stack[11], stack[9], stack[8]) = (base + 128, CODE + 0x80, 91, 82);
    (stack[16], stack[17]) = (0, 0x7777_0000);
    let frame = unwind(&stack, 6, FAR_CODE + 0x40, 4).expect("a handler");
    assert_eq!((frame.pc, frame.fp), (CODE + 0x7c, base + 128));
    assert_eq!(frame.sp, base + 128 - 32);
    // Register 2 was saved twice: what counts is what the outer one found.
    assert_eq!(frame.saved[..4], [91, 1001, 82, 1003]);
}

#[test]
fn nothing_catches_what_nobody_handles() {
    let mut stack = vec![0_u64; 24];
    let base = stack.as_ptr() as u64;
    (stack[4], stack[5]) = (base + 80, CODE + 0x80);
    (stack[10], stack[11]) = (0, 0x7777_0000);
    // Function 1 handles only tag 6 there.
    assert_eq!(unwind(&stack, 5, FAR_CODE + 0x40, 4), None);
    assert!(unwind(&stack, 6, FAR_CODE + 0x40, 4).is_some());
    // Addresses that are not in generated code.
    for pc in [0, 1, CODE, CODE + 0x101, FAR_CODE + 0x101, u64::MAX] {
        assert_eq!(unwind(&stack, 6, pc, 4), None, "{pc:#x}");
    }
}

#[test]
fn tags_have_names() {
    let header = header();
    // SAFETY: records that are leaked.
    let tables = unsafe { Tables::new(&header, program(&[])) };
    let names: Vec<&[u8]> = (0..3).map(|tag| tables.tag_name(tag)).collect();
    assert_eq!(names, [&b"one"[..], b"", b"three"]);
}

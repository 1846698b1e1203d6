//! Shorter x86_64 code: branches and immediates in their short forms, no branch of a loop across a fetch window.
//!
//! In: the pieces of a function. Out: the same, immediates narrowed, branches of loops marked; `machine` chooses the
//! short form of every branch that reaches with it.
//!
//! The code generator writes every branch with a 32-bit displacement and most immediates with 32 bits. Both are
//! rewritten where 8 bits do (Intel SDM volume 2: `EB cb`, `70+cc cb`, `83 /n ib`, `6B /r ib`). A branch inside a
//! small loop that would cross or touch the end of a 32-byte window is pushed behind it with no-ops: on Golden Cove a
//! loop whose branch crosses a 64-byte line runs at two thirds of its speed, and Skylake and its kin do not keep such
//! a branch among the decoded instructions at all (Intel, "Mitigations for Jump Conditional Code Erratum"). A loop that is
//! shorter than a window lies in one line: fetched from two, a loop that copies bytes takes 1.7 times as long.
//!
//! Figures: `docs/performance.md`.

use super::machine::{Kind, Piece};
use crate::codegen::Relocation;

/// A loop of more bytes than this is not bound by how its code is fetched.
const MAX_LOOP: u32 = 512;

/// Narrows immediates that fit 8 bits, but for those that a relocation fills in.
pub(super) fn narrow(pieces: &mut [Piece], relocations: &[Relocation]) {
    let mut relocated: Vec<u32> = relocations.iter().map(|r| r.offset).collect();
    relocated.sort_unstable();
    let mut next = relocated.into_iter().peekable();
    for i in 0..pieces.len() {
        let end = pieces.get(i + 1).map_or(u32::MAX, |p| p.old);
        let mut fixed = false;
        while next.next_if(|r| *r < end).is_some() {
            fixed = true;
        }
        if let Kind::Instruction(encoded) = &mut pieces[i].kind
            && !fixed
            && let Some((at, opcode)) = narrow_form(encoded.bytes())
        {
            encoded.narrow(at, opcode);
        }
    }
}

/// Where the opcode is and the one that takes an 8-bit immediate, if the instruction has one and its value fits.
fn narrow_form(bytes: &[u8]) -> Option<(usize, u8)> {
    // A 16-bit operand size would make the immediate 16 bits wide; other prefixes do not occur with these opcodes.
    let at = usize::from(bytes.first().is_some_and(|b| b & 0xf0 == 0x40));
    let opcode = match bytes.get(at)? {
        0x81 => 0x83,
        0x69 => 0x6b,
        _ => return None,
    };
    let value = i32::from_le_bytes(*bytes.last_chunk::<4>()?);
    i8::try_from(value).ok()?;
    Some((at, opcode))
}

/// Marks innermost small loops and their branches. Returns whether there are any.
pub(super) fn guard_loops(pieces: &mut [Piece]) -> bool {
    let index_of = |pieces: &[Piece], offset: u32| pieces.partition_point(|p| p.old < offset);
    let mut loops: Vec<(usize, usize)> = Vec::new();
    for (i, piece) in pieces.iter().enumerate() {
        if let Kind::Branch { target, .. } = piece.kind
            && target <= piece.old
            && piece.old - target <= MAX_LOOP
        {
            loops.push((index_of(pieces, target), i));
        }
    }
    // Ascending by latch: a loop is innermost when no other latch with a head inside lies between.
    let mut guarded = false;
    for (n, (head, latch)) in loops.iter().enumerate() {
        let inner = loops[..n]
            .iter()
            .rev()
            .take_while(|(_, l)| l >= head)
            .any(|(h, _)| h > head);
        if inner {
            continue;
        }
        pieces[*head].loops = Some(latch - head);
        for i in *head..=*latch {
            if !matches!(pieces[i].kind, Kind::Branch { .. }) {
                continue;
            }
            guarded = true;
            // A compare and its branch are one operation as long as nothing stands between them.
            let fused = i > *head && matches!(pieces[i - 1].kind, Kind::Instruction(_));
            let (at, distance) = if fused { (i - 1, 1) } else { (i, 0) };
            pieces[at].guards = Some(distance);
        }
    }
    guarded
}

#[cfg(test)]
mod tests {
    use super::super::machine::{LINE, WINDOW, function, optimise};
    use crate::symbol::Symbol;
    use elfin_abi::trap::TrapCode;

    #[test]
    fn a_branch_that_reaches_becomes_short_and_its_trap_moves_along() {
        // test eax, eax; je +1 (to ud2); ret; ud2
        let mut f = function(&[0x85, 0xc0, 0x0f, 0x84, 1, 0, 0, 0, 0xc3, 0x0f, 0x0b]);
        f.traps.push((9, TrapCode::Unreachable));
        optimise(&mut f, &[0, 8]);
        assert_eq!(f.code, [0x85, 0xc0, 0x74, 1, 0xc3, 0x0f, 0x0b]);
        assert_eq!(f.traps, [(5, TrapCode::Unreachable)]);
        assert_eq!(f.alignment, 8);
    }

    #[test]
    fn a_branch_that_does_not_reach_stays_long() {
        for (nops, long) in [(127, false), (128, true)] {
            let mut code = vec![0x0f, 0x85];
            code.extend_from_slice(&i32::to_le_bytes(nops));
            code.extend(std::iter::repeat_n(0x90, nops as usize));
            code.push(0xc3);
            let mut f = function(&code);
            optimise(&mut f, &[0]);
            assert_eq!(f.code.len(), code.len() - if long { 0 } else { 4 });
        }
    }

    #[test]
    fn immediates_become_narrow_exactly_when_they_fit() {
        // add rdi, imm32; ret
        for (value, fits) in [(127, true), (128, false), (-128, true), (-129, false)] {
            let mut code = vec![0x48, 0x81, 0xc7];
            code.extend_from_slice(&i32::to_le_bytes(value));
            code.push(0xc3);
            let mut f = function(&code);
            optimise(&mut f, &[0]);
            if fits {
                assert_eq!(f.code, [0x48, 0x83, 0xc7, value as u8, 0xc3]);
            } else {
                assert_eq!(f.code, code);
            }
        }
    }

    #[test]
    fn a_relocated_field_is_left_alone() {
        // add rdi, imm32 with a relocation of the immediate; jmp rel32 with a relocation.
        let code = [0x48, 0x81, 0xc7, 1, 0, 0, 0, 0xe9, 0, 0, 0, 0];
        let mut f = function(&code);
        for offset in [3, 8] {
            f.relocations.push(crate::codegen::Relocation {
                offset,
                kind: cranelift_codegen::binemit::Reloc::X86PCRel4,
                target: crate::codegen::Target::Symbol(Symbol::Main),
                addend: 0,
            });
        }
        optimise(&mut f, &[0]);
        assert_eq!(f.code, code);
    }

    #[test]
    fn no_branch_of_a_loop_crosses_a_window() {
        for before in 0..WINDOW {
            let mut code = vec![0x90; before as usize];
            code.extend([0xff, 0xc8]); // dec eax
            let back = -8_i32;
            code.extend([0x0f, 0x85]); // jne to the dec
            code.extend(back.to_le_bytes());
            code.push(0xc3);
            let mut f = function(&code);
            optimise(&mut f, &[0, before]);
            let branch = f.code.len() - 3;
            assert_eq!(f.code[branch], 0x75, "{before}");
            assert_eq!(
                branch as u32 / WINDOW,
                (branch as u32 + 2) / WINDOW,
                "{before}"
            );
            assert_eq!(f.alignment, 64);
        }
    }
    #[test]
    fn a_loop_shorter_than_a_window_lies_in_one_line() {
        for (body, fits) in [(WINDOW - 3, true), (WINDOW - 2, false)] {
            let mut crossed = 0;
            for before in 0..LINE {
                let mut code = vec![0x90; (before + body) as usize];
                code.extend([0x0f, 0x85]); // jne to the first byte of the body
                code.extend((-6 - body.cast_signed()).to_le_bytes());
                code.push(0xc3);
                let mut f = function(&code);
                optimise(&mut f, &[0, before]);
                // The displacement of the short form tells where the loop begins.
                let end = f.code.len() as u32 - 1;
                let back = u32::from(f.code[end as usize - 1].cast_signed().unsigned_abs());
                if (end - back) / LINE != (end - 1) / LINE {
                    crossed += 1;
                }
            }
            assert_eq!(crossed == 0, fits, "{body}: {crossed}");
        }
    }
}

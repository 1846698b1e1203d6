//! What both ways of a branch hand on is handed on once.
//!
//! In: the pieces of a function, a branch before which moves were put (`tails`), and the way on from it. Out: the
//! same, without what is repeated there.
//!
//! The code generator gives each way out of a block its own moves, and a constant to each block that uses it. Once
//! those of one way stand before the branch, they serve the other as well: a recursive `fib` sets two registers
//! in place of four.

use super::live::Registers;
use super::machine::{Encoded, Kind, Piece};
use super::tails::Context;
use iced_x86::{FlowControl, Mnemonic};

/// Most instructions that are looked at on either side.
const MAX_REPEATED: usize = 4;

impl Context {
    /// Leaves out what an exit, the piece that the branch before it does not lead away from, repeats of what is before
    /// that branch. The branch's comparison and moves begin at `start`.
    pub(super) fn drop_repeated(&mut self, pieces: &mut [Piece], start: usize, exit: usize) {
        let offset = pieces[exit].old;
        let first = self.targets.partition_point(|t| *t < offset);
        // The branch led there, until now; nothing else may.
        if self.targets.get(first + 1) == Some(&offset) {
            return;
        }
        let earliest = start.saturating_sub(MAX_REPEATED);
        let from = (earliest..=start).rev().find(|at| {
            *at == 0
                || self.is_entered(&pieces[*at..=*at])
                || pieces[at - 1].is_left_out()
                || pieces[at - 1].ends()
        });
        let (before, behind) = pieces.split_at_mut(exit);
        let before = &before[from.unwrap_or(earliest)..];
        let mut written = Registers::default();
        for at in 0..behind.len().min(MAX_REPEATED) {
            if at > 0 && self.is_entered(&behind[at..=at]) {
                return;
            }
            // A comparison with zero that was left out needs the flags of what is before it.
            let tested = behind.get(at + 1).is_some_and(Piece::is_left_out);
            let fixed = self.is_fixed(behind, at);
            let Kind::Instruction(again) = &mut behind[at].kind else {
                return;
            };
            let uses = self.live.uses(again.bytes());
            if self.live.last().flow_control() != FlowControl::Next {
                return;
            }
            let own = uses.reads.and(uses.writes);
            if !tested && !fixed && !own.meets(written) && self.is_there(before, again) {
                again.replace(&[]);
            } else {
                written = written.and(uses.writes);
            }
        }
    }

    /// Whether one of these instructions was the same move between registers, and nothing has come of it but what it
    /// moved.
    fn is_there(&mut self, before: &[Piece], again: &Encoded) -> bool {
        let is_same =
            |p: &Piece| matches!(&p.kind, Kind::Instruction(e) if e.bytes() == again.bytes());
        let Some(same) = before.iter().rposition(is_same) else {
            return false;
        };
        let uses = self.live.uses(again.bytes());
        let zero = self.live.last().mnemonic() == Mnemonic::Xor;
        let own = uses.reads.and(uses.writes);
        // Bytes that a relocation is to fill in say nothing.
        !again.is_relative()
            && !self.is_fixed(before, same)
            && !uses.others
            && !uses.reads_memory
            && !uses.writes_memory
            && !uses.reads_flags
            && (zero || !uses.writes_flags)
            && !uses.reads.meets(uses.writes)
            && uses.writes == uses.kills
            && before[same + 1..].iter().all(|p| match &p.kind {
                Kind::Instruction(e) if !e.bytes().is_empty() => {
                    let later = self.live.uses(e.bytes());
                    !later.writes.meets(own) && self.live.last().flow_control() == FlowControl::Next
                }
                Kind::Instruction(_) | Kind::Branch { .. } => true,
                Kind::Table(_) | Kind::Pool => false,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::super::machine::{function, optimise};

    const CMP: [u8; 2] = [0x39, 0xd1]; // cmp ecx, edx
    const MOVE: [u8; 3] = [0x48, 0x89, 0xd0]; // mov rax, rdx
    const RET: [u8; 1] = [0xc3];

    fn to(opcode: &[u8], distance: usize) -> Vec<u8> {
        [opcode, &(distance as u32).to_le_bytes()].concat()
    }

    fn optimised(code: &[u8]) -> Vec<u8> {
        let mut f = function(code);
        optimise(&mut f, &[0]);
        f.code
    }

    /// `before`; cmp; jae near; mov rax, rdx; jmp on; near: `near`; ret; on: ret. The first part of what comes of it
    /// is `before`, the second `near`.
    fn repeated(before: &[u8], near: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let leave = to(&[0x0f, 0x83], MOVE.len() + 5);
        let jump = to(&[0xe9], near.len() + 1);
        let code = [before, &CMP, &leave, &MOVE, &jump, near, &RET, &RET].concat();
        let code = optimised(&code);
        let joined = [&MOVE[..], &CMP, &[0x72]].concat();
        let at = code.windows(6).position(|w| w == joined).expect("joined");
        (code[..at].to_vec(), code[at + 7..code.len() - 2].to_vec())
    }

    #[test]
    fn what_both_ways_hand_on_is_handed_on_once() {
        let other = [0x48, 0x89, 0xf1]; // mov rcx, rsi
        let zero = [0x31, 0xdb]; // xor ebx, ebx
        for (before, near, left) in [
            (&[][..], &MOVE[..], &[][..]),
            (&[], &[other, MOVE].concat(), &other),
            (&zero, &[&zero[..], &MOVE].concat(), &[]),
            // The value is another in the meantime: mov rdx, rsi
            (
                &[],
                &[[0x48, 0x89, 0xf2], MOVE].concat(),
                &[0x48, 0x89, 0xf2, 0x48, 0x89, 0xd0],
            ),
            // mov ebx, ebx; then the zero
            (
                &[0x31, 0xdb, 0x89, 0xd3],
                &[&zero[..], &MOVE].concat(),
                &zero,
            ),
            // A call leaves nothing of it: xor ecx, ecx; call; xor ecx, ecx
            (
                &[0x31, 0xc9, 0xe8, 0, 0, 0, 0],
                &[&[0x31, 0xc9][..], &MOVE].concat(),
                &[0x31, 0xc9],
            ),
            // Not the same twice: add rbx, rdx; lea rbx, [rbx + 1]
            (
                &[0x48, 0x01, 0xd3],
                &[[0x48, 0x01, 0xd3], MOVE].concat(),
                &[0x48, 0x01, 0xd3],
            ),
            (
                &[0x48, 0x8d, 0x5b, 1],
                &[&[0x48, 0x8d, 0x5b, 1][..], &MOVE].concat(),
                &[0x48, 0x8d, 0x5b, 1],
            ),
            // mov rbx, [rsi]: another may have written it
            (
                &[0x48, 0x8b, 0x1e],
                &[[0x48, 0x8b, 0x1e], MOVE].concat(),
                &[0x48, 0x8b, 0x1e],
            ),
        ] {
            let (head, behind) = repeated(before, near);
            assert_eq!(head, before);
            assert_eq!(behind, left, "{before:02x?} {near:02x?}");
        }
    }

    #[test]
    fn an_exit_that_something_else_leads_to_repeats() {
        // je near; then cmp; jae near; mov rax, rdx; jmp on; near: mov rax, rdx; ret; on: ret
        let mut code = to(&[0x0f, 0x84], 2 + 6 + 3 + 5);
        code.extend(CMP);
        code.extend(to(&[0x0f, 0x83], 3 + 5));
        code.extend(MOVE);
        code.extend(to(&[0xe9], 3 + 1));
        code.extend(MOVE);
        code.extend([0xc3, 0xc3]);
        let expected = [&[0x74, 7][..], &MOVE, &CMP, &[0x72, 4], &MOVE, &RET, &RET];
        assert_eq!(optimised(&code), expected.concat());
    }
}

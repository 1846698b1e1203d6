//! Loops that end with the branch that leaves them.
//!
//! In: the pieces of a function. Out: the same in another order, and where each old offset went.
//!
//! Code stands in the order in which it was translated, so that a loop often ends with a jump to its head while the
//! branch that leaves it is elsewhere in it: two branches a round. The part behind that branch goes to the front,
//! where it runs into the head; the branch, now the last piece, leads to it instead of out, and what was
//! behind the loop still is:
//!
//! ```text
//!     head:  …                          jmp  head
//!            je   exit           body:  …
//!            …                   head:  …
//!            jmp  head                  jne  body
//!     exit:                      exit:
//! ```
//!
//! The jump is executed once for all rounds, and not there where nothing runs into the loop. It is the only piece
//! that may be left out; nothing is copied.

use super::machine::{Encoded, Kind, Piece, targets};

/// A loop of more bytes is left as it is: one branch is little of a round.
const MAX_LOOP: u32 = 256;

/// Where code went that another order of pieces moved.
#[derive(Debug, Default)]
pub(super) struct Moved(Vec<(u32, u32)>);

impl Moved {
    /// The new offset of an old one.
    pub(super) fn new_offset(&self, old: u32) -> u32 {
        match self.0.partition_point(|(from, _)| *from <= old) {
            0 => old,
            next => {
                let (from, to) = self.0[next - 1];
                to + (old - from)
            }
        }
    }

    /// The new offset behind a call, of which this is the old one.
    pub(super) fn new_return(&self, old: u32) -> u32 {
        self.new_offset(old - 1) + 1
    }

    /// Nothing was moved.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Turns loops. `entries` (ascending) are offsets that are reached in other ways than by branches. Offsets of pieces,
/// and what branches and tables have of them, are counted anew.
pub(super) fn rotate(pieces: &mut [Piece], entries: &[u32]) -> Moved {
    let mut turned = Turned::default();
    for jump in 1..pieces.len() {
        if let Some((head, branch)) = find(pieces, jump, &turned) {
            turned.turn(pieces, entries, head, branch, jump);
        }
    }
    turned.renumber(pieces)
}

/// The head of the loop that ends with this jump, and the branch that is to be its end.
fn find(pieces: &[Piece], jump: usize, turned: &Turned) -> Option<(usize, usize)> {
    let Kind::Branch {
        condition: None,
        target: start,
        ..
    } = pieces[jump].kind
    else {
        return None;
    };
    if start >= pieces[jump].old || pieces[jump].old - start > MAX_LOOP || turned.has(jump) {
        return None;
    }
    // Among pieces that were turned this finds another one, and always one of theirs or the one behind them.
    let head = pieces[..jump].partition_point(|p| p.old < start);
    // Before the first instruction there is no place for a jump.
    if head == 0 || pieces[head].old != start || turned.has(head) {
        return None;
    }
    // What takes a table's address knows it by its old offset.
    let is_data = |p: &Piece| matches!(p.kind, Kind::Table(_) | Kind::Pool);
    if pieces[head..jump].iter().any(is_data) {
        return None;
    }
    // What is left out stands between the jump and what is executed next.
    let behind = &pieces[jump + 1..];
    let next = behind.iter().position(|p| !p.is_left_out())?;
    let exits = behind[0].old..=behind[next].old;
    // Where an inner loop goes back to: it must stay in one piece.
    let mut inner = u32::MAX;
    for at in (head..jump).rev() {
        if let Kind::Branch {
            condition, target, ..
        } = &pieces[at].kind
        {
            let is_exit = condition.is_some() && exits.contains(target);
            if is_exit && at + 1 < jump && inner > pieces[at].old && !turned.has(at) {
                return Some((head, at));
            }
            if *target > start {
                inner = inner.min(*target);
            }
        }
    }
    None
}

/// The loops that were turned.
#[derive(Default)]
struct Turned {
    /// Their pieces: the place of such a piece is not what its offset says.
    pieces: Vec<bool>,
    /// Offsets that something leads to, ascending.
    targets: Vec<u32>,
}

impl Turned {
    fn has(&self, at: usize) -> bool {
        self.pieces.get(at).copied().unwrap_or(false)
    }

    /// Turns the loop from `head` to `jump`, so that it ends with `branch`.
    fn turn(
        &mut self,
        pieces: &mut [Piece],
        entries: &[u32],
        head: usize,
        branch: usize,
        jump: usize,
    ) {
        if self.pieces.is_empty() {
            self.pieces = vec![false; pieces.len()];
            self.targets = targets(pieces, entries);
        }
        let before = pieces[..head].iter().rev().find(|p| !p.is_left_out());
        if before.is_some_and(Piece::ends) && self.targets.binary_search(&pieces[jump].old).is_err()
        {
            pieces[jump].kind = Kind::Instruction(Encoded::nothing());
        }
        let body = pieces[branch + 1].old;
        if let Kind::Branch {
            condition: Some(condition),
            target,
            ..
        } = &mut pieces[branch].kind
        {
            // The lowest bit negates.
            *condition ^= 1;
            *target = body;
        }
        pieces[head..=jump].rotate_left(branch + 1 - head);
        pieces[head..=head + jump - branch - 1].rotate_right(1);
        self.pieces[head..=jump].fill(true);
    }

    /// Gives pieces offsets that ascend again, and tells branches and tables.
    fn renumber(&self, pieces: &mut [Piece]) -> Moved {
        let mut moved = Moved::default();
        let mut at = 0;
        while let Some(from) = (at..self.pieces.len()).find(|i| self.pieces[*i]) {
            let end = (from..self.pieces.len())
                .find(|i| !self.pieces[*i])
                .unwrap_or(self.pieces.len());
            let mut offset = pieces[from..end].iter().map(|p| p.old).min().unwrap_or(0);
            let start = moved.0.len();
            for piece in &mut pieces[from..end] {
                moved.0.push((piece.old, offset));
                piece.old = offset;
                offset += piece.old_len();
            }
            moved.0[start..].sort_unstable();
            moved.0.push((offset, offset));
            at = end;
        }
        if moved.is_empty() {
            return moved;
        }
        for piece in pieces {
            match &mut piece.kind {
                Kind::Branch { target, .. } => *target = moved.new_offset(*target),
                Kind::Table(targets) => {
                    for target in targets {
                        *target = moved.new_offset(*target);
                    }
                }
                Kind::Instruction(_) | Kind::Pool => {}
            }
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::super::machine::{function, optimise};
    use super::MAX_LOOP;
    use crate::codegen::CompiledFunction;
    use crate::unwind::{CallSite, Unwind};
    use elfin_abi::trap::TrapCode;

    const CMP: [u8; 2] = [0x39, 0xd1]; // cmp ecx, edx
    const STORE: [u8; 2] = [0x89, 0x02]; // mov [rdx], eax
    const RET: [u8; 1] = [0xc3];

    fn to(opcode: &[u8], distance: usize) -> Vec<u8> {
        [opcode, &(distance as u32).to_le_bytes()].concat()
    }

    /// `before`; head: cmp ecx, edx; je exit; `body`; jmp head; exit: ret.
    fn loops(before: &[u8], body: &[u8]) -> CompiledFunction {
        let jump = to(&[0xe9], (2 + 6 + body.len() + 5).wrapping_neg());
        let leave = to(&[0x0f, 0x84], body.len() + jump.len());
        function(&[before, &CMP, &leave, body, &jump, &RET].concat())
    }

    #[test]
    fn what_is_behind_the_exit_goes_before_the_head() {
        let mut f = loops(&[0x90], &STORE);
        optimise(&mut f, &[0]);
        // nop; jmp head; body: mov [rdx], eax; head: cmp ecx, edx; jne body; ret
        let expected = [&[0x90, 0xeb, 2][..], &STORE, &CMP, &[0x75, 0xfa], &RET];
        assert_eq!(f.code, expected.concat());
    }

    #[test]
    fn what_nothing_runs_into_needs_no_jump() {
        // je head; ret; then the loop
        let mut f = loops(&[0x0f, 0x84, 1, 0, 0, 0, 0xc3], &STORE);
        optimise(&mut f, &[0]);
        let expected = [&[0x74, 3, 0xc3][..], &STORE, &CMP, &[0x75, 0xfa], &RET];
        assert_eq!(f.code, expected.concat());
    }

    #[test]
    fn a_jump_that_is_led_to_stays() {
        // jb to the loop's jump; ret; then the loop
        let enter = [&to(&[0x0f, 0x82], 1 + 2 + 6 + 2)[..], &RET].concat();
        let mut f = loops(&enter, &STORE);
        optimise(&mut f, &[0, 6]);
        let expected = [
            &[0x72, 1, 0xc3, 0xeb, 2][..],
            &STORE,
            &CMP,
            &[0x75, 0xfa],
            &RET,
        ];
        assert_eq!(f.code, expected.concat());
    }

    #[test]
    fn the_last_exit_becomes_the_end() {
        // nop; head: cmp; je exit; store; cmp; je exit; store; store; jmp head; exit: ret
        let inner = [&STORE[..], &CMP, &to(&[0x0f, 0x84], 4 + 5), &STORE, &STORE].concat();
        let mut f = loops(&[0x90], &inner);
        optimise(&mut f, &[0]);
        let expected = [
            &[0x90, 0xeb, 4][..],
            &STORE,
            &STORE,
            &CMP,
            &[0x74, 6], // to the ret
            &STORE,
            &CMP,
            &[0x75, 0xf2], // to the first store
            &RET,
        ];
        assert_eq!(f.code, expected.concat());
    }

    #[test]
    fn an_inner_loop_stays_in_one_piece() {
        // nop; head: cmp; je exit; inner: store; cmp; je exit; store; jb inner; jmp head; exit: ret
        let inner = [
            &STORE[..],
            &CMP,
            &to(&[0x0f, 0x84], 2 + 6 + 5),
            &STORE,
            &to(&[0x0f, 0x82], 18_usize.wrapping_neg()),
        ]
        .concat();
        let mut f = loops(&[0x90], &inner);
        optimise(&mut f, &[0]);
        let expected = [
            &[0x90, 0xeb, 10][..],
            &STORE,
            &CMP,
            &[0x74, 8], // to the ret
            &STORE,
            &[0x72, 0xf6], // to the store
            &CMP,
            &[0x75, 0xf2], // to the store
            &RET,
        ];
        assert_eq!(f.code, expected.concat());
    }

    #[test]
    fn inner_and_outer_loops_are_turned() {
        // The outer loop's body is a loop of the same kind.
        let body = loops(&STORE, &STORE).code;
        let mut f = loops(&[0x90], &body[..body.len() - 1]);
        optimise(&mut f, &[0]);
        let expected = [
            &[0x90, 0xeb, 10][..],
            &STORE,
            &[0xeb, 2],
            &STORE,
            &CMP,
            &[0x75, 0xfa],
            &CMP,
            &[0x75, 0xf2],
            &RET,
        ];
        assert_eq!(f.code, expected.concat());
    }

    #[test]
    fn a_loop_without_an_exit_behind_it_or_with_many_bytes_is_left_alone() {
        for body in [0, MAX_LOOP as usize] {
            let body = STORE.repeat(body / 2 + 1);
            let mut f = loops(&[0x90], &body);
            if body.len() == 2 {
                // The exit is the nop before the loop.
                f.code[5..9].copy_from_slice(&(-9_i32).to_le_bytes());
            }
            let end = f.code.len() - 6;
            assert_eq!(f.code[end], 0xe9);
            optimise(&mut f, &[0]);
            assert!(!f.code.windows(4).any(|w| w == [CMP[0], CMP[1], 0x75, 0xfa]));
            assert_eq!(f.code[..3], [0x90, CMP[0], CMP[1]]);
        }
    }

    #[test]
    fn nothing_goes_before_the_first_instruction() {
        let mut f = loops(&[], &STORE);
        optimise(&mut f, &[0]);
        assert_eq!(f.code[..2], CMP);
    }

    #[test]
    fn a_loop_with_a_jump_table_is_left_alone() {
        // nop; head: lea rax, [rip + 2]; jmp rax; the table at 10: to 14; then cmp; je exit; store; jmp head; exit: ret
        let mut code = vec![0x90, 0x48, 0x8d, 0x05, 2, 0, 0, 0, 0xff, 0xe0];
        code.extend(4_i32.to_le_bytes());
        code.extend(CMP);
        code.extend(to(&[0x0f, 0x84], 2 + 5));
        code.extend(STORE);
        code.extend(to(&[0xe9], 28_usize.wrapping_neg()));
        code.extend(RET);
        let mut f = function(&code);
        optimise(&mut f, &[0, 14]);
        let expected = [&code[..14], &CMP, &[0x74, 4], &STORE, &[0xeb, 0xeb], &RET];
        assert_eq!(f.code, expected.concat());
    }

    #[test]
    fn tables_follow_the_code() {
        // nop; head: call; je exit; call; store; jmp head; exit: je trap; ret; trap: ud2
        const CALL: [u8; 5] = [0xe8, 0, 0, 0, 0];
        let body = [&CALL[..], &STORE].concat();
        let mut code = [&[0x90][..], &CALL, &to(&[0x0f, 0x84], 12), &body].concat();
        code.extend(to(&[0xe9], 23_usize.wrapping_neg()));
        code.extend([0x0f, 0x84, 1, 0, 0, 0, 0xc3, 0x0f, 0x0b]);
        let mut f = function(&code);
        f.safepoints = vec![(6, vec![1]), (17, vec![2])];
        f.traps = vec![(31, TrapCode::Unreachable)];
        for offset in [2, 13] {
            f.relocations.push(crate::codegen::Relocation {
                offset,
                kind: cranelift_codegen::binemit::Reloc::X86CallPCRel4,
                target: crate::codegen::Target::Symbol(crate::symbol::Symbol::Main),
                addend: i64::from(offset),
            });
        }
        let site = |returns_to, pad| CallSite {
            returns_to,
            handlers: vec![(0, pad)],
        };
        // Exceptions of the first call enter at the store, those of the second at the `ud2`.
        f.unwind = Some(Unwind {
            sites: vec![site(6, 17), site(17, 31)],
            ..Unwind::default()
        });
        optimise(&mut f, &[0, 17, 31]);
        let expected = [
            &[0x90, 0xeb, 7][..],
            &CALL,
            &STORE,
            &CALL,
            &[0x75, 0xf2, 0x74, 1, 0xc3, 0x0f, 0x0b],
        ];
        assert_eq!(f.code, expected.concat());
        assert_eq!(f.safepoints, [(8, vec![2]), (15, vec![1])]);
        assert_eq!(f.traps, [(20, TrapCode::Unreachable)]);
        let relocations: Vec<_> = f.relocations.iter().map(|r| (r.offset, r.addend)).collect();
        assert_eq!(relocations, [(4, 13), (11, 2)]);
        let sites = f.unwind.expect("it was there").sites;
        assert_eq!(sites, [site(8, 20), site(15, 8)]);
    }
}

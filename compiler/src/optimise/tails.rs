//! One branch at the end of a loop in place of two.
//!
//! In: the pieces of a function, and where it is entered. Out: the same, fewer jumps.
//!
//! What a loop hands on to its next round is moved into place behind the branch that leaves it, for only that way
//! needs it:
//!
//! ```text
//!     cmp  rcx, rdx                 mov  rax, rcx
//!     je   exit                     cmp  rcx, rdx
//!     mov  rax, rcx                 jne  head
//!     jmp  head                     (exit)
//! ```
//!
//! Where nothing behind `exit` reads what is overwritten, the moves can as well stand before the branch, which then
//! leads back itself. They go before the comparison if it does not mind, for a comparison and its branch are one
//! operation as long as nothing stands between them; there they may change flags, too. Moves are what cannot fault and
//! writes nothing but registers. Copies before a branch that goes on are treated alike, if there are few.

use super::frame::Role;
use super::live::{Liveness, Registers, Uses};
use super::machine::{Encoded, Kind, Piece, targets};
use crate::codegen::CompiledFunction;
use iced_x86::Mnemonic;

/// Most instructions before a jump back: they are executed once in vain.
const MAX_BACK: usize = 4;
/// Most copies before a jump that goes on: they may as often be made in vain as not.
const MAX_ON: usize = 2;

/// Joins the two branches at the ends of loops. `entries` (ascending) are offsets that are reached in other ways than
/// by branches.
pub(super) fn join(pieces: &mut [Piece], entries: &[u32], function: &CompiledFunction) {
    let mut context: Option<Context> = None;
    let mut i = 0;
    while i < pieces.len() {
        let Some(tail) = tail(pieces, i) else {
            i += 1;
            continue;
        };
        let context = context.get_or_insert_with(|| Context::new(pieces, entries, function));
        context.join(pieces, &tail);
        i = tail.jump + 1;
    }
}

/// A conditional branch, instructions, and a jump, all next to each other.
struct Tail {
    /// The conditional branch.
    branch: usize,
    /// Low four bits of its opcode.
    condition: u8,
    /// The piece that it leads to.
    exit: usize,
    /// The jump.
    jump: usize,
    /// Old offset that it leads to.
    head: u32,
    /// That is before it.
    back: bool,
}

impl Tail {
    /// The branch only leads past the jump.
    fn is_near(&self) -> bool {
        self.exit == self.jump + 1
    }
}

/// The tail whose conditional branch this is.
fn tail(pieces: &[Piece], branch: usize) -> Option<Tail> {
    let Kind::Branch {
        condition: Some(condition),
        target: exit,
        ..
    } = pieces[branch].kind
    else {
        return None;
    };
    let next = pieces[branch + 1..].iter().take(MAX_BACK);
    let moves = next.take_while(|p| matches!(&p.kind, Kind::Instruction(_)));
    let jump = branch + 1 + moves.count();
    let Kind::Branch {
        condition: None,
        target: head,
        ..
    } = pieces.get(jump)?.kind
    else {
        return None;
    };
    let back = head <= pieces[branch].old;
    // Another way back is no exit.
    if back && (head..=pieces[branch].old).contains(&exit) {
        return None;
    }
    let tail = Tail {
        branch,
        condition,
        exit: pieces.binary_search_by_key(&exit, |p| p.old).ok()?,
        jump,
        head,
        back,
    };
    (back || tail.is_near() && jump - branch - 1 <= MAX_ON).then_some(tail)
}

/// What is known of a function in which there is a tail.
pub(super) struct Context {
    /// Offsets that something leads to, ascending.
    pub(super) targets: Vec<u32>,
    /// Offsets of relocations and traps, ascending: what is there stays there.
    fixed: Vec<u32>,
    /// What instructions do.
    pub(super) live: Liveness,
}

impl Context {
    fn new(pieces: &[Piece], entries: &[u32], function: &CompiledFunction) -> Self {
        let relocations = function.relocations.iter().map(|r| r.offset);
        let traps = function.traps.iter().map(|(offset, _)| *offset);
        let mut fixed: Vec<u32> = relocations.chain(traps).collect();
        fixed.sort_unstable();
        Self {
            targets: targets(pieces, entries),
            fixed,
            live: Liveness::new(!entries.is_empty()),
        }
    }

    /// Whether something leads to one of these pieces.
    pub(super) fn is_entered(&self, pieces: &[Piece]) -> bool {
        let (Some(first), Some(last)) = (pieces.first(), pieces.last()) else {
            return false;
        };
        let next = self.targets.partition_point(|t| *t < first.old);
        self.targets.get(next).is_some_and(|t| *t <= last.old)
    }

    /// Whether a relocation or trap is at this piece.
    pub(super) fn is_fixed(&self, pieces: &[Piece], at: usize) -> bool {
        let end = pieces.get(at + 1).map_or(u32::MAX, |p| p.old);
        let next = self.fixed.partition_point(|f| *f < pieces[at].old);
        self.fixed.get(next).is_some_and(|f| *f < end)
    }

    /// Makes one branch of a tail's two, if that is possible.
    fn join(&mut self, pieces: &mut [Piece], tail: &Tail) -> Option<()> {
        if self.is_entered(&pieces[tail.branch + 1..=tail.jump]) {
            return None;
        }
        let mut all = Uses::default();
        for at in tail.branch + 1..tail.jump {
            let uses = self.of_move(pieces, at, tail.back)?;
            all.reads = all.reads.and(uses.reads);
            all.writes = all.writes.and(uses.writes);
            all.reads_flags |= uses.reads_flags;
            all.writes_flags |= uses.writes_flags;
        }
        if all.writes.meets(Registers::FRAME) || !self.live.dead(pieces, tail.exit, all.writes) {
            return None;
        }
        let before = self.before(pieces, tail.branch, &all);
        if before.is_none() && all.writes_flags {
            return None;
        }
        let start = before.unwrap_or(tail.branch);
        let mut kinds: Vec<Kind> = pieces[start..tail.jump]
            .iter()
            .map(|p| p.kind.clone())
            .collect();
        kinds.rotate_left(tail.branch + 1 - start);
        for (piece, kind) in pieces[start..].iter_mut().zip(kinds) {
            piece.kind = kind;
        }
        let exit = pieces[tail.exit].old;
        pieces[tail.jump - 1].kind = Kind::Branch {
            condition: Some(tail.condition ^ 1),
            target: tail.head,
            long: false,
        };
        pieces[tail.jump].kind = if tail.is_near() {
            Kind::Instruction(Encoded::nothing())
        } else {
            Kind::Branch {
                condition: None,
                target: exit,
                long: false,
            }
        };
        if tail.is_near() {
            self.drop_repeated(pieces, start, tail.exit);
        }
        Some(())
    }

    /// What the instruction at this piece does, if it may be done in vain: `back`, only once for many rounds.
    fn of_move(&mut self, pieces: &[Piece], at: usize, back: bool) -> Option<Uses> {
        let Kind::Instruction(encoded) = &pieces[at].kind else {
            return None;
        };
        if encoded.bytes().is_empty() {
            return Some(Uses::default());
        }
        let uses = self.live.uses(encoded.bytes());
        let instruction = self.live.last();
        // A register without its own value is 0.
        let zero = instruction.mnemonic() == Mnemonic::Xor && uses.reads.is_empty();
        let known =
            is_copy(instruction.mnemonic()) || zero || back && is_cheap(instruction.mnemonic());
        // What is in the frame or the pool is there.
        let readable = back && (matches!(encoded.role, Role::Slot { .. }) || encoded.is_relative());
        let harmless = known && !uses.writes_memory && !uses.others;
        (harmless && (!uses.reads_memory || readable) && !self.is_fixed(pieces, at)).then_some(uses)
    }

    /// The comparison that is one operation with the branch, if the moves may go before it.
    fn before(&mut self, pieces: &[Piece], branch: usize, moves: &Uses) -> Option<usize> {
        let at = pieces[..branch].iter().rposition(|p| !p.is_left_out())?;
        let Kind::Instruction(encoded) = &pieces[at].kind else {
            return None;
        };
        if self.is_entered(&pieces[at + 1..=branch]) || self.is_fixed(pieces, at) {
            return None;
        }
        let uses = self.live.uses(encoded.bytes());
        let fuses = matches!(
            self.live.last().mnemonic(),
            Mnemonic::Cmp | Mnemonic::Test | Mnemonic::Add | Mnemonic::Sub | Mnemonic::And
        );
        (fuses
            && !uses.others
            && !uses.writes_memory
            && !moves.reads_flags
            && !moves.writes.meets(uses.reads.and(uses.writes))
            && !moves.reads.meets(uses.writes))
        .then_some(at)
    }
}

/// Copies of registers and constants.
fn is_copy(mnemonic: Mnemonic) -> bool {
    matches!(
        mnemonic,
        Mnemonic::Mov
            | Mnemonic::Movaps
            | Mnemonic::Movapd
            | Mnemonic::Movups
            | Mnemonic::Movupd
            | Mnemonic::Movdqa
            | Mnemonic::Movdqu
            | Mnemonic::Movss
            | Mnemonic::Movsd
            | Mnemonic::Vmovaps
            | Mnemonic::Vmovapd
            | Mnemonic::Vmovups
            | Mnemonic::Vmovupd
            | Mnemonic::Vmovdqa
            | Mnemonic::Vmovdqu
            | Mnemonic::Vmovss
            | Mnemonic::Vmovsd
    )
}

/// What takes a cycle and cannot fault.
fn is_cheap(mnemonic: Mnemonic) -> bool {
    matches!(
        mnemonic,
        Mnemonic::Lea
            | Mnemonic::Movzx
            | Mnemonic::Movsx
            | Mnemonic::Movsxd
            | Mnemonic::Add
            | Mnemonic::Sub
            | Mnemonic::And
            | Mnemonic::Or
            | Mnemonic::Xor
            | Mnemonic::Shl
            | Mnemonic::Shr
            | Mnemonic::Sar
            | Mnemonic::Not
            | Mnemonic::Neg
    )
}

#[cfg(test)]
mod tests {
    use super::super::machine::{function, optimise};
    use crate::codegen::{CompiledFunction, Relocation, Target};
    use crate::symbol::Symbol;

    const ADD: [u8; 3] = [0x83, 0xc2, 0x01]; // add edx, 1
    const CMP: [u8; 2] = [0x39, 0xd1]; // cmp ecx, edx
    const MOVE: [u8; 3] = [0x48, 0x89, 0xd0]; // mov rax, rdx
    const KILL: [u8; 2] = [0x31, 0xc0]; // xor eax, eax
    const RET: [u8; 1] = [0xc3];

    fn to(opcode: &[u8], distance: usize) -> Vec<u8> {
        [opcode, &(distance as u32).to_le_bytes()].concat()
    }

    /// nop; head: `test`; je exit; `moves`; jmp head; exit: `exit`.
    fn tail(test: &[u8], moves: &[u8], exit: &[u8]) -> CompiledFunction {
        let jump = to(&[0xe9], (test.len() + 6 + moves.len() + 5).wrapping_neg());
        let leave = to(&[0x0f, 0x84], moves.len() + jump.len());
        function(&[&[0x90], test, &leave, moves, &jump, exit].concat())
    }

    /// The code of such a function afterwards, for blocks that begin nowhere else.
    fn optimised(mut f: CompiledFunction) -> Vec<u8> {
        optimise(&mut f, &[0]);
        f.code
    }

    /// nop; `parts`, a branch to the first part; `exit`: a loop with one branch.
    fn joined(parts: &[&[u8]], exit: &[u8]) -> Vec<u8> {
        let body = parts.concat();
        let back = (body.len() as i8 + 2).wrapping_neg().cast_unsigned();
        [&[0x90], &body[..], &[0x75, back], exit].concat()
    }

    fn left_alone(f: CompiledFunction, why: &str) {
        let branches = |code: &[u8]| {
            code.iter()
                .filter(|b| matches!(b, 0x74 | 0x75 | 0xeb))
                .count()
        };
        let code = optimised(f);
        assert_eq!(branches(&code), 2, "{why}: {code:02x?}");
    }

    #[test]
    fn moves_go_before_the_comparison_and_the_branch_leads_back() {
        let test = [&ADD[..], &CMP].concat();
        let exit = [&KILL[..], &RET].concat();
        assert_eq!(
            optimised(tail(&test, &MOVE, &exit)),
            joined(&[&ADD, &MOVE, &CMP], &exit)
        );
        // Without any, too.
        assert_eq!(
            optimised(tail(&test, &[], &RET)),
            joined(&[&ADD, &CMP], &RET)
        );
    }

    #[test]
    fn moves_keep_their_order() {
        // mov rax, rdx; mov rsi, rax; mov rax, rdi
        let moves = [0x48, 0x89, 0xd0, 0x48, 0x89, 0xc6, 0x48, 0x89, 0xf8];
        let exit = [0x31, 0xf6, 0x31, 0xc0, 0xc3]; // xor esi, esi; xor eax, eax; ret
        assert_eq!(
            optimised(tail(&CMP, &moves, &exit)),
            joined(&[&moves, &CMP], &exit)
        );
    }

    #[test]
    fn what_the_comparison_reads_is_moved_behind_it() {
        let copy = [0x48, 0x89, 0xc1]; // mov rcx, rax
        let exit = [0x31, 0xc9, 0xc3]; // xor ecx, ecx; ret
        assert_eq!(
            optimised(tail(&CMP, &copy, &exit)),
            joined(&[&CMP, &copy], &exit)
        );
        // What changes flags cannot be: add ecx, edx
        left_alone(tail(&CMP, &[0x01, 0xd1], &exit), "flags");
        // And what reads them sees those of the comparison: cmovb rax, rdx is no move.
        let exit = [&KILL[..], &RET].concat();
        left_alone(tail(&CMP, &[0x48, 0x0f, 0x42, 0xc2], &exit), "reads flags");
    }

    #[test]
    fn what_changes_flags_goes_before_the_comparison() {
        let add = [0x01, 0xd0]; // add eax, edx
        let exit = [&KILL[..], &RET].concat();
        assert_eq!(
            optimised(tail(&CMP, &add, &exit)),
            joined(&[&add, &CMP], &exit)
        );
        // Not where flags come from elsewhere: bt ecx, edx; its result is in the carry, as is the adc's.
        left_alone(tail(&[0x0f, 0xa3, 0xd1], &add, &exit), "no comparison");
        left_alone(tail(&[0x11, 0xd1], &add, &exit), "adc");
    }

    #[test]
    fn what_is_alive_behind_the_loop_stays() {
        left_alone(tail(&CMP, &MOVE, &RET), "the result");
        left_alone(tail(&CMP, &MOVE, &[0x89, 0xc3, 0xc3]), "read"); // mov ebx, eax; ret
        left_alone(tail(&CMP, &MOVE, &[0xb0, 0x01, 0xc3]), "part of it"); // mov al, 1; ret
        // The second of two: mov rax, rdx; mov rbx, rdx
        let two = [0x48, 0x89, 0xd0, 0x48, 0x89, 0xd3];
        left_alone(tail(&CMP, &two, &[0x31, 0xc0, 0xc3]), "one of two");
    }

    #[test]
    fn what_touches_memory_or_may_trap_stays() {
        let exit = [&KILL[..], &RET].concat();
        for (moves, why) in [
            (&[0x48, 0x89, 0x02][..], "store"),      // mov [rdx], rax
            (&[0x48, 0x8b, 0x02], "load"),           // mov rax, [rdx]
            (&[0x48, 0x8b, 0x45, 0x10], "argument"), // mov rax, [rbp + 16]
            (&[0x48, 0x89, 0x04, 0x24], "spill"),    // mov [rsp], rax
            (&[0x31, 0xd2, 0xf7, 0xf6], "division"), // xor edx, edx; div esi
            (&[0xe8, 0, 0, 0, 0], "call"),
            (
                &[
                    0x48, 0x89, 0xd0, 0x48, 0x89, 0xc8, 0x48, 0x89, 0xd0, 0x48, 0x89, 0xc8, 0x48,
                    0x89, 0xd0,
                ],
                "many",
            ),
        ] {
            left_alone(tail(&CMP, moves, &exit), why);
        }
        // What is in the frame is there: mov rax, [rsp + 8]
        let slot = [0x48, 0x8b, 0x44, 0x24, 0x08];
        assert_eq!(
            optimised(tail(&CMP, &slot, &exit)),
            joined(&[&slot, &CMP], &exit)
        );
    }

    #[test]
    fn what_is_relocated_stays() {
        let exit = [&KILL[..], &RET].concat();
        let constant = [0xb8, 0, 0, 0, 0]; // mov eax, imm32
        assert_eq!(
            optimised(tail(&CMP, &constant, &exit)),
            joined(&[&constant, &CMP], &exit)
        );
        let relocation = Relocation {
            offset: 1 + 2 + 6 + 1,
            kind: cranelift_codegen::binemit::Reloc::Abs4,
            target: Target::Symbol(Symbol::Main),
            addend: 0,
        };
        let mut f = tail(&CMP, &constant, &exit);
        f.relocations.push(relocation);
        left_alone(f, "constant");
        // A comparison with one keeps its place; the moves go behind it.
        let compare = [0x81, 0xf9, 0, 0, 0, 0]; // cmp ecx, imm32
        let mut f = tail(&compare, &MOVE, &exit);
        f.relocations.push(Relocation {
            offset: 1 + 2,
            ..relocation
        });
        optimise(&mut f, &[0]);
        assert_eq!(f.code, joined(&[&compare, &MOVE], &exit));
        assert_eq!(f.relocations[0].offset, 3);
    }

    #[test]
    fn moves_that_are_entered_elsewhere_stay() {
        // jb to the move; then the loop: head: cmp; je exit; mov; jmp head; exit: xor eax, eax; ret
        let enter = to(&[0x0f, 0x82], 2 + 6);
        let mut f = tail(&CMP, &MOVE, &[&KILL[..], &RET].concat());
        f.code.splice(0..1, enter);
        // jb to the move; jmp head; mov; head: cmp; jne to the move
        let turned = [0x72, 2, 0xeb, 3, 0x48, 0x89, 0xd0, 0x39, 0xd1, 0x75, 0xf9];
        assert_eq!(optimised(f), [&turned[..], &KILL, &RET].concat());
    }

    #[test]
    fn another_way_back_is_no_exit() {
        // nop; head: nop; inner: cmp; je inner; jmp head
        let mut code = vec![0x90, 0x90];
        code.extend(CMP);
        code.extend(to(&[0x0f, 0x84], 8_usize.wrapping_neg()));
        code.extend(to(&[0xe9], 14_usize.wrapping_neg()));
        let expected = [0x90, 0x90, 0x39, 0xd1, 0x74, 0xfc, 0xeb, 0xf9];
        assert_eq!(optimised(function(&code)), expected);
    }

    #[test]
    fn a_loop_that_is_left_for_elsewhere_jumps_there_once() {
        // nop; head: cmp; je far; mov; jmp head; ret; far: xor eax, eax; ret
        let mut f = tail(&CMP, &MOVE, &[0xc3, 0x31, 0xc0, 0xc3]);
        f.code[5..9].copy_from_slice(&(3_i32 + 5 + 1).to_le_bytes());
        let loops = joined(&[&MOVE, &CMP], &[0xeb, 1, 0xc3, 0x31, 0xc0, 0xc3]);
        optimise(&mut f, &[0, 17]);
        assert_eq!(f.code, loops);
    }

    #[test]
    fn few_copies_go_before_a_branch_that_goes_on() {
        // cmp ecx, edx; je near; `moves`; jmp on; near: xor eax, eax; ret; on: ret
        let on = |moves: &[u8]| {
            let leave = to(&[0x0f, 0x84], moves.len() + 5);
            let jump = to(&[0xe9], 3);
            function(&[&CMP[..], &leave, moves, &jump, &KILL, &RET, &RET].concat())
        };
        let expected = [&MOVE[..], &CMP, &[0x75, 3], &KILL, &RET, &RET].concat();
        assert_eq!(optimised(on(&MOVE)), expected);
        left_alone(on(&[0x01, 0xd0]), "add eax, edx");
        left_alone(on(&[0x48, 0x8b, 0x04, 0x24]), "mov rax, [rsp]");
        left_alone(on(&[MOVE, MOVE, MOVE].concat()), "three");
    }
}

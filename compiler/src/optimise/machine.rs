//! x86_64 machine code, taken apart so that it can be laid out anew.
//!
//! In: a compiled function and where its basic blocks begin. Out: its pieces (instructions, branches, jump tables,
//! the constant pool) in the order of their offsets; passes change them; then the function is put together again,
//! its relocations and traps moved along.
//!
//! Code is found by following it: from the block starts and branch targets until it ends. What is never reached is
//! data: jump tables (found by the `lea` that takes their address) and the constant pool at the end. Where anything
//! does not fit this picture, the function stays as it was.

use super::{flags, frame, relax, rotate, tails, traps, zeros};
use crate::codegen::CompiledFunction;
use iced_x86::{Code, Decoder, DecoderOptions, Instruction, Mnemonic};

/// The granule in which processors keep decoded instructions or fetch them: 32 bytes on many Intel cores (where a
/// branch that crosses or touches the end is not kept at all on some), half of one on the newest.
pub(super) const WINDOW: u32 = 32;
/// Alignment of a function in which a branch was placed relative to a window: a cache line, so that its loops lie in
/// as few lines wherever the function goes.
pub(super) const LINE: u32 = 64;
/// Largest alignment of anything in a constant pool.
const POOL_ALIGNMENT: u32 = 16;
/// Alignment of a function without loops and constants: more costs text (4 instead of 16 saves 0.3 % of hello in C).
const PLAIN_ALIGNMENT: u64 = 8;
/// Longest instruction (Intel SDM volume 2, 2.3.11).
const MAX_INSTRUCTION: usize = 15;

/// What stands at some offset of the old code.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    /// Its offset in the old code.
    pub(super) old: u32,
    /// Its size there.
    old_len: u32,
    /// What it is.
    pub(super) kind: Kind,
    /// A branch that should not cross a window begins this many pieces later (0 or 1).
    pub(super) guards: Option<usize>,
    /// An innermost loop begins here, and ends with the piece so many later.
    pub(super) loops: Option<usize>,
}

/// What a piece is.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// An instruction.
    Instruction(Encoded),
    /// A direct branch to an old offset.
    Branch {
        /// Low four bits of the opcode; `None` for a jump.
        condition: Option<u8>,
        /// Old offset.
        target: u32,
        /// It does not reach with 8 bits.
        long: bool,
    },
    /// A jump table: old offsets of its targets.
    Table(Vec<u32>),
    /// The constant pool.
    Pool,
}

/// Bytes of an instruction as they will be written; none when it is left out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Encoded {
    bytes: [u8; MAX_INSTRUCTION],
    len: u8,
    /// A memory operand relative to the instruction has its displacement at this offset and means this old offset.
    relative: Option<(u8, u32)>,
    /// What it does with the frame.
    pub(super) role: frame::Role,
}

impl Encoded {
    /// The bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// Replaces the bytes by others, at most as long. Not for operands relative to the instruction.
    pub(super) fn replace(&mut self, bytes: &[u8]) {
        debug_assert!(bytes.len() <= usize::from(self.len) && self.relative.is_none());
        self.bytes[..bytes.len()].copy_from_slice(bytes);
        self.len = bytes.len() as u8;
    }

    /// Replaces the bytes by others of any length. Not for operands relative to the instruction.
    pub(super) fn rewrite(&mut self, bytes: &[u8]) {
        debug_assert!(self.relative.is_none());
        self.bytes[..bytes.len()].copy_from_slice(bytes);
        self.len = bytes.len() as u8;
    }

    /// An instruction that is left out.
    pub(super) const fn nothing() -> Self {
        Self {
            bytes: [0; MAX_INSTRUCTION],
            len: 0,
            relative: None,
            role: frame::Role::Other,
        }
    }

    /// It has an operand relative to itself: in the constant pool, or a jump table's address.
    pub(super) const fn is_relative(&self) -> bool {
        self.relative.is_some()
    }

    /// Replaces a 32-bit immediate at the end by its low byte.
    pub(super) fn narrow(&mut self, opcode_at: usize, opcode: u8) {
        self.bytes[opcode_at] = opcode;
        self.len -= 3;
    }
}

impl Piece {
    fn size(&self) -> u32 {
        match &self.kind {
            Kind::Instruction(encoded) => u32::from(encoded.len),
            Kind::Branch { long: false, .. } => 2,
            Kind::Branch {
                condition: None, ..
            } => 5,
            Kind::Branch {
                condition: Some(_), ..
            } => 6,
            Kind::Table(_) | Kind::Pool => self.old_len,
        }
    }

    /// Its size in the old code.
    pub(super) const fn old_len(&self) -> u32 {
        self.old_len
    }

    /// It is an instruction that is left out.
    pub(super) fn is_left_out(&self) -> bool {
        matches!(&self.kind, Kind::Instruction(encoded) if encoded.len == 0)
    }

    /// Code does not go on behind it.
    pub(super) fn ends(&self) -> bool {
        match &self.kind {
            Kind::Instruction(encoded) => {
                encoded.role == frame::Role::End || encoded.role == frame::Role::Trap
            }
            Kind::Branch { condition, .. } => condition.is_none(),
            Kind::Table(_) | Kind::Pool => true,
        }
    }
}

/// Old offsets that something leads to, ascending: those of branches and tables, and `entries`.
pub(super) fn targets(pieces: &[Piece], entries: &[u32]) -> Vec<u32> {
    let mut targets: Vec<u32> = entries.to_vec();
    for piece in pieces {
        match &piece.kind {
            Kind::Branch { target, .. } => targets.push(*target),
            Kind::Table(table) => targets.extend(table),
            Kind::Instruction(_) | Kind::Pool => {}
        }
    }
    targets.sort_unstable();
    targets
}

/// Runs all passes over a function. `blocks` are the offsets at which basic blocks begin.
pub fn optimise(function: &mut CompiledFunction, blocks: &[u32]) {
    let Some(mut pieces) = take_apart(function, blocks) else {
        return;
    };
    // Where exceptions enter, code begins like at the target of a branch.
    let mut entries: Vec<u32> = match &function.unwind {
        Some(unwind) => unwind.landing_pads().collect(),
        None => Vec::new(),
    };
    entries.sort_unstable();
    let known = |entry: &u32| pieces.binary_search_by_key(entry, |p| p.old).is_ok();
    if !entries.iter().all(known) {
        return;
    }
    let dropped = traps::merge(&mut pieces, &function.traps, &entries);
    let frameless = frame::shrink(&mut pieces);
    flags::drop_tests(&mut pieces, &entries);
    zeros::pass_through(&mut pieces, &entries);
    relax::narrow(&mut pieces, &function.relocations);
    tails::join(&mut pieces, &entries, function);
    let turned = rotate::rotate(&mut pieces, &entries);
    let guarded = relax::guard_loops(&mut pieces);
    let Some(places) = place(&mut pieces) else {
        return;
    };
    let Some(code) = write(&function.code, &pieces, &places) else {
        return;
    };
    let moved = |offset: u32| {
        let offset = turned.new_offset(offset);
        let i = pieces.partition_point(|p| p.old <= offset) - 1;
        places[i] + (offset - pieces[i].old)
    };
    let moved_return = |offset: u32| return_address(&pieces, &places, turned.new_return(offset));
    for relocation in &mut function.relocations {
        relocation.offset = moved(relocation.offset);
    }
    if let Some(unwind) = &mut function.unwind {
        unwind.follow(moved, moved_return);
    }
    function
        .traps
        .retain(|(offset, _)| dropped.binary_search(offset).is_err());
    for (offset, _) in &mut function.traps {
        *offset = moved(*offset);
    }
    for (offset, _) in &mut function.safepoints {
        *offset = moved_return(*offset);
    }
    if !turned.is_empty() {
        function.relocations.sort_by_key(|r| r.offset);
        function.traps.sort_by_key(|(offset, _)| *offset);
        function.safepoints.sort_by_key(|(offset, _)| *offset);
    }
    function.code = code;
    function.frameless = frameless;
    let pool = matches!(
        pieces.last(),
        Some(Piece {
            kind: Kind::Pool,
            ..
        })
    );
    function.alignment = match (guarded, pool) {
        (true, _) => u64::from(LINE),
        (false, true) => u64::from(POOL_ALIGNMENT),
        (false, false) => PLAIN_ALIGNMENT,
    };
}

/// The new address behind a call, whose old one this is. Padding may have come between the call and what follows it.
fn return_address(pieces: &[Piece], places: &[u32], old: u32) -> u32 {
    let call = pieces.partition_point(|p| p.old < old) - 1;
    places[call] + pieces[call].size()
}

/// Code → pieces in the order of their offsets, or `None` when something is not understood.
pub(super) fn take_apart(function: &CompiledFunction, blocks: &[u32]) -> Option<Vec<Piece>> {
    let code = &function.code;
    let len = u32::try_from(code.len()).ok()?;
    let mut decoded = vec![false; code.len()];
    let mut pieces: Vec<Piece> = Vec::with_capacity(code.len() / 4);
    let mut tables: Vec<u32> = Vec::new();
    let mut pool_refs: Vec<u32> = Vec::new();
    let mut work: Vec<u32> = blocks.to_vec();
    work.push(0);
    let mut decoder = Decoder::new(64, code, DecoderOptions::NONE);
    let mut instruction = Instruction::default();
    // Relocations ascend, but following code does not: look them up.
    let mut relocated: Vec<u32> = function.relocations.iter().map(|r| r.offset).collect();
    relocated.sort_unstable();
    let has_relocation = |from: u32, to: u32| {
        let i = relocated.partition_point(|r| *r < from);
        relocated.get(i).is_some_and(|r| *r < to)
    };
    while let Some(start) = work.pop() {
        let mut at = start;
        decoder.set_position(at as usize).ok()?;
        decoder.set_ip(u64::from(at));
        while at < len && !decoded[at as usize] {
            decoder.decode_out(&mut instruction);
            if instruction.is_invalid() {
                return None;
            }
            decoded[at as usize] = true;
            let size = instruction.len() as u32;
            let fixed = has_relocation(at, at + size);
            let kind = match branch(&instruction).filter(|_| !fixed) {
                Some(condition) => {
                    let target = u32::try_from(instruction.near_branch_target())
                        .ok()
                        .filter(|t| *t < len)?;
                    work.push(target);
                    Kind::Branch {
                        condition,
                        target,
                        long: false,
                    }
                }
                None => {
                    let relative = if instruction.is_ip_rel_memory_operand() && !fixed {
                        let target = u32::try_from(instruction.ip_rel_memory_address())
                            .ok()
                            .filter(|t| *t < len)?;
                        let list = if instruction.mnemonic() == Mnemonic::Lea {
                            &mut tables
                        } else {
                            &mut pool_refs
                        };
                        list.push(target);
                        let offsets = decoder.get_constant_offsets(&instruction);
                        if offsets.displacement_size() != 4 {
                            return None;
                        }
                        Some((offsets.displacement_offset() as u8, target))
                    } else {
                        None
                    };
                    let mut bytes = [0; MAX_INSTRUCTION];
                    bytes[..size as usize]
                        .copy_from_slice(&code[at as usize..(at + size) as usize]);
                    let offsets = decoder.get_constant_offsets(&instruction);
                    let role = if fixed {
                        frame::role_of_relocated(&instruction)
                    } else {
                        frame::role(&instruction, &offsets)
                    };
                    Kind::Instruction(Encoded {
                        bytes,
                        len: size as u8,
                        relative,
                        role,
                    })
                }
            };
            pieces.push(Piece {
                old: at,
                old_len: size,
                kind,
                guards: None,
                loops: None,
            });
            at += size;
            let ends = matches!(
                instruction.mnemonic(),
                Mnemonic::Jmp | Mnemonic::Ret | Mnemonic::Ud2
            );
            if ends {
                break;
            }
        }
    }
    pieces.sort_unstable_by_key(|p| p.old);
    tables.sort_unstable();
    tables.dedup();
    add_data(code, pieces, &tables, &pool_refs)
}

/// Puts what was not reached between the instructions: jump tables and the constant pool.
fn add_data(
    code: &[u8],
    code_pieces: Vec<Piece>,
    tables: &[u32],
    pool_refs: &[u32],
) -> Option<Vec<Piece>> {
    let len = code.len() as u32;
    let mut pieces = Vec::with_capacity(code_pieces.len() + tables.len() + 1);
    let mut at = 0;
    let mut tables_left = tables.len();
    for piece in code_pieces {
        if piece.old < at {
            return None;
        }
        if piece.old > at {
            // Between instructions there are only jump tables.
            if tables.binary_search(&at).is_err()
                || pool_refs.iter().any(|r| (at..piece.old).contains(r))
            {
                return None;
            }
            pieces.push(table(code, at, piece.old)?);
            tables_left -= 1;
        }
        at = piece.old + piece.old_len;
        pieces.push(piece);
    }
    if tables_left != 0 {
        return None;
    }
    if let Some(start) = pool_refs.iter().min() {
        if *start < at {
            return None;
        }
        // The padding before the pool goes.
        pieces.push(Piece {
            old: *start,
            old_len: len - start,
            kind: Kind::Pool,
            guards: None,
            loops: None,
        });
    }
    let starts: Vec<u32> = pieces.iter().map(|p| p.old).collect();
    let known = |target: &u32| starts.binary_search(target).is_ok();
    let all_known = pieces.iter().all(|piece| match &piece.kind {
        Kind::Branch { target, .. } => known(target),
        Kind::Table(targets) => targets.iter().all(known),
        Kind::Instruction(Encoded {
            relative: Some((_, target)),
            ..
        }) => known(target) || pool_refs.iter().min().is_some_and(|pool| target >= pool),
        _ => true,
    });
    all_known.then_some(pieces)
}

/// A jump table: 32-bit offsets from its own start.
fn table(code: &[u8], start: u32, end: u32) -> Option<Piece> {
    let bytes = &code[start as usize..end as usize];
    let (entries, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() {
        return None;
    }
    let targets = entries
        .iter()
        .map(|entry| u32::try_from(i64::from(start) + i64::from(i32::from_le_bytes(*entry))).ok())
        .collect::<Option<Vec<u32>>>()?;
    Some(Piece {
        old: start,
        old_len: end - start,
        kind: Kind::Table(targets),
        guards: None,
        loops: None,
    })
}

/// The condition (low four bits of the opcode; `None` for an unconditional jump) of a direct near branch with a
/// 32-bit displacement.
fn branch(instruction: &Instruction) -> Option<Option<u8>> {
    match instruction.code() {
        Code::Jmp_rel32_64 => Some(None),
        Code::Jo_rel32_64 => Some(Some(0)),
        Code::Jno_rel32_64 => Some(Some(1)),
        Code::Jb_rel32_64 => Some(Some(2)),
        Code::Jae_rel32_64 => Some(Some(3)),
        Code::Je_rel32_64 => Some(Some(4)),
        Code::Jne_rel32_64 => Some(Some(5)),
        Code::Jbe_rel32_64 => Some(Some(6)),
        Code::Ja_rel32_64 => Some(Some(7)),
        Code::Js_rel32_64 => Some(Some(8)),
        Code::Jns_rel32_64 => Some(Some(9)),
        Code::Jp_rel32_64 => Some(Some(10)),
        Code::Jnp_rel32_64 => Some(Some(11)),
        Code::Jl_rel32_64 => Some(Some(12)),
        Code::Jge_rel32_64 => Some(Some(13)),
        Code::Jle_rel32_64 => Some(Some(14)),
        Code::Jg_rel32_64 => Some(Some(15)),
        _ => None,
    }
}

/// Offset of each piece, its no-ops before it; long forms are chosen for branches that do not reach.
fn place(pieces: &mut [Piece]) -> Option<Vec<u32>> {
    let targets: Vec<Option<usize>> = pieces
        .iter()
        .map(|piece| match piece.kind {
            Kind::Branch { target, .. } => pieces.binary_search_by_key(&target, |p| p.old).ok(),
            _ => None,
        })
        .collect();
    let mut places = vec![0_u32; pieces.len()];
    // Each round makes at least one branch long, nearly always many; the bound is only for the pathological.
    for _ in 0..64 {
        let mut at = 0_u32;
        for (i, piece) in pieces.iter().enumerate() {
            if let Some(distance) = piece.loops {
                let size: u32 = pieces[i..=i + distance].iter().map(Piece::size).sum();
                // The end is left free, for a branch that touches it would be pushed behind it.
                if size < WINDOW && at / LINE != (at + size) / LINE {
                    at = at.next_multiple_of(LINE);
                }
            }
            match piece.kind {
                // The pool keeps its alignment.
                Kind::Pool => at += (piece.old.wrapping_sub(at)) % POOL_ALIGNMENT,
                _ => {
                    if let Some(distance) = piece.guards {
                        let before = if distance == 1 { piece.size() } else { 0 };
                        let size = pieces[i + distance].size();
                        let branch = at + before;
                        if branch / WINDOW != (branch + size) / WINDOW {
                            at += WINDOW - branch % WINDOW;
                        }
                    }
                }
            }
            places[i] = at;
            at = at.checked_add(piece.size())?;
        }
        let mut changed = false;
        for i in 0..pieces.len() {
            let end = places[i] + 2;
            let Some(target) = targets[i] else { continue };
            if let Kind::Branch {
                long: long @ false, ..
            } = &mut pieces[i].kind
                && i8::try_from(i64::from(places[target]) - i64::from(end)).is_err()
            {
                *long = true;
                changed = true;
            }
        }
        if !changed {
            return Some(places);
        }
    }
    None
}

/// Recommended multi-byte no-ops (Intel SDM volume 2, NOP).
const NOPS: [&[u8]; 9] = [
    &[0x90],
    &[0x66, 0x90],
    &[0x0f, 0x1f, 0x00],
    &[0x0f, 0x1f, 0x40, 0x00],
    &[0x0f, 0x1f, 0x44, 0x00, 0x00],
    &[0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00],
    &[0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00],
    &[0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
    &[0x66, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
];

fn write(old: &[u8], pieces: &[Piece], places: &[u32]) -> Option<Vec<u8>> {
    // New place of an old offset: of a piece's start, or within the pool.
    let moved = |target: u32| {
        let i = pieces.partition_point(|p| p.old <= target).checked_sub(1)?;
        let within = target - pieces[i].old;
        (within == 0 || matches!(pieces[i].kind, Kind::Pool)).then(|| places[i] + within)
    };
    let mut code = Vec::with_capacity(old.len());
    for (piece, place) in pieces.iter().zip(places) {
        while code.len() < *place as usize {
            let gap = (*place as usize - code.len()).min(NOPS.len());
            code.extend_from_slice(NOPS[gap - 1]);
        }
        let end = place + piece.size();
        let distance = |target: u32| {
            Some(
                i32::try_from(i64::from(moved(target)?) - i64::from(end))
                    .ok()?
                    .to_le_bytes(),
            )
        };
        match &piece.kind {
            Kind::Instruction(encoded) => {
                code.extend_from_slice(encoded.bytes());
                if let Some((at, target)) = encoded.relative {
                    let at = *place as usize + usize::from(at);
                    code[at..at + 4].copy_from_slice(&distance(target)?);
                }
            }
            Kind::Branch {
                condition,
                target,
                long,
            } => {
                let displacement = distance(*target)?;
                match (condition, long) {
                    (None, false) => code.extend_from_slice(&[0xeb, displacement[0]]),
                    (Some(condition), false) => {
                        code.extend_from_slice(&[0x70 | condition, displacement[0]])
                    }
                    (None, true) => code.push(0xe9),
                    (Some(condition), true) => code.extend_from_slice(&[0x0f, 0x80 | condition]),
                }
                if *long {
                    code.extend_from_slice(&displacement);
                }
            }
            Kind::Table(targets) => {
                for target in targets {
                    let entry =
                        i32::try_from(i64::from(moved(*target)?) - i64::from(*place)).ok()?;
                    code.extend_from_slice(&entry.to_le_bytes());
                }
            }
            Kind::Pool => {
                code.extend_from_slice(
                    &old[piece.old as usize..(piece.old + piece.old_len) as usize],
                );
            }
        }
    }
    Some(code)
}

/// A function with this code, for tests of the passes.
#[cfg(test)]
pub(super) fn function(code: &[u8]) -> CompiledFunction {
    CompiledFunction {
        symbol: crate::symbol::Symbol::Function(crate::program::FuncId(0)),
        code: code.to_vec(),
        alignment: 16,
        relocations: Vec::new(),
        traps: Vec::new(),
        safepoints: Vec::new(),
        frameless: false,
        unwind: None,
        disassembly: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unwind::{CallSite, Unwind};
    use elfin_abi::trap::TrapCode;

    #[test]
    fn jump_tables_and_the_pool_follow_the_code() {
        let mut code = vec![0x0f, 0x84, 0, 0, 0, 0]; // 0: je L, which the table separates from it
        code.extend([0x48, 0x8d, 0x05, 5, 0, 0, 0]); // 6: lea rax, [rip + 5]: the table at 18
        code.extend([0x48, 0x01, 0xc8]); // 13: add rax, rcx
        code.extend([0xff, 0xe0]); // 16: jmp rax
        code.extend(8_i32.to_le_bytes()); // 18: to 26
        code.extend(17_i32.to_le_bytes()); // 22: to 35
        code.extend([0xf2, 0x0f, 0x10, 0x05, 14, 0, 0, 0]); // 26: movsd xmm0, [rip + 14]: the pool at 48
        code.push(0xc3); // 34
        code.push(0xc3); // 35: L
        code.resize(48, 0);
        code.extend(1.5_f64.to_le_bytes());
        code[2..6].copy_from_slice(&29_i32.to_le_bytes());
        let mut f = function(&code);
        optimise(&mut f, &[0, 6, 26, 35]);
        let mut expected = vec![0x74, 29];
        expected.extend([0x48, 0x8d, 0x05, 5, 0, 0, 0, 0x48, 0x01, 0xc8, 0xff, 0xe0]);
        expected.extend(8_i32.to_le_bytes());
        expected.extend(17_i32.to_le_bytes());
        expected.extend([0xf2, 0x0f, 0x10, 0x05, 2, 0, 0, 0, 0xc3, 0xc3]);
        expected.extend(1.5_f64.to_le_bytes());
        assert_eq!(f.code.len() % 8, 0);
        assert_eq!(f.code, expected);
    }

    #[test]
    fn vex_operands_in_the_pool_move_along() {
        for (instruction, behind) in [
            (&[0xc5, 0xfb, 0x58, 0x05][..], &[][..]), // vaddsd xmm0, xmm0, [rip + …]
            (&[0xc4, 0xe3, 0x79, 0x0b, 0x05], &[9]),  // vroundsd xmm0, xmm0, [rip + …], 9
            (&[0x62, 0xf1, 0xfd, 0x08, 0x58, 0x05], &[]), // vaddpd xmm0, xmm0, [rip + …], EVEX
        ] {
            let with = |head: &[u8]| {
                let mut code = head.to_vec();
                code.extend_from_slice(instruction);
                let end = code.len() + 4 + behind.len();
                code.extend((32 - end as i32).to_le_bytes());
                code.extend_from_slice(behind);
                code.push(0xc3);
                code
            };
            let mut code = with(&[0x0f, 0x84, 0, 0, 0, 0]); // je to the instruction
            code.resize(32, 0);
            code.extend(1.5_f64.to_le_bytes());
            let mut f = function(&code);
            optimise(&mut f, &[0, 6]);
            let pool = f.code.len() - 8;
            assert_eq!(pool % 16, 0);
            let mut expected = with(&[0x74, 0]);
            let at = 2 + instruction.len();
            let end = expected.len() - 1;
            expected[at..at + 4].copy_from_slice(&(pool as i32 - end as i32).to_le_bytes());
            assert_eq!(f.code[..=end], expected);
        }
    }

    /// What the unwinder knows of a call that returns to an offset and has one handler.
    fn unwind(returns_to: u32, pad: u32) -> Unwind {
        let handlers = vec![(0, pad)];
        Unwind {
            sites: vec![CallSite {
                returns_to,
                handlers,
            }],
            ..Unwind::default()
        }
    }

    #[test]
    fn handlers_are_reached_without_branches_and_move_with_their_calls() {
        let mut code = vec![0x0f, 0x84, 6, 0, 0, 0]; // 0: je to 12
        code.extend([0xe8, 0, 0, 0, 0, 0xc3]); // 6: call; 11: ret
        code.extend([0x0f, 0x0b, 0x0f, 0x0b]); // 12: ud2; 14: ud2, where exceptions enter
        let mut f = function(&code);
        f.traps = vec![(12, TrapCode::Unreachable), (14, TrapCode::Unreachable)];
        f.unwind = Some(unwind(11, 14));
        optimise(&mut f, &[0, 6, 12, 14]);
        let expected = [0x74, 6, 0xe8, 0, 0, 0, 0, 0xc3, 0x0f, 0x0b, 0x0f, 0x0b];
        assert_eq!(f.code, expected);
        assert_eq!(f.unwind, Some(unwind(7, 10)));

        // and eax, ecx; test eax, eax, where exceptions enter with other flags; ret
        let code = [0x21, 0xc8, 0x85, 0xc0, 0xc3];
        let mut f = function(&code);
        f.unwind = Some(unwind(2, 2));
        optimise(&mut f, &[0, 2]);
        assert_eq!(f.code, code);
    }

    #[test]
    fn what_is_not_understood_is_left_alone() {
        // A gap that nothing refers to.
        let code = [0xe9, 3, 0, 0, 0, 0xaa, 0xbb, 0xcc, 0xc3];
        let mut f = function(&code);
        optimise(&mut f, &[0, 8]);
        assert_eq!(f.code, code);
    }
}

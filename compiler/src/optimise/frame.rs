//! The stack frame of x86_64 functions: addressed from the frame pointer, left in one byte, or not made at all.
//!
//! In: the pieces of a function. Out: the same with a cheaper frame, and whether it has one.
//!
//! The code generator always begins with `push rbp; mov rbp, rsp; sub rsp, N`, addresses the frame from `rsp` and
//! ends with `add rsp, N; mov rsp, rbp; pop rbp; ret`. Between, `rsp` never changes, so that
//!
//! - `mov rsp, rbp` after `add rsp, N` does nothing but make everything behind it wait for `rbp`, which a callee has
//!   just loaded from the stack: it goes (binary trees: 0.59 s to 0.44 s; `leave` instead of both: 0.83 s);
//! - `[rsp + d]`, which needs a SIB byte, is `[rbp + d - N]`, which does not, and reaches twice as far with 8 bits. For
//!   the same reason loads stay with `rsp` in functions that call, unless they gain more than a byte;
//! - a function that calls nothing and has nothing on the stack needs no frame: its return address is at `[rsp]`,
//!   which is where the runtime looks for it (`FuncRecord::FRAMELESS`).
//!
//! Any other use of `rsp` or `rbp` leaves the function as it is.

use super::machine::{Kind, Piece};
use iced_x86::{ConstantOffsets, Instruction, Mnemonic, OpKind, Register};

/// What an instruction does with the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Nothing.
    Other,
    /// `push rbp`
    Save,
    /// `mov rbp, rsp`
    Set,
    /// `sub rsp, N`
    Make(u32),
    /// `add rsp, N`
    Unmake(u32),
    /// `mov rsp, rbp`
    Reset,
    /// `pop rbp`
    Restore,
    /// An operand `[rsp + displacement]`, its ModRM byte at this offset.
    Slot {
        /// Offset of the ModRM byte.
        modrm: u8,
        /// Displacement from `rsp`.
        displacement: i32,
    },
    /// It reads something through `rbp`: an argument on the stack.
    Argument,
    /// A call.
    Call,
    /// `ud2`
    Trap,
    /// Code does not go on behind it: `ret` or an indirect jump.
    End,
    /// It changes `rsp` or `rbp` in a way that is not understood.
    Unknown,
}

/// What an instruction does with the frame.
pub(super) fn role(instruction: &Instruction, offsets: &ConstantOffsets) -> Role {
    use Register::{RBP, RSP};
    let is = |n: u32, register| {
        n < instruction.op_count()
            && instruction.op_kind(n) == OpKind::Register
            && instruction.op_register(n) == register
    };
    let immediate = || u32::try_from(instruction.immediate(1)).ok();
    match instruction.mnemonic() {
        Mnemonic::Push if is(0, RBP) => return Role::Save,
        Mnemonic::Pop if is(0, RBP) => return Role::Restore,
        Mnemonic::Mov if is(0, RBP) && is(1, RSP) => return Role::Set,
        Mnemonic::Mov if is(0, RSP) && is(1, RBP) => return Role::Reset,
        Mnemonic::Sub
            if is(0, RSP) && !is(1, RSP) && instruction.op_kind(1) != OpKind::Register =>
        {
            return immediate().map_or(Role::Unknown, Role::Make);
        }
        Mnemonic::Add if is(0, RSP) && instruction.op_kind(1) != OpKind::Register => {
            return immediate().map_or(Role::Unknown, Role::Unmake);
        }
        Mnemonic::Push | Mnemonic::Pop | Mnemonic::Leave | Mnemonic::Enter => return Role::Unknown,
        Mnemonic::Ud2 => return Role::Trap,
        Mnemonic::Ret => return Role::End,
        _ => {}
    }
    let base = instruction.memory_base();
    // `mov reg, rsp` and the like would give the address away; so would either register as an operand.
    let named = [RSP, RBP, Register::ESP, Register::EBP];
    if (0..instruction.op_count()).any(|n| named.iter().any(|r| is(n, *r))) {
        return Role::Unknown;
    }
    if base == RSP || base == RBP || instruction.memory_index() == RBP {
        if base != RSP {
            return if instruction.memory_index() == RBP {
                Role::Unknown
            } else {
                Role::Argument
            };
        }
        if instruction.memory_index() != Register::None || instruction.mnemonic() == Mnemonic::Call
        {
            return Role::Unknown;
        }
        return slot(instruction, offsets);
    }
    match instruction.mnemonic() {
        Mnemonic::Call => Role::Call,
        Mnemonic::Jmp => Role::End,
        _ => Role::Other,
    }
}

/// What an instruction with a relocated field does with the frame: calls and addresses, as far as we know.
pub(super) fn role_of_relocated(instruction: &Instruction) -> Role {
    match instruction.mnemonic() {
        Mnemonic::Call => Role::Call,
        Mnemonic::Jmp => Role::End,
        _ if instruction.memory_base() == Register::RSP
            || instruction.memory_base() == Register::RBP =>
        {
            Role::Unknown
        }
        _ => Role::Other,
    }
}

fn slot(instruction: &Instruction, offsets: &ConstantOffsets) -> Role {
    let after = if offsets.has_displacement() {
        offsets.displacement_offset()
    } else if offsets.has_immediate() {
        offsets.immediate_offset()
    } else {
        instruction.len()
    };
    let displacement = instruction.memory_displacement64() as i64;
    match (after.checked_sub(2), i32::try_from(displacement)) {
        (Some(modrm), Ok(displacement)) => Role::Slot {
            modrm: modrm as u8,
            displacement,
        },
        _ => Role::Unknown,
    }
}

fn role_of(piece: &Piece) -> Role {
    match &piece.kind {
        Kind::Instruction(encoded) => encoded.role,
        _ => Role::Other,
    }
}

/// Rewrites the frame. Returns whether the function has none now.
pub(super) fn shrink(pieces: &mut [Piece]) -> bool {
    let roles: Vec<Role> = pieces.iter().map(role_of).collect();
    if roles.first() != Some(&Role::Save)
        || roles.get(1) != Some(&Role::Set)
        || roles.contains(&Role::Unknown)
    {
        return false;
    }
    let count = |wanted: fn(&Role) -> bool| roles.iter().filter(|r| wanted(r)).count();
    if count(|r| *r == Role::Save) != 1 || count(|r| *r == Role::Set) != 1 {
        return false;
    }
    // Each way out must have the shape that is known, or nothing is touched.
    let made: Vec<(usize, u32)> = roles
        .iter()
        .enumerate()
        .filter_map(|(i, r)| match r {
            Role::Make(bytes) => Some((i, *bytes)),
            _ => None,
        })
        .collect();
    let frame = match made[..] {
        [] => 0,
        [(at, bytes)] => {
            // Nothing on the stack is touched before there is a frame.
            if roles[..at].iter().any(|r| matches!(r, Role::Slot { .. })) {
                return false;
            }
            bytes
        }
        _ => return false,
    };
    for (i, role) in roles.iter().enumerate() {
        let fits = match role {
            Role::Unmake(bytes) => *bytes == frame && roles.get(i + 1) == Some(&Role::Reset),
            Role::Reset => {
                roles.get(i + 1) == Some(&Role::Restore)
                    && (frame == 0 || i > 0 && matches!(roles[i - 1], Role::Unmake(_)))
            }
            // Behind it `rsp` is another: only the way out may follow.
            Role::Restore => {
                i > 0 && roles[i - 1] == Role::Reset && roles.get(i + 1) == Some(&Role::End)
            }
            _ => true,
        };
        if !fits {
            return false;
        }
    }
    let uses_stack = frame != 0
        || roles
            .iter()
            .any(|r| matches!(r, Role::Slot { .. } | Role::Argument | Role::Call));
    let calls = roles.contains(&Role::Call);
    for piece in pieces {
        let Kind::Instruction(encoded) = &mut piece.kind else {
            continue;
        };
        match encoded.role {
            Role::Reset => encoded.replace(&[]),
            Role::Save | Role::Set | Role::Restore if !uses_stack => encoded.replace(&[]),
            Role::Slot {
                modrm,
                displacement,
            } => {
                let shorter =
                    from_frame_pointer(encoded.bytes(), usize::from(modrm), displacement, frame);
                if let Some(bytes) = shorter
                    && (!calls
                        || is_store(encoded.bytes())
                        || encoded.bytes().len() - bytes.len() > 1)
                {
                    encoded.replace(&bytes);
                }
            }
            _ => {}
        }
    }
    !uses_stack
}

/// Whether an instruction is `mov` to memory.
fn is_store(bytes: &[u8]) -> bool {
    let at = usize::from(bytes.first().is_some_and(|b| b & 0xf0 == 0x40));
    matches!(bytes.get(at), Some(0x89 | 0xc7))
}

/// The instruction with its operand `[rsp + displacement]` as `[rbp + displacement - frame]`, where that is shorter.
fn from_frame_pointer(
    bytes: &[u8],
    modrm: usize,
    displacement: i32,
    frame: u32,
) -> Option<Vec<u8>> {
    const BASE_RSP: u8 = 0x24;
    let (head, rest) = bytes.split_at_checked(modrm)?;
    // EVEX scales 8-bit displacements.
    if head.first() == Some(&0x62) {
        return None;
    }
    let (mode, operand) = match *rest {
        [mode, BASE_RSP, ..] if mode & 0b111 == 0b100 => (mode >> 6, (mode >> 3) & 0b111),
        _ => return None,
    };
    let old_size = match mode {
        0 => 0,
        1 => 1,
        2 => 4,
        _ => return None,
    };
    let tail = rest.get(2 + old_size..)?;
    let displacement = i64::from(displacement) - i64::from(frame);
    let mut new = head.to_vec();
    match i8::try_from(displacement) {
        Ok(short) => {
            new.push(0b01 << 6 | operand << 3 | 0b101);
            new.push(short.cast_unsigned());
        }
        Err(_) => {
            new.push(0b10 << 6 | operand << 3 | 0b101);
            new.extend_from_slice(&i32::try_from(displacement).ok()?.to_le_bytes());
        }
    }
    new.extend_from_slice(tail);
    (new.len() < bytes.len()).then_some(new)
}

#[cfg(test)]
mod tests {
    use super::super::machine::{function, optimise};

    const ENTER: [u8; 4] = [0x55, 0x48, 0x89, 0xe5];
    const LEAVE: [u8; 5] = [0x48, 0x89, 0xec, 0x5d, 0xc3];

    fn optimised(parts: &[&[u8]]) -> (Vec<u8>, bool) {
        let mut f = function(&parts.concat());
        optimise(&mut f, &[0]);
        (f.code, f.frameless)
    }

    #[test]
    fn a_leaf_without_a_frame_makes_none() {
        let (code, frameless) = optimised(&[&ENTER, &[0x8b, 0xc7], &LEAVE]);
        assert_eq!(code, [0x8b, 0xc7, 0xc3]);
        assert!(frameless);
    }

    #[test]
    fn a_caller_keeps_its_frame_record() {
        let call = [0xe8, 0, 0, 0, 0];
        let (code, frameless) = optimised(&[&ENTER, &call, &LEAVE]);
        assert_eq!(code, [&ENTER[..], &call, &[0x5d, 0xc3]].concat());
        assert!(!frameless);
    }

    #[test]
    fn slots_are_addressed_from_the_frame_pointer() {
        let make = [0x48, 0x83, 0xec, 0x20]; // sub rsp, 32
        let unmake = [0x48, 0x83, 0xc4, 0x20];
        let store = [0x48, 0x89, 0x5c, 0x24, 0x08]; // mov [rsp + 8], rbx
        let first = [0x48, 0x8b, 0x1c, 0x24]; // mov rbx, [rsp]: no shorter from rbp
        let immediate = [0xc7, 0x44, 0x24, 0x10, 1, 2, 3, 4]; // mov dword [rsp + 16], imm32
        let (code, frameless) =
            optimised(&[&ENTER, &make, &store, &first, &immediate, &unmake, &LEAVE]);
        let expected = [
            &ENTER[..],
            &make,
            &[0x48, 0x89, 0x5d, 0xe8], // mov [rbp - 24], rbx
            &first,
            &[0xc7, 0x45, 0xf0, 1, 2, 3, 4],
            &unmake,
            &[0x5d, 0xc3],
        ];
        assert_eq!(code, expected.concat());
        assert!(!frameless);
    }

    #[test]
    fn vex_slots_are_rewritten_and_evex_slots_left_alone() {
        let make = [0x48, 0x83, 0xec, 0x20]; // sub rsp, 32
        let unmake = [0x48, 0x83, 0xc4, 0x20];
        for (slot, expected) in [
            // vmovsd xmm0, [rsp + 8]
            (
                &[0xc5, 0xfb, 0x10, 0x44, 0x24, 0x08][..],
                &[0xc5, 0xfb, 0x10, 0x45, 0xe8][..],
            ),
            // vblendvpd xmm0, xmm1, [rsp + 8], xmm4: a register in the place of an immediate
            (
                &[0xc4, 0xe3, 0x71, 0x4b, 0x44, 0x24, 0x08, 0x40],
                &[0xc4, 0xe3, 0x71, 0x4b, 0x45, 0xe8, 0x40],
            ),
            // vblendvpd xmm0, xmm1, [rsp], xmm4
            (
                &[0xc4, 0xe3, 0x71, 0x4b, 0x04, 0x24, 0x40],
                &[0xc4, 0xe3, 0x71, 0x4b, 0x04, 0x24, 0x40],
            ),
            // vpalignr xmm0, xmm1, [rsp + 16], 3
            (
                &[0xc4, 0xe3, 0x71, 0x0f, 0x44, 0x24, 0x10, 0x03],
                &[0xc4, 0xe3, 0x71, 0x0f, 0x45, 0xf0, 0x03],
            ),
            // vaddpd xmm0, xmm0, [rsp + 16], EVEX: the displacement counts vectors
            (
                &[0x62, 0xf1, 0xfd, 0x08, 0x58, 0x44, 0x24, 0x01],
                &[0x62, 0xf1, 0xfd, 0x08, 0x58, 0x44, 0x24, 0x01],
            ),
        ] {
            let (code, _) = optimised(&[&ENTER, &make, slot, &unmake, &LEAVE]);
            let expected = [&ENTER[..], &make, expected, &unmake, &[0x5d, 0xc3]];
            assert_eq!(code, expected.concat(), "{slot:02x?}");
        }
    }

    #[test]
    fn a_far_slot_comes_within_reach() {
        let make = [0x48, 0x81, 0xec, 0x00, 0x01, 0, 0]; // sub rsp, 256
        let unmake = [0x48, 0x81, 0xc4, 0x00, 0x01, 0, 0];
        let load = [0x8b, 0x84, 0x24, 0xf0, 0, 0, 0]; // mov eax, [rsp + 240]
        let near = [0x8b, 0x44, 0x24, 0x10]; // mov eax, [rsp + 16]: would be longer from rbp
        let (code, _) = optimised(&[&ENTER, &make, &load, &near, &unmake, &LEAVE]);
        assert_eq!(
            code,
            [
                &ENTER[..],
                &make,
                &[0x8b, 0x45, 0xf0],
                &near,
                &unmake,
                &[0x5d, 0xc3]
            ]
            .concat()
        );
    }

    #[test]
    fn behind_a_call_loads_do_not_wait_for_the_frame_pointer() {
        let make = [0x48, 0x83, 0xec, 0x20];
        let unmake = [0x48, 0x83, 0xc4, 0x20];
        let store = [0x48, 0x89, 0x5c, 0x24, 0x08]; // mov [rsp + 8], rbx
        let call = [0xe8, 0, 0, 0, 0];
        let load = [0x48, 0x8b, 0x5c, 0x24, 0x08]; // mov rbx, [rsp + 8]
        let (code, _) = optimised(&[&ENTER, &make, &store, &call, &load, &unmake, &LEAVE]);
        let expected = [
            &ENTER[..],
            &make,
            &[0x48, 0x89, 0x5d, 0xe8],
            &call,
            &load,
            &unmake,
            &[0x5d, 0xc3],
        ];
        assert_eq!(code, expected.concat());
    }

    #[test]
    fn an_argument_on_the_stack_needs_the_frame() {
        let load = [0x8b, 0x45, 0x10]; // mov eax, [rbp + 16]
        let (code, frameless) = optimised(&[&ENTER, &load, &LEAVE]);
        assert_eq!(code, [&ENTER[..], &load, &[0x5d, 0xc3]].concat());
        assert!(!frameless);
    }

    #[test]
    fn a_way_out_that_goes_on_with_the_stack_is_left_alone() {
        let make = [0x48, 0x83, 0xec, 0x20];
        let unmake = [0x48, 0x83, 0xc4, 0x20];
        let restore = [0x48, 0x89, 0xec, 0x5d]; // mov rsp, rbp; pop rbp
        let load = [0x48, 0x8b, 0x44, 0x24, 0x08]; // mov rax, [rsp + 8], from the caller's frame
        let parts: [&[u8]; 6] = [&ENTER, &make, &unmake, &restore, &load, &[0xc3]];
        assert_eq!(optimised(&parts), (parts.concat(), false));
    }

    #[test]
    fn an_unknown_use_leaves_all_as_it_is() {
        for odd in [
            &[0x48, 0x89, 0xe0][..],
            &[0x53],
            &[0x48, 0x29, 0xc4],
            &[0x48, 0x8b, 0x04, 0x2c],
        ] {
            // mov rax, rsp; push rbx; sub rsp, rax; mov rax, [rsp + rbp]
            let (code, frameless) = optimised(&[&ENTER, odd, &LEAVE]);
            assert_eq!(code, [&ENTER[..], odd, &LEAVE].concat());
            assert!(!frameless);
        }
    }
}

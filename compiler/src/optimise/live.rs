//! What x86_64 instructions read and write, and whether anything still reads a register.
//!
//! In: pieces of a function. Out: [`Uses`] of one of them; of registers, whether they are dead where a piece begins.
//! Nothing is computed for a whole function: few places are asked about, and what answers is mostly close by, so the
//! code is followed from there, for [`REACH`] instructions. What is not decided by then is alive, as is what a call
//! might take or a return give.

use super::machine::{Kind, Piece};
use iced_x86::{
    Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, OpAccess, Register,
    RflagsBits,
};

/// Most instructions that are looked at to answer one question.
const REACH: u32 = 64;

/// A set of registers: sixteen general ones in the low half, sixteen vector ones in the high half.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Registers(u32);

impl Registers {
    /// `rsp` and `rbp`.
    pub(super) const FRAME: Self = Self(1 << 4 | 1 << 5);
    /// What a callee keeps by the System V ABI and the code generator's own conventions: `rbx`, `rsp`, `rbp` and `r12`
    /// to `r15`.
    const KEPT: Self = Self(1 << 3 | 1 << 4 | 1 << 5 | 0xf000);
    /// Where any of these has arguments: `rcx`, `rdx`, `rsi`, `rdi`, `r8`, `r9`, and `xmm0` to `xmm7`.
    const ARGUMENTS: Self = Self(1 << 1 | 1 << 2 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 9 | 0xff << 16);

    /// The set with one register, of whatever width; nothing for registers that are not in these sets.
    fn of(register: Register) -> Option<Self> {
        let full = register.full_register();
        let number = full.number() as u32;
        if full.is_gpr64() && number < 16 {
            Some(Self(1 << number))
        } else if full.is_vector_register() && number < 16 {
            Some(Self(1 << (16 + number)))
        } else {
            None
        }
    }

    /// What is in either.
    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both.
    const fn both(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in this, but not in the other.
    pub(super) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether something is in both.
    pub(super) const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether there is nothing in it.
    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// What an instruction does.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Uses {
    /// Registers that it reads, or may.
    pub(super) reads: Registers,
    /// Registers of which it changes something, or may.
    pub(super) writes: Registers,
    /// Registers of which nothing is left.
    pub(super) kills: Registers,
    /// It reads flags.
    pub(super) reads_flags: bool,
    /// It changes flags, or leaves them undefined.
    pub(super) writes_flags: bool,
    /// It reads memory.
    pub(super) reads_memory: bool,
    /// It writes memory.
    pub(super) writes_memory: bool,
    /// It does something with other registers.
    pub(super) others: bool,
}

/// Looks at instructions of one function.
pub(super) struct Liveness {
    factory: InstructionInfoFactory,
    instruction: Instruction,
    /// Calls may go on at a landing pad.
    throws: bool,
    work: Vec<(usize, Registers)>,
}

impl Liveness {
    /// `throws`: a call of this function may go on at a landing pad.
    pub(super) fn new(throws: bool) -> Self {
        Self {
            factory: InstructionInfoFactory::new(),
            instruction: Instruction::default(),
            throws,
            work: Vec::new(),
        }
    }

    /// The instruction that was looked at last.
    pub(super) fn last(&self) -> &Instruction {
        &self.instruction
    }

    /// What the instruction in these bytes does. An operand relative to it need not be right.
    pub(super) fn uses(&mut self, bytes: &[u8]) -> Uses {
        Decoder::new(64, bytes, DecoderOptions::NONE).decode_out(&mut self.instruction);
        let mut uses = Uses {
            reads_flags: self.instruction.rflags_read() != RflagsBits::NONE,
            writes_flags: self.instruction.rflags_modified() != RflagsBits::NONE,
            others: self.instruction.is_invalid(),
            ..Uses::default()
        };
        let info = self.factory.info(&self.instruction);
        for used in info.used_registers() {
            let (reads, writes, kills) = access(used.access());
            let Some(register) = Registers::of(used.register()) else {
                uses.others = true;
                continue;
            };
            if reads {
                uses.reads = uses.reads.and(register);
            }
            if writes {
                uses.writes = uses.writes.and(register);
            }
            // A write of 32 bits is reported as one of 64; one of 8 or 16 leaves the rest. What an SSE instruction
            // leaves in the upper halves of vectors is nobody's.
            let whole = used.register().is_gpr64() || used.register().is_vector_register();
            if kills && whole {
                uses.kills = uses.kills.and(register);
            }
        }
        for used in info.used_memory() {
            let (reads, writes, _) = access(used.access());
            uses.reads_memory |= reads;
            uses.writes_memory |= writes;
        }
        uses
    }

    /// Whether nothing reads any of these registers from this piece on, before it is written.
    pub(super) fn dead(&mut self, pieces: &[Piece], at: usize, registers: Registers) -> bool {
        let mut left = REACH;
        let mut work = std::mem::take(&mut self.work);
        work.clear();
        work.push((at, registers));
        let mut dead = true;
        while dead && let Some((at, registers)) = work.pop() {
            dead = self.dead_on_path(pieces, at, registers, &mut left, &mut work);
        }
        self.work = work;
        dead
    }

    /// The same for one way through the code. Where it parts, the other way is put on the list.
    fn dead_on_path(
        &mut self,
        pieces: &[Piece],
        mut at: usize,
        mut registers: Registers,
        left: &mut u32,
        work: &mut Vec<(usize, Registers)>,
    ) -> bool {
        while !registers.is_empty() {
            let Some(piece) = pieces.get(at) else {
                return false;
            };
            if *left == 0 {
                return false;
            }
            *left -= 1;
            at += 1;
            match &piece.kind {
                Kind::Instruction(encoded) if encoded.bytes().is_empty() => {}
                Kind::Instruction(encoded) => {
                    let uses = self.uses(encoded.bytes());
                    if uses.reads.meets(registers) {
                        return false;
                    }
                    registers = registers.without(uses.kills);
                    match self.instruction.flow_control() {
                        FlowControl::Next => {}
                        // The way to a landing pad is not followed.
                        FlowControl::Call | FlowControl::IndirectCall
                            if !self.throws && !registers.meets(Registers::ARGUMENTS) =>
                        {
                            registers = registers.both(Registers::KEPT);
                        }
                        // The runtime reads none of them: it takes the way back from the frame.
                        FlowControl::Exception => return true,
                        _ => return false,
                    }
                }
                Kind::Branch {
                    condition, target, ..
                } => {
                    let Ok(target) = pieces.binary_search_by_key(target, |p| p.old) else {
                        return false;
                    };
                    if condition.is_some() {
                        work.push((target, registers));
                    } else {
                        at = target;
                    }
                }
                Kind::Table(_) | Kind::Pool => return false,
            }
        }
        true
    }
}

/// Whether something is read, changed, and changed in any case.
fn access(access: OpAccess) -> (bool, bool, bool) {
    match access {
        OpAccess::Read | OpAccess::CondRead => (true, false, false),
        OpAccess::Write => (false, true, true),
        // What is written only now and then stays otherwise.
        OpAccess::CondWrite => (false, true, false),
        OpAccess::ReadWrite | OpAccess::ReadCondWrite => (true, true, false),
        OpAccess::None | OpAccess::NoMemAccess => (false, false, false),
    }
}

#[cfg(test)]
mod tests {
    use super::super::machine::{function, take_apart};
    use super::{Liveness, REACH, Registers};
    use iced_x86::Register;

    fn set(register: Register) -> Registers {
        Registers::of(register).expect("a register of the sets")
    }

    /// Whether `rax`, `rcx`, `rbx` and `xmm1` are dead where this code begins.
    fn dead(code: &[u8], throws: bool) -> [bool; 4] {
        let f = function(code);
        let pieces = take_apart(&f, &[0]).expect("code that is understood");
        let mut live = Liveness::new(throws);
        [Register::RAX, Register::RCX, Register::RBX, Register::XMM1]
            .map(|register| live.dead(&pieces, 0, set(register)))
    }

    #[test]
    fn what_is_written_whole_before_it_is_read_is_dead() {
        const UD2: [u8; 2] = [0x0f, 0x0b];
        for (code, expected) in [
            (&[0x8b, 0xc1, 0xc3][..], [true, false, false, false]), // mov eax, ecx; ret
            (&[0x31, 0xc9, 0xc3], [false, true, false, false]),     // xor ecx, ecx; ret
            (&[0xb0, 0x01, 0xc3], [false; 4]),                      // mov al, 1; ret
            (&[0x66, 0xb8, 1, 0, 0xc3], [false; 4]),                // mov ax, 1; ret
            (&[0x0f, 0x44, 0xc2, 0xc3], [false; 4]),                // cmove eax, edx; ret
            (&[0x8b, 0x01, 0x89, 0xc3, 0xc3], [true, false, true, false]), // mov eax, [rcx]; mov ebx, eax; ret
            (&[0xf3, 0x0f, 0x10, 0x0f, 0xc3], [false, false, false, true]), // movss xmm1, [rdi]; ret
            (&[0xf3, 0x0f, 0x10, 0xca, 0xc3], [false; 4]), // movss xmm1, xmm2: the rest stays; ret
            (&[0x0f, 0x28, 0xca, 0xc3], [false, false, false, true]), // movaps xmm1, xmm2; ret
            (&[0xf7, 0xe1, 0xc3], [false; 4]),             // mul ecx reads eax; ret
            (&[0xd3, 0xe3, 0x31, 0xc9, 0xc3], [false; 4]), // shl ebx, cl; xor ecx, ecx; ret
            (&[0xff, 0xe0], [false; 4]),                   // jmp rax
            (&UD2, [true; 4]),
        ] {
            assert_eq!(dead(code, false), expected, "{code:02x?}");
        }
    }

    #[test]
    fn a_call_takes_arguments_and_keeps_what_a_callee_keeps() {
        // call; xor ebx, ebx; ret
        let code = [0xe8, 0, 0, 0, 0, 0x31, 0xdb, 0xc3];
        assert_eq!(dead(&code, false), [true, false, true, false]);
        // Where the call may go on at a landing pad, nothing is known.
        assert_eq!(dead(&code, true), [false; 4]);
        // call rax; ud2
        assert!(!dead(&[0xff, 0xd0, 0x0f, 0x0b], false)[0]);
    }

    #[test]
    fn both_ways_are_followed() {
        let je = |written: [u8; 2]| {
            // je L; xor eax, eax; ret; L: written; ret
            let mut code = vec![0x0f, 0x84, 3, 0, 0, 0, 0x31, 0xc0, 0xc3];
            code.extend(written);
            code.push(0xc3);
            code
        };
        assert!(dead(&je([0x31, 0xc0]), false)[0]);
        assert!(!dead(&je([0x31, 0xc9]), false)[0]);
        // A loop that ends only by a trap: L: je U; jmp L; U: ud2
        let code = [
            0x0f, 0x84, 5, 0, 0, 0, 0xe9, 0xf5, 0xff, 0xff, 0xff, 0x0f, 0x0b,
        ];
        assert!(!dead(&code, false)[0], "going round is not an answer");
    }

    #[test]
    fn what_is_far_away_is_alive() {
        for (nops, expected) in [(REACH - 1, true), (REACH, false)] {
            let mut code = vec![0x90; nops as usize];
            code.extend([0x31, 0xc0, 0xc3]); // xor eax, eax; ret
            assert_eq!(dead(&code, false)[0], expected);
        }
    }
}

//! The guest's call stack, by names.
//!
//! In: the registers at a trap. Out: lines `    0: name`, innermost first. The walk follows frame pointers,
//! only upwards and only within the guest's stack; what it finds there is not believed: an address that
//! is not in generated code is passed over.
//!
//! # Safety
//! Reads aligned words between `stack_base` and the end of the guest's stack, which is always mapped.
#![allow(unsafe_code, reason = "reads the guest's stack")]

use crate::arch::{self, Registers};
use crate::message::Message;
use crate::program::Program;
use elfin_abi::program::FuncRecord;

/// Frames that are printed.
const FRAMES: u64 = 64;

/// Appends the backtrace.
pub fn write(message: &mut Message, program: &Program<'_>, registers: &Registers) {
    let mut count = 0;
    for function in Frames::new(program, registers) {
        if count < FRAMES {
            message.number(count, 5);
            message.text(": ");
            let name = program.name(function);
            if name.is_empty() {
                message.text("func[");
                message.number((function.index & !FuncRecord::FRAMELESS).into(), 0);
                message.byte(b']');
            } else {
                message.escaped(name);
            }
            message.byte(b'\n');
        }
        count += 1;
    }
    if count > FRAMES {
        message.text("    ... ");
        message.number(count - FRAMES, 0);
        message.text(" more\n");
    }
}

/// The functions on the guest's stack, innermost first, glue left out.
#[derive(Debug)]
pub struct Frames<'a> {
    program: &'a Program<'a>,
    registers: Registers,
    innermost: bool,
}

impl<'a> Frames<'a> {
    /// Begins where the registers say.
    #[must_use]
    pub fn new(program: &'a Program<'a>, registers: &Registers) -> Self {
        Self {
            program,
            registers: *registers,
            innermost: true,
        }
    }

    /// A word of the guest's stack.
    fn word(&self, address: u64) -> Option<u64> {
        let header = self.program.header();
        let offset = address.wrapping_sub(header.stack_base);
        (offset < header.stack_size && offset.is_multiple_of(8))
            // SAFETY: an aligned word of the guest's stack.
            .then(|| unsafe { (address as *const u64).read_volatile() })
    }

    /// Goes to the caller of a function that has a frame record.
    fn follow_frame(&mut self) -> Option<u64> {
        let fp = self.registers.fp;
        let caller = self.word(fp)?;
        let return_address = self.word(fp + 8)?;
        // A chain that does not go up ends here, at the next step.
        self.registers.fp = if caller > fp { caller } else { 0 };
        Some(return_address)
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = &'a FuncRecord;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let pc = self.registers.pc;
            if pc == 0 {
                return None;
            }
            let innermost = core::mem::take(&mut self.innermost);
            let at = self.program.code_address(pc);
            let function = at.and_then(|at| self.program.function(at));
            let frameless = match (innermost, at, function) {
                (true, Some(at), Some(function)) => {
                    function.index & FuncRecord::FRAMELESS != 0
                        || at.within(function) < arch::PROLOGUE
                }
                _ => false,
            };
            let return_address = if frameless {
                arch::frameless_return(&self.registers, |address| self.word(address))
            } else {
                self.follow_frame()
            };
            // An address inside the call, which may be the last instruction of its function.
            self.registers.pc = return_address.map_or(0, |address| address.wrapping_sub(1));
            match function {
                Some(function) if function.index & FuncRecord::GLUE != FuncRecord::GLUE => {
                    return Some(function);
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::sample::{CODE, FAR_CODE, program};
    use std::string::String;
    use std::vec;

    fn lines(stack: &[u64], registers: &Registers) -> String {
        let mut message = Message::new("");
        write(&mut message, &program(stack), registers);
        String::from_utf8_lossy(message.pending()).into_owned()
    }

    /// Addresses of the stack's words, and registers of a function that has its frame at word `fp`.
    fn at(stack: &[u64], pc: u64, fp: usize) -> Registers {
        let base = stack.as_ptr() as u64;
        Registers {
            pc,
            fp: base + 8 * fp as u64,
            sp: base,
            link: 0,
        }
    }

    #[test]
    fn frames_are_named_innermost_first_without_glue() {
        let mut stack = vec![0_u64; 16];
        let base = stack.as_ptr() as u64;
        // A frame at word 2, whose caller has one at word 6, whose caller has one at word 10.
        (stack[2], stack[3]) = (base + 48, FAR_CODE + 0x20);
        (stack[6], stack[7]) = (base + 80, 0x7777_0000); // a host function
        (stack[10], stack[11]) = (0, CODE + 0x20); // glue
        let registers = at(&stack, CODE + 0x60, 2);
        assert_eq!(lines(&stack, &registers), "    0: outer\n    1: f\\x1br\n");
    }

    #[test]
    fn a_return_address_belongs_to_the_function_that_called() {
        let mut stack = vec![0_u64; 8];
        // The call is the last instruction of `outer`: the return address is the next function's first.
        (stack[2], stack[3]) = (0, CODE + 0x80);
        let registers = at(&stack, FAR_CODE + 0x30, 2);
        assert_eq!(lines(&stack, &registers), "    0: f\\x1br\n    1: outer\n");
    }

    #[test]
    fn a_function_without_a_frame_has_its_return_address_elsewhere() {
        let mut stack = vec![0_u64; 8];
        stack[0] = CODE + 0x60;
        (stack[2], stack[3]) = (0, FAR_CODE + 0x30);
        let mut registers = at(&stack, CODE + 0x90, 2);
        registers.link = CODE + 0x60;
        assert_eq!(
            lines(&stack, &registers),
            "    0: func[17]\n    1: outer\n    2: f\\x1br\n"
        );
        // At its first instruction any function is like that.
        registers.pc = FAR_CODE + 0x10;
        assert_eq!(
            lines(&stack, &registers),
            "    0: f\\x1br\n    1: outer\n    2: f\\x1br\n"
        );
    }

    #[test]
    fn a_broken_chain_ends_the_walk() {
        let mut stack = vec![0_u64; 16];
        let base = stack.as_ptr() as u64;
        for (fp, caller) in [
            (2, base + 16),
            (2, base),
            (2, 1),
            (2, u64::MAX - 3),
            (15, 0),
        ] {
            stack[fp] = caller;
            if let Some(word) = stack.get_mut(fp + 1) {
                *word = CODE + 0x60;
            }
            let registers = at(&stack, FAR_CODE + 0x30, fp);
            let text = lines(&stack, &registers);
            assert!(text.starts_with("    0: f\\x1br\n"), "{text}");
            assert!(text.lines().count() <= 2, "{text}");
        }
        for fp in [0, base - 8, base + 1, base + 16 * 8, u64::MAX] {
            let registers = Registers {
                pc: CODE + 0x60,
                fp,
                sp: 0,
                link: 0,
            };
            assert_eq!(lines(&stack, &registers), "    0: outer\n");
        }
    }

    #[test]
    fn long_traces_are_cut() {
        let mut stack = vec![0_u64; 2 * 100];
        let base = stack.as_ptr() as u64;
        for frame in 0..99 {
            stack[2 * frame] = base + 16 * (frame as u64 + 1);
            stack[2 * frame + 1] = FAR_CODE + 0x30;
        }
        let function = Program::name;
        let mut message = Message::new("");
        let (program, registers) = (program(&stack), at(&stack, FAR_CODE + 0x30, 0));
        assert_eq!(Frames::new(&program, &registers).count(), 100);
        assert!(Frames::new(&program, &registers).all(|f| function(&program, f) == b"f\x1br"));
        write(&mut message, &program, &registers);
        assert!(
            message
                .pending()
                .ends_with(b"   63: f\\x1br\n    ... 36 more\n")
        );
    }
}

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
        Self { program, registers: *registers, innermost: true }
    }

    /// A word of the guest's stack.
    fn word(&self, address: u64) -> Option<u64> {
        let header = self.program.header();
        let offset = address.wrapping_sub(header.stack_base);
        (offset < header.stack_size && offset % 8 == 0)
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
                    function.index & FuncRecord::FRAMELESS != 0 || at.within(function) < arch::PROLOGUE
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
